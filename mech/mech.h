/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mechanism's objects: names, credentials, contexts, the peer database and per-message tokens,
 * as plugin/ and tools/ use them.  No gss_* function is defined or called below plugin/.
 *
 * Names and credentials are immutable once made and may be shared between threads (reference
 * counts are atomic); a context is used by one thread at a time, by different threads in turn.
 */
#ifndef MECH_MECH_H
#define MECH_MECH_H

#include "base/bytes.h"
#include "base/config.h"
#include "base/error.h"
#include "include/ipsec_latch.h"
#include "kernel-bind/kernel_bind.h"
#include "mech/crypto/crypto.h"

/* GSS flag bits as RFC 2744 and MIT number them; plugin/ asserts that they agree. */
#define MECH_FLAG_MUTUAL 2u
#define MECH_FLAG_REPLAY 4u
#define MECH_FLAG_SEQUENCE 8u
#define MECH_FLAG_CONF 16u
#define MECH_FLAG_INTEG 32u
#define MECH_FLAG_ANON 64u
#define MECH_FLAG_PROT_READY 128u
#define MECH_FLAG_TRANS 256u
#define MECH_FLAG_CHANNEL_BOUND 2048u

#define MECH_NAME_BYTES_MAX 255 /* display text without NUL */

/* --- names: name.c --- */
enum mech_name_kind {
	MECH_NAME_HOSTBASED = 1, /* service (may be empty: any) and host */
	MECH_NAME_USER = 2,	 /* user@domain */
	MECH_NAME_KEY = 3,	 /* SHA-256 digest of a DER SPKI: the key is the name, RFC 5386 */
	MECH_NAME_ANONYMOUS = 4	 /* nobody (RFC 7619's ID_NULL) */
};
/* How the text given to mech_name_import is to be read. */
enum mech_name_form {
	MECH_FORM_USER, /* GSS_C_NT_USER_NAME, GSS_C_NO_OID: a display text of any kind, or a user name */
	MECH_FORM_HOSTBASED, /* service@host, or service alone */
	MECH_FORM_KEY,	     /* SHA256:<base64> */
	MECH_FORM_ANONYMOUS,
	MECH_FORM_EXPORTED /* the inner part of an exported name (behind the RFC 2743 3.2 header) */
};
struct mech_name;
/*
 * Canonical forms: host names and the domain of a user are lower-cased and never resolved, one dot
 * at a host's end is dropped, and so is one trailing NUL of the text (gss-server sends it).  Host:
 * labels of a-z 0-9 - _, at most 63 each; service: A-Z a-z 0-9 . _ -, at most 64; user: valid UTF-8
 * with exactly one '@', no '/', nothing blank, invisible or controlling, not beginning with
 * "SHA256:".  The display text has at most MECH_NAME_BYTES_MAX octets.  A service alone ("svc" as
 * MECH_FORM_HOSTBASED) displays as "svc/", a host without a service as "/host".  default_domain
 * completes a user name without '@'; NULL or "": none, then ERR_NAME_NO_DOMAIN.
 * ERR_NAME_FORMAT; for an exported name also when it is not in canonical form.
 */
enum err mech_name_import(enum mech_name_form form, struct bytes text, const char *default_domain,
	struct mech_name **ret_name) ERR_MUST_CHECK;
enum err mech_name_of_host(
	const char *service, const char *host, struct mech_name **ret_name) ERR_MUST_CHECK;
enum err mech_name_of_user(const char *user, struct mech_name **ret_name) ERR_MUST_CHECK;
enum err mech_name_of_key(
	const uint8_t digest[CRYPTO_SHA256_BYTES], struct mech_name **ret_name) ERR_MUST_CHECK;
enum err mech_name_anonymous(struct mech_name **ret_name) ERR_MUST_CHECK;
/* From an IKE identity: FQDN gives a hostbased name without service.  ERR_NAME_TYPE for ID types
 * that are no name here. */
enum err mech_name_of_id(
	uint8_t id_type, struct bytes id_data, struct mech_name **ret_name) ERR_MUST_CHECK;
