/* SPDX-License-Identifier: BSD-2-Clause */
/* GSS_LATCH, GSS_CONTEXT, GSS_FAILURE: octets as the vectors say, both ways, and nothing else. */
#include <check.h>
#include <stdlib.h>

#include "mech/ike/ike.h"
#include "tests/unit/ike_vectors.h"
#include "tests/unit/suites.h"

#define NOTIFIES "tests/vectors/ike_notifies.hex"
#define TUPLE "tests/vectors/ike_tuple.hex"

static struct ike_builder b;

static void begin(void)
{
	struct ike_header header = {
		.spi_i = 1, .spi_r = 2, .exchange = IKE_EXCHANGE_INFORMATIONAL
	};

	ike_builder_begin(&b, &header);
}

/* What was put is one notify of this type with the vector's data. */
static void check_put(uint16_t type, const char *name)
{
	struct ike_message message;
	struct ike_notify notify;
	uint8_t *data;
	size_t len;

	ike_put_notify(&b, IKE_NOTIFY_INVALID_SYNTAX, BYTES_NONE);
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	ck_assert_int_eq(
		ike_message_parse(BYTES(data, len), IKE_KIND_INFORMATIONAL, &message), ERR_OK);
	ck_assert(ike_message_find_notify(&message, type, &notify));
	ck_assert_uint_eq(notify.protocol, 0);
	ck_assert_uint_eq(notify.spi.len, 0);
	vector_check(NOTIFIES, name, notify.data);
	free(data);
}

static void check_put_refused(void)
{
	uint8_t *data;
	size_t len;

	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_INTERNAL);
}

enum which { OFFER, ANSWER, CONTEXT, FAILURE };

static enum err parse(enum which which, struct bytes data)
{
	struct ike_latch_offer offer;
	struct ike_latch_answer answer;
	struct ike_context context;
	unsigned int code;

	switch (which) {
	case OFFER:
		return ike_latch_offer_parse(data, &offer);
	case ANSWER:
		return ike_latch_answer_parse(data, &answer);
	case CONTEXT:
		return ike_context_parse(data, &context);
	default:
		return ike_failure_parse(data, &code);
	}
}

static const struct {
	enum which which;
	const char *name;
} notifies[] = {
	{ OFFER, "offer" },
	{ OFFER, "offer_nothing" },
	{ ANSWER, "answer" },
	{ ANSWER, "answer_no" },
	{ CONTEXT, "context" },
	{ CONTEXT, "context_bare" },
	{ FAILURE, "failure" },
	{ FAILURE, "failure_reason" },
};
#define NOTIFY_COUNT ((int)(sizeof(notifies) / sizeof(notifies[0])))

/* Cut: refused.  Longer: later versions may add.  Flipped: no crash; another version: refused. */
START_TEST(damaged)
{
	struct vector vector = vector_get(NOTIFIES, notifies[_i].name);
	enum which which = notifies[_i].which;
	size_t len, bit;

	for (len = 0; len < vector.len; len++) {
		uint8_t *copy = malloc(len > 0 ? len : 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, vector.data, len);
		ck_assert_int_eq(parse(which, BYTES(copy, len)), ERR_NOTIFY_FORMAT);
		free(copy);
	}
	for (len = 0; len < vector.len; len++) {
		for (bit = 0; bit < 8; bit++) {
			enum err status;

			vector.data[len] ^= (uint8_t)(1u << bit);
			status = parse(which, vector_view(&vector));
			ck_assert(status == ERR_OK || status == ERR_NOTIFY_FORMAT);
			ck_assert(len > 0 || status == ERR_NOTIFY_FORMAT);
			vector.data[len] ^= (uint8_t)(1u << bit);
		}
	}
	vector.data[vector.len++] = 0xff;
	ck_assert_int_eq(parse(which, vector_view(&vector)), ERR_OK);
}
END_TEST

