/* SPDX-License-Identifier: BSD-2-Clause */
/* Telling one process from its forked children, for state that two of them must never share. */
#ifndef MECH_GENERATION_H
#define MECH_GENERATION_H

#include <stdint.h>

#include "base/error.h"

/*
 * This process's generation: never 0, the same for all its threads and until it ends, another (by
 * 64 random bits) in each forked child, however it was forked.  Thread-safe; no system call after
 * the first time.  ERR_INTERNAL when the kernel cannot wipe a page on fork (Linux before 4.14).
 */
enum err mech_generation_get(uint64_t *ret_generation) ERR_MUST_CHECK;

#endif
