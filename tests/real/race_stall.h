/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stalls one processor at one place on a received segment's way to its socket, for milliseconds:
 * what an interrupt, or a hypervisor that gives the processor to somebody else, does now and then
 * by chance.  A probe in the kernel (kprobe and eBPF), so root only.
 */
#ifndef TESTS_REAL_RACE_STALL_H
#define TESTS_REAL_RACE_STALL_H

#include <stdbool.h>
#include <stdint.h>

enum stall_place {
	STALL_NOWHERE,
	STALL_BEFORE_FILTER, /* behind the policy check, before the socket's filter */
	STALL_BEHIND_FILTER, /* behind the filter, before the queues */
};
#define STALL_OCTETS_MAX (4u << 20)

/* From now on whatever gets there on this processor is held for as long as the kernel needs to
 * wipe so many octets.  false: errno says why not. */
bool stall_begin(enum stall_place place, uint32_t processor, uint32_t octets);
void stall_end(void);

#endif
