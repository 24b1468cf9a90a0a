/* SPDX-License-Identifier: BSD-2-Clause */
/* Measuring: items take turns in short slices, in rotating order; the median slice counts. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define BENCH_ROUNDS_MAX 64

struct bench_item {
	const char *name;
	void (*run)(void *context);
	void *context;
	double ns[BENCH_ROUNDS_MAX]; /* of one run, in each round */
	double median_ns;
};

/* After one round of warm-up, runs each item for slice_ms in each of rounds (at most
 * BENCH_ROUNDS_MAX); clock says which time: CLOCK_MONOTONIC or CLOCK_PROCESS_CPUTIME_ID. */
void bench_measure(struct bench_item *items, size_t count, clockid_t clock, size_t rounds,
	unsigned int slice_ms);
/* The median of a's time over b's, round by round: both saw the same load of the machine. */
double bench_ratio(const struct bench_item *a, const struct bench_item *b, size_t rounds);
/* Ends the program with a message when it is not so: a benchmark of failures says nothing. */
void bench_require(bool is_so, const char *what);

#endif
