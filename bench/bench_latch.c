/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time of a latch while other latches live.  Pairs of hosts, each with brokers of its own and so
 * many live latches; then latches are made and ended on all of them in shuffled order.
 *
 *	bench_latch PATH-OF-GSS-IPSECD ROUNDS COVER-MAX LIVE...
 *
 * A latch is what lies between the first octet of T1 and the last answer of a broker: four tokens
 * and two requests at each end, made without GSS-API (tests/real/probe.c).  Runs as root where ESP
 * is there; bench/latch.sh does so in a guest.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define PAIRS_MAX 8
#define ROUNDS_MAX 1000
#define STEPS 8
#define TRIES_MAX 3
#define PAUSE_MS 500

static const char *const step_names[STEPS] = { "T1", "reserve at acceptor", "T2",
	"reserve at initiator", "T3", "latch at acceptor", "T4", "latch at initiator" };

struct pair {
	struct host hosts[2];
	char names[2][32], addresses[2][48];
	size_t live;
	struct end (*ends)[2];
	size_t rounds; /* measured */
	size_t failures;
	double total_us[ROUNDS_MAX], steps_us[STEPS][ROUNDS_MAX];
};

static struct pair pairs[PAIRS_MAX];
static size_t pair_count, rounds_wanted;

static double now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void pair_make(struct pair *pair, size_t number, size_t live)
{
	pair->live = live;
	pair->ends = calloc(live + 1, sizeof(*pair->ends));
	for (size_t i = 0; i < 2; i++) {
		struct host *host = &pair->hosts[i];
		const char side = (char)('a' + i);

		(void)snprintf(
			pair->names[i], sizeof(pair->names[i]), "latch-%zu-%c", number, side);
		(void)snprintf(pair->addresses[i], sizeof(pair->addresses[i]), "10.80.%zu.%zu",
			number, i + 1);
		*host = (struct host){ .name = pair->names[i], .address = pair->addresses[i] };
		(void)snprintf(host->socket_path, sizeof(host->socket_path), "/run/%s/broker.sock",
			host->name);
		(void)snprintf(
			host->state_path, sizeof(host->state_path), "/run/%s/state", host->name);
		probe_shell("ip netns add %s && ip -n %s link set lo up && mkdir -p /run/%s",
			host->name, host->name, host->name);
	}
	/* Names are looked up where this process is, too. */
	probe_shell("ip link add wire-%zu-a netns %s type veth peer name wire-%zu-b netns %s",
		number, pair->names[0], number, pair->names[1]);
	for (size_t i = 0; i < 2; i++) {
		probe_shell("ip -n %s addr add %s/24 dev wire-%zu-%c && ip -n %s link set "
			    "wire-%zu-%c up",
			pair->names[i], pair->addresses[i], number, (int)('a' + i), pair->names[i],
			number, (int)('a' + i));
		probe_broker_start(&pair->hosts[i]);
	}
}

/* doc/protocol.md section 6, step by step. */
static bool pair_step(struct end ends[2], size_t step)
{
	switch (step) {
	case 0:
		return probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES);
	case 1:
		return probe_end_reserve(&ends[1], false, 0) == 0;
	case 2:
		return probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES);
	case 3:
		return probe_end_reserve(&ends[0], true, ends[1].lease.spi_in) == 0;
	case 4:
		return probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES);
	case 5:
		return probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) ==
		       0;
	case 6:
		return probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES);
	default:
		return probe_end_latch(&ends[0], true, 0, PROBE_TOKEN_BYTES) == 0;
	}
}

static bool pair_latch(struct end ends[2], double steps_us[STEPS])
{
	bool is_good = true;
	double begin;

	for (size_t i = 0; i < STEPS && is_good; i++) {
		begin = now_us();
		is_good = pair_step(ends, i);
		steps_us[i] = now_us() - begin;
		if (!is_good)
			(void)printf(
				"# failed in %s after %.0f ms\n", step_names[i], steps_us[i] / 1e3);
	}
	return is_good;
}

static bool pair_open(struct pair *pair, struct end ends[2])
{
	return probe_pair_open(ends, pair->addresses[1], &pair->hosts[0], &pair->hosts[1]);
}

