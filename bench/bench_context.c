/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU per context, both ends in one process through MIT's mechglue, beside the fixed floor of
 * bench/floor.h in the same run: rounds of both take turns, medians and their ratio are printed.
 * Then five contexts and five times the floor's operations take turns, for a machine that is busy: what
 * takes the processor or its caches away meets both alike.  The floor is dearer so, since none of
 * its operations is repeated for long.
 *
 *   bench_context [ROUNDS [CONTEXTS-PER-ROUND [KEY-TYPE]]]
 *
 * KEY-TYPE (bench/floor.h) says which floor; the configuration says which key is used.
 * No rounds (0): the contexts alone, nothing measured, for strace and valgrind.
 *
 * Needs GSS_MECH_CONFIG and GSS_IPSEC_CONFIG (bench/run.sh sets them up); no connection is latched.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/floor.h"
#include "bench/pair.h"

#define ROUNDS_MAX 201
#define TURNS 300
#define TURN_CONTEXTS 5

static double bench_cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void bench_one(const struct bench_ends *ends)
{
	struct bench_pair pair;

	bench_pair_establish(ends, &pair, NULL);
	bench_pair_delete(&pair);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Lower quartiles. */
static void bench_turns(const struct bench_ends *ends, const char *type)
{
	static double ours[TURNS], floors[TURNS];
	struct bench_item items[FLOOR_OPERATIONS];
	double start, middle;

	floor_items(items);
	for (int i = 0; i < TURNS; i++) {
		start = bench_cpu_us();
		for (int n = 0; n < TURN_CONTEXTS; n++)
			bench_one(ends);
		middle = bench_cpu_us();
		for (int n = 0; n < TURN_CONTEXTS; n++)
			floor_run(items);
		ours[i] = (middle - start) / TURN_CONTEXTS;
		floors[i] = (bench_cpu_us() - middle) / TURN_CONTEXTS;
	}
	qsort(ours, TURNS, sizeof(double), compare_doubles);
	qsort(floors, TURNS, sizeof(double), compare_doubles);
	printf("the same in turns of %d, lower quartiles of %d: %s %.1f us CPU; floor: %.1f us; "
	       "ratio %.3f\n",
		TURN_CONTEXTS, TURNS, type, ours[TURNS / 4], floors[TURNS / 4],
		ours[TURNS / 4] / floors[TURNS / 4]);
}

int main(int argc, char **argv)
{
	static double ours[ROUNDS_MAX], floors[ROUNDS_MAX], ratios[ROUNDS_MAX];
	int rounds = argc > 1 ? atoi(argv[1]) : 21, contexts = argc > 2 ? atoi(argv[2]) : 100;
	const char *type = argc > 3 ? argv[3] : "ed25519";
	struct bench_ends ends;
	double start;

	if (rounds < 0 || rounds > ROUNDS_MAX || contexts < 1 || !floor_key_choose(type)) {
		fprintf(stderr, "usage: bench_context [ROUNDS [CONTEXTS-PER-ROUND [KEY-TYPE]]]\n");
		return EXIT_FAILURE;
	}
	bench_ends_acquire(bench_mech_ipsec, "host@server.example.org", &ends);
	for (int n = 0; rounds == 0 && n < contexts; n++)
		bench_one(&ends);
	if (rounds == 0)
		goto out;
	bench_one(&ends);
	for (int i = 0; i < rounds; i++) {
		start = bench_cpu_us();
		for (int n = 0; n < contexts; n++)
			bench_one(&ends);
		ours[i] = (bench_cpu_us() - start) / contexts;
		floors[i] = floor_context_cpu_us();
		ratios[i] = ours[i] / floors[i];
	}
	qsort(ours, (size_t)rounds, sizeof(double), compare_doubles);
	qsort(floors, (size_t)rounds, sizeof(double), compare_doubles);
	qsort(ratios, (size_t)rounds, sizeof(double), compare_doubles);
	printf("context with %s, both ends: %.1f us CPU; floor: %.1f us; ratio %.3f (%.3f-%.3f), "
	       "aim "
	       "1.10\n",
		type, ours[rounds / 2], floors[rounds / 2], ratios[rounds / 2], ratios[0],
		ratios[rounds - 1]);
	bench_turns(&ends, type);
out:
	bench_ends_release(&ends);
	return EXIT_SUCCESS;
}
