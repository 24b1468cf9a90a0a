/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-message tokens: vectors, what is refused, order and replay, instances, forks. */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mech/generation.h"
#include "mech/protect_state.h"
#include "tests/unit/protect_fixture.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

#define INSTANCE_AT 4 /* where a token says its instance */

static const char text[] = "a message of some length that is no multiple of anything";

struct token {
	uint8_t *data;
	size_t len;
};

static struct bytes message(void)
{
	return BYTES((const uint8_t *)text, sizeof(text) - 1);
}

static struct bytes token_view(const struct token *token)
{
	return BYTES(token->data, token->len);
}

static struct token wrap(struct mech_protect *protect, bool seal)
{
	struct token token = { .data = NULL };

	ck_assert_int_eq(
		mech_protect_wrap(protect, seal, message(), &token.data, &token.len), ERR_OK);
	return token;
}

static struct token mic(struct mech_protect *protect)
{
	struct token token = { .data = NULL };

	ck_assert_int_eq(mech_protect_mic(protect, message(), &token.data, &token.len), ERR_OK);
	ck_assert_uint_eq(token.len, MECH_TOKEN_OVERHEAD_BYTES);
	return token;
}

/* Unwraps, and wants the message whenever a code says that there is one. */
static enum err unwrap(struct mech_protect *protect, struct bytes input)
{
	uint8_t *plain = NULL;
	size_t len = 0;
	bool was_sealed = false;
	enum err err = mech_protect_unwrap(protect, input, &plain, &len, &was_sealed);
	bool has_output = err == ERR_OK || (err >= ERR_MESSAGE_DUPLICATE && err <= ERR_MESSAGE_GAP);

	ck_assert_int_eq(plain != NULL, has_output);
	if (has_output) {
		ck_assert(bytes_equal(BYTES(plain, len), message()));
		ck_assert_int_eq(was_sealed, (input.data[3] & 2) != 0);
	}
	free(plain);
	return err;
}

START_TEST(vectors_are_understood)
{
	static const struct {
		const char *name;
		bool by_initiator;
	} wraps[] = { { "wrap_sealed_i_0", true }, { "wrap_clear_i_1", true },
		{ "wrap_sealed_r_0", false }, { "wrap_clear_r_2", false } };
	struct vector_field expected, token;
	struct mech_protect *protect;
	uint8_t *plain = NULL;
	size_t len = 0;
	bool was_sealed;

	vector_read("message.hex", "message", &expected);
	for (size_t i = 0; i < sizeof(wraps) / sizeof(wraps[0]); i++) {
		protect = protect_new(!wraps[i].by_initiator, false, false);
		vector_read("message.hex", wraps[i].name, &token);
		ck_assert_int_eq(mech_protect_unwrap(
					 protect, vector_view(&token), &plain, &len, &was_sealed),
			ERR_OK);
		ck_assert(bytes_equal(BYTES(plain, len), vector_view(&expected)));
		free(plain);
		mech_protect_free(&protect);
	}
	protect = protect_new(false, false, false);
	vector_read("message.hex", "wrap_empty_i_3", &token);
	ck_assert_int_eq(
		mech_protect_unwrap(protect, vector_view(&token), &plain, &len, &was_sealed),
		ERR_OK);
	ck_assert_uint_eq(len, 0);
	free(plain);
	mech_protect_free(&protect);
	protect = protect_new(false, false, false);
	vector_read("message.hex", "mic_i_2", &token);
	ck_assert_int_eq(
		mech_protect_verify(protect, vector_view(&expected), vector_view(&token)), ERR_OK);
	mech_protect_free(&protect);
	protect = protect_new(true, false, false);
	vector_read("message.hex", "mic_r_1", &token);
	ck_assert_int_eq(
		mech_protect_verify(protect, vector_view(&expected), vector_view(&token)), ERR_OK);
	mech_protect_free(&protect);
}
END_TEST

static uint64_t vector_instance(void)
{
	struct vector_field field;
	uint64_t instance = 0;

	vector_read("message.hex", "instance", &field);
	for (size_t i = 0; i < field.len; i++)
		instance = instance << 8 | field.data[i];
	return instance;
}

/* A sender of the vectors' instance; its key is derived here once more, by label. */
static struct mech_protect *fixed_sender(bool we_initiate)
{
	struct mech_protect *sender = protect_new(we_initiate, true, true);
	const struct crypto_aead *aead = sender->aead;
	struct vector_field instance;
	uint8_t keymat[36];
	struct bytes parts[3];

