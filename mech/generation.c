/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One page for the whole process that the kernel gives to a child as zeros (MADV_WIPEONFORK): a
 * process number would be reused, and handlers of pthread_atfork run in every fork of every program
 * and miss clone().  Whoever finds the word 0 sets it; a child that only forks again leaves it 0.
 */
#include "mech/generation.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "mech/crypto/crypto.h"

/* NULL until the first who asks has made the page. */
static _Atomic(_Atomic(uint64_t) *) generation_word;

/* A system that is short of memory for a moment refuses a page for that moment only: the next who
 * asks tries again. */
static enum err generation_make(void)
{
	size_t len = sizeof(uint64_t); /* the kernel rounds up to a page */
	_Atomic(uint64_t) *none = NULL;
	void *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return ERR_NO_MEMORY;
	if (madvise(page, len, MADV_WIPEONFORK) != 0) {
		(void)munmap(page, len);
		return errno == ENOMEM || errno == EAGAIN ? ERR_NO_MEMORY : ERR_INTERNAL;
	}
	if (!atomic_compare_exchange_strong(&generation_word, &none, page))
		(void)munmap(page, len); /* another thread's page stays */
	return ERR_OK;
}

enum err mech_generation_get(uint64_t *ret_generation)
{
	_Atomic(uint64_t) *word = atomic_load(&generation_word);
	uint64_t chosen = 0, found;
	enum err err;

	if (word == NULL) {
		err = generation_make();
		if (err != ERR_OK)
			return err;
		word = atomic_load(&generation_word);
	}
	found = atomic_load_explicit(word, memory_order_acquire);
	while (found == 0 && chosen == 0) {
		err = crypto_random((uint8_t *)&chosen, sizeof(chosen));
		if (err != ERR_OK)
			return err;
	}
	/* several threads may choose at once: the first one's stays, the others take it over */
	if (found == 0 && atomic_compare_exchange_strong(word, &found, chosen))
		found = chosen;
	*ret_generation = found;
	return ERR_OK;
}
