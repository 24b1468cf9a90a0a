/* SPDX-License-Identifier: BSD-2-Clause */
/* Watches the life of TCP sockets; see broker_watch.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_watch.h"
#include "kernel-bind/tuple.h"
#include "kernel-bind/xfrm_socket.h"

#define STATES_OF_CONNECTIONS (0xfffu & ~(1u << TCP_TIME_WAIT) & ~(1u << TCP_LISTEN))
#define STATES_ALL 0xfffu

/* A sweep goes through one family after the other. */
static const uint8_t families[] = { AF_INET, AF_INET6 };
#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

struct watch {
	struct kxfrm_netlink *questions, *events, *sweep;
	size_t family; /* of the sweep: index */
	bool has_failed;
};

int watch_open(struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int result;

	if (watch == NULL)
		return ENOMEM;
	result = kxfrm_netlink_open(NETLINK_SOCK_DIAG, &watch->questions);
	if (result == 0)
		result = kxfrm_netlink_open(NETLINK_SOCK_DIAG, &watch->sweep);
	if (result == 0)
		result = kxfrm_netlink_open(NETLINK_SOCK_DIAG, &watch->events);
	if (result == 0)
		result = kxfrm_netlink_join(watch->events, SKNLGRP_INET_TCP_DESTROY);
	/* Of IPv6 sockets, v4-mapped ones included. */
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
	kxfrm_netlink_close(&(*watch)->sweep);
	kxfrm_netlink_close(&(*watch)->events);
	free(*watch);
	*watch = NULL;
}

int watch_descriptor(const struct watch *watch)
{
	return kxfrm_netlink_descriptor(watch->events);
}

int watch_sweep_descriptor(const struct watch *watch)
{
	return kxfrm_netlink_descriptor(watch->sweep);
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
	int result = kxfrm_netlink_read_events(watch->events, each_event, &reading);

	return result == 0 || result == EBUSY;
}

/* What is left of a closed connection (TIME_WAIT, an orphan's FIN_WAIT2) keeps the socket's cookie
 * but is none any more. */
static bool socket_is_remnant(const struct inet_diag_msg *socket)
{
	return socket->idiag_state == TCP_TIME_WAIT ||
	       (socket->idiag_state == TCP_FIN_WAIT2 && socket->idiag_inode == 0);
}

/* The kernel shows what it has in its hand while that is being closed: half of the tuple may be gone. */
static bool socket_is_over(const struct inet_diag_msg *socket)
{
	return socket->idiag_state == TCP_CLOSE || socket_is_remnant(socket);
}

static bool message_is_socket(const struct nlmsghdr *header)
{
	return header->nlmsg_type == SOCK_DIAG_BY_FAMILY &&
	       nlmsg_datalen(header) >= (int)sizeof(struct inet_diag_msg);
}

static struct nl_msg *question_new(
	uint8_t family, uint32_t states, int flags, struct inet_diag_req_v2 **ret_request)
{
	struct inet_diag_req_v2 *request;
	struct nl_msg *message =
		kxfrm_message_new(SOCK_DIAG_BY_FAMILY, flags, sizeof(*request), (void **)&request);

	if (message == NULL)
		return NULL;
	request->sdiag_family = family;
	request->sdiag_protocol = IPPROTO_TCP;
	request->idiag_states = states;
	*ret_request = request;
	return message;
}

/* --- one socket --- */

struct search {
	uint64_t cookie;
	enum watch_finding finding;
};

static void each_answer(void *context, struct nlmsghdr *header)
{
	struct search *search = context;
	const struct inet_diag_msg *socket = nlmsg_data(header);

	/* Where nothing has the tuple the kernel shows who listens at its local port: perhaps this
	 * very socket, disconnected and made a listener. */
	if (message_is_socket(header) && cookie_of(&socket->id) == search->cookie &&
		socket->idiag_state != TCP_LISTEN)
		search->finding = socket_is_remnant(socket) ? WATCH_REMNANT : WATCH_ALIVE;
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
	struct search search = { .cookie = cookie, .finding = WATCH_NONE };
	struct inet_diag_req_v2 *request;
	struct nl_msg *message = question_new(tuple->family, STATES_ALL, 0, &request);
	int result;

	if (message == NULL)
		return WATCH_UNKNOWN;
	socket_id_fill(tuple, cookie, &request->id);
	result = kxfrm_netlink_transact(watch->questions, message, each_answer, &search);
	kxfrm_message_free(message);
	/* ESTALE: another socket is there. */
	return result == 0 || result == ENOENT || result == ESTALE ? search.finding : WATCH_UNKNOWN;
}

