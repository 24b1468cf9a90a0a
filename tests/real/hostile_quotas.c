/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Too many reservations: of a user, of one person with many ids, of all together; those that nobody
 * uses; and SPIs that somebody else has taken.  Reqid, mark and SPI come with a lease, so that the
 * quotas of leases are theirs too.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define QUOTA_USER 20	/* as main() sets them */
#define QUOTA_TOTAL 160 /* the last eighth, from 140 on, is for those with fewer than two */
#define LARVAL_MS 10000
#define SETTLE_MS 10000
#define PAIRS 30 /* more than --quota-user */
#define HOARDERS 8
#define HONEST 2 /* the honest user's, who reserves and releases all the time */
#define SPI_TAKEN 0x12345678u

struct hoarder {
	struct end *ends;
	int wanted;
};

/* Reserves what it gets, and says so by its status. */
static void hoard_run(void *argument)
{
	const struct hoarder *hoarder = argument;
	int granted = 0;

	for (int i = 0; i < PAIRS; i++) {
		const struct end *end = &hoarder->ends[i];
		const struct broker_request request = {
			.type = BROKER_RESERVE,
			.cookie = end->candidate.cookie,
			.suite = 1,
			.key_in = end->key_in,
		};

		granted += hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_LATCHED;
	}
	_exit(granted == hoarder->wanted ? 0 : 100 + granted);
}

static int hoard(uid_t uid, struct end *ends, int wanted)
{
	struct hoarder hoarder = { ends, wanted };
	pid_t pid = hostile_start(uid, hoard_run, &hoarder);
	int status = -1;

	(void)waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status) == 0 ? wanted : WEXITSTATUS(status) - 100;
}

static bool pairs_open(struct end ends[2][PAIRS])
{
	struct end pair[2];

	for (size_t i = 0; i < PAIRS; i++) {
		if (!hostile_pair_open(pair))
			return false;
		ends[0][i] = pair[0];
		ends[1][i] = pair[1];
	}
	return true;
}

static void pairs_close(struct end ends[2][PAIRS])
{
	for (size_t i = 0; i < PAIRS; i++) {
		(void)close(ends[0][i].fd);
		(void)close(ends[1][i].fd);
	}
}

/*
 * How many are there when those of closed connections are gone: until then these fill their user's
 * quota and that of all.  One stays, the honest user's last.
 */
static int associations_settled(void)
{
	int count = probe_count_associations(&probe_hosts[0]);

	for (int i = 0; i < SETTLE_MS / 100 && count > 1; i++) {
		probe_pause_ms(100);
		count = probe_count_associations(&probe_hosts[0]);
	}
	return count;
}

static void test_quotas(void)
{
	static struct end one[2][PAIRS], two[2][PAIRS];
	int first, second;

	if (!pairs_open(one) || !pairs_open(two)) {
		probe_check(false, "connections for the quotas");
		return;
	}
	(void)associations_settled();
	hostile_measure_begin();
	first = hoard(HOSTILE_UID, one[0], 20);
	probe_check(first == 20, "one user gets his quota of 20 and no more: %d", first);
	first = hoard(HOSTILE_SUBUID, one[1], 20);
	second = hoard(HOSTILE_SUBUID + 60000, two[0], 0);
	probe_check(first == 20 && second == 0,
		"so does one person with many ids of his in /etc/subuid: %d and %d", first, second);
	first = hoard(HOSTILE_UID + 1, two[1], 20);
	probe_check(first == 20, "another user still gets his: %d", first);
	hostile_measure_end("hoarders of reservations");
	pairs_close(one);
	pairs_close(two);
}

/* One after the other, until there are no more but for those who have few. */
static void test_total(void)
{
	static struct end ends[HOARDERS / 2][2][PAIRS];
	int granted, sum = 0, last = -1;

	for (size_t i = 0; i < HOARDERS / 2; i++) {
		if (!pairs_open(ends[i])) {
			probe_check(false, "connections for the total quota");
			return;
		}
	}
	(void)associations_settled();
	hostile_measure_begin();
	for (uid_t i = 0; i < HOARDERS; i++) {
		granted = hoard(HOSTILE_UID + i, ends[i / 2][i % 2], QUOTA_USER);
		sum += granted;
		last = granted;
	}
	hostile_measure_end("hoarders of the total");
	probe_check(sum + HONEST >= QUOTA_TOTAL - QUOTA_TOTAL / 8 && sum < QUOTA_TOTAL &&
			    last > 0 && last < QUOTA_USER,
		"eight users get %d reservations of 160 together, the last one %d: others have "
		"room",
		sum, last);
	probe_check(probe_count_associations(&probe_hosts[0]) <= sum + HONEST,
		"the kernel has %d SAs of ours", probe_count_associations(&probe_hosts[0]));
	for (size_t i = 0; i < HOARDERS / 2; i++)
		pairs_close(ends[i]);
}

/* Reservations of which nothing comes, while their sockets stay. */
static void test_larval(void)
{
	static struct end ends[2][PAIRS];
	int before, granted, after = INT_MAX;

	if (!pairs_open(ends))
		return;
	before = associations_settled();
	granted = hoard(HOSTILE_UID, ends[0], QUOTA_USER);
	for (int i = 0; i < 3 * LARVAL_MS / 100 && after > before; i++) {
		probe_pause_ms(100);
		after = probe_count_associations(&probe_hosts[0]);
	}
	probe_check(granted == QUOTA_USER && after <= before,
		"%d reservations that nobody used: their SAs go in time, %d left", granted,
		after - before);
	granted = hoard(HOSTILE_UID, ends[0], QUOTA_USER);
	probe_check(granted == QUOTA_USER, "and their owner may reserve again: %d", granted);
	pairs_close(ends);
}

static int reserve_as(uid_t uid, const struct end *end, uint32_t spi_out)
{
	const struct broker_request request = {
		.type = BROKER_RESERVE,
		.cookie = end->candidate.cookie,
		.is_initiator = true,
		.suite = 1,
		.key_in = end->key_in,
		.key_out = end->key_out,
		.spi_out = spi_out,
	};
	int reason;

	if (seteuid(uid) != 0)
		return -1;
	reason = hostile_reason(&request, &end->fd, 1);
	return seteuid(0) == 0 ? reason : -1;
}

/* Nothing in the clear may end what has an outbound policy. */
static void pair_abort(struct end ends[2])
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(ends);
}

/* SPIs towards the same host are everybody's: who knows one can have it first. */
static void test_spi_taken(void)
{
	struct end attacker[2], victim[2];
	int first, taken, other;

	if (!probe_pair_open_veth(attacker) || !probe_pair_open_veth(victim))
		return;
	probe_namespace_enter(&probe_hosts[0]);
	first = reserve_as(HOSTILE_UID + 14, &attacker[0], SPI_TAKEN);
	taken = reserve_as(HOSTILE_UID + 15, &victim[0], SPI_TAKEN);
	other = reserve_as(HOSTILE_UID + 15, &victim[0], SPI_TAKEN + 1);
	probe_check(first == IPSEC_LATCH_LATCHED && taken == IPSEC_LATCH_KERNEL &&
			    other == IPSEC_LATCH_LATCHED,
		"a SPI that another user has (%d): refused, not shared (%d); the next one granted "
		"(%d)",
		first, taken, other);
	pair_abort(attacker);
	pair_abort(victim);
}

void hostile_test_quotas(void)
{
	test_quotas();
	test_total();
	test_larval();
	test_spi_taken();
}
