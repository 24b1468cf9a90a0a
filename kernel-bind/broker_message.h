/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with descriptors (SCM_RIGHTS) between the broker's own processes, and from clients. */
#ifndef KERNEL_BIND_BROKER_MESSAGE_H
#define KERNEL_BIND_BROKER_MESSAGE_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "base/error.h"

#define MESSAGE_DESCRIPTORS_MAX 2

struct message_parts {
	struct iovec *vectors;
	size_t count;
	int descriptors[MESSAGE_DESCRIPTORS_MAX]; /* -1: none */
};

/* One message with the descriptors that are not -1, which stay the caller's. 0 or a positive errno;
 * EMSGSIZE: not all of it went. */
int message_send(int fd, const struct message_parts *parts, int flags) ERR_MUST_CHECK;
/* One message: its length, or -1 with errno. Descriptors beyond parts' room of `wanted` are closed;
 * those that did not come are -1. */
ssize_t message_receive(int fd, struct message_parts *parts, size_t wanted, int flags);
/* And sets it to -1. */
void message_close(int *fd);

#endif
