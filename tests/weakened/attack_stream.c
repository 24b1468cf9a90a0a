/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks on what the acceptor reads: segments in the clear that change what TCP delivers after the
 * latch is closed (queue, order, FIN, urgent pointer), from somebody who sees the sequence numbers.
 */
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/weakened/attack.h"

#define REQUEST "amount=1000;"
#define REQUEST_CHANGED "amount=100;" /* without its last zero */
#define LAST_ZERO 11		      /* the urgent pointer for it, behind what was sent before */

#define READ_AHEAD_BYTES (20u << 20) /* more than buffer, slack and a stretch of the recorder's */

#define HELD_NUMBER 20 /* of an ESP packet that its sender has not come to in truth */
#define FAR_STEP (32u << 20)

/* An empty segment, so much behind what this end has sent. */
static bool inject(const struct end *from, uint32_t offset, uint8_t flags, uint16_t urgent)
{
	struct probe_segment segment = { .text = "", .flags = TH_ACK | flags, .urgent = urgent };
	struct probe_position position;

	if (!probe_position_read(from, &position))
		return false;
	segment.sequence = position.sent + offset;
	segment.acknowledged = position.received;
	return probe_segment_send(from, &segment);
}

static bool inject_urgent(const struct end *from, uint16_t pointer)
{
	return inject(from, 0, TH_URG, pointer);
}

static bool inject_fin(const struct end *from, uint32_t offset)
{
	return inject(from, offset, TH_FIN, 0);
}

/* Closes the acceptor's latch; success: it holds and the attacker's octets are read. */
static enum attack_outcome injected_is_read(struct end ends[2], uint64_t token_bytes)
{
	enum ipsec_latch_reason reason = attack_close(ends, token_bytes);
	char text[64];

	if (reason != IPSEC_LATCH_LATCHED)
		return attack_judge(false, reason);
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, ATTACK_TEXT) == 0, reason);
}

static void marks_set(uint32_t mark)
{
	probe_shell(
		"modprobe -a sch_ingress cls_matchall act_skbedit; "
		"tc -n probe-b qdisc add dev veth-b clsact; tc -n probe-b filter add dev veth-b "
		"ingress matchall action skbedit mark %u",
		mark);
}

/* The acceptor's host puts the association's mark on whatever comes in. */
static enum attack_outcome marked_clear(struct end ends[2])
{
	struct kbind_status *status = calloc(1, sizeof(*status));
	enum attack_outcome outcome = ATTACK_IMPOSSIBLE;

	if (status != NULL && attack_prepare(ends) &&
		kbind_query(ends[1].host->socket_path, ends[1].fd, status) == 0) {
		marks_set(status->reqid);
		outcome = probe_inject(&ends[0], ATTACK_TEXT, 0)
				  ? injected_is_read(ends, PROBE_TOKEN_BYTES)
				  : ATTACK_IMPOSSIBLE;
		probe_shell("tc -n probe-b qdisc delete dev veth-b clsact");
	}
	free(status);
	return outcome;
}

