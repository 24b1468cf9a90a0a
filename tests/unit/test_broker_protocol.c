/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's wire format: everything comes back as it was written, and nothing broken is
 * taken.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_protocol.h"
#include "tests/unit/suites.h"

#define KEY_NAME "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

static struct broker_request request_example(uint8_t type)
{
	struct broker_request request = { .type = type,
		.is_initiator = true,
		.suite = 1,
		.spi_out = 0xc0ffee01,
		.cookie = 0x0102030405060708,
		.token_bytes = 4711,
		.cursor = 99,
		.local_name = "alice@example.org",
		.peer_name = "imap/mail.example.org",
		.method = "Ed25519",
		.service = "imap",
		.peer_key = KEY_NAME };

	memset(request.secret, 0x5a, sizeof(request.secret));
	memset(request.key_in.data, 0x11, 36);
	memset(request.key_out.data, 0x22, 36);
	request.key_in.len = request.key_out.len = 36;
	return request;
}

static void lease_example(struct kbind_status *lease, bool is_ipv6)
{
	memset(lease, 0, sizeof(*lease));
	lease->cookie = 77;
	lease->tuple.family = is_ipv6 ? AF_INET6 : AF_INET;
	lease->tuple.protocol = IPPROTO_TCP;
	memset(lease->tuple.local, 10, is_ipv6 ? 16 : 4);
	memset(lease->tuple.remote, 11, is_ipv6 ? 16 : 4);
	lease->tuple.local_port = 40000;
	lease->tuple.remote_port = 143;
	lease->state = IPSEC_LATCH_STATE_ESTABLISHED;
	lease->is_initiator = true;
	lease->suite = 1;
	lease->spi_in = 0xaabbccdd;
	lease->spi_out = 0x11223344;
	lease->reqid = 0x40000001;
	lease->uid = 1000;
	lease->age_sec = 3600;
	lease->bytes_in = 1;
	lease->packets_in = 2;
	lease->bytes_out = 3;
	lease->packets_out = 4;
	strcpy(lease->local_name, "alice@example.org");
	memset(lease->peer_name, 'p', KBIND_NAME_BYTES_MAX);
	strcpy(lease->method, "Ed25519");
	strcpy(lease->service, "imap");
	lease->tuple.zone = 3;
	strcpy(lease->peer_key, KEY_NAME);
}

static void refusal_example(struct kbind_refusal *refusal, bool has_tuple)
{
	struct kbind_status lease;

	lease_example(&lease, true);
	refusal->age_sec = 12;
	refusal->uid = 1000;
	refusal->request = BROKER_LATCH;
	refusal->reason = IPSEC_LATCH_SHORT;
	refusal->has_tuple = has_tuple;
	refusal->tuple = lease.tuple;
}

static struct broker_reply *reply_example(size_t count)
{
	struct broker_reply *reply = calloc(1, sizeof(*reply));
	size_t i;

	ck_assert_ptr_nonnull(reply);
	memset(reply->secret, 0x33, sizeof(reply->secret));
	reply->cookie = 5;
	reply->spi_in = 6;
	reply->cursor = 7;
	reply->count = count;
	for (i = 0; i < BROKER_LIST_MAX; i++)
		lease_example(&reply->items[i], i % 2 == 1);
	for (i = 0; i < BROKER_LIST_MAX; i++)
		refusal_example(&reply->refusals[i], i % 2 == 1);
	return reply;
}

static struct writer request_written(const struct broker_request *request)
{
	struct writer w;

	writer_init(&w, BROKER_REQUEST_BYTES_MAX);
	ck_assert_int_eq(broker_request_write(request, &w), ERR_OK);
	return w;
}

static struct writer reply_written(uint8_t type, const struct broker_reply *reply)
{
	struct writer w;

	writer_init(&w, BROKER_REPLY_BYTES_MAX);
	ck_assert_int_eq(broker_reply_write(type, reply, &w), ERR_OK);
	return w;
}

START_TEST(test_request_round_trip)
{
	struct broker_request out = request_example((uint8_t)_i), in;
	struct writer w = request_written(&out), again;

	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	ck_assert_uint_eq(in.type, out.type);
	again = request_written(&in);
	ck_assert(bytes_equal(writer_view(&w), writer_view(&again)));
	writer_free(&again);
	writer_free(&w);
	broker_request_wipe(&in);
	ck_assert_uint_eq(in.type, 0);
	ck_assert_uint_eq(in.key_in.len, 0);
}
END_TEST

