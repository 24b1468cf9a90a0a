/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One broker for many network namespaces (gss-ipsecd --namespaces), and what a namespace's own root
 * does to it: namespaces_probe PATH-OF-GSS-IPSECD.  The broker lives in probe-h; probe-a and probe-b
 * are the containers.  Run as root.  Prints "ok - what" or "FAILED - what".
 */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/namespaces.h"

#define PLAIN_UID 40001
#define NAMESPACES_USER 8
#define INJECTED "INJECTED"
#define HAS_SYS_ADMIN 0x200000u

struct host namespaces_daemon = { "probe-h", "10.80.0.1", "/run/probe-h/broker.sock",
	"/run/probe-h/state", 0 };

static void network_make(void)
{
	probe_network_make();
	(void)mkdir("/run/probe-h", 0755);
	probe_shell("ip netns add probe-h && ip -n probe-h link set lo up");
	probe_shell("ip link add veth-h netns probe-h type veth peer name veth-c netns probe-a");
	probe_shell("ip -n probe-h addr add 10.80.0.1/24 dev veth-h && ip -n probe-h link set "
		    "veth-h up");
	probe_shell("ip -n probe-a addr add 10.80.0.2/24 dev veth-c && ip -n probe-a link set "
		    "veth-c up");
	for (size_t i = 0; i < 2; i++)
		(void)snprintf(probe_hosts[i].socket_path, sizeof(probe_hosts[i].socket_path), "%s",
			namespaces_daemon.socket_path);
}

void namespaces_daemon_start(const char *option, const char *idle_seconds)
{
	probe_daemon_options[0] = "--idle-seconds";
	probe_daemon_options[1] = idle_seconds;
	probe_daemon_options[2] = option;
	probe_broker_start(&namespaces_daemon);
}

/* --- processes --- */

static pid_t keeper_pid(void)
{
	return probe_shell_number("pgrep -o -P %d", (int)namespaces_daemon.broker);
}

pid_t namespaces_broker_of(const struct host *host)
{
	return probe_shell_number("for p in $(pgrep -P %d); do "
				  "[ /proc/$p/ns/net -ef /run/netns/%s ] && echo $p; done",
		(int)keeper_pid(), host->name);
}

int namespaces_count_brokers(void)
{
	return probe_shell_number("pgrep -c -P %d", (int)keeper_pid());
}

static bool ends_soon(const struct host *host)
{
	probe_namespace_enter(&namespaces_daemon); /* not to be counted */
	for (int i = 0; i < 150; i++) {
		if (probe_shell_number("ip netns pids %s | wc -l", host->name) == 0)
			return true;
		probe_pause_ms(100);
	}
	return false;
}

/* The keeper takes them away when it has seen their brokers end. */
static bool state_files_end_soon(void)
{
	for (int i = 0; i < 50; i++) {
		if (probe_shell_number("ls /run/probe-h/state.[0-9]* 2>/dev/null | wc -l") == 0)
			return true;
		probe_pause_ms(100);
	}
	return false;
}

static unsigned long long capabilities_of(pid_t pid, const char *set)
{
	char path[64], line[256];
	unsigned long long capabilities = ~0ull;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, set, strlen(set)) == 0)
			capabilities = strtoull(line + strlen(set), NULL, 16);
	}
	if (file != NULL)
		(void)fclose(file);
	return capabilities;
}

static bool has_sys_admin(pid_t pid)
{
	return ((capabilities_of(pid, "CapEff:") | capabilities_of(pid, "CapPrm:") |
			capabilities_of(pid, "CapInh:")) &
		       HAS_SYS_ADMIN) != 0;
}

static bool none_but_keeper_has_sys_admin(void)
{
	const pid_t keeper = keeper_pid();
	FILE *output = popen("pgrep gss-ipsecd", "re");
	int pid, count = 0;
	bool is_good = output != NULL && has_sys_admin(keeper);

	while (output != NULL && fscanf(output, "%d", &pid) == 1) {
		is_good = is_good && (pid == keeper || !has_sys_admin(pid));
		count++;
	}
	if (output != NULL)
		(void)pclose(output);
	return is_good && count > 3;
}

/* Who was forked a moment ago has not given it up yet, and who has ended cannot be asked. */
static bool none_but_keeper_soon(void)
{
	for (int i = 0; i < 30; i++) {
		if (none_but_keeper_has_sys_admin())
			return true;
		probe_pause_ms(100);
	}
	return false;
}

