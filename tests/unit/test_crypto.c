/* SPDX-License-Identifier: BSD-2-Clause */
/* The cryptography against published vectors, and what it must refuse. */
#include <check.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mech/crypto/library.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

static const struct crypto_prf *prf;
static const struct crypto_aead *aead;
static const struct crypto_group *group;
static const struct crypto_signature *ed25519;

static void setup(void)
{
	ck_assert_int_eq(crypto_ready(), ERR_OK);
	prf = crypto_prf_find(5);
	aead = crypto_aead_find(20, 256);
	group = crypto_group_find(31);
	ed25519 = crypto_signature_at(0);
	ck_assert(prf != NULL && aead != NULL && group != NULL && ed25519 != NULL);
}

START_TEST(tables_hold_the_enabled_rows_only)
{
	ck_assert_uint_eq(prf->key_bytes, 32);
	ck_assert_uint_eq(prf->output_bytes, 32);
	ck_assert_uint_eq(aead->key_bytes, 32);
	ck_assert_uint_eq(aead->salt_bytes, 4);
	ck_assert_uint_eq(group->public_bytes, 32);
	ck_assert_uint_eq(ed25519->hash, 5);
	ck_assert_ptr_null(crypto_prf_find(6));
	ck_assert_ptr_null(crypto_aead_find(20, 0));
	ck_assert_ptr_null(crypto_aead_find(20, 192));
	ck_assert_ptr_null(crypto_aead_find(28, 256));
	ck_assert_ptr_null(crypto_group_find(20));
	ck_assert_ptr_null(crypto_signature_at(crypto_signature_count()));
	ck_assert_ptr_eq(crypto_signature_find(ed25519->algorithm), ed25519);
	ck_assert_ptr_null(crypto_signature_find(BYTES_NONE));
	ck_assert_ptr_null(
		crypto_signature_find(BYTES(ed25519->algorithm.data, ed25519->algorithm.len - 1)));
}
END_TEST

START_TEST(random_differs)
{
	uint8_t a[600] = { 0 }, b[600] = { 0 };

	ck_assert_int_eq(crypto_random(a, sizeof(a)), ERR_OK);
	ck_assert_int_eq(crypto_random(b, sizeof(b)), ERR_OK);
	ck_assert(!bytes_equal(BYTES_OF(a), BYTES_OF(b)));
	ck_assert_int_eq(crypto_random(a, 0), ERR_OK);
}
END_TEST

#define DRAWS 1000

/* What a child draws: only its own octets come back, through a pipe. */
static void drawn_by_child(uint8_t (*draws)[16], size_t count)
{
	const size_t len = count * sizeof(*draws);
	int pipe_ends[2], status = -1;
	pid_t child;

	ck_assert_int_eq(pipe(pipe_ends), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	for (size_t i = 0; child == 0 && i < count; i++) {
		if (crypto_random_public(draws[i], sizeof(draws[i])) != ERR_OK)
			_exit(1);
	}
	if (child == 0)
		_exit(write(pipe_ends[1], draws, len) == (ssize_t)len ? 0 : 1);
	ck_assert_int_eq(read(pipe_ends[0], draws, len), (ssize_t)len);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	(void)close(pipe_ends[0]);
	(void)close(pipe_ends[1]);
}

static int draws_compare(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return left[0] != right[0] ? (left[0] > right[0]) - (left[0] < right[0])
				   : (left[1] > right[1]) - (left[1] < right[1]);
}

/* Before a fork, in three children of one parent, in it afterwards: never twice the same. */
START_TEST(random_public_is_never_repeated)
{
	static uint8_t draws[5 * DRAWS][16];
	uint8_t long_one[3000];

	for (size_t i = 0; i < DRAWS; i++)
		ck_assert_int_eq(crypto_random_public(draws[i], 16), ERR_OK);
	for (size_t i = 1; i < 4; i++)
		drawn_by_child(draws + i * DRAWS, DRAWS);
	for (size_t i = 4 * DRAWS; i < 5 * (size_t)DRAWS; i++)
		ck_assert_int_eq(crypto_random_public(draws[i], 16), ERR_OK);
	qsort(draws, 5 * (size_t)DRAWS, sizeof(draws[0]), draws_compare);
	for (size_t i = 1; i < 5 * (size_t)DRAWS; i++)
		ck_assert_int_ne(draws_compare(draws[i - 1], draws[i]), 0);
	ck_assert_int_eq(crypto_random_public(long_one, sizeof(long_one)), ERR_OK);
	ck_assert_int_eq(crypto_random_public(long_one, 0), ERR_OK);
}
END_TEST

static void *draw_in_thread(void *context)
{
	uint8_t(*draws)[16] = context;

	for (size_t i = 0; i < DRAWS; i++) {
		if (crypto_random_public(draws[i], 16) != ERR_OK)
			return draws;
	}
	return NULL;
}

START_TEST(random_public_from_many_threads)
{
	static uint8_t draws[8 * DRAWS][16];
	pthread_t threads[8];
	void *failed = NULL;

	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, draw_in_thread, draws + i * DRAWS), 0);
	for (size_t i = 0; i < 8; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	qsort(draws, 8 * (size_t)DRAWS, sizeof(draws[0]), draws_compare);
	for (size_t i = 1; i < 8 * (size_t)DRAWS; i++)
		ck_assert_int_ne(draws_compare(draws[i - 1], draws[i]), 0);
}
END_TEST

