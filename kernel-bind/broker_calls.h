/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which system calls gss-ipsecd may make (seccomp(2)).  Three lists, each of which holds the next, as
 * a process has those of all its ancestors: the keeper's, the daemon's, a worker's.  Whatever is
 * not on its list ends the process: it is no more ours, or it was built against a libc that this
 * list does not know.
 */
#ifndef KERNEL_BIND_BROKER_CALLS_H
#define KERNEL_BIND_BROKER_CALLS_H

#include <seccomp.h>
#include <stddef.h>

#include "base/error.h"

#define CALLS_CONDITIONS_MAX 4

/* A call, allowed when all conditions hold. */
struct calls_rule {
	int call;
	unsigned int count;
	struct scmp_arg_cmp conditions[CALLS_CONDITIONS_MAX];
};

/* A condition on an argument of type int: the upper half of its register is anything. */
#define CALLS_IS(number, value)                                                    \
	{                                                                          \
		.arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = 0xffffffffu, \
		.datum_b = (value)                                                 \
	}

/* What the sanitizers' runtime needs besides: broker_calls_sanitized.c, or broker_calls_plain.c with
 * none. */
extern const struct calls_rule calls_of_sanitizers[];
extern const size_t calls_of_sanitizers_count;

/* Each: 0 or a positive errno. */

/* Makes all filters, while it may still be done. */
int calls_prepare(void) ERR_MUST_CHECK;
/* From now on, for this process and its children; no_new_privs must be set. */
int calls_restrict_daemon(void) ERR_MUST_CHECK;
int calls_restrict_keeper(void) ERR_MUST_CHECK;
int calls_restrict_worker(void) ERR_MUST_CHECK;

#endif
