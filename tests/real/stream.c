/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program for tests of latched connections: a login with GSS-API, then plain octets over the same
 * TCP connection, whose SHA-256 is compared at the end.
 *
 *   stream server PORT [OPTION...]
 *   stream client HOST PORT SERVICE [OPTION...]
 *
 * Options stand in the table below.  Every step prints one line, so that a script can wait for it.
 */
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"

enum option_kind { OPTION_FLAG, OPTION_NUMBER, OPTION_TEXT, OPTION_STEP };

struct option_row {
	const char *name;
	enum option_kind kind;
	size_t offset;
};

#define AT(field) offsetof(struct stream_options, field)
/* clang-format off */
static const struct option_row option_rows[] = {
	{ "--send",           OPTION_NUMBER, AT(send_bytes) },       /* octets this side sends */
	{ "--slow-us",        OPTION_NUMBER, AT(slow_us) },
	{ "--connections",    OPTION_NUMBER, AT(connections) },
	{ "--local-port",     OPTION_NUMBER, AT(local_port) },
	{ "--read-buffer",    OPTION_NUMBER, AT(read_buffer_bytes) }, /* SO_RCVBUF */
	{ "--timeout",        OPTION_NUMBER, AT(timeout_s) },        /* of every send and receive */
	{ "--idle-ms",        OPTION_NUMBER, AT(idle_ms) },
	{ "--wait-file",      OPTION_TEXT,   AT(wait_file) },        /* idles until it is there */
	{ "--idle-after-ms",  OPTION_NUMBER, AT(idle_after_ms) },
	{ "--pause-before",   OPTION_STEP,   AT(pause_step) },       /* STEP:MILLISECONDS */
	{ "--latch",          OPTION_TEXT,   AT(latch) },            /* yes, auto, require, no */
	{ "--descriptor",     OPTION_FLAG,   AT(names_descriptor) }, /* named, not searched */
	{ "--delete-context", OPTION_FLAG,   AT(deletes_context) },  /* right after the login */
	{ "--fork",           OPTION_FLAG,   AT(forks) },            /* a child goes on, alone */
	{ "--half-close",     OPTION_FLAG,   AT(shuts_down) },       /* SHUT_WR when all is sent */
	{ "--answer-late",    OPTION_FLAG,   AT(answers_late) },     /* sends after the peer's end */
	{ "--speak-first",    OPTION_FLAG,   AT(speaks_first) },     /* server: not after the client */
	{ "--own-mark",       OPTION_NUMBER, AT(own_mark) },         /* SO_MARK */
	{ "--own-filter",     OPTION_FLAG,   AT(has_filter) },
	{ "--ipv6",           OPTION_FLAG,   AT(is_ipv6) },          /* an AF_INET6 socket, also */
	{ "--to",             OPTION_TEXT,   AT(to) },               /* for v4-mapped addresses */
	{ "--ulp",            OPTION_FLAG,   AT(has_ulp) },          /* TLS in the kernel */
	{ "--name-input",     OPTION_FLAG,   AT(names_input) },      /* which is no socket */
	{ "--reset",          OPTION_FLAG,   AT(resets) },           /* closes with RST */
	{ "--login-twice",    OPTION_FLAG,   AT(logs_in_twice) },
	{ "--reconnect",      OPTION_FLAG,   AT(reconnects) },       /* the same socket, after idling */
};
/* clang-format on */

