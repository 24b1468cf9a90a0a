/* SPDX-License-Identifier: BSD-2-Clause */
/* Too much of everything: connections, requests, users, reservations. */
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
#define CONNECTIONS 400
#define CROWD 48
#define PAIRS 30 /* more than --quota-user 20 */

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
	hostile_measure_end(name);
	hostile_kill(pids, count);
}

/* --- reservations --- */

struct hoarder {
	struct end *ends;
	int wanted;
};

/* Reserves what it gets, and says so by its status. */
static void hoard_run(void *argument)
{
	const struct hoarder *hoarder = argument;
	int granted = 0;

	for (int i = 0; i < PAIRS; i++) {
		const struct end *end = &hoarder->ends[i];
		const struct broker_request request = {
			.type = BROKER_RESERVE,
			.cookie = end->candidate.cookie,
			.suite = 1,
			.key_in = end->key_in,
		};

		granted += hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_LATCHED;
	}
	_exit(granted == hoarder->wanted ? 0 : 100 + granted);
}

static int hoard(uid_t uid, struct end *ends, int wanted)
{
	struct hoarder hoarder = { ends, wanted };
	pid_t pid = hostile_start(uid, hoard_run, &hoarder);
	int status = -1;

	(void)waitpid(pid, &status, 0);
	if (!WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status) == 0 ? wanted : WEXITSTATUS(status) - 100;
}

static bool pairs_open(struct end ends[2][PAIRS])
{
	struct end pair[2];

	for (size_t i = 0; i < PAIRS; i++) {
		if (!hostile_pair_open(pair))
			return false;
		ends[0][i] = pair[0];
		ends[1][i] = pair[1];
	}
	return true;
}

static void pairs_close(struct end ends[2][PAIRS])
{
	for (size_t i = 0; i < PAIRS; i++) {
		(void)close(ends[0][i].fd);
		(void)close(ends[1][i].fd);
	}
}

static void test_quotas(void)
{
	static struct end one[2][PAIRS], two[2][PAIRS];
	int first, second;

	if (!pairs_open(one) || !pairs_open(two)) {
		probe_check(false, "connections for the quotas");
		return;
	}
	hostile_measure_begin();
	first = hoard(HOSTILE_UID, one[0], 20);
	probe_check(first == 20, "one user gets his quota of 20 and no more: %d", first);
	first = hoard(HOSTILE_SUBUID, one[1], 20);
	second = hoard(HOSTILE_SUBUID + 60000, two[0], 0);
	probe_check(first == 20 && second == 0,
		"so does one person with many ids of his in /etc/subuid: %d and %d", first, second);
	first = hoard(HOSTILE_UID + 1, two[1], 20);
	probe_check(first == 20, "another user still gets his: %d", first);
	hostile_measure_end("hoarders of reservations");
	pairs_close(one);
	pairs_close(two);
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
	test_quotas();
}
