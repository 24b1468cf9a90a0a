/* SPDX-License-Identifier: BSD-2-Clause */
/* The broker's lease table. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_lease.h"
#include "tests/unit/suites.h"

static struct broker_lease lease_of(uint64_t cookie, uint16_t port, uint32_t uid)
{
	struct broker_lease lease = { .cookie = cookie, .uid = uid };

	lease.tuple = (struct kbind_tuple){ .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = { 10, 0, 0, 1 },
		.remote = { 10, 0, 0, 2 },
		.local_port = port,
		.remote_port = 443 };
	lease.reqid_in = lease.reqid_out = 0x47000000u + port;
	return lease;
}

static bool any_lease(const struct broker_lease *lease)
{
	return lease != NULL;
}

START_TEST(test_insert_find_remove)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease lease = lease_of(7, 1000, 5);
	struct broker_lease *held;

	ck_assert_ptr_nonnull(table);
	ck_assert_ptr_null(lease_table_find(table, 7));
	held = lease_table_insert(table, &lease);
	ck_assert_ptr_nonnull(held);
	ck_assert_uint_eq(held->id, 1);
	ck_assert_ptr_eq(lease_table_find(table, 7), held);
	ck_assert_ptr_null(lease_table_insert(table, &lease));
	ck_assert_uint_eq(lease_table_count(table), 1);
	ck_assert(lease_table_uses_reqid(table, 0x47000000u + 1000));
	lease_table_remove(table, held);
	ck_assert_ptr_null(lease_table_find(table, 7));
	ck_assert_uint_eq(lease_table_count(table), 0);
	lease_table_free(&table);
	ck_assert_ptr_null(table);
	lease_table_free(&table);
}
END_TEST

START_TEST(test_many_in_order)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease lease, *held;
	uint64_t id = 0;
	size_t count = 0;

	for (uint16_t i = 0; i < 10000; i++) {
		lease = lease_of(100u + i, i, i % 3);
		ck_assert_ptr_nonnull(lease_table_insert(table, &lease));
	}
	for (uint16_t i = 0; i < 10000; i += 2)
		lease_table_remove(table, lease_table_find(table, 100u + i));
	for (held = lease_table_after(table, 0); held != NULL; held = lease_table_next(held)) {
		ck_assert_uint_gt(held->id, id);
		id = held->id;
		count++;
	}
	ck_assert_uint_eq(count, 5000);
	ck_assert_uint_eq(lease_table_after(table, 5001)->id, 5002);
	ck_assert_ptr_null(lease_table_after(table, 10000));
	lease_table_free(&table);
}
END_TEST

START_TEST(test_find_tuple)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease first = lease_of(1, 1000, 0), second = lease_of(2, 1000, 0);
	struct kbind_tuple mirrored;
	struct broker_lease *a = lease_table_insert(table, &first);
	struct broker_lease *b = lease_table_insert(table, &second);

	ck_assert_ptr_eq(lease_table_find_tuple(table, &first.tuple, b, any_lease), a);
	ck_assert_ptr_eq(lease_table_find_tuple(table, &first.tuple, a, any_lease), b);
	tuple_mirror(&first.tuple, &mirrored);
	ck_assert(!tuple_is_same(&first.tuple, &mirrored));
	ck_assert_ptr_null(lease_table_find_tuple(table, &mirrored, NULL, any_lease));
	tuple_mirror(&mirrored, &mirrored);
	ck_assert(tuple_is_same(&first.tuple, &mirrored));
	lease_table_free(&table);
}
END_TEST

struct users_seen {
	size_t users, leases, of_one, closing_of_one;
};

static void each_user(void *context, uint32_t uid, size_t count, size_t closing)
{
	struct users_seen *seen = context;

	seen->users++;
	seen->leases += count;
	seen->of_one += uid == 1 ? count : 0;
	seen->closing_of_one += uid == 1 ? closing : 0;
}

/* What is counted is what a walk over all leases would find. */
static void check_counts(const struct lease_table *table, const struct kbind_tuple *tuple)
{
	const struct broker_lease *lease = lease_table_after(table, 0);
	struct users_seen seen = { 0, 0, 0, 0 };
	size_t covers = 0, of_one = 0, closing_of_one = 0;

	for (; lease != NULL; lease = lease_table_next(lease)) {
		covers += lease->has_cover;
		of_one += lease->uid == 1;
		closing_of_one += lease->uid == 1 && lease->state == IPSEC_LATCH_STATE_CLOSING;
		ck_assert(lease_table_uses_reqid(table, lease->reqid_in));
		ck_assert(lease_table_uses_reqid(table, lease->reqid_out));
	}
	lease_table_each_user(table, each_user, &seen);
	ck_assert_uint_eq(seen.leases, lease_table_count(table));
	ck_assert_uint_eq(seen.of_one, of_one);
	ck_assert_uint_eq(seen.closing_of_one, closing_of_one);
	ck_assert_uint_eq(lease_table_count_covers(table, tuple), covers);
}

