/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two ends in one process for the tests of mech/: a directory with keys and configurations made
 * afresh, two contexts, and a fake kernel that plays one TCP connection with honest counters.
 */
#ifndef TESTS_SUPPORT_TWO_ENDS_H
#define TESTS_SUPPORT_TWO_ENDS_H

#include "mech/context.h"

/* What the fake kernel answers; reset by two_ends_new. One for each side: [0] initiator, [1] acceptor. */
struct fake_kernel {
	enum ipsec_latch_reason find, refresh, reserve, latch, query;
	enum ipsec_latch_reason fitness;	    /* of the connection, when looked at later */
	struct kbind_candidate twins[2], others[2]; /* more: at T1; when looked at later */
	size_t twin_count, other_count;
	struct kbind_status status; /* of all that is asked for */
	bool is_away;		    /* the program has closed the connection */
	bool stalls;		    /* refresh shows no traffic since the candidate was found */
	bool closes;		    /* refresh shows a connection that was closed */
	uint32_t written;	    /* initiator: to the connection, when T1 is made */
	bool is_cut;		    /* more connections than fit */
	bool is_ipv6;		    /* its connection is one over IPv6 */
	bool has_unfit;		    /* the candidate is one that cannot be latched */
	size_t reserved, latched, released, queried;
	int last_wait_ms;
	struct kbind_latch last_latch;
	char last_method[32], last_peer_key[KBIND_KEY_NAME_BYTES_MAX + 1]; /* of it */
	struct kbind_reserve last_reserve;
	struct secret_key key_in, key_out;
};
extern struct fake_kernel fake_kernels[2];
/* The one connection, as T1's search sees it. */
struct kbind_candidate fake_connection(bool is_initiator);
extern const struct kbind_ops fake_initiator_ops, fake_acceptor_ops;

struct two_ends {
	char directory[64];
	char initiator_config[96], acceptor_config[96];
	struct mech_credential *initiator_credential, *acceptor_credential;
	struct mech_name *target;
	struct mech_context *initiator, *acceptor;
	struct writer token; /* the token last made */
};

/* Extra lines for the [gss-ipsec] sections ("" for none). target "host@server.example.org". */
void two_ends_new(struct two_ends *ends, const char *initiator_extra, const char *acceptor_extra);
/* The same with keys of these kinds (crypto.h's words, or "anonymous"). */
void two_ends_new_of(struct two_ends *ends, const char *initiator_kind, const char *acceptor_kind,
	const char *initiator_extra, const char *acceptor_extra);
/* Fresh contexts over the same credentials. */
void two_ends_contexts(struct two_ends *ends, const char *target, uint32_t flags);
void two_ends_free(struct two_ends *ends);
/* One step of either end with the last token as input, the next one as output. */
enum err two_ends_step(struct two_ends *ends, struct mech_context *context,
	const struct mech_bindings *bindings, enum mech_step_result *ret_result);
/* Runs until both are complete or one fails; gives that error. */
enum err two_ends_run(struct two_ends *ends, const struct mech_bindings *initiator_bindings,
	const struct mech_bindings *acceptor_bindings);

/* Both complete: unique and end-point bindings are the same at both ends. */
void two_ends_assert_bindings(const struct two_ends *ends);
/* A sealed message of the one opens at the other. */
void two_ends_assert_messages(struct mech_context *from, struct mech_context *to);

#endif
