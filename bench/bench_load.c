/* SPDX-License-Identifier: BSD-2-Clause */
/* What the first gss_indicate_mechs() of a process takes of the processor, in microseconds: it loads
 * every mechanism that is registered.  One line; bench/starts.sh runs it under several GSS_MECH_CONFIG. */
#include <stdio.h>
#include <time.h>

#include <gssapi/gssapi.h>

static double now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(void)
{
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	double begin = now_us();
	OM_uint32 minor, major = gss_indicate_mechs(&minor, &mechs);

	printf("%.1f\n", now_us() - begin);
	return major != GSS_S_COMPLETE;
}
