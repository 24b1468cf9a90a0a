/* SPDX-License-Identifier: BSD-2-Clause */
/* Worker processes; see broker_worker.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "kernel-bind/broker_recorder.h"
#include "kernel-bind/broker_sandbox.h"
#include "kernel-bind/broker_worker.h"
#include "kernel-bind/tuple.h"
#include "kernel-bind/xfrm.h"

#ifndef SO_GET_FILTER
#define SO_GET_FILTER SO_ATTACH_FILTER
#endif

#define REQUEST_WAIT_SEC 1
#define PASSED_MAX 4

struct worker {
	int daemon;	/* conversation with the daemon */
	int connection; /* the client's */
	int descriptor; /* what the client passed, or -1 */
	struct stat network_namespace;
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
};

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Takes at most room descriptors out of a received message, closing any more. */
static size_t descriptors_take(struct msghdr *header, int *out, size_t room)
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
			if (have < room)
				out[have++] = fd;
			else
				(void)close(fd);
		}
	}
	return have;
}

/* One message and at most one descriptor (-1: none). */
static ssize_t message_receive(int fd, struct iovec *vectors, size_t count, int *ret_descriptor)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	} control;
	struct msghdr header = { .msg_iov = vectors,
		.msg_iovlen = count,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	ssize_t len;

	do {
		len = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	*ret_descriptor = -1;
	if (len < 0)
		return len;
	(void)descriptors_take(&header, ret_descriptor, 1);
	if ((header.msg_flags & MSG_TRUNC) != 0) {
		close_if_open(ret_descriptor);
		errno = EMSGSIZE;
		return -1;
	}
	return len;
}

int worker_send(int fd, const struct worker_message *message, struct bytes reply, int descriptor)
{
	union {
		struct cmsghdr header;
		uint8_t octets[CMSG_SPACE(sizeof(int))];
	} control = { .octets = { 0 } };
	/* sendmsg() does not write through them */
	struct iovec vectors[] = {
		{ (void *)(uintptr_t)message, sizeof(*message) },
		{ (void *)(uintptr_t)reply.data, reply.len },
	};
	struct msghdr header = { .msg_iov = vectors, .msg_iovlen = 2 };
	struct cmsghdr *item;
	ssize_t len;

	if (descriptor >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		item = CMSG_FIRSTHDR(&header);
		item->cmsg_level = SOL_SOCKET;
		item->cmsg_type = SCM_RIGHTS;
		item->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(item), &descriptor, sizeof(int));
	}
	do {
		len = sendmsg(fd, &header, MSG_NOSIGNAL);
	} while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno;
	return (size_t)len == sizeof(*message) + reply.len ? 0 : EMSGSIZE;
}

int worker_receive(int fd, struct worker_message *ret_message)
{
	ssize_t len = recv(fd, ret_message, sizeof(*ret_message), MSG_DONTWAIT);

	if (len < 0)
		return errno;
	return len == (ssize_t)sizeof(*ret_message) ? 0 : EPIPE;
}

/* --- what the descriptor is --- */

static bool option_is(int fd, int option, int wanted)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

static bool socket_is_tcp(int fd)
{
	struct stat status;

	/* fstat() first: anything else could be a file of the client's own file system. */
	return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) &&
	       (option_is(fd, SO_DOMAIN, AF_INET) || option_is(fd, SO_DOMAIN, AF_INET6)) &&
	       option_is(fd, SO_TYPE, SOCK_STREAM) && option_is(fd, SO_PROTOCOL, IPPROTO_TCP);
}

static bool socket_is_in_namespace(int fd, const struct stat *network_namespace)
{
	struct stat status;
	int space = ioctl(fd, SIOCGSKNS);
	bool is_same;

	if (space < 0)
		return false;
	is_same = fstat(space, &status) == 0 && status.st_ino == network_namespace->st_ino &&
		  status.st_dev == network_namespace->st_dev;
	(void)close(space);
	return is_same;
}

/* An eBPF filter answers EACCES, a classic one its length; none: 0. */
static bool socket_has_filter(int fd)
{
	socklen_t len = 0;

	return getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) != 0 || len != 0;
}

/* TLS in the kernel, for example: what is read then is not what arrives. */
static bool socket_has_ulp(int fd)
{
	char name[32];
	socklen_t len = sizeof(name);

	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len > 0;
}

