/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a namespace's root, or a user with many namespaces, can take from gss-ipsecd --namespaces:
 * places, the conversation of a broker with its kernel, the broker itself in the middle of a request,
 * and the namespace's name.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/xfrm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/namespaces.h"

#define BLOCK_UID 327680 /* beyond 65 535, and of no range in /etc/subuid */
#define OF_USER 8
#define OF_GROUP 32
#define OF_ALL 64
#define FLOODERS 3
#define FLOOD_TRIES 3
#define FLOOD_MS 8000
#define ANSWER_LIMIT_MS 5000
#define ELSEWHERE_LIMIT_MS 1000
#define KILLS 10

/* --- places --- */

/* Asks as this user about a socket of a namespace that nobody else has. */
static enum ipsec_latch_reason ask_in_new(uid_t uid, int *ret_fd)
{
	enum ipsec_latch_reason reason;
	struct kbind_status status;

	if (unshare(CLONE_NEWNET) != 0)
		return IPSEC_LATCH_KERNEL;
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (seteuid(uid) != 0)
		return IPSEC_LATCH_KERNEL;
	reason = kbind_query(namespaces_daemon.socket_path, *ret_fd, &status);
	(void)seteuid(0);
	return reason;
}

static size_t spaces_take(uid_t uid, size_t wanted, int fds[OF_ALL], size_t taken)
{
	size_t first = taken;

	while (taken - first < wanted && ask_in_new(uid, &fds[taken]) == IPSEC_LATCH_NONE)
		taken++;
	return taken;
}

void namespaces_test_limits(void)
{
	int fds[OF_ALL], surplus[2] = { -1, -1 };
	enum ipsec_latch_reason of_group, of_all;
	size_t taken = 0;

	/* None shall end before the last has begun; whether the daemon listens is asked from here. */
	probe_namespace_enter(&namespaces_daemon);
	probe_broker_stop(&namespaces_daemon, SIGTERM);
	namespaces_daemon_start("--namespaces", "300");
	for (uid_t i = 0; i < OF_GROUP / OF_USER; i++)
		taken = spaces_take(BLOCK_UID + i, OF_USER, fds, taken);
	of_group = ask_in_new(BLOCK_UID + OF_GROUP, &surplus[0]);
	probe_check(taken == OF_GROUP && of_group == IPSEC_LATCH_QUOTA,
		"ids of a group have brokers in %zu namespaces, and no more: quota", taken);
	taken = spaces_take(0, OF_ALL - taken, fds, taken);
	of_all = ask_in_new(0, &surplus[1]);
	probe_check(taken == OF_ALL && of_all == IPSEC_LATCH_QUOTA,
		"%zu in all, root's included: quota", taken);
	for (size_t i = 0; i < taken; i++)
		(void)close(fds[i]);
	for (size_t i = 0; i < 2; i++)
		(void)close(surplus[i]);
	probe_namespace_enter(&namespaces_daemon);
	probe_broker_stop(&namespaces_daemon, SIGTERM);
	/* Of namespaces that are no more; they would stay until /run is emptied. */
	probe_shell("rm -f /run/probe-h/state.[0-9]*");
	namespaces_daemon_start("--namespaces", NAMESPACES_IDLE);
}

/* --- the conversation with the kernel --- */

static void flood_send(int protocol, unsigned int port, unsigned int groups)
{
	static int sockets[MAX_LINKS];
	const struct nlmsghdr nothing = { .nlmsg_len = NLMSG_HDRLEN, .nlmsg_type = NLMSG_NOOP };
	const struct sockaddr_nl to = {
		.nl_family = AF_NETLINK, .nl_pid = port, .nl_groups = groups
	};

	if (sockets[protocol] == 0)
		sockets[protocol] = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	for (int i = 0; i < 200; i++)
		(void)sendto(sockets[protocol], &nothing, sizeof(nothing), MSG_DONTWAIT,
			(const struct sockaddr *)&to, sizeof(to));
}

