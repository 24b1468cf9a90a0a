/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys against the vectors that Python computed (tests/vectors/generate.py). */
#include <check.h>

#include "kernel-bind/xfrm.h"
#include "mech/ike/ike.h"
#include "tests/unit/ike_vectors.h"
#include "tests/unit/suites.h"

#define SCHEDULE "tests/vectors/ike_key_schedule.hex"
#define SCHEDULE_512 "tests/vectors/ike_key_schedule_512.hex"
#define CHILD "tests/vectors/ike_child_keys.hex"

static struct ike_algorithms algorithms(void)
{
	struct ike_algorithms found;

	ck_assert_int_eq(ike_algorithms_of(ike_suite_at(0), &found), ERR_OK);
	return found;
}

static struct secret_key key_get(const char *path, const char *name)
{
	struct vector vector = vector_get(path, name);
	struct secret_key key = { .len = vector.len };

	ck_assert_uint_le(vector.len, sizeof(key.data));
	memcpy(key.data, vector.data, vector.len);
	return key;
}

START_TEST(key_schedule)
{
	struct ike_algorithms used = algorithms();
	struct secret_key shared = key_get(SCHEDULE, "shared");
	struct vector ni = vector_get(SCHEDULE, "ni"), nr = vector_get(SCHEDULE, "nr");
	struct vector id_body = vector_get(SCHEDULE, "id_body");
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX];
	struct ike_keys keys;

	ck_assert_int_eq(ike_keys_derive(&used, &shared, vector_view(&ni), vector_view(&nr),
				 vector_get_number(SCHEDULE, "spi_i"),
				 vector_get_number(SCHEDULE, "spi_r"), &keys),
		ERR_OK);
	vector_check(SCHEDULE, "sk_d", secret_key_view(&keys.sk_d));
	vector_check(SCHEDULE, "sk_ei", secret_key_view(&keys.sk_ei));
	vector_check(SCHEDULE, "sk_er", secret_key_view(&keys.sk_er));
	vector_check(SCHEDULE, "sk_pi", secret_key_view(&keys.sk_pi));
	vector_check(SCHEDULE, "sk_pr", secret_key_view(&keys.sk_pr));
	ck_assert_int_eq(ike_auth_maced_id(&used, &keys.sk_pr, vector_view(&id_body), mac), ERR_OK);
	vector_check(SCHEDULE, "maced_id_r", BYTES(mac, used.prf->output_bytes));
	ike_keys_wipe(&keys);
	ck_assert_uint_eq(keys.sk_d.len, 0);
}
END_TEST

START_TEST(child_keys)
{
	struct ike_algorithms used = algorithms();
	struct secret_key sk_d = key_get(CHILD, "sk_d"), i_to_r, r_to_i;
	struct vector ni = vector_get(CHILD, "ni"), nr = vector_get(CHILD, "nr");

	ck_assert_int_eq(ike_child_keys_derive(&used, &sk_d, vector_view(&ni), vector_view(&nr),
				 esp_suite_at(0), &i_to_r, &r_to_i),
		ERR_OK);
	vector_check(CHILD, "i_to_r", secret_key_view(&i_to_r));
	vector_check(CHILD, "r_to_i", secret_key_view(&r_to_i));
}
END_TEST

static struct ike_algorithms algorithms_512(void)
{
	struct ike_algorithms found;

	for (size_t i = 0; i < ike_suite_count(); i++) {
		const struct ike_suite *suite = ike_suite_at(i);

		if (suite->encr == IKE_ENCR_CHACHA20_POLY1305 &&
			suite->prf == IKE_PRF_HMAC_SHA2_512) {
			ck_assert_int_eq(ike_algorithms_of(suite, &found), ERR_OK);
			return found;
		}
	}
	ck_abort_msg("no suite with ChaCha20-Poly1305 and HMAC-SHA2-512");
}

START_TEST(key_schedule_512)
{
	struct ike_algorithms used = algorithms_512();
	struct secret_key shared = key_get(SCHEDULE_512, "shared"), i_to_r, r_to_i;
	struct vector ni = vector_get(SCHEDULE_512, "ni"), nr = vector_get(SCHEDULE_512, "nr");
	struct vector id_body = vector_get(SCHEDULE_512, "id_body");
	struct vector message = vector_get(SCHEDULE_512, "message");
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX], value[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[3];
	struct ike_keys keys;

	ck_assert_int_eq(ike_keys_derive(&used, &shared, vector_view(&ni), vector_view(&nr),
				 vector_get_number(SCHEDULE_512, "spi_i"),
				 vector_get_number(SCHEDULE_512, "spi_r"), &keys),
		ERR_OK);
	vector_check(SCHEDULE_512, "sk_d", secret_key_view(&keys.sk_d));
	vector_check(SCHEDULE_512, "sk_ei", secret_key_view(&keys.sk_ei));
	vector_check(SCHEDULE_512, "sk_er", secret_key_view(&keys.sk_er));
	vector_check(SCHEDULE_512, "sk_pi", secret_key_view(&keys.sk_pi));
	vector_check(SCHEDULE_512, "sk_pr", secret_key_view(&keys.sk_pr));
	ck_assert_int_eq(ike_auth_maced_id(&used, &keys.sk_pi, vector_view(&id_body), mac), ERR_OK);
	vector_check(SCHEDULE_512, "maced_id_i", BYTES(mac, used.prf->output_bytes));
	parts[0] = vector_view(&message);
	parts[1] = vector_view(&nr);
	parts[2] = BYTES(mac, used.prf->output_bytes);
	ck_assert_int_eq(ike_auth_null(&used, &keys.sk_pi, parts, value), ERR_OK);
	vector_check(SCHEDULE_512, "auth_null", BYTES(value, used.prf->output_bytes));
	ck_assert_int_eq(ike_child_keys_derive(&used, &keys.sk_d, vector_view(&ni),
				 vector_view(&nr), esp_suite_find(2), &i_to_r, &r_to_i),
		ERR_OK);
	vector_check(SCHEDULE_512, "i_to_r", secret_key_view(&i_to_r));
	vector_check(SCHEDULE_512, "r_to_i", secret_key_view(&r_to_i));
	ike_keys_wipe(&keys);
}
END_TEST

