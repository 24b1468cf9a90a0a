/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's state file: records, replay, and the file itself. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel-bind/broker_journal.h"
#include "tests/unit/suites.h"

static struct broker_lease lease_of(uint64_t id, uint64_t cookie)
{
	struct broker_lease lease = { .id = id, .cookie = cookie, .uid = 1000 };

	lease.tuple = (struct kbind_tuple){ .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = { 10, 0, 0, 1 },
		.remote = { 10, 0, 0, 2 },
		.local_port = 5000,
		.remote_port = 443 };
	lease.state = IPSEC_LATCH_STATE_ESTABLISHED;
	lease.suite = 1;
	lease.spi_in = 0x11111111;
	lease.spi_out = 0x22222222;
	lease.reqid_in = lease.reqid_out = 0x47123456;
	lease.has_in_policy = lease.has_out_policy = lease.has_cover = true;
	lease.made_ms = 123456789;
	memcpy(lease.secret, "0123456789abcdef", KBIND_SECRET_BYTES);
	memcpy(lease.peer_name, "alice@example.org", sizeof("alice@example.org"));
	return lease;
}

static void record_make(const struct broker_lease *lease, bool is_gone, uint8_t *out)
{
	struct writer w;

	writer_init(&w, JOURNAL_RECORD_BYTES);
	ck_assert_int_eq(journal_record_write(lease, is_gone, &w), ERR_OK);
	ck_assert_uint_eq(writer_len(&w), JOURNAL_RECORD_BYTES);
	memcpy(out, writer_view(&w).data, JOURNAL_RECORD_BYTES);
	writer_free(&w);
}

