/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prf and prf+ (RFC 7296 2.13): HMAC with a new key each time, in objects that are kept.  An object
 * is given a key of zeros before it becomes idle, so that no key outlives its use.
 */
#include "mech/crypto/library.h"

#include <assert.h>
#include <string.h>

#define PRF_PLUS_ROUNDS_MAX 255

/* clang-format off */
static const struct crypto_prf prf_table[] = {
	{ .id = 5, .name = "PRF_HMAC_SHA2_256", .key_bytes = 32, .output_bytes = 32,
	  .digest = "SHA256" },
	{ .id = 7, .name = "PRF_HMAC_SHA2_512", .key_bytes = 64, .output_bytes = 64,
	  .digest = "SHA512" },
};
/* clang-format on */

static EVP_MAC *prf_hmac;
static struct crypto_pool prf_pools[CRYPTO_COUNT(prf_table)];

bool crypto_prf_fetch(OSSL_LIB_CTX *library)
{
	prf_hmac = EVP_MAC_fetch(library, "HMAC", NULL);
	return prf_hmac != NULL;
}

void crypto_prf_drop(void)
{
	EVP_MAC_free(prf_hmac);
	prf_hmac = NULL;
}

const struct crypto_prf *crypto_prf_find(uint16_t id)
{
	for (size_t i = 0; i < CRYPTO_COUNT(prf_table); i++) {
		if (prf_table[i].id == id)
			return &prf_table[i];
	}
	return NULL;
}

static struct crypto_pool *prf_pool(const struct crypto_prf *prf)
{
	assert(prf >= prf_table && prf < prf_table + CRYPTO_COUNT(prf_table));
	return &prf_pools[prf - prf_table];
}

static EVP_MAC_CTX *prf_context_new(const struct crypto_prf *prf)
{
	char digest[32] = { 0 };
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, strlen(prf->digest)),
		OSSL_PARAM_END,
	};
	EVP_MAC_CTX *context;

	for (size_t i = 0; i + 1 < sizeof(digest) && prf->digest[i] != '\0'; i++)
		digest[i] = prf->digest[i];
	context = EVP_MAC_CTX_new(prf_hmac);
	if (context != NULL && EVP_MAC_CTX_set_params(context, params) != 1) {
		EVP_MAC_CTX_free(context);
		context = NULL;
	}
	return context;
}

/* An object keyed with key; put back through prf_context_give. */
static enum err prf_context_take(
	const struct crypto_prf *prf, struct bytes key, EVP_MAC_CTX **ret_context)
{
	static const uint8_t no_key[1];
	EVP_MAC_CTX *context;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	context = crypto_pool_take(prf_pool(prf));
	if (context == NULL)
		context = prf_context_new(prf);
	if (context == NULL)
		return ERR_CRYPTO;
	/* a NULL key would mean: the one before */
	if (EVP_MAC_init(context, key.len != 0 ? key.data : no_key, key.len, NULL) != 1) {
		EVP_MAC_CTX_free(context);
		return ERR_CRYPTO;
	}
	*ret_context = context;
	return ERR_OK;
}

static void prf_context_give(const struct crypto_prf *prf, EVP_MAC_CTX *context)
{
	static const uint8_t zeros[32];

	if (EVP_MAC_init(context, zeros, sizeof(zeros), NULL) != 1 ||
		!crypto_pool_put(prf_pool(prf), context))
		EVP_MAC_CTX_free(context);
}

static bool prf_update(EVP_MAC_CTX *context, const struct bytes *parts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (parts[i].len != 0 && EVP_MAC_update(context, parts[i].data, parts[i].len) != 1)
			return false;
	}
	return true;
}

static bool prf_final(const struct crypto_prf *prf, EVP_MAC_CTX *context, uint8_t *output)
{
	size_t len = 0;

	return EVP_MAC_final(context, output, &len, prf->output_bytes) == 1 &&
	       len == prf->output_bytes;
}

