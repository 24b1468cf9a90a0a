/* SPDX-License-Identifier: BSD-2-Clause */
/* What the broker remembers of refusals: whose, in which order, and that nobody pushes others out. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker_protocol.h"
#include "kernel-bind/broker_refusals.h"
#include "kernel-bind/broker_users.h"
#include "tests/unit/suites.h"

static struct refused refusals;
static const struct kbind_tuple no_tuple, tuple = { .family = AF_INET, .local_port = 389 };

static void setup(void)
{
	refusals = (struct refused){ 0 };
}

static void note(uint32_t uid, enum ipsec_latch_reason reason, uint64_t now_ms)
{
	refused_note(&refusals, uid, BROKER_RESERVE, reason, &no_tuple, now_ms);
}

/* All that uid may see, page after page. */
static size_t list(uint32_t uid, uint64_t now_ms, struct kbind_refusal *ret_items, size_t page)
{
	uint64_t cursor = 0;
	size_t count = 0, got;

	do {
		got = refused_list(&refusals, uid, now_ms, &cursor, ret_items + count, page);
		count += got;
	} while (got > 0);
	return count;
}

START_TEST(own_ones_and_roots)
{
	struct kbind_refusal items[REFUSED_MAX];

	ck_assert_uint_eq(list(0, 0, items, 24), 0);
	refused_note(&refusals, 1000, BROKER_LATCH, IPSEC_LATCH_SHORT, &tuple, 5000);
	note(1001, IPSEC_LATCH_QUOTA, 7000);
	ck_assert_uint_eq(list(1002, 9000, items, 24), 0);
	ck_assert_uint_eq(list(1000, 9000, items, 24), 1);
	ck_assert_uint_eq(items[0].reason, IPSEC_LATCH_SHORT);
	ck_assert_uint_eq(items[0].request, BROKER_LATCH);
	ck_assert_uint_eq(items[0].age_sec, 4);
	ck_assert(items[0].has_tuple && items[0].tuple.local_port == 389);
	ck_assert_uint_eq(list(0, 9000, items, 1), 2);
	ck_assert_uint_eq(items[0].uid, 1000);
	ck_assert_uint_eq(items[1].uid, 1001);
	ck_assert(!items[1].has_tuple);
}
END_TEST

START_TEST(a_users_own_oldest_goes)
{
	struct kbind_refusal items[REFUSED_MAX];

	note(7, IPSEC_LATCH_SELF, 0);
	for (size_t i = 0; i < 1000; i++)
		note(1000, i < 990 ? IPSEC_LATCH_SHORT : IPSEC_LATCH_QUOTA, i);
	ck_assert_uint_eq(list(7, 0, items, 24), 1);
	ck_assert_uint_eq(list(1000, 1000, items, 24), REFUSED_USER_MAX);
	ck_assert_uint_eq(items[0].reason, IPSEC_LATCH_SHORT);
	ck_assert_uint_eq(items[REFUSED_USER_MAX - 1].reason, IPSEC_LATCH_QUOTA);
}
END_TEST

/* A crowd fills the list; who has fewest keeps his. */
START_TEST(a_crowd_pushes_nobody_out)
{
	struct kbind_refusal items[REFUSED_MAX];

	note(7, IPSEC_LATCH_SELF, 0);
	for (uint32_t user = 100; user < 200; user++)
		for (size_t i = 0; i < REFUSED_USER_MAX; i++)
			note(user, IPSEC_LATCH_SHORT, 1);
	ck_assert_uint_eq(list(7, 0, items, 24), 1);
	ck_assert_uint_eq(items[0].reason, IPSEC_LATCH_SELF);
	ck_assert_uint_eq(list(0, 1, items, 24), REFUSED_MAX);
	for (size_t i = 1; i < REFUSED_MAX; i++)
		ck_assert_uint_ge(items[i].uid, 100);
	ck_assert_uint_ge(list(199, 1, items, 24), 1);
}
END_TEST

/* Of users that have one each, the oldest one's goes, not again and again the newest one's. */
START_TEST(the_oldest_of_a_crowd_goes)
{
	struct kbind_refusal items[REFUSED_MAX];

	for (uint32_t user = 1; user <= REFUSED_MAX + 2; user++)
		note(user, IPSEC_LATCH_SHORT, 1);
	ck_assert_uint_eq(list(1, 1, items, 24) + list(2, 1, items, 24), 0);
	ck_assert_uint_eq(list(3, 1, items, 24), 1);
	ck_assert_uint_eq(list(REFUSED_MAX + 1, 1, items, 24), 1);
}
END_TEST

/* All ids of one person are one user. */
START_TEST(many_ids_are_one_user)
{
	char path[] = "/tmp/refusals-XXXXXX";
	struct kbind_refusal items[REFUSED_MAX];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(dprintf(fd, "somebody:100000:65536\n"), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(users_read(path), 0);
	ck_assert_int_eq(unlink(path), 0);
	note(7, IPSEC_LATCH_SELF, 0);
	for (uint32_t user = 100000; user < 101000; user++)
		note(user, IPSEC_LATCH_SHORT, 1);
	ck_assert_uint_eq(list(7, 1, items, 24), 1);
	ck_assert_uint_eq(list(0, 1, items, 24), 1 + REFUSED_USER_MAX);
}
END_TEST

Suite *suite_broker_refusals(void)
{
	Suite *suite = suite_create("broker_refusals");
	TCase *tcase = tcase_create("refusals");

	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, own_ones_and_roots);
	tcase_add_test(tcase, a_users_own_oldest_goes);
	tcase_add_test(tcase, a_crowd_pushes_nobody_out);
	tcase_add_test(tcase, the_oldest_of_a_crowd_goes);
	tcase_add_test(tcase, many_ids_are_one_user);
	suite_add_tcase(suite, tcase);
	return suite;
}