/* Right behind T3, in order. */
static enum attack_outcome behind_t3(struct end ends[2])
{
	if (!attack_prepare(ends) || !probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

/* The same, and two segments that TCP refuses lead a running maximum round to where it was. */
static enum attack_outcome walked_round(struct end ends[2])
{
	if (!attack_prepare(ends) || !probe_inject(&ends[0], ATTACK_TEXT, 0) ||
		!probe_inject(&ends[0], "x", 0x7fffffff) ||
		!probe_inject(&ends[0], "x", 0u - PROBE_TOKEN_BYTES - 100))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

/* Behind so much, read before the token is handed over, that it is far from where ESP began. */
static enum attack_outcome behind_what_was_read(struct end ends[2])
{
	if (!attack_prepare(ends) || !probe_transfer(&ends[0], &ends[1], READ_AHEAD_BYTES) ||
		!probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

/*
 * Behind as much that came in the clear before there was a recorder, while its sender was kept from
 * seeing acknowledgements: it sends that again, in ESP, before T3.
 */
static enum attack_outcome behind_what_came_again(struct end ends[2])
{
	struct probe_segment first = { .text = "again", .flags = TH_ACK };
	struct probe_position position;

	if (!probe_position_read(&ends[0], &position) ||
		!probe_transfer(&ends[0], &ends[1], READ_AHEAD_BYTES) || !probe_pair_reserve(ends))
		return ATTACK_IMPOSSIBLE;
	first.sequence = position.sent;
	first.acknowledged = position.received;
	if (!attack_esp_send(ends, &first, HELD_NUMBER) ||
		!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		!probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

/*
 * Behind T3, after which the initiator sent gigabytes that were held up, but for two segments, so far
 * behind T3's first octet: TCP refuses them, but they lead the highest number under the mark round, and
 * the lowest behind T3.
 */
static enum attack_outcome walked_by(struct end ends[2], uint32_t first, uint32_t second)
{
	struct probe_segment segment = { .text = "twenty octets of it.", .flags = TH_ACK };
	struct probe_position position;

	if (!attack_prepare(ends))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200); /* T3 is acknowledged, and does not come once more */
	if (!probe_inject(&ends[0], ATTACK_TEXT, 0) || !probe_position_read(&ends[0], &position))
		return ATTACK_IMPOSSIBLE;
	position.sent -= PROBE_TOKEN_BYTES;
	segment.acknowledged = position.received;
	segment.sequence = position.sent + first;
	if (!attack_esp_send(ends, &segment, HELD_NUMBER))
		return ATTACK_IMPOSSIBLE;
	segment.text = "1";
	segment.sequence = position.sent + second;
	if (!attack_esp_send(ends, &segment, HELD_NUMBER + 1))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

static enum attack_outcome start_walked_round(struct end ends[2])
{
	return walked_by(ends, (1u << 31) - FAR_STEP, (1u << 31) + FAR_STEP);
}

/* The first begins 2^30 numbers behind T3 at most, and ends further off; the other as many before it. */
static enum attack_outcome start_walked_by_end(struct end ends[2])
{
	return walked_by(ends, (1u << 30) - 1, 3u << 30);
}

/* Reservations, T2 and T3, with something behind T3 that came before: what the acceptor reads then. */
static enum attack_outcome goes_on(struct end ends[2], enum ipsec_latch_reason acceptor)
{
	char text[PROBE_TOKEN_BYTES + 64];
	enum ipsec_latch_reason reason;
	const char token[PROBE_TOKEN_BYTES + 1] = { 0 };

	if (acceptor != IPSEC_LATCH_LATCHED)
		return attack_judge(false, acceptor);
	if (!probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES) ||
		probe_end_reserve(&ends[0], true, ends[1].lease.spi_in) != 0 ||
		send(ends[0].fd, token, PROBE_TOKEN_BYTES, MSG_NOSIGNAL) != PROBE_TOKEN_BYTES)
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[1], text, PROBE_TOKEN_BYTES + 1);
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	if (reason != IPSEC_LATCH_LATCHED)
		return attack_judge(false, reason);
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, ATTACK_TEXT) == 0, reason);
}

/* Behind where T3 will be, before there is a recorder. */
static enum attack_outcome before_recorder(struct end ends[2])
{
	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		!probe_inject(&ends[0], ATTACK_TEXT, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return goes_on(ends, probe_end_reserve(&ends[1], false, 0));
}

/* The same, between the first look at the stream and the recorder's start. */
static enum attack_outcome slipped_in(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	pid_t child;

	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	(void)kill(probe_hosts[1].broker, SIGSTOP);
	child = fork();
	if (child == 0) {
		probe_pause_ms(400);
		(void)probe_inject(&ends[0], ATTACK_TEXT, PROBE_TOKEN_BYTES);
		probe_pause_ms(100);
		(void)kill(probe_hosts[1].broker, SIGCONT);
		_exit(0);
	}
	reason = probe_end_reserve(&ends[1], false, 0);
	(void)waitpid(child, NULL, 0);
	return goes_on(ends, reason);
}

/* An octet of a later, protected request is deleted. */
static enum attack_outcome request_is_changed(struct end ends[2])
{
	char text[64];

	if (!attack_say(&ends[0], REQUEST))
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, REQUEST_CHANGED) == 0, IPSEC_LATCH_LATCHED);
}

/* An urgent pointer into what will be sent behind T3, before there is a recorder. */
static enum attack_outcome urgent_before_recorder(struct end ends[2])
{
	enum ipsec_latch_reason reason;

	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		!inject_urgent(&ends[0], PROBE_TOKEN_BYTES + LAST_ZERO))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	reason = probe_end_reserve(&ends[1], false, 0);
	if (reason != IPSEC_LATCH_LATCHED)
		return attack_judge(false, reason);
	if (!probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES) ||
		probe_end_reserve(&ends[0], true, ends[1].lease.spi_in) != 0 ||
		!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	return reason == IPSEC_LATCH_LATCHED ? request_is_changed(ends)
					     : attack_judge(false, reason);
}

/* The same behind T3. */
static enum attack_outcome urgent_behind_t3(struct end ends[2])
{
	enum ipsec_latch_reason reason;

