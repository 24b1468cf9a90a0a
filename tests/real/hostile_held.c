/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that hold whoever touches them: sockets whose last close() lingers, files of a file
 * system (FUSE) that never answers, and sockets whose lock is held by a send() out of such a file.
 * The last two leave a worker that not even SIGKILL ends before their owner lets go.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define FOLDER "/run/hostile-fuse"
#define PAGE_BYTES 4096
#define LINGERERS 40
#define HOLDERS 12
#define IDS 24
#define FOREVER_MS 60000

/* --- a file system with one file, which nobody can read or close --- */

struct fuse_reply {
	struct fuse_out_header header;
	union {
		struct fuse_init_out init;
		struct fuse_entry_out entry;
		struct fuse_attr_out attributes;
		struct fuse_open_out open;
	} body;
};

static struct fuse_attr attributes_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = PAGE_BYTES,
		.mode = node == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0666,
		.nlink = 1,
		.blksize = PAGE_BYTES,
	};
}

/* The length of the reply's body; -1: never. */
static ssize_t fuse_answer(
	const struct fuse_in_header *request, const void *argument, struct fuse_reply *reply)
{
	switch (request->opcode) {
	case FUSE_INIT:
		reply->body.init = (struct fuse_init_out){
			.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE_BYTES
		};
		return sizeof(reply->body.init);
	case FUSE_LOOKUP:
		if (strcmp(argument, "page") != 0)
			break;
		reply->body.entry = (struct fuse_entry_out){ .nodeid = 2,
			.entry_valid = 3600,
			.attr_valid = 3600,
			.attr = attributes_of(2) };
		return sizeof(reply->body.entry);
	case FUSE_GETATTR:
		reply->body.attributes = (struct fuse_attr_out){ .attr_valid = 3600,
			.attr = attributes_of(request->nodeid) };
		return sizeof(reply->body.attributes);
	case FUSE_OPEN:
		/* Else open() would wait for the page that never comes. */
		reply->body.open.open_flags = FOPEN_KEEP_CACHE;
		return sizeof(reply->body.open);
	case FUSE_READ:
	case FUSE_FLUSH:
	case FUSE_FORGET:
	case FUSE_INTERRUPT:
		return -1;
	default:
		break;
	}
	reply->header.error = -ENOSYS;
	return 0;
}

static void fuse_serve(int device)
{
	static uint8_t octets[1 << 17];
	const struct fuse_in_header *request = (const void *)octets;
	struct fuse_reply reply;
	ssize_t len;

	for (;;) {
		len = read(device, octets, sizeof(octets));
		if (len < (ssize_t)sizeof(*request))
			_exit(1);
		reply = (struct fuse_reply){ .header = { .unique = request->unique } };
		len = fuse_answer(request, request + 1, &reply);
		if (len < 0)
			continue;
		reply.header.len = (uint32_t)(sizeof(reply.header) + (size_t)len);
		if (write(device, &reply, reply.header.len) < 0 && errno != ENOENT)
			_exit(1);
	}
}

static pid_t fuse_start(void)
{
	struct stat status;
	char options[128];
	pid_t pid;
	int device;

	(void)mkdir(FOLDER, 0755);
	pid = fork();
	if (pid == 0) {
		device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		(void)snprintf(options, sizeof(options),
			"fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", device);
		if (device < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
			mount("hostile", FOLDER, "fuse", MS_NOSUID | MS_NODEV, options) != 0)
			_exit(1);
		fuse_serve(device);
	}
	for (int i = 0; i < 50 && stat(FOLDER "/page", &status) != 0; i++)
		probe_pause_ms(50);
	return pid;
}

/* --- attackers --- */

/* Holds the lock of the socket while its octets are fetched. */
static void holder_run(void *argument)
{
	const struct end *end = argument;
	int file = open(FOLDER "/page", O_RDONLY | O_CLOEXEC);
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, file, 0);

	if (page != MAP_FAILED)
		(void)send(end->fd, page, PAGE_BYTES, MSG_NOSIGNAL);
}

