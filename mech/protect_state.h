/* SPDX-License-Identifier: BSD-2-Clause */
/* What a context remembers for per-message tokens: for protect.c and for exporting a context. */
#ifndef MECH_PROTECT_STATE_H
#define MECH_PROTECT_STATE_H

#include "mech/mech.h"

#define PROTECT_INSTANCES_MAX 64
#define PROTECT_WINDOW_NUMBERS 64
#define PROTECT_SALT_BYTES 4

/* A direction's key for one instance. */
struct protect_key {
	struct crypto_aead_key *cipher; /* NULL until made */
	uint8_t salt[PROTECT_SALT_BYTES];
};

struct protect_sender {
	uint64_t generation; /* of the process that instance belongs to; 0: none yet */
	uint64_t instance;
	uint64_t next; /* sequence number; UINT64_MAX is never used */
	struct protect_key key;
};

/* An instance of the peer that has proven itself; never forgotten, or its tokens could come again. */
struct protect_receiver {
	struct protect_receiver *other; /* list, the one used last in front */
	uint64_t instance;
	uint64_t next; /* highest number received, plus one */
	uint64_t seen; /* bit n: number next - 1 - n was received */
	struct protect_key key;
};

struct mech_protect {
	const struct crypto_prf *prf;
	const struct crypto_aead *aead;
	struct secret_key sk_d;
	bool we_initiate, detects_replay, detects_sequence;
	struct protect_sender sender;
	struct protect_receiver *receivers;
	size_t receiver_count;
	size_t nonces_len;
	uint8_t nonces[]; /* Ni | Nr */
};

#endif
