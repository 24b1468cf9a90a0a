/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client half against a broker made for the test, in a child process: what arrives there, and what
 * becomes of its answers.
 */
#include <errno.h>

#include "tests/unit/client_broker.h"
#include "tests/unit/suites.h"

static struct kbind_lease lease;

/* --- the broker's side --- */

static struct broker_reply answer;

static void say(int connection)
{
	struct writer w;

	writer_init(&w, BROKER_REPLY_BYTES_MAX);
	require(broker_reply_write(answer_type, &answer, &w) == ERR_OK);
	require(send(connection, writer_view(&w).data, writer_len(&w), 0) ==
		(ssize_t)writer_len(&w));
	writer_free(&w);
}

static void serve_answer(int connection)
{
	int fd = hear(connection);

	answer_type = heard.type;
	if (fd >= 0) {
		/* Without a cookie: any socket, to show the network namespace. */
		require(heard.type == BROKER_QUERY || heard.type == BROKER_LIST ||
			heard.type == BROKER_PING || heard.type == BROKER_REFUSALS ||
			heard.cookie == loopback_cookie(fd));
		close(fd);
	}
	say(connection);
}

/* A crowd: hangs up before the request comes, then on one that is there and not read. */
static void serve_crowd(int connection)
{
	close(connection);
	connection = accept(listener_of_broker, NULL, NULL);
	require(recv(connection, &answer_type, 1, MSG_PEEK) == 1);
	close(connection);
	serve_answer(accept(listener_of_broker, NULL, NULL));
}

static void serve_reserve(int connection)
{
	static const uint8_t key[36] = { 1, 2, 3 };
	int fd = hear(connection);

	require(fd >= 0 && heard.type == BROKER_RESERVE);
	require(heard.cookie == candidate.cookie && loopback_cookie(fd) == heard.cookie);
	require(heard.is_initiator && heard.suite == 1 && heard.spi_out == 0x1234);
	require(heard.key_in.len == sizeof(key) && heard.key_out.len == sizeof(key));
	require(memcmp(heard.key_out.data, key, sizeof(key)) == 0);
	answer.cookie = heard.cookie;
	answer.spi_in = 0x5678;
	memset(answer.secret, 0x77, sizeof(answer.secret));
	answer_type = BROKER_RESERVE;
	say(connection);
}

static void serve_release(int connection)
{
	int fd = hear(connection);

	require(fd >= 0 && heard.type == BROKER_RELEASE && heard.secret[0] == 0x77);
	answer_type = BROKER_RELEASE;
	say(connection);
}

/* Something urgent comes in before the recorder can see it, behind the client's first look. */
static void serve_reserve_late(int connection)
{
	uint8_t octet;
	int fd = hear(connection), tries = 0;

	require(fd >= 0 && heard.type == BROKER_RESERVE);
	require(send(late_sender, "!", 1, MSG_OOB) == 1);
	while (recv(fd, &octet, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) != 1 && tries++ < 2000)
		usleep(1000);
	memset(answer.secret, 0x77, sizeof(answer.secret));
	answer_type = BROKER_RESERVE;
	say(connection);
	connection = accept(listener_of_broker, NULL, NULL);
	require(connection >= 0);
	serve_release(connection);
}

static void serve_latch(int connection)
{
	int fd = hear(connection);

	require(fd >= 0 && heard.type == BROKER_LATCH && heard.cookie == candidate.cookie);
	require(heard.secret[0] == 0x77 && heard.token_bytes == 900 && heard.key_in.len == 0);
	require(strcmp(heard.peer_name, "host/example.org") == 0 && heard.service[0] == '\0');
	answer_type = BROKER_LATCH;
	say(connection);
}

/* --- the program's side --- */

static void set_up(void)
{
	client_set_up();
	memset(&lease, 0, sizeof(lease));
	memset(&answer, 0, sizeof(answer));
}

