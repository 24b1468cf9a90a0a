/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keys into OpenSSL's objects, through the provider alone: EVP_PKEY_new_raw_public_key_ex asks
 * the process's engines first, which are neither ours nor there after the host's clean-up.
 */
#include "mech/crypto/library.h"

#include <string.h>

static EVP_PKEY_CTX *import_context_new(const char *key_type)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(crypto_library(), key_type, NULL);

	if (context != NULL && EVP_PKEY_fromdata_init(context) != 1) {
		EVP_PKEY_CTX_free(context);
		context = NULL;
	}
	return context;
}

EVP_PKEY *crypto_import_fields(
	struct crypto_pool *pool, const char *key_type, int selection, OSSL_PARAM *fields)
{
	EVP_PKEY_CTX *context = crypto_pool_take(pool);
	EVP_PKEY *key = NULL;

	if (context == NULL)
		context = import_context_new(key_type);
	if (context == NULL)
		return NULL;
	/* Twice: a want of memory looks like a bad key here. */
	for (int tries = 0; tries < 2 && key == NULL; tries++)
		if (EVP_PKEY_fromdata(context, &key, selection, fields) != 1)
			key = NULL;
	if (!crypto_pool_put(pool, context))
		EVP_PKEY_CTX_free(context);
	return key;
}

OSSL_PARAM crypto_field_octets(const char *field, struct bytes value)
{
	/* read only: OSSL_PARAM serves both ways */
	return (OSSL_PARAM)OSSL_PARAM_octet_string(field, (void *)(uintptr_t)value.data, value.len);
}

OSSL_PARAM crypto_field_group(const char *group)
{
	return (OSSL_PARAM)OSSL_PARAM_utf8_string(
		OSSL_PKEY_PARAM_GROUP_NAME, (char *)(uintptr_t)group, strlen(group));
}

static EVP_PKEY *import_raw(struct crypto_pool *pool, const char *key_type, int selection,
	const char *field, struct bytes raw)
{
	OSSL_PARAM fields[] = { crypto_field_octets(field, raw), OSSL_PARAM_END };

	return crypto_import_fields(pool, key_type, selection, fields);
}

EVP_PKEY *crypto_import_private(struct crypto_pool *pool, const char *key_type, struct bytes raw)
{
	return import_raw(pool, key_type, EVP_PKEY_KEYPAIR, OSSL_PKEY_PARAM_PRIV_KEY, raw);
}

EVP_PKEY *crypto_import_public(struct crypto_pool *pool, const char *key_type, struct bytes raw)
{
	return import_raw(pool, key_type, EVP_PKEY_PUBLIC_KEY, OSSL_PKEY_PARAM_PUB_KEY, raw);
}

/* The curve is copied: to make it anew from its name costs an ECDSA context 25 us of its 510. */
EVP_PKEY *crypto_import_point(const char *group, struct bytes point)
{
	const EVP_PKEY *curve = crypto_curve_key(group);
	EVP_PKEY *key = NULL;

	if (curve != NULL)
		/* reads it only */
		key = EVP_PKEY_dup((EVP_PKEY *)(uintptr_t)curve);
	if (key != NULL && EVP_PKEY_set1_encoded_public_key(key, point.data, point.len) != 1) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}
