/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MIT's profile library in libkrb5, opened when the first file is read.  Were it linked, each program
 * that merely lists mechanisms would pay for it: for each library that a plugin needs, the loader walks
 * all of the program's (doc/bench.md).
 */
#ifndef BASE_CONFIG_PROFILE_H
#define BASE_CONFIG_PROFILE_H

#include <com_err.h>
#include <profile.h>

#define CONFIG_PROFILE_CALLS(X) \
	X(profile_init)         \
	X(profile_get_values)   \
	X(profile_free_list)    \
	X(profile_abandon)

struct config_profile_library {
#define MEMBER(name) __typeof__(name) *name;
	CONFIG_PROFILE_CALLS(MEMBER)
#undef MEMBER
	__typeof__(error_message) *error_message; /* libcom_err's */
};

/*
 * NULL: it cannot be opened, or is another library.  Once opened it stays so: to open it again in a child
 * that was forked while another thread opened any library would end the child (glibc 2.36).  First asked for
 * by config_lock(), before it locks: a library's constructor, which runs under the loader's lock, may want
 * ours.  Thread-safe.
 */
const struct config_profile_library *config_profile_library(void);

#endif