/* FIPS 180-2, appendix B.1: SHA-256("abc"). */
START_TEST(sha256_joins_parts)
{
	static const uint8_t expected[] = { 0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41,
		0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a,
		0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad };
	struct bytes parts[] = { BYTES((const uint8_t *)"a", 1), BYTES_NONE,
		BYTES((const uint8_t *)"bc", 2) };
	uint8_t digest[CRYPTO_SHA256_BYTES];

	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(crypto_sha256(parts, 3, digest), ERR_OK);
		ck_assert_mem_eq(digest, expected, sizeof(digest));
	}
}
END_TEST

static void prf_case(const struct crypto_prf *which, const char *file, int number)
{
	struct vector_field key, data, mac;
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];

	vector_read_numbered(file, "key", number, &key);
	vector_read_numbered(file, "data", number, &data);
	vector_read_numbered(file, "mac", number, &mac);
	for (size_t cut = 0; cut <= data.len; cut++) {
		struct bytes parts[] = { BYTES(data.data, cut),
			BYTES(data.data + cut, data.len - cut) };

		ck_assert_int_eq(
			crypto_prf_compute(which, vector_view(&key), parts, 2, output), ERR_OK);
		ck_assert_mem_eq(output, mac.data, mac.len);
	}
}

START_TEST(prf_vectors)
{
	static const int cases[] = { 1, 2, 3, 4, 6, 7 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		prf_case(prf, "hmac_sha2.hex", cases[i]);
	ck_assert_ptr_nonnull(crypto_prf_find(7));
	ck_assert_uint_eq(crypto_prf_find(7)->key_bytes, 64);
	ck_assert_uint_eq(crypto_prf_find(7)->output_bytes, 64);
	for (int i = 1; i <= 6; i++)
		prf_case(crypto_prf_find(7), "hmac_sha2_512.hex", i);
}
END_TEST

/* HMAC-SHA-256 of nothing under no key: an object must not take the key it had before. */
START_TEST(prf_takes_an_empty_key)
{
	static const uint8_t expected[] = { 0xb6, 0x13, 0x67, 0x9a, 0x08, 0x14, 0xd9, 0xec };
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];

	ck_assert_int_eq(
		crypto_prf_compute(prf, BYTES((const uint8_t *)"key", 3), NULL, 0, output), ERR_OK);
	ck_assert_int_eq(crypto_prf_compute(prf, BYTES_NONE, NULL, 0, output), ERR_OK);
	ck_assert_mem_eq(output, expected, sizeof(expected));
}
END_TEST

