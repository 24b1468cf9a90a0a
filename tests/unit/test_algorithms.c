/* SPDX-License-Identifier: BSD-2-Clause */
/* Every algorithm in whole exchanges, both ends in one process over a fake kernel. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void assert_bindings_agree(const struct two_ends *ends)
{
	struct writer a, b;

	writer_init(&a, 256);
	writer_init(&b, 256);
	ck_assert_int_eq(mech_context_unique_binding(ends->initiator, &a), ERR_OK);
	ck_assert_int_eq(mech_context_unique_binding(ends->acceptor, &b), ERR_OK);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	ck_assert_int_eq(mech_context_end_point_binding(ends->initiator, &a), ERR_OK);
	ck_assert_int_eq(mech_context_end_point_binding(ends->acceptor, &b), ERR_OK);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	writer_free(&a);
	writer_free(&b);
}

static void assert_messages_pass(struct mech_context *from, struct mech_context *to)
{
	static const uint8_t text[] = "over there";
	uint8_t *token = NULL, *plain = NULL;
	size_t token_len = 0, plain_len = 0;
	bool was_sealed = false;

	ck_assert_int_eq(mech_protect_wrap(mech_context_protect(from), true, BYTES_OF(text), &token,
				 &token_len),
		ERR_OK);
	ck_assert_int_eq(mech_protect_unwrap(mech_context_protect(to), BYTES(token, token_len),
				 &plain, &plain_len, &was_sealed),
		ERR_OK);
	ck_assert(was_sealed);
	ck_assert(bytes_equal(BYTES(plain, plain_len), BYTES_OF(text)));
	free(token);
	free(plain);
}

static void assert_latched(struct two_ends *ends)
{
	const struct fake_kernel *i = &fake_kernels[0], *a = &fake_kernels[1];

	ck_assert_int_eq(two_ends_run(ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends->initiator), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(mech_context_latch_reason(ends->acceptor), IPSEC_LATCH_LATCHED);
	ck_assert(bytes_equal(secret_key_view(&i->key_in), secret_key_view(&a->key_out)));
	ck_assert(bytes_equal(secret_key_view(&i->key_out), secret_key_view(&a->key_in)));
	ck_assert(!bytes_equal(secret_key_view(&i->key_out), secret_key_view(&i->key_in)));
	assert_bindings_agree(ends);
	assert_messages_pass(ends->initiator, ends->acceptor);
	assert_messages_pass(ends->acceptor, ends->initiator);
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
			ck_assert_str_eq(
				fake_kernels[0].last_latch.method, crypto_key_kind_at(i)->name);
			ck_assert_str_eq(
				fake_kernels[1].last_latch.method, crypto_key_kind_at(j)->name);
			two_ends_free(&ends);
		}
	}
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

Suite *suite_algorithms(void)
{
	Suite *suite = suite_create("algorithms");
	TCase *tests = tcase_create("algorithms");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, every_kind_of_key_in_both_roles);
	tcase_add_loop_test(tests, only_listed_hashes_sign, 0, COUNT_OF(hash_rows));
	suite_add_tcase(suite, tests);
	return suite;
}
