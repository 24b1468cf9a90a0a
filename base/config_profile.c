/* SPDX-License-Identifier: BSD-2-Clause */
/* MIT's profile library, found by its own name: it is there wherever libgssapi is. */
#include "base/config_profile.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/library.h"

#define LIBRARY_NAME "libkrb5.so.3"
#define ERRORS_NAME "libcom_err.so.2"

static const struct library_call profile_calls[] = {
#define CALL(name) { #name, offsetof(struct config_profile_library, name) },
	CONFIG_PROFILE_CALLS(CALL)
#undef CALL
};

/* libkrb5 needs this library, but where memory has ended in a dlopen() of libkrb5, glibc 2.36 does not look
 * through its handle for what it needs any more. */
static bool find_error_message(struct config_profile_library *found)
{
	void *library = dlopen(ERRORS_NAME, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL)
		return false;
	*(void **)&found->error_message = dlsym(library, "error_message");
	return found->error_message != NULL;
}

const struct config_profile_library *config_profile_library(void)
{
	static _Atomic(const struct config_profile_library *) opened;
	const struct config_profile_library *earlier = atomic_load(&opened);
	struct config_profile_library *found;

	if (earlier != NULL)
		return earlier;
	found = library_functions(dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL), profile_calls,
		sizeof(profile_calls) / sizeof(profile_calls[0]), sizeof(*found));
	if (found == NULL || !find_error_message(found)) {
		free(found);
		return NULL;
	}
	/* Another thread may have been faster; the library then stays opened twice. */
	if (!atomic_compare_exchange_strong(&opened, &earlier, found)) {
		free(found);
		return earlier;
	}
	return found;
}
