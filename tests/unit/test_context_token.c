/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts handed over, latched and not: what goes along, nonces, windows, wrong tokens. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mech/protect_state.h"
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define CHECK_BYTES 32
#define INSTANCE_AT 4
#define GRANTED_AT 2
#define REASON_AT 6

static const uint8_t text[] = "over there";

struct token {
	uint8_t data[512];
	size_t len;
};

static void ends_open(struct two_ends *ends)
{
	two_ends_new(ends, "", "");
	two_ends_contexts(ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(ends, NULL, NULL), ERR_OK);
}

static void token_export(const struct mech_context *context, struct writer *w)
{
	writer_init(w, MECH_CONTEXT_TOKEN_BYTES_MAX);
	ck_assert_int_eq(mech_context_export(context, w), ERR_OK);
}

static struct mech_context *token_import(const struct writer *w)
{
	struct mech_context *context = NULL;

	ck_assert_int_eq(mech_context_import(writer_view(w), &fake_acceptor_ops, &context), ERR_OK);
	return context;
}

/* In place of a context what came of its export and import. */
static void hand_over(struct mech_context **context)
{
	struct writer w;

	token_export(*context, &w);
	mech_context_free(context);
	*context = token_import(&w);
	writer_free(&w);
}

static struct token wrap(struct mech_context *context)
{
	struct token token;
	uint8_t *data = NULL;

	ck_assert_int_eq(mech_protect_wrap(mech_context_protect(context), true, BYTES_OF(text),
				 &data, &token.len),
		ERR_OK);
	memcpy(token.data, data, token.len);
	free(data);
	return token;
}

static enum err unwrap(struct mech_context *context, const struct token *token)
{
	uint8_t *plain = NULL;
	size_t len = 0;
	bool was_sealed = false;
	enum err err = mech_protect_unwrap(mech_context_protect(context),
		BYTES(token->data, token->len), &plain, &len, &was_sealed);

	free(plain);
	return err;
}

static uint64_t instance_of(const struct token *token)
{
	uint64_t instance;

	memcpy(&instance, token->data + INSTANCE_AT, sizeof(instance));
	return instance;
}

/* --- what goes along --- */

static void assert_same_bindings(const struct mech_context *a, const struct mech_context *b)
{
	struct writer x, y;

	writer_init(&x, 256);
	writer_init(&y, 256);
	ck_assert_int_eq(mech_context_unique_binding(a, &x), ERR_OK);
	ck_assert_int_eq(mech_context_end_point_binding(a, &x), ERR_OK);
	ck_assert_int_eq(mech_context_unique_binding(b, &y), ERR_OK);
	ck_assert_int_eq(mech_context_end_point_binding(b, &y), ERR_OK);
	ck_assert(bytes_equal(writer_view(&x), writer_view(&y)));
	writer_free(&x);
	writer_free(&y);
}

static void assert_latch_goes_along(struct two_ends *ends, enum ipsec_latch_reason reason)
{
	struct kbind_tuple before, after;
	bool is_latched = mech_context_latch_tuple(ends->acceptor, &before);

	hand_over(&ends->acceptor);
	ck_assert_int_eq(mech_context_latch_reason(ends->acceptor), reason);
	ck_assert_int_eq(mech_context_latch_tuple(ends->acceptor, &after), is_latched);
	if (is_latched) {
		ck_assert_int_eq(before.family, after.family);
		ck_assert_int_eq(before.local_port, after.local_port);
		ck_assert_int_eq(before.remote_port, after.remote_port);
		ck_assert(bytes_equal(BYTES_OF(before.local), BYTES_OF(after.local)));
		ck_assert(bytes_equal(BYTES_OF(before.remote), BYTES_OF(after.remote)));
	}
	ck_assert_int_eq(mech_context_reason_is_peers(ends->acceptor), false);
}

START_TEST(latched)
{
	struct two_ends ends;
	uint32_t flags;

	ends_open(&ends);
	flags = mech_context_flags(ends.initiator);
	ck_assert_uint_eq(flags & MECH_FLAG_TRANS, MECH_FLAG_TRANS);
	assert_latch_goes_along(&ends, IPSEC_LATCH_LATCHED);
	hand_over(&ends.initiator);
	ck_assert(mech_context_is_open(ends.initiator) && mech_context_is_open(ends.acceptor));
	ck_assert(mech_context_is_initiator(ends.initiator));
	ck_assert(!mech_context_is_initiator(ends.acceptor));
	ck_assert_uint_eq(mech_context_flags(ends.initiator), flags);
	ck_assert_str_eq(
		mech_name_display(mech_context_initiator_name(ends.acceptor)), "alice@example.org");
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends.acceptor)),
		"host/server.example.org");
	assert_same_bindings(ends.initiator, ends.acceptor);
	/* neither handing over nor deleting releases a latch */
	mech_context_free(&ends.initiator);
	mech_context_free(&ends.acceptor);
	ck_assert_uint_eq(fake_kernels[0].released + fake_kernels[1].released, 0);
	two_ends_free(&ends);
}
END_TEST