START_TEST(test_counts_follow_the_leases)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease lease = lease_of(1, 0, 0), *held;
	struct kbind_tuple other = lease.tuple;

	for (uint16_t i = 0; i < 3000; i++) {
		lease = lease_of(100u + i, i, i % 7);
		lease.has_cover = i % 3 == 0;
		lease.state =
			i % 5 == 0 ? IPSEC_LATCH_STATE_CLOSING : IPSEC_LATCH_STATE_ESTABLISHED;
		ck_assert_ptr_nonnull(lease_table_insert(table, &lease));
	}
	check_counts(table, &other);
	for (uint16_t i = 0; i < 3000; i += 2) {
		held = lease_table_find(table, 100u + i);
		held->has_cover = !held->has_cover;
		held->reqid_out = 0x48000000u + i % 5;
		held->state = i % 3 == 0 ? IPSEC_LATCH_STATE_CLOSING : IPSEC_LATCH_STATE_BROKEN;
		ck_assert(lease_table_recount(table, held));
	}
	check_counts(table, &other);
	ck_assert(lease_table_uses_reqid(table, 0x48000002u));
	for (uint16_t i = 0; i < 3000; i++) {
		if (i % 4 < 2)
			lease_table_remove(table, lease_table_find(table, 100u + i));
	}
	check_counts(table, &other);
	other.remote[0]++;
	ck_assert_uint_eq(lease_table_count_covers(table, &other), 0);
	while ((held = lease_table_after(table, 0)) != NULL)
		lease_table_remove(table, held);
	ck_assert(!lease_table_uses_reqid(table, 0x48000002u));
	ck_assert(!lease_table_uses_reqid(table, 0x47000000u));
	lease_table_free(&table);
}
END_TEST

START_TEST(test_restored_ids)
{
	struct lease_table *table = lease_table_new();
	struct broker_lease lease = lease_of(1, 1000, 0);

	lease.id = 40;
	ck_assert_ptr_nonnull(lease_table_insert(table, &lease));
	lease = lease_of(2, 1001, 0);
	lease.id = 40;
	ck_assert_ptr_null(lease_table_insert(table, &lease));
	lease.id = 0;
	ck_assert_uint_eq(lease_table_insert(table, &lease)->id, 41);
	lease_table_free(&table);
}
END_TEST

START_TEST(test_ownership)
{
	struct broker_lease lease = lease_of(1, 1000, 5);
	uint8_t secret[KBIND_SECRET_BYTES];

	memcpy(lease.secret, "0123456789abcdef", sizeof(secret));
	memcpy(secret, lease.secret, sizeof(secret));
	ck_assert(lease_is_owned(&lease, 5, secret));
	ck_assert(!lease_is_owned(&lease, 6, secret));
	ck_assert(!lease_is_owned(&lease, 0, secret));
	for (size_t i = 0; i < sizeof(secret); i++) {
		secret[i] ^= 1;
		ck_assert(!lease_is_owned(&lease, 5, secret));
		secret[i] ^= 1;
	}
}
END_TEST

Suite *suite_broker_lease(void)
{
	Suite *suite = suite_create("broker_lease");
	TCase *tests = tcase_create("broker_lease");

	tcase_add_test(tests, test_insert_find_remove);
	tcase_add_test(tests, test_many_in_order);
	tcase_add_test(tests, test_find_tuple);
	tcase_add_test(tests, test_restored_ids);
	tcase_add_test(tests, test_counts_follow_the_leases);
	tcase_add_test(tests, test_ownership);
	suite_add_tcase(suite, tests);
	return suite;
}