/* RFC 7634, appendix B: a whole message. */
START_TEST(chacha_message)
{
	const char *path = "tests/vectors/chacha20_poly1305.hex";
	struct vector raw = vector_get(path, "message_2"), key = vector_get(path, "key_2");
	struct vector nonce = vector_get(path, "nonce_2");
	struct secret_key sk_e = { .len = key.len + 4 };
	struct bytes plain = BYTES_NONE;
	struct ike_message message;

	memcpy(sk_e.data, key.data, key.len);
	memcpy(sk_e.data + key.len, nonce.data, 4); /* the salt */
	ck_assert_int_eq(
		ike_message_parse(vector_view(&raw), IKE_KIND_INFORMATIONAL, &message), ERR_OK);
	ck_assert_int_eq(ike_message_open(&message, IKE_KIND_INFORMATIONAL,
				 crypto_aead_find(IKE_ENCR_CHACHA20_POLY1305, 0), &sk_e, &plain),
		ERR_OK);
	ck_assert_uint_eq(message.count, 1);
	ck_assert_uint_eq(message.payloads[0].type, IKE_PAYLOAD_NOTIFY);
	ike_plain_free(&plain);
}
END_TEST

START_TEST(nonces_out_of_range)
{
	static const uint8_t octets[IKE_NONCE_BYTES_MAX + 1] = { 1 };
	struct ike_algorithms used = algorithms();
	struct secret_key shared = { .len = 32 }, i_to_r, r_to_i;
	struct bytes good = BYTES(octets, IKE_NONCE_BYTES_MAX);
	struct bytes bad[] = { BYTES(octets, IKE_NONCE_BYTES_MIN - 1), BYTES_OF(octets) };
	struct ike_keys keys;
	size_t i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(
			ike_keys_derive(&used, &shared, bad[i], good, 1, 2, &keys), ERR_NONCE);
		ck_assert_int_eq(
			ike_keys_derive(&used, &shared, good, bad[i], 1, 2, &keys), ERR_NONCE);
		ck_assert_int_eq(ike_child_keys_derive(&used, &shared, good, bad[i],
					 esp_suite_at(0), &i_to_r, &r_to_i),
			ERR_NONCE);
	}
	ck_assert_int_eq(ike_keys_derive(&used, &shared, good, good, 1, 2, &keys), ERR_OK);
}
END_TEST

/* Every row of the tables has its cryptography, with keys of the length that the kernel takes. */
START_TEST(suites_are_served)
{
	struct ike_algorithms used;
	size_t i;

	for (i = 0; i < ike_suite_count(); i++)
		ck_assert_int_eq(ike_algorithms_of(ike_suite_at(i), &used), ERR_OK);
	ck_assert_ptr_null(ike_suite_at(i));
	for (i = 0; i < esp_suite_count(); i++) {
		const struct esp_suite *suite = esp_suite_at(i);
		const struct crypto_aead *aead = crypto_aead_find(suite->encr, suite->key_bits);

		ck_assert_ptr_nonnull(aead);
		ck_assert_uint_eq(suite->keymat_bytes, aead->key_bytes + aead->salt_bytes);
		ck_assert_ptr_eq(esp_suite_find(suite->number), suite);
	}
	ck_assert_ptr_null(esp_suite_at(i));
	/* what is negotiated is what the broker installs, and it installs nothing else */
	for (uint16_t number = 0; number < 64; number++) {
		const struct esp_suite *suite = esp_suite_find(number);
		size_t key_bytes = 0;

		ck_assert(kxfrm_suite_is_known(number, &key_bytes) == (suite != NULL));
		if (suite != NULL)
			ck_assert_uint_eq(key_bytes, suite->keymat_bytes);
	}
	ck_assert_ptr_null(esp_suite_find(0));
}
END_TEST

Suite *suite_ike_keymat(void)
{
	Suite *suite = suite_create("ike_keymat");
	TCase *tcase = tcase_create("vectors");

	tcase_add_test(tcase, key_schedule);
	tcase_add_test(tcase, key_schedule_512);
	tcase_add_test(tcase, chacha_message);
	tcase_add_test(tcase, child_keys);
	tcase_add_test(tcase, nonces_out_of_range);
	tcase_add_test(tcase, suites_are_served);
	suite_add_tcase(suite, tcase);
	return suite;
}
