/* SPDX-License-Identifier: BSD-2-Clause */
/* The shapes program's clients: COUNT connections to one server, opened and used in every order. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/shapes.h"

#define ONE_OF 7 /* the connection that authenticates where only one does */

struct client {
	const char *host, *port;
	size_t count;
	struct sh_login *logins;
};

static bool login_open(const struct client *client, size_t i)
{
	client->logins[i].fd = rv_connect(client->host, client->port);
	return client->logins[i].fd >= 0;
}

static bool all_open(const struct client *client)
{
	bool is_open = true;

	for (size_t i = 0; i < client->count; i++)
		is_open = is_open && login_open(client, i);
	return is_open;
}

static bool login_send(struct sh_login *login)
{
	return login->end.token.length == 0 ||
	       rv_send(login->fd, RV_TOKEN, login->end.token.value, login->end.token.length);
}

/* The first token leaves. */
static bool login_begin(const struct client *client, size_t i)
{
	struct sh_login *login = &client->logins[i];
	const struct rv_role role = { .latch = sh_latch_policy(),
		.host = client->host,
		.service = login->service,
		.named = -1 };

	(void)snprintf(login->service, sizeof(login->service), "hushed-%04zu", i);
	login->is_begun = rv_end_new(&login->end, &role);
	return login->is_begun && rv_end_step(&login->end, NULL) && login_send(login);
}

/* One more token; false when there are none to come. */
static bool login_go_on(struct sh_login *login)
{
	struct rv_frame frame;

	return rv_end_goes_on(&login->end) && rv_receive(login->fd, RV_READ_WHOLE, &frame) &&
	       rv_end_step(&login->end, &frame) && login_send(login) && rv_end_goes_on(&login->end);
}

/* Says what the login was, over the connection that it was about, and hears it back. */
static bool login_end(struct sh_login *login)
{
	struct rv_frame frame;
	size_t len = strlen(login->service);
	bool is_good = login->end.major == GSS_S_COMPLETE;

	if (is_good && (!rv_send(login->fd, RV_ECHO, login->service, len) ||
			       !rv_receive(login->fd, RV_READ_WHOLE, &frame) || frame.len != len)) {
		dprintf(STDERR_FILENO, "client: no echo\n");
		return false;
	}
	sh_report("client", login);
	return is_good;
}

static bool login_run(const struct client *client, size_t i)
{
	struct sh_login *login = &client->logins[i];

	if (login_begin(client, i))
		while (login_go_on(login))
			;
	return login_end(login);
}

/* --- each connection a process, all at once --- */

static bool run_processes(const struct client *client)
{
	int status = 0, start[2];
	bool is_good = true;
	char octet;

	if (pipe(start) != 0)
		return false;
	for (size_t i = 0; i < client->count; i++)
		if (fork() == 0) {
			(void)close(start[1]);
			if (!login_open(client, i) || read(start[0], &octet, 1) != 0)
				_exit(EXIT_FAILURE);
			_exit(login_run(client, i) ? EXIT_SUCCESS : EXIT_FAILURE);
		}
	(void)close(start[1]);
	while (wait(&status) > 0)
		is_good = is_good && status == 0;
	return is_good;
}

/* --- one process, a thread for each --- */

struct task {
	const struct client *client;
	size_t i;
	bool opens;
};

static void *task_run(void *argument)
{
	struct task *task = argument;

	if (!task->opens || login_open(task->client, task->i))
		(void)login_run(task->client, task->i);
	return NULL;
}

static bool threads_run(const struct client *client, bool opens)
{
	pthread_t *threads = calloc(client->count, sizeof(*threads));
	struct task *tasks = calloc(client->count, sizeof(*tasks));
	size_t i;

	if (threads == NULL || tasks == NULL || (!opens && !all_open(client)))
		return false;
	for (i = 0; i < client->count; i++) {
		tasks[i] = (struct task){ client, i, opens };
		if (pthread_create(&threads[i], NULL, task_run, &tasks[i]) != 0)
			abort();
	}
	for (i = 0; i < client->count; i++)
		(void)pthread_join(threads[i], NULL);
	free(threads);
	free(tasks);
	return true;
}

static bool run_threads(const struct client *client)
{
	return threads_run(client, false);
}

static bool run_threads_open(const struct client *client)
{
	return threads_run(client, true);
}

/* --- one thread, whatever comes next --- */

static size_t loop_turn(const struct client *client, struct pollfd *waiting, size_t open)
{
	if (poll(waiting, (nfds_t)client->count, 10000) <= 0)
		return 0;
	for (size_t i = 0; i < client->count; i++) {
		if (waiting[i].fd < 0 || waiting[i].revents == 0 || login_go_on(&client->logins[i]))
			continue;
		(void)login_end(&client->logins[i]);
		waiting[i].fd = -1;
		open--;
	}
	return open;
}

static bool loop_run(const struct client *client, bool opens)
{
	struct pollfd *waiting = calloc(client->count, sizeof(*waiting));
	size_t open = client->count;

	if (waiting == NULL || (!opens && !all_open(client)))
		return false;
	for (size_t i = 0; i < client->count; i++) {
		if ((opens && !login_open(client, i)) || !login_begin(client, i))
			return false;
		waiting[i] = (struct pollfd){ client->logins[i].fd, POLLIN, 0 };
	}
	while (open > 0)
		open = loop_turn(client, waiting, open);
	free(waiting);
	return true;
}

static bool run_loop(const struct client *client)
{
	return loop_run(client, false);
}

static bool run_loop_open(const struct client *client)
{
	return loop_run(client, true);
}

/* --- one after the other --- */

static bool run_turns(const struct client *client)
{
	bool is_good = all_open(client);

	for (size_t i = 0; is_good && i < client->count; i++)
		is_good = login_run(client, i);
	return is_good;
}

static bool run_one(const struct client *client)
{
	return all_open(client) && login_run(client, ONE_OF % client->count);
}

/* Closed and opened again as fast as it goes. */
static bool run_again(const struct client *client)
{
	bool is_good = true;

	for (size_t i = 0; i < client->count; i++) {
		is_good = login_open(client, i) && login_run(client, i) && is_good;
		sh_login_free(&client->logins[i]);
	}
	return is_good;
}

/* clang-format off */
static const struct {
	const char *name;
	bool (*run)(const struct client *client);
} shapes[] = {
	{ "processes", run_processes },
	{ "threads", run_threads },
	{ "threads-open", run_threads_open },
	{ "loop", run_loop },
	{ "loop-open", run_loop_open },
	{ "turns", run_turns },
	{ "one", run_one },
	{ "again", run_again },
};
/* clang-format on */

bool sh_client_run(const char *shape, const char *host, const char *port, size_t count)
{
	struct client client = { host, port, count, calloc(count, sizeof(*client.logins)) };
	bool is_done = false;

	if (client.logins == NULL)
		return false;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (strcmp(shapes[i].name, shape) == 0)
			is_done = shapes[i].run(&client);
	free(client.logins);
	return is_done;
}
