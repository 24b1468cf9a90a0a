/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mechanism-independent headers: of a first token (RFC 2743 3.1) and of an exported name
 * (RFC 2743 3.2, RFC 6680 7.8).  There is exactly one encoding of each, and only that one is taken: programs such
 * as Cyrus SASL strip and rebuild the first header.
 */
#include <stddef.h>

#include "plugin/plugin.h"

#define TAG_APPLICATION_0 0x60
#define TAG_OID 0x06
#define DER_SHORT_MAX 0x7f
#define DER_LONG 0x80
#define DER_LENGTH_OCTETS_MAX 3
#define NAME_TOKEN_ID 0x0401
#define COMPOSITE_TOKEN_ID 0x0402
#define OID_DER_BYTES (2 + GSS_IPSEC_OID_MECH_LENGTH)

/* RFC 2743 3.1: lengths are in DER, thus as short as they can be; an octet count beyond 3 means
 * more than any message may have. */
static size_t framing_get_length(struct reader *r)
{
	uint8_t first = reader_get_u8(r);
	size_t length = 0, octets;

	if (first <= DER_SHORT_MAX)
		return first;
	octets = (size_t)(first - DER_LONG);
	if (octets < 1 || octets > DER_LENGTH_OCTETS_MAX) {
		reader_fail(r, ERR_TOKEN_FRAMING);
		return 0;
	}
	for (size_t i = 0; i < octets; i++)
		length = length << 8 | reader_get_u8(r);
	if (length <= DER_SHORT_MAX || length >> 8 * (octets - 1) == 0)
		reader_fail(r, ERR_TOKEN_FRAMING);
	return length;
}

static size_t framing_length_octets(size_t length)
{
	size_t octets = 1;

	if (length <= DER_SHORT_MAX)
		return 1;
	while (octets < DER_LENGTH_OCTETS_MAX && length >> 8 * octets != 0)
		octets++;
	return 1 + octets;
}

static void framing_put_length(struct writer *w, size_t length)
{
	size_t octets = framing_length_octets(length) - 1;

	if (octets == 0) {
		writer_put_u8(w, (uint8_t)length);
		return;
	}
	writer_put_u8(w, (uint8_t)(DER_LONG + octets));
	for (size_t i = octets; i > 0; i--)
		writer_put_u8(w, (uint8_t)(length >> 8 * (i - 1)));
}

/*
 * MIT's gss_encapsulate_token(), with which Cyrus SASL's GS2 rebuilds the header, counts a token ID
 * of two octets that it does not write (1.20.1).  Where those two make the length itself longer,
 * one octet of its memory stays behind the token.  It is dropped; the IKE message has its own
 * length.
 */
static size_t framing_stray_octets(size_t length)
{
	return framing_length_octets(length + 2) > framing_length_octets(length) ? 1 : 0;
}

/* The mechanism's OID with its DER header; failure is the reader's, with code. */
static void framing_get_oid(struct reader *r, enum err code)
{
	uint8_t tag = reader_get_u8(r), length = reader_get_u8(r);
	struct bytes oid = reader_get_bytes(r, length);

	if (tag != TAG_OID ||
		!bytes_equal(oid, BYTES(plugin_mech_oid->elements, plugin_mech_oid->length)))
		reader_fail(r, code);
}

static void framing_put_oid(struct writer *w)
{
	writer_put_u8(w, TAG_OID);
	writer_put_u8(w, (uint8_t)plugin_mech_oid->length);
	writer_put_bytes(w, BYTES(plugin_mech_oid->elements, plugin_mech_oid->length));
}

enum err plugin_framing_token_read(struct bytes token, struct bytes *ret_message)
{
	struct reader r, inside;
	struct bytes message;
	size_t length;

	reader_init(&r, token);
	if (reader_get_u8(&r) != TAG_APPLICATION_0)
		reader_fail(&r, ERR_TOKEN_FRAMING);
	length = framing_get_length(&r);
	inside = reader_get_sub(&r, length);
	if (reader_left(&r) == framing_stray_octets(length))
		reader_skip(&r, reader_left(&r));
	framing_get_oid(&inside, ERR_TOKEN_FRAMING);
	message = reader_get_rest(&inside);
	if (reader_finish(&r) != ERR_OK || reader_finish(&inside) != ERR_OK || message.len == 0 ||
		message.len > PLUGIN_MESSAGE_BYTES_MAX)
		return ERR_TOKEN_FRAMING;
	*ret_message = message;
	return ERR_OK;
}

enum err plugin_framing_token_write(struct bytes message, struct writer *w)
{
	if (message.len == 0 || message.len > PLUGIN_MESSAGE_BYTES_MAX)
		return ERR_TOO_LARGE;
	writer_put_u8(w, TAG_APPLICATION_0);
	framing_put_length(w, OID_DER_BYTES + message.len);
	framing_put_oid(w);
	writer_put_bytes(w, message);
	return writer_status(w);
}

static enum err framing_name_read(struct bytes token, uint16_t token_id, struct bytes *ret_inner)
{
	struct reader r;
	struct bytes inner;
	uint32_t len;

	reader_init(&r, token);
	if (reader_get_u16(&r) != token_id)
		reader_fail(&r, ERR_NAME_FORMAT);
	if (reader_get_u16(&r) != OID_DER_BYTES)
		reader_fail(&r, ERR_NAME_FORMAT);
	framing_get_oid(&r, ERR_NAME_FORMAT);
	len = reader_get_u32(&r);
	if (len != reader_left(&r))
		reader_fail(&r, ERR_NAME_FORMAT);
	inner = reader_get_rest(&r);
	if (reader_finish(&r) != ERR_OK || inner.len == 0 ||
		inner.len > PLUGIN_NAME_TOKEN_BYTES_MAX)
		return ERR_NAME_FORMAT;
	*ret_inner = inner;
	return ERR_OK;
}

static enum err framing_name_write(struct bytes inner, uint16_t token_id, struct writer *w)
{
	if (inner.len == 0 || inner.len > PLUGIN_NAME_TOKEN_BYTES_MAX)
		return ERR_TOO_LARGE;
	writer_put_u16(w, token_id);
	writer_put_u16(w, OID_DER_BYTES);
	framing_put_oid(w);
	writer_put_u32(w, (uint32_t)inner.len);
	writer_put_bytes(w, inner);
	return writer_status(w);
}

enum err plugin_framing_name_read(struct bytes token, struct bytes *ret_inner)
{
	return framing_name_read(token, NAME_TOKEN_ID, ret_inner);
}

enum err plugin_framing_name_write(struct bytes inner, struct writer *w)
{
	return framing_name_write(inner, NAME_TOKEN_ID, w);
}

enum err plugin_framing_composite_read(struct bytes token, struct bytes *ret_inner)
{
	return framing_name_read(token, COMPOSITE_TOKEN_ID, ret_inner);
}

enum err plugin_framing_composite_write(struct bytes inner, struct writer *w)
{
	return framing_name_write(inner, COMPOSITE_TOKEN_ID, w);
}
