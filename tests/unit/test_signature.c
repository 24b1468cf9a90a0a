/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures and their keys: RFC 8032's vectors, PEM, refusals, keys shared by threads. */
#include <check.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mech/crypto/library.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

static const struct crypto_signature *ed25519;
static const struct crypto_key_kind *ed25519_kind;

static const uint8_t ed25519_spki[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03,
	0x21, 0x00 };
static const uint8_t ed25519_pkcs8[] = { 0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b,
	0x65, 0x70, 0x04, 0x22, 0x04, 0x20 };

static void setup(void)
{
	ck_assert_int_eq(crypto_ready(), ERR_OK);
	ed25519 = crypto_signature_at(0);
	ck_assert_ptr_nonnull(ed25519);
	ed25519_kind = crypto_key_kind_find("ed25519");
	ck_assert_ptr_nonnull(ed25519_kind);
}

/* A key of the kind; RSA's is a kept one, since making it takes long. */
static struct crypto_private_key *key_of_kind(const struct crypto_key_kind *kind)
{
	struct crypto_private_key *key = NULL;
	uint8_t pem[4096];
	FILE *file;
	size_t len;

	if (kind->family != CRYPTO_RSA) {
		ck_assert_int_eq(crypto_private_key_generate(kind, 0, &key), ERR_OK);
		return key;
	}
	file = fopen("tests/vectors/rsa_alice.pem", "r");
	ck_assert_ptr_nonnull(file);
	len = fread(pem, 1, sizeof(pem), file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(crypto_private_key_read(BYTES(pem, len), &key), ERR_OK);
	return key;
}

/* A PEM text around prefix and raw. */
static size_t pem_write(
	const char *label, struct bytes prefix, struct bytes raw, char *text, size_t room)
{
	unsigned char der[256], base64[400];
	int len;

	memcpy(der, prefix.data, prefix.len);
	memcpy(der + prefix.len, raw.data, raw.len);
	(void)EVP_EncodeBlock(base64, der, (int)(prefix.len + raw.len));
	len = snprintf(text, room, "-----BEGIN %s-----\n%s\n-----END %s-----\n", label,
		(const char *)base64, label);
	ck_assert(len > 0 && (size_t)len < room);
	return (size_t)len;
}

static struct crypto_private_key *key_of_raw(struct bytes raw)
{
	struct crypto_private_key *key = NULL;
	char text[512];
	size_t len;

