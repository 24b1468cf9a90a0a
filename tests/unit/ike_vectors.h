/* SPDX-License-Identifier: BSD-2-Clause */
/* Fields of tests/vectors/ike_*.hex, for tests run at the top of the tree: "name = hex" lines. */
#ifndef TESTS_UNIT_IKE_VECTORS_H
#define TESTS_UNIT_IKE_VECTORS_H

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

#define VECTOR_BYTES_MAX 256
#define VECTOR_LINE_MAX 1024

struct vector {
	uint8_t data[VECTOR_BYTES_MAX];
	size_t len;
};

static inline void vector_decode(const char *hex, struct vector *vector)
{
	unsigned int octet;

	for (vector->len = 0; sscanf(hex, "%2x", &octet) == 1; hex += 2) {
		ck_assert_uint_lt(vector->len, sizeof(vector->data));
		vector->data[vector->len++] = (uint8_t)octet;
	}
}

static inline struct vector vector_get(const char *path, const char *name)
{
	char line[VECTOR_LINE_MAX];
	struct vector vector = { .len = 0 };
	size_t name_len = strlen(name);
	FILE *file = fopen(path, "re");

	ck_assert_msg(file != NULL, "cannot open %s", path);
	while (fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, name_len) == 0 && strncmp(line + name_len, " = ", 3) == 0)
			vector_decode(line + name_len + 3, &vector);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_msg(vector.len > 0, "%s has no %s", path, name);
	return vector;
}

static inline struct bytes vector_view(const struct vector *vector)
{
	return BYTES(vector->data, vector->len);
}

static inline uint64_t vector_get_number(const char *path, const char *name)
{
	struct vector vector = vector_get(path, name);
	uint64_t value = 0;
	size_t i;

	for (i = 0; i < vector.len; i++)
		value = value << 8 | vector.data[i];
	return value;
}

static inline void vector_check(const char *path, const char *name, struct bytes got)
{
	struct vector expected = vector_get(path, name);

	ck_assert_uint_eq(got.len, expected.len);
	ck_assert_mem_eq(got.data, expected.data, expected.len);
}

#endif
