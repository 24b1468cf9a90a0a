/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rendezvous program's client.  A scenario is a row: how many connections there are, which one
 * carries the tokens, and what happens between them.  Every connection has carried enough before.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rendezvous.h"

#define ECHO_BYTES 2000 /* more than any token has */
#define NOISE_BYTES 100
#define DESCRIPTORS 5000
#define TICKS_MS 50

struct run;
/* Called before and behind the call that makes token `step`, which is sent afterwards. */
typedef bool (*hook_function)(struct run *run, unsigned int step, bool is_behind);

struct scenario {
	const char *name;
	size_t connections, carrier;
	hook_function hook;
	bool is_busy;  /* the second connection carries octets all the time */
	bool is_named; /* the credential names connection `names` */
	size_t names;
	const char *second; /* identity of a second context, when the first has ended */
};

struct run {
	const struct scenario *scenario;
	const char *host, *port;
	struct rv_role role;
	int fds[RV_CONNECTIONS_MAX];
	int in, out;
	pid_t child;
	bool is_parent; /* of a child that does the same */
	pthread_t pump;
	atomic_bool pump_ends;
};

static bool exchange(struct run *run, enum rv_kind kind, const char *identity, const char *who);

/* --- what happens between the tokens --- */

static bool hook_late(struct run *run, unsigned int step, bool is_behind)
{
	if (step == 1 && is_behind)
		run->in = run->out = rv_connect(run->host, run->port);
	return run->in >= 0 || !is_behind;
}

/* The connection gets another number, and another connection to the same server gets its own. */
static bool descriptor_swap(struct run *run)
{
	int moved = fcntl(run->in, F_DUPFD_CLOEXEC, 40), other = rv_connect(run->host, run->port);

	if (moved < 0 || other < 0 || dup2(other, run->in) < 0)
		return false;
	(void)close(other);
	run->in = run->out = moved;
	return true;
}

static bool hook_swap(struct run *run, unsigned int step, bool is_behind)
{
	return step != 3 || is_behind || descriptor_swap(run);
}

static bool hook_swap_late(struct run *run, unsigned int step, bool is_behind)
{
	return step != 3 || !is_behind || descriptor_swap(run);
}

static bool hook_close_all(struct run *run, unsigned int step, bool is_behind)
{
	if (step != 3 || is_behind)
		return true;
	if (dup2(run->in, 0) < 0 || syscall(SYS_close_range, 3U, ~0U, 0U) != 0)
		return false;
	run->in = run->out = 0;
	return true;
}

static void child_wait(pid_t child)
{
	int status = 0;

	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	_exit(EXIT_FAILURE);
}

/* The context goes on in a child. */
static bool hook_fork(struct run *run, unsigned int step, bool is_behind)
{
	pid_t child;

	(void)run;
	if (step != 3 || is_behind)
		return true;
	child = fork();
	if (child > 0)
		child_wait(child);
	return child == 0;
}

/* Both go on with the same T2, the parent when the child has made its T3. */
static bool hook_fork_both(struct run *run, unsigned int step, bool is_behind)
{
	if (step == 3 && !is_behind) {
		run->child = fork();
		run->is_parent = run->child > 0;
		if (run->is_parent)
			rv_sleep_ms(500);
		return run->child >= 0;
	}
	return true;
}

/* Another process writes on the same connection all the while. */
static bool hook_writer(struct run *run, unsigned int step, bool is_behind)
{
	static const uint8_t zeros[NOISE_BYTES];

	if (step != 1 || is_behind)
		return true;
	run->child = fork();
	while (run->child == 0 && rv_send(run->out, RV_NOISE, zeros, sizeof(zeros)))
		rv_sleep_ms(2);
	if (run->child == 0)
		_exit(EXIT_SUCCESS);
	rv_sleep_ms(50);
	return run->child > 0;
}

/* A second context on the connection that this one is about to latch. */
static bool hook_during(struct run *run, unsigned int step, bool is_behind)
{
	if (step == 3 && is_behind)
		(void)exchange(run, RV_SECOND, NULL, "second");
	return true;
}