struct mech_name *mech_name_ref(struct mech_name *name);
void mech_name_release(struct mech_name **name);
enum mech_name_kind mech_name_kind(const struct mech_name *name);
/* "svc/host", "user@domain", "SHA256:...", "anonymous"; NUL-terminated, borrowed from the name. Different names
 * never display alike, and importing the text as MECH_FORM_USER gives an equal name. */
const char *mech_name_display(const struct mech_name *name);
/* Parts, borrowed; service and host for HOSTBASED (service "" when none was given; host "" when
 * none), user for USER. */
const char *mech_name_service(const struct mech_name *name);
const char *mech_name_host(const struct mech_name *name);
const uint8_t *mech_name_digest(const struct mech_name *name); /* KEY: 32 octets, else NULL */
/* Same kind, same text.  That anonymous names are never equal (RFC 2743 2.4.3) is for
 * gss_compare_name to say. */
bool mech_name_equal(const struct mech_name *a, const struct mech_name *b);
/* Whether the name is of this host (any service), is this user; the texts are made canonical first,
 * bad ones match nothing. */
bool mech_name_is_host(const struct mech_name *name, const char *host);
bool mech_name_is_user(const struct mech_name *name, const char *user);
/* The inner part of an exported name: version, kind, counted fields (doc/protocol.md). */
enum err mech_name_export(const struct mech_name *name, struct writer *w) ERR_MUST_CHECK;
/* The IKE identity of a name (ID type and data); service is no part of it.  ERR_NAME_FORMAT without a host. */
enum err mech_name_to_id(
	const struct mech_name *name, uint8_t *ret_type, struct writer *w) ERR_MUST_CHECK;

/* --- what is known of a peer by name: name_facts.c (RFC 6680) --- */
#define MECH_FACT_METHOD_BYTES_MAX 31
#define MECH_FACT_ENTRY_BYTES_MAX 64
/* What was seen of the peer of this name when its context was established.  Immutable; the texts are
 * as borrowed as the facts, printable and no longer than said above. */
struct mech_facts {
	const char *
		method; /* of AUTH: "Ed25519"; "NULL" (RFC 7619); "" only until AUTH has verified */
	const char *entry;		/* [peer] that vouches for the name; "": none */
	enum ipsec_latch_reason reason; /* at completion: latched, or why not */
	bool has_digest;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of the key that verified AUTH, or is to do so */
};
/* A name that equals this one, with a copy of these facts in place of its own. */
enum err mech_name_with_facts(const struct mech_name *name, const struct mech_facts *facts,
	struct mech_name **ret_name) ERR_MUST_CHECK;
/* NULL for a name that was imported; borrowed. */
const struct mech_facts *mech_name_facts(const struct mech_name *name);
/* The inner part of a composite exported name (doc/protocol.md 4): the name, then its facts. */
enum err mech_name_export_composite(const struct mech_name *name, struct writer *w) ERR_MUST_CHECK;
/* ERR_NAME_FORMAT */
enum err mech_name_import_composite(struct bytes token, struct mech_name **ret_name) ERR_MUST_CHECK;

/* --- local users: localname.c --- */
#define MECH_LOCAL_USER_BYTES_MAX 32
/*
 * The local user that [localname] lets the name be: a rule with the whole name goes before one with
 * "*@domain", and of each kind the first.  "*@domain" gives the part before '@' where that is
 * a lower-case letter or '_', then lower-case letters, digits, '_', '-' and single '.', at most 32,
 * and not root.  ERR_LOCALNAME when no rule does; nobody (anonymous) is no local user.
 */
enum err mech_localname(const struct config *config, const struct mech_name *name,
	char ret_user[MECH_LOCAL_USER_BYTES_MAX + 1]) ERR_MUST_CHECK;

/* --- credentials: credential.c --- */
enum mech_usage { MECH_INITIATE = 1, MECH_ACCEPT = 2, MECH_BOTH = 3 };
/* One key/value of a gss_key_value_set; unknown keys are ignored. Ours: ipsec_identity (tag), ipsec_key (PEM file),
 * ipsec_config (file), ipsec_fd (descriptor number), ipsec_latch (yes|auto|require|no). */