/* --- all of them --- */

/* An IPv4 connection of an IPv6 socket is told as what it is on the wire. */
static void address_read(const struct inet_diag_msg *socket, const uint32_t *words, bool is_mapped,
	uint8_t ret_address[16])
{
	const uint8_t *octets = (const uint8_t *)words;

	if (socket->idiag_family == AF_INET)
		memcpy(ret_address, octets, 4);
	else if (is_mapped)
		memcpy(ret_address, octets + 12, 4);
	else
		memcpy(ret_address, octets, 16);
}

/* RFC 4291 2.5.6: fe80::/10 */
static bool address_is_link_local(const uint8_t address[16])
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

static void socket_tuple(const struct inet_diag_msg *socket, struct kbind_tuple *ret_tuple)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct kbind_tuple tuple = { .family = socket->idiag_family, .protocol = IPPROTO_TCP };
	bool is_mapped = socket->idiag_family == AF_INET6 &&
			 bytes_equal(BYTES((const uint8_t *)socket->id.idiag_dst, sizeof(mapped)),
				 BYTES_OF(mapped));

	if (is_mapped)
		tuple.family = AF_INET;
	address_read(socket, socket->id.idiag_src, is_mapped, tuple.local);
	address_read(socket, socket->id.idiag_dst, is_mapped, tuple.remote);
	if (tuple.family == AF_INET6 &&
		(address_is_link_local(tuple.local) || address_is_link_local(tuple.remote)))
		tuple.zone = socket->id.idiag_if;
	tuple.local_port = ntohs(socket->id.idiag_sport);
	tuple.remote_port = ntohs(socket->id.idiag_dport);
	*ret_tuple = tuple;
}

struct census {
	const struct kbind_tuple *tuple;
	uint64_t cookie;
	bool has_it, has_remnant, has_other;
};

static void each_counted(void *context, struct nlmsghdr *header)
{
	struct census *census = context;
	const struct inet_diag_msg *socket = nlmsg_data(header);
	struct kbind_tuple tuple;

	if (!message_is_socket(header))
		return;
	socket_tuple(socket, &tuple);
	if (!tuple_is_same(&tuple, census->tuple))
		return;
	if (cookie_of(&socket->id) == census->cookie && !socket_is_over(socket))
		census->has_it = true;
	else
		census->has_other = true;
	if (cookie_of(&socket->id) == census->cookie && socket_is_remnant(socket))
		census->has_remnant = true;
}

#define CONDITION_BYTES(address_bytes) \
	(sizeof(struct inet_diag_bc_op) + sizeof(struct inet_diag_hostcond) + (address_bytes))

/* One condition, of which and what follows it are left octets: behind all of them is "no". */
static void condition_put(
	uint8_t *out, size_t left, uint8_t which, uint8_t family, const uint8_t *address)
{
	const size_t address_bytes = family == AF_INET ? 4 : 16;
	const struct inet_diag_bc_op operation = { .code = which,
		.yes = (uint8_t)CONDITION_BYTES(address_bytes),
		.no = (uint16_t)(left + sizeof(operation)) };
	const struct inet_diag_hostcond host = {
		.family = family, .prefix_len = (uint8_t)(address_bytes * 8), .port = -1
	};

	memcpy(out, &operation, sizeof(operation));
	memcpy(out + sizeof(operation), &host, sizeof(host));
	memcpy(out + sizeof(operation) + sizeof(host), address, address_bytes);
}

/* The kernel compares addresses too: anybody may have any number of sockets with one pair of ports, and
 * others wait while they are told one by one. */