static bool hook_descriptors(struct run *run, unsigned int step, bool is_behind)
{
	struct rlimit limit = { DESCRIPTORS + 100, DESCRIPTORS + 100 };

	(void)run;
	if (step != 1 || is_behind)
		return true;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		perror("setrlimit");
	for (int i = 0; i < DESCRIPTORS; i++)
		if (fcntl(0, F_DUPFD, 100) < 0)
			return false;
	return true;
}

static bool hook_pipes(struct run *run, unsigned int step, bool is_behind)
{
	const char *folder = getenv("RENDEZVOUS_PIPES");
	char path[256];

	if (step != 1 || is_behind)
		return true;
	(void)snprintf(path, sizeof(path), "%s/up", folder);
	run->out = open(path, O_WRONLY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/down", folder);
	run->in = open(path, O_RDONLY | O_CLOEXEC);
	return run->in >= 0 && run->out >= 0;
}

/* The tokens come back over the other connection. */
static bool hook_cross(struct run *run, unsigned int step, bool is_behind)
{
	if (step == 1 && !is_behind)
		run->in = run->fds[1];
	return true;
}

/* --- the exchange --- */

static bool hook_call(struct run *run, enum rv_kind kind, unsigned int step, bool is_behind)
{
	hook_function hook = kind == RV_SECOND ? NULL : run->scenario->hook;

	return hook == NULL || hook(run, step, is_behind);
}

static bool exchange_step(struct run *run, struct rv_end *end, enum rv_kind kind, unsigned int step,
	const struct rv_frame *input)
{
	if (!hook_call(run, kind, step, false))
		return false;
	(void)rv_end_step(end, input);
	return hook_call(run, kind, step, true) && !run->is_parent &&
	       (end->token.length == 0 ||
		       rv_send(run->out, kind, end->token.value, end->token.length));
}

static bool exchange(struct run *run, enum rv_kind kind, const char *identity, const char *who)
{
	struct rv_role role = run->role;
	struct rv_frame frame;
	struct rv_end end;
	bool is_good;

	if (identity != NULL)
		role.identity = identity;
	if (!rv_end_new(&end, &role))
		return false;
	is_good = exchange_step(run, &end, kind, 1, NULL);
	for (unsigned int step = 3; is_good && rv_end_goes_on(&end); step += 2)
		is_good = rv_receive(run->in, RV_READ_WHOLE, &frame) &&
			  exchange_step(run, &end, kind, step, &frame);
	rv_end_report(&end, run->is_parent ? "parent" : who, run->out);
	is_good = is_good && !GSS_ERROR(end.major);
	rv_end_free(&end);
	return is_good;
}

/* --- the connections beside it --- */

static void *pump_run(void *argument)
{
	struct run *run = argument;

	while (!atomic_load(&run->pump_ends) && rv_echo(run->fds[1], ECHO_BYTES))
		;
	if (!atomic_load(&run->pump_ends))
		printf("pump stopped\n");
	return NULL;
}

static bool run_open(struct run *run)
{
	for (size_t i = 0; i < run->scenario->connections; i++) {
		run->fds[i] = rv_connect(run->host, run->port);
		if (run->fds[i] < 0 ||
			(run->scenario->hook != hook_cross && !rv_echo(run->fds[i], ECHO_BYTES)))
			return false;
	}
	/* What came in the same tick of the kernel's clock cannot be told apart. */
	rv_sleep_ms(run->scenario->connections > 1 ? TICKS_MS : 0);
	if (run->scenario->is_named)
		run->role.named = run->fds[run->scenario->names];
	run->in = run->out =
		run->scenario->hook == hook_late ? -1 : run->fds[run->scenario->carrier];
	return !run->scenario->is_busy || pthread_create(&run->pump, NULL, pump_run, run) == 0;
}

/* The pump has to work still: a connection that was not meant is as it was. */
static void run_close(struct run *run)
{
	if (run->scenario->is_busy) {
		rv_sleep_ms(300);
		atomic_store(&run->pump_ends, true);
		(void)pthread_join(run->pump, NULL);
	}
	if (run->child > 0 && run->scenario->hook == hook_writer)
		(void)kill(run->child, SIGKILL);
	if (run->child > 0)
		(void)waitpid(run->child, NULL, 0);
	for (size_t i = 0; i < run->scenario->connections; i++)
		(void)close(run->fds[i]);
	(void)close(run->in);
}

static bool scenario_run(struct run *run)
{
	const struct scenario *scenario = run->scenario;
	bool is_good;

	if (!run_open(run))
		return false;
	is_good = exchange(run, RV_TOKEN, NULL, "client");
	if (is_good && scenario->second != NULL)
		(void)exchange(run, RV_SECOND, scenario->second, "second");
	if (is_good && scenario->hook != hook_cross && scenario->hook != hook_pipes)
		is_good = rv_echo(run->in, ECHO_BYTES);
	run_close(run);
	return is_good;
}

static void *thread_run(void *argument)
{
	struct run *run = argument;

	if (exchange(run, RV_TOKEN, NULL, "client") && !rv_echo(run->in, ECHO_BYTES))
		printf("no echo\n");
	return NULL;
}

/* All connections at once, each in a thread with a context of its own. */
static bool threads_run(const struct run *common)
{
	struct run runs[RV_CONNECTIONS_MAX];
	pthread_t threads[RV_CONNECTIONS_MAX];
	size_t count = common->scenario->connections;

	for (size_t i = 0; i < count; i++) {
		runs[i] = *common;
		runs[i].in = runs[i].out = common->fds[i];
		if (common->scenario->is_named)
			runs[i].role.named = common->fds[i];
	}
	for (size_t i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, thread_run, &runs[i]) != 0)
			return false;
	for (size_t i = 0; i < count; i++)
		(void)pthread_join(threads[i], NULL);
	return true;
}

