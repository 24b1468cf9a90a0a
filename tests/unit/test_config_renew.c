/* SPDX-License-Identifier: BSD-2-Clause */
/* A snapshot of the configuration that is held while the files change, and the process too; and a peek. */
#include "base/config.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/config_files.h"
#include "tests/unit/suites.h"

static void tear_down(void)
{
	files_tear_down();
	unsetenv("GSS_IPSEC_CONFIG");
}

static void write_file(const char *text, unsigned int mode)
{
	file_write(first, BYTES((const uint8_t *)text, strlen(text)), mode);
}

/* So long a look at the files counts; the clocks that count and stamp go in ticks, on a busy machine large ones. */
static void let_a_second_pass(void)
{
	const struct timespec pause = { .tv_sec = 1, .tv_nsec = 200000000 };

	nanosleep(&pause, NULL);
}

static struct config *held_of(const char *text, unsigned int mode)
{
	struct config *held = NULL;

	write_file(text, mode);
	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	let_a_second_pass();
	ck_assert_int_eq(config_get(&held), ERR_OK);
	return held;
}

/* What a server sees that keeps the snapshot which it began with. */
static enum err renew_later(struct config *held, struct config **ret_now)
{
	let_a_second_pass();
	return config_renew(held, ret_now);
}

START_TEST(a_held_snapshot_is_renewed)
{
	struct config *held = held_of("[gss-ipsec]\nlatch = no\n", 0644);
	struct config *now = NULL, *again = NULL;

	/* Which files a process begins with is no matter any more. */
	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", second, 1), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK);
	ck_assert_ptr_eq(now, held);
	config_release(&now);
	write_file("[gss-ipsec]\nlatch = require\n", 0644);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK);
	ck_assert_int_eq(config_latch_policy(now, NULL), CONFIG_LATCH_REQUIRE);
	ck_assert_int_eq(config_latch_policy(held, NULL), CONFIG_LATCH_NO);
	ck_assert_int_eq(renew_later(held, &again), ERR_OK);
	ck_assert_ptr_eq(again, now);
	config_release(&again);
	ck_assert_int_eq(renew_later(now, &again), ERR_OK);
	ck_assert_ptr_eq(again, now);
	config_release(&again);
	config_release(&now);
	write_file("[gss-ipsec]\nlatch = nein\n", 0644);
	ck_assert_int_eq(renew_later(held, &now), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "nein"));
	unlink(first);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK);
	ck_assert_int_eq(config_latch_policy(now, NULL), CONFIG_LATCH_YES);
	config_release(&now);
	config_release(&held);
}
END_TEST

/* Changed twice within one tick of the file system's clock, a file may have the same time and size. */
START_TEST(a_change_in_the_same_tick_is_seen)
{
	struct config *held = NULL, *now = NULL;

	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	for (int tries = 0; tries < 3; tries++) {
		write_file("[gss-ipsec]\nlatch = no  \n", 0644);
		ck_assert_int_eq(config_get(&held), ERR_OK);
		write_file("[gss-ipsec]\nlatch = auto\n", 0644);
		ck_assert_int_eq(config_latch_policy(held, NULL), CONFIG_LATCH_NO);
		ck_assert_int_eq(renew_later(held, &now), ERR_OK);
		ck_assert_int_eq(config_latch_policy(now, NULL), CONFIG_LATCH_AUTO);
		config_release(&held);
		config_release(&now);
		let_a_second_pass();
	}
}
END_TEST

/* A server that is started behind the writing, and has no right to read the file again. */
START_TEST(a_fresh_snapshot_outlives_rights)
{
	struct config *held = NULL, *now = NULL;

	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	write_file("[gss-ipsec]\nlatch = no\n", 0600);
	ck_assert_int_eq(config_get(&held), ERR_OK);
	ck_assert_int_eq(seteuid(1), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK);
	ck_assert_ptr_eq(now, held);
	config_release(&now);
	ck_assert_int_eq(seteuid(0), 0);
	config_release(&held);
}
END_TEST

