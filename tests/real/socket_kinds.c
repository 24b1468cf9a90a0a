/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every kind of descriptor that a program may hold or pass: refused with the right reason by the
 * client's search and, asked directly, by the broker; and connections with options of their own,
 * which are latched like any other.
 *
 *	socket_kinds PATH-OF-GSS-IPSECD
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define SELF_PORT 4711
#define NOT_ASKED 255 /* nothing that could be passed */

/* --- what cannot be latched: each makes a descriptor; -1: this kernel has none --- */

/* The connection behind some of them, and what else is to be closed. */
struct fixture {
	struct end ends[2];
	int others[2];
};

static int make_listening(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)f;
	return listen(fd, 1) == 0 ? fd : -1;
}

static int make_listening_ipv6(struct fixture *f)
{
	int fd = socket(AF_INET6, SOCK_STREAM, 0);

	(void)f;
	return listen(fd, 1) == 0 ? fd : -1;
}

static int make_unconnected(struct fixture *f)
{
	(void)f;
	return socket(AF_INET6, SOCK_STREAM, 0);
}

static int make_udp(struct fixture *f)
{
	const struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	(void)f;
	return connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ? fd : -1;
}

static int make_unix(struct fixture *f)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return -1;
	f->others[0] = pair[1];
	return pair[0];
}

static int make_raw(struct fixture *f)
{
	(void)f;
	return socket(AF_INET, SOCK_RAW, IPPROTO_TCP);
}

static int make_raw_ipv6(struct fixture *f)
{
	(void)f;
	return socket(AF_INET6, SOCK_RAW, IPPROTO_TCP);
}

static int make_pipe(struct fixture *f)
{
	int ends[2];

	if (pipe(ends) != 0)
		return -1;
	f->others[0] = ends[1];
	return ends[0];
}

static int make_epoll(struct fixture *f)
{
	(void)f;
	return epoll_create1(0);
}

static int make_file(struct fixture *f)
{
	(void)f;
	return open("/proc/self/status", O_RDONLY);
}

static int make_closed(struct fixture *f)
{
	int fd = dup(STDOUT_FILENO);

	(void)f;
	(void)close(fd);
	return fd;
}

/* The connection itself, but only its place in the file system. */
static int make_path(struct fixture *f)
{
	char path[64];

	if (!probe_pair_open_veth(f->ends))
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", f->ends[0].fd);
	return open(path, O_PATH);
}

/* Its peer never answers. */
static int make_connecting(struct fixture *f)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd;

	(void)f;
	probe_namespace_enter(&probe_hosts[0]);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	(void)inet_pton(AF_INET, "10.79.0.99", &to.sin_addr);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno == EINPROGRESS ? fd
											    : -1;
}

static int make_self(struct fixture *f)
{
	const struct sockaddr_in self = { .sin_family = AF_INET,
		.sin_port = htons(SELF_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd;

	(void)f;
	probe_namespace_enter(&probe_hosts[0]);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	return bind(fd, (const struct sockaddr *)&self, sizeof(self)) == 0 &&
			       connect(fd, (const struct sockaddr *)&self, sizeof(self)) == 0
		       ? fd
		       : -1;
}

static int make_with(struct fixture *f, int level, int option, const void *value, socklen_t len)
{
	if (!probe_pair_open_veth(f->ends) ||
		setsockopt(f->ends[0].fd, level, option, value, len) != 0)
		return -1;
	return dup(f->ends[0].fd);
}

static int make_filtered(struct fixture *f)
{
	struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	const struct sock_fprog filter = { .len = 1, .filter = &accept_all };

	return make_with(f, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}

static int make_filter_locked(struct fixture *f)
{
	const int yes = 1;
	int fd = make_filtered(f);

	return setsockopt(fd, SOL_SOCKET, SO_LOCK_FILTER, &yes, sizeof(yes)) == 0 ? fd : -1;
}

static int make_locked(struct fixture *f)
{
	const int yes = 1;

	return make_with(f, SOL_SOCKET, SO_LOCK_FILTER, &yes, sizeof(yes));
}

/* An eBPF filter cannot be told from the recorder by who has no privilege. */
static int make_bpf_filtered(struct fixture *f)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attributes = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uint64_t)(uintptr_t)code,
		.insn_cnt = 2,
		.license = (uint64_t)(uintptr_t) "GPL",
	};
	int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));

	f->others[0] = program;
	return make_with(f, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program));
}

