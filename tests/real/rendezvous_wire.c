/* SPDX-License-Identifier: BSD-2-Clause */
/* The rendezvous program's connections and frames. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "rendezvous.h"

#define HEAD_BYTES 5

int rv_connect(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found;
	int fd;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		perror("connect");
		(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

int rv_listen(const char *port, bool is_shared)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)) };
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(!is_shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0) &&
		bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
		listen(fd, SOMAXCONN) == 0)
		return fd;
	perror("listen");
	return -1;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t done = write(fd, data, len);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		data += done;
		len -= (size_t)done;
	}
	return true;
}

/* In one write, so that frames of several processes on one connection do not mix. */
bool rv_send(int fd, enum rv_kind kind, const void *data, size_t len)
{
	uint8_t frame[HEAD_BYTES + RV_FRAME_BYTES_MAX];
	uint32_t length = htonl((uint32_t)len);

	if (len > RV_FRAME_BYTES_MAX)
		return false;
	memcpy(frame, &length, sizeof(length));
	frame[4] = (uint8_t)kind;
	if (len > 0)
		memcpy(frame + HEAD_BYTES, data, len);
	return write_all(fd, frame, HEAD_BYTES + len);
}

static bool read_all(int fd, enum rv_reading reading, uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t some = reading == RV_READ_SLOWLY ? 1 : len - done;
		ssize_t now = read(fd, data + done, some);

		if (now < 0 && errno == EINTR)
			continue;
		if (now <= 0)
			return false;
		done += (size_t)now;
		if (reading == RV_READ_SLOWLY && done % 16 == 0)
			rv_sleep_ms(1);
	}
	return true;
}

static bool frame_read(int fd, enum rv_reading reading, struct rv_frame *frame)
{
	uint8_t head[HEAD_BYTES];
	uint32_t length;

	if (!read_all(fd, reading, head, sizeof(head)))
		return false;
	memcpy(&length, head, sizeof(length));
	frame->len = ntohl(length);
	frame->kind = head[4];
	return frame->len <= sizeof(frame->data) && read_all(fd, reading, frame->data, frame->len);
}

/* The whole frame is there before it is looked at, and stays there. */
static bool frame_peek(int fd, struct rv_frame *frame)
{
	uint8_t whole[HEAD_BYTES + RV_FRAME_BYTES_MAX];
	uint32_t length;
	ssize_t seen;

	for (;;) {
		seen = recv(fd, whole, sizeof(whole), MSG_PEEK);
		if (seen <= 0)
			return false;
		memcpy(&length, whole, sizeof(length));
		frame->len = ntohl(length);
		if (seen >= HEAD_BYTES && frame->len <= sizeof(frame->data) &&
			(size_t)seen >= HEAD_BYTES + frame->len)
			break;
		rv_sleep_ms(1);
	}
	frame->kind = whole[4];
	memcpy(frame->data, whole + HEAD_BYTES, frame->len);
	return true;
}

bool rv_consume(int fd, const struct rv_frame *frame)
{
	struct rv_frame same;

	return frame_read(fd, RV_READ_WHOLE, &same) && same.len == frame->len;
}

bool rv_receive(int fd, enum rv_reading reading, struct rv_frame *ret_frame)
{
	for (;;) {
		if (reading == RV_READ_PEEKED ? !frame_peek(fd, ret_frame)
					      : !frame_read(fd, reading, ret_frame))
			return false;
		if (ret_frame->kind != RV_NOISE)
			return true;
		if (reading == RV_READ_PEEKED && !rv_consume(fd, ret_frame))
			return false;
	}
}

bool rv_echo(int fd, size_t len)
{
	static const uint8_t zeros[RV_FRAME_BYTES_MAX];
	struct rv_frame frame;

	return rv_send(fd, RV_ECHO, zeros, len) && rv_receive(fd, RV_READ_WHOLE, &frame) &&
	       frame.kind == RV_ECHO && frame.len == len;
}

uint64_t rv_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == 0 ? cookie : 0;
}

/* The recorder is eBPF, which cannot be read back. */
bool rv_is_latched(int fd)
{
	socklen_t instructions = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &instructions) != 0 &&
	       errno == EACCES;
}

void rv_sleep_ms(unsigned int milliseconds)
{
	struct timespec left = { .tv_sec = milliseconds / 1000,
		.tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}
