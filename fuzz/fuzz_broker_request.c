/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process may send to the broker: read, and if taken, written and read again alike. */
#include <stdlib.h>

#include "kernel-bind/broker_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct broker_request request, again;
	struct writer first, second;

	if (broker_request_read(BYTES(data, size), &request) != ERR_OK)
		return 0;
	writer_init(&first, BROKER_REQUEST_BYTES_MAX);
	writer_init(&second, BROKER_REQUEST_BYTES_MAX);
	if (broker_request_write(&request, &first) != ERR_OK ||
		broker_request_read(writer_view(&first), &again) != ERR_OK ||
		broker_request_write(&again, &second) != ERR_OK ||
		!bytes_equal(writer_view(&first), writer_view(&second)))
		abort();
	writer_free(&first);
	writer_free(&second);
	return 0;
}