/* A link that leads to itself is no file that is out of sight: what it stood for is refused. */
START_TEST(a_file_becomes_a_loop)
{
	struct config *held = held_of("[gss-ipsec]\nlatch = no\n", 0644), *now = NULL;

	ck_assert_int_eq(unlink(first), 0);
	ck_assert_int_eq(symlink(first, first), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_CONFIG);
	/* A FIFO is not waited for. */
	ck_assert_int_eq(unlink(first), 0);
	ck_assert_int_eq(mkfifo(first, 0644), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_CONFIG);
	config_release(&held);
}
END_TEST

/* Gone with the root directory, or with root's rights, is not gone. */
START_TEST(a_held_snapshot_outlives_rights)
{
	struct config *held, *now = NULL;

	held = held_of("[gss-ipsec]\nlatch = no\n", 0600);
	ck_assert_int_eq(seteuid(1), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK); /* the folder is root's own */
	ck_assert_ptr_eq(now, held);
	config_release(&now);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chmod(directory, 0755), 0);
	write_file("[gss-ipsec]\nlatch = require\n", 0600);
	ck_assert_int_eq(seteuid(1), 0);
	ck_assert_int_eq(renew_later(held, &now), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "cannot be read"));
	ck_assert_int_eq(seteuid(0), 0);
	config_release(&held);
}
END_TEST

static int renew_elsewhere(struct config *held)
{
	struct config *now = NULL;

	if (chroot("/proc") != 0 || renew_later(held, &now) != ERR_OK || now != held)
		return 1;
	config_release(&now);
	return 0;
}

START_TEST(a_held_snapshot_outlives_the_root)
{
	struct config *held;
	int status = -1;
	pid_t child;

	held = held_of("[gss-ipsec]\nlatch = no\n", 0644);
	child = fork();
	if (child == 0)
		_exit(renew_elsewhere(held));
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	config_release(&held);
}
END_TEST

/* A home that may not be searched has no file; a file whose folder may not be is not known. */
START_TEST(only_a_home_is_out_of_reach)
{
	static const char *const folders[] = { "/.config", "/.config/gss-ipsec" };
	struct config *seen = NULL;
	char paths[2][PATH_MAX];

	unsetenv("GSS_IPSEC_CONFIG");
	ck_assert_int_eq(setenv("HOME", directory, 1), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "%s%s", directory, folders[i]);
		ck_assert_int_eq(mkdir(paths[i], 0755), 0);
	}
	ck_assert_int_eq(chmod(directory, 0755), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(chmod(paths[i], 0600), 0);
		ck_assert_int_eq(seteuid(1), 0);
		let_a_second_pass();
		ck_assert_int_eq(config_peek(&seen), ERR_CONFIG);
		ck_assert_int_eq(config_get(&seen), ERR_CONFIG);
		ck_assert_ptr_nonnull(strstr(config_last_error(), "Permission denied"));
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(chmod(paths[i], 0755), 0);
	}
	ck_assert_int_eq(chmod(directory, 0700), 0);
	ck_assert_int_eq(seteuid(1), 0);
	let_a_second_pass();
	ck_assert_int_eq(config_peek(&seen), ERR_OK);
	config_release(&seen);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(rmdir(paths[1]) | rmdir(paths[0]), 0);
}
END_TEST

static void store_loaded(struct config **ret_config)
{
	const char *const files[] = { first, NULL };

	ck_assert_int_eq(config_load(files, ret_config), ERR_OK);
}

/* A program that names a file has it read when it says so. */
START_TEST(a_loaded_snapshot_stays)
{
	struct config *held = NULL, *now = NULL;

	write_file("[gss-ipsec]\nlatch = no\n", 0644);
	store_loaded(&held);
	write_file("[gss-ipsec]\nlatch = require\n", 0644);
	ck_assert_int_eq(renew_later(held, &now), ERR_OK);
	ck_assert_ptr_eq(now, held);
	config_release(&now);
	config_release(&held);
}
END_TEST

/* config_peek() in the next second: what config_get() says, or the snapshot of nothing. */
static struct config *peek_later(enum err expected)
{
	struct config *seen = NULL;

