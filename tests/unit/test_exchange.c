/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole exchanges, both ends in one process over a fake kernel: initiator.c, acceptor.c, context.c, latching.c. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)

static void assert_keys_cross(void)
{
	const struct fake_kernel *i = &fake_kernels[0], *a = &fake_kernels[1];

	ck_assert_uint_eq(i->key_in.len, 36);
	ck_assert(bytes_equal(secret_key_view(&i->key_in), secret_key_view(&a->key_out)));
	ck_assert(bytes_equal(secret_key_view(&i->key_out), secret_key_view(&a->key_in)));
	ck_assert(!bytes_equal(secret_key_view(&i->key_out), secret_key_view(&i->key_in)));
	ck_assert_uint_eq(i->last_reserve.spi_out, 0x22222222);
	ck_assert_uint_eq(a->last_latch.spi_out, 0x11111111);
}

START_TEST(latched)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert(mech_context_is_open(ends.initiator) && mech_context_is_open(ends.acceptor));
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_LATCHED);
	ck_assert_str_eq(
		mech_name_display(mech_context_initiator_name(ends.acceptor)), "alice@example.org");
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends.initiator)),
		"host/server.example.org");
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends.acceptor)),
		"host/server.example.org");
	ck_assert_uint_eq(mech_context_flags(ends.initiator), mech_context_flags(ends.acceptor));
	ck_assert_uint_eq(mech_context_flags(ends.initiator) & FLAGS, FLAGS);
	assert_keys_cross();
	two_ends_assert_bindings(&ends);
	two_ends_assert_messages(ends.initiator, ends.acceptor);
	two_ends_assert_messages(ends.acceptor, ends.initiator);
	/* A context deleted in good order leaves its latch alone. */
	mech_context_free(&ends.initiator);
	mech_context_free(&ends.acceptor);
	ck_assert_uint_eq(fake_kernels[0].released + fake_kernels[1].released, 0);
	two_ends_free(&ends);
}
END_TEST

START_TEST(initiator_speaks_last_for_http)
{
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, "HTTP@server.example.org", FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(result, MECH_CONTINUE); /* T4 */
	ck_assert(!mech_context_is_open(ends.acceptor));
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(result, MECH_COMPLETE); /* T5 */
	ck_assert_uint_gt(writer_len(&ends.token), 0);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(result, MECH_COMPLETE);
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends.acceptor)),
		"HTTP/server.example.org");
	two_ends_assert_bindings(&ends);
	two_ends_free(&ends);
}
END_TEST

/* What the fake kernels say, the two policies, and how the exchange ends. */
struct policy_row {
	const char *initiator, *acceptor;
	enum ipsec_latch_reason find_i, find_a, reserve_i, reserve_a, latch_i, latch_a;
	bool stalls_i, stalls_a;
	enum err expected;		/* of the side that fails first */
	enum ipsec_latch_reason reason; /* both sides, when it completes */
};
#define LATCH_OF(general, service) \
	"latch = " general "\n[service]\n\thost = {\n\t\tlatch = " service "\n\t}"
