/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latches of every address family against a real kernel, without GSS: IPv6, v4-mapped sockets at
 * either end, link-local addresses, loopback.  That inbound and outbound really demand ESP is shown
 * from outside: clear segments are sent into the connection, and what leaves is looked at.
 *
 *	families_probe PATH-OF-GSS-IPSECD [TEST]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/real/probe.h"

static const struct host *const a = &probe_hosts[0];
static const struct host *const b = &probe_hosts[1];

/* clang-format off */
static const struct probe_route routes[] = {
	{ "IPv6",                   "fd79::2",            AF_INET6, AF_INET6, &probe_hosts[0], &probe_hosts[1] },
	{ "v4-mapped client",       "::ffff:10.79.0.2",   AF_INET6, AF_INET,  &probe_hosts[0], &probe_hosts[1] },
	{ "v4-mapped server",       "10.79.0.2",          AF_INET,  AF_INET6, &probe_hosts[0], &probe_hosts[1] },
	{ "both v4-mapped",         "::ffff:10.79.0.2",   AF_INET6, AF_INET6, &probe_hosts[0], &probe_hosts[1] },
	{ "IPv6 link-local",        "fe80::79:2%veth-a",  AF_INET6, AF_INET6, &probe_hosts[0], &probe_hosts[1] },
	{ "IPv6 loopback",          "::1",                AF_INET6, AF_INET6, &probe_hosts[0], &probe_hosts[0] },
	{ "v4-mapped loopback",     "::ffff:127.0.0.1",   AF_INET6, AF_INET6, &probe_hosts[0], &probe_hosts[0] },
};
/* clang-format on */
#define ROUTE_COUNT (sizeof(routes) / sizeof(routes[0]))
#define ROUTE_IPV6 (&routes[0])
#define ROUTE_BOTH_MAPPED (&routes[3])
#define ROUTE_LINK_LOCAL (&routes[4])

static const struct probe_route route_ipv4 = { "IPv4", "10.79.0.2", AF_INET, AF_INET,
	&probe_hosts[0], &probe_hosts[1] };
#define ROUTE_IPV4 (&route_ipv4)
#define UNUSED_SPI 0x1000

static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

static uint16_t server_port(const struct end ends[2])
{
	return ends[0].candidate.tuple.remote_port;
}

static bool pair_latch(struct end ends[2], const struct probe_route *route)
{
	return probe_check(
		probe_route_open(ends, route) && probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		"%s: latched", route->name);
}

