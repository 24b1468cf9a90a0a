/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that were not made by the client's code: any octets, any descriptors. */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/real/probe.h"

int probe_connect(const struct host *host)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", host->socket_path);
	if (connection >= 0 &&
		connect(connection, (struct sockaddr *)&address, sizeof(address)) == 0)
		return connection;
	(void)close(connection);
	return -1;
}

bool probe_message_add(int connection, struct bytes message, const int *descriptors, size_t count)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(PROBE_FDS_MAX * sizeof(int))];
	} control = { .octets = { 0 } };
	struct iovec vector = { (void *)(uintptr_t)message.data, message.len };
	struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };
	struct cmsghdr *item;

	if (count > 0) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(count * sizeof(int));
		item = CMSG_FIRSTHDR(&header);
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(item), descriptors, count * sizeof(int));
	}
	return sendmsg(connection, &header, MSG_NOSIGNAL) == (ssize_t)message.len;
}

int probe_message_send(
	const struct host *host, struct bytes message, const int *descriptors, size_t count)
{
	int connection = probe_connect(host);

	if (connection >= 0 && probe_message_add(connection, message, descriptors, count))
		return connection;
	(void)close(connection);
	return -1;
}

int probe_request_send(const struct host *host, const struct broker_request *request,
	const int *descriptors, size_t count)
{
	struct writer w;
	int connection = -1;

	writer_init(&w, BROKER_REQUEST_BYTES_MAX);
	if (broker_request_write(request, &w) == ERR_OK)
		connection = probe_message_send(host, writer_view(&w), descriptors, count);
	writer_free(&w);
	return connection;
}

void probe_workers_hurry(const struct host *host, bool do_hurry)
{
	probe_shell("for pid in $(pgrep -P %d); do chrt %s $pid; done", (int)host->broker,
		do_hurry ? "-f -p 1" : "-o -p 0");
}