struct mech_store_entry {
	const char *key, *value;
};
struct mech_credential;
/* Nothing configured gives ERR_NO_IDENTITY for every usage; BOTH needs both. desired NULL = the
 * default identity (first one that serves the usage); a hostbased name wants an identity of that host
 * (or any host when it names none) that answers for the service. An acceptor credential for NULL holds
 * all accepting identities. */
enum err mech_credential_acquire(const struct mech_name *desired, enum mech_usage usage,
	const struct mech_store_entry *store, size_t store_count,
	struct mech_credential **ret_credential) ERR_MUST_CHECK;
/* Whether this process could ever get a credential from config: an identity is nobody's, or its key file
 * belongs to the effective user or root and may be read. For a process of root the key file may be anybody's
 * where the identity is offered to root. Keys are not looked into; a few system calls. */
bool mech_credential_is_possible(const struct config *config);
struct mech_credential *mech_credential_ref(struct mech_credential *credential);
void mech_credential_release(struct mech_credential **credential);
enum mech_usage mech_credential_usage(const struct mech_credential *credential);
/* The name it authenticates as; for an acceptor credential of several identities the first's;
 * referenced for the caller. */
struct mech_name *mech_credential_name(const struct mech_credential *credential);
/* The descriptor of the connection whose contexts it is for; -1: automatic. Setting it makes a
 * copy: credentials are immutable. */
int mech_credential_descriptor(const struct mech_credential *credential);
enum err mech_credential_with_descriptor(const struct mech_credential *credential, int fd,
	struct mech_credential **ret_copy) ERR_MUST_CHECK;
/* Export and import by reference (identity tag, usage, desired name), never key material. */
enum err mech_credential_export(
	const struct mech_credential *credential, struct writer *w) ERR_MUST_CHECK;
enum err mech_credential_import(
	struct bytes token, struct mech_credential **ret_credential) ERR_MUST_CHECK;

/* Public key of the identity it authenticates as (an acceptor's first), as name for the caller and
 * as DER SubjectPublicKeyInfo, borrowed.  ERR_UNSUPPORTED when there is none. */
enum err mech_credential_key(const struct mech_credential *credential, struct mech_name **ret_name,
	struct bytes *ret_spki) ERR_MUST_CHECK;
/* RFC 5588, without writing: ERR_OK when the store has this identity for that usage and may
 * overwrite it; ret_usage: what of the usage the credential has.  Of the store entries only
 * ipsec_config counts; none: the process's configuration. ERR_CRED_STORED, ERR_CRED_NOT_STORED,
 * ERR_CRED_USAGE, and what acquiring from there gives. */
enum err mech_credential_store(const struct mech_credential *credential, enum mech_usage usage,
	bool overwrites, const struct mech_store_entry *store, size_t count,
	enum mech_usage *ret_usage) ERR_MUST_CHECK;

/* --- internal between mech/ files: an identity ready for use --- */
struct mech_identity {
	struct mech_name
		*name; /* what the ID payload says; hostbased with empty service for a host */
	struct crypto_private_key *key; /* NULL: nobody, who authenticates by NULL (RFC 7619) */
	char **services;
	size_t service_count; /* acceptor: empty = all */
	char *tag;
};
/* The configuration it was made with, as it is now: see config_renew(). */
enum err mech_credential_config(
	const struct mech_credential *credential, struct config **ret_config) ERR_MUST_CHECK;
/* ipsec_latch of the store overrides the configuration: returns whether it was given. */
bool mech_credential_latch_policy(
	const struct mech_credential *credential, enum config_latch *ret_policy);
/* The one service that it was acquired for; "" when it was for any. Borrowed. */
const char *mech_credential_service(const struct mech_credential *credential);
/* Initiator's identity; borrowed. */
const struct mech_identity *mech_credential_initiator(const struct mech_credential *credential);
/* The accepting identity for this IDr (NULL: none was sent) and service; ERR_TARGET_HOST or
 * ERR_SERVICE_REFUSED. Borrowed. The service may be "" when T3 names none. */
