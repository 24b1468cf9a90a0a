/* SPDX-License-Identifier: BSD-2-Clause */
/* An attacker on the path, as far as broker_probe and its like need one; see probe.h. */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netpacket/packet.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define EXTENSION_BYTES 8
#define WIRE_BUFFER_BYTES (8 << 20)
#define RECEIVE_QUEUE 1
#define SEND_QUEUE 2

static bool sequence_of(int fd, int queue, uint32_t *ret_sequence)
{
	int on = 1, off = -1; /* -1: without a window probe */
	socklen_t len = sizeof(*ret_sequence);
	bool is_good;

	is_good = setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0 &&
		  setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)) == 0 &&
		  getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, ret_sequence, &len) == 0;
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) == 0 && is_good;
}

bool probe_position_read(const struct end *end, struct probe_position *ret_position)
{
	return sequence_of(end->fd, SEND_QUEUE, &ret_position->sent) &&
	       sequence_of(end->fd, RECEIVE_QUEUE, &ret_position->received);
}

struct packet {
	uint8_t octets[sizeof(struct ip6_hdr) + EXTENSION_BYTES + sizeof(struct tcphdr) +
		       PROBE_TEXT_MAX];
	size_t len;
};

static uint32_t sum_of(const uint8_t *octets, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)octets[i] << 8 : octets[i];
	return sum;
}

static void packet_put_tcp(
	struct packet *packet, const struct kbind_tuple *from, const struct probe_segment *segment)
{
	struct tcphdr header = { .source = htons(from->local_port),
		.dest = htons(from->remote_port),
		.seq = htonl(segment->sequence),
		.ack_seq = htonl(segment->acknowledged),
		.doff = 5,
		.window = htons(1000),
		.urg_ptr = htons(segment->urgent) };
	const size_t address_bytes = from->family == AF_INET ? 4 : 16;
	const size_t len = sizeof(header) + strlen(segment->text);
	uint8_t *at = packet->octets + packet->len;
	uint32_t sum = IPPROTO_TCP + (uint32_t)len;

	header.th_flags = segment->flags;
	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), segment->text, strlen(segment->text));
	sum = sum_of(from->local, address_bytes, sum);
	sum = sum_of(from->remote, address_bytes, sum);
	sum = sum_of(at, len, sum);
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	header.check = htons((uint16_t)~sum);
	memcpy(at, &header, sizeof(header));
	packet->len += len;
}

/* With an extension header where one is wanted: empty options, or a fragment that is the whole. */
static void packet_put_ipv6(
	struct packet *packet, const struct kbind_tuple *from, const struct probe_segment *segment)
{
	const size_t extension_bytes = segment->next_headers == 0 ? 0 : EXTENSION_BYTES;
	const size_t body = extension_bytes + sizeof(struct tcphdr) + strlen(segment->text);
	struct ip6_hdr header = { .ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)body),
		.ip6_nxt = segment->next_headers == 0 ? IPPROTO_TCP : segment->next_headers,
		.ip6_hops = 64 };
	uint8_t *extension = packet->octets + sizeof(header);

	memcpy(&header.ip6_src, from->local, 16);
	memcpy(&header.ip6_dst, from->remote, 16);
	memcpy(packet->octets, &header, sizeof(header));
	if (extension_bytes != 0)
		extension[0] = IPPROTO_TCP;
	if (segment->next_headers == IPPROTO_DSTOPTS || segment->next_headers == IPPROTO_HOPOPTS) {
		extension[2] = 1; /* PadN */
		extension[3] = 4;
	}
	packet->len = sizeof(header) + extension_bytes;
}

static bool packet_send(
	const struct host *host, const struct kbind_tuple *from, const struct packet *packet)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_scope_id = from->zone };
	const struct sockaddr *to = (const struct sockaddr *)&v4;
	socklen_t len = sizeof(v4);
	int raw;
	bool is_good;

	memcpy(&v4.sin_addr, from->remote, 4);
	memcpy(&v6.sin6_addr, from->remote, 16);
	if (from->family == AF_INET6) {
		to = (const struct sockaddr *)&v6;
		len = sizeof(v6);
	}
	probe_namespace_enter(host);
	/* IPPROTO_RAW: the IPv6 header is in the packet. */
	raw = socket(from->family, SOCK_RAW | SOCK_CLOEXEC,
		from->family == AF_INET ? IPPROTO_TCP : IPPROTO_RAW);
	is_good = sendto(raw, packet->octets, packet->len, 0, to, len) == (ssize_t)packet->len;
	(void)close(raw);
	return is_good;
}

