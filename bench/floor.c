/* SPDX-License-Identifier: BSD-2-Clause */
/* The floor under a context (floor.h): EVP alone, contexts and fetched algorithms reused. */
#include "bench/floor.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <string.h>

#define FLOOR_MESSAGE_BYTES 512
#define FLOOR_SIGNATURE_MAX 512
#define FLOOR_ROUNDS 15
#define FLOOR_SLICE_MS 10

const unsigned int floor_times[FLOOR_OPERATIONS] = { 2, 2, 2, 2, 20 };

static const struct floor_key {
	const char *type, *algorithm, *curve, *digest;
	size_t bits;
} floor_keys[] = {
	{ .type = "ed25519", .algorithm = "ED25519" },
	{ .type = "p256", .algorithm = "EC", .curve = "P-256", .digest = "SHA256" },
	{ .type = "p384", .algorithm = "EC", .curve = "P-384", .digest = "SHA384" },
	{ .type = "rsa2048", .algorithm = "RSA", .bits = 2048, .digest = "SHA256" },
	{ .type = "rsa3072", .algorithm = "RSA", .bits = 3072, .digest = "SHA256" },
};
static const struct floor_key *floor_key = &floor_keys[0];

static struct {
	EVP_PKEY_CTX *generator, *deriver;
	uint8_t peer[32];
	EVP_MD_CTX *signer, *verifier, *scratch;
	uint8_t message[FLOOR_MESSAGE_BYTES], signature[FLOOR_SIGNATURE_MAX];
	size_t signature_len;
	EVP_MAC_CTX *mac;
	uint8_t mac_key[32];
} floor_state;

static void floor_keygen(void *context)
{
	EVP_PKEY *key = NULL;

	(void)context;
	bench_require(EVP_PKEY_keygen(floor_state.generator, &key) == 1, "keygen");
	EVP_PKEY_free(key);
}

static void floor_derive(void *context)
{
	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(
		EVP_PKEY_X25519, NULL, floor_state.peer, sizeof(floor_state.peer));
	uint8_t secret[32];
	size_t len = sizeof(secret);

	(void)context;
	bench_require(EVP_PKEY_derive_set_peer(floor_state.deriver, peer) == 1 &&
			      EVP_PKEY_derive(floor_state.deriver, secret, &len) == 1,
		"derive");
	EVP_PKEY_free(peer);
}

static void floor_sign(void *context)
{
	(void)context;
	floor_state.signature_len = sizeof(floor_state.signature);
	bench_require(EVP_MD_CTX_copy_ex(floor_state.scratch, floor_state.signer) == 1 &&
			      EVP_DigestSign(floor_state.scratch, floor_state.signature,
				      &floor_state.signature_len, floor_state.message,
				      sizeof(floor_state.message)) == 1,
		"sign");
}

static void floor_verify(void *context)
{
	(void)context;
	bench_require(EVP_MD_CTX_copy_ex(floor_state.scratch, floor_state.verifier) == 1 &&
			      EVP_DigestVerify(floor_state.scratch, floor_state.signature,
				      floor_state.signature_len, floor_state.message,
				      sizeof(floor_state.message)) == 1,
		"verify");
}

static void floor_hmac(void *context)
{
	uint8_t output[32];
	size_t len = 0;

	(void)context;
	floor_state.mac_key[0]++;
	bench_require(EVP_MAC_init(floor_state.mac, floor_state.mac_key,
			      sizeof(floor_state.mac_key), NULL) == 1 &&
			      EVP_MAC_update(floor_state.mac, floor_state.message, 64) == 1 &&
			      EVP_MAC_final(floor_state.mac, output, &len, sizeof(output)) == 1,
		"hmac");
}

static void floor_prepare_exchange(void)
{
	EVP_PKEY *own = NULL, *peer = NULL;
	size_t len = sizeof(floor_state.peer);

	floor_state.generator = EVP_PKEY_CTX_new_from_name(NULL, "X25519", NULL);
	bench_require(EVP_PKEY_keygen_init(floor_state.generator) == 1 &&
			      EVP_PKEY_keygen(floor_state.generator, &own) == 1 &&
			      EVP_PKEY_keygen(floor_state.generator, &peer) == 1 &&
			      EVP_PKEY_get_raw_public_key(peer, floor_state.peer, &len) == 1,
		"X25519");
	floor_state.deriver = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
	bench_require(EVP_PKEY_derive_init(floor_state.deriver) == 1, "derive_init");
	EVP_PKEY_free(own);
	EVP_PKEY_free(peer);
}

