/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which connection: several candidates, rivals, connections that come later or are another
 * context's, over a fake kernel.  The same with real programs: tests/real/rendezvous.sh.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY)
#define L(name) IPSEC_LATCH_##name
#define E(name) (enum err)(ERR_LATCH + IPSEC_LATCH_##name)
#define MUCH 60000 /* more than any token has */

static bool hash_fails;

/* The linker puts these around the real one. */
enum err __wrap_ike_tuple_hash(uint64_t spi_i, const struct ike_tuple *tuple, uint16_t *ret_hash,
	uint32_t *ret_veil) ERR_MUST_CHECK;
enum err __real_ike_tuple_hash(uint64_t spi_i, const struct ike_tuple *tuple, uint16_t *ret_hash,
	uint32_t *ret_veil) ERR_MUST_CHECK;
enum err __wrap_ike_tuple_hash(
	uint64_t spi_i, const struct ike_tuple *tuple, uint16_t *ret_hash, uint32_t *ret_veil)
{
	return hash_fails ? ERR_NO_MEMORY : __real_ike_tuple_hash(spi_i, tuple, ret_hash, ret_veil);
}

/* A further connection of one side, with the tuple of the first, so that T1 names it too. */
static struct kbind_candidate twin_of(size_t side, uint64_t cookie)
{
	struct kbind_candidate twin = fake_connection(side == 0);

	twin.cookie = cookie;
	twin.fd = 8;
	return twin;
}

static struct kbind_candidate moved(struct kbind_candidate connection)
{
	connection.sent_bytes += MUCH;
	connection.received_bytes += MUCH;
	return connection;
}

/* The acceptor's process has it too, however it looks. */
static void add_twin(struct kbind_candidate twin)
{
	fake_kernels[1].twins[0] = fake_kernels[1].others[0] = twin;
	fake_kernels[1].twin_count = fake_kernels[1].other_count = 1;
}

/* --- the acceptor holds two that T1 names --- */

START_TEST(a_tie_is_several)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	fake_kernels[1].twins[0] = twin_of(1, 99);
	fake_kernels[1].twin_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(SEVERAL));
	ck_assert_uint_eq(fake_kernels[0].reserved + fake_kernels[1].reserved, 0);
	two_ends_free(&ends);
}
END_TEST

/* The only one that T1 names is in another context's handshake: whether T1 came on it the broker can tell. */
START_TEST(a_reserved_one_is_asked_for)
{
	static const enum ipsec_latch_reason answers[] = { L(LATCHED), L(ALREADY_LATCHED) };
	const bool is_free = answers[_i] == L(LATCHED);
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	fake_kernels[1].find = L(ALREADY_LATCHED);
	fake_kernels[1].has_unfit = true;
	fake_kernels[1].reserve = answers[_i];
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), is_free ? ERR_OK : E(ALREADY_LATCHED));
	ck_assert_uint_eq(fake_kernels[1].reserved, 1);
	ck_assert_uint_gt(fake_kernels[1].last_reserve.token_bytes, 0);
	ck_assert_uint_eq(fake_kernels[1].latched, is_free ? 1 : 0);
	two_ends_free(&ends);
}
END_TEST

/* What the program has not read cannot be what it handed to us. */
START_TEST(unread_is_not_ours)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	add_twin(twin_of(1, 99));
	fake_kernels[1].others[0].unread_bytes = MUCH;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_uint_eq(ends.acceptor->latched.cookie, fake_connection(false).cookie);
	two_ends_free(&ends);
}
END_TEST

/* T1 names two, and only on the one that it came on enough has come since it was made. */
static void new_with_less_since(struct two_ends *ends)
{
	struct kbind_candidate twin;

	two_ends_new(ends, "", "");
	fake_kernels[0].written = 50000;
	twin = twin_of(1, 99);
	twin.received_bytes = 50100;
	add_twin(twin);
	two_ends_contexts(ends, TARGET, FLAGS);
}

/* T1 says what had been written to each when it was made: where less than T1 has come since, it has not come. */
START_TEST(positions_tell_apart)
{
	struct two_ends ends;

	new_with_less_since(&ends);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_uint_eq(ends.acceptor->latched.cookie, fake_connection(false).cookie);
	two_ends_free(&ends);
}
END_TEST

