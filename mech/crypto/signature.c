/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The ways to sign (RFC 7427 method 14; Ed25519 by RFC 8420, hashes by RFC 8247 4.2), and how AUTH
 * names them.
 */
#include "mech/crypto/library.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t ed25519_algorithm[] = { 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70 };
/* RFC 7427 A.3: parameters are absent */
#define ECDSA_ALGORITHM(last)                                                            \
	{                                                                                \
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, (last) \
	}
static const uint8_t ecdsa_sha256[] = ECDSA_ALGORITHM(2);
static const uint8_t ecdsa_sha384[] = ECDSA_ALGORITHM(3);
static const uint8_t ecdsa_sha512[] = ECDSA_ALGORITHM(4);
/* RFC 4055 3.1: hash, MGF1 with it, salt of its length; trailerField has its default. */
#define PSS_HASH(last) \
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, (last), 0x05, 0x00
#define PSS_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a
#define MGF1_OID 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08
#define PSS_ALGORITHM(last, salt)                                                              \
	{                                                                                      \
		0x30, 0x41, PSS_OID, 0x30, 0x34, 0xa0, 0x0f, PSS_HASH(last), 0xa1, 0x1c, 0x30, \
			0x1a, MGF1_OID, PSS_HASH(last), 0xa2, 0x03, 0x02, 0x01, (salt)         \
	}
static const uint8_t pss_sha256[] = PSS_ALGORITHM(1, 32);
static const uint8_t pss_sha384[] = PSS_ALGORITHM(2, 48);
static const uint8_t pss_sha512[] = PSS_ALGORITHM(3, 64);
static const uint8_t pss_oid[] = { PSS_OID };
static const uint8_t mgf1_oid[] = { MGF1_OID };

/* clang-format off */
const struct crypto_signature crypto_signatures[CRYPTO_SIGNATURE_COUNT] = {
	{ "Ed25519",          CRYPTO_ED25519, BYTES_OF(ed25519_algorithm), 5, NULL },
	{ "ECDSA SHA2-256",   CRYPTO_ECDSA,   BYTES_OF(ecdsa_sha256),      2, "SHA256" },
	{ "ECDSA SHA2-384",   CRYPTO_ECDSA,   BYTES_OF(ecdsa_sha384),      3, "SHA384" },
	{ "ECDSA SHA2-512",   CRYPTO_ECDSA,   BYTES_OF(ecdsa_sha512),      4, "SHA512" },
	{ "RSA-PSS SHA2-256", CRYPTO_RSA,     BYTES_OF(pss_sha256),        2, "SHA256" },
	{ "RSA-PSS SHA2-384", CRYPTO_RSA,     BYTES_OF(pss_sha384),        3, "SHA384" },
	{ "RSA-PSS SHA2-512", CRYPTO_RSA,     BYTES_OF(pss_sha512),        4, "SHA512" },
};
/* clang-format on */

size_t crypto_signature_count(void)
{
	return CRYPTO_SIGNATURE_COUNT;
}

const struct crypto_signature *crypto_signature_at(size_t index)
{
	return index < CRYPTO_SIGNATURE_COUNT ? &crypto_signatures[index] : NULL;
}

/* --- AlgorithmIdentifiers --- */

/* The row whose own form has this hash; where that stands in our form is the same for all. */
static const struct crypto_signature *pss_of_hash(struct bytes oid, size_t salt_bytes)
{
	static const uint8_t sha2_oid[] = { 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02 };
	static const size_t salts[] = { 32, 48, 64 };

	if (oid.len != sizeof(sha2_oid) + 1 ||
		!bytes_equal(BYTES(oid.data, sizeof(sha2_oid)), BYTES_OF(sha2_oid)))
		return NULL;
	for (size_t i = 0; i < CRYPTO_COUNT(salts); i++)
		if (oid.data[sizeof(sha2_oid)] == i + 1 && salt_bytes == salts[i])
			return &crypto_signatures[4 + i];
	return NULL;
}

/* A hash's AlgorithmIdentifier: RFC 4055 2.1 takes it with NULL and without. */
static struct bytes pss_read_hash(struct reader *r)
{
	struct reader sequence = crypto_der_open(r, CRYPTO_DER_SEQUENCE);
	struct reader oid = crypto_der_open(&sequence, CRYPTO_DER_OID), nothing;
	struct bytes value = reader_get_rest(&oid);