#define L(name) IPSEC_LATCH_##name
#define E(name) (enum err)(ERR_LATCH + IPSEC_LATCH_##name)
/* clang-format off */
static const struct policy_row policy_rows[] = {
	{ "", "", L(NONE), L(NONE), 0, 0, 0, 0, false, false, ERR_OK, L(NONE) },
	{ "latch = auto", "latch = auto", 0, 0, 0, L(NO_BROKER), 0, 0, false, false, ERR_OK, L(NO_BROKER) },
	{ "", "", 0, 0, 0, L(NO_BROKER), 0, 0, false, false, E(NO_BROKER), 0 },
	{ "", "", 0, 0, L(NO_ESP), 0, 0, 0, false, false, E(NO_ESP), 0 },
	{ "latch = require", "", L(NONE), 0, 0, 0, 0, 0, false, false, E(NONE), 0 },
	{ "latch = require", "", 0, L(NONE), 0, 0, 0, 0, false, false, E(NONE), 0 },
	{ "", "latch = require", L(NONE), L(NONE), 0, 0, 0, 0, false, false, E(NONE), 0 },
	{ "latch = no", "latch = no", 0, 0, 0, 0, 0, 0, false, false, ERR_OK, L(POLICY_NO) },
	{ "latch = no", "", 0, 0, 0, 0, 0, 0, false, false, E(POLICY_NO), 0 },
	{ "", "latch = no", 0, 0, 0, 0, 0, 0, false, false, E(POLICY_NO), 0 },
	/* The named connection did not carry the tokens: never latched; whether it may complete is the policy's. */
	{ "", "", 0, 0, 0, 0, 0, 0, true, true, ERR_OK, L(TRAFFIC) },
	{ "latch = require", "", 0, 0, 0, 0, 0, 0, true, false, E(TRAFFIC), 0 },
	{ "", "", 0, 0, 0, 0, 0, 0, false, true, E(TRAFFIC), 0 },
	/* One side's "yes" holds whatever the other side's policy is, and where its search saw nothing. */
	{ "latch = auto", "", 0, L(TOO_MANY), 0, 0, 0, 0, false, false, E(TOO_MANY), 0 },
	{ "", "latch = auto", L(NO_PROC), 0, 0, 0, 0, 0, false, false, E(NO_PROC), 0 },
	{ "latch = auto", "latch = auto", 0, L(NO_PROC), 0, 0, 0, 0, false, false, ERR_OK, L(NO_PROC) },
	/* The service's policy counts, though T1 does not name the service. */
	{ "latch = auto", LATCH_OF("yes", "no"), 0, 0, 0, 0, 0, 0, false, false, ERR_OK, L(POLICY_NO) },
	{ "", LATCH_OF("yes", "no"), 0, 0, 0, 0, 0, 0, false, false, E(POLICY_NO), 0 },
	{ "latch = auto", LATCH_OF("no", "yes"), 0, 0, 0, L(NO_ESP), 0, 0, false, false, E(NO_ESP), 0 },
	{ "latch = auto", LATCH_OF("no", "no"), 0, 0, 0, 0, 0, 0, false, false, ERR_OK, L(POLICY_NO) },
	/* A verdict that fails is fatal under every policy. */
	{ "latch = auto", "latch = auto", 0, 0, 0, 0, 0, L(CLEAR_BEHIND), false, false, E(CLEAR_BEHIND), 0 },
	{ "latch = auto", "latch = auto", 0, 0, 0, 0, L(URGENT), 0, false, false, E(URGENT), 0 },
};
/* clang-format on */

static void set_fakes(const struct policy_row *row)
{
	struct fake_kernel *i = &fake_kernels[0], *a = &fake_kernels[1];

	i->find = row->find_i, a->find = row->find_a;
	i->reserve = row->reserve_i, a->reserve = row->reserve_a;
	i->latch = row->latch_i, a->latch = row->latch_a;
	i->stalls = row->stalls_i, a->stalls = row->stalls_a;
}

/* Whatever was reserved by a side that did not complete has been given back, once. */
static void assert_given_back(struct two_ends *ends)
{
	struct mech_context **contexts[] = { &ends->initiator, &ends->acceptor };

	for (size_t k = 0; k < 2; k++) {
		const struct fake_kernel *kernel = &fake_kernels[k];
		bool is_held = kernel->reserved > 0 && kernel->reserve == IPSEC_LATCH_LATCHED;
		bool is_open = mech_context_is_open(*contexts[k]);
		bool is_latched =
			is_open && mech_context_latch_reason(*contexts[k]) == IPSEC_LATCH_LATCHED;

		mech_context_free(contexts[k]);
		ck_assert_uint_eq(kernel->released, is_held && !is_latched ? 1 : 0);
	}
}

/* The acceptor's failure reaches the initiator as the same error, and nothing goes back. */
static void assert_told_is_not_answered(struct two_ends *ends)
{
	enum mech_step_result result;

	if (ends->acceptor->state != MECH_STATE_DEAD ||
		ends->initiator->state != MECH_STATE_SENT_T3)
		return;
	ck_assert_uint_gt(writer_len(&ends->token), 0);
	ck_assert_int_ne(two_ends_step(ends, ends->initiator, NULL, &result), ERR_OK);
	ck_assert_uint_eq(writer_len(&ends->token), 0);
}

