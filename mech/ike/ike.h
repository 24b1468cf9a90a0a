/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IKEv2 messages and arithmetic (RFC 7296): bytes in, structs out.  No I/O, no clock, no global
 * state, no allocation that the caller does not see.  Parsed structs are views into the message
 * and live as long as it does.  Parsing changes nothing: views, then the rules table, then the
 * caller authenticates, then the caller acts.
 */
#ifndef MECH_IKE_IKE_H
#define MECH_IKE_IKE_H

#include "base/bytes.h"
#include "base/secret.h"
#include "mech/crypto/crypto.h"
#include "mech/ike/wire.h"

/* --- messages: message.c --- */
struct ike_header {
	uint64_t spi_i, spi_r;
	uint8_t next_payload, exchange, flags;
	uint32_t message_id;
};

struct ike_payload {
	uint8_t type;
	struct bytes body; /* behind the generic payload header */
};

struct ike_message {
	struct ike_header header;
	struct ike_payload payloads[IKE_PAYLOADS_MAX];
	size_t count;
	struct bytes raw; /* the whole message */
	/* For a message with SK: header up to and with SK's generic header (the AAD), SK's
	 * body (IV, ciphertext, tag) and the type of the first payload inside.  All empty
	 * without SK. */
	struct bytes clear, sealed;
	uint8_t sealed_first;
	/* There is an error notify in place of what the kind requires: nothing else may be
	 * used. */
	bool is_error_only;
};

/* What a message must and may hold; payloads that this side does not know are ignored unless
 * critical (RFC 7296 2.5), those that it knows and that do not belong there are
 * ERR_IKE_PAYLOAD. */
enum ike_kind {
	IKE_KIND_T1,	       /* IKE_SA_INIT request */
	IKE_KIND_T2,	       /* IKE_SA_INIT response, or one with an error notify only */
	IKE_KIND_T3,	       /* IKE_AUTH request, payloads inside SK */
	IKE_KIND_T4,	       /* IKE_AUTH response, or one with an error notify only */
	IKE_KIND_T5,	       /* INFORMATIONAL request of the initiator */
	IKE_KIND_INFORMATIONAL /* an INFORMATIONAL of either direction: failures, deletes */
};

/*
 * Reads header and payload chain: bytes and lengths agree, version is 2.x; exchange,
 * direction, message ID (T1 to T5) and which SPIs are zero fit the kind.  Whether the SPIs
 * are the expected ones is the caller's to check.  For T1 and T2 the payload rules are
 * checked too, with every notify well-formed and nonces of an allowed length.  Of messages
 * with SK only the outer chain is read: SK once and last (RFC 7296 3.14), nothing known
 * beside it.
 *
 * A T4 or INFORMATIONAL without SK is accepted only as an unprotected error notify
 * (is_error_only set, sealed empty): it proves nothing, and ike_message_open refuses it.
 *
 * ERR_IKE_HEADER, ERR_IKE_PAYLOAD, ERR_IKE_CRITICAL, ERR_NONCE.
 */
enum err ike_message_parse(
	struct bytes raw, enum ike_kind kind, struct ike_message *ret_message) ERR_MUST_CHECK;
/* Header only: to tell which exchange a message belongs to before anything is believed. */
enum err ike_header_parse(struct bytes raw, struct ike_header *ret_header) ERR_MUST_CHECK;
/*
 * Opens SK with the sender's direction's SK_e (key | salt).  The message's payloads become
 * the inner ones, with the kind's rules checked; they point into *ret_plain, which the
 * caller frees with ike_plain_free when it is done with the message.  On error the message
 * is as before and there is nothing to free.  ERR_IKE_INTEGRITY when the tag does not
 * verify.
 */
enum err ike_message_open(struct ike_message *message, enum ike_kind kind,
	const struct crypto_aead *aead, const struct secret_key *sk_e,
	struct bytes *ret_plain) ERR_MUST_CHECK;
