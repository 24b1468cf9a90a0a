/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Verification with a peer's public key.  Peers come again: what verified once is kept with its key
 * set up (of RSA that is the modulus's Montgomery form), in a slot that the key chooses.  Slots are
 * emptied and filled by one exchange each, since a lock could be held by another thread when the
 * process forks.  Only public values are kept, and only of peers that have proven their key.
 */
#include "mech/crypto/library.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define VERIFIERS 32

struct verifier {
	const struct crypto_signature *signature;
	EVP_MD_CTX *context; /* ready to verify; copied for each message, never changed */
	size_t spki_len;
	uint8_t spki[];
};

static _Atomic(struct verifier *) verifiers[VERIFIERS];

static void verifier_free(struct verifier *verifier)
{
	if (verifier == NULL)
		return;
	EVP_MD_CTX_free(verifier->context);
	free(verifier);
}

static _Atomic(struct verifier *) *verifier_slot(struct bytes spki)
{
	uint32_t hash = 0;

	for (size_t i = 0; i < spki.len; i++)
		hash = hash * 31 + spki.data[i];
	return &verifiers[hash % VERIFIERS];
}

/* NULL where none of this very key and way to sign is kept. */
static struct verifier *verifier_take(struct bytes spki, const struct crypto_signature *signature)
{
	struct verifier *taken =
		atomic_exchange_explicit(verifier_slot(spki), NULL, memory_order_acq_rel);

	if (taken != NULL && taken->signature == signature &&
		bytes_equal(BYTES(taken->spki, taken->spki_len), spki))
		return taken;
	verifier_free(taken);
	return NULL;
}

static void verifier_keep(struct verifier *verifier)
{
	const struct bytes spki = BYTES(verifier->spki, verifier->spki_len);

	verifier_free(
		atomic_exchange_explicit(verifier_slot(spki), verifier, memory_order_acq_rel));
}

static enum err verifier_new(const struct crypto_public *public_key, struct bytes spki,
	const struct crypto_signature *signature, struct verifier **ret_verifier)
{
	struct verifier *made = NULL;
	EVP_PKEY *key = crypto_public_import(public_key);
	enum err err = ERR_NO_MEMORY;

	if (key == NULL)
		return ERR_KEY_FORMAT;
	made = calloc(1, sizeof(*made) + spki.len);
	if (made == NULL)
		goto out;
	made->signature = signature;
	made->spki_len = spki.len;
	memcpy(made->spki, spki.data, spki.len);
	made->context = EVP_MD_CTX_new();
	if (made->context == NULL)
		goto out;
	if (EVP_DigestVerifyInit_ex(made->context, NULL, signature->digest, crypto_library(), NULL,
		    key, crypto_signature_params(signature)) != 1) {
		err = ERR_CRYPTO;
		goto out;
	}
	*ret_verifier = made;
	made = NULL;
	err = ERR_OK;
out:
	verifier_free(made);
	EVP_PKEY_free(key);
	return err;
}

/* OpenSSL blinds ECDSA's multiplication here as it does for secrets. */
static int verify_context(EVP_MD_CTX *context, const struct crypto_signature *signature,
	struct bytes message, struct bytes value)
{
	int is_right;

	if (signature->family == CRYPTO_ECDSA)
		crypto_generator_set(CRYPTO_DRAWS_PUBLIC);
	is_right = EVP_DigestVerify(context, value.data, value.len, message.data, message.len);
	if (signature->family == CRYPTO_ECDSA)
		crypto_generator_set(CRYPTO_DRAWS_SINGLE);
	return is_right;
}

static enum err verifier_run(
	const struct verifier *verifier, struct bytes message, struct bytes value)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	enum err err = ERR_CRYPTO;

	if (context == NULL)
		return ERR_NO_MEMORY;
	if (EVP_MD_CTX_copy_ex(context, verifier->context) == 1)
		err = verify_context(context, verifier->signature, message, value) == 1
			      ? ERR_OK
			      : ERR_AUTH_FAILED;
	EVP_MD_CTX_free(context);
	return err;
}

/* Twice: when OpenSSL was short of memory for a moment it may say no more than that it does not
 * verify, and a peer is not accused for that. */
static enum err verify_message(const struct crypto_public *public_key, struct bytes spki,
	const struct crypto_signature *signature, struct bytes message, struct bytes value)
{
	struct verifier *verifier = verifier_take(spki, signature);
	enum err err = ERR_OK;

	for (int tries = 0; tries < 2 && (tries == 0 || err != ERR_OK); tries++) {
		if (verifier == NULL)
			err = verifier_new(public_key, spki, signature, &verifier);
		if (verifier == NULL)
			continue;
		err = verifier_run(verifier, message, value);
		if (err == ERR_OK)
			verifier_keep(verifier);
		else
			verifier_free(verifier);
		verifier = NULL;
	}
	return err;
}

enum err crypto_verify(struct bytes spki, const struct crypto_signature *signature,
	const struct bytes *parts, size_t count, struct bytes value)
{
	struct crypto_public public_key;
	uint8_t *message = NULL;
	size_t message_len = 0;
	enum err err = crypto_ready();
	int guard;

	if (err == ERR_OK)
		err = crypto_public_parse(spki, &public_key);
	if (err != ERR_OK)
		return err;
	if (signature == NULL || signature->family != public_key.kind->family ||
		value.len > CRYPTO_SIGNATURE_MAX || value.len == 0)
		return ERR_AUTH_FAILED;
	err = crypto_signature_join(parts, count, &message, &message_len);
	if (err != ERR_OK)
		return err;
	guard = crypto_guard_begin();
	err = crypto_guard_end(guard,
		verify_message(&public_key, spki, signature, BYTES(message, message_len), value));
	secret_free(message, message_len + 1);
	return err;
}