void stream_sleep_ms(uint64_t milliseconds)
{
	struct timespec left = { .tv_sec = (time_t)(milliseconds / 1000),
		.tv_nsec = (long)(milliseconds % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

uint64_t stream_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool number_read(const char *text, char end, uint64_t *ret_number, const char **ret_rest)
{
	char *rest;

	errno = 0;
	*ret_number = strtoull(text, &rest, 10);
	if (errno != 0 || rest == text || *rest != end)
		return false;
	*ret_rest = rest;
	return true;
}

static bool option_set(
	struct stream_options *options, const struct option_row *row, const char *value)
{
	char *field = (char *)options + row->offset;
	const char *rest;

	switch (row->kind) {
	case OPTION_FLAG:
		*(bool *)(void *)field = true;
		return true;
	case OPTION_TEXT:
		*(const char **)(void *)field = value;
		return true;
	case OPTION_STEP:
		return number_read(value, ':', &options->pause_step, &rest) &&
		       number_read(rest + 1, '\0', &options->pause_ms, &rest);
	case OPTION_NUMBER:
	default:
		return number_read(value, '\0', (uint64_t *)(void *)field, &rest);
	}
}

static bool options_read(struct stream_options *options, char **argv)
{
	for (; *argv != NULL; argv++) {
		const struct option_row *row = NULL;

		for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
			if (strcmp(*argv, option_rows[i].name) == 0)
				row = &option_rows[i];
		}
		if (row == NULL || (row->kind != OPTION_FLAG && argv[1] == NULL))
			return false;
		if (row->kind != OPTION_FLAG)
			argv++;
		if (!option_set(options, row, *argv))
			return false;
	}
	return true;
}

static bool arguments_read(int argc, char **argv, struct stream_options *ret_options)
{
	struct stream_options options = { .connections = 1, .timeout_s = 60 };

	if (argc >= 3 && strcmp(argv[1], "server") == 0) {
		options.is_server = true;
		options.port = argv[2];
		argv += 3;
	} else if (argc >= 5 && strcmp(argv[1], "client") == 0) {
		options.host = argv[2];
		options.port = argv[3];
		options.service = argv[4];
		argv += 5;
	} else {
		return false;
	}
	if (!options_read(&options, argv))
		return false;
	*ret_options = options;
	return true;
}

/* What both roles want of a connection before a token travels. */
static bool connection_prepare(int fd, const struct stream_options *options)
{
	const struct timeval limit = { .tv_sec = (time_t)options->timeout_s };
	struct sock_filter accept_all = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	const struct sock_fprog filter = { .len = 1, .filter = &accept_all };
	const uint32_t mark = (uint32_t)options->own_mark;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
		(mark == 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0) &&
		(!options->has_filter || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter,
						 sizeof(filter)) == 0) &&
		(!options->has_ulp ||
			setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) == 0))
		return true;
	perror("setsockopt");
	return false;
}

static bool local_port_bind(int fd, const struct stream_options *options, uint64_t port)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)port) };
	const int on = 1, buffer = (int)options->read_buffer_bytes;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return false;
	if (buffer != 0 && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer)) != 0)
		return false;
	if (options->is_ipv6)
		return bind(fd, (const struct sockaddr *)&v6, sizeof(v6)) == 0;
	return bind(fd, (const struct sockaddr *)&v4, sizeof(v4)) == 0;
}

