/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosting program's processes and descriptors: forks, programs run in its place, numbers used again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hosting.h"

#define DESCRIPTORS_LOOKED_AT 256
#define LOG_NUMBER 100 /* out of the way of what the program opens */
#define PATH_BYTES 512

static const char own_words[] = "nobody else's business";

/* --- the program's own files --- */

static bool own_file_open(struct hosting *hosting)
{
	const char *folder = getenv("HOSTING_DIR");
	struct hosting_file *file = &hosting->files[hosting->file_count];
	char path[PATH_BYTES];
	struct stat status;

	(void)snprintf(path, sizeof(path), "%s/own.%d.%zu", folder == NULL ? "/tmp" : folder,
		(int)getpid(), hosting->file_count);
	file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (file->fd < 0 || write(file->fd, own_words, sizeof(own_words)) != sizeof(own_words) ||
		fstat(file->fd, &status) != 0)
		return false;
	(void)unlink(path);
	file->inode = status.st_ino;
	hosting->file_count++;
	return true;
}

bool hosting_own_files(struct hosting *hosting)
{
	while (hosting->file_count < HOSTING_FILES)
		if (!own_file_open(hosting))
			return hosting_fail("no file of its own");
	return true;
}

static bool own_file_is_untouched(const struct hosting_file *file)
{
	struct stat status;

	return fstat(file->fd, &status) == 0 && status.st_ino == file->inode &&
	       status.st_size == sizeof(own_words) &&
	       lseek(file->fd, 0, SEEK_CUR) == sizeof(own_words) &&
	       (fcntl(file->fd, F_GETFD) & FD_CLOEXEC) == 0;
}

bool hosting_files_untouched(struct hosting *hosting)
{
	for (size_t i = 0; i < hosting->file_count; i++)
		if (!own_file_is_untouched(&hosting->files[i]))
			return hosting_fail("a file of its own was touched");
	printf("files untouched: %zu\n", hosting->file_count);
	return true;
}

/* The first context outlives its descriptors; so does what the process keeps for the next one. */
bool hosting_closes_all(struct hosting *hosting)
{
	static struct hosting second;

	second = *hosting;
	if (!hosting_talk(hosting))
		return hosting_fail("no talk before the descriptors were closed");
	closefrom(STDERR_FILENO + 1);
	hosting->fd = -1;
	(void)hosting_own_files(hosting);
	(void)hosting_run(&second, hosting_twist_find("plain"));
	rv_end_free(&hosting->end);
	(void)hosting_files_untouched(hosting);
	return false;
}

/* The number of the connection is a file's when the second token is taken. */
bool hosting_closes_midway(struct hosting *hosting)
{
	closefrom(STDERR_FILENO + 1);
	hosting->is_mute = true; /* its number is a file's */
	return hosting_own_files(hosting);
}

/* The connection gets number 0 or 1: whoever prints something prints it to the peer. */
bool hosting_closes_standard(struct hosting *hosting)
{
	int number = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, LOG_NUMBER);
	FILE *file = number < 0 ? NULL : fdopen(number, "w");

	(void)hosting;
	if (file == NULL)
		return hosting_fail("no log");
	stdout = stderr = file;
	(void)close(STDIN_FILENO);
	(void)close(STDOUT_FILENO);
	(void)close(STDERR_FILENO);
	return true;
}

/* --- processes --- */

static void wait_for(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Everything here comes after it: the child's parent is done with the context. */
static void wait_for_end_of(int pipe_end)
{
	char octet;

	while (read(pipe_end, &octet, sizeof(octet)) < 0 && errno == EINTR)
		;
	(void)close(pipe_end);
}

/* As a server does whose parent takes the connections: descriptor first, then the context. */
bool hosting_forks_child(struct hosting *hosting)
{
	int ends[2];
	pid_t child;

	(void)fflush(stdout);
	if (pipe(ends) != 0)
		return hosting_fail("no pipe");
	child = fork();
	if (child < 0)
		return hosting_fail("no child");
	if (child == 0) {
		(void)close(ends[1]);
		wait_for_end_of(ends[0]);
		return true;
	}
	(void)close(hosting->fd);
	rv_end_free(&hosting->end);
	(void)close(ends[0]);
	(void)close(ends[1]);
	wait_for(child);
	return false;
}

bool hosting_forks_parent(struct hosting *hosting)
{
	pid_t child;

	(void)fflush(stdout);
	child = fork();
	if (child < 0)
		return hosting_fail("no child");
	if (child == 0) {
		(void)close(hosting->fd);
		rv_end_free(&hosting->end);
		_exit(0);
	}
	wait_for(child);
	return true;
}

/* Both go on with the same token; the child is done before its parent begins, which says nothing to
 * the peer, and finds the connection as it was. */
bool hosting_forks_rivals(struct hosting *hosting)
{
	pid_t child;

	(void)fflush(stdout);
	child = fork();
	if (child < 0)
		return hosting_fail("no child");
	if (child > 0) {
		wait_for(child);
		hosting->is_mute = true;
	}
	return true;
}

bool hosting_talks_on(struct hosting *hosting)
{
	if (hosting->is_mute && !hosting->is_server && hosting_talk(hosting))
		printf("talked on\n");
	return true;
}

bool hosting_vforks(struct hosting *hosting)
{
	pid_t child = vfork();

	(void)hosting;
	if (child == 0) {
		(void)execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	if (child < 0)
		return hosting_fail("no child");
	wait_for(child);
	return true;
}

/* What the test reads is kept open. */
bool hosting_daemonises(struct hosting *hosting)
{
	(void)hosting;
	(void)fflush(stdout);
	return daemon(0, 1) == 0 || hosting_fail("no daemon");
}

/* --- programs --- */

/* As inetd's children do: another program has the connection from now on. */
bool hosting_execs(struct hosting *hosting)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", hosting->fd);
	(void)fflush(stdout);
	if (fcntl(hosting->fd, F_SETFD, 0) != 0)
		return hosting_fail("the descriptor cannot be handed over");
	(void)execl("/proc/self/exe", hosting->argv[0], "rest",
		hosting->is_server ? "server" : "client", number, (char *)NULL);
	return hosting_fail("no other program");
}

bool hosting_execs_anew(struct hosting *hosting)
{
	static char plain[] = "plain";

	(void)fflush(stdout);
	hosting->argv[2] = plain;
	(void)execv("/proc/self/exe", hosting->argv);
	return hosting_fail("no other program");
}

int hosting_rest(const char *role, const char *descriptor)
{
	struct hosting hosting = { .is_server = strcmp(role, "server") == 0,
		.fd = (int)strtol(descriptor, NULL, 10) };

	for (int fd = STDERR_FILENO + 1; fd < DESCRIPTORS_LOOKED_AT; fd++)
		if (fd != hosting.fd && fcntl(fd, F_GETFD) >= 0)
			printf("left open: %d\n", fd);
	printf("rest of %s: %s\n", role, rv_is_latched(hosting.fd) ? "latched" : "clear");
	if (!hosting_talk(&hosting))
		return 1;
	printf("%s talked\n", role);
	return 0;
}