/* clang-format off */
static const struct scenario scenarios[] = {
	{ .name = "plain",       .connections = 1 },
	{ .name = "tenth",       .connections = 10, .carrier = 3 },
	{ .name = "two",         .connections = 2 },
	{ .name = "busy",        .connections = 3, .is_busy = true },
	{ .name = "two-busy",    .connections = 2, .is_busy = true },
	{ .name = "busy-named",  .connections = 3, .is_busy = true, .is_named = true },
	{ .name = "wrong-named", .connections = 2, .is_named = true, .names = 1 },
	{ .name = "late",        .connections = 0, .hook = hook_late },
	{ .name = "late-busy",   .connections = 2, .hook = hook_late, .is_busy = true },
	{ .name = "swap",        .connections = 1, .hook = hook_swap },
	{ .name = "swap-late",   .connections = 1, .hook = hook_swap_late },
	{ .name = "close-all",   .connections = 2, .hook = hook_close_all },
	{ .name = "fork",        .connections = 1, .hook = hook_fork },
	{ .name = "fork-both",   .connections = 1, .hook = hook_fork_both },
	{ .name = "writer",      .connections = 1, .hook = hook_writer },
	{ .name = "during",      .connections = 1, .hook = hook_during },
	{ .name = "again",       .connections = 1, .second = "alice" },
	{ .name = "again-other", .connections = 1, .second = "bob" },
	{ .name = "descriptors", .connections = 1, .hook = hook_descriptors },
	{ .name = "descriptors-named", .connections = 1, .hook = hook_descriptors, .is_named = true },
	{ .name = "cross",       .connections = 2, .hook = hook_cross },
	{ .name = "pipes",       .connections = 1, .hook = hook_pipes },
	{ .name = "named",       .connections = 1, .is_named = true },
	{ .name = "threads",     .connections = 10 },
	{ .name = "threads-named", .connections = 10, .is_named = true },
};
/* clang-format on */

bool rv_client_run(
	const char *scenario, const char *host, const char *port, const struct rv_role *role)
{
	struct run run = { .host = host, .port = port, .role = *role };

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(scenarios[i].name, scenario) == 0)
			run.scenario = &scenarios[i];
	if (run.scenario == NULL)
		return false;
	if (strncmp(scenario, "threads", 7) == 0)
		return run_open(&run) && threads_run(&run);
	return scenario_run(&run);
}
