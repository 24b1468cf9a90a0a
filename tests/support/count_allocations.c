/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded: counts what a program takes from the heap, itself and in every library. */
#include <stdatomic.h>
#include <stddef.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
size_t count_allocations(void);

static atomic_size_t counted;

size_t count_allocations(void)
{
	return counted;
}

void *malloc(size_t size)
{
	counted++;
	return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	counted++;
	return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	counted++;
	return __libc_realloc(old, size);
}