static EVP_PKEY *floor_key_new(void)
{
	if (floor_key->curve != NULL)
		return EVP_PKEY_Q_keygen(NULL, NULL, floor_key->algorithm, floor_key->curve);
	if (floor_key->bits != 0)
		return EVP_PKEY_Q_keygen(NULL, NULL, floor_key->algorithm, floor_key->bits);
	return EVP_PKEY_Q_keygen(NULL, NULL, floor_key->algorithm);
}

/* The salt is as long as the hash (RFC 4055 3.1). */
static bool floor_set_padding(EVP_PKEY_CTX *context)
{
	return floor_key->bits == 0 ||
	       (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static void floor_prepare_signature(void)
{
	EVP_PKEY_CTX *signs = NULL, *verifies = NULL;
	EVP_PKEY *key = floor_key_new();

	floor_state.signer = EVP_MD_CTX_new();
	floor_state.verifier = EVP_MD_CTX_new();
	floor_state.scratch = EVP_MD_CTX_new();
	bench_require(key != NULL &&
			      EVP_DigestSignInit_ex(floor_state.signer, &signs, floor_key->digest,
				      NULL, NULL, key, NULL) == 1 &&
			      EVP_DigestVerifyInit_ex(floor_state.verifier, &verifies,
				      floor_key->digest, NULL, NULL, key, NULL) == 1 &&
			      floor_set_padding(signs) && floor_set_padding(verifies),
		floor_key->type);
	EVP_PKEY_free(key);
}

bool floor_key_choose(const char *type)
{
	for (size_t i = 0; i < sizeof(floor_keys) / sizeof(floor_keys[0]); i++) {
		if (strcmp(floor_keys[i].type, type) != 0)
			continue;
		floor_key = &floor_keys[i];
		return true;
	}
	return false;
}

static void floor_prepare_mac(void)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	floor_state.mac = EVP_MAC_CTX_new(hmac);
	bench_require(EVP_MAC_CTX_set_params(floor_state.mac, params) == 1, "HMAC");
	EVP_MAC_free(hmac);
}

void floor_items(struct bench_item items[FLOOR_OPERATIONS])
{
	static const struct {
		const char *name;
		void (*run)(void *context);
	} runs[FLOOR_OPERATIONS] = { { "x25519 keygen", floor_keygen },
		{ "x25519 import+derive", floor_derive }, { "sign", floor_sign },
		{ "verify", floor_verify }, { "hmac-sha256, new key", floor_hmac } };

	if (floor_state.mac == NULL) {
		floor_prepare_exchange();
		floor_prepare_signature();
		floor_prepare_mac();
		floor_sign(NULL);
	}
	for (size_t i = 0; i < FLOOR_OPERATIONS; i++)
		items[i] = (struct bench_item){ .name = runs[i].name, .run = runs[i].run };
}

double floor_sum_us(const struct bench_item items[FLOOR_OPERATIONS])
{
	double sum_ns = 0;

	for (size_t i = 0; i < FLOOR_OPERATIONS; i++)
		sum_ns += items[i].median_ns * floor_times[i];
	return sum_ns / 1000;
}

void floor_run(const struct bench_item items[FLOOR_OPERATIONS])
{
	for (size_t i = 0; i < FLOOR_OPERATIONS; i++)
		for (unsigned int n = 0; n < floor_times[i]; n++)
			items[i].run(items[i].context);
}

double floor_context_cpu_us(void)
{
	struct bench_item items[FLOOR_OPERATIONS];

	floor_items(items);
	bench_measure(
		items, FLOOR_OPERATIONS, CLOCK_PROCESS_CPUTIME_ID, FLOOR_ROUNDS, FLOOR_SLICE_MS);
	return floor_sum_us(items);
}
