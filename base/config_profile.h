/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MIT's profile library in libkrb5, opened while a file is read.  Were it linked, each program that
 * merely lists mechanisms would pay for it: the loader walks all libraries of the program for each
 * one that the plugin needs (doc/bench.md).
 */
#ifndef BASE_CONFIG_PROFILE_H
#define BASE_CONFIG_PROFILE_H

#include <stdbool.h>

#include <com_err.h>
#include <profile.h>

#define CONFIG_PROFILE_CALLS(X) \
	X(profile_init)         \
	X(profile_get_values)   \
	X(profile_free_list)    \
	X(profile_abandon)      \
	X(error_message)

/* Zeroed: not open. */
struct config_profile_library {
	void *handle;
#define MEMBER(name) __typeof__(name) *name;
	CONFIG_PROFILE_CALLS(MEMBER)
#undef MEMBER
};

/* False: it cannot be opened, and dlerror() says why.  The caller closes it; it stays with whoever else has it. */
bool config_profile_library_open(struct config_profile_library *ret_library);
/* One that is not open is fine. */
void config_profile_library_close(struct config_profile_library *library);

#endif
