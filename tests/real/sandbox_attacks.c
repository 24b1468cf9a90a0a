/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks by whoever has taken over a process of the broker, which succeed where a part of its sandbox
 * is taken away (tests/weakened/).
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/sandbox.h"

enum outcome { REFUSED, SUCCEEDED, UNCLEAR };

/* Calls that no process of the broker needs: each ends it, or none does. */
static enum outcome attack_calls(void)
{
	size_t deaths = 0, tried = 0, here;

	for (size_t i = 0; i < SANDBOX_PLACES; i++) {
		deaths += sandbox_count_deadly(&sandbox_places[i], &here);
		tried += here;
	}
	if (deaths == tried)
		return REFUSED;
	return deaths == 0 ? SUCCEEDED : UNCLEAR;
}

static long mount_something(void)
{
	return mount("none", "/mnt", "tmpfs", MS_NOSUID, NULL);
}

static enum outcome attack_mount(void)
{
	int status = sandbox_status(&sandbox_places[SANDBOX_DAEMON], mount_something);

	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SUCCEEDED : REFUSED;
}

/* A worker runs a program, which would be given what root's programs have: CAP_BPF again. */
static long exec_for_capability(void)
{
	char *const arguments[] = { (char[]){ "sh" }, (char[]){ "-c" },
		(char[]){ "while read -r name value; do [ $name = CapEff: ] && exec [ $((0x$value "
			  ">> 39 & 1)) = 1 ]; done </proc/self/status; exit 3" },
		NULL };

	return execv("/bin/sh", arguments);
}

static enum outcome attack_exec(void)
{
	int status = sandbox_status(&sandbox_places[SANDBOX_WORKER], exec_for_capability);

	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? SUCCEEDED : REFUSED;
}

/* Another daemon with the same capabilities reads its memory. */
static enum outcome attack_trace(void)
{
	size_t refused = 0;

	for (size_t i = 0; i < SANDBOX_PLACES; i++) {
		const struct sandbox_place *place = &sandbox_places[i];
		char octet;
		int fd = -1;
		pid_t child = sandbox_start(place, &fd);

		if (child < 0 || recv(fd, &octet, 1, 0) != 1)
			return UNCLEAR;
		refused += sandbox_refuses_tracing(child, place->kept);
		(void)close(fd);
		(void)kill(child, SIGKILL); /* stopped, if it was traced */
		(void)waitpid(child, NULL, 0);
	}
	if (refused == SANDBOX_PLACES)
		return REFUSED;
	return refused == 0 ? SUCCEEDED : UNCLEAR;
}

/* A crash leaves keys in a file. */
static enum outcome attack_core(void)
{
	const struct rlimit any = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *pattern = fopen("/proc/sys/kernel/core_pattern", "we");
	bool is_set = pattern != NULL && fputs("/tmp/core-of-sandbox", pattern) >= 0;
	int status;

	if (pattern == NULL || fclose(pattern) != 0 || !is_set || setrlimit(RLIMIT_CORE, &any) != 0)
		return UNCLEAR;
	status = sandbox_status(&sandbox_places[SANDBOX_DAEMON], sandbox_crash);
	(void)unlink("/tmp/core-of-sandbox");
	return WCOREDUMP(status) ? SUCCEEDED : REFUSED;
}

/* clang-format off */
static const struct {
	const char *name;
	enum outcome (*run)(void);
} attacks[] = {
	{ "other_calls",      attack_calls },
	{ "mount",            attack_mount },
	{ "exec",             attack_exec },
	{ "trace",            attack_trace },
	{ "core",             attack_core },
};
/* clang-format on */

int sandbox_attacks(char **names)
{
	static const char *const words[] = {
		[REFUSED] = "refused",
		[SUCCEEDED] = "succeeded",
		[UNCLEAR] = "unclear",
	};
	int unknown = 0;

	/* What works is done: nobody else gets to see it. */
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return 2;
	for (; *names != NULL; names++) {
		size_t i = 0;

		while (i < sizeof(attacks) / sizeof(attacks[0]) &&
			strcmp(attacks[i].name, *names) != 0)
			i++;
		if (i == sizeof(attacks) / sizeof(attacks[0])) {
			unknown++;
			continue;
		}
		(void)printf("%s %s\n", words[attacks[i].run()], *names);
		(void)fflush(stdout);
	}
	return unknown == 0 ? 0 : 2;
}
