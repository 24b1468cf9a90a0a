/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool find_all(void *library, const struct library_call *calls, size_t count, char *functions)
{
	for (size_t i = 0; i < count; i++) {
		void *function = dlsym(library, calls[i].name);

		if (function == NULL)
			return false;
		memcpy(functions + calls[i].offset, &function, sizeof(function));
	}
	return true;
}

void *library_functions(void *library, const struct library_call *calls, size_t count, size_t size)
{
	void *functions;

	if (library == NULL)
		return NULL;
	functions = calloc(1, size);
	if (functions != NULL && find_all(library, calls, count, functions))
		return functions;
	free(functions);
	(void)dlclose(library);
	return NULL;
}
