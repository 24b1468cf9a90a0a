/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Throughput of a latched connection beside one that hand-made SAs and policies protect, of the same
 * suite, between the same two hosts:
 *
 *	bench_transfer PATH-OF-GSS-IPSECD PAIRS MEGABYTES
 *
 * Each pair is a new connection of either kind, which takes turns in being first, and so many octets
 * over it.  Sender and receiver are one thread, so that nothing but the path differs.  What is counted
 * begins behind the exchange: TCP's own counts (TCP_INFO), data apart from acknowledgements, and the
 * interface's, which has what is not of the connection too.  Runs as root where ESP is there;
 * bench/latch.sh does so in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/real/probe.h"

#define PAIRS_MAX 99
#define CHUNK_BYTES 65536
#define KINDS 2
#define STALL_MS 5000
/* What ip(8) gives for the suite that we install: ESN, replay window of 1 024. */
#define HAND_SUITE                                                                        \
	"mode transport aead 'rfc4106(gcm(aes))' "                                        \
	"0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20aabbccdd 128 " \
	"flag esn replay-window 1024"

/* What one transfer needs, in packets. */
enum count {
	COUNT_DATA,    /* segments with data, those sent again left out */
	COUNT_SHORT,   /* how many of these more than full segments would be */
	COUNT_AGAIN,   /* sent again */
	COUNT_ANSWERS, /* acknowledgements */
	COUNT_TO,      /* what came in at the receiver's interface */
	COUNT_BACK,    /* and at the sender's */
	COUNT_MSS,     /* octets in a full segment */
	COUNTS
};

static const char *const count_names[COUNTS] = { "segments of data", "more than full ones would be",
	"sent again", "acknowledgements", "packets in at the receiver", "packets in at the sender",
	"octets in a full segment" };

struct kind {
	const char *name, *addresses[2];
	bool is_latched;
	double seconds[PAIRS_MAX];
	double counts[COUNTS][PAIRS_MAX];
};

static struct kind kinds[KINDS] = {
	{ .name = "latched", .addresses = { "10.79.0.1", "10.79.0.2" }, .is_latched = true },
	{ .name = "hand-made", .addresses = { "10.79.1.1", "10.79.1.2" } },
};
static uint8_t chunk[CHUNK_BYTES];

/* Packets that came in at a host: the interface's own count. */
static double packets_at(const struct host *host)
{
	return probe_shell_number(
		"ip netns exec %s cat /sys/class/net/veth-%c/statistics/rx_packets", host->name,
		host == &probe_hosts[0] ? 'a' : 'b');
}

/* Counts since the connection began, and the interfaces'. */
static bool counts_read(const struct end ends[2], double ret_counts[COUNTS])
{
	struct tcp_info from = { 0 }, to = { 0 };
	socklen_t len = sizeof(from);

	if (getsockopt(ends[0].fd, IPPROTO_TCP, TCP_INFO, &from, &len) != 0 ||
		getsockopt(ends[1].fd, IPPROTO_TCP, TCP_INFO, &to, &len) != 0)
		return false;
	ret_counts[COUNT_DATA] = (double)from.tcpi_data_segs_out - from.tcpi_total_retrans;
	ret_counts[COUNT_SHORT] = 0;
	ret_counts[COUNT_AGAIN] = from.tcpi_total_retrans;
	ret_counts[COUNT_ANSWERS] = (double)to.tcpi_segs_out - to.tcpi_data_segs_out;
	ret_counts[COUNT_TO] = packets_at(&probe_hosts[1]);
	ret_counts[COUNT_BACK] = packets_at(&probe_hosts[0]);
	ret_counts[COUNT_MSS] = from.tcpi_snd_mss;
	return true;
}

static double now_sec(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* SAs and policies by address, as an administrator writes them, in both hosts. */
static void hand_made_install(const struct kind *kind)
{
	for (size_t i = 0; i < 2; i++) {
		const char *host = probe_hosts[i].name;

		probe_shell("ip -n %s addr add %s/24 dev veth-%c", host, kind->addresses[i],
			(int)('a' + i));
		for (size_t from = 0; from < 2; from++) {
			probe_shell("ip -n %s xfrm state add src %s dst %s proto esp spi %zu reqid "
				    "9 " HAND_SUITE,
				host, kind->addresses[from], kind->addresses[1 - from],
				4096 + from);
			probe_shell("ip -n %s xfrm policy add src %s dst %s proto tcp dir %s tmpl "
				    "src %s dst %s proto esp reqid 9 mode transport",
				host, kind->addresses[from], kind->addresses[1 - from],
				from == i ? "out" : "in", kind->addresses[from],
				kind->addresses[1 - from]);
		}
	}
}

/*
 * While a socket is corked only full segments leave it.  Otherwise the end of each write leaves too
 * where all before it has been acknowledged by then (Nagle's rule), so that the number of segments
 * would say how the two took turns, and not what the path costs.
 */
static bool cork(int fd, int is_corked)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &is_corked, sizeof(is_corked)) == 0;
}