static void ask_some_times(int descriptor)
{
	const struct broker_request query = { .type = BROKER_QUERY };

	for (int i = 0; i < 3; i++)
		(void)probe_request_send(&probe_hosts[0], &query, &descriptor, 1);
	probe_pause_ms(FOREVER_MS);
}

static void asker_run(void *argument)
{
	const struct end *end = argument;

	ask_some_times(end->fd);
}

static void file_run(void *argument)
{
	(void)argument;
	ask_some_times(open(FOLDER "/page", O_RDONLY | O_CLOEXEC));
}

/* Fills the connection, then leaves it to the broker to close. */
static void lingerer_run(void *argument)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 8 };
	const struct broker_request query = { .type = BROKER_QUERY };
	const int small = 4096;
	const struct end *end = argument;
	uint8_t octets[65536] = { 0 };

	(void)setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)setsockopt(end->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 0; i < 20; i++) {
		while (send(end->fd, octets, sizeof(octets), MSG_DONTWAIT) > 0)
			continue;
		probe_pause_ms(20);
	}
	for (int i = 0; i < 2; i++)
		(void)probe_request_send(&probe_hosts[0], &query, &end->fd, 1);
	(void)kill(getpid(), SIGKILL);
}

static void test_lingering(void)
{
	struct end ends[LINGERERS][2];
	pid_t pids[LINGERERS];

	for (size_t i = 0; i < LINGERERS; i++) {
		if (!hostile_pair_open(ends[i]))
			return;
		pids[i] = hostile_start(HOSTILE_UID + (uid_t)i, lingerer_run, &ends[i][0]);
		(void)close(ends[i][0].fd);
		ends[i][0].fd = -1;
	}
	hostile_measure_begin();
	probe_pause_ms(6000); /* beyond a worker's deadline */
	hostile_measure_end("40 users whose descriptors linger when closed");
	hostile_kill(pids, LINGERERS);
	for (size_t i = 0; i < LINGERERS; i++)
		probe_pair_close(ends[i]);
}

static size_t holders_start(struct end ends[HOLDERS][2], pid_t *pids)
{
	size_t count = 0;

	for (size_t i = 0; i < HOLDERS; i++) {
		if (!hostile_pair_open(ends[i]))
			exit(1);
		pids[count++] = hostile_start(HOSTILE_UID + (uid_t)i, holder_run, &ends[i][0]);
	}
	probe_pause_ms(300);
	for (size_t i = 0; i < HOLDERS; i++)
		pids[count++] = hostile_start(HOSTILE_UID + (uid_t)i, asker_run, &ends[i][0]);
	for (size_t i = 0; i < IDS; i++) {
		const uid_t id = (uid_t)i * 1000;

		pids[count++] = hostile_start(HOSTILE_SUBUID + id, file_run, NULL);
		pids[count++] = hostile_start(HOSTILE_BLOCK + id, file_run, NULL);
	}
	return count;
}

void hostile_test_held(void)
{
	static struct end ends[HOLDERS][2];
	pid_t pids[2 * HOLDERS + 2 * IDS];
	pid_t server;
	size_t count;
	int stuck;

	test_lingering();
	server = fuse_start();
	if (!probe_check(access(FOLDER "/page", F_OK) == 0, "a FUSE file system is there"))
		return;
	hostile_measure_begin();
	count = holders_start(ends, pids);
	probe_pause_ms(6000);
	hostile_measure_end("descriptors that nothing takes out of a worker's hands");
	stuck = hostile_count_workers("D");
	/* Two each of twelve users and of one person with many ids, eight of a block. */
	probe_check(stuck >= HOLDERS && stuck <= 2 * HOLDERS + 2 + 8,
		"they hold %d workers, no more than two for a user", stuck);
	(void)kill(server, SIGKILL);
	probe_check(hostile_workers_come_free(), "which end when the users let go");
	hostile_kill(pids, count);
	hostile_kill(&server, 1);
	for (size_t i = 0; i < HOLDERS; i++)
		probe_pair_close(ends[i]);
	(void)umount2(FOLDER, MNT_DETACH);
}
