/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key pairs on P-256 and P-384 from given private values, since private values come from
 * crypto_random; OpenSSL's import computes no public point itself.
 */
#include "mech/crypto/library.h"

#include <string.h>

#define CURVE_BYTES_MAX 48
#define CURVE_POINT_BYTES_MAX (1 + 2 * CURVE_BYTES_MAX)
/* P-256 refuses one in 2^32, P-384 fewer. */
#define CURVE_ATTEMPTS_MAX 64

struct curve {
	const char *name;
	int nid;
	size_t bytes;
};

/* clang-format off */
static const struct curve curve_table[] = {
	{ "P-256", NID_X9_62_prime256v1, 32 },
	{ "P-384", NID_secp384r1,        48 },
};
/* clang-format on */

static EC_GROUP *curve_groups[CRYPTO_COUNT(curve_table)];
static EVP_PKEY *curve_keys[CRYPTO_COUNT(curve_table)];

/* Not through a pool of contexts: the library context is only being made. */
static EVP_PKEY *curve_key_new(OSSL_LIB_CTX *library, const char *name)
{
	OSSL_PARAM fields[] = { crypto_field_group(name), OSSL_PARAM_END };
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, "EC", NULL);
	EVP_PKEY *key = NULL;

	if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEY_PARAMETERS, fields) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	return key;
}

bool crypto_curve_fetch(OSSL_LIB_CTX *library)
{
	for (size_t i = 0; i < CRYPTO_COUNT(curve_table); i++) {
		curve_groups[i] = EC_GROUP_new_by_curve_name_ex(library, NULL, curve_table[i].nid);
		curve_keys[i] = curve_key_new(library, curve_table[i].name);
		if (curve_groups[i] == NULL || curve_keys[i] == NULL)
			return false;
	}
	return true;
}

void crypto_curve_drop(void)
{
	for (size_t i = 0; i < CRYPTO_COUNT(curve_table); i++) {
		EC_GROUP_free(curve_groups[i]);
		curve_groups[i] = NULL;
		EVP_PKEY_free(curve_keys[i]);
		curve_keys[i] = NULL;
	}
}

const EVP_PKEY *crypto_curve_key(const char *name)
{
	for (size_t i = 0; i < CRYPTO_COUNT(curve_table); i++)
		if (strcmp(curve_table[i].name, name) == 0)
			return curve_keys[i];
	return NULL;
}

static const EC_GROUP *curve_find(const char *name, size_t *ret_bytes)
{
	for (size_t i = 0; i < CRYPTO_COUNT(curve_table); i++) {
		if (strcmp(curve_table[i].name, name) == 0) {
			*ret_bytes = curve_table[i].bytes;
			return curve_groups[i];
		}
	}
	return NULL;
}

/* 0 < scalar < order: RFC 5903 section 7, FIPS 186-5 A.2. */
static bool scalar_is_allowed(const EC_GROUP *group, const BIGNUM *scalar)
{
	return !BN_is_zero(scalar) && BN_cmp(scalar, EC_GROUP_get0_order(group)) < 0;
}

static bool curve_public(const EC_GROUP *group, const BIGNUM *scalar, uint8_t *point, size_t len)
{
	BN_CTX *numbers = BN_CTX_secure_new_ex(crypto_library());
	EC_POINT *product = EC_POINT_new(group);
	bool is_done = numbers != NULL && product != NULL &&
		       EC_POINT_mul(group, product, scalar, NULL, NULL, numbers) == 1 &&
		       EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point, len,
			       numbers) == len;

	EC_POINT_free(product);
	BN_CTX_free(numbers);
	return is_done;
}

static EVP_PKEY *curve_import(struct crypto_pool *pool, const char *name, BIGNUM *scalar,
	size_t bytes, struct bytes point)
{
	uint8_t private_value[CURVE_BYTES_MAX];
	OSSL_PARAM fields[] = { crypto_field_group(name),
		crypto_field_octets(OSSL_PKEY_PARAM_PUB_KEY, point),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_PRIV_KEY, private_value, bytes), OSSL_PARAM_END };
	EVP_PKEY *key = NULL;

	if (BN_bn2nativepad(scalar, private_value, (int)bytes) == (int)bytes)
		key = crypto_import_fields(pool, "EC", EVP_PKEY_KEYPAIR, fields);
	secret_wipe(private_value, sizeof(private_value));
	return key;
}

EVP_PKEY *crypto_curve_import_private(
	struct crypto_pool *pool, const char *name, struct bytes private_value)
{
	uint8_t point[CURVE_POINT_BYTES_MAX];
	size_t bytes = 0, point_len;
	const EC_GROUP *group = curve_find(name, &bytes);
	BIGNUM *scalar = NULL;
	EVP_PKEY *key = NULL;

	if (group == NULL || private_value.len != bytes)
		return NULL;
	point_len = 1 + 2 * bytes;
	scalar = BN_secure_new();
	if (scalar == NULL || BN_bin2bn(private_value.data, (int)bytes, scalar) == NULL)
		goto out;
	BN_set_flags(scalar, BN_FLG_CONSTTIME);
	if (!scalar_is_allowed(group, scalar) || !curve_public(group, scalar, point, point_len))
		goto out;
	key = curve_import(pool, name, scalar, bytes, BYTES(point, point_len));
out:
	BN_clear_free(scalar);
	return key;
}

/* Whether big-endian octets are an allowed private value; those refused tell nothing of others. */
static bool curve_takes(const EC_GROUP *group, const struct secret_key *candidate)
{
	BIGNUM *scalar = BN_secure_new();
	bool is_allowed = scalar != NULL &&
			  BN_bin2bn(candidate->data, (int)candidate->len, scalar) != NULL &&
			  scalar_is_allowed(group, scalar);

	BN_clear_free(scalar);
	return is_allowed;
}

enum err crypto_curve_random(const char *name, struct secret_key *ret_private)
{
	struct secret_key candidate = { .len = 0 };
	size_t bytes = 0;
	const EC_GROUP *group = curve_find(name, &bytes);
	bool is_allowed = false;
	enum err err = ERR_OK;

	if (group == NULL)
		return ERR_CRYPTO;
	candidate.len = bytes;
	for (int i = 0; i < CURVE_ATTEMPTS_MAX && err == ERR_OK && !is_allowed; i++) {
		err = crypto_random(candidate.data, candidate.len);
		is_allowed = err == ERR_OK && curve_takes(group, &candidate);
	}
	if (err == ERR_OK && !is_allowed)
		err = ERR_RANDOM;
	if (err == ERR_OK)
		*ret_private = candidate;
	secret_key_wipe(&candidate);
	return err;
}
