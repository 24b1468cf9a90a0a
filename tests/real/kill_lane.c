/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill_lane: sudden deaths (SIGKILL) between two hosts, one after the other.
 *
 *	kill_lane count PID_A PID_B FOLDER LOGS  runs each scenario to its end, and prints every moment
 *	kill_lane run   PID_A PID_B FOLDER LOGS  brings about the moments that come in on standard input
 *
 * Each moment is a connection of its own, from its first token to the end of lingering.  In every
 * one: all processes return, nothing of it is left in either kernel, broker or state file, and a
 * second, latched connection between the same hosts works on.  What was on the wire is judged
 * afterwards (kills.py), by the times that go to descriptor 3.
 */
#include <fcntl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "kill.h"

#define TRIES 3
#define WINDOWS_FD 3

static const struct kill_role other_client = { .local = "10.77.0.3",
	.remote = "10.77.0.4",
	.port = "4747",
	.uid = KILL_ALICE,
	.timeout_s = KILL_PATIENCE_S };
static const struct kill_role other_server = { .is_server = true,
	.local = "10.77.0.4",
	.port = "4747",
	.uid = KILL_SAMPLE,
	.timeout_s = KILL_PATIENCE_S };

const char *const kill_who_words[KILL_NOBODY + 1] = {
	[KILL_CLIENT] = "client",
	[KILL_SERVER] = "server",
	[KILL_A] = "A",
	[KILL_B] = "B",
	[KILL_WORKER_A] = "worker-A",
	[KILL_WORKER_B] = "worker-B",
	[KILL_BOTH] = "both",
	[KILL_NOBODY] = "nobody",
};

enum kill_who kill_who_find(const char *word)
{
	enum kill_who who = KILL_CLIENT;

	while (who < KILL_NOBODY && strcmp(kill_who_words[who], word) != 0)
		who++;
	return who;
}

void kill_sleep_ms(unsigned int milliseconds)
{
	struct timespec left = { .tv_sec = milliseconds / 1000,
		.tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

uint64_t kill_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool other_is_listening(void)
{
	return lane.ends[END_OTHER_SERVER].said[KILL_SAID_LISTENING] > 0;
}

static bool others_are_logged_in(void)
{
	return end_is_logged_in(END_OTHER_CLIENT) && end_is_logged_in(END_OTHER_SERVER);
}

static bool others_have_ended(void)
{
	return !lane.ends[END_OTHER_CLIENT].is_running && !lane.ends[END_OTHER_SERVER].is_running;
}

/* --- the campaign --- */

static uint64_t clock_real_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static const struct scenario *scenario_find(const char *word)
{
	const struct scenario *scenario = kill_scenarios;

	while (scenario->word != NULL && strcmp(scenario->word, word) != 0)
		scenario++;
	return scenario->word == NULL ? NULL : scenario;
}

/* Until it was killed at that very call: a few do not come in every exchange. */
static bool moment_try(const struct kill_moment *moment, const char *line)
{
	const struct scenario *scenario = scenario_find(moment->scenario);
	const uint64_t begun = kill_clock_ms();
	uint64_t begun_real;
	bool is_good;

	if (scenario == NULL)
		return false;
	for (unsigned int i = 0; i < TRIES; i++) {
		begun_real = clock_real_ms();
		moment_run(moment, scenario);
		dprintf(WINDOWS_FD, "%llu %llu %s\n", (unsigned long long)begun_real,
			(unsigned long long)clock_real_ms(), line);
		if (lane.has_killed || lane.failures > 0)
			break;
	}
	if (!lane.has_killed && lane.failures == 0) {
		printf("missed %s: it did not come to this call\n", line);
		return true;
	}
	is_good = lane.failures == 0;
	printf("%s kill %s (%llu ms)\n%s", is_good ? "ok" : "FAIL", line,
		(unsigned long long)(kill_clock_ms() - begun), lane.report);
	if (!is_good)
		printf("    client: %s    server: %s", lane.ends[END_CLIENT].text,
			lane.ends[END_SERVER].text);
	return is_good;
}

static bool moment_read(char *line, struct kill_moment *ret_moment)
{
	struct kill_moment moment = { .victim = KILL_NOBODY };
	char victim[KILL_WORD_BYTES], caller[KILL_WORD_BYTES], when[KILL_WORD_BYTES];

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%15s %15s %15s %15s %15s %u %15s", victim, caller, moment.scenario,
		    moment.step, moment.kind, &moment.ordinal, when) != 7)
		return false;
	moment.victim = kill_who_find(victim);
	moment.caller = kill_who_find(caller);
	moment.is_after = strcmp(when, "after") == 0;
	*ret_moment = moment;
	return moment.victim != KILL_NOBODY;
}