static void prf_plus_case(const struct crypto_prf *which, const char *file)
{
	static uint8_t output[255 * 64 + 1];
	size_t most = 255 * which->output_bytes;
	struct vector_field key, seed, expected;

	vector_read(file, "key", &key);
	vector_read(file, "seed", &seed);
	vector_read(file, "output", &expected);
	for (size_t len = 0; len <= expected.len; len++) {
		struct bytes parts[] = { BYTES(seed.data, 7), BYTES(seed.data + 7, seed.len - 7) };

		output[len] = 0xa5;
		ck_assert_int_eq(
			crypto_prf_plus(which, vector_view(&key), parts, 2, output, len), ERR_OK);
		ck_assert_mem_eq(output, expected.data, len);
		ck_assert_uint_eq(output[len], 0xa5);
	}
	ck_assert_int_eq(crypto_prf_plus(which, vector_view(&key), NULL, 0, output, most), ERR_OK);
	ck_assert_int_eq(crypto_prf_plus(which, vector_view(&key), NULL, 0, output, most + 1),
		ERR_TOO_LARGE);
}

START_TEST(prf_plus_vector)
{
	prf_plus_case(prf, "prf_plus.hex");
	prf_plus_case(crypto_prf_find(7), "prf_plus_512.hex");
}
END_TEST

struct aead_case {
	struct vector_field key, nonce, aad, plain, sealed, tag;
	struct crypto_aead_key *seal, *open;
};

/* A file's case and the AEAD that it is for. */
struct aead_source {
	const char *file;
	int number;
	uint16_t id, key_bits;
};

static const struct aead_source aead_sources[] = {
	{ "aes_256_gcm.hex", 13, 20, 256 },
	{ "aes_256_gcm.hex", 16, 20, 256 },
	{ "aes_128_gcm.hex", 4, 20, 128 },
	{ "chacha20_poly1305.hex", 1, 28, 0 },
	{ "chacha20_poly1305.hex", 2, 28, 0 },
};
#define AEAD_SOURCE_COUNT ((int)(sizeof(aead_sources) / sizeof(aead_sources[0])))

static void aead_source_read(const struct aead_source *source, struct aead_case *c)
{
	const struct crypto_aead *which = crypto_aead_find(source->id, source->key_bits);

	ck_assert_ptr_nonnull(which);
	vector_read_numbered(source->file, "key", source->number, &c->key);
	vector_read_numbered(source->file, "nonce", source->number, &c->nonce);
	vector_read_numbered(source->file, "aad", source->number, &c->aad);
	vector_read_numbered(source->file, "plain", source->number, &c->plain);
	vector_read_numbered(source->file, "sealed", source->number, &c->sealed);
	vector_read_numbered(source->file, "tag", source->number, &c->tag);
	ck_assert_int_eq(crypto_aead_key_new(which, vector_view(&c->key), true, &c->seal), ERR_OK);
	ck_assert_int_eq(crypto_aead_key_new(which, vector_view(&c->key), false, &c->open), ERR_OK);
}

static void aead_case_read(int number, struct aead_case *c)
{
	const struct aead_source source = { "aes_256_gcm.hex", number, 20, 256 };

	aead_source_read(&source, c);
}

static void aead_case_end(struct aead_case *c)
{
	crypto_aead_key_free(&c->seal);
	crypto_aead_key_free(&c->open);
	ck_assert_ptr_null(c->seal);
	crypto_aead_key_free(&c->seal);
}

START_TEST(aead_vectors)
{
	static struct aead_case c;
	uint8_t out[128], tag[CRYPTO_TAG_BYTES];

	for (int i = 0; i < AEAD_SOURCE_COUNT; i++) {
		aead_source_read(&aead_sources[i], &c);
		for (size_t cut = 0; cut <= c.aad.len; cut++) {
			struct bytes aad1 = BYTES(c.aad.data, cut);
			struct bytes aad2 = BYTES(c.aad.data + cut, c.aad.len - cut);

			ck_assert_int_eq(crypto_aead_seal2(c.seal, c.nonce.data, aad1, aad2,
						 vector_view(&c.plain), out, tag),
				ERR_OK);
			ck_assert_mem_eq(out, c.sealed.data, c.sealed.len);
			ck_assert_mem_eq(tag, c.tag.data, sizeof(tag));
			ck_assert_int_eq(crypto_aead_open2(c.open, c.nonce.data, aad1, aad2,
						 vector_view(&c.sealed), tag, out),
				ERR_OK);
			ck_assert_mem_eq(out, c.plain.data, c.plain.len);
		}
		aead_case_end(&c);
	}
}
END_TEST

