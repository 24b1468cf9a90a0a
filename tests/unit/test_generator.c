/* SPDX-License-Identifier: BSD-2-Clause */
/* What OpenSSL draws in the mechanism's library context: the kernel's octets, and how many calls it takes. */
#include <check.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mech/crypto/library.h"
#include "tests/unit/suites.h"

/* These stand before the C library's, for all suites, and for libcrypto. */
#define IN_PLACE __attribute__((visibility("default")))

static unsigned int kernel_calls;
static bool is_kernel_dry;
static pid_t process_number; /* 0: the true one */

IN_PLACE ssize_t getrandom(void *out, size_t len, unsigned int flags)
{
	pthread_testcancel(); /* as the C library's */
	kernel_calls++;
	if (is_kernel_dry) {
		memset(out, 0, len);
		errno = EPERM;
		return -1;
	}
	return syscall(SYS_getrandom, out, len, flags);
}

IN_PLACE pid_t getpid(void)
{
	return process_number != 0 ? process_number : (pid_t)syscall(SYS_getpid);
}

static void draw(OSSL_LIB_CTX *library, uint8_t *out, size_t len)
{
	ck_assert_int_eq(RAND_priv_bytes_ex(library, out, len, 0), 1);
}

static const char *name_of(EVP_RAND_CTX *generator)
{
	ck_assert_ptr_nonnull(generator);
	return EVP_RAND_get0_name(EVP_RAND_CTX_get0_rand(generator));
}

/* In the mechanism's library context, and only there. */
START_TEST(it_is_the_generator_of_every_kind)
{
	OSSL_LIB_CTX *library = crypto_library();

	ck_assert_str_eq(name_of(RAND_get0_private(library)), "KERNEL");
	ck_assert_str_eq(name_of(RAND_get0_public(library)), "KERNEL");
	ck_assert_str_eq(name_of(RAND_get0_primary(library)), "KERNEL");
	ck_assert_str_ne(name_of(RAND_get0_private(NULL)), "KERNEL");
}
END_TEST

#define DRAWS 100

/* No two of 16 octets are the same, whatever is drawn ahead; the last ones are longer than that. */
START_TEST(nothing_is_drawn_twice)
{
	static uint8_t draws[3 * DRAWS][16], longer[70000];
	size_t count = 0;

	for (int kind = CRYPTO_DRAWS_SINGLE; kind <= CRYPTO_DRAWS_PUBLIC; kind++) {
		crypto_generator_set((enum crypto_draws)kind);
		for (int i = 0; i < DRAWS; i++)
			draw(crypto_library(), draws[count++], 1 + (size_t)i % 16);
		draw(crypto_library(), longer, sizeof(longer));
		crypto_generator_set(CRYPTO_DRAWS_SINGLE);
	}
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++)
			ck_assert(i % DRAWS % 16 < 8 || memcmp(draws[i], draws[j], 16) != 0);
}
END_TEST

START_TEST(so_many_calls_of_the_kernel)
{
	uint8_t out[300];

	draw(crypto_library(), out, 1);
	kernel_calls = 0;
	for (int i = 0; i < 4; i++)
		draw(crypto_library(), out, 64);
	ck_assert_uint_eq(kernel_calls, 4);
	crypto_generator_set(CRYPTO_DRAWS_AHEAD);
	for (int i = 0; i < 4; i++)
		draw(crypto_library(), out, 64);
	ck_assert_uint_eq(kernel_calls, 5);
	draw(crypto_library(), out, 300);
	ck_assert_uint_eq(kernel_calls, 6);
	draw(crypto_library(), out, 1);
	ck_assert_uint_eq(kernel_calls, 7);
	crypto_generator_set(CRYPTO_DRAWS_SINGLE);
	draw(crypto_library(), out, 1);
	ck_assert_uint_eq(kernel_calls, 8);
}
END_TEST

static struct crypto_private_key *new_key(const char *word)
{
	struct crypto_private_key *key = NULL;

	ck_assert_int_eq(crypto_private_key_generate(crypto_key_kind_find(word), 0, &key), ERR_OK);
	return key;
}

/* A signature and its verification with each kind of key. */
START_TEST(so_many_calls_for_a_signature)
{
	static const struct {
		const char *word;
		unsigned int sign, verify;
	} keys[] = { { "ed25519", 0, 0 }, { "ecdsa-p256", 1, 0 }, { "ecdsa-p384", 1, 0 } };
	const struct bytes message = BYTES((const uint8_t *)"message", 7);

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct crypto_private_key *key = new_key(keys[i].word);
		uint8_t signature[CRYPTO_SIGNATURE_MAX];
		size_t len = 0;

		/* twice 600 of blocks of 1000: now 400 are there */
		ck_assert_int_eq(crypto_random_public(signature, 600), ERR_OK);
		ck_assert_int_eq(crypto_random_public(signature, 600), ERR_OK);
		kernel_calls = 0;
		ck_assert_int_eq(crypto_sign(key, &message, 1, signature, &len), ERR_OK);
		ck_assert_uint_eq(kernel_calls, keys[i].sign);
		ck_assert_int_eq(crypto_verify(crypto_private_key_spki(key),
					 crypto_private_key_signature(key), &message, 1,
					 BYTES(signature, len)),
			ERR_OK);
		ck_assert_uint_eq(kernel_calls, keys[i].sign + keys[i].verify);
		crypto_private_key_free(&key);
	}
}
END_TEST

