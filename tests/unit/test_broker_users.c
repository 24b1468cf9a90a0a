/* SPDX-License-Identifier: BSD-2-Clause */
/* Which account answers for a user id. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kernel-bind/broker_users.h"
#include "tests/unit/suites.h"

static void ranges_set(const char *text)
{
	char path[] = "/tmp/subuid-XXXXXX";
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(users_read(path), 0);
	ck_assert_int_eq(unlink(path), 0);
}

static struct broker_user user_of(uint32_t uid)
{
	struct broker_user user;

	users_find(uid, &user);
	ck_assert_uint_eq(user.uid, uid);
	return user;
}

START_TEST(test_without_file)
{
	ck_assert_int_eq(users_read("/no/such/file"), 0);
	ck_assert_uint_eq(user_of(1000).account, 1000);
	ck_assert_uint_eq(user_of(1000).group, 1000);
	ck_assert_uint_eq(user_of(65536).account, 65536);
	ck_assert_uint_eq(user_of(65536).group, user_of(131071).group);
	ck_assert_uint_ne(user_of(65536).group, user_of(131072).group);
	ck_assert_uint_ne(user_of(65536).group, user_of(1).group);
	ck_assert_uint_eq(user_of(UINT32_MAX).account, UINT32_MAX);
}
END_TEST

START_TEST(test_ranges)
{
	ranges_set("bob:165536:65536\nalice:100000:65536\nalice:500000:10\n1003:4294967290:6\n");
	ck_assert_uint_eq(user_of(100000).account, 100000);
	ck_assert_uint_eq(user_of(165535).account, 100000);
	ck_assert_uint_eq(user_of(165535).group, 100000);
	ck_assert_uint_eq(user_of(500009).account, 100000);
	ck_assert_uint_eq(user_of(500010).account, 500010);
	ck_assert_uint_eq(user_of(165536).account, 165536);
	ck_assert_uint_eq(user_of(231071).account, 165536);
	ck_assert_uint_eq(user_of(231072).account, 231072);
	ck_assert_uint_eq(user_of(99999).account, 99999);
	ck_assert_uint_eq(user_of(4294967295u).account, 4294967290u);
}
END_TEST

START_TEST(test_spoilt_lines)
{
	ranges_set("\n:1:2\nalice\nalice:1\nalice:x:5\nalice:5:x\nalice:5:0\nalice:-1:5\n"
		   "alice:4294967290:7\nalice:99999999999:5\nalice:10:5:6\nbob:20:5\nlast:30:5");
	ck_assert_uint_eq(user_of(24).account, 20);
	for (uint32_t uid = 0; uid < 20; uid++)
		ck_assert_uint_eq(user_of(uid).account, uid);
	ck_assert_uint_eq(user_of(31).account, 30);
}
END_TEST

Suite *suite_broker_users(void)
{
	Suite *suite = suite_create("broker_users");
	TCase *tcase = tcase_create("users");

	tcase_add_test(tcase, test_without_file);
	tcase_add_test(tcase, test_ranges);
	tcase_add_test(tcase, test_spoilt_lines);
	suite_add_tcase(suite, tcase);
	return suite;
}
