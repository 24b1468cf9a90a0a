/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks (e) and (f): nothing out of order, no urgent mark.  Segments out of order are real ones,
 * injected through a raw socket into a connection of our own; that takes root.
 */
#include <check.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "kernel-bind/client.h"
#include "tests/unit/loopback.h"
#include "tests/unit/suites.h"

#define REPAIR_LEAVE (-1) /* without a window probe */
#define SEGMENT_FLAG_ACK 0x10

static bool queue_sequence(int fd, int queue, uint32_t *ret_sequence)
{
	socklen_t len = sizeof(*ret_sequence);

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) == 0 &&
	       getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, ret_sequence, &len) == 0;
}

/* The next sequence numbers of both directions; false without privilege. */
static bool sequences_read(int fd, uint32_t *ret_send, uint32_t *ret_receive)
{
	const int enter = 1, leave = REPAIR_LEAVE;

	if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &enter, sizeof(enter)) != 0)
		return false;
	ck_assert(queue_sequence(fd, TCP_SEND_QUEUE, ret_send));
	ck_assert(queue_sequence(fd, TCP_RECV_QUEUE, ret_receive));
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &leave, sizeof(leave)), 0);
	return true;
}

static uint16_t checksum(struct bytes segment, struct sockaddr_in from, struct sockaddr_in to)
{
	uint64_t sum = (uint64_t)ntohl(from.sin_addr.s_addr) + ntohl(to.sin_addr.s_addr) +
		       IPPROTO_TCP + segment.len;
	struct reader r;

	ck_assert_uint_eq(segment.len % 2, 0);
	reader_init(&r, segment);
	while (reader_left(&r) > 0)
		sum += reader_get_u16(&r);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Sends len octets that stand ahead octets behind the next one from client to server. */
static bool inject(struct loopback pair, uint32_t ahead, size_t len)
{
	struct sockaddr_in from = loopback_address(pair.client);
	struct sockaddr_in to = loopback_address(pair.server);
	uint32_t send_next, receive_next;
	struct writer w;
	uint16_t sum;
	int raw;

	if (!sequences_read(pair.client, &send_next, &receive_next))
		return false;
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (raw < 0)
		return false;
	writer_init(&w, 2048);
	writer_put_u16(&w, ntohs(from.sin_port));
	writer_put_u16(&w, ntohs(to.sin_port));
	writer_put_u32(&w, send_next + ahead);
	writer_put_u32(&w, receive_next);
	writer_put_u16(&w, 5 << 12 | SEGMENT_FLAG_ACK);
	writer_put_u16(&w, 512);
	writer_put_u32(&w, 0); /* checksum, urgent pointer */
	(void)writer_put_zeros(&w, len);
	sum = checksum(writer_view(&w), from, to);
	writer_at(&w, 16, 2)[0] = (uint8_t)(sum >> 8);
	writer_at(&w, 16, 2)[1] = (uint8_t)sum;
	to.sin_port = 0;
	ck_assert_int_eq(sendto(raw, writer_view(&w).data, writer_len(&w), 0,
				 (struct sockaddr *)&to, sizeof(to)),
		(ssize_t)writer_len(&w));
	writer_free(&w);
	close(raw);
	return true;
}

static void expect_arrival(int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&waiting, 1, 2000), 1);
}

START_TEST(test_quiet)
{
	struct loopback pair = loopback_open();
	uint32_t known = 0;
	int64_t begin = kbind_clock_ms();

	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(send(pair.client, "unread", 6, 0), 6);
	expect_arrival(pair.server);
	/* Bytes in order that nobody has read yet are no reason to wait. */
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert_int_lt(kbind_clock_ms() - begin, KBIND_PENDING_WAIT_MS);
	loopback_close(pair);
}
END_TEST

START_TEST(test_out_of_order)
{
	struct loopback pair = loopback_open();
	char buffer[256];
	uint32_t known = 0;
	int64_t begin;

	if (!inject(pair, 100, 10)) {
		printf("SKIPPED: segments out of order take root\n");
		loopback_close(pair);
		return;
	}
	begin = kbind_clock_ms();
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_PENDING);
	ck_assert_int_ge(kbind_clock_ms() - begin, KBIND_PENDING_WAIT_MS);
	ck_assert_uint_eq(known, 0);
	/* The gap closes: everything is in order, but some of it is unread, which looks alike. */
	memset(buffer, 'x', sizeof(buffer));
	ck_assert_int_eq(send(pair.client, buffer, 100, 0), 100);
	expect_arrival(pair.server);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_PENDING);
	ck_assert_int_eq(recv(pair.server, buffer, sizeof(buffer), 0), 110);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(known, 1);
	loopback_close(pair);
}
END_TEST

START_TEST(test_known_packets)
{
	struct loopback pair = loopback_open();
	char buffer[256] = { 0 };
	uint32_t known = 0;

	/* Octets ahead of the stream that the stream itself then overtakes. */
	if (!inject(pair, 2, 2)) {
		printf("SKIPPED: segments out of order take root\n");
		loopback_close(pair);
		return;
	}
	ck_assert_int_eq(send(pair.client, buffer, 4, 0), 4);
	expect_arrival(pair.server);
	ck_assert_int_eq(recv(pair.server, buffer, sizeof(buffer), 0), 4);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(known, 1);
	/* From then on unread bytes can be told from bytes out of order. */
	ck_assert_int_eq(send(pair.client, buffer, 7, 0), 7);
	expect_arrival(pair.server);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert(inject(pair, 100, 2));
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_PENDING);
	loopback_close(pair);
}
END_TEST

static int inline_get(int fd)
{
	int value = -1;
	socklen_t len = sizeof(value);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &value, &len), 0);
	return value;
}

START_TEST(test_urgent)
{
	struct loopback pair = loopback_open();
	struct pollfd waiting = { .fd = pair.server, .events = POLLPRI };
	const int is_inline = _i;
	uint32_t known = 0;

	ck_assert_int_eq(
		setsockopt(pair.server, SOL_SOCKET, SO_OOBINLINE, &is_inline, sizeof(is_inline)),
		0);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(inline_get(pair.server), is_inline);
	ck_assert_int_eq(send(pair.client, "abc!", 4, MSG_OOB), 4);
	ck_assert_int_eq(poll(&waiting, 1, 2000), 1);
	ck_assert_int_eq(kbind_check_stream(pair.server, &known), IPSEC_LATCH_URGENT);
	ck_assert_int_eq(inline_get(pair.server), is_inline);
	loopback_close(pair);
}
END_TEST

START_TEST(test_gone)
{
	struct loopback pair = loopback_open();
	uint32_t known = 0;
	int listener = loopback_bound(SOCK_STREAM);

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(kbind_check_stream(listener, &known), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_int_eq(kbind_check_stream(STDERR_FILENO, &known), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_int_eq(kbind_check_stream(-1, &known), IPSEC_LATCH_SOCKET_GONE);
	close(listener);
	loopback_close(pair);
}
END_TEST

Suite *suite_verdict(void)
{
	Suite *suite = suite_create("verdict");
	TCase *pending = tcase_create("pending"), *urgent = tcase_create("urgent");

	tcase_add_test(pending, test_quiet);
	tcase_add_test(pending, test_out_of_order);
	tcase_add_test(pending, test_known_packets);
	suite_add_tcase(suite, pending);
	tcase_add_loop_test(urgent, test_urgent, 0, 2);
	tcase_add_test(urgent, test_gone);
	suite_add_tcase(suite, urgent);
	return suite;
}
