/* SPDX-License-Identifier: BSD-2-Clause */
/* MIT's profile library, opened while a file is read and by its own name: libkrb5 is there wherever libgssapi is. */
#include "base/config_profile.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

/* Of libkrb5 since 1.0; libcom_err's error_message is found through it, which needs that library. */
#define LIBRARY_NAME "libkrb5.so.3"

static const struct {
	const char *name;
	size_t offset;
} profile_calls[] = {
#define CALL(name) { #name, offsetof(struct config_profile_library, name) },
	CONFIG_PROFILE_CALLS(CALL)
#undef CALL
};

bool config_profile_library_open(struct config_profile_library *ret_library)
{
	struct config_profile_library found = { .handle = NULL };

	found.handle = dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
	if (found.handle == NULL)
		return false;
	for (size_t i = 0; i < sizeof(profile_calls) / sizeof(profile_calls[0]); i++) {
		void *function = dlsym(found.handle, profile_calls[i].name);

		if (function == NULL) {
			(void)dlclose(found.handle);
			return false;
		}
		memcpy((char *)&found + profile_calls[i].offset, &function, sizeof(function));
	}
	*ret_library = found;
	return true;
}

void config_profile_library_close(struct config_profile_library *library)
{
	if (library->handle != NULL)
		(void)dlclose(library->handle);
	library->handle = NULL;
}
