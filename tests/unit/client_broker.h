/* SPDX-License-Identifier: BSD-2-Clause */
/* A broker made for tests of the client half, in a child process, and a connection to ask it about. */
#ifndef TESTS_UNIT_CLIENT_BROKER_H
#define TESTS_UNIT_CLIENT_BROKER_H

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "kernel-bind/broker_protocol.h"
#include "kernel-bind/client.h"
#include "tests/unit/loopback.h"

static char directory[64], path[96];
static pid_t broker_pid;
static struct loopback pair;
static struct kbind_candidate candidate;
static size_t descriptors_before;

/* --- the broker's side; a failed check ends the child with a status that the parent refuses --- */

static struct broker_request heard;
static uint8_t answer_type;
static int listener_of_broker, late_sender;

static inline void require(bool is_true)
{
	if (!is_true)
		_exit(3);
}

/* Receives one request; returns the descriptor that came with it, or -1. */
static inline int hear(int connection)
{
	uint8_t data[BROKER_REQUEST_BYTES_MAX];
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *rights;
	ssize_t len = recvmsg(connection, &message, 0);
	int fd = -1;

	require(len > 0);
	require(broker_request_read(BYTES(data, (size_t)len), &heard) == ERR_OK);
	rights = CMSG_FIRSTHDR(&message);
	if (rights != NULL)
		memcpy(&fd, CMSG_DATA(rights), sizeof(fd));
	return fd;
}

static inline void serve_hang_up(int connection)
{
	(void)hear(connection);
}

/* --- the program's side --- */

static inline int listen_at(const char *name, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(listener, 0);
	strcpy(address.sun_path, name);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, backlog), 0);
	return listener;
}

/* A broker for one request, or as many as serve accepts. */
static inline void broker_start(void (*serve)(int connection))
{
	int listener = listen_at(path, 2), connection;

	broker_pid = fork();
	ck_assert_int_ge(broker_pid, 0);
	if (broker_pid == 0) {
		late_sender = dup(pair.server);
		loopback_close(pair);
		listener_of_broker = listener;
		connection = accept(listener, NULL, NULL);
		require(connection >= 0);
		serve(connection);
		_exit(0);
	}
	close(listener);
}

static inline void broker_finish(int expected_status)
{
	int status;

	ck_assert_int_eq(waitpid(broker_pid, &status, 0), broker_pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), expected_status);
	ck_assert_int_eq(unlink(path), 0);
}

/* One that does not end by itself. */
static inline void broker_stop(void)
{
	ck_assert_int_eq(kill(broker_pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(broker_pid, NULL, 0), broker_pid);
	ck_assert_int_eq(unlink(path), 0);
}

static inline void client_set_up(void)
{
	struct kbind_candidates found;

	strcpy(directory, "/tmp/gss-ipsec-test.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/broker.sock", directory);
	pair = loopback_open();
	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
	candidate = found.items[0];
	descriptors_before = loopback_descriptors();
}

static inline void client_tear_down(void)
{
	ck_assert_uint_eq(loopback_descriptors(), descriptors_before);
	loopback_close(pair);
	ck_assert_int_eq(rmdir(directory), 0);
}

#endif