	vector_read("message.hex", "instance", &instance);
	parts[0] = BYTES(
		(const uint8_t *)(we_initiate ? "\0gss-ipsec message i" : "\0gss-ipsec message r"),
		20);
	parts[1] = BYTES(sender->nonces, sender->nonces_len);
	parts[2] = vector_view(&instance);
	ck_assert_int_eq(crypto_prf_plus(sender->prf, secret_key_view(&sender->sk_d), parts, 3,
				 keymat, sizeof(keymat)),
		ERR_OK);
	ck_assert_int_eq(mech_generation_get(&sender->sender.generation), ERR_OK);
	sender->sender.instance = vector_instance();
	ck_assert_int_eq(crypto_aead_key_new(aead, BYTES(keymat, aead->key_bytes), true,
				 &sender->sender.key.cipher),
		ERR_OK);
	memcpy(sender->sender.key.salt, keymat + aead->key_bytes, PROTECT_SALT_BYTES);
	return sender;
}

START_TEST(vectors_are_made)
{
	static const struct {
		const char *name;
		bool by_initiator, is_wrap, seals;
	} cases[] = { { "wrap_sealed_i_0", true, true, true },
		{ "wrap_clear_i_1", true, true, false }, { "mic_i_2", true, false, false },
		{ "wrap_sealed_r_0", false, true, true }, { "mic_r_1", false, false, false },
		{ "wrap_clear_r_2", false, true, false } };
	struct vector_field plain, expected;

	vector_read("message.hex", "message", &plain);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mech_protect *sender = fixed_sender(cases[i].by_initiator);
		struct token token = { .data = NULL };

		sender->sender.next = (uint64_t)(cases[i].name[strlen(cases[i].name) - 1] - '0');
		if (cases[i].is_wrap)
			ck_assert_int_eq(mech_protect_wrap(sender, cases[i].seals,
						 vector_view(&plain), &token.data, &token.len),
				ERR_OK);
		else
			ck_assert_int_eq(mech_protect_mic(sender, vector_view(&plain), &token.data,
						 &token.len),
				ERR_OK);
		vector_read("message.hex", cases[i].name, &expected);
		ck_assert(bytes_equal(token_view(&token), vector_view(&expected)));
		free(token.data);
		mech_protect_free(&sender);
	}
}
END_TEST

START_TEST(both_directions_work)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);

	for (int round = 0; round < 4; round++) {
		struct token token = wrap(i, round % 2 == 0);

		ck_assert_uint_eq(token.len, message().len + MECH_TOKEN_OVERHEAD_BYTES);
		ck_assert_int_eq(unwrap(r, token_view(&token)), ERR_OK);
		free(token.data);
		token = wrap(r, round % 2 == 1);
		ck_assert_int_eq(unwrap(i, token_view(&token)), ERR_OK);
		free(token.data);
		token = mic(i);
		ck_assert_int_eq(mech_protect_verify(r, message(), token_view(&token)), ERR_OK);
		free(token.data);
	}
	mech_protect_free(&i);
	mech_protect_free(&r);
	ck_assert_ptr_null(r);
	mech_protect_free(&r);
}
END_TEST

