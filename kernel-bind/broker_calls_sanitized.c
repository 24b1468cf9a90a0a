/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Builds with sanitizers only: what their runtime does between fork and exit, and what a report
 * needs (it reads /proc/self/maps and the program).  See broker_calls.h.
 */
#include "kernel-bind/broker_calls.h"

#include <asm/termbits.h>
#include <asm/ioctls.h>
#include <sys/prctl.h>

/* clang-format off */
const struct calls_rule calls_of_sanitizers[] = {
	{ .call = SCMP_SYS(getppid) },
	{ .call = SCMP_SYS(getuid) },
	{ .call = SCMP_SYS(lstat) },
	{ .call = SCMP_SYS(mincore) },
	{ .call = SCMP_SYS(mprotect) },
	{ .call = SCMP_SYS(open) },
	{ .call = SCMP_SYS(openat) },
	{ .call = SCMP_SYS(prlimit64) },
	{ .call = SCMP_SYS(read) },
	{ .call = SCMP_SYS(readlink) },
	{ .call = SCMP_SYS(rt_sigaction) },
	{ .call = SCMP_SYS(sched_yield) },
	{ .call = SCMP_SYS(sigaltstack) },
	{ .call = SCMP_SYS(stat) },
	{ .call = SCMP_SYS(tgkill) },
	{ SCMP_SYS(ioctl), 1, { CALLS_IS(1, TCGETS) } },
	{ SCMP_SYS(prctl), 1, { CALLS_IS(0, PR_GET_DUMPABLE) } },
};
/* clang-format on */
const size_t calls_of_sanitizers_count =
	sizeof(calls_of_sanitizers) / sizeof(calls_of_sanitizers[0]);
