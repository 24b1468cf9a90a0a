/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of a library that is opened when it is needed, and not linked. */
#ifndef BASE_LIBRARY_H
#define BASE_LIBRARY_H

#include <stddef.h>

/* A function's name, and where its pointer lies in the caller's structure of pointers. */
struct library_call {
	const char *name;
	size_t offset;
};

/*
 * A malloc'ed structure of that size with a pointer to each function, zeros elsewhere.  library is dlopen()'s;
 * it stays open.  NULL: it is NULL, has not all of them, or there is no memory; then it is closed.
 */
void *library_functions(void *library, const struct library_call *calls, size_t count, size_t size);

#endif