START_TEST(unlatched)
{
	struct two_ends ends;

	two_ends_new(&ends, "latch = no", "");
	two_ends_contexts(&ends, "HTTP@server.example.org", FLAGS);
	fake_kernels[1].is_away = true;
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	hand_over(&ends.initiator);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_POLICY_NO);
	hand_over(&ends.acceptor);
	ck_assert_int_ne(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_LATCHED);
	ck_assert(mech_context_reason_is_peers(ends.acceptor));
	assert_same_bindings(ends.initiator, ends.acceptor);
	two_ends_free(&ends);
}
END_TEST

START_TEST(partial_and_dead_contexts_stay)
{
	struct two_ends ends;
	enum mech_step_result result;
	struct writer w;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	writer_init(&w, MECH_CONTEXT_TOKEN_BYTES_MAX);
	ck_assert_int_eq(mech_context_export(ends.initiator, &w), ERR_NO_CONTEXT);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(mech_context_export(ends.initiator, &w), ERR_NO_CONTEXT);
	ck_assert_int_ne(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(mech_context_export(ends.initiator, &w), ERR_NO_CONTEXT);
	ck_assert_uint_eq(writer_len(&w), 0);
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

START_TEST(nobody_has_no_end_point)
{
	struct two_ends ends;
	struct writer binding;

	two_ends_new_of(&ends, "anonymous", "anonymous", "anonymous_peer = accept",
		"anonymous_peer = accept");
	two_ends_contexts(&ends, TARGET, MECH_FLAG_INTEG);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	hand_over(&ends.initiator);
	hand_over(&ends.acceptor);
	writer_init(&binding, 256);
	ck_assert_int_eq(
		mech_context_end_point_binding(ends.initiator, &binding), ERR_NO_END_POINT);
	ck_assert_int_eq(mech_context_end_point_binding(ends.acceptor, &binding), ERR_NO_END_POINT);
	writer_free(&binding);
	two_ends_free(&ends);
}
END_TEST

/* --- nonces and windows --- */

/* Copies that are used in turn, one imported after another was used, one in a child: no two share an instance. */
START_TEST(no_nonce_twice)
{
	struct two_ends ends;
	struct mech_context *copies[3];
	struct token tokens[5];
	struct writer w;
	int ends_of_pipe[2], status = -1;
	pid_t child;

	ends_open(&ends);
	tokens[0] = wrap(ends.initiator);
	token_export(ends.initiator, &w);
	mech_context_free(&ends.initiator);
	copies[0] = token_import(&w);
	copies[1] = token_import(&w);
	tokens[1] = wrap(copies[0]);
	tokens[2] = wrap(copies[1]);
	copies[2] = token_import(&w);
	tokens[3] = wrap(copies[2]);
	ck_assert_int_eq(pipe(ends_of_pipe), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		tokens[4] = wrap(copies[1]);
		_exit(write(ends_of_pipe[1], &tokens[4], sizeof(tokens[4])) == sizeof(tokens[4])
				? 0
				: 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(ends_of_pipe[0], &tokens[4], sizeof(tokens[4])), sizeof(tokens[4]));
	for (size_t a = 0; a < 5; a++) {
		for (size_t b = 0; b < a; b++)
			ck_assert_uint_ne(instance_of(&tokens[a]), instance_of(&tokens[b]));
		ck_assert_int_eq(unwrap(ends.acceptor, &tokens[a]), ERR_OK);
		ck_assert_int_eq(unwrap(ends.acceptor, &tokens[a]), ERR_MESSAGE_DUPLICATE);
	}
	for (size_t a = 0; a < 3; a++)
		mech_context_free(&copies[a]);
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

/* 64 instances with windows of their own, in the middle of the stream; then a 65th. */
START_TEST(windows_go_along)
{
	struct two_ends ends;
	struct token taken[PROTECT_INSTANCES_MAX], skipped[PROTECT_INSTANCES_MAX], one_more;
	struct writer w, exported;

	ends_open(&ends);
	token_export(ends.initiator, &w);
	for (size_t n = 0; n < PROTECT_INSTANCES_MAX; n++) {
		struct mech_context *copy = token_import(&w);

		skipped[n] = wrap(copy);
		taken[n] = wrap(copy);
		ck_assert_int_eq(unwrap(ends.acceptor, &taken[n]), ERR_MESSAGE_GAP);
		mech_context_free(&copy);
	}
	token_export(ends.acceptor, &exported);
	ck_assert_uint_gt(writer_len(&exported), 24 * PROTECT_INSTANCES_MAX);
	writer_free(&exported);
	hand_over(&ends.acceptor);
	for (size_t n = 0; n < PROTECT_INSTANCES_MAX; n++) {
		ck_assert_int_eq(unwrap(ends.acceptor, &taken[n]), ERR_MESSAGE_DUPLICATE);
		ck_assert_int_eq(unwrap(ends.acceptor, &skipped[n]), ERR_MESSAGE_UNSEQ);
	}
	hand_over(&ends.acceptor);
	for (size_t n = 0; n < PROTECT_INSTANCES_MAX; n++)
		ck_assert_int_eq(unwrap(ends.acceptor, &skipped[n]), ERR_MESSAGE_DUPLICATE);
	one_more = wrap(ends.initiator);
	ck_assert_int_eq(unwrap(ends.acceptor, &one_more), ERR_MESSAGE_INSTANCES);
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

/* --- wrong tokens --- */

static enum err import_octets(struct bytes token)
{
	struct mech_context *context = NULL;
	enum err err = mech_context_import(token, &fake_acceptor_ops, &context);

	ck_assert_int_eq(context != NULL, err == ERR_OK);
	mech_context_free(&context);
	return err;
}

START_TEST(changed_tokens_are_refused)
{
	struct two_ends ends;
	struct token message;
	struct writer w;

	ends_open(&ends);
	message = wrap(ends.initiator);
	ck_assert_int_eq(unwrap(ends.acceptor, &message), ERR_OK);
	token_export(ends.acceptor, &w);
	for (size_t bit = 0; bit < w.len * 8; bit++) {
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_int_eq(import_octets(writer_view(&w)), ERR_CONTEXT_TOKEN);
		w.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < w.len; len++)
		ck_assert_int_eq(import_octets(BYTES(w.data, len)), ERR_CONTEXT_TOKEN);
	ck_assert_int_eq(import_octets(writer_view(&w)), ERR_OK);
	writer_put_u8(&w, 0);
	ck_assert_int_eq(import_octets(writer_view(&w)), ERR_CONTEXT_TOKEN);
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

/* The check at the end, made right again: by one who has the token, and so all keys. */
static void token_mend(const struct mech_context *context, struct writer *w)
{
	struct bytes parts[] = { BYTES((const uint8_t *)"\0gss-ipsec context", 18),
		BYTES(w->data, w->len - CHECK_BYTES) };

	ck_assert_int_eq(
		crypto_prf_compute(context->protect->prf, secret_key_view(&context->protect->sk_d),
			parts, 2, w->data + w->len - CHECK_BYTES),
		ERR_OK);
}

/* What no export writes is refused behind the check too. */
START_TEST(impossible_tokens_are_refused)
{
	static const struct {
		size_t at; /* from the end for the windows */
		bool is_from_end;
		uint8_t value;
		enum err expected;
	} cases[] = {
		{ 0, false, 2, ERR_CONTEXT_TOKEN },		 /* version */
		{ 1, false, 0x04, ERR_CONTEXT_TOKEN },		 /* unknown bit */
		{ GRANTED_AT + 3, false, 0, ERR_CONTEXT_TOKEN }, /* no flags */
		{ REASON_AT, false, 63, ERR_CONTEXT_TOKEN },	 /* no such reason */
		{ CHECK_BYTES + 1, true, 0, ERR_CONTEXT_TOKEN }, /* newest number not received */
		{ CHECK_BYTES + 1, true, 3, ERR_CONTEXT_TOKEN }, /* one before the first */
		{ CHECK_BYTES + 9, true, 0, ERR_CONTEXT_TOKEN }, /* no number received */
		{ CHECK_BYTES + 1, true, 1, ERR_OK },		 /* as it was */
	};
	struct two_ends ends;
	struct token message;
	struct writer w;

	ends_open(&ends);
	message = wrap(ends.initiator);
	ck_assert_int_eq(unwrap(ends.acceptor, &message), ERR_OK);
	token_export(ends.acceptor, &w);
	for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
		size_t at = cases[n].is_from_end ? w.len - cases[n].at : cases[n].at;
		uint8_t before = w.data[at];

		w.data[at] = cases[n].value;
		token_mend(ends.acceptor, &w);
		ck_assert_int_eq(import_octets(writer_view(&w)), cases[n].expected);
		w.data[at] = before;
	}
	writer_free(&w);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_context_token(void)
{
	Suite *suite = suite_create("context_token");
	TCase *tests = tcase_create("context_token");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, latched);
	tcase_add_test(tests, unlatched);
	tcase_add_test(tests, nobody_has_no_end_point);
	tcase_add_test(tests, partial_and_dead_contexts_stay);
	tcase_add_test(tests, no_nonce_twice);
	tcase_add_test(tests, windows_go_along);
	tcase_add_test(tests, changed_tokens_are_refused);
	tcase_add_test(tests, impossible_tokens_are_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
