/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Heap and resident memory per kept pair of contexts (both ends in one process), before the first
 * message, after one message each way, and what is left when they are deleted:
 *
 *   bench_memory [PAIRS]
 *
 * Needs GSS_MECH_CONFIG and GSS_IPSEC_CONFIG (bench/run.sh sets them up); no connection is latched.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/pair.h"
#include "bench/timing.h"

#define PAIRS 10000

struct memory {
	double heap, resident;
};

static struct memory memory_now(void)
{
	const struct mallinfo2 heap = mallinfo2();
	struct memory now = { .heap = (double)(heap.uordblks + heap.hblkhd) };
	unsigned long ignored, pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	bench_require(file != NULL && fscanf(file, "%lu %lu", &ignored, &pages) == 2, "statm");
	(void)fclose(file);
	now.resident = (double)pages * (double)sysconf(_SC_PAGESIZE);
	return now;
}

static void memory_print(const char *what, struct memory since, size_t pairs)
{
	const struct memory now = memory_now();

	(void)printf("memory per pair, %s: heap %.0f B, resident %.0f B\n", what,
		(now.heap - since.heap) / (double)pairs,
		(now.resident - since.resident) / (double)pairs);
}

static void message_send(const struct bench_ends *ends, gss_ctx_id_t from, gss_ctx_id_t to)
{
	gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER,
			opened = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, ignored;

	major = gss_wrap(&minor, from, 1, GSS_C_QOP_DEFAULT, &plain, NULL, &token);
	bench_gss_require(ends, "gss_wrap", major, minor);
	major = gss_unwrap(&minor, to, &token, &opened, NULL, NULL);
	bench_gss_require(ends, "gss_unwrap", major, minor);
	(void)gss_release_buffer(&ignored, &token);
	(void)gss_release_buffer(&ignored, &opened);
}

static void pair_use(const struct bench_ends *ends, const struct bench_pair *pair)
{
	message_send(ends, pair->initiator, pair->acceptor);
	message_send(ends, pair->acceptor, pair->initiator);
}

int main(int argc, char **argv)
{
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : PAIRS;
	struct bench_pair *pairs = calloc(count, sizeof(*pairs)), first;
	struct bench_ends ends;
	struct memory start;

	bench_require(count > 0 && pairs != NULL, "the number of pairs");
	/* What is made once for the process belongs to no pair. */
	bench_ends_acquire(bench_mech_ipsec, "host@server.example.org", &ends);
	bench_pair_establish(&ends, &first, NULL);
	pair_use(&ends, &first);
	start = memory_now();
	for (size_t i = 0; i < count; i++)
		bench_pair_establish(&ends, &pairs[i], NULL);
	memory_print("before the first message", start, count);
	for (size_t i = 0; i < count; i++)
		pair_use(&ends, &pairs[i]);
	memory_print("after one message each way", start, count);
	for (size_t i = 0; i < count; i++)
		bench_pair_delete(&pairs[i]);
	memory_print("deleted again", start, count);
	bench_pair_delete(&first);
	bench_ends_release(&ends);
	free(pairs);
	return EXIT_SUCCESS;
}