enum err mech_credential_acceptor(const struct mech_credential *credential,
	const struct mech_name *wanted, const char *service,
	const struct mech_identity **ret_identity) ERR_MUST_CHECK;

/* --- peer database: peer.c (RFC 4301 4.4.3) --- */
struct mech_peer_claim { /* what a peer says it is */
	uint8_t id_type;
	struct bytes id_data;
	struct bytes
		spki; /* of its CERT payload; empty when it sent none: the database must have the whole key */
};
/*
 * Judges a claim and finds the key to verify AUTH with (appended to ret_spki).  ret_name is what may
 * be shown once AUTH verified, its facts the entry alone; ret_is_proven: the database, or the caller
 * who named the key, vouches for it.  wanted: the initiator's target; NULL at the acceptor.  In this order:
 *  - the database has the claimed host or user, but not with this key: ERR_PEER_KEY_CHANGED (never
 *    a downgrade);
 *  - wanted names a host, user or key, and this is another: ERR_PEER_NAME;
 *  - wanted is this very key: its own SHA256 name, proven;
 *  - the database has the claimed host or user with this key: its name, proven.  At the initiator a
 *    host takes the service asked for, ERR_SERVICE_REFUSED when the entry's key does not answer for
 *    it; at the acceptor it is host/fqdn, or, of an entry for other services only, the first of
 *    these/fqdn;
 *  - unless wanted is a host or user: the database has the key (for a claimed host or user: in an
 *    entry without either): its SHA256 name, proven; or unknown_peer = accept: its SHA256 name, not
 *    proven;
 *  - else ERR_PEER_UNKNOWN.
 * Also ERR_AUTH_FAILED for a key ID that is not the key's, ERR_AUTH_METHOD for ID_NULL and for keys
 * of other kinds, ERR_CONFIG for an entry of the claimed name that cannot be read.  Refusals set the
 * detail: claim, key, wanted.
 */
enum err mech_peer_judge(const struct config *config, bool we_initiate,
	const struct mech_name *wanted, const struct mech_peer_claim *claim,
	struct writer *ret_spki, struct mech_name **ret_name, bool *ret_is_proven) ERR_MUST_CHECK;

/*
 * Judges a peer that authenticates by NULL (RFC 7619), as nobody.  wanted: the initiator's target,
 * NULL at the acceptor; needs_mutual: mutual authentication was asked for.
 *  - the ID must be ID_NULL: a name that nothing proves is refused, ERR_AUTH_METHOD;
 *  - wanted names a key: ERR_PEER_NAME;
 *  - wanted is in the database: only as one that may be anonymous (then also where mutual
 *    authentication was asked for), else ERR_NO_MUTUAL or ERR_AUTH_METHOD: never a downgrade;
 *  - anonymous_peer = accept for the service, and no mutual authentication was asked for
 *    (ERR_NO_MUTUAL); else ERR_AUTH_METHOD.
 */
enum err mech_peer_judge_nobody(const struct config *config, const struct mech_name *wanted,
	const char *service, bool needs_mutual, const struct mech_peer_claim *claim) ERR_MUST_CHECK;

/* --- contexts: context.c, initiator.c, acceptor.c --- */
struct mech_context;
struct mech_bindings { /* the caller's channel bindings, or none */
	bool present;
	uint32_t initiator_type, acceptor_type;
	struct bytes initiator_address, acceptor_address, application_data;
};
enum mech_step_result { MECH_COMPLETE, MECH_CONTINUE };

/* Makes an initiator's context; credential NULL = default, acquired here. target NULL:
 * ERR_NAME_FORMAT. flags: MECH_FLAG_*. */
enum err mech_initiator_new(const struct mech_credential *credential,
	const struct mech_name *target, uint32_t flags, const struct kbind_ops *ops,
	struct mech_context **ret_context) ERR_MUST_CHECK;
enum err mech_acceptor_new(const struct mech_credential *credential, const struct kbind_ops *ops,
	struct mech_context **ret_context) ERR_MUST_CHECK;