START_TEST(test_request_fields)
{
	struct broker_request out = request_example(BROKER_LATCH), in;
	struct writer w = request_written(&out);

	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	ck_assert_uint_eq(in.cookie, out.cookie);
	ck_assert_uint_eq(in.token_bytes, 4711);
	ck_assert_uint_eq(in.spi_out, out.spi_out);
	ck_assert(secret_equal(BYTES_OF(in.secret), BYTES_OF(out.secret)));
	ck_assert(secret_equal(secret_key_view(&in.key_out), secret_key_view(&out.key_out)));
	ck_assert_str_eq(in.local_name, out.local_name);
	ck_assert_str_eq(in.peer_name, out.peer_name);
	ck_assert_str_eq(in.method, out.method);
	ck_assert_str_eq(in.service, out.service);
	ck_assert_str_eq(in.peer_key, KEY_NAME);
	writer_free(&w);
	out.type = BROKER_RESERVE;
	w = request_written(&out);
	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	ck_assert(in.is_initiator);
	ck_assert_uint_eq(in.suite, 1);
	ck_assert_uint_eq(in.key_in.len, 36);
	ck_assert_uint_eq(in.key_out.len, 36);
	writer_free(&w);
}
END_TEST

START_TEST(test_request_cut)
{
	struct broker_request out = request_example((uint8_t)_i), in = { .type = 200 };
	struct writer w = request_written(&out);
	struct bytes whole = writer_view(&w);
	size_t len;

	for (len = 0; len < whole.len; len++) {
		/* A request of a client that does not tell the peer's key. */
		if (_i == BROKER_LATCH && len == whole.len - sizeof(KEY_NAME))
			continue;
		ck_assert_int_ne(broker_request_read(BYTES(whole.data, len), &in), ERR_OK);
		ck_assert_uint_eq(in.type, 200);
	}
	writer_free(&w);
}
END_TEST

/* Whatever is taken after a flip must be something that could have been written. */
START_TEST(test_request_flipped)
{
	struct broker_request out = request_example((uint8_t)_i), in;
	struct writer w = request_written(&out), again;
	size_t at, bit;

	for (at = 0; at < writer_len(&w); at++) {
		for (bit = 0; bit < 8; bit++) {
			*writer_at(&w, at, 1) ^= (uint8_t)(1u << bit);
			if (broker_request_read(writer_view(&w), &in) == ERR_OK) {
				again = request_written(&in);
				writer_free(&again);
			}
			*writer_at(&w, at, 1) ^= (uint8_t)(1u << bit);
		}
	}
	writer_free(&w);
}
END_TEST

START_TEST(test_request_later_fields)
{
	struct broker_request out = request_example((uint8_t)_i), in;
	struct writer w = request_written(&out);

	writer_put_u32(&w, 0xffffffff);
	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	writer_free(&w);
}
END_TEST

START_TEST(test_request_refused)
{
	static const uint8_t version[] = { 2, BROKER_PING }, none[] = { 1, 0 }, beyond[] = { 1, 8 };
	static const uint8_t flag[] = { 1, BROKER_RESERVE, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0 };
	static const uint8_t key[100] = { 1, BROKER_RESERVE, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
		SECRET_KEY_MAX + 1 };
	struct broker_request in = { .type = 0 };
	struct writer w;

	ck_assert_int_eq(broker_request_read(BYTES_OF(version), &in), ERR_UNSUPPORTED);
	ck_assert_int_eq(broker_request_read(BYTES_OF(none), &in), ERR_UNSUPPORTED);
	ck_assert_int_eq(broker_request_read(BYTES_OF(beyond), &in), ERR_UNSUPPORTED);
	ck_assert_int_eq(broker_request_read(BYTES_OF(flag), &in), ERR_ARGUMENT);
	ck_assert_int_eq(broker_request_read(BYTES_OF(key), &in), ERR_TOO_LARGE);
	ck_assert_int_eq(broker_request_read(BYTES_NONE, &in), ERR_TRUNCATED_INPUT);
	writer_init(&w, BROKER_REQUEST_BYTES_MAX);
	ck_assert_int_eq(broker_request_write(&in, &w), ERR_UNSUPPORTED);
	writer_free(&w);
}
END_TEST

START_TEST(test_names_printable)
{
	struct broker_request out = request_example(BROKER_LATCH), in;
	struct writer w;

	strcpy(out.peer_name, "a\x1b[2J\r\n\x7f\xc3\xa9 z");
	w = request_written(&out);
	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	ck_assert_str_eq(in.peer_name, "a?[2J????? z");
	writer_free(&w);
}
END_TEST

