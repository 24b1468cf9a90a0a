/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of ike_peer only: the exchange that it carries, and the kernel that it plays. */
#ifndef TESTS_REAL_IKE_PEER_H
#define TESTS_REAL_IKE_PEER_H

#include <netinet/in.h>

#include "mech/context.h"

struct ike_peer {
	struct mech_context *context;
	struct in_addr own, other;
	bool initiates;
	uint32_t flags;				/* what the initiator asks for */
	const char *config, *identity, *target; /* identity NULL: the configuration's choice */
	const char *keys;		 /* file that SK_e is appended to; NULL: told to nobody */
	const struct esp_suite *child;	 /* NULL: childless */
	bool flips_sent, flips_received; /* one bit of the IKE_AUTH message of that direction */
};

/* --- ike_peer_kernel.c: no connection; a child SA is printed, not installed --- */
extern const struct kbind_ops ike_peer_ops;
/* The exchange's child SA is one between the two hosts, any protocol and port: call it once the
 * exchange has its keys, before T3 is made or taken. */
void ike_peer_ask_child(const struct ike_peer *peer);

/* --- ike_peer_keys.c --- */
/* Prints what was negotiated, and appends SK_ei and SK_er to peer->keys as a line of Wireshark's
 * ikev2_decryption_table. false: the file cannot be written. */
bool ike_peer_tell_keys(const struct ike_peer *peer);

#endif
