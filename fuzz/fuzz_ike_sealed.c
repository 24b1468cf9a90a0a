/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lies behind the cryptography: the input (kind, type of the first payload, then chain and
 * padding) is sealed under a fixed key and opened again as that kind.  With COMPOSED in the kind, the
 * input names payloads, whose lengths and padding are made right.
 */
#include <string.h>

#include "fuzz/fuzz_ike_parsers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY_BYTES 32
#define SALT_BYTES 4
#define COMPOSED 0x80

static const struct ike_header headers[] = {
	[IKE_KIND_T3] = { 1, 2, 0, IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1 },
	[IKE_KIND_T4] = { 1, 2, 0, IKE_EXCHANGE_AUTH, IKE_FLAG_RESPONSE, 1 },
	[IKE_KIND_T5] = { 1, 2, 0, IKE_EXCHANGE_INFORMATIONAL, IKE_FLAG_INITIATOR, 2 },
	[IKE_KIND_INFORMATIONAL] = { 1, 2, 0, IKE_EXCHANGE_INFORMATIONAL, 0, 0 },
};

static struct secret_key fixed_key(void)
{
	struct secret_key key = { .len = KEY_BYTES + SALT_BYTES };

	memset(key.data, 0x5a, key.len);
	return key;
}

/* Header, SK with a zero IV and the input as its plaintext. NULL when it does not fit. */
static uint8_t *make_message(
	struct writer *w, const struct ike_header *header, uint8_t first, struct bytes plain)
{
	const size_t sk_bytes = IKE_PAYLOAD_HEADER_BYTES + IKE_IV_BYTES + CRYPTO_TAG_BYTES;

	fuzz_put_header(w, header, IKE_PAYLOAD_SK, sk_bytes + plain.len);
	writer_put_u8(w, first);
	writer_put_u8(w, 0);
	writer_put_u16(w, (uint16_t)(sk_bytes + plain.len));
	(void)writer_put_zeros(w, IKE_IV_BYTES);
	writer_put_bytes(w, plain);
	(void)writer_put_zeros(w, CRYPTO_TAG_BYTES);
	return writer_at(w, 0, writer_len(w));
}

static void seal(uint8_t *message, size_t plain_len)
{
	const size_t clear_len = IKE_HEADER_BYTES + IKE_PAYLOAD_HEADER_BYTES;
	uint8_t nonce[CRYPTO_NONCE_BYTES] = { 0 };
	uint8_t *plain = message + clear_len + IKE_IV_BYTES;
	struct secret_key secret = fixed_key();
	struct crypto_aead_key *key = NULL;

	memcpy(nonce, secret.data + KEY_BYTES, SALT_BYTES);
	if (crypto_aead_key_new(crypto_aead_find(IKE_ENCR_AES_GCM_16, 256),
		    BYTES(secret.data, KEY_BYTES), true, &key) != ERR_OK ||
		crypto_aead_seal(key, nonce, BYTES(message, clear_len), BYTES(plain, plain_len),
			plain, plain + plain_len) != ERR_OK)
		abort();
	crypto_aead_key_free(&key);
}

static void open_message(struct bytes raw, enum ike_kind kind)
{
	struct secret_key key = fixed_key();
	struct bytes plain = BYTES_NONE;
	struct ike_message message;

	if (ike_message_parse(raw, kind, &message) != ERR_OK)
		abort(); /* what is outside SK is always right */
	if (ike_message_open(&message, kind, crypto_aead_find(IKE_ENCR_AES_GCM_16, 256), &key,
		    &plain) == ERR_OK)
		fuzz_payloads(&message, plain);
	ike_plain_free(&plain);
}

static void fuzz_plain(enum ike_kind kind, uint8_t first, struct bytes plain)
{
	struct writer w;
	uint8_t *message;

	writer_init(&w, IKE_MESSAGE_BYTES_MAX);
	message = make_message(&w, &headers[kind], first, plain);
	if (message != NULL) {
		seal(message, plain.len);
		open_message(writer_view(&w), kind);
	}
	writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum ike_kind kind;
	struct writer w;
	uint8_t first;

	if (size < 2)
		return 0;
	kind = (enum ike_kind)(IKE_KIND_T3 + data[0] % 4);
	if ((data[0] & COMPOSED) == 0) {
		fuzz_plain(kind, data[1], BYTES(data + 2, size - 2));
		return 0;
	}
	writer_init(&w, IKE_MESSAGE_BYTES_MAX);
	first = fuzz_compose_chain(BYTES(data + 1, size - 1), &w);
	writer_put_u8(&w, 0);
	fuzz_plain(kind, first, writer_view(&w));
	writer_free(&w);
	return 0;
}
