/* SPDX-License-Identifier: BSD-2-Clause */
/* The floor under a context and the same operations as mech/crypto does them, in CPU time. */
#include <stdio.h>
#include <stdlib.h>

#include "bench/floor.h"
#include "mech/crypto/crypto.h"

#define ROUNDS 21
#define SLICE_MS 15

static const struct crypto_group *group;
static const struct crypto_prf *prf;
static struct crypto_exchange *own, *peer;
static struct crypto_private_key *key;
static uint8_t message[512], signature[CRYPTO_SIGNATURE_MAX], mac_key[32];
static size_t signature_len;

static void run_keygen(void *context)
{
	struct crypto_exchange *made = NULL;

	(void)context;
	bench_require(crypto_exchange_new(group, &made) == ERR_OK, "crypto_exchange_new");
	crypto_exchange_free(&made);
}

static void run_derive(void *context)
{
	struct secret_key secret;

	(void)context;
	bench_require(crypto_exchange_derive(own, crypto_exchange_public(peer), &secret) == ERR_OK,
		"crypto_exchange_derive");
}

static void run_sign(void *context)
{
	struct bytes part = BYTES_OF(message);

	(void)context;
	bench_require(
		crypto_sign(key, &part, 1, signature, &signature_len) == ERR_OK, "crypto_sign");
}

/* With the import of the peer's key, which the floor has done already. */
static void run_verify(void *context)
{
	struct bytes part = BYTES_OF(message);

	(void)context;
	bench_require(crypto_verify(crypto_private_key_spki(key), crypto_private_key_signature(key),
			      &part, 1, BYTES(signature, signature_len)) == ERR_OK,
		"crypto_verify");
}

static void run_hmac(void *context)
{
	struct bytes part = BYTES(message, 64);
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];

	(void)context;
	mac_key[0]++;
	bench_require(crypto_prf_compute(prf, BYTES_OF(mac_key), &part, 1, output) == ERR_OK,
		"crypto_prf_compute");
}

static void prepare(struct bench_item items[FLOOR_OPERATIONS])
{
	static void (*const runs[FLOOR_OPERATIONS])(
		void *context) = { run_keygen, run_derive, run_sign, run_verify, run_hmac };

	group = crypto_group_find(31);
	prf = crypto_prf_find(5);
	bench_require(crypto_exchange_new(group, &own) == ERR_OK &&
			      crypto_exchange_new(group, &peer) == ERR_OK &&
			      crypto_private_key_generate(crypto_key_kind_at(0), 0, &key) == ERR_OK,
		"preparation");
	run_sign(NULL);
	for (size_t i = 0; i < FLOOR_OPERATIONS; i++)
		items[i] = (struct bench_item){ .run = runs[i] };
}

int main(void)
{
	/* floor and ours in one list, so that they take turns */
	struct bench_item items[2 * FLOOR_OPERATIONS];
	const struct bench_item *ours = items + FLOOR_OPERATIONS;

	floor_items(items);
	prepare(items + FLOOR_OPERATIONS);
	bench_measure(items, 2 * FLOOR_OPERATIONS, CLOCK_PROCESS_CPUTIME_ID, ROUNDS, SLICE_MS);
	printf("%-24s %5s %10s %10s %6s\n", "CPU us", "times", "EVP", "ours", "ratio");
	for (size_t i = 0; i < FLOOR_OPERATIONS; i++)
		printf("%-24s %5u %10.2f %10.2f %6.3f\n", items[i].name, floor_times[i],
			items[i].median_ns / 1000, ours[i].median_ns / 1000,
			bench_ratio(&ours[i], &items[i], ROUNDS));
	printf("%-24s %5s %10.2f %10.2f %6.3f\n", "one context, both ends", "", floor_sum_us(items),
		floor_sum_us(ours), floor_sum_us(ours) / floor_sum_us(items));
	crypto_exchange_free(&own);
	crypto_exchange_free(&peer);
	crypto_private_key_free(&key);
	return EXIT_SUCCESS;
}
