/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder with room for two configuration files, for the tests that write them. */
#ifndef TESTS_UNIT_CONFIG_FILES_H
#define TESTS_UNIT_CONFIG_FILES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

static char directory[] = "/tmp/test_config.XXXXXX";
static char first[64], second[64];

static void files_set_up(void)
{
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(first, sizeof(first), "%s/first.conf", directory);
	snprintf(second, sizeof(second), "%s/second.conf", directory);
}

static void files_tear_down(void)
{
	unlink(first);
	unlink(second);
	rmdir(directory);
}

static void file_write(const char *path, struct bytes text, unsigned int mode)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fchmod(fileno(file), (mode_t)mode), 0);
	ck_assert_uint_eq(fwrite(text.data, 1, text.len, file), text.len);
	ck_assert_int_eq(fclose(file), 0);
}

#endif