/* Wipes, frees and empties what ike_message_open gave; an empty one is fine. */
void ike_plain_free(struct bytes *plain);
/* The nth payload of a type (0 = first), NULL when there are fewer. */
const struct ike_payload *ike_message_find(
	const struct ike_message *message, uint8_t type, size_t nth);

struct ike_notify {
	uint16_t type;
	uint8_t protocol;
	struct bytes spi, data;
};
/* Finds the first notify of a type; false when there is none (or it is malformed: rules
 * refuse that before). */
bool ike_message_find_notify(
	const struct ike_message *message, uint16_t type, struct ike_notify *ret_notify);
/* The first notify of an error type (1..16383), GSS_FAILURE preferred; false when there is
 * none. */
bool ike_message_find_error(const struct ike_message *message, struct ike_notify *ret_notify);
/* Whether a Vendor ID payload with exactly this value is there. */
bool ike_message_has_vendor(const struct ike_message *message, struct bytes vendor);

/* --- building: builder.c.  Sticky like the writer; finish or free. --- */
struct ike_builder {
	struct writer w;
	size_t next_at;	     /* where the next payload's type is written */
	size_t payload_mark; /* length field of the open payload; 0 none */
	size_t sk_at;	     /* where SK's generic header starts; 0 none */
	size_t sk_mark;	     /* SK's length field */
};
/* Starts a message of at most IKE_MESSAGE_BYTES_MAX octets; the header's next_payload is not
 * looked at. */
void ike_builder_begin(struct ike_builder *b, const struct ike_header *header);
/* Everything put after this goes inside SK.  The caller sees to it that no SK_e meets an IV
 * twice. */
void ike_builder_open_sk(struct ike_builder *b, const uint8_t iv[IKE_IV_BYTES]);
/* A payload whose body is written into b->w in between. One at a time. */
void ike_builder_open_payload(struct ike_builder *b, uint8_t type);
void ike_builder_open_notify(struct ike_builder *b, uint16_t type);
void ike_builder_close_payload(struct ike_builder *b);
/* Fills in lengths; takes the message (malloc, caller frees). Frees the builder, also on
 * error. */
enum err ike_builder_finish(
	struct ike_builder *b, uint8_t **ret_data, size_t *ret_len) ERR_MUST_CHECK;
/* The same for a message with SK: pads (zero pad length), seals with sk_e (key | salt),
 * appends the tag. */
enum err ike_builder_seal(struct ike_builder *b, const struct crypto_aead *aead,
	const struct secret_key *sk_e, uint8_t **ret_data, size_t *ret_len) ERR_MUST_CHECK;
/* Safe on a zeroed or finished builder. */
void ike_builder_free(struct ike_builder *b);

/* --- payload bodies: payload.c.  Parsers give ERR_IKE_PAYLOAD. --- */
void ike_put_payload(struct ike_builder *b, uint8_t type, struct bytes body);
void ike_put_ke(struct ike_builder *b, uint16_t group, struct bytes public_value);
void ike_put_nonce(struct ike_builder *b, struct bytes nonce);
void ike_put_id(struct ike_builder *b, uint8_t payload_type, uint8_t id_type, struct bytes data);
/* CERT, a raw public key. */
void ike_put_cert(struct ike_builder *b, struct bytes spki);
/* AUTH, method 14: length-prefixed AlgorithmIdentifier, then the signature (RFC 7427 section
 * 3). */
void ike_put_auth_signature(struct ike_builder *b, struct bytes algorithm, struct bytes signature);
/* AUTH of another method: its data only. */
void ike_put_auth(struct ike_builder *b, uint8_t method, struct bytes data);
/* Protocol ID 0, no SPI. */
void ike_put_notify(struct ike_builder *b, uint16_t type, struct bytes data);
void ike_put_vendor(struct ike_builder *b, struct bytes vendor);

