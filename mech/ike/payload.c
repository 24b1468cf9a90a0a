/* SPDX-License-Identifier: BSD-2-Clause */
/* Payload bodies, out and in: RFC 7296 3.4 to 3.10 and 3.12; AUTH of method 14 as RFC 7427. */
#include "mech/ike/ike.h"

#define RESERVED_OF_KE_BYTES 2	 /* RFC 7296 3.4 */
#define RESERVED_OF_ID_BYTES 3	 /* RFC 7296 3.5 */
#define RESERVED_OF_AUTH_BYTES 3 /* RFC 7296 3.8 */

static enum err payload_finish(const struct reader *r)
{
	return reader_finish(r) == ERR_OK ? ERR_OK : ERR_IKE_PAYLOAD;
}

void ike_put_payload(struct ike_builder *b, uint8_t type, struct bytes body)
{
	ike_builder_open_payload(b, type);
	writer_put_bytes(&b->w, body);
	ike_builder_close_payload(b);
}

/* --- KE, RFC 7296 3.4 --- */

void ike_put_ke(struct ike_builder *b, uint16_t group, struct bytes public_value)
{
	ike_builder_open_payload(b, IKE_PAYLOAD_KE);
	writer_put_u16(&b->w, group);
	(void)writer_put_zeros(&b->w, RESERVED_OF_KE_BYTES);
	writer_put_bytes(&b->w, public_value);
	ike_builder_close_payload(b);
}

enum err ike_ke_parse(struct bytes body, struct ike_ke *ret_ke)
{
	struct ike_ke ke;
	struct reader r;

	reader_init(&r, body);
	ke.group = reader_get_u16(&r);
	reader_skip(&r, RESERVED_OF_KE_BYTES);
	ke.public_value = reader_get_rest(&r);
	if (payload_finish(&r) != ERR_OK || ke.public_value.len == 0)
		return ERR_IKE_PAYLOAD;
	*ret_ke = ke;
	return ERR_OK;
}

/* --- Ni and Nr, RFC 7296 3.9; received lengths are checked by the rules in message.c --- */

void ike_put_nonce(struct ike_builder *b, struct bytes nonce)
{
	ike_put_payload(b, IKE_PAYLOAD_NONCE, nonce);
}

/* --- IDi and IDr, RFC 7296 3.5 --- */

void ike_put_id(struct ike_builder *b, uint8_t payload_type, uint8_t id_type, struct bytes data)
{
	ike_builder_open_payload(b, payload_type);
	writer_put_u8(&b->w, id_type);
	(void)writer_put_zeros(&b->w, RESERVED_OF_ID_BYTES);
	writer_put_bytes(&b->w, data);
	ike_builder_close_payload(b);
}

enum err ike_id_parse(struct bytes body, struct ike_id *ret_id)
{
	struct ike_id id;
	struct reader r;

	reader_init(&r, body);
	id.type = reader_get_u8(&r);
	reader_skip(&r, RESERVED_OF_ID_BYTES);
	id.data = reader_get_rest(&r);
	if (payload_finish(&r) != ERR_OK)
		return ERR_IKE_PAYLOAD;
	*ret_id = id;
	return ERR_OK;
}

/* --- CERT and CERTREQ, RFC 7296 3.6 and 3.7 --- */

void ike_put_cert(struct ike_builder *b, struct bytes spki)
{
	ike_builder_open_payload(b, IKE_PAYLOAD_CERT);
	writer_put_u8(&b->w, IKE_CERT_RAW_PUBLIC_KEY);
	writer_put_bytes(&b->w, spki);
	ike_builder_close_payload(b);
}

enum err ike_cert_parse(struct bytes body, struct ike_cert *ret_cert)
{
	struct ike_cert cert;
	struct reader r;

	reader_init(&r, body);
	cert.encoding = reader_get_u8(&r);
	cert.data = reader_get_rest(&r);
	if (payload_finish(&r) != ERR_OK)
		return ERR_IKE_PAYLOAD;
	*ret_cert = cert;
	return ERR_OK;
}