/* The same, and it is busy behind T1: that cannot make it one that T1 has come on. */
START_TEST(positions_tell_who_is_no_rival)
{
	struct two_ends ends;
	enum mech_step_result result;

	new_with_less_since(&ends);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	fake_kernels[1].others[0] = moved(fake_kernels[1].others[0]);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_uint_eq(fake_kernels[1].latched, 1);
	two_ends_free(&ends);
}
END_TEST

/* Too little has come since, or less than T1 says had been written before: another one carried T1. */
START_TEST(positions_that_cannot_be)
{
	static const uint32_t written[] = { 119950, 120001, UINT32_MAX };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	fake_kernels[0].written = written[_i];
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(TRAFFIC));
	ck_assert_uint_eq(fake_kernels[1].reserved, 0);
	two_ends_free(&ends);
}
END_TEST

/* What the second connection looks like behind T3, and what becomes of the latch of the first. */
struct rival_row {
	bool has_moved, is_unread;
	enum ipsec_latch_reason fitness, query;
	uint8_t state;
	const char *peer;
	bool is_anothers; /* latched by another user */
	enum err expected;
};
#define ALICE "alice@example.org"
#define STATE(name) IPSEC_LATCH_STATE_##name
/* clang-format off */
static const struct rival_row rival_rows[] = {
	{ false, false, 0, 0, 0, "", false, ERR_OK },
	{ true, false, 0, 0, 0, "", false, E(SEVERAL) },
	{ true, true, 0, 0, 0, "", false, E(SEVERAL) }, /* it may only have been peeked at */
	{ true, false, L(HAS_FILTER), 0, 0, "", false, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), ALICE, false, ERR_OK },
	{ true, true, L(ALREADY_LATCHED), 0, STATE(LARVAL), "", false, ERR_OK },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(LARVAL), ALICE, false, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(FAILED), ALICE, false, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), "mallory@example.org", false, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), ALICE, true, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), L(NO_BROKER), STATE(ESTABLISHED), ALICE, false, E(SEVERAL) },
	{ true, false, L(ALREADY_LATCHED), L(NONE), STATE(ESTABLISHED), ALICE, false, E(SEVERAL) },
};
/* clang-format on */

static void set_status(struct fake_kernel *k, const struct rival_row *row)
{
	k->query = row->query;
	k->status = (struct kbind_status){ .state = row->state,
		.uid = geteuid() + (row->is_anothers ? 1 : 0) };
	strcpy(k->status.peer_name, row->peer);
}

START_TEST(rivals_behind_t3)
{
	const struct rival_row *row = &rival_rows[_i];
	struct fake_kernel *k = &fake_kernels[1];
	struct two_ends ends;
	struct kbind_candidate twin = twin_of(1, 99);

	two_ends_new(&ends, "latch = auto", "latch = auto");
	twin.last_received_ms = 700;
	k->twins[0] = twin;
	k->others[0] = row->has_moved ? moved(twin) : twin;
	k->others[0].fitness = row->fitness;
	k->others[0].unread_bytes = row->is_unread ? MUCH : 0;
	k->twin_count = k->other_count = 1;
	set_status(k, row);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	/* A rival that is clear shows before anything is required of the reserved one. */
	ck_assert_uint_eq(
		k->latched, row->expected == ERR_OK || row->fitness == L(ALREADY_LATCHED) ? 1 : 0);
	ck_assert_uint_eq(k->released, row->expected == ERR_OK ? 0 : 1);
	ck_assert(k->queried == 0 || k->last_wait_ms > 0);
	two_ends_free(&ends);
}
END_TEST

/* The one connection of the ordinary case costs no question. */
START_TEST(no_rival_no_question)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_uint_eq(fake_kernels[0].queried + fake_kernels[1].queried, 0);
	ck_assert_uint_eq(ends.acceptor->reason, IPSEC_LATCH_LATCHED);
	two_ends_free(&ends);
}
END_TEST

/* --- the initiator holds another one, which T1 does not name --- */

struct hidden_row {
	uint8_t family, last_octet;
	uint16_t port;
	bool has_moved;
	enum ipsec_latch_reason fitness;
	enum err expected;
};
/* clang-format off */
static const struct hidden_row hidden_rows[] = {
	{ AF_INET, 2, 4444, true, 0, E(SEVERAL) },
	{ AF_INET, 2, 4444, true, L(HAS_FILTER), E(SEVERAL) },
	{ AF_INET6, 2, 4444, true, L(NOT_TCP), E(SEVERAL) },
	{ AF_INET, 2, 4444, false, 0, ERR_OK },
	{ AF_INET, 2, 4445, true, 0, ERR_OK },
	{ AF_INET, 3, 4444, true, 0, ERR_OK },
	{ AF_INET, 2, 4444, true, L(ALREADY_LATCHED), ERR_OK },
};
/* clang-format on */