/* One step: input is the peer's IKE message (no RFC 2743 framing; empty for the initiator's first),
 * output the next message (empty when none). Errors may carry output too: an error notify for the
 * peer. After an error the context is dead and wiped; only inquiry and free are left. */
enum err mech_step(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result) ERR_MUST_CHECK;
void mech_context_free(struct mech_context **context);

bool mech_context_is_initiator(const struct mech_context *context);
bool mech_context_is_open(const struct mech_context *context);
/* Borrowed from the context. Initiator's and acceptor's names as far as known; never NULL
 * (anonymous until known, target as asked for). */
struct mech_name *mech_context_initiator_name(const struct mech_context *context);
struct mech_name *mech_context_acceptor_name(const struct mech_context *context);
/* Flags granted so far: PROT_READY and TRANS at completion, all others when T3 (acceptor) or T4 (initiator) is
 * verified. */
uint32_t mech_context_flags(const struct mech_context *context);
enum ipsec_latch_reason mech_context_latch_reason(const struct mech_context *context);
/* Whether the peer gave that reason, of its own side. */
bool mech_context_reason_is_peers(const struct mech_context *context);
/* The latched connection's addresses and ports as the context knows them; false when there is none. */
bool mech_context_latch_tuple(const struct mech_context *context, struct kbind_tuple *ret_tuple);
/* Names the connection between T1 and T2 (initiator): must be one of those T1 listed; ERR_ARGUMENT otherwise. */
enum err mech_context_set_descriptor(struct mech_context *context, int fd) ERR_MUST_CHECK;
/* "gss-ipsec-unique:" | ..., "gss-ipsec-end-point:" | ... (doc/protocol.md); ERR_NO_CONTEXT before COMPLETE. */
enum err mech_context_unique_binding(
	const struct mech_context *context, struct writer *w) ERR_MUST_CHECK;
enum err mech_context_end_point_binding(
	const struct mech_context *context, struct writer *w) ERR_MUST_CHECK;
/*
 * The whole of an open context, keys included, for another process of this host with the same plugin; the context
 * itself stays, and the caller frees it at once, or two would answer to one name. At most
 * MECH_CONTEXT_TOKEN_BYTES_MAX octets; NO_CONTEXT unless open. The latch stays with its socket.
 */
#define MECH_CONTEXT_TOKEN_BYTES_MAX 4096
enum err mech_context_export(const struct mech_context *context, struct writer *w) ERR_MUST_CHECK;
/* Importing one token twice, or after further use of a copy, repeats no nonce. ERR_CONTEXT_TOKEN
 * for any other token. */
enum err mech_context_import(struct bytes token, const struct kbind_ops *ops,
	struct mech_context **ret_context) ERR_MUST_CHECK;
/* RFC 4401: the same at both ends; from COMPLETE on, else NO_CONTEXT. Fills ret_output with len octets, 1 to
 * MECH_PRF_BYTES_MAX; input has at least one; else PRF_LENGTH. */
#define MECH_PRF_BYTES_MAX (1u << 20)
enum mech_prf_key { MECH_PRF_FULL = 0, MECH_PRF_PARTIAL = 1 };
enum err mech_context_pseudo_random(const struct mech_context *context, enum mech_prf_key kind,
	struct bytes input, uint8_t *ret_output, size_t len) ERR_MUST_CHECK;
/* One printable line on the last failure of this thread with this code ("peer SHA256:..., wanted
 * host/..."), kept for the last four codes; "" when there is none, never NULL; see error_text for
 * the code.  mech_set_detail changes no errno; its text must hold no secret. */