/* Where all is busy a token may take longer than probe_transfer() waits: counted, and tried again. */
static bool pair_fill(struct pair *pair)
{
	const double begin = now_us();
	double ignored[STEPS];
	size_t failures = 0;

	for (size_t i = 0; i < pair->live; i++) {
		for (size_t tries = 0;
			!pair_open(pair, pair->ends[i]) || !pair_latch(pair->ends[i], ignored);
			tries++) {
			probe_pair_close(pair->ends[i]);
			failures++;
			if (tries == TRIES_MAX)
				return probe_check(
					false, "live latch %zu of %zu", i + 1, pair->live);
		}
	}
	(void)printf("# %zu live after %.0f s, %zu tried again\n", pair->live,
		(now_us() - begin) / 1e6, failures);
	(void)fflush(stdout);
	return true;
}

/* Tried again like those before. */
static bool pair_measure(struct pair *pair)
{
	double steps_us[STEPS], begin;
	struct end ends[2];
	bool is_good;

	/* What the kernel does about the end of the one before is not this one's time. */
	probe_pause_ms(PAUSE_MS);
	is_good = pair_open(pair, ends);
	begin = now_us();
	is_good = is_good && pair_latch(ends, steps_us);
	pair->total_us[pair->rounds] = now_us() - begin;
	for (size_t i = 0; is_good && i < STEPS; i++)
		pair->steps_us[i][pair->rounds] = steps_us[i];
	probe_pair_close(ends);
	pair->rounds += is_good;
	pair->failures += !is_good;
	return is_good;
}

/* Each pair's turns, shuffled (Fisher and Yates). */
static bool measure_all(void)
{
	static uint8_t turns[PAIRS_MAX * ROUNDS_MAX];
	const size_t count = pair_count * rounds_wanted;

	for (size_t i = 0; i < count; i++)
		turns[i] = (uint8_t)(i % pair_count);
	for (size_t i = count; i > 1; i--) {
		uint32_t random = 0;
		uint8_t kept = turns[i - 1];

		if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
			return false;
		turns[i - 1] = turns[random % i];
		turns[random % i] = kept;
	}
	for (size_t i = 0; i < count; i++) {
		for (size_t tries = 0; !pair_measure(&pairs[turns[i]]); tries++) {
			if (tries == TRIES_MAX)
				return probe_check(
					false, "a latch beside %zu", pairs[turns[i]].live);
		}
	}
	return true;
}

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values)
{
	qsort(values, rounds_wanted, sizeof(values[0]), compare);
	return values[rounds_wanted / 2];
}

static void pair_print(struct pair *pair, double smallest_us)
{
	const double total_us = median(pair->total_us);

	(void)printf(
		"beside %5zu live: latch %.2f ms, quartiles %.2f and %.2f, ratio %.2f, %zu tried "
		"again;",
		pair->live, total_us / 1e3, pair->total_us[rounds_wanted / 4] / 1e3,
		pair->total_us[rounds_wanted * 3 / 4] / 1e3, total_us / smallest_us,
		pair->failures);
	for (size_t i = 0; i < STEPS; i++)
		(void)printf(" %s %.2f%s", step_names[i], median(pair->steps_us[i]) / 1e3,
			i + 1 < STEPS ? "," : "\n");
	(void)fflush(stdout);
}

static void daemon_set_options(const char *cover_max)
{
	static const char *const options[] = { "--quota-user", "100000", "--quota-total", "100000",
		"--cover-max", NULL, "--linger-seconds", "1" };

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		probe_daemon_options[i] = options[i];
	probe_daemon_options[5] = cover_max;
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 1u << 17, 1u << 17 };
	bool is_good = true;
	int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (argc < 5 || argc - 4 > PAIRS_MAX || strtoul(argv[2], NULL, 10) > ROUNDS_MAX ||
		setrlimit(RLIMIT_NOFILE, &files) != 0)
		return 2;
	rounds_wanted = strtoul(argv[2], NULL, 10);
	pair_count = (size_t)argc - 4;
	probe_daemon_path = argv[1];
	daemon_set_options(argv[3]);
	/* The daemons' log is theirs alone: a slow console would be measured. */
	if (nothing < 0 || dup2(nothing, STDERR_FILENO) < 0)
		return 1;
	for (size_t i = 0; i < pair_count; i++) {
		pair_make(&pairs[i], i, strtoul(argv[4 + i], NULL, 10));
		is_good = is_good && pair_fill(&pairs[i]);
	}
	is_good = is_good && measure_all();
	for (size_t i = 0; is_good && i < pair_count; i++)
		pair_print(&pairs[i], median(pairs[0].total_us));
	for (size_t i = 0; i < 2 * pair_count; i++)
		probe_broker_stop(&pairs[i / 2].hosts[i % 2], SIGKILL);
	return is_good ? 0 : 1;
}
