/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The close cover: what answers for a connection when its socket is gone, since TIME_WAIT and RST
 * belong to no socket and so to no socket policy.
 *
 *	first form   SPD entries, in and out, for exactly the five-tuple, for the latch's life: late
 *		     segments travel in ESP.  All packets between the two addresses pay for the chain
 *		     of them, so there are --cover-max of them for a pair of addresses.
 *	second form  beyond that: the socket bears a mark, which TIME_WAIT inherits, and so does what
 *		     its inbound SA decapsulates; one pair of SPD entries blocks that mark where no
 *		     socket policy goes before.  When the socket is gone the connection gets a cover
 *		     of the first form for its closing time, if there is room for one by then.
 *
 * A socket with a mark of the program's own keeps the first form: the mark may choose its route.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

/* --- where covers have no effect --- */

static bool setting_is_on(const char *folder, const char *interface, const char *setting)
{
	char path[PATH_MAX];
	int value = 0;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s/%s", folder, interface, setting) >=
		(int)sizeof(path))
		return false;
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	if (fscanf(file, "%d", &value) != 1)
		value = 0;
	(void)fclose(file);
	return value != 0;
}

static void interface_check(const char *folder, const char *interface)
{
	static const char *const settings[] = { "disable_xfrm", "disable_policy" };

	/* Loopback has both on everywhere, and what is on it has not left the host. */
	if (interface[0] == '.' || strcmp(interface, "lo") == 0 ||
		strcmp(interface, "default") == 0)
		return;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		if (setting_is_on(folder, interface, settings[i]))
			broker_log("%s/%s/%s is on: no close cover there, so acknowledgements and "
				   "resets of closed connections may leave in the clear",
				folder, interface, settings[i]);
	}
}

int broker_cover_check_interfaces(struct broker *broker)
{
	static const char *const folders[] = {
		"/proc/sys/net/ipv4/conf",
		"/proc/sys/net/ipv6/conf",
	};
	const struct dirent *entry;
	DIR *folder;

	(void)broker;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		folder = opendir(folders[i]);
		if (folder == NULL)
			continue;
		while ((entry = readdir(folder)) != NULL)
			interface_check(folders[i], entry->d_name);
		(void)closedir(folder);
	}
	return 0;
}

/* --- which form --- */

/* Whether there is room for one more cover between these two addresses. */
static bool covers_have_room(const struct broker *broker, const struct kbind_tuple *tuple)
{
	return lease_table_count_covers(broker->leases, tuple) < broker->options.cover_max;
}

static bool lease_is_any(const struct broker_lease *lease)
{
	return lease != NULL;
}

bool broker_cover_wants_mark(
	const struct broker *broker, const struct broker_lease *lease, uint32_t socket_mark)
{
	struct kbind_tuple mirrored;

	if (socket_mark != 0 || covers_have_room(broker, &lease->tuple))
		return false;
	/* Both ends on one host share their SAs and so would share the mark. */
	tuple_mirror(&lease->tuple, &mirrored);
	return lease_table_find_tuple(broker->leases, &mirrored, lease, lease_is_any) == NULL;
}

int broker_blocks_ensure(struct broker *broker)
{
	int result = 0;

	if (!broker->has_blocks)
		result = kxfrm_blocks_install(broker->xfrm);
	broker->has_blocks = result == 0;
	return result;
}

void broker_blocks_settle(struct broker *broker)
{
	const struct broker_lease *lease = lease_table_after(broker->leases, 0);

	while (lease != NULL && !lease->is_marked)
		lease = lease_table_next(lease);
	if (lease != NULL || !broker->has_blocks)
		return;
	broker->has_blocks = false;
	if (kxfrm_blocks_remove(broker->xfrm) != 0)
		broker_log("the close cover's blocks cannot be removed");
}

/* What bears this mark is taken by the socket, whose policy goes before the block, or by nobody. */
static int association_mark(struct broker *broker, const struct broker_lease *lease)
{
	const struct kxfrm_sa sa = {
		.path = { &lease->tuple, true },
		.spi = lease->spi_in,
		.reqid = lease->reqid_in,
		.mark = lease->reqid_in | KXFRM_COVER_BIT,
		.suite = lease->suite,
	};

	return kxfrm_sa_set_mark(broker->xfrm, &sa);
}

static void cover_forget(struct broker *broker, struct broker_lease *lease)
{
	lease->has_cover = false;
	if (!lease_table_recount(broker->leases, lease))
		broker_log("cover of lease %llu stays counted", (unsigned long long)lease->id);
}

/* Known before it is there: whatever happens next, it is removed with the lease. */
static int cover_install(struct broker *broker, struct broker_lease *lease)
{
	int result;

	lease->has_cover = true;
	if (broker_record(broker, lease) != 0)
		return EIO;
	result =
		kxfrm_cover_install(broker->xfrm, &lease->tuple, lease->reqid_in, lease->reqid_out);
	if (result != 0)
		cover_forget(broker, lease);
	return result;
}

enum ipsec_latch_reason broker_cover_begin(struct broker *broker, struct broker_lease *lease)
{
	int result =
		lease->is_marked ? association_mark(broker, lease) : cover_install(broker, lease);

