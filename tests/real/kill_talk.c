/* SPDX-License-Identifier: BSD-2-Clause */
/* The programs of a lane: started with their host's namespaces and user, told, and listened to. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kill.h"

struct kill_lane lane;

/* --- what the programs say --- */

static const struct {
	const char *begin, *step; /* step: NULL, the same */
	int event;		  /* -1: none */
} said_rows[] = {
	{ "listening", NULL, KILL_SAID_LISTENING },
	{ "step 1", "start", -1 },
	{ "step 2", "T1", -1 },
	{ "step 3", "T2", -1 },
	{ "step 4", "T3", -1 },
	{ "step 5", "T4", -1 },
	{ "step 6", "T5", -1 },
	{ "login failed", "failure", KILL_SAID_FAILED },
	{ "failed", NULL, KILL_SAID_FAILED },
	{ "idle", "idle", KILL_SAID_IDLE },
	{ "ack", NULL, KILL_SAID_ACK },
};

void step_set(size_t host, const char *step)
{
	(void)snprintf(lane.step[host], sizeof(lane.step[host]), "%s", step);
}

static void line_note(enum lane_end which, const char *line)
{
	for (size_t i = 0; i < sizeof(said_rows) / sizeof(said_rows[0]); i++) {
		if (strncmp(line, said_rows[i].begin, strlen(said_rows[i].begin)) != 0)
			continue;
		if (said_rows[i].event >= 0)
			lane.ends[which].said[said_rows[i].event]++;
		if (said_rows[i].step != NULL && which <= END_SERVER)
			step_set(which, said_rows[i].step);
	}
}

void end_read(enum lane_end which)
{
	struct kill_end *end = &lane.ends[which];
	size_t old = end->said_len;
	char *line, *newline;
	ssize_t len;

	if (end->output < 0 || end->said_len + 1 >= sizeof(end->text))
		return;
	len = read(end->output, end->text + end->said_len, sizeof(end->text) - 1 - end->said_len);
	if (len == 0) {
		(void)close(end->output);
		end->output = -1;
	}
	if (len <= 0)
		return;
	end->said_len += (size_t)len;
	end->text[end->said_len] = '\0';
	while (old > 0 && end->text[old - 1] != '\n')
		old--;
	line = end->text + old;
	for (newline = strchr(line, '\n'); newline != NULL; newline = strchr(line, '\n')) {
		line_note(which, line);
		line = newline + 1;
	}
}

const char *step_of(enum kill_who who)
{
	for (enum lane_end i = 0; i < END_COUNT; i++)
		end_read(i);
	return lane.step[who == KILL_SERVER || who == KILL_B || who == KILL_WORKER_B];
}

/* --- programs and commands --- */

static _Noreturn void end_enter(const struct kill_role *role, int control, int output)
{
	const struct kill_host *host = &lane.hosts[role->is_server];
	static char home[256];
	struct kill_role mine = *role;
	sigset_t none;

	(void)sigemptyset(&none);
	(void)snprintf(home, sizeof(home), "%s/home/%s", host->directory,
		role->uid == KILL_ALICE ? "alice" : "sample");
	mine.home = home;
	if (!kill_host_enter(host) || dup2(control, 0) < 0 || dup2(output, 1) < 0 ||
		dup2(host->log, 2) < 0 || close_range(3, ~0u, 0) != 0 ||
		sigprocmask(SIG_SETMASK, &none, NULL) != 0 || setgroups(0, NULL) != 0 ||
		setresgid(role->uid, role->uid, role->uid) != 0 ||
		setresuid(role->uid, role->uid, role->uid) != 0 ||
		/* as after the exec that every other program has behind it */
		prctl(PR_SET_DUMPABLE, 1) != 0)
		_exit(EXIT_FAILURE);
	kill_end_run(&mine);
}

static void end_forget(struct kill_end *end)
{
	if (end->control >= 0)
		(void)close(end->control);
	if (end->output >= 0)
		(void)close(end->output);
	*end = (struct kill_end){ .control = -1, .output = -1 };
}

bool end_start(enum lane_end which, const struct kill_role *role)
{
	struct kill_end *end = &lane.ends[which];
	int control[2], output[2];

	end_forget(end);
	if (pipe2(control, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0)
		return false;
	end->pid = fork();
	if (end->pid == 0)
		end_enter(role, control[0], output[1]);
	(void)close(control[0]);
	(void)close(output[1]);
	(void)fcntl(output[0], F_SETFL, O_NONBLOCK);
	end->control = control[1];
	end->output = output[0];
	end->is_running = end->pid > 0;
	return end->is_running;
}

void end_tell(enum lane_end which, char letter)
{
	struct kill_end *end = &lane.ends[which];

	if (end->control >= 0 && write(end->control, &letter, 1) == 1)
		end->commands++;
}

void end_leave(enum lane_end which)
{
	struct kill_end *end = &lane.ends[which];

	if (end->control >= 0)
		(void)close(end->control);
	end->control = -1;
}

void end_begin(enum lane_end which)
{
	end_tell(which, 'g');
	lane.ends[which].commands = 0;
}