START_TEST(aead_works_in_place)
{
	static struct aead_case c;
	uint8_t data[128], tag[CRYPTO_TAG_BYTES];

	aead_case_read(16, &c);
	memcpy(data, c.plain.data, c.plain.len);
	ck_assert_int_eq(crypto_aead_seal(c.seal, c.nonce.data, vector_view(&c.aad),
				 BYTES(data, c.plain.len), data, tag),
		ERR_OK);
	ck_assert_mem_eq(data, c.sealed.data, c.sealed.len);
	ck_assert_int_eq(crypto_aead_open(c.open, c.nonce.data, vector_view(&c.aad),
				 BYTES(data, c.plain.len), tag, data),
		ERR_OK);
	ck_assert_mem_eq(data, c.plain.data, c.plain.len);
	aead_case_end(&c);
}
END_TEST

static void aead_refuses(struct aead_case *c, struct bytes sealed)
{
	static const uint8_t zeros[128];
	uint8_t out[128];

	memset(out, 0x55, sizeof(out));
	ck_assert_int_eq(crypto_aead_open(c->open, c->nonce.data, vector_view(&c->aad), sealed,
				 c->tag.data, out),
		ERR_IKE_INTEGRITY);
	ck_assert_mem_eq(out, zeros, sealed.len);
	ck_assert_uint_eq(ERR_peek_error(), 0);
}

START_TEST(aead_refuses_what_was_changed)
{
	static struct aead_case c;

	aead_source_read(&aead_sources[_i], &c);
	for (size_t i = 0; i < c.sealed.len; i++) {
		c.sealed.data[i] ^= 0x80;
		aead_refuses(&c, vector_view(&c.sealed));
		c.sealed.data[i] ^= 0x80;
		aead_refuses(&c, BYTES(c.sealed.data, i));
	}
	for (size_t i = 0; i < c.tag.len; i++) {
		c.tag.data[i] ^= 0x01;
		aead_refuses(&c, vector_view(&c.sealed));
		c.tag.data[i] ^= 0x01;
	}
	for (size_t i = 0; i < c.aad.len; i++) {
		c.aad.data[i] ^= 0x10;
		aead_refuses(&c, vector_view(&c.sealed));
		c.aad.data[i] ^= 0x10;
	}
	for (size_t i = 0; i < c.nonce.len; i++) {
		c.nonce.data[i] ^= 0x10;
		aead_refuses(&c, vector_view(&c.sealed));
		c.nonce.data[i] ^= 0x10;
	}
	aead_case_end(&c);
}
END_TEST

START_TEST(aead_takes_its_key_length_only)
{
	uint8_t key[40] = { 0 };
	struct crypto_aead_key *made = NULL;

	for (size_t len = 0; len <= sizeof(key); len++) {
		enum err err = crypto_aead_key_new(aead, BYTES(key, len), true, &made);

		ck_assert_int_eq(err, len == 32 ? ERR_OK : ERR_ARGUMENT);
		crypto_aead_key_free(&made);
	}
}
END_TEST

static void exchange_case(const struct crypto_group *which, const char *file)
{
	struct crypto_exchange *a = NULL, *b = NULL;
	struct vector_field private_a, private_b, public_a, public_b, shared;
	struct secret_key secret = { .len = 0 };

	vector_read(file, "private_a", &private_a);
	vector_read(file, "private_b", &private_b);
	vector_read(file, "public_a", &public_a);
	vector_read(file, "public_b", &public_b);
	vector_read(file, "shared", &shared);
	ck_assert_int_eq(crypto_exchange_of_private(which, vector_view(&private_a), &a), ERR_OK);
	ck_assert_int_eq(crypto_exchange_of_private(which, vector_view(&private_b), &b), ERR_OK);
	ck_assert(bytes_equal(crypto_exchange_public(a), vector_view(&public_a)));
	ck_assert(bytes_equal(crypto_exchange_public(b), vector_view(&public_b)));
	ck_assert_int_eq(crypto_exchange_derive(a, vector_view(&public_b), &secret), ERR_OK);
	ck_assert(bytes_equal(secret_key_view(&secret), vector_view(&shared)));
	ck_assert_int_eq(crypto_exchange_derive(b, vector_view(&public_a), &secret), ERR_OK);
	ck_assert(bytes_equal(secret_key_view(&secret), vector_view(&shared)));
	crypto_exchange_free(&a);
	crypto_exchange_free(&b);
}

