/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many leases a user gets while others hoard: open ones, and closed ones, which a login a moment
 * leaves behind for the closing time.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "tests/unit/suites.h"

#define QUOTA_USER 64
#define QUOTA_TOTAL 1024
#define SHARED (QUOTA_TOTAL - QUOTA_TOTAL / 8)
#define FEW (QUOTA_USER / 16)
#define CLOSING_TURNS 100 /* the closing time */
#define BEGIN_TURN (2 * CLOSING_TURNS)
#define SETTLED_TURN (5 * CLOSING_TURNS)
#define END_TURN (8 * CLOSING_TURNS)
#define HONEST 1 /* login of an honest server in a turn: 100 in a closing time */

static struct broker broker;

static void begin(void)
{
	broker = (struct broker){
		.leases = lease_table_new(),
		.options = { .quota_user = QUOTA_USER, .quota_total = QUOTA_TOTAL },
	};
	ck_assert_ptr_nonnull(broker.leases);
}

/* due_ms: the turn in which it ends. */
static bool lease_get(uint32_t uid, uint8_t state, uint64_t due_ms)
{
	static uint64_t cookies;
	const struct broker_lease lease = {
		.cookie = ++cookies,
		.uid = uid,
		.state = state,
		.due_ms = due_ms,
		.tuple = { .family = AF_INET, .protocol = IPPROTO_TCP },
	};

	if (broker_quota_is_used_up(&broker, uid))
		return false;
	ck_assert_ptr_nonnull(lease_table_insert(broker.leases, &lease));
	return true;
}

static size_t leases_get(uint32_t uid, uint8_t state, uint64_t due_ms, size_t wanted)
{
	size_t count = 0;

	while (count < wanted && lease_get(uid, state, due_ms))
		count++;
	return count;
}

static void leases_expire(uint64_t turn)
{
	struct broker_lease *lease = lease_table_after(broker.leases, 0), *next;

	for (; lease != NULL; lease = next) {
		next = lease_table_next(lease);
		if (lease->due_ms != 0 && lease->due_ms <= turn)
			lease_table_remove(broker.leases, lease);
	}
}

START_TEST(test_open_ones)
{
	begin();
	ck_assert_uint_eq(leases_get(1, IPSEC_LATCH_STATE_ESTABLISHED, 0, 1000), QUOTA_USER);
	ck_assert_uint_eq(leases_get(2, IPSEC_LATCH_STATE_LARVAL, 0, 1000), QUOTA_USER);
	/* What is closed is not held: it does not count there. */
	ck_assert_uint_gt(leases_get(3, IPSEC_LATCH_STATE_CLOSING, 0, QUOTA_USER * 4), QUOTA_USER);
	ck_assert_uint_eq(leases_get(3, IPSEC_LATCH_STATE_ESTABLISHED, 0, 1000), QUOTA_USER);
	lease_table_free(&broker.leases);
}
END_TEST

/* Who is alone gets three quarters of all, root too; others then get theirs. */
START_TEST(test_closed_ones)
{
	const uint32_t uid = _i == 0 ? 0 : 1;

	begin();
	ck_assert_uint_eq(leases_get(uid, IPSEC_LATCH_STATE_CLOSING, 0, QUOTA_TOTAL),
		QUOTA_TOTAL - QUOTA_TOTAL / 4);
	ck_assert_uint_eq(leases_get(2, IPSEC_LATCH_STATE_ESTABLISHED, 0, 1000), QUOTA_USER);
	lease_table_free(&broker.leases);
}
END_TEST

/* Beyond the last eighth's begin: few for everybody, closed ones included, up to the total. */
START_TEST(test_last_eighth)
{
	uint32_t uid = 1;

	begin();
	while (lease_table_count(broker.leases) < SHARED)
		ck_assert_uint_gt(
			leases_get(uid++, IPSEC_LATCH_STATE_ESTABLISHED, 0, QUOTA_USER), 0);
	ck_assert(!lease_get(1, IPSEC_LATCH_STATE_ESTABLISHED, 0));
	ck_assert_uint_eq(leases_get(uid++, IPSEC_LATCH_STATE_ESTABLISHED, 0, 1000), FEW);
	ck_assert_uint_eq(leases_get(uid++, IPSEC_LATCH_STATE_CLOSING, 0, 1000), FEW);
	ck_assert_uint_gt(leases_get(0, IPSEC_LATCH_STATE_ESTABLISHED, 0, 1000), FEW);
	while (lease_table_count(broker.leases) < QUOTA_TOTAL)
		ck_assert(lease_get(uid++, IPSEC_LATCH_STATE_ESTABLISHED, 0));
	ck_assert(!lease_get(uid, IPSEC_LATCH_STATE_ESTABLISHED, 0));
	lease_table_free(&broker.leases);
}
END_TEST

/*
 * So many users latch and close in bursts, and hold as many open as still lets them; then an honest
 * server begins.  After three closing times nothing is refused to it, and the last eighth is free.
 */
START_TEST(test_hoarders_of_closed_ones)
{
	const uint32_t hoarders = (uint32_t)_i, server = 1000;
	size_t got;

	begin();
	for (uint32_t uid = 1; uid <= hoarders; uid++)
		(void)leases_get(uid, IPSEC_LATCH_STATE_ESTABLISHED, 0, QUOTA_USER - 1);
	for (uint64_t turn = 1; turn <= END_TURN; turn++) {
		leases_expire(turn);
		for (uint32_t uid = 1; uid <= hoarders; uid++)
			(void)leases_get(uid, IPSEC_LATCH_STATE_CLOSING, turn + CLOSING_TURNS, 100);
		if (turn < BEGIN_TURN)
			continue;
		got = leases_get(server, IPSEC_LATCH_STATE_CLOSING, turn + CLOSING_TURNS, HONEST);
		if (turn < SETTLED_TURN)
			continue;
		ck_assert_msg(got == HONEST, "turn %u: %zu", (unsigned int)turn, got);
		ck_assert_uint_lt(lease_table_count(broker.leases), SHARED);
	}
	lease_table_free(&broker.leases);
}
END_TEST

Suite *suite_broker_quota(void)
{
	Suite *suite = suite_create("broker_quota");
	TCase *tests = tcase_create("broker_quota");

	tcase_add_test(tests, test_open_ones);
	tcase_add_loop_test(tests, test_closed_ones, 0, 2);
	tcase_add_test(tests, test_last_eighth);
	tcase_add_loop_test(tests, test_hoarders_of_closed_ones, 1, 3);
	suite_add_tcase(suite, tests);
	return suite;
}
