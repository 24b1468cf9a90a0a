/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys of identities and public keys in PEM.  A file's kind is read from its DER here
 * (RFC 5958), so that a refusal says what is wrong; Ed25519 keys, whose form is fixed (RFC 8410),
 * go without OpenSSL's decoders.
 */
#include "mech/crypto/library.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PEM_BYTES_MAX 65536
#define KEY_SPKI_BYTES_MAX (CRYPTO_RSA_BITS_MAX / 8 + 64)
#define ED25519_PRIVATE_BYTES 32

struct crypto_private_key {
	atomic_uint references;
	const struct crypto_key_kind *kind;
	EVP_PKEY *key;
	/* ready to sign, one for each way of the kind; copied for each signature, never changed */
	EVP_MD_CTX *signers[CRYPTO_KIND_SIGNATURES_MAX];
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of the SPKI */
	size_t spki_len;
	uint8_t spki[KEY_SPKI_BYTES_MAX];
};

/* No passphrase: an encrypted key is refused, nobody is asked. */
static int key_no_passphrase(char *buffer, int size, int for_writing, void *context)
{
	(void)buffer;
	(void)size;
	(void)for_writing;
	(void)context;
	return -1;
}

/* The DER inside the first PEM block of that label; freed through OPENSSL_secure_clear_free. */
static enum err key_pem_read(
	struct bytes pem, const char *label, uint8_t **ret_der, size_t *ret_len)
{
	unsigned char *der = NULL;
	long len = 0;
	BIO *bio;
	enum err err = crypto_ready();
	int done, guard;

	if (err != ERR_OK)
		return err;
	if (pem.len == 0 || pem.len > KEY_PEM_BYTES_MAX)
		return ERR_KEY_FORMAT;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (bio == NULL)
		return ERR_NO_MEMORY;
	guard = crypto_guard_begin();
	done = PEM_bytes_read_bio_secmem(&der, &len, NULL, label, bio, key_no_passphrase, NULL);
	err = crypto_guard_end(guard, done == 1 ? ERR_OK : crypto_refusal(ERR_KEY_FORMAT));
	BIO_free(bio);
	if (err != ERR_OK)
		return err;
	*ret_der = der;
	*ret_len = (size_t)len;
	return ERR_OK;
}

/* --- making --- */

static enum err key_make_signers(struct crypto_private_key *made)
{
	for (size_t i = 0; i < CRYPTO_KIND_SIGNATURES_MAX; i++) {
		const struct crypto_signature *signature = made->kind->signatures[i];

		if (signature == NULL)
			break;
		made->signers[i] = EVP_MD_CTX_new();
		if (made->signers[i] == NULL)
			return ERR_NO_MEMORY;
		if (EVP_DigestSignInit_ex(made->signers[i], NULL, signature->digest,
			    crypto_library(), NULL, made->key,
			    crypto_signature_params(signature)) != 1)
			return ERR_CRYPTO;
	}
	return ERR_OK;
}

/* The public half in its one form; what is no key of ours shows here. */
static enum err key_make_spki(struct crypto_private_key *made)
{
	struct crypto_public parsed;
	unsigned char *der = NULL;
	struct bytes spki;
	enum err err;
	int len;

	/* A file may ask for compressed points. */
	if (made->kind->family == CRYPTO_ECDSA &&
		EVP_PKEY_set_utf8_string_param(
			made->key, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1)
		return ERR_CRYPTO;
	len = i2d_PUBKEY(made->key, &der);
	if (len <= 0)
		return ERR_CRYPTO;
	spki = BYTES(der, (size_t)len);
	err = crypto_public_parse(spki, &parsed);
	if (err == ERR_OK && (parsed.kind != made->kind || spki.len > sizeof(made->spki)))
		err = ERR_KEY_FORMAT;
	if (err == ERR_OK)
		err = crypto_sha256(&spki, 1, made->digest);
	if (err == ERR_OK) {
		memcpy(made->spki, der, spki.len);
		made->spki_len = spki.len;
	}
	OPENSSL_free(der);
	return err;
}

/* Takes over pkey, also on failure. */
static enum err key_make(
	const struct crypto_key_kind *kind, EVP_PKEY *pkey, struct crypto_private_key **ret_key)
{
	struct crypto_private_key *made = calloc(1, sizeof(*made));
	enum err err;

	if (made == NULL) {
		EVP_PKEY_free(pkey);
		return ERR_NO_MEMORY;
	}
	atomic_init(&made->references, 1);
	made->kind = kind;
	made->key = pkey;
	err = key_make_spki(made);
	if (err == ERR_OK)
		err = key_make_signers(made);
	if (err == ERR_OK) {
		*ret_key = made;
		made = NULL;
	}
	crypto_private_key_free(&made);
	return err;
}

static enum err key_of_raw(
	const struct crypto_key_kind *kind, struct bytes raw, struct crypto_private_key **ret_key)
{
	struct crypto_pool *pool = crypto_key_kind_pool(kind);
	EVP_PKEY *pkey = kind->family == CRYPTO_ECDSA
				 ? crypto_curve_import_private(pool, kind->group, raw)
				 : crypto_import_private(pool, kind->key_type, raw);

	return pkey != NULL ? key_make(kind, pkey, ret_key) : ERR_CRYPTO;
}

/* --- reading --- */

/* PrivateKeyInfo: what kind of key it holds, and the octets that are the key. */
static enum err key_info_read(
	struct bytes der, const struct crypto_key_kind **ret_kind, struct bytes *ret_key)
{
	struct reader r, info, version, algorithm, key;

