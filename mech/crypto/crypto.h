/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cryptography of the mechanism: the only door to OpenSSL.  Algorithms are const descriptors in
 * tables, found by their IKEv2 transform numbers; key lengths come from here, never from a peer.
 *
 * One private OSSL_LIB_CTX with all algorithms fetched once, made at first use (pthread_once) and
 * never torn down: no constructor, no atexit, safe in a host that cleans OpenSSL up first.
 * Objects are not shared between threads by this layer; distinct objects may be used at once.
 */
#ifndef MECH_CRYPTO_CRYPTO_H
#define MECH_CRYPTO_CRYPTO_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"

#define CRYPTO_SHA256_BYTES 32
#define CRYPTO_SHA1_BYTES 20
#define CRYPTO_PRF_OUTPUT_MAX 64
#define CRYPTO_NONCE_BYTES 12 /* AEAD nonce: salt then IV (RFC 5282 section 4) */
#define CRYPTO_TAG_BYTES 16
#define CRYPTO_PUBLIC_MAX 256
#define CRYPTO_SIGNATURE_MAX 1024

/* Makes sure the library is there; cheap after the first time. Every other call does it too.  ERR_CRYPTO
 * also in a program that has cleaned OpenSSL up. */
enum err crypto_ready(void) ERR_MUST_CHECK;

/*
 * OpenSSL reports through a queue that belongs to the program: what failed here must not stay in it
 * (SSL_get_error would take it for the program's own trouble).  Every way from the program's calls
 * down to this layer is between these two.  They nest.  crypto_guard_end gives err back, or
 * ERR_NO_MEMORY where OpenSSL says that this was the reason, or ERR_RANDOM where it got no random octets.
 */
int crypto_guard_begin(void) ERR_MUST_CHECK;
enum err crypto_guard_end(int guard, enum err err) ERR_MUST_CHECK;

enum err crypto_random(uint8_t *out, size_t len) ERR_MUST_CHECK;
/* For what is sent in the clear or shown to the peer, never for keys: drawn ahead in part, so mostly
 * without a system call.  Not the same octets in two processes, however they were forked. */
enum err crypto_random_public(uint8_t *out, size_t len) ERR_MUST_CHECK;
/* SHA-256 over the parts one after the other. */
enum err crypto_sha256(const struct bytes *parts, size_t count,
	uint8_t ret_digest[CRYPTO_SHA256_BYTES]) ERR_MUST_CHECK;
/* HMAC-SHA-1 with a key of at least one octet: for names hashed by others, never for a proof. */
enum err crypto_hmac_sha1(
	struct bytes key, struct bytes data, uint8_t ret_mac[CRYPTO_SHA1_BYTES]) ERR_MUST_CHECK;

/* --- pseudo-random functions (RFC 7296 2.13; RFC 4868) --- */
struct crypto_prf {
	uint16_t id; /* IKEv2 transform type 2: PRF_HMAC_SHA2_256 = 5 */
	const char *name;
	size_t key_bytes, output_bytes;
	const char *digest; /* OpenSSL's name */
};
const struct crypto_prf *crypto_prf_find(uint16_t id); /* NULL when unknown */
/* prf(key, parts...): writes prf->output_bytes to ret_output. key may have any length. */
enum err crypto_prf_compute(const struct crypto_prf *prf, struct bytes key,
	const struct bytes *parts, size_t count, uint8_t *ret_output) ERR_MUST_CHECK;
/* prf+(key, parts...), len octets, at most 255 outputs (RFC 7296 2.13). */
enum err crypto_prf_plus(const struct crypto_prf *prf, struct bytes key, const struct bytes *parts,
	size_t count, uint8_t *ret_output, size_t len) ERR_MUST_CHECK;
/* prf+(prf(salt, secret), parts...), in one go (RFC 7296 2.14). */
enum err crypto_prf_plus_salted(const struct crypto_prf *prf, struct bytes salt,
	struct bytes secret, const struct bytes *parts, size_t count, uint8_t *ret_output,
	size_t len) ERR_MUST_CHECK;

/* --- AEADs (RFC 5282, RFC 4106, RFC 7634) --- */
struct crypto_aead {
	uint16_t id;	   /* IKEv2 transform type 1: ENCR_AES_GCM_16 = 20 */
	uint16_t key_bits; /* the Key Length attribute; 0 when the transform has none */
	const char *name;
	size_t key_bytes, salt_bytes; /* keymat takes key_bytes + salt_bytes */
	const char *cipher;
};
const struct crypto_aead *crypto_aead_find(uint16_t id, uint16_t key_bits);
/* A cipher with its key schedule, one for each direction of use; about 1.2 kB of heap, so make it lazily. */
struct crypto_aead_key;
enum err crypto_aead_key_new(const struct crypto_aead *aead, struct bytes key, bool seals,
	struct crypto_aead_key **ret_key) ERR_MUST_CHECK;
