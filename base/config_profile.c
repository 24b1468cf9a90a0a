/* SPDX-License-Identifier: BSD-2-Clause */
/* MIT's profile library, found by its own name: it is there wherever libgssapi is. */
#include "base/config_profile.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/library.h"

/* libcom_err's error_message is found through it, too, since it needs that library. */
#define LIBRARY_NAME "libkrb5.so.3"

static const struct library_call profile_calls[] = {
#define CALL(name) { #name, offsetof(struct config_profile_library, name) },
	CONFIG_PROFILE_CALLS(CALL)
#undef CALL
};

const struct config_profile_library *config_profile_library(void)
{
	static _Atomic(const struct config_profile_library *) opened;
	const struct config_profile_library *earlier = atomic_load(&opened);
	struct config_profile_library *found;

	if (earlier != NULL)
		return earlier;
	found = library_functions(dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL), profile_calls,
		sizeof(profile_calls) / sizeof(profile_calls[0]), sizeof(*found));
	if (found == NULL)
		return NULL;
	/* Another thread may have been faster; the library then stays opened twice. */
	if (!atomic_compare_exchange_strong(&opened, &earlier, found)) {
		free(found);
		return earlier;
	}
	return found;
}
