/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of a connection that shall be killed, or whose peer shall: a login, then commands of one
 * letter each, answered with a line.  All octets after the login follow a pattern of their own
 * direction, so that one from anywhere else is seen.  Without further commands it reads to the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "kill.h"
#include "stream.h"

#define EXIT_WRONG_OCTETS 3
/* Behind the login; whoever dies then, TCP may be a few seconds late, since it doubles its pauses. */
#define TALK_TIMEOUT_S 7
#define TRANSFER_OCTETS 32768
#define BLOCK_OCTETS 2048
#define TARGET_HOST "host-b.example"
#define SERVICE "sample"

struct talk {
	const struct kill_role *role;
	int fd;
	uint64_t sent, received;
	unsigned int block_pause_ms;
};

void stream_sleep_ms(uint64_t milliseconds)
{
	kill_sleep_ms((unsigned int)milliseconds);
}

uint64_t stream_clock_ms(void)
{
	return kill_clock_ms();
}

static uint8_t octet_of(uint64_t offset, bool is_of_server)
{
	return (uint8_t)(offset ^ offset >> 8 ^ offset >> 16 ^ (is_of_server ? 0xa5 : 0x5a));
}

/* Octets that are not the peer's next ones end the program: nothing worse can happen here. */
static void octets_check(struct talk *talk, const uint8_t *octets, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (octets[i] == octet_of(talk->received + i, !talk->role->is_server))
			continue;
		printf("failed: octet %llu is not the peer's\n",
			(unsigned long long)(talk->received + i));
		_exit(EXIT_WRONG_OCTETS);
	}
	talk->received += len;
}

/* 1: something came; 0: the end; -1: an error. */
static int block_receive(struct talk *talk, int flags)
{
	uint8_t block[BLOCK_OCTETS];
	ssize_t len = recv(talk->fd, block, sizeof(block), flags);

	if (len <= 0)
		return len == 0 ? 0 : -1;
	octets_check(talk, block, (size_t)len);
	return 1;
}

static bool block_send(struct talk *talk, size_t len)
{
	uint8_t block[BLOCK_OCTETS];
	ssize_t done;

	for (size_t i = 0; i < len; i++)
		block[i] = octet_of(talk->sent + i, talk->role->is_server);
	done = send(talk->fd, block, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (done > 0)
		talk->sent += (uint64_t)done;
	return done > 0;
}

/* As many octets in both directions. */
static bool command_transfer(struct talk *talk)
{
	const uint64_t send_end = talk->sent + TRANSFER_OCTETS;
	const uint64_t receive_end = talk->received + TRANSFER_OCTETS;
	struct pollfd item = { .fd = talk->fd };
	size_t part;

	while (talk->sent < send_end || talk->received < receive_end) {
		item.events = (short)((talk->sent < send_end ? POLLOUT : 0) |
				      (talk->received < receive_end ? POLLIN : 0));
		if (poll(&item, 1, TALK_TIMEOUT_S * 1000) <= 0)
			return false;
		if ((item.revents & POLLIN) != 0 && block_receive(talk, MSG_DONTWAIT) <= 0)
			return false;
		if ((item.revents & (POLLERR | POLLHUP)) != 0 && (item.revents & POLLIN) == 0)
			return false;
		part = send_end - talk->sent < BLOCK_OCTETS ? (size_t)(send_end - talk->sent)
							    : BLOCK_OCTETS;
		if ((item.revents & POLLOUT) != 0 && !block_send(talk, part) && errno != EAGAIN)
			return false;
		if ((item.revents & POLLOUT) != 0)
			kill_sleep_ms(talk->block_pause_ms);
	}
	return true;
}

/* Until nothing more goes in: what follows, the FIN too, has to wait for the peer. */
static bool command_fill(struct talk *talk)
{
	struct pollfd item = { .fd = talk->fd, .events = POLLOUT };

	for (;;) {
		while (block_send(talk, BLOCK_OCTETS))
			;
		if (errno != EAGAIN)
			return false;
		if (poll(&item, 1, 200) <= 0)
			return true;
	}
}

static bool command_shut(struct talk *talk)
{
	return shutdown(talk->fd, SHUT_WR) == 0;
}

static bool command_end(struct talk *talk)
{
	int result;

	do
		result = block_receive(talk, 0);
	while (result > 0);
	return result == 0;
}

static bool command_close(struct talk *talk)
{
	int fd = talk->fd;

	talk->fd = -1;
	return close(fd) == 0;
}

static bool command_slow(struct talk *talk)
{
	talk->block_pause_ms = 10;
	return true;
}

static const struct {
	char letter;
	bool (*run)(struct talk *talk);
} command_rows[] = {
	{ 't', command_transfer },
	{ 'f', command_fill },
	{ 's', command_shut },
	{ 'e', command_end },
	{ 'c', command_close },
	{ 'w', command_slow },
};

static bool command_run(struct talk *talk, char letter)
{
	for (size_t i = 0; i < sizeof(command_rows) / sizeof(command_rows[0]); i++) {
		if (command_rows[i].letter == letter)
			return command_rows[i].run(talk);
	}
	return false;
}

/* Of an orphan the kernel gives up behind two tries what a full peer, which reads again when the brokers
 * are back, has not got yet; and the tries before its program ended count.  The FIN, which is one octet here,
 * may find nobody: of a peer that is an orphan itself the kernel keeps nothing for longer than 2 s. */
static bool all_is_taken(const struct talk *talk, uint64_t end)
{
	int waiting = 0;

	while (ioctl(talk->fd, SIOCOUTQ, &waiting) == 0 && waiting > 0 && kill_clock_ms() < end)
		kill_sleep_ms(20);
	return waiting <= 1;
}

/* Commands until there are no more, then the connection's end, in whatever way it comes. */
static int talk_run(struct talk *talk)
{
	bool is_done = true;
	uint64_t end;
	char letter;

	while (is_done && read(0, &letter, 1) == 1) {
		is_done = command_run(talk, letter);
		printf(is_done ? "ack %c\n" : "failed: command %c\n", letter);
	}
	if (talk->fd < 0)
		return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
	end = kill_clock_ms() + TALK_TIMEOUT_S * 1000;
	if (is_done)
		(void)shutdown(talk->fd, SHUT_WR);
	return is_done && command_end(talk) && all_is_taken(talk, end) ? EXIT_SUCCESS
								       : EXIT_FAILURE;
}

static bool address_fill(const char *text, const char *port, struct sockaddr_in *ret_address)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)strtoul(port, NULL, 10)) };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1)
		return false;
	*ret_address = address;
	return true;
}