static int question_put_addresses(struct nl_msg *message, const struct kbind_tuple *tuple)
{
	const size_t each = CONDITION_BYTES(tuple->family == AF_INET ? 4 : 16);
	uint8_t conditions[2 * CONDITION_BYTES(16)];

	condition_put(conditions, 2 * each, INET_DIAG_BC_S_COND, tuple->family, tuple->local);
	condition_put(conditions + each, each, INET_DIAG_BC_D_COND, tuple->family, tuple->remote);
	return nla_put(message, INET_DIAG_REQ_BYTECODE, (int)(2 * each), conditions) == 0 ? 0
											  : ENOMEM;
}

static int census_take(struct watch *watch, uint8_t family, struct census *census)
{
	struct inet_diag_req_v2 *request;
	struct nl_msg *message =
		question_new(family, STATES_ALL & ~(1u << TCP_LISTEN), NLM_F_DUMP, &request);
	int result = ENOMEM;

	if (message == NULL)
		return result;
	request->id.idiag_sport = htons(census->tuple->local_port);
	request->id.idiag_dport = htons(census->tuple->remote_port);
	result = question_put_addresses(message, census->tuple);
	if (result == 0)
		result = kxfrm_netlink_transact(watch->questions, message, each_counted, census);
	kxfrm_message_free(message);
	return result;
}

static int census_take_all(struct watch *watch, struct census *census)
{
	int result = 0;

	/* A connection over IPv4 may be an IPv6 socket's, but not the other way. */
	for (size_t i = 0; result == 0 && i < FAMILY_COUNT; i++) {
		if (families[i] == AF_INET && census->tuple->family != AF_INET)
			continue;
		result = census_take(watch, families[i], census);
		if (result == ENOENT && families[i] == AF_INET6)
			result = 0;
	}
	return result;
}

bool watch_is_alone(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie)
{
	struct census census = { .tuple = tuple, .cookie = cookie };

	return census_take_all(watch, &census) == 0 && census.has_it && !census.has_other;
}

bool watch_has_remnant(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie)
{
	struct census census = { .tuple = tuple, .cookie = cookie };

	return census_take_all(watch, &census) == 0 && census.has_remnant;
}

struct sweeping {
	watch_each_socket *each;
	void *context;
};

static void each_dumped(void *context, struct nlmsghdr *header)
{
	const struct sweeping *sweeping = context;
	const struct inet_diag_msg *socket = nlmsg_data(header);
	struct kbind_tuple tuple;

	if (!message_is_socket(header) || socket_is_over(socket))
		return;
	socket_tuple(socket, &tuple);
	sweeping->each(sweeping->context, cookie_of(&socket->id), &tuple);
}

static int family_begin(struct watch *watch)
{
	struct inet_diag_req_v2 *request;
	struct nl_msg *message =
		question_new(families[watch->family], STATES_OF_CONNECTIONS, NLM_F_DUMP, &request);
	int result = ENOMEM;

	if (message != NULL)
		result = kxfrm_netlink_begin(watch->sweep, message);
	kxfrm_message_free(message);
	return result;
}

int watch_sweep_begin(struct watch *watch)
{
	watch->family = 0;
	watch->has_failed = false;
	return family_begin(watch);
}

bool watch_sweep_read(struct watch *watch, watch_each_socket *each, void *context,
	bool *ret_is_over, bool *ret_is_whole)
{
	struct sweeping sweeping = { each, context };
	bool is_complete = false;
	int result = kxfrm_netlink_continue(watch->sweep, each_dumped, &sweeping, &is_complete);

	if (result == EAGAIN || result == EWOULDBLOCK)
		return false;
	/* A kernel without IPv6 has no such sockets. */
	if (result == ENOENT && families[watch->family] == AF_INET6)
		result = 0;
	watch->has_failed |= result != 0;
	*ret_is_over = false;
	if (!is_complete)
		return true;
	watch->family++;
	if (watch->family < FAMILY_COUNT && family_begin(watch) == 0)
		return true;
	*ret_is_over = true;
	*ret_is_whole = watch->family == FAMILY_COUNT && !watch->has_failed;
	return true;
}
