/* SPDX-License-Identifier: BSD-2-Clause */
/* Secrets: wiping, constant-time comparison, and a key type that cannot be forgotten. libc only. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* Overwrites len octets in a way the compiler keeps (explicit_bzero). */
void secret_wipe(void *data, size_t len);
/* Wipes, then frees; NULL is fine. len is what was allocated. */
void secret_free(void *data, size_t len);
/* Time depends on the length only. Different lengths are unequal. */
bool secret_equal(struct bytes a, struct bytes b);

#define SECRET_KEY_MAX 72

/* A key of any algorithm we know, by value; wipe with secret_key_wipe on every path. */
struct secret_key {
	uint8_t data[SECRET_KEY_MAX];
	size_t len;
};

void secret_key_wipe(struct secret_key *key);
struct bytes secret_key_view(const struct secret_key *key);

#endif
