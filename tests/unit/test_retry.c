/* SPDX-License-Identifier: BSD-2-Clause */
/* INVALID_KE_PAYLOAD (RFC 7296 1.3, 2.7): one more round, what covers it, and who may not cause it. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY)
#define ONLY_P256 "ike_groups = p256"

static void step(struct two_ends *ends, struct mech_context *context)
{
	enum mech_step_result result = MECH_COMPLETE;

	ck_assert_int_eq(two_ends_step(ends, context, NULL, &result), ERR_OK);
	ck_assert_int_eq(result, MECH_CONTINUE);
}

static enum err try_step(struct two_ends *ends, struct mech_context *context)
{
	enum mech_step_result result;

	return two_ends_step(ends, context, NULL, &result);
}

static void put_token(struct two_ends *ends, struct bytes token)
{
	writer_free(&ends->token);
	writer_init(&ends->token, IKE_MESSAGE_BYTES_MAX);
	writer_put_bytes(&ends->token, token);
}

/* T2 in the clear with INVALID_KE_PAYLOAD: anybody on the path can write it. */
static void put_refusal_of(struct two_ends *ends, uint64_t spi_r, struct bytes group)
{
	struct ike_header header = { .spi_i = ends->initiator->exchange->spi_i,
		.spi_r = spi_r,
		.exchange = IKE_EXCHANGE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE };
	struct ike_builder b;
	uint8_t *data = NULL;
	size_t len = 0;

	ike_builder_begin(&b, &header);
	ike_put_notify(&b, IKE_NOTIFY_INVALID_KE_PAYLOAD, group);
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	put_token(ends, BYTES(data, len));
	free(data);
}

static void put_refusal(struct two_ends *ends, struct bytes group)
{
	put_refusal_of(ends, 0, group);
}

static uint16_t group_of(struct bytes token, enum ike_kind kind)
{
	struct ike_message message;
	struct ike_ke ke;

	ck_assert_int_eq(ike_message_parse(token, kind, &message), ERR_OK);
	ck_assert_int_eq(
		ike_ke_parse(ike_message_find(&message, IKE_PAYLOAD_KE, 0)->body, &ke), ERR_OK);
	return ke.group;
}

static struct writer unique_of(const struct mech_context *context)
{
	struct writer w;

	writer_init(&w, 128);
	ck_assert_int_eq(mech_context_unique_binding(context, &w), ERR_OK);
	return w;
}

START_TEST(one_more_round)
{
	uint8_t first[4096];
	struct two_ends ends;
	struct writer a, b;
	size_t first_len;

	two_ends_new(&ends, "", ONLY_P256);
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	first_len = writer_len(&ends.token);
	ck_assert_uint_le(first_len, sizeof(first));
	memcpy(first, writer_view(&ends.token).data, first_len);
	ck_assert_uint_eq(group_of(writer_view(&ends.token), IKE_KIND_T1), IKE_GROUP_CURVE25519);
	step(&ends, ends.acceptor);
	/* header, and a notify of two octets: 28 + 4 + 4 + 2 */
	ck_assert_uint_eq(writer_len(&ends.token), 38);
	ck_assert_uint_eq(fake_kernels[1].reserved, 0);
	step(&ends, ends.initiator);
	ck_assert_uint_eq(group_of(writer_view(&ends.token), IKE_KIND_T1), IKE_GROUP_P256);
	/* the same exchange: SPIi stays (RFC 7296 2.7), all else is fresh */
	ck_assert_mem_eq(writer_view(&ends.token).data, first, 8);
	ck_assert(!bytes_equal(writer_view(&ends.token), BYTES(first, first_len)));
	ck_assert_int_eq(try_step(&ends, ends.acceptor), ERR_OK);
	ck_assert_uint_eq(group_of(writer_view(&ends.token), IKE_KIND_T2), IKE_GROUP_P256);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(fake_kernels[0].reserved, 1);
	ck_assert_uint_eq(fake_kernels[1].reserved, 1);
	a = unique_of(ends.initiator);
	b = unique_of(ends.acceptor);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	writer_free(&a);
	writer_free(&b);
	two_ends_free(&ends);
}
END_TEST

/* A refusal that the acceptor never sent: it insists on the best group, and the initiator has tried it. */
START_TEST(a_forged_refusal_gains_nothing)
{
	static const uint8_t p256[] = { 0, IKE_GROUP_P256 };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	put_refusal(&ends, BYTES_OF(p256));
	step(&ends, ends.initiator);
	ck_assert_uint_eq(group_of(writer_view(&ends.token), IKE_KIND_T1), IKE_GROUP_P256);
	step(&ends, ends.acceptor);
	ck_assert_int_eq(try_step(&ends, ends.initiator), ERR_PEER_NO_PROPOSAL);
	two_ends_free(&ends);
}
END_TEST

