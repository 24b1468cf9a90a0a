/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors of every kind, none, and too many, with every request. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/real/hostile.h"

static int make_listening(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0 || listen(fd, 1) != 0)
		_exit(1);
	return fd;
}

static int make_unconnected(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int make_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int make_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static int make_pipe(void)
{
	int ends[2];

	return pipe2(ends, O_CLOEXEC) == 0 ? ends[0] : -1;
}

static int make_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int make_folder(void)
{
	return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int make_path(void)
{
	return open("/etc/shadow", O_PATH | O_CLOEXEC);
}

static int make_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int make_epoll(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

static int make_event(void)
{
	return eventfd(0, EFD_CLOEXEC);
}

static int make_memory(void)
{
	return memfd_create("hostile", MFD_CLOEXEC);
}

static int make_io_uring(void)
{
	uint32_t parameters[30] = { 0 };

	return (int)syscall(SYS_io_uring_setup, 4, parameters);
}

static int make_process(void)
{
	return (int)syscall(SYS_pidfd_open, getpid(), 0);
}

/* clang-format off */
static const struct {
	const char *name;
	int (*make)(void);
} kinds[] = {
	{ "a listening socket",     make_listening },
	{ "an unconnected socket",  make_unconnected },
	{ "a UDP socket",           make_udp },
	{ "a Unix socket",          make_unix },
	{ "a netlink socket",       make_netlink },
	{ "a pipe",                 make_pipe },
	{ "a file",                 make_file },
	{ "a folder",               make_folder },
	{ "an O_PATH descriptor",   make_path },
	{ "a device",               make_device },
	{ "an epoll descriptor",    make_epoll },
	{ "an eventfd",             make_event },
	{ "a memfd",                make_memory },
	{ "an io_uring descriptor", make_io_uring },
	{ "a pidfd",                make_process },
};
/* clang-format on */

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Answered, and refused. A release has nothing to undo: for a socket it is done. */
static bool is_refused(uint8_t type, const int *descriptors, size_t count)
{
	const struct broker_request request = {
		.type = type, .suite = 1, .key_in = { .len = 36 }, .key_out = { .len = 36 }
	};
	const int reason = hostile_reason(&request, descriptors, count);

	return reason > IPSEC_LATCH_LATCHED || (reason == IPSEC_LATCH_LATCHED && type == 3);
}

/* Kernels newer than some of 6.1 pass no io_uring. */
static bool kernel_passes(int descriptor)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(sizeof(int))];
	} control = { .octets = { 0 } };
	struct iovec vector = { (char[]){ 0 }, 1 };
	struct msghdr header = { .msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	int pair[2];
	bool passes;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return true;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &descriptor, sizeof(int));
	passes = sendmsg(pair[0], &header, MSG_NOSIGNAL) == 1;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return passes;
}

static void kinds_run(void *argument)
{
	bool is_good = true;

	(void)argument;
	for (size_t i = 0; i < KINDS; i++) {
		int descriptor = kinds[i].make();

		if (descriptor < 0) {
			(void)printf("FAILED - this machine does not make %s\n", kinds[i].name);
			is_good = false;
			continue;
		}
		if (!kernel_passes(descriptor)) {
			(void)printf("# this kernel does not pass %s\n", kinds[i].name);
			(void)close(descriptor);
			continue;
		}
		for (uint8_t type = BROKER_RESERVE; type <= BROKER_QUERY; type++) {
			if (is_refused(type, &descriptor, 1))
				continue;
			(void)printf("FAILED - %s, request %d\n", kinds[i].name, type);
			is_good = false;
		}
		(void)close(descriptor);
	}
	(void)fflush(stdout);
	_exit(is_good ? 0 : 1);
}

/* The first counts, as long as they fit; else control data are cut off. */
static void many_run(void *argument)
{
	static const size_t counts[] = { 0, 2, 4, 5, 16, 100, PROBE_FDS_MAX };
	const struct broker_request query = { .type = BROKER_QUERY };
	const struct end *end = argument;
	int descriptors[PROBE_FDS_MAX];
	int reason;
	bool is_good = true;

	for (size_t i = 0; i < PROBE_FDS_MAX; i++)
		descriptors[i] = end->fd;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		reason = hostile_reason(&query, descriptors, counts[i]);
		is_good = is_good && reason != IPSEC_LATCH_LATCHED && (reason > 0 || counts[i] > 4);
	}
	_exit(is_good ? 0 : 1);
}

/* Descriptors that workers hold in all. */
static int count_descriptors(void)
{
	return probe_shell_number("for pid in $(cat /proc/%d/task/*/children); do "
				  "ls /proc/$pid/fd; done 2>/dev/null | wc -l",
		(int)probe_hosts[0].broker);
}

void hostile_test_descriptors(void)
{
	struct end ends[2];
	int before;

	if (!hostile_pair_open(ends))
		return;
	/* Another user's connections, of which he asks only: test "owners". */
	before = count_descriptors();
	hostile_measure_begin();
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, kinds_run, NULL)),
		"%zu kinds of descriptors with every request: refused", KINDS);
	for (int i = 0; i < 20; i++)
		(void)hostile_wait(hostile_start(HOSTILE_UID, many_run, &ends[0]));
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, many_run, &ends[0])),
		"none, two and up to %d descriptors in one request", PROBE_FDS_MAX);
	hostile_measure_end("strange descriptors");
	probe_pause_ms(1500);
	probe_check(count_descriptors() <= before + 6, "none stays in a worker: %d before, %d now",
		before, count_descriptors());
	probe_pair_close(ends);
}
