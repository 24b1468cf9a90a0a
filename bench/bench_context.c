/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPU per context, both ends in one process through MIT's mechglue, beside the fixed floor of
 * bench/floor.h in the same run: rounds of both take turns, medians and their ratio are printed.
 *
 *   bench_context [ROUNDS [CONTEXTS-PER-ROUND]]
 *
 * No rounds (0): the contexts alone, nothing measured, for strace and valgrind.
 *
 * Needs GSS_MECH_CONFIG and GSS_IPSEC_CONFIG (bench/run.sh sets them up); no connection is latched.
 */
#include <gssapi/gssapi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/floor.h"
#include "include/gssapi_ipsec.h"

#define ROUNDS_MAX 201

static gss_OID_desc bench_mech = { GSS_IPSEC_OID_MECH_LENGTH, GSS_IPSEC_OID_MECH };
static const OM_uint32 bench_flags = GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG |
				     GSS_C_CONF_FLAG | GSS_C_INTEG_FLAG;

struct bench {
	gss_cred_id_t initiator, acceptor;
	gss_name_t target;
};

static void bench_fail(const char *what, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	gss_display_status(&ignored, minor, GSS_C_MECH_CODE, &bench_mech, &more, &text);
	fprintf(stderr, "bench_context: %s: %#x: %.*s\n", what, major, (int)text.length,
		(char *)text.value);
	exit(EXIT_FAILURE);
}

static double bench_cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void bench_acquire(struct bench *bench)
{
	gss_OID_set_desc mechs = { 1, &bench_mech };
	gss_buffer_desc name = { sizeof("host@server.example.org") - 1, "host@server.example.org" };
	OM_uint32 major, minor;

	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &bench->target);
	if (major == GSS_S_COMPLETE)
		major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs,
			GSS_C_INITIATE, &bench->initiator, NULL, NULL);
	if (major == GSS_S_COMPLETE)
		major = gss_acquire_cred(&minor, bench->target, GSS_C_INDEFINITE, &mechs,
			GSS_C_ACCEPT, &bench->acceptor, NULL, NULL);
	if (major != GSS_S_COMPLETE)
		bench_fail("acquire", major, minor);
}

static void bench_release(struct bench *bench)
{
	OM_uint32 ignored;

	gss_release_cred(&ignored, &bench->initiator);
	gss_release_cred(&ignored, &bench->acceptor);
	gss_release_name(&ignored, &bench->target);
}

static void bench_one(const struct bench *bench)
{
	gss_ctx_id_t initiator = GSS_C_NO_CONTEXT, acceptor = GSS_C_NO_CONTEXT;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, next = GSS_C_EMPTY_BUFFER;
	OM_uint32 major_i, major_a = GSS_S_CONTINUE_NEEDED, minor, ignored, flags = 0;

	do {
		major_i = gss_init_sec_context(&minor, bench->initiator, &initiator, bench->target,
			&bench_mech, bench_flags, 0, NULL, &token, NULL, &next, &flags, NULL);
		gss_release_buffer(&ignored, &token);
		if (GSS_ERROR(major_i))
			bench_fail("init", major_i, minor);
		if (major_a == GSS_S_CONTINUE_NEEDED)
			major_a = gss_accept_sec_context(&minor, &acceptor, bench->acceptor, &next,
				NULL, NULL, NULL, &token, NULL, NULL, NULL);
		gss_release_buffer(&ignored, &next);
		if (GSS_ERROR(major_a))
			bench_fail("accept", major_a, minor);
	} while (major_i == GSS_S_CONTINUE_NEEDED || major_a == GSS_S_CONTINUE_NEEDED);
	if ((flags & bench_flags) != bench_flags)
		bench_fail("flags", 0, 0);
	gss_release_buffer(&ignored, &token);
	gss_delete_sec_context(&ignored, &initiator, NULL);
	gss_delete_sec_context(&ignored, &acceptor, NULL);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static double ours[ROUNDS_MAX], floors[ROUNDS_MAX], ratios[ROUNDS_MAX];
	int rounds = argc > 1 ? atoi(argv[1]) : 21, contexts = argc > 2 ? atoi(argv[2]) : 100;
	struct bench bench = { 0 };
	double start;

	if (rounds < 0 || rounds > ROUNDS_MAX || contexts < 1) {
		fprintf(stderr, "usage: bench_context [ROUNDS [CONTEXTS-PER-ROUND]]\n");
		return EXIT_FAILURE;
	}
	bench_acquire(&bench);
	for (int n = 0; rounds == 0 && n < contexts; n++)
		bench_one(&bench);
	if (rounds == 0)
		goto out;
	bench_one(&bench);
	for (int i = 0; i < rounds; i++) {
		start = bench_cpu_us();
		for (int n = 0; n < contexts; n++)
			bench_one(&bench);
		ours[i] = (bench_cpu_us() - start) / contexts;
		floors[i] = floor_context_cpu_us();
		ratios[i] = ours[i] / floors[i];
	}
	qsort(ours, (size_t)rounds, sizeof(double), compare_doubles);
	qsort(floors, (size_t)rounds, sizeof(double), compare_doubles);
	qsort(ratios, (size_t)rounds, sizeof(double), compare_doubles);
	printf("context, both ends: %.1f us CPU; floor: %.1f us; ratio %.3f (%.3f-%.3f), aim "
	       "1.10\n",
		ours[rounds / 2], floors[rounds / 2], ratios[rounds / 2], ratios[0],
		ratios[rounds - 1]);
out:
	bench_release(&bench);
	return EXIT_SUCCESS;
}
