/* SPDX-License-Identifier: BSD-2-Clause */
/* MIT's profile library, found by its own name: it is there wherever libgssapi is. */
#include "base/config_profile.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* libcom_err's error_message is found through it, too, since it needs that library. */
#define LIBRARY_NAME "libkrb5.so.3"

static const struct {
	const char *name;
	size_t offset;
} profile_calls[] = {
#define CALL(name) { #name, offsetof(struct config_profile_library, name) },
	CONFIG_PROFILE_CALLS(CALL)
#undef CALL
};

static bool find_all(void *handle, struct config_profile_library *found)
{
	for (size_t i = 0; i < sizeof(profile_calls) / sizeof(profile_calls[0]); i++) {
		void *function = dlsym(handle, profile_calls[i].name);

		if (function == NULL)
			return false;
		memcpy((char *)found + profile_calls[i].offset, &function, sizeof(function));
	}
	return true;
}

const struct config_profile_library *config_profile_library(void)
{
	static _Atomic(const struct config_profile_library *) opened;
	const struct config_profile_library *earlier = atomic_load(&opened);
	struct config_profile_library *found;
	void *handle;

	if (earlier != NULL)
		return earlier;
	handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL)
		return NULL;
	found = malloc(sizeof(*found));
	if (found == NULL || !find_all(handle, found)) {
		free(found);
		(void)dlclose(handle);
		return NULL;
	}
	/* Another thread may have been faster; the library then stays opened twice. */
	if (!atomic_compare_exchange_strong(&opened, &earlier, found)) {
		free(found);
		return earlier;
	}
	return found;
}
