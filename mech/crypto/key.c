/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private keys of identities and public keys in PEM.  Keys are recognised by their whole DER form
 * (RFC 8410), not through OpenSSL's decoders, which take longer than a signature does.
 */
#include "mech/crypto/library.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define KEY_PEM_BYTES_MAX 65536
#define KEY_SPKI_BYTES_MAX 1024

struct crypto_private_key {
	atomic_uint references;
	const struct crypto_signature_row *row;
	EVP_PKEY *key;
	EVP_MD_CTX *signer; /* ready to sign; copied for each signature, never changed */
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
	int done;

	if (pem.len == 0 || pem.len > KEY_PEM_BYTES_MAX)
		return ERR_KEY_FORMAT;
	bio = BIO_new_mem_buf(pem.data, (int)pem.len);
	if (bio == NULL)
		return ERR_NO_MEMORY;
	(void)ERR_set_mark();
	done = PEM_bytes_read_bio_secmem(&der, &len, NULL, label, bio, key_no_passphrase, NULL);
	(void)ERR_pop_to_mark();
	BIO_free(bio);
	if (done != 1)
		return ERR_KEY_FORMAT;
	*ret_der = der;
	*ret_len = (size_t)len;
	return ERR_OK;
}

/* Takes over pkey, also on failure. */
static enum err key_make(
	const struct crypto_signature_row *row, EVP_PKEY *pkey, struct crypto_private_key **ret_key)
{
	struct crypto_private_key *made = calloc(1, sizeof(*made));
	size_t raw_len = row->public_bytes;
	enum err err = ERR_OK;

	if (made == NULL) {
		EVP_PKEY_free(pkey);
		return ERR_NO_MEMORY;
	}
	atomic_init(&made->references, 1);
	made->row = row;
	made->key = pkey;
	made->signer = EVP_MD_CTX_new();
	made->spki_len = row->spki_prefix.len + row->public_bytes;
	if (made->spki_len > sizeof(made->spki) || made->signer == NULL ||
		EVP_DigestSignInit_ex(
			made->signer, NULL, NULL, crypto_library(), NULL, pkey, NULL) != 1 ||
		EVP_PKEY_get_raw_public_key(pkey, made->spki + row->spki_prefix.len, &raw_len) !=
			1 ||
		raw_len != row->public_bytes) {
		err = ERR_CRYPTO;
		goto out;
	}
	memcpy(made->spki, row->spki_prefix.data, row->spki_prefix.len);
	*ret_key = made;
	made = NULL;
out:
	crypto_private_key_free(&made);
	return err;
}

static enum err key_of_raw(const struct crypto_signature_row *row, struct bytes raw,
	struct crypto_private_key **ret_key)
{
	EVP_PKEY *pkey =
		crypto_import_private(crypto_signature_pool(row), row->signature.key_type, raw);

	return pkey != NULL ? key_make(row, pkey, ret_key) : ERR_CRYPTO;
}

enum err crypto_private_key_read(struct bytes pem, struct crypto_private_key **ret_key)
{
	const struct crypto_signature_row *row;
	uint8_t *der = NULL;
	size_t der_len = 0;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	err = key_pem_read(pem, PEM_STRING_PKCS8INF, &der, &der_len);
	if (err != ERR_OK)
		return err;
	row = crypto_signature_row_of_pkcs8(BYTES(der, der_len));
	err = row != NULL ? key_of_raw(row, BYTES(der + row->pkcs8_prefix.len, row->private_bytes),
				    ret_key)
			  : ERR_KEY_FORMAT;
	OPENSSL_secure_clear_free(der, der_len);
	return err;
}

/* RFC 8032 5.1.5: a private key is 32 random octets. */
enum err crypto_private_key_generate(
	const struct crypto_signature *signature, struct crypto_private_key **ret_key)
{
	const struct crypto_signature_row *row = crypto_signature_row(signature);
	struct secret_key raw = { .len = 0 };
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	if (row == NULL)
		return ERR_ARGUMENT;
	raw.len = row->private_bytes;
	err = crypto_random(raw.data, raw.len);
	if (err == ERR_OK)
		err = key_of_raw(row, secret_key_view(&raw), ret_key);
	secret_key_wipe(&raw);
	return err;
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
	EVP_MD_CTX_free(freed->signer);
	EVP_PKEY_free(freed->key);
	free(freed);
}

const struct crypto_signature *crypto_private_key_signature(const struct crypto_private_key *key)
{
	return &key->row->signature;
}

struct bytes crypto_private_key_spki(const struct crypto_private_key *key)
{
	return BYTES(key->spki, key->spki_len);
}

enum err crypto_sign(const struct crypto_private_key *key, const struct bytes *parts, size_t count,
	uint8_t *ret_signature, size_t *ret_len)
{
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	size_t signature_len = sizeof(signature), message_len = 0;
	EVP_MD_CTX *context = NULL;
	uint8_t *message = NULL;
	enum err err;

	err = crypto_signature_join(parts, count, &message, &message_len);
	if (err != ERR_OK)
		return err;
	context = EVP_MD_CTX_new();
	if (context == NULL) {
		err = ERR_NO_MEMORY;
		goto out;
	}
	if (EVP_MD_CTX_copy_ex(context, key->signer) != 1 ||
		EVP_DigestSign(context, signature, &signature_len, message, message_len) != 1) {
		err = ERR_CRYPTO;
		goto out;
	}
	memcpy(ret_signature, signature, signature_len);
	*ret_len = signature_len;
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
