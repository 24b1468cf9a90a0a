/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clear segments against the switch-over, on two processors: root on the other host sends segments
 * that TCP accepts, from the second processor, while brokers and programs latch on the first.
 *
 *	race_probe PATH-OF-GSS-IPSECD [all | without-drop | without-settle]
 *
 * As in broker_probe tokens are just octets; that those of T3 and T4 are genuine is checked here in
 * place of AUTH.  "Lost" is an attempt in which the attacked end is latched and has forged
 * octets to read.
 * The last word names the defence that this broker lacks: there the race must be lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/membarrier.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/probe.h"
#include "tests/real/race_stall.h"

#define OUR_PROCESSOR 0
#define ATTACKERS_PROCESSOR 1
#define DATA_BYTES 2000
#define WAIT_MS 3000
#define UNTIL_LOST 4 /* so many times the attempts, until a race that must be lost is lost once */
#define STALL_NS 100000000.0 /* longer than a reservation takes */
#define STALL_TRIAL_OCTETS 100000u
#define QUIET_ATTEMPTS 4
#define REASONS_MAX 64

enum moment { AT_RESERVE, AT_LATCH };
static const char forged[] = "FORGED FORGED";

/* One order for the attacker: from which host, what, how long after the order, how often. */
struct order {
	struct ip header;
	uint8_t octets[PROBE_SEGMENT_MAX];
	size_t len;  /* of both */
	size_t host; /* whose namespace it is sent in */
	struct sockaddr_in to;
	uint64_t delay_ns;
	uint64_t limit; /* 0: until told to stop */
};

/* Shared with the attacker. */
struct arena {
	struct order order;
	atomic_bool must_stop;
	atomic_ulong sent, last_ns;
};

static struct arena *arena;
static int to_attacker, from_attacker;
static unsigned int times = 1; /* as many attempts: RACE_TIMES */
static pid_t attacker;

struct campaign {
	const char *name;
	size_t attacked; /* 0 initiator, 1 acceptor */
	enum moment moment;
	enum stall_place place; /* stalled: one segment; else as many as the processor sends */
	unsigned int attempts;
};

struct tally {
	unsigned int latched, lost, spoiled, silent, refused[REASONS_MAX];
	uint64_t phase_ns; /* how long reserve or latch take at the attacked end */
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void processor_take(size_t processor)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(processor, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		perror("a second processor");
		exit(1);
	}
}

/* --- the attacker --- */

static void attacker_strike(const int raw[2])
{
	const struct order *order = &arena->order;
	const uint64_t begin = now_ns() + order->delay_ns;
	uint64_t before, count = 0;

	while (now_ns() < begin)
		continue;
	do {
		before = now_ns();
		if (sendto(raw[order->host], &order->header, order->len, MSG_DONTWAIT,
			    (const struct sockaddr *)&order->to, sizeof(order->to)) > 0)
			count++;
		atomic_store(&arena->last_ns, now_ns() - before);
	} while (!atomic_load(&arena->must_stop) && (order->limit == 0 || count < order->limit));
	atomic_fetch_add(&arena->sent, count);
}

static void attacker_run(int orders, int answers)
{
	int raw[2];
	char word;

	processor_take(ATTACKERS_PROCESSOR);
	for (size_t i = 0; i < 2; i++) {
		probe_namespace_enter(&probe_hosts[i]);
		/* One that only sends: a copy of what comes in would be counted as dropped too. */
		raw[i] = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	}
	while (read(orders, &word, 1) == 1) {
		attacker_strike(raw);
		if (write(answers, &word, 1) != 1)
			break;
	}
	_exit(0);
}