static int make_ulp(struct fixture *f)
{
	return make_with(f, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
}

static int make_ended(struct fixture *f)
{
	if (!probe_pair_open_veth(f->ends))
		return -1;
	(void)close(f->ends[1].fd);
	f->ends[1].fd = -1;
	probe_pause_ms(50);
	return dup(f->ends[0].fd);
}

static int make_half_closed(struct fixture *f)
{
	if (!probe_pair_open_veth(f->ends) || shutdown(f->ends[0].fd, SHUT_WR) != 0)
		return -1;
	probe_pause_ms(50);
	return dup(f->ends[0].fd);
}

static int make_latched(struct fixture *f)
{
	return probe_pair_open_veth(f->ends) && probe_pair_latch(f->ends, PROBE_TOKEN_BYTES)
		       ? dup(f->ends[0].fd)
		       : -1;
}

/* One of another protocol with connections, both ends here. */
static int make_network(struct fixture *f, int protocol)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(here);
	int fd;

	probe_namespace_enter(&probe_hosts[0]);
	f->others[0] = socket(AF_INET, SOCK_STREAM, protocol);
	fd = socket(AF_INET, SOCK_STREAM, protocol);
	if (f->others[0] < 0 || fd < 0 ||
		bind(f->others[0], (struct sockaddr *)&here, sizeof(here)) != 0 ||
		listen(f->others[0], 1) != 0 ||
		getsockname(f->others[0], (struct sockaddr *)&here, &len) != 0 ||
		connect(fd, (struct sockaddr *)&here, sizeof(here)) != 0)
		return -1;
	return fd;
}

static int make_sctp(struct fixture *f)
{
	return make_network(f, IPPROTO_SCTP);
}

static int make_mptcp(struct fixture *f)
{
	return make_network(f, IPPROTO_MPTCP);
}

/* clang-format off */
static const struct {
	const char *name;
	int (*make)(struct fixture *f);
	uint8_t client, broker; /* reasons */
	const char *needs;      /* a file of kernels that have it; NULL: all do */
	bool may_carry;         /* counts under latch = yes */
} refused[] = {
	{ "listening",              make_listening,      IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_SOCKET_GONE, NULL, false },
	{ "listening, IPv6",        make_listening_ipv6, IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_SOCKET_GONE, NULL, false },
	{ "unconnected",            make_unconnected,    IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_SOCKET_GONE, NULL, false },
	{ "UDP",                    make_udp,            IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "unix stream",            make_unix,           IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "raw",                    make_raw,            IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "raw, IPv6",              make_raw_ipv6,       IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "pipe",                   make_pipe,           IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "epoll",                  make_epoll,          IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "file",                   make_file,           IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "closed",                 make_closed,         IPSEC_LATCH_SOCKET_GONE,     NOT_ASKED,               NULL, false },
	{ "O_PATH of a connection", make_path,           IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     NULL, false },
	{ "connecting",             make_connecting,     IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_SOCKET_GONE, NULL, true },
	{ "connected to itself",    make_self,           IPSEC_LATCH_SELF,            IPSEC_LATCH_SELF,        NULL, false },
	{ "own filter",             make_filtered,       IPSEC_LATCH_HAS_FILTER,      IPSEC_LATCH_HAS_FILTER,  NULL, true },
	{ "own filter, locked",     make_filter_locked,  IPSEC_LATCH_HAS_FILTER,      IPSEC_LATCH_HAS_FILTER,  NULL, true },
	{ "locked without filter",  make_locked,         IPSEC_LATCH_HAS_FILTER,      IPSEC_LATCH_HAS_FILTER,  NULL, true },
	{ "own eBPF filter",        make_bpf_filtered,   IPSEC_LATCH_ALREADY_LATCHED, IPSEC_LATCH_HAS_FILTER,  NULL, true },
	{ "kTLS",                   make_ulp,            IPSEC_LATCH_ULP,             IPSEC_LATCH_ULP,         NULL, true },
	{ "ended by its peer",      make_ended,          IPSEC_LATCH_SOCKET_GONE,     IPSEC_LATCH_SOCKET_GONE, NULL, false },
	{ "half closed",            make_half_closed,    IPSEC_LATCH_SOCKET_GONE,     IPSEC_LATCH_SOCKET_GONE, NULL, false },
	{ "already latched",        make_latched,        IPSEC_LATCH_ALREADY_LATCHED, IPSEC_LATCH_ALREADY_LATCHED, NULL, true },
	{ "SCTP",                   make_sctp,           IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     "/proc/sys/net/sctp", true },
	{ "MPTCP",                  make_mptcp,          IPSEC_LATCH_NOT_TCP,         IPSEC_LATCH_NOT_TCP,     "/proc/sys/net/mptcp", true },
};
/* clang-format on */