START_TEST(hidden_connections)
{
	const struct hidden_row *row = &hidden_rows[_i];
	struct fake_kernel *k = &fake_kernels[0];
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "latch = require");
	k->others[0] = (struct kbind_candidate){ .fd = 8, .cookie = 77, .fitness = row->fitness };
	if (row->has_moved)
		k->others[0] = moved(k->others[0]);
	k->others[0].tuple = fake_connection(true).tuple;
	k->others[0].tuple.family = row->family;
	k->others[0].tuple.remote[3] = row->last_octet;
	k->others[0].tuple.remote_port = row->port;
	k->other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	ck_assert_uint_eq(k->reserved, row->expected == ERR_OK ? 1 : 0);
	two_ends_free(&ends);
}
END_TEST

/* The program has moved the descriptor to another number between T1 and T2. */
START_TEST(moved_descriptor_is_followed)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	fake_kernels[0].is_away = true;
	fake_kernels[0].others[0] = moved(fake_connection(true));
	fake_kernels[0].others[0].fd = 12;
	fake_kernels[0].other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(ends.initiator->latched.fd, 12);
	two_ends_free(&ends);
}
END_TEST

/* --- without a latch, under "yes" --- */

/* A second context on a connection that an earlier one latched, or is about to. */
static const struct rival_row second_rows[] = {
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), ALICE, false, ERR_OK },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(LARVAL), ALICE, false, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(FAILED), ALICE, false, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(BROKEN), ALICE, false, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), "mallory@example.org", false,
		E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), "", false, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), 0, STATE(ESTABLISHED), ALICE, true, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), L(NONE), 0, "", false, E(ALREADY_LATCHED) },
	{ true, false, L(ALREADY_LATCHED), L(NO_BROKER), 0, "", false, E(ALREADY_LATCHED) },
};

/* side: whose "yes" it is; the other one's is "auto". */
static void run_second(const struct rival_row *row, size_t side)
{
	static const char *const own_peer[] = { "host/server.example.org", ALICE };
	struct fake_kernel *k = &fake_kernels[side];
	struct two_ends ends;

	two_ends_new(&ends, side == 0 ? "" : "latch = auto", side == 1 ? "" : "latch = auto");
	fake_kernels[0].find = fake_kernels[1].find = L(ALREADY_LATCHED);
	k->has_unfit = true;
	k->fitness = row->fitness;
	set_status(k, row);
	if (strcmp(row->peer, ALICE) == 0)
		strcpy(k->status.peer_name, own_peer[side]);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	if (row->expected == ERR_OK)
		ck_assert_int_eq(
			mech_context_latch_reason(ends.initiator), IPSEC_LATCH_ALREADY_LATCHED);
	ck_assert_uint_ge(k->queried, 1);
	two_ends_free(&ends);
}

START_TEST(second_context)
{
	run_second(&second_rows[_i], 0);
	run_second(&second_rows[_i], 1);
}
END_TEST

/* Nothing was there at T1; what came later, or was one too many, and moved enough, counts. */
START_TEST(later_connections_count)
{
	struct two_ends ends;

	for (size_t side = 0; side < 2; side++) {
		for (int is_old = 0; is_old < 2; is_old++) {
			struct fake_kernel *k = &fake_kernels[side];

			two_ends_new(&ends, side == 0 ? "" : "latch = auto",
				side == 1 ? "" : "latch = auto");
			fake_kernels[0].find = fake_kernels[1].find = L(NONE);
			k->others[0] = moved((struct kbind_candidate){ .fd = 8, .cookie = 77 });
			k->others[0].last_received_ms = is_old ? 5000 : 0;
			k->other_count = 1;
			two_ends_contexts(&ends, TARGET, FLAGS);
			ck_assert_int_eq(
				two_ends_run(&ends, NULL, NULL), is_old ? ERR_OK : E(NONE));
			two_ends_free(&ends);
		}
	}
}
END_TEST

