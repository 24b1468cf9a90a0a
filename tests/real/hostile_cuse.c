/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A character device in user space (CUSE) whose server never hears of a close: whoever closes it last
 * waits, uninterruptibly, for as long as the server lives.  Unlike a file's (FUSE) this wait is in the
 * last close() itself.  Nobody has to be root to have something like it: a socket with SO_LINGER.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define DEVICE "/dev/hostile-device"
#define NAME "DEVNAME=hostile-device"
#define DEVICE_MAJOR 240 /* for local use */
#define ASKERS 3
#define REQUESTS 4 /* of each; all together no more than the broker's backlog takes */
#define DEAD_WITHIN_MS 20000

struct cuse_reply {
	struct fuse_out_header header;
	union {
		struct {
			struct cuse_init_out init;
			char name[sizeof(NAME)];
		} begin;
		struct fuse_open_out open;
	} body;
};

/* The length of the reply's body; -1: never. */
static ssize_t cuse_answer(const struct fuse_in_header *request, struct cuse_reply *reply)
{
	switch (request->opcode) {
	case CUSE_INIT:
		reply->body.begin.init = (struct cuse_init_out){
			.major = FUSE_KERNEL_VERSION,
			.minor = FUSE_KERNEL_MINOR_VERSION,
			.max_read = 4096,
			.max_write = 4096,
			.dev_major = DEVICE_MAJOR,
		};
		memcpy(reply->body.begin.name, NAME, sizeof(NAME));
		return sizeof(reply->body.begin);
	case FUSE_OPEN:
		return sizeof(reply->body.open);
	default:
		return -1;
	}
}

static void cuse_serve(int device)
{
	static uint8_t octets[1 << 17];
	const struct fuse_in_header *request = (const void *)octets;
	struct cuse_reply reply;
	ssize_t len;

	for (;;) {
		len = read(device, octets, sizeof(octets));
		if (len < (ssize_t)sizeof(*request))
			_exit(1);
		reply = (struct cuse_reply){ .header = { .unique = request->unique } };
		len = cuse_answer(request, &reply);
		if (len < 0)
			continue;
		reply.header.len = (uint32_t)(sizeof(reply.header) + (size_t)len);
		if (write(device, &reply, reply.header.len) < 0 && errno != ENOENT)
			_exit(1);
	}
}

static pid_t cuse_start(void)
{
	pid_t pid = fork();
	int device, probe = -1;

	if (pid == 0) {
		device = open("/dev/cuse", O_RDWR | O_CLOEXEC);
		if (device < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
			_exit(1);
		cuse_serve(device);
	}
	(void)mknod(DEVICE, S_IFCHR | 0666, makedev(DEVICE_MAJOR, 0));
	(void)chmod(DEVICE, 0666);
	for (int i = 0; i < 50 && access("/sys/class/cuse/hostile-device", F_OK) != 0; i++)
		probe_pause_ms(50);
	/* The first open is the test's own, and never closed before the server ends. */
	probe = open(DEVICE, O_RDWR | O_CLOEXEC);
	probe_check(probe >= 0, "a CUSE device is there");
	return pid;
}

/* What a worker hangs up on at once, and behind it, unread, the descriptor. */
static void connection_fill(int fd)
{
	static const uint8_t nothing[] = { 0 };
	int connection = probe_message_send(&probe_hosts[0], BYTES(nothing, 1), NULL, 0);

	(void)probe_message_add(connection, BYTES(nothing, 1), &fd, 1);
}

/* Leaves the last close to whoever has what it sends, and tells (a pipe's end) when nobody else has it. */
static void cuse_run(void *argument)
{
	const struct broker_request query = { .type = BROKER_QUERY };
	const int *all_dead = argument;
	pid_t child;
	int fd;

	for (int i = 0; i < REQUESTS; i++) {
		child = fork();
		if (child != 0)
			continue;
		fd = open(DEVICE, O_RDWR | O_CLOEXEC);
		if (i % 2 == 0)
			(void)probe_request_send(&probe_hosts[0], &query, &fd, 1);
		else
			connection_fill(fd);
		(void)kill(getpid(), SIGKILL);
	}
	for (int i = 0; i < REQUESTS; i++)
		(void)wait(NULL);
	(void)close(*all_dead);
	probe_pause_ms(60000);
}

/* The broker hears of these descriptors when those who sent them are dead: else it may not be the last. */
static void askers_start(pid_t pids[ASKERS])
{
	struct pollfd wait = { .events = POLLIN };
	int all_dead[2];

	if (pipe2(all_dead, O_CLOEXEC) != 0)
		exit(1);
	(void)kill(probe_hosts[0].broker, SIGSTOP);
	for (size_t i = 0; i < ASKERS; i++)
		pids[i] = hostile_start(HOSTILE_UID + (uid_t)i, cuse_run, &all_dead[1]);
	(void)close(all_dead[1]);
	wait.fd = all_dead[0];
	probe_check(poll(&wait, 1, DEAD_WITHIN_MS) == 1, "nobody but the broker has them");
	(void)close(all_dead[0]);
	probe_workers_hurry(&probe_hosts[0], true);
	(void)kill(probe_hosts[0].broker, SIGCONT);
}

void hostile_test_devices(void)
{
	pid_t pids[ASKERS] = { 0 }, server = cuse_start();
	int stuck;

	askers_start(pids);
	hostile_measure_begin();
	/* Beyond a worker's deadline: the kernel waits uninterruptibly from the kill on. */
	probe_pause_ms(5500);
	hostile_measure_end("devices (CUSE) whose last close waits");
	stuck = hostile_count_workers("D");
	/* And those to whom the ones were left whose time in the queue is over. */
	probe_check(stuck >= 2 * ASKERS && stuck <= 2 * ASKERS + 2,
		"they hold %d processes, no more than two for a user", stuck);
	hostile_kill(&server, 1);
	probe_workers_hurry(&probe_hosts[0], false);
	probe_check(hostile_workers_come_free(), "which end with the device's server");
	hostile_kill(pids, ASKERS);
	(void)unlink(DEVICE);
}