/* Asks without looking first, as a client of a hostile user's own would. */
static uint8_t broker_ask(const struct host *host, int fd)
{
	struct broker_request request = { .type = BROKER_RESERVE, .suite = 1, .key_in.len = 36 };
	socklen_t cookie_len = sizeof(request.cookie);
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
	ssize_t len = -1;
	int connection;

	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &request.cookie, &cookie_len);
	connection = probe_request_send(host, &request, &fd, 1);
	if (connection >= 0) {
		len = recv(connection, reply, sizeof(reply), 0);
		(void)close(connection);
	}
	return len < 2 ? IPSEC_LATCH_NO_BROKER : reply[1];
}

static void fixture_close(struct fixture *f, int fd)
{
	probe_pair_close(f->ends);
	for (size_t i = 0; i < 2; i++) {
		if (f->others[i] >= 0)
			(void)close(f->others[i]);
	}
	if (fd >= 0)
		(void)close(fd);
}

static void test_refused(size_t i)
{
	struct fixture f = { .ends = { { .fd = -1 }, { .fd = -1 } }, .others = { -1, -1 } };
	struct kbind_candidates found = { .count = 0 };
	int fd, client, broker = NOT_ASKED;

	if (refused[i].needs != NULL && access(refused[i].needs, F_OK) != 0) {
		(void)printf("# %s: this kernel has none\n", refused[i].name);
		return;
	}
	probe_namespace_enter(&probe_hosts[0]);
	fd = refused[i].make(&f);
	if (!probe_check(fd >= 0, "%s: made", refused[i].name)) {
		fixture_close(&f, fd);
		return;
	}
	client = (int)kbind_find_candidates(fd, &found);
	if (refused[i].broker != NOT_ASKED)
		broker = broker_ask(&probe_hosts[0], fd);
	probe_check(client == refused[i].client && broker == refused[i].broker,
		"%s: the search says %d, the broker %d", refused[i].name, client, broker);
	probe_check((found.unfit_count != 0) == refused[i].may_carry, "%s: %s under latch = yes",
		refused[i].name, refused[i].may_carry ? "looked at" : "not looked at");
	fixture_close(&f, refused[i].broker == NOT_ASKED ? -1 : fd);
}

/* --- what is latched all the same: each sets its option on both ends --- */

static bool set_mark(int fd)
{
	const int mark = 0x1234;

	return setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0;
}

static bool set_nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

static bool set_repaired(int fd)
{
	const int on = 1, off = 0;

	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0 &&
	       setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) == 0;
}

static bool set_urgent_inline(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) == 0;
}

static bool set_keepalive(int fd)
{
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0 &&
	       setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &on, sizeof(on)) == 0 &&
	       setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &on, sizeof(on)) == 0;
}

static bool set_device(int fd)
{
	/* One of the two exists where the socket is. */
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "veth-a", 7) == 0 ||
	       setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "veth-b", 7) == 0;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*set)(int fd);
} latched[] = {
	{ "SO_MARK of its own",  set_mark },
	{ "non-blocking",        set_nonblocking },
	{ "repaired",            set_repaired },
	{ "urgent data inline",  set_urgent_inline },
	{ "keep-alive",          set_keepalive },
	{ "bound to a device",   set_device },
};
/* clang-format on */