START_TEST(latch_offer)
{
	struct ike_latch_offer offer = { .suites = { 1, 3 },
		.suite_count = 2,
		.candidates = { 0xabcd, 1, 0xffff },
		.candidate_count = 3 };
	struct vector vector = vector_get(NOTIFIES, "offer");
	struct ike_latch_offer read;

	begin();
	ike_put_latch_offer(&b, &offer);
	check_put(IKE_NOTIFY_GSS_LATCH, "offer");
	ck_assert_int_eq(ike_latch_offer_parse(vector_view(&vector), &read), ERR_OK);
	ck_assert_uint_eq(read.candidate_count, 3);
	ck_assert_uint_eq(read.candidates[2], 0xffff);
	ck_assert_uint_eq(read.suites[1], 3);
	ck_assert(!read.has_positions);
	/* A reason where there are candidates. */
	vector.data[2] = 1;
	ck_assert_int_eq(ike_latch_offer_parse(vector_view(&vector), &read), ERR_NOTIFY_FORMAT);
	offer.reason = 3;
	begin();
	ike_put_latch_offer(&b, &offer);
	check_put_refused();
	offer.suite_count = 1;
	offer.candidate_count = 0;
	begin();
	ike_put_latch_offer(&b, &offer);
	check_put(IKE_NOTIFY_GSS_LATCH, "offer_nothing");
	offer.reason = 0;
	begin();
	ike_put_latch_offer(&b, &offer);
	check_put_refused();
}
END_TEST

/* Behind the candidates, each with its own; octets that are too few for all say nothing. */
START_TEST(latch_offer_positions)
{
	struct ike_latch_offer offer = { .suites = { 1, 3 },
		.suite_count = 2,
		.candidates = { 0xabcd, 1, 0xffff },
		.candidate_count = 3,
		.positions = { 0, 0x01020304, 0xfffffffe },
		.has_positions = true };
	struct vector vector = vector_get(NOTIFIES, "offer_positions");
	struct ike_latch_offer read;

	begin();
	ike_put_latch_offer(&b, &offer);
	check_put(IKE_NOTIFY_GSS_LATCH, "offer_positions");
	ck_assert_int_eq(ike_latch_offer_parse(vector_view(&vector), &read), ERR_OK);
	ck_assert(read.has_positions);
	ck_assert_mem_eq(read.positions, offer.positions, 3 * sizeof(offer.positions[0]));
	vector.len--;
	ck_assert_int_eq(ike_latch_offer_parse(vector_view(&vector), &read), ERR_OK);
	ck_assert(!read.has_positions);
	ck_assert_uint_eq(read.candidate_count, 3);
}
END_TEST

START_TEST(latch_offer_limits)
{
	uint8_t data[5 + 2 * 8 + 2 * 65] = { 1, 1, 0, 8 };
	size_t candidates_at = 4 + 2 * 8;
	struct ike_latch_offer read;

	data[candidates_at] = 64;
	ck_assert_int_eq(ike_latch_offer_parse(BYTES_OF(data), &read), ERR_OK);
	ck_assert_uint_eq(read.candidate_count, 64);
	ck_assert(!read.has_positions);
	data[candidates_at] = 65;
	ck_assert_int_eq(ike_latch_offer_parse(BYTES_OF(data), &read), ERR_NOTIFY_FORMAT);
	data[3] = 9;
	data[candidates_at + 2] = 1;
	ck_assert_int_eq(ike_latch_offer_parse(BYTES_OF(data), &read), ERR_NOTIFY_FORMAT);
	data[3] = 0;
	data[1] = 2;
	ck_assert_int_eq(ike_latch_offer_parse(BYTES_OF(data), &read), ERR_NOTIFY_FORMAT);
}
END_TEST

START_TEST(latch_answer)
{
	struct ike_latch_answer answer = { .suite = 1, .spi = 0xc0ffee01 };
	struct vector tag = vector_get(NOTIFIES, "answer_tag");
	struct vector vector = vector_get(NOTIFIES, "answer");
	struct ike_latch_answer read;

	memcpy(answer.tag, tag.data, sizeof(answer.tag));
	begin();
	ike_put_latch_answer(&b, &answer);
	check_put(IKE_NOTIFY_GSS_LATCH, "answer");
	ck_assert_int_eq(ike_latch_answer_parse(vector_view(&vector), &read), ERR_OK);
	ck_assert_uint_eq(read.spi, 0xc0ffee01);
	ck_assert_uint_eq(read.suite, 1);
	ck_assert_mem_eq(read.tag, tag.data, sizeof(read.tag));
	/* RFC 4303 2.1: SPIs below 256 are reserved. */
	memcpy(vector.data + 5, "\0\0\0\xff", 4);
	ck_assert_int_eq(ike_latch_answer_parse(vector_view(&vector), &read), ERR_NOTIFY_FORMAT);
	answer.spi = 255;
	begin();
	ike_put_latch_answer(&b, &answer);
	check_put_refused();
	answer.reason = 4;
	begin();
	ike_put_latch_answer(&b, &answer);
	check_put(IKE_NOTIFY_GSS_LATCH, "answer_no");
}
END_TEST