	reader_init(&r, der);
	info = crypto_der_open(&r, CRYPTO_DER_SEQUENCE);
	version = crypto_der_open(&info, CRYPTO_DER_INTEGER);
	algorithm = crypto_der_open(&info, CRYPTO_DER_SEQUENCE);
	key = crypto_der_open(&info, CRYPTO_DER_OCTET_STRING);
	*ret_key = reader_get_rest(&key);
	/* Attributes may follow: RFC 5958 section 2. */
	if (reader_get_u8(&version) > 1 || reader_finish(&version) != ERR_OK ||
		reader_status(&key) != ERR_OK || reader_status(&info) != ERR_OK ||
		reader_finish(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	return crypto_key_kind_read(reader_get_rest(&algorithm), ret_kind);
}

/* A key file whose halves do not fit would sign what nobody can verify. */
static enum err key_try(const struct crypto_private_key *key)
{
	static const uint8_t text[] = "gss-ipsec";
	struct bytes part = BYTES_OF(text);
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	size_t len = 0;
	enum err err = crypto_sign(key, &part, 1, signature, &len);

	if (err == ERR_OK)
		err = crypto_verify(crypto_private_key_spki(key), key->kind->signatures[0], &part,
			1, BYTES(signature, len));
	return err == ERR_AUTH_FAILED || err == ERR_CRYPTO ? ERR_KEY_FORMAT : err;
}

static enum err key_decode_once(
	const struct crypto_key_kind *kind, struct bytes der, struct crypto_private_key **ret_key)
{
	const unsigned char *next = der.data;
	struct crypto_private_key *key = NULL;
	OSSL_DECODER_CTX *decoder;
	EVP_PKEY *pkey = NULL;
	size_t left = der.len;
	enum err err = ERR_KEY_FORMAT;
	int guard;

	decoder = OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", "PrivateKeyInfo", kind->key_type,
		EVP_PKEY_KEYPAIR, crypto_library(), NULL);
	if (decoder == NULL)
		return ERR_CRYPTO;
	guard = crypto_guard_begin();
	if (OSSL_DECODER_from_data(decoder, &next, &left) == 1 && pkey != NULL)
		err = key_make(kind, pkey, &key);
	if (err == ERR_OK)
		err = key_try(key);
	if (err == ERR_CRYPTO) /* nothing but the key's content differs from one that works */
		err = ERR_KEY_FORMAT;
	err = crypto_guard_end(guard, err);
	OSSL_DECODER_CTX_free(decoder);
	if (err == ERR_OK) {
		*ret_key = key;
		key = NULL;
	}
	crypto_private_key_free(&key);
	return err;
}

/* OpenSSL does not tell a want of memory or randomness from a bad key; but the key stays as it is. */
static enum err key_decode(
	const struct crypto_key_kind *kind, struct bytes der, struct crypto_private_key **ret_key)
{
	enum err err = key_decode_once(kind, der, ret_key);

	return err == ERR_KEY_FORMAT ? key_decode_once(kind, der, ret_key) : err;
}

/* RFC 8410 section 7: CurvePrivateKey, an OCTET STRING in the OCTET STRING, and nothing behind it. */
static enum err key_read_ed25519(const struct crypto_key_kind *kind, struct bytes content,
	struct crypto_private_key **ret_key)
{
	struct reader r, inner;
	struct bytes raw;

