/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs a server with many connections to find the one on which a first token came.
 *
 *	bench_search CONNECTIONS all|tuple|cookie ROUNDS
 *
 * all: each socket is looked at, as where nothing of T1 is known; tuple: the search at T1, which knows
 * a hash of the tuple; cookie: the one at T3.  The clients' ends are another process's.  Under strace -c the
 * calls of 0 rounds are to be taken off.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "kernel-bind/kernel_bind.h"

#define CONNECTIONS_MAX 4000

static struct kbind_candidates found;
static struct kbind_candidate sought; /* the first that was accepted */

static bool takes_cookie(uint64_t cookie, const void *argument)
{
	(void)argument;
	return cookie == sought.cookie;
}

static bool takes_tuple(const struct kbind_tuple *tuple, const void *argument)
{
	(void)argument;
	return tuple->remote_port == sought.tuple.remote_port;
}

static const struct {
	const char *name;
	struct kbind_pick pick;
} kinds[] = { { "all", { 0 } }, { "tuple", { .takes_tuple = takes_tuple } },
	{ "cookie", { .takes_cookie = takes_cookie } } };

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* The clients, until the server ends. */
static void clients_start(const struct sockaddr_in *address, int count)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid > 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		_exit(1);
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
			_exit(1);
	}
	for (;;)
		(void)pause();
}

static void connections_open(int count)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int first = -1;

	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(listener, 100) != 0 ||
		getsockname(listener, (struct sockaddr *)&address, &len) != 0)
		fail("a listener");
	clients_start(&address, count);
	for (int i = 0; i < count; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			fail("accept");
		if (i == 0)
			first = fd;
	}
	if (kbind_find_candidates(first, &found) != IPSEC_LATCH_LATCHED)
		fail("the first connection");
	sought = found.items[0];
}

int main(int argc, char **argv)
{
	const int count = argc == 4 ? atoi(argv[1]) : 0, rounds = argc == 4 ? atoi(argv[3]) : 0;
	struct timespec begun, ended;
	size_t kind = 0;

	while (argc == 4 && kind < sizeof(kinds) / sizeof(kinds[0]) &&
		strcmp(kinds[kind].name, argv[2]) != 0)
		kind++;
	if (argc != 4 || kind == sizeof(kinds) / sizeof(kinds[0]) || count < 1 ||
		count > CONNECTIONS_MAX) {
		fprintf(stderr, "usage: bench_search CONNECTIONS all|tuple|cookie ROUNDS\n");
		return 2;
	}
	connections_open(count);
	(void)clock_gettime(CLOCK_MONOTONIC, &begun);
	for (int i = 0; i < rounds; i++)
		if (kbind_find_wanted(-1, &kinds[kind].pick, NULL, NULL, &found) !=
			IPSEC_LATCH_LATCHED)
			fail("the search");
	(void)clock_gettime(CLOCK_MONOTONIC, &ended);
	if (rounds > 0)
		printf("%d connections, %s: %.0f us for a search\n", count, argv[2],
			((double)(ended.tv_sec - begun.tv_sec) * 1e6 +
				(double)(ended.tv_nsec - begun.tv_nsec) / 1e3) /
				rounds);
	return 0;
}
