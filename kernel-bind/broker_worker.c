/* SPDX-License-Identifier: BSD-2-Clause */
/* Worker processes; see broker_worker.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "kernel-bind/broker_intake.h"
#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_recorder.h"
#include "kernel-bind/broker_sandbox.h"
#include "kernel-bind/broker_worker.h"
#include "kernel-bind/tuple.h"
#include "kernel-bind/xfrm.h"

#ifndef SO_GET_FILTER
#define SO_GET_FILTER SO_ATTACH_FILTER
#endif

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* since Linux 5.14 */
#endif

#define STATE_ESTABLISHED 1 /* include/net/tcp_states.h */
#define REQUEST_WAIT_SEC 1

struct worker {
	int daemon;	/* conversation with the daemon */
	int connection; /* the client's */
	int descriptor; /* what the client passed, or -1 */
	int space;	/* the network namespace of that, where it is another one; else -1 */
	struct worker_place place;
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
};

int worker_send(int fd, const struct worker_message *message, struct bytes reply, int descriptor)
{
	/* sendmsg() does not write through them */
	struct iovec vectors[] = {
		{ (void *)(uintptr_t)message, sizeof(*message) },
		{ (void *)(uintptr_t)reply.data, reply.len },
	};
	const struct message_parts parts = { vectors, 2, { descriptor, -1 } };

	return message_send(fd, &parts, 0);
}

int worker_receive(int fd, struct worker_message *ret_message, int *ret_descriptor)
{
	struct iovec vector = { ret_message, sizeof(*ret_message) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };
	ssize_t len = message_receive(fd, &parts, 1, MSG_DONTWAIT);

	*ret_descriptor = -1;
	if (len < 0)
		return errno;
	if (len != (ssize_t)sizeof(*ret_message)) {
		message_close(&parts.descriptors[0]);
		return EPIPE;
	}
	*ret_descriptor = parts.descriptors[0];
	return 0;
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

/* Whether it is ours; if not, *ret_space is that namespace, or -1 where it cannot be had. */
static bool socket_is_near(int fd, const struct stat *own, int *ret_space)
{
	struct stat status;
	int space = ioctl(fd, SIOCGSKNS);
	bool is_same;

	*ret_space = -1;
	if (space < 0)
		return false;
	is_same = fstat(space, &status) == 0 && status.st_ino == own->st_ino &&
		  status.st_dev == own->st_dev;
	if (is_same)
		(void)close(space);
	else
		*ret_space = space;
	return is_same;
}

/* An eBPF filter answers EACCES, a classic one its length; none: 0. */
static void filter_read(int fd, struct worker_facts *facts)
{
	socklen_t len = 0;
	const bool is_told = getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, NULL, &len) == 0;

	facts->has_filter = !is_told || len != 0;
	facts->has_extended_filter = !is_told && errno == EACCES;
}

/* TLS in the kernel, for example: what is read then is not what arrives. */
static bool socket_has_ulp(int fd)
{
	char name[32];
	socklen_t len = sizeof(name);

	return getsockopt(fd, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len > 0;
}

static bool socket_is_bound(int fd)
{
	char name[IF_NAMESIZE];
	socklen_t len = sizeof(name);

	return getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) != 0 || len > 0;
}

/* What waits unread is no token that the program has handed to anybody yet. */
static uint64_t taken_read(int fd, const struct tcp_info *info)
{
	const uint64_t received = info->tcpi_bytes_received;
	int unread = 0;

	if (ioctl(fd, SIOCINQ, &unread) != 0 || unread < 0 || (uint64_t)unread > received)
		return 0;
	return received - (uint64_t)unread;
}

/* Whether a socket lives here; else which namespace is its. */
static bool place_is_here(struct worker *worker, int fd, struct worker_facts *facts)
{
	socklen_t len = sizeof(facts->space_cookie);

	if (socket_is_near(fd, &worker->place.network_namespace, &worker->space))
		return true;
	facts->reason = IPSEC_LATCH_OTHER_NETNS;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &facts->space_cookie, &len) != 0)
		facts->space_cookie = 0;
	return false;
}

