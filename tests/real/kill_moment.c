/* SPDX-License-Identifier: BSD-2-Clause */
/* One moment: a connection's course up to a death, what follows from it, and the judgement. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "include/ipsec_latch.h"
#include "kill.h"

#define GONE_MS 15000	  /* lingering, and what an orphaned socket takes before */
#define CALL_WAIT_MS 4000 /* for a call that comes once a second, or after lingering */

#define WORKERS_MS 3000 /* for workers to see that their daemon is gone */
#define PAUSE_MS 400	/* before a token is made */

#define ALICE KILL_ALICE
#define SAMPLE KILL_SAMPLE
#define ROLE_CLIENT_FOR(seconds)                                                   \
	.local = "10.77.0.1", .remote = "10.77.0.2", .port = "4646", .uid = ALICE, \
	.timeout_s = (seconds)
#define ROLE_CLIENT ROLE_CLIENT_FOR(KILL_PATIENCE_S)
#define ROLE_SERVER                                                             \
	.is_server = true, .local = "10.77.0.2", .port = "4646", .uid = SAMPLE, \
	.timeout_s = KILL_PATIENCE_S

const struct scenario kill_scenarios[] = {
	{ "whole", true, { ROLE_CLIENT }, { ROLE_SERVER } },
	/* the acceptor does not know the initiator, and says so */
	{ "stranger", false, { ROLE_CLIENT, .config = "/etc/gss/stranger.conf" }, { ROLE_SERVER } },
	/* the acceptor answers too late: the initiator has given up */
	{ "silent", false, { ROLE_CLIENT_FOR(1) },
		{ ROLE_SERVER, .pause_step = 4, .pause_ms = 1500 } },
	{ "pause-T1", true, { ROLE_CLIENT },
		{ ROLE_SERVER, .pause_step = 2, .pause_ms = PAUSE_MS } },
	{ "pause-T2", true, { ROLE_CLIENT, .pause_step = 3, .pause_ms = PAUSE_MS },
		{ ROLE_SERVER } },
	{ "pause-T3", true, { ROLE_CLIENT },
		{ ROLE_SERVER, .pause_step = 4, .pause_ms = PAUSE_MS } },
	{ "pause-T4", true, { ROLE_CLIENT, .pause_step = 5, .pause_ms = PAUSE_MS },
		{ ROLE_SERVER } },
	{ "pause-T5", true, { ROLE_CLIENT },
		{ ROLE_SERVER, .pause_step = 6, .pause_ms = PAUSE_MS } },
	{ .word = NULL },
};

/* Stages without a call of their own: who does what before (kill_end.c has the letters). */
static const struct {
	const char *word, *script;
} stages[] = {
	{ "idle", "" },
	{ "adoption", "" },	/* the broker dies once more while it starts again */
	{ "transfer", "CwSw" }, /* both are told to transfer then, and not waited for */
	{ "fin-wait-1", "CfCs" },
	{ "fin-wait-2", "CsSe" },
	{ "last-ack", "SfCsSeSs" },
	{ "orphan", "Cc" },
	{ "time-wait", "CsSeSsCeCcSc" },
};

#define STAGES (sizeof(stages) / sizeof(stages[0]))
static const char script_close[] = "CsSeSsCeCcSc";

bool kill_scenario_pauses(const struct scenario *scenario)
{
	return scenario->client.pause_ms == PAUSE_MS || scenario->server.pause_ms == PAUSE_MS;
}

void lane_fail(const char *format, ...)
{
	char text[400];
	va_list arguments;
	size_t used;

	lane.failures++;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	used = strlen(lane.report);
	(void)snprintf(lane.report + used, sizeof(lane.report) - used, "    %s\n", text);
}

static void process_note(pid_t pid, int status)
{
	for (enum lane_end i = 0; i < END_COUNT; i++) {
		if (lane.ends[i].is_running && lane.ends[i].pid == pid) {
			lane.ends[i].is_running = false;
			lane.ends[i].status = status;
		}
	}
	for (size_t i = 0; i < 2; i++) {
		if (lane.hosts[i].broker == pid)
			lane.hosts[i].broker = 0;
	}
}

/* --- waiting, and the death --- */

static void process_kill(pid_t pid)
{
	if (pid > 0)
		(void)kill(pid, SIGKILL);
}

/* A worker: the one whose call it is, else any. */
static void victim_kill(void)
{
	const enum kill_who victim = lane.moment->victim;
	const bool is_b = victim == KILL_WORKER_B;

	if (victim == KILL_CLIENT || victim == KILL_SERVER)
		process_kill(lane.ends[victim == KILL_SERVER ? END_SERVER : END_CLIENT].pid);
	if (victim == KILL_A || victim == KILL_BOTH)
		process_kill(lane.hosts[0].broker);
	if (victim == KILL_B || victim == KILL_BOTH)
		process_kill(lane.hosts[1].broker);
	if (victim == KILL_WORKER_A || victim == KILL_WORKER_B)
		process_kill(lane.tracer.hit != 0 ? lane.tracer.hit : lane.hosts[is_b].workers[0]);
	lane.has_killed = true;
	kill_tracer_end(&lane.tracer, process_note);
}