static void facts_read(const struct worker *worker, struct worker_facts *facts)
{
	const int fd = worker->descriptor;
	struct tcp_info info = { 0 };
	int buffer_bytes = 0;
	socklen_t info_len = sizeof(info), cookie_len = sizeof(facts->cookie);
	socklen_t mark_len = sizeof(facts->mark), buffer_len = sizeof(buffer_bytes);

	*facts = (struct worker_facts){ .reason = IPSEC_LATCH_NOT_TCP };
	if (fd < 0 || !socket_is_tcp(fd))
		return;
	facts->reason = IPSEC_LATCH_SOCKET_GONE;
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &facts->cookie, &cookie_len) != 0)
		return;
	facts->reason = IPSEC_LATCH_OTHER_NETNS;
	if (!socket_is_in_namespace(fd, &worker->network_namespace))
		return;
	facts->reason = IPSEC_LATCH_SOCKET_GONE;
	if (!tuple_read(fd, &facts->tuple) ||
		getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_MARK, &facts->mark, &mark_len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, &buffer_len) != 0)
		return;
	facts->buffer_bytes = (uint32_t)buffer_bytes;
	facts->is_established = info.tcpi_state == TCP_ESTABLISHED;
	facts->has_filter = socket_has_filter(fd);
	facts->has_ulp = socket_has_ulp(fd);
	facts->reason = tuple_is_self(&facts->tuple) ? IPSEC_LATCH_SELF : IPSEC_LATCH_LATCHED;
}

/* --- what is done with it --- */

struct operation_arguments {
	const struct worker_operations *operations;
	int fd, program;
};

static int operation_attach(const struct operation_arguments *a)
{
	return setsockopt(a->fd, SOL_SOCKET, SO_ATTACH_BPF, &a->program, sizeof(a->program)) == 0
		       ? 0
		       : errno;
}

static int operation_settle(const struct operation_arguments *a)
{
	(void)a;
	return recorder_settle();
}

static int operation_detach(const struct operation_arguments *a)
{
	int nothing = 0;

	if (setsockopt(a->fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing)) == 0)
		return 0;
	return errno == ENOENT ? 0 : errno;
}

static int operation_require_in(const struct operation_arguments *a)
{
	return kxfrm_socket_policy_set(
		a->fd, a->operations->family, true, KXFRM_SOCKET_REQUIRE, a->operations->reqid_in);
}

static int operation_require_out(const struct operation_arguments *a)
{
	return kxfrm_socket_policy_set(a->fd, a->operations->family, false, KXFRM_SOCKET_REQUIRE,
		a->operations->reqid_out);
}

static int operation_block(const struct operation_arguments *a)
{
	const uint8_t family = a->operations->family;
	int in = kxfrm_socket_policy_set(a->fd, family, true, KXFRM_SOCKET_BLOCK, 0);
	int out = kxfrm_socket_policy_set(a->fd, family, false, KXFRM_SOCKET_BLOCK, 0);

	return in != 0 ? in : out;
}

static int operation_clear(const struct operation_arguments *a)
{
	return kxfrm_socket_policy_clear(a->fd);
}

static int operation_mark(const struct operation_arguments *a)
{
	const uint32_t mark = KXFRM_COVER_MARK;

	return setsockopt(a->fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) == 0 ? 0 : errno;
}

static int operation_lock(const struct operation_arguments *a)
{
	int yes = 1;

	return setsockopt(a->fd, SOL_SOCKET, SO_LOCK_FILTER, &yes, sizeof(yes)) == 0 ? 0 : errno;
}

static int (*const operations[WORKER_OPERATION_COUNT])(const struct operation_arguments *) = {
	[WORKER_ATTACH] = operation_attach,
	[WORKER_SETTLE] = operation_settle,
	[WORKER_DETACH] = operation_detach,
	[WORKER_REQUIRE_IN] = operation_require_in,
	[WORKER_REQUIRE_OUT] = operation_require_out,
	[WORKER_BLOCK] = operation_block,
	[WORKER_CLEAR] = operation_clear,
	[WORKER_MARK] = operation_mark,
	[WORKER_LOCK] = operation_lock,
};

static void operations_run(
	const struct operation_arguments *arguments, struct worker_result *ret_result)
{
	const struct worker_operations *wanted = arguments->operations;
	struct worker_result result = { 0 };

	for (size_t i = 0; i < wanted->count && i < WORKER_OPERATIONS_MAX; i++) {
		result.failed = wanted->list[i];
		result.error = arguments->fd < 0 || result.failed >= WORKER_OPERATION_COUNT
				       ? EINVAL
				       : operations[result.failed](arguments);
		if (result.error != 0)
			break;
	}
	*ret_result = result;
}

