/* SPDX-License-Identifier: BSD-2-Clause */
/* What the first gss_indicate_mechs() of a process takes, in microseconds of the processor and in page faults:
 * it loads every mechanism that is registered.  One line; bench/starts.sh runs it under several GSS_MECH_CONFIG. */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include <gssapi/gssapi.h>

static double now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static long page_faults(void)
{
	struct rusage usage = { 0 };

	(void)getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt;
}

int main(void)
{
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	long faults = page_faults();
	double begin = now_us(), taken;
	OM_uint32 minor, major = gss_indicate_mechs(&minor, &mechs);

	taken = now_us() - begin;
	printf("%.1f %ld\n", taken, page_faults() - faults);
	return major != GSS_S_COMPLETE;
}
