/* SPDX-License-Identifier: BSD-2-Clause */
/* Netlink conversations with the kernel; see xfrm_socket.h. */
#include <errno.h>
#include <netlink/socket.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/netlink.h>

#include "base/secret.h"
#include "kernel-bind/xfrm_socket.h"

/* In all, so that a kernel that is kept busy holds up nobody for longer. */
#define NETLINK_WAIT_MS 2000
#define NETLINK_DUMP_WAIT_MS 10000
#define NETLINK_EVENTS_MS 20	/* then others have a turn */
#define NETLINK_EVENTS_LEAST 64 /* whatever time goes by: most of it may be another process's */
#define NETLINK_EVENT_BUFFER_BYTES (4 << 20)

struct kxfrm_netlink {
	struct nl_sock *socket;
	uint8_t *buffer;
	uint32_t begun; /* sequence number of what kxfrm_netlink_begin() sent */
};

#define RECEIVE_BYTES 65536
#define RECEIVE_TRIES 3

int kxfrm_netlink_open(int protocol, struct kxfrm_netlink **ret_netlink)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const int on = 1;
	struct kxfrm_netlink *netlink = calloc(1, sizeof(*netlink));
	int fd, result = ENOMEM;

	if (netlink == NULL)
		return ENOMEM;
	netlink->buffer = malloc(RECEIVE_BYTES);
	netlink->socket = nl_socket_alloc();
	if (netlink->buffer == NULL || netlink->socket == NULL)
		goto out;
	result = EPROTO;
	if (nl_connect(netlink->socket, protocol) < 0)
		goto out;
	fd = nl_socket_get_fd(netlink->socket);
	/* CAP_ACK: else a refusal would bring the whole request back, keys included.  Connected to the kernel,
	 * the socket gets nothing that another process sends to it alone, and so cannot be filled. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) != 0 ||
		connect(fd, (const struct sockaddr *)&kernel, sizeof(kernel)) != 0) {
		result = errno;
		goto out;
	}
	*ret_netlink = netlink;
	netlink = NULL;
	result = 0;
out:
	kxfrm_netlink_close(&netlink);
	return result;
}

void kxfrm_netlink_close(struct kxfrm_netlink **netlink)
{
	if (*netlink == NULL)
		return;
	if ((*netlink)->socket != NULL)
		nl_socket_free((*netlink)->socket);
	free((*netlink)->buffer);
	free(*netlink);
	*netlink = NULL;
}

int kxfrm_netlink_descriptor(const struct kxfrm_netlink *netlink)
{
	return nl_socket_get_fd(netlink->socket);
}

uint32_t kxfrm_netlink_port(const struct kxfrm_netlink *netlink)
{
	return nl_socket_get_local_port(netlink->socket);
}

int kxfrm_netlink_join(struct kxfrm_netlink *netlink, int group)
{
	const int room = NETLINK_EVENT_BUFFER_BYTES;
	int fd = nl_socket_get_fd(netlink->socket);

	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) != 0)
		return errno;
	return 0;
}

struct nl_msg *kxfrm_message_new(int type, int flags, size_t header_bytes, void **ret_header)
{
	struct nl_msg *message = nlmsg_alloc_size(KXFRM_MESSAGE_BYTES_MAX);
	void *header;

	if (message == NULL)
		return NULL;
	if (nlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, type, 0, flags | NLM_F_ACK) == NULL)
		goto fail;
	header = nlmsg_reserve(message, header_bytes, NLMSG_ALIGNTO);
	if (header == NULL)
		goto fail;
	secret_wipe(header, header_bytes);
	*ret_header = header;
	return message;
fail:
	kxfrm_message_free(message);
	return NULL;
}

void kxfrm_message_free(struct nl_msg *message)
{
	if (message == NULL)
		return;
	secret_wipe(nlmsg_hdr(message), nlmsg_get_max_size(message));
	nlmsg_free(message);
}

static uint64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* The next datagram into the buffer, if one is there; one of anybody but the kernel counts as empty. */
static int netlink_receive(struct kxfrm_netlink *netlink, size_t *ret_len)
{
	struct sockaddr_nl from = { 0 };
	struct iovec vector = { .iov_base = netlink->buffer, .iov_len = RECEIVE_BYTES };
	struct msghdr header = {
		.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vector, .msg_iovlen = 1
	};
	int tries = 0;
	ssize_t len;

	/* An answer that is not read is one to a request that was done. */
	do {
		len = recvmsg(nl_socket_get_fd(netlink->socket), &header, MSG_DONTWAIT);
	} while (len < 0 && (errno == EINTR || (errno == ENOMEM && tries++ < RECEIVE_TRIES)));
	if (len < 0)
		return errno == EWOULDBLOCK ? EAGAIN : errno;
	if ((header.msg_flags & MSG_TRUNC) != 0)
		return EMSGSIZE;
	*ret_len = from.nl_family == AF_NETLINK && from.nl_pid == 0 ? (size_t)len : 0;
	return 0;
}