void crypto_aead_key_free(struct crypto_aead_key **key);
/* Seals plain into ret_out (plain.len octets; may be plain.data itself) and ret_tag. plain may be empty. */
enum err crypto_aead_seal(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad, struct bytes plain, uint8_t *ret_out,
	uint8_t ret_tag[CRYPTO_TAG_BYTES]) ERR_MUST_CHECK;
/* Two runs of associated data, for headers that precede a long message without copying it. */
enum err crypto_aead_seal2(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad1, struct bytes aad2, struct bytes plain, uint8_t *ret_out,
	uint8_t ret_tag[CRYPTO_TAG_BYTES]) ERR_MUST_CHECK;
/* ERR_IKE_INTEGRITY when the tag does not verify; then ret_out holds zeros only. */
enum err crypto_aead_open(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad, struct bytes sealed, const uint8_t tag[CRYPTO_TAG_BYTES],
	uint8_t *ret_out) ERR_MUST_CHECK;
enum err crypto_aead_open2(struct crypto_aead_key *key, const uint8_t nonce[CRYPTO_NONCE_BYTES],
	struct bytes aad1, struct bytes aad2, struct bytes sealed,
	const uint8_t tag[CRYPTO_TAG_BYTES], uint8_t *ret_out) ERR_MUST_CHECK;

/* A message in pieces, wherever each of them is: at() gives one after the other, so that no list of them
 * has to be made. A piece is opened or sealed from in to out, which may be the same (else they must not
 * overlap); is_message false: it is associated data, out is not used. All associated data counts before
 * the message, whatever its place among the pieces. */
struct crypto_piece {
	const uint8_t *in;
	uint8_t *out;
	size_t len;
	bool is_message;
};
struct crypto_pieces {
	const void *items;
	size_t count;
	struct crypto_piece (*at)(const void *items, size_t index);
};
/* How many octets of the message, or of associated data, there are; SIZE_MAX when more than can be. */
size_t crypto_pieces_bytes(const struct crypto_pieces *pieces, bool is_message);
/* Every out of the message becomes zeros. */
void crypto_pieces_wipe(const struct crypto_pieces *pieces);
/* seals false: the message is only covered, as associated data behind the other. */
enum err crypto_aead_seal_pieces(struct crypto_aead_key *key,
	const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad,
	const struct crypto_pieces *pieces, bool seals,
	uint8_t ret_tag[CRYPTO_TAG_BYTES]) ERR_MUST_CHECK;
/* ERR_IKE_INTEGRITY when the tag does not verify; then every out of a sealed message holds zeros only. */
enum err crypto_aead_open_pieces(struct crypto_aead_key *key,
	const uint8_t nonce[CRYPTO_NONCE_BYTES], struct bytes aad,
	const struct crypto_pieces *pieces, bool was_sealed,
	const uint8_t tag[CRYPTO_TAG_BYTES]) ERR_MUST_CHECK;

/* --- key exchange groups (RFC 8031, RFC 5903) --- */
struct crypto_group {
	uint16_t id; /* IKEv2 transform type 4: curve25519 = 31 */
	const char *name;
	size_t public_bytes, secret_bytes;
	const char *key_type;
};
const struct crypto_group *crypto_group_find(uint16_t id);
struct crypto_exchange; /* an ephemeral key pair */
enum err crypto_exchange_new(
	const struct crypto_group *group, struct crypto_exchange **ret_exchange) ERR_MUST_CHECK;
void crypto_exchange_free(struct crypto_exchange **exchange);
/* The public value, group->public_bytes octets, borrowed from the exchange. */
struct bytes crypto_exchange_public(const struct crypto_exchange *exchange);
/* The shared secret; ERR_KEY_EXCHANGE for a value of the wrong length, off the curve, or that gives an
 * all-zero secret (RFC 8031 says nothing; doc/protocol.md 2.1 does). */
enum err crypto_exchange_derive(struct crypto_exchange *exchange, struct bytes peer_public,
	struct secret_key *ret_secret) ERR_MUST_CHECK;

/* --- signature keys (RFC 7427 method 14, RFC 8420) --- */
enum crypto_family { CRYPTO_ED25519, CRYPTO_ECDSA, CRYPTO_RSA };

/* A way to sign; every key of the family can sign so. */
struct crypto_signature {
	const char *name; /* "Ed25519", "ECDSA SHA2-256", "RSA-PSS SHA2-256" */
	enum crypto_family family;
	struct bytes algorithm; /* DER AlgorithmIdentifier that precedes the signature in AUTH */
	uint16_t hash;		/* RFC 7427 hash number the peer must have listed: Identity = 5 */
	const char *digest;	/* OpenSSL's name; NULL: the algorithm takes the message itself */
};
/*
 * NULL when the DER AlgorithmIdentifier is none we take.  RSASSA-PSS (RFC 4055): one hash for the
 * message and MGF1, a salt as long as it; parameters may be written in any of the forms that RFC
 * 4055 2.1 and RFC 7427 A.4 show.
 */
