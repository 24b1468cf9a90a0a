/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kill_at_call PID COUNT: follows a process's system calls and kills it (SIGKILL) at the COUNT-th
 * begin or end of one, so that it dies between two of its own steps.  Prints "ready" when it
 * follows, "killed" when it is done.  Ends with the process, or by SIGTERM without harm to it.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#define STOP_OF_CALL (SIGTRAP | 0x80)

static bool process_follow(pid_t pid)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) != 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0)
		return false;
	return waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

/* True when the process was killed here, false when it ended in another way. */
static bool calls_count(pid_t pid, unsigned long count)
{
	unsigned long seen = 0, signal_number = 0;
	int status;

	while (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)signal_number) == 0) {
		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			return false;
		signal_number = 0;
		if (WSTOPSIG(status) != STOP_OF_CALL) {
			/* A stop of ptrace's own is no signal. */
			if (status >> 16 == 0)
				signal_number = (unsigned long)WSTOPSIG(status);
			continue;
		}
		if (++seen < count)
			continue;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, &status, __WALL);
		return true;
	}
	return false;
}

int main(int argc, char **argv)
{
	unsigned long count;
	pid_t pid;

	if (argc != 3)
		return 2;
	pid = (pid_t)strtol(argv[1], NULL, 10);
	count = strtoul(argv[2], NULL, 10);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (pid <= 0 || !process_follow(pid)) {
		perror("kill_at_call");
		return 2;
	}
	printf("ready\n");
	if (!calls_count(pid, count)) {
		printf("not killed\n");
		return EXIT_FAILURE;
	}
	printf("killed\n");
	return EXIT_SUCCESS;
}
