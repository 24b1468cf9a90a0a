/* SPDX-License-Identifier: BSD-2-Clause */
/* Too much of everything: connections, requests, users. */
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define FLOOD_MS 1500
#define FLOOD_LONGER_MS 5000 /* at most, until so many requests are measured */
#define FLOOD_REQUESTS 60
#define CONNECTIONS 400
#define CROWD 48

static int broker_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(
		address.sun_path, sizeof(address.sun_path), "%s", probe_hosts[0].socket_path);
	if (connect(connection, (struct sockaddr *)&address, sizeof(address)) == 0)
		return connection;
	(void)close(connection);
	return -1;
}

/* As many connections as he gets, each with so much of a request on it, again and again. */
static void connections_hold(const void *octets, size_t len)
{
	int held[CONNECTIONS];

	for (size_t i = 0; i < CONNECTIONS; i++)
		held[i] = -1;
	for (size_t i = 0;; i = (i + 1) % CONNECTIONS) {
		if (held[i] >= 0)
			(void)close(held[i]);
		held[i] = broker_connect();
		if (len > 0 && held[i] >= 0)
			(void)send(held[i], octets, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
}

static void silent_run(void *argument)
{
	(void)argument;
	connections_hold("", 0);
}

static void half_run(void *argument)
{
	static const char octet = BROKER_VERSION;

	(void)argument;
	connections_hold(&octet, sizeof(octet));
}

static void unread_run(void *argument)
{
	static const uint8_t list[10] = { BROKER_VERSION, BROKER_LIST };

	(void)argument;
	connections_hold(list, sizeof(list));
}

static void ping_run(void *argument)
{
	const struct broker_request ping = { .type = BROKER_PING };

	(void)argument;
	for (;;)
		(void)hostile_reason(&ping, NULL, 0);
}

static void query_run(void *argument)
{
	const struct broker_request query = { .type = BROKER_QUERY };
	const struct end *end = argument;

	for (;;)
		(void)hostile_reason(&query, &end->fd, 1);
}

static void flood(
	const char *name, hostile_job *job, void *argument, uid_t first, size_t count, uid_t step)
{
	pid_t pids[CROWD];

	for (size_t i = 0; i < count; i++)
		pids[i] = hostile_start(first + (uid_t)i * step, job, argument);
	/* Also what comes of it at once. */
	hostile_measure_begin();
	probe_pause_ms(FLOOD_MS);
	for (int i = 0; i < FLOOD_LONGER_MS / 100 && hostile_measured() < FLOOD_REQUESTS; i++)
		probe_pause_ms(100);
	hostile_measure_end(name);
	hostile_kill(pids, count);
}

/* Connections that come and go, each of which the kernel tells the broker of. */
static void churn_run(void *argument)
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };
	const struct sockaddr_in *to = argument;
	int fd;

	for (;;) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		(void)connect(fd, (const struct sockaddr *)to, sizeof(*to));
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
		(void)close(fd);
	}
}

static void test_churn(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 16) == 0 &&
		getsockname(listener, (struct sockaddr *)&address, &len) == 0)
		flood("connections that come and go", churn_run, &address, HOSTILE_UID, 4, 1);
	else
		probe_check(false, "a listener");
	(void)close(listener);
}

static void crowd_is_served(uid_t first, const char *name)
{
	struct end ends[2];

	if (!hostile_pair_open(ends))
		return;
	flood(name, query_run, &ends[0], first, CROWD, 1000);
	probe_pair_close(ends);
}

void hostile_test_floods(void)
{
	const struct rlimit files = { 4096, 4096 };

	(void)setrlimit(RLIMIT_NOFILE, &files);
	flood("silent connections", silent_run, NULL, HOSTILE_UID, 6, 1);
	flood("connections with one octet", half_run, NULL, HOSTILE_UID, 6, 1);
	flood("replies that nobody reads", unread_run, NULL, HOSTILE_UID, 6, 1);
	flood("one user's requests", ping_run, NULL, HOSTILE_UID, 8, 0);
	flood("eight users' requests", ping_run, NULL, HOSTILE_UID, 8, 1);
	crowd_is_served(HOSTILE_SUBUID, "48 ids of one person");
	crowd_is_served(HOSTILE_BLOCK, "48 ids of nobody knows whom");
	test_churn();
}
