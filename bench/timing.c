/* SPDX-License-Identifier: BSD-2-Clause */
/* Measuring (timing.h). */
#include "bench/timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_require(bool is_so, const char *what)
{
	if (is_so)
		return;
	(void)fprintf(stderr, "bench: %s failed\n", what);
	exit(EXIT_FAILURE);
}

static double bench_now_ns(clockid_t clock)
{
	struct timespec now;

	bench_require(clock_gettime(clock, &now) == 0, "clock_gettime");
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One slice, in batches that double, so that the clock costs nothing. */
static double bench_slice_ns(const struct bench_item *item, clockid_t clock, double slice_ns)
{
	double start = bench_now_ns(clock), used = 0;
	size_t runs = 0, batch = 1;

	while (used < slice_ns) {
		for (size_t i = 0; i < batch; i++)
			item->run(item->context);
		runs += batch;
		used = bench_now_ns(clock) - start;
		if (batch < 256)
			batch *= 2;
	}
	return used / (double)runs;
}

static int bench_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double bench_median(const double *values, size_t count)
{
	double sorted[BENCH_ROUNDS_MAX];

	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(sorted[0]), bench_compare);
	return sorted[count / 2];
}

void bench_measure(struct bench_item *items, size_t count, clockid_t clock, size_t rounds,
	unsigned int slice_ms)
{
	double slice_ns = slice_ms * 1e6;

	bench_require(rounds > 0 && rounds <= BENCH_ROUNDS_MAX, "the number of rounds");
	for (size_t i = 0; i < count; i++)
		(void)bench_slice_ns(&items[i], clock, slice_ns);
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < count; i++) {
			struct bench_item *item = &items[(i + round) % count];

			item->ns[round] = bench_slice_ns(item, clock, slice_ns);
		}
	}
	for (size_t i = 0; i < count; i++)
		items[i].median_ns = bench_median(items[i].ns, rounds);
}

double bench_ratio(const struct bench_item *a, const struct bench_item *b, size_t rounds)
{
	double ratios[BENCH_ROUNDS_MAX];

	for (size_t round = 0; round < rounds; round++)
		ratios[round] = a->ns[round] / b->ns[round];
	return bench_median(ratios, rounds);
}
