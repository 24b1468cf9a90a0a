/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asks the broker: one connection, one request, one reply, within KBIND_BROKER_TIMEOUT_MS for each.  A broker
 * that hangs up without having read the request has a crowd waiting: it is asked again, for
 * KBIND_BROKER_CROWD_MS at most.  Keeps no descriptor: the duplicate that goes with a request and the
 * connection are closed before the call returns.  No signal is raised or lost (MSG_NOSIGNAL).
 */
#include "kernel-bind/broker_protocol.h"
#include "kernel-bind/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define SETTLE_POLL_NS 10000000L
#define CROWD_PAUSE_NS_FIRST 50000000L
#define CROWD_PAUSE_NS_MAX 800000000L
#define RELEASE_CROWD_MS 10000 /* without it the reservation ends by itself */
#define OVERFLOW_UID 65534     /* user_namespaces(7): who has no name here */

/* One request on its way. */
struct exchange {
	int broker;			 /* the connection */
	int passed;			 /* the duplicate that goes with it; -1: none */
	int64_t deadline;		 /* kbind_clock_ms() */
	bool is_unread;			 /* the broker hung up before it had read the request */
	bool is_full;			 /* it took no connection as long as that was waited for */
	enum ipsec_latch_reason silence; /* why there is no answer */
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
	size_t reply_len;
	struct broker_reply decoded;
};

static void descriptor_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Whether this process is in a user namespace where not all users have a name. */
static bool users_are_mapped(void)
{
	unsigned long long inside = 1, outside = 1, count = 0;
	FILE *file = fopen("/proc/self/uid_map", "re");
	bool is_whole;

	if (file == NULL)
		return false;
	is_whole = fscanf(file, "%llu %llu %llu", &inside, &outside, &count) != 3 ||
		   (inside == 0 && outside == 0 && count == UINT32_MAX);
	(void)fclose(file);
	return !is_whole;
}

/* In a container the host's root may have no name.  Only who is root here, or put this folder into the
 * container, can have put the socket where it is. */
static bool folder_is_of_root(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const char *slash = strrchr(path, '/');
	struct stat status;

	if (slash == NULL || slash == path)
		return false;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == 0 &&
	       (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A socket path that anybody may have bound is no broker: whoever listens gets keys. */
static bool broker_is_trusted(int broker, const char *path)
{
	struct ucred owner;
	socklen_t len = sizeof(owner);

	if (getsockopt(broker, SOL_SOCKET, SO_PEERCRED, &owner, &len) != 0)
		return false;
	if (owner.uid == 0 || owner.uid == geteuid())
		return true;
	return owner.uid == OVERFLOW_UID && users_are_mapped() && folder_is_of_root(path);
}

/* connect() on a full backlog waits as long as SO_SNDTIMEO says. */
static bool broker_connect(struct exchange *exchange, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	struct timeval timeout;
	int64_t left;

	if (len == 0 || len >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, path, len);
	exchange->broker = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (exchange->broker < 0) {
		if (errno == EMFILE || errno == ENFILE)
			exchange->silence = IPSEC_LATCH_TOO_MANY;
		return false;
	}
	do {
		left = exchange->deadline - kbind_clock_ms();
		if (left <= 0)
			return false;
		timeout.tv_sec = left / 1000;
		timeout.tv_usec = left % 1000 * 1000;
		if (setsockopt(exchange->broker, SOL_SOCKET, SO_SNDTIMEO, &timeout,
			    sizeof(timeout)) != 0)
			return false;
		if (connect(exchange->broker, (struct sockaddr *)&address, sizeof(address)) == 0) {
			/* Who waited for others has as much time as they had. */
			exchange->deadline = kbind_clock_ms() + KBIND_BROKER_TIMEOUT_MS;
			return broker_is_trusted(exchange->broker, path);
		}
	} while (errno == EINTR);
	exchange->is_full = errno == EAGAIN;
	return false;
}

static bool broker_send(struct exchange *exchange, struct bytes request)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .room = { 0 } };
	uint8_t copy[BROKER_REQUEST_BYTES_MAX];
	struct iovec part = { .iov_base = copy, .iov_len = request.len };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *rights;
	ssize_t sent;

	if (request.len > sizeof(copy))
		return false;
	memcpy(copy, request.data, request.len);
	if (exchange->passed >= 0) {
		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		rights = CMSG_FIRSTHDR(&message);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &exchange->passed, sizeof(int));
	}
	do
		sent = sendmsg(exchange->broker, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	exchange->is_unread = sent < 0 && (errno == EPIPE || errno == ECONNRESET);
	secret_wipe(copy, sizeof(copy));
	return sent == (ssize_t)request.len;
}