START_TEST(policies)
{
	const struct policy_row *row = &policy_rows[_i];
	struct two_ends ends;

	two_ends_new(&ends, row->initiator, row->acceptor);
	set_fakes(row);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	if (row->expected == ERR_OK) {
		ck_assert(mech_context_is_open(ends.initiator));
		ck_assert(mech_context_is_open(ends.acceptor));
		ck_assert_int_ne(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_LATCHED);
		ck_assert_int_eq(mech_context_latch_reason(ends.initiator), row->reason);
	}
	assert_told_is_not_answered(&ends);
	assert_given_back(&ends);
	two_ends_free(&ends);
}
END_TEST

START_TEST(service_policy_latches)
{
	struct two_ends ends;

	two_ends_new(&ends, LATCH_OF("no", "require"), LATCH_OF("no", "require"));
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_LATCHED);
	two_ends_free(&ends);
}
END_TEST

/*
 * Somebody in the middle makes T1's names match nothing, puts a request of his own behind T3 and
 * closes: the connection carried the tokens all the same.
 */
START_TEST(closing_hides_nothing)
{
	struct two_ends ends;
	enum mech_step_result result;

	for (size_t side = 0; side < 2; side++) {
		two_ends_new(
			&ends, side == 0 ? "" : "latch = auto", side == 1 ? "" : "latch = auto");
		fake_kernels[1].reserve = IPSEC_LATCH_NO_BROKER;
		fake_kernels[side].closes = true;
		two_ends_contexts(&ends, TARGET, FLAGS);
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(NO_BROKER));
		two_ends_free(&ends);
	}
	/* And it is not latched any more. */
	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	fake_kernels[0].closes = true;
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), E(SOCKET_GONE));
	two_ends_free(&ends);
}
END_TEST

/* Over contexts that are there, the initiator asks for a host only: no service in T3. */
static void ask_without_service(struct two_ends *ends)
{
	static const char text[] = "/server.example.org";
	struct mech_name *target = NULL;

	two_ends_contexts(ends, TARGET, FLAGS);
	mech_context_free(&ends->initiator);
	ck_assert_int_eq(mech_name_import(MECH_FORM_USER,
				 BYTES((const uint8_t *)text, strlen(text)), NULL, &target),
		ERR_OK);
	ck_assert_int_eq(mech_initiator_new(ends->initiator_credential, target, FLAGS,
				 &fake_initiator_ops, &ends->initiator),
		ERR_OK);
	mech_name_release(&target);
}

START_TEST(target_without_service)
{
	struct mech_store_entry store;
	struct mech_name *own = NULL;
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", LATCH_OF("auto", "require"));
	ask_without_service(&ends);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends.acceptor)),
		"/server.example.org");
	/* An acceptor for one service keeps to that service's policy. */
	store = (struct mech_store_entry){ "ipsec_config", ends.acceptor_config };
	ck_assert_int_eq(mech_name_of_host("host", "server.example.org", &own), ERR_OK);
	mech_credential_release(&ends.acceptor_credential);
	ck_assert_int_eq(
		mech_credential_acquire(own, MECH_ACCEPT, &store, 1, &ends.acceptor_credential),
		ERR_OK);
	fake_kernels[0].find = fake_kernels[1].find = IPSEC_LATCH_NONE;
	ask_without_service(&ends);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(NONE));
	mech_name_release(&own);
	two_ends_free(&ends);
}
END_TEST

/* One that is no TCP, or has a filter of the program's: not latched, and not silently. */
START_TEST(unfit_connections_count)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	for (size_t side = 0; side < 2; side++)
		fake_kernels[side].find = IPSEC_LATCH_NOT_TCP, fake_kernels[side].has_unfit = true;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(NOT_TCP));
	fake_kernels[0].stalls = fake_kernels[1].stalls = true;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	two_ends_free(&ends);
}
END_TEST

