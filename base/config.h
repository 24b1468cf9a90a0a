/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration in krb5 profile syntax, read through MIT's profile library and then checked by us:
 * unknown sections, unknown keys and bad values are errors that name section, key and files, since
 * the library reports neither.  doc/configuration.md lists every key.
 *
 * Files, earlier ones win: $GSS_IPSEC_CONFIG alone if set (void in setuid programs: secure_getenv);
 * else ~/.config/gss-ipsec/ipsec.conf (HOME by secure_getenv), then SYSCONFDIR/gss/ipsec.conf.
 * A file that does not exist counts as empty; one that belongs to neither root nor the effective
 * user, or that others may write to, is a mistake.  Nothing configured is no error (RULE 1: then
 * there simply is no identity).
 *
 * A struct config is an immutable, reference-counted snapshot; every view from it lives as long as
 * the reference.  All functions are thread-safe and fork-safe, hold no descriptor between calls.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct config;

/* What policy narrows; each is a set of the words that config_choice_word knows. */
enum config_choice {
	CONFIG_IKE_GROUPS,   /* curve25519, p256 */
	CONFIG_IKE_CIPHERS,  /* aes-256-gcm, chacha20-poly1305 */
	CONFIG_IKE_PRFS,     /* sha2-256, sha2-512 */
	CONFIG_ESP_CIPHERS,  /* aes-256-gcm, chacha20-poly1305, aes-128-gcm */
	CONFIG_AUTH_METHODS, /* ed25519, ecdsa-p256, ecdsa-p384, rsa */
	CONFIG_CHOICE_COUNT
};

enum config_latch { CONFIG_LATCH_YES, CONFIG_LATCH_AUTO, CONFIG_LATCH_REQUIRE, CONFIG_LATCH_NO };
enum config_unknown_peer { CONFIG_UNKNOWN_REFUSE, CONFIG_UNKNOWN_ACCEPT };

/* One [identity] subsection: who this host or user is, and the key that proves it. */
struct config_identity {
	const char *tag;      /* subsection's name */
	const char *key_file; /* PEM private key; NULL when anonymous */
	bool is_anonymous;    /* authenticates as nobody (RFC 7619) */
	bool is_offered_to_root; /* root, too, is told that there is an identity, whoever has the key */
	const char *user;	 /* user@domain, or NULL */
	const char *
		host; /* fully qualified host name, or NULL; user and host NULL: the key is the name */
	const char *const *services; /* services it answers for as acceptor; count 0 = all */
	size_t service_count;
	bool initiates, accepts; /* usage = initiate | accept | both (default both) */
};

/* One [peer] subsection (RFC 4301's PAD entry): whom a key belongs to. */
struct config_peer {
	const char *tag;
	const char *host, *user; /* exactly one of both, or neither: the key is the name */
	const char *const
		*services; /* for a host: services this key may answer for; count 0 = any */
	size_t service_count;
	const char *const *
		keys; /* "SHA256:<base64>" of the DER SPKI, or base64 of the SPKI itself; several while a key changes */
	size_t key_count;
	const char *key_file; /* PEM public key, beside or in place of keys; or NULL */
	bool is_anonymous; /* no keys: as acceptor this peer may be nobody, even where more was asked */
};

/* One [localname] subsection: names that a local user stands for. */
struct config_localname {
	const char *tag;
	const char *const *names; /* whole display texts, or "*@domain": every user of the domain */
	size_t name_count;
	const char *user; /* the local user; NULL: the part before '@', of "*@domain" only */
};

/* The process's current snapshot; re-read when a file changed, looked at no more than once a second
 * (no system call in between).  ERR_CONFIG: config_last_error() says what is wrong. */
enum err config_get(struct config **ret_config) ERR_MUST_CHECK;
/* As config_get(), for whoever keeps it only if it has an identity: every program that lists mechanisms
 * comes by, so where there is no file this takes no lock and keeps no memory, and config_renew() cannot renew it. */
enum err config_peek(struct config **ret_config) ERR_MUST_CHECK;
/*
 * What the files that a snapshot of config_get() was made from say now: that snapshot where they are
 * unchanged, looked at no more than once a second.  ERR_CONFIG where one is wrong or unreadable by now.
 * A snapshot of config_load() stays what it is; so does any where the process has another root since
 * (chroot), and a file that it may not look at any more counts as unchanged.
 */
enum err config_renew(struct config *held, struct config **ret_config) ERR_MUST_CHECK;
/* A snapshot of exactly these files, NULL-terminated, earlier ones win (tests, tools, stores). */
enum err config_load(const char *const *files, struct config **ret_config) ERR_MUST_CHECK;
struct config *config_ref(struct config *config);
/* NULL is fine; takes the address and nulls it. */
void config_release(struct config **config);

/* What was wrong the last time this thread got ERR_CONFIG: one line, thread-local, never NULL. */
const char *config_last_error(void);

size_t config_identity_count(const struct config *config);
const struct config_identity *config_identity_at(const struct config *config, size_t index);
size_t config_peer_count(const struct config *config);
const struct config_peer *config_peer_at(const struct config *config, size_t index);

size_t config_localname_count(const struct config *config);
const struct config_localname *config_localname_at(const struct config *config, size_t index);

/* [service] NAME = { latch = ... }, else [gss-ipsec] latch, else yes. service may be NULL. */
enum config_latch config_latch_policy(const struct config *config, const char *service);
/* Whether the policy is "no" for every service. */
bool config_latch_is_off(const struct config *config);
/* Whether an exchange for this service ends with T5: [service] NAME = { t5 = yes|no }, default only HTTP. */
bool config_service_has_t5(const struct config *config, const char *service);
/* [gss-ipsec] unknown_peer, default refuse. */
enum config_unknown_peer config_unknown_peer(const struct config *config);
/* Whether a peer may be nobody: [service] NAME = { anonymous_peer = ... }, else [gss-ipsec]'s, default
 * refuse. */
bool config_takes_anonymous(const struct config *config, const char *service);
/* Whether anonymous initiators (else: acceptors) can come about: an identity that is one, or peers
 * that may be. */
bool config_has_anonymous(const struct config *config, bool initiators);
/* Whether [gss-ipsec] allows this word of a choice; all are, by default. */
bool config_allows(const struct config *config, enum config_choice choice, const char *word);
/* The words of a choice in order; NULL behind the last. */
const char *config_choice_word(enum config_choice choice, size_t index);
/* [gss-ipsec] default_domain or NULL; broker (path), default /run/gss-ipsec/broker.sock. */
const char *config_default_domain(const struct config *config);
const char *config_broker_path(const struct config *config);
/* [gss-ipsec] token_padding: octets of padding in T3 and T4, default 0, at most 49152: a test option. */
size_t config_token_padding_bytes(const struct config *config);

#endif
