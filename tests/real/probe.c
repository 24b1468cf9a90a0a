/* SPDX-License-Identifier: BSD-2-Clause */
/* What broker_probe's checks use; see probe.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define LINGER "3"
#define TRANSFER_PATIENCE_MS 15000 /* beside other guests */
/* 0x47000000 to 0x47ffffff as ip(8) writes them */
#define OUR_REQIDS "reqid 1\\(19[1-9]\\|20[0-7]\\)[0-9]\\{6\\}"

struct host probe_hosts[2] = {
	{ "probe-a", "10.79.0.1", "/run/probe-a/broker.sock", "/run/probe-a/state", 0 },
	{ "probe-b", "10.79.0.2", "/run/probe-b/broker.sock", "/run/probe-b/state", 0 },
};
const char *probe_daemon_path;
const char *probe_daemon_options[PROBE_DAEMON_OPTIONS_MAX + 1];
int probe_failures;

bool probe_check(bool is_good, const char *format, ...)
{
	va_list arguments;

	(void)printf(is_good ? "ok - " : "FAILED - ");
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("\n");
	(void)fflush(stdout);
	probe_failures += !is_good;
	return is_good;
}

void probe_pause_ms(long ms)
{
	const struct timespec wait = { ms / 1000, ms % 1000 * 1000000 };

	(void)nanosleep(&wait, NULL);
}

void probe_shell(const char *format, ...)
{
	char command[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command) != 0)
		(void)printf("# failed: %s\n", command);
}

int probe_shell_number(const char *format, ...)
{
	char command[512];
	va_list arguments;
	FILE *output;
	int number = -1;

	va_start(arguments, format);
	(void)vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	output = popen(command, "r");
	if (output == NULL || fscanf(output, "%d", &number) != 1)
		number = -1;
	if (output != NULL)
		(void)pclose(output);
	return number;
}

void probe_namespace_enter(const struct host *host)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/run/netns/%s", host->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) {
		perror("setns");
		exit(1);
	}
	(void)close(fd);
}

/* SAs of ours, or SPD entries of ours ("dir" lines without socket policies), in a namespace. */
int probe_count_associations(const struct host *host)
{
	return probe_shell_number("ip -n %s xfrm state | grep -c '" OUR_REQIDS "'", host->name);
}

int probe_count_covers(const struct host *host)
{
	return probe_shell_number(
		"ip -n %s -o xfrm policy list nosock | grep -c '" OUR_REQIDS "'", host->name);
}

enum ipsec_latch_reason probe_broker_ping(const struct host *host)
{
	struct broker_request request = { .type = BROKER_PING };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct broker_reply *reply = calloc(1, sizeof(*reply));
	enum ipsec_latch_reason reason = IPSEC_LATCH_NO_BROKER;
	uint8_t octets[256];
	struct writer w;
	ssize_t len = -1;
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", host->socket_path);
	writer_init(&w, sizeof(octets));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		broker_request_write(&request, &w) == ERR_OK &&
		send(fd, writer_view(&w).data, writer_view(&w).len, MSG_NOSIGNAL) > 0)
		len = recv(fd, octets, sizeof(octets), 0);
	if (len > 0 && reply != NULL &&
		broker_reply_read(BROKER_PING, BYTES(octets, (size_t)len), reply) == ERR_OK)
		reason = reply->reason;
	writer_free(&w);
	free(reply);
	(void)close(fd);
	return reason;
}