static bool attacker_start(void)
{
	int orders[2], answers[2];

	arena = mmap(
		NULL, sizeof(*arena), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED || pipe2(orders, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0)
		return false;
	attacker = fork();
	if (attacker == 0) {
		(void)close(orders[1]);
		attacker_run(orders[0], answers[1]);
	}
	(void)close(orders[0]);
	to_attacker = orders[1];
	from_attacker = answers[0];
	return attacker > 0;
}

static bool attacker_order(uint64_t delay_ns, uint64_t limit)
{
	arena->order.delay_ns = delay_ns;
	arena->order.limit = limit;
	atomic_store(&arena->must_stop, false);
	return write(to_attacker, "", 1) == 1;
}

static bool attacker_wait(void)
{
	char word;

	return read(from_attacker, &word, 1) == 1;
}

static bool attacker_stop(void)
{
	atomic_store(&arena->must_stop, true);
	return attacker_wait();
}

/* A segment to the attacked end that continues its stream behind its peer's T1 and T3 (T2, T4). */
static bool attacker_aim(const struct end ends[2], size_t attacked)
{
	const struct end *from = &ends[1 - attacked];
	struct probe_segment segment = { .text = forged, .flags = TH_PUSH | TH_ACK };
	struct probe_position position;
	struct order *order = &arena->order;

	if (!probe_position_read(from, &position))
		return false;
	segment.sequence = position.sent + 2 * PROBE_TOKEN_BYTES;
	segment.acknowledged = position.received;
	order->len = probe_segment_octets(from, &segment, order->octets);
	order->host = 1 - attacked;
	order->to = (struct sockaddr_in){ .sin_family = AF_INET };
	memcpy(&order->to.sin_addr, from->candidate.tuple.remote, 4);
	/* The kernel fills in lengths and checksum. */
	order->header = (struct ip){ .ip_v = 4, .ip_hl = 5, .ip_ttl = 64, .ip_p = IPPROTO_TCP };
	memcpy(&order->header.ip_src, from->candidate.tuple.local, 4);
	order->header.ip_dst = order->to.sin_addr;
	if (order->len == 0)
		return false;
	order->len += sizeof(order->header);
	return true;
}

/* --- one attempt --- */

enum outcome { LATCHED, LOST, SPOILED, SILENT, REFUSED };

static void pattern_fill(uint8_t *octets, size_t len, uint8_t seed)
{
	for (size_t i = 0; i < len; i++)
		octets[i] = (uint8_t)(i * 7 + seed);
}

/* Programs read as much as there is, and take from that what they want. */
struct buffer {
	uint8_t octets[2 * DATA_BYTES];
	size_t len;
};

struct attempt {
	const struct campaign *campaign;
	struct end ends[2];
	struct buffer buffers[2]; /* the programs' own, one for each end */
	uint64_t span_ns, phase_ns;
	enum ipsec_latch_reason reason;
	bool is_quiet, is_striking;
	bool is_latched[2];
};

static bool receive_all(struct attempt *a, size_t side, uint8_t *octets, size_t len)
{
	struct pollfd wait = { .fd = a->ends[side].fd, .events = POLLIN };
	struct buffer *buffer = &a->buffers[side];
	ssize_t now;

	while (buffer->len < len) {
		if (poll(&wait, 1, WAIT_MS) != 1)
			return false;
		now = recv(wait.fd, buffer->octets + buffer->len,
			sizeof(buffer->octets) - buffer->len, 0);
		if (now <= 0)
			return false;
		buffer->len += (size_t)now;
	}
	memcpy(octets, buffer->octets, len);
	buffer->len -= len;
	memmove(buffer->octets, buffer->octets + len, buffer->len);
	return true;
}

/* From one end to the other: what arrives is what was sent, or which failure it is. */
static enum outcome carry(struct attempt *a, size_t from, size_t len, enum outcome forgery)
{
	uint8_t sent[DATA_BYTES], got[DATA_BYTES];

	pattern_fill(sent, len, (uint8_t)len);
	if (send(a->ends[from].fd, sent, len, MSG_NOSIGNAL) != (ssize_t)len ||
		!receive_all(a, 1 - from, got, len))
		return SILENT;
	return memcmp(sent, got, len) == 0 ? LATCHED : forgery;
}

static bool moment_begin(struct attempt *a, size_t side, enum moment moment)
{
	const uint64_t limit = a->campaign->place == STALL_NOWHERE ? 0 : 1;

	if (side != a->campaign->attacked || moment != a->campaign->moment)
		return true;
	a->phase_ns = now_ns();
	if (a->is_quiet)
		return true;
	a->is_striking = attacker_order((uint64_t)rand() % (a->span_ns + 1), limit);
	return a->is_striking;
}

static void moment_end(struct attempt *a, size_t side, enum moment moment)
{
	if (side == a->campaign->attacked && moment == a->campaign->moment)
		a->phase_ns = now_ns() - a->phase_ns;
}

static enum outcome reserve(struct attempt *a, size_t side, uint32_t spi_out)
{
	if (!moment_begin(a, side, AT_RESERVE))
		return SILENT;
	a->reason = probe_end_reserve(&a->ends[side], side == 0, spi_out);
	moment_end(a, side, AT_RESERVE);
	return a->reason == IPSEC_LATCH_LATCHED ? LATCHED : REFUSED;
}

static enum outcome latch(struct attempt *a, size_t side, uint32_t spi_out)
{
	if (!moment_begin(a, side, AT_LATCH))
		return SILENT;
	a->reason = probe_end_latch(&a->ends[side], side == 0, spi_out, PROBE_TOKEN_BYTES);
	moment_end(a, side, AT_LATCH);
	a->is_latched[side] = a->reason == IPSEC_LATCH_LATCHED;
	return a->is_latched[side] ? LATCHED : REFUSED;
}

static enum outcome attempt_latch(struct attempt *a)
{
	struct end *client = &a->ends[0], *server = &a->ends[1];
	enum outcome outcome;

	if ((outcome = carry(a, 0, PROBE_TOKEN_BYTES, SPOILED)) != LATCHED ||
		(outcome = reserve(a, 1, 0)) != LATCHED ||
		(outcome = carry(a, 1, PROBE_TOKEN_BYTES, SPOILED)) != LATCHED ||
		(outcome = reserve(a, 0, server->lease.spi_in)) != LATCHED ||
		(outcome = carry(a, 0, PROBE_TOKEN_BYTES, SPOILED)) != LATCHED ||
		(outcome = latch(a, 1, client->lease.spi_in)) != LATCHED ||
		(outcome = carry(a, 1, PROBE_TOKEN_BYTES, SPOILED)) != LATCHED)
		return outcome;
	return latch(a, 0, 0);
}

/* Complete on both sides: the program reads what its peer sends next. */
static enum outcome attempt_read(struct attempt *a)
{
	const size_t attacked = a->campaign->attacked;
	enum outcome outcome;

	/* A segment that was held comes before the data. */
	if (a->is_striking && a->campaign->place != STALL_NOWHERE) {
		a->is_striking = false;
		if (!attacker_wait())
			return SILENT;
	}
	outcome = carry(a, 1 - attacked, DATA_BYTES, LOST);
	return outcome != LATCHED ? outcome : carry(a, attacked, DATA_BYTES, LOST);
}

/* What an end that is latched has read or could read now. */
static bool forgery_is_read(struct attempt *a)
{
	const size_t side = a->campaign->attacked;
	struct buffer *buffer = &a->buffers[side];
	ssize_t more;

	if (!a->is_latched[side])
		return false;
	more = recv(a->ends[side].fd, buffer->octets + buffer->len,
		sizeof(buffer->octets) - buffer->len, MSG_DONTWAIT);
	buffer->len += more > 0 ? (size_t)more : 0;
	return memmem(buffer->octets, buffer->len, forged, sizeof(forged) - 1) != NULL;
}

static void attempt_close(struct attempt *a)
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(
			a->ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(a->ends);
}

static enum outcome attempt_run(struct attempt *a)
{
	enum outcome outcome = SILENT;

	if (!probe_pair_open_veth(a->ends))
		return SILENT;
	if (attacker_aim(a->ends, a->campaign->attacked))
		outcome = attempt_latch(a);
	if (outcome == LATCHED)
		outcome = attempt_read(a);
	if (a->is_striking && !attacker_stop())
		outcome = SILENT;
	/* An end that took forged octets acknowledges what its peer never sent, and hears no more. */
	if (outcome != LATCHED && forgery_is_read(a))
		outcome = LOST;
	for (size_t i = 0; i < 2 && outcome != LATCHED; i++) {
		if (a->ends[i].lease.is_held)
			kbind_release(a->ends[i].host->socket_path, &a->ends[i].candidate,
				&a->ends[i].lease);
	}
	attempt_close(a);
	return outcome;
}

static void tally_add(struct tally *tally, enum outcome outcome, enum ipsec_latch_reason reason)
{
	unsigned int *const counters[] = {
		[LATCHED] = &tally->latched,
		[LOST] = &tally->lost,
		[SPOILED] = &tally->spoiled,
		[SILENT] = &tally->silent,
		[REFUSED] = &tally->refused[reason < REASONS_MAX ? reason : 0],
	};

	++*counters[outcome];
}

/* --- campaigns --- */

/* How many octets stall this processor for STALL_NS, by a trial. */
static uint32_t stall_octets(enum stall_place place, const struct campaign *campaign)
{
	struct attempt a = { .campaign = campaign };
	double ns = 0;

	if (!stall_begin(place, ATTACKERS_PROCESSOR, STALL_TRIAL_OCTETS)) {
		(void)probe_check(false, "stall: %s", strerror(errno));
		return 0;
	}
	if (probe_pair_open_veth(a.ends) && attacker_aim(a.ends, campaign->attacked) &&
		attacker_order(0, 20) && attacker_wait())
		ns = (double)atomic_load(&arena->last_ns);
	attempt_close(&a);
	stall_end();
	if (ns <= 0)
		return 0;
	ns = STALL_NS / ns * STALL_TRIAL_OCTETS;
	return ns < STALL_OCTETS_MAX ? (uint32_t)ns : STALL_OCTETS_MAX;
}

static void tally_print(const struct campaign *campaign, const struct tally *tally,
	unsigned int by_policy, uint64_t sent, uint64_t ns)
{
	(void)printf("# %s: %u latched, %u lost, %u token spoiled, %u silent; refused:",
		campaign->name, tally->latched, tally->lost, tally->spoiled, tally->silent);
	for (unsigned int i = 0; i < REASONS_MAX; i++) {
		if (tally->refused[i] != 0)
			(void)printf(" %u %s,", tally->refused[i], latch_reason_word(i));
	}
	(void)printf(" %llu clear segments sent, %u dropped by the policy; %s takes %llu us; %llu "
		     "s\n",
		(unsigned long long)sent, by_policy,
		campaign->moment == AT_RESERVE ? "reserve" : "latch",
		(unsigned long long)tally->phase_ns / 1000, (unsigned long long)ns / 1000000000);
}

/* Without an attack: how long the phase takes, and that all is well. */
static bool campaign_measure(const struct campaign *campaign, struct tally *tally)
{
	struct attempt a;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < QUIET_ATTEMPTS; i++) {
		a = (struct attempt){ .campaign = campaign, .is_quiet = true };
		if (attempt_run(&a) != LATCHED)
			return probe_check(false, "%s: latched without an attack (%s)",
				campaign->name, latch_reason_word(a.reason));
		sum += a.phase_ns;
	}
	tally->phase_ns = sum / QUIET_ATTEMPTS;
	return true;
}