static int netlink_poll(struct kxfrm_netlink *netlink, uint64_t end_ms)
{
	struct pollfd wait = { .fd = nl_socket_get_fd(netlink->socket), .events = POLLIN };
	int ready, tries = 0;
	uint64_t now;

	do {
		now = now_ms();
		ready = now >= end_ms ? 0 : poll(&wait, 1, (int)(end_ms - now));
	} while (ready < 0 && (errno == EINTR || (errno == ENOMEM && tries++ < RECEIVE_TRIES)));
	if (ready <= 0)
		return ready < 0 ? errno : ETIMEDOUT;
	return 0;
}

/* Waits until end_ms for a datagram; poll() is asked only when none is there yet. */
static int netlink_await(struct kxfrm_netlink *netlink, uint64_t end_ms, size_t *ret_len)
{
	int result;

	do {
		if (now_ms() >= end_ms)
			return ETIMEDOUT;
		result = netlink_receive(netlink, ret_len);
		if (result != EAGAIN)
			return result;
		result = netlink_poll(netlink, end_ms);
	} while (result == 0);
	return result;
}

/* Whether this message ends the answer; its errno then goes to result. */
static bool message_ends_answer(const struct nlmsghdr *header, int *result)
{
	const struct nlmsgerr *error = nlmsg_data(header);

	if (header->nlmsg_type != NLMSG_ERROR && header->nlmsg_type != NLMSG_DONE)
		return false;
	*result = 0;
	if (header->nlmsg_type == NLMSG_ERROR) {
		if (nlmsg_datalen(header) < (int)sizeof(*error))
			*result = EPROTO;
		else
			*result = -error->error;
	}
	return true;
}

/* The kernel aligns messages to 4 octets, of which some structs need 8.  The octets in front of this
 * one belong to one that has been read. */
static struct nlmsghdr *message_align(struct nlmsghdr *header)
{
	uint8_t *octets = (uint8_t *)header;

	if ((uintptr_t)octets % _Alignof(uint64_t) == 0)
		return header;
	memmove(octets - NLMSG_ALIGNTO, octets, header->nlmsg_len);
	return (struct nlmsghdr *)(void *)(octets - NLMSG_ALIGNTO);
}

/* Goes through one datagram of the answer to sequence number seq. */
static bool answer_is_complete(struct kxfrm_netlink *netlink, size_t len, uint32_t seq,
	kxfrm_each_message *each, void *context, int *result)
{
	struct nlmsghdr *header, *next = (struct nlmsghdr *)(void *)netlink->buffer;
	int left = (int)len;

	while (nlmsg_ok(next, left)) {
		header = next;
		next = nlmsg_next(header, &left);
		header = message_align(header);
		if (header->nlmsg_seq != seq)
			continue;
		if (message_ends_answer(header, result))
			return true;
		if (each != NULL)
			each(context, header);
	}
	return false;
}

int kxfrm_netlink_transact(struct kxfrm_netlink *netlink, struct nl_msg *message,
	kxfrm_each_message *each, void *context)
{
	const bool is_dump = (nlmsg_hdr(message)->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
	const uint64_t wait_ms = is_dump ? NETLINK_DUMP_WAIT_MS : NETLINK_WAIT_MS;
	int result = EPROTO;
	bool is_complete = false;
	uint64_t end_ms;
	size_t len;

	nl_complete_msg(netlink->socket, message);
	if (nl_send(netlink->socket, message) < 0)
		return EPROTO;
	/* Not before: within nl_send() the kernel does the work, and may load modules for it. */
	end_ms = now_ms() + wait_ms;
	while (!is_complete) {
		result = netlink_await(netlink, end_ms, &len);
		if (result != 0)
			break;
		is_complete = answer_is_complete(
			netlink, len, nlmsg_hdr(message)->nlmsg_seq, each, context, &result);
		secret_wipe(netlink->buffer, len);
	}
	return result;
}

int kxfrm_netlink_begin(struct kxfrm_netlink *netlink, struct nl_msg *message)
{
	nl_complete_msg(netlink->socket, message);
	netlink->begun = nlmsg_hdr(message)->nlmsg_seq;
	return nl_send(netlink->socket, message) < 0 ? EPROTO : 0;
}

int kxfrm_netlink_continue(struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context,
	bool *ret_is_complete)
{
	bool is_complete;
	int answer = 0;
	size_t len;
	int result = netlink_receive(netlink, &len);

	if (result != 0)
		return result;
	is_complete = answer_is_complete(netlink, len, netlink->begun, each, context, &answer);
	secret_wipe(netlink->buffer, len);
	*ret_is_complete = is_complete;
	return is_complete ? answer : 0;
}

int kxfrm_netlink_read_events(
	struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context)
{
	const uint64_t end_ms = now_ms() + NETLINK_EVENTS_MS;
	struct nlmsghdr *header, *next;
	size_t len;
	int result, left;

	for (size_t datagrams = 0;; datagrams++) {
		if (datagrams >= NETLINK_EVENTS_LEAST && now_ms() >= end_ms)
			return EBUSY;
		result = netlink_receive(netlink, &len);
		if (result == EAGAIN)
			return 0;
		if (result != 0)
			return result;
		next = (struct nlmsghdr *)(void *)netlink->buffer;
		left = (int)len;
		while (nlmsg_ok(next, left)) {
			header = next;
			next = nlmsg_next(header, &left);
			each(context, message_align(header));
		}
		secret_wipe(netlink->buffer, len);
	}
}
