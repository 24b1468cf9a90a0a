/* SPDX-License-Identifier: BSD-2-Clause */
/* Watches the life of TCP sockets; see broker_watch.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_watch.h"
#include "kernel-bind/xfrm_socket.h"

#define STATES_OF_CONNECTIONS (0xfffu & ~(1u << TCP_TIME_WAIT) & ~(1u << TCP_LISTEN))

struct watch {
	struct kxfrm_netlink *questions, *events;
};

int watch_open(struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int result;

	if (watch == NULL)
		return ENOMEM;
	result = kxfrm_netlink_open(NETLINK_SOCK_DIAG, &watch->questions);
	if (result == 0)
		result = kxfrm_netlink_open(NETLINK_SOCK_DIAG, &watch->events);
	if (result == 0)
		result = kxfrm_netlink_join(watch->events, SKNLGRP_INET_TCP_DESTROY);
	if (result == 0)
		result = kxfrm_netlink_join(watch->events, SKNLGRP_INET6_TCP_DESTROY);
	if (result != 0) {
		watch_close(&watch);
		return result;
	}
	*ret_watch = watch;
	return 0;
}

void watch_close(struct watch **watch)
{
	if (*watch == NULL)
		return;
	kxfrm_netlink_close(&(*watch)->questions);
	kxfrm_netlink_close(&(*watch)->events);
	free(*watch);
	*watch = NULL;
}

int watch_descriptor(const struct watch *watch)
{
	return kxfrm_netlink_descriptor(watch->events);
}

static uint64_t cookie_of(const struct inet_diag_sockid *id)
{
	return (uint64_t)id->idiag_cookie[1] << 32 | id->idiag_cookie[0];
}

struct reading {
	watch_each_ended *each;
	void *context;
};

static void each_event(void *context, struct nlmsghdr *header)
{
	const struct reading *reading = context;
	const struct inet_diag_msg *socket = nlmsg_data(header);

	if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
		nlmsg_datalen(header) >= (int)sizeof(*socket))
		reading->each(reading->context, cookie_of(&socket->id));
}

bool watch_read(struct watch *watch, watch_each_ended *each, void *context)
{
	struct reading reading = { each, context };

	return kxfrm_netlink_read_events(watch->events, each_event, &reading) == 0;
}

static struct nl_msg *question_new(int flags, uint8_t family, struct inet_diag_req_v2 **ret_request)
{
	struct inet_diag_req_v2 *request;
	struct nl_msg *message =
		kxfrm_message_new(SOCK_DIAG_BY_FAMILY, flags, sizeof(*request), (void **)&request);

	if (message == NULL)
		return NULL;
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = STATES_OF_CONNECTIONS;
	*ret_request = request;
	return message;
}

struct search {
	uint64_t cookie;
	const struct kbind_tuple *tuple;
	bool is_found, is_at_tuple;
};

/* What is left of a closed connection (TIME_WAIT, an orphan's FIN_WAIT2) keeps the socket's cookie
 * but is none any more. */
static bool socket_is_remnant(const struct inet_diag_msg *socket)
{
	return socket->idiag_state == TCP_TIME_WAIT ||
	       (socket->idiag_state == TCP_FIN_WAIT2 && socket->idiag_inode == 0);
}

/* shown: an address of a socket of this family, which may be a v4-mapped one of an IPv6 socket. */
static bool address_is(
	uint8_t shown_family, const __be32 shown[4], uint8_t family, const uint8_t *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const uint8_t *octets = (const uint8_t *)shown;

	if (shown_family == family)
		return bytes_equal(BYTES(octets, family == AF_INET ? 4 : 16),
			BYTES(address, family == AF_INET ? 4 : 16));
	return shown_family == AF_INET6 && bytes_equal(BYTES(octets, 12), BYTES_OF(mapped)) &&
	       bytes_equal(BYTES(octets + 12, 4), BYTES(address, 4));
}

static bool socket_is_at(const struct inet_diag_msg *socket, const struct kbind_tuple *tuple)
{
	const struct inet_diag_sockid *id = &socket->id;
	const uint8_t shown = socket->idiag_family;

	return ntohs(id->idiag_sport) == tuple->local_port &&
	       ntohs(id->idiag_dport) == tuple->remote_port &&
	       (tuple->zone == 0 || id->idiag_if == tuple->zone) &&
	       address_is(shown, id->idiag_src, tuple->family, tuple->local) &&
	       address_is(shown, id->idiag_dst, tuple->family, tuple->remote);
}

static void each_dumped(void *context, struct nlmsghdr *header)
{
	struct search *search = context;
	const struct inet_diag_msg *socket = nlmsg_data(header);

	if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
		nlmsg_datalen(header) < (int)sizeof(*socket) || socket_is_remnant(socket) ||
		cookie_of(&socket->id) != search->cookie)
		return;
	search->is_found = true;
	search->is_at_tuple = socket_is_at(socket, search->tuple);
}

/* All sockets of this family, which for v4-mapped ones is not that of their packets. */
static int family_search(struct watch *watch, uint8_t family, struct search *search)
{
	struct inet_diag_req_v2 *request;
	struct nl_msg *message = question_new(NLM_F_DUMP, family, &request);
	int result = ENOMEM;

	if (message != NULL)
		result = kxfrm_netlink_transact(watch->questions, message, each_dumped, search);
	kxfrm_message_free(message);
	return result;
}

/* Goes through all sockets: only for one that is not where it was, or bound to a device, which the
 * kernel finds by its device only. */
static enum watch_finding watch_search(
	struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie)
{
	struct search search = { .cookie = cookie, .tuple = tuple };
	int result = family_search(watch, AF_INET, &search);

	if (result == 0 && !search.is_found)
		result = family_search(watch, AF_INET6, &search);
	/* Without IPv6 there is nobody to ask. */
	if (result != 0 && result != ENOENT)
		return WATCH_UNKNOWN;
	if (search.is_at_tuple)
		return WATCH_ALIVE;
	return search.is_found ? WATCH_MOVED : WATCH_GONE;
}

static void socket_id_fill(
	const struct kbind_tuple *tuple, uint64_t cookie, struct inet_diag_sockid *id)
{
	id->idiag_sport = htons(tuple->local_port);
	id->idiag_dport = htons(tuple->remote_port);
	id->idiag_if = tuple->zone;
	memcpy(id->idiag_src, tuple->local, sizeof(id->idiag_src));
	memcpy(id->idiag_dst, tuple->remote, sizeof(id->idiag_dst));
	id->idiag_cookie[0] = (uint32_t)cookie;
	id->idiag_cookie[1] = (uint32_t)(cookie >> 32);
}

enum watch_finding watch_look(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie)
{
	struct search search = { .cookie = cookie, .tuple = tuple };
	struct inet_diag_req_v2 *request;
	struct nl_msg *message = question_new(0, tuple->family, &request);
	int result;

	if (message == NULL)
		return WATCH_UNKNOWN;
	socket_id_fill(tuple, cookie, &request->id);
	result = kxfrm_netlink_transact(watch->questions, message, each_dumped, &search);
	kxfrm_message_free(message);
	if (result == 0 && search.is_found)
		return WATCH_ALIVE;
	if (result == ENOENT || result == ESTALE || result == 0)
		return watch_search(watch, tuple, cookie);
	return WATCH_UNKNOWN;
}