/* The acceptor has no broker: each side's text says on which side the trouble is. */
START_TEST(reason_says_whose)
{
	const enum err no_broker = E(NO_BROKER);
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	fake_kernels[1].reserve = IPSEC_LATCH_NO_BROKER;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), no_broker);
	ck_assert_ptr_nonnull(strstr(mech_last_detail(no_broker), "said by the peer"));
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), no_broker);
	ck_assert_ptr_nonnull(strstr(mech_last_detail(no_broker), "the peer was told"));
	two_ends_free(&ends);
}
END_TEST

/* T5 repeats what T4 granted. */
START_TEST(flags_are_confirmed)
{
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, "HTTP@server.example.org", FLAGS);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(
			two_ends_step(&ends, i % 2 ? ends.acceptor : ends.initiator, NULL, &result),
			ERR_OK);
	ends.acceptor->granted ^= MECH_FLAG_SEQUENCE;
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_CONTEXT_MISMATCH);
	ck_assert_int_eq(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_NONE);
	two_ends_free(&ends);
}
END_TEST

START_TEST(caller_bindings)
{
	static const uint8_t a[] = "a", b[] = "b";
	struct mech_bindings bind_a = { .present = true, .application_data = BYTES_OF(a) };
	struct mech_bindings bind_b = { .present = true, .application_data = BYTES_OF(b) };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, &bind_a, &bind_a), ERR_OK);
	ck_assert(mech_context_flags(ends.initiator) & MECH_FLAG_CHANNEL_BOUND);
	ck_assert(mech_context_flags(ends.acceptor) & MECH_FLAG_CHANNEL_BOUND);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, &bind_a, NULL), ERR_OK);
	ck_assert(!(mech_context_flags(ends.initiator) & MECH_FLAG_CHANNEL_BOUND));
	ck_assert(!(mech_context_flags(ends.acceptor) & MECH_FLAG_CHANNEL_BOUND));
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, &bind_a, &bind_b), ERR_BINDINGS);
	/* The acceptor refused and told; the initiator hears the same error. */
	enum mech_step_result result;
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, &bind_a, &result), ERR_BINDINGS);
	two_ends_free(&ends);
}
END_TEST

START_TEST(wrong_targets)
{
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, "host@other.example.org", FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_TARGET_HOST);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_PEER_FAILED);
	ck_assert_uint_eq(fake_kernels[0].released + fake_kernels[1].released, 2);
	two_ends_free(&ends);
}
END_TEST

/* The acceptor does not know the initiator's key, and says so inside the protected channel. */
START_TEST(unknown_initiator)
{
	struct two_ends ends, strangers;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	two_ends_new(&strangers, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	mech_context_free(&ends.acceptor);
	ck_assert_int_eq(mech_acceptor_new(
				 strangers.acceptor_credential, &fake_acceptor_ops, &ends.acceptor),
		ERR_OK);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_PEER_KEY_CHANGED);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_PEER_AUTH_FAILED);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_CONTEXT_DEAD);
	two_ends_free(&ends);
	two_ends_free(&strangers);
}
END_TEST

START_TEST(reflected_and_repeated)
{
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_REFLECTED);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	/* T3 came back to its sender in T4's place. */
	ck_assert_int_ne(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	two_ends_free(&ends);
}
END_TEST

/* --- hostile changes: token number _i is changed on its way, everything else is honest --- */

typedef bool (*change_function)(struct writer *token, size_t step);

static bool change_flip(struct writer *token, size_t step)
{
	if (step / 8 >= writer_len(token))
		return false;
	*writer_at(token, step / 8, 1) ^= (uint8_t)(1u << (step % 8));
	return true;
}

static bool change_cut(struct writer *token, size_t step)
{
	struct writer cut;

	if (step >= writer_len(token))
		return false;
	writer_init(&cut, IKE_MESSAGE_BYTES_MAX);
	writer_put_bytes(&cut, BYTES(writer_at(token, 0, step), step));
	writer_free(token);
	*token = cut;
	return true;
}