	if (reader_left(&sequence) > 0) {
		nothing = crypto_der_open(&sequence, CRYPTO_DER_NULL);
		if (reader_finish(&nothing) != ERR_OK)
			reader_fail(r, ERR_KEY_FORMAT);
	}
	if (reader_finish(&sequence) != ERR_OK)
		reader_fail(r, ERR_KEY_FORMAT);
	return value;
}

/* maskGenAlgorithm: MGF1 with a hash. */
static struct bytes pss_read_mask(struct reader *r)
{
	struct reader sequence = crypto_der_open(r, CRYPTO_DER_SEQUENCE);
	struct bytes oid = reader_get_bytes(&sequence, sizeof(mgf1_oid));
	struct bytes hash = pss_read_hash(&sequence);

	if (reader_finish(&sequence) != ERR_OK || !bytes_equal(oid, BYTES_OF(mgf1_oid)))
		reader_fail(r, ERR_KEY_FORMAT);
	return hash;
}

/* RSASSA-PSS-params.  What is left out means SHA-1, which is not taken; only trailerField may be. */
static const struct crypto_signature *pss_read(struct reader *r)
{
	struct reader field = crypto_der_open(r, CRYPTO_DER_CONTEXT(0));
	struct bytes hash = pss_read_hash(&field), mask_hash, salt, trailer = { NULL, 0 };
	bool is_good = reader_finish(&field) == ERR_OK;

	field = crypto_der_open(r, CRYPTO_DER_CONTEXT(1));
	mask_hash = pss_read_mask(&field);
	is_good = is_good && reader_finish(&field) == ERR_OK;
	field = crypto_der_open(r, CRYPTO_DER_CONTEXT(2));
	salt = crypto_der_positive(&field);
	is_good = is_good && reader_finish(&field) == ERR_OK && salt.len == 1;
	if (is_good && reader_left(r) > 0) {
		field = crypto_der_open(r, CRYPTO_DER_CONTEXT(3));
		trailer = crypto_der_positive(&field);
		is_good =
			reader_finish(&field) == ERR_OK && trailer.len == 1 && trailer.data[0] == 1;
	}
	if (!is_good || reader_finish(r) != ERR_OK || !bytes_equal(hash, mask_hash))
		return NULL;
	return pss_of_hash(hash, salt.data[0]);
}

static const struct crypto_signature *pss_find(struct bytes algorithm)
{
	struct reader r, sequence, parameters;
	const struct crypto_signature *found;

	reader_init(&r, algorithm);
	sequence = crypto_der_open(&r, CRYPTO_DER_SEQUENCE);
	if (!bytes_equal(reader_get_bytes(&sequence, sizeof(pss_oid)), BYTES_OF(pss_oid)))
		return NULL;
	parameters = crypto_der_open(&sequence, CRYPTO_DER_SEQUENCE);
	found = pss_read(&parameters);
	return reader_finish(&sequence) == ERR_OK && reader_finish(&r) == ERR_OK ? found : NULL;
}

const struct crypto_signature *crypto_signature_find(struct bytes algorithm)
{
	for (size_t i = 0; i < CRYPTO_SIGNATURE_COUNT; i++) {
		if (bytes_equal(crypto_signatures[i].algorithm, algorithm))
			return &crypto_signatures[i];
	}
	return pss_find(algorithm);
}

const OSSL_PARAM *crypto_signature_params(const struct crypto_signature *signature)
{
	/* read only: OSSL_PARAM serves both ways */
	static char pad_mode[] = OSSL_PKEY_RSA_PAD_MODE_PSS;
	static char salt_length[] = OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST;
	static const OSSL_PARAM none[] = { OSSL_PARAM_END };
	static const OSSL_PARAM pss[] = {
		OSSL_PARAM_utf8_string(
			OSSL_SIGNATURE_PARAM_PAD_MODE, pad_mode, sizeof(pad_mode) - 1),
		OSSL_PARAM_utf8_string(
			OSSL_SIGNATURE_PARAM_PSS_SALTLEN, salt_length, sizeof(salt_length) - 1),
		OSSL_PARAM_END,
	};

	return signature->family == CRYPTO_RSA ? pss : none;
}

/* --- what is signed --- */

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
