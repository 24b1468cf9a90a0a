/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the attacker attacks: a plain GSS-API program that knows nothing of latches but the inquiry
 * whose answer it prints.
 *
 *	victim server PORT
 *	victim client HOST PORT
 *
 * Each line of standard input is an order ("service=yes form=lines read=1 ..."): one connection, in
 * a process of its own, whose doings are printed line by line and end with "end".  Both sides know
 * by heart what the other sends, but do not compare: they print what they were given.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "victim.h"

#define BODY_MAX 65536
#define DELIVERED_MAX (1u << 20)
#define LINE_BYTES 32

enum word_kind { WORD_TEXT, WORD_FLAG, WORD_NUMBER };

#define AT(field) offsetof(struct victim_order, field)
/* clang-format off */
static const struct word_row {
	const char *name;
	enum word_kind kind;
	size_t offset;
} word_rows[] = {
	{ "service",  WORD_TEXT,   AT(service) },
	{ "acceptor", WORD_TEXT,   AT(acceptor) },
	{ "lines",    WORD_FLAG,   AT(has_lines) },
	{ "first",    WORD_FLAG,   AT(speaks_first) },
	{ "read",     WORD_NUMBER, AT(read_bytes) },
	{ "late",     WORD_NUMBER, AT(late_ms) },
	{ "body",     WORD_NUMBER, AT(body_bytes) },
	{ "pad",      WORD_NUMBER, AT(pad_bytes) },
	{ "halt",     WORD_NUMBER, AT(halt_call) },
	{ "port",     WORD_NUMBER, AT(local_port) },
	{ "send",     WORD_NUMBER, AT(send_bytes) },
	{ "timeout",  WORD_NUMBER, AT(timeout_ms) },
	{ "ip6",      WORD_FLAG,   AT(uses_ip6) },
};
/* clang-format on */

static const char *const end_words[] = { "garbled", "eof", "reset", "timeout" };

uint64_t victim_clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool word_take(struct victim_order *order, const char *word)
{
	const char *equals = strchr(word, '=');
	char *rest;

	if (equals == NULL)
		return false;
	for (size_t i = 0; i < sizeof(word_rows) / sizeof(word_rows[0]); i++) {
		const struct word_row *row = &word_rows[i];
		char *field = (char *)order + row->offset;
		uint64_t number;

		if (strncmp(word, row->name, (size_t)(equals - word)) != 0 ||
			row->name[equals - word] != '\0')
			continue;
		if (row->kind == WORD_TEXT)
			return snprintf(field, sizeof(order->service), "%s", equals + 1) <
			       (int)sizeof(order->service);
		errno = 0;
		number = strtoull(equals + 1, &rest, 10);
		if (errno != 0 || *rest != '\0')
			return false;
		if (row->kind == WORD_FLAG)
			*(bool *)(void *)field = number != 0;
		else
			*(uint64_t *)(void *)field = number;
		return true;
	}
	return false;
}

static bool order_read(char *line, struct victim_order *ret_order)
{
	struct victim_order order = { .read_bytes = 16384, .send_bytes = 320, .timeout_ms = 3000 };
	char *state = NULL;

	for (char *word = strtok_r(line, " \n", &state); word != NULL;
		word = strtok_r(NULL, " \n", &state)) {
		if (!word_take(&order, word)) {
			printf("not understood: %s\n", word);
			return false;
		}
	}
	if (order.body_bytes > BODY_MAX || order.pad_bytes > BODY_MAX ||
		order.send_bytes > DELIVERED_MAX)
		return false;
	*ret_order = order;
	return true;
}

void victim_hex_print(const char *what, const void *data, size_t len)
{
	const unsigned char *octets = data;

	printf("%s ", what);
	for (size_t i = 0; i < len; i++)
		printf("%02x", octets[i]);
	printf("\n");
}

/* What a failed call says of the connection. */
static enum victim_end end_of_errno(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK ? VICTIM_END_TIMEOUT : VICTIM_END_RESET;
}

bool victim_write(struct victim_stream *stream, const void *data, size_t len)
{
	const char *octets = data;

	printf("write %zu\n", len);
	stream->written += len;
	while (len > 0) {
		ssize_t done = send(stream->fd, octets, len, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0) {
			stream->end = end_of_errno();
			return false;
		}
		octets += done;
		len -= (size_t)done;
	}
	return true;
}