START_TEST(context)
{
	struct vector bindings = vector_get(NOTIFIES, "context_bindings");
	struct vector vector = vector_get(NOTIFIES, "context");
	struct ike_context made = { .flags = 0x3e,
		.has_t5 = true,
		.bindings_len = CRYPTO_SHA256_BYTES,
		.service = BYTES((const uint8_t *)"imap", 4) };
	struct ike_context read;

	memcpy(made.bindings, bindings.data, bindings.len);
	begin();
	ike_put_context(&b, &made);
	check_put(IKE_NOTIFY_GSS_CONTEXT, "context");
	ck_assert_int_eq(ike_context_parse(vector_view(&vector), &read), ERR_OK);
	ck_assert(read.has_t5 && read.flags == 0x3e && read.reason == 0);
	ck_assert_uint_eq(read.bindings_len, CRYPTO_SHA256_BYTES);
	ck_assert_mem_eq(read.bindings, bindings.data, bindings.len);
	ck_assert(bytes_equal(read.service, made.service));
	made = (struct ike_context){ .flags = 2, .reason = 1 };
	begin();
	ike_put_context(&b, &made);
	check_put(IKE_NOTIFY_GSS_CONTEXT, "context_bare");
	made.bindings_len = 31;
	begin();
	ike_put_context(&b, &made);
	check_put_refused();
}
END_TEST

static enum err parse_service(const char *service, size_t len)
{
	uint8_t data[9 + 255] = { 1, 0, 0, 0, 0, 0, 0, 0, (uint8_t)len };
	struct ike_context read;

	memcpy(data + 9, service, len);
	return ike_context_parse(BYTES(data, 9 + len), &read);
}

START_TEST(context_service)
{
	char longest[65];

	memset(longest, 'a', sizeof(longest));
	ck_assert_int_eq(parse_service(longest, 64), ERR_OK);
	ck_assert_int_eq(parse_service(longest, 65), ERR_NOTIFY_FORMAT);
	ck_assert_int_eq(parse_service("im\0ap", 5), ERR_NOTIFY_FORMAT);
	ck_assert_int_eq(parse_service("im\nap", 5), ERR_NOTIFY_FORMAT);
	ck_assert_int_eq(parse_service("im\x7f", 3), ERR_NOTIFY_FORMAT);
}
END_TEST

START_TEST(failure)
{
	static const struct {
		unsigned int sent, read;
	} cases[] = {
		{ ERR_OK, ERR_PEER_FAILED },
		{ ERR_AUTH_FAILED, ERR_AUTH_FAILED },
		{ 19, ERR_PEER_FAILED },
		{ 65535, ERR_PEER_FAILED },
		{ ERR_LATCH + 3, ERR_LATCH + 3 },
	};
	uint8_t data[3] = { 1 };
	unsigned int code;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		data[1] = (uint8_t)(cases[i].sent >> 8);
		data[2] = (uint8_t)cases[i].sent;
		ck_assert_int_eq(ike_failure_parse(BYTES_OF(data), &code), ERR_OK);
		ck_assert_uint_eq(code, cases[i].read);
	}
	begin();
	ike_put_failure(&b, ERR_PEER_UNKNOWN);
	check_put(IKE_NOTIFY_GSS_FAILURE, "failure");
	begin();
	ike_put_failure(&b, ERR_LATCH + 3);
	check_put(IKE_NOTIFY_GSS_FAILURE, "failure_reason");
}
END_TEST

