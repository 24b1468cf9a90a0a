/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a process may send to the broker: what is taken keeps the form's promises, and is written and
 * read again alike.
 */
#include <stdlib.h>

#include "fuzz/fuzz_text.h"
#include "kernel-bind/broker_protocol.h"

/* What an earlier client does not say is written as an empty text. */
#define EMPTY_TEXT_BYTES 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct broker_request *request)
{
	if (request->key_in.len > SECRET_KEY_MAX || request->key_out.len > SECRET_KEY_MAX)
		abort();
	fuzz_check_text(request->local_name, sizeof(request->local_name));
	fuzz_check_text(request->peer_name, sizeof(request->peer_name));
	fuzz_check_text(request->method, sizeof(request->method));
	fuzz_check_text(request->service, sizeof(request->service));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct broker_request request, again;
	struct writer first, second;

	if (broker_request_read(BYTES(data, size), &request) != ERR_OK)
		return 0;
	check_request(&request);
	writer_init(&first, BROKER_REQUEST_BYTES_MAX);
	writer_init(&second, BROKER_REQUEST_BYTES_MAX);
	if (broker_request_write(&request, &first) != ERR_OK ||
		writer_len(&first) > size + EMPTY_TEXT_BYTES ||
		broker_request_read(writer_view(&first), &again) != ERR_OK ||
		broker_request_write(&again, &second) != ERR_OK ||
		!bytes_equal(writer_view(&first), writer_view(&second)))
		abort();
	writer_free(&first);
	writer_free(&second);
	return 0;
}
