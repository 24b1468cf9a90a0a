/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IKE messages as they come, read as each kind in turn; then the octets as a payload body.  Input
 * that begins with COMPOSED names a kind and payloads in the clear, whose lengths are made right;
 * with COMPOSED_SA, the proposals, transforms and attributes of an SA payload.
 */
#include "fuzz/fuzz_ike_parsers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMPOSED 0xffffffffu /* no seed's SPI begins so */
#define COMPOSED_SA 0xfffffffeu

static const struct ike_header headers[] = {
	{ 1, 0, 0, IKE_EXCHANGE_SA_INIT, IKE_FLAG_INITIATOR, 0 },
	{ 1, 2, 0, IKE_EXCHANGE_SA_INIT, IKE_FLAG_RESPONSE, 0 },
	{ 1, 0, 0, IKE_EXCHANGE_SA_INIT, IKE_FLAG_RESPONSE, 0 },
	{ 1, 2, 0, IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1 },
	{ 1, 2, 0, IKE_EXCHANGE_AUTH, IKE_FLAG_RESPONSE, 1 },
	{ 1, 2, 0, IKE_EXCHANGE_INFORMATIONAL, IKE_FLAG_INITIATOR, 2 },
};
#define HEADERS (sizeof(headers) / sizeof(headers[0]))

static void fuzz_message(struct bytes input)
{
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
		if (message.sealed.len > 0 && message.clear.len + message.sealed.len != input.len)
			abort();
	}
}

static void fuzz_composed(struct bytes input)
{
	struct writer chain, w;
	const struct ike_header *header;
	uint8_t first, *exact;
	size_t len;

	if (input.len == 0)
		return;
	header = &headers[input.data[0] % HEADERS];
	writer_init(&chain, (size_t)1 << 20);
	writer_init(&w, (size_t)1 << 20);
	first = fuzz_compose_chain(BYTES(input.data + 1, input.len - 1), &chain);
	fuzz_put_header(&w, header, first, writer_len(&chain));
	writer_put_bytes(&w, writer_view(&chain));
	/* Taken out, so that reading past the end is seen. */
	if (writer_take(&w, &exact, &len) != ERR_OK)
		abort();
	exact = fuzz_shrink(exact, len);
	fuzz_message(BYTES(exact, len));
	free(exact);
	writer_free(&chain);
	writer_free(&w);
}

/* --- SA, RFC 7296 3.3: three levels of lengths that mutations would seldom get right --- */

static size_t open_substructure(struct writer *w, uint8_t more, bool is_last)
{
	writer_put_u8(w, is_last ? IKE_LAST_SUBSTRUCTURE : more);
	writer_put_u8(w, 0);
	return writer_open16(w);
}

/* An attribute of the long form has as many octets as its length says, if there are so many. */
static void compose_attribute(struct reader *r, struct writer *w)
{
	uint16_t type = reader_get_u16(r), value = reader_get_u16(r);

	writer_put_u16(w, type);
	writer_put_u16(w, value);
	if ((type & IKE_ATTRIBUTE_TV) == 0)
		writer_put_bytes(
			w, reader_get_bytes(r, value < reader_left(r) ? value : reader_left(r)));
}

static void compose_transform(struct reader *r, struct writer *w, bool is_last)
{
	size_t mark = open_substructure(w, IKE_MORE_TRANSFORMS, is_last);
	uint8_t attributes = reader_get_u8(r) % 4;

	writer_put_u8(w, reader_get_u8(r));
	writer_put_u8(w, 0);
	writer_put_u16(w, reader_get_u16(r));
	while (attributes-- > 0)
		compose_attribute(r, w);
	writer_close16(w, mark, 4);
}

static void compose_proposal(struct reader *r, struct writer *w, bool is_last)
{
	size_t mark = open_substructure(w, IKE_MORE_PROPOSALS, is_last);
	uint8_t transforms = reader_get_u8(r) % 8, spi_bytes;

	writer_put_u8(w, reader_get_u8(r));
	writer_put_u8(w, reader_get_u8(r));
	spi_bytes = reader_get_u8(r) % 9;
	writer_put_u8(w, spi_bytes);
	writer_put_u8(w, transforms);
	(void)writer_put_zeros(w, spi_bytes);
	while (transforms-- > 0)
		compose_transform(r, w, transforms == 0);
	writer_close16(w, mark, 4);
}

static void fuzz_composed_sa(struct bytes input)
{
	struct reader r;
	struct writer w;
	uint8_t proposals, *exact;
	size_t len;

	reader_init(&r, input);
	writer_init(&w, (size_t)1 << 20);
	proposals = reader_get_u8(&r) % 8;
	while (proposals-- > 0)
		compose_proposal(&r, &w, proposals == 0);
	if (writer_take(&w, &exact, &len) != ERR_OK)
		abort();
	exact = fuzz_shrink(exact, len);
	fuzz_sa_and_ts(BYTES(exact, len));
	free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes input = BYTES(data, size);
	struct reader r;
	uint32_t mode;

	reader_init(&r, input);
	mode = reader_get_u32(&r);
	if (mode == COMPOSED) {
		fuzz_composed(reader_get_rest(&r));
	} else if (mode == COMPOSED_SA) {
		fuzz_composed_sa(reader_get_rest(&r));
	} else {
		fuzz_message(input);
		fuzz_body(input);
	}
	return 0;
}
