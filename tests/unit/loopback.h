/* SPDX-License-Identifier: BSD-2-Clause */
/* Real connections on the loopback interface, for tests of the client half. */
#ifndef TESTS_UNIT_LOOPBACK_H
#define TESTS_UNIT_LOOPBACK_H

#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

/* How many descriptors this process has, and two entries more. */
static inline size_t loopback_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	size_t count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}

struct loopback {
	int client, server;
};

static inline struct sockaddr_in loopback_address(int fd)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t len = sizeof(address);

	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return address;
}

/* A socket bound to a free port of 127.0.0.1. */
static inline int loopback_bound(int type)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static inline struct loopback loopback_open(void)
{
	int listener = loopback_bound(SOCK_STREAM);
	struct sockaddr_in address = loopback_address(listener);
	struct loopback pair;

	ck_assert_int_eq(listen(listener, 8), 0);
	pair.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(pair.client, 0);
	ck_assert_int_eq(connect(pair.client, (struct sockaddr *)&address, sizeof(address)), 0);
	pair.server = accept(listener, NULL, NULL);
	ck_assert_int_ge(pair.server, 0);
	close(listener);
	return pair;
}

static inline void loopback_close(struct loopback pair)
{
	close(pair.client);
	close(pair.server);
}

static inline uint64_t loopback_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
	return cookie;
}

#endif