static bool packet_make(
	struct packet *packet, const struct kbind_tuple *tuple, const struct probe_segment *segment)
{
	packet->len = 0;
	if (strlen(segment->text) > PROBE_TEXT_MAX)
		return false;
	if (tuple->family == AF_INET6)
		packet_put_ipv6(packet, tuple, segment);
	packet_put_tcp(packet, tuple, segment);
	return true;
}

bool probe_segment_send(const struct end *from, const struct probe_segment *segment)
{
	const struct kbind_tuple *tuple = &from->candidate.tuple;
	struct packet packet;

	return packet_make(&packet, tuple, segment) && packet_send(from->host, tuple, &packet);
}

size_t probe_segment_octets(const struct end *from, const struct probe_segment *segment,
	uint8_t octets[PROBE_SEGMENT_MAX])
{
	struct packet packet;

	if (from->candidate.tuple.family != AF_INET ||
		!packet_make(&packet, &from->candidate.tuple, segment))
		return 0;
	memcpy(octets, packet.octets, packet.len);
	return packet.len;
}

bool probe_inject(const struct end *from, const char *text, uint32_t offset)
{
	struct probe_segment segment = { .text = text, .flags = TH_PUSH | TH_ACK };
	struct probe_position position;

	if (!probe_position_read(from, &position))
		return false;
	segment.sequence = position.sent + offset;
	segment.acknowledged = position.received;
	return probe_segment_send(from, &segment);
}

/* --- what leaves --- */

int probe_wire_open(const struct host *host)
{
	const int room = WIRE_BUFFER_BYTES;
	int wire;

	probe_namespace_enter(host);
	wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	if (wire < 0 || setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0) {
		perror("packet socket");
		exit(1);
	}
	return wire;
}

/* Where the upper header begins and which it is; false: not IP. */
static bool upper_find(
	const uint8_t *octets, size_t len, uint16_t type, size_t *ret_at, uint8_t *ret_protocol)
{
	size_t at = sizeof(struct ip6_hdr);
	uint8_t next;

	if (type == ETHERTYPE_IP && len >= sizeof(struct ip)) {
		*ret_at = (size_t)(octets[0] & 15) * 4;
		*ret_protocol = octets[9];
		return true;
	}
	if (type != ETHERTYPE_IPV6 || len < at)
		return false;
	next = octets[6];
	while ((next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_FRAGMENT ||
		       next == IPPROTO_ROUTING) &&
		at + EXTENSION_BYTES <= len) {
		const size_t more = next == IPPROTO_FRAGMENT ? 0 : octets[at + 1];

		next = octets[at];
		at += (more + 1) * 8;
	}
	*ret_at = at;
	*ret_protocol = next;
	return true;
}

static void frame_count(const uint8_t *octets, size_t len, uint16_t type, uint16_t port,
	struct probe_wire_count *count)
{
	struct tcphdr header;
	uint8_t protocol;
	size_t at;

	if (!upper_find(octets, len, type, &at, &protocol))
		return;
	count->esp += protocol == IPPROTO_ESP;
	if (protocol != IPPROTO_TCP || at + sizeof(header) > len)
		return;
	memcpy(&header, octets + at, sizeof(header));
	if (ntohs(header.source) != port && ntohs(header.dest) != port)
		return;
	count->clear++;
	count->clear_payload_bytes += (unsigned int)(len - at - header.doff * 4u);
}

void probe_wire_count(int wire, uint16_t port, struct probe_wire_count *ret_count)
{
	static uint8_t octets[65536];
	struct probe_wire_count count = { 0 };
	struct sockaddr_ll from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t len;

	for (;;) {
		len = recvfrom(
			wire, octets, sizeof(octets), 0, (struct sockaddr *)&from, &from_len);
		if (len < 0)
			break;
		if (from.sll_pkttype == PACKET_OUTGOING)
			frame_count(octets, (size_t)len, ntohs(from.sll_protocol), port, &count);
		from_len = sizeof(from);
	}
	(void)close(wire);
	*ret_count = count;
}

int probe_xfrm_statistic(const struct host *host, const char *name)
{
	return probe_shell_number(
		"ip netns exec %s sed -n 's/^%s *//p' /proc/net/xfrm_stat", host->name, name);
}