/* Octets to every netlink socket in this namespace, and to all that listen to the kernel's events there,
 * as only its root may send them, for good. */
static void flood_run(void)
{
	unsigned int protocol, port;
	char line[256];
	FILE *file;

	for (;;) {
		file = fopen("/proc/thread-self/net/netlink", "re");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			if (sscanf(line, "%*s %u %u", &protocol, &port) == 2 && port != 0 &&
				(protocol == NETLINK_XFRM || protocol == NETLINK_SOCK_DIAG))
				flood_send((int)protocol, port, 0);
		}
		if (file != NULL)
			(void)fclose(file);
		flood_send(NETLINK_XFRM, 0, 1u << (XFRMNLGRP_SA - 1));
		flood_send(NETLINK_XFRM, 0, 1u << (XFRMNLGRP_POLICY - 1));
		flood_send(NETLINK_SOCK_DIAG, 0, 1u << (SKNLGRP_INET_TCP_DESTROY - 1));
	}
}

static pid_t flooder_start(const struct host *host)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		_exit(1);
	probe_namespace_enter(host);
	flood_run();
	_exit(0);
}

static long ms_of_query(const struct end *end, enum ipsec_latch_reason *ret_reason)
{
	struct timespec before, after;
	struct kbind_status status;

	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	*ret_reason = kbind_query(end->host->socket_path, end->fd, &status);
	(void)clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
}

struct flood_result {
	long longest_inside_ms, longest_beside_ms;
	unsigned int inside, beside, unanswered;
};

/* Requests inside, of which those that need the kernel may fail, and beside. */
static struct flood_result flood_measure_once(struct end *inside, const struct end *beside)
{
	struct flood_result result = { 0 };
	enum ipsec_latch_reason reason;
	long ms;

	for (long left = FLOOD_MS; left > 0; left -= ms) {
		(void)probe_end_reserve(inside, false, 0);
		ms = ms_of_query(inside, &reason);
		result.inside++;
		result.unanswered += reason == IPSEC_LATCH_NO_BROKER;
		if (ms > result.longest_inside_ms)
			result.longest_inside_ms = ms;
		left -= ms;
		ms = ms_of_query(beside, &reason);
		result.beside += reason == IPSEC_LATCH_LATCHED;
		if (ms > result.longest_beside_ms)
			result.longest_beside_ms = ms;
		probe_pause_ms(50);
		ms += 50;
	}
	return result;
}

static bool flood_is_withstood_inside(const struct flood_result *result)
{
	return result->longest_inside_ms < ANSWER_LIMIT_MS && result->unanswered == 0;
}

static bool flood_is_withstood_beside(const struct flood_result *result)
{
	return result->beside > 0 && result->longest_beside_ms < ELSEWHERE_LIMIT_MS;
}

/* Once more, where other guests may have had the processor: a queue that is not emptied is not emptied
 * the next time either. */
static void flood_measure(
	struct end *inside, const struct end *beside, struct flood_result *ret_result)
{
	struct flood_result result;
	int tries = 0;

	do
		result = flood_measure_once(inside, beside);
	while (++tries < FLOOD_TRIES &&
		!(flood_is_withstood_inside(&result) && flood_is_withstood_beside(&result)));
	*ret_result = result;
}

void namespaces_test_flood(void)
{
	struct end inside[2], beside[2];
	struct flood_result result;
	pid_t flooders[FLOODERS];

	if (!probe_pair_open(inside, "10.79.0.1", &probe_hosts[1], &probe_hosts[0]) ||
		!namespaces_pair_latch(beside))
		return;
	(void)ms_of_query(&inside[0], &(enum ipsec_latch_reason){ 0 });
	for (size_t i = 0; i < FLOODERS; i++)
		flooders[i] = flooder_start(&probe_hosts[1]);
	flood_measure(&inside[0], &beside[0], &result);
	for (size_t i = 0; i < FLOODERS; i++) {
		(void)kill(flooders[i], SIGKILL);
		(void)waitpid(flooders[i], NULL, 0);
	}
	probe_check(flood_is_withstood_inside(&result),
		"netlink flooded by a container's root: %u questions there answered, %ld ms at "
		"most",
		result.inside, result.longest_inside_ms);
	probe_check(flood_is_withstood_beside(&result), "and %u elsewhere, %ld ms at most",
		result.beside, result.longest_beside_ms);
	probe_pair_close(inside);
	probe_pair_close(beside);
	probe_check(probe_nothing_is_left(20), "nothing is left");
	if (!namespaces_pair_latch(inside))
		return;
	probe_pair_close(inside);
	probe_check(probe_nothing_is_left(10), "afterwards connections are latched there again");
}

