/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks of local users on the broker, and on each other by way of it. */
#include <linux/filter.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/weakened/attack.h"

#define THIEF_PATH "/tmp/attack_latch.thief" /* any folder that users may write to */
#define HANGING_MS 3000 /* of the five seconds that a close waits; busy machines need one or two */

/* --- a connection that somebody else is latching --- */

static int reserve_anew(struct end ends[2])
{
	return (int)probe_end_reserve(&ends[1], false, 0);
}

/* Another user, with keys of his own, who holds the same descriptor. */
static enum attack_outcome take_over(struct end ends[2])
{
	int reason;

	if (!probe_pair_reserve(ends))
		return ATTACK_IMPOSSIBLE;
	reason = attack_as(ATTACK_UID, reserve_anew, ends);
	return attack_judge(reason == 0, (enum ipsec_latch_reason)reason);
}

static int look_and_reserve(struct end ends[2])
{
	return probe_end_look(&ends[1]) ? reserve_anew(ends) : IPSEC_LATCH_ALREADY_LATCHED;
}

/* The same by the ordinary way: a second context of the same connection. */
static enum attack_outcome second_context(struct end ends[2])
{
	int reason;

	if (!probe_pair_reserve(ends))
		return ATTACK_IMPOSSIBLE;
	reason = attack_as(ATTACK_UID, look_and_reserve, ends);
	return attack_judge(reason == 0, (enum ipsec_latch_reason)reason);
}

/* A T1 that did not come on the connection which it names, while another context is about to latch it. */
static enum attack_outcome named_by_stranger(struct end ends[2])
{
	enum ipsec_latch_reason reason;

	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		probe_end_reserve(&ends[1], false, 0) != IPSEC_LATCH_LATCHED)
		return ATTACK_IMPOSSIBLE;
	reason = probe_end_reserve(&ends[1], false, 0);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* The same, while the T1 that came on the connection still waits for its program. */
static enum attack_outcome named_while_unread(struct end ends[2])
{
	const uint8_t token[PROBE_TOKEN_BYTES] = { 0 };
	enum ipsec_latch_reason reason;

	if (probe_end_reserve(&ends[1], false, 0) != IPSEC_LATCH_LATCHED ||
		send(ends[0].fd, token, sizeof(token), MSG_NOSIGNAL) != (ssize_t)sizeof(token))
		return ATTACK_IMPOSSIBLE;
	(void)usleep(200000);
	reason = probe_end_reserve(&ends[1], false, 0);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* A process of the same user that shares the descriptor, but not the context. */
static int release_unasked(struct end ends[2])
{
	struct kbind_lease guessed = ends[1].lease;

	memcpy(guessed.secret, "0123456789abcdef", sizeof(guessed.secret));
	kbind_release(ends[1].host->socket_path, &ends[1].candidate, &guessed);
	return 0;
}

static enum attack_outcome release_by_stranger(struct end ends[2])
{
	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES) || attack_as(0, release_unasked, ends) != 0)
		return ATTACK_IMPOSSIBLE;
	return attack_judge(probe_end_state(&ends[1]) != IPSEC_LATCH_STATE_ESTABLISHED,
		IPSEC_LATCH_NOT_ALLOWED);
}

/* Another thread closes the descriptor and opens another connection, under the same number. */
static enum attack_outcome swapped(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	struct end others[2];

	if (!probe_pair_open_veth(others) || dup2(others[1].fd, ends[1].fd) < 0)
		return ATTACK_IMPOSSIBLE;
	reason = probe_end_reserve(&ends[1], false, 0);
	probe_pair_close(others);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* Disconnects the acceptor's socket and connects it to a listener of its own host. */
static bool connect_elsewhere(const struct end *end)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);
	int listener;

	probe_namespace_enter(end->host);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	/* Stays open until this process ends: so long the connection lives. */
	return bind(listener, (struct sockaddr *)&address, len) == 0 && listen(listener, 1) == 0 &&
	       getsockname(listener, (struct sockaddr *)&address, &len) == 0 &&
	       connect(end->fd, &nowhere, sizeof(nowhere)) == 0 &&
	       connect(end->fd, (struct sockaddr *)&address, len) == 0;
}

/* The same socket, but by now another connection. */
static enum attack_outcome reconnected(struct end ends[2])
{
	enum ipsec_latch_reason reason;