struct ike_ke {
	uint16_t group;
	struct bytes public_value;
};
struct ike_id {
	uint8_t type;
	struct bytes data;
};
struct ike_cert {
	uint8_t encoding;
	struct bytes data;
};
struct ike_auth {
	uint8_t method;
	struct bytes algorithm, signature; /* method 14 split; else all in signature */
};
enum err ike_ke_parse(struct bytes body, struct ike_ke *ret_ke) ERR_MUST_CHECK;
enum err ike_id_parse(struct bytes body, struct ike_id *ret_id) ERR_MUST_CHECK;
enum err ike_cert_parse(struct bytes body, struct ike_cert *ret_cert) ERR_MUST_CHECK;
enum err ike_auth_parse(struct bytes body, struct ike_auth *ret_auth) ERR_MUST_CHECK;
/* Protocol ID and SPI are given as they are; nothing of ours has any. */
enum err ike_notify_parse(struct bytes body, struct ike_notify *ret_notify) ERR_MUST_CHECK;
/* INVALID_KE_PAYLOAD with the group that the responder wants (RFC 7296 3.10.1). */
void ike_put_group_wanted(struct ike_builder *b, uint16_t group);
enum err ike_group_wanted_parse(struct bytes data, uint16_t *ret_group) ERR_MUST_CHECK;
/* Whether SIGNATURE_HASH_ALGORITHMS data lists hash (RFC 7427 section 4). */
bool ike_hashes_include(struct bytes data, uint16_t hash);

/* --- proposals: proposal.c (RFC 7296 3.3) --- */
/* An IKE suite or an ESP suite. Rows of the tables below; AEADs only, so no INTEG. */
struct ike_suite {
	const char *name;
	uint16_t encr, key_bits, prf, group; /* IKE */
};
struct esp_suite {
	uint16_t number; /* in GSS_LATCH: 1 = AES-256-GCM-16 with ESN */
	const char *name;
	uint16_t encr, key_bits;
	bool esn;
	size_t keymat_bytes;	 /* key and salt of one direction */
	const char *kernel_name; /* "rfc4106(gcm(aes))" */
	uint16_t icv_bits;
};
size_t ike_suite_count(void);
const struct ike_suite *ike_suite_at(size_t index); /* best first */
size_t esp_suite_count(void);
const struct esp_suite *esp_suite_at(size_t index);
const struct esp_suite *esp_suite_find(uint16_t number);

/* A set of IKE suites: bit n is ike_suite_at(n). It must hold all combinations of its ciphers, PRFs and
 * groups. */
#define IKE_SUITES_ALL UINT32_MAX
/* SAi1: one proposal, number 1, with the set's transforms, best first. */
void ike_put_sa_offer(struct ike_builder *b, uint32_t suites);
/* SAr1: the one suite, under the proposal number it was offered as. */
void ike_put_sa_choice(
	struct ike_builder *b, const struct ike_suite *suite, uint8_t proposal_number);
/*
 * Acceptor: the best suite of the set that the offer holds (RFC 7296 3.3.6: proposals with transform
 * types, and transforms with identifiers or attributes, that this side does not know are
 * passed over).  A proposal with an INTEG other than NONE is not taken: beside an AEAD there
 * must be none (RFC 7296 3.3). ERR_NO_PROPOSAL; ERR_IKE_PAYLOAD when the body is malformed,
 * wherever the fault is.
 */
enum err ike_sa_choose(struct bytes body, uint32_t suites, const struct ike_suite **ret_suite,
	uint8_t *ret_proposal_number) ERR_MUST_CHECK;
/* Initiator: the answer must be our proposal's number, with one transform of each type, that are
 * a suite of the set (INTEG NONE counts as none). ERR_NO_PROPOSAL, ERR_IKE_PAYLOAD. */
enum err ike_sa_accept(
	struct bytes body, uint32_t suites, const struct ike_suite **ret_suite) ERR_MUST_CHECK;
/* SAi2/SAr2: one ESP proposal with one suite and this SPI. */
void ike_put_sa_esp(struct ike_builder *b, const struct esp_suite *suite, uint32_t spi);
/* Reads SAi2, or (is_choice) SAr2, which has one proposal: ERR_NO_PROPOSAL unless a proposal is exactly
 * the suite, with an SPI that RFC 4303 2.1 allows (256 or more); gives that SPI. ERR_IKE_PAYLOAD when
 * malformed. */