/* Even where the group would be right, the two ends' transcripts differ: the binding shows it. */
START_TEST(a_forged_refusal_shows_in_the_binding)
{
	static const uint8_t p256[] = { 0, IKE_GROUP_P256 };
	struct two_ends ends;
	struct writer a, b;

	two_ends_new(&ends, "", ONLY_P256);
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	put_refusal(&ends, BYTES_OF(p256));
	step(&ends, ends.initiator);
	ck_assert_int_eq(try_step(&ends, ends.acceptor), ERR_OK);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	a = unique_of(ends.initiator);
	b = unique_of(ends.acceptor);
	ck_assert(!bytes_equal(writer_view(&a), writer_view(&b)));
	writer_free(&a);
	writer_free(&b);
	two_ends_free(&ends);
}
END_TEST

struct refusal_row {
	uint8_t data[4];
	size_t len;
	const char *initiator; /* configuration */
	enum err expected;
};

static const struct refusal_row refusal_rows[] = {
	{ { 0, IKE_GROUP_CURVE25519 }, 2, "", ERR_PEER_NO_PROPOSAL }, /* tried */
	{ { 0, 14 }, 2, "", ERR_PEER_NO_PROPOSAL },		      /* not ours */
	{ { 0, IKE_GROUP_P256 }, 2, "ike_groups = curve25519", ERR_PEER_NO_PROPOSAL },
	{ { 0, 0 }, 2, "", ERR_IKE_PAYLOAD },
	{ { 0 }, 0, "", ERR_IKE_PAYLOAD },
	{ { 0 }, 1, "", ERR_IKE_PAYLOAD },
	{ { 0, IKE_GROUP_P256, 0 }, 3, "", ERR_IKE_PAYLOAD },
	{ { 0, IKE_GROUP_P256 }, 2, "", ERR_OK },
};
#define REFUSAL_COUNT ((int)(sizeof(refusal_rows) / sizeof(refusal_rows[0])))

START_TEST(refusals)
{
	const struct refusal_row *row = &refusal_rows[_i];
	struct two_ends ends;

	two_ends_new(&ends, row->initiator, "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	put_refusal(&ends, BYTES(row->data, row->len));
	ck_assert_int_eq(try_step(&ends, ends.initiator), row->expected);
	/* once per group */
	if (row->expected == ERR_OK) {
		put_refusal(&ends, BYTES(row->data, row->len));
		ck_assert_int_eq(try_step(&ends, ends.initiator), ERR_PEER_NO_PROPOSAL);
	}
	two_ends_free(&ends);
}
END_TEST

/* RFC 7296 2.6: a responder that gives an SPI of its own with a refusal is not refused for that. */
START_TEST(a_refusal_may_have_an_spi)
{
	static const uint8_t p256[] = { 0, IKE_GROUP_P256 };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	put_refusal_of(&ends, 0x1122334455667788, BYTES_OF(p256));
	ck_assert_int_eq(try_step(&ends, ends.initiator), ERR_OK);
	ck_assert_uint_eq(group_of(writer_view(&ends.token), IKE_KIND_T1), IKE_GROUP_P256);
	ck_assert_uint_eq(ends.initiator->exchange->spi_r, 0);
	two_ends_free(&ends);
}
END_TEST

/* An initiator that goes on with the group it was told not to. */
START_TEST(the_acceptor_asks_once)
{
	struct two_ends ends;
	uint8_t t1[4096];
	size_t len;

	two_ends_new(&ends, "", ONLY_P256);
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	len = writer_len(&ends.token);
	ck_assert_uint_le(len, sizeof(t1));
	memcpy(t1, writer_view(&ends.token).data, len);
	step(&ends, ends.acceptor);
	put_token(&ends, BYTES(t1, len));
	ck_assert_int_eq(try_step(&ends, ends.acceptor), ERR_KEY_EXCHANGE);
	two_ends_free(&ends);
}
END_TEST

/* T2 of another group than T1's KEi: only a refusal may ask for one. */
START_TEST(t2_keeps_the_group)
{
	struct two_ends ends;
	uint8_t *octets;
	struct ike_message message;
	size_t at;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	step(&ends, ends.initiator);
	step(&ends, ends.acceptor);
	ck_assert_int_eq(
		ike_message_parse(writer_view(&ends.token), IKE_KIND_T2, &message), ERR_OK);
	at = (size_t)(ike_message_find(&message, IKE_PAYLOAD_KE, 0)->body.data - message.raw.data);
	octets = writer_at(&ends.token, at, 2);
	octets[1] = IKE_GROUP_P256;
	ck_assert_int_eq(try_step(&ends, ends.initiator), ERR_KEY_EXCHANGE);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_retry(void)
{
	Suite *suite = suite_create("retry");
	TCase *tests = tcase_create("retry");

	tcase_add_test(tests, one_more_round);
	tcase_add_test(tests, a_forged_refusal_gains_nothing);
	tcase_add_test(tests, a_forged_refusal_shows_in_the_binding);
	tcase_add_loop_test(tests, refusals, 0, REFUSAL_COUNT);
	tcase_add_test(tests, a_refusal_may_have_an_spi);
	tcase_add_test(tests, the_acceptor_asks_once);
	tcase_add_test(tests, t2_keeps_the_group);
	suite_add_tcase(suite, tests);
	return suite;
}