const struct crypto_signature *crypto_signature_find(struct bytes algorithm);
size_t crypto_signature_count(void);
const struct crypto_signature *crypto_signature_at(size_t index);

#define CRYPTO_KIND_SIGNATURES_MAX 3
/* A kind of key. */
struct crypto_key_kind {
	const char *name; /* "ECDSA P-256" */
	const char *word; /* "ecdsa-p256", in configurations and commands */
	enum crypto_family family;
	const struct crypto_signature *signatures[CRYPTO_KIND_SIGNATURES_MAX]; /* best first */
	struct bytes algorithm; /* content of the AlgorithmIdentifier of its keys */
	const char *key_type, *group;
	size_t public_bytes; /* 0: varies */
};
size_t crypto_key_kind_count(void);
const struct crypto_key_kind *crypto_key_kind_at(size_t index);
/* By its word; NULL when unknown. */
const struct crypto_key_kind *crypto_key_kind_find(const char *word);

#define CRYPTO_RSA_BITS_MIN 2048
#define CRYPTO_RSA_BITS_MAX 8192
#define CRYPTO_RSA_BITS_DEFAULT 3072

struct crypto_private_key; /* immutable after load, may be shared between threads; reference-counted */
/* From the text of a PEM private key (PKCS#8, unencrypted). ERR_KEY_FORMAT; ERR_KEY_SIZE for RSA out
 * of the bounds above, ERR_KEY_CURVE for another curve. */
enum err crypto_private_key_read(
	struct bytes pem, struct crypto_private_key **ret_key) ERR_MUST_CHECK;
/* bits: for RSA only; 0 is CRYPTO_RSA_BITS_DEFAULT. ERR_ARGUMENT for bits that do not fit. */
enum err crypto_private_key_generate(const struct crypto_key_kind *kind, size_t bits,
	struct crypto_private_key **ret_key) ERR_MUST_CHECK;
/* From the private value alone: Ed25519's 32 octets (RFC 8032 5.1.5), or a number of the curve's length,
 * big-endian.  ERR_ARGUMENT for RSA and for other lengths, ERR_CRYPTO for a number out of range. */
enum err crypto_private_key_of_raw(const struct crypto_key_kind *kind, struct bytes raw,
	struct crypto_private_key **ret_key) ERR_MUST_CHECK;
/* PEM text, malloc'ed and secret: wipe it. */
enum err crypto_private_key_write(
	const struct crypto_private_key *key, struct writer *w) ERR_MUST_CHECK;
struct crypto_private_key *crypto_private_key_ref(struct crypto_private_key *key);
void crypto_private_key_free(struct crypto_private_key **key);
const struct crypto_key_kind *crypto_private_key_kind(const struct crypto_private_key *key);
/* The best way this key signs. */
const struct crypto_signature *crypto_private_key_signature(const struct crypto_private_key *key);
/* DER SubjectPublicKeyInfo of the key, borrowed. */
struct bytes crypto_private_key_spki(const struct crypto_private_key *key);
/* The SHA-256 of that, CRYPTO_SHA256_BYTES octets, borrowed. */
struct bytes crypto_private_key_digest(const struct crypto_private_key *key);
/* Signs parts one after the other, the best way; ret_signature holds CRYPTO_SIGNATURE_MAX octets. */
enum err crypto_sign(const struct crypto_private_key *key, const struct bytes *parts, size_t count,
	uint8_t *ret_signature, size_t *ret_len) ERR_MUST_CHECK;
/* The same in a given way of the key's kind; ERR_ARGUMENT for another one. */
enum err crypto_sign_as(const struct crypto_private_key *key,
	const struct crypto_signature *signature, const struct bytes *parts, size_t count,
	uint8_t *ret_signature, size_t *ret_len) ERR_MUST_CHECK;
/* Verifies with the key in a DER SubjectPublicKeyInfo. ERR_AUTH_FAILED when it does not verify or the key
 * is not of the signature's type; what crypto_spki_check gives when the SPKI is not one we take. */
enum err crypto_verify(struct bytes spki, const struct crypto_signature *signature,
	const struct bytes *parts, size_t count, struct bytes value) ERR_MUST_CHECK;
/* Whether the octets are a canonical SPKI of a kind we use: ERR_KEY_FORMAT, ERR_KEY_SIZE,
 * ERR_KEY_CURVE.  Whether an ECDSA point is on its curve shows in crypto_verify. */
enum err crypto_spki_check(struct bytes spki) ERR_MUST_CHECK;
/* The kind of a checked SPKI; NULL when it is none. */
const struct crypto_key_kind *crypto_spki_kind(struct bytes spki);
/* From the text of a PEM public key to its DER SPKI (malloc through writer). */
enum err crypto_spki_read_pem(struct bytes pem, struct writer *w) ERR_MUST_CHECK;

#endif
