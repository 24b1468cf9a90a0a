/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Channel bindings that a context gives out: equal at its two ends in every mode, and different on
 * both sides of somebody in the middle whom nobody authenticated, whatever he made the keys be.
 */
#include <string.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define FLAGS (MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define SERVICE "host" /* no host: any key will do */

typedef enum err (*binding_function)(const struct mech_context *context, struct writer *w);

static bool same_binding(
	binding_function get, const struct mech_context *a, const struct mech_context *b)
{
	struct writer x, y;
	bool is_same;

	writer_init(&x, 128);
	writer_init(&y, 128);
	ck_assert_int_eq(get(a, &x), ERR_OK);
	ck_assert_int_eq(get(b, &y), ERR_OK);
	is_same = bytes_equal(writer_view(&x), writer_view(&y));
	writer_free(&x);
	writer_free(&y);
	return is_same;
}

static void assert_agree(const struct two_ends *ends)
{
	ck_assert(mech_context_is_open(ends->initiator) && mech_context_is_open(ends->acceptor));
	ck_assert(same_binding(mech_context_unique_binding, ends->initiator, ends->acceptor));
	ck_assert(same_binding(mech_context_end_point_binding, ends->initiator, ends->acceptor));
}

static const struct {
	const char *configuration, *target;
	uint32_t flags;
} modes[] = {
	{ "", "host@server.example.org", FLAGS | MECH_FLAG_MUTUAL },	       /* latched */
	{ "latch = no", "host@server.example.org", FLAGS | MECH_FLAG_MUTUAL }, /* unlatched */
	{ "", "HTTP@server.example.org", FLAGS },			       /* T5 */
	{ "latch = no", "HTTP@server.example.org", FLAGS },		       /* T5, unlatched */
	{ "unknown_peer = accept", SERVICE, FLAGS },			       /* unauthenticated */
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

START_TEST(both_ends_agree)
{
	struct two_ends ends;

	two_ends_new(&ends, modes[_i].configuration, modes[_i].configuration);
	two_ends_contexts(&ends, modes[_i].target, modes[_i].flags);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	assert_agree(&ends);
	two_ends_free(&ends);
}
END_TEST

/* Neither end has bindings before the last token. */
START_TEST(none_before_the_end)
{
	struct two_ends ends;
	struct writer w;

	two_ends_new(&ends, modes[_i].configuration, modes[_i].configuration);
	two_ends_contexts(&ends, modes[_i].target, modes[_i].flags);
	writer_init(&w, 128);
	for (bool at_initiator = true;; at_initiator = !at_initiator) {
		struct mech_context *context = at_initiator ? ends.initiator : ends.acceptor;
		enum mech_step_result result;

		ck_assert_int_eq(mech_context_unique_binding(context, &w), ERR_NO_CONTEXT);
		ck_assert_int_eq(mech_context_end_point_binding(context, &w), ERR_NO_CONTEXT);
		ck_assert_int_eq(two_ends_step(&ends, context, NULL, &result), ERR_OK);
		if (writer_len(&ends.token) == 0)
			break;
		if (mech_context_is_open(ends.initiator) && mech_context_is_open(ends.acceptor))
			break;
	}
	ck_assert_uint_eq(writer_len(&w), 0);
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

/* The first two tokens at both ends. */
static void run_to_t2(struct two_ends *ends)
{
	enum mech_step_result result;

	ck_assert_int_eq(two_ends_step(ends, ends->initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(ends, ends->acceptor, NULL, &result), ERR_OK);
}

static void run_to_end(struct two_ends *ends)
{
	enum mech_step_result result;

	ck_assert_int_eq(two_ends_step(ends, ends->acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(ends, ends->initiator, NULL, &result), ERR_OK);
	assert_agree(ends);
}

/*
 * Two exchanges with one in the middle: the client's with him, and his with the server.  In the second round all
 * four ends have one and the same SK_d, as if degenerate public values had made it so (they are
 * refused, test_crypto.c): what stands between the channels then is the transcript alone.
 */
START_TEST(a_man_in_the_middle_has_two)
{
	const char *accepts = "latch = no\n\tunknown_peer = accept";
	bool has_one_key = _i == 1;
	struct two_ends outer, inner;
	enum mech_step_result result;

	two_ends_new(&outer, accepts, accepts);
	two_ends_new(&inner, accepts, accepts);
	two_ends_contexts(&outer, SERVICE, FLAGS);
	two_ends_contexts(&inner, SERVICE, FLAGS);
	run_to_t2(&outer);
	run_to_t2(&inner);
	ck_assert_int_eq(two_ends_step(&outer, outer.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&inner, inner.initiator, NULL, &result), ERR_OK);
	if (has_one_key) {
		inner.initiator->exchange->keys.sk_d = outer.initiator->exchange->keys.sk_d;
		inner.acceptor->exchange->keys.sk_d = outer.initiator->exchange->keys.sk_d;
	}
	run_to_end(&outer);
	run_to_end(&inner);
	ck_assert(!same_binding(mech_context_unique_binding, outer.initiator, inner.acceptor));
	/* his key is not the server's either */
	ck_assert(!same_binding(mech_context_end_point_binding, outer.initiator, inner.acceptor));
	two_ends_free(&outer);
	two_ends_free(&inner);
}
END_TEST

Suite *suite_bindings_out(void)
{
	Suite *suite = suite_create("bindings_out");
	TCase *tests = tcase_create("bindings_out");

	tcase_set_timeout(tests, 30);
	tcase_add_loop_test(tests, both_ends_agree, 0, MODES);
	tcase_add_loop_test(tests, none_before_the_end, 0, MODES);
	tcase_add_loop_test(tests, a_man_in_the_middle_has_two, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
