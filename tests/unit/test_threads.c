/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes with threads that log in at the same time, over a fake kernel: they make their T1s in turns,
 * and wait for each other's reservations.  The same with real programs: tests/real/shapes.sh.
 */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "mech/context.h"
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY)
#define E(name) (enum err)(ERR_LATCH + IPSEC_LATCH_##name)

/* A process with threads. */
static void *wait_for_end(void *argument)
{
	(void)pause();
	return argument;
}

/* Connections of the acceptor that T1 names as well as the one on which it came. */
static void add_others(size_t count)
{
	struct fake_kernel *k = &fake_kernels[1];

	for (size_t i = 0; i < count; i++) {
		k->twins[i] = fake_connection(false);
		k->twins[i].cookie = 99 + i;
		k->twins[i].fd = 8 + (int)i;
		k->others[i] = k->twins[i];
	}
	k->twin_count = k->other_count = count;
}

/* A process with threads waits for them, but who makes it wait in vain cannot do so again and again. */
START_TEST(waits_in_vain_get_short)
{
	struct two_ends ends;
	int64_t took[3];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		two_ends_new(&ends, "", "");
		add_others(1);
		two_ends_contexts(&ends, TARGET, FLAGS);
		took[i] = kbind_clock_ms();
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(SEVERAL));
		took[i] = kbind_clock_ms() - took[i];
		ck_assert_uint_eq(fake_kernels[1].reserved, 0);
		two_ends_free(&ends);
	}
	ck_assert_int_ge(took[0], 4500);
	ck_assert_int_lt(took[1], 4000);
	ck_assert_int_lt(took[2], 4000);
}
END_TEST

/* Without a broker nobody will reserve any of them. */
START_TEST(nobody_waits_without_a_broker)
{
	struct two_ends ends;
	pthread_t thread;
	int64_t begun;

	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, NULL), 0);
	two_ends_new(&ends, "", "");
	add_others(1);
	fake_kernels[1].query = IPSEC_LATCH_NO_BROKER;
	two_ends_contexts(&ends, TARGET, FLAGS);
	begun = kbind_clock_ms();
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), E(NO_BROKER));
	ck_assert_int_lt(kbind_clock_ms() - begun, 2000);
	two_ends_free(&ends);
}
END_TEST

/* The last in the list after three seconds, the other after six and a half. */
static void *reserve_others(void *argument)
{
	(void)sleep(3);
	fake_kernels[1].others[1].fitness = IPSEC_LATCH_ALREADY_LATCHED;
	(void)usleep(3500000);
	fake_kernels[1].others[0].fitness = IPSEC_LATCH_ALREADY_LATCHED;
	return argument;
}

/* Five seconds are for the next one, wherever in the list that is. */
START_TEST(all_others_count)
{
	enum mech_step_result result;
	struct two_ends ends;
	pthread_t thread;

	two_ends_new(&ends, "", "");
	add_others(2);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(pthread_create(&thread, NULL, reserve_others, NULL), 0);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_uint_eq(fake_kernels[1].reserved, 1);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	two_ends_free(&ends);
}
END_TEST

/* --- the threads of an initiator take turns --- */

static void *make_t1(void *argument)
{
	enum mech_step_result result;
	struct two_ends *ends = argument;

	ck_assert_int_eq(two_ends_step(ends, ends->initiator, NULL, &result), ERR_OK);
	return NULL;
}

/* What becomes of the first T1's context before the second T1 is made. */
enum first_end { FIRST_LIVES, FIRST_ANSWERED, FIRST_REFUSED, FIRST_DELETED };

/* The T2 of an acceptor that has another group, or the error of one that takes nobody. */
static void answer_first(struct two_ends *ends)
{
	enum mech_step_result result;

	(void)two_ends_step(ends, ends->acceptor, NULL, &result);
	(void)two_ends_step(ends, ends->initiator, NULL, &result);
}

/* The second T1 is made when the first has left, or when it does not for long; by the same thread at once.  What
 * another context writes to the connection that it has reserved is not the first T1.  A context that has its
 * answer, good or bad, or is deleted keeps nobody waiting. */
