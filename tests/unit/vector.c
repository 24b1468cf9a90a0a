/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading test vectors (vector.h). */
#include "tests/unit/vector.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_LINE_BYTES_MAX (2 * VECTOR_FIELD_BYTES_MAX + 128)

static unsigned int vector_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *found = c != '\0' ? strchr(digits, c) : NULL;

	ck_assert_msg(found != NULL, "no hexadecimal digit: '%c'", c);
	return (unsigned int)(found - digits);
}

static void vector_decode(const char *hex, struct vector_field *ret_field)
{
	size_t digits = strcspn(hex, " \r\n");

	ck_assert_uint_eq(digits % 2, 0);
	ck_assert_uint_le(digits / 2, sizeof(ret_field->data));
	for (size_t i = 0; i < digits; i += 2)
		ret_field->data[i / 2] =
			(uint8_t)(vector_digit(hex[i]) << 4 | vector_digit(hex[i + 1]));
	ret_field->len = digits / 2;
}

void vector_read(const char *file, const char *name, struct vector_field *ret_field)
{
	static char line[VECTOR_LINE_BYTES_MAX];
	size_t name_len = strlen(name);
	bool is_found = false;
	char path[256];
	FILE *in;

	(void)snprintf(path, sizeof(path), "tests/vectors/%s", file);
	in = fopen(path, "r");
	ck_assert_msg(in != NULL, "cannot read %s", path);
	while (!is_found && fgets(line, sizeof(line), in) != NULL) {
		is_found = strncmp(line, name, name_len) == 0 &&
			   strncmp(line + name_len, " =", 2) == 0;
	}
	(void)fclose(in);
	ck_assert_msg(is_found, "%s has no field %s", path, name);
	vector_decode(line + name_len + 2 + strspn(line + name_len + 2, " "), ret_field);
}

void vector_read_numbered(
	const char *file, const char *name, int number, struct vector_field *ret_field)
{
	char numbered[64];

	(void)snprintf(numbered, sizeof(numbered), "%s_%d", name, number);
	vector_read(file, numbered, ret_field);
}

struct bytes vector_view(const struct vector_field *field)
{
	return BYTES(field->data, field->len);
}
