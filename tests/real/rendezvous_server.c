/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rendezvous program's server: one process, a thread and a context for each connection, unless
 * the scenario says otherwise.  Echoes what is to be echoed; goes on until the client closes.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rendezvous.h"

#define SHARING_PROCESSES 4
#define SHARED_WAIT_S 4

struct server {
	const char *port;
	const struct rv_role *role;
	enum rv_reading reading;
	bool hands_over; /* a child goes on between T1 and T3 */
};

struct connection {
	const struct server *server;
	int in, out;
	struct rv_end ends[2]; /* of RV_TOKEN and RV_SECOND */
	bool is_begun[2];
	size_t tokens;
};

static bool connection_take_token(struct connection *c, const struct rv_frame *frame)
{
	size_t which = frame->kind == RV_SECOND ? 1 : 0;
	struct rv_end *end = &c->ends[which];

	if (!c->is_begun[which] && !rv_end_new(end, c->server->role))
		return false;
	if (c->is_begun[which] && !rv_end_goes_on(end))
		return true; /* the client's failure, told when all is over here */
	c->is_begun[which] = true;
	(void)rv_end_step(end, frame);
	if (end->token.length > 0 &&
		!rv_send(c->out, frame->kind, end->token.value, end->token.length))
		return false;
	if (!rv_end_goes_on(end))
		rv_end_report(end, which == 0 ? "server" : "second", c->in);
	return true;
}

/* True in the process that goes on. */
static bool connection_hand_over(struct connection *c)
{
	pid_t child;

	if (!c->server->hands_over || ++c->tokens != 2)
		return true;
	child = fork();
	return child == 0;
}

static bool connection_serve(struct connection *c)
{
	struct rv_frame frame;
	bool is_good = true;

	while (is_good && rv_receive(c->in, c->server->reading, &frame)) {
		if (frame.kind == RV_ECHO)
			is_good = rv_send(c->out, RV_ECHO, frame.data, frame.len);
		else if (connection_hand_over(c))
			is_good = connection_take_token(c, &frame);
		else
			break;
		if (c->server->reading == RV_READ_PEEKED)
			is_good = is_good && rv_consume(c->in, &frame);
	}
	/* First: a parent's copy of a context shall not undo what its child goes on with. */
	(void)close(c->in);
	if (c->out != c->in)
		(void)close(c->out);
	for (size_t i = 0; i < 2; i++)
		if (c->is_begun[i])
			rv_end_free(&c->ends[i]);
	return is_good;
}

static void *connection_run(void *argument)
{
	struct connection *c = argument;

	(void)connection_serve(c);
	free(c);
	return NULL;
}

static struct connection *connection_new(const struct server *server, int in, int out)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->server = server;
	c->in = in;
	c->out = out;
	return c;
}

static bool serve_threads(const struct server *server, int listener, size_t connections)
{
	pthread_t threads[RV_CONNECTIONS_MAX];
	size_t count = 0;

	printf("listening\n");
	while (count < connections && count < RV_CONNECTIONS_MAX) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || pthread_create(&threads[count], NULL, connection_run,
				      connection_new(server, fd, fd)) != 0)
			break;
		count++;
	}
	for (size_t i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	return count == connections;
}

/* As inetd starts a program: the connection is 0, 1 and 2. */
static bool serve_as_inetd(const struct server *server, int listener, size_t connections)
{
	int fd, log = fcntl(STDOUT_FILENO, F_DUPFD, 10);

	(void)connections;
	printf("listening\n");
	fd = accept(listener, NULL, NULL);
	(void)close(listener);
	stdout = fdopen(log, "w");
	if (fd < 0 || stdout == NULL)
		return false;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < 3; i++)
		(void)dup2(fd, i);
	(void)close(fd);
	return connection_serve(connection_new(server, 0, 1));
}

/* Several processes wait on one port; the kernel chooses. */
static bool serve_shared(const struct server *server, int listener, size_t connections)
{
	const struct timeval limit = { .tv_sec = SHARED_WAIT_S };

	(void)connections;
	(void)close(listener);
	for (int i = 0; i < SHARING_PROCESSES; i++) {
		if (fork() != 0)
			continue;
		listener = rv_listen(server->port, true);
		(void)setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		for (;;) {
			int fd = accept(listener, NULL, NULL);

			if (fd < 0)
				_exit(0);
			(void)connection_serve(connection_new(server, fd, fd));
		}
	}
	printf("listening\n");
	while (wait(NULL) > 0)
		;
	return true;
}