static bool limit_set(int fd, uint64_t seconds)
{
	const struct timeval limit = { .tv_sec = (time_t)seconds };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0;
}

static int connection_open(const struct kill_role *role)
{
	struct sockaddr_in local, remote;
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), connection = fd;

	if (fd < 0 || !address_fill(role->local, role->is_server ? role->port : "0", &local) ||
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
		!limit_set(fd, role->timeout_s) ||
		bind(fd, (const struct sockaddr *)&local, sizeof(local)) != 0)
		return -1;
	if (!role->is_server)
		return address_fill(role->remote, role->port, &remote) &&
				       connect(fd, (const struct sockaddr *)&remote,
					       sizeof(remote)) == 0
			       ? fd
			       : -1;
	if (listen(fd, 1) != 0)
		return -1;
	printf("listening\n");
	connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	(void)close(fd);
	if (connection >= 0 && !limit_set(connection, role->timeout_s))
		return -1;
	return connection;
}

_Noreturn void kill_end_run(const struct kill_role *role)
{
	const struct stream_options options = { .is_server = role->is_server,
		.host = TARGET_HOST,
		.service = SERVICE,
		.timeout_s = role->timeout_s,
		.pause_step = role->pause_step,
		.pause_ms = role->pause_ms };
	struct talk talk = { .role = role, .fd = -1 };
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	int status = EXIT_FAILURE;
	OM_uint32 minor;
	char letter;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if ((role->config != NULL && setenv("GSS_IPSEC_CONFIG", role->config, 1) != 0) ||
		setenv("HOME", role->home, 1) != 0 || read(0, &letter, 1) != 1)
		_exit(EXIT_FAILURE);
	talk.fd = connection_open(role);
	if (talk.fd < 0) {
		printf("failed: no connection: %s\n", strerror(errno));
		_exit(EXIT_FAILURE);
	}
	if (stream_login(talk.fd, &options, &context)) {
		printf("idle\n");
		status = limit_set(talk.fd, TALK_TIMEOUT_S) ? talk_run(&talk) : EXIT_FAILURE;
	}
	(void)gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	_exit(status);
}