/* --- the broker in the middle of a request --- */

static struct asking {
	_Atomic unsigned int answered, lost, wrong;
} * asking;

static pid_t asker_start(const struct end *end)
{
	pid_t pid = fork();
	struct kbind_status status;
	enum ipsec_latch_reason reason;

	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		_exit(1);
	for (;;) {
		reason = kbind_query(end->host->socket_path, end->fd, &status);
		asking->lost += reason == IPSEC_LATCH_NO_BROKER;
		asking->answered += reason == IPSEC_LATCH_LATCHED;
		asking->wrong += reason != IPSEC_LATCH_NO_BROKER &&
				 (reason != IPSEC_LATCH_LATCHED ||
					 status.state != IPSEC_LATCH_STATE_ESTABLISHED);
	}
}

void namespaces_test_killed_while_asked(void)
{
	struct end ends[2];
	pid_t asker, broker;
	int killed = 0;

	asking = mmap(
		NULL, sizeof(*asking), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (asking == MAP_FAILED || !namespaces_pair_latch(ends))
		return;
	asker = asker_start(&ends[0]);
	for (int i = 0; i < KILLS; i++) {
		probe_pause_ms(100 + 37 * i);
		broker = namespaces_broker_of(&probe_hosts[0]);
		killed += broker > 0 && kill(broker, SIGKILL) == 0;
	}
	probe_pause_ms(500);
	(void)kill(asker, SIGKILL);
	(void)waitpid(asker, NULL, 0);
	probe_check(killed >= KILLS / 2 && asking->wrong == 0 &&
			    asking->lost <= 2 * (unsigned int)killed && asking->answered > 10,
		"a container's broker killed %d times while it is asked: %u answers right, %u "
		"wrong, "
		"%u lost with it",
		killed, asking->answered, asking->wrong, asking->lost);
	(void)munmap(asking, sizeof(*asking));
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* --- the name --- */

void namespaces_test_vanished(void)
{
	static struct host vanishing = { "probe-v", "127.0.0.1", "", "", 0 };
	struct kbind_status status;
	struct end ends[2];

	memcpy(vanishing.socket_path, namespaces_daemon.socket_path, sizeof(vanishing.socket_path));
	probe_shell("ip netns add probe-v && ip -n probe-v link set lo up");
	if (!probe_pair_open(ends, "127.0.0.1", &vanishing, &vanishing) ||
		!probe_check(probe_pair_latch(ends, PROBE_TOKEN_BYTES), "latched in a container"))
		return;
	probe_namespace_enter(&namespaces_daemon);
	probe_shell("ip netns del probe-v");
	probe_check(kbind_query(vanishing.socket_path, ends[0].fd, &status) == 0 &&
			    status.state == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_transfer(&ends[0], &ends[1], 20000) &&
			    probe_transfer(&ends[1], &ends[0], 20000),
		"its name is gone: what is latched there goes on");
	probe_pair_close(ends);
	for (int i = 0; i < 200 && namespaces_count_brokers() > 0; i++)
		probe_pause_ms(100);
	probe_check(
		namespaces_count_brokers() == 0 &&
			probe_shell_number("ls /run/probe-h/state.[0-9]* 2>/dev/null | wc -l") == 0,
		"closed: its broker ends behind the closing time, and leaves no state file");
}