	let_a_second_pass();
	ck_assert_int_eq(config_peek(&seen), expected);
	return seen;
}

START_TEST(a_peek_follows_the_file)
{
	struct config *config = NULL, *seen, *nothing;

	unlink(first);
	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	nothing = peek_later(ERR_OK);
	ck_assert_uint_eq(config_identity_count(nothing), 0);
	ck_assert_int_eq(config_latch_policy(nothing, NULL), CONFIG_LATCH_YES);
	ck_assert(config_allows(nothing, CONFIG_AUTH_METHODS, "rsa"));
	config_release(&nothing);
	write_file("[gss-ipsec]\nlatch = no\n", 0644);
	seen = peek_later(ERR_OK);
	ck_assert_int_eq(config_get(&config), ERR_OK);
	ck_assert_ptr_eq(seen, config);
	config_release(&config);
	config_release(&seen);
	write_file("[gss-ipsec]\nlatch = nein\n", 0644);
	(void)peek_later(ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "nein"));
	/* What is there and cannot be looked at is no nothing, whatever was there before. */
	unlink(first);
	nothing = peek_later(ERR_OK);
	config_release(&nothing);
	ck_assert_int_eq(config_get(&config), ERR_OK);
	config_release(&config);
	ck_assert_int_eq(symlink(first, first), 0);
	(void)peek_later(ERR_CONFIG);
	ck_assert_int_eq(config_get(&config), ERR_CONFIG);
	unlink(first);
	nothing = peek_later(ERR_OK);
	ck_assert_int_eq(config_get(&config), ERR_OK);
	config_release(&config);
	ck_assert_int_eq(config_renew(nothing, &seen), ERR_OK);
	ck_assert_ptr_eq(seen, nothing);
	config_release(&seen);
	config_release(&nothing);
}
END_TEST

static atomic_bool thread_stops;

static void *open_often(void *unused)
{
	while (!atomic_load(&thread_stops)) {
		void *library = dlopen("libanl.so.1", RTLD_NOW | RTLD_LOCAL);

		if (library != NULL)
			(void)dlclose(library);
	}
	return unused;
}

/* What the loader is doing at the fork, it is never done with in the child: libkrb5 is not opened there. */
START_TEST(children_read_beside_the_loader)
{
	const char *const files[] = { first, NULL };
	struct config *config = NULL;
	pthread_t thread;

	write_file("[gss-ipsec]\nlatch = no\n", 0644);
	ck_assert_int_eq(config_load(files, &config), ERR_OK);
	config_release(&config);
	atomic_store(&thread_stops, false);
	ck_assert_int_eq(pthread_create(&thread, NULL, open_often, NULL), 0);
	for (int i = 0; i < 200; i++) {
		int status = 0;
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			_exit(config_load(files, &config) == ERR_OK ? 0 : 1);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	atomic_store(&thread_stops, true);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

Suite *suite_config_renew(void)
{
	Suite *suite = suite_create("config_renew");
	TCase *tc = tcase_create("renew");

	tcase_add_checked_fixture(tc, files_set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_held_snapshot_is_renewed);
	tcase_add_test(tc, a_loaded_snapshot_stays);
	tcase_add_test(tc, a_change_in_the_same_tick_is_seen);
	tcase_add_test(tc, a_file_becomes_a_loop);
	tcase_add_test(tc, a_peek_follows_the_file);
	/* Only root has rights and a root directory to give up; ./check is run by root. */
	if (geteuid() == 0) {
		tcase_add_test(tc, a_held_snapshot_outlives_rights);
		tcase_add_test(tc, a_fresh_snapshot_outlives_rights);
		tcase_add_test(tc, a_held_snapshot_outlives_the_root);
		tcase_add_test(tc, only_a_home_is_out_of_reach);
	}
	suite_add_tcase(suite, tc);
	/* As in suite_config(). */
	tc = tcase_create("fork");
	tcase_set_tags(tc, "fork_among_threads");
	tcase_add_checked_fixture(tc, files_set_up, tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, children_read_beside_the_loader);
	suite_add_tcase(suite, tc);
	return suite;
}