enum err ike_sa_esp_parse(struct bytes body, const struct esp_suite *suite, bool is_choice,
	uint32_t *ret_spi) ERR_MUST_CHECK;

/* --- traffic selectors: traffic_selector.c (RFC 7296 3.13) --- */
struct ike_selector {
	uint8_t protocol;      /* 0 any */
	uint8_t address_bytes; /* 4 or 16 */
	uint8_t first[16], last[16];
	uint16_t first_port, last_port;
};
/* TSi or TSr with exactly one selector. */
void ike_put_ts(struct ike_builder *b, uint8_t payload_type, const struct ike_selector *selector);
/* ERR_IKE_PAYLOAD unless well-formed; gives the first selector with addresses and counts
 * all, those of other types too. */
enum err ike_ts_parse(
	struct bytes body, struct ike_selector *ret_first, size_t *ret_count) ERR_MUST_CHECK;
bool ike_selector_equal(const struct ike_selector *a, const struct ike_selector *b);

/* --- keys: keymat.c (RFC 7296 2.14, 2.17) --- */
struct ike_algorithms {
	const struct crypto_aead *aead;
	const struct crypto_prf *prf;
	const struct crypto_group *group;
};
enum err ike_algorithms_of(
	const struct ike_suite *suite, struct ike_algorithms *ret_algorithms) ERR_MUST_CHECK;

/* Secret. With an AEAD there is no SK_a, and SK_e is key | salt (RFC 5282 7.1). */
struct ike_keys {
	struct secret_key sk_d, sk_ei, sk_er, sk_pi, sk_pr;
};
void ike_keys_wipe(struct ike_keys *keys);
/* SKEYSEED and all of SK_* (RFC 7296 2.14); shared is g^ir. ERR_NONCE for a nonce that 3.9
 * forbids. The caller wipes ret_keys. */
enum err ike_keys_derive(const struct ike_algorithms *algorithms, const struct secret_key *shared,
	struct bytes ni, struct bytes nr, uint64_t spi_i, uint64_t spi_r,
	struct ike_keys *ret_keys) ERR_MUST_CHECK;
/* KEYMAT = prf+(SK_d, Ni | Nr) (RFC 7296 2.17): initiator to responder first,
 * suite->keymat_bytes each. The caller wipes both. */
enum err ike_child_keys_derive(const struct ike_algorithms *algorithms,
	const struct secret_key *sk_d, struct bytes ni, struct bytes nr,
	const struct esp_suite *suite, struct secret_key *ret_i_to_r,
	struct secret_key *ret_r_to_i) ERR_MUST_CHECK;

/* --- AUTH: auth.c (RFC 7296 2.15) --- */
/* MACedID, the signed octets' last part: prf(SK_p, body of the signer's ID payload). The
 * parts to sign are: the signer's own IKE_SA_INIT message, its peer's nonce, this MAC
 * (prf->output_bytes). */
enum err ike_auth_maced_id(const struct ike_algorithms *algorithms, const struct secret_key *sk_p,
	struct bytes id_body, uint8_t ret_mac[CRYPTO_PRF_OUTPUT_MAX]) ERR_MUST_CHECK;

/* AUTH data of NULL authentication (RFC 7619 2.1): prf(prf(SK_p, "Key Pad for IKEv2"), parts), the
 * parts being those that are signed otherwise. Compare with secret_equal. */
enum err ike_auth_null(const struct ike_algorithms *algorithms, const struct secret_key *sk_p,
	const struct bytes parts[3], uint8_t ret_mac[CRYPTO_PRF_OUTPUT_MAX]) ERR_MUST_CHECK;

/*
 * --- our notifies: notify_latch.c, notify_context.c, notify_failure.c (doc/protocol.md) ---
 * Parsers take a notify's data and give ERR_NOTIFY_FORMAT; octets behind the last known
 * field are ignored. What the format does not allow makes the builder fail with
 * ERR_INTERNAL.
 */
