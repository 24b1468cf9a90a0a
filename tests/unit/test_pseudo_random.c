/* SPDX-License-Identifier: BSD-2-Clause */
/* GSS_Pseudo_random: vectors, every length is the beginning of a longer one, limits. */
#include <stdlib.h>
#include <string.h>

#include "mech/protect_state.h"
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

/* An open context of the vectors' secrets. */
static void context_make(struct mech_context *context)
{
	struct vector_field sk_d, unique;
	struct secret_key key;
	uint8_t nonce[32] = { 1 };

	vector_read("pseudo_random.hex", "sk_d", &sk_d);
	vector_read("pseudo_random.hex", "unique", &unique);
	memset(context, 0, sizeof(*context));
	memcpy(context->unique, unique.data, sizeof(context->unique));
	memcpy(key.data, sk_d.data, sk_d.len);
	key.len = sk_d.len;
	ck_assert_int_eq(
		mech_protect_new(crypto_prf_find(5), crypto_aead_find(20, 256), &key,
			BYTES_OF(nonce), BYTES_OF(nonce), true, true, true, &context->protect),
		ERR_OK);
	context->state = MECH_STATE_OPEN;
}

START_TEST(vectors_are_made)
{
	static const struct {
		const char *name;
		enum mech_prf_key kind;
	} kinds[] = { { "full", MECH_PRF_FULL }, { "partial", MECH_PRF_PARTIAL } };
	struct vector_field input, expected;
	struct mech_context context;
	uint8_t output[128];

	context_make(&context);
	vector_read("pseudo_random.hex", "input", &input);
	for (size_t i = 0; i < 2; i++) {
		vector_read("pseudo_random.hex", kinds[i].name, &expected);
		for (size_t len = 1; len <= expected.len; len++) {
			ck_assert_int_eq(mech_context_pseudo_random(&context, kinds[i].kind,
						 vector_view(&input), output, len),
				ERR_OK);
			ck_assert(bytes_equal(BYTES(output, len), BYTES(expected.data, len)));
		}
	}
	mech_protect_free(&context.protect);
}
END_TEST

START_TEST(lengths_have_limits)
{
	struct mech_context context;
	uint8_t input[] = { 1 }, *output = malloc(MECH_PRF_BYTES_MAX);

	context_make(&context);
	ck_assert_int_eq(mech_context_pseudo_random(&context, MECH_PRF_FULL, BYTES_NONE, output, 1),
		ERR_PRF_LENGTH);
	ck_assert_int_eq(
		mech_context_pseudo_random(&context, MECH_PRF_FULL, BYTES_OF(input), output, 0),
		ERR_PRF_LENGTH);
	ck_assert_int_eq(mech_context_pseudo_random(&context, MECH_PRF_FULL, BYTES_OF(input),
				 output, MECH_PRF_BYTES_MAX + 1),
		ERR_PRF_LENGTH);
	ck_assert_int_eq(mech_context_pseudo_random(&context, MECH_PRF_FULL, BYTES_OF(input),
				 output, MECH_PRF_BYTES_MAX),
		ERR_OK);
	context.state = MECH_STATE_SENT_T3;
	ck_assert_int_eq(
		mech_context_pseudo_random(&context, MECH_PRF_PARTIAL, BYTES_OF(input), output, 1),
		ERR_NO_CONTEXT);
	mech_protect_free(&context.protect);
	free(output);
}
END_TEST

/* Other contexts of the same two ends, and other transcripts over the same SK_d, give others. */
START_TEST(depends_on_the_whole_exchange)
{
	struct mech_context context;
	uint8_t input[] = { 1 }, a[32], b[32];

	context_make(&context);
	ck_assert_int_eq(
		mech_context_pseudo_random(&context, MECH_PRF_FULL, BYTES_OF(input), a, sizeof(a)),
		ERR_OK);
	context.unique[0] ^= 1;
	for (int kind = MECH_PRF_FULL; kind <= MECH_PRF_PARTIAL; kind++) {
		ck_assert_int_eq(mech_context_pseudo_random(&context, (enum mech_prf_key)kind,
					 BYTES_OF(input), b, sizeof(b)),
			ERR_OK);
		ck_assert(!bytes_equal(BYTES_OF(a), BYTES_OF(b)));
	}
	mech_protect_free(&context.protect);
}
END_TEST

Suite *suite_pseudo_random(void)
{
	Suite *suite = suite_create("pseudo_random");
	TCase *tests = tcase_create("pseudo_random");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, vectors_are_made);
	tcase_add_test(tests, lengths_have_limits);
	tcase_add_test(tests, depends_on_the_whole_exchange);
	suite_add_tcase(suite, tests);
	return suite;
}
