/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the broker makes of a sweep: a piece of it is older than what was told since.  The kernel's
 * side is here; with real sockets: tests/real/broker_probe.c.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "tests/unit/suites.h"

static struct broker broker;
static struct watch *watch; /* whatever it is, nobody looks inside */

/* The next piece, which is the last one, and what became of the lease. */
static uint64_t piece_cookie;
static struct kbind_tuple piece_tuple;
static enum ipsec_latch_reason broken_for;
static unsigned int closed;
static enum watch_finding finding;

/* The linker puts these in place of the real ones. */
int __wrap_watch_sweep_begin(struct watch *watch) ERR_MUST_CHECK;
bool __wrap_watch_sweep_read(struct watch *watch, watch_each_socket *each, void *context,
	bool *ret_is_over, bool *ret_is_whole);
enum watch_finding __wrap_watch_look(
	struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);
void __wrap_broker_break_lease(
	struct broker *broker, struct broker_lease *lease, enum ipsec_latch_reason reason);
void __wrap_broker_close_lease(struct broker *broker, struct broker_lease *lease);

int __wrap_watch_sweep_begin(struct watch *of)
{
	ck_assert_ptr_eq(of, watch);
	return 0;
}

bool __wrap_watch_sweep_read(struct watch *of, watch_each_socket *each, void *context,
	bool *ret_is_over, bool *ret_is_whole)
{
	ck_assert_ptr_eq(of, watch);
	if (piece_cookie != 0)
		each(context, piece_cookie, &piece_tuple);
	*ret_is_over = *ret_is_whole = true;
	return true;
}

enum watch_finding __wrap_watch_look(
	struct watch *of, const struct kbind_tuple *tuple, uint64_t cookie)
{
	ck_assert_ptr_eq(of, watch);
	ck_assert(tuple->family == AF_INET && cookie != 0);
	return finding;
}

void __wrap_broker_break_lease(
	struct broker *of, struct broker_lease *lease, enum ipsec_latch_reason reason)
{
	ck_assert_ptr_eq(of, &broker);
	lease->state = IPSEC_LATCH_STATE_BROKEN;
	lease->reason = (uint8_t)reason;
	broken_for = reason;
}

void __wrap_broker_close_lease(struct broker *of, struct broker_lease *lease)
{
	ck_assert_ptr_eq(of, &broker);
	lease->state = IPSEC_LATCH_STATE_CLOSING;
	closed++;
}

static struct broker_lease *lease_new(uint8_t state)
{
	const struct kbind_tuple tuple = { .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = { 10, 0, 0, 1 },
		.remote = { 10, 0, 0, 2 },
		.local_port = 40000,
		.remote_port = 443 };
	const struct broker_lease lease = { .cookie = 7,
		.tuple = tuple,
		.state = state,
		.has_in_policy = true,
		.has_out_policy = true,
		.made_ms = 1000 };
	struct broker_lease *made;

	broker = (struct broker){ .watch = watch, .leases = lease_table_new() };
	ck_assert_ptr_nonnull(broker.leases);
	made = lease_table_insert(broker.leases, &lease);
	ck_assert_ptr_nonnull(made);
	piece_cookie = made->cookie;
	piece_tuple = tuple;
	broken_for = IPSEC_LATCH_LATCHED;
	closed = 0;
	finding = WATCH_NONE;
	return made;
}

/* begun_ms: a sweep over all, which comes to its end at once. */
static void sweep(uint64_t begun_ms)
{
	broker.sweep.is_on = false;
	broker_sweep_tick(&broker, begun_ms);
	ck_assert(broker.sweep.is_on);
	broker_sweep_read(&broker);
	ck_assert(!broker.sweep.is_on);
}

/* What the kernel had written down before the socket ended is read behind the event that tells of the end. */
START_TEST(test_an_end_is_final)
{
	struct broker_lease *lease = lease_new(IPSEC_LATCH_STATE_ESTABLISHED);

	broker_sweep_tick(&broker, 2000);
	ck_assert(broker.sweep.is_on);
	lease->state = IPSEC_LATCH_STATE_CLOSING; /* as broker_read_ended() has it */
	lease->is_destroyed = true;
	broker_sweep_read(&broker);
	ck_assert_uint_eq(broken_for, IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(lease->state, IPSEC_LATCH_STATE_CLOSING);
	lease_table_free(&broker.leases);
}
END_TEST

/* The same socket with another tuple, and one that was over and is there again, are still found. */
START_TEST(test_moved)
{
	static const uint8_t states[] = { IPSEC_LATCH_STATE_ESTABLISHED,
		IPSEC_LATCH_STATE_CLOSING };
	struct broker_lease *lease = lease_new(states[_i]);

	if (states[_i] == IPSEC_LATCH_STATE_ESTABLISHED)
		piece_tuple.remote_port++;
	sweep(2000);
	ck_assert_uint_eq(broken_for, IPSEC_LATCH_MOVED);
	ck_assert_uint_eq(lease->state, IPSEC_LATCH_STATE_BROKEN);
	lease_table_free(&broker.leases);
}
END_TEST

/* A sweep that began before the lease was made may tell of the connection that the socket had before. */
START_TEST(test_made_meanwhile)
{
	struct broker_lease *lease = lease_new(IPSEC_LATCH_STATE_LARVAL);

	piece_tuple.remote_port++;
	lease->made_ms = 2500;
	sweep(2000);
	ck_assert_uint_eq(broken_for, IPSEC_LATCH_LATCHED);
	sweep(3000);
	ck_assert_uint_eq(broken_for, IPSEC_LATCH_MOVED);
	lease_table_free(&broker.leases);
}
END_TEST

/* Not met twice: closed where a remnant is left, else over, and moved when it is met once more. */
START_TEST(test_missed)
{
	struct broker_lease *lease = lease_new(IPSEC_LATCH_STATE_ESTABLISHED);

	piece_cookie = 0;
	finding = _i == 0 ? WATCH_REMNANT : WATCH_NONE;
	sweep(2000);
	ck_assert_uint_eq(lease->state, IPSEC_LATCH_STATE_ESTABLISHED);
	sweep(3000);
	ck_assert_uint_eq(closed, _i == 0 ? 1 : 0);
	ck_assert_uint_eq(broken_for, _i == 0 ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_ENDED);
	piece_cookie = lease->cookie;
	sweep(4000);
	ck_assert_uint_eq(broken_for, IPSEC_LATCH_MOVED);
	lease_table_free(&broker.leases);
}
END_TEST

Suite *suite_broker_sweep(void)
{
	Suite *suite = suite_create("broker_sweep");
	TCase *tests = tcase_create("broker_sweep");

	tcase_add_test(tests, test_an_end_is_final);
	tcase_add_loop_test(tests, test_moved, 0, 2);
	tcase_add_test(tests, test_made_meanwhile);
	tcase_add_loop_test(tests, test_missed, 0, 2);
	suite_add_tcase(suite, tests);
	return suite;
}
