/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE messages as they come, read as each kind in turn; then the octets as a payload body. */
#include "fuzz/fuzz_ike_parsers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = BYTES(data, size);
	struct ike_message message;
	struct ike_header header;
	int kind;

	if (ike_header_parse(input, &header) == ERR_OK && header.spi_i == 0)
		abort();
	for (kind = IKE_KIND_T1; kind <= IKE_KIND_INFORMATIONAL; kind++) {
		if (ike_message_parse(input, (enum ike_kind)kind, &message) != ERR_OK)
			continue;
		fuzz_payloads(&message, input);
		fuzz_check_view(message.sealed, input);
		if (message.sealed.len > 0 && message.clear.len + message.sealed.len != size)
			abort();
	}
	fuzz_body(input);
	return 0;
}