	len = pem_write("PRIVATE KEY", BYTES_OF(ed25519_pkcs8), raw, text, sizeof(text));
	ck_assert_int_eq(crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_OK);
	return key;
}

static void signature_case(int number)
{
	struct vector_field secret, public_key, message, expected;
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	struct crypto_private_key *key;
	struct bytes spki, parts[2];
	size_t len = 0;

	vector_read_numbered("ed25519.hex", "secret", number, &secret);
	vector_read_numbered("ed25519.hex", "public", number, &public_key);
	vector_read_numbered("ed25519.hex", "message", number, &message);
	vector_read_numbered("ed25519.hex", "signature", number, &expected);
	key = key_of_raw(vector_view(&secret));
	ck_assert_ptr_eq(crypto_private_key_signature(key), ed25519);
	spki = crypto_private_key_spki(key);
	ck_assert_int_eq(crypto_spki_check(spki), ERR_OK);
	ck_assert_mem_eq(spki.data + 12, public_key.data, 32);
	parts[0] = BYTES(message.data, message.len / 2);
	parts[1] = BYTES(message.data + message.len / 2, message.len - message.len / 2);
	ck_assert_int_eq(crypto_sign(key, parts, 2, signature, &len), ERR_OK);
	ck_assert_uint_eq(len, 64);
	ck_assert_mem_eq(signature, expected.data, 64);
	ck_assert_int_eq(crypto_verify(spki, ed25519, parts, 2, BYTES(signature, len)), ERR_OK);
	crypto_private_key_free(&key);
	ck_assert_ptr_null(key);
}

START_TEST(signature_vectors)
{
	for (int number = 1; number <= 4; number++)
		signature_case(number);
}
END_TEST

static void refuses_what_was_changed(const struct crypto_key_kind *kind, size_t way)
{
	const struct crypto_signature *how = kind->signatures[way];
	uint8_t message[] = "signed", signature[CRYPTO_SIGNATURE_MAX + 1], spki[1200];
	struct crypto_private_key *key = key_of_kind(kind);
	struct bytes own = crypto_private_key_spki(key), part = BYTES_OF(message);
	size_t len = 0;

	ck_assert_int_eq(crypto_sign_as(key, how, &part, 1, signature, &len), ERR_OK);
	ck_assert_int_eq(crypto_verify(own, how, &part, 1, BYTES(signature, len)), ERR_OK);
	for (size_t i = 0; i < len; i++) {
		signature[i] ^= 0x04;
		ck_assert_int_eq(
			crypto_verify(own, how, &part, 1, BYTES(signature, len)), ERR_AUTH_FAILED);
		signature[i] ^= 0x04;
		ck_assert_int_eq(
			crypto_verify(own, how, &part, 1, BYTES(signature, i)), ERR_AUTH_FAILED);
	}
	ck_assert_int_eq(
		crypto_verify(own, how, &part, 1, BYTES(signature, len + 1)), ERR_AUTH_FAILED);
	for (size_t i = 0; i < crypto_signature_count(); i++)
		if (crypto_signature_at(i) != how)
			ck_assert_int_eq(crypto_verify(own, crypto_signature_at(i), &part, 1,
						 BYTES(signature, len)),
				ERR_AUTH_FAILED);
	ck_assert_int_eq(
		crypto_verify(own, NULL, &part, 1, BYTES(signature, len)), ERR_AUTH_FAILED);
	message[2] ^= 1;
	ck_assert_int_eq(crypto_verify(own, how, &part, 1, BYTES(signature, len)), ERR_AUTH_FAILED);
	message[2] ^= 1;
	memcpy(spki, own.data, own.len);
	for (size_t i = 0; i < own.len; i++) {
		spki[i] ^= 0x20;
		ck_assert_int_ne(
			crypto_verify(BYTES(spki, own.len), how, &part, 1, BYTES(signature, len)),
			ERR_OK);
		spki[i] ^= 0x20;
		ck_assert_int_eq(crypto_spki_check(BYTES(spki, i)), ERR_KEY_FORMAT);
	}
	spki[own.len] = 0;
	ck_assert_int_eq(crypto_spki_check(BYTES(spki, own.len + 1)), ERR_KEY_FORMAT);
	ck_assert_ptr_eq(crypto_spki_kind(own), kind);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	crypto_private_key_free(&key);
}

START_TEST(signature_refuses_what_was_changed)
{
	for (size_t i = 0; i < crypto_key_kind_count(); i++)
		for (size_t way = 0; way < CRYPTO_KIND_SIGNATURES_MAX; way++)
			if (crypto_key_kind_at(i)->signatures[way] != NULL)
				refuses_what_was_changed(crypto_key_kind_at(i), way);
}
END_TEST

/* The DER of an ECDSA-Sig-Value. */
static size_t der_of_integers(
	const struct vector_field *r, const struct vector_field *s, uint8_t *out)
{
	const struct vector_field *numbers[] = { r, s };
	size_t len = 2;

	for (size_t i = 0; i < 2; i++) {
		const struct vector_field *n = numbers[i];
		bool needs_zero = n->data[0] >= 0x80;

		out[len++] = 0x02;
		out[len++] = (uint8_t)(n->len + needs_zero);
		if (needs_zero)
			out[len++] = 0;
		memcpy(out + len, n->data, n->len);
		len += n->len;
	}
	out[0] = 0x30;
	out[1] = (uint8_t)(len - 2);
	return len;
}

/* A private key of RFC 4754 gives its public key; its signature verifies. */
static void ecdsa_case(const struct crypto_key_kind *kind, int number)
{
	struct vector_field secret, x, y, r, s;
	struct bytes part = BYTES((const uint8_t *)"abc", 3);
	uint8_t signature[256], spki[256];
	struct crypto_private_key *any = NULL;
	size_t bytes = kind->public_bytes / 2, spki_len, len;
	EVP_PKEY *pair;
	uint8_t point[128];
	size_t point_len = 0;

	vector_read_numbered("ecdsa.hex", "private", number, &secret);
	vector_read_numbered("ecdsa.hex", "public_x", number, &x);
	vector_read_numbered("ecdsa.hex", "public_y", number, &y);
	vector_read_numbered("ecdsa.hex", "r", number, &r);
	vector_read_numbered("ecdsa.hex", "s", number, &s);
	pair = crypto_curve_import_private(
		crypto_key_kind_pool(kind), kind->group, vector_view(&secret));
	ck_assert_ptr_nonnull(pair);
	ck_assert_int_eq(EVP_PKEY_get_octet_string_param(
				 pair, "encoded-pub-key", point, sizeof(point), &point_len),
		1);
	ck_assert_uint_eq(point_len, kind->public_bytes);
	ck_assert_mem_eq(point + 1, x.data, bytes);
	ck_assert_mem_eq(point + 1 + bytes, y.data, bytes);
	EVP_PKEY_free(pair);
	ck_assert_int_eq(crypto_private_key_generate(kind, 0, &any), ERR_OK);
	spki_len = crypto_private_key_spki(any).len;
	memcpy(spki, crypto_private_key_spki(any).data, spki_len);
	memcpy(spki + spki_len - 2 * bytes, point + 1, 2 * bytes);
	crypto_private_key_free(&any);
	len = der_of_integers(&r, &s, signature);
	ck_assert_int_eq(crypto_verify(BYTES(spki, spki_len), kind->signatures[0], &part, 1,
				 BYTES(signature, len)),
		ERR_OK);
	/* off the curve */
	spki[spki_len - 1] ^= 1;
	ck_assert_int_eq(crypto_verify(BYTES(spki, spki_len), kind->signatures[0], &part, 1,
				 BYTES(signature, len)),
		ERR_KEY_FORMAT);
}

START_TEST(ecdsa_vectors)
{
	ecdsa_case(crypto_key_kind_find("ecdsa-p256"), 1);
	ecdsa_case(crypto_key_kind_find("ecdsa-p384"), 2);
}
END_TEST

START_TEST(rsa_pss_vectors)
{
	static struct vector_field spki, message, value;
	struct bytes part;

	vector_read("rsa_pss.hex", "spki", &spki);
	vector_read("rsa_pss.hex", "message", &message);
	part = vector_view(&message);
	for (int i = 0; i < 3; i++) {
		vector_read_numbered("rsa_pss.hex", "signature", i + 1, &value);
		for (int j = 0; j < 3; j++)
			ck_assert_int_eq(crypto_verify(vector_view(&spki),
						 crypto_key_kind_find("rsa")->signatures[j], &part,
						 1, vector_view(&value)),
				i == j ? ERR_OK : ERR_AUTH_FAILED);
	}
	/* a salt of another length than the hash */
	vector_read("rsa_pss.hex", "short_salt", &value);
	ck_assert_int_eq(
		crypto_verify(vector_view(&spki), crypto_key_kind_find("rsa")->signatures[0], &part,
			1, vector_view(&value)),
		ERR_AUTH_FAILED);
}
END_TEST

/* RFC 7427 A.4.3 writes the trailer; RFC 4055 2.1 takes hashes without NULL; charon leaves both. */
START_TEST(pss_parameters_in_every_form)
{
	/* with NULL and trailer: the RFC's example, octet for octet */
	static const uint8_t example[] = { 0x30, 0x46, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x01, 0x0a, 0x30, 0x39, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86,
		0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06,
		0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09,
		0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02,
		0x01, 0x20, 0xa3, 0x03, 0x02, 0x01, 0x01 };
	/* without NULL */
	static const uint8_t bare[] = { 0x30, 0x3d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
		0x01, 0x01, 0x0a, 0x30, 0x30, 0xa0, 0x0d, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
		0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa1, 0x1a, 0x30, 0x18, 0x06, 0x09, 0x2a, 0x86,
		0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
		0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0xa2, 0x03, 0x02, 0x01, 0x20 };
	/* defaults: SHA-1 */
	static const uint8_t defaults[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
		0x0d, 0x01, 0x01, 0x0a, 0x30, 0x00 };
	const struct crypto_signature *pss = crypto_key_kind_find("rsa")->signatures[0];
	uint8_t copy[80];

	ck_assert_ptr_eq(crypto_signature_find(BYTES_OF(example)), pss);
	ck_assert_ptr_eq(crypto_signature_find(BYTES_OF(bare)), pss);
	ck_assert_ptr_null(crypto_signature_find(BYTES_OF(defaults)));
	for (size_t i = 0; i < crypto_signature_count(); i++)
		ck_assert_ptr_eq(crypto_signature_find(crypto_signature_at(i)->algorithm),
			crypto_signature_at(i));
	memcpy(copy, example, sizeof(example));
	for (size_t i = 0; i < sizeof(example); i++) {
		ck_assert_ptr_null(crypto_signature_find(BYTES(copy, i)));
		for (unsigned int bit = 0; bit < 8; bit++) {
			copy[i] ^= (uint8_t)(1u << bit);
			ck_assert_ptr_null(crypto_signature_find(BYTES(copy, sizeof(example))));
			copy[i] ^= (uint8_t)(1u << bit);
		}
	}
}
END_TEST

/* Points of small order, least octet first, without the sign of x (RFC 8032 5.1.2); then what is not
 * below the field's prime, 2^255 - 19, and so is 0, 1 and 4 once more.  middle: of the 30 between. */
static const struct {
	uint8_t first, middle, last;
	const char *hex; /* in full */
} ed25519_weak_rows[] = {
	{ 0, 0, 0, NULL },
	{ 1, 0, 0, NULL },
	{ 0xec, 0xff, 0x7f, NULL },
	{ 0, 0, 0, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05" },
	{ 0, 0, 0, "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a" },
	{ 0xed, 0xff, 0x7f, NULL },
	{ 0xee, 0xff, 0x7f, NULL },
	{ 0xf1, 0xff, 0x7f, NULL },
};

static void ed25519_weak_spki(size_t row, uint8_t spki[44])
{
	uint8_t *raw = spki + sizeof(ed25519_spki);
	const char *hex = ed25519_weak_rows[row].hex;
	unsigned int octet;

	memcpy(spki, ed25519_spki, sizeof(ed25519_spki));
	memset(raw, ed25519_weak_rows[row].middle, 32);
	raw[0] = ed25519_weak_rows[row].first;
	raw[31] = ed25519_weak_rows[row].last;
	for (size_t i = 0; hex != NULL && i < 32; i++) {
		ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &octet), 1);
		raw[i] = (uint8_t)octet;
	}
}