/* Latched: nothing clear comes in or goes out, for as long as a keep-alive takes and to the end. */
static void check_latched(struct end ends[2], const char *name)
{
	const uint16_t port = ends[0].candidate.tuple.remote_port;
	struct probe_wire_count count;
	int wire;

	if (!probe_check(probe_pair_latch(ends, PROBE_TOKEN_BYTES), "%s: latched", name))
		return;
	wire = probe_wire_open(&probe_hosts[0]);
	probe_check(probe_transfer(&ends[0], &ends[1], 50000) &&
			    probe_transfer(&ends[1], &ends[0], 50000),
		"%s: 50 000 octets each way", name);
	probe_pause_ms(1300);
	probe_pair_close(ends);
	probe_pause_ms(200);
	probe_wire_count(wire, port, &count);
	probe_check(count.clear == 0 && count.esp > 0, "%s: %u ESP packets, %u clear", name,
		count.esp, count.clear);
}

static void test_latched(void)
{
	struct end ends[2];

	for (size_t i = 0; i < sizeof(latched) / sizeof(latched[0]); i++) {
		if (probe_check(probe_pair_open_veth(ends) && latched[i].set(ends[0].fd) &&
					latched[i].set(ends[1].fd),
			    "%s: set", latched[i].name))
			check_latched(ends, latched[i].name);
		probe_pair_close(ends);
	}
}

/* T1 travels in the SYN: its octets count as received before the connection was established. */
static void test_fast_open(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct end ends[2] = { { .host = &probe_hosts[0] }, { .host = &probe_hosts[1] } };
	const int on = 1, queue = 5;
	const char first[] = "octets in the SYN";
	socklen_t len = sizeof(to);
	char octets[64];
	int listener;

	probe_shell("ip netns exec probe-a sysctl -qw net.ipv4.tcp_fastopen=7; "
		    "ip netns exec probe-b sysctl -qw net.ipv4.tcp_fastopen=0x207");
	probe_namespace_enter(&probe_hosts[1]);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	(void)bind(listener, (const struct sockaddr *)&any, sizeof(any));
	(void)setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	(void)listen(listener, 1);
	(void)getsockname(listener, (struct sockaddr *)&to, &len);
	(void)inet_pton(AF_INET, "10.79.0.2", &to.sin_addr);
	probe_namespace_enter(&probe_hosts[0]);
	ends[0].fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)setsockopt(ends[0].fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &on, sizeof(on));
	probe_check(sendto(ends[0].fd, first, sizeof(first), MSG_FASTOPEN, (struct sockaddr *)&to,
			    sizeof(to)) == (ssize_t)sizeof(first),
		"Fast Open: sent");
	ends[1].fd = accept(listener, NULL, NULL);
	(void)close(listener);
	probe_pause_ms(50);
	for (size_t i = 0; i < 2; i++) {
		ends[i].key_in.len = ends[i].key_out.len = 36;
		memset(ends[i].key_in.data, (int)i + 1, 36);
		memset(ends[i].key_out.data, 2 - (int)i, 36);
	}
	probe_check(recv(ends[1].fd, octets, sizeof(octets), 0) == (ssize_t)sizeof(first) &&
			    probe_end_look(&ends[0]) && probe_end_look(&ends[1]) &&
			    ends[1].candidate.received_bytes == sizeof(first) &&
			    ends[0].candidate.sent_bytes >= sizeof(first),
		"Fast Open: the SYN's octets count");
	check_latched(ends, "Fast Open");
	probe_pair_close(ends);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: socket_kinds PATH-OF-GSS-IPSECD\n");
		return 2;
	}
	probe_daemon_path = argv[1];
	probe_shell("modprobe -q sctp; modprobe -q tls; true");
	probe_network_make();
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		test_refused(i);
	test_latched();
	test_fast_open();
	(void)probe_check(probe_nothing_is_left(10), "nothing is left");
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	(void)printf("%d failed\n", probe_failures);
	return probe_failures == 0 ? 0 : 1;
}