START_TEST(without_the_kernel_nothing_is_drawn)
{
	uint8_t out[64];

	draw(crypto_library(), out, 1);
	is_kernel_dry = true;
	for (int kind = CRYPTO_DRAWS_SINGLE; kind <= CRYPTO_DRAWS_AHEAD; kind++) {
		crypto_generator_set((enum crypto_draws)kind);
		ck_assert_int_eq(RAND_priv_bytes_ex(crypto_library(), out, sizeof(out), 0), 0);
		ck_assert_int_eq(RAND_priv_bytes_ex(crypto_library(), out, sizeof(out), 0), 0);
	}
	is_kernel_dry = false;
	draw(crypto_library(), out, sizeof(out));
	crypto_generator_set(CRYPTO_DRAWS_SINGLE);
}
END_TEST

static enum err sign_with(const struct crypto_private_key *key)
{
	const struct bytes message = BYTES((const uint8_t *)"message", 7);
	uint8_t signature[CRYPTO_SIGNATURE_MAX];
	size_t len = 0;

	return crypto_sign(key, &message, 1, signature, &len);
}

static bool has_signed;

static void *sign_cancelled(void *key)
{
	uint8_t nonce[32];

	(void)pthread_cancel(pthread_self());
	has_signed =
		sign_with(key) == ERR_OK && crypto_random_public(nonce, sizeof(nonce)) == ERR_OK;
	pthread_testcancel();
	return NULL;
}

/* A thread that is cancelled ends behind its signature: in its midst, OpenSSL's locks would stay taken. */
START_TEST(a_cancelled_thread_signs_to_the_end)
{
	static const char *const words[] = { "ecdsa-p256", "ecdsa-p384", "rsa" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct crypto_private_key *key = new_key(words[i]);
		pthread_t thread;
		void *result = NULL;

		has_signed = false;
		ck_assert_int_eq(pthread_create(&thread, NULL, sign_cancelled, key), 0);
		ck_assert_int_eq(pthread_join(thread, &result), 0);
		ck_assert_ptr_eq(result, PTHREAD_CANCELED);
		ck_assert(has_signed);
		ck_assert_int_eq(sign_with(key), ERR_OK);
		crypto_private_key_free(&key);
	}
}
END_TEST

/* The program, which has used OpenSSL, cleans it up; in a child, since there is none afterwards. */
START_TEST(without_openssl_nothing_is_signed)
{
	struct crypto_private_key *key = new_key("ecdsa-p256");
	int status = -1;
	uint8_t octet;
	pid_t child;

	draw(NULL, &octet, 1);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		OPENSSL_cleanup();
		_exit(sign_with(key) == ERR_CRYPTO ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	crypto_private_key_free(&key);
}
END_TEST

/* Whether a forked child that has its parent's number draws what the parent draws. */
static bool is_drawn_in_a_child_too(OSSL_LIB_CTX *library)
{
	uint8_t here[32], there[32];
	int ends[2], status = -1;
	pid_t child;

	process_number = 1;
	draw(library, here, 1);
	ck_assert_int_eq(pipe(ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	draw(library, here, sizeof(here));
	if (child == 0)
		_exit(write(ends[1], here, sizeof(here)) == sizeof(here) ? 0 : 1);
	ck_assert_int_eq(read(ends[0], there, sizeof(there)), sizeof(there));
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	(void)close(ends[0]);
	(void)close(ends[1]);
	process_number = 0;
	return memcmp(here, there, sizeof(here)) == 0;
}

/* The first process of a container whose child is the first of another one, for instance. */
START_TEST(a_child_of_the_same_number_draws_others)
{
	ck_assert(!is_drawn_in_a_child_too(crypto_library()));
	ck_assert_msg(is_drawn_in_a_child_too(NULL), "OpenSSL's own generator tells them apart");
}
END_TEST

Suite *suite_generator(void)
{
	Suite *suite = suite_create("generator");
	TCase *tests = tcase_create("generator");

	tcase_add_test(tests, it_is_the_generator_of_every_kind);
	tcase_add_test(tests, nothing_is_drawn_twice);
	tcase_add_test(tests, so_many_calls_of_the_kernel);
	tcase_add_test(tests, so_many_calls_for_a_signature);
	tcase_add_test(tests, without_the_kernel_nothing_is_drawn);
	tcase_add_test(tests, a_cancelled_thread_signs_to_the_end);
	tcase_add_test(tests, without_openssl_nothing_is_signed);
	tcase_add_test(tests, a_child_of_the_same_number_draws_others);
	suite_add_tcase(suite, tests);
	return suite;
}