/* With the neutral point as key, [s]B and s sign whatever anybody likes: here s = 0. */
START_TEST(a_key_that_verifies_everything_is_refused)
{
	static const uint8_t text[] = "whatever anybody likes";
	uint8_t spki[44], forged[64] = { 1 };
	struct bytes part = BYTES_OF(text);

	for (size_t row = 0; row < CRYPTO_COUNT(ed25519_weak_rows); row++) {
		ed25519_weak_spki(row, spki);
		for (unsigned int sign = 0; sign < 2; sign++, spki[43] ^= 0x80) {
			ck_assert_int_eq(crypto_spki_check(BYTES_OF(spki)), ERR_KEY_FORMAT);
			ck_assert_int_eq(
				crypto_verify(BYTES_OF(spki), ed25519, &part, 1, BYTES_OF(forged)),
				ERR_KEY_FORMAT);
		}
	}
	/* the greatest that is below the prime and of no small order */
	ed25519_weak_spki(5, spki);
	spki[sizeof(ed25519_spki)] = 0xeb;
	ck_assert_int_eq(crypto_spki_check(BYTES_OF(spki)), ERR_OK);
}
END_TEST

START_TEST(private_key_survives_writing)
{
	for (size_t i = 0; i < crypto_key_kind_count(); i++) {
		struct crypto_private_key *key = key_of_kind(crypto_key_kind_at(i));
		struct crypto_private_key *again = NULL, *shared;
		struct writer w;

		writer_init(&w, 8192);
		ck_assert_int_eq(crypto_private_key_write(key, &w), ERR_OK);
		ck_assert_int_eq(crypto_private_key_read(writer_view(&w), &again), ERR_OK);
		ck_assert_ptr_eq(crypto_private_key_kind(again), crypto_key_kind_at(i));
		ck_assert(
			bytes_equal(crypto_private_key_spki(key), crypto_private_key_spki(again)));
		shared = crypto_private_key_ref(again);
		crypto_private_key_free(&again);
		ck_assert(
			bytes_equal(crypto_private_key_spki(key), crypto_private_key_spki(shared)));
		crypto_private_key_free(&shared);
		crypto_private_key_free(&key);
		writer_free(&w);
	}
}
END_TEST

