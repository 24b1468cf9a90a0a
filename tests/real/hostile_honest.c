/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The honest user among hostile ones, and what he measures.  Each time he asks the broker he asks the
 * double as well: three processes that pass a connection on as client, daemon and worker do, with
 * nothing to do besides, and that nobody attacks.  What a request to the double takes is what the
 * guest's scheduler takes; a guest has no processor of its own, and whoever keeps it busy needs no
 * broker.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "kernel-bind/broker_message.h"
#include "tests/real/hostile.h"

#define HONEST_UID 50001
#define DOUBLE_PATH "/run/hostile-double.sock"
#define LIMIT_US 100000
#define LIMIT_WORST_US 2000000
#define LATE_FEW 2
#define LATE_ONE_IN 20	    /* in a phase: of 60 requests one stall of the host meets several */
#define ALL_LATE_ONE_IN 100 /* in all */
#define ROUND_PAUSE_MS 1
#define SAMPLES_MAX 16384

enum asked { BROKER, DOUBLE, ASKED_COUNT };

struct samples {
	_Atomic unsigned int count;
	unsigned int us[SAMPLES_MAX];
};

static struct honest {
	_Atomic unsigned int failures;
	_Atomic int failed_with;
	_Atomic unsigned int round; /* samples of an earlier one are thrown away */
	struct samples of[ASKED_COUNT];
} * honest;
static struct end honest_ends[2];
static pid_t honest_pid, double_pids[2];
static unsigned int all_requests, all_late;

/* --- the double --- */

/* A fixed reply, as soon as the other process says so. */
static void double_worker_run(void *argument)
{
	const int daemon = *(const int *)argument;
	uint8_t octets[BROKER_REQUEST_BYTES_MAX];
	struct iovec vector = { octets, sizeof(octets) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };

	while (message_receive(daemon, &parts, 1, 0) > 0) {
		if (recv(parts.descriptors[0], octets, sizeof(octets), 0) < 0 ||
			send(daemon, "facts", 5, MSG_NOSIGNAL) < 0 ||
			recv(daemon, octets, sizeof(octets), 0) <= 0)
			_exit(1);
		(void)send(parts.descriptors[0], "\001\000", 2, MSG_NOSIGNAL | MSG_DONTWAIT);
		message_close(&parts.descriptors[0]);
		if (send(daemon, "idle", 4, MSG_NOSIGNAL) < 0)
			_exit(1);
	}
}

struct double_ends {
	int listener, worker;
};

static void double_daemon_run(void *argument)
{
	const struct double_ends *ends = argument;
	char octet = 0, answer[8];
	struct iovec vector = { &octet, 1 };
	struct message_parts parts = { &vector, 1, { -1, -1 } };
	struct pollfd wait = { .events = POLLIN };

	for (;;) {
		wait.fd = ends->listener;
		(void)poll(&wait, 1, -1);
		parts.descriptors[0] = accept4(ends->listener, NULL, NULL, SOCK_CLOEXEC);
		wait.fd = parts.descriptors[0];
		(void)poll(&wait, 1, -1);
		if (message_send(ends->worker, &parts, 0) != 0 ||
			recv(ends->worker, answer, sizeof(answer), 0) <= 0 ||
			send(ends->worker, "reply", 5, MSG_NOSIGNAL) < 0 ||
			recv(ends->worker, answer, sizeof(answer), 0) <= 0)
			_exit(1);
		message_close(&parts.descriptors[0]);
	}
}

static bool double_start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = DOUBLE_PATH };
	struct double_ends ends;
	int pair[2];

	ends.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)unlink(DOUBLE_PATH);
	if (bind(ends.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(ends.listener, 16) != 0 || chmod(DOUBLE_PATH, 0666) != 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	ends.worker = pair[0];
	double_pids[0] = hostile_start(0, double_daemon_run, &ends);
	double_pids[1] = hostile_start(0, double_worker_run, &pair[1]);
	(void)close(pair[0]);
	(void)close(pair[1]);
	(void)close(ends.listener);
	return double_pids[0] > 0 && double_pids[1] > 0;
}

/* --- the honest user --- */

static unsigned int us_since(const struct timespec *before)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned int)((now.tv_sec - before->tv_sec) * 1000000 +
			      (now.tv_nsec - before->tv_nsec) / 1000);
}

static void sample_add(enum asked asked, unsigned int round, unsigned int us)
{
	struct samples *samples = &honest->of[asked];

	if (round == honest->round && samples->count < SAMPLES_MAX) {
		samples->us[samples->count] = us;
		samples->count++;
	}
}

static void failure_add(unsigned int round, int reason)
{
	if (round != honest->round)
		return;
	honest->failures++;
	honest->failed_with = reason;
}

static void double_measure(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = DOUBLE_PATH };
	const unsigned int round = honest->round;
	struct timespec before;
	char reply[8];
	int fd;

	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		send(fd, "ask", 3, MSG_NOSIGNAL) != 3 || recv(fd, reply, sizeof(reply), 0) != 2)
		failure_add(round, -2);
	(void)close(fd);
	sample_add(DOUBLE, round, us_since(&before));
	probe_pause_ms(ROUND_PAUSE_MS);
}