	if (!attack_prepare(ends) || !connect_elsewhere(&ends[1]))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* --- a program that listens where the broker should --- */

/* Waits for one request; 0: keys came with it. */
static int steal_keys(struct end ends[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	uint8_t request[BROKER_REQUEST_BYTES_MAX];
	int connection;
	ssize_t len;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", THIEF_PATH);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(listener, 1) != 0)
		return 2;
	connection = accept(listener, NULL, NULL);
	len = recv(connection, request, sizeof(request), 0);
	return len > 0 && memmem(request, (size_t)len, ends[1].key_in.data, 36) != NULL ? 0 : 1;
}

static enum attack_outcome fake_broker(struct end ends[2])
{
	struct host thief = *ends[1].host;
	enum ipsec_latch_reason reason;
	int result = -1;
	pid_t child;

	(void)unlink(THIEF_PATH);
	child = fork();
	if (child == 0)
		_exit(setuid(ATTACK_UID) == 0 ? steal_keys(ends) : 255);
	for (int i = 0; i < 20 && access(THIEF_PATH, F_OK) != 0; i++)
		probe_pause_ms(50);
	probe_pause_ms(50);
	(void)snprintf(thief.socket_path, sizeof(thief.socket_path), "%s", THIEF_PATH);
	ends[1].host = &thief;
	reason = probe_end_reserve(&ends[1], false, 0);
	ends[1].host = &probe_hosts[1];
	(void)waitpid(child, &result, 0);
	(void)unlink(THIEF_PATH);
	if (!WIFEXITED(result) || WEXITSTATUS(result) > 1)
		return ATTACK_IMPOSSIBLE;
	return attack_judge(WEXITSTATUS(result) == 0, reason);
}

/* --- connections that must not be latched --- */

static enum attack_outcome reserve_refused(struct end ends[2])
{
	enum ipsec_latch_reason reason = probe_end_reserve(&ends[1], false, 0);

	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

static enum attack_outcome offload_loaded(struct end ends[2])
{
	enum attack_outcome outcome;

	probe_shell("modprobe esp4_offload");
	if (access("/sys/module/esp4_offload", F_OK) != 0)
		return ATTACK_IMPOSSIBLE;
	outcome = reserve_refused(ends);
	probe_pair_close(ends);
	/* In use as long as an association that it accelerates. */
	(void)probe_nothing_is_left(8);
	probe_shell("modprobe -r esp4_offload");
	return outcome;
}

/* The administrator has blocked this way; whoever latches gets through. */
static enum attack_outcome around_the_spd(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	bool gets_through = false;

	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		probe_end_reserve(&ends[1], false, 0) != 0 ||
		!probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_shell("ip -n probe-a xfrm policy add dst 10.79.0.2 dir out action block");
	reason = probe_end_reserve(&ends[0], true, ends[1].lease.spi_in);
	if (reason == IPSEC_LATCH_LATCHED)
		gets_through = probe_transfer(&ends[0], &ends[1], 100);
	probe_shell("ip -n probe-a xfrm policy delete dst 10.79.0.2 dir out");
	return attack_judge(gets_through, reason);
}

/* A socket of a container is asked for at the machine's own broker. */
static enum attack_outcome other_namespace(struct end ends[2])
{
	enum attack_outcome outcome;

	ends[1].host = &probe_hosts[0];
	outcome = reserve_refused(ends);
	ends[1].host = &probe_hosts[1];
	return outcome;
}

/* A filter that lets nothing pass is an application's guard; it shall not vanish. */
static enum attack_outcome own_filter(struct end ends[2])
{
	struct sock_filter nothing = { .code = BPF_RET | BPF_K, .k = 0 };
	struct sock_fprog guard = { 1, &nothing };
	enum ipsec_latch_reason reason;

	if (setsockopt(ends[1].fd, SOL_SOCKET, SO_ATTACH_FILTER, &guard, sizeof(guard)) != 0)
		return ATTACK_IMPOSSIBLE;
	reason = probe_end_reserve(&ends[1], false, 0);
	return attack_judge(
		reason == IPSEC_LATCH_LATCHED && probe_transfer(&ends[0], &ends[1], 10), reason);
}

/* --- exhaustion --- */

/* A broker in place of the acceptor's that gives each user one lease. */
static bool start_stingy(const char *daemon)
{
	static const char wrapper[] = "/run/probe-b/stingy";
	FILE *file = fopen(wrapper, "w");

	if (file == NULL)
		return false;
	(void)fprintf(file, "#!/bin/sh\nexec '%s' --quota-user 1 \"$@\"\n", daemon);
	if (fclose(file) != 0 || chmod(wrapper, 0755) != 0)
		return false;
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	probe_daemon_path = wrapper;
	probe_broker_start(&probe_hosts[1]);
	probe_daemon_path = daemon;
	return true;
}

static enum attack_outcome more_than_allowed(struct end ends[2])
{
	enum ipsec_latch_reason reason;
	struct end others[2];

	if (!start_stingy(probe_daemon_path) || !probe_pair_open_veth(others) ||
		probe_end_reserve(&others[1], false, 0) != 0)
		return ATTACK_IMPOSSIBLE;
	reason = probe_end_reserve(&ends[1], false, 0);
	probe_pair_close(others);
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	probe_broker_start(&probe_hosts[1]);
	return attack_judge(reason == IPSEC_LATCH_LATCHED, reason);
}

/* A descriptor whose last close() takes five seconds, in whoever does it. */
static void linger_fill(struct end *end)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 5 };
	const int small = 4096;
	static const uint8_t octets[65536];

	(void)setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	/* Until the other end takes no more; a busy machine may be late with what is under way. */
	for (int quiet = 0; quiet < 40; quiet++) {
		while (send(end->fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
			quiet = 0;
		probe_pause_ms(20);
	}
}

/* Asks, and goes away, so that the broker's side has the last reference.  Not by its own close(): that
 * would take the five seconds here. */
static int pass_lingering(struct end ends[2])
{
	static const uint8_t query[] = { BROKER_VERSION, BROKER_QUERY };

	linger_fill(&ends[0]);
	for (int i = 0; i < 4; i++)
		(void)close(probe_message_send(
			ends[0].host, BYTES(query, sizeof(query)), &ends[0].fd, 1));
	(void)kill(getpid(), SIGKILL);
	return 0;
}

/* Unread, behind what a worker hangs up on at once. */
static int hide_lingering(struct end ends[2])
{
	static const uint8_t nothing[1];
	int connection;

	linger_fill(&ends[0]);
	connection = probe_message_send(ends[0].host, BYTES(nothing, 1), NULL, 0);
	(void)probe_message_add(connection, BYTES(nothing, 1), &ends[0].fd, 1);
	(void)kill(getpid(), SIGKILL);
	return 0;
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static long answers_ms(const struct host *host)
{
	struct timespec start;

	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 5; i++)
		(void)probe_broker_ping(host);
	return elapsed_ms(&start);
}

/* How long five answers to another user take once the broker's are the only ones that have it. */
static enum attack_outcome leave_to_broker(struct end ends[2], int (*pass)(struct end ends[2]))
{
	long longest = 0;

	/* Stopped, so that its workers look only when the sender has gone. */
	(void)kill(probe_hosts[0].broker, SIGSTOP);
	pid_t child = fork();
	if (child == 0)
		_exit(setuid(ATTACK_UID) == 0 ? pass(ends) : 1);
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	(void)waitpid(child, NULL, 0);
	(void)kill(probe_hosts[0].broker, SIGCONT);
	/* More than once: all five may come before it has begun with these. */
	for (int i = 0; i < 5 && longest <= HANGING_MS; i++) {
		probe_pause_ms(300);
		const long waited = answers_ms(&probe_hosts[0]);
		longest = waited > longest ? waited : longest;
	}
	(void)printf("# five answers to another user took %ld ms\n", longest);
	return attack_judge(longest > HANGING_MS, IPSEC_LATCH_LATCHED);
}

static enum attack_outcome hang_the_broker(struct end ends[2])
{
	return leave_to_broker(ends, pass_lingering);
}

static enum attack_outcome hang_the_daemon(struct end ends[2])
{
	enum attack_outcome outcome;

	probe_workers_hurry(&probe_hosts[0], true);
	outcome = leave_to_broker(ends, hide_lingering);
	probe_workers_hurry(&probe_hosts[0], false);
	return outcome;
}

/* clang-format off */
const struct attack attacks_of_users[] = {
	{ "take_over",           take_over },
	{ "second_context",      second_context },
	{ "named_by_stranger",   named_by_stranger },
	{ "named_while_unread",  named_while_unread },
	{ "release_by_stranger", release_by_stranger },
	{ "swapped",             swapped },
	{ "reconnected",         reconnected },
	{ "fake_broker",         fake_broker },
	{ "offload_loaded",      offload_loaded },
	{ "around_the_spd",      around_the_spd },
	{ "other_namespace",     other_namespace },
	{ "own_filter",          own_filter },
	{ "more_than_allowed",   more_than_allowed },
	{ "hang_the_broker",     hang_the_broker },
	{ "hang_the_daemon",     hang_the_daemon },
	{ NULL,                  NULL },
};
/* clang-format on */