enum err crypto_prf_compute(const struct crypto_prf *prf, struct bytes key,
	const struct bytes *parts, size_t count, uint8_t *ret_output)
{
	int guard = crypto_guard_begin();
	EVP_MAC_CTX *context = NULL;
	enum err err = prf_context_take(prf, key, &context);

	if (err != ERR_OK)
		goto out;
	if (!prf_update(context, parts, count) || !prf_final(prf, context, ret_output))
		err = ERR_CRYPTO;
	prf_context_give(prf, context);
out:
	return crypto_guard_end(guard, err);
}

/* T(round) = prf(K, T(round - 1) | S | round), into block, which holds T(round - 1) before. */
static bool prf_plus_round(const struct crypto_prf *prf, EVP_MAC_CTX *context,
	const struct bytes *parts, size_t count, uint8_t round, uint8_t *block)
{
	if (round > 1 && (EVP_MAC_init(context, NULL, 0, NULL) != 1 ||
				 EVP_MAC_update(context, block, prf->output_bytes) != 1))
		return false;
	return prf_update(context, parts, count) && EVP_MAC_update(context, &round, 1) == 1 &&
	       prf_final(prf, context, block);
}

static bool prf_plus_rounds(const struct crypto_prf *prf, EVP_MAC_CTX *context,
	const struct bytes *parts, size_t count, uint8_t *output, size_t len)
{
	uint8_t block[CRYPTO_PRF_OUTPUT_MAX] = { 0 };
	bool is_done = true;

	for (size_t done = 0, round = 1; done < len && is_done; round++) {
		size_t part = len - done < prf->output_bytes ? len - done : prf->output_bytes;

		is_done = prf_plus_round(prf, context, parts, count, (uint8_t)round, block);
		memcpy(output + done, block, part);
		done += part;
	}
	secret_wipe(block, sizeof(block));
	return is_done;
}

/* prf(key, secret) is the key from here on. */
static bool prf_rekey(const struct crypto_prf *prf, EVP_MAC_CTX *context, struct bytes secret)
{
	uint8_t key[CRYPTO_PRF_OUTPUT_MAX];
	bool is_done = prf_update(context, &secret, 1) && prf_final(prf, context, key) &&
		       EVP_MAC_init(context, key, prf->output_bytes, NULL) == 1;

	secret_wipe(key, sizeof(key));
	return is_done;
}

/* secret NULL: prf+(key, parts). */
static enum err prf_plus(const struct crypto_prf *prf, struct bytes key, const struct bytes *secret,
	const struct bytes *parts, size_t count, uint8_t *ret_output, size_t len)
{
	EVP_MAC_CTX *context = NULL;
	enum err err;
	int guard;

	if (len > PRF_PLUS_ROUNDS_MAX * prf->output_bytes)
		return ERR_TOO_LARGE;
	guard = crypto_guard_begin();
	err = prf_context_take(prf, key, &context);
	if (err == ERR_OK && ((secret != NULL && !prf_rekey(prf, context, *secret)) ||
				     !prf_plus_rounds(prf, context, parts, count, ret_output, len)))
		err = ERR_CRYPTO;
	if (err != ERR_OK)
		secret_wipe(ret_output, len);
	if (context != NULL)
		prf_context_give(prf, context);
	return crypto_guard_end(guard, err);
}

enum err crypto_prf_plus(const struct crypto_prf *prf, struct bytes key, const struct bytes *parts,
	size_t count, uint8_t *ret_output, size_t len)
{
	return prf_plus(prf, key, NULL, parts, count, ret_output, len);
}

enum err crypto_prf_plus_salted(const struct crypto_prf *prf, struct bytes salt,
	struct bytes secret, const struct bytes *parts, size_t count, uint8_t *ret_output,
	size_t len)
{
	return prf_plus(prf, salt, &secret, parts, count, ret_output, len);
}