struct proxy {
	int near, far;
};

static void *proxy_run(void *argument)
{
	const struct proxy *proxy = argument;
	struct pollfd sides[2] = { { proxy->near, POLLIN, 0 }, { proxy->far, POLLIN, 0 } };
	char octets[RV_FRAME_BYTES_MAX];

	while (poll(sides, 2, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			ssize_t len = sides[i].revents == 0
					      ? 0
					      : read(sides[i].fd, octets, sizeof(octets));

			if (sides[i].revents != 0 &&
				(len <= 0 || write(sides[1 - i].fd, octets, (size_t)len) != len)) {
				(void)shutdown(proxy->near, SHUT_RDWR);
				(void)shutdown(proxy->far, SHUT_RDWR);
				return NULL;
			}
		}
	}
	return NULL;
}

/* A proxy in the acceptor's own process: the client's connection ends in it. */
static bool serve_behind_proxy(const struct server *server, int listener, size_t connections)
{
	struct proxy proxy;
	pthread_t thread;
	bool is_good;
	int fd;

	(void)connections;
	printf("listening\n");
	proxy.near = accept(listener, NULL, NULL);
	proxy.far = rv_connect("127.0.0.1", server->port);
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || pthread_create(&thread, NULL, proxy_run, &proxy) != 0)
		return false;
	is_good = connection_serve(connection_new(server, fd, fd));
	(void)pthread_join(thread, NULL);
	(void)close(proxy.near);
	(void)close(proxy.far);
	return is_good;
}

/* Tokens come on the first connection and go back on the second. */
static bool serve_crossed(const struct server *server, int listener, size_t connections)
{
	int fds[2];

	(void)connections;
	printf("listening\n");
	for (int i = 0; i < 2; i++) {
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0)
			return false;
	}
	return connection_serve(connection_new(server, fds[0], fds[1]));
}

/* Tokens come and go over named pipes, beside one connection that carries other things. */
static bool serve_pipes(const struct server *server, int listener, size_t connections)
{
	const char *folder = getenv("RENDEZVOUS_PIPES");
	char path[256];
	pthread_t thread;
	int fd, in, out;
	bool is_good;

	(void)connections;
	printf("listening\n");
	fd = accept(listener, NULL, NULL);
	if (fd < 0 || folder == NULL ||
		pthread_create(&thread, NULL, connection_run, connection_new(server, fd, fd)) != 0)
		return false;
	(void)snprintf(path, sizeof(path), "%s/up", folder);
	in = open(path, O_RDONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/down", folder);
	out = open(path, O_WRONLY | O_CLOEXEC);
	is_good = in >= 0 && out >= 0 && connection_serve(connection_new(server, in, out));
	(void)pthread_join(thread, NULL);
	return is_good;
}

struct server_row {
	const char *name;
	bool (*serve)(const struct server *server, int listener, size_t connections);
	enum rv_reading reading;
	bool hands_over;
};

/* clang-format off */
static const struct server_row server_rows[] = {
	{ "thread", serve_threads,      RV_READ_WHOLE,  false },
	{ "slow",   serve_threads,      RV_READ_SLOWLY, false },
	{ "peek",   serve_threads,      RV_READ_PEEKED, false },
	{ "child",  serve_threads,      RV_READ_WHOLE,  true },
	{ "inetd",  serve_as_inetd,     RV_READ_WHOLE,  false },
	{ "shared", serve_shared,       RV_READ_WHOLE,  false },
	{ "proxy",  serve_behind_proxy, RV_READ_WHOLE,  false },
	{ "cross",  serve_crossed,      RV_READ_WHOLE,  false },
	{ "pipes",  serve_pipes,        RV_READ_WHOLE,  false },
};
/* clang-format on */

bool rv_server_run(
	const char *scenario, const char *port, size_t connections, const struct rv_role *role)
{
	for (size_t i = 0; i < sizeof(server_rows) / sizeof(server_rows[0]); i++) {
		const struct server_row *row = &server_rows[i];
		const struct server server = { port, role, row->reading, row->hands_over };
		int listener;
		bool is_done;

		if (strcmp(row->name, scenario) != 0)
			continue;
		listener = rv_listen(port, row->serve == serve_shared);
		if (listener < 0)
			return false;
		is_done = row->serve(&server, listener, connections);
		while (row->hands_over && wait(NULL) > 0)
			;
		return is_done;
	}
	return false;
}
