/* SPDX-License-Identifier: BSD-2-Clause */
/* Idle objects: lock-free, since a lock could be held by another thread when the process forks. */
#include "mech/crypto/library.h"

#include <stdatomic.h>

void *crypto_pool_take(struct crypto_pool *pool)
{
	for (size_t i = 0; i < CRYPTO_POOL_SLOTS; i++) {
		void *object;

		/* a look first: an exchange writes to the cache line even where nothing is */
		if (atomic_load_explicit(&pool->slots[i], memory_order_relaxed) == NULL)
			continue;
		object = atomic_exchange_explicit(&pool->slots[i], NULL, memory_order_acquire);
		if (object != NULL)
			return object;
	}
	return NULL;
}

bool crypto_pool_put(struct crypto_pool *pool, void *object)
{
	for (size_t i = 0; i < CRYPTO_POOL_SLOTS; i++) {
		void *expected = NULL;

		if (atomic_compare_exchange_strong_explicit(&pool->slots[i], &expected, object,
			    memory_order_release, memory_order_relaxed))
			return true;
	}
	return false;
}