static void facts_read(struct worker *worker, struct worker_facts *facts)
{
	const int fd = worker->descriptor;
	struct tcp_info info = { 0 };
	int buffer_bytes = 0;
	socklen_t info_len = sizeof(info), cookie_len = sizeof(facts->cookie);
	socklen_t mark_len = sizeof(facts->mark), buffer_len = sizeof(buffer_bytes);

	message_close(&worker->space);
	*facts = (struct worker_facts){ .reason = IPSEC_LATCH_NOT_TCP };
	if (fd < 0 || !socket_is_tcp(fd))
		return;
	facts->reason = IPSEC_LATCH_SOCKET_GONE;
	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &facts->cookie, &cookie_len) != 0)
		return;
	if (!place_is_here(worker, fd, facts))
		return;
	facts->reason = IPSEC_LATCH_SOCKET_GONE;
	if (!tuple_read(fd, &facts->tuple) ||
		getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_MARK, &facts->mark, &mark_len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, &buffer_len) != 0)
		return;
	facts->buffer_bytes = (uint32_t)buffer_bytes;
	facts->taken_bytes = taken_read(fd, &info);
	facts->is_established = info.tcpi_state == STATE_ESTABLISHED;
	filter_read(fd, facts);
	facts->has_ulp = socket_has_ulp(fd);
	facts->is_bound = socket_is_bound(fd);
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

/*
 * A new policy takes the socket's route away, and TCP cuts what is sent next for the route that was:
 * longer than ESP has room for.  The kernel drops that, says so to nobody, and TCP tries again when
 * its timer says so, 200 ms later or three times the round trip.  So something small goes first: to
 * end repair, begun or not, sends a window probe, which finds the route.  It also takes SO_REUSEADDR
 * off, which is put back.  Without it the connection is slower, so its failure is none of the latch.
 */
static int operation_probe(const struct operation_arguments *a)
{
	const int off = TCP_REPAIR_OFF;
	int is_reused = 0;
	socklen_t len = sizeof(is_reused);

	if (getsockopt(a->fd, SOL_SOCKET, SO_REUSEADDR, &is_reused, &len) != 0 ||
		setsockopt(a->fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)) != 0 ||
		is_reused == 0)
		return 0;
	return setsockopt(a->fd, SOL_SOCKET, SO_REUSEADDR, &is_reused, len) == 0 ? 0 : errno;
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
	[WORKER_PROBE] = operation_probe,
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
	struct message_parts parts = { .vectors = vectors, .count = 2 };
	ssize_t len = message_receive(worker->daemon, &parts, 1, 0);

	if (len < (ssize_t)sizeof(*message))
		_exit(0);
	*ret_descriptor = parts.descriptors[0];
	return (size_t)len - sizeof(*message);
}

static void daemon_send(const struct worker *worker, const struct worker_message *message)
{
	if (worker_send(worker->daemon, message, BYTES_NONE, -1) != 0)
		_exit(1);
}

/* The client's request, if one comes soon. flags: MSG_PEEK leaves it, and what comes with it, where
 * it is too. */
