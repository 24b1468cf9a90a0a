/* SPDX-License-Identifier: BSD-2-Clause */
/* Payload bodies, proposals (among them offers as other IKE daemons make them), selectors. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mech/ike/ike.h"
#include "tests/unit/suites.h"

#define BODY_BYTES_MAX 1024

struct body {
	uint8_t data[BODY_BYTES_MAX];
	size_t len;
};

static struct ike_builder b;

static void begin(void)
{
	struct ike_header header = { .spi_i = 1, .spi_r = 2 };

	ike_builder_begin(&b, &header);
}

/* The body of the only payload put since begin(). */
static struct body end(void)
{
	const size_t skip = IKE_HEADER_BYTES + IKE_PAYLOAD_HEADER_BYTES;
	struct body body = { .len = 0 };
	uint8_t *data = NULL;
	size_t len = 0;

	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	ck_assert_uint_ge(len, skip);
	ck_assert_uint_le(len - skip, sizeof(body.data));
	memcpy(body.data, data + skip, len - skip);
	body.len = len - skip;
	free(data);
	return body;
}

static struct bytes view(const struct body *body)
{
	return BYTES(body->data, body->len);
}

static struct body body_of(const char *hex)
{
	struct body body = { .len = 0 };
	const char *digits = "0123456789abcdef";

	for (; *hex != '\0'; hex++) {
		if (*hex == ' ')
			continue;
		body.data[body.len] = (uint8_t)((strchr(digits, hex[0]) - digits) << 4 |
						(strchr(digits, hex[1]) - digits));
		body.len++;
		hex++;
	}
	return body;
}

/* --- every parser, damaged --- */

static enum err parse_ke(struct bytes body)
{
	struct ike_ke ke;

	return ike_ke_parse(body, &ke);
}

static enum err parse_id(struct bytes body)
{
	struct ike_id id;

	return ike_id_parse(body, &id);
}

static enum err parse_cert(struct bytes body)
{
	struct ike_cert cert;

	return ike_cert_parse(body, &cert);
}

static enum err parse_auth(struct bytes body)
{
	struct ike_auth auth;

	return ike_auth_parse(body, &auth);
}

static enum err parse_notify(struct bytes body)
{
	struct ike_notify notify;

	return ike_notify_parse(body, &notify);
}

static enum err parse_ts(struct bytes body)
{
	struct ike_selector first;
	size_t count;

	return ike_ts_parse(body, &first, &count);
}

static enum err parse_offer(struct bytes body)
{
	const struct ike_suite *suite;
	uint8_t number;

	return ike_sa_choose(body, 1, &suite, &number);
}

static enum err parse_choice(struct bytes body)
{
	const struct ike_suite *suite;

	return ike_sa_accept(body, 1, &suite);
}

static enum err parse_esp(struct bytes body)
{
	uint32_t spi;

	return ike_sa_esp_parse(body, esp_suite_at(0), false, &spi);
}

/* A body cut to fewer octets than shortest is refused; what ends in free data takes more cuts. */
static const struct parser_case {
	enum err (*parse)(struct bytes body);
	const char *hex;
	size_t shortest;
} parser_cases[] = {
	{ parse_ke, "001f0000 0102030405060708", 5 },
	{ parse_id, "02000000 616263", 4 },
	{ parse_cert, "0f 302a", 1 },
	{ parse_auth, "0e000000 07 300506032b6570 aabbccdd", 13 },
	{ parse_auth, "02000000 aabbccdd", 5 },
	{ parse_notify, "0304400b 01020304 aabb", 8 },
	{ parse_ts, "01000000 07060010 c000008f c0000201 c0000201", 20 },
	{ parse_ts,
		"02000000 09000006 0000 08060028 c000c000"
		"20010db8000000000000000000000001 20010db8000000000000000000000001",
		50 },
	{ parse_offer,
		"00000024 01010003 0300000c 01000014 800e0100 03000008 02000005"
		"00000008 0400001f",
		36 },
	{ parse_choice,
		"00000024 01010003 0300000c 01000014 800e0100 03000008 02000005"
		"00000008 0400001f",
		36 },
	{ parse_esp,
		"00000020 01030402 11223344 0300000c 01000014 800e0100"
		"00000008 05000001",
		32 },
};
#define PARSER_CASE_COUNT ((int)(sizeof(parser_cases) / sizeof(parser_cases[0])))

