/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's log: what it leaves out of what others cause without end. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel-bind/broker_log.h"
#include "tests/unit/suites.h"

static int standard_error, said;

static void setup(void)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	said = fileno(file);
	standard_error = dup(STDERR_FILENO);
	ck_assert_int_ge(standard_error, 0);
	ck_assert_int_eq(dup2(said, STDERR_FILENO), STDERR_FILENO);
}

static void teardown(void)
{
	ck_assert_int_eq(dup2(standard_error, STDERR_FILENO), STDERR_FILENO);
}

static void check_said(const char *wanted)
{
	char text[512] = "";

	ck_assert_int_ge(pread(said, text, sizeof(text) - 1, 0), 0);
	ck_assert_str_eq(text, wanted);
}

START_TEST(one_line_of_a_kind)
{
	struct broker_log_limit covers = { 0 }, blocks = { 0 };

	for (int i = 0; i < 1000; i++)
		broker_log_seldom(&covers, "covers %d", i);
	broker_log_seldom(&blocks, "blocks");
	check_said("covers 0\nblocks\n");
	ck_assert_uint_eq(covers.suppressed, 999);
	ck_assert_uint_eq(blocks.suppressed, 0);
}
END_TEST

START_TEST(later_it_says_how_many)
{
	struct broker_log_limit limit = { .next_ms = 1, .suppressed = 999 };

	broker_log_seldom(&limit, "covers");
	broker_log_seldom(&limit, "covers");
	check_said("999 lines like the next one left out\ncovers\n");
	ck_assert_uint_eq(limit.suppressed, 1);
}
END_TEST

Suite *suite_broker_log(void)
{
	Suite *suite = suite_create("broker_log");
	TCase *tests = tcase_create("tests");

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, one_line_of_a_kind);
	tcase_add_test(tests, later_it_says_how_many);
	suite_add_tcase(suite, tests);
	return suite;
}