static void hold_lease(void)
{
	lease = (struct kbind_lease){ .cookie = candidate.cookie, .is_held = true };
	memset(lease.secret, 0x77, sizeof(lease.secret));
}

START_TEST(test_reserve)
{
	struct secret_key key = { .data = { 1, 2, 3 }, .len = 36 };
	struct kbind_reserve reserve = {
		.is_initiator = true, .suite = 1, .key_in = &key, .key_out = &key, .spi_out = 0x1234
	};

	broker_start(serve_reserve);
	ck_assert_int_eq(kbind_reserve(path, &candidate, &reserve, &lease), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert(lease.is_held);
	ck_assert_uint_eq(lease.spi_in, 0x5678);
	ck_assert_uint_eq(lease.cookie, candidate.cookie);
	ck_assert_uint_eq(lease.secret[15], 0x77);
	kbind_forget(&lease);
	ck_assert(!lease.is_held);
	ck_assert_uint_eq(lease.secret[15], 0);
}
END_TEST

START_TEST(test_reserve_refused)
{
	struct secret_key key = { .len = 36 };
	struct kbind_reserve reserve = { .suite = 1, .key_in = &key };

	answer.reason = IPSEC_LATCH_QUOTA;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_reserve(path, &candidate, &reserve, &lease), IPSEC_LATCH_QUOTA);
	broker_finish(0);
	ck_assert(!lease.is_held);
}
END_TEST

/* A socket that is another one by now never gets to the broker. */
START_TEST(test_reserve_gone)
{
	struct kbind_reserve reserve = { .suite = 1 };

	candidate.cookie++;
	ck_assert_int_eq(
		kbind_reserve(path, &candidate, &reserve, &lease), IPSEC_LATCH_SOCKET_GONE);
}
END_TEST

START_TEST(test_reserve_urgent)
{
	struct kbind_reserve reserve = { .suite = 1 };
	int i;

	ck_assert_int_eq(send(pair.server, "!", 1, MSG_OOB), 1);
	for (i = 0; i < 2000; i++) {
		if (kbind_reserve(path, &candidate, &reserve, &lease) == IPSEC_LATCH_URGENT)
			return;
		usleep(1000);
	}
	ck_abort_msg("the urgent mark was not seen");
}
END_TEST

START_TEST(test_reserve_late)
{
	struct kbind_reserve reserve = { .suite = 1 };

	broker_start(serve_reserve_late);
	ck_assert_int_eq(kbind_reserve(path, &candidate, &reserve, &lease), IPSEC_LATCH_URGENT);
	broker_finish(0);
	ck_assert(!lease.is_held);
}
END_TEST

START_TEST(test_latch)
{
	struct kbind_latch latch = { .token_bytes = 900, .peer_name = "host/example.org" };

	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_NOT_ALLOWED);
	hold_lease();
	broker_start(serve_latch);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert(lease.is_held);
}
END_TEST

START_TEST(test_latch_broker_lost)
{
	struct kbind_latch latch = { .token_bytes = 900 };

	hold_lease();
	broker_start(serve_hang_up);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_BROKER_LOST);
	broker_finish(0);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_BROKER_LOST);
}
END_TEST

START_TEST(test_latch_refused)
{
	struct kbind_latch latch = { .token_bytes = 900 };

	hold_lease();
	answer.reason = IPSEC_LATCH_CLEAR_BEHIND;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_CLEAR_BEHIND);
	broker_finish(0);
}
END_TEST

START_TEST(test_release)
{
	hold_lease();
	broker_start(serve_release);
	kbind_release(path, &candidate, &lease);
	broker_finish(0);
	ck_assert(!lease.is_held);
	ck_assert_uint_eq(lease.secret[0], 0);
	kbind_release(path, &candidate, &lease); /* nothing held: nobody is asked */
	hold_lease();
	kbind_release(path, &candidate, &lease); /* no broker: no failure */
	ck_assert(!lease.is_held);
}
END_TEST

