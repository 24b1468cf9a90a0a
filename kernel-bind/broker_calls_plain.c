/* SPDX-License-Identifier: BSD-2-Clause */
/* No sanitizer, no more calls; see broker_calls.h. */
#include "kernel-bind/broker_calls.h"

const struct calls_rule calls_of_sanitizers[] = { { .call = SCMP_SYS(exit_group) } };
const size_t calls_of_sanitizers_count = 0;
