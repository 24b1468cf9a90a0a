/* SPDX-License-Identifier: BSD-2-Clause */
/* broker_probe's checks of reservations that somebody makes and nobody uses. */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/broker_probe.h"

#define UNUSED_SPI 0x1000

/* A token has arrived and is not read yet. */
static bool token_waits(struct end ends[2])
{
	const uint8_t token[PROBE_TOKEN_BYTES] = { 0 };
	int unread = 0;

	if (send(ends[0].fd, token, sizeof(token), MSG_NOSIGNAL) != (ssize_t)sizeof(token))
		return false;
	for (int i = 0; i < 200 && unread < (int)sizeof(token); i++) {
		(void)usleep(10000);
		if (ioctl(ends[1].fd, SIOCINQ, &unread) != 0)
			return false;
	}
	return unread == (int)sizeof(token);
}

static bool token_read(struct end *end)
{
	uint8_t token[PROBE_TOKEN_BYTES];

	return recv(end->fd, token, sizeof(token), MSG_WAITALL) == (ssize_t)sizeof(token);
}

/* Somebody's T1 has named a connection that is not his; then comes the one of its own peer on it. */
void test_overtaken(void)
{
	struct kbind_lease first;
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || probe_end_reserve(&ends[1], false, 0) != 0)
		return;
	first = ends[1].lease;
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_ALREADY_LATCHED,
		"no second reservation while nothing came on the connection");
	probe_check(token_waits(ends) &&
			    probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_ALREADY_LATCHED,
		"nor while its program has not read what came");
	probe_check(token_read(&ends[1]) && probe_end_reserve(&ends[1], false, 0) == 0,
		"a T1 that came on it takes the reservation over");
	kbind_release(ends[1].host->socket_path, &ends[1].candidate, &first);
	probe_check(probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES) &&
			    probe_end_reserve(&ends[0], true, ends[1].lease.spi_in) == 0 &&
			    probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES),
		"and is no more the first one's to release");
	first = ends[1].lease;
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_ALREADY_LATCHED,
		"not when octets came in ESP");
	ends[1].lease = first;
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) == 0,
		"it is latched");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* Reservations that nobody will use, here since their SAs were flushed, do not count for ever. */
void test_spent(void)
{
	struct end first[2], second[2];

	probe_broker_stop(&probe_hosts[1], SIGTERM);
	probe_daemon_options[0] = "--quota-user";
	probe_daemon_options[1] = "1";
	probe_broker_start(&probe_hosts[1]);
	probe_daemon_options[0] = probe_daemon_options[1] = NULL;
	if (!probe_pair_open_veth(first) || !probe_pair_open_veth(second) ||
		probe_end_reserve(&first[1], false, 0) != 0)
		return;
	probe_check(probe_end_reserve(&second[1], false, 0) == IPSEC_LATCH_QUOTA,
		"a second reservation where one is allowed: quota");
	probe_shell("ip -n probe-b xfrm state flush");
	probe_check(probe_end_reaches_state(&first[1], IPSEC_LATCH_STATE_BROKEN) &&
			    probe_end_reserve(&second[1], false, 0) == 0,
		"the first one broken: it makes room");
	probe_shell("ip -n probe-b xfrm state flush");
	probe_check(probe_end_reaches_state(&second[1], IPSEC_LATCH_STATE_BROKEN) &&
			    probe_end_reserve(&second[1], false, 0) == 0,
		"broken too: another try on its own connection takes its place");
	probe_pair_close(first);
	probe_pair_close(second);
	probe_check(probe_nothing_is_left(8), "nothing is left");
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	probe_broker_start(&probe_hosts[1]);
}

/* TCP knows before the next octet goes out that ESP leaves it less room: else what is longer than
 * that is lost, and comes again only when a timer says so. */
static void room_check(const struct end *end, const char *when)
{
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	(void)getsockopt(end->fd, IPPROTO_IP, IP_MTU, &mtu, &len);
	probe_check(mtu > 1400 && mtu < 1500, "%s: room for %d octets", when, mtu);
}

