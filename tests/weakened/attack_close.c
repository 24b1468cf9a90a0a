/* SPDX-License-Identifier: BSD-2-Clause */
/* What an attacker hears of connections whose sockets are gone. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/weakened/attack.h"

/* Both brokers anew, with these options. */
static void brokers_start(const char *option, const char *value)
{
	probe_daemon_options[0] = option;
	probe_daemon_options[1] = value;
	for (size_t i = 0; i < 2; i++) {
		probe_broker_stop(&probe_hosts[i], SIGTERM);
		probe_broker_start(&probe_hosts[i]);
	}
	probe_daemon_options[0] = probe_daemon_options[1] = NULL;
}

/* The initiator closes first, so that TIME_WAIT is his. */
static void close_in_turn(struct end ends[2])
{
	for (size_t i = 0; i < 2; i++) {
		(void)close(ends[i].fd);
		ends[i].fd = -1;
		probe_pause_ms(200);
	}
}

/* Whether a clear segment to the initiator, far from all numbers, is answered in the clear. */
static bool is_answered(struct end ends[2])
{
	const struct probe_segment segment = { .text = "", .flags = TH_ACK };
	struct probe_wire_count count = { 0 };
	int wire = probe_wire_open(&probe_hosts[0]);

	if (!probe_segment_send(&ends[1], &segment))
		return false;
	probe_pause_ms(200);
	probe_wire_count(wire, ends[0].candidate.tuple.local_port, &count);
	(void)close(wire);
	return count.clear > 0;
}

/* A cover that ends with the broker's closing time, while TIME_WAIT goes on. */
static enum attack_outcome time_wait(struct end ends[2])
{
	bool is_heard;

	brokers_start("--linger-least", "1");
	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	close_in_turn(ends);
	probe_pause_ms(3000);
	is_heard = is_answered(ends);
	brokers_start(NULL, NULL);
	return attack_judge(is_heard, IPSEC_LATCH_LATCHED);
}

/* More latches than covers: what a closed one leaves bears a mark. */
static enum attack_outcome beyond_the_covers(struct end ends[2])
{
	bool is_heard;

	brokers_start("--cover-max", "0");
	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	close_in_turn(ends);
	is_heard = is_answered(ends);
	brokers_start(NULL, NULL);
	return attack_judge(is_heard, IPSEC_LATCH_LATCHED);
}

static bool keepalive_set(int fd)
{
	const int on = 1, second = 1;

	return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0 &&
	       setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof(second)) == 0 &&
	       setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &second, sizeof(second)) == 0;
}

/* While the initiator's lease ends, the acceptor's program goes on: each second it is asked in ESP
 * whether anybody is still there. */
static enum attack_outcome late_question(struct end ends[2])
{
	struct probe_wire_count count = { 0 };
	int wire;

	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES) || !keepalive_set(ends[1].fd))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	wire = probe_wire_open(&probe_hosts[0]);
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	probe_pause_ms(5500);
	probe_wire_count(wire, ends[0].candidate.tuple.local_port, &count);
	(void)close(wire);
	return attack_judge(count.clear > 0, IPSEC_LATCH_LATCHED);
}

/* --- the same addresses and ports again --- */

#define AGAIN_SERVER 4748
static uint16_t again_client = 24000; /* another one for each attack */

static int socket_bound(const struct host *host, uint16_t port, const char *device)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	const int on = 1;
	int fd;

	probe_namespace_enter(host);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(device == NULL || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device,
					   (socklen_t)strlen(device)) == 0) &&
		bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool again_open(struct end ends[2], const char *device)
{
	const struct timeval patience = { .tv_sec = 5 };
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(AGAIN_SERVER) };
	int listener = socket_bound(&probe_hosts[1], AGAIN_SERVER, NULL);

	ends[0] = (struct end){ .host = &probe_hosts[0] };
	ends[1] = (struct end){ .host = &probe_hosts[1], .fd = -1 };
	ends[0].fd = socket_bound(&probe_hosts[0], again_client, device);
	if (inet_pton(AF_INET, probe_hosts[1].address, &server.sin_addr) == 1 &&
		listen(listener, 1) == 0 &&
		setsockopt(ends[0].fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
		connect(ends[0].fd, (struct sockaddr *)&server, sizeof(server)) == 0)
		ends[1].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	(void)close(listener);
	return ends[1].fd >= 0 && probe_pair_prepare(ends);
}

