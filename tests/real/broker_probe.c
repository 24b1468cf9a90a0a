/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsecd against a real kernel, without GSS: two network namespaces joined by a veth pair, a
 * broker in each, TCP connections between them, and requests as the mechanism makes them.  Tokens
 * are just octets here.  Run as root where ESP is there:  broker_probe PATH-OF-GSS-IPSECD
 * Prints "ok - what" or "FAILED - what" for each check; ends with 1 when one failed.
 */
#include <errno.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/broker_probe.h"

#define PLAIN_UID 12345

static void test_ping(void)
{
	for (size_t i = 0; i < 2; i++)
		probe_check(probe_broker_ping(&probe_hosts[i]) == IPSEC_LATCH_LATCHED,
			"%s: broker can latch", probe_hosts[i].name);
}

static void test_latch(size_t token_bytes)
{
	struct kbind_status status;
	struct end ends[2];
	bool is_established;
	char text[8];
	ssize_t len;

	if (!probe_check(probe_pair_open_veth(ends) && probe_pair_latch(ends, token_bytes),
		    "latched, tokens of %zu octets", token_bytes))
		goto out;
	is_established = kbind_query(ends[1].host->socket_path, ends[1].fd, &status) == 0 &&
			 status.state == IPSEC_LATCH_STATE_ESTABLISHED && status.packets_in > 0 &&
			 strcmp(status.peer_name, "alice@example.org") == 0;
	probe_check(is_established, "status: established, %llu packets in",
		(unsigned long long)status.packets_in);
	probe_check(probe_count_associations(&probe_hosts[0]) == 2 &&
			    probe_count_covers(&probe_hosts[0]) == 2,
		"two SAs, two covers");
	probe_check(probe_transfer(&ends[0], &ends[1], 100000) &&
			    probe_transfer(&ends[1], &ends[0], 100000),
		"100 000 octets each way");
	probe_check(probe_inject(&ends[0], "INJECTED", 0) && probe_nothing_comes(&ends[1], 300),
		"a clear segment in sequence is not delivered");
	probe_check(probe_transfer(&ends[0], &ends[1], 1000), "the stream goes on");
	probe_check(probe_end_reserve(&ends[0], true, 0x12345678) == IPSEC_LATCH_ALREADY_LATCHED,
		"no second latch");
	(void)shutdown(ends[0].fd, SHUT_WR);
	len = recv(ends[1].fd, text, sizeof(text), 0);
	probe_check(len == 0, "FIN arrives in ESP");
out:
	probe_pair_close(ends);
	probe_pause_ms(1200);
	probe_check(probe_count_associations(&probe_hosts[0]) == 2 &&
			    probe_count_covers(&probe_hosts[0]) == 2,
		"SAs and cover stay after the close");
	probe_check(probe_nothing_is_left(8), "and are gone after the linger time");
}

static void test_short(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends))
		return;
	probe_check(probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES), "T3");
	probe_check(
		probe_end_latch(&ends[1], false, ends[0].lease.spi_in, 100000) == IPSEC_LATCH_SHORT,
		"a token longer than what came in ESP: short");
	kbind_release(ends[1].host->socket_path, &ends[1].candidate, &ends[1].lease);
	kbind_release(ends[0].host->socket_path, &ends[0].candidate, &ends[0].lease);
	probe_check(probe_transfer(&ends[1], &ends[0], 1000) &&
			    probe_transfer(&ends[0], &ends[1], 1000),
		"released before a latch: clear again");
	probe_check(probe_end_look(&ends[0]) && probe_end_look(&ends[1]) &&
			    probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		"and can be latched anew");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_clear_behind(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends))
		return;
	probe_check(
		probe_inject(&ends[0], "INJECTED", PROBE_TOKEN_BYTES), "clear octets behind T3");
	probe_pause_ms(100);
	probe_check(probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES), "T3");
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) ==
			    IPSEC_LATCH_CLEAR_BEHIND,
		"clear octets behind the start of ESP are noticed");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* Between the reservation and the latch nothing keeps the recorder on: whoever else holds the
 * descriptor can take it off, and what comes then is in no record. */
static void test_recorder_off(void)
{
	struct end ends[2];
	int nothing = 0, result = 1;
	pid_t child;

	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends) ||
		!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return;
	child = fork();
	if (child == 0)
		_exit(setuid(PLAIN_UID) == 0 && setsockopt(ends[1].fd, SOL_SOCKET, SO_DETACH_FILTER,
							&nothing, sizeof(nothing)) == 0
				? 0
				: 1);
	(void)waitpid(child, &result, 0);
	probe_check(result == 0 && probe_inject(&ends[0], "INJECTED", 0),
		"the recorder taken off by another user behind T3, then clear octets");
	probe_pause_ms(100);
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) ==
			    IPSEC_LATCH_HAS_FILTER,
		"is noticed at the verdict");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* Out of order, behind the client's look at the stream and before the recorder is on. */