START_TEST(turns)
{
	static const struct {
		bool stays, is_same_thread, is_named, is_reserved, waits;
		enum first_end first;
	} rows[] = {
		{ .stays = true, .waits = true },
		{ .stays = false },
		{ .stays = true, .is_same_thread = true },
		{ .stays = true, .is_named = true },
		{ .is_reserved = true, .waits = true },
		{ .is_reserved = true, .first = FIRST_ANSWERED },
		{ .stays = true, .first = FIRST_ANSWERED },
		{ .stays = true, .first = FIRST_REFUSED },
		{ .stays = true, .first = FIRST_DELETED },
	};
	const char *acceptor = rows[_i].first == FIRST_REFUSED ? "latch = auto\n\tike_groups = p256"
							       : "latch = auto";
	struct mech_context *first;
	struct two_ends ends;
	pthread_t threads[2];
	int64_t begun;

	two_ends_new(&ends, "latch = auto\n\tike_groups = curve25519", acceptor);
	fake_kernels[0].stalls = rows[_i].stays;
	if (rows[_i].is_reserved)
		fake_kernels[0].fitness = IPSEC_LATCH_ALREADY_LATCHED;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, wait_for_end, NULL), 0);
	if (rows[_i].is_same_thread)
		(void)make_t1(&ends);
	else
		ck_assert_int_eq(pthread_create(&threads[0], NULL, make_t1, &ends), 0);
	if (!rows[_i].is_same_thread)
		ck_assert_int_eq(pthread_join(threads[0], NULL), 0);
	if (rows[_i].first == FIRST_ANSWERED || rows[_i].first == FIRST_REFUSED)
		answer_first(&ends);
	ck_assert_int_eq(ends.initiator->state == MECH_STATE_DEAD, rows[_i].first == FIRST_REFUSED);
	first = ends.initiator;
	ends.initiator = NULL;
	if (rows[_i].first == FIRST_DELETED)
		mech_context_free(&first);
	two_ends_contexts(&ends, TARGET, FLAGS);
	if (rows[_i].is_named)
		ends.initiator->descriptor = 7;
	begun = kbind_clock_ms();
	(void)make_t1(&ends);
	ck_assert_int_eq(kbind_clock_ms() - begun >= 300, rows[_i].waits);
	mech_context_free(&first);
	two_ends_free(&ends);
}
END_TEST

/* A thread that is cancelled in its turn gives it back, or all others would wait for it. */
START_TEST(a_cancelled_turn_ends)
{
	const struct timespec moment = { .tv_nsec = 200000000 };
	struct mech_context *first;
	struct two_ends ends;
	pthread_t threads[2];
	int64_t begun;

	two_ends_new(&ends, "latch = auto", "latch = auto");
	fake_kernels[0].stalls = true;
	ck_assert_int_eq(pthread_create(&threads[0], NULL, wait_for_end, NULL), 0);
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)make_t1(&ends);
	first = ends.initiator;
	ends.initiator = NULL;
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, make_t1, &ends), 0);
	nanosleep(&moment, NULL); /* it waits for the first T1's leaving */
	ck_assert_int_eq(pthread_cancel(threads[1]), 0);
	ck_assert_int_eq(pthread_join(threads[1], NULL), 0);
	two_ends_contexts(&ends, TARGET, FLAGS);
	begun = kbind_clock_ms();
	(void)make_t1(&ends);
	ck_assert_int_lt(kbind_clock_ms() - begun, 1800);
	mech_context_free(&first);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_threads(void)
{
	Suite *suite = suite_create("threads");
	TCase *tests = tcase_create("threads"), *cancelled = tcase_create("cancelled");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, waits_in_vain_get_short);
	tcase_add_test(tests, nobody_waits_without_a_broker);
	tcase_add_test(tests, all_others_count);
	tcase_add_loop_test(tests, turns, 0, 9);
	suite_add_tcase(suite, tests);
	tcase_add_test(cancelled, a_cancelled_turn_ends);
	tcase_set_timeout(cancelled, 30);
	tcase_set_tags(cancelled, "cancelled_thread");
	suite_add_tcase(suite, cancelled);
	return suite;
}
