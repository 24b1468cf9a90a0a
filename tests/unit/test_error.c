/* SPDX-License-Identifier: BSD-2-Clause */
/* The error table and the latch reasons. */
#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include "include/ipsec_latch.h"
#include "tests/unit/suites.h"

START_TEST(table_is_found)
{
#define X(name, number, major, tell, text)                \
	ck_assert_str_eq(error_name(number), #name);      \
	ck_assert_str_eq(error_text(ERR_##name), (text)); \
	ck_assert(error_tells_peer(number) == (tell));    \
	ck_assert(error_is_known(number));
	ERROR_TABLE(X)
#undef X
}
END_TEST

START_TEST(reasons_are_errors)
{
#define X(name, number, word, text)                                                                \
	ck_assert_str_eq(latch_reason_word(IPSEC_LATCH_##name), (word));                           \
	ck_assert_str_eq(latch_reason_text(number), (text));                                       \
	ck_assert(error_is_known(ERR_LATCH + (number)) && error_tells_peer(ERR_LATCH + (number))); \
	ck_assert((number) == 0 || strcmp(error_text(ERR_LATCH + (number)), (text)) == 0);         \
	ck_assert((number) == 0 || strcmp(error_name(ERR_LATCH + (number)), "LATCH_" #name) == 0);
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
	ck_assert_str_eq(error_name(ERR_LATCH), "LATCH");
	ck_assert(latch_reason_is_silence(IPSEC_LATCH_NO_BROKER));
	ck_assert(latch_reason_is_silence(IPSEC_LATCH_BROKER_BUSY));
	ck_assert(!latch_reason_is_silence(IPSEC_LATCH_BROKER_LOST));
}
END_TEST

START_TEST(states_have_words)
{
#define X(name, number, word) ck_assert_str_eq(latch_state_word(number), (word));
	IPSEC_LATCH_STATE_TABLE(X)
#undef X
}
END_TEST

START_TEST(unknown_numbers_are_harmless)
{
	static const unsigned int unknown[] = { 10, 19, 100, 199, ERR_LATCH + 63, ERR_LATCH + 64,
		65535, ~0u };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		ck_assert(!error_is_known(unknown[i]));
		ck_assert(!error_tells_peer(unknown[i]));
		ck_assert_str_eq(error_name(unknown[i]), "UNKNOWN");
		ck_assert_ptr_nonnull(error_text(unknown[i]));
		ck_assert_str_eq(latch_reason_word(unknown[i] + 63), "unknown");
		ck_assert_ptr_nonnull(latch_reason_text(unknown[i] + 63));
		ck_assert_str_eq(latch_state_word(unknown[i]), "unknown");
	}
}
END_TEST

static unsigned int count_number(unsigned int wanted)
{
	unsigned int count = 0;

#define X(name, number, major, tell, text) count += (number) == wanted;
	ERROR_TABLE(X)
#undef X
	return count;
}

START_TEST(numbers_are_used_once)
{
	for (unsigned int number = 0; number < ERR_LATCH + ERR_LATCH_COUNT; number++)
		ck_assert_uint_le(count_number(number), 1);
}
END_TEST

/* --- doc/errors.md --- */

#define PAGE_BYTES_MAX 100000

static char page[PAGE_BYTES_MAX];

/* What the page shall say of one code, up to its last column, which must not be empty. */
static void assert_page_has(unsigned int code, const char *name, const char *kind, const char *text)
{
	char row[2048];
	const char *found;

	(void)snprintf(row, sizeof(row), "\n| %u | %s | %s | %s | ", code, name, kind, text);
	found = strstr(page, row);
	ck_assert_msg(found != NULL, "doc/errors.md has no row:%s", row);
	ck_assert_msg(found[strlen(row)] != '|' && found[strlen(row)] != '\n', "no cause:%s", row);
}

/* Codes that no program sees; the page says so in words. */
static bool is_inner(unsigned int code)
{
	return code == ERR_OK || code == ERR_TRUNCATED_INPUT || code == ERR_TRAILING_INPUT ||
	       code == ERR_LATCH;
}

static size_t page_rows(void)
{
	size_t count = 0;

	for (const char *at = page; (at = strstr(at, "\n| ")) != NULL; at += 3)
		count += at[3] >= '0' && at[3] <= '9';
	return count;
}

START_TEST(page_is_the_table)
{
	FILE *file = fopen(TESTS_SOURCE_DIR "/doc/errors.md", "r");
	size_t rows = 0, len;

	ck_assert_ptr_nonnull(file);
	len = fread(page, 1, sizeof(page) - 1, file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_uint_lt(len, sizeof(page) - 1);
#define X(name, number, major, tell, text)                        \
	if (!is_inner(number)) {                                  \
		assert_page_has((number), #name, #major, (text)); \
		rows++;                                           \
	}
	ERROR_TABLE(X)
#undef X
#define X(name, number, word, text)                                                    \
	if ((number) != 0) {                                                           \
		assert_page_has(ERR_LATCH + (number), "LATCH_" #name, (word), (text)); \
		rows++;                                                                \
	}
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
	ck_assert_uint_eq(page_rows(), rows);
}
END_TEST

Suite *suite_error(void)
{
	Suite *suite = suite_create("error");
	TCase *tc = tcase_create("error");

	tcase_add_test(tc, table_is_found);
	tcase_add_test(tc, reasons_are_errors);
	tcase_add_test(tc, states_have_words);
	tcase_add_test(tc, unknown_numbers_are_harmless);
	tcase_add_test(tc, numbers_are_used_once);
	tcase_add_test(tc, page_is_the_table);
	suite_add_tcase(suite, tc);
	return suite;
}
