/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE messages in the clear: header, chain, rules; and mistakes in building. */
#include "tests/unit/ike_fixture.h"
#include "tests/unit/suites.h"

#define NEXT_PAYLOAD_AT 16
#define VERSION_AT 17
#define FLAGS_AT 19
#define MESSAGE_ID_AT 23

static const uint8_t vendor[17] = { 0xc5, 0x38 };
static const uint8_t none[1];

static void put_init_payloads(struct ike_builder *b)
{
	ike_put_sa_offer(b, 1);
	ike_put_ke(b, IKE_GROUP_CURVE25519, BYTES_OF(public_value));
	ike_put_nonce(b, BYTES_OF(nonce));
	ike_put_vendor(b, BYTES_OF(vendor));
	ike_put_notify(b, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, BYTES_OF(none));
}

static struct message_bytes make_t1(void)
{
	struct ike_header header = header_of(IKE_EXCHANGE_SA_INIT, IKE_FLAG_INITIATOR, 0, 0);
	struct ike_builder b;

	ike_builder_begin(&b, &header);
	put_init_payloads(&b);
	return finish(&b);
}

/* --- clear messages --- */

START_TEST(t1_reads_back)
{
	struct message_bytes m = make_t1();
	struct ike_message message;
	struct ike_notify notify;

	ck_assert_int_eq(parse(m, IKE_KIND_T1, &message), ERR_OK);
	ck_assert_uint_eq(message.count, 5);
	ck_assert(message.header.spi_i == SPI_I && message.header.spi_r == 0);
	ck_assert_ptr_nonnull(ike_message_find(&message, IKE_PAYLOAD_NONCE, 0));
	ck_assert_ptr_null(ike_message_find(&message, IKE_PAYLOAD_NONCE, 1));
	ck_assert(ike_message_has_vendor(&message, BYTES_OF(vendor)));
	ck_assert(!ike_message_has_vendor(&message, BYTES_OF(nonce)));
	ck_assert(ike_message_find_notify(&message, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, &notify));
	ck_assert(!ike_message_find_notify(&message, IKE_NOTIFY_GSS_LATCH, &notify));
	ck_assert(!ike_message_find_error(&message, &notify));
	ck_assert(!message.is_error_only);
	free(m.data);
}
END_TEST

/* Each cut lies in memory of its own size, so that a sanitizer sees a read beyond it. */
START_TEST(t1_cut_is_refused)
{
	struct message_bytes m = make_t1();
	struct ike_message message;
	struct ike_header header;
	size_t len;

	for (len = 0; len < m.len; len++) {
		uint8_t *copy = malloc(len > 0 ? len : 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, m.data, len);
		ck_assert_int_eq(
			ike_message_parse(BYTES(copy, len), IKE_KIND_T1, &message), ERR_IKE_HEADER);
		ck_assert_int_eq(ike_header_parse(BYTES(copy, len), &header), ERR_IKE_HEADER);
		if (len > LENGTH_AT) { /* the length made to agree */
			copy[LENGTH_AT - 1] = (uint8_t)(len >> 8);
			copy[LENGTH_AT] = (uint8_t)len;
			ck_assert_int_eq(ike_message_parse(BYTES(copy, len), IKE_KIND_T1, &message),
				ERR_IKE_PAYLOAD);
		}
		free(copy);
	}
	free(m.data);
}
END_TEST

