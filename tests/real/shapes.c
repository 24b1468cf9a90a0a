/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs for shapes.sh: servers of every shape and clients with many connections.
 *
 *   shapes server SHAPE PORT               until it is killed
 *   shapes client SHAPE HOST PORT COUNT
 *   shapes stdio                           the connection is 0 and 1, as inetd starts a program
 *
 * No end names a descriptor.  Each login asks for a service of its own, which the client says again when it is
 * logged in: so both ends can ask their brokers whether the latch of this connection is that of this login.
 * SHAPES_LATCH is the policy (require).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "include/ipsec_latch.h"
#include "kernel-bind/kernel_bind.h"
#include "tests/real/shapes.h"

#define BROKER "/run/gss-ipsec/broker.sock"
#define SECONDS_MAX 600

const char *sh_latch_policy(void)
{
	const char *policy = getenv("SHAPES_LATCH");

	return policy != NULL ? policy : SH_LATCH_DEFAULT;
}

static const char *login_judge(const struct sh_login *login)
{
	struct kbind_status status;

	if (GSS_ERROR(login->end.major))
		return "-";
	if (kbind_query(BROKER, login->fd, &status) != IPSEC_LATCH_LATCHED)
		return "clear";
	return status.state == IPSEC_LATCH_STATE_ESTABLISHED &&
			       strcmp(status.service, login->service) == 0
		       ? "right"
		       : "wrong";
}

void sh_report(const char *who, const struct sh_login *login)
{
	dprintf(STDERR_FILENO, "%s: %s %s %s\n", who, rv_end_reason(&login->end),
		login->end.major == GSS_S_COMPLETE ? "ok" : "failed", login_judge(login));
}

static bool login_take_token(struct sh_login *login, const struct rv_frame *frame)
{
	const struct rv_role role = { .is_server = true, .latch = sh_latch_policy(), .named = -1 };

	if (!login->is_begun && !rv_end_new(&login->end, &role))
		return false;
	if (login->is_begun && !rv_end_goes_on(&login->end))
		return false;
	login->is_begun = true;
	if (!rv_end_step(&login->end, frame))
		sh_report("server", login);
	return login->end.token.length == 0 ||
	       rv_send(login->fd, RV_TOKEN, login->end.token.value, login->end.token.length);
}

bool sh_serve_frame(struct sh_login *login, const struct rv_frame *frame)
{
	if (frame->kind == RV_TOKEN)
		return login_take_token(login, frame);
	if (frame->len < sizeof(login->service)) {
		memcpy(login->service, frame->data, frame->len);
		if (login->is_begun)
			sh_report("server", login);
	}
	return rv_send(login->fd, RV_ECHO, frame->data, frame->len);
}

/* The connection first: a copy of a half-made context undoes what it can where the descriptor is. */
void sh_login_free(struct sh_login *login)
{
	(void)close(login->fd);
	if (login->is_begun)
		rv_end_free(&login->end);
}

void sh_serve_connection(int fd)
{
	struct sh_login *login = calloc(1, sizeof(*login));
	struct rv_frame frame;

	if (login == NULL)
		abort();
	login->fd = fd;
	while (rv_receive(fd, RV_READ_WHOLE, &frame) && sh_serve_frame(login, &frame))
		;
	sh_login_free(login);
	free(login);
}

pid_t sh_fork(void)
{
	pid_t child = fork();

	if (child == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return child;
}

static bool server_run(const char *shape, const char *port)
{
	sh_serve serve = sh_server_find(shape);
	int listener = serve == NULL ? -1 : rv_listen(port, strcmp(shape, "reuseport") == 0);

	if (listener < 0)
		return false;
	dprintf(STDERR_FILENO, "listening\n");
	serve(listener, port);
	return false; /* it serves until it is killed */
}

int main(int argc, char **argv)
{
	bool is_done = false;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(SECONDS_MAX);
	if (argc == 2 && strcmp(argv[1], "stdio") == 0) {
		sh_serve_connection(STDIN_FILENO);
		return EXIT_SUCCESS;
	}
	if (argc == 4 && strcmp(argv[1], "server") == 0)
		is_done = server_run(argv[2], argv[3]);
	else if (argc == 6 && strcmp(argv[1], "client") == 0)
		is_done = sh_client_run(argv[2], argv[3], argv[4], (size_t)atoi(argv[5]));
	else
		dprintf(STDERR_FILENO, "usage: see shapes.c\n");
	return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
