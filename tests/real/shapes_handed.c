/* SPDX-License-Identifier: BSD-2-Clause */
/* The shapes program's servers that hand a connection to another process. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/real/shapes.h"

#define CONNECTIONS_MAX 1024

/* --- to a child, by fork --- */

void sh_serve_fork(int listener, const char *port)
{
	int fd;

	(void)port;
	(void)signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (sh_fork() == 0) {
			(void)close(listener);
			sh_serve_connection(fd);
			_exit(EXIT_SUCCESS);
		}
		(void)close(fd);
	}
}

/* --- to a program, as standard input and output --- */

void sh_serve_inetd(int listener, const char *port)
{
	int fd;

	(void)port;
	(void)signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (sh_fork() == 0) {
			(void)dup2(fd, STDIN_FILENO);
			(void)dup2(fd, STDOUT_FILENO);
			(void)execl("/proc/self/exe", "shapes", "stdio", (char *)NULL);
			_exit(EXIT_FAILURE);
		}
		(void)close(fd);
	}
}

/* --- to a process that is there already, by SCM_RIGHTS --- */

/* What goes with the descriptor. */
struct parcel {
	uint64_t number; /* of the connection */
	struct rv_frame frame;
};

union rights {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

static bool parcel_send(int to, const struct parcel *parcel, int fd)
{
	union rights control = { .room = { 0 } };
	struct iovec part = { (void *)(uintptr_t)parcel, sizeof(*parcel) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *rights;

	if (fd >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &fd, sizeof(int));
	}
	return sendmsg(to, &message, 0) == (ssize_t)sizeof(*parcel);
}

/* *ret_fd -1: none came with it. */
static bool parcel_receive(int from, struct parcel *parcel, int *ret_fd)
{
	union rights control;
	struct iovec part = { parcel, sizeof(*parcel) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *rights;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*parcel))
		return false;
	rights = CMSG_FIRSTHDR(&message);
	*ret_fd = -1;
	if (rights != NULL && rights->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(rights), sizeof(int));
	return true;
}

static int child_start(void (*run)(int channel))
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	if (sh_fork() == 0) {
		(void)close(ends[0]);
		run(ends[1]);
		_exit(EXIT_SUCCESS);
	}
	(void)close(ends[1]);
	return ends[0];
}

static void passed_run(int channel)
{
	struct parcel parcel;
	int fd;

	while (parcel_receive(channel, &parcel, &fd))
		sh_serve_connection(fd);
}

/* Before the first token: in turn to some children that wait. */
void sh_serve_passed(int listener, const char *port)
{
	static const struct parcel parcel;
	int fd, channels[SH_WORKERS];

	(void)port;
	for (size_t i = 0; i < SH_WORKERS; i++)
		channels[i] = child_start(passed_run);
	for (size_t i = 0; (fd = accept(listener, NULL, NULL)) >= 0; i++) {
		if (!parcel_send(channels[i % SH_WORKERS], &parcel, fd))
			return;
		(void)close(fd);
	}
}

/* --- between the tokens: a helper that has the contexts gets each token, and the descriptor anew --- */

static void helper_run(int channel)
{
	static struct sh_login logins[CONNECTIONS_MAX];
	struct parcel parcel;
	int fd;

	while (parcel_receive(channel, &parcel, &fd)) {
		struct sh_login *login = &logins[parcel.number % CONNECTIONS_MAX];

		login->fd = fd;
		(void)sh_serve_frame(login, &parcel.frame);
		(void)close(fd);
		login->fd = -1;
		if (!parcel_send(channel, &parcel, -1))
			return;
	}
}

/* False when the connection has ended. */
static bool helper_ask(int channel, uint64_t number, int fd)
{
	struct parcel parcel = { .number = number };
	int none;

	return rv_receive(fd, RV_READ_WHOLE, &parcel.frame) && parcel_send(channel, &parcel, fd) &&
	       parcel_receive(channel, &parcel, &none);
}

void sh_serve_helper(int listener, const char *port)
{
	int channel = child_start(helper_run), poller = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)listener };
	uint64_t number = 0;

	(void)port;
	(void)epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	while (epoll_wait(poller, &event, 1, -1) == 1) {
		int fd = (int)(event.data.u64 & 0xffffffff);

		if (fd != listener) {
			if (!helper_ask(channel, event.data.u64 >> 32, fd))
				(void)close(fd);
			continue;
		}
		fd = accept(listener, NULL, NULL);
		event.data.u64 = ++number << 32 | (uint64_t)fd;
		(void)epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
	}
}
