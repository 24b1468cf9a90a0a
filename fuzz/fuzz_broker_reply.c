/* SPDX-License-Identifier: BSD-2-Clause */
/* What a broker may answer; the first octet is the type of the request it answers. */
#include <stdlib.h>

#include "kernel-bind/broker_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct broker_reply reply, again; /* too large for the stack */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct writer first, second;

	if (size == 0 || broker_reply_read(data[0], BYTES(data + 1, size - 1), &reply) != ERR_OK)
		return 0;
	writer_init(&first, BROKER_REPLY_BYTES_MAX);
	writer_init(&second, BROKER_REPLY_BYTES_MAX);
	if (broker_reply_write(data[0], &reply, &first) != ERR_OK ||
		broker_reply_read(data[0], writer_view(&first), &again) != ERR_OK ||
		broker_reply_write(data[0], &again, &second) != ERR_OK ||
		!bytes_equal(writer_view(&first), writer_view(&second)))
		abort();
	writer_free(&first);
	writer_free(&second);
	return 0;
}
