/* SPDX-License-Identifier: BSD-2-Clause */
/* Every algorithm in whole exchanges, both ends in one process over a fake kernel. */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void assert_latched(struct two_ends *ends)
{
	const struct fake_kernel *i = &fake_kernels[0], *a = &fake_kernels[1];

	ck_assert_int_eq(two_ends_run(ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends->initiator), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(mech_context_latch_reason(ends->acceptor), IPSEC_LATCH_LATCHED);
	ck_assert(bytes_equal(secret_key_view(&i->key_in), secret_key_view(&a->key_out)));
	ck_assert(bytes_equal(secret_key_view(&i->key_out), secret_key_view(&a->key_in)));
	ck_assert(!bytes_equal(secret_key_view(&i->key_out), secret_key_view(&i->key_in)));
	two_ends_assert_bindings(ends);
	two_ends_assert_messages(ends->initiator, ends->acceptor);
	two_ends_assert_messages(ends->acceptor, ends->initiator);
}

/* Every kind of key at either end. */
START_TEST(every_kind_of_key_in_both_roles)
{
	for (size_t i = 0; i < crypto_key_kind_count(); i++) {
		for (size_t j = 0; j < crypto_key_kind_count(); j++) {
			struct two_ends ends;

			two_ends_new_of(&ends, crypto_key_kind_at(i)->word,
				crypto_key_kind_at(j)->word, "", "");
			two_ends_contexts(&ends, TARGET, FLAGS);
			assert_latched(&ends);
			/* What each claims of the other. */
			ck_assert_str_eq(fake_kernels[1].last_method,
				crypto_key_kind_at(i)->signatures[0]->name);
			ck_assert_str_eq(fake_kernels[0].last_method,
				crypto_key_kind_at(j)->signatures[0]->name);
			two_ends_free(&ends);
		}
	}
}
END_TEST

/* The words of two choices and what they leave, at both ends: every suite, every group. */
static const char *const cipher_words[] = { "aes-256-gcm", "chacha20-poly1305" };
static const char *const prf_words[] = { "sha2-256", "sha2-512" };
static const char *const group_words[] = { "curve25519", "p256" };
static const char *const esp_words[] = { "aes-256-gcm", "aes-128-gcm", "chacha20-poly1305" };
static const uint16_t esp_numbers[] = { 1, 2, 3 };
static const size_t esp_keys[] = { 36, 20, 36 };

static const struct ike_suite *suite_of(struct two_ends *ends)
{
	const struct ike_algorithms *found = &ends->acceptor->exchange->algorithms;

	for (size_t i = 0; i < ike_suite_count(); i++) {
		const struct ike_suite *suite = ike_suite_at(i);

		if (suite->encr == found->aead->id && suite->key_bits == found->aead->key_bits &&
			suite->prf == found->prf->id && suite->group == found->group->id)
			return suite;
	}
	return NULL;
}

/* One IKE suite that one end allows alone and the other among all; keys and ESP suites in turn. */
START_TEST(every_suite)
{
	const struct ike_suite *suite = ike_suite_at((size_t)_i / 2);
	bool narrows_acceptor = _i % 2 != 0;
	size_t esp = (size_t)_i % COUNT_OF(esp_words);
	const char *kinds[] = { crypto_key_kind_at((size_t)_i % 4)->word,
		crypto_key_kind_at(((size_t)_i / 4 + 1) % 4)->word };
	enum mech_step_result result;
	struct two_ends ends;
	char text[256];

	snprintf(text, sizeof(text),
		"ike_ciphers = %s\n\tike_prfs = %s\n\tike_groups = %s\n\tesp_ciphers = %s",
		cipher_words[suite->encr == IKE_ENCR_CHACHA20_POLY1305],
		prf_words[suite->prf == IKE_PRF_HMAC_SHA2_512],
		group_words[suite->group == IKE_GROUP_P256], esp_words[esp]);
	two_ends_new_of(&ends, kinds[0], kinds[1], narrows_acceptor ? "" : text,
		narrows_acceptor ? text : "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	do
		ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	while (two_ends_step(&ends, ends.acceptor, NULL, &result) == ERR_OK &&
		ends.acceptor->exchange != NULL && !ends.acceptor->exchange->has_keys);
	ck_assert_ptr_eq(suite_of(&ends), suite);
	assert_latched(&ends);
	ck_assert_uint_eq(fake_kernels[0].last_reserve.suite, esp_numbers[esp]);
	ck_assert_uint_eq(fake_kernels[1].last_reserve.suite, esp_numbers[esp]);
	ck_assert_uint_eq(fake_kernels[0].key_in.len, esp_keys[esp]);
	two_ends_free(&ends);
}
END_TEST

/* Every kind of key with every group, cipher and PRF, both roles: without latching, to be quick. */
START_TEST(every_kind_of_key_with_every_suite)
{
	const struct ike_suite *suite = ike_suite_at((size_t)_i);
	char text[256];

	snprintf(text, sizeof(text),
		"latch = no\n\tike_ciphers = %s\n\tike_prfs = %s\n\tike_groups = %s",
		cipher_words[suite->encr == IKE_ENCR_CHACHA20_POLY1305],
		prf_words[suite->prf == IKE_PRF_HMAC_SHA2_512],
		group_words[suite->group == IKE_GROUP_P256]);
	for (size_t i = 0; i < 16; i++) {
		struct two_ends ends;

		two_ends_new_of(&ends, crypto_key_kind_at(i / 4)->word,
			crypto_key_kind_at(i % 4)->word, text, text);
		two_ends_contexts(&ends, TARGET, FLAGS);
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
		two_ends_assert_bindings(&ends);
		two_ends_assert_messages(ends.initiator, ends.acceptor);
		two_ends_free(&ends);
	}
}
END_TEST

/* What both allow, and what comes of it; reason: of the latch. */
struct choice_row {
	const char *initiator, *acceptor;
	enum err expected;
	uint16_t cipher, prf, group, esp;
	enum ipsec_latch_reason reason;
};

static const struct choice_row choice_rows[] = {
	{ "", "", ERR_OK, 20, 5, 31, 1, 0 },
	{ "ike_ciphers = chacha20-poly1305 aes-256-gcm", "", ERR_OK, 20, 5, 31, 1, 0 },
	{ "ike_prfs = sha2-512", "", ERR_OK, 20, 7, 31, 1, 0 },
	{ "esp_ciphers = aes-128-gcm chacha20-poly1305", "", ERR_OK, 20, 5, 31, 3, 0 },
	{ "esp_ciphers = aes-128-gcm", "", ERR_OK, 20, 5, 31, 2, 0 },
	{ "ike_groups = p256", "", ERR_OK, 20, 5, 19, 1, 0 },
	{ "", "ike_groups = p256", ERR_OK, 20, 5, 19, 1, 0 },
	{ "ike_groups = p256", "ike_groups = curve25519", ERR_NO_PROPOSAL, 0, 0, 0, 0, 0 },
	{ "ike_prfs = sha2-256", "ike_prfs = sha2-512", ERR_NO_PROPOSAL, 0, 0, 0, 0, 0 },
	{ "ike_ciphers = aes-256-gcm", "ike_ciphers = chacha20-poly1305", ERR_NO_PROPOSAL, 0, 0, 0,
		0, 0 },
	{ "esp_ciphers = aes-256-gcm", "esp_ciphers = aes-128-gcm",
		(enum err)(ERR_LATCH + IPSEC_LATCH_NO_SUITE), 0, 0, 0, 0, 0 },
	{ "auth_methods = rsa", "", ERR_AUTH_METHOD, 0, 0, 0, 0, 0 },
	{ "", "auth_methods = rsa ecdsa-p256 ecdsa-p384", ERR_AUTH_METHOD, 0, 0, 0, 0, 0 },
	{ "", "auth_methods = rsa ed25519", ERR_OK, 20, 5, 31, 1, 0 },
};

START_TEST(policy_narrows)
{
	const struct choice_row *row = &choice_rows[_i];
	const struct ike_algorithms *found;
	enum mech_step_result result;
	struct two_ends ends;
	enum err err = ERR_OK;

	two_ends_new(&ends, row->initiator, row->acceptor);
	two_ends_contexts(&ends, TARGET, FLAGS);
	for (int i = 0; i < 4 && err == ERR_OK && !ends.acceptor->exchange->has_keys; i++)
		err = two_ends_step(
			&ends, i % 2 == 0 ? ends.initiator : ends.acceptor, NULL, &result);
	if (row->expected == ERR_NO_PROPOSAL) {
		/* the peer hears of it, with what an IKE peer understands */
		ck_assert_int_eq(err, ERR_NO_PROPOSAL);
		ck_assert_int_eq(
			two_ends_step(&ends, ends.initiator, NULL, &result), ERR_PEER_UNPROTECTED);
	} else if (row->expected != ERR_OK) {
		ck_assert_int_eq(err, ERR_OK);
		ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	} else {
		found = &ends.acceptor->exchange->algorithms;
		ck_assert_uint_eq(found->aead->id, row->cipher);
		ck_assert_uint_eq(found->prf->id, row->prf);
		ck_assert_uint_eq(found->group->id, row->group);
		assert_latched(&ends);
		ck_assert_uint_eq(fake_kernels[0].last_reserve.suite, row->esp);
	}
	two_ends_free(&ends);
}
END_TEST

/* T1's hash list replaced: what is not listed is not used, and another that fits is. */
struct hash_row {
	const char *kind;
	uint16_t listed[2];
	const char *signature; /* NULL: none fits */
};

static const struct hash_row hash_rows[] = {
	{ "ed25519", { 5, 2 }, "Ed25519" },
	{ "ed25519", { 2, 4 }, NULL },
	{ "ecdsa-p256", { 5, 2 }, "ECDSA SHA2-256" },
	{ "ecdsa-p256", { 4, 3 }, "ECDSA SHA2-384" },
	{ "ecdsa-p256", { 4, 1 }, "ECDSA SHA2-512" },
	{ "ecdsa-p256", { 5, 1 }, NULL },
	{ "ecdsa-p384", { 2, 3 }, "ECDSA SHA2-384" },
	{ "ecdsa-p384", { 2, 1 }, "ECDSA SHA2-256" },
	{ "rsa", { 4, 3 }, "RSA-PSS SHA2-384" },
	{ "rsa", { 1, 0 }, NULL },
};

START_TEST(only_listed_hashes_sign)
{
	const struct hash_row *row = &hash_rows[_i];
	enum mech_step_result result;
	struct ike_header header = { .spi_i = 1, .exchange = IKE_EXCHANGE_SA_INIT };
	struct ike_message message;
	struct ike_builder b;
	struct two_ends ends;
	uint8_t *data = NULL;
	size_t len = 0;
	uint8_t list[4] = { 0, (uint8_t)row->listed[0], 0, (uint8_t)row->listed[1] };
	enum err err;

	two_ends_new_of(&ends, row->kind, "ed25519", "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	header.flags = IKE_FLAG_RESPONSE;
	header.spi_r = 2;
	ike_builder_begin(&b, &header);
	ike_put_payload(&b, IKE_PAYLOAD_SA, BYTES_OF(list));
	ike_put_ke(&b, 31, BYTES_OF(list));
	ike_put_nonce(&b, mech_nonce_view(&ends.initiator->exchange->ni));
	ike_put_notify(&b, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, BYTES_OF(list));
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	ck_assert_int_eq(ike_message_parse(BYTES(data, len), IKE_KIND_T2, &message), ERR_OK);
	err = mech_auth_choose_signature(ends.initiator->exchange, &message);
	ck_assert_int_eq(err, row->signature != NULL ? ERR_OK : ERR_AUTH_METHOD);
	if (row->signature != NULL)
		ck_assert_str_eq(ends.initiator->exchange->signature->name, row->signature);
	free(data);
	two_ends_free(&ends);
}
END_TEST

/* OpenSSL's queue of this thread when the program once was short of memory and never looked. */
START_TEST(the_programs_own_errors_are_not_ours)
{
	static const uint8_t one[] = "one", other[] = "other";
	struct mech_bindings ours = { .present = true, .application_data = BYTES_OF(one) };
	struct mech_bindings theirs = { .present = true, .application_data = BYTES_OF(other) };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	ERR_raise(ERR_LIB_USER, 7);
	ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);
	ck_assert_int_eq(two_ends_run(&ends, &ours, &theirs), ERR_BINDINGS);
	ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), 7);
	ck_assert_int_eq(ERR_GET_REASON(ERR_get_error()), ERR_R_MALLOC_FAILURE);
	ck_assert_uint_eq(ERR_get_error(), 0);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_algorithms(void)
{
	Suite *suite = suite_create("algorithms");
	TCase *tests = tcase_create("algorithms");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, every_kind_of_key_in_both_roles);
	tcase_add_loop_test(tests, every_suite, 0, 2 * (int)ike_suite_count());
	tcase_add_loop_test(tests, every_kind_of_key_with_every_suite, 0, (int)ike_suite_count());
	tcase_add_loop_test(tests, policy_narrows, 0, COUNT_OF(choice_rows));
	tcase_add_loop_test(tests, only_listed_hashes_sign, 0, COUNT_OF(hash_rows));
	tcase_add_test(tests, the_programs_own_errors_are_not_ours);
	suite_add_tcase(suite, tests);
	return suite;
}
