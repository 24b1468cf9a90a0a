/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a context remembers for per-message tokens, and what protect.c, protect_pieces.c and
 * context_token.c share.
 */
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

#define PROTECT_ID_WRAP 0x4757
#define PROTECT_ID_MIC 0x474d
#define PROTECT_FLAG_ACCEPTOR 0x01
#define PROTECT_FLAG_SEALED 0x02
#define PROTECT_FLAG_ASSOCIATED 0x04 /* associated data of the program's own is covered too */
#define PROTECT_FLAG_TAG_FIRST 0x08  /* the tag is behind the header, not behind the message */

/* A token, taken apart; views into it. */
struct protect_token {
	uint8_t flags;
	uint64_t instance, sequence;
	struct bytes header, body;
	const uint8_t *tag;
};

/* What is to be verified with a token: the message and where it goes, in one run or in pieces. */
struct protect_content {
	struct bytes aad; /* header, and what else counts before the pieces */
	struct bytes
		covered; /* of a message that is not sealed; BYTES_NONE: what is sealed is the token's body */
	uint8_t *plain;			    /* room for the token's body, when it is sealed */
	const struct crypto_pieces *pieces; /* NULL: covered and plain count */
};

/* The next number of this process's instance: writes the header and gives the nonce. The number is used up
 * whatever follows. flags without the direction's. */
enum err protect_send_begin(struct mech_protect *protect, uint16_t id, uint8_t flags,
	uint8_t ret_header[MECH_TOKEN_HEADER_BYTES],
	uint8_t ret_nonce[CRYPTO_NONCE_BYTES]) ERR_MUST_CHECK;
/* Reads a header of the peer's: sets flags, instance, sequence and header. ERR_MESSAGE_TOKEN. */
enum err protect_header_take(const struct mech_protect *protect, uint16_t id,
	const uint8_t header[MECH_TOKEN_HEADER_BYTES],
	struct protect_token *ret_token) ERR_MUST_CHECK;
/* Verifies; *ret_status, what the window says, and the window itself change only when it verified. */
enum err protect_receive(struct mech_protect *protect, const struct protect_token *token,
	const struct protect_content *content, enum err *ret_status) ERR_MUST_CHECK;

#endif