	if (result == 0)
		return IPSEC_LATCH_LATCHED;
	return result == EEXIST ? IPSEC_LATCH_COVERED
				: broker_kernel_reason(lease->uid, result, "the close cover");
}

void broker_cover_close(struct broker *broker, struct broker_lease *lease)
{
	int result;

	if (!lease->is_marked || lease->has_cover || !lease->has_in_policy ||
		!covers_have_room(broker, &lease->tuple))
		return;
	result = cover_install(broker, lease);
	if (result != 0)
		broker_log_user(lease->uid, "no cover for the closing time of lease %llu: %s",
			(unsigned long long)lease->id, strerror(result));
}

void broker_cover_end(struct broker *broker, struct broker_lease *lease)
{
	int result = lease->has_cover ? EINTR : 0;

	for (int tries = 0; broker_removes_again(result, tries); tries++)
		result = kxfrm_cover_remove(
			broker->xfrm, &lease->tuple, lease->reqid_in, lease->reqid_out);
	if (result != 0)
		broker_log("cover of lease %llu cannot be removed: %s",
			(unsigned long long)lease->id, strerror(result));
	cover_forget(broker, lease);
}

size_t broker_cover_entries(const struct broker *broker)
{
	const struct broker_lease *lease;
	size_t count = broker->has_blocks ? 2 : 0; /* of IPv4; a kernel may have no others */

	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease))
		count += lease->has_cover ? 2 : 0;
	return count;
}

void broker_cover_repair(struct broker *broker, struct broker_lease *lease)
{
	int result;

	if (!lease->has_cover)
		return;
	result = kxfrm_cover_repair(broker->xfrm, &lease->tuple,
		lease->is_yielding ? KXFRM_REQID_ANY : lease->reqid_in, lease->reqid_out);
	if (result != 0)
		broker_log_user(lease->uid, "cover of lease %llu cannot be put back: %s",
			(unsigned long long)lease->id,
			result == EEXIST ? "an SPD entry of somebody else has its place"
					 : strerror(result));
}

/* --- the same addresses and ports again --- */

/*
 * Linux may give a client the port of a connection that is in its closing time, and the server's
 * TIME_WAIT makes room for it.  What the new connection says before its latch travels by the old
 * one's cover and SAs, both ways.  Where the new socket is all that the kernel has by that tuple,
 * nothing is left of the old connection that could answer for it, and its cover need not keep the
 * new latch away.
 *
 *	RESERVE  what comes in may come by any SA of this tuple, old or new, never in the clear.
 *		 What leaves still goes by the old ones, since the peer may still demand them.
 *	LATCH	 the socket has its own policies: old SAs and cover go, its own cover comes.
 *
 * Without LATCH the old lease ends in its time, as it would have.
 */

static bool lease_is_yielding(const struct broker_lease *lease)
{
	return lease->is_yielding && lease->state == IPSEC_LATCH_STATE_CLOSING && !lease->is_busy;
}

static bool lease_is_in_the_way(const struct broker_lease *lease)
{
	return (lease->has_cover || lease->is_marked) && !lease_is_yielding(lease);
}

/* Its own socket may yet be there, or both ends are on this host and share their SAs. */
static bool lease_may_yield(
	const struct broker *broker, const struct broker_lease *lease, uint64_t cookie)
{
	struct kbind_tuple mirrored;

	tuple_mirror(&lease->tuple, &mirrored);
	return lease->state == IPSEC_LATCH_STATE_CLOSING && !lease->is_busy &&
	       lease->cookie != cookie &&
	       lease_table_find_tuple(broker->leases, &mirrored, lease, lease_is_any) == NULL;
}

static bool lease_yield(struct broker *broker, struct broker_lease *lease)
{
	const uint64_t needed_ms = broker_now_ms() + BROKER_YIELD_MS;

	if (lease->has_cover &&
		kxfrm_cover_yield(broker->xfrm, &lease->tuple, lease->reqid_in) != 0)
		return false;
	lease->is_yielding = true;
	/* The exchange goes by its SAs.  Once: nobody keeps it longer by trying again. */
	if (lease->due_ms < needed_ms)
		lease->due_ms = needed_ms;
	return true;
}

bool broker_cover_yield(struct broker *broker, const struct kbind_tuple *tuple, uint64_t cookie)
{
	struct broker_lease *lease;
	bool is_alone = false;

	while ((lease = lease_table_find_tuple(broker->leases, tuple, NULL, lease_is_in_the_way)) !=
		NULL) {
		if (!lease_may_yield(broker, lease, cookie))
			return false;
		is_alone = is_alone || watch_is_alone(broker->watch, tuple, cookie);
		if (!is_alone || !lease_yield(broker, lease))
			return false;
	}
	return true;
}

void broker_cover_take_over(struct broker *broker, const struct kbind_tuple *tuple)
{
	struct broker_lease *lease;

	while ((lease = lease_table_find_tuple(broker->leases, tuple, NULL, lease_is_yielding)) !=
		NULL)
		broker_drop_lease(broker, lease);
}
