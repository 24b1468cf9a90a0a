/* SPDX-License-Identifier: BSD-2-Clause */
/* Test vectors of tests/vectors: a line of source, then one field on a line, "name = hex". */
#ifndef TESTS_UNIT_VECTOR_H
#define TESTS_UNIT_VECTOR_H

#include "base/bytes.h"

#define VECTOR_FIELD_BYTES_MAX 4096

/* A field of one file, by value. */
struct vector_field {
	uint8_t data[VECTOR_FIELD_BYTES_MAX];
	size_t len;
};

/* Reads the field of tests/vectors/<file> (the tests run at the top of the tree); fails the test
 * when it is not there. */
void vector_read(const char *file, const char *name, struct vector_field *ret_field);
/* The same for a numbered field: <name>_<number>. */
void vector_read_numbered(
	const char *file, const char *name, int number, struct vector_field *ret_field);
struct bytes vector_view(const struct vector_field *field);

#endif