/* Fills the empty buffer by one recv(). */
static bool stream_fill(struct victim_stream *stream)
{
	size_t wanted = stream->order->read_bytes;
	ssize_t done;

	if (wanted == 0 || wanted > sizeof(stream->buffer))
		wanted = sizeof(stream->buffer);
	/* With a timeout set, a stop and SIGCONT interrupt it (signal(7)). */
	do {
		done = recv(stream->fd, stream->buffer, wanted, 0);
	} while (done < 0 && errno == EINTR);
	if (done <= 0) {
		stream->end = done == 0 ? VICTIM_END_EOF : end_of_errno();
		return false;
	}
	stream->start = 0;
	stream->filled = (size_t)done;
	return true;
}

size_t victim_read_some(struct victim_stream *stream, void *data, size_t len)
{
	size_t held;

	if (stream->start == stream->filled && !stream_fill(stream))
		return 0;
	held = stream->filled - stream->start;
	len = len < held ? len : held;
	memcpy(data, stream->buffer + stream->start, len);
	stream->start += len;
	return len;
}

bool victim_read(struct victim_stream *stream, void *data, size_t len)
{
	char *octets = data;

	while (len > 0) {
		size_t done = victim_read_some(stream, octets, len);

		if (done == 0)
			return false;
		octets += done;
		len -= done;
	}
	return true;
}

/* "client 00000007 0123456789abcdef": lines of 32 octets, each different, the text a watcher of the
 * wire must never see. */
