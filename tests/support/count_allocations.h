/* SPDX-License-Identifier: BSD-2-Clause */
/* What count_allocations.c counts, for programs that find it by dlsym. */
#ifndef TESTS_SUPPORT_COUNT_ALLOCATIONS_H
#define TESTS_SUPPORT_COUNT_ALLOCATIONS_H

#include <stddef.h>

/* How often the heap was asked for something since the program began. */
size_t count_allocations(void);
/* Octets that were taken and not given back. */
size_t count_held(void);
/* Of these, octets in blocks of a megabyte and more. */
size_t count_pooled(void);

#endif
