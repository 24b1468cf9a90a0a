/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded with count_allocations.c into a server: tells how many octets of the heap it holds, in
 * blocks of less than a megabyte (larger ones are pools of the server's own, for each thread one).
 *
 * In every process of a program named $HEAP_WATCH_PROGRAM a thread waits at the pipe $HEAP_WATCH/PID;
 * for each octet that is written to it, it writes a line with the number to $HEAP_WATCH/PID.held.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/count_allocations.h"

static void heap_tell(const char *path)
{
	char line[32];
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int len = snprintf(line, sizeof(line), "%zu\n", count_held() - count_pooled());

	if (fd < 0)
		return;
	if (write(fd, line, (size_t)len) != len)
		(void)unlink(path);
	(void)close(fd);
}

static void *heap_wait(void *argument)
{
	const char *folder = argument;
	char pipe[PATH_MAX], told[PATH_MAX], octet;
	sigset_t all;
	int fd;

	/* The program's signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)snprintf(pipe, sizeof(pipe), "%s/%d", folder, (int)getpid());
	(void)snprintf(told, sizeof(told), "%s/%d.held", folder, (int)getpid());
	if (mkfifo(pipe, 0600) != 0 && errno != EEXIST)
		return NULL;
	/* Also to write: so it never reads an end. */
	fd = open(pipe, O_RDWR | O_CLOEXEC);
	while (fd >= 0 && read(fd, &octet, 1) == 1)
		heap_tell(told);
	return NULL;
}

static void heap_start(void)
{
	pthread_t thread;
	char *folder = getenv("HEAP_WATCH");

	if (folder != NULL && pthread_create(&thread, NULL, heap_wait, folder) == 0)
		(void)pthread_detach(thread);
}

__attribute__((constructor)) static void heap_watch(void)
{
	const char *wanted = getenv("HEAP_WATCH_PROGRAM");

	if (wanted == NULL || strcmp(wanted, program_invocation_short_name) != 0)
		return;
	heap_start();
	(void)pthread_atfork(NULL, NULL, heap_start);
}
