/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AEADs: one cipher context for each key and direction, its key schedule made once; a message sets
 * only the nonce (RFC 5282: salt, then IV).
 */
#include "mech/crypto/library.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* OpenSSL counts in int; a multiple of every block size. */
#define AEAD_CHUNK_BYTES ((size_t)1 << 30)
/* SP 800-38D 5.2.1.1: 2^39 - 256 bits of plaintext for one nonce; ChaCha20 would allow more. */
#define AEAD_MESSAGE_BYTES_MAX (((uint64_t)1 << 36) - 32)

struct crypto_aead_key {
	EVP_CIPHER_CTX *context;
	bool seals;
};

/* clang-format off */
static const struct crypto_aead aead_table[] = {
	{ .id = 20, .key_bits = 256, .name = "ENCR_AES_GCM_16_256", .key_bytes = 32,
	  .salt_bytes = 4, .cipher = "AES-256-GCM" },
	{ .id = 20, .key_bits = 128, .name = "ENCR_AES_GCM_16_128", .key_bytes = 16,
	  .salt_bytes = 4, .cipher = "AES-128-GCM" }, /* for ESP */
	/* RFC 7634: no Key Length attribute */
	{ .id = 28, .key_bits = 0, .name = "ENCR_CHACHA20_POLY1305", .key_bytes = 32,
	  .salt_bytes = 4, .cipher = "ChaCha20-Poly1305" },
};
/* clang-format on */

static EVP_CIPHER *aead_ciphers[CRYPTO_COUNT(aead_table)];

bool crypto_aead_fetch(OSSL_LIB_CTX *library)
{
	for (size_t i = 0; i < CRYPTO_COUNT(aead_table); i++) {
		aead_ciphers[i] = EVP_CIPHER_fetch(library, aead_table[i].cipher, NULL);
		if (aead_ciphers[i] == NULL)
			return false;
	}
	return true;
}

void crypto_aead_drop(void)
{
	for (size_t i = 0; i < CRYPTO_COUNT(aead_table); i++) {
		EVP_CIPHER_free(aead_ciphers[i]);
		aead_ciphers[i] = NULL;
	}
}

const struct crypto_aead *crypto_aead_find(uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < CRYPTO_COUNT(aead_table); i++) {
		if (aead_table[i].id == id && aead_table[i].key_bits == key_bits)
			return &aead_table[i];
	}
	return NULL;
}

enum err crypto_aead_key_new(const struct crypto_aead *aead, struct bytes key, bool seals,
	struct crypto_aead_key **ret_key)
{
	struct crypto_aead_key *made = NULL;
	enum err err = crypto_ready();
	int guard;

	if (err != ERR_OK)
		return err;
	assert(aead >= aead_table && aead < aead_table + CRYPTO_COUNT(aead_table));
	if (key.len != aead->key_bytes)
		return ERR_ARGUMENT;
	made = calloc(1, sizeof(*made));
	if (made == NULL)
		return ERR_NO_MEMORY;
	made->seals = seals;
	guard = crypto_guard_begin();
	made->context = EVP_CIPHER_CTX_new();
	if (made->context == NULL) {
		err = ERR_NO_MEMORY;
		goto out;
	}
	if (EVP_CipherInit_ex2(made->context, aead_ciphers[aead - aead_table], key.data, NULL,
		    seals ? 1 : 0, NULL) != 1 ||
		EVP_CIPHER_CTX_get_iv_length(made->context) != CRYPTO_NONCE_BYTES) {
		err = ERR_CRYPTO;
		goto out;
	}
	*ret_key = made;
	made = NULL;
out:
	crypto_aead_key_free(&made);
	return crypto_guard_end(guard, err);
}

void crypto_aead_key_free(struct crypto_aead_key **key)
{
	if (*key == NULL)
		return;
	EVP_CIPHER_CTX_free((*key)->context);
	free(*key);
	*key = NULL;
}

/* out NULL: input is associated data. */
static bool aead_update(EVP_CIPHER_CTX *context, struct bytes input, uint8_t *out)
{
	size_t done = 0;

	while (done < input.len) {
		size_t left = input.len - done;
		int part = (int)(left < AEAD_CHUNK_BYTES ? left : AEAD_CHUNK_BYTES);
		int written = 0;

		if (EVP_CipherUpdate(context, out != NULL ? out + done : NULL, &written,
			    input.data + done, part) != 1 ||
			written != part)
			return false;
		done += (size_t)part;
	}
	return true;
}

static bool aead_final(EVP_CIPHER_CTX *context)
{
	uint8_t nothing[CRYPTO_TAG_BYTES];
	int written = 0;

	return EVP_CipherFinal_ex(context, nothing, &written) == 1 && written == 0;
}

static bool aead_get_tag(EVP_CIPHER_CTX *context, uint8_t tag[CRYPTO_TAG_BYTES])
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, CRYPTO_TAG_BYTES),
		OSSL_PARAM_END,
	};

	return EVP_CIPHER_CTX_get_params(context, params) == 1;
}

/* Nonce and the tag to be expected in one call: every call searches its parameters by name. */
static bool aead_begin_open(EVP_CIPHER_CTX *context, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	const uint8_t tag[CRYPTO_TAG_BYTES])
{
	uint8_t copy[CRYPTO_TAG_BYTES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, copy, sizeof(copy)),
		OSSL_PARAM_END,
	};

	memcpy(copy, tag, sizeof(copy));
	return EVP_DecryptInit_ex2(context, NULL, NULL, nonce, params) == 1;
}