START_TEST(test_names_longest)
{
	struct broker_request out = request_example(BROKER_LATCH), in;
	struct writer w;

	memset(out.local_name, 'l', sizeof(out.local_name) - 1);
	memset(out.peer_name, 'p', sizeof(out.peer_name) - 1);
	memset(out.method, 'm', sizeof(out.method) - 1);
	memset(out.service, 's', sizeof(out.service) - 1);
	memset(out.peer_key, 'k', sizeof(out.peer_key) - 1);
	out.key_out.len = SECRET_KEY_MAX;
	w = request_written(&out);
	ck_assert_int_eq(broker_request_read(writer_view(&w), &in), ERR_OK);
	ck_assert_str_eq(in.local_name, out.local_name);
	ck_assert_str_eq(in.service, out.service);
	writer_free(&w);
}
END_TEST

START_TEST(test_reply_round_trip)
{
	struct broker_reply *out = reply_example(BROKER_LIST_MAX), *in = reply_example(0);
	struct writer w = reply_written((uint8_t)_i, out), again;

	ck_assert_int_eq(broker_reply_read((uint8_t)_i, writer_view(&w), in), ERR_OK);
	again = reply_written((uint8_t)_i, in);
	ck_assert(bytes_equal(writer_view(&w), writer_view(&again)));
	writer_free(&again);
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_list_fields)
{
	struct broker_reply *out = reply_example(3), *in = reply_example(0);
	struct writer w = reply_written(BROKER_LIST, out);
	const struct kbind_status *lease = &in->items[1];

	ck_assert_int_eq(broker_reply_read(BROKER_LIST, writer_view(&w), in), ERR_OK);
	ck_assert_uint_eq(in->cursor, 7);
	ck_assert_uint_eq(in->count, 3);
	ck_assert_uint_eq(lease->tuple.family, AF_INET6);
	ck_assert_uint_eq(lease->tuple.local_port, 40000);
	ck_assert_uint_eq(lease->tuple.remote[15], 11);
	ck_assert_uint_eq(lease->state, IPSEC_LATCH_STATE_ESTABLISHED);
	ck_assert_uint_eq(lease->reqid, 0x40000001);
	ck_assert_uint_eq(lease->uid, 1000);
	ck_assert_uint_eq(lease->age_sec, 3600);
	ck_assert_uint_eq(lease->packets_out, 4);
	ck_assert_uint_eq(strlen(lease->peer_name), KBIND_NAME_BYTES_MAX);
	ck_assert_str_eq(lease->service, "imap");
	ck_assert_uint_eq(lease->tuple.zone, 3);
	ck_assert_str_eq(lease->peer_key, KEY_NAME);
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_refusal_fields)
{
	struct broker_reply *out = reply_example(2), *in = reply_example(0);
	struct writer w = reply_written(BROKER_REFUSALS, out);

	in->refusals[1] = in->refusals[0] = (struct kbind_refusal){ 0 };
	ck_assert_int_eq(broker_reply_read(BROKER_REFUSALS, writer_view(&w), in), ERR_OK);
	ck_assert_uint_eq(in->cursor, 7);
	ck_assert_uint_eq(in->count, 2);
	ck_assert_uint_eq(in->refusals[0].age_sec, 12);
	ck_assert_uint_eq(in->refusals[0].uid, 1000);
	ck_assert(!in->refusals[0].has_tuple && in->refusals[1].has_tuple);
	ck_assert_uint_eq(in->refusals[1].request, BROKER_LATCH);
	ck_assert_uint_eq(in->refusals[1].reason, IPSEC_LATCH_SHORT);
	ck_assert_uint_eq(in->refusals[1].tuple.remote[15], 11);
	ck_assert_uint_eq(in->refusals[1].tuple.zone, 3);
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_cut)
{
	struct broker_reply *out = reply_example(2), *in = reply_example(0);
	struct writer w = reply_written((uint8_t)_i, out);
	struct bytes whole = writer_view(&w);
	size_t len;

	in->cookie = 1234;
	for (len = 0; len < whole.len; len++) {
		ck_assert_int_ne(
			broker_reply_read((uint8_t)_i, BYTES(whole.data, len), in), ERR_OK);
		ck_assert_uint_eq(in->cookie, 1234);
	}
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_flipped)
{
	struct broker_reply *out = reply_example(2), *in = reply_example(0);
	struct writer w = reply_written((uint8_t)_i, out), again;
	size_t at, bit;

	for (at = 0; at < writer_len(&w); at++) {
		for (bit = 0; bit < 8; bit++) {
			*writer_at(&w, at, 1) ^= (uint8_t)(1u << bit);
			if (broker_reply_read((uint8_t)_i, writer_view(&w), in) == ERR_OK) {
				again = reply_written((uint8_t)_i, in);
				writer_free(&again);
			}
			*writer_at(&w, at, 1) ^= (uint8_t)(1u << bit);
		}
	}
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_reason)
{
	struct broker_reply *out = reply_example(1), *in = reply_example(0);
	struct writer w;

	out->reason = IPSEC_LATCH_QUOTA;
	w = reply_written((uint8_t)_i, out);
	ck_assert_uint_eq(writer_len(&w), 2);
	ck_assert_int_eq(broker_reply_read((uint8_t)_i, writer_view(&w), in), ERR_OK);
	ck_assert_uint_eq(in->reason, IPSEC_LATCH_QUOTA);
	ck_assert_uint_eq(in->count, 0);
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

START_TEST(test_reply_refused)
{
	static const uint8_t version[] = { 2, 0 }, ping[] = { 1, 0 };
	static const uint8_t count[] = { 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, BROKER_LIST_MAX + 1 };
	struct broker_reply *in = reply_example(BROKER_LIST_MAX + 1);
	struct writer w;

	ck_assert_int_eq(broker_reply_read(BROKER_PING, BYTES_OF(version), in), ERR_UNSUPPORTED);
	ck_assert_int_eq(broker_reply_read(0, BYTES_OF(ping), in), ERR_UNSUPPORTED);
	ck_assert_int_eq(broker_reply_read(BROKER_LIST, BYTES_OF(count), in), ERR_TOO_LARGE);
	writer_init(&w, BROKER_REPLY_BYTES_MAX);
	ck_assert_int_eq(broker_reply_write(BROKER_LIST, in, &w), ERR_TOO_LARGE);
	writer_free(&w);
	writer_init(&w, BROKER_REPLY_BYTES_MAX);
	ck_assert_int_eq(broker_reply_read(BROKER_REFUSALS, BYTES_OF(count), in), ERR_TOO_LARGE);
	ck_assert_int_eq(broker_reply_write(BROKER_REFUSALS, in, &w), ERR_TOO_LARGE);
	ck_assert_int_eq(broker_reply_write(99, in, &w), ERR_UNSUPPORTED);
	writer_free(&w);
	free(in);
}
END_TEST

/* A lease of a later version is longer: what is known of it is read. */
START_TEST(test_lease_later_fields)
{
	struct broker_reply *out = reply_example(1), *in = reply_example(0);
	struct writer w = reply_written(BROKER_QUERY, out);
	uint8_t *length = writer_at(&w, 2, 2);

	length[1] = (uint8_t)(length[1] + 2);
	writer_put_u16(&w, 0xffff);
	ck_assert_int_eq(broker_reply_read(BROKER_QUERY, writer_view(&w), in), ERR_OK);
	ck_assert_uint_eq(in->count, 1);
	ck_assert_str_eq(in->items[0].service, "imap");
	writer_free(&w);
	free(in);
	free(out);
}
END_TEST

Suite *suite_broker_protocol(void)
{
	Suite *suite = suite_create("broker_protocol");
	TCase *requests = tcase_create("requests"), *replies = tcase_create("replies");

	tcase_add_loop_test(requests, test_request_round_trip, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_test(requests, test_request_fields);
	tcase_add_loop_test(requests, test_request_cut, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_loop_test(requests, test_request_flipped, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_loop_test(
		requests, test_request_later_fields, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_test(requests, test_request_refused);
	tcase_add_test(requests, test_names_printable);
	tcase_add_test(requests, test_names_longest);
	suite_add_tcase(suite, requests);
	tcase_add_loop_test(replies, test_reply_round_trip, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_test(replies, test_reply_list_fields);
	tcase_add_test(replies, test_reply_refusal_fields);
	tcase_add_loop_test(replies, test_reply_cut, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_loop_test(replies, test_reply_flipped, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_loop_test(replies, test_reply_reason, BROKER_RESERVE, BROKER_REFUSALS + 1);
	tcase_add_test(replies, test_reply_refused);
	tcase_add_test(replies, test_lease_later_fields);
	suite_add_tcase(suite, replies);
	return suite;
}