/* The length of the reply; -1: not the reason that was expected. */
static ssize_t request_measure(const struct broker_request *request, int descriptor, int reason,
	uint8_t reply[BROKER_REPLY_BYTES_MAX])
{
	const unsigned int round = honest->round;
	struct timespec before;
	ssize_t len;

	(void)clock_gettime(CLOCK_MONOTONIC, &before);
	len = hostile_reply(
		probe_request_send(&probe_hosts[0], request, &descriptor, descriptor >= 0), 5000,
		reply, BROKER_REPLY_BYTES_MAX);
	sample_add(BROKER, round, us_since(&before));
	if (len < 2 || reply[1] != reason) {
		failure_add(round, len < 2 ? -1 : reply[1]);
		len = -1;
	}
	probe_pause_ms(ROUND_PAUSE_MS);
	double_measure();
	return len;
}

static void reserve_measure(const struct end *end)
{
	const struct broker_request reserve = {
		.type = BROKER_RESERVE,
		.cookie = end->candidate.cookie,
		.suite = 1,
		.key_in = end->key_in,
	};
	struct broker_request release = { .type = BROKER_RELEASE, .cookie = reserve.cookie };
	uint8_t reply[BROKER_REPLY_BYTES_MAX];

	if (request_measure(&reserve, end->fd, IPSEC_LATCH_LATCHED, reply) < 2 + KBIND_SECRET_BYTES)
		return;
	memcpy(release.secret, reply + 2, sizeof(release.secret));
	(void)request_measure(&release, end->fd, IPSEC_LATCH_LATCHED, reply);
}

static void honest_run(void *argument)
{
	const struct broker_request ping = { .type = BROKER_PING };
	const struct broker_request query = { .type = BROKER_QUERY };
	const struct end *ends = argument;
	uint8_t reply[BROKER_REPLY_BYTES_MAX];

	for (unsigned int round = 0;; round++) {
		(void)request_measure(&ping, -1, IPSEC_LATCH_LATCHED, reply);
		(void)request_measure(&query, ends[0].fd, IPSEC_LATCH_NONE, reply);
		if (round % 4 == 0)
			reserve_measure(&ends[1]);
	}
}

bool hostile_honest_start(void)
{
	honest = mmap(
		NULL, sizeof(*honest), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (honest == MAP_FAILED || !hostile_pair_open(honest_ends) || !double_start())
		return false;
	honest_pid = hostile_start(HONEST_UID, honest_run, honest_ends);
	return honest_pid > 0;
}

/* --- what comes of it --- */

static int compare(const void *a, const void *b)
{
	const unsigned int left = *(const unsigned int *)a, right = *(const unsigned int *)b;

	return (left > right) - (left < right);
}

/* A copy of what there is, in order; the shared one goes on. */
static unsigned int samples_take(enum asked asked, unsigned int us[SAMPLES_MAX])
{
	const unsigned int count = honest->of[asked].count;

	memcpy(us, honest->of[asked].us, count * sizeof(us[0]));
	qsort(us, count, sizeof(us[0]), compare);
	return count;
}

void hostile_measure_begin(void)
{
	honest->round++;
	honest->failures = 0;
	honest->failed_with = 0;
	for (size_t i = 0; i < ASKED_COUNT; i++)
		honest->of[i].count = 0;
}

unsigned int hostile_measured(void)
{
	return honest->of[BROKER].count;
}

void hostile_measure_end(const char *while_what)
{
	static unsigned int us[SAMPLES_MAX], doubles[SAMPLES_MAX];
	const unsigned int count = samples_take(BROKER, us);
	const unsigned int double_count = samples_take(DOUBLE, doubles);
	unsigned int limit, late = 0;

	if (count < 10 || double_count < 5) {
		probe_check(false, "%s: %u requests of another user", while_what, count);
		return;
	}
	limit = LIMIT_US + doubles[double_count * 99 / 100];
	while (late < count && us[count - 1 - late] > limit)
		late++;
	all_requests += count;
	all_late += late;
	probe_check(honest->failures == 0 && late <= LATE_FEW + count / LATE_ONE_IN &&
			    us[count - 1] < LIMIT_WORST_US,
		"%s: %u requests of another user, %u failed (last with %d); median, 99 of 100 and "
		"slowest: %u, %u and %u ms, of the double %u, %u and %u; %u beyond the double's 99 "
		"of 100 and 100 ms",
		while_what, count, honest->failures, honest->failed_with, us[count / 2] / 1000,
		us[count * 99 / 100] / 1000, us[count - 1] / 1000, doubles[double_count / 2] / 1000,
		doubles[double_count * 99 / 100] / 1000, doubles[double_count - 1] / 1000, late);
}

void hostile_honest_end(void)
{
	hostile_kill(&honest_pid, 1);
	hostile_kill(double_pids, 2);
	probe_pair_close(honest_ends);
	(void)unlink(DOUBLE_PATH);
	probe_check(all_late * ALL_LATE_ONE_IN <= all_requests,
		"all phases: %u requests of another user, %u beyond", all_requests, all_late);
}