/* How many attempts were lost. */
static unsigned int campaign_run(const struct campaign *campaign, bool must_be_lost)
{
	const struct host *host = &probe_hosts[campaign->attacked];
	const uint64_t began = now_ns();
	struct tally tally = { 0 };
	unsigned int attempts = campaign->attempts * times;
	uint32_t octets = 0;
	uint64_t sent, span_ns;
	int before;

	if (campaign->place != STALL_NOWHERE &&
		(octets = stall_octets(campaign->place, campaign)) == 0)
		return 0;
	if (!campaign_measure(campaign, &tally))
		return 0;
	if (!stall_begin(campaign->place, ATTACKERS_PROCESSOR, octets)) {
		(void)probe_check(false, "stall: %s", strerror(errno));
		return 0;
	}
	/* The recorder is attached in the first half of a reservation. */
	span_ns = campaign->place == STALL_BEHIND_FILTER ? tally.phase_ns / 2 : tally.phase_ns;
	sent = atomic_load(&arena->sent);
	before = probe_xfrm_statistic(host, "XfrmInTmplMismatch");
	if (must_be_lost)
		attempts *= UNTIL_LOST;
	for (unsigned int i = 0; i < attempts && !(must_be_lost && tally.lost > 0); i++) {
		struct attempt a = { .campaign = campaign, .span_ns = span_ns };
		enum outcome outcome = attempt_run(&a);

		tally_add(&tally, outcome, a.reason);
	}
	stall_end();
	before = probe_xfrm_statistic(host, "XfrmInTmplMismatch") - before;
	sent = atomic_load(&arena->sent) - sent;
	tally_print(campaign, &tally, (unsigned int)before, sent, now_ns() - began);
	if (!must_be_lost)
		(void)probe_check(tally.lost == 0 && sent > 0,
			"%s: nothing forged is read, %u attempts", campaign->name, attempts);
	return tally.lost;
}

