/* SPDX-License-Identifier: BSD-2-Clause */
/* TSi and TSr (RFC 7296 3.13). Judging a selector is the caller's. */
#include "mech/ike/ike.h"

#define RESERVED_OF_TS_BYTES 3
#define SELECTOR_HEADER_BYTES 4 /* type, protocol, length: in front of what depends on the type */

/* clang-format off */
static const struct {
	uint8_t type, address_bytes;
} selector_types[] = {
	{ IKE_TS_IPV4_ADDR_RANGE,  4 },
	{ IKE_TS_IPV6_ADDR_RANGE, 16 },
};
#define SELECTOR_TYPE_COUNT (sizeof(selector_types) / sizeof(selector_types[0]))
/* clang-format on */

static uint8_t type_of_address_bytes(uint8_t address_bytes)
{
	size_t i;

	for (i = 0; i < SELECTOR_TYPE_COUNT; i++)
		if (selector_types[i].address_bytes == address_bytes)
			return selector_types[i].type;
	return 0;
}

/* 0 for a type without addresses that we know. */
static uint8_t address_bytes_of_type(uint8_t type)
{
	size_t i;

	for (i = 0; i < SELECTOR_TYPE_COUNT; i++)
		if (selector_types[i].type == type)
			return selector_types[i].address_bytes;
	return 0;
}

void ike_put_ts(struct ike_builder *b, uint8_t payload_type, const struct ike_selector *selector)
{
	uint8_t type = type_of_address_bytes(selector->address_bytes);
	size_t mark;

	if (type == 0) {
		writer_fail(&b->w, ERR_INTERNAL);
		return;
	}
	ike_builder_open_payload(b, payload_type);
	writer_put_u8(&b->w, 1);
	(void)writer_put_zeros(&b->w, RESERVED_OF_TS_BYTES);
	writer_put_u8(&b->w, type);
	writer_put_u8(&b->w, selector->protocol);
	mark = writer_open16(&b->w);
	writer_put_u16(&b->w, selector->first_port);
	writer_put_u16(&b->w, selector->last_port);
	writer_put_bytes(&b->w, BYTES(selector->first, selector->address_bytes));
	writer_put_bytes(&b->w, BYTES(selector->last, selector->address_bytes));
	writer_close16(&b->w, mark, SELECTOR_HEADER_BYTES);
	ike_builder_close_payload(b);
}

/* address_bytes stays 0 for a type that we do not know, whose content is passed over. */
static struct ike_selector read_selector(struct reader *r)
{
	struct ike_selector selector = { 0 };
	struct reader sub;
	uint16_t len;

	selector.address_bytes = address_bytes_of_type(reader_get_u8(r));
	selector.protocol = reader_get_u8(r);
	len = reader_get_u16(r);
	if (len < SELECTOR_HEADER_BYTES)
		reader_fail(r, ERR_IKE_PAYLOAD);
	sub = reader_get_sub(r, (size_t)len - SELECTOR_HEADER_BYTES);
	if (selector.address_bytes == 0)
		return selector;
	selector.first_port = reader_get_u16(&sub);
	selector.last_port = reader_get_u16(&sub);
	reader_copy(&sub, selector.first, selector.address_bytes);
	reader_copy(&sub, selector.last, selector.address_bytes);
	if (reader_finish(&sub) != ERR_OK)
		reader_fail(r, ERR_IKE_PAYLOAD);
	return selector;
}

enum err ike_ts_parse(struct bytes body, struct ike_selector *ret_first, size_t *ret_count)
{
	struct ike_selector first = { 0 };
	size_t i, count;
	struct reader r;

	reader_init(&r, body);
	count = reader_get_u8(&r);
	reader_skip(&r, RESERVED_OF_TS_BYTES);
	for (i = 0; i < count; i++) {
		struct ike_selector selector = read_selector(&r);

		if (first.address_bytes == 0)
			first = selector;
	}
	if (reader_finish(&r) != ERR_OK || first.address_bytes == 0)
		return ERR_IKE_PAYLOAD;
	*ret_first = first;
	*ret_count = count;
	return ERR_OK;
}

bool ike_selector_equal(const struct ike_selector *a, const struct ike_selector *b)
{
	return a->protocol == b->protocol && a->address_bytes == b->address_bytes &&
	       a->address_bytes <= sizeof(a->first) && a->first_port == b->first_port &&
	       a->last_port == b->last_port &&
	       bytes_equal(BYTES(a->first, a->address_bytes), BYTES(b->first, b->address_bytes)) &&
	       bytes_equal(BYTES(a->last, a->address_bytes), BYTES(b->last, b->address_bytes));
}