/* What the table does not mark for the peer goes as PEER_FAILED. */
START_TEST(failure_kept_private)
{
	struct ike_message message;
	struct ike_notify notify;
	unsigned int code;
	uint8_t *data;
	size_t len;

	begin();
	ike_put_notify(&b, IKE_NOTIFY_INVALID_SYNTAX, BYTES_NONE);
	ike_put_failure(&b, ERR_NO_MEMORY);
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	ck_assert_int_eq(
		ike_message_parse(BYTES(data, len), IKE_KIND_INFORMATIONAL, &message), ERR_OK);
	ck_assert(ike_message_find_error(&message, &notify));
	ck_assert_uint_eq(notify.type, IKE_NOTIFY_GSS_FAILURE);
	ck_assert_int_eq(ike_failure_parse(notify.data, &code), ERR_OK);
	ck_assert_uint_eq(code, ERR_PEER_FAILED);
	free(data);
}
END_TEST

/* --- tuples --- */

static struct ike_tuple tuple_get(const char *family)
{
	struct ike_tuple tuple = { .protocol = 6 };
	struct vector address;
	char name[40];

	(void)snprintf(name, sizeof(name), "%s_initiator", family);
	address = vector_get(TUPLE, name);
	memcpy(tuple.initiator, address.data, address.len);
	tuple.address_bytes = (uint8_t)address.len;
	(void)snprintf(name, sizeof(name), "%s_acceptor", family);
	address = vector_get(TUPLE, name);
	memcpy(tuple.acceptor, address.data, address.len);
	(void)snprintf(name, sizeof(name), "%s_initiator_port", family);
	tuple.initiator_port = (uint16_t)vector_get_number(TUPLE, name);
	(void)snprintf(name, sizeof(name), "%s_acceptor_port", family);
	tuple.acceptor_port = (uint16_t)vector_get_number(TUPLE, name);
	return tuple;
}

START_TEST(tuples)
{
	static const char *const families[] = { "v4", "v6" };
	struct vector key = vector_get(TUPLE, "sk_d");
	struct secret_key sk_d = { .len = key.len };
	uint8_t tag[IKE_LATCH_TAG_BYTES];
	struct ike_algorithms used;
	uint16_t hash;
	uint32_t veil;
	char name[40];
	size_t i;

	memcpy(sk_d.data, key.data, key.len);
	ck_assert_int_eq(ike_algorithms_of(ike_suite_at(0), &used), ERR_OK);
	for (i = 0; i < 2; i++) {
		struct ike_tuple tuple = tuple_get(families[i]);

		ck_assert_int_eq(
			ike_tuple_hash(vector_get_number(TUPLE, "spi_i"), &tuple, &hash, &veil),
			ERR_OK);
		(void)snprintf(name, sizeof(name), "%s_hash", families[i]);
		ck_assert_uint_eq(hash, vector_get_number(TUPLE, name));
		(void)snprintf(name, sizeof(name), "%s_veil", families[i]);
		ck_assert_uint_eq(veil, vector_get_number(TUPLE, name));
		ck_assert_int_eq(ike_tuple_tag(&used, &sk_d, &tuple, tag), ERR_OK);
		(void)snprintf(name, sizeof(name), "%s_tag", families[i]);
		vector_check(TUPLE, name, BYTES_OF(tag));
		tuple.address_bytes = 5;
		ck_assert_int_eq(ike_tuple_hash(1, &tuple, &hash, &veil), ERR_INTERNAL);
		ck_assert_int_eq(ike_tuple_tag(&used, &sk_d, &tuple, tag), ERR_INTERNAL);
	}
}
END_TEST

START_TEST(names)
{
	ck_assert_str_eq(ike_notify_name(IKE_NOTIFY_NO_PROPOSAL_CHOSEN), "NO_PROPOSAL_CHOSEN");
	ck_assert_str_eq(ike_notify_name(9999), "notify");
}
END_TEST

Suite *suite_ike_notify(void)
{
	Suite *suite = suite_create("ike_notify");
	TCase *tcase = tcase_create("notifies");

	tcase_add_loop_test(tcase, damaged, 0, NOTIFY_COUNT);
	tcase_add_test(tcase, latch_offer);
	tcase_add_test(tcase, latch_offer_limits);
	tcase_add_test(tcase, latch_offer_positions);
	tcase_add_test(tcase, latch_answer);
	tcase_add_test(tcase, context);
	tcase_add_test(tcase, context_service);
	tcase_add_test(tcase, failure);
	tcase_add_test(tcase, failure_kept_private);
	tcase_add_test(tcase, tuples);
	tcase_add_test(tcase, names);
	suite_add_tcase(suite, tcase);
	return suite;
}