/* clang-format off */
static const struct campaign campaigns[] = {
	{ "flood, acceptor reserves",              1, AT_RESERVE, STALL_NOWHERE,       10 },
	{ "flood, acceptor latches",               1, AT_LATCH,   STALL_NOWHERE,       20 },
	{ "flood, initiator reserves",             0, AT_RESERVE, STALL_NOWHERE,       10 },
	{ "flood, initiator latches",              0, AT_LATCH,   STALL_NOWHERE,       20 },
	{ "held before the filter, acceptor",      1, AT_LATCH,   STALL_BEFORE_FILTER, 10 },
	{ "held before the filter, initiator",     0, AT_LATCH,   STALL_BEFORE_FILTER, 10 },
	{ "held behind the filter, acceptor",      1, AT_RESERVE, STALL_BEHIND_FILTER, 30 },
	{ "held behind the filter, initiator",     0, AT_RESERVE, STALL_BEHIND_FILTER, 30 },
};
static const struct {
	const char *name;
	enum stall_place lost; /* campaigns that this broker must lose */
} lacking[] = {
	{ "all",            STALL_NOWHERE },
	{ "without-drop",   STALL_BEFORE_FILTER },
	{ "without-settle", STALL_BEHIND_FILTER },
};
/* clang-format on */

static int order_of(const void *left, const void *right)
{
	const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* What the wait of recorder_settle costs in this kernel. */
static void barrier_measure(void)
{
	enum { TRIES = 100 };
	uint64_t ns[TRIES];

	for (size_t i = 0; i < TRIES; i++) {
		const uint64_t before = now_ns();

		if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0) {
			(void)probe_check(false, "membarrier: %s", strerror(errno));
			return;
		}
		ns[i] = now_ns() - before;
	}
	qsort(ns, TRIES, sizeof(ns[0]), order_of);
	(void)printf("# membarrier: half below %llu us, nine of ten below %llu us, longest %llu "
		     "us\n",
		(unsigned long long)ns[TRIES / 2] / 1000,
		(unsigned long long)ns[TRIES * 9 / 10] / 1000,
		(unsigned long long)ns[TRIES - 1] / 1000);
}

