/* SPDX-License-Identifier: BSD-2-Clause */
/* SHA-256 of public values. */
#include "mech/crypto/library.h"

static EVP_MD *hash_sha256;
static struct crypto_pool hash_pool;

bool crypto_hash_fetch(OSSL_LIB_CTX *library)
{
	hash_sha256 = EVP_MD_fetch(library, "SHA256", NULL);
	return hash_sha256 != NULL;
}

void crypto_hash_drop(void)
{
	EVP_MD_free(hash_sha256);
	hash_sha256 = NULL;
}

static bool hash_compute(EVP_MD_CTX *context, const struct bytes *parts, size_t count,
	uint8_t digest[CRYPTO_SHA256_BYTES])
{
	if (EVP_DigestInit_ex2(context, hash_sha256, NULL) != 1)
		return false;
	for (size_t i = 0; i < count; i++) {
		if (EVP_DigestUpdate(context, parts[i].data, parts[i].len) != 1)
			return false;
	}
	return EVP_DigestFinal_ex(context, digest, NULL) == 1;
}

enum err crypto_sha256(
	const struct bytes *parts, size_t count, uint8_t ret_digest[CRYPTO_SHA256_BYTES])
{
	EVP_MD_CTX *context = NULL;
	int guard;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	context = crypto_pool_take(&hash_pool);
	if (context == NULL)
		context = EVP_MD_CTX_new();
	if (context == NULL)
		return ERR_NO_MEMORY;
	guard = crypto_guard_begin();
	if (!hash_compute(context, parts, count, ret_digest))
		err = ERR_CRYPTO;
	if (err != ERR_OK || !crypto_pool_put(&hash_pool, context))
		EVP_MD_CTX_free(context);
	return crypto_guard_end(guard, err);
}
