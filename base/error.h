/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every failure this project knows: one enum, one table with the GSS major it becomes, whether the
 * peer may be told, and the one sentence a user reads.  Numbers travel in GSS_FAILURE notifies
 * (doc/protocol.md), so they never change and are never reused.
 *
 * Functions return enum err, ERR_OK = 0.  Outputs (ret_*) are written only on ERR_OK.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#define ERR_MUST_CHECK __attribute__((warn_unused_result))

/* X(name, number, GSS major without GSS_S_, tell the peer, sentence) */
/* clang-format off */
#define ERROR_TABLE(X) \
	X(OK,                    0, COMPLETE,            false, "no error") \
	/* this side's own trouble */ \
	X(NO_MEMORY,             1, FAILURE,             false, "this process got no memory; look at its limits (ulimit -v, MemoryMax=) and at what this host has free") \
	X(RANDOM,                2, FAILURE,             false, "this host gave no random numbers (getrandom): a filter of system calls forbids it to this program, or its kernel's log says more") \
	X(CRYPTO,                3, FAILURE,             false, "OpenSSL on this side refused an operation that should always work; is memory short, or a FIPS or provider configuration in the way?") \
	X(INTERNAL,              4, FAILURE,             false, "an internal check on this side failed; please report this with the log of gss-ipsecd") \
	X(ARGUMENT,              5, CALL_BAD_STRUCTURE,  false, "the program on this side called the mechanism with an argument it does not take; that is for its author to mend") \
	X(UNSUPPORTED,           6, UNAVAILABLE,         false, "the mechanism does not offer this operation; the program has to do without it") \
	X(TRUNCATED_INPUT,       7, DEFECTIVE_TOKEN,     false, "the input ends too early; please report this") \
	X(TRAILING_INPUT,        8, DEFECTIVE_TOKEN,     false, "the input goes on behind its end; please report this") \
	X(TOO_LARGE,             9, FAILURE,             false, "a token, message or name is larger than the protocol allows (65535 octets for a token); is something else being sent in its place?") \
	/* tokens */ \
	X(TOKEN_FRAMING,        20, DEFECTIVE_TOKEN,     false, "the peer's first token has no canonical RFC 2743 header of this mechanism; is the peer using another mechanism?") \
	X(IKE_HEADER,           21, DEFECTIVE_TOKEN,     true,  "the peer's token is no IKEv2 message of this exchange (version, SPI, exchange type, message ID or length); does the program hand over each token whole, once and in order?") \
	X(IKE_PAYLOAD,          22, DEFECTIVE_TOKEN,     true,  "the IKEv2 payloads of the peer's token are malformed, missing, doubled or not where they belong; do both sides have the same version of the mechanism?") \
	X(IKE_CRITICAL,         23, DEFECTIVE_TOKEN,     true,  "the peer's token holds a critical IKEv2 payload that this side does not know; do both sides have the same version of the mechanism?") \
	X(IKE_INTEGRITY,        24, DEFECTIVE_TOKEN,     true,  "the peer's token was changed on its way, or sealed with other keys; try again, and if it stays, look who is in between") \
	X(NOTIFY_FORMAT,        25, DEFECTIVE_TOKEN,     true,  "a GSS_LATCH, GSS_CONTEXT or GSS_FAILURE notify of the peer is malformed; do both sides have the same version of the mechanism?") \
	X(NO_PROPOSAL,          26, FAILURE,             true,  "the two sides share no allowed algorithm; compare their configurations") \
	X(KEY_EXCHANGE,         27, FAILURE,             true,  "the peer's key exchange value is not acceptable for the chosen group; try again, and if it stays, the peer or somebody in between is broken or hostile") \
	X(NONCE,                28, DEFECTIVE_TOKEN,     true,  "the peer's nonce is too short, too long or not allowed; the peer or somebody in between is broken or hostile") \
	X(NOT_OUR_PEER,         29, DEFECTIVE_TOKEN,     false, "the peer speaks IKEv2 but is no gss-ipsec mechanism; is this the right server, and its version the same?") \
	X(REFLECTED,            30, DUPLICATE_TOKEN,     true,  "the peer's token is this side's own, sent back; the program or somebody in between mixes tokens up") \
	X(NO_CONTEXT,           31, NO_CONTEXT,          false, "the context on this side is not, or no longer, established; the program has to finish the exchange first") \
	X(CONTEXT_DEAD,         32, NO_CONTEXT,          false, "the context failed on this side before and cannot be used any more; the program has to begin a new one") \
	X(CONTEXT_TOKEN,        33, DEFECTIVE_TOKEN,     false, "the exported context is malformed, was changed, or is of another version of the mechanism; export it anew, in a process with the same plugin") \
	X(CONTEXT_CONTROL,      34, DEFECTIVE_TOKEN,     false, "the context on this side is established already and takes no more tokens; it stays as it was, and the program can go on with it") \
	X(PRF_LENGTH,           35, FAILURE,             false, "the program asked for a pseudo-random value of no or too many octets; there must be at least one octet of input, and 1 to 1048576 of output") \
	X(NO_END_POINT,         36, UNAVAILABLE,         false, "the acceptor is anonymous and has no key that an end-point channel binding could name; use the unique one") \
	/* who */ \
	X(NO_IDENTITY,          40, NO_CRED,             false, "no identity is configured on this side for this; make one with 'gss-ipsec keygen' and name it in an [identity] section") \
	X(KEY_FILE,             41, NO_CRED,             false, "the key file of this side's identity cannot be read; correct its path or its permissions") \
	X(KEY_FILE_MODE,        42, NO_CRED,             false, "the key file of this side's identity belongs to another user, or others can read it; chown or chmod 600 it") \
	X(KEY_FORMAT,           43, DEFECTIVE_CREDENTIAL, false, "the key file of this side's identity is no PEM private key of a kind this mechanism uses; make one with 'gss-ipsec keygen'") \
	X(CONFIG,               44, NO_CRED,             false, "the configuration of the mechanism on this side has a mistake; 'gss-ipsec check' names it") \
	X(NAME_FORMAT,          45, BAD_NAME,            false, "the name that the program gave is malformed or missing; a service is service@host, a user user@domain") \
	X(NAME_NO_DOMAIN,       46, BAD_NAME,            false, "the user name has no @domain and this side has no default_domain; write user@domain, or configure it") \
	X(NAME_TYPE,            47, BAD_NAMETYPE,        false, "the type of the name that the program gave is unknown to this mechanism; use a host-based service or a user name") \
	X(CRED_USAGE,           48, NO_CRED,             false, "this side's identity is not configured for this use (initiate or accept); see 'usage' in its [identity] section") \
	X(CRED_STORE,           49, NO_CRED,             false, "a value that the program gave in the credential store is not acceptable; the keys are ipsec_identity, ipsec_key, ipsec_config, ipsec_fd and ipsec_latch") \
	/* 50 was used: no program could see it */ \
	X(CRED_TOKEN,           51, DEFECTIVE_TOKEN,     false, "the exported credential is malformed or of another version; export it anew on this host") \
	X(KEY_SIZE,             52, DEFECTIVE_CREDENTIAL, false, "the RSA key is too short or too long: this mechanism takes 2048 to 8192 bits; make another with 'gss-ipsec keygen'") \
	X(KEY_CURVE,            53, DEFECTIVE_CREDENTIAL, false, "the key is on an elliptic curve that this mechanism does not take: make one of type ed25519, ecdsa-p256 or ecdsa-p384 with 'gss-ipsec keygen'") \
	X(LOCALNAME,            55, UNAUTHORIZED,        false, "the configuration of this side lets this name be no such local user; add a rule to its section [localname], and try it with 'gss-ipsec localname NAME'") \
	X(NAME_ATTRIBUTE,       56, UNAVAILABLE,         false, "the name has no such attribute, or it is none that a program can change; names of peers of established contexts have some") \
	X(CRED_STORED,          57, DUPLICATE_ELEMENT,   false, "the store has an identity of this name already, and overwriting was not asked for") \
	X(CRED_NOT_STORED,      58, UNAVAILABLE,         false, "programs cannot store this credential: identities stand in the configuration, where 'gss-ipsec keygen' and an editor put them") \
	/* the peer's proof */ \
	X(AUTH_FAILED,          60, BAD_SIG,             true,  "the peer's signature does not verify with the key that its name has on this side; does the peer still have that key? If so, look who is in between") \
	X(AUTH_METHOD,          61, UNAUTHORIZED,        true,  "the peer authenticates by a method that is not allowed on this side, or does not take this side's; compare auth_methods, anonymous_peer and versions") \
	X(PEER_UNKNOWN,         62, UNAUTHORIZED,        true,  "the peer database of this side does not have the peer's key under its name; add it with 'gss-ipsec peer add', or set unknown_peer") \
	X(PEER_KEY_CHANGED,     63, UNAUTHORIZED,        true,  "the peer has another key than the peer database of this side has for its name: somebody may be in the middle, or the key was changed; 'gss-ipsec peer' shows and mends the entry") \
	X(PEER_NAME,            64, UNAUTHORIZED,        true,  "the peer proved another name than the one this side asked for; correct the target's name, or look who answers there") \
	X(SERVICE_REFUSED,      65, UNAUTHORIZED,        true,  "the acceptor's identity does not answer for the service that was asked for; see 'services' in its [identity] section and in the [peer] entry for it") \
	X(BINDINGS,             66, BAD_BINDINGS,        true,  "the channel bindings of the two programs differ; do both speak through the same TLS connection, without a proxy?") \
	X(NO_MUTUAL,            67, UNAUTHORIZED,        false, "mutual authentication was asked for on this side and the acceptor's key is not in the peer database; add it with 'gss-ipsec peer add'") \
	X(SELF_PEER,            68, UNAUTHORIZED,        true,  "the peer has this side's own key; give each host a key of its own with 'gss-ipsec keygen'") \
	X(CONTEXT_MISMATCH,     69, FAILURE,             true,  "what the peer says of the connection or the algorithms differs from what was agreed; try again, and if it stays, look who is in between") \
	X(TARGET_HOST,          70, UNAUTHORIZED,        true,  "the acceptor has no identity for the host that was asked for; correct the target's name, or add an [identity] with that host there") \
	/* what the peer told */ \
	X(PEER_FAILED,          80, FAILURE,             false, "the peer reported a failure of its own; its log says more") \
	X(PEER_UNPROTECTED,     81, FAILURE,             false, "the peer, or somebody in between, reported a failure without proof of who it is; the peer's log says whether it did") \
	X(PEER_AUTH_FAILED,     82, UNAUTHORIZED,        false, "the peer could not verify this side's identity: does its peer database have this side's key?") \
	X(PEER_NO_PROPOSAL,     83, FAILURE,             false, "the peer accepts none of the algorithms that this side offered; compare the two configurations") \
	/* per-message calls */ \
	X(MESSAGE_TOKEN,        90, DEFECTIVE_TOKEN,     false, "this is no per-message token of the peer's in this context; does the program hand over each token whole?") \
	X(MESSAGE_MIC,          91, BAD_SIG,             false, "the peer's message was changed on its way, or belongs to another context; drop the connection") \
	X(MESSAGE_DUPLICATE,    92, DUPLICATE_TOKEN,     false, "the peer's message was received before: drop it, somebody sends it again") \
	X(MESSAGE_OLD,          93, OLD_TOKEN,           false, "the peer's message is too old to tell whether it was received before: drop it") \
	X(MESSAGE_UNSEQ,        94, UNSEQ_TOKEN,         false, "the peer's message comes after one that was sent later; on a connection that keeps order, drop it") \
	X(MESSAGE_GAP,          95, GAP_TOKEN,           false, "an earlier message of the peer has not been received; on a connection that keeps order, one was lost or taken out") \
	X(MESSAGE_INSTANCES,    96, FAILURE,             false, "the peer sends from more than 64 copies of the context (forks, imports); it has to authenticate anew") \
	X(MESSAGE_QOP,          97, BAD_QOP,             false, "the program asked for a quality of protection; only the default one, GSS_C_QOP_DEFAULT, is offered") \
	/* latching: one number for each reason of include/ipsec_latch.h, counted from here */ \
	X(LATCH,               200, FAILURE,             true,  "the connection could not be latched; its reason says why")
/* clang-format on */

enum err {
#define X(name, number, major, tell, text) ERR_##name = (number),
	ERROR_TABLE(X)
#undef X
};

/* ERR_LATCH + reason is an error of its own for every reason but "latched" (include/ipsec_latch.h). */
#define ERR_LATCH_COUNT 64

/* The sentence for a code, reasons included; never NULL, static. */
const char *error_text(unsigned int code);
/* The code's name as in this table ("AUTH_FAILED"), for what tests print; never NULL, static. */
const char *error_name(unsigned int code);
/* Whether the peer may be told this code (it could have caused it, or can mend it). */
bool error_tells_peer(unsigned int code);
/* Whether code is one of the table's, or a reason's. */
bool error_is_known(unsigned int code);

/* A latch reason's word for logs and status, and its sentence (include/ipsec_latch.h); a lease
 * state's word.  For numbers that are not known too: never NULL, static. */
const char *latch_reason_word(unsigned int reason);
const char *latch_reason_text(unsigned int reason);
const char *latch_state_word(unsigned int state);
/* Whether the broker said nothing of what it was asked: NO_BROKER, BROKER_BUSY. */
bool latch_reason_is_silence(unsigned int reason);

#endif
