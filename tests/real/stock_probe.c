/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What only Debian's stock kernel has: sockets destroyed by root, nftables, esp4_offload coming and
 * going beside open latches, the limits on eBPF.  stock_probe PATH-OF-GSS-IPSECD [TEST]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/real/probe.h"

static void pair_abort(struct end ends[2])
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(ends);
}

/* --- SOCK_DESTROY --- */

static void socket_destroy(const struct end *end)
{
	probe_shell("ip netns exec %s ss -K sport = :%u dport = :%u >/run/destroyed",
		end->host->name, end->candidate.tuple.local_port, end->candidate.tuple.remote_port);
}

static int error_of(const struct end *end)
{
	socklen_t len = sizeof(int);
	int error = -1;

	(void)getsockopt(end->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

/* Either end, when it is latched and when it is about to be; what leaves afterwards is counted. */
static void destroy(bool is_latched, size_t side)
{
	const char *state = is_latched ? "latched" : "larval";
	struct probe_wire_count count;
	struct end ends[2];
	int wire, error;

	if (!probe_check(probe_pair_open_veth(ends) &&
				 (is_latched ? probe_pair_latch(ends, PROBE_TOKEN_BYTES)
					     : probe_pair_reserve(ends)),
		    "%s, %s", state, side == 0 ? "initiator" : "acceptor"))
		return;
	wire = probe_wire_open(ends[side].host);
	socket_destroy(&ends[side]);
	probe_pause_ms(300);
	error = error_of(&ends[side]);
	probe_check(error == ECONNABORTED, "%s socket destroyed by root: the program sees it (%s)",
		state, strerror(error));
	if (!is_latched)
		probe_check(probe_end_latch(&ends[side], side == 0, ends[1 - side].lease.spi_in,
				    PROBE_TOKEN_BYTES) == IPSEC_LATCH_SOCKET_GONE,
			"%s: no latch any more, socket-gone", state);
	pair_abort(ends);
	probe_pause_ms(300);
	probe_wire_count(wire, ends[side].candidate.tuple.local_port, &count);
	if (is_latched || side == 0)
		probe_check(count.clear == 0, "%s: its host sends no clear segment (%u)", state,
			count.clear);
	else
		probe_check(count.clear_payload_bytes == 0,
			"%s: nothing but what ends a clear connection leaves", state);
	probe_check(probe_nothing_is_left(70), "nothing is left");
}

static void test_destroy(void)
{
	for (size_t side = 0; side < 2; side++) {
		destroy(true, side);
		destroy(false, side);
	}
}

/* --- nftables on the acceptor's host --- */

static void rules_set(const char *rules)
{
	FILE *pipe = popen("ip netns exec probe-b nft -f -", "w");

	if (pipe == NULL)
		return;
	(void)fprintf(pipe, "flush ruleset\n%s\n", rules);
	probe_check(pclose(pipe) == 0, "rules loaded");
}

static void test_drops_esp(void)
{
	struct probe_wire_count count;
	struct end ends[2];
	int wire;

	rules_set("table ip t { chain i { type filter hook input priority 0;\n"
		  "ip protocol esp drop;\n}\n}");
	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends))
		return;
	wire = probe_wire_open(ends[0].host);
	probe_check(!probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES),
		"a firewall drops protocol 50: T3 does not arrive");
	probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES) ==
			    IPSEC_LATCH_SHORT,
		"whoever claims that it did: short");
	probe_wire_count(wire, ends[0].candidate.tuple.local_port, &count);
	probe_check(count.esp > 0 && count.clear == 0, "%u ESP packets, no clear one", count.esp);
	rules_set("");
	pair_abort(ends);
	probe_check(probe_nothing_is_left(70), "nothing is left");
}

/* How many packets a named counter of the rules has seen; -1: none there. */
static int counted(const char *name)
{
	return probe_shell_number("ip netns exec probe-b nft list counter ip t %s | "
				  "sed -n 's/.*packets \\([0-9]*\\).*/\\1/p'",
		name);
}