/* --- AUTH, RFC 7296 3.8 and RFC 7427 section 3 --- */

void ike_put_auth_signature(struct ike_builder *b, struct bytes algorithm, struct bytes signature)
{
	ike_builder_open_payload(b, IKE_PAYLOAD_AUTH);
	writer_put_u8(&b->w, IKE_AUTH_DIGITAL_SIGNATURE);
	(void)writer_put_zeros(&b->w, RESERVED_OF_AUTH_BYTES);
	writer_put_counted8(&b->w, algorithm);
	writer_put_bytes(&b->w, signature);
	ike_builder_close_payload(b);
}

void ike_put_auth(struct ike_builder *b, uint8_t method, struct bytes data)
{
	ike_builder_open_payload(b, IKE_PAYLOAD_AUTH);
	writer_put_u8(&b->w, method);
	(void)writer_put_zeros(&b->w, RESERVED_OF_AUTH_BYTES);
	writer_put_bytes(&b->w, data);
	ike_builder_close_payload(b);
}

enum err ike_auth_parse(struct bytes body, struct ike_auth *ret_auth)
{
	struct ike_auth auth = { .algorithm = BYTES_NONE };
	bool is_digital_signature;
	struct reader r;

	reader_init(&r, body);
	auth.method = reader_get_u8(&r);
	reader_skip(&r, RESERVED_OF_AUTH_BYTES);
	is_digital_signature = auth.method == IKE_AUTH_DIGITAL_SIGNATURE;
	if (is_digital_signature)
		auth.algorithm = reader_get_counted8(&r);
	auth.signature = reader_get_rest(&r);
	if (payload_finish(&r) != ERR_OK || auth.signature.len == 0 ||
		(is_digital_signature && auth.algorithm.len == 0))
		return ERR_IKE_PAYLOAD;
	*ret_auth = auth;
	return ERR_OK;
}

/* --- N, RFC 7296 3.10 --- */

void ike_put_notify(struct ike_builder *b, uint16_t type, struct bytes data)
{
	ike_builder_open_notify(b, type);
	writer_put_bytes(&b->w, data);
	ike_builder_close_payload(b);
}

enum err ike_notify_parse(struct bytes body, struct ike_notify *ret_notify)
{
	struct ike_notify notify;
	uint8_t spi_bytes;
	struct reader r;

	reader_init(&r, body);
	notify.protocol = reader_get_u8(&r);
	spi_bytes = reader_get_u8(&r);
	notify.type = reader_get_u16(&r);
	notify.spi = reader_get_bytes(&r, spi_bytes);
	notify.data = reader_get_rest(&r);
	if (payload_finish(&r) != ERR_OK)
		return ERR_IKE_PAYLOAD;
	*ret_notify = notify;
	return ERR_OK;
}

void ike_put_group_wanted(struct ike_builder *b, uint16_t group)
{
	ike_builder_open_notify(b, IKE_NOTIFY_INVALID_KE_PAYLOAD);
	writer_put_u16(&b->w, group);
	ike_builder_close_payload(b);
}

enum err ike_group_wanted_parse(struct bytes data, uint16_t *ret_group)
{
	uint16_t group;
	struct reader r;

	reader_init(&r, data);
	group = reader_get_u16(&r);
	if (payload_finish(&r) != ERR_OK)
		return ERR_IKE_PAYLOAD;
	*ret_group = group;
	return ERR_OK;
}

bool ike_hashes_include(struct bytes data, uint16_t hash)
{
	bool is_found = false;
	struct reader r;

	reader_init(&r, data);
	while (reader_left(&r) > 0)
		if (reader_get_u16(&r) == hash && reader_status(&r) == ERR_OK)
			is_found = true;
	return is_found && reader_finish(&r) == ERR_OK;
}

/* --- V, RFC 7296 3.12 --- */

void ike_put_vendor(struct ike_builder *b, struct bytes vendor)
{
	ike_put_payload(b, IKE_PAYLOAD_VENDOR, vendor);
}