/* --- tests --- */

bool namespaces_pair_latch(struct end ends[2])
{
	if (probe_pair_open_veth(ends) && probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return true;
	return probe_check(false, "container to container: latched");
}

static void abort_pair(struct end ends[2])
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++)
		(void)setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	probe_pair_close(ends);
}

static void test_refused_without(void)
{
	struct end ends[2];

	namespaces_daemon_start(NULL, NAMESPACES_IDLE);
	if (!probe_pair_open_veth(ends))
		return;
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_OTHER_NETNS,
		"without --namespaces: refused, other-netns");
	probe_pair_close(ends);
	probe_broker_stop(&namespaces_daemon, SIGTERM);
	namespaces_daemon_start("--namespaces", NAMESPACES_IDLE);
}

static void wire_check(int wire, const struct end *end, const char *what)
{
	struct probe_wire_count seen = { 0 };

	probe_wire_count(wire, end->candidate.tuple.local_port, &seen);
	probe_check(
		seen.clear <= 1 && seen.clear_payload_bytes <= sizeof(INJECTED) - 1 && seen.esp > 0,
		"%s: clear is the injected segment only, %u are ESP", what, seen.esp);
	(void)close(wire);
}

static void test_containers(void)
{
	struct kbind_status status;
	struct end ends[2];
	int wire;

	if (!probe_pair_open_veth(ends))
		return;
	if (!probe_check(
		    probe_pair_latch(ends, PROBE_TOKEN_BYTES), "container to container: latched"))
		return;
	wire = probe_wire_open(&probe_hosts[0]);
	probe_check(probe_count_associations(&namespaces_daemon) == 0 &&
			    probe_count_associations(&probe_hosts[0]) == 2 &&
			    probe_count_associations(&probe_hosts[1]) == 2,
		"SAs are in the containers, not in the host");
	probe_check(none_but_keeper_soon(), "CAP_SYS_ADMIN: the keeper's alone");
	probe_check(probe_transfer(&ends[0], &ends[1], 100000) &&
			    probe_transfer(&ends[1], &ends[0], 100000),
		"100 000 octets each way");
	probe_check(probe_inject(&ends[1], INJECTED, 0) && probe_nothing_comes(&ends[0], 300),
		"a clear segment is not delivered");
	probe_namespace_enter(&namespaces_daemon);
	probe_check(kbind_query(namespaces_daemon.socket_path, ends[0].fd, &status) == 0 &&
			    status.state == IPSEC_LATCH_STATE_ESTABLISHED,
		"asked from outside: the same answer");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
	wire_check(wire, &ends[0], "the wire, close and all");
}

static bool host_pair_latch(struct end ends[2])
{
	return probe_check(
		probe_pair_open(ends, "10.80.0.2", &namespaces_daemon, &probe_hosts[0]) &&
			probe_pair_latch(ends, PROBE_TOKEN_BYTES),
		"host to container: latched");
}