START_TEST(damaged)
{
	const struct parser_case *test = &parser_cases[_i];
	struct body body = body_of(test->hex);
	size_t len, bit;

	ck_assert_int_eq(test->parse(view(&body)), ERR_OK);
	for (len = 0; len < body.len; len++) {
		uint8_t *copy = malloc(len > 0 ? len : 1);

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, body.data, len);
		ck_assert_int_eq(test->parse(BYTES(copy, len)),
			len < test->shortest ? ERR_IKE_PAYLOAD : ERR_OK);
		free(copy);
	}
	for (len = 0; len < body.len; len++) {
		for (bit = 0; bit < 8; bit++) {
			body.data[len] ^= (uint8_t)(1u << bit);
			(void)test->parse(view(&body));
			body.data[len] ^= (uint8_t)(1u << bit);
		}
	}
}
END_TEST

/* --- simple bodies --- */

START_TEST(bodies_round_trip)
{
	struct bytes text = BYTES((const uint8_t *)"octets", 6);
	struct bytes algorithm = BYTES((const uint8_t *)"\x30\5\6\3\x2b\x65\x70", 7);
	struct ike_auth auth;
	struct ike_cert cert;
	struct body body;
	struct ike_id id;
	struct ike_ke ke;

	begin();
	ike_put_ke(&b, IKE_GROUP_CURVE25519, text);
	body = end();
	ck_assert_int_eq(ike_ke_parse(view(&body), &ke), ERR_OK);
	ck_assert(ke.group == IKE_GROUP_CURVE25519 && bytes_equal(ke.public_value, text));
	begin();
	ike_put_id(&b, IKE_PAYLOAD_IDI, IKE_ID_NULL, BYTES_NONE);
	body = end();
	ck_assert_int_eq(ike_id_parse(view(&body), &id), ERR_OK);
	ck_assert(id.type == IKE_ID_NULL && id.data.len == 0);
	begin();
	ike_put_cert(&b, text);
	body = end();
	ck_assert_int_eq(ike_cert_parse(view(&body), &cert), ERR_OK);
	ck_assert(cert.encoding == IKE_CERT_RAW_PUBLIC_KEY && bytes_equal(cert.data, text));
	begin();
	ike_put_auth_signature(&b, algorithm, text);
	body = end();
	ck_assert_int_eq(ike_auth_parse(view(&body), &auth), ERR_OK);
	ck_assert_uint_eq(auth.method, IKE_AUTH_DIGITAL_SIGNATURE);
	ck_assert(bytes_equal(auth.algorithm, algorithm) && bytes_equal(auth.signature, text));
}
END_TEST

START_TEST(notify_with_spi)
{
	struct body body = body_of("0304400b 01020304 aabb");
	struct ike_notify notify;

	ck_assert_int_eq(ike_notify_parse(view(&body), &notify), ERR_OK);
	ck_assert_uint_eq(notify.type, 0x400b);
	ck_assert_uint_eq(notify.protocol, IKE_PROTOCOL_ESP);
	ck_assert_uint_eq(notify.spi.len, 4);
	ck_assert_uint_eq(notify.data.len, 2);
}
END_TEST

START_TEST(hash_lists)
{
	struct body body = body_of("000200030005");

	ck_assert(ike_hashes_include(view(&body), IKE_HASH_IDENTITY));
	ck_assert(ike_hashes_include(view(&body), IKE_HASH_SHA2_256));
	ck_assert(!ike_hashes_include(view(&body), 4));
	ck_assert(!ike_hashes_include(BYTES_NONE, 0));
	body.len = 5;
	ck_assert(!ike_hashes_include(view(&body), IKE_HASH_SHA2_256));
	ck_assert(!ike_hashes_include(view(&body), 0));
}
END_TEST

/* --- IKE proposals --- */

#define GCM256 "0300000c01000014800e0100"
#define GCM128 "0300000c01000014800e0080"
#define SHA256 "0300000802000005"
#define LAST_X25519 "000000080400001f"

