/* SPDX-License-Identifier: BSD-2-Clause */
/* Signatures and their keys: RFC 8032's vectors, PEM, refusals, keys shared by threads. */
#include <check.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "mech/crypto/library.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

static const struct crypto_signature *ed25519;

static void setup(void)
{
	ck_assert_int_eq(crypto_ready(), ERR_OK);
	ed25519 = crypto_signature_at(0);
	ck_assert_ptr_nonnull(ed25519);
}

/* A PEM text around prefix and raw. */
static size_t pem_write(
	const char *label, struct bytes prefix, struct bytes raw, char *text, size_t room)
{
	unsigned char der[128], base64[256];
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

	len = pem_write("PRIVATE KEY", crypto_signature_row(ed25519)->pkcs8_prefix, raw, text,
		sizeof(text));
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

START_TEST(signature_refuses_what_was_changed)
{
	uint8_t message[] = "signed", signature[CRYPTO_SIGNATURE_MAX], spki_copy[64];
	struct crypto_private_key *key = NULL;
	struct bytes spki, part = BYTES_OF(message);
	size_t len = 0;

	ck_assert_int_eq(crypto_private_key_generate(ed25519, &key), ERR_OK);
	spki = crypto_private_key_spki(key);
	ck_assert_int_eq(crypto_sign(key, &part, 1, signature, &len), ERR_OK);
	for (size_t i = 0; i < len; i++) {
		signature[i] ^= 0x04;
		ck_assert_int_eq(crypto_verify(spki, ed25519, &part, 1, BYTES(signature, len)),
			ERR_AUTH_FAILED);
		signature[i] ^= 0x04;
		ck_assert_int_eq(crypto_verify(spki, ed25519, &part, 1, BYTES(signature, i)),
			ERR_AUTH_FAILED);
	}
	ck_assert_int_eq(
		crypto_verify(spki, ed25519, &part, 1, BYTES(signature, len + 1)), ERR_AUTH_FAILED);
	ck_assert_int_eq(
		crypto_verify(spki, NULL, &part, 1, BYTES(signature, len)), ERR_AUTH_FAILED);
	message[2] ^= 1;
	ck_assert_int_eq(
		crypto_verify(spki, ed25519, &part, 1, BYTES(signature, len)), ERR_AUTH_FAILED);
	message[2] ^= 1;
	memcpy(spki_copy, spki.data, spki.len);
	for (size_t i = 0; i < spki.len; i++) {
		spki_copy[i] ^= 0x20;
		ck_assert_int_eq(crypto_verify(BYTES(spki_copy, spki.len), ed25519, &part, 1,
					 BYTES(signature, len)),
			i < 12 ? ERR_KEY_FORMAT : ERR_AUTH_FAILED);
		spki_copy[i] ^= 0x20;
		ck_assert_int_eq(crypto_spki_check(BYTES(spki_copy, i)), ERR_KEY_FORMAT);
	}
	ck_assert_int_eq(crypto_spki_check(BYTES(spki_copy, spki.len + 1)), ERR_KEY_FORMAT);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	crypto_private_key_free(&key);
}
END_TEST

START_TEST(private_key_survives_writing)
{
	struct crypto_private_key *key = NULL, *again = NULL, *shared;
	struct writer w;

	ck_assert_int_eq(crypto_private_key_generate(ed25519, &key), ERR_OK);
	writer_init(&w, 4096);
	ck_assert_int_eq(crypto_private_key_write(key, &w), ERR_OK);
	ck_assert_int_eq(crypto_private_key_read(writer_view(&w), &again), ERR_OK);
	ck_assert(bytes_equal(crypto_private_key_spki(key), crypto_private_key_spki(again)));
	shared = crypto_private_key_ref(again);
	crypto_private_key_free(&again);
	ck_assert(bytes_equal(crypto_private_key_spki(key), crypto_private_key_spki(shared)));
	crypto_private_key_free(&shared);
	crypto_private_key_free(&key);
	writer_free(&w);
}
END_TEST

START_TEST(private_key_refuses_other_texts)
{
	static const uint8_t raw[64] = { 7 };
	struct bytes prefix = crypto_signature_row(ed25519)->pkcs8_prefix;
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
	struct bytes prefix = crypto_signature_row(ed25519)->spki_prefix;
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

	ck_assert_int_eq(crypto_private_key_generate(ed25519, &key), ERR_OK);
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
	tcase_add_test(tests, private_key_survives_writing);
	tcase_add_test(tests, private_key_refuses_other_texts);
	tcase_add_test(tests, public_key_is_read_from_pem);
	tcase_add_test(tests, threads_share_a_key);
	suite_add_tcase(suite, tests);
	return suite;
}
