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
	tcase_add_test(tests, test_ownership);
	suite_add_tcase(suite, tests);
	return suite;
}