START_TEST(test_query)
{
	struct kbind_status status;

	answer.items[0].tuple.family = AF_INET;
	answer.items[0].spi_in = 42;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_query(path, pair.server, &status), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert_uint_eq(status.spi_in, 42);
	ck_assert_int_eq(kbind_query(path, STDERR_FILENO, &status), IPSEC_LATCH_NOT_TCP);
	ck_assert_int_eq(kbind_query(path, 9999, &status), IPSEC_LATCH_SOCKET_GONE);
}
END_TEST

/* The lease of a connection that was seen before; one that is another by now is not asked for. */
START_TEST(test_query_settled)
{
	struct kbind_status status = { .state = 77 };

	answer.items[0].tuple.family = AF_INET;
	answer.items[0].cookie = candidate.cookie;
	answer.items[0].state = IPSEC_LATCH_STATE_ESTABLISHED;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_query_settled(path, &candidate, 1000, &status), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert_uint_eq(status.state, IPSEC_LATCH_STATE_ESTABLISHED);
	answer.items[0].state = IPSEC_LATCH_STATE_LARVAL;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_query_settled(path, &candidate, 0, &status), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert_uint_eq(status.state, IPSEC_LATCH_STATE_LARVAL);
	answer.items[0].cookie++;
	broker_start(serve_answer);
	ck_assert_int_eq(
		kbind_query_settled(path, &candidate, 1000, &status), IPSEC_LATCH_SOCKET_GONE);
	broker_finish(0);
}
END_TEST

START_TEST(test_list)
{
	struct kbind_status items[BROKER_LIST_MAX];
	struct kbind_refusal refusals[BROKER_LIST_MAX];
	uint64_t cursor = 3;
	size_t count = 55;

	answer.count = 2;
	answer.refusals[1].uid = 34;
	answer.cursor = 17;
	answer.items[0].tuple.family = answer.items[1].tuple.family = AF_INET6;
	answer.items[1].uid = 33;
	broker_start(serve_answer);
	ck_assert_int_eq(
		kbind_list(path, &cursor, items, BROKER_LIST_MAX, &count), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	ck_assert_uint_eq(cursor, 17);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(items[1].uid, 33);
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_list(path, &cursor, items, 1, &count), IPSEC_LATCH_TOO_MANY);
	broker_finish(0);
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_refusals(path, &cursor, refusals, BROKER_LIST_MAX, &count), 0);
	broker_finish(0);
	ck_assert_uint_eq(refusals[1].uid, 34);
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_refusals(path, &cursor, refusals, 1, &count), IPSEC_LATCH_TOO_MANY);
	broker_finish(0);
}
END_TEST

START_TEST(test_ping)
{
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_LATCHED);
	broker_finish(0);
	answer.reason = IPSEC_LATCH_NO_ESP;
	broker_start(serve_answer);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_ESP);
	broker_finish(0);
	broker_start(serve_crowd);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_ESP);
	broker_finish(0);
}
END_TEST

Suite *suite_client(void)
{
	Suite *suite = suite_create("client");
	TCase *requests = tcase_create("requests");

	tcase_add_checked_fixture(requests, set_up, client_tear_down);
	tcase_add_test(requests, test_reserve);
	tcase_add_test(requests, test_reserve_refused);
	tcase_add_test(requests, test_reserve_gone);
	tcase_add_test(requests, test_reserve_urgent);
	tcase_add_test(requests, test_reserve_late);
	tcase_add_test(requests, test_latch);
	tcase_add_test(requests, test_latch_broker_lost);
	tcase_add_test(requests, test_latch_refused);
	tcase_add_test(requests, test_release);
	tcase_add_test(requests, test_query);
	tcase_add_test(requests, test_query_settled);
	tcase_add_test(requests, test_list);
	tcase_add_test(requests, test_ping);
	suite_add_tcase(suite, requests);
	return suite;
}
