/* SPDX-License-Identifier: BSD-2-Clause */
/* Key schedules, MACed IDs and child keys against what charon logged of its own
 * (tests/vectors/charon_vectors.py). */
#include <check.h>
#include <string.h>

#include "mech/ike/ike.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

#define FILE_NAME "charon_keys.hex"
#define EXCHANGES 4

static struct vector_field field;

static struct bytes field_get(const char *name, int number)
{
	vector_read_numbered(FILE_NAME, name, number, &field);
	return vector_view(&field);
}

static uint64_t field_number(const char *name, int number)
{
	uint64_t value = 0;
	struct bytes octets = field_get(name, number);

	for (size_t i = 0; i < octets.len; i++)
		value = value << 8 | octets.data[i];
	return value;
}

static void field_check(const char *name, int number, struct bytes octets)
{
	ck_assert_msg(
		bytes_equal(octets, field_get(name, number)), "%s of exchange %d", name, number);
}

static struct secret_key key_get(const char *name, int number)
{
	struct bytes octets = field_get(name, number);
	struct secret_key key = { .len = octets.len };

	ck_assert_uint_le(octets.len, sizeof(key.data));
	memcpy(key.data, octets.data, octets.len);
	return key;
}

static struct ike_algorithms algorithms_get(int number)
{
	struct ike_algorithms used = {
		.aead = crypto_aead_find((uint16_t)field_number("encr", number),
			(uint16_t)field_number("key_bits", number)),
		.prf = crypto_prf_find((uint16_t)field_number("prf", number)),
		.group = crypto_group_find((uint16_t)field_number("group", number)),
	};

	ck_assert_ptr_nonnull(used.aead);
	ck_assert_ptr_nonnull(used.prf);
	ck_assert_ptr_nonnull(used.group);
	return used;
}

static const struct esp_suite *suite_get(int number)
{
	for (size_t i = 0; i < esp_suite_count(); i++) {
		const struct esp_suite *suite = esp_suite_at(i);

		if (suite->encr == field_number("child_encr", number) &&
			suite->key_bits == field_number("child_key_bits", number) &&
			suite->esn == (field_number("child_esn", number) == 1))
			return suite;
	}
	ck_abort_msg("no ESP suite for exchange %d", number);
	return NULL;
}

static void check_maced_id(const struct ike_algorithms *used, const struct secret_key *sk_p,
	const char *id, const char *maced_id, int number)
{
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX];

	ck_assert_int_eq(ike_auth_maced_id(used, sk_p, field_get(id, number), mac), ERR_OK);
	field_check(maced_id, number, BYTES(mac, used->prf->output_bytes));
}

START_TEST(key_schedule)
{
	int number = _i + 1;
	struct ike_algorithms used = algorithms_get(number);
	struct secret_key shared = key_get("shared", number);
	struct vector_field ni, nr;
	struct ike_keys keys;

	vector_read_numbered(FILE_NAME, "ni", number, &ni);
	vector_read_numbered(FILE_NAME, "nr", number, &nr);
	ck_assert_int_eq(
		ike_keys_derive(&used, &shared, vector_view(&ni), vector_view(&nr),
			field_number("spi_i", number), field_number("spi_r", number), &keys),
		ERR_OK);
	field_check("sk_d", number, secret_key_view(&keys.sk_d));
	field_check("sk_ei", number, secret_key_view(&keys.sk_ei));
	field_check("sk_er", number, secret_key_view(&keys.sk_er));
	field_check("sk_pi", number, secret_key_view(&keys.sk_pi));
	field_check("sk_pr", number, secret_key_view(&keys.sk_pr));
	check_maced_id(&used, &keys.sk_pi, "id_i", "maced_id_i", number);
	check_maced_id(&used, &keys.sk_pr, "id_r", "maced_id_r", number);
	ike_keys_wipe(&keys);
}
END_TEST

START_TEST(child_keys)
{
	int number = _i + 1;
	struct ike_algorithms used = algorithms_get(number);
	struct secret_key sk_d = key_get("sk_d", number), i_to_r, r_to_i;
	struct vector_field ni, nr;

	vector_read_numbered(FILE_NAME, "ni", number, &ni);
	vector_read_numbered(FILE_NAME, "nr", number, &nr);
	ck_assert_int_eq(ike_child_keys_derive(&used, &sk_d, vector_view(&ni), vector_view(&nr),
				 suite_get(number), &i_to_r, &r_to_i),
		ERR_OK);
	field_check("child_i", number, secret_key_view(&i_to_r));
	field_check("child_r", number, secret_key_view(&r_to_i));
}
END_TEST

/* The two messages that charon's AUTH covers, read by our parser. */
START_TEST(messages)
{
	static const struct {
		enum ike_kind kind;
		const char *message, *nonce;
	} sides[] = { { IKE_KIND_T1, "message_i", "ni" }, { IKE_KIND_T2, "message_r", "nr" } };
	int number = _i + 1;

	for (size_t i = 0; i < 2; i++) {
		struct vector_field raw;
		struct ike_message message;
		struct ike_ke ke;

		vector_read_numbered(FILE_NAME, sides[i].message, number, &raw);
		ck_assert_int_eq(
			ike_message_parse(vector_view(&raw), sides[i].kind, &message), ERR_OK);
		ck_assert(message.header.spi_i == field_number("spi_i", number));
		ck_assert_int_eq(
			ike_ke_parse(ike_message_find(&message, IKE_PAYLOAD_KE, 0)->body, &ke),
			ERR_OK);
		ck_assert_uint_eq(ke.group, field_number("group", number));
		field_check(sides[i].nonce, number,
			ike_message_find(&message, IKE_PAYLOAD_NONCE, 0)->body);
	}
}
END_TEST

Suite *suite_charon_keys(void)
{
	Suite *suite = suite_create("charon_keys");
	TCase *tcase = tcase_create("recorded");

	tcase_add_loop_test(tcase, key_schedule, 0, EXCHANGES);
	tcase_add_loop_test(tcase, child_keys, 0, EXCHANGES);
	tcase_add_loop_test(tcase, messages, 0, EXCHANGES);
	suite_add_tcase(suite, tcase);
	return suite;
}
