/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What latches cost those who have none: sendto and connect of unlatched traffic between two hosts
 * that hold many latches, and the broker's own work while nothing happens.  The latches are made by
 * the broker's requests alone, without GSS-API (tests/real/probe.c).
 *
 *   bench_covers PATH-OF-GSS-IPSECD LATCHES COVER-MAX [ENTRIES]
 *
 * ENTRIES: besides, so many covers of the first form by hand, on both hosts, without a latch: latches
 * by the thousand take long to make where each of their packets walks the chain of the others.
 *
 * Runs as root where ESP is there; bench/covers.sh does so in a guest.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define DATAGRAMS 2000
#define CONNECTIONS 300
#define ROUNDS 5
#define IDLE_SEC 10

static double now_us(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct sockaddr_in address_of(const struct host *host, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	(void)inet_pton(AF_INET, host->address, &address.sin_addr);
	return address;
}

/* Each datagram is routed anew, as the socket is not connected. */
static double sendto_cost(void)
{
	const struct sockaddr_in to = address_of(&probe_hosts[1], 9);
	double begin;
	int fd;

	probe_namespace_enter(&probe_hosts[0]);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	begin = now_us();
	for (size_t i = 0; i < DATAGRAMS; i++)
		(void)sendto(fd, "x", 1, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof(to));
	begin = now_us() - begin;
	(void)close(fd);
	return begin / DATAGRAMS;
}

static double connect_cost(void)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct sockaddr_in to = address_of(&probe_hosts[1], 0);
	socklen_t len = sizeof(to);
	double begin, sum = 0;
	int listener, fd;

	probe_namespace_enter(&probe_hosts[1]);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&to, len) != 0 || listen(listener, 64) != 0 ||
		getsockname(listener, (struct sockaddr *)&to, &len) != 0)
		return -1;
	probe_namespace_enter(&probe_hosts[0]);
	for (size_t i = 0; i < CONNECTIONS; i++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		begin = now_us();
		if (connect(fd, (struct sockaddr *)&to, len) != 0)
			return -1;
		sum += now_us() - begin;
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		(void)close(fd);
		(void)close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	}
	(void)close(listener);
	return sum / CONNECTIONS;
}

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median_of(double (*cost)(void))
{
	double rounds[ROUNDS];

	for (size_t i = 0; i < ROUNDS; i++)
		rounds[i] = cost();
	qsort(rounds, ROUNDS, sizeof(rounds[0]), compare);
	return rounds[ROUNDS / 2];
}

/* Clock ticks that the daemon itself used; its workers are processes of their own. */
static long broker_ticks(const struct host *host)
{
	return probe_shell_number("awk '{ print $14 + $15 }' /proc/%d/stat", (int)host->broker);
}

static double broker_share(const struct host *host)
{
	const long before = broker_ticks(host);

	probe_pause_ms(IDLE_SEC * 1000L);
	return (double)(broker_ticks(host) - before) * 100 / (double)sysconf(_SC_CLK_TCK) /
	       IDLE_SEC;
}

/* The slowest of 200 requests while sweeps go on. */
static double ping_worst_ms(void)
{
	double begin, worst = 0;

	for (size_t i = 0; i < 200; i++) {
		begin = now_us();
		if (probe_broker_ping(&probe_hosts[0]) != IPSEC_LATCH_LATCHED)
			return -1;
		begin = now_us() - begin;
		worst = begin > worst ? begin : worst;
		probe_pause_ms(10);
	}
	return worst / 1000;
}

static size_t latches_make(struct end (*ends)[2], size_t count)
{
	size_t made = 0;

	while (made < count && probe_pair_open_veth(ends[made]) &&
		probe_pair_latch(ends[made], PROBE_TOKEN_BYTES))
		made++;
	return made;
}

/* As kxfrm_cover_install() makes them; the other host's are the same with the ends exchanged. */
static bool entries_make(size_t count)
{
	static const char form[] = "xfrm policy add src %s/32 dst %s/32 proto tcp sport %zu dport "
				   "%zu dir %s priority 1 tmpl proto esp reqid %zu mode transport "
				   "level required\n";
	char command[64];
	FILE *ip;

	for (size_t host = 0; host < 2; host++) {
		const char *own = probe_hosts[host].address, *other = probe_hosts[!host].address;

		(void)snprintf(
			command, sizeof(command), "ip -n %s -batch -", probe_hosts[host].name);
		ip = popen(command, "we");
		if (ip == NULL)
			return false;
		for (size_t i = 0; i < count; i++) {
			(void)fprintf(ip, form, own, other, 20000 + i, (size_t)7, "out", i + 1);
			(void)fprintf(ip, form, other, own, (size_t)7, 20000 + i, "in", i + 1);
		}
		if (pclose(ip) != 0)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	const struct rlimit files = { 1u << 17, 1u << 17 };
	struct end(*ends)[2];
	size_t count, made, entries;
	double begin;

	if (argc < 4 || argc > 5)
		return 2;
	count = strtoul(argv[2], NULL, 10);
	entries = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
	ends = calloc(count + 1, sizeof(*ends));
	if (ends == NULL || setrlimit(RLIMIT_NOFILE, &files) != 0)
		return 1;
	probe_daemon_path = argv[1];
	probe_daemon_options[0] = "--quota-user";
	probe_daemon_options[1] = probe_daemon_options[3] = "100000";
	probe_daemon_options[2] = "--quota-total";
	probe_daemon_options[4] = "--cover-max";
	probe_daemon_options[5] = argv[3];
	probe_network_make();
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	begin = now_us();
	made = latches_make(ends, count);
	if (entries > 0 && !entries_make(entries))
		return 1;
	begin = now_us() - begin;
	printf("%zu latches, %zu covers by hand, cover-max %s, made in %.0f s: sendto %.1f us, "
	       "connect %.1f us, ",
		made, entries, argv[3], begin / 1e6, median_of(sendto_cost),
		median_of(connect_cost));
	printf("slowest of 200 requests %.0f ms, broker at rest %.1f %% of a processor\n",
		ping_worst_ms(), broker_share(&probe_hosts[0]));
	(void)fflush(stdout);
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_broker_stop(&probe_hosts[1], SIGKILL);
	return made == count ? 0 : 1;
}