static bool stream_send_lines(struct victim_stream *stream, bool is_server)
{
	const size_t count = stream->order->send_bytes / LINE_BYTES;
	char *lines = malloc(count * LINE_BYTES + 1);
	bool is_sent;

	if (lines == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
		(void)snprintf(lines + i * LINE_BYTES, LINE_BYTES + 1, "%s %08zu protectedline..\n",
			is_server ? "server" : "client", i % 100000000);
	is_sent = victim_write(stream, lines, count * LINE_BYTES) &&
		  shutdown(stream->fd, SHUT_WR) == 0;
	printf("sent %zu %d\n", count * LINE_BYTES, is_sent);
	free(lines);
	return is_sent;
}

static void stream_read_lines(struct victim_stream *stream)
{
	char *delivered = malloc(DELIVERED_MAX);
	size_t len = 0, done;

	if (delivered == NULL)
		return;
	if (stream->order->late_ms != 0)
		(void)usleep((useconds_t)stream->order->late_ms * 1000);
	while (len < DELIVERED_MAX &&
		(done = victim_read_some(stream, delivered + len, DELIVERED_MAX - len)) != 0)
		len += done;
	victim_hex_print("delivered", delivered, len);
	printf("ended %s\n", end_words[stream->end]);
	free(delivered);
}

static void stream_use(struct victim_stream *stream, bool is_server)
{
	bool sends_first = !is_server || stream->order->speaks_first;

	if (sends_first)
		(void)stream_send_lines(stream, is_server);
	stream_read_lines(stream);
	if (!sends_first)
		(void)stream_send_lines(stream, is_server);
}

static struct timeval limit_of(const struct victim_order *order)
{
	return (struct timeval){ .tv_sec = (time_t)(order->timeout_ms / 1000),
		.tv_usec = (suseconds_t)(order->timeout_ms % 1000) * 1000 };
}

static void connection_run(
	int fd, const struct victim_order *order, bool is_server, const char *host)
{
	const struct timeval limit = limit_of(order);
	struct victim_stream *stream = calloc(1, sizeof(*stream));

	if (stream == NULL || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
		perror("connection");
		free(stream);
		return;
	}
	stream->fd = fd;
	stream->order = order;
	stream->begun_ms = victim_clock_ms();
	if (victim_login(stream, is_server, host))
		stream_use(stream, is_server);
	else
		printf("ended %s\n", end_words[stream->end]);
	printf("returned %llu\n", (unsigned long long)(victim_clock_ms() - stream->begun_ms));
	free(stream);
}

/* A stop and SIGCONT interrupt it (signal(7)); called again, it waits on. */
static int connect_wait(int fd, const struct addrinfo *to)
{
	int result;

	do {
		result = connect(fd, to->ai_addr, to->ai_addrlen);
	} while (result != 0 && errno == EINTR);
	return result;
}

/* Any address of this family, with this port. */
static socklen_t address_any(int family, uint16_t port, struct sockaddr_storage *ret_address)
{
	const struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	const struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (family == AF_INET6)
		memcpy(ret_address, &six, sizeof(six));
	else
		memcpy(ret_address, &four, sizeof(four));
	return family == AF_INET6 ? sizeof(six) : sizeof(four);
}

static int client_connect(const char *host, const char *port, const struct victim_order *order)
{
	const struct timeval limit = limit_of(order);
	const int family = order->uses_ip6 ? AF_INET6 : AF_INET;
	const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	struct sockaddr_storage mine;
	const socklen_t mine_len = address_any(family, (uint16_t)order->local_port, &mine);
	int fd;

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return -1;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	/* The limit holds for connect too. */
	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0 ||
			       bind(fd, (const struct sockaddr *)&mine, mine_len) != 0 ||
			       connect_wait(fd, found) != 0)) {
		(void)close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int server_listen(int family, const char *port)
{
	struct sockaddr_storage address;
	const socklen_t len = address_any(family, (uint16_t)strtoul(port, NULL, 10), &address);
	const int on = 1;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(family == AF_INET ||
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		bind(fd, (const struct sockaddr *)&address, len) == 0 && listen(fd, 8) == 0)
		return fd;
	perror("listen");
	return -1;
}

/* A connection that does not come shall not hold up the next order, nor one that came too late be
 * taken for the next order's. */
static int server_accept(int listener, const struct victim_order *order)
{
	const struct timeval limit = limit_of(order);
	int late, fd;

	if (fcntl(listener, F_SETFL, O_NONBLOCK) != 0)
		return -1;
	while ((late = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		(void)close(late);
	if (fcntl(listener, F_SETFL, 0) != 0)
		return -1;
	printf("waiting\n");
	if (setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0)
		return -1;
	do {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	} while (fd < 0 && errno == EINTR);
	return fd;
}

/* listeners: of IPv4 and of IPv6; -1 at the client. */
static void order_run(char **argv, const struct victim_order *order, const int listeners[2])
{
	const int listener = listeners[order->uses_ip6];
	const uint64_t begun = victim_clock_ms();
	int fd;

	printf("pid %d\n", (int)getpid());
	fd = listener >= 0 ? server_accept(listener, order)
			   : client_connect(argv[2], argv[3], order);
	if (fd < 0) {
		printf("error %s\nended unconnected\nreturned %llu\n", strerror(errno),
			(unsigned long long)(victim_clock_ms() - begun));
		return;
	}
	for (size_t i = 0; listener >= 0 && i < 2; i++)
		(void)close(listeners[i]);
	connection_run(fd, order, listener >= 0, listener >= 0 ? NULL : argv[2]);
	(void)close(fd);
}

/* Loads the mechanism once, before the processes part. */
static void mechanism_load(void)
{
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	OM_uint32 minor;

	(void)gss_indicate_mechs(&minor, &mechs);
	(void)gss_release_oid_set(&minor, &mechs);
}

int main(int argc, char **argv)
{
	const bool is_server = argc == 3 && strcmp(argv[1], "server") == 0;
	struct victim_order order;
	char line[1024];
	int listeners[2] = { -1, -1 }, status;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (!is_server && (argc != 4 || strcmp(argv[1], "client") != 0))
		return 2;
	if (is_server && ((listeners[0] = server_listen(AF_INET, argv[2])) < 0 ||
				 (listeners[1] = server_listen(AF_INET6, argv[2])) < 0))
		return EXIT_FAILURE;
	mechanism_load();
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		pid_t child = order_read(line, &order) ? fork() : -1;

		if (child == 0) {
			order_run(argv, &order, listeners);
			(void)fflush(stdout);
			_exit(EXIT_SUCCESS);
		}
		if (child > 0 && waitpid(child, &status, 0) == child && status != 0)
			printf("died %d\n", status);
		printf("end\n");
	}
	return EXIT_SUCCESS;
}
