/* SPDX-License-Identifier: BSD-2-Clause */
/* What broker_probe's checks use: two hosts, their brokers, connections, requests, an attacker. */
#ifndef TESTS_REAL_PROBE_H
#define TESTS_REAL_PROBE_H

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "kernel-bind/broker_protocol.h"

#define PROBE_TOKEN_BYTES 700

struct host {
	const char *name, *address;
	char socket_path[64], state_path[64];
	pid_t broker;
};

/* One end of a connection: [0] the initiator's, [1] the acceptor's. */
struct end {
	const struct host *host;
	int fd;
	struct kbind_candidate candidate;
	struct kbind_lease lease;
	struct secret_key key_in, key_out;
};

extern struct host probe_hosts[2];
extern const char *probe_daemon_path;
#define PROBE_DAEMON_OPTIONS_MAX 8
extern const char *probe_daemon_options[PROBE_DAEMON_OPTIONS_MAX + 1]; /* up to NULL */
extern int probe_failures;

/* Prints and counts. Returns is_good. */
bool probe_check(bool is_good, const char *format, ...) __attribute__((format(printf, 2, 3)));
void probe_pause_ms(long ms);
void probe_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The first number that the command prints; -1: none. */
int probe_shell_number(const char *format, ...) __attribute__((format(printf, 1, 2)));
void probe_namespace_enter(const struct host *host);
/* SAs and SPD entries of ours. */
int probe_count_associations(const struct host *host);
int probe_count_covers(const struct host *host);
enum ipsec_latch_reason probe_broker_ping(const struct host *host);
void probe_broker_start(struct host *host);
void probe_broker_stop(struct host *host, int signal_number);
void probe_network_make(void);
bool probe_end_look(struct end *end);
/* How a connection is opened: the families of both sockets, and the address, which may be a
 * v4-mapped one or name an interface (fe80::1%veth-a). */
struct probe_route {
	const char *name, *server;
	int client_domain, server_domain;
	const struct host *client_host, *server_host;
};
bool probe_route_open(struct end ends[2], const struct probe_route *route);
/* The same by these ports (0: any), which an earlier connection may have had, and this device of the
 * client's (NULL: any). */
struct probe_ports {
	uint16_t client, server;
	const char *device;
};
bool probe_route_open_at(
	struct end ends[2], const struct probe_route *route, const struct probe_ports *ports);
bool probe_pair_open(struct end ends[2], const char *server, const struct host *client_host,
	const struct host *server_host);
bool probe_pair_open_veth(struct end ends[2]);
/* Keys and candidates of ends whose hosts and descriptors are there. */
bool probe_pair_prepare(struct end ends[2]);
void probe_pair_close(struct end ends[2]);
/* So many octets from one end to the other, without a pause of five seconds. */
bool probe_transfer(struct end *from, struct end *to, size_t len);
bool probe_nothing_comes(struct end *end, int ms);
enum ipsec_latch_reason probe_end_reserve(struct end *end, bool is_initiator, uint32_t spi_out);
enum ipsec_latch_reason probe_end_latch(
	struct end *end, bool is_initiator, uint32_t spi_out, uint64_t token_bytes);
/* T1 and T2 in the clear, the reservations between. */
bool probe_pair_reserve(struct end ends[2]);
/* The whole order of doc/protocol.md section 6. */
bool probe_pair_latch(struct end ends[2], size_t token_bytes);
int probe_end_state(const struct end *end);
bool probe_end_reaches_state(const struct end *end, int state);
/* Waits until neither host has an SA or SPD entry of ours. */
bool probe_nothing_is_left(int seconds);

/* --- probe_request.c: requests by hand --- */

#define PROBE_FDS_MAX 253 /* SCM_MAX_FD */
/* To the broker; -1: it cannot be had. */
int probe_connect(const struct host *host);
bool probe_message_add(int connection, struct bytes message, const int *descriptors, size_t count);
/* A connection to the broker on which this was sent, with descriptors; -1: none. */
int probe_message_send(
	const struct host *host, struct bytes message, const int *descriptors, size_t count);
/* The same with a request as the mechanism writes it. */
int probe_request_send(const struct host *host, const struct broker_request *request,
	const int *descriptors, size_t count);
/* The scheduler's worst order: whom the daemon sends something is at work before it goes on itself. */
void probe_workers_hurry(const struct host *host, bool do_hurry);

/* --- probe_wire.c: what an attacker on the path could send, and what he sees --- */

/* Sequence numbers of what this end sends next and expects next. */
struct probe_position {
	uint32_t sent, received;
};
bool probe_position_read(const struct end *end, struct probe_position *ret_position);
struct probe_segment {
	const char *text;
	uint32_t sequence, acknowledged;
	uint16_t urgent;      /* pointer, with TH_URG */
	uint8_t flags;	      /* TH_... */
	uint8_t next_headers; /* IPv6: an extension header of this number stands before TCP */
};
/* A clear segment of this end's connection, made by root; the end may be closed. */
bool probe_segment_send(const struct end *from, const struct probe_segment *segment);
/* The same of an IPv4 connection, for whoever sends it over a raw socket: its length, 0 for none. */
#define PROBE_TEXT_MAX 32
#define PROBE_SEGMENT_MAX (20 + PROBE_TEXT_MAX)
size_t probe_segment_octets(const struct end *from, const struct probe_segment *segment,
	uint8_t octets[PROBE_SEGMENT_MAX]);
/* One with text, that much behind what `from` has sent. */
bool probe_inject(const struct end *from, const char *text, uint32_t offset);

/* A look at what leaves a host from now on: probe_wire_open(), then count and close. */
struct probe_wire_count {
	unsigned int clear, clear_payload_bytes, esp;
};
int probe_wire_open(const struct host *host);
/* TCP segments in the clear with this port at either end, and ESP packets. */
void probe_wire_count(int wire, uint16_t port, struct probe_wire_count *ret_count);
/* A line of /proc/net/xfrm_stat. */
int probe_xfrm_statistic(const struct host *host, const char *name);

/* What a program of such tests does: PATH-OF-GSS-IPSECD [TEST]; with both hosts and their brokers, all
 * tests or the named one.  Returns the program's exit status. */
struct probe_test {
	const char *name;
	void (*run)(void);
};
int probe_main(int argc, char **argv, const struct probe_test *tests, size_t count);

#endif
