/* SPDX-License-Identifier: BSD-2-Clause */
/* Base64, RFC 4648 section 4; refuses what is not canonical (section 3.5). */
#include "mech/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void mech_base64_write(struct bytes value, char *ret_text)
{
	uint32_t pending = 0;
	unsigned int bits = 0;
	size_t at = 0;

	for (size_t i = 0; i < value.len; i++) {
		pending = (pending << 8 | value.data[i]) & 0xffffu;
		for (bits += 8; bits >= 6; bits -= 6)
			ret_text[at++] = digits[pending >> (bits - 6) & 63];
	}
	if (bits > 0)
		ret_text[at++] = digits[pending << (6 - bits) & 63];
	ret_text[at] = '\0';
}

/* How many of the octets are digits: all but the padding; false when that is not correct. */
static bool count_digits(struct bytes text, size_t *ret_count)
{
	size_t count = text.len;

	while (count > 0 && text.len - count < 2 && text.data[count - 1] == '=')
		count--;
	if (count % 4 == 1 || (count != text.len && text.len % 4 != 0))
		return false;
	*ret_count = count;
	return true;
}

/* Gives the octets to w when there is one; returns whether text is canonical. */
static bool walk_digits(struct bytes text, size_t count, struct writer *w)
{
	uint32_t pending = 0;
	unsigned int bits = 0;

	for (size_t i = 0; i < count; i++) {
		const char *digit =
			text.data[i] == '\0' ? NULL : strchr(digits, (char)text.data[i]);

		if (digit == NULL)
			return false;
		pending = (pending << 6 | (uint32_t)(digit - digits)) & 0xffffu;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (w != NULL)
				writer_put_u8(w, (uint8_t)(pending >> bits & 0xff));
		}
	}
	/* RFC 4648 3.5: the spare bits must be zero, else two texts would mean one value. */
	return (pending & ((1u << bits) - 1)) == 0;
}

enum err mech_base64_read(struct bytes text, struct writer *w)
{
	size_t count;

	if (!count_digits(text, &count) || !walk_digits(text, count, NULL))
		return ERR_NAME_FORMAT;
	(void)walk_digits(text, count, w);
	return writer_status(w);
}