/* Sockets that still have something to say would keep their ports for minutes. */
static void pair_abort(struct end ends[2])
{
	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	probe_pair_close(ends);
	(void)probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* The inbound policy itself refuses, not only the recorder behind it. */
static void check_inbound(struct end ends[2], const char *name)
{
	const int before = probe_xfrm_statistic(ends[1].host, "XfrmInTmplMismatch") +
			   probe_xfrm_statistic(ends[1].host, "XfrmInNoPols");
	int after;

	probe_check(probe_inject(&ends[0], "INJECTED", 0) && probe_nothing_comes(&ends[1], 200),
		"%s: a clear segment in sequence is not delivered", name);
	after = probe_xfrm_statistic(ends[1].host, "XfrmInTmplMismatch") +
		probe_xfrm_statistic(ends[1].host, "XfrmInNoPols");
	probe_check(before >= 0 && after == before + 1, "%s: the inbound policy refused it", name);
	probe_check(probe_transfer(&ends[0], &ends[1], 1000), "%s: the stream goes on", name);
}

/* From the latch to the last segment of the close, both directions. */
static void check_outbound(struct end ends[2], const char *name)
{
	const uint16_t port = server_port(ends);
	struct probe_wire_count from_client, from_server;
	int client = probe_wire_open(ends[0].host), server = probe_wire_open(ends[1].host);
	char octet;
	bool is_whole = probe_transfer(&ends[0], &ends[1], 100000) &&
			probe_transfer(&ends[1], &ends[0], 100000);

	(void)shutdown(ends[0].fd, SHUT_WR);
	is_whole = is_whole && recv(ends[1].fd, &octet, 1, 0) == 0;
	probe_pair_close(ends);
	probe_pause_ms(300);
	probe_wire_count(client, port, &from_client);
	probe_wire_count(server, port, &from_server);
	probe_check(is_whole && from_client.esp > 0 && from_server.esp > 0,
		"%s: 100 000 octets each way and the close, %u and %u ESP packets", name,
		from_client.esp, from_server.esp);
	probe_check(from_client.clear + from_server.clear == 0, "%s: %u clear segments", name,
		from_client.clear + from_server.clear);
}

static void test_routes(void)
{
	struct end ends[2];

	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (pair_latch(ends, &routes[i])) {
			check_inbound(ends, routes[i].name);
			check_outbound(ends, routes[i].name);
		}
		probe_pair_close(ends);
	}
	(void)probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* Extension headers do not move what policy and recorder look at. */
static void test_extension_headers(void)
{
	/* clang-format off */
	static const struct {
		const char *name;
		uint8_t number;
	} extensions[] = {
		{ "hop-by-hop options",  IPPROTO_HOPOPTS },
		{ "destination options", IPPROTO_DSTOPTS },
		{ "an atomic fragment",  IPPROTO_FRAGMENT },
	};
	/* clang-format on */
	struct probe_segment segment = { .text = "INJECTED", .flags = TH_PUSH | TH_ACK };
	struct probe_position position;
	struct end ends[2];

	if (!pair_latch(ends, ROUTE_IPV6) || !probe_position_read(&ends[0], &position))
		return;
	segment.sequence = position.sent;
	segment.acknowledged = position.received;
	for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
		segment.next_headers = extensions[i].number;
		probe_check(probe_segment_send(&ends[0], &segment) &&
				    probe_nothing_comes(&ends[1], 200),
			"a clear segment behind %s is not delivered", extensions[i].name);
	}
	probe_check(probe_transfer(&ends[0], &ends[1], 1000), "the stream goes on");
	pair_abort(ends);
	/* Before the latch the recorder finds the same segment's end, extension header or not. */
	if (!probe_route_open(ends, ROUTE_IPV6) || !probe_pair_reserve(ends) ||
		!probe_position_read(&ends[0], &position))
		return;
	segment.sequence = position.sent + PROBE_TOKEN_BYTES;
	segment.next_headers = IPPROTO_DSTOPTS;
	probe_check(probe_segment_send(&ends[0], &segment), "clear octets behind T3");
	probe_pause_ms(100);
	probe_check(probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES), "T3");
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) ==
			    IPSEC_LATCH_CLEAR_BEHIND,
		"the recorder notices clear octets behind an extension header");
	pair_abort(ends);
}

/* Without SAs the policies that are left let nothing through, either way. */
static void test_flush(void)
{
	struct probe_wire_count count;
	struct end ends[2];
	int wire;

	for (size_t i = 0; i < 4; i++) {
		if (!pair_latch(ends, &routes[i]))
			return;
		probe_pause_ms(300); /* delayed acknowledgements */
		wire = probe_wire_open(a);
		probe_shell("ip -n probe-a xfrm state flush");
		probe_check(send(ends[0].fd, "secret", 6, MSG_NOSIGNAL) == 6 &&
				    probe_nothing_comes(&ends[1], 400),
			"%s: flushed SAs: nothing arrives", routes[i].name);
		probe_wire_count(wire, server_port(ends), &count);
		probe_check(
			count.clear == 0 && count.esp == 0, "%s: nothing leaves", routes[i].name);
		probe_check(probe_end_reaches_state(&ends[0], IPSEC_LATCH_STATE_BROKEN),
			"%s: broken", routes[i].name);
		pair_abort(ends);
	}
}

/* The acknowledgement of the server's FIN is lost, and the server repeats it. */
static void test_time_wait(const struct probe_route *route)
{
	struct probe_segment fin = { .text = "", .flags = TH_FIN | TH_ACK };
	struct probe_position client, server;
	struct probe_wire_count count;
	struct end ends[2];
	char octet;
	int wire;

	if (!pair_latch(ends, route) || !probe_position_read(&ends[0], &client) ||
		!probe_position_read(&ends[1], &server))
		return;
	wire = probe_wire_open(a);
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	(void)recv(ends[1].fd, &octet, 1, 0);
	probe_shell("tc -n probe-a qdisc add dev veth-a root netem loss 100%%");
	(void)close(ends[1].fd);
	ends[1].fd = -1;
	probe_pause_ms(150);
	probe_shell("tc -n probe-a qdisc del dev veth-a root");
	probe_pause_ms(800);
	probe_wire_count(wire, server_port(ends), &count);
	probe_check(count.clear == 0 && count.esp >= 2,
		"%s: a repeated FIN in TIME_WAIT: %u ESP packets, %u clear", route->name, count.esp,
		count.clear);
	probe_check(
		probe_shell_number("ip netns exec probe-a ss -Hatn state time-wait | wc -l") > 0,
		"%s: the client is in TIME_WAIT", route->name);
	/* And one that an attacker repeats, in the clear; and one for a socket that is gone. */
	wire = probe_wire_open(a);
	fin.sequence = server.sent;
	fin.acknowledged = client.sent + 1;
	probe_check(probe_segment_send(&ends[1], &fin), "%s: a clear FIN for it", route->name);
	probe_pause_ms(100);
	probe_wire_count(wire, server_port(ends), &count);
	probe_check(count.clear == 0, "%s: is not answered", route->name);
	wire = probe_wire_open(b);
	fin.sequence = client.sent + 1;
	fin.acknowledged = server.sent + 1;
	probe_check(
		probe_segment_send(&ends[0], &fin), "%s: one for the server's end", route->name);
	probe_pause_ms(100);
	probe_wire_count(wire, server_port(ends), &count);
	probe_check(count.clear == 0, "%s: is not answered with a clear RST", route->name);
}

