/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole pieces to and from a socket, whatever signals come between. */
#include <errno.h>
#include <sys/socket.h>

#include "stream.h"

bool stream_send_all(int fd, const void *data, size_t len)
{
	const char *next = data;

	while (len > 0) {
		ssize_t done = send(fd, next, len, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		next += done;
		len -= (size_t)done;
	}
	return true;
}

bool stream_receive_all(int fd, void *data, size_t len)
{
	char *next = data;

	while (len > 0) {
		ssize_t done = recv(fd, next, len, 0);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		next += done;
		len -= (size_t)done;
	}
	return true;
}