/* The rules stay. */
static void works_behind(const char *what, const char *rules)
{
	struct end ends[2];

	rules_set(rules);
	if (probe_pair_open_veth(ends))
		probe_check(probe_pair_latch(ends, 20000) &&
				    probe_transfer(&ends[0], &ends[1], 100000) &&
				    probe_transfer(&ends[1], &ends[0], 100000),
			"%s: latched, 100 000 octets each way", what);
	pair_abort(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

static void test_conntrack(void)
{
	works_behind("conntrack, invalid packets dropped",
		"table ip t {\n"
		"chain i { type filter hook input priority 0; policy drop;\n"
		"ct state invalid drop; ip protocol esp accept; ct state established accept;\n"
		"tcp flags syn ct state new accept;\n}\n"
		"chain o { type filter hook output priority 0; ct state invalid drop;\n}\n}");
	rules_set("");
}

static void test_meta_ipsec(void)
{
	works_behind("segments with and without ESP told apart by the firewall",
		"table ip t {\ncounter clear_count { }\ncounter esp_count { }\n"
		"chain i { type filter hook input priority 0;\n"
		"ip protocol tcp meta ipsec exists counter name esp_count\n"
		"ip protocol tcp meta ipsec missing counter name clear_count;\n}\n}");
	probe_check(counted("esp_count") > 100 && counted("clear_count") > 0 &&
			    counted("clear_count") < 20,
		"%d of them with, %d without", counted("esp_count"), counted("clear_count"));
	rules_set("");
}

/* Only clear segments are dropped, from the moment on at which both ends are latched. */
static void test_meta_ipsec_only(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	rules_set("table ip t { chain i { type filter hook input priority 0;\n"
		  "ip protocol tcp meta ipsec missing drop;\n}\n}");
	probe_check(probe_transfer(&ends[0], &ends[1], 100000) &&
			    probe_transfer(&ends[1], &ends[0], 100000),
		"a firewall that demands ESP passes a latched connection");
	rules_set("");
	pair_abort(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* A rule that sets marks takes the proof off every segment: no latch, and it is said why. */
static void test_mark_overwritten(void)
{
	enum ipsec_latch_reason reason;
	struct end ends[2];

	rules_set("table ip t { chain p { type filter hook prerouting priority -150;\n"
		  "meta mark set ct mark;\n}\n}");
	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends))
		return;
	probe_check(probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES), "T3");
	reason = probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES);
	probe_check(reason == IPSEC_LATCH_SHORT || reason == IPSEC_LATCH_CLEAR_BEHIND,
		"ct mark restored over the mark: refused (%s)", latch_reason_text(reason));
	rules_set("");
	pair_abort(ends);
	probe_check(probe_nothing_is_left(70), "nothing is left");
}