static bool request_read(struct worker *worker, int flags, struct broker_request *ret_request)
{
	const struct timeval wait = { .tv_sec = REQUEST_WAIT_SEC };
	uint8_t input[BROKER_REQUEST_BYTES_MAX];
	struct iovec vector = { input, sizeof(input) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };
	bool is_good = false;
	ssize_t len;

	if (setsockopt(worker->connection, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
		return false;
	len = message_receive(worker->connection, &parts, 1, flags);
	worker->descriptor = parts.descriptors[0];
	if (len > 0)
		is_good = broker_request_read(BYTES(input, (size_t)len), ret_request) == ERR_OK;
	secret_wipe(input, sizeof(input));
	return is_good;
}

/* The last close() of a client's socket may take its time, so it comes before the reply: the client
 * must be able to rely on nobody else holding its connection. */
static void client_answer(struct worker *worker, size_t len)
{
	message_close(&worker->descriptor);
	if (len > 0)
		(void)send(worker->connection, worker->reply, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	secret_wipe(worker->reply, sizeof(worker->reply));
	message_close(&worker->connection);
}

/* The client's socket lives in another network namespace: the whole connection, unread, goes to the
 * broker of that, or is refused.  A broker that has just ended is replaced, once. */
static void client_forward(struct worker *worker, struct worker_message *message)
{
	struct worker_message facts = { .type = WORKER_FACTS,
		.request = { .type = message->request.type },
		.facts = message->facts };
	size_t reply_bytes;
	int intake = -1;

	/* That of the connection's namespace takes it anew, and must be the last that has it. */
	message_close(&worker->descriptor);
	broker_request_wipe(&message->request);
	do {
		if (worker_send(worker->daemon, &facts, BYTES_NONE, worker->space) != 0)
			_exit(1);
		reply_bytes = daemon_receive(worker, message, &intake);
		if (message->type != WORKER_FORWARD)
			break;
		facts.result.error = intake_send(intake, worker->connection);
		message_close(&intake);
	} while (facts.result.error != 0);
	message_close(&intake);
	message_close(&worker->space);
	/* Closed with its request in it, the connection would be reset and the reply lost. */
	if (reply_bytes > 0) {
		message_close(&worker->descriptor);
		(void)request_read(worker, 0, &message->request);
	}
	client_answer(worker, reply_bytes);
}

/* Looks at what is there, and takes it only where it is ours to answer. */
static bool request_take(struct worker *worker, struct worker_message *message)
{
	if (worker->place.has_others) {
		if (!request_read(worker, MSG_PEEK, &message->request))
			return false;
		facts_read(worker, &message->facts);
		if (message->facts.reason == IPSEC_LATCH_OTHER_NETNS && worker->space >= 0)
			return true;
		message_close(&worker->descriptor);
	}
	if (!request_read(worker, 0, &message->request))
		return false;
	facts_read(worker, &message->facts);
	/* Without --namespaces nobody wants to know which. */
	message_close(&worker->space);
	return true;
}

/*
 * Who has waited too long goes on as after a refusal: what is done to its connection now it would
 * neither know of nor undo.  A release is carried out for nobody, too.
 */
static bool request_is_given_up(const struct worker *worker, uint8_t type)
{
	uint8_t octet;
	struct iovec vector = { &octet, sizeof(octet) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };

	return (type == BROKER_RESERVE || type == BROKER_LATCH) &&
	       message_receive(worker->connection, &parts, 0, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void client_serve(struct worker *worker, struct worker_message *message)
{
	struct operation_arguments arguments = { .operations = &message->operations };
	size_t reply_bytes;

	if (!request_take(worker, message) || request_is_given_up(worker, message->request.type)) {
		client_answer(worker, 0);
		return;
	}
	if (worker->space >= 0) {
		client_forward(worker, message);
		return;
	}
	message->type = WORKER_FACTS;
	daemon_send(worker, message);
	broker_request_wipe(&message->request);
	for (;;) {
		reply_bytes = daemon_receive(worker, message, &arguments.program);
		if (message->type != WORKER_OPERATIONS)
			break;
		arguments.fd = worker->descriptor;
		operations_run(&arguments, &message->result);
		message_close(&arguments.program);
		facts_read(worker, &message->facts);
		message->type = WORKER_RESULT;
		daemon_send(worker, message);
	}
	message_close(&arguments.program);
	client_answer(worker, reply_bytes);
}

/* What is to be done with it; nobody but this process and the client has it then. */
static enum worker_message_type connection_receive(
	struct worker *worker, struct worker_message *message)
{
	enum worker_message_type type;
	int none;

	(void)daemon_receive(worker, message, &worker->connection);
	type = message->type;
	(void)daemon_receive(worker, message, &none);
	if (worker->connection < 0 || message->type != WORKER_YOURS)
		_exit(1);
	return type;
}

static _Noreturn void worker_run(struct worker *worker)
{
	struct worker_message *message = calloc(1, sizeof(*message));
	enum worker_message_type type;

	if (message == NULL)
		_exit(1);
	for (;;) {
		type = connection_receive(worker, message);
		if (type == WORKER_DISCARD)
			message_close(&worker->connection);
		else if (type == WORKER_CONNECTION)
			client_serve(worker, message);
		else
			_exit(1);
		secret_wipe(message, sizeof(*message));
		message->type = WORKER_IDLE;
		daemon_send(worker, message);
	}
}

/* The daemon's priority until READY, for which it waits; what users ask for is done with a user's. */
static _Noreturn void worker_main(int daemon, const struct worker_place *place)
{
	struct worker_message ready = { .type = WORKER_READY };
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t none;

	(void)sigemptyset(&none);
	if (worker == NULL || sigprocmask(SIG_SETMASK, &none, NULL) != 0 ||
		sandbox_begin_worker(daemon) != 0)
		_exit(1);
	worker->daemon = daemon;
	worker->connection = worker->descriptor = worker->space = -1;
	worker->place = *place;
	daemon_send(worker, &ready);
	if (!place->keeps_priority)
		(void)setpriority(PRIO_PROCESS, 0, 0);
	if (sandbox_enter_worker() != 0)
		_exit(1);
	worker_run(worker);
}

int worker_namespace(struct stat *ret_namespace)
{
	return stat("/proc/self/ns/net", ret_namespace) == 0 ? 0 : errno;
}

int worker_start(const struct worker_place *place, pid_t *ret_pid, int *ret_fd)
{
	int pair[2], result;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	pid = fork();
	if (pid == 0)
		worker_main(pair[1], place);
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
