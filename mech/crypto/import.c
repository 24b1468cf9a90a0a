/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raw keys into OpenSSL's objects, through the provider alone: EVP_PKEY_new_raw_public_key_ex asks
 * the process's engines first, which are neither ours nor there after the host's clean-up.
 */
#include "mech/crypto/library.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

static EVP_PKEY_CTX *import_context_new(const char *key_type)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(crypto_library(), key_type, NULL);

	if (context != NULL && EVP_PKEY_fromdata_init(context) != 1) {
		EVP_PKEY_CTX_free(context);
		context = NULL;
	}
	return context;
}

static EVP_PKEY *import_key(struct crypto_pool *pool, const char *key_type, int selection,
	const char *field, struct bytes raw)
{
	EVP_PKEY_CTX *context = crypto_pool_take(pool);
	OSSL_PARAM params[2];
	EVP_PKEY *key = NULL;

	if (context == NULL)
		context = import_context_new(key_type);
	if (context == NULL)
		return NULL;
	params[0] = (OSSL_PARAM){
		.key = field,
		.data_type = OSSL_PARAM_OCTET_STRING,
		/* read only: OSSL_PARAM serves both ways */
		.data = (void *)(uintptr_t)raw.data,
		.data_size = raw.len,
		.return_size = OSSL_PARAM_UNMODIFIED,
	};
	params[1] = OSSL_PARAM_construct_end();
	if (EVP_PKEY_fromdata(context, &key, selection, params) != 1)
		key = NULL;
	if (!crypto_pool_put(pool, context))
		EVP_PKEY_CTX_free(context);
	return key;
}

EVP_PKEY *crypto_import_private(struct crypto_pool *pool, const char *key_type, struct bytes raw)
{
	return import_key(pool, key_type, EVP_PKEY_KEYPAIR, OSSL_PKEY_PARAM_PRIV_KEY, raw);
}

EVP_PKEY *crypto_import_public(struct crypto_pool *pool, const char *key_type, struct bytes raw)
{
	return import_key(pool, key_type, EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, raw);
}