/* No room for control messages: descriptors that came with a reply are dropped by the kernel. */
static bool broker_receive(struct exchange *exchange)
{
	struct iovec part = { .iov_base = exchange->reply, .iov_len = sizeof(exchange->reply) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd waiting = { .fd = exchange->broker, .events = POLLIN };
	ssize_t received;
	int64_t left;

	do {
		left = exchange->deadline - kbind_clock_ms();
		if (left <= 0)
			return false;
		if (poll(&waiting, 1, (int)left) < 0 && errno != EINTR)
			return false;
		received = recvmsg(exchange->broker, &message, MSG_DONTWAIT);
	} while (received < 0 && (errno == EAGAIN || errno == EINTR));
	/* unix(7): closed with something unread in it. */
	exchange->is_unread = received < 0 && errno == ECONNRESET;
	if (received <= 0 || (message.msg_flags & MSG_TRUNC) != 0)
		return false;
	exchange->reply_len = (size_t)received;
	return true;
}

/* Once: is_unread tells whether that changed nothing at the broker. */
static bool broker_try(struct exchange *exchange, const char *path, struct bytes request)
{
	descriptor_close(&exchange->broker);
	exchange->is_unread = false;
	exchange->is_full = false;
	exchange->deadline = kbind_clock_ms() + KBIND_BROKER_TIMEOUT_MS;
	return broker_connect(exchange, path) && broker_send(exchange, request) &&
	       broker_receive(exchange);
}

static bool broker_converse(
	struct exchange *exchange, const char *path, const struct broker_request *request)
{
	const int64_t patience =
		request->type == BROKER_RELEASE ? RELEASE_CROWD_MS : KBIND_BROKER_CROWD_MS;
	const int64_t end = kbind_clock_ms() + patience;
	struct timespec pause = { .tv_nsec = CROWD_PAUSE_NS_FIRST };
	struct writer w;
	bool is_done, is_crowded = false;

	writer_init(&w, BROKER_REQUEST_BYTES_MAX);
	is_done = broker_request_write(request, &w) == ERR_OK;
	while (is_done && !broker_try(exchange, path, writer_view(&w))) {
		is_crowded |= exchange->is_unread;
		is_done = exchange->is_unread && kbind_clock_ms() < end;
		if (is_done)
			(void)nanosleep(&pause, NULL); /* a signal only makes it ask sooner */
		if (pause.tv_nsec < CROWD_PAUSE_NS_MAX)
			pause.tv_nsec *= 2;
	}
	if (exchange->is_unread || (is_crowded && exchange->is_full))
		exchange->silence = IPSEC_LATCH_BROKER_BUSY;
	is_done = is_done &&
		  broker_reply_read(request->type, BYTES(exchange->reply, exchange->reply_len),
			  &exchange->decoded) == ERR_OK;
	writer_free(&w);
	return is_done;
}

/* Takes passed, -1 when the request has none.  NO_BROKER when there is no answer in time,
 * BROKER_BUSY when it never read the request, TOO_MANY without a descriptor for the connection;
 * else the broker's reason, and *ret_exchange, which the caller frees, when that is 0. */
static enum ipsec_latch_reason broker_ask(const char *path, const struct broker_request *request,
	int passed, struct exchange **ret_exchange)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	enum ipsec_latch_reason reason = IPSEC_LATCH_NO_BROKER;

	if (exchange == NULL) {
		descriptor_close(&passed);
		return reason;
	}
	exchange->broker = -1;
	exchange->passed = passed;
	exchange->silence = IPSEC_LATCH_NO_BROKER;
	reason = broker_converse(exchange, path, request)
			 ? (enum ipsec_latch_reason)exchange->decoded.reason
			 : exchange->silence;
	descriptor_close(&exchange->passed);
	descriptor_close(&exchange->broker);
	if (reason == IPSEC_LATCH_LATCHED)
		*ret_exchange = exchange;
	else
		secret_free(exchange, sizeof(*exchange));
	return reason;
}