/* Tokens that go one way over one connection and come back over another: neither hides. */
START_TEST(one_direction_counts)
{
	struct two_ends ends;

	for (int is_sender = 0; is_sender < 2; is_sender++) {
		two_ends_new(&ends, "", "latch = auto");
		fake_kernels[0].find = fake_kernels[1].find = L(NONE);
		fake_kernels[0].is_away = true;
		fake_kernels[0].others[0] = (struct kbind_candidate){ .fd = 8, .cookie = 77 };
		*(is_sender ? &fake_kernels[0].others[0].sent_bytes
			    : &fake_kernels[0].others[0].received_bytes) = MUCH;
		fake_kernels[0].other_count = 1;
		two_ends_contexts(&ends, TARGET, FLAGS);
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(NONE));
		two_ends_free(&ends);
	}
}
END_TEST

/* --- a named descriptor --- */

static void name_descriptor(struct two_ends *ends, int fd)
{
	struct mech_credential *named = NULL;

	ck_assert_int_eq(
		mech_credential_with_descriptor(ends->initiator_credential, fd, &named), ERR_OK);
	mech_credential_release(&ends->initiator_credential);
	ends->initiator_credential = named;
}

/* Only the named one is judged: others may carry what they like, it counts by the program's word. */
START_TEST(named_descriptor)
{
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	name_descriptor(&ends, 7);
	fake_kernels[0].others[0] = moved((struct kbind_candidate){ .fd = 8, .cookie = 77 });
	fake_kernels[0].others[0].tuple = fake_connection(true).tuple;
	fake_kernels[0].other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), L(LATCHED));
	/* The wrong one named: it did not carry the tokens, and "yes" does not complete without it. */
	fake_kernels[0].stalls = true;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(TRAFFIC));
	/* No connection named (a pipe): nothing to latch. */
	fake_kernels[0].find = L(NOT_TCP);
	fake_kernels[0].is_away = true;
	fake_kernels[1].find = L(NONE);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	two_ends_free(&ends);
}
END_TEST

/* The initiator's own reason reaches the acceptor: by T1, and by T3. */
START_TEST(reason_reaches_the_acceptor)
{
	struct two_ends ends;

	for (size_t i = 0; i < 2; i++) {
		two_ends_new(&ends, "latch = auto", "latch = auto");
		if (i == 0)
			fake_kernels[0].find = IPSEC_LATCH_HAS_FILTER;
		else
			fake_kernels[0].reserve = IPSEC_LATCH_HAS_FILTER;
		two_ends_contexts(&ends, TARGET, FLAGS);
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
		ck_assert_int_eq(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_HAS_FILTER);
		ck_assert(mech_context_reason_is_peers(ends.acceptor));
		ck_assert(!mech_context_reason_is_peers(ends.initiator));
		two_ends_free(&ends);
	}
}
END_TEST

/* A hash that cannot be made is an error, not "none". */
START_TEST(hash_failure_is_told)
{
	struct two_ends ends;
	enum mech_step_result result;

	two_ends_new(&ends, "latch = auto", "latch = auto");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	hash_fails = true;
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_NO_MEMORY);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_NO_MEMORY);
	hash_fails = false;
	two_ends_free(&ends);
}
END_TEST

Suite *suite_rendezvous(void)
{
	Suite *suite = suite_create("rendezvous");
	TCase *tests = tcase_create("rendezvous");

	tcase_add_test(tests, a_tie_is_several);
	tcase_add_loop_test(tests, a_reserved_one_is_asked_for, 0, 2);
	tcase_add_test(tests, unread_is_not_ours);
	tcase_add_test(tests, positions_tell_apart);
	tcase_add_test(tests, positions_tell_who_is_no_rival);
	tcase_add_loop_test(tests, positions_that_cannot_be, 0, 3);
	tcase_add_loop_test(
		tests, rivals_behind_t3, 0, (int)(sizeof(rival_rows) / sizeof(rival_rows[0])));
	tcase_add_test(tests, no_rival_no_question);
	tcase_add_loop_test(
		tests, hidden_connections, 0, (int)(sizeof(hidden_rows) / sizeof(hidden_rows[0])));
	tcase_add_test(tests, moved_descriptor_is_followed);
	tcase_add_loop_test(
		tests, second_context, 0, (int)(sizeof(second_rows) / sizeof(second_rows[0])));
	tcase_add_test(tests, later_connections_count);
	tcase_add_test(tests, one_direction_counts);
	tcase_add_test(tests, named_descriptor);
	tcase_add_test(tests, reason_reaches_the_acceptor);
	tcase_add_test(tests, hash_failure_is_told);
	suite_add_tcase(suite, tests);
	return suite;
}