START_TEST(t1_flipped_never_crashes)
{
	struct message_bytes m = make_t1();
	struct ike_message message;
	struct ike_notify notify;
	size_t i, bit;

	for (i = 0; i < m.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			m.data[i] ^= (uint8_t)(1u << bit);
			if (parse(m, IKE_KIND_T1, &message) == ERR_OK)
				(void)ike_message_find_error(&message, &notify);
			m.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_int_eq(parse(m, IKE_KIND_T1, &message), ERR_OK);
	free(m.data);
}
END_TEST

struct header_case {
	size_t at;
	uint8_t value;
	enum err expected;
};

static const struct header_case header_cases[] = {
	{ 15, 1, ERR_IKE_HEADER }, /* T1 with a responder's SPI */
	{ VERSION_AT, 0x10, ERR_IKE_HEADER }, { VERSION_AT, 0x30, ERR_IKE_HEADER },
	{ VERSION_AT, 0x2f, ERR_OK }, /* the minor version is ignored */
	{ FLAGS_AT - 1, IKE_EXCHANGE_AUTH, ERR_IKE_HEADER }, { FLAGS_AT, 0, ERR_IKE_HEADER },
	{ FLAGS_AT, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE, ERR_IKE_HEADER },
	{ FLAGS_AT, IKE_FLAG_INITIATOR | 0x10 | 0xc7, ERR_OK }, /* V and X bits are ignored */
	{ MESSAGE_ID_AT, 1, ERR_IKE_HEADER }, { LENGTH_AT - 3, 1, ERR_IKE_HEADER },
	{ LENGTH_AT, 0, ERR_IKE_HEADER }, { NEXT_PAYLOAD_AT, IKE_PAYLOAD_NONE, ERR_IKE_PAYLOAD },
	{ NEXT_PAYLOAD_AT, IKE_PAYLOAD_IDI, ERR_IKE_PAYLOAD },
	{ NEXT_PAYLOAD_AT, IKE_PAYLOAD_SK, ERR_IKE_PAYLOAD },
	{ NEXT_PAYLOAD_AT, 200, ERR_IKE_PAYLOAD }, /* SA is missing then */
};

START_TEST(header_is_checked)
{
	const struct header_case *test = &header_cases[_i];
	struct message_bytes m = make_t1();
	struct ike_message message;

	m.data[test->at] = test->value;
	ck_assert_int_eq(parse(m, IKE_KIND_T1, &message), test->expected);
	free(m.data);
}
END_TEST

START_TEST(zero_initiator_spi_is_refused)
{
	struct message_bytes m = make_t1();
	struct ike_message message;

	memset(m.data, 0, 8);
	ck_assert_int_eq(parse(m, IKE_KIND_T1, &message), ERR_IKE_HEADER);
	free(m.data);
}
END_TEST

START_TEST(longest_message_and_beyond)
{
	struct ike_header header = header_of(IKE_EXCHANGE_SA_INIT, IKE_FLAG_INITIATOR, 0, 0);
	static uint8_t padding[IKE_MESSAGE_BYTES_MAX];
	struct message_bytes m = make_t1();
	struct ike_message message;
	struct ike_builder b;
	size_t room = IKE_MESSAGE_BYTES_MAX - m.len - 8;

	ike_builder_begin(&b, &header);
	put_init_payloads(&b);
	ike_put_notify(&b, IKE_NOTIFY_GSS_PADDING, BYTES(padding, room));
	free(m.data);
	m = finish(&b);
	ck_assert_uint_eq(m.len, IKE_MESSAGE_BYTES_MAX);
	ck_assert_int_eq(parse(m, IKE_KIND_T1, &message), ERR_OK);
	free(m.data);
	ike_builder_begin(&b, &header);
	put_init_payloads(&b);
	ike_put_notify(&b, IKE_NOTIFY_GSS_PADDING, BYTES(padding, room + 1));
	ck_assert_int_eq(ike_builder_finish(&b, &m.data, &m.len), ERR_TOO_LARGE);
}
END_TEST

/* T1's payloads, then extra ones of a type. */
static enum err parse_t1_with(uint8_t type, bool is_critical, size_t count, struct bytes body)
{
	struct ike_header header = header_of(IKE_EXCHANGE_SA_INIT, IKE_FLAG_INITIATOR, 0, 0);
	struct ike_message message;
	struct message_bytes m;
	struct ike_builder b;
	enum err status;
	size_t i;

	ike_builder_begin(&b, &header);
	put_init_payloads(&b);
	for (i = 0; i < count; i++) {
		ike_put_payload(&b, type, body);
		if (is_critical)
			*writer_at(&b.w, b.next_at + 1, 1) = IKE_CRITICAL_BIT;
	}
	m = finish(&b);
	status = parse(m, IKE_KIND_T1, &message);
	free(m.data);
	return status;
}

START_TEST(rules_of_t1)
{
	struct bytes notify = BYTES((const uint8_t *)"\0\0\1\1", 4);

	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_SA, false, 1, BYTES_NONE), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(
		parse_t1_with(IKE_PAYLOAD_NONCE, false, 1, BYTES_OF(nonce)), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_IDI, false, 1, BYTES_NONE), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_SK, false, 1, BYTES_NONE), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(parse_t1_with(200, false, 1, BYTES_NONE), ERR_OK);
	ck_assert_int_eq(parse_t1_with(200, true, 1, BYTES_NONE), ERR_IKE_CRITICAL);
	ck_assert_int_eq(parse_t1_with(32, true, 1, BYTES_NONE), ERR_IKE_CRITICAL);
	ck_assert_int_eq(parse_t1_with(49, true, 1, BYTES_NONE), ERR_IKE_CRITICAL);
	/* RFC 7296 3.2: the critical bit means nothing on types that it defines. */
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_CP, true, 1, BYTES_NONE), ERR_OK);
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_VENDOR, true, 1, BYTES_NONE), ERR_OK);
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_NOTIFY, false, 27, notify), ERR_OK);
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_NOTIFY, false, 28, notify), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(parse_t1_with(200, false, 28, notify), ERR_IKE_PAYLOAD);
	notify.len = 3;
	ck_assert_int_eq(parse_t1_with(IKE_PAYLOAD_NOTIFY, false, 1, notify), ERR_IKE_PAYLOAD);
}
END_TEST

