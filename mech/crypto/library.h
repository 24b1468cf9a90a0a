/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of mech/crypto only: the one library context, and what is fetched and kept. */
#ifndef MECH_CRYPTO_LIBRARY_H
#define MECH_CRYPTO_LIBRARY_H

#include "mech/crypto/crypto.h"
#include "mech/crypto/openssl.h"

#define CRYPTO_COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define CRYPTO_POOL_SLOTS 4

/* The private library context; NULL when crypto_ready() fails. Never freed. */
OSSL_LIB_CTX *crypto_library(void);

/*
 * OpenSSL's random octets in that library context: loads the generator (RAND) that takes them from the
 * kernel, before anything draws.  NULL: no memory, or this OpenSSL takes no other generator.
 */
OSSL_PROVIDER *crypto_generator_load(OSSL_LIB_CTX *library);
/* How this thread's OpenSSL draws what is secret. */
enum crypto_draws {
	CRYPTO_DRAWS_SINGLE, /* when it is wanted, so many octets; a system call each */
	CRYPTO_DRAWS_AHEAD,  /* 256 at the first draw of an operation, for this operation only */
	CRYPTO_DRAWS_PUBLIC, /* nothing secret depends on it: what crypto_random_public() gives */
};
/* Holds until the next call, which wipes what was drawn ahead and not used.  Before and after it is
 * CRYPTO_DRAWS_SINGLE.  Where there is no memory for a thread's generator, its draws fail. */
void crypto_generator_set(enum crypto_draws draws);
/* Whether the kernel gave nothing for a secret draw, of any thread, since the last call of this: OpenSSL
 * does not hand on why it failed. */
bool crypto_generator_take_failure(void);

/* Each file fetches what its table names; called once, from crypto_ready(). */
bool crypto_hash_fetch(OSSL_LIB_CTX *library);
bool crypto_prf_fetch(OSSL_LIB_CTX *library);
bool crypto_aead_fetch(OSSL_LIB_CTX *library);
bool crypto_curve_fetch(OSSL_LIB_CTX *library);
/* Drops what was fetched: the library it came from was only half made. */
void crypto_hash_drop(void);
void crypto_prf_drop(void);
void crypto_aead_drop(void);
void crypto_curve_drop(void);

/* err for something that OpenSSL refused, or ERR_NO_MEMORY when it gives no reason: then it was
 * memory, since whatever it holds against octets that it was given, it says. */
enum err crypto_refusal(enum err err) ERR_MUST_CHECK;
/* A key with that curve and nothing else, to be copied; NULL: no such curve. Never freed. */
const EVP_PKEY *crypto_curve_key(const char *name);

/*
 * Idle objects of one kind for any thread to take: no thread-local state, so nothing is left at a
 * thread's end, and a fork at any moment costs at most the objects that were taken.
 */
struct crypto_pool {
	_Atomic(void *) slots[CRYPTO_POOL_SLOTS];
};
/* An idle object, now the caller's; NULL when there is none. */
void *crypto_pool_take(struct crypto_pool *pool);
/* Gives an object back: true when the pool took it, false when it stays the caller's to free. */
bool crypto_pool_put(struct crypto_pool *pool, void *object);

/* Key objects of raw octets (RFC 7748, RFC 8032); NULL on failure. pool keeps idle contexts. */
EVP_PKEY *crypto_import_private(struct crypto_pool *pool, const char *key_type, struct bytes raw);
EVP_PKEY *crypto_import_public(struct crypto_pool *pool, const char *key_type, struct bytes raw);
#define CRYPTO_POINT_UNCOMPRESSED 0x04 /* SEC 1 2.3.3: the first octet */
/* A point of an elliptic curve (SEC 1 2.3.3, uncompressed); NULL when it is not on it. */
EVP_PKEY *crypto_import_point(const char *group, struct bytes point);
/* A key of several fields; NULL on failure. */
EVP_PKEY *crypto_import_fields(
	struct crypto_pool *pool, const char *key_type, int selection, OSSL_PARAM *fields);
/* A field of octets, and the name of an elliptic curve; what they point to is only read. */
OSSL_PARAM crypto_field_octets(const char *field, struct bytes value);
OSSL_PARAM crypto_field_group(const char *group);

/* A key pair on "P-256" or "P-384" with this private value (big-endian, of the curve's length);
 * NULL when the value is zero or too large. */
EVP_PKEY *crypto_curve_import_private(
	struct crypto_pool *pool, const char *name, struct bytes private_value);
enum err crypto_curve_random(const char *name, struct secret_key *ret_private) ERR_MUST_CHECK;

/* An exchange with a given private key: what crypto_exchange_new does with random octets. */
enum err crypto_exchange_of_private(const struct crypto_group *group, struct bytes private_value,
	struct crypto_exchange **ret_exchange) ERR_MUST_CHECK;

/*
 * The next element's content; fails the reader with ERR_KEY_FORMAT unless it has this tag and a
 * length as DER writes it (X.690 10.1), below 65536.
 */
struct reader crypto_der_open(struct reader *r, uint8_t tag);
/* The octets of a positive INTEGER without leading zeros. */
struct bytes crypto_der_positive(struct reader *r);
#define CRYPTO_DER_INTEGER 0x02
#define CRYPTO_DER_BIT_STRING 0x03
#define CRYPTO_DER_OCTET_STRING 0x04
#define CRYPTO_DER_NULL 0x05
#define CRYPTO_DER_OID 0x06
#define CRYPTO_DER_SEQUENCE 0x30
#define CRYPTO_DER_CONTEXT(number) (0xa0 | (number))

/* The kind that the content of a key's AlgorithmIdentifier names: ERR_KEY_FORMAT, ERR_KEY_CURVE. */
enum err crypto_key_kind_read(
	struct bytes algorithm, const struct crypto_key_kind **ret_kind) ERR_MUST_CHECK;

/* A public key taken apart; views into its SPKI. */
struct crypto_public {
	const struct crypto_key_kind *kind;
	struct bytes raw;		/* Ed25519: the key; ECDSA: the point, uncompressed */
	struct bytes modulus, exponent; /* RSA */
};
enum err crypto_public_parse(struct bytes spki, struct crypto_public *ret_public) ERR_MUST_CHECK;
/* NULL when it is no key of its kind (a point off the curve). */
EVP_PKEY *crypto_public_import(const struct crypto_public *public_key);

/* The tables that rows point to; kinds are in public_key.c. */
#define CRYPTO_SIGNATURE_COUNT 7
extern const struct crypto_signature crypto_signatures[CRYPTO_SIGNATURE_COUNT];
struct crypto_pool *crypto_key_kind_pool(const struct crypto_key_kind *kind);

/* What a signature of that kind needs beside its digest: terminated, read only. */
const OSSL_PARAM *crypto_signature_params(const struct crypto_signature *signature);
/* The parts one after the other (one-shot algorithms need them so), to be freed through secret_free
 * with *ret_len + 1. */
enum err crypto_signature_join(const struct bytes *parts, size_t count, uint8_t **ret_data,
	size_t *ret_len) ERR_MUST_CHECK;

#endif