static int socket_new(const struct stream_options *options)
{
	return socket(options->is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int client_connect(const struct stream_options *options)
{
	struct addrinfo hints = { .ai_family = options->is_ipv6 ? AF_INET6 : AF_INET,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = options->is_ipv6 ? AI_V4MAPPED : 0 };
	struct addrinfo *found = NULL;
	int fd;

	if (getaddrinfo(options->to != NULL ? options->to : options->host, options->port, &hints,
		    &found) != 0)
		return -1;
	fd = socket_new(options);
	if (fd >= 0 && (!local_port_bind(fd, options, options->local_port) ||
			       connect(fd, found->ai_addr, found->ai_addrlen) != 0)) {
		perror("connect");
		(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static void port_print(int fd)
{
	struct sockaddr_storage address;
	struct sockaddr_in v4;
	socklen_t len = sizeof(address);

	/* The port stands at the same place in both families. */
	if (getsockname(fd, (struct sockaddr *)&address, &len) == 0) {
		memcpy(&v4, &address, sizeof(v4));
		printf("port: %u\n", ntohs(v4.sin_port));
	}
}

/* The client closes first, so that it is the one in TIME_WAIT. */
static bool connection_end(int fd, const struct stream_options *options)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	char octet;
	bool is_ended = true;

	stream_sleep_ms(options->idle_after_ms);
	if (options->resets)
		is_ended = setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0;
	else if (options->is_server && !options->answers_late)
		is_ended = recv(fd, &octet, 1, 0) == 0;
	printf("close\n");
	if (close(fd) != 0 || !is_ended) {
		printf("failed: the end of the connection\n");
		return false;
	}
	return true;
}

/* connect(AF_UNSPEC), and the same socket once more to the same peer; how that went is printed. */
static bool connection_reconnect(int fd, const struct stream_options *options)
{
	const struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 ||
		connect(fd, &nobody, sizeof(nobody)) != 0) {
		printf("failed: the socket cannot be disconnected\n");
		return false;
	}
	printf("reconnecting\n");
	if (connect(fd, (struct sockaddr *)&peer, len) != 0) {
		printf("failed: reconnect: %s\n", strerror(errno));
		stream_sleep_ms(options->idle_after_ms);
		return false;
	}
	printf("reconnected\n");
	return true;
}

static bool connection_use(int fd, const struct stream_options *options, gss_ctx_id_t *context)
{
	OM_uint32 minor;

	if (options->logs_in_twice) {
		gss_ctx_id_t second = GSS_C_NO_CONTEXT;
		bool is_done = stream_login(fd, options, &second);

		(void)gss_delete_sec_context(&minor, &second, GSS_C_NO_BUFFER);
		if (!is_done)
			return false;
	}
	if (options->deletes_context)
		(void)gss_delete_sec_context(&minor, context, GSS_C_NO_BUFFER);
	if (options->forks && fork() != 0)
		_exit(EXIT_SUCCESS);
	printf("idle\n");
	stream_sleep_ms(options->idle_ms);
	while (options->wait_file != NULL && access(options->wait_file, F_OK) != 0)
		stream_sleep_ms(100);
	if (options->reconnects && !connection_reconnect(fd, options))
		return false;
	printf("transfer\n");
	return stream_transfer(fd, options);
}

static bool connection_serve(int fd, const struct stream_options *options)
{
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	OM_uint32 minor;
	bool is_done;

	port_print(fd);
	is_done = connection_prepare(fd, options) && stream_login(fd, options, &context) &&
		  connection_use(fd, options, &context);
	if (is_done)
		is_done = connection_end(fd, options);
	else
		(void)close(fd);
	(void)gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	printf(is_done ? "done\n" : "failed\n");
	return is_done;
}

static bool server_run(const struct stream_options *options)
{
	const char *rest;
	uint64_t port;
	bool is_done = true;
	const struct timeval limit = { .tv_sec = (time_t)options->timeout_s };
	int listener = socket_new(options);

	/* The limit holds for accept too. */
	if (listener < 0 ||
		setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
		!number_read(options->port, '\0', &port, &rest) ||
		!local_port_bind(listener, options, port) || listen(listener, 8) != 0) {
		perror("listen");
		return false;
	}
	printf("listening\n");
	for (uint64_t i = 0; options->connections == 0 || i < options->connections; i++) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0) {
			perror("accept");
			return false;
		}
		is_done &= connection_serve(fd, options);
	}
	(void)close(listener);
	return is_done;
}

int main(int argc, char **argv)
{
	struct stream_options options;
	int fd;

	if (!arguments_read(argc, argv, &options)) {
		fprintf(stderr, "usage: %s server PORT | client HOST PORT SERVICE [OPTION...]\n",
			argv[0]);
		return 2;
	}
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	if (options.is_server)
		return server_run(&options) ? EXIT_SUCCESS : EXIT_FAILURE;
	fd = client_connect(&options);
	if (fd < 0)
		return EXIT_FAILURE;
	return connection_serve(fd, &options) ? EXIT_SUCCESS : EXIT_FAILURE;
}
