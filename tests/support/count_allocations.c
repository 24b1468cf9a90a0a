/* SPDX-License-Identifier: BSD-2-Clause */
/* Preloaded: counts what a program takes from the heap, itself and in every library, and what of it it
 * holds.  What malloc keeps for itself (arenas, each thread's cache) is none of that. */
#include "tests/support/count_allocations.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *old);

/* A pool: whoever takes so much at once gives it out again by himself. */
#define POOL_BYTES ((size_t)1 << 20)

static atomic_size_t counted, held, pooled;

size_t count_allocations(void)
{
	return counted;
}

size_t count_held(void)
{
	return held;
}

size_t count_pooled(void)
{
	return pooled;
}

static void hold(size_t size)
{
	held += size;
	if (size >= POOL_BYTES)
		pooled += size;
}

static void let_go(size_t size)
{
	held -= size;
	if (size >= POOL_BYTES)
		pooled -= size;
}

static void *take(void *made)
{
	counted++;
	hold(malloc_usable_size(made));
	return made;
}

void *malloc(size_t size)
{
	return take(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
	return take(__libc_calloc(count, size));
}

void *realloc(void *old, size_t size)
{
	size_t before = malloc_usable_size(old);
	void *made = __libc_realloc(old, size);

	/* refused, it leaves the old one as it was; size 0 frees it */
	if (made == NULL && size != 0)
		return NULL;
	let_go(before);
	return take(made);
}

void *memalign(size_t alignment, size_t size)
{
	return take(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return take(__libc_memalign(alignment, size));
}

int posix_memalign(void **ret_made, size_t alignment, size_t size)
{
	void *made = __libc_memalign(alignment, size);

	if (made == NULL)
		return ENOMEM;
	*ret_made = take(made);
	return 0;
}

void free(void *old)
{
	let_go(malloc_usable_size(old));
	__libc_free(old);
}