START_TEST(exchange_vector)
{
	exchange_case(group, "x25519.hex");
	exchange_case(crypto_group_find(19), "p256.hex");
}
END_TEST

START_TEST(exchange_agrees_and_is_fresh)
{
	struct crypto_exchange *a = NULL, *b = NULL;
	struct secret_key at_a = { .len = 0 }, at_b = { .len = 0 };
	const struct crypto_group *which = _i == 0 ? group : crypto_group_find(19);

	ck_assert_int_eq(crypto_exchange_new(which, &a), ERR_OK);
	ck_assert_int_eq(crypto_exchange_new(which, &b), ERR_OK);
	ck_assert(!bytes_equal(crypto_exchange_public(a), crypto_exchange_public(b)));
	ck_assert_int_eq(crypto_exchange_derive(a, crypto_exchange_public(b), &at_a), ERR_OK);
	ck_assert_int_eq(crypto_exchange_derive(b, crypto_exchange_public(a), &at_b), ERR_OK);
	ck_assert_uint_eq(at_a.len, 32);
	ck_assert(secret_equal(secret_key_view(&at_a), secret_key_view(&at_b)));
	crypto_exchange_free(&a);
	crypto_exchange_free(&b);
	crypto_exchange_free(&b);
}
END_TEST

/* The points of small order on curve25519 and its twist, as u-coordinates: all give zeros. */
START_TEST(exchange_refuses_an_all_zero_secret)
{
	static const uint8_t small[][32] = {
		{ 0 },
		{ 1 },
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1,
			0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86,
			0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00 },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
	};
	struct secret_key secret = { .len = 7 };
	struct crypto_exchange *exchange = NULL;
	uint8_t wrong[64] = { 9 };

	ck_assert_int_eq(crypto_exchange_new(group, &exchange), ERR_OK);
	for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++)
		ck_assert_int_eq(crypto_exchange_derive(exchange, BYTES_OF(small[i]), &secret),
			ERR_KEY_EXCHANGE);
	for (size_t len = 0; len <= sizeof(wrong); len++) {
		if (len != 32)
			ck_assert_int_eq(
				crypto_exchange_derive(exchange, BYTES(wrong, len), &secret),
				ERR_KEY_EXCHANGE);
	}
	ck_assert_uint_eq(secret.len, 7);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	crypto_exchange_free(&exchange);
}
END_TEST

/* Each octet of a point changed leaves the curve, but for what OpenSSL reduces; zeros and the prime are
 * no point, infinity has no form of 64 octets, and other lengths are refused (RFC 6989 2.3). */
START_TEST(exchange_refuses_points_off_the_curve)
{
	static const uint8_t prime[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff };
	const struct crypto_group *p256 = crypto_group_find(19);
	struct secret_key secret = { .len = 7 }, right;
	struct crypto_exchange *exchange = NULL, *other = NULL;
	uint8_t value[80] = { 0 };

	ck_assert_int_eq(crypto_exchange_new(p256, &exchange), ERR_OK);
	ck_assert_int_eq(crypto_exchange_new(p256, &other), ERR_OK);
	ck_assert_int_eq(
		crypto_exchange_derive(exchange, BYTES(value, 64), &secret), ERR_KEY_EXCHANGE);
	memcpy(value, prime, 32);
	memcpy(value + 32, prime, 32);
	ck_assert_int_eq(
		crypto_exchange_derive(exchange, BYTES(value, 64), &secret), ERR_KEY_EXCHANGE);
	memcpy(value, crypto_exchange_public(other).data, 64);
	for (size_t i = 0; i < 64; i++) {
		/* The object that held this one is kept, and asked to take the other. */
		ck_assert_int_eq(
			crypto_exchange_derive(exchange, BYTES(value, 64), &right), ERR_OK);
		value[i] ^= 0x10;
		ck_assert_int_eq(crypto_exchange_derive(exchange, BYTES(value, 64), &secret),
			ERR_KEY_EXCHANGE);
		value[i] ^= 0x10;
	}
	for (size_t len = 0; len <= sizeof(value); len++)
		if (len != 64)
			ck_assert_int_eq(
				crypto_exchange_derive(exchange, BYTES(value, len), &secret),
				ERR_KEY_EXCHANGE);
	ck_assert_uint_eq(secret.len, 7);
	ck_assert_uint_eq(ERR_peek_error(), 0);
	crypto_exchange_free(&exchange);
	crypto_exchange_free(&other);
}
END_TEST

