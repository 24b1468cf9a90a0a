/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs for rendezvous.sh: contexts over one of several connections, in every way in which a
 * program can confuse the search for the one that carries the tokens.
 *
 *   rendezvous server SCENARIO PORT LATCH CONNECTIONS
 *   rendezvous client SCENARIO HOST PORT LATCH
 *   rendezvous both HOST PORT LATCH        one process is both
 *
 * RENDEZVOUS_IDENTITY names the client's identity where it is not the default one.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rendezvous.h"

#define SECONDS_MAX 25

struct served {
	const char *port;
	const struct rv_role *role;
	bool is_done;
};

static void *serve(void *argument)
{
	struct served *served = argument;

	served->is_done = rv_server_run("thread", served->port, 1, served->role);
	return NULL;
}

static bool run_both(char **argv)
{
	const struct rv_role server = { .is_server = true, .latch = argv[4], .named = -1 };
	const struct rv_role client = { .latch = argv[4],
		.host = argv[2],
		.identity = getenv("RENDEZVOUS_IDENTITY"),
		.named = -1 };
	struct served served = { .port = argv[3], .role = &server };
	pthread_t thread;
	bool is_done;

	if (pthread_create(&thread, NULL, serve, &served) != 0)
		return false;
	rv_sleep_ms(300);
	is_done = rv_client_run("plain", argv[2], argv[3], &client);
	(void)pthread_join(thread, NULL);
	return is_done && served.is_done;
}

int main(int argc, char **argv)
{
	struct rv_role role = { .named = -1 };
	bool is_done = false;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(SECONDS_MAX);
	if (argc == 6 && strcmp(argv[1], "server") == 0) {
		role.is_server = true;
		role.latch = argv[4];
		is_done = rv_server_run(argv[2], argv[3], (size_t)atoi(argv[5]), &role);
	} else if (argc == 6 && strcmp(argv[1], "client") == 0) {
		role.latch = argv[5];
		role.identity = getenv("RENDEZVOUS_IDENTITY");
		role.host = argv[3];
		is_done = rv_client_run(argv[2], argv[3], argv[4], &role);
	} else if (argc == 5 && strcmp(argv[1], "both") == 0) {
		is_done = run_both(argv);
	} else {
		fprintf(stderr, "usage: see rendezvous.c\n");
		return 2;
	}
	printf(is_done ? "done\n" : "failed\n");
	return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