static enum err parse_with_nonce(size_t nonce_len)
{
	struct ike_header header = header_of(IKE_EXCHANGE_SA_INIT, IKE_FLAG_INITIATOR, 0, 0);
	static const uint8_t octets[IKE_NONCE_BYTES_MAX + 1];
	struct ike_message message;
	struct message_bytes m;
	struct ike_builder b;
	enum err status;

	ike_builder_begin(&b, &header);
	ike_put_nonce(&b, BYTES(octets, nonce_len));
	ike_put_sa_offer(&b, 1);
	ike_put_ke(&b, IKE_GROUP_CURVE25519, BYTES_OF(public_value));
	m = finish(&b);
	status = parse(m, IKE_KIND_T1, &message);
	free(m.data);
	return status;
}

START_TEST(nonce_length_is_checked)
{
	ck_assert_int_eq(parse_with_nonce(IKE_NONCE_BYTES_MIN - 1), ERR_NONCE);
	ck_assert_int_eq(parse_with_nonce(IKE_NONCE_BYTES_MIN), ERR_OK);
	ck_assert_int_eq(parse_with_nonce(IKE_NONCE_BYTES_MAX), ERR_OK);
	ck_assert_int_eq(parse_with_nonce(IKE_NONCE_BYTES_MAX + 1), ERR_NONCE);
}
END_TEST

static struct message_bytes make_t2(
	uint64_t spi_r, bool has_payloads, uint16_t notify_type, bool has_nonce)
{
	struct ike_header header = header_of(IKE_EXCHANGE_SA_INIT, IKE_FLAG_RESPONSE, 0, spi_r);
	struct ike_builder b;

	ike_builder_begin(&b, &header);
	if (has_payloads)
		put_init_payloads(&b);
	if (has_nonce)
		ike_put_nonce(&b, BYTES_OF(nonce));
	if (notify_type != 0)
		ike_put_notify(&b, notify_type, BYTES_NONE);
	return finish(&b);
}