static void test_slipped_in(void)
{
	enum ipsec_latch_reason reason;
	struct end ends[2];
	pid_t child;

	if (!probe_pair_open_veth(ends) || !probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return;
	(void)kill(probe_hosts[1].broker, SIGSTOP);
	child = fork();
	if (child == 0) {
		probe_pause_ms(400);
		(void)probe_inject(&ends[0], "INJECTED", PROBE_TOKEN_BYTES);
		probe_pause_ms(100);
		(void)kill(probe_hosts[1].broker, SIGCONT);
		_exit(0);
	}
	reason = probe_end_reserve(&ends[1], false, 0);
	(void)waitpid(child, NULL, 0);
	probe_check(reason == IPSEC_LATCH_PENDING,
		"clear octets before the recorder are noticed: reason %d", reason);
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_bound_to_device(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) ||
		setsockopt(ends[0].fd, SOL_SOCKET, SO_BINDTODEVICE, "veth-a", 7) != 0 ||
		!probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	probe_pause_ms(2500);
	probe_check(probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED,
		"bound to a device: stays established");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* The kernel, asked for the connection, shows the listener that its socket has become. */
static void test_listener(void)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_in here;
	socklen_t len = sizeof(here);
	struct end ends[2];
	int fd;

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	fd = ends[0].fd;
	probe_check(getsockname(fd, (struct sockaddr *)&here, &len) == 0 &&
			    connect(fd, &nowhere, sizeof(nowhere)) == 0 &&
			    bind(fd, (struct sockaddr *)&here, len) == 0 && listen(fd, 1) == 0,
		"a latched socket is made a listener at its own port");
	probe_check(probe_end_reaches_state(&ends[0], IPSEC_LATCH_STATE_BROKEN), "broken");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_failed(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	kbind_release(ends[1].host->socket_path, &ends[1].candidate, &ends[1].lease);
	probe_check(probe_end_state(&ends[1]) == IPSEC_LATCH_STATE_FAILED,
		"released after the latch: failed");
	probe_check(probe_transfer(&ends[0], &ends[1], 1000), "and still in ESP");
	probe_check(probe_inject(&ends[0], "INJECTED", 0) && probe_nothing_comes(&ends[1], 300),
		"and only in ESP");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_flush(void)
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	probe_shell("ip -n probe-a xfrm policy flush");
	probe_pause_ms(1500);
	probe_check(
		probe_count_covers(&probe_hosts[0]) == 2, "a flushed SPD: the cover comes back");
	probe_shell("ip -n probe-a xfrm state flush");
	probe_check(
		probe_end_reaches_state(&ends[0], IPSEC_LATCH_STATE_BROKEN), "flushed SAs: broken");
	probe_check(send(ends[0].fd, "secret", 6, MSG_NOSIGNAL) == 6 &&
			    probe_nothing_comes(&ends[1], 500),
		"and nothing leaves");
	/* Abort: what was never acknowledged would keep the sockets for minutes. */
	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_refusals(void)
{
	struct sock_filter accept_all = { .code = BPF_RET | BPF_K, .k = UINT32_MAX };
	struct sock_fprog filter = { 1, &accept_all };
	struct end ends[2];

	if (!probe_pair_open_veth(ends))
		return;
	probe_shell(
		"ip -n probe-b xfrm policy add src 10.79.0.1 dst 10.79.0.2 dir in tmpl src 1.1.1.1 "
		"dst 2.2.2.2 proto esp mode tunnel reqid 5");
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_PRESCRIBED,
		"prescribed by the SPD");
	probe_shell("ip -n probe-b xfrm policy flush");
	(void)setsockopt(ends[1].fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_HAS_FILTER, "own filter");
	(void)setsockopt(ends[1].fd, SOL_SOCKET, SO_DETACH_FILTER, &filter, sizeof(filter));
	ends[1].host = &probe_hosts[0];
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_OTHER_NETNS,
		"other namespace");
	ends[1].host = &probe_hosts[1];
	probe_check(probe_end_reserve(&ends[1], false, 0) == 0, "otherwise reserved");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

/* Another user who holds the same descriptor. */
static void test_other_user(void)
{
	struct kbind_status status;
	struct kbind_lease stolen;
	struct end ends[2];
	bool is_good;
	int result = 1;
	pid_t child;

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	child = fork();
	if (child == 0) {
		stolen = ends[0].lease;
		is_good = setuid(PLAIN_UID) == 0 &&
			  kbind_query(ends[0].host->socket_path, ends[0].fd, &status) == 0 &&
			  status.peer_name[0] == '\0' && status.spi_in == 0 &&
			  setsockopt(ends[0].fd, SOL_SOCKET, SO_DETACH_FILTER, &result,
				  sizeof(result)) != 0;
		kbind_release(ends[0].host->socket_path, &ends[0].candidate, &stolen);
		_exit(is_good ? 0 : 1);
	}
	(void)waitpid(child, &result, 0);
	probe_check(result == 0 && probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED,
		"another user may ask, sees no names nor SPIs, cannot release or take the recorder "
		"off");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_restart(void)
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };
	struct end ends[2], larval[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES) ||
		!probe_pair_open_veth(larval) || !probe_pair_reserve(larval))
		return;
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_check(
		probe_transfer(&ends[0], &ends[1], 1000), "broker killed: the connection lives");
	probe_shell(
		"ip -n probe-a xfrm state add src 9.9.9.9 dst 8.8.8.8 proto esp spi 0x999 reqid "
		"0x47999999 mode transport aead 'rfc4106(gcm(aes))' 0x%040d 128",
		1);
	probe_shell(
		"ip -n probe-a xfrm state add src 9.9.9.9 dst 8.8.8.8 proto esp spi 0x998 reqid 7 "
		"mode transport aead 'rfc4106(gcm(aes))' 0x%040d 128",
		1);
	probe_broker_start(&probe_hosts[0]);
	probe_check(
		probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED, "restarted: adopted");
	probe_check(probe_count_associations(&probe_hosts[0]) == 2 &&
			    probe_count_covers(&probe_hosts[0]) == 2,
		"strays and the lost handshake's SAs are deleted");
	probe_check(probe_shell_number("ip -n probe-a xfrm state | grep -c 0x00000998") == 1,
		"what belongs to others is not");
	probe_check(
		probe_end_latch(&larval[0], true, 0, PROBE_TOKEN_BYTES) == IPSEC_LATCH_BROKER_LOST,
		"the handshake in the middle is lost, with its reason");
	kbind_release(larval[0].host->socket_path, &larval[0].candidate, &larval[0].lease);
	probe_check(send(larval[0].fd, "clear", 5, MSG_NOSIGNAL) == 5 &&
			    probe_nothing_comes(&larval[1], 400),
		"and carries nothing after its release: nobody knows what it had received");
	(void)setsockopt(larval[0].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	(void)setsockopt(larval[1].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(larval);
	probe_check(probe_transfer(&ends[1], &ends[0], 5000), "the adopted connection goes on");
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_pair_close(ends);
	probe_pause_ms(500);
	probe_broker_start(&probe_hosts[0]);
	probe_check(probe_count_covers(&probe_hosts[0]) == 2,
		"closed without a broker: cover kept for a while");
	probe_check(probe_nothing_is_left(8), "nothing is left");
}

static void test_same_host(void)
{
	struct end ends[2];

	if (!probe_check(probe_pair_open(ends, "127.0.0.1", &probe_hosts[0], &probe_hosts[0]) &&
				 probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		    "latched on one host"))
		return;
	probe_check(probe_count_associations(&probe_hosts[0]) == 2, "both ends share two SAs");
	probe_check(probe_transfer(&ends[0], &ends[1], 50000) &&
			    probe_transfer(&ends[1], &ends[0], 50000),
		"50 000 octets each way");
	probe_check(probe_inject(&ends[0], "INJECTED", 0) && probe_nothing_comes(&ends[1], 300),
		"a clear segment is not delivered");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* The SA that both ends share had its owner in the end that the restarted broker lost. */
static void test_same_host_restart(void)
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };
	struct end ends[2];

	if (!probe_pair_open(ends, "127.0.0.1", &probe_hosts[0], &probe_hosts[0]) ||
		!probe_pair_reserve(ends) || !probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES))
		return;
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) == 0,
		"one end latched");
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_broker_start(&probe_hosts[0]);
	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

static void test_latch_long(void)
{
	test_latch(20000);
}

static void test_latch_short(void)
{
	test_latch(PROBE_TOKEN_BYTES);
}

/* clang-format off */
static const struct probe_test tests[] = {
	{ "ping",         test_ping },
	{ "latch",        test_latch_short },
	{ "latch-long",   test_latch_long },
	{ "room",         test_room },
	{ "short",        test_short },
	{ "clear-behind", test_clear_behind },
	{ "slipped-in",   test_slipped_in },
	{ "recorder-off", test_recorder_off },
	{ "overtaken",    test_overtaken },
	{ "spent",        test_spent },
	{ "given-up",     test_given_up },
	{ "device",       test_bound_to_device },
	{ "few-files",    test_few_files },
	{ "listener",     test_listener },
	{ "failed",       test_failed },
	{ "refusals",     test_refusals },
	{ "other-user",   test_other_user },
	{ "same-host",    test_same_host },
	{ "halves",       test_same_host_restart },
	{ "restart",      test_restart },
	{ "crowd",        test_crowd },
	{ "crowd-latch",  test_crowd_latch_first },
	{ "silent",       test_silent_users },
	{ "hanging",      test_hanging_descriptor },
	{ "flush",        test_flush },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return probe_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
