/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kinds of signature keys and their public half as a DER SubjectPublicKeyInfo: RFC 8410 (Ed25519),
 * RFC 5480 (ECDSA, named curves, uncompressed points), RFC 4055 (RSA).  One key has one form, since
 * names are digests of it; so the forms are read here and not by OpenSSL's tolerant decoders.
 */
#include "mech/crypto/library.h"

#include <string.h>

#define ED25519_BYTES 32
#define RSA_EXPONENT_BYTES_MAX 8 /* a longer one only costs the verifier time */

/* contents of AlgorithmIdentifiers */
static const uint8_t ed25519_keys[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
static const uint8_t ec_keys[] = { 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };
static const uint8_t p256_keys[] = { 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t p384_keys[] = { 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x05, 0x2b, 0x81, 0x04, 0x00, 0x22 };
static const uint8_t rsa_keys[] = { 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
	0x01, 0x05, 0x00 };

/* clang-format off */
static const struct crypto_key_kind kind_table[] = {
	{ .name = "Ed25519", .word = "ed25519", .family = CRYPTO_ED25519,
	  .signatures = { &crypto_signatures[0] }, .algorithm = BYTES_OF(ed25519_keys),
	  .key_type = "ED25519", .public_bytes = ED25519_BYTES },
	/* RFC 8247 4.2: the hash that fits the curve first */
	{ .name = "ECDSA P-256", .word = "ecdsa-p256", .family = CRYPTO_ECDSA,
	  .signatures = { &crypto_signatures[1], &crypto_signatures[2], &crypto_signatures[3] },
	  .algorithm = BYTES_OF(p256_keys), .key_type = "EC", .group = "P-256",
	  .public_bytes = 65 },
	{ .name = "ECDSA P-384", .word = "ecdsa-p384", .family = CRYPTO_ECDSA,
	  .signatures = { &crypto_signatures[2], &crypto_signatures[3], &crypto_signatures[1] },
	  .algorithm = BYTES_OF(p384_keys), .key_type = "EC", .group = "P-384",
	  .public_bytes = 97 },
	{ .name = "RSA-PSS", .word = "rsa", .family = CRYPTO_RSA,
	  .signatures = { &crypto_signatures[4], &crypto_signatures[5], &crypto_signatures[6] },
	  .algorithm = BYTES_OF(rsa_keys), .key_type = "RSA" },
};
/* clang-format on */

static struct crypto_pool kind_pools[CRYPTO_COUNT(kind_table)];

struct crypto_pool *crypto_key_kind_pool(const struct crypto_key_kind *kind)
{
	return &kind_pools[kind - kind_table];
}

size_t crypto_key_kind_count(void)
{
	return CRYPTO_COUNT(kind_table);
}

const struct crypto_key_kind *crypto_key_kind_at(size_t index)
{
	return index < CRYPTO_COUNT(kind_table) ? &kind_table[index] : NULL;
}

const struct crypto_key_kind *crypto_key_kind_find(const char *word)
{
	for (size_t i = 0; i < CRYPTO_COUNT(kind_table); i++)
		if (strcmp(kind_table[i].word, word) == 0)
			return &kind_table[i];
	return NULL;
}

enum err crypto_key_kind_read(struct bytes algorithm, const struct crypto_key_kind **ret_kind)
{
	for (size_t i = 0; i < CRYPTO_COUNT(kind_table); i++) {
		if (bytes_equal(kind_table[i].algorithm, algorithm)) {
			*ret_kind = &kind_table[i];
			return ERR_OK;
		}
	}
	if (algorithm.len >= sizeof(ec_keys) &&
		bytes_equal(BYTES(algorithm.data, sizeof(ec_keys)), BYTES_OF(ec_keys)))
		return ERR_KEY_CURVE;
	return ERR_KEY_FORMAT;
}

/* y of the points whose order divides 8, least octet first, but for -1. */
static const uint8_t ed25519_small_order[][ED25519_BYTES] = {
	{ 0 },
	{ 1 },
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
		0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d,
		0x53, 0xfc, 0x05 },
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
		0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92,
		0xac, 0x03, 0x7a },
};

/* From 2^255 - 20 on, which is -1. */
static bool ed25519_is_beyond(const uint8_t y[ED25519_BYTES])
{
	for (size_t i = 1; i < ED25519_BYTES - 1; i++)
		if (y[i] != 0xff)
			return false;
	return y[ED25519_BYTES - 1] == 0x7f && y[0] >= 0xec;
}

/*
 * RFC 8032 5.1.3: y is below 2^255 - 19, so that one key has one form.  A point of small order is
 * nobody's key: anybody can write signatures that verify with it.
 */
static bool ed25519_is_allowed(struct bytes raw)
{
	uint8_t y[ED25519_BYTES];

	memcpy(y, raw.data, sizeof(y));
	y[ED25519_BYTES - 1] &= 0x7f; /* without the sign of x */
	for (size_t i = 0; i < CRYPTO_COUNT(ed25519_small_order); i++)
		if (bytes_equal(BYTES_OF(y), BYTES_OF(ed25519_small_order[i])))
			return false;
	return !ed25519_is_beyond(y);
}