START_TEST(t2_answers_and_errors)
{
	static const struct {
		uint64_t spi_r;
		bool has_payloads, has_nonce;
		uint16_t notify;
		enum err expected;
		bool is_error_only;
	} cases[] = {
		{ SPI_R, true, false, 0, ERR_OK, false },
		{ 0, true, false, 0, ERR_IKE_HEADER, false },
		{ SPI_R, true, false, IKE_NOTIFY_NO_PROPOSAL_CHOSEN, ERR_OK, false },
		{ SPI_R, false, false, IKE_NOTIFY_NO_PROPOSAL_CHOSEN, ERR_OK, true },
		{ 0, false, false, IKE_NOTIFY_GSS_FAILURE, ERR_OK, true },
		{ SPI_R, false, false, IKE_NOTIFY_GSS_LATCH, ERR_IKE_PAYLOAD, false },
		{ SPI_R, false, false, 0, ERR_IKE_PAYLOAD, false },
		{ SPI_R, false, true, IKE_NOTIFY_NO_PROPOSAL_CHOSEN, ERR_IKE_PAYLOAD, false },
	};
	struct ike_message message;
	struct ike_notify notify;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message_bytes m = make_t2(
			cases[i].spi_r, cases[i].has_payloads, cases[i].notify, cases[i].has_nonce);

		ck_assert_int_eq(parse(m, IKE_KIND_T2, &message), cases[i].expected);
		ck_assert_int_ne(parse(m, IKE_KIND_T1, &message), ERR_OK);
		if (cases[i].expected == ERR_OK) {
			ck_assert_int_eq(parse(m, IKE_KIND_T2, &message), ERR_OK);
			ck_assert_int_eq(message.is_error_only, cases[i].is_error_only);
			ck_assert_int_eq(
				ike_message_find_error(&message, &notify), cases[i].notify != 0);
		}
		free(m.data);
	}
}
END_TEST

/* --- the builder's own mistakes --- */

START_TEST(builder_misuse_fails)
{
	struct ike_header header = header_of(IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1, SPI_R);
	struct secret_key key = sealing_key(1);
	uint8_t *data = NULL;
	struct ike_builder b;
	size_t len;

	ike_builder_begin(&b, &header);
	ck_assert_int_eq(ike_builder_seal(&b, aead(), &key, &data, &len), ERR_INTERNAL);
	ike_builder_begin(&b, &header);
	ike_builder_open_sk(&b, iv);
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_INTERNAL);
	ike_builder_begin(&b, &header);
	ike_builder_open_payload(&b, IKE_PAYLOAD_SA);
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_INTERNAL);
	ike_builder_begin(&b, &header);
	ike_builder_open_payload(&b, IKE_PAYLOAD_SA);
	ike_builder_open_sk(&b, iv);
	ck_assert_int_eq(ike_builder_seal(&b, aead(), &key, &data, &len), ERR_INTERNAL);
	key.len = 32;
	ike_builder_begin(&b, &header);
	ike_builder_open_sk(&b, iv);
	ck_assert_int_eq(ike_builder_seal(&b, aead(), &key, &data, &len), ERR_INTERNAL);
	ck_assert_ptr_null(data);
	ike_put_nonce(&b, BYTES_OF(nonce));
	ike_builder_free(&b);
}
END_TEST

Suite *suite_ike_message(void)
{
	Suite *suite = suite_create("ike_message");
	TCase *clear = tcase_create("clear");

	tcase_add_test(clear, t1_reads_back);
	tcase_add_test(clear, t1_cut_is_refused);
	tcase_add_test(clear, t1_flipped_never_crashes);
	tcase_add_loop_test(
		clear, header_is_checked, 0, (int)(sizeof(header_cases) / sizeof(header_cases[0])));
	tcase_add_test(clear, zero_initiator_spi_is_refused);
	tcase_add_test(clear, longest_message_and_beyond);
	tcase_add_test(clear, rules_of_t1);
	tcase_add_test(clear, nonce_length_is_checked);
	tcase_add_test(clear, t2_answers_and_errors);
	tcase_add_test(clear, builder_misuse_fails);
	suite_add_tcase(suite, clear);
	return suite;
}