static void reset(struct end ends[2])
{
	const struct linger now = { .l_onoff = 1, .l_linger = 0 };

	(void)setsockopt(ends[0].fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	probe_pair_close(ends);
	probe_pause_ms(200);
}

/* The second connection of these ports, which the acceptor has reserved; T1 is not forged. */
static bool again_prepare(struct end ends[2])
{
	probe_pair_close(ends);
	again_client++;
	if (!again_open(ends, NULL) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return false;
	probe_pause_ms(100);
	reset(ends);
	return again_open(ends, NULL) && probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) &&
	       probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_LATCHED;
}

/* In sequence, while the cover of the connection before yields. */
static enum attack_outcome again_reserved(struct end ends[2])
{
	char text[64];

	if (!again_prepare(ends) || !probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strstr(text, ATTACK_TEXT) != NULL, IPSEC_LATCH_LATCHED);
}

static enum attack_outcome again_reset(struct end ends[2])
{
	struct probe_segment segment = { .text = "", .flags = TH_RST | TH_ACK };
	struct probe_position position;
	char octet;

	if (!again_prepare(ends) || !probe_position_read(&ends[0], &position))
		return ATTACK_IMPOSSIBLE;
	segment.sequence = position.sent;
	segment.acknowledged = position.received;
	if (!probe_segment_send(&ends[0], &segment))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200);
	return attack_judge(
		recv(ends[1].fd, &octet, sizeof(octet), MSG_DONTWAIT) < 0 && errno == ECONNRESET,
		IPSEC_LATCH_LATCHED);
}

/*
 * What a socket that was bound to a device leaves stands beside another socket with the same tuple.  Where
 * that one's latch takes the cover over, and gets the second form itself, nothing covers the remnant.
 */
static enum attack_outcome again_device(struct end ends[2])
{
	struct end bound[2] = { { .fd = -1 }, { .fd = -1 } },
		   other[2] = { { .fd = -1 }, { .fd = -1 } };
	enum attack_outcome outcome = ATTACK_IMPOSSIBLE;

	probe_pair_close(ends);
	again_client++;
	/* Of what was before, nothing shall have a cover. */
	brokers_start("--linger-seconds", "1");
	probe_pause_ms(2000);
	brokers_start("--cover-max", "1");
	if (!again_open(bound, "veth-a") || !probe_pair_latch(bound, PROBE_TOKEN_BYTES))
		goto out;
	probe_pause_ms(100);
	close_in_turn(bound);
	if (!again_open(ends, NULL))
		goto out;
	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES)) {
		outcome = attack_judge(is_answered(bound), IPSEC_LATCH_COVERED);
		goto out;
	}
	/* This one has the first form: there is no room for another cover now. */
	if (!probe_pair_open_veth(other) || !probe_pair_latch(other, PROBE_TOKEN_BYTES))
		goto out;
	reset(ends);
	outcome = attack_judge(is_answered(bound), IPSEC_LATCH_LATCHED);
out:
	probe_pair_close(other);
	brokers_start(NULL, NULL);
	return outcome;
}

/* clang-format off */
const struct attack attacks_on_closed[] = {
	{ "time_wait",         time_wait },
	{ "beyond_the_covers", beyond_the_covers },
	{ "late_question",     late_question },
	{ "again_reserved",    again_reserved },
	{ "again_reset",       again_reset },
	{ "again_device",      again_device },
	{ NULL,                NULL },
};
/* clang-format on */
