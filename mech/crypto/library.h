/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of mech/crypto only: the one library context, and what is fetched and kept. */
#ifndef MECH_CRYPTO_LIBRARY_H
#define MECH_CRYPTO_LIBRARY_H

#include <openssl/evp.h>

#include "mech/crypto/crypto.h"

#define CRYPTO_COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define CRYPTO_POOL_SLOTS 4

/* The private library context; NULL when crypto_ready() fails. Never freed. */
OSSL_LIB_CTX *crypto_library(void);

/* Each file fetches what its table names; called once, from crypto_ready(). */
bool crypto_hash_fetch(OSSL_LIB_CTX *library);
bool crypto_prf_fetch(OSSL_LIB_CTX *library);
bool crypto_aead_fetch(OSSL_LIB_CTX *library);

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

/* An exchange with a given private key: what crypto_exchange_new does with random octets. */
enum err crypto_exchange_of_private(const struct crypto_group *group, struct bytes private_value,
	struct crypto_exchange **ret_exchange) ERR_MUST_CHECK;

/* A kind of signature key: how its keys are written (RFC 8410 for Ed25519). */
struct crypto_signature_row {
	struct crypto_signature signature;
	struct bytes spki_prefix;  /* DER SubjectPublicKeyInfo up to the raw public key */
	struct bytes pkcs8_prefix; /* DER PrivateKeyInfo up to the raw private key */
	size_t public_bytes, private_bytes;
};
struct crypto_pool *crypto_signature_pool(const struct crypto_signature_row *row);
const struct crypto_signature_row *crypto_signature_row(const struct crypto_signature *signature);
/* The row whose keys look like this DER; NULL when none. */
const struct crypto_signature_row *crypto_signature_row_of_spki(struct bytes spki);
const struct crypto_signature_row *crypto_signature_row_of_pkcs8(struct bytes pkcs8);
/* The parts one after the other (one-shot algorithms need them so), to be freed through secret_free
 * with *ret_len + 1. */
enum err crypto_signature_join(const struct bytes *parts, size_t count, uint8_t **ret_data,
	size_t *ret_len) ERR_MUST_CHECK;

#endif