const char *mech_last_detail(unsigned int code);
/* A call of the program's ends with this code (ERR_OK too): lines that earlier calls left are no more of it. */
void mech_settle_details(unsigned int code);
void mech_set_detail(unsigned int code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- policy.c: whether the configuration leaves this suite (mech/ike/ike.h) to latches --- */
struct esp_suite;
bool mech_policy_allows_esp(const struct config *config, const struct esp_suite *suite);

/* --- per-message tokens: protect.c (doc/protocol.md, "Per-message tokens") --- */
#define MECH_TOKEN_HEADER_BYTES 20
#define MECH_TOKEN_OVERHEAD_BYTES (MECH_TOKEN_HEADER_BYTES + CRYPTO_TAG_BYTES)
struct mech_protect; /* one context's message state, both directions */
/* Keys are derived from SK_d per direction and instance; key schedules are made at first use, so
 * that an idle context is small. */
enum err mech_protect_new(const struct crypto_prf *prf, const struct crypto_aead *aead,
	const struct secret_key *sk_d, struct bytes ni, struct bytes nr, bool we_initiate,
	bool detects_replay, bool detects_sequence,
	struct mech_protect **ret_protect) ERR_MUST_CHECK;
void mech_protect_free(struct mech_protect **protect);
/* Wrap: ret_token is malloc'ed, plain.len + MECH_TOKEN_OVERHEAD_BYTES. */
enum err mech_protect_wrap(struct mech_protect *protect, bool seal, struct bytes plain,
	uint8_t **ret_token, size_t *ret_len) ERR_MUST_CHECK;
/* Unwrap: ret_plain malloc'ed. MESSAGE_DUPLICATE, _OLD, _UNSEQ, _GAP come with the output written
 * (RFC 2743 1.2.3). */
enum err mech_protect_unwrap(struct mech_protect *protect, struct bytes token, uint8_t **ret_plain,
	size_t *ret_len, bool *ret_was_sealed) ERR_MUST_CHECK;
enum err mech_protect_mic(struct mech_protect *protect, struct bytes message, uint8_t **ret_token,
	size_t *ret_len) ERR_MUST_CHECK;
enum err mech_protect_verify(
	struct mech_protect *protect, struct bytes message, struct bytes token) ERR_MUST_CHECK;
struct mech_protect *mech_context_protect(
	struct mech_context *context); /* NULL unless open; borrowed */
/* How many bits the key of the messages' cipher has. */
unsigned int mech_protect_key_bits(const struct mech_protect *protect);

/* --- the same in pieces, in place and without copies: protect_pieces.c --- */
/* The token's tag may stand behind the message (tag) or behind the header: MECH_TOKEN_OVERHEAD_BYTES of header
 * then, and tag NULL. Pieces of associated data are covered; without any, header, message and tag in one run are
 * what mech_protect_unwrap takes. A message that is not sealed stays where it is, in and out being the same. */
enum err mech_protect_wrap_pieces(struct mech_protect *protect, bool seal,
	const struct crypto_pieces *pieces, uint8_t *ret_header, uint8_t *ret_tag) ERR_MUST_CHECK;
/* header: 20 octets, or with the tag behind it 36 and tag NULL; MESSAGE_TOKEN when the token says otherwise.
 * Also MESSAGE_DUPLICATE, _OLD, _UNSEQ, _GAP, as mech_protect_unwrap. On other errors every out of a sealed message
 * is wiped, or untouched when no key was tried. */
enum err mech_protect_unwrap_pieces(struct mech_protect *protect,
	const struct crypto_pieces *pieces, struct bytes header, const uint8_t *tag,
	bool *ret_was_sealed) ERR_MUST_CHECK;
/* Where the message and the tag are in a token in one run (views); tag is empty when it is part of the header. */
enum err mech_protect_split(struct bytes token, struct bytes *ret_header, struct bytes *ret_message,
	struct bytes *ret_tag) ERR_MUST_CHECK;
/* A MIC covers the pieces in their order, so all must be pieces of the message: the same token as over one run. */
enum err mech_protect_mic_pieces(struct mech_protect *protect, const struct crypto_pieces *pieces,
	uint8_t ret_token[MECH_TOKEN_OVERHEAD_BYTES]) ERR_MUST_CHECK;
enum err mech_protect_verify_pieces(struct mech_protect *protect,
	const struct crypto_pieces *pieces, struct bytes token) ERR_MUST_CHECK;

#endif