static void run_all(const char *name, enum stall_place place)
{
	const bool must_be_lost = place != STALL_NOWHERE;
	unsigned int lost = 0;

	for (size_t i = 0; i < sizeof(campaigns) / sizeof(campaigns[0]); i++) {
		if (!must_be_lost || campaigns[i].place == place)
			lost += campaign_run(&campaigns[i], must_be_lost);
	}
	if (must_be_lost)
		(void)probe_check(lost > 0, "%s: the race is lost, %u times", name, lost);
}

int main(int argc, char **argv)
{
	const char *lacks = argc == 3 ? argv[2] : "all";

	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: race_probe PATH-OF-GSS-IPSECD [DEFENCE]\n");
		return 2;
	}
	srand((unsigned int)time(NULL));
	if (getenv("RACE_TIMES") != NULL)
		times = (unsigned int)strtoul(getenv("RACE_TIMES"), NULL, 10);
	probe_daemon_path = argv[1];
	processor_take(OUR_PROCESSOR);
	probe_network_make();
	if (!attacker_start()) {
		perror("attacker");
		return 1;
	}
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	barrier_measure();
	for (size_t i = 0; i < sizeof(lacking) / sizeof(lacking[0]); i++) {
		if (strcmp(lacking[i].name, lacks) == 0)
			run_all(lacks, lacking[i].lost);
	}
	(void)close(to_attacker);
	(void)waitpid(attacker, NULL, 0);
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	(void)printf("%d failed\n", probe_failures);
	return probe_failures == 0 ? 0 : 1;
}
