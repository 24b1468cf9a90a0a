/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: what other programs of the system, and files of the kernel, say. */
#include "tools/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_SECONDS_MAX 5

/* Root may run this in anybody's folder: neither PATH nor any other variable counts. */
static const char *const run_folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

static char *program_find(const char *name)
{
	char *path = NULL;

	for (size_t i = 0; i < DOCTOR_COUNT(run_folders); i++) {
		if (asprintf(&path, "%s/%s", run_folders[i], name) < 0)
			return NULL;
		if (access(path, X_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

bool doctor_can_run(const char *name)
{
	char *path = program_find(name);
	const bool is_there = path != NULL;

	free(path);
	return is_there;
}

static bool program_spawn(
	const char *path, const char *const *arguments, int output, pid_t *ret_pid)
{
	static char folders[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", language[] = "LC_ALL=C";
	char *const environment[] = { folders, language, NULL };
	posix_spawn_file_actions_t actions;
	bool is_done;

	if (posix_spawn_file_actions_init(&actions) != 0)
		return false;
	is_done = posix_spawn_file_actions_addopen(
			  &actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0 &&
		  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) == 0 &&
		  posix_spawn_file_actions_addopen(
			  &actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
		  posix_spawn(ret_pid, path, &actions, NULL, (char *const *)(uintptr_t)arguments,
			  environment) == 0;
	(void)posix_spawn_file_actions_destroy(&actions);
	return is_done;
}

/* Until the end of what it prints; false when that takes too long. */
static bool output_read(int fd, struct writer *w)
{
	const int64_t deadline = kbind_clock_ms() + RUN_SECONDS_MAX * 1000;
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	uint8_t buffer[4096];
	ssize_t got;

	for (;;) {
		const int64_t left = deadline - kbind_clock_ms();

		if (left <= 0 || (poll(&waiting, 1, (int)left) < 0 && errno != EINTR))
			return false;
		if (waiting.revents == 0)
			continue;
		got = read(fd, buffer, sizeof(buffer));
		if (got == 0)
			return writer_status(w) == ERR_OK;
		if (got < 0 && errno != EINTR)
			return false;
		if (got > 0)
			writer_put_bytes(w, BYTES(buffer, (size_t)got));
	}
}

static char *text_copy(struct bytes octets)
{
	return octets.len == 0 ? strdup("") : strndup((const char *)octets.data, octets.len);
}

char *doctor_run(const char *const *arguments)
{
	char *path = program_find(arguments[0]), *text = NULL;
	int ends[2] = { -1, -1 }, status = 0;
	struct writer w;
	pid_t pid;
	bool is_read;

	if (path == NULL)
		return NULL;
	writer_init(&w, TOOL_FILE_BYTES_MAX);
	if (pipe2(ends, O_CLOEXEC) != 0 || !program_spawn(path, arguments, ends[1], &pid))
		goto out;
	(void)close(ends[1]);
	ends[1] = -1;
	is_read = output_read(ends[0], &w);
	if (!is_read)
		(void)kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) == pid && is_read && WIFEXITED(status) &&
		WEXITSTATUS(status) == 0)
		text = text_copy(writer_view(&w));
out:
	for (size_t i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			(void)close(ends[i]);
	}
	writer_free(&w);
	free(path);
	return text;
}

bool doctor_read_number(const char *path, long *ret_number)
{
	FILE *file = fopen(path, "re");
	bool is_read;

	if (file == NULL)
		return false;
	is_read = fscanf(file, "%ld", ret_number) == 1;
	(void)fclose(file);
	return is_read;
}

bool doctor_process_name(pid_t pid, char ret_name[DOCTOR_PROCESS_BYTES])
{
	char path[48];
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fscanf(file, "%31s", ret_name) != 1)
		ret_name[0] = '\0';
	(void)fclose(file);
	return true;
}

enum doctor_place doctor_process_place(pid_t pid)
{
	char path[48], theirs[64] = "", ours[64] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	if (readlink(path, theirs, sizeof(theirs) - 1) <= 0 ||
		readlink("/proc/self/ns/net", ours, sizeof(ours) - 1) <= 0)
		return DOCTOR_PLACE_UNSEEN;
	return strcmp(theirs, ours) == 0 ? DOCTOR_PLACE_HERE : DOCTOR_PLACE_APART;
}