START_TEST(empty_and_long_messages_work)
{
	static const size_t lengths[] = { 0, 1, 15, 16, 17, 4096, 300001 };
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	uint8_t *long_message = calloc(1, 300001);

	ck_assert_ptr_nonnull(long_message);
	for (size_t n = 0; n < sizeof(lengths) / sizeof(lengths[0]) * 2; n++) {
		struct bytes input = BYTES(n < 2 ? NULL : long_message, lengths[n / 2]);
		struct token token = { .data = NULL };
		uint8_t *plain = NULL;
		bool was_sealed = false;
		size_t len = 7;

		ck_assert_int_eq(
			mech_protect_wrap(i, n % 2 == 0, input, &token.data, &token.len), ERR_OK);
		ck_assert_int_eq(
			mech_protect_unwrap(r, token_view(&token), &plain, &len, &was_sealed),
			ERR_OK);
		ck_assert_int_eq(was_sealed, n % 2 == 0);
		ck_assert_ptr_nonnull(plain);
		ck_assert(bytes_equal(BYTES(plain, len), input));
		free(plain);
		free(token.data);
	}
	free(long_message);
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

/* Every cut and every changed bit is refused, and leaves nothing behind. */
static void refuses_changes(struct mech_protect *r, struct token *token, bool is_mic)
{
	for (size_t len = 0; len < token->len; len++) {
		struct bytes cut = BYTES(token->data, len);

		ck_assert_int_ne(
			is_mic ? mech_protect_verify(r, message(), cut) : unwrap(r, cut), ERR_OK);
	}
	for (size_t bit = 0; bit < token->len * 8; bit++) {
		enum err err;

		token->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		err = is_mic ? mech_protect_verify(r, message(), token_view(token))
			     : unwrap(r, token_view(token));
		ck_assert_int_eq(err == ERR_MESSAGE_TOKEN || err == ERR_MESSAGE_MIC, 1);
		token->data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_ptr_null(r->receivers);
	ck_assert_uint_eq(r->receiver_count, 0);
}

START_TEST(changed_tokens_are_refused)
{
	for (int kind = 0; kind < 3; kind++) {
		struct mech_protect *i = protect_new(true, true, true);
		struct mech_protect *r = protect_new(false, true, true);
		struct token token = kind == 2 ? mic(i) : wrap(i, kind == 0);

		refuses_changes(r, &token, kind == 2);
		if (kind == 2)
			ck_assert_int_eq(
				mech_protect_verify(r, message(), token_view(&token)), ERR_OK);
		else
			ck_assert_int_eq(unwrap(r, token_view(&token)), ERR_OK);
		free(token.data);
		mech_protect_free(&i);
		mech_protect_free(&r);
	}
}
END_TEST

START_TEST(wrong_direction_and_kind_are_refused)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	struct token wrapped = wrap(i, true), signed_token = mic(i);
	struct bytes other = BYTES((const uint8_t *)"other", 5);

	/* its own tokens, sent back */
	ck_assert_int_eq(unwrap(i, token_view(&wrapped)), ERR_MESSAGE_TOKEN);
	ck_assert_int_eq(
		mech_protect_verify(i, message(), token_view(&signed_token)), ERR_MESSAGE_TOKEN);
	/* ... with the direction's bit turned over */
	wrapped.data[3] ^= 1;
	ck_assert_int_eq(unwrap(i, token_view(&wrapped)), ERR_MESSAGE_MIC);
	wrapped.data[3] ^= 1;
	ck_assert_int_eq(
		mech_protect_verify(r, message(), token_view(&wrapped)), ERR_MESSAGE_TOKEN);
	ck_assert_int_eq(unwrap(r, token_view(&signed_token)), ERR_MESSAGE_TOKEN);
	ck_assert_int_eq(mech_protect_verify(r, other, token_view(&signed_token)), ERR_MESSAGE_MIC);
	for (unsigned int bit = 4; bit < 8; bit++) {
		wrapped.data[3] ^= (uint8_t)(1u << bit);
		ck_assert_int_eq(unwrap(r, token_view(&wrapped)), ERR_MESSAGE_TOKEN);
		wrapped.data[3] ^= (uint8_t)(1u << bit);
	}
	wrapped.data[2] = 2;
	ck_assert_int_eq(unwrap(r, token_view(&wrapped)), ERR_MESSAGE_TOKEN);
	wrapped.data[2] = 1;
	memset(wrapped.data + INSTANCE_AT + 8, 0xff, 8);
	ck_assert_int_eq(unwrap(r, token_view(&wrapped)), ERR_MESSAGE_TOKEN);
	free(wrapped.data);
	free(signed_token.data);
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

/* The order in which numbers arrive, and what each is called: {replay only, sequence too}. */
static const struct {
	uint64_t number;
	enum err replay, sequence;
} order[] = {
	{ 0, ERR_OK, ERR_OK },
	{ 1, ERR_OK, ERR_OK },
	{ 1, ERR_MESSAGE_DUPLICATE, ERR_MESSAGE_DUPLICATE },
	{ 4, ERR_OK, ERR_MESSAGE_GAP },
	{ 3, ERR_OK, ERR_MESSAGE_UNSEQ },
	{ 3, ERR_MESSAGE_DUPLICATE, ERR_MESSAGE_DUPLICATE },
	{ 5, ERR_OK, ERR_OK },
	{ 68, ERR_OK, ERR_MESSAGE_GAP },
	{ 5, ERR_MESSAGE_DUPLICATE, ERR_MESSAGE_DUPLICATE },
	{ 4, ERR_MESSAGE_OLD, ERR_MESSAGE_OLD },
	{ 2, ERR_MESSAGE_OLD, ERR_MESSAGE_OLD },
	{ 6, ERR_OK, ERR_MESSAGE_UNSEQ },
	{ 69, ERR_OK, ERR_OK },
	{ 5, ERR_MESSAGE_OLD, ERR_MESSAGE_OLD },
	{ 133, ERR_OK, ERR_MESSAGE_GAP },
	{ 69, ERR_MESSAGE_OLD, ERR_MESSAGE_OLD },
	{ 70, ERR_OK, ERR_MESSAGE_UNSEQ },
	{ 100000, ERR_OK, ERR_MESSAGE_GAP },
	{ 99937, ERR_OK, ERR_MESSAGE_UNSEQ },
	{ 99936, ERR_MESSAGE_OLD, ERR_MESSAGE_OLD },
	{ UINT64_MAX - 1, ERR_OK, ERR_MESSAGE_GAP },
	{ UINT64_MAX - 1, ERR_MESSAGE_DUPLICATE, ERR_MESSAGE_DUPLICATE },
	{ UINT64_MAX - 2, ERR_OK, ERR_MESSAGE_UNSEQ },
};

START_TEST(order_and_replay)
{
	for (int detects = 0; detects < 4; detects++) {
		struct mech_protect *i = protect_new(true, true, true);
		struct mech_protect *r = protect_new(false, detects & 1, (detects & 2) != 0);

		for (size_t n = 0; n < sizeof(order) / sizeof(order[0]); n++) {
			enum err expected = (detects & 2) != 0 ? order[n].sequence
					    : detects != 0     ? order[n].replay
							       : ERR_OK;
			struct token token;

			if (n == 0) /* a new instance begins at 0 */
				ck_assert_uint_eq(order[n].number, 0);
			i->sender.next = order[n].number;
			token = n % 3 == 0 ? mic(i) : wrap(i, n % 3 == 1);
			ck_assert_int_eq(
				n % 3 == 0 ? mech_protect_verify(r, message(), token_view(&token))
					   : unwrap(r, token_view(&token)),
				expected);
			free(token.data);
		}
		mech_protect_free(&i);
		mech_protect_free(&r);
	}
}
END_TEST

START_TEST(first_number_missing_is_a_gap)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	struct token first = wrap(i, true), second = wrap(i, true);

	ck_assert_int_eq(unwrap(r, token_view(&second)), ERR_MESSAGE_GAP);
	ck_assert_int_eq(unwrap(r, token_view(&first)), ERR_MESSAGE_UNSEQ);
	free(first.data);
	free(second.data);
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

START_TEST(numbers_end)
{
	struct mech_protect *i = protect_new(true, true, true);
	struct token token = wrap(i, true);
	uint8_t *none = NULL;
	size_t len = 0;

	free(token.data);
	i->sender.next = UINT64_MAX - 1;
	token = wrap(i, true);
	free(token.data);
	ck_assert_int_eq(mech_protect_wrap(i, true, message(), &none, &len), ERR_TOO_LARGE);
	ck_assert_int_eq(mech_protect_mic(i, message(), &none, &len), ERR_TOO_LARGE);
	ck_assert_ptr_null(none);
	mech_protect_free(&i);
}
END_TEST

/* 64 copies of a context send; one more is refused, forged ones count for nothing. */
START_TEST(instances_are_counted_and_kept)
{
	struct mech_protect *r = protect_new(false, true, true), *copy;
	struct token tokens[PROTECT_INSTANCES_MAX], token;

	for (size_t n = 0; n < PROTECT_INSTANCES_MAX; n++) {
		copy = protect_new(true, true, true);
		tokens[n] = wrap(copy, true);
		tokens[n].data[tokens[n].len - 1] ^= 1;
		ck_assert_int_eq(unwrap(r, token_view(&tokens[n])), ERR_MESSAGE_MIC);
		ck_assert_uint_eq(r->receiver_count, n);
		tokens[n].data[tokens[n].len - 1] ^= 1;
		ck_assert_int_eq(unwrap(r, token_view(&tokens[n])), ERR_OK);
		mech_protect_free(&copy);
	}
	copy = protect_new(true, true, true);
	token = wrap(copy, true);
	ck_assert_int_eq(unwrap(r, token_view(&token)), ERR_MESSAGE_INSTANCES);
	token.data[token.len - 1] ^= 1;
	ck_assert_int_eq(unwrap(r, token_view(&token)), ERR_MESSAGE_MIC);
	free(token.data);
	mech_protect_free(&copy);
	for (size_t n = 0; n < PROTECT_INSTANCES_MAX; n++) {
		ck_assert_int_eq(unwrap(r, token_view(&tokens[n])), ERR_MESSAGE_DUPLICATE);
		free(tokens[n].data);
	}
	mech_protect_free(&r);
}
END_TEST

START_TEST(nothing_is_made_before_the_first_message)
{
	struct mech_protect *i = protect_new(true, true, true);

	ck_assert_ptr_null(i->sender.key.cipher);
	ck_assert_ptr_null(i->receivers);
	mech_protect_free(&i);
}
END_TEST

/* --- forks: a child's tokens bear another instance than its parent's --- */

/* Writes the instance that a wrap of this process bears. */
static void instance_tell(struct mech_protect *protect, int fd)
{
	uint8_t *token = NULL;
	size_t len = 0;

	if (mech_protect_wrap(protect, true, message(), &token, &len) != ERR_OK ||
		write(fd, token + INSTANCE_AT, 8) != 8)
		_exit(1);
	free(token);
}

/* The instances of: this process, its child, the child of a child that sent nothing, a child of the
 * first child. */
static void instances_collect(struct mech_protect *protect, uint64_t instances[4])
{
	int pipes[4][2];
	pid_t child;
	int status;

	for (size_t n = 0; n < 4; n++)
		ck_assert_int_eq(pipe(pipes[n]), 0);
	instance_tell(protect, pipes[0][1]);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		instance_tell(protect, pipes[1][1]);
		if (fork() == 0)
			instance_tell(protect, pipes[3][1]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (fork() == 0)
			instance_tell(protect, pipes[2][1]);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	for (size_t n = 0; n < 4; n++) {
		ck_assert_int_eq(read(pipes[n][0], &instances[n], 8), 8);
		(void)close(pipes[n][0]);
		(void)close(pipes[n][1]);
	}
}

START_TEST(forked_children_have_instances_of_their_own)
{
	struct mech_protect *i = protect_new(true, true, true);
	uint64_t instances[4], before = 0;

	instances_collect(i, instances);
	for (size_t n = 0; n < 4; n++) {
		for (size_t m = 0; m < n; m++)
			ck_assert_uint_ne(instances[n], instances[m]);
	}
	/* the parent goes on with its own */
	before = i->sender.instance;
	free(wrap(i, true).data);
	ck_assert_uint_eq(i->sender.instance, before);
	ck_assert_uint_eq(i->sender.next, 2);
	mech_protect_free(&i);
}
END_TEST

static void *thread_generation(void *context)
{
	uint64_t *generation = context;

	return mech_generation_get(generation) == ERR_OK ? context : NULL;
}

START_TEST(threads_of_a_child_agree_on_its_generation)
{
	uint64_t parent = 0, again = 0;
	int status = 0;
	pid_t child;

	ck_assert_int_eq(mech_generation_get(&parent), ERR_OK);
	ck_assert_uint_ne(parent, 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		uint64_t found[8] = { 0 };
		pthread_t threads[8];
		bool is_good = true;

		for (size_t n = 0; n < 8; n++)
			is_good &= pthread_create(
					   &threads[n], NULL, thread_generation, &found[n]) == 0;
		for (size_t n = 0; is_good && n < 8; n++)
			is_good &= pthread_join(threads[n], NULL) == 0;
		for (size_t n = 0; n < 8; n++)
			is_good &= found[n] == found[0] && found[n] != 0 && found[n] != parent;
		_exit(is_good ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(mech_generation_get(&again), ERR_OK);
	ck_assert_uint_eq(again, parent);
}
END_TEST

Suite *suite_protect(void)
{
	Suite *suite = suite_create("protect");
	TCase *tests = tcase_create("protect");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, vectors_are_understood);
	tcase_add_test(tests, vectors_are_made);
	tcase_add_test(tests, both_directions_work);
	tcase_add_test(tests, empty_and_long_messages_work);
	tcase_add_test(tests, changed_tokens_are_refused);
	tcase_add_test(tests, wrong_direction_and_kind_are_refused);
	tcase_add_test(tests, order_and_replay);
	tcase_add_test(tests, first_number_missing_is_a_gap);
	tcase_add_test(tests, numbers_end);
	tcase_add_test(tests, instances_are_counted_and_kept);
	tcase_add_test(tests, nothing_is_made_before_the_first_message);
	tcase_add_test(tests, forked_children_have_instances_of_their_own);
	tcase_add_test(tests, threads_of_a_child_agree_on_its_generation);
	suite_add_tcase(suite, tests);
	return suite;
}
