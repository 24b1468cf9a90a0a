/* SPDX-License-Identifier: BSD-2-Clause */
/* As much of DER (X.690) as keys and signature algorithms need, strictly: one form for one value. */
#include "mech/crypto/library.h"

struct reader crypto_der_open(struct reader *r, uint8_t tag)
{
	uint8_t found = reader_get_u8(r);
	size_t len = reader_get_u8(r);
	bool is_shortest = true;

	if (len == 0x81) {
		len = reader_get_u8(r);
		is_shortest = len >= 0x80;
	} else if (len == 0x82) {
		len = reader_get_u16(r);
		is_shortest = len >= 0x100;
	} else if (len >= 0x80) {
		is_shortest = false; /* indefinite, or longer than anything here */
	}
	if (found != tag || !is_shortest)
		reader_fail(r, ERR_KEY_FORMAT);
	return reader_get_sub(r, len);
}

struct bytes crypto_der_positive(struct reader *r)
{
	struct reader sub = crypto_der_open(r, CRYPTO_DER_INTEGER);
	struct bytes value = reader_get_rest(&sub);
	bool has_zero = value.len > 1 && value.data[0] == 0;

	if (reader_status(&sub) != ERR_OK || value.len == 0 || value.data[0] >= 0x80 ||
		(has_zero && value.data[1] < 0x80) || (value.len == 1 && value.data[0] == 0)) {
		reader_fail(r, ERR_KEY_FORMAT);
		return BYTES_NONE;
	}
	return has_zero ? BYTES(value.data + 1, value.len - 1) : value;
}