#define IKE_LATCH_CANDIDATES_MAX 64
#define IKE_LATCH_SUITES_MAX 8
#define IKE_LATCH_TAG_BYTES 32
struct ike_latch_offer { /* T1 */
	uint8_t reason;	 /* why there is no candidate (ipsec_latch.h); 0 when there are some */
	uint16_t suites[IKE_LATCH_SUITES_MAX];
	size_t suite_count;
	uint16_t candidates[IKE_LATCH_CANDIDATES_MAX];
	size_t candidate_count;
	/* What was written to each when T1 was made, in octets mod 2^32, veiled (ike_tuple_hash). */
	uint32_t positions[IKE_LATCH_CANDIDATES_MAX];
	bool has_positions;
};
struct ike_latch_answer { /* T2 */
	uint8_t reason;	  /* 0: latched, the rest is meaningful */
	uint16_t suite;
	uint32_t spi;			  /* SPI_r, the acceptor's inbound SA; 256 or more */
	uint8_t tag[IKE_LATCH_TAG_BYTES]; /* prf(SK_d, label | tuple), which names the connection */
};
void ike_put_latch_offer(struct ike_builder *b, const struct ike_latch_offer *offer);
enum err ike_latch_offer_parse(struct bytes data, struct ike_latch_offer *ret_offer) ERR_MUST_CHECK;
void ike_put_latch_answer(struct ike_builder *b, const struct ike_latch_answer *answer);
enum err ike_latch_answer_parse(
	struct bytes data, struct ike_latch_answer *ret_answer) ERR_MUST_CHECK;

#define IKE_SERVICE_BYTES_MAX 64
struct ike_context {	      /* GSS_CONTEXT, T3, T4 and T5 */
	uint32_t flags;	      /* GSS flags: requested (T3) or granted (T4) */
	bool has_t5;	      /* T3: T5 follows */
	uint8_t reason;	      /* the sender's latch reason; 0 latched */
	uint8_t bindings_len; /* 0 none, else 32 */
	uint8_t bindings[CRYPTO_SHA256_BYTES];
	/* Service part of the target name; may be empty, has no control characters. */
	struct bytes service;
};
void ike_put_context(struct ike_builder *b, const struct ike_context *context);
enum err ike_context_parse(struct bytes data, struct ike_context *ret_context) ERR_MUST_CHECK;

/* GSS_FAILURE: the error's number (enum err, reasons included). What the peer may not be
 * told is sent as ERR_PEER_FAILED; unknown numbers, and ERR_OK, parse as ERR_PEER_FAILED. */
void ike_put_failure(struct ike_builder *b, unsigned int code);
enum err ike_failure_parse(struct bytes data, unsigned int *ret_code) ERR_MUST_CHECK;

/* A connection as both ends name it. */
struct ike_tuple {
	uint8_t protocol;
	uint8_t address_bytes; /* 4 or 16; v4-mapped goes as 4 */
	uint8_t initiator[16], acceptor[16];
	uint16_t initiator_port, acceptor_port;
};
/* A candidate: SHA-256(SPIi | tuple), its first 16 bits; the next 32 are the veil that is added to its position
 * (doc/protocol.md, section 3). */
enum err ike_tuple_hash(uint64_t spi_i, const struct ike_tuple *tuple, uint16_t *ret_hash,
	uint32_t *ret_veil) ERR_MUST_CHECK;
/* T2's tag: prf(SK_d, label | tuple). Compare with secret_equal. */
enum err ike_tuple_tag(const struct ike_algorithms *algorithms, const struct secret_key *sk_d,
	const struct ike_tuple *tuple, uint8_t ret_tag[IKE_LATCH_TAG_BYTES]) ERR_MUST_CHECK;

/* --- for logs and messages: names.c --- */
/* The RFC's name of a notify type ("NO_PROPOSAL_CHOSEN"); "notify" when unknown. Never NULL,
 * static. */
const char *ike_notify_name(uint16_t type);

#endif