static void test_hostile_flush(void)
{
	struct end inside[2], beside[2];

	if (!namespaces_pair_latch(inside) || !host_pair_latch(beside))
		return;
	probe_shell("ip -n probe-b xfrm state flush; ip -n probe-b xfrm policy flush");
	probe_check(probe_end_reaches_state(&inside[1], IPSEC_LATCH_STATE_BROKEN),
		"flushed in one container: broken there");
	probe_check(probe_end_state(&inside[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_end_state(&beside[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_transfer(&beside[0], &beside[1], 5000),
		"and nowhere else");
	probe_check(send(inside[1].fd, "secret", 6, MSG_NOSIGNAL) == 6 &&
			    probe_nothing_comes(&inside[0], 400),
		"nothing leaves there");
	abort_pair(inside);
	probe_pair_close(beside);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* Strange entries, and many. */
static void test_hostile_policies(void)
{
	struct end ends[2], beside[2];

	if (!probe_pair_open_veth(ends))
		return;
	probe_shell(
		"ip -n probe-b xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir in priority 0 "
		"action block ptype sub 2>/dev/null; "
		"ip -n probe-b xfrm policy add src 10.79.0.0/24 dst 0.0.0.0/0 dir in action block");
	probe_check(probe_end_reserve(&ends[1], false, 0) == IPSEC_LATCH_PRESCRIBED,
		"its root blocks everything: refused there, prescribed");
	probe_shell(
		"i=0; while [ $i -lt 5000 ]; do echo xfrm policy add src 10.99.$((i / 250)).$((i "
		"%% 250)) dst 10.98.0.1 dir out; i=$((i + 1)); done | ip -n probe-b -batch -");
	(void)probe_end_reserve(&ends[1], false, 0);
	if (host_pair_latch(beside))
		probe_pair_close(beside);
	probe_pair_close(ends);
	probe_shell("ip -n probe-b xfrm policy flush; ip -n probe-b xfrm policy flush ptype sub");
	probe_check(probe_nothing_is_left(10), "5000 entries in one container: latched elsewhere");
}

struct forged {
	int sent, refused;
};

/* A message that only the kernel may send: to each netlink socket of IPsec in this namespace, which
 * the kernel is to refuse, and to the groups that they listen to. */
static void forge(uint16_t type, const void *body, size_t len, struct forged *forged)
{
	static const unsigned int groups[] = { XFRMNLGRP_SA, XFRMNLGRP_EXPIRE, XFRMNLGRP_POLICY };
	struct {
		struct nlmsghdr header;
		uint8_t body[512];
	} message = { .header = { .nlmsg_type = type } };
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	FILE *file = fopen("/proc/thread-self/net/netlink", "re");
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
	char line[256];
	unsigned int protocol;

	memcpy(message.body, body, len);
	message.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(len);
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "%*s %u %u", &protocol, &to.nl_pid) != 2 ||
			protocol != NETLINK_XFRM || to.nl_pid == 0)
			continue;
		forged->refused += sendto(fd, &message, message.header.nlmsg_len, 0,
					   (struct sockaddr *)&to, sizeof(to)) < 0 &&
				   errno == ECONNREFUSED;
	}
	if (file != NULL)
		(void)fclose(file);
	to.nl_pid = 0;
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		to.nl_groups = 1u << (groups[i] - 1);
		forged->sent += sendto(fd, &message, message.header.nlmsg_len, 0,
					(struct sockaddr *)&to, sizeof(to)) > 0;
	}
	(void)close(fd);
}

static void test_forged_netlink(void)
{
	struct xfrm_usersa_flush flush = { .proto = IPPROTO_ESP };
	struct xfrm_user_expire expired = { .hard = 1 };
	struct xfrm_usersa_id gone = { .family = AF_INET, .proto = IPPROTO_ESP };
	struct kbind_status status = { 0 };
	struct forged forged = { 0 };
	struct end ends[2];

	if (!namespaces_pair_latch(ends) ||
		kbind_query(ends[0].host->socket_path, ends[0].fd, &status) != 0)
		return;
	probe_namespace_enter(&probe_hosts[0]);
	memcpy(&gone.daddr, status.tuple.local, sizeof(gone.daddr));
	gone.spi = htonl(status.spi_in);
	memcpy(&expired.state.id.daddr, status.tuple.local, sizeof(gone.daddr));
	expired.state.id.spi = htonl(status.spi_in);
	expired.state.id.proto = IPPROTO_ESP;
	expired.state.family = AF_INET;
	forge(XFRM_MSG_DELSA, &gone, sizeof(gone), &forged);
	forge(XFRM_MSG_EXPIRE, &expired, sizeof(expired), &forged);
	forge(XFRM_MSG_FLUSHSA, &flush, sizeof(flush), &forged);
	probe_pause_ms(1500);
	probe_check(forged.sent == 9 && forged.refused >= 6 &&
			    probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_transfer(&ends[0], &ends[1], 1000),
		"%d netlink messages of the container's root are refused, %d not believed",
		forged.refused, forged.sent);
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

static void test_killed_broker(void)
{
	struct end ends[2];
	pid_t broker;

	if (!namespaces_pair_latch(ends))
		return;
	broker = namespaces_broker_of(&probe_hosts[0]);
	probe_check(broker > 0 && kill(broker, SIGKILL) == 0 && ends_soon(&probe_hosts[0]),
		"a container's broker killed: its workers end with it");
	probe_check(probe_transfer(&ends[0], &ends[1], 5000), "its connection lives");
	probe_check(probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    namespaces_broker_of(&probe_hosts[0]) > 0,
		"asked: there is another, and it has found the lease");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

static void restart_check(struct end ends[2], const char *what)
{
	probe_check(ends_soon(&probe_hosts[0]) && ends_soon(&probe_hosts[1]), "%s: all brokers end",
		what);
	probe_check(probe_transfer(&ends[0], &ends[1], 5000), "connections live");
	namespaces_daemon_start("--namespaces", NAMESPACES_IDLE);
	probe_check(probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_end_state(&ends[1]) == IPSEC_LATCH_STATE_ESTABLISHED,
		"started again: the leases are there with the first question");
}

static void test_killed_daemon(void)
{
	struct end ends[2];
	int status = 0;

	if (!namespaces_pair_latch(ends))
		return;
	probe_broker_stop(&namespaces_daemon, SIGKILL);
	restart_check(ends, "the daemon killed");
	(void)kill(keeper_pid(), SIGKILL);
	(void)waitpid(namespaces_daemon.broker, &status, 0);
	probe_check(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		"the keeper killed: the daemon ends with a failure, to be started anew");
	restart_check(ends, "the keeper killed");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

static void test_idle(void)
{
	struct end ends[2];

	probe_check(ends_soon(&probe_hosts[0]) && ends_soon(&probe_hosts[1]),
		"nothing to do: the containers' brokers end");
	probe_check(state_files_end_soon(), "and leave no state file");
	if (!probe_pair_open_veth(ends))
		return;
	probe_check(
		probe_pair_latch(ends, PROBE_TOKEN_BYTES), "and come back when they are needed");
	probe_pair_close(ends);
	probe_check(probe_nothing_is_left(10), "nothing is left");
}

/* Asks about a socket of a namespace that nobody else has. */
static enum ipsec_latch_reason ask_in_new(int *ret_fd)
{
	struct kbind_status status;

	if (unshare(CLONE_NEWNET) != 0)
		return IPSEC_LATCH_KERNEL;
	*ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (seteuid(PLAIN_UID) != 0)
		return IPSEC_LATCH_KERNEL;
	return kbind_query(namespaces_daemon.socket_path, *ret_fd, &status);
}

static void test_quota(void)
{
	int fds[NAMESPACES_USER + 1], good = 0;
	enum ipsec_latch_reason last = IPSEC_LATCH_KERNEL;

	for (size_t i = 0; i <= NAMESPACES_USER; i++) {
		last = ask_in_new(&fds[i]);
		good += last == IPSEC_LATCH_NONE;
		(void)seteuid(0);
	}
	probe_check(good == NAMESPACES_USER && last == IPSEC_LATCH_QUOTA,
		"a user has a broker in %d namespaces, and no more: quota", good);
	for (size_t i = 0; i <= NAMESPACES_USER; i++)
		(void)close(fds[i]);
	probe_namespace_enter(&namespaces_daemon);
	for (int i = 0; i < 200 && namespaces_count_brokers() > 0; i++)
		probe_pause_ms(100);
	probe_check(namespaces_count_brokers() == 0 && ask_in_new(&fds[0]) == IPSEC_LATCH_NONE,
		"they vanish, and so do their brokers; then he has room again");
	(void)seteuid(0);
	(void)close(fds[0]);
}

/* clang-format off */
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "containers", test_containers },
	{ "flush",      test_hostile_flush },
	{ "policies",   test_hostile_policies },
	{ "forged",     test_forged_netlink },
	{ "broker",     test_killed_broker },
	{ "daemon",     test_killed_daemon },
	{ "idle",       test_idle },
	{ "quota",      test_quota },
	{ "limits",     namespaces_test_limits },
	{ "asked",      namespaces_test_killed_while_asked },
	{ "vanished",   namespaces_test_vanished },
	{ "flood",      namespaces_test_flood },
};
/* clang-format on */

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: namespaces_probe PATH-OF-GSS-IPSECD [TEST]\n");
		return 2;
	}
	probe_daemon_path = argv[1];
	network_make();
	test_refused_without();
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (argc == 2 || strcmp(argv[2], tests[i].name) == 0)
			tests[i].run();
	}
	probe_broker_stop(&namespaces_daemon, SIGTERM);
	(void)printf("%d failed\n", probe_failures);
	return probe_failures == 0 ? 0 : 1;
}
