/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The token of an exported credential: what was read and written once comes back the same. No file
 * is looked at.
 */
#include <stdlib.h>

#include "mech/credential_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads, writes again; false when it is no token. */
static bool rewrite(struct bytes token, struct writer *w)
{
	struct mech_request request;

	writer_init(w, 65536);
	if (mech_request_read(token, &request) != ERR_OK)
		return false;
	if (mech_request_write(&request, NULL, w) != ERR_OK || writer_len(w) > token.len)
		abort();
	mech_request_free(&request);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writer first, second;

	if (!rewrite(BYTES(data, size), &first))
		return 0;
	if (!rewrite(writer_view(&first), &second) ||
		!bytes_equal(writer_view(&first), writer_view(&second)))
		abort();
	writer_free(&first);
	writer_free(&second);
	return 0;
}
