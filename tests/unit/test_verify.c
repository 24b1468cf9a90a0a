/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that verified before are kept set up, and are not taken for each other. */
#include <check.h>

#include "mech/crypto/crypto.h"
#include "tests/unit/suites.h"

/* More keys than crypto_verify() keeps, in turns: each key verifies what is its own, and no other's,
 * whether it was kept, displaced or never there. */
START_TEST(kept_keys_are_not_mistaken)
{
	static struct crypto_private_key *keys[40];
	static uint8_t signatures[40][CRYPTO_SIGNATURE_MAX];
	static uint8_t text[] = "of all keys the same";
	const size_t count = sizeof(keys) / sizeof(keys[0]);
	struct bytes part = BYTES(text, sizeof(text));
	const struct crypto_signature *ed25519 = crypto_signature_at(0);
	size_t len = 0;

	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(
			crypto_private_key_generate(crypto_key_kind_find("ed25519"), 0, &keys[i]),
			ERR_OK);
		ck_assert_int_eq(crypto_sign(keys[i], &part, 1, signatures[i], &len), ERR_OK);
	}
	for (size_t turn = 0; turn < 3; turn++) {
		for (size_t i = 0; i < count; i++) {
			struct bytes spki = crypto_private_key_spki(keys[i]);

			ck_assert_int_eq(
				crypto_verify(spki, ed25519, &part, 1, BYTES(signatures[i], len)),
				ERR_OK);
			ck_assert_int_eq(crypto_verify(spki, ed25519, &part, 1,
						 BYTES(signatures[(i + 1) % count], len)),
				ERR_AUTH_FAILED);
			ck_assert_int_eq(
				crypto_verify(spki, ed25519, &part, 1, BYTES(signatures[i], len)),
				ERR_OK);
		}
	}
	for (size_t i = 0; i < count; i++)
		crypto_private_key_free(&keys[i]);
}
END_TEST

Suite *suite_verify(void)
{
	Suite *suite = suite_create("verify");
	TCase *tests = tcase_create("verify");

	tcase_add_test(tests, kept_keys_are_not_mistaken);
	suite_add_tcase(suite, tests);
	return suite;
}
