/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One page for the whole process that the kernel gives to a child as zeros (MADV_WIPEONFORK): a
 * process number would be reused, and pthread_atfork misses clone() and holds code that may be
 * unloaded.  Whoever finds the word 0 sets it; a child that only forks again leaves it 0.
 */
#include "mech/generation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "mech/crypto/crypto.h"

static pthread_once_t generation_once = PTHREAD_ONCE_INIT;
static _Atomic(uint64_t) *generation_word;

static void generation_make(void)
{
	size_t len = sizeof(*generation_word); /* the kernel rounds up to a page */
	void *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, len, MADV_WIPEONFORK) != 0) {
		(void)munmap(page, len);
		return;
	}
	generation_word = page;
}

enum err mech_generation_get(uint64_t *ret_generation)
{
	uint64_t chosen = 0, found;
	enum err err;

	if (pthread_once(&generation_once, generation_make) != 0 || generation_word == NULL)
		return ERR_INTERNAL;
	found = atomic_load_explicit(generation_word, memory_order_acquire);
	while (found == 0 && chosen == 0) {
		err = crypto_random((uint8_t *)&chosen, sizeof(chosen));
		if (err != ERR_OK)
			return err;
	}
	/* several threads may choose at once: the first one's stays, the others take it over */
	if (found == 0 && atomic_compare_exchange_strong(generation_word, &found, chosen))
		found = chosen;
	*ret_generation = found;
	return ERR_OK;
}