static void processes_note(void)
{
	struct signalfd_siginfo info;
	pid_t pid;
	int status;

	while (read(lane.signals, &info, sizeof(info)) > 0)
		;
	while ((pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0) {
		const bool is_tracee = kill_tracer_handle(&lane.tracer, pid, status, step_of);

		if (!WIFSTOPPED(status))
			process_note(pid, status);
		if (is_tracee && lane.tracer.hit != 0 && !lane.has_killed)
			victim_kill();
	}
}

static void lane_turn(int wait_ms)
{
	struct pollfd items[END_COUNT + 1] = { { .fd = lane.signals, .events = POLLIN } };

	for (enum lane_end i = 0; i < END_COUNT; i++)
		items[i + 1] = (struct pollfd){ .fd = lane.ends[i].output, .events = POLLIN };
	(void)poll(items, END_COUNT + 1, wait_ms);
	processes_note();
	for (enum lane_end i = 0; i < END_COUNT; i++) {
		if (items[i + 1].revents != 0)
			end_read(i);
	}
}

bool lane_wait(bool (*is_so)(void), unsigned int milliseconds)
{
	const uint64_t end = kill_clock_ms() + milliseconds;

	while (!is_so()) {
		if (kill_clock_ms() >= end)
			return false;
		lane_turn(100);
	}
	return true;
}

static bool never(void)
{
	return false;
}

static bool has_killed(void)
{
	return lane.has_killed;
}

bool end_is_over(enum lane_end which)
{
	return !lane.ends[which].is_running || lane.ends[which].said[KILL_SAID_FAILED] > 0;
}

static bool is_listening(void)
{
	return lane.has_killed || end_is_over(END_SERVER) ||
	       lane.ends[END_SERVER].said[KILL_SAID_LISTENING] > 0;
}

bool end_is_logged_in(enum lane_end which)
{
	return lane.ends[which].said[KILL_SAID_IDLE] > 0;
}

static bool logins_are_over(void)
{
	return lane.has_killed ||
	       ((end_is_over(END_CLIENT) || end_is_logged_in(END_CLIENT)) &&
		       (end_is_over(END_SERVER) || end_is_logged_in(END_SERVER)));
}

bool end_is_ready(enum lane_end which)
{
	return end_is_over(which) ||
	       lane.ends[which].said[KILL_SAID_ACK] >= lane.ends[which].commands;
}

static bool commands_are_done(void)
{
	return lane.has_killed || (end_is_ready(END_CLIENT) && end_is_ready(END_SERVER));
}

static bool others_are_done(void)
{
	return end_is_ready(END_OTHER_CLIENT) && end_is_ready(END_OTHER_SERVER);
}

static bool both_have_ended(void)
{
	return !lane.ends[END_CLIENT].is_running && !lane.ends[END_SERVER].is_running;
}

static bool brokers_are_settled(void)
{
	const enum kill_who victim = lane.moment->victim;

	return ((victim != KILL_A && victim != KILL_BOTH) || lane.hosts[0].broker == 0) &&
	       ((victim != KILL_B && victim != KILL_BOTH) || lane.hosts[1].broker == 0);
}

/* Those of a daemon that is dead. */
static bool workers_are_gone(void)
{
	return (lane.hosts[0].broker != 0 || kill_workers_are_gone(&lane.hosts[0])) &&
	       (lane.hosts[1].broker != 0 || kill_workers_are_gone(&lane.hosts[1]));
}

bool brokers_serve(void)
{
	return kill_broker_serves(&lane.hosts[0]) && kill_broker_serves(&lane.hosts[1]);
}

/* Pairs of who and what, each waited for. false: killed on the way, or it did not work. */
static bool script_run(const char *script)
{
	for (; *script != '\0' && !lane.has_killed; script += 2) {
		end_tell(script[0] == 'S' ? END_SERVER : END_CLIENT, script[1]);
		if (!lane_wait(commands_are_done, KILL_COMMAND_MS))
			lane_fail("command %.2s is not done in time", script);
	}
	return !lane.has_killed;
}

static void steps_set(const char *step)
{
	step_set(0, step);
	step_set(1, step);
}

/* --- one moment --- */

static void tracer_begin(enum kill_who caller)
{
	struct kill_host *host = &lane.hosts[caller == KILL_WORKER_B];
	bool is_good = true;

	if (caller == KILL_CLIENT || caller == KILL_SERVER)
		is_good = kill_tracer_add(&lane.tracer,
			lane.ends[caller == KILL_SERVER ? END_SERVER : END_CLIENT].pid, caller);
	else if (caller == KILL_A || caller == KILL_B)
		is_good =
			kill_tracer_add(&lane.tracer, lane.hosts[caller == KILL_B].broker, caller);
	for (size_t i = 0; i < host->worker_count && caller >= KILL_WORKER_A; i++)
		is_good &= kill_tracer_add(&lane.tracer, host->workers[i], caller);
	if (!is_good)
		lane_fail("%s cannot be followed", kill_who_words[caller]);
}

/* lane.moment NULL: everybody is followed, nobody killed. */
static void programs_start(void)
{
	if (!end_start(END_SERVER, &lane.scenario->server) ||
		!end_start(END_CLIENT, &lane.scenario->client))
		lane_fail("no process");
	lane.tracer = (struct kill_tracer){ .target = lane.moment };
	steps_set("start");
	if (lane.moment == NULL || lane.moment->victim >= KILL_A) {
		kill_host_look(&lane.hosts[0]);
		kill_host_look(&lane.hosts[1]);
	}
	for (enum kill_who who = KILL_CLIENT; who < KILL_BOTH; who++) {
		if (lane.moment == NULL || lane.moment->caller == who)
			tracer_begin(who);
	}
	end_begin(END_SERVER);
	if (!lane_wait(is_listening, KILL_COMMAND_MS))
		lane_fail("the server does not listen");
	end_begin(END_CLIENT);
}

static bool moment_is_at(const char *step)
{
	return lane.moment != NULL && strcmp(lane.moment->step, step) == 0;
}

/* Calls that come by themselves: once a second, or behind the lingering. */
static void call_await(const char *step)
{
	if (!lane.has_killed && moment_is_at(step) && lane.moment->caller != KILL_NOBODY)
		(void)lane_wait(has_killed, CALL_WAIT_MS);
}

/* A stage without calls of its own, and the death somewhere in it. */
static void stage_run(void)
{
	for (size_t i = 0; i < STAGES; i++) {
		if (!moment_is_at(stages[i].word))
			continue;
		if (script_run(stages[i].script) && moment_is_at("transfer")) {
			end_tell(END_CLIENT, 't');
			end_tell(END_SERVER, 't');
		}
		(void)lane_wait(never, lane.moment->ordinal);
		victim_kill();
		return;
	}
	lane_fail("no stage %s", lane.moment->step);
}

/* A token has come, and nothing is done with it yet. */
static bool is_at_pause(void)
{
	return lane.has_killed || end_is_over(END_CLIENT) || end_is_over(END_SERVER) ||
	       strcmp(lane.step[0], lane.moment->step) == 0 ||
	       strcmp(lane.step[1], lane.moment->step) == 0;
}

static void pause_run(void)
{
	if (!lane_wait(is_at_pause, KILL_LOGIN_MS))
		lane_fail("the programs do not come to %s", lane.moment->step);
	(void)lane_wait(never, lane.moment->ordinal);
	victim_kill();
}

static void course_run(void)
{
	if (lane.moment != NULL && kill_scenario_pauses(lane.scenario)) {
		pause_run();
		return;
	}
	if (!lane_wait(logins_are_over, KILL_LOGIN_MS))
		lane_fail("the login has no end");
	if (lane.has_killed || !lane.scenario->completes) {
		if (!lane.has_killed && !lane_wait(both_have_ended, KILL_END_MS))
			lane_fail("a refused program does not end");
		call_await("failure");
		return;
	}
	if (!end_is_logged_in(END_CLIENT) || !end_is_logged_in(END_SERVER)) {
		lane_fail("no login without any death");
		return;
	}
	if (lane.moment != NULL && lane.moment->caller == KILL_NOBODY) {
		stage_run();
		return;
	}
	call_await("idle");
	steps_set("transfer");
	end_tell(END_SERVER, 't');
	(void)script_run("Ct");
	steps_set("close");
	(void)script_run(script_close);
	call_await("close");
}

/* One that dies while it adopts what the one before it left. */
static void broker_start_twice(struct kill_host *host)
{
	if (!kill_broker_start(host))
		lane_fail("%s: no broker", host->name);
	(void)lane_wait(never, lane.moment->ordinal);
	process_kill(host->broker);
	if (!lane_wait(brokers_are_settled, KILL_END_MS))
		lane_fail("a killed broker does not end");
}

/* Those that have none. */
static void brokers_start(void)
{
	for (size_t i = 0; i < 2; i++) {
		if (lane.hosts[i].broker == 0 && !kill_broker_start(&lane.hosts[i]))
			lane_fail("%s: no broker", lane.hosts[i].name);
	}
	if (!lane_wait(brokers_serve, KILL_COMMAND_MS))
		lane_fail("a broker does not start again");
}

static void brokers_restore(void)
{
	if (!lane_wait(brokers_are_settled, KILL_END_MS))
		lane_fail("a killed broker does not end");
	if (!lane_wait(workers_are_gone, WORKERS_MS))
		lane_fail("a worker outlives its daemon");
	for (size_t i = 0; i < 2; i++) {
		if (lane.hosts[i].broker == 0 && moment_is_at("adoption"))
			broker_start_twice(&lane.hosts[i]);
	}
	brokers_start();
}

static void end_judge(enum lane_end which, bool must_succeed)
{
	const struct kill_end *end = &lane.ends[which];
	const char *name = which == END_CLIENT ? "client" : "server";

	if (end->is_running) {
		lane_fail("the %s does not return", name);
		process_kill(end->pid);
	} else if (WIFEXITED(end->status) && WEXITSTATUS(end->status) > 1) {
		lane_fail("the %s read octets of nobody", name);
	} else if (must_succeed && end->status != 0) {
		lane_fail("the %s ended with %x: %s", name, (unsigned int)end->status, end->text);
	}
}

/* A broker's or worker's death behind both logins is as if nothing had happened. */
static void ends_finish(void)
{
	const bool is_of_broker = lane.moment != NULL && lane.moment->victim >= KILL_A;
	const bool are_in = end_is_logged_in(END_CLIENT) && end_is_logged_in(END_SERVER);
	const bool must_succeed = lane.moment == NULL ? are_in : are_in && is_of_broker;
	uint64_t begun = kill_clock_ms();

	if (must_succeed && lane.ends[END_CLIENT].commands == 0) {
		end_tell(END_CLIENT, 't');
		end_tell(END_SERVER, 't');
	}
	end_leave(END_CLIENT);
	end_leave(END_SERVER);
	(void)lane_wait(both_have_ended, KILL_END_MS);
	end_judge(END_CLIENT, must_succeed);
	end_judge(END_SERVER, must_succeed);
	if (kill_clock_ms() - begun > KILL_END_MS - 1000)
		lane_fail("%llu ms until both had returned",
			(unsigned long long)(kill_clock_ms() - begun));
	(void)lane_wait(both_have_ended, 1000);
}

/* Kernel, broker and state file hold the other connection, and nothing else. */
static bool host_is_clean(const struct kill_host *host)
{
	int established = 0;
	size_t count;

	return kill_kernel_digest(host, &count) == host->kernel &&
	       kill_broker_leases(host, IPSEC_LATCH_STATE_ESTABLISHED, &established) == 1 &&
	       established == 1 && kill_state_leases(host) == 1;
}

static void cleanness_judge(void)
{
	const uint64_t end = kill_clock_ms() + GONE_MS;
	const struct kill_host *host;
	int established = 0, leases;
	size_t count = 0;

	for (size_t i = 0; i < 2; i++) {
		host = &lane.hosts[i];
		while (!host_is_clean(host) && kill_clock_ms() < end)
			(void)lane_wait(never, 150);
		if (host_is_clean(host))
			continue;
		(void)kill_kernel_digest(host, &count);
		leases = kill_broker_leases(host, IPSEC_LATCH_STATE_ESTABLISHED, &established);
		lane_fail("left on %s: %zu SAs and policies, %d leases (%d established), %d in its "
			  "state file",
			host->name, count, leases, established, kill_state_leases(host));
	}
}

static void other_judge(void)
{
	end_tell(END_OTHER_CLIENT, 't');
	end_tell(END_OTHER_SERVER, 't');
	if (!lane_wait(others_are_done, KILL_COMMAND_MS) || end_is_over(END_OTHER_CLIENT) ||
		end_is_over(END_OTHER_SERVER))
		lane_fail(
			"the other connection was disturbed: %s", lane.ends[END_OTHER_CLIENT].text);
	/* Its lines shall not fill the room. */
	lane.ends[END_OTHER_CLIENT].said_len = lane.ends[END_OTHER_SERVER].said_len = 0;
}

void moment_run(const struct kill_moment *moment, const struct scenario *scenario)
{
	lane.moment = moment;
	lane.scenario = scenario;
	lane.has_killed = false;
	lane.failures = 0;
	lane.report[0] = '\0';
	programs_start();
	course_run();
	if (moment != NULL && lane.has_killed)
		brokers_restore();
	ends_finish();
	if (moment == NULL)
		(void)lane_wait(never, CALL_WAIT_MS);
	/* The brokers are asked next: one that is followed could not answer its own follower. */
	kill_tracer_end(&lane.tracer, process_note);
	cleanness_judge();
	other_judge();
	/* One that did not come back shall not fail the moments behind, too. */
	if (lane.failures > 0)
		brokers_start();
}