static bool transfer(int from, int to, size_t len)
{
	struct pollfd waits[2] = { { .fd = from, .events = POLLOUT },
		{ .fd = to, .events = POLLIN } };
	size_t sent = 0, got = 0;
	ssize_t now;

	if (!cork(from, 1))
		return false;
	while (got < len) {
		now = sent < len ? send(from, chunk,
					   len - sent < CHUNK_BYTES ? len - sent : CHUNK_BYTES,
					   MSG_DONTWAIT | MSG_NOSIGNAL)
				 : 0;
		if (now < 0 && errno != EAGAIN)
			return false;
		sent += now > 0 ? (size_t)now : 0;
		if (now > 0 && sent == len && !cork(from, 0))
			return false;
		now = recv(to, chunk, CHUNK_BYTES, MSG_DONTWAIT);
		if (now == 0 || (now < 0 && errno != EAGAIN))
			return false;
		got += now > 0 ? (size_t)now : 0;
		waits[0].events = sent < len ? POLLOUT : 0;
		if (now < 0 && poll(waits, 2, STALL_MS) <= 0)
			return false;
	}
	return true;
}

static void counts_note(struct kind *kind, size_t round, size_t len, const double before[COUNTS],
	const double after[COUNTS])
{
	const size_t mss = (size_t)after[COUNT_MSS];

	for (size_t i = 0; i < COUNTS; i++)
		kind->counts[i][round] = after[i] - before[i];
	kind->counts[COUNT_MSS][round] = after[COUNT_MSS];
	kind->counts[COUNT_SHORT][round] =
		kind->counts[COUNT_DATA][round] - (double)((len + mss - 1) / mss);
}

static bool kind_measure(struct kind *kind, size_t round, size_t len)
{
	struct end ends[2];
	double begin, before[COUNTS], after[COUNTS];
	bool is_good = probe_pair_open(ends, kind->addresses[1], &probe_hosts[0], &probe_hosts[1]);

	if (is_good && kind->is_latched)
		is_good = probe_pair_latch(ends, PROBE_TOKEN_BYTES);
	/* buffers and congestion window grow */
	is_good = is_good && transfer(ends[0].fd, ends[1].fd, len / 8);
	probe_pause_ms(100);
	is_good = is_good && counts_read(ends, before);
	begin = now_sec();
	is_good = is_good && transfer(ends[0].fd, ends[1].fd, len);
	kind->seconds[round] = now_sec() - begin;
	probe_pause_ms(100);
	is_good = is_good && counts_read(ends, after);
	if (is_good)
		counts_note(kind, round, len, before, after);
	probe_pair_close(ends);
	return is_good || probe_check(false, "transfer, %s", kind->name);
}

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return values[count / 2];
}

static void print_all(size_t rounds, double megabytes)
{
	double ratios[PAIRS_MAX];

	for (size_t i = 0; i < rounds; i++)
		ratios[i] = kinds[1].seconds[i] / kinds[0].seconds[i];
	(void)median(ratios, rounds);
	(void)printf("latched against hand-made SAs, %zu pairs of %.0f MB: ratio of throughput "
		     "%.3f (quartiles %.3f and %.3f)\n",
		rounds, megabytes, ratios[rounds / 2], ratios[rounds / 4], ratios[rounds * 3 / 4]);
	for (size_t i = 0; i < KINDS; i++) {
		(void)printf("%s: %.1f MB/s; median, least and most of:\n", kinds[i].name,
			megabytes / median(kinds[i].seconds, rounds));
		for (size_t j = 0; j < COUNTS; j++) {
			double *counts = kinds[i].counts[j];
			const double middle = median(counts, rounds);

			(void)printf("    %-28s %6.0f %6.0f %6.0f\n", count_names[j], middle,
				counts[0], counts[rounds - 1]);
		}
	}
}

int main(int argc, char **argv)
{
	const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
	size_t rounds, len;
	bool is_good = true;

	if (argc != 4)
		return 2;
	rounds = strtoul(argv[2], NULL, 10);
	len = strtoul(argv[3], NULL, 10) * 1000000;
	/* The daemons' log is theirs alone: a slow console would be measured. */
	if (rounds < 1 || rounds > PAIRS_MAX || nothing < 0 || dup2(nothing, STDERR_FILENO) < 0)
		return 2;
	probe_daemon_path = argv[1];
	probe_network_make();
	hand_made_install(&kinds[1]);
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	for (size_t round = 0; round < rounds && is_good; round++) {
		for (size_t i = 0; i < KINDS; i++)
			is_good = is_good && kind_measure(&kinds[(round + i) % KINDS], round, len);
	}
	if (is_good)
		print_all(rounds, (double)len / 1e6);
	probe_broker_stop(&probe_hosts[0], SIGKILL);
	probe_broker_stop(&probe_hosts[1], SIGKILL);
	return is_good ? 0 : 1;
}