void probe_broker_start(struct host *host)
{
	const char *arguments[9 + PROBE_DAEMON_OPTIONS_MAX] = { "gss-ipsecd", "--socket",
		host->socket_path, "--state", host->state_path, "--linger-seconds", LINGER, "-v" };

	memcpy(&arguments[8], probe_daemon_options, sizeof(probe_daemon_options));
	host->broker = fork();
	if (host->broker == 0) {
		probe_namespace_enter(host);
		/* execv() does not write through them */
		(void)execv(probe_daemon_path, (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	for (int i = 0; i < 50 && probe_broker_ping(host) == IPSEC_LATCH_NO_BROKER; i++)
		probe_pause_ms(50);
}

void probe_broker_stop(struct host *host, int signal_number)
{
	(void)kill(host->broker, signal_number);
	(void)waitpid(host->broker, NULL, 0);
	host->broker = 0;
}

void probe_network_make(void)
{
	for (size_t i = 0; i < 2; i++) {
		probe_shell("ip netns add %s && ip -n %s link set lo up", probe_hosts[i].name,
			probe_hosts[i].name);
		(void)mkdir(i == 0 ? "/run/probe-a" : "/run/probe-b", 0755);
	}
	probe_shell("ip link add veth-a netns probe-a type veth peer name veth-b netns probe-b");
	probe_shell("ip -n probe-a addr add 10.79.0.1/24 dev veth-a && ip -n probe-a link set "
		    "veth-a up");
	probe_shell("ip -n probe-b addr add 10.79.0.2/24 dev veth-b && ip -n probe-b link set "
		    "veth-b up");
	/* No test shall wait for duplicate address detection. */
	for (size_t i = 0; i < 2; i++) {
		probe_shell("ip -n %s addr add fd79::%zu/64 dev veth-%c nodad", probe_hosts[i].name,
			i + 1, (int)('a' + i));
		probe_shell("ip -n %s addr add fe80::79:%zu/64 dev veth-%c nodad",
			probe_hosts[i].name, i + 1, (int)('a' + i));
	}
}

bool probe_end_look(struct end *end)
{
	struct kbind_candidates found;

	if (kbind_find_candidates(end->fd, &found) != IPSEC_LATCH_LATCHED)
		return false;
	end->candidate = found.items[0];
	return true;
}

/* A socket on all addresses with this port, 0: any. */
static int socket_open(int domain, uint16_t port)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const bool is_v4 = domain == AF_INET;
	const int is_named = port != 0;
	int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &is_named, sizeof(is_named)) == 0 &&
		bind(fd, is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6,
			is_v4 ? sizeof(v4) : sizeof(v6)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

/* ret_port in network order. */
static int listener_open(int domain, uint16_t wanted, in_port_t *ret_port)
{
	struct sockaddr_in6 bound = { 0 }; /* the port stands at the same place in both */
	socklen_t len = sizeof(bound);
	int fd = socket_open(domain, wanted);

	if (listen(fd, 1) != 0 || getsockname(fd, (struct sockaddr *)&bound, &len) != 0) {
		(void)close(fd);
		return -1;
	}
	*ret_port = bound.sin6_port;
	return fd;
}

static int client_open(
	int domain, const char *server, in_port_t port, const struct probe_ports *ports)
{
	const struct addrinfo hints = { .ai_family = domain,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICHOST | (domain == AF_INET6 ? AI_V4MAPPED : 0) };
	struct addrinfo *found = NULL;
	const char *device = ports->device != NULL ? ports->device : "";
	char service[8];
	int fd = ports->client != 0 ? socket_open(domain, ports->client)
				    : socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(service, sizeof(service), "%u", ntohs(port));
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device)) != 0 ||
		getaddrinfo(server, service, &hints, &found) != 0 ||
		connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		(void)close(fd);
		fd = -1;
	}
	if (found != NULL)
		freeaddrinfo(found);
	return fd;
}

bool probe_route_open_at(
	struct end ends[2], const struct probe_route *route, const struct probe_ports *ports)
{
	in_port_t port;
	int listener;

	*ends = (struct end){ .host = route->client_host, .fd = -1 };
	ends[1] = (struct end){ .host = route->server_host, .fd = -1 };
	probe_namespace_enter(route->server_host);
	listener = listener_open(route->server_domain, ports->server, &port);
	if (listener < 0)
		return false;
	probe_namespace_enter(route->client_host);
	ends[0].fd = client_open(route->client_domain, route->server, port, ports);
	if (ends[0].fd >= 0)
		ends[1].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	(void)close(listener);
	return ends[1].fd >= 0 && probe_pair_prepare(ends);
}

bool probe_route_open(struct end ends[2], const struct probe_route *route)
{
	const struct probe_ports any = { 0 };

	return probe_route_open_at(ends, route, &any);
}

bool probe_pair_prepare(struct end ends[2])
{
	for (size_t i = 0; i < 2; i++) {
		ends[i].key_in.len = ends[i].key_out.len = 36;
		for (size_t j = 0; j < 36; j++) {
			ends[i].key_in.data[j] = (uint8_t)(j * 3 + i);
			ends[i].key_out.data[j] = (uint8_t)(j * 3 + 1 - i);
		}
	}
	return probe_end_look(&ends[0]) && probe_end_look(&ends[1]);
}

bool probe_pair_open(struct end ends[2], const char *server, const struct host *client_host,
	const struct host *server_host)
{
	const struct probe_route route = { "IPv4", server, AF_INET, AF_INET, client_host,
		server_host };

	return probe_route_open(ends, &route);
}

bool probe_pair_open_veth(struct end ends[2])
{
	return probe_pair_open(ends, probe_hosts[1].address, &probe_hosts[0], &probe_hosts[1]);
}

void probe_pair_close(struct end ends[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (ends[i].fd >= 0)
			(void)close(ends[i].fd);
		ends[i].fd = -1;
	}
}

/*
 * Waits for something to read at one end, and for room at the other while something is left to send:
 * whoever waited only to read would wait for good where the last send() found the buffer full of
 * what the reader has by now.
 */