static void exchange_free(struct exchange *exchange)
{
	secret_free(exchange, sizeof(*exchange));
}

/* For requests whose reply says nothing but the reason. */
static enum ipsec_latch_reason broker_tell(
	const char *path, const struct broker_request *request, int passed)
{
	struct exchange *exchange;
	enum ipsec_latch_reason reason = broker_ask(path, request, passed, &exchange);

	if (reason == IPSEC_LATCH_LATCHED)
		exchange_free(exchange);
	return reason;
}

static void key_copy(struct secret_key *to, const struct secret_key *from)
{
	if (from != NULL)
		*to = *from;
}

static void text_copy(char *to, size_t size, const char *from)
{
	size_t len = from == NULL ? 0 : strnlen(from, size - 1);

	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
}

/* Checks (e) and (f), behind the broker's answer: the request's duplicate is closed already. */
static enum ipsec_latch_reason stream_check(
	const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	enum ipsec_latch_reason reason;
	int held;

	reason = kbind_candidate_hold(candidate, &held);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = kbind_check_stream(held, &lease->out_of_order_packets);
	(void)close(held);
	return reason;
}

enum ipsec_latch_reason kbind_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	struct broker_request request = { .type = BROKER_RESERVE };
	struct kbind_lease lease = { .is_held = true };
	struct exchange *exchange;
	enum ipsec_latch_reason reason;
	int held;

	reason = kbind_candidate_hold(candidate, &held);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = kbind_check_stream(held, &lease.out_of_order_packets);
	if (reason != IPSEC_LATCH_LATCHED) {
		(void)close(held);
		return reason;
	}
	request.is_initiator = reserve->is_initiator;
	request.suite = reserve->suite;
	request.cookie = candidate->cookie;
	request.spi_out = reserve->spi_out;
	request.token_bytes = reserve->token_bytes;
	key_copy(&request.key_in, reserve->key_in);
	key_copy(&request.key_out, reserve->key_out);
	reason = broker_ask(broker_path, &request, held, &exchange);
	broker_request_wipe(&request);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	lease.cookie = exchange->decoded.cookie;
	lease.spi_in = exchange->decoded.spi_in;
	memcpy(lease.secret, exchange->decoded.secret, KBIND_SECRET_BYTES);
	exchange_free(exchange);
	/* Again: what came between the first look and the recorder's start is in no record. */
	reason = stream_check(candidate, &lease);
	if (reason == IPSEC_LATCH_LATCHED)
		*ret_lease = lease;
	else
		kbind_release(broker_path, candidate, &lease);
	kbind_forget(&lease);
	return reason;
}

enum ipsec_latch_reason kbind_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch)
{
	struct broker_request request = { .type = BROKER_LATCH };
	enum ipsec_latch_reason reason;
	int held;

	if (!lease->is_held)
		return IPSEC_LATCH_NOT_ALLOWED;
	reason = kbind_candidate_hold(candidate, &held);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	request.cookie = lease->cookie;
	request.token_bytes = latch->token_bytes;
	request.spi_out = latch->spi_out;
	memcpy(request.secret, lease->secret, KBIND_SECRET_BYTES);
	key_copy(&request.key_out, latch->key_out);
	text_copy(request.local_name, sizeof(request.local_name), latch->local_name);
	text_copy(request.peer_name, sizeof(request.peer_name), latch->peer_name);
	text_copy(request.method, sizeof(request.method), latch->method);
	text_copy(request.service, sizeof(request.service), latch->service);
	text_copy(request.peer_key, sizeof(request.peer_key), latch->peer_key);
	reason = broker_tell(broker_path, &request, held);
	broker_request_wipe(&request);
	if (reason == IPSEC_LATCH_LATCHED)
		return stream_check(candidate, lease);
	return reason == IPSEC_LATCH_NO_BROKER ? IPSEC_LATCH_BROKER_LOST : reason;
}

