/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside of a context: private to mech/ and tests.  What is needed only until the exchange ends is kept
 * in struct mech_exchange, which goes away at completion, so that an idle context is small.
 */
#ifndef MECH_CONTEXT_H
#define MECH_CONTEXT_H

#include "mech/ike/ike.h"
#include "mech/mech.h"

#define MECH_UNIQUE_BYTES 32

enum mech_state {
	MECH_STATE_START,   /* initiator: makes T1; acceptor: waits for T1 */
	MECH_STATE_SENT_T1, /* initiator: waits for T2 */
	MECH_STATE_SENT_T2, /* acceptor: waits for T3 */
	MECH_STATE_SENT_T3, /* initiator: waits for T4 */
	MECH_STATE_SENT_T4, /* acceptor: waits for T5 */
	MECH_STATE_OPEN,
	MECH_STATE_DEAD,
	MECH_STATE_COUNT
};

/* An IKE message as sent or received, owned. */
struct mech_message {
	uint8_t *data;
	size_t len;
};

struct mech_nonce {
	uint8_t data[IKE_NONCE_BYTES_MAX];
	size_t len;
};

/* What lives from the first token to the last. */
struct mech_exchange {
	uint64_t spi_i, spi_r;
	struct ike_algorithms algorithms;
	struct crypto_exchange *ephemeral;
	struct mech_nonce ni, nr;
	struct ike_keys keys;
	bool has_keys;
	struct mech_message refused; /* T1 | T2 of a round that ended with INVALID_KE_PAYLOAD */
	uint32_t groups_tried;	     /* initiator: bit n for the group of suite n */
	struct mech_message t1, t2, t3;
	struct mech_name *peer; /* proven, once AUTH verified; its facts grow until completion */
	/* ours, borrowed from the credential; without a key, or NULL: nobody (RFC 7619) */
	const struct mech_identity *identity;
	const struct crypto_signature *signature; /* how it signs */

	/* latching */
	struct kbind_candidates *candidates; /* as they were at T1 */
	struct kbind_candidate chosen;	     /* fd -1: none yet; counters as they were at T1 */
	uint64_t rivals[2 *
			KBIND_CANDIDATES_MAX]; /* acceptor: cookies of the others that T1 names */
	size_t rival_count;
	struct kbind_lease lease;
	const struct esp_suite *suite;
	struct secret_key key_in, key_out;
	uint32_t spi_in, spi_out;

	/* T3's GSS_CONTEXT */
	bool has_t5;
	char service[IKE_SERVICE_BYTES_MAX + 1];
	uint32_t t4_flags; /* initiator: what T4 grants, for T5 to repeat */
};

struct mech_context {
	bool is_initiator;
	bool is_told;	       /* the failure is the peer's own, which it told under its keys */
	bool takes_plain_peer; /* a test may talk to an IKE daemon; the plugin never does */
	enum mech_state state;
	const struct kbind_ops *ops;
	struct config *config;
	struct mech_credential *credential;
	uint32_t requested, granted; /* MECH_FLAG_* */
	struct mech_name *initiator_name, *acceptor_name;

	int descriptor; /* explicit; -1 automatic */
	enum ipsec_latch_reason reason;
	bool reason_is_peers;		/* the peer gave it, of its own side */
	struct kbind_candidate latched; /* what the exchange's lease is about */

	struct mech_exchange *exchange; /* NULL once open or dead */
	struct mech_protect *protect;
	uint8_t unique[MECH_UNIQUE_BYTES];
	uint8_t end_point[CRYPTO_SHA256_BYTES];
	bool has_end_point; /* the acceptor has a key */
};

