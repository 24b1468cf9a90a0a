/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with descriptors; see broker_message.h. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker_message.h"

#define PASSED_MAX 4 /* what more comes is dropped by the kernel */

void message_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static size_t parts_len(const struct message_parts *parts)
{
	size_t len = 0;

	for (size_t i = 0; i < parts->count; i++)
		len += parts->vectors[i].iov_len;
	return len;
}

int message_send(int fd, const struct message_parts *parts, int flags)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(MESSAGE_DESCRIPTORS_MAX * sizeof(int))];
	} control = { .octets = { 0 } };
	struct msghdr header = { .msg_iov = parts->vectors, .msg_iovlen = parts->count };
	struct cmsghdr *item = &control.header;
	size_t count = 0;
	ssize_t len;

	for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++) {
		if (parts->descriptors[i] < 0)
			continue;
		memcpy(CMSG_DATA(item) + count * sizeof(int), &parts->descriptors[i], sizeof(int));
		count++;
	}
	if (count > 0) {
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(count * sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}
	do {
		len = sendmsg(fd, &header, MSG_NOSIGNAL | flags);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno;
	return (size_t)len == parts_len(parts) ? 0 : EMSGSIZE;
}

static void descriptors_take(struct msghdr *header, struct message_parts *parts, size_t wanted)
{
	struct cmsghdr *item;
	size_t count, have = 0;
	int fd;

	for (item = CMSG_FIRSTHDR(header); item != NULL; item = CMSG_NXTHDR(header, item)) {
		if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS)
			continue;
		count = (item->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(item) + i * sizeof(int), sizeof(int));
			if (have < wanted)
				parts->descriptors[have++] = fd;
			else
				(void)close(fd);
		}
	}
}

ssize_t message_receive(int fd, struct message_parts *parts, size_t wanted, int flags)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = parts->vectors,
		.msg_iovlen = parts->count,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t len;

	do {
		len = recvmsg(fd, &header, MSG_CMSG_CLOEXEC | flags);
	} while (len < 0 && errno == EINTR);
	for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++)
		parts->descriptors[i] = -1;
	if (len < 0)
		return len;
	descriptors_take(&header, parts, wanted);
	if ((header.msg_flags & MSG_TRUNC) == 0)
		return len;
	for (size_t i = 0; i < MESSAGE_DESCRIPTORS_MAX; i++)
		message_close(&parts->descriptors[i]);
	errno = EMSGSIZE;
	return -1;
}
