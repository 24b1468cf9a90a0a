/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IKE messages out: header (RFC 7296 3.1), generic payload headers (3.2) and SK (RFC 5282).
 * Lengths and next-payload types are written when what they speak of is complete.
 */
#include <string.h>

#include "mech/ike/ike.h"

/* Where the header's fields are that are filled in later (RFC 7296 3.1). */
#define HEADER_NEXT_PAYLOAD_AT 16
#define HEADER_LENGTH_AT 24

void ike_builder_begin(struct ike_builder *b, const struct ike_header *header)
{
	*b = (struct ike_builder){ .next_at = HEADER_NEXT_PAYLOAD_AT };
	writer_init(&b->w, IKE_MESSAGE_BYTES_MAX);
	writer_put_u64(&b->w, header->spi_i);
	writer_put_u64(&b->w, header->spi_r);
	writer_put_u8(&b->w, IKE_PAYLOAD_NONE);
	writer_put_u8(&b->w, IKE_VERSION);
	writer_put_u8(&b->w, header->exchange);
	writer_put_u8(&b->w, header->flags);
	writer_put_u32(&b->w, header->message_id);
	writer_put_u32(&b->w, 0);
}

/* Names the type in the field before, then writes the generic header up to its length.  Its own
 * first octet is named next; SK's names the first payload inside (RFC 7296 3.14). */
static void begin_payload(struct ike_builder *b, uint8_t type)
{
	uint8_t *next = writer_at(&b->w, b->next_at, 1);

	if (next != NULL)
		*next = type;
	b->next_at = writer_len(&b->w);
	writer_put_u8(&b->w, IKE_PAYLOAD_NONE);
	writer_put_u8(&b->w, 0);
}

void ike_builder_open_sk(struct ike_builder *b, const uint8_t iv[IKE_IV_BYTES])
{
	if (b->sk_mark != 0 || b->payload_mark != 0)
		writer_fail(&b->w, ERR_INTERNAL);
	begin_payload(b, IKE_PAYLOAD_SK);
	b->sk_at = b->next_at;
	b->sk_mark = writer_open16(&b->w);
	writer_put_bytes(&b->w, BYTES(iv, IKE_IV_BYTES));
}

void ike_builder_open_payload(struct ike_builder *b, uint8_t type)
{
	if (b->payload_mark != 0)
		writer_fail(&b->w, ERR_INTERNAL);
	begin_payload(b, type);
	b->payload_mark = writer_open16(&b->w);
}

void ike_builder_close_payload(struct ike_builder *b)
{
	if (b->payload_mark == 0)
		writer_fail(&b->w, ERR_INTERNAL);
	else
		writer_close16(&b->w, b->payload_mark, IKE_PAYLOAD_HEADER_BYTES);
	b->payload_mark = 0;
}

void ike_builder_open_notify(struct ike_builder *b, uint16_t type)
{
	ike_builder_open_payload(b, IKE_PAYLOAD_NOTIFY);
	/* RFC 7296 3.10: without an SPI the protocol ID must be zero. */
	writer_put_u8(&b->w, IKE_PROTOCOL_NONE);
	writer_put_u8(&b->w, 0);
	writer_put_u16(&b->w, type);
}

static void write_header_length(struct ike_builder *b)
{
	size_t len = writer_len(&b->w);
	uint8_t *field = writer_at(&b->w, HEADER_LENGTH_AT, sizeof(uint32_t));

	if (field == NULL)
		return;
	/* The writer's limit keeps the upper half zero. */
	field[2] = (uint8_t)(len >> 8);
	field[3] = (uint8_t)len;
}

enum err ike_builder_finish(struct ike_builder *b, uint8_t **ret_data, size_t *ret_len)
{
	enum err status;

	if (b->payload_mark != 0 || b->sk_mark != 0)
		writer_fail(&b->w, ERR_INTERNAL);
	write_header_length(b);
	status = writer_take(&b->w, ret_data, ret_len);
	ike_builder_free(b);
	return status;
}

/* Seals what lies between SK's IV and the tag's place, where it lies (RFC 5282 sections 3 to 5). */
static enum err seal_in_place(
	struct ike_builder *b, const struct crypto_aead *aead, const struct secret_key *sk_e)
{
	uint8_t nonce[CRYPTO_NONCE_BYTES];
	struct crypto_aead_key *key = NULL;
	size_t clear_len = b->sk_at + IKE_PAYLOAD_HEADER_BYTES;
	size_t plain_at = clear_len + IKE_IV_BYTES;
	size_t plain_len = writer_len(&b->w) - CRYPTO_TAG_BYTES - plain_at;
	uint8_t *data = writer_at(&b->w, 0, writer_len(&b->w));
	enum err status;

	if (data == NULL)
		return ERR_INTERNAL;
	memcpy(nonce, sk_e->data + aead->key_bytes, aead->salt_bytes);
	memcpy(nonce + aead->salt_bytes, data + clear_len, IKE_IV_BYTES);
	status = crypto_aead_key_new(aead, BYTES(sk_e->data, aead->key_bytes), true, &key);
	if (status == ERR_OK)
		status = crypto_aead_seal(key, nonce, BYTES(data, clear_len),
			BYTES(data + plain_at, plain_len), data + plain_at,
			data + plain_at + plain_len);
	crypto_aead_key_free(&key);
	secret_wipe(nonce, sizeof(nonce));
	return status;
}

enum err ike_builder_seal(struct ike_builder *b, const struct crypto_aead *aead,
	const struct secret_key *sk_e, uint8_t **ret_data, size_t *ret_len)
{
	enum err status;

	if (b->payload_mark != 0 || b->sk_mark == 0 ||
		aead->salt_bytes + IKE_IV_BYTES != CRYPTO_NONCE_BYTES ||
		sk_e->len != aead->key_bytes + aead->salt_bytes)
		writer_fail(&b->w, ERR_INTERNAL);
	/* RFC 5282 section 3: no padding is needed, its length octet is. */
	writer_put_u8(&b->w, 0);
	(void)writer_put_zeros(&b->w, CRYPTO_TAG_BYTES);
	if (b->sk_mark != 0)
		writer_close16(&b->w, b->sk_mark, IKE_PAYLOAD_HEADER_BYTES);
	write_header_length(b);
	status = writer_status(&b->w);
	if (status == ERR_OK)
		status = seal_in_place(b, aead, sk_e);
	if (status == ERR_OK)
		status = writer_take(&b->w, ret_data, ret_len);
	ike_builder_free(b);
	return status;
}

void ike_builder_free(struct ike_builder *b)
{
	writer_free(&b->w);
	*b = (struct ike_builder){ 0 };
	/* Puts after this do nothing, not even allocate. */
	writer_fail(&b->w, ERR_INTERNAL);
}
