/* SPDX-License-Identifier: BSD-2-Clause */
/* What an attacker hears of connections whose sockets are gone. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
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

/* clang-format off */
const struct attack attacks_on_closed[] = {
	{ "time_wait",         time_wait },
	{ "beyond_the_covers", beyond_the_covers },
	{ "late_question",     late_question },
	{ NULL,                NULL },
};
/* clang-format on */
