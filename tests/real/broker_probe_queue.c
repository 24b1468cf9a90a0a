/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_probe's checks of requests that wait: whose turn comes first, and who holds up nobody. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/broker_probe.h"

#define PLAIN_UID 12345

/* A connection to the broker, with the head of a request on it (type 0: nothing), which is all of a PING;
 * -1: none. */
static int head_send(const struct host *host, uint8_t type)
{
	const uint8_t head[] = { BROKER_VERSION, type };
	int connection = probe_connect(host);

	if (connection < 0 || type == 0 || send(connection, head, sizeof(head), MSG_NOSIGNAL) > 0)
		return connection;
	(void)close(connection);
	return -1;
}

void test_crowd(void)
{
	enum { CROWD = 120 };
	int connections[CROWD], answers = 0;
	uint8_t reply[16];

	for (size_t i = 0; i < CROWD; i++)
		connections[i] = head_send(&probe_hosts[0], BROKER_PING);
	for (size_t i = 0; i < CROWD; i++) {
		answers += recv(connections[i], reply, sizeof(reply), 0) == 2;
		(void)close(connections[i]);
	}
	probe_check(
		answers == CROWD, "%d requests of one user at once: %d answered", CROWD, answers);
}

/* How many of a crowd, that comes while all workers stand still, wait yet when the LATCH behind it is over;
 * -1: not all were heard. */
static int crowd_behind_latch(void)
{
	enum { CROWD = 120 };
	int connections[CROWD], latch, waiting = 0;
	bool are_heard;
	uint8_t reply[16];

	probe_shell("pkill -STOP -P %d", (int)probe_hosts[0].broker);
	for (size_t i = 0; i < CROWD; i++)
		connections[i] = head_send(&probe_hosts[0], BROKER_PING);
	latch = head_send(&probe_hosts[0], BROKER_LATCH);
	probe_pause_ms(50);
	probe_shell("pkill -CONT -P %d", (int)probe_hosts[0].broker);
	/* Read, and no LATCH: no answer. */
	are_heard = recv(latch, reply, sizeof(reply), 0) == 0;
	(void)close(latch);
	for (size_t i = 0; i < CROWD; i++) {
		if (recv(connections[i], reply, sizeof(reply), MSG_DONTWAIT) == 2)
			continue;
		are_heard = are_heard && errno == EAGAIN;
		waiting++;
	}
	for (size_t i = 0; i < CROWD; i++)
		(void)close(connections[i]);
	return are_heard ? waiting : -1;
}

/* Five times: where this process stands still just then, all of them have been answered. */
void test_crowd_latch_first(void)
{
	int waiting, most = -1;

	for (int i = 0; i < 5; i++) {
		waiting = crowd_behind_latch();
		most = waiting > most ? waiting : most;
	}
	probe_check(
		most >= 20, "a LATCH goes before a crowd of its user's: %d wait behind it", most);
}

/* Ten, one after the other. */
static bool pings_are_quick(const struct host *host)
{
	struct timespec before, after;
	int pings = 0;

	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	for (int i = 0; i < 10; i++)
		pings += probe_broker_ping(host) == IPSEC_LATCH_LATCHED;
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	return pings == 10 && after.tv_sec - before.tv_sec <= 1;
}

/* Users who connect and say nothing keep no worker busy. */
void test_silent_users(void)
{
	enum { USERS = 5, CONNECTIONS = 32 };
	pid_t children[USERS];

	for (size_t i = 0; i < USERS; i++) {
		children[i] = fork();
		if (children[i] != 0)
			continue;
		if (setuid(PLAIN_UID + (uid_t)i) != 0)
			_exit(1);
		for (size_t j = 0; j < CONNECTIONS; j++)
			(void)head_send(&probe_hosts[0], 0);
		probe_pause_ms(10000);
		_exit(0);
	}
	probe_pause_ms(300);
	probe_check(pings_are_quick(&probe_hosts[0]), "users who say nothing do not block others");
	for (size_t i = 0; i < USERS; i++) {
		(void)kill(children[i], SIGKILL);
		(void)waitpid(children[i], NULL, 0);
	}
}

/* The last close() of this descriptor takes eight seconds, in whoever does it. */
void test_hanging_descriptor(void)
{
	const struct broker_request query = { .type = BROKER_QUERY };
	const struct linger linger = { .l_onoff = 1, .l_linger = 8 };
	const int small = 4096;
	struct end ends[2];
	uint8_t octets[65536] = { 0 };
	pid_t child;

	if (!probe_pair_open_veth(ends))
		return;
	/* Stopped, so that its workers look only when the sender has gone. */
	(void)kill(probe_hosts[0].broker, SIGSTOP);
	child = fork();
	if (child == 0) {
		(void)setsockopt(ends[0].fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		(void)setsockopt(ends[0].fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		/* Until the other end takes no more. */
		for (int i = 0; i < 40; i++) {
			while (send(ends[0].fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
				continue;
			probe_pause_ms(20);
		}
		/* It does not wait for an answer, so that the broker's side has the last reference. */
		for (int i = 0; i < 6; i++)
			(void)close(probe_request_send(ends[0].host, &query, &ends[0].fd, 1));
		(void)kill(getpid(), SIGKILL);
	}
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	(void)waitpid(child, NULL, 0);
	(void)kill(probe_hosts[0].broker, SIGCONT);
	probe_check(
		pings_are_quick(&probe_hosts[0]), "a descriptor that blocks does not block others");
	/* Beyond a worker's deadline, within the descriptor's eight seconds. */
	probe_pause_ms(4500);
	probe_check(probe_broker_ping(&probe_hosts[0]) == IPSEC_LATCH_LATCHED,
		"nor does it after the worker was killed");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}