/* A PEM private key of any type that OpenSSL can make. */
static enum err read_made(const char *type, const char *parameter, size_t bits)
{
	OSSL_LIB_CTX *library = crypto_library();
	EVP_PKEY *pkey = bits != 0	     ? EVP_PKEY_Q_keygen(library, NULL, type, bits)
			 : parameter != NULL ? EVP_PKEY_Q_keygen(library, NULL, type, parameter)
					     : EVP_PKEY_Q_keygen(library, NULL, type);
	struct crypto_private_key *key = NULL;
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	enum err err;
	long len;

	ck_assert_ptr_nonnull(pkey);
	ck_assert_int_eq(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
	len = BIO_get_mem_data(bio, &text);
	err = crypto_private_key_read(BYTES((const uint8_t *)text, (size_t)len), &key);
	crypto_private_key_free(&key);
	BIO_free(bio);
	EVP_PKEY_free(pkey);
	return err;
}

START_TEST(other_keys_are_refused_with_their_reason)
{
	ck_assert_int_eq(read_made("RSA", NULL, 1024), ERR_KEY_SIZE);
	ck_assert_int_eq(read_made("RSA", NULL, 2040), ERR_KEY_SIZE);
	ck_assert_int_eq(read_made("EC", "P-521", 0), ERR_KEY_CURVE);
	ck_assert_int_eq(read_made("EC", "secp256k1", 0), ERR_KEY_CURVE);
	ck_assert_int_eq(read_made("EC", "P-384", 0), ERR_OK);
	ck_assert_int_eq(read_made("ED448", NULL, 0), ERR_KEY_FORMAT);
	ck_assert_int_eq(read_made("X25519", NULL, 0), ERR_KEY_FORMAT);
}
END_TEST

START_TEST(generating_takes_sensible_sizes_only)
{
	const struct crypto_key_kind *rsa = crypto_key_kind_find("rsa");
	struct crypto_private_key *key = NULL;

	ck_assert_int_eq(crypto_private_key_generate(rsa, 1024, &key), ERR_ARGUMENT);
	ck_assert_int_eq(crypto_private_key_generate(rsa, 16384, &key), ERR_ARGUMENT);
	ck_assert_int_eq(crypto_private_key_generate(ed25519_kind, 2048, &key), ERR_ARGUMENT);
	ck_assert_int_eq(crypto_private_key_generate(NULL, 0, &key), ERR_ARGUMENT);
	ck_assert_ptr_null(crypto_key_kind_find("dsa"));
	ck_assert_ptr_null(crypto_key_kind_at(crypto_key_kind_count()));
}
END_TEST

/* Halves that do not fit: the scalar of one key, the point of another. */
START_TEST(a_key_whose_halves_differ_is_refused)
{
	static const uint8_t info[] = { 0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07,
		0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20 };
	static const uint8_t point_head[] = { 0xa1, 0x44, 0x03, 0x42, 0x00 };
	const struct crypto_key_kind *kind = crypto_key_kind_find("ecdsa-p256");
	struct crypto_private_key *other = key_of_kind(kind), *key = NULL;
	struct bytes spki = crypto_private_key_spki(other);
	struct vector_field secret, x, y;
	uint8_t tail[32 + 5 + 65];
	char text[512];
	size_t len;

	vector_read_numbered("ecdsa.hex", "private", 1, &secret);
	vector_read_numbered("ecdsa.hex", "public_x", 1, &x);
	vector_read_numbered("ecdsa.hex", "public_y", 1, &y);
	memcpy(tail, secret.data, 32);
	memcpy(tail + 32, point_head, 5);
	tail[37] = 0x04;
	memcpy(tail + 38, x.data, 32);
	memcpy(tail + 70, y.data, 32);
	len = pem_write("PRIVATE KEY", BYTES_OF(info), BYTES_OF(tail), text, sizeof(text));
	ck_assert_int_eq(crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_OK);
	crypto_private_key_free(&key);
	memcpy(tail + 37, spki.data + spki.len - 65, 65);
	len = pem_write("PRIVATE KEY", BYTES_OF(info), BYTES_OF(tail), text, sizeof(text));
	ck_assert_int_eq(
		crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_KEY_FORMAT);
	crypto_private_key_free(&other);
}
END_TEST

START_TEST(private_key_refuses_other_texts)
{
	static const uint8_t raw[64] = { 7 };
	struct bytes prefix = BYTES_OF(ed25519_pkcs8);
	struct crypto_private_key *key = NULL;
	char text[512];
	size_t len;

	ck_assert_int_eq(crypto_private_key_read(BYTES_NONE, &key), ERR_KEY_FORMAT);
	len = pem_write("PRIVATE KEY", prefix, BYTES(raw, 31), text, sizeof(text));
	ck_assert_int_eq(
		crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_KEY_FORMAT);
	len = pem_write("EC PRIVATE KEY", prefix, BYTES(raw, 32), text, sizeof(text));
	ck_assert_int_eq(
		crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_KEY_FORMAT);
	len = pem_write("ENCRYPTED PRIVATE KEY", prefix, BYTES(raw, 32), text, sizeof(text));
	ck_assert_int_eq(
		crypto_private_key_read(BYTES((const uint8_t *)text, len), &key), ERR_KEY_FORMAT);
	len = pem_write("PRIVATE KEY", prefix, BYTES(raw, 32), text, sizeof(text));
	for (size_t cut = 0; cut + 1 < len; cut++)
		ck_assert_int_eq(crypto_private_key_read(BYTES((const uint8_t *)text, cut), &key),
			ERR_KEY_FORMAT);
	for (size_t i = 0; i < len; i++) {
		text[i] = (char)(text[i] ^ 0x20);
		if (crypto_private_key_read(BYTES((const uint8_t *)text, len), &key) == ERR_OK)
			crypto_private_key_free(&key);
		text[i] = (char)(text[i] ^ 0x20);
	}
	ck_assert_uint_eq(ERR_peek_error(), 0);
}
END_TEST

START_TEST(public_key_is_read_from_pem)
{
	static const uint8_t raw[40] = { 7 };
	struct bytes prefix = BYTES_OF(ed25519_spki);
	struct writer w;
	char text[512];
	size_t len;

	writer_init(&w, 256);
	len = pem_write("PUBLIC KEY", prefix, BYTES(raw, 32), text, sizeof(text));
	ck_assert_int_eq(crypto_spki_read_pem(BYTES((const uint8_t *)text, len), &w), ERR_OK);
	ck_assert_uint_eq(writer_view(&w).len, 44);
	ck_assert_mem_eq(writer_view(&w).data, prefix.data, prefix.len);
	for (size_t cut = 0; cut + 1 < len; cut++)
		ck_assert_int_eq(crypto_spki_read_pem(BYTES((const uint8_t *)text, cut), &w),
			ERR_KEY_FORMAT);
	len = pem_write("PUBLIC KEY", prefix, BYTES(raw, 33), text, sizeof(text));
	ck_assert_int_eq(
		crypto_spki_read_pem(BYTES((const uint8_t *)text, len), &w), ERR_KEY_FORMAT);
	ck_assert_uint_eq(writer_view(&w).len, 44);
	writer_free(&w);
}
END_TEST

/* The same key, and the objects that are kept, from several threads at once. */
static void *thread_signs(void *context)
{
	const struct crypto_private_key *key = context;
	uint8_t message[48], signature[CRYPTO_SIGNATURE_MAX], output[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes part = BYTES_OF(message);
	const char *failure = NULL;
	size_t len = 0;

	for (int i = 0; i < 50 && failure == NULL; i++) {
		if (crypto_random(message, sizeof(message)) != ERR_OK ||
			crypto_sign(key, &part, 1, signature, &len) != ERR_OK ||
			crypto_verify(crypto_private_key_spki(key), ed25519, &part, 1,
				BYTES(signature, len)) != ERR_OK)
			failure = "signature";
		else if (crypto_prf_compute(crypto_prf_find(5), part, &part, 1, output) != ERR_OK ||
			 crypto_sha256(&part, 1, output) != ERR_OK)
			failure = "prf or hash";
	}
	return (void *)(uintptr_t)failure;
}

START_TEST(threads_share_a_key)
{
	struct crypto_private_key *key = NULL;
	pthread_t threads[6];
	void *failure = NULL;

	ck_assert_int_eq(crypto_private_key_generate(ed25519_kind, 0, &key), ERR_OK);
	for (size_t i = 0; i < 6; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_signs, key), 0);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failure), 0);
		ck_assert_ptr_null(failure);
	}
	crypto_private_key_free(&key);
}
END_TEST

Suite *suite_signature(void)
{
	Suite *suite = suite_create("signature");
	TCase *tests = tcase_create("signature");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, signature_vectors);
	tcase_add_test(tests, signature_refuses_what_was_changed);
	tcase_add_test(tests, ecdsa_vectors);
	tcase_add_test(tests, rsa_pss_vectors);
	tcase_add_test(tests, pss_parameters_in_every_form);
	tcase_add_test(tests, a_key_that_verifies_everything_is_refused);
	tcase_add_test(tests, private_key_survives_writing);
	tcase_add_test(tests, other_keys_are_refused_with_their_reason);
	tcase_add_test(tests, generating_takes_sensible_sizes_only);
	tcase_add_test(tests, a_key_whose_halves_differ_is_refused);
	tcase_add_test(tests, private_key_refuses_other_texts);
	tcase_add_test(tests, public_key_is_read_from_pem);
	tcase_add_test(tests, threads_share_a_key);
	suite_add_tcase(suite, tests);
	return suite;
}
