/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/thread_memory.h"

#include <stdbool.h>
#include <stdlib.h>

/* Another thread may be faster; one key then is enough. */
static bool key_find(struct thread_memory *memory, pthread_key_t *ret_key)
{
	long known = atomic_load(&memory->key);
	pthread_key_t made;

	if (known == 0) {
		if (pthread_key_create(&made, free) != 0)
			return false;
		if (atomic_compare_exchange_strong(&memory->key, &known, (long)made + 1))
			known = (long)made + 1;
		else
			(void)pthread_key_delete(made);
	}
	*ret_key = (pthread_key_t)(known - 1);
	return true;
}

void *thread_memory_peek(struct thread_memory *memory)
{
	const long known = atomic_load(&memory->key);

	return known == 0 ? NULL : pthread_getspecific((pthread_key_t)(known - 1));
}

void *thread_memory_get(struct thread_memory *memory)
{
	pthread_key_t key;
	void *mine;

	if (!key_find(memory, &key))
		return NULL;
	mine = pthread_getspecific(key);
	if (mine != NULL)
		return mine;
	mine = calloc(1, memory->len);
	if (mine == NULL || pthread_setspecific(key, mine) == 0)
		return mine;
	free(mine);
	return NULL;
}