/* --- initiator.c, acceptor.c: one function for each state that takes a token --- */
typedef enum err (*mech_step_function)(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result);
enum err mech_initiator_make_t1(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
enum err mech_initiator_take_t2(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
enum err mech_initiator_take_t4(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
enum err mech_acceptor_take_t1(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
enum err mech_acceptor_take_t3(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
enum err mech_acceptor_take_t5(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;

/* --- context.c --- */
/* The service whose policies hold: T3's or the target's; where an acceptor has been told none, its credential's.
 * "" where there is none; borrowed. */
const char *mech_context_service(const struct mech_context *context);
/* Whether our Vendor ID is there; NOT_OUR_PEER otherwise, unless plain peers are taken. */
enum err mech_context_check_vendor(
	const struct mech_context *context, const struct ike_message *message) ERR_MUST_CHECK;
/* SPIs, exchange, direction and message ID must be the expected ones (doc/protocol.md 2). */
enum err mech_context_check_header(const struct mech_context *context,
	const struct ike_header *header, uint8_t exchange, uint32_t message_id,
	bool is_response) ERR_MUST_CHECK;
/* SKEYSEED and all keys, ESP's included, from the peer's public value. */
enum err mech_context_derive_keys(
	struct mech_context *context, struct bytes peer_public) ERR_MUST_CHECK;
/* Parses and opens an SK message of the peer. ret_plain: see ike_message_open. */
enum err mech_context_open_message(const struct mech_context *context, struct bytes input,
	enum ike_kind kind, struct ike_message *ret_message,
	struct bytes *ret_plain) ERR_MUST_CHECK;
/* Begins an SK message of ours: header, IV. */
enum err mech_context_begin_sealed(const struct mech_context *context, struct ike_builder *b,
	uint8_t exchange, uint32_t message_id, bool is_response) ERR_MUST_CHECK;
/* Seals it and appends it to output. */
enum err mech_context_seal_message(const struct mech_context *context, struct ike_builder *b,
	struct writer *output) ERR_MUST_CHECK;
/* A nonce of ours: never begins with a zero octet (doc/protocol.md 2). */
enum err mech_nonce_make(struct mech_nonce *ret_nonce) ERR_MUST_CHECK;
/* A peer's nonce: length, and the first octet's rule where the peer is one of ours. */
enum err mech_nonce_take(const struct ike_message *message, bool is_ours,
	struct mech_nonce *ret_nonce) ERR_MUST_CHECK;
/* Remembers that T1 was answered with T2 that wants another group: the unique binding covers both. */
enum err mech_exchange_refuse(struct mech_exchange *exchange, struct bytes t2) ERR_MUST_CHECK;
/* Copies octets into an owned message. */
enum err mech_message_keep(struct bytes octets, struct mech_message *ret_message) ERR_MUST_CHECK;
struct bytes mech_message_view(const struct mech_message *message);
struct bytes mech_nonce_view(const struct mech_nonce *nonce);
/* Per-message state, unique binding; frees the exchange: the last step of both roles.
 * t4 is the IKE message T4. */
enum err mech_context_complete(struct mech_context *context, struct bytes t4) ERR_MUST_CHECK;
/* What both ends grant: message protection always, sequencing where asked, the rest as proven. */
void mech_context_grant(struct mech_context *context, bool is_mutual, bool is_bound);
/* The configuration's token_padding: a test option that makes T3 and T4 long. */
void mech_context_put_padding(const struct mech_context *context, struct ike_builder *b);
/* Moves into the open state; nothing can fail here. */
void mech_context_opened(struct mech_context *context);
extern const struct bytes mech_vendor_id;

/* --- authenticate.c: ID, CERT and AUTH of both directions (RFC 7296 2.15) --- */
/* The key that we authenticate with; NULL: as nobody. */
const struct crypto_private_key *mech_exchange_key(const struct mech_exchange *exchange);
/* Puts ID, CERT and, for T3, IDr, then AUTH over own first message. */
enum err mech_auth_put(struct mech_context *context, struct ike_builder *b) ERR_MUST_CHECK;
/* Judges the peer's claim, verifies AUTH, sets exchange->peer and ret_is_proven. wanted: initiator's target. */
enum err mech_auth_verify(struct mech_context *context, const struct ike_message *message,
	const struct mech_name *wanted, bool *ret_is_proven) ERR_MUST_CHECK;
/* SIGNATURE_HASH_ALGORITHMS with what our table verifies (RFC 7427 section 4). */
void mech_auth_put_hashes(struct ike_builder *b);
/* How our identity signs: its best way of those whose hash the peer's T1 or T2 lists. */
enum err mech_auth_choose_signature(
	struct mech_exchange *exchange, const struct ike_message *message) ERR_MUST_CHECK;

/* --- policy.c: algorithms that the configuration leaves; of ESP's, see mech.h --- */
uint32_t mech_policy_ike_suites(const struct config *config); /* a set, as ike.h has them */

/* --- latching.c: the connection, from both ends (doc/protocol.md 6) --- */
/* None.  Their 14 kB are not written to: a context that latches nothing has no use for them. */
void mech_candidates_clear(struct kbind_candidates *candidates);
/* Initiator, T1: finds candidates and fills the offer. ERR_LATCH + reason under require. */
enum err mech_latching_offer(
	struct mech_context *context, struct ike_latch_offer *ret_offer) ERR_MUST_CHECK;
/* Acceptor, T1: finds the connection among the offered, reserves it; any trouble is a reason in the answer. */
enum err mech_latching_answer(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, struct ike_latch_answer *ret_answer) ERR_MUST_CHECK;
/* Initiator, T2: finds the named connection, traffic test, reserves it; judges the policy. */
enum err mech_latching_take_answer(struct mech_context *context,
	const struct ike_latch_answer *answer, size_t t1_bytes, size_t t2_bytes) ERR_MUST_CHECK;
/* The peer does not latch and says why, of its own side; PEER_WONT when it says nothing known. */
void mech_latching_take_reason(struct mech_context *context, uint8_t reason);
/* SAi2/SAr2, TSi, TSr, USE_TRANSPORT_MODE: nothing when nothing is reserved. */
void mech_latching_put_child(const struct mech_context *context, struct ike_builder *b);
/* Reads the peer's: sets spi_out at the acceptor, compares at the initiator. false: the peer is childless. */
enum err mech_latching_take_child(struct mech_context *context, const struct ike_message *message,
	bool *ret_has_child) ERR_MUST_CHECK;
/* Acceptor at T3, initiator at T4: traffic test (acceptor), policies and verdict. ERR_LATCH + reason. */
enum err mech_latching_close(struct mech_context *context, size_t token_bytes) ERR_MUST_CHECK;
/* No latch: judges by policy whether the context may complete. since: octets that a connection of this process must
 * have sent and received since T1 to count as the one that carried the tokens. */
enum err mech_latching_judge_unlatched(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since) ERR_MUST_CHECK;
/* Undoes a reservation whose context goes on unlatched, or whose context died. */
void mech_latching_release(struct mech_context *context);
/* The latch policy: the credential's, or the configuration's for mech_context_service(). */
enum config_latch mech_latching_policy(const struct mech_context *context);

/* Whether T1 names this connection. ret_since: how much has come on it since T1 was made; 0 where the
 * position that T1 gives cannot be this one's, all that it has received where T1 gives none. */
enum err mech_latching_compare(const struct mech_context *context,
	const struct ike_latch_offer *offer, const struct kbind_candidate *candidate,
	bool *ret_is_named, uint64_t *ret_since) ERR_MUST_CHECK;
/* Derives the keys and reserves exchange->chosen; ret_reason: why the broker does not, 0 where it does. */
enum err mech_latching_reserve(struct mech_context *context, size_t token_bytes,
	enum ipsec_latch_reason *ret_reason) ERR_MUST_CHECK;

/* --- choosing.c: which of the connections that T1 names (doc/protocol.md 6) --- */
/*
 * Reserves the one of exchange->candidates on which so much has come, and has been read, since T1 was made.
 * Of several the one that other threads' contexts leave, for which this waits a moment; without threads the
 * one on which data arrived last.  One that another context has reserved is tried first where it is the
 * likeliest.  Sets chosen and rivals.
 * *ret_reason: why there are no candidates, 0 where there are; then SEVERAL where the one cannot be told
 * (NO_BROKER, BROKER_BUSY where nobody could reserve the others), TRAFFIC where T1 came on none, or
 * what mech_latching_reserve() says.
 */
enum err mech_choosing_run(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, enum ipsec_latch_reason *ret_reason) ERR_MUST_CHECK;

/* --- turns.c: the threads of one process make their T1s one after the other --- */
/* Waits until the T1 made before by another thread has left on some connection, so that what is listed now has its
 * place behind it: 1 s at most for that one, and 5 s for those of others who wait too, in no order.  True:
 * mech_turn_end must follow. */
bool mech_turn_begin(const struct mech_context *context);
/* t1_bytes 0: no T1 was made, or it lists nothing. */
void mech_turn_end(const struct mech_context *context, size_t t1_bytes);
/* An answer of any kind has come, so T1 has left, or the context ends: nobody need wait for its T1.  Called before
 * anything is reserved for it; an acceptor's, or a context that has made no T1 or is done, changes nothing. */
void mech_turn_is_over(const struct mech_context *context);

/* --- carriers.c: which connections carried the tokens (doc/protocol.md 6); since: octets sent and received
 * since T1 --- */
/* Initiator, T2: the chosen connection carried both tokens, and no other that T1 did not name can have.  Follows
 * the chosen one to another descriptor.  SOCKET_GONE, TRAFFIC, SEVERAL, NO_PROC, TOO_MANY. */
enum ipsec_latch_reason mech_carriers_test_named(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since) ERR_MUST_CHECK;
/* Acceptor, T3: of the others that T1 names none carried the tokens.  Before the latch a connection
 * that others latch is left out; behind it (is_final) it has to be latched with the same peer, for
 * which this waits a moment: before, two contexts would wait for each other.  Asks nothing where
 * there are none.  SEVERAL, NO_PROC, TOO_MANY. */
enum ipsec_latch_reason mech_carriers_test_rivals(struct mech_context *context, uint64_t sent_since,
	uint64_t received_since, bool is_final) ERR_MUST_CHECK;
/* Whether this process holds a connection that carried tokens, or may hold one; one that is latched with the same
 * peer does not count, one that the program named counts in any case. */
bool mech_carriers_exist(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since);

/* --- failure.c: errors that travel (doc/protocol.md 9) --- */
/* Appends an error notify message for the peer to output where there is one to send. Never fails. */
void mech_failure_tell(const struct mech_context *context, enum err code, struct writer *output);
/* What the peer's error notify becomes here; ERR_OK when the message holds none. */
enum err mech_failure_take(const struct ike_message *message, bool is_protected) ERR_MUST_CHECK;

/* --- bindings.c --- */
/* Fills the context notify's bindings fields. */
enum err mech_bindings_put(
	const struct mech_bindings *bindings, struct ike_context *notify) ERR_MUST_CHECK;
/* ERR_BINDINGS when both are there and differ; ret_bound when both are there and equal. */
enum err mech_bindings_compare(const struct mech_bindings *bindings,
	const struct ike_context *notify, bool *ret_bound) ERR_MUST_CHECK;

#endif
