/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks of somebody who listens on the wire, or sends again what he heard there. */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/weakened/attack.h"

#define FRAME_BYTES_MAX 2048
#define SECRET "my secret word"

struct frame {
	uint8_t octets[FRAME_BYTES_MAX];
	size_t len;
};

/* All frames on the acceptor's end of the wire; -1: cannot listen. */
static int wire_open(const struct end *end)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int wire;

	probe_namespace_enter(end->host);
	address.sll_ifindex =
		(int)if_nametoindex(end->host == &probe_hosts[0] ? "veth-a" : "veth-b");
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (wire >= 0 && bind(wire, (struct sockaddr *)&address, sizeof(address)) == 0)
		return wire;
	if (wire >= 0)
		(void)close(wire);
	return -1;
}

/* The next IPv4 frame that carries this protocol; false: none any more. */
static bool wire_next(int wire, uint8_t protocol, struct frame *ret_frame)
{
	const size_t protocol_at = sizeof(struct ether_header) + offsetof(struct iphdr, protocol);
	ssize_t len;

	for (;;) {
		len = recv(wire, ret_frame->octets, sizeof(ret_frame->octets), MSG_DONTWAIT);
		if (len < 0)
			return false;
		ret_frame->len = (size_t)len;
		if (ret_frame->len > protocol_at && ret_frame->octets[12] == 0x08 &&
			ret_frame->octets[13] == 0x00 && ret_frame->octets[protocol_at] == protocol)
			return true;
	}
}

/* Whether TCP went over the wire in the clear; with this text, unless NULL. */
static bool wire_has_clear(int wire, const char *text)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	bool is_found = false;

	while (frame != NULL && !is_found && wire_next(wire, IPPROTO_TCP, frame))
		is_found = text == NULL ||
			   memmem(frame->octets, frame->len, text, strlen(text)) != NULL;
	free(frame);
	return is_found;
}

/* The acceptor, complete after T3, speaks first. */
static enum attack_outcome listen_in(struct end ends[2])
{
	int wire = wire_open(&ends[1]);
	enum ipsec_latch_reason reason;
	bool is_heard;

	if (wire < 0 || !attack_prepare(ends))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	if (reason == IPSEC_LATCH_LATCHED && !attack_say(&ends[1], SECRET))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	is_heard = wire_has_clear(wire, SECRET);
	(void)close(wire);
	return attack_judge(is_heard, reason);
}

/* Whoever closes first has no socket any more when the other's FIN comes. */
static enum attack_outcome after_close(struct end ends[2])
{
	int wire;
	bool is_heard;

	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	wire = wire_open(&ends[1]);
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	probe_pause_ms(200);
	probe_pair_close(ends);
	probe_pause_ms(300);
	is_heard = wire >= 0 && wire_has_clear(wire, NULL);
	(void)close(wire);
	return attack_judge(is_heard, IPSEC_LATCH_LATCHED);
}

static uint64_t packets_in(const struct end *end)
{
	struct kbind_status *status = calloc(1, sizeof(*status));
	uint64_t packets = 0;

	if (status != NULL && kbind_query(end->host->socket_path, end->fd, status) == 0)
		packets = status->packets_in;
	free(status);
	return packets;
}

/* The initiator's ESP packet once more: it must not come through the association again. */
static enum attack_outcome send_again(struct end ends[2])
{
	int listening, sending;
	struct frame *frame = calloc(1, sizeof(*frame));
	uint64_t before;

	if (frame == NULL || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200);
	listening = wire_open(&ends[1]);
	sending = wire_open(&ends[0]);
	if (!probe_transfer(&ends[0], &ends[1], 100) || !wire_next(listening, IPPROTO_ESP, frame))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200);
	before = packets_in(&ends[1]);
	for (int i = 0; i < 5; i++) {
		if (send(sending, frame->octets, frame->len, 0) != (ssize_t)frame->len)
			return ATTACK_IMPOSSIBLE;
	}
	probe_pause_ms(200);
	(void)close(listening);
	(void)close(sending);
	free(frame);
	return before == 0 ? ATTACK_IMPOSSIBLE
			   : attack_judge(packets_in(&ends[1]) >= before + 5, IPSEC_LATCH_LATCHED);
}

/* clang-format off */
const struct attack attacks_on_wire[] = {
	{ "listen_in",   listen_in },
	{ "after_close", after_close },
	{ "send_again",  send_again },
	{ NULL,          NULL },
};
/* clang-format on */