static const struct offer_case {
	const char *what, *hex;
	enum err expected;
	uint8_t number;
} offer_cases[] = {
	{ "ours", "0000002401010003" GCM256 SHA256 LAST_X25519, ERR_OK, 1 },
	{ "charon: CBC with INTEG first, then several AEADs, PRFs and groups",
		"0200003401010005 0300000c0100000c800e0100 030000080300000c 0300000802000005"
		"030000080400001f 0000000804000013"
		"0000005402010008 0300000c01000014800e0080" GCM256 "0300000c01000013800e0100"
		"0300000802000007" SHA256 "0300000804000013 030000080400001f 0000000804000014",
		ERR_OK, 2 },
	{ "pluto: GCM with two PRFs and five groups",
		"0000005801010009 0300000c01000014800e0100 0300000c01000014800e0080"
		"0300000802000007 0300000802000005 030000080400000e 0300000804000013"
		"0300000804000014 0300000804000015 000000080400001f",
		ERR_OK, 1 },
	{ "INTEG NONE beside an AEAD",
		"0000002c01010004" GCM256 SHA256 "0300000803000000" LAST_X25519, ERR_OK, 1 },
	{ "INTEG beside an AEAD", "0000002c01010004" GCM256 SHA256 "030000080300000c" LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "INTEG and NONE beside an AEAD",
		"0000003401010005" GCM256 SHA256 "030000080300000c 0300000803000000" LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "unknown transform type in the first, none in the second",
		"0200002c01010004" GCM256 SHA256 "0300000806000023" LAST_X25519
		"0000002402010003" GCM256 SHA256 LAST_X25519,
		ERR_OK, 2 },
	{ "unknown transform beside a known one",
		"0000002c01010004" GCM256 SHA256 "0300000804000fff" LAST_X25519, ERR_OK, 1 },
	{ "unknown attribute beside the key length",
		"0000002801010003 0300001001000014800e0100800f0001" SHA256 LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "transform with a long attribute, then a good one",
		"0000003601010004 0300001201000014800e0100000f00021234" GCM256 SHA256 LAST_X25519,
		ERR_OK, 1 },
	{ "key length in the long form",
		"0000002601010003 0300000e01000014000e00020100" SHA256 LAST_X25519, ERR_NO_PROPOSAL,
		0 },
	{ "key length twice",
		"0000002801010003 0300001001000014800e0100800e0100" SHA256 LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "no key length", "0000002001010003 0300000801000014" SHA256 LAST_X25519, ERR_NO_PROPOSAL,
		0 },
	{ "another key length", "0000002401010003" GCM128 SHA256 LAST_X25519, ERR_NO_PROPOSAL, 0 },
	{ "key length on a PRF", "0000002801010003" GCM256 "0300000c02000005800e0100" LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "no group", "0000001c01010002" GCM256 "0000000802000005", ERR_NO_PROPOSAL, 0 },
	{ "for ESP", "0000002401030003" GCM256 SHA256 LAST_X25519, ERR_NO_PROPOSAL, 0 },
	{ "with an SPI", "0000002c01010803 1122334455667788" GCM256 SHA256 LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "numbered from 2", "0000002402010003" GCM256 SHA256 LAST_X25519, ERR_IKE_PAYLOAD, 0 },
	{ "numbers with a gap",
		"0200002401010003" GCM256 SHA256 LAST_X25519
		"0000002403010003" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "more announced, none there", "0200002401010003" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "more there than announced",
		"0000002401010003" GCM256 SHA256 LAST_X25519
		"0000002402010003" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "unknown marker of a proposal", "0100002401010003" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "unknown marker of a transform",
		"0000002401010003 0200000c01000014800e0100" SHA256 LAST_X25519, ERR_IKE_PAYLOAD,
		0 },
	{ "one transform fewer than counted", "0000002401010004" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "one transform more than counted", "0000002401010002" GCM256 SHA256 LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "last transform not marked", "0000002401010003" GCM256 SHA256 "030000080400001f",
		ERR_IKE_PAYLOAD, 0 },
	{ "no transform", "0000000801010000", ERR_IKE_PAYLOAD, 0 },
	{ "no proposal", "", ERR_IKE_PAYLOAD, 0 },
	{ "fault behind a good proposal",
		"0200002401010003" GCM256 SHA256 LAST_X25519 "0000000902010000ff", ERR_IKE_PAYLOAD,
		0 },
	{ "transform length 7", "0000002401010003" GCM256 "0300000702000005" LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
	{ "transform length 0", "0000002401010003" GCM256 "0300000002000005" LAST_X25519,
		ERR_IKE_PAYLOAD, 0 },
};
#define OFFER_CASE_COUNT ((int)(sizeof(offer_cases) / sizeof(offer_cases[0])))

START_TEST(offers)
{
	const struct offer_case *test = &offer_cases[_i];
	const struct ike_suite *suite = NULL;
	struct body body = body_of(test->hex);
	uint8_t number = 0;

	ck_assert_msg(
		ike_sa_choose(view(&body), 1, &suite, &number) == test->expected, "%s", test->what);
	ck_assert_msg(number == test->number, "%s: number %u", test->what, number);
	ck_assert((suite == ike_suite_at(0)) == (test->expected == ERR_OK));
}
END_TEST

START_TEST(offer_and_choice)
{
	const struct ike_suite *suite = NULL;
	struct body offer, choice;
	uint8_t number;

	begin();
	ike_put_sa_offer(&b, 1);
	offer = end();
	ck_assert_int_eq(ike_sa_choose(view(&offer), 1, &suite, &number), ERR_OK);
	begin();
	ike_put_sa_choice(&b, suite, number);
	choice = end();
	suite = NULL;
	ck_assert_int_eq(ike_sa_accept(view(&choice), 1, &suite), ERR_OK);
	ck_assert_ptr_eq(suite, ike_suite_at(0));
}
END_TEST

static const struct offer_case choice_cases[] = {
	{ "ours", "0000002401010003" GCM256 SHA256 LAST_X25519, ERR_OK, 0 },
	{ "INTEG NONE", "0000002c01010004" GCM256 SHA256 "0300000803000000" LAST_X25519, ERR_OK,
		0 },
	{ "a number not offered", "0000002409010003" GCM256 SHA256 LAST_X25519, ERR_NO_PROPOSAL,
		0 },
	{ "number 0", "0000002400010003" GCM256 SHA256 LAST_X25519, ERR_NO_PROPOSAL, 0 },
	{ "two proposals",
		"0200002401010003" GCM256 SHA256 LAST_X25519
		"0000002402010003" GCM256 SHA256 LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "two groups", "0000002c01010004" GCM256 SHA256 "0300000804000013" LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "the group twice", "0000002c01010004" GCM256 SHA256 "030000080400001f" LAST_X25519,
		ERR_NO_PROPOSAL, 0 },
	{ "a weaker key", "0000002401010003" GCM128 SHA256 LAST_X25519, ERR_NO_PROPOSAL, 0 },
	{ "another PRF", "0000002401010003" GCM256 "0300000802000002" LAST_X25519, ERR_NO_PROPOSAL,
		0 },
	{ "no group", "0000001c01010002" GCM256 "0000000802000005", ERR_NO_PROPOSAL, 0 },
};
#define CHOICE_CASE_COUNT ((int)(sizeof(choice_cases) / sizeof(choice_cases[0])))

START_TEST(choices)
{
	const struct offer_case *test = &choice_cases[_i];
	const struct ike_suite *suite = NULL;
	struct body body = body_of(test->hex);

	ck_assert_msg(ike_sa_accept(view(&body), 1, &suite) == test->expected, "%s", test->what);
}
END_TEST

/* --- ESP proposals --- */

#define LAST_ESN "0000000805000001"

static const struct offer_case esp_cases[] = {
	{ "ours", "0000002001030402 11223344" GCM256 LAST_ESN, ERR_OK, 0 },
	{ "second of two",
		"0200002001030402 11223345" GCM128 LAST_ESN
		"0000002002030402 11223344" GCM256 LAST_ESN,
		ERR_OK, 0 },
	{ "key exchange NONE", "0000002801030403 11223344" GCM256 "0300000804000000" LAST_ESN,
		ERR_OK, 0 },
	{ "a group", "0000002801030403 11223344" GCM256 "030000080400001f" LAST_ESN,
		ERR_NO_PROPOSAL, 0 },
	{ "INTEG", "0000002801030403 11223344" GCM256 "030000080300000c" LAST_ESN, ERR_NO_PROPOSAL,
		0 },
	{ "no ESN", "0000002001030402 11223344" GCM256 "0000000805000000", ERR_NO_PROPOSAL, 0 },
	{ "ESN or not", "0000002801030403 11223344" GCM256 "0300000805000000" LAST_ESN,
		ERR_NO_PROPOSAL, 0 },
	{ "ESN missing", "0000001801030401 11223344 0000000c01000014800e0100", ERR_NO_PROPOSAL, 0 },
	{ "reserved SPI", "0000002001030402 000000ff" GCM256 LAST_ESN, ERR_NO_PROPOSAL, 0 },
	{ "SPI of 8 octets", "0000002401030802 1122334455667788" GCM256 LAST_ESN, ERR_NO_PROPOSAL,
		0 },
	{ "AH", "0000002001020402 11223344" GCM256 LAST_ESN, ERR_NO_PROPOSAL, 0 },
	{ "number 2", "0000002002030402 11223344" GCM256 LAST_ESN, ERR_IKE_PAYLOAD, 0 },
};
#define ESP_CASE_COUNT ((int)(sizeof(esp_cases) / sizeof(esp_cases[0])))

START_TEST(esp_proposals)
{
	const struct offer_case *test = &esp_cases[_i];
	struct body body = body_of(test->hex);
	uint32_t spi = 0;

	ck_assert_msg(ike_sa_esp_parse(view(&body), esp_suite_at(0), false, &spi) == test->expected,
		"%s", test->what);
	ck_assert_uint_eq(spi, test->expected == ERR_OK ? 0x11223344u : 0);
}
END_TEST

/* An answer holds one proposal, the chosen one, wherever ours would stand among several. */
START_TEST(esp_choices)
{
	struct body one = body_of(esp_cases[0].hex), two = body_of(esp_cases[1].hex);
	uint32_t spi = 0;

	ck_assert_int_eq(
		ike_sa_esp_parse(view(&two), esp_suite_at(0), true, &spi), ERR_NO_PROPOSAL);
	ck_assert_uint_eq(spi, 0);
	ck_assert_int_eq(ike_sa_esp_parse(view(&one), esp_suite_at(0), true, &spi), ERR_OK);
	ck_assert_uint_eq(spi, 0x11223344u);
}
END_TEST

START_TEST(esp_round_trip)
{
	struct body body;
	uint32_t spi;

	begin();
	ike_put_sa_esp(&b, esp_suite_at(0), 0xfffffffe);
	body = end();
	ck_assert_int_eq(ike_sa_esp_parse(view(&body), esp_suite_at(0), true, &spi), ERR_OK);
	ck_assert_uint_eq(spi, 0xfffffffe);
}
END_TEST

/* --- traffic selectors --- */

START_TEST(selectors_round_trip)
{
	static const uint8_t lengths[] = { 4, 16 };
	struct ike_selector selector, read;
	struct body body;
	size_t i, count;

	for (i = 0; i < sizeof(lengths); i++) {
		selector = (struct ike_selector){ .protocol = 6,
			.address_bytes = lengths[i],
			.first = { 192, 0, 2, 1 },
			.last = { 192, 0, 2, 1 },
			.first_port = 143,
			.last_port = 143 };
		begin();
		ike_put_ts(&b, IKE_PAYLOAD_TSI, &selector);
		body = end();
		ck_assert_int_eq(ike_ts_parse(view(&body), &read, &count), ERR_OK);
		ck_assert_uint_eq(count, 1);
		ck_assert(ike_selector_equal(&selector, &read));
		read.last[3]++;
		ck_assert(!ike_selector_equal(&selector, &read));
		read.last[3]--;
		read.last_port++;
		ck_assert(!ike_selector_equal(&selector, &read));
		read = selector;
		read.protocol = 17;
		ck_assert(!ike_selector_equal(&selector, &read));
	}
	selector.address_bytes = 5;
	begin();
	ike_put_ts(&b, IKE_PAYLOAD_TSI, &selector);
	ck_assert_int_eq(ike_builder_finish(&b, NULL, &count), ERR_INTERNAL);
}
END_TEST

/* None; none with addresses; fewer and more than counted; too long and too short for their
 * types; shorter than the header. */
START_TEST(selectors_malformed)
{
	static const char *const bodies[] = {
		"00000000",
		"01000000 09000004",
		"02000000 07060010 c000008f c0000201 c0000201",
		"01000000 07060010 c000008f c0000201 c0000201 09000004",
		"01000000 07060014 c000008f c0000201 c0000201 00000000",
		"01000000 08060010 c000008f c0000201 c0000201",
		"01000000 07060003 c000008f c0000201 c0000201",
	};
	size_t i;

	for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		struct body body = body_of(bodies[i]);

		ck_assert_msg(parse_ts(view(&body)) == ERR_IKE_PAYLOAD, "%s", bodies[i]);
	}
}
END_TEST

Suite *suite_ike_payload(void)
{
	Suite *suite = suite_create("ike_payload");
	TCase *tcase = tcase_create("payloads");

	tcase_add_loop_test(tcase, damaged, 0, PARSER_CASE_COUNT);
	tcase_add_test(tcase, bodies_round_trip);
	tcase_add_test(tcase, notify_with_spi);
	tcase_add_test(tcase, hash_lists);
	tcase_add_loop_test(tcase, offers, 0, OFFER_CASE_COUNT);
	tcase_add_test(tcase, offer_and_choice);
	tcase_add_loop_test(tcase, choices, 0, CHOICE_CASE_COUNT);
	tcase_add_loop_test(tcase, esp_proposals, 0, ESP_CASE_COUNT);
	tcase_add_test(tcase, esp_choices);
	tcase_add_test(tcase, esp_round_trip);
	tcase_add_test(tcase, selectors_round_trip);
	tcase_add_test(tcase, selectors_malformed);
	suite_add_tcase(suite, tcase);
	return suite;
}
