/* SPDX-License-Identifier: BSD-2-Clause */
/* The least CPU time that a context's cryptography can take with this OpenSSL. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stddef.h>

#include "bench/timing.h"

/* What one context needs, both ends together. */
enum floor_operation {
	FLOOR_KEYGEN, /* X25519 */
	FLOOR_DERIVE, /* X25519, the peer's raw public value imported */
	FLOOR_SIGN,   /* over 512 octets, with the chosen type of key */
	FLOOR_VERIFY, /* the same, with a prepared key */
	FLOOR_HMAC,   /* HMAC-SHA-256 of 64 octets with a new key */
	FLOOR_OPERATIONS
};
extern const unsigned int floor_times[FLOOR_OPERATIONS]; /* how often: 2, 2, 2, 2, 20 */

/* The type of key that signs: "ed25519" (the default), "p256", "p384" (ECDSA with the hash of the
 * curve's size), "rsa2048" or "rsa3072" (PSS with SHA-256).  Before all else; false: none of them. */
bool floor_key_choose(const char *type);
/* Fills in items that do these operations through EVP, everything reused that can be. They are for
 * one thread, and live until the program ends. */
void floor_items(struct bench_item items[FLOOR_OPERATIONS]);
/* The sum of the medians, in microseconds of CPU time. */
double floor_sum_us(const struct bench_item items[FLOOR_OPERATIONS]);
/* Measures just this; takes about a second. */
double floor_context_cpu_us(void);
/* Does once what one context needs. */
void floor_run(const struct bench_item items[FLOOR_OPERATIONS]);

#endif
