/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether an earlier connection's cover yields to a new one with the same addresses and ports.  The
 * kernel's side is here; with real sockets: tests/real/closing_rows.py.
 */
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "tests/unit/suites.h"

#define OLD_COOKIE 7
#define NEW_COOKIE 8

static const struct kbind_tuple tuple = { .family = AF_INET,
	.protocol = IPPROTO_TCP,
	.local = { 10, 0, 0, 1 },
	.remote = { 10, 0, 0, 2 },
	.local_port = 40000,
	.remote_port = 443 };

static struct broker broker;
static bool is_alone;
static int kernel_says;
static unsigned int asked, yielded, dropped;

/* The linker puts these in place of the real ones. */
bool __wrap_watch_is_alone(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);
int __wrap_kxfrm_cover_yield(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in) ERR_MUST_CHECK;
void __wrap_broker_drop_lease(struct broker *broker, struct broker_lease *lease);

bool __wrap_watch_is_alone(struct watch *watch, const struct kbind_tuple *of, uint64_t cookie)
{
	ck_assert(watch == NULL && of->family == AF_INET && cookie == NEW_COOKIE);
	asked++;
	return is_alone;
}

int __wrap_kxfrm_cover_yield(struct kxfrm *xfrm, const struct kbind_tuple *of, uint32_t reqid_in)
{
	ck_assert(xfrm == NULL && of->family == AF_INET && reqid_in == 0x47000001);
	yielded++;
	return kernel_says;
}

void __wrap_broker_drop_lease(struct broker *of, struct broker_lease *lease)
{
	lease_table_remove(of->leases, lease);
	dropped++;
}

static struct broker_lease *lease_add(uint64_t cookie, const struct kbind_tuple *of)
{
	const struct broker_lease lease = { .cookie = cookie,
		.tuple = *of,
		.state = IPSEC_LATCH_STATE_CLOSING,
		.has_in_policy = true,
		.has_cover = true,
		.reqid_in = 0x47000001,
		.due_ms = 1 };
	struct broker_lease *made = lease_table_insert(broker.leases, &lease);

	ck_assert_ptr_nonnull(made);
	return made;
}

static struct broker_lease *begin(void)
{
	broker = (struct broker){ .leases = lease_table_new() };
	ck_assert_ptr_nonnull(broker.leases);
	is_alone = true;
	kernel_says = 0;
	asked = yielded = dropped = 0;
	return lease_add(OLD_COOKIE, &tuple);
}

static bool yields(void)
{
	return broker_cover_yield(&broker, &tuple, NEW_COOKIE);
}

/* Once asked and once prolonged, however often somebody tries; then it is the new one's to take. */
START_TEST(test_yields)
{
	struct broker_lease *old = begin();
	uint64_t due_ms;

	ck_assert(yields());
	ck_assert(old->is_yielding && asked == 1 && yielded == 1);
	due_ms = old->due_ms;
	ck_assert(due_ms + 1000 > broker_now_ms() + BROKER_YIELD_MS);
	old->due_ms = 5;
	ck_assert(yields());
	ck_assert(asked == 1 && yielded == 1 && old->due_ms == 5);
	ck_assert_uint_eq(broker_cover_entries(&broker), 2);
	broker_cover_take_over(&broker, &tuple);
	ck_assert(dropped == 1 && lease_table_count(broker.leases) == 0);
	lease_table_free(&broker.leases);
}
END_TEST

/* A lease that has longer to live keeps its time. */
START_TEST(test_keeps_its_time)
{
	struct broker_lease *old = begin();
	const uint64_t late_ms = broker_now_ms() + 10 * BROKER_YIELD_MS;

	old->due_ms = late_ms;
	ck_assert(yields());
	ck_assert_uint_eq(old->due_ms, late_ms);
	lease_table_free(&broker.leases);
}
END_TEST

/* The second form has no entries of its own to change. */
START_TEST(test_marked)
{
	struct broker_lease *old = begin();

	old->has_cover = false;
	old->is_marked = true;
	ck_assert(yields());
	ck_assert(old->is_yielding && yielded == 0);
	lease_table_free(&broker.leases);
}
END_TEST

static void not_alone(struct broker_lease *old)
{
	(void)old;
	is_alone = false;
}

static void kernel_refuses(struct broker_lease *old)
{
	(void)old;
	kernel_says = EEXIST;
}

static void established(struct broker_lease *old)
{
	old->state = IPSEC_LATCH_STATE_ESTABLISHED;
}

static void broken(struct broker_lease *old)
{
	old->state = IPSEC_LATCH_STATE_BROKEN;
}

static void busy(struct broker_lease *old)
{
	old->is_busy = true;
}

/* Client and server on one host share their SAs. */
static void on_one_host(struct broker_lease *old)
{
	struct kbind_tuple mirrored;

	tuple_mirror(&old->tuple, &mirrored);
	(void)lease_add(OLD_COOKIE + 100, &mirrored);
}

static void (*const obstacles[])(struct broker_lease *old) = { not_alone, kernel_refuses,
	established, broken, busy, on_one_host };
#define OBSTACLE_COUNT (int)(sizeof(obstacles) / sizeof(obstacles[0]))

START_TEST(test_does_not_yield)
{
	struct broker_lease *old = begin();

	obstacles[_i](old);
	ck_assert(!yields());
	ck_assert(!old->is_yielding);
	ck_assert_uint_eq(old->due_ms, 1);
	broker_cover_take_over(&broker, &tuple);
	ck_assert_uint_eq(dropped, 0);
	lease_table_free(&broker.leases);
}
END_TEST

/* The old lease's own socket, connected anew. */
START_TEST(test_own_socket)
{
	struct broker_lease *old = begin();

	old->cookie = NEW_COOKIE;
	ck_assert(!yields());
	old->cookie = OLD_COOKIE;
	lease_table_free(&broker.leases);
}
END_TEST

/* What happens to it after it has yielded: it is in the way again, and nobody takes it over. */
START_TEST(test_yields_no_more)
{
	struct broker_lease *old = begin();

	ck_assert(yields());
	if (_i == 0)
		old->is_busy = true;
	else
		old->state = IPSEC_LATCH_STATE_BROKEN;
	ck_assert(!yields());
	broker_cover_take_over(&broker, &tuple);
	ck_assert_uint_eq(dropped, 0);
	lease_table_free(&broker.leases);
}
END_TEST

/* Another connection's lease between the same hosts is left alone. */
START_TEST(test_other_tuple)
{
	struct kbind_tuple other = tuple;
	struct broker_lease *of_other;

	(void)begin();
	other.local_port++;
	of_other = lease_add(OLD_COOKIE + 1, &other);
	ck_assert(yields());
	ck_assert(!of_other->is_yielding);
	broker_cover_take_over(&broker, &tuple);
	ck_assert_uint_eq(lease_table_count(broker.leases), 1);
	lease_table_free(&broker.leases);
}
END_TEST

Suite *suite_broker_cover(void)
{
	Suite *suite = suite_create("broker_cover");
	TCase *tests = tcase_create("broker_cover");

	tcase_add_test(tests, test_yields);
	tcase_add_test(tests, test_keeps_its_time);
	tcase_add_test(tests, test_marked);
	tcase_add_loop_test(tests, test_does_not_yield, 0, OBSTACLE_COUNT);
	tcase_add_test(tests, test_own_socket);
	tcase_add_loop_test(tests, test_yields_no_more, 0, 2);
	tcase_add_test(tests, test_other_tuple);
	suite_add_tcase(suite, tests);
	return suite;
}
