/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory that each thread has for itself.  _Thread_local is none for a library that is opened late: where a
 * thread's first look at it finds no memory, the loader ends the program.
 */
#ifndef BASE_THREAD_MEMORY_H
#define BASE_THREAD_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

struct thread_memory {
	size_t len;	  /* of each thread's */
	_Atomic long key; /* pthread_key_t and 1; 0: not made yet */
};

/* This thread's: zeros at first, freed when the thread ends.  NULL: there is no memory, or no key.
 * Thread-safe and fork-safe. */
void *thread_memory_get(struct thread_memory *memory);
/* The same, or NULL where this thread has not asked for it yet. */
void *thread_memory_peek(struct thread_memory *memory);

#endif
