/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kinds of signature keys (RFC 7427 method 14; Ed25519 by RFC 8420, its keys by RFC 8410), and
 * verification with a peer's public key.
 */
#include "mech/crypto/library.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t ed25519_algorithm[] = { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const uint8_t ed25519_spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
	0x21, 0x00 };
static const uint8_t ed25519_pkcs8[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };

/* clang-format off */
static const struct crypto_signature_row signature_table[] = {
	{ .signature = { .name = "Ed25519", .algorithm = BYTES_OF(ed25519_algorithm), .hash = 5,
			 .signature_bytes = 64, .key_type = "ED25519" },
	  .spki_prefix = BYTES_OF(ed25519_spki), .pkcs8_prefix = BYTES_OF(ed25519_pkcs8),
	  .public_bytes = 32, .private_bytes = 32 },
};
/* clang-format on */

static struct crypto_pool signature_pools[CRYPTO_COUNT(signature_table)];

struct crypto_pool *crypto_signature_pool(const struct crypto_signature_row *row)
{
	return &signature_pools[row - signature_table];
}

const struct crypto_signature *crypto_signature_find(struct bytes algorithm)
{
	for (size_t i = 0; i < CRYPTO_COUNT(signature_table); i++) {
		if (bytes_equal(signature_table[i].signature.algorithm, algorithm))
			return &signature_table[i].signature;
	}
	return NULL;
}

size_t crypto_signature_count(void)
{
	return CRYPTO_COUNT(signature_table);
}

const struct crypto_signature *crypto_signature_at(size_t index)
{
	return index < CRYPTO_COUNT(signature_table) ? &signature_table[index].signature : NULL;
}

const struct crypto_signature_row *crypto_signature_row(const struct crypto_signature *signature)
{
	for (size_t i = 0; i < CRYPTO_COUNT(signature_table); i++) {
		if (&signature_table[i].signature == signature)
			return &signature_table[i];
	}
	return NULL;
}

/* Whether input is prefix and then tail_bytes more. */
static bool signature_has_prefix(struct bytes input, struct bytes prefix, size_t tail_bytes)
{
	return input.len == prefix.len + tail_bytes &&
	       bytes_equal(BYTES(input.data, prefix.len), prefix);
}

const struct crypto_signature_row *crypto_signature_row_of_spki(struct bytes spki)
{
	for (size_t i = 0; i < CRYPTO_COUNT(signature_table); i++) {
		const struct crypto_signature_row *row = &signature_table[i];

		if (signature_has_prefix(spki, row->spki_prefix, row->public_bytes))
			return row;
	}
	return NULL;
}

const struct crypto_signature_row *crypto_signature_row_of_pkcs8(struct bytes pkcs8)
{
	for (size_t i = 0; i < CRYPTO_COUNT(signature_table); i++) {
		const struct crypto_signature_row *row = &signature_table[i];

		/* the prefix holds no secret; the key behind it is not compared */
		if (signature_has_prefix(pkcs8, row->pkcs8_prefix, row->private_bytes))
			return row;
	}
	return NULL;
}

enum err crypto_spki_check(struct bytes spki)
{
	return crypto_signature_row_of_spki(spki) != NULL ? ERR_OK : ERR_KEY_FORMAT;
}

enum err crypto_signature_join(
	const struct bytes *parts, size_t count, uint8_t **ret_data, size_t *ret_len)
{
	uint8_t *data;
	size_t len = 0, at = 0;

	for (size_t i = 0; i < count; i++) {
		if (parts[i].len > SIZE_MAX - 1 - len)
			return ERR_TOO_LARGE;
		len += parts[i].len;
	}
	data = malloc(len + 1);
	if (data == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len != 0)
			memcpy(data + at, parts[i].data, parts[i].len);
		at += parts[i].len;
	}
	*ret_data = data;
	*ret_len = len;
	return ERR_OK;
}

static enum err signature_verify(const struct crypto_signature_row *row, struct bytes raw_key,
	struct bytes message, struct bytes value)
{
	EVP_MD_CTX *context = NULL;
	enum err err = ERR_CRYPTO;
	EVP_PKEY *key;

	key = crypto_import_public(crypto_signature_pool(row), row->signature.key_type, raw_key);
	if (key == NULL)
		return ERR_KEY_FORMAT;
	context = EVP_MD_CTX_new();
	if (context == NULL) {
		err = ERR_NO_MEMORY;
		goto out;
	}
	if (EVP_DigestVerifyInit_ex(context, NULL, NULL, crypto_library(), NULL, key, NULL) != 1)
		goto out;
	err = EVP_DigestVerify(context, value.data, value.len, message.data, message.len) == 1
		      ? ERR_OK
		      : ERR_AUTH_FAILED;
out:
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(key);
	return err;
}

enum err crypto_verify(struct bytes spki, const struct crypto_signature *signature,
	const struct bytes *parts, size_t count, struct bytes value)
{
	const struct crypto_signature_row *row = crypto_signature_row_of_spki(spki);
	uint8_t *message = NULL;
	size_t message_len = 0;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	if (row == NULL)
		return ERR_KEY_FORMAT;
	if (signature == NULL || signature != &row->signature ||
		value.len > signature->signature_bytes || value.len == 0)
		return ERR_AUTH_FAILED;
	err = crypto_signature_join(parts, count, &message, &message_len);
	if (err != ERR_OK)
		return err;
	(void)ERR_set_mark();
	err = signature_verify(row, BYTES(spki.data + row->spki_prefix.len, row->public_bytes),
		BYTES(message, message_len), value);
	(void)ERR_pop_to_mark();
	secret_free(message, message_len + 1);
	return err;
}
