/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's state file: records, replay, and the file itself. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/* A file in a folder of its own. */
struct place {
	char folder[32], path[64], other[64], spare[64];
};

static void place_make(struct place *place)
{
	(void)snprintf(place->folder, sizeof(place->folder), "/tmp/journal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(place->folder));
	(void)snprintf(place->path, sizeof(place->path), "%s/state", place->folder);
	(void)snprintf(place->other, sizeof(place->other), "%s/state.lock", place->folder);
	(void)snprintf(place->spare, sizeof(place->spare), "%s/state.new", place->folder);
}

static void place_remove(const struct place *place)
{
	ck_assert_int_eq(unlink(place->path) | unlink(place->other) | unlink(place->spare) |
				 rmdir(place->folder),
		0);
}

static size_t place_records(const struct place *place)
{
	struct stat status;

	ck_assert_int_eq(stat(place->path, &status), 0);
	return (size_t)status.st_size / JOURNAL_RECORD_BYTES;
}

/* So many leases does the file tell of; none of its records is spoilt. */
static size_t place_leases(const struct place *place)
{
	struct lease_table *table = lease_table_new();
	struct journal *journal = NULL;
	size_t spoilt = 99, count;

	ck_assert_ptr_nonnull(table);
	ck_assert_int_eq(journal_open(place->path, table, &spoilt, &journal), 0);
	ck_assert_uint_eq(spoilt, 0);
	count = lease_table_count(table);
	journal_close(&journal);
	lease_table_free(&table);
	return count;
}

static struct broker_lease *lease_add(struct lease_table *table, uint64_t cookie)
{
	struct broker_lease lease = lease_of(0, cookie), *held;

	held = lease_table_insert(table, &lease);
	ck_assert_ptr_nonnull(held);
	return held;
}

START_TEST(test_gone_counts)
{
	struct lease_table *table = lease_table_new();
	struct journal *journal = NULL;
	struct place place;
	size_t spoilt;

	ck_assert_ptr_nonnull(table);
	place_make(&place);
	ck_assert_int_eq(journal_open(place.path, table, &spoilt, &journal), 0);
	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(journal_append(journal, table, lease_add(table, i), false), 0);
	for (uint64_t i = 1; i < 1000; i++) {
		ck_assert_int_eq(
			journal_append(journal, table, lease_table_find(table, i), true), 0);
		lease_table_remove(table, lease_table_find(table, i));
		ck_assert_uint_le(place_records(&place), 257 + 2 * lease_table_count(table));
	}
	journal_close(&journal);
	ck_assert_uint_eq(place_leases(&place), 1);
	lease_table_free(&table);
	place_remove(&place);
}
END_TEST

/* Adds a record while no file may be longer than so many. */
static int append_within(size_t records, struct journal *journal, const struct lease_table *table,
	const struct broker_lease *lease, bool is_gone)
{
	struct rlimit unlimited, limit;
	int result;

	ck_assert(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	limit = unlimited;
	limit.rlim_cur = records * JOURNAL_RECORD_BYTES;
	/* What Check itself writes is not limited. */
	result = setrlimit(RLIMIT_FSIZE, &limit);
	if (result == 0)
		result = journal_append(journal, table, lease, is_gone);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	ck_assert(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
	return result;
}

#define ROOM 20

/* Reserved, latched, closing, gone. */
static void lease_live(struct journal *journal, struct lease_table *table, uint64_t cookie)
{
	struct broker_lease *lease = lease_add(table, cookie);

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(append_within(ROOM, journal, table, lease, i == 3), 0);
	lease_table_remove(table, lease);
}

START_TEST(test_no_room)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease *first, *last;
	struct journal *journal = NULL;
	struct place place;
	size_t spoilt;

	ck_assert_ptr_nonnull(table);
	place_make(&place);
	ck_assert_int_eq(journal_open(place.path, table, &spoilt, &journal), 0);
	ck_assert_int_eq(unlink(place.spare), 0); /* no room for a second file */
	first = lease_add(table, 1);
	ck_assert_int_eq(append_within(ROOM, journal, table, first, false), 0);
	for (uint64_t i = 2; i < 100; i++)
		lease_live(journal, table, i);
	for (uint64_t i = 100; i < 99 + ROOM; i++)
		ck_assert_int_eq(
			append_within(ROOM, journal, table, lease_add(table, i), false), 0);
	/* One too many; but those that are there change and go as before. */
	last = lease_add(table, 200);
	ck_assert_int_ne(append_within(ROOM, journal, table, last, false), 0);
	ck_assert_int_eq(append_within(ROOM, journal, table, last, true), 0);
	lease_table_remove(table, last);
	first->state = IPSEC_LATCH_STATE_CLOSING;
	ck_assert_int_eq(append_within(ROOM, journal, table, first, false), 0);
	ck_assert_int_eq(append_within(ROOM, journal, table, first, true), 0);
	lease_table_remove(table, first);
	ck_assert_int_eq(append_within(ROOM, journal, table, lease_add(table, 201), false), 0);
	journal_close(&journal);
	ck_assert_uint_eq(place_records(&place), ROOM);
	ck_assert_uint_eq(place_leases(&place), ROOM);
	lease_table_free(&table);
	place_remove(&place);
}
END_TEST

/* What could not be written is with the next record, when there is room. */
START_TEST(test_room_again)
{
	struct lease_table *table = lease_table_new();
	struct journal *journal = NULL;
	struct place place;
	size_t spoilt;

	ck_assert_ptr_nonnull(table);
	place_make(&place);
	ck_assert_int_eq(journal_open(place.path, table, &spoilt, &journal), 0);
	for (uint64_t i = 1; i <= 3; i++)
		ck_assert_int_eq(
			append_within(2, journal, table, lease_add(table, i), false) == 0, i <= 2);
	ck_assert(journal_is_behind(journal));
	ck_assert_uint_eq(place_records(&place), 2);
	ck_assert_int_eq(journal_append(journal, table, lease_add(table, 4), false), 0);
	ck_assert(!journal_is_behind(journal));
	journal_close(&journal);
	ck_assert_uint_eq(place_leases(&place), 4);
	lease_table_free(&table);
	place_remove(&place);
}
END_TEST

#define HISTORY_RECORDS 400
#define HISTORY_COOKIES 23

/* A history of leases that come, change and go, as one file. */
static void history_make(struct lease_table *table, uint8_t *file)
{
	struct broker_lease *lease;
	uint32_t dice = 1;
	bool is_gone;

	for (size_t i = 0; i < HISTORY_RECORDS; i++) {
		dice = dice * 1103515245 + 12345;
		lease = lease_table_find(table, 1 + (dice >> 16) % HISTORY_COOKIES);
		is_gone = lease != NULL && dice >> 30 == 0;
		if (lease == NULL)
			lease = lease_add(table, 1 + (dice >> 16) % HISTORY_COOKIES);
		else
			lease->due_ms++;
		record_make(lease, is_gone, file + i * JOURNAL_RECORD_BYTES);
		if (is_gone)
			lease_table_remove(table, lease);
	}
}

static void replay_check(struct bytes file, const struct lease_table *expected)
{
	struct lease_table *table = lease_table_new();
	const struct broker_lease *lease, *found;
	size_t spoilt;

	ck_assert_ptr_nonnull(table);
	ck_assert_int_eq(journal_replay(file, table, &spoilt), ERR_OK);
	ck_assert_uint_eq(lease_table_count(table), lease_table_count(expected));
	for (lease = lease_table_after(expected, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		found = lease_table_find(table, lease->cookie);
		ck_assert(found != NULL && found->id == lease->id);
		ck_assert_uint_eq(found->due_ms, lease->due_ms);
	}
	lease_table_free(&table);
}

/* A broker that is killed while it writes over the old records has lost nothing. */
START_TEST(test_half_overwritten)
{
	static uint8_t file[HISTORY_RECORDS * JOURNAL_RECORD_BYTES];
	struct lease_table *table = lease_table_new();
	const struct broker_lease *lease;
	size_t place = 0;

	ck_assert_ptr_nonnull(table);
	history_make(table, file);
	ck_assert_uint_gt(lease_table_count(table), HISTORY_COOKIES / 3);
	replay_check(BYTES_OF(file), table);
	for (lease = lease_table_after(table, 0); lease != NULL; lease = lease_table_next(lease)) {
		record_make(lease, false, file + place++ * JOURNAL_RECORD_BYTES);
		replay_check(BYTES_OF(file), table);
	}
	replay_check(BYTES(file, place * JOURNAL_RECORD_BYTES), table);
	lease_table_free(&table);
}
END_TEST

/* As long as many leases make it. */
START_TEST(test_long_file)
{
	const off_t len = (off_t)257 << 20;
	struct lease_table *table = lease_table_new();
	struct journal *journal = NULL;
	struct place place;
	size_t spoilt;

	ck_assert_ptr_nonnull(table);
	place_make(&place);
	ck_assert_int_eq(journal_open(place.path, table, &spoilt, &journal), 0);
	ck_assert_int_eq(journal_append(journal, table, lease_add(table, 1), false), 0);
	journal_close(&journal);
	lease_table_free(&table);
	ck_assert_int_eq(truncate(place.path, len), 0);
	table = lease_table_new();
	ck_assert_ptr_nonnull(table);
	ck_assert_int_eq(journal_open(place.path, table, &spoilt, &journal), 0);
	ck_assert_uint_eq(spoilt, (size_t)len / JOURNAL_RECORD_BYTES - 1);
	ck_assert_uint_eq(lease_table_count(table), 1);
	journal_close(&journal);
	lease_table_free(&table);
	place_remove(&place);
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
	tcase_add_test(tests, test_gone_counts);
	tcase_add_test(tests, test_no_room);
	tcase_add_test(tests, test_room_again);
	tcase_add_test(tests, test_half_overwritten);
	tcase_add_test(tests, test_long_file);
	tcase_set_timeout(tests, 60);
	suite_add_tcase(suite, tests);
	return suite;
}