static void test_time_waits(void)
{
	for (size_t i = 0; i < 5; i++)
		test_time_wait(&routes[i]);
	(void)probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* --- another connection in the same socket --- */

struct move {
	const char *name;
	const struct probe_route *route;
	const char *to; /* where the latched client connects next */
};

/* clang-format off */
static const struct move moves[] = {
	{ "v4-mapped to IPv6",      &routes[3], "fd79::2" },
	{ "IPv6 to v4-mapped",      &routes[0], "::ffff:10.79.0.2" },
	{ "IPv6 to IPv6",           &routes[0], "fd79::2" },
	{ "v4-mapped to v4-mapped", &routes[3], "::ffff:10.79.0.2" },
};
/* clang-format on */

static int listener_on(const struct host *host, uint16_t port)
{
	const struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int fd;

	probe_namespace_enter(host);
	fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 1) != 0)
		perror("listen");
	return fd;
}

/* The socket of a latched connection is turned to another peer, with data for it. */
static void test_move(const struct move *move)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	const uint16_t port = 4949;
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct probe_wire_count client, server;
	struct end ends[2];
	struct pollfd wait;
	int listener, wires[2];
	int error = 0;

	if (!pair_latch(ends, move->route))
		return;
	(void)inet_pton(AF_INET6, move->to, &to.sin6_addr);
	listener = listener_on(b, port);
	wires[0] = probe_wire_open(a);
	wires[1] = probe_wire_open(b);
	(void)fcntl(ends[0].fd, F_SETFL, O_NONBLOCK);
	if (connect(ends[0].fd, &nowhere, sizeof(nowhere)) != 0 ||
		connect(ends[0].fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		error = errno;
	(void)send(ends[0].fd, "to another peer", 15, MSG_NOSIGNAL);
	wait = (struct pollfd){ .fd = listener, .events = POLLIN };
	probe_check(
		poll(&wait, 1, 1500) == 0, "%s: never connected (%s)", move->name, strerror(error));
	probe_wire_count(wires[0], port, &client);
	probe_wire_count(wires[1], port, &server);
	probe_check(client.clear_payload_bytes == 0,
		"%s: no byte leaves; %u segments of the client, %u of the server", move->name,
		client.clear, server.clear);
	(void)close(listener);
	pair_abort(ends);
}

static void test_moves(void)
{
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++)
		test_move(&moves[i]);
}