enum err crypto_aead_seal2(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad1, struct bytes aad2, struct bytes plain, uint8_t *ret_out,
	uint8_t ret_tag[CRYPTO_TAG_BYTES])
{
	EVP_CIPHER_CTX *context = key->context;
	enum err err = ERR_OK;
	int guard;

	assert(key->seals);
	if (plain.len > AEAD_MESSAGE_BYTES_MAX)
		return ERR_TOO_LARGE;
	guard = crypto_guard_begin();
	if (EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) != 1 ||
		!aead_update(context, aad1, NULL) || !aead_update(context, aad2, NULL) ||
		!aead_update(context, plain, ret_out) || !aead_final(context) ||
		!aead_get_tag(context, ret_tag))
		err = ERR_CRYPTO;
	return crypto_guard_end(guard, err);
}

enum err crypto_aead_seal(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad, struct bytes plain, uint8_t *ret_out, uint8_t ret_tag[CRYPTO_TAG_BYTES])
{
	return crypto_aead_seal2(key, nonce, aad, BYTES_NONE, plain, ret_out, ret_tag);
}

enum err crypto_aead_open2(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad1, struct bytes aad2, struct bytes sealed,
	const uint8_t tag[CRYPTO_TAG_BYTES], uint8_t *ret_out)
{
	EVP_CIPHER_CTX *context = key->context;
	enum err err = ERR_OK;
	int guard;

	assert(!key->seals);
	if (sealed.len > AEAD_MESSAGE_BYTES_MAX)
		return ERR_TOO_LARGE;
	guard = crypto_guard_begin();
	if (!aead_begin_open(context, nonce, tag) || !aead_update(context, aad1, NULL) ||
		!aead_update(context, aad2, NULL) || !aead_update(context, sealed, ret_out))
		err = ERR_CRYPTO;
	else if (!aead_final(context))
		err = ERR_IKE_INTEGRITY;
	if (err != ERR_OK && sealed.len != 0)
		secret_wipe(ret_out, sealed.len);
	return crypto_guard_end(guard, err);
}

enum err crypto_aead_open(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad, struct bytes sealed, const uint8_t tag[CRYPTO_TAG_BYTES],
	uint8_t *ret_out)
{
	return crypto_aead_open2(key, nonce, aad, BYTES_NONE, sealed, tag, ret_out);
}

size_t crypto_pieces_bytes(const struct crypto_pieces *pieces, bool is_message)
{
	size_t total = 0;

	for (size_t i = 0; i < pieces->count; i++) {
		struct crypto_piece piece = pieces->at(pieces->items, i);

		if (piece.is_message != is_message)
			continue;
		if (piece.len > SIZE_MAX - total)
			return SIZE_MAX;
		total += piece.len;
	}
	return total;
}

/* The associated pieces, then those of the message: into their places, or covered too. */
static bool aead_update_pieces(
	EVP_CIPHER_CTX *context, const struct crypto_pieces *pieces, bool is_sealed)
{
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < pieces->count; i++) {
			struct crypto_piece piece = pieces->at(pieces->items, i);
			bool goes_through = is_sealed && piece.is_message;

			if (piece.is_message == (pass == 1) &&
				!aead_update(context, BYTES(piece.in, piece.len),
					goes_through ? piece.out : NULL))
				return false;
		}
	}
	return true;
}

enum err crypto_aead_seal_pieces(struct crypto_aead_key *key,
	const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad,
	const struct crypto_pieces *pieces, bool seals, uint8_t ret_tag[CRYPTO_TAG_BYTES])
{
	EVP_CIPHER_CTX *context = key->context;
	enum err err = ERR_OK;
	int guard;

	assert(key->seals);
	if (crypto_pieces_bytes(pieces, true) > AEAD_MESSAGE_BYTES_MAX)
		return ERR_TOO_LARGE;
	guard = crypto_guard_begin();
	if (EVP_EncryptInit_ex2(context, NULL, NULL, nonce, NULL) != 1 ||
		!aead_update(context, aad, NULL) || !aead_update_pieces(context, pieces, seals) ||
		!aead_final(context) || !aead_get_tag(context, ret_tag))
		err = ERR_CRYPTO;
	return crypto_guard_end(guard, err);
}

void crypto_pieces_wipe(const struct crypto_pieces *pieces)
{
	for (size_t i = 0; i < pieces->count; i++) {
		struct crypto_piece piece = pieces->at(pieces->items, i);

		if (piece.is_message && piece.len != 0)
			secret_wipe(piece.out, piece.len);
	}
}

enum err crypto_aead_open_pieces(struct crypto_aead_key *key,
	const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad,
	const struct crypto_pieces *pieces, bool was_sealed, const uint8_t tag[CRYPTO_TAG_BYTES])
{
	EVP_CIPHER_CTX *context = key->context;
	enum err err = ERR_OK;
	int guard;

	assert(!key->seals);
	if (crypto_pieces_bytes(pieces, true) > AEAD_MESSAGE_BYTES_MAX)
		return ERR_TOO_LARGE;
	guard = crypto_guard_begin();
	if (!aead_begin_open(context, nonce, tag) || !aead_update(context, aad, NULL) ||
		!aead_update_pieces(context, pieces, was_sealed))
		err = ERR_CRYPTO;
	else if (!aead_final(context))
		err = ERR_IKE_INTEGRITY;
	if (err != ERR_OK && was_sealed)
		crypto_pieces_wipe(pieces);
	return crypto_guard_end(guard, err);
}