static bool moments_run(void)
{
	char line[KILL_LINE_BYTES];
	struct kill_moment moment;
	bool is_good = true;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (!moment_read(line, &moment))
			return false;
		is_good &= moment_try(&moment, line);
	}
	return is_good;
}

static bool moments_count(void)
{
	bool is_good = true;

	for (const struct scenario *scenario = kill_scenarios; scenario->word != NULL; scenario++) {
		const uint64_t begun = clock_real_ms();

		if (kill_scenario_pauses(scenario))
			continue;
		moment_run(NULL, scenario);
		dprintf(WINDOWS_FD, "%llu %llu %s\n", (unsigned long long)begun,
			(unsigned long long)clock_real_ms(), scenario->word);
		kill_tracer_print(&lane.tracer, scenario->word);
		fprintf(stderr, "%s", lane.report);
		if (lane.failures > 0)
			fprintf(stderr, "    client: %s    server: %s", lane.ends[END_CLIENT].text,
				lane.ends[END_SERVER].text);
		is_good &= lane.failures == 0 && lane.tracer.count_count > 0;
	}
	return is_good;
}

static bool lane_begin(char **argv)
{
	sigset_t children;
	size_t count;

	(void)sigemptyset(&children);
	(void)sigaddset(&children, SIGCHLD);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &children, NULL) != 0)
		return false;
	lane.signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	for (enum lane_end i = 0; i < END_COUNT; i++)
		lane.ends[i].control = lane.ends[i].output = -1;
	if (!kill_host_open(&lane.hosts[0], "A", argv[2], argv[4], argv[5]) ||
		!kill_host_open(&lane.hosts[1], "B", argv[3], argv[4], argv[5]) ||
		!kill_broker_start(&lane.hosts[0]) || !kill_broker_start(&lane.hosts[1]) ||
		!lane_wait(brokers_serve, KILL_LOGIN_MS) ||
		!end_start(END_OTHER_SERVER, &other_server) ||
		!end_start(END_OTHER_CLIENT, &other_client))
		return false;
	end_begin(END_OTHER_SERVER);
	if (!lane_wait(other_is_listening, KILL_COMMAND_MS))
		return false;
	end_begin(END_OTHER_CLIENT);
	if (!lane_wait(others_are_logged_in, KILL_LOGIN_MS))
		return false;
	for (size_t i = 0; i < 2; i++)
		lane.hosts[i].kernel = kill_kernel_digest(&lane.hosts[i], &count);
	return lane.hosts[0].kernel != 0 && lane.hosts[1].kernel != 0;
}

/* The other connection ends well too, after all that it went through. */
static bool lane_end(void)
{
	end_leave(END_OTHER_CLIENT);
	end_leave(END_OTHER_SERVER);
	(void)lane_wait(others_have_ended, KILL_END_MS);
	for (size_t i = 0; i < 2; i++) {
		if (lane.hosts[i].broker > 0)
			(void)kill(lane.hosts[i].broker, SIGTERM);
	}
	return lane.ends[END_OTHER_CLIENT].status == 0 && lane.ends[END_OTHER_SERVER].status == 0 &&
	       others_have_ended();
}

int main(int argc, char **argv)
{
	bool is_good;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 6) {
		fprintf(stderr, "usage: kill_lane count|run PID_A PID_B FOLDER LOGS\n");
		return 2;
	}
	if (!lane_begin(argv)) {
		printf("FAIL the lane cannot begin: client %s server %s\n",
			lane.ends[END_OTHER_CLIENT].text, lane.ends[END_OTHER_SERVER].text);
		return EXIT_FAILURE;
	}
	is_good = strcmp(argv[1], "count") == 0 ? moments_count() : moments_run();
	if (!lane_end()) {
		printf("FAIL the other connection does not end well: client %s server %s\n",
			lane.ends[END_OTHER_CLIENT].text, lane.ends[END_OTHER_SERVER].text);
		is_good = false;
	}
	return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