bool probe_transfer(struct end *from, struct end *to, size_t len)
{
	struct pollfd waits[2] = { { .fd = to->fd, .events = POLLIN },
		{ .fd = from->fd, .events = POLLOUT } };
	uint8_t *octets = calloc(1, len);
	size_t sent = 0, got = 0;
	ssize_t now;

	while (octets != NULL && got < len) {
		if (sent < len) {
			now = send(from->fd, octets, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
			sent += now > 0 ? (size_t)now : 0;
		}
		if (poll(waits, sent < len ? 2 : 1, TRANSFER_PATIENCE_MS) <= 0)
			break;
		now = recv(to->fd, octets, len, MSG_DONTWAIT);
		if (now == 0 || (now < 0 && errno != EAGAIN))
			break;
		got += now > 0 ? (size_t)now : 0;
	}
	free(octets);
	if (got != len)
		(void)printf("# %zu of %zu octets sent, %zu received\n", sent, len, got);
	return got == len;
}

bool probe_nothing_comes(struct end *end, int ms)
{
	struct pollfd wait = { .fd = end->fd, .events = POLLIN };

	return poll(&wait, 1, ms) == 0;
}

enum ipsec_latch_reason probe_end_reserve(struct end *end, bool is_initiator, uint32_t spi_out)
{
	const struct kbind_reserve reserve = {
		.is_initiator = is_initiator,
		.suite = 1,
		.key_in = &end->key_in,
		.key_out = is_initiator ? &end->key_out : NULL,
		.spi_out = spi_out,
		.token_bytes = is_initiator ? 0 : PROBE_TOKEN_BYTES,
	};

	return kbind_reserve(end->host->socket_path, &end->candidate, &reserve, &end->lease);
}

enum ipsec_latch_reason probe_end_latch(
	struct end *end, bool is_initiator, uint32_t spi_out, uint64_t token_bytes)
{
	const struct kbind_latch latch = {
		.token_bytes = token_bytes,
		.key_out = is_initiator ? NULL : &end->key_out,
		.spi_out = spi_out,
		.local_name = is_initiator ? "alice@example.org" : "host/b.example.org",
		.peer_name = is_initiator ? "host/b.example.org" : "alice@example.org",
		.method = "Ed25519",
		.service = "probe",
	};

	return kbind_latch(end->host->socket_path, &end->candidate, &end->lease, &latch);
}

/* T1 and T2 in the clear, the reservations between. */
bool probe_pair_reserve(struct end ends[2])
{
	enum ipsec_latch_reason acceptor, initiator;

	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return probe_check(false, "T1");
	acceptor = probe_end_reserve(&ends[1], false, 0);
	if (acceptor != 0 || !probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES))
		return probe_check(false, "acceptor's reservation: reason %d", acceptor);
	initiator = probe_end_reserve(&ends[0], true, ends[1].lease.spi_in);
	return initiator == 0 ||
	       probe_check(false, "initiator's reservation: reason %d", initiator);
}

bool probe_pair_latch(struct end ends[2], size_t token_bytes)
{
	enum ipsec_latch_reason acceptor, initiator;

	if (!probe_pair_reserve(ends))
		return false;
	if (!probe_transfer(&ends[0], &ends[1], token_bytes))
		return probe_check(false, "T3 in ESP");
	acceptor = probe_end_latch(&ends[1], false, ends[0].lease.spi_in, token_bytes);
	if (acceptor != 0)
		return probe_check(false, "acceptor's latch: reason %d", acceptor);
	if (!probe_transfer(&ends[1], &ends[0], token_bytes))
		return probe_check(false, "T4 in ESP");
	initiator = probe_end_latch(&ends[0], true, 0, token_bytes);
	return initiator == 0 || probe_check(false, "initiator's latch: reason %d", initiator);
}

int probe_end_state(const struct end *end)
{
	struct kbind_status *status = calloc(1, sizeof(*status));
	int state = -1;

	if (status != NULL && kbind_query(end->host->socket_path, end->fd, status) == 0)
		state = status->state;
	free(status);
	return state;
}

bool probe_end_reaches_state(const struct end *end, int state)
{
	for (int i = 0; i < 30; i++) {
		if (probe_end_state(end) == state)
			return true;
		probe_pause_ms(100);
	}
	return false;
}

bool probe_nothing_is_left(int seconds)
{
	for (int i = 0; i < seconds * 3; i++) {
		if (probe_count_associations(&probe_hosts[0]) +
				probe_count_covers(&probe_hosts[0]) +
				probe_count_associations(&probe_hosts[1]) +
				probe_count_covers(&probe_hosts[1]) ==
			0)
			return true;
		probe_pause_ms(300);
	}
	return false;
}

int probe_main(int argc, char **argv, const struct probe_test *tests, size_t count)
{
	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: %s PATH-OF-GSS-IPSECD [TEST]\n", argv[0]);
		return 2;
	}
	probe_daemon_path = argv[1];
	probe_network_make();
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	for (size_t i = 0; i < count; i++) {
		if (argc == 2 || strcmp(argv[2], tests[i].name) == 0)
			tests[i].run();
	}
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	(void)printf("%d failed\n", probe_failures);
	return probe_failures == 0 ? 0 : 1;
}