START_TEST(test_record_round_trip)
{
	struct broker_lease lease = lease_of(3, 77), back;
	uint8_t record[JOURNAL_RECORD_BYTES], again[JOURNAL_RECORD_BYTES];
	bool is_gone = true;

	lease.is_marked = true;
	/* the longest names fit */
	for (size_t i = 0; i < KBIND_NAME_BYTES_MAX; i++)
		lease.local_name[i] = lease.peer_name[i] = 'n';
	for (size_t i = 0; i < sizeof(lease.method) - 1; i++)
		lease.method[i] = 'm';
	for (size_t i = 0; i < sizeof(lease.service) - 1; i++)
		lease.service[i] = 's';
	for (size_t i = 0; i < sizeof(lease.peer_key) - 1; i++)
		lease.peer_key[i] = 'k';
	record_make(&lease, false, record);
	ck_assert_int_eq(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
	ck_assert(!is_gone);
	ck_assert_uint_eq(back.cookie, 77);
	ck_assert_str_eq(back.peer_name, lease.peer_name);
	ck_assert(back.has_cover && back.has_in_policy && back.is_marked && !back.is_initiator);
	record_make(&back, false, again);
	ck_assert_mem_eq(record, again, sizeof(record));
}
END_TEST

START_TEST(test_record_ipv6)
{
	struct broker_lease lease = lease_of(3, 77), back;
	uint8_t record[JOURNAL_RECORD_BYTES];
	bool is_gone = true;

	lease.tuple.family = AF_INET6;
	lease.tuple.zone = 7;
	memset(lease.tuple.local, 0xfe, sizeof(lease.tuple.local));
	memset(lease.tuple.remote, 0xfd, sizeof(lease.tuple.remote));
	record_make(&lease, false, record);
	ck_assert_int_eq(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
	ck_assert(tuple_is_same(&back.tuple, &lease.tuple));
	back.tuple.zone = 8;
	ck_assert(!tuple_is_same(&back.tuple, &lease.tuple));
}
END_TEST

START_TEST(test_record_cut_or_flipped)
{
	struct broker_lease lease = lease_of(3, 77), back;
	uint8_t record[JOURNAL_RECORD_BYTES + 1] = { 0 };
	bool is_gone;

	record_make(&lease, false, record);
	for (size_t len = 0; len < JOURNAL_RECORD_BYTES; len++)
		ck_assert_int_ne(journal_record_read(BYTES(record, len), &back, &is_gone), ERR_OK);
	ck_assert_int_ne(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
	for (size_t i = 0; i < JOURNAL_RECORD_BYTES; i++) {
		record[i] ^= 0x41;
		ck_assert_int_ne(
			journal_record_read(BYTES(record, JOURNAL_RECORD_BYTES), &back, &is_gone),
			ERR_OK);
		record[i] ^= 0x41;
	}
}
END_TEST

START_TEST(test_record_bad_values)
{
	struct broker_lease lease = lease_of(3, 77), back;
	uint8_t record[JOURNAL_RECORD_BYTES];
	bool is_gone;

	lease.state = IPSEC_LATCH_STATE_CLOSING + 1;
	record_make(&lease, false, record);
	ck_assert_int_ne(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
	lease = lease_of(0, 77);
	record_make(&lease, false, record);
	ck_assert_int_ne(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
	lease = lease_of(3, 77);
	lease.tuple.family = AF_UNIX;
	record_make(&lease, false, record);
	ck_assert_int_ne(journal_record_read(BYTES_OF(record), &back, &is_gone), ERR_OK);
}
END_TEST

START_TEST(test_replay_last_wins)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease first = lease_of(1, 10), second = lease_of(2, 20);
	uint8_t file[5 * JOURNAL_RECORD_BYTES + 7] = { 0 };
	size_t spoilt = 99;

	record_make(&first, false, file);
	record_make(&second, false, file + JOURNAL_RECORD_BYTES);
	first.state = IPSEC_LATCH_STATE_FAILED;
	record_make(&first, false, file + 2 * JOURNAL_RECORD_BYTES);
	record_make(&second, true, file + 3 * JOURNAL_RECORD_BYTES);
	/* a record of zeros and a torn one */
	ck_assert_int_eq(journal_replay(BYTES_OF(file), table, &spoilt), ERR_OK);
	ck_assert_uint_eq(spoilt, 2);
	ck_assert_uint_eq(lease_table_count(table), 1);
	ck_assert_uint_eq(lease_table_find(table, 10)->state, IPSEC_LATCH_STATE_FAILED);
	lease_table_free(&table);
}
END_TEST

/* What a lease is counted by stays as it is. */
START_TEST(test_replay_keeps_identity)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease lease = lease_of(1, 10);
	uint8_t file[3 * JOURNAL_RECORD_BYTES];
	size_t spoilt = 0;

	ck_assert_ptr_nonnull(table);
	record_make(&lease, false, file);
	lease.uid++;
	record_make(&lease, false, file + JOURNAL_RECORD_BYTES);
	lease.uid--;
	lease.tuple.local_port++;
	record_make(&lease, false, file + (size_t)2 * JOURNAL_RECORD_BYTES);
	ck_assert_int_eq(journal_replay(BYTES_OF(file), table, &spoilt), ERR_OK);
	ck_assert_uint_eq(spoilt, 2);
	ck_assert_uint_eq(lease_table_find(table, 10)->uid, 1000);
	ck_assert_uint_eq(lease_table_find(table, 10)->tuple.local_port, 5000);
	lease_table_free(&table);
}
END_TEST

/* A killed daemon leaves its lock to a child that has not closed it yet. */
START_TEST(test_lock_of_a_child)
{
	char folder[] = "/tmp/journal-XXXXXX", path[64], other[64], spare[64];
	struct lease_table *table = lease_table_new(), *reread = lease_table_new();
	const struct timespec life = { .tv_nsec = 300000000 };
	struct journal *journal = NULL;
	size_t spoilt = 0;
	pid_t child;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/state", folder);
	(void)snprintf(other, sizeof(other), "%s/state.lock", folder);
	(void)snprintf(spare, sizeof(spare), "%s/state.new", folder);
	ck_assert_int_eq(journal_open(path, table, &spoilt, &journal), 0);
	child = fork();
	if (child == 0) {
		(void)nanosleep(&life, NULL);
		_exit(0);
	}
	ck_assert_int_gt(child, 0);
	journal_close(&journal);
	ck_assert_int_eq(journal_open(path, reread, &spoilt, &journal), 0);
	journal_close(&journal);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	lease_table_free(&table);
	lease_table_free(&reread);
	ck_assert_int_eq(unlink(path) | unlink(other) | unlink(spare) | rmdir(folder), 0);
}
END_TEST

START_TEST(test_file)
{
	char folder[] = "/tmp/journal-XXXXXX", path[64], other[64], spare[64];
	struct lease_table *table = lease_table_new(), *reread = lease_table_new();
	struct broker_lease lease = lease_of(0, 10), *held;
	struct journal *journal = NULL, *second = NULL;
	struct stat status;
	size_t spoilt = 0;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/state", folder);
	(void)snprintf(other, sizeof(other), "%s/state.lock", folder);
	(void)snprintf(spare, sizeof(spare), "%s/state.new", folder);
	ck_assert_int_eq(journal_open(path, table, &spoilt, &journal), 0);
	ck_assert_int_eq(journal_open(path, reread, &spoilt, &second), EBUSY);
	held = lease_table_insert(table, &lease);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(journal_append(journal, table, held, false), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_lt(status.st_size, 300 * JOURNAL_RECORD_BYTES);
	ck_assert_uint_eq(status.st_mode & 0777, 0600);
	journal_close(&journal);
	/* a torn write at the end */
	ck_assert_int_eq(truncate(path, status.st_size + 100), 0);
	ck_assert_int_eq(journal_open(path, reread, &spoilt, &journal), 0);
	ck_assert_uint_eq(spoilt, 1);
	ck_assert_uint_eq(lease_table_count(reread), 1);
	ck_assert_int_eq(journal_compact(journal, reread), 0);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_int_eq(status.st_size, JOURNAL_RECORD_BYTES);
	/* no secret stays behind */
	ck_assert_int_eq(stat(spare, &status), 0);
	ck_assert_int_eq(status.st_size, 0);
	ck_assert_int_eq(journal_append(journal, reread, lease_table_find(reread, 10), true), 0);
	journal_close(&journal);
	lease_table_free(&table);
	table = lease_table_new();
	ck_assert_int_eq(journal_open(path, table, &spoilt, &journal), 0);
	ck_assert_uint_eq(lease_table_count(table), 0);
	journal_close(&journal);
	lease_table_free(&table);
	lease_table_free(&reread);
	ck_assert_int_eq(unlink(path) | unlink(other) | unlink(spare) | rmdir(folder), 0);
}
END_TEST

Suite *suite_broker_journal(void)
{
	Suite *suite = suite_create("broker_journal");
	TCase *tests = tcase_create("broker_journal");

	tcase_add_test(tests, test_record_round_trip);
	tcase_add_test(tests, test_record_cut_or_flipped);
	tcase_add_test(tests, test_record_ipv6);
	tcase_add_test(tests, test_record_bad_values);
	tcase_add_test(tests, test_replay_last_wins);
	tcase_add_test(tests, test_replay_keeps_identity);
	tcase_add_test(tests, test_file);
	tcase_add_test(tests, test_lock_of_a_child);
	suite_add_tcase(suite, tests);
	return suite;
}