/* --- the worker's life --- */

/* Waits for the daemon; without it a worker has no reason to live. */
static size_t daemon_receive(
	struct worker *worker, struct worker_message *message, int *ret_descriptor)
{
	struct iovec vectors[] = {
		{ message, sizeof(*message) },
		{ worker->reply, sizeof(worker->reply) },
	};
	ssize_t len = message_receive(worker->daemon, vectors, 2, ret_descriptor);

	if (len < (ssize_t)sizeof(*message))
		_exit(0);
	return (size_t)len - sizeof(*message);
}

static void daemon_send(const struct worker *worker, const struct worker_message *message)
{
	if (worker_send(worker->daemon, message, BYTES_NONE, -1) != 0)
		_exit(1);
}

/* The client's request, if one comes soon. */
static bool request_read(struct worker *worker, struct broker_request *ret_request)
{
	const struct timeval wait = { .tv_sec = REQUEST_WAIT_SEC };
	uint8_t input[BROKER_REQUEST_BYTES_MAX];
	struct iovec vector = { input, sizeof(input) };
	bool is_good = false;
	ssize_t len;

	if (setsockopt(worker->connection, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
		return false;
	len = message_receive(worker->connection, &vector, 1, &worker->descriptor);
	if (len > 0)
		is_good = broker_request_read(BYTES(input, (size_t)len), ret_request) == ERR_OK;
	secret_wipe(input, sizeof(input));
	return is_good;
}

/* The last close() of a client's socket may take its time, so it comes before the reply: the client
 * must be able to rely on nobody else holding its connection. */
static void client_answer(struct worker *worker, size_t len)
{
	close_if_open(&worker->descriptor);
	if (len > 0 &&
		send(worker->connection, worker->reply, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		len = 0;
	secret_wipe(worker->reply, sizeof(worker->reply));
	close_if_open(&worker->connection);
}

static void client_serve(struct worker *worker, struct worker_message *message)
{
	struct operation_arguments arguments = { .operations = &message->operations };
	size_t reply_bytes;

	if (!request_read(worker, &message->request)) {
		client_answer(worker, 0);
		return;
	}
	message->type = WORKER_FACTS;
	facts_read(worker, &message->facts);
	daemon_send(worker, message);
	broker_request_wipe(&message->request);
	for (;;) {
		reply_bytes = daemon_receive(worker, message, &arguments.program);
		if (message->type != WORKER_OPERATIONS)
			break;
		arguments.fd = worker->descriptor;
		operations_run(&arguments, &message->result);
		close_if_open(&arguments.program);
		facts_read(worker, &message->facts);
		message->type = WORKER_RESULT;
		daemon_send(worker, message);
	}
	close_if_open(&arguments.program);
	client_answer(worker, reply_bytes);
}

static _Noreturn void worker_run(struct worker *worker)
{
	struct worker_message *message = calloc(1, sizeof(*message));

	if (message == NULL)
		_exit(1);
	for (;;) {
		(void)daemon_receive(worker, message, &worker->connection);
		if (message->type == WORKER_DISCARD)
			close_if_open(&worker->connection);
		else if (message->type == WORKER_CONNECTION && worker->connection >= 0)
			client_serve(worker, message);
		else
			_exit(1);
		secret_wipe(message, sizeof(*message));
		message->type = WORKER_IDLE;
		daemon_send(worker, message);
	}
}

static _Noreturn void worker_main(int daemon, const struct stat *network_namespace)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t none;

	(void)sigemptyset(&none);
	if (worker == NULL || sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
		sandbox_enter_worker(daemon) != 0)
		_exit(1);
	worker->daemon = daemon;
	worker->connection = worker->descriptor = -1;
	worker->network_namespace = *network_namespace;
	worker_run(worker);
}

int worker_namespace(struct stat *ret_namespace)
{
	return stat("/proc/self/ns/net", ret_namespace) == 0 ? 0 : errno;
}

int worker_start(const struct stat *network_namespace, pid_t *ret_pid, int *ret_fd)
{
	int pair[2], result;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	pid = fork();
	if (pid == 0)
		worker_main(pair[1], network_namespace);
	result = pid < 0 ? errno : 0;
	(void)close(pair[1]);
	if (result == 0 && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
		result = errno;
	if (result != 0) {
		(void)close(pair[0]);
		return result;
	}
	*ret_pid = pid;
	*ret_fd = pair[0];
	return 0;
}