/* Runs one exchange with one token changed; false when the change is past the token's end. */
static bool run_changed(struct two_ends *ends, int number, change_function change, size_t step)
{
	enum mech_step_result result = MECH_CONTINUE;
	enum err err = ERR_OK;

	two_ends_contexts(ends, TARGET, FLAGS);
	for (int made = 1; made <= 4 && err == ERR_OK; made++) {
		struct mech_context *from = made % 2 == 1 ? ends->initiator : ends->acceptor;

		err = two_ends_step(ends, from, NULL, &result);
		if (err == ERR_OK && made == number && !change(&ends->token, step))
			return false;
	}
	if (err == ERR_OK)
		err = two_ends_step(ends, ends->initiator, NULL, &result);
	ck_assert_msg(!mech_context_is_open(ends->initiator), "T%d, step %zu", number, step);
	if (number == 1 || number == 3)
		ck_assert_msg(!mech_context_is_open(ends->acceptor), "T%d, step %zu", number, step);
	return true;
}

START_TEST(every_bit_counts)
{
	struct two_ends ends;
	size_t step = 0;

	two_ends_new(&ends, "", "");
	/* Coprime with 8: over a token all bit positions are flipped, each octet once. */
	while (run_changed(&ends, _i, change_flip, step))
		step += 7;
	ck_assert_uint_gt(step, 100);
	two_ends_free(&ends);
}
END_TEST

START_TEST(every_octet_is_needed)
{
	struct two_ends ends;
	size_t step = 0;

	two_ends_new(&ends, "", "");
	while (run_changed(&ends, _i, change_cut, step))
		step++;
	ck_assert_uint_gt(step, 100);
	two_ends_free(&ends);
}
END_TEST

/* T3 of one exchange handed to the acceptor of another. */
START_TEST(exchanges_do_not_mix)
{
	struct two_ends one, two;
	enum mech_step_result result;

	two_ends_new(&one, "", "");
	two_ends_contexts(&one, TARGET, FLAGS);
	two = one;
	two.initiator = two.acceptor = NULL;
	two.target = NULL;
	memset(&two.token, 0, sizeof(two.token));
	two_ends_contexts(&two, TARGET, FLAGS);
	for (int i = 0; i < 3; i++) {
		struct two_ends *first = &one, *second = &two;

		ck_assert_int_eq(
			two_ends_step(first, i % 2 ? one.acceptor : one.initiator, NULL, &result),
			ERR_OK);
		ck_assert_int_eq(
			two_ends_step(second, i % 2 ? two.acceptor : two.initiator, NULL, &result),
			ERR_OK);
	}
	ck_assert_int_eq(two_ends_step(&one, two.acceptor, NULL, &result), ERR_IKE_HEADER);
	mech_context_free(&two.initiator);
	mech_context_free(&two.acceptor);
	mech_name_release(&two.target);
	writer_free(&two.token);
	two_ends_free(&one);
}
END_TEST

START_TEST(idle_contexts_are_small)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_ptr_null(ends.initiator->exchange);
	ck_assert_uint_le(sizeof(struct mech_context), 512);
	two_ends_free(&ends);
}
END_TEST

START_TEST(long_tokens)
{
	struct two_ends ends;

	two_ends_new(&ends, "token_padding = 30000", "token_padding = 30000");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_exchange(void)
{
	Suite *suite = suite_create("exchange");
	TCase *tests = tcase_create("exchange");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, latched);
	tcase_add_test(tests, initiator_speaks_last_for_http);
	tcase_add_loop_test(
		tests, policies, 0, (int)(sizeof(policy_rows) / sizeof(policy_rows[0])));
	tcase_add_test(tests, service_policy_latches);
	tcase_add_test(tests, closing_hides_nothing);
	tcase_add_test(tests, target_without_service);
	tcase_add_test(tests, unfit_connections_count);
	tcase_add_test(tests, reason_says_whose);
	tcase_add_test(tests, flags_are_confirmed);
	tcase_add_test(tests, caller_bindings);
	tcase_add_test(tests, wrong_targets);
	tcase_add_test(tests, unknown_initiator);
	tcase_add_test(tests, reflected_and_repeated);
	tcase_add_loop_test(tests, every_bit_counts, 1, 5);
	tcase_add_loop_test(tests, every_octet_is_needed, 1, 5);
	tcase_add_test(tests, exchanges_do_not_mix);
	tcase_add_test(tests, idle_contexts_are_small);
	tcase_add_test(tests, long_tokens);
	suite_add_tcase(suite, tests);
	return suite;
}
