/* SPDX-License-Identifier: BSD-2-Clause */
/* Five-tuples; see tuple.h. */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/tuple.h"

struct end {
	uint8_t family, octets[16];
	uint16_t port;
	uint32_t zone;
};

static bool end_read(const struct sockaddr_storage *address, struct end *ret_end)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct end end = { .family = AF_INET };

	if (address->ss_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		memcpy(end.octets, &v4.sin_addr, 4);
		end.port = ntohs(v4.sin_port);
	} else if (address->ss_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		end.port = ntohs(v6.sin6_port);
		end.zone = v6.sin6_scope_id;
		if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
			memcpy(end.octets, v6.sin6_addr.s6_addr + 12, 4);
		} else {
			end.family = AF_INET6;
			memcpy(end.octets, &v6.sin6_addr, 16);
		}
	} else {
		return false;
	}
	*ret_end = end;
	return true;
}

bool tuple_read(int fd, struct kbind_tuple *ret_tuple)
{
	struct sockaddr_storage addresses[2] = { 0 };
	socklen_t local_len = sizeof(addresses[0]), remote_len = sizeof(addresses[1]);
	struct kbind_tuple tuple = { .protocol = IPPROTO_TCP };
	struct end local, remote;

	/* Most descriptors that are no connection have no peer. */
	if (getpeername(fd, (struct sockaddr *)&addresses[1], &remote_len) != 0 ||
		getsockname(fd, (struct sockaddr *)&addresses[0], &local_len) != 0)
		return false;
	if (!end_read(&addresses[0], &local) || !end_read(&addresses[1], &remote) ||
		local.family != remote.family)
		return false;
	tuple.family = local.family;
	tuple.zone = local.zone != 0 ? local.zone : remote.zone;
	tuple.local_port = local.port;
	tuple.remote_port = remote.port;
	memcpy(tuple.local, local.octets, sizeof(tuple.local));
	memcpy(tuple.remote, remote.octets, sizeof(tuple.remote));
	*ret_tuple = tuple;
	return true;
}

bool tuple_is_same(const struct kbind_tuple *a, const struct kbind_tuple *b)
{
	return a->family == b->family && a->protocol == b->protocol && a->zone == b->zone &&
	       a->local_port == b->local_port && a->remote_port == b->remote_port &&
	       bytes_equal(BYTES_OF(a->local), BYTES_OF(b->local)) &&
	       bytes_equal(BYTES_OF(a->remote), BYTES_OF(b->remote));
}

bool tuple_is_self(const struct kbind_tuple *tuple)
{
	return tuple->local_port == tuple->remote_port &&
	       bytes_equal(BYTES_OF(tuple->local), BYTES_OF(tuple->remote));
}

void tuple_mirror(const struct kbind_tuple *tuple, struct kbind_tuple *ret_mirrored)
{
	struct kbind_tuple mirrored = *tuple;

	memcpy(mirrored.local, tuple->remote, sizeof(mirrored.local));
	memcpy(mirrored.remote, tuple->local, sizeof(mirrored.remote));
	mirrored.local_port = tuple->remote_port;
	mirrored.remote_port = tuple->local_port;
	*ret_mirrored = mirrored;
}