/* Zero and the group's order are no private values. */
START_TEST(curves_refuse_private_values_out_of_range)
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3,
		0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	struct crypto_exchange *made = NULL;
	uint8_t value[32] = { 0 };

	ck_assert_int_ne(
		crypto_exchange_of_private(crypto_group_find(19), BYTES_OF(value), &made), ERR_OK);
	ck_assert_int_ne(
		crypto_exchange_of_private(crypto_group_find(19), BYTES_OF(order), &made), ERR_OK);
	memcpy(value, order, 32);
	value[31]--;
	ck_assert_int_eq(
		crypto_exchange_of_private(crypto_group_find(19), BYTES_OF(value), &made), ERR_OK);
	crypto_exchange_free(&made);
}
END_TEST

/* The host may clean OpenSSL up before it lets go of us: errors then, but nothing worse. */
START_TEST(host_cleans_up_first)
{
	int status = 0;
	pid_t child = fork();

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		static struct aead_case c;
		struct crypto_private_key *key = NULL;
		uint8_t output[CRYPTO_SIGNATURE_MAX];
		struct bytes part = BYTES((const uint8_t *)"x", 1);
		bool was_done;
		size_t len;

		aead_case_read(16, &c);
		ck_assert_int_eq(
			crypto_private_key_generate(crypto_key_kind_find("ed25519"), 0, &key),
			ERR_OK);
		OPENSSL_cleanup();
		was_done = crypto_prf_compute(prf, part, &part, 1, output) == ERR_OK;
		was_done |= crypto_sha256(&part, 1, output) == ERR_OK;
		was_done |= crypto_sign(key, &part, 1, output, &len) == ERR_OK;
		was_done |= crypto_verify(crypto_private_key_spki(key), ed25519, &part, 1,
				    BYTES(output, 64)) == ERR_OK;
		aead_case_end(&c);
		crypto_private_key_free(&key);
		_exit(was_done ? 40 : 41);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	ck_assert_int_ge(WEXITSTATUS(status), 40);
}
END_TEST

Suite *suite_crypto(void)
{
	Suite *suite = suite_create("crypto");
	TCase *tests = tcase_create("crypto");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, tables_hold_the_enabled_rows_only);
	tcase_add_test(tests, random_differs);
	tcase_add_test(tests, random_public_is_never_repeated);
	tcase_add_test(tests, random_public_from_many_threads);
	tcase_add_test(tests, sha256_joins_parts);
	tcase_add_test(tests, prf_vectors);
	tcase_add_test(tests, prf_takes_an_empty_key);
	tcase_add_test(tests, prf_plus_vector);
	tcase_add_test(tests, aead_vectors);
	tcase_add_test(tests, aead_works_in_place);
	tcase_add_loop_test(tests, aead_refuses_what_was_changed, 1, AEAD_SOURCE_COUNT);
	tcase_add_test(tests, aead_takes_its_key_length_only);
	tcase_add_test(tests, exchange_vector);
	tcase_add_loop_test(tests, exchange_agrees_and_is_fresh, 0, 2);
	tcase_add_test(tests, exchange_refuses_an_all_zero_secret);
	tcase_add_test(tests, exchange_refuses_points_off_the_curve);
	tcase_add_test(tests, curves_refuse_private_values_out_of_range);
	tcase_add_test(tests, host_cleans_up_first);
	suite_add_tcase(suite, tests);
	return suite;
}