void kbind_release(
	const char *broker_path, const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	struct broker_request request = { .type = BROKER_RELEASE, .cookie = lease->cookie };
	int held;

	memcpy(request.secret, lease->secret, KBIND_SECRET_BYTES);
	/* Without an answer the broker's timer, or the socket's end, does what is left to do. */
	if (lease->is_held && kbind_candidate_hold(candidate, &held) == IPSEC_LATCH_LATCHED)
		(void)broker_tell(broker_path, &request, held);
	broker_request_wipe(&request);
	kbind_forget(lease);
}

void kbind_forget(struct kbind_lease *lease)
{
	secret_wipe(lease, sizeof(*lease));
}

enum ipsec_latch_reason kbind_query(
	const char *broker_path, int fd, struct kbind_status *ret_status)
{
	const struct broker_request request = { .type = BROKER_QUERY };
	struct exchange *exchange;
	enum ipsec_latch_reason reason;
	int held;

	reason = kbind_socket_hold(fd, &held);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = broker_ask(broker_path, &request, held, &exchange);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	*ret_status = exchange->decoded.items[0];
	exchange_free(exchange);
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason kbind_query_settled(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	const struct timespec pause = { .tv_nsec = SETTLE_POLL_NS };
	int64_t deadline = kbind_clock_ms() + wait_ms;
	struct kbind_status status;
	enum ipsec_latch_reason reason;

	for (;;) {
		reason = kbind_query(broker_path, candidate->fd, &status);
		if (reason != IPSEC_LATCH_LATCHED)
			return reason;
		if (status.cookie != candidate->cookie)
			return IPSEC_LATCH_SOCKET_GONE;
		if (status.state != IPSEC_LATCH_STATE_LARVAL || kbind_clock_ms() >= deadline)
			break;
		(void)nanosleep(&pause, NULL); /* a signal only makes it ask sooner */
	}
	*ret_status = status;
	return IPSEC_LATCH_LATCHED;
}

/* Shows where the caller lives: who asks for no socket is answered by the broker of his own network
 * namespace. -1: he cannot have one, and is answered by the host's. */
static int place_show(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* A page of a list, with room items at most; the caller frees *ret_exchange, which has them. */
static enum ipsec_latch_reason page_ask(const char *broker_path, enum broker_request_type type,
	uint64_t *cursor, size_t room, size_t *ret_count, struct exchange **ret_exchange)
{
	const struct broker_request request = { .type = (uint8_t)type, .cursor = *cursor };
	struct exchange *exchange;
	enum ipsec_latch_reason reason;

	reason = broker_ask(broker_path, &request, place_show(), &exchange);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	if (exchange->decoded.count > room) {
		exchange_free(exchange);
		return IPSEC_LATCH_TOO_MANY;
	}
	*ret_count = exchange->decoded.count;
	*cursor = exchange->decoded.cursor;
	*ret_exchange = exchange;
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason kbind_list(const char *broker_path, uint64_t *cursor,
	struct kbind_status *ret_items, size_t room, size_t *ret_count)
{
	struct exchange *exchange;
	enum ipsec_latch_reason reason =
		page_ask(broker_path, BROKER_LIST, cursor, room, ret_count, &exchange);

	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	for (size_t i = 0; i < *ret_count; i++)
		ret_items[i] = exchange->decoded.items[i];
	exchange_free(exchange);
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason kbind_refusals(const char *broker_path, uint64_t *cursor,
	struct kbind_refusal *ret_items, size_t room, size_t *ret_count)
{
	struct exchange *exchange;
	enum ipsec_latch_reason reason =
		page_ask(broker_path, BROKER_REFUSALS, cursor, room, ret_count, &exchange);

	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	for (size_t i = 0; i < *ret_count; i++)
		ret_items[i] = exchange->decoded.refusals[i];
	exchange_free(exchange);
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason kbind_ping(const char *broker_path)
{
	const struct broker_request request = { .type = BROKER_PING };

	return broker_tell(broker_path, &request, place_show());
}

const struct kbind_ops kbind_ops_broker = {
	.find_candidates = kbind_find_candidates,
	.find_wanted = kbind_find_wanted,
	.visit_all = kbind_visit_all,
	.refresh = kbind_refresh,
	.reserve = kbind_reserve,
	.latch = kbind_latch,
	.release = kbind_release,
	.query_settled = kbind_query_settled,
};
