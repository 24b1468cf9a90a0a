/* SPDX-License-Identifier: BSD-2-Clause */
/* Wiping and comparing. */
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/suites.h"

START_TEST(wipes)
{
	uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const uint8_t expected[8] = { 1, 0, 0, 0, 0, 0, 0, 8 };
	struct secret_key key = { .data = { 1, 2, 3 }, .len = 3 };

	secret_wipe(data + 1, 6);
	ck_assert_mem_eq(data, expected, sizeof(data));
	secret_wipe(NULL, 0);
	ck_assert(bytes_equal(secret_key_view(&key), BYTES((const uint8_t *)"\1\2\3", 3)));
	secret_key_wipe(&key);
	ck_assert_uint_eq(key.len, 0);
	for (size_t i = 0; i < sizeof(key.data); i++)
		ck_assert_uint_eq(key.data[i], 0);
	secret_free(NULL, 5);
	secret_free(malloc(5), 5);
}
END_TEST

START_TEST(compares)
{
	uint8_t a[40], b[40];

	for (size_t i = 0; i < sizeof(a); i++)
		a[i] = b[i] = (uint8_t)(i * 7);
	ck_assert(secret_equal(BYTES_OF(a), BYTES_OF(b)));
	ck_assert(secret_equal(BYTES_NONE, BYTES(a, 0)));
	ck_assert(!secret_equal(BYTES(a, 39), BYTES_OF(b)));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			b[i] = (uint8_t)(b[i] ^ 1u << bit);
			ck_assert(!secret_equal(BYTES_OF(a), BYTES_OF(b)));
			b[i] = a[i];
		}
	}
}
END_TEST

Suite *suite_secret(void)
{
	Suite *suite = suite_create("secret");
	TCase *tc = tcase_create("secret");

	tcase_add_test(tc, wipes);
	tcase_add_test(tc, compares);
	suite_add_tcase(suite, tc);
	return suite;
}