	reader_init(&r, content);
	inner = crypto_der_open(&r, CRYPTO_DER_OCTET_STRING);
	raw = reader_get_rest(&inner);
	if (reader_finish(&inner) != ERR_OK || reader_finish(&r) != ERR_OK ||
		raw.len != ED25519_PRIVATE_BYTES)
		return ERR_KEY_FORMAT;
	return key_of_raw(kind, raw, ret_key);
}

enum err crypto_private_key_read(struct bytes pem, struct crypto_private_key **ret_key)
{
	const struct crypto_key_kind *kind = NULL;
	struct bytes content = BYTES_NONE;
	uint8_t *der = NULL;
	size_t der_len = 0;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	err = key_pem_read(pem, PEM_STRING_PKCS8INF, &der, &der_len);
	if (err != ERR_OK)
		return err;
	err = key_info_read(BYTES(der, der_len), &kind, &content);
	if (err == ERR_OK)
		err = kind->family == CRYPTO_ED25519
			      ? key_read_ed25519(kind, content, ret_key)
			      : key_decode(kind, BYTES(der, der_len), ret_key);
	OPENSSL_secure_clear_free(der, der_len);
	return err;
}

/* --- generating --- */

static enum err key_generate_rsa(
	const struct crypto_key_kind *kind, size_t bits, struct crypto_private_key **ret_key)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(crypto_library(), kind->key_type, NULL);
	EVP_PKEY *pkey = NULL;
	bool is_made = context != NULL && EVP_PKEY_keygen_init(context) == 1 &&
		       EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits) == 1 &&
		       EVP_PKEY_generate(context, &pkey) == 1;

	EVP_PKEY_CTX_free(context);
	return is_made ? key_make(kind, pkey, ret_key) : ERR_CRYPTO;
}

/* RFC 8032 5.1.5: a private key of Ed25519 is 32 random octets. */
static enum err key_draw(const struct crypto_key_kind *kind, struct secret_key *ret_raw)
{
	if (kind->family == CRYPTO_ECDSA)
		return crypto_curve_random(kind->group, ret_raw);
	ret_raw->len = ED25519_PRIVATE_BYTES;
	return crypto_random(ret_raw->data, ret_raw->len);
}

enum err crypto_private_key_generate(
	const struct crypto_key_kind *kind, size_t bits, struct crypto_private_key **ret_key)
{
	struct secret_key raw = { .len = 0 };
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	if (kind == NULL ||
		(bits != 0 && (kind->family != CRYPTO_RSA || bits < CRYPTO_RSA_BITS_MIN ||
				      bits > CRYPTO_RSA_BITS_MAX)))
		return ERR_ARGUMENT;
	if (kind->family == CRYPTO_RSA)
		return key_generate_rsa(
			kind, bits != 0 ? bits : (size_t)CRYPTO_RSA_BITS_DEFAULT, ret_key);
	err = key_draw(kind, &raw);
	if (err == ERR_OK)
		err = key_of_raw(kind, secret_key_view(&raw), ret_key);
	secret_key_wipe(&raw);
	return err;
}

enum err crypto_private_key_of_raw(
	const struct crypto_key_kind *kind, struct bytes raw, struct crypto_private_key **ret_key)
{
	enum err err = crypto_ready();
	size_t bytes;
	int guard;

	if (err != ERR_OK)
		return err;
	if (kind->family == CRYPTO_RSA)
		return ERR_ARGUMENT;
	bytes = kind->family == CRYPTO_ECDSA ? kind->public_bytes / 2
					     : (size_t)ED25519_PRIVATE_BYTES;
	if (raw.len != bytes)
		return ERR_ARGUMENT;
	guard = crypto_guard_begin();
	return crypto_guard_end(guard, key_of_raw(kind, raw, ret_key));
}

enum err crypto_private_key_write(const struct crypto_private_key *key, struct writer *w)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	char *text = NULL;
	enum err err;
	long len;

	if (bio == NULL)
		return ERR_NO_MEMORY;
	if (PEM_write_bio_PrivateKey_ex(
		    bio, key->key, NULL, NULL, 0, NULL, NULL, crypto_library(), NULL) != 1) {
		err = ERR_CRYPTO;
		goto out;
	}
	len = BIO_get_mem_data(bio, &text);
	if (len <= 0) {
		err = ERR_CRYPTO;
		goto out;
	}
	writer_put_bytes(w, BYTES((const uint8_t *)text, (size_t)len));
	err = writer_status(w);
out:
	BIO_free(bio);
	return err;
}

/* --- holding --- */