	if (!attack_prepare(ends) || !inject_urgent(&ends[0], LAST_ZERO))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	return reason == IPSEC_LATCH_LATCHED ? request_is_changed(ends)
					     : attack_judge(false, reason);
}

/* A FIN where the request behind T3 will end: the rest of the stream is cut off, cleanly. */
static enum attack_outcome fin_ahead(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	char text[64];

	if (!attack_prepare(ends) || !inject_fin(&ends[0], sizeof(REQUEST) - 1))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	if (reason != IPSEC_LATCH_LATCHED)
		return attack_judge(false, reason);
	if (!attack_say(&ends[0], REQUEST))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	(void)attack_say(&ends[0], "and more");
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, REQUEST) == 0 && recv(ends[1].fd, text, 1, 0) == 0,
		IPSEC_LATCH_LATCHED);
}

/* T3 went elsewhere; this connection saw one octet of ESP. */
static enum attack_outcome token_elsewhere(struct end ends[2])
{
	enum ipsec_latch_reason reason;

	if (!probe_pair_reserve(ends) || !probe_transfer(&ends[0], &ends[1], 1))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* Any time after the latch is closed. */
static enum attack_outcome after_latch(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	char text[64];

	if (!attack_prepare(ends))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	if (reason != IPSEC_LATCH_LATCHED)
		return attack_judge(false, reason);
	if (!probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, ATTACK_TEXT) == 0, IPSEC_LATCH_LATCHED);
}

/* Somebody flushes the SAs between T3 and T4; the initiator gives up, and its program reads on. */
static enum attack_outcome after_release(struct end ends[2])
{
	char text[64];

	if (!attack_prepare(ends))
		return ATTACK_IMPOSSIBLE;
	probe_shell("ip -n %s xfrm state flush", ends[0].host->name);
	if (!probe_end_reaches_state(&ends[0], IPSEC_LATCH_STATE_BROKEN))
		return ATTACK_IMPOSSIBLE;
	kbind_release(ends[0].host->socket_path, &ends[0].candidate, &ends[0].lease);
	if (!probe_inject(&ends[1], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[0], text, sizeof(text));
	return attack_judge(strcmp(text, ATTACK_TEXT) == 0, IPSEC_LATCH_LATCHED);
}

static int take_recorder_off(struct end ends[2])
{
	int nothing = 0;

	(void)setsockopt(ends[1].fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
	return 0;
}

/* The same, with the help of another user who holds the descriptor. */
static enum attack_outcome shared_descriptor(struct end ends[2])
{
	char text[64];

	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES) ||
		attack_as(ATTACK_UID, take_recorder_off, ends) != 0 ||
		!probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	attack_hear(&ends[1], text, sizeof(text));
	return attack_judge(strcmp(text, ATTACK_TEXT) == 0, IPSEC_LATCH_LATCHED);
}

/* The same between T3 and the latch, when the filter is not locked yet. */
static enum attack_outcome taken_off(struct end ends[2])
{
	if (!attack_prepare(ends) || attack_as(ATTACK_UID, take_recorder_off, ends) != 0 ||
		!probe_inject(&ends[0], ATTACK_TEXT, 0))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(50);
	return injected_is_read(ends, PROBE_TOKEN_BYTES);
}

/* No attacker at all: T3 arrives. */
static enum attack_outcome stall(struct end ends[2])
{
	if (!probe_pair_reserve(ends))
		return ATTACK_IMPOSSIBLE;
	return attack_judge(
		!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES), IPSEC_LATCH_LATCHED);
}

/* clang-format off */
const struct attack attacks_on_stream[] = {
	{ "behind_t3",              behind_t3 },
	{ "walked_round",           walked_round },
	{ "behind_what_was_read",   behind_what_was_read },
	{ "behind_what_came_again", behind_what_came_again },
	{ "start_walked_round",     start_walked_round },
	{ "start_walked_by_end",    start_walked_by_end },
	{ "before_recorder",        before_recorder },
	{ "slipped_in",             slipped_in },
	{ "urgent_before_recorder", urgent_before_recorder },
	{ "urgent_behind_t3",       urgent_behind_t3 },
	{ "fin_ahead",              fin_ahead },
	{ "token_elsewhere",        token_elsewhere },
	{ "after_latch",            after_latch },
	{ "after_release",          after_release },
	{ "shared_descriptor",      shared_descriptor },
	{ "taken_off",              taken_off },
	{ "stall",                  stall },
	{ "marked_clear",            marked_clear },
	{ NULL,                     NULL },
};
/* clang-format on */