static size_t modulus_bits(struct bytes modulus)
{
	size_t bits = modulus.len * 8;

	for (uint8_t top = modulus.data[0]; (top & 0x80) == 0; top = (uint8_t)(top << 1))
		bits--;
	return bits;
}

/* RFC 8017 A.1.1. */
static enum err public_parse_rsa(struct bytes content, struct crypto_public *ret_public)
{
	struct reader r, sequence;
	struct bytes n, e;
	size_t bits;

	reader_init(&r, content);
	sequence = crypto_der_open(&r, CRYPTO_DER_SEQUENCE);
	n = crypto_der_positive(&sequence);
	e = crypto_der_positive(&sequence);
	if (reader_finish(&sequence) != ERR_OK || reader_finish(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	bits = modulus_bits(n);
	if (bits < CRYPTO_RSA_BITS_MIN || bits > CRYPTO_RSA_BITS_MAX)
		return ERR_KEY_SIZE;
	/* Both odd, and no exponent of 1, which signs nothing. */
	if ((n.data[n.len - 1] & 1) == 0 || (e.data[e.len - 1] & 1) == 0 ||
		e.len > RSA_EXPONENT_BYTES_MAX || (e.len == 1 && e.data[0] == 1))
		return ERR_KEY_FORMAT;
	ret_public->modulus = n;
	ret_public->exponent = e;
	return ERR_OK;
}

static bool raw_is_allowed(const struct crypto_key_kind *kind, struct bytes raw)
{
	if (raw.len != kind->public_bytes)
		return false;
	return kind->family == CRYPTO_ECDSA ? raw.data[0] == CRYPTO_POINT_UNCOMPRESSED
					    : ed25519_is_allowed(raw);
}

enum err crypto_public_parse(struct bytes spki, struct crypto_public *ret_public)
{
	struct crypto_public parsed = { .kind = NULL };
	struct reader r, outer, algorithm, key;
	enum err err;

	reader_init(&r, spki);
	outer = crypto_der_open(&r, CRYPTO_DER_SEQUENCE);
	algorithm = crypto_der_open(&outer, CRYPTO_DER_SEQUENCE);
	key = crypto_der_open(&outer, CRYPTO_DER_BIT_STRING);
	if (reader_get_u8(&key) != 0) /* unused bits */
		reader_fail(&key, ERR_KEY_FORMAT);
	parsed.raw = reader_get_rest(&key);
	if (reader_finish(&key) != ERR_OK || reader_finish(&outer) != ERR_OK ||
		reader_finish(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	err = crypto_key_kind_read(reader_get_rest(&algorithm), &parsed.kind);
	if (err == ERR_OK && parsed.kind->family == CRYPTO_RSA)
		err = public_parse_rsa(parsed.raw, &parsed);
	else if (err == ERR_OK && !raw_is_allowed(parsed.kind, parsed.raw))
		err = ERR_KEY_FORMAT;
	if (err == ERR_OK)
		*ret_public = parsed;
	return err;
}

/* An integer as OSSL_PARAM wants it, in the machine's order; false when it does not fit. */
static bool field_integer(
	const char *field, struct bytes value, uint8_t *buffer, OSSL_PARAM *ret_field)
{
	BIGNUM *number = BN_bin2bn(value.data, (int)value.len, NULL);
	bool is_done =
		number != NULL && BN_bn2nativepad(number, buffer, (int)value.len) == (int)value.len;

	BN_free(number);
	*ret_field = (OSSL_PARAM)OSSL_PARAM_BN(field, buffer, value.len);
	return is_done;
}

static EVP_PKEY *public_import_rsa(const struct crypto_public *public_key)
{
	uint8_t modulus[CRYPTO_RSA_BITS_MAX / 8], exponent[RSA_EXPONENT_BYTES_MAX];
	OSSL_PARAM fields[3] = { [2] = OSSL_PARAM_END };

	if (!field_integer(OSSL_PKEY_PARAM_RSA_N, public_key->modulus, modulus, &fields[0]) ||
		!field_integer(OSSL_PKEY_PARAM_RSA_E, public_key->exponent, exponent, &fields[1]))
		return NULL;
	return crypto_import_fields(crypto_key_kind_pool(public_key->kind),
		public_key->kind->key_type, EVP_PKEY_PUBLIC_KEY, fields);
}

EVP_PKEY *crypto_public_import(const struct crypto_public *public_key)
{
	const struct crypto_key_kind *kind = public_key->kind;
	struct crypto_pool *pool = crypto_key_kind_pool(kind);

	if (crypto_ready() != ERR_OK)
		return NULL;
	if (kind->family == CRYPTO_RSA)
		return public_import_rsa(public_key);
	if (kind->family == CRYPTO_ECDSA)
		return crypto_import_point(kind->group, public_key->raw);
	return crypto_import_public(pool, kind->key_type, public_key->raw);
}

enum err crypto_spki_check(struct bytes spki)
{
	struct crypto_public parsed;

	return crypto_public_parse(spki, &parsed);
}

const struct crypto_key_kind *crypto_spki_kind(struct bytes spki)
{
	struct crypto_public parsed;

	return crypto_public_parse(spki, &parsed) == ERR_OK ? parsed.kind : NULL;
}