void test_room(void)
{
	const int on = 1;
	int is_reused = 0;
	socklen_t len = sizeof(is_reused);
	struct end ends[2];

	if (!probe_pair_open_veth(ends) ||
		setsockopt(ends[1].fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		!probe_pair_reserve(ends))
		return;
	room_check(&ends[0], "before T3");
	if (!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) ||
		!probe_check(probe_end_latch(
				     &ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) == 0,
			"acceptor's latch"))
		return;
	room_check(&ends[1], "before T4");
	if (!probe_transfer(&ends[1], &ends[0], PROBE_TOKEN_BYTES) ||
		!probe_check(
			probe_end_latch(&ends[0], true, 0, PROBE_TOKEN_BYTES) == 0, "initiator's"))
		return;
	room_check(&ends[0], "before the first data");
	probe_check(getsockopt(ends[1].fd, SOL_SOCKET, SO_REUSEADDR, &is_reused, &len) == 0 &&
			    is_reused == 1,
		"SO_REUSEADDR is as it was");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* A broker that does not answer in time: the program goes on without it, and nothing is done later. */
void test_given_up(void)
{
	struct end reserved[2], plain[2];
	enum ipsec_latch_reason reason;
	pid_t child;
	int status;

	if (!probe_pair_open_veth(plain) || !probe_pair_open_veth(reserved) ||
		!probe_pair_reserve(reserved) ||
		!probe_transfer(&reserved[0], &reserved[1], PROBE_TOKEN_BYTES))
		return;
	for (size_t i = 0; i < 2; i++)
		(void)kill(probe_hosts[i].broker, SIGSTOP);
	child = fork();
	if (child == 0)
		_exit((int)probe_end_reserve(&plain[0], true, UNUSED_SPI));
	reason = probe_end_latch(&reserved[1], false, reserved[0].lease.spi_in, PROBE_TOKEN_BYTES);
	(void)waitpid(child, &status, 0);
	for (size_t i = 0; i < 2; i++)
		(void)kill(probe_hosts[i].broker, SIGCONT);
	probe_check(reason == IPSEC_LATCH_BROKER_LOST && WIFEXITED(status) &&
			    WEXITSTATUS(status) == IPSEC_LATCH_NO_BROKER,
		"brokers that stand still give no answer: reasons %d and %d", reason,
		WEXITSTATUS(status));
	probe_check(
		probe_broker_ping(&probe_hosts[0]) == 0 && probe_broker_ping(&probe_hosts[1]) == 0,
		"then they go on");
	probe_pause_ms(500);
	probe_check(probe_end_state(&plain[0]) < 0 && probe_transfer(&plain[0], &plain[1], 5000),
		"a reservation that was given up is not made: state %d",
		probe_end_state(&plain[0]));
	probe_check(probe_end_state(&reserved[1]) == IPSEC_LATCH_STATE_LARVAL,
		"nor a latch: state %d", probe_end_state(&reserved[1]));
	probe_pair_close(plain);
	probe_pair_close(reserved);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

#define FILES_LEAST 1600 /* of gss-ipsecd: for so many reservations */
#define FEW_RESERVATIONS 256
#define FEW_PAIRS (FEW_RESERVATIONS / 2 + 1)

static void few_files_reserve(struct end pairs[FEW_PAIRS][2])
{
	size_t reserved = 0, busy = 0;

	for (size_t i = 0; i < 2 * FEW_PAIRS; i++) {
		struct end *ends = pairs[i / 2];
		enum ipsec_latch_reason reason;

		if (i % 2 == 0 &&
			!probe_pair_open(ends, "127.0.0.1", &probe_hosts[0], &probe_hosts[0]))
			break;
		reason = probe_end_reserve(&ends[i % 2], false, 0);
		reserved += reason == IPSEC_LATCH_LATCHED;
		busy += reason == IPSEC_LATCH_BROKER_BUSY;
	}
	probe_check(reserved == FEW_RESERVATIONS && busy == 2,
		"few open files: %zu reservations, then %zu are told that it is busy", reserved,
		busy);
}

/* A broker that may have few open files, and may not raise that, keeps some for who asks. */
void test_few_files(void)
{
	static struct end pairs[FEW_PAIRS][2];
	const char *daemon_path = probe_daemon_path;

	for (size_t i = 0; i < 2 * FEW_PAIRS; i++)
		pairs[i / 2][i % 2].fd = -1;
	probe_shell("printf '#!/bin/sh\nulimit -Hn %d\nexec setpriv --bounding-set -sys_resource "
		    "-- %s \"$@\"\n' >/run/probe-a/few && chmod 755 /run/probe-a/few",
		FILES_LEAST, daemon_path);
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_daemon_path = "/run/probe-a/few";
	probe_broker_start(&probe_hosts[0]);
	few_files_reserve(pairs);
	probe_check(probe_broker_ping(&probe_hosts[0]) == IPSEC_LATCH_LATCHED, "and it serves");
	for (size_t i = 0; i < FEW_PAIRS; i++)
		probe_pair_close(pairs[i]);
	probe_check(probe_nothing_is_left(10), "nothing is left");
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_daemon_path = daemon_path;
	probe_broker_start(&probe_hosts[0]);
}
