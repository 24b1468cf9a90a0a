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

/* A process with threads waits for them, but who makes it wait in vain cannot do so again and again. */
START_TEST(waits_in_vain_get_short)
{
	struct kbind_candidate twin;
	struct two_ends ends;
	int64_t took[3];
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, wait_for_end, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		two_ends_new(&ends, "", "");
		twin = fake_connection(false);
		twin.cookie = 99;
		twin.fd = 8;
		fake_kernels[1].twins[0] = fake_kernels[1].others[0] = twin;
		fake_kernels[1].twin_count = fake_kernels[1].other_count = 1;
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

/* --- the threads of an initiator take turns --- */

static void *make_t1(void *argument)
{
	enum mech_step_result result;
	struct two_ends *ends = argument;

	ck_assert_int_eq(two_ends_step(ends, ends->initiator, NULL, &result), ERR_OK);
	return NULL;
}

/* The second T1 is made when the first has left, or when it does not for long; by the same thread at once.  What
 * another context writes to the connection that it has reserved is not the first T1. */
START_TEST(turns)
{
	static const struct {
		bool stays, is_same_thread, is_named, is_reserved, is_answered, waits;
	} rows[] = {
		{ .stays = true, .waits = true },
		{ .stays = false },
		{ .stays = true, .is_same_thread = true },
		{ .stays = true, .is_named = true },
		{ .is_reserved = true, .waits = true },
		{ .is_reserved = true, .is_answered = true },
	};
	struct two_ends ends;
	pthread_t threads[2];
	int64_t begun;

	two_ends_new(&ends, "latch = auto", "latch = auto");
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
	if (rows[_i].is_answered)
		mech_turn_answered(ends.initiator);
	two_ends_contexts(&ends, TARGET, FLAGS);
	if (rows[_i].is_named)
		ends.initiator->descriptor = 7;
	begun = kbind_clock_ms();
	(void)make_t1(&ends);
	ck_assert_int_eq(kbind_clock_ms() - begun >= 300, rows[_i].waits);
	two_ends_free(&ends);
}
END_TEST

/* A thread that is cancelled in its turn gives it back, or all others would wait for it. */
START_TEST(a_cancelled_turn_ends)
{
	const struct timespec moment = { .tv_nsec = 200000000 };
	struct two_ends ends;
	pthread_t threads[2];
	int64_t begun;

	two_ends_new(&ends, "latch = auto", "latch = auto");
	fake_kernels[0].stalls = true;
	ck_assert_int_eq(pthread_create(&threads[0], NULL, wait_for_end, NULL), 0);
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)make_t1(&ends);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, make_t1, &ends), 0);
	nanosleep(&moment, NULL); /* it waits for the first T1's leaving */
	ck_assert_int_eq(pthread_cancel(threads[1]), 0);
	ck_assert_int_eq(pthread_join(threads[1], NULL), 0);
	two_ends_contexts(&ends, TARGET, FLAGS);
	begun = kbind_clock_ms();
	(void)make_t1(&ends);
	ck_assert_int_lt(kbind_clock_ms() - begun, 1800);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_threads(void)
{
	Suite *suite = suite_create("threads");
	TCase *tests = tcase_create("threads"), *cancelled = tcase_create("cancelled");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, waits_in_vain_get_short);
	tcase_add_loop_test(tests, turns, 0, 6);
	suite_add_tcase(suite, tests);
	tcase_add_test(cancelled, a_cancelled_turn_ends);
	tcase_set_timeout(cancelled, 30);
	tcase_set_tags(cancelled, "cancelled_thread");
	suite_add_tcase(suite, cancelled);
	return suite;
}