struct crypto_private_key *crypto_private_key_ref(struct crypto_private_key *key)
{
	atomic_fetch_add_explicit(&key->references, 1, memory_order_relaxed);
	return key;
}

void crypto_private_key_free(struct crypto_private_key **key)
{
	struct crypto_private_key *freed = *key;

	*key = NULL;
	if (freed == NULL ||
		atomic_fetch_sub_explicit(&freed->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < CRYPTO_KIND_SIGNATURES_MAX; i++)
		EVP_MD_CTX_free(freed->signers[i]);
	EVP_PKEY_free(freed->key);
	free(freed);
}

const struct crypto_key_kind *crypto_private_key_kind(const struct crypto_private_key *key)
{
	return key->kind;
}

const struct crypto_signature *crypto_private_key_signature(const struct crypto_private_key *key)
{
	return key->kind->signatures[0];
}

struct bytes crypto_private_key_spki(const struct crypto_private_key *key)
{
	return BYTES(key->spki, key->spki_len);
}

struct bytes crypto_private_key_digest(const struct crypto_private_key *key)
{
	return BYTES_OF(key->digest);
}

/* --- signing --- */

enum err crypto_sign(const struct crypto_private_key *key, const struct bytes *parts, size_t count,
	uint8_t *ret_signature, size_t *ret_len)
{
	return crypto_sign_as(
		key, crypto_private_key_signature(key), parts, count, ret_signature, ret_len);
}

static const EVP_MD_CTX *key_signer(
	const struct crypto_private_key *key, const struct crypto_signature *signature)
{
	for (size_t i = 0; signature != NULL && i < CRYPTO_KIND_SIGNATURES_MAX; i++)
		if (key->kind->signatures[i] == signature)
			return key->signers[i];
	return NULL;
}

/* ECDSA draws four times or so; what the others draw is once, or seldom. */
static int sign_message(EVP_MD_CTX *context, const struct crypto_signature *signature,
	uint8_t *made, size_t *made_len, struct bytes message)
{
	int is_signed;

	if (signature->family == CRYPTO_ECDSA)
		crypto_generator_set(CRYPTO_DRAWS_AHEAD);
	is_signed = EVP_DigestSign(context, made, made_len, message.data, message.len);
	if (signature->family == CRYPTO_ECDSA)
		crypto_generator_set(CRYPTO_DRAWS_SINGLE);
	return is_signed;
}

enum err crypto_sign_as(const struct crypto_private_key *key,
	const struct crypto_signature *signature, const struct bytes *parts, size_t count,
	uint8_t *ret_signature, size_t *ret_len)
{
	const EVP_MD_CTX *signer = key_signer(key, signature);
	uint8_t made[CRYPTO_SIGNATURE_MAX];
	size_t made_len = sizeof(made), message_len = 0;
	EVP_MD_CTX *context = NULL;
	uint8_t *message = NULL;
	enum err err = crypto_ready();

	if (err == ERR_OK && signer == NULL)
		err = ERR_ARGUMENT;
	if (err == ERR_OK)
		err = crypto_signature_join(parts, count, &message, &message_len);
	if (err != ERR_OK)
		return err;
	context = EVP_MD_CTX_new();
	if (context == NULL) {
		err = ERR_NO_MEMORY;
		goto out;
	}
	if (EVP_MD_CTX_copy_ex(context, signer) != 1 ||
		sign_message(context, signature, made, &made_len, BYTES(message, message_len)) !=
			1) {
		err = ERR_CRYPTO;
		goto out;
	}
	/* OpenSSL 3.0's ECDSA says that it has signed when it got no memory to encode with: its
	 * length is what i2d gave, 0 or (unsigned int)-1. */
	if (made_len == 0 || made_len > sizeof(made)) {
		err = ERR_NO_MEMORY;
		goto out;
	}
	memcpy(ret_signature, made, made_len);
	*ret_len = made_len;
out:
	EVP_MD_CTX_free(context);
	secret_free(message, message_len + 1);
	return err;
}

enum err crypto_spki_read_pem(struct bytes pem, struct writer *w)
{
	uint8_t *der = NULL;
	size_t der_len = 0;
	enum err err = key_pem_read(pem, PEM_STRING_PUBLIC, &der, &der_len);

	if (err != ERR_OK)
		return err;
	err = crypto_spki_check(BYTES(der, der_len));
	if (err == ERR_OK) {
		writer_put_bytes(w, BYTES(der, der_len));
		err = writer_status(w);
	}
	OPENSSL_secure_clear_free(der, der_len);
	return err;
}