static void test_restart(void)
{
	enum { COUNT = 5 };
	struct end ends[COUNT][2];

	for (size_t i = 0; i < COUNT; i++) {
		if (!pair_latch(ends[i], &routes[i]))
			return;
	}
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_broker_start(&probe_hosts[0]);
	/* Long enough for a look at each lease's socket. */
	probe_pause_ms(1500);
	probe_check(probe_count_associations(a) == 2 * COUNT && probe_count_covers(a) == 2 * COUNT,
		"SAs and covers of all families are kept by another broker");
	for (size_t i = 0; i < COUNT; i++) {
		probe_check(probe_end_state(&ends[i][0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
				    probe_transfer(&ends[i][1], &ends[i][0], 5000),
			"%s: adopted, and goes on", routes[i].name);
		probe_pair_close(ends[i]);
	}
	(void)probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_prescribed(void)
{
	struct end ends[2];

	if (!probe_route_open(ends, ROUTE_IPV6))
		return;
	probe_shell("ip -n probe-b xfrm policy add src fd79::/64 dst fd79::2 dir in tmpl src "
		    "fd99::1 dst fd99::2 proto esp mode tunnel reqid 5");
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_PRESCRIBED,
		"IPv6: prescribed by the SPD");
	probe_shell("ip -n probe-b xfrm policy flush");
	probe_shell("ip -n probe-b xfrm policy add src fd78::/64 dst fd79::2 dir in action block");
	probe_check(probe_end_reserve(&ends[1], false, 0) == 0,
		"IPv6: an entry for other addresses prescribes nothing");
	probe_shell("ip -n probe-b xfrm policy flush");
	kbind_release(ends[1].host->socket_path, &ends[1].candidate, &ends[1].lease);
	pair_abort(ends);
}

/* The same link-local addresses and ports on two links are two connections. */
static void test_zones(void)
{
	struct end ends[2];

	if (!pair_latch(ends, ROUTE_LINK_LOCAL))
		return;
	probe_check(ends[0].candidate.tuple.zone != 0 &&
			    probe_shell_number("ip -n probe-a -o xfrm policy list nosock | "
					       "grep -c 'dev veth-a'") == 1 &&
			    probe_shell_number("ip -n probe-a -o xfrm state | grep -c 'dev "
					       "veth-a'") == 1,
		"link-local: what leaves is bound to its interface");
	pair_abort(ends);
}

/* --- the ports of a connection in its closing time --- */

#define AGAIN_SERVER 4750
static struct probe_ports again_ports = { 25000, AGAIN_SERVER, NULL };

/* What is on the wire is the same where one socket was a v4-mapped one. */
static void test_again_as(const struct probe_route *first, const struct probe_route *second)
{
	struct probe_wire_count from_client, from_server;
	struct end ends[2];
	int client, server;

	again_ports.client++;
	if (!probe_check(probe_route_open_at(ends, first, &again_ports) &&
				 probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		    "%s: latched, to be reset", first->name))
		return;
	(void)setsockopt(ends[0].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	probe_pair_close(ends);
	probe_pause_ms(200);
	client = probe_wire_open(a);
	server = probe_wire_open(b);
	if (probe_check(probe_route_open_at(ends, second, &again_ports) &&
				probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		    "%s: its ports latched again", second->name))
		check_outbound(ends, second->name);
	probe_pair_close(ends);
	probe_wire_count(client, again_ports.client, &from_client);
	probe_wire_count(server, again_ports.client, &from_server);
	probe_check(from_client.clear + from_server.clear == 0,
		"%s: no clear segment from its SYN on", second->name);
}

/* TIME_WAIT of a socket that was bound to a device, beside another one with the same tuple. */
static void test_again_beside(const struct probe_route *first, const struct probe_route *second)
{
	struct probe_ports bound = again_ports;
	enum ipsec_latch_reason reason;
	struct end ends[2];

	bound.client = ++again_ports.client;
	bound.device = "veth-a";
	if (!probe_check(probe_route_open_at(ends, first, &bound) &&
				 probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		    "%s: latched on a device", first->name))
		return;
	for (size_t i = 0; i < 2; i++) {
		(void)close(ends[i].fd);
		probe_pause_ms(200);
	}
	if (!probe_check(probe_route_open_at(ends, second, &again_ports),
		    "%s: the same ports beside its TIME_WAIT", second->name))
		return;
	reason = probe_end_reserve(&ends[0], true, UNUSED_SPI);
	probe_check(reason == IPSEC_LATCH_COVERED, "%s: covered (%d)", second->name, reason);
	(void)setsockopt(ends[0].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	probe_pair_close(ends);
}

static void test_again(void)
{
	test_again_as(ROUTE_IPV4, ROUTE_BOTH_MAPPED);
	test_again_as(ROUTE_BOTH_MAPPED, ROUTE_IPV4);
	test_again_as(ROUTE_LINK_LOCAL, ROUTE_LINK_LOCAL);
	test_again_beside(ROUTE_IPV4, ROUTE_BOTH_MAPPED);
	test_again_beside(ROUTE_BOTH_MAPPED, ROUTE_IPV4);
	(void)probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* clang-format off */
static const struct probe_test tests[] = {
	{ "routes",     test_routes },
	{ "extensions", test_extension_headers },
	{ "flush",      test_flush },
	{ "time-wait",  test_time_waits },
	{ "moves",      test_moves },
	{ "restart",    test_restart },
	{ "prescribed", test_prescribed },
	{ "zones",      test_zones },
	{ "again",      test_again },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return probe_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