/* A latched connection under such a rule, loaded later: nothing comes in, nothing clear either. */
static void test_mark_overwritten_later(void)
{
	struct end ends[2];

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	rules_set("table ip t { chain p { type filter hook prerouting priority -150;\n"
		  "meta mark set 5;\n}\n}");
	probe_check(send(ends[0].fd, "secret", 6, MSG_NOSIGNAL) == 6 &&
			    probe_nothing_comes(&ends[1], 500),
		"marks overwritten under a latch: it stands still");
	rules_set("");
	probe_check(probe_transfer(&ends[1], &ends[0], 1000), "and goes on when the rule is gone");
	pair_abort(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* Saved from ESP and restored onto clear segments: these bear the mark then.  After the latch the
 * socket policy still refuses them. */
static void test_mark_restored(void)
{
	enum ipsec_latch_reason reason;
	struct end ends[2];
	bool is_good;

	rules_set("table ip t { chain p { type filter hook prerouting priority -150;\n"
		  "meta mark != 0 ct mark set meta mark; meta mark set ct mark;\n}\n}");
	if (!probe_pair_open_veth(ends) || !probe_pair_reserve(ends))
		return;
	/* T3 came in ESP, so the mark is saved by now. */
	is_good = probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES) &&
		  probe_inject(&ends[0], "INJECTED", 0);
	probe_pause_ms(100);
	probe_check(is_good, "T3, clear octets behind it with a mark that was restored");
	reason = probe_end_latch(&ends[1], false, ends[0].lease.spi_in, PROBE_TOKEN_BYTES);
	probe_check(reason != IPSEC_LATCH_LATCHED, "marks saved and restored: refused (%s)",
		latch_reason_text(reason));
	rules_set("");
	pair_abort(ends);
	probe_check(probe_nothing_is_left(70), "nothing is left");
}

/* --- offload modules beside open latches --- */

static void test_offload(void)
{
	struct end ends[2], later[2];
	bool is_good;

	if (!probe_pair_open_veth(ends) || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return;
	probe_shell("modprobe esp4_offload");
	probe_check(probe_end_reaches_state(&ends[0], IPSEC_LATCH_STATE_BROKEN) &&
			    probe_end_reaches_state(&ends[1], IPSEC_LATCH_STATE_BROKEN),
		"esp4_offload loaded under a latch: broken");
	probe_check(probe_inject(&ends[0], "INJECTED", 0) && probe_nothing_comes(&ends[1], 300),
		"and takes no clear segment");
	is_good = probe_pair_open_veth(later) &&
		  probe_transfer(&later[0], &later[1], PROBE_TOKEN_BYTES) &&
		  probe_end_reserve(&later[1], false, 0) == IPSEC_LATCH_OFFLOAD;
	probe_check(is_good, "no new latch meanwhile: offload");
	probe_shell("modprobe -r esp4_offload");
	probe_check(
		probe_pair_latch(later, PROBE_TOKEN_BYTES), "unloaded: new ones are latched again");
	pair_abort(later);
	pair_abort(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* --- Debian's limits on eBPF --- */

static int setting(const char *name)
{
	return probe_shell_number("cat /proc/sys/%s", name);
}

/* The broker with no more capabilities than its service has, or fewer. */
static void broker_with(const char *capabilities)
{
	static const char *program;

	if (program == NULL)
		program = probe_daemon_path;
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	probe_daemon_path = program;
	(void)setenv("STOCK_PROBE_BROKER", program, 1);
	(void)setenv("STOCK_PROBE_CAPABILITIES", capabilities, 1);
	if (capabilities[0] != '\0')
		probe_daemon_path = "/run/broker-with";
	probe_broker_start(&probe_hosts[1]);
	probe_daemon_path = program;
}

static void wrapper_write(void)
{
	FILE *file = fopen("/run/broker-with", "we");

	if (file == NULL)
		return;
	(void)fputs("#!/bin/sh\nexec setpriv --bounding-set=-all,$STOCK_PROBE_CAPABILITIES "
		    "\"$STOCK_PROBE_BROKER\" \"$@\"\n",
		file);
	(void)fchmod(fileno(file), 0755);
	(void)fclose(file);
}

static void test_bpf_limits(void)
{
	struct end ends[2];

	wrapper_write();
	probe_shell("sysctl -qw net.core.bpf_jit_harden=2");
	probe_check(setting("kernel/unprivileged_bpf_disabled") == 2 &&
			    setting("net/core/bpf_jit_harden") == 2,
		"unprivileged eBPF is off, the JIT is hardened");
	broker_with("+net_admin,+bpf,+setpcap");
	probe_check(probe_pair_open_veth(ends) && probe_pair_latch(ends, PROBE_TOKEN_BYTES) &&
			    probe_transfer(&ends[0], &ends[1], 100000),
		"latched by a broker with its service's capabilities only");
	pair_abort(ends);
	broker_with("+net_admin,+setpcap");
	if (probe_pair_open_veth(ends))
		probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_NO_BPF,
			"without CAP_BPF: no-bpf");
	pair_abort(ends);
	broker_with("");
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* clang-format off */
static const struct probe_test tests[] = {
	{ "bpf",              test_bpf_limits },
	{ "offload",          test_offload },
	{ "conntrack",        test_conntrack },
	{ "meta-ipsec",       test_meta_ipsec },
	{ "meta-ipsec-only",  test_meta_ipsec_only },
	{ "mark-later",       test_mark_overwritten_later },
	{ "mark-overwritten", test_mark_overwritten },
	{ "mark-restored",    test_mark_restored },
	{ "drops-esp",        test_drops_esp },
	{ "destroy",          test_destroy },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return probe_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
