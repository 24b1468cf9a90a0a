/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets that ended or moved without an event.  A program may disconnect a latched socket and
 * connect it anew; the kernel tells nobody.  So each tick the broker asks: about each lease by itself
 * while they are few and all is well, else about all sockets of the host at once, in a sweep that is
 * read piece by piece between requests.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

#define ASK_EACH_MAX 32
#define SWEEP_STUCK_MS 5000
#define SWEEP_WAIT_MS 2000 /* at start, for one piece */
/* A socket that is there can be missed when others come and go beside it, but hardly twice; and the
 * event of one that has just ended may be on its way. */
#define MISSED_MAX 2
#define SECOND_SIGHT_MS 200

static bool lease_is_over(const struct broker_lease *lease)
{
	return lease->is_busy || (lease->state == IPSEC_LATCH_STATE_CLOSING && lease->is_destroyed);
}

/* Whether each socket answers for itself where its lease has it. */
static bool leases_are_well(struct broker *broker)
{
	const struct broker_lease *lease;

	if (lease_table_count(broker->leases) > ASK_EACH_MAX)
		return false;
	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		if (lease_is_over(lease))
			continue;
		if (lease->state == IPSEC_LATCH_STATE_CLOSING ||
			watch_look(broker->watch, &lease->tuple, lease->cookie) != WATCH_ALIVE)
			return false;
	}
	return true;
}

static int sweep_begin(struct broker *broker, uint64_t now_ms)
{
	int result = watch_sweep_begin(broker->watch);

	broker->sweep.is_on = result == 0;
	broker->sweep.begun_ms = now_ms;
	broker->sweep.number++;
	return result;
}

void broker_sweep_tick(struct broker *broker, uint64_t now_ms)
{
	int result;

	if (broker->sweep.is_on && broker->sweep.begun_ms + SWEEP_STUCK_MS > now_ms)
		return;
	if (lease_table_count(broker->leases) == 0 || leases_are_well(broker))
		return;
	result = sweep_begin(broker, now_ms);
	if (result != 0)
		broker_log("sockets cannot be looked at: %s", strerror(result));
}

static void each_socket(void *context, uint64_t cookie, const struct kbind_tuple *tuple)
{
	struct broker *broker = context;
	struct broker_lease *lease = lease_table_find(broker->leases, cookie);

	/* A piece of a sweep tells what was when the kernel wrote it; an end that was told since is final. */
	if (lease == NULL || lease->is_destroyed)
		return;
	lease->seen_in = broker->sweep.number;
	lease->missed = 0;
	/* Before it was made, the socket may have been another connection's. */
	if (lease->is_busy || lease->made_ms >= broker->sweep.begun_ms ||
		(lease->state == IPSEC_LATCH_STATE_BROKEN && lease->reason != IPSEC_LATCH_ENDED))
		return;
	/* A connection that was over and is there again was made anew, even to the same address. */
	if (!tuple_is_same(&lease->tuple, tuple) || lease->state == IPSEC_LATCH_STATE_CLOSING ||
		lease->state == IPSEC_LATCH_STATE_BROKEN)
		broker_break_lease(broker, lease, IPSEC_LATCH_MOVED);
}

/*
 * Not there, and no event told that it ended: a program holds a socket without connection.  TIME_WAIT
 * shows that it was closed in good order; else it was reset, or disconnected and may be connected
 * anew, so the lease stays until the socket ends.
 */
static void lease_miss(struct broker *broker, struct broker_lease *lease)
{
	enum watch_finding finding;

	if (++lease->missed < MISSED_MAX) {
		broker->next_tick_ms = broker_now_ms() + SECOND_SIGHT_MS;
		return;
	}
	lease->missed = MISSED_MAX;
	finding = watch_look(broker->watch, &lease->tuple, lease->cookie);
	if (finding == WATCH_REMNANT ||
		(finding == WATCH_NONE && (broker->sweep.doubts > 0 || !lease->has_in_policy)))
		broker_close_lease(broker, lease);
	else if (finding == WATCH_NONE && lease->state != IPSEC_LATCH_STATE_BROKEN)
		broker_break_lease(broker, lease, IPSEC_LATCH_ENDED);
}

static void sweep_end(struct broker *broker)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0), *next;

	for (; lease != NULL; lease = next) {
		next = lease_table_next(lease);
		if (lease->seen_in != broker->sweep.number && !lease->is_busy &&
			lease->state != IPSEC_LATCH_STATE_CLOSING &&
			lease->made_ms < broker->sweep.begun_ms)
			lease_miss(broker, lease);
	}
	if (broker->sweep.doubts > 0)
		broker->sweep.doubts--;
}

void broker_sweep_read(struct broker *broker)
{
	bool is_over, is_whole;

	if (!watch_sweep_read(broker->watch, each_socket, broker, &is_over, &is_whole) || !is_over)
		return;
	if (broker->sweep.is_on && is_whole)
		sweep_end(broker);
	broker->sweep.is_on = false;
}

static void each_socket_at_start(void *context, uint64_t cookie, const struct kbind_tuple *tuple)
{
	struct broker *broker = context;
	struct broker_lease *lease = lease_table_find(broker->leases, cookie);

	if (lease == NULL)
		return;
	lease->seen_in = broker->sweep.number;
	lease->missed = tuple_is_same(&lease->tuple, tuple) ? 0 : MISSED_MAX;
}

int broker_sweep_whole(struct broker *broker)
{
	struct pollfd wait = { .fd = watch_sweep_descriptor(broker->watch), .events = POLLIN };
	bool is_over = false, is_whole = false;
	int result = sweep_begin(broker, broker_now_ms());

	broker->sweep.is_on = false;
	while (result == 0 && !is_over) {
		if (poll(&wait, 1, SWEEP_WAIT_MS) != 1)
			result = ETIMEDOUT;
		else if (!watch_sweep_read(
				 broker->watch, each_socket_at_start, broker, &is_over, &is_whole))
			result = EAGAIN;
	}
	return result == 0 && !is_whole ? EIO : result;
}
