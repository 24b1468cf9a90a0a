/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks on broker and kernel: what the tables of attack_*.c and attack_main.c share. */
#ifndef TESTS_WEAKENED_ATTACK_H
#define TESTS_WEAKENED_ATTACK_H

#include "tests/real/probe.h"

#define ATTACK_UID 12345 /* an ordinary user's */
#define ATTACK_TEXT "INJECTED"

enum attack_outcome {
	ATTACK_SUCCEEDED,
	ATTACK_REFUSED,
	ATTACK_IMPOSSIBLE /* its preparations failed: this says nothing */
};

struct attack {
	const char *name;
	enum attack_outcome (*run)(struct end ends[2]);
};

/* Each with a last row of name NULL. */
extern const struct attack attacks_on_stream[], attacks_on_wire[], attacks_on_closed[],
	attacks_of_users[];

/* What such an attack ends with: whether it succeeded, and why not (a reason of the broker's). */
enum attack_outcome attack_judge(bool has_succeeded, enum ipsec_latch_reason reason);
/* Octets from one end to the other; what arrives within half a second, as text. */
bool attack_say(struct end *from, const char *text);
void attack_hear(struct end *to, char *ret_text, size_t size);
/* Both reservations, T3 in ESP: everything but the acceptor's and the initiator's latch. */
bool attack_prepare(struct end ends[2]);
/* The acceptor closes its latch for a token of so many octets. */
enum ipsec_latch_reason attack_close(struct end ends[2], uint64_t token_bytes);
/* A segment in ESP, the packet of this number, by the initiator's association: what it has sent itself
 * but was held up.  IPv4. */
bool attack_esp_send(
	const struct end ends[2], const struct probe_segment *segment, uint32_t number);
/* Another process of this user, which shares all descriptors, does this; its result. */
int attack_as(uint32_t uid, int (*act)(struct end ends[2]), struct end ends[2]);

#endif
