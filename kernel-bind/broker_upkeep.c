/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of leases between requests: sockets end, timers run out, others flush IPsec's state.
 * Order at the end of a latch: SAs, cover, lease.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

#define ROUND_SLICE_MS 20 /* then requests have a turn */
#define REMOVE_TRIES 3
#define REMNANT_WAIT_MS 10000 /* TIME_WAIT that outlives the closing time is asked for again */

uint64_t broker_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Told once until it succeeds again; a lease that goes mostly can be written, so per user, too. */
static int lease_write(struct broker *broker, const struct broker_lease *lease, bool is_gone)
{
	const bool was_behind = journal_is_behind(broker->journal);
	int result = journal_append(broker->journal, broker->leases, lease, is_gone);

	if (result != 0 && !was_behind)
		broker_log_user(lease->uid, "state file cannot be written: %s", strerror(result));
	return result;
}

int broker_record(struct broker *broker, struct broker_lease *lease)
{
	if (lease_table_recount(broker->leases, lease))
		return lease_write(broker, lease, false);
	broker_log_user(lease->uid, "lease %llu cannot be counted: %s",
		(unsigned long long)lease->id, strerror(ENOMEM));
	return ENOMEM;
}

static bool lease_is_sharing(const struct broker_lease *lease)
{
	return lease->shares_out;
}

/* Nobody looks for it again before the next start, so a refusal that may pass is not the last word;
 * a kernel that does not answer at all has had its time. */
bool broker_removes_again(int result, int tries)
{
	return tries < REMOVE_TRIES && result != 0 && result != ESRCH && result != EAGAIN;
}

static void association_remove(
	struct broker *broker, const struct broker_lease *lease, bool is_inbound)
{
	const struct kxfrm_path path = { &lease->tuple, is_inbound };
	const uint32_t spi = is_inbound ? lease->spi_in : lease->spi_out;
	int result = EINTR;

	if (spi == 0)
		return;
	for (int tries = 0; broker_removes_again(result, tries); tries++)
		result = kxfrm_sa_remove(broker->xfrm, path, spi);
	if (result != 0 && result != ESRCH)
		broker_log("SA %08x cannot be removed: %s", spi, strerror(result));
}

/* Both SAs; one that the mirrored lease shares goes over to that. */
static void lease_remove_associations(struct broker *broker, struct broker_lease *lease)
{
	struct kbind_tuple mirrored;
	struct broker_lease *sharer;

	tuple_mirror(&lease->tuple, &mirrored);
	sharer = lease_table_find_tuple(broker->leases, &mirrored, lease, lease_is_sharing);
	if (sharer != NULL && sharer->spi_out == lease->spi_in) {
		sharer->shares_out = false;
		(void)broker_record(broker, sharer);
	} else {
		association_remove(broker, lease, true);
	}
	if (!lease->shares_out)
		association_remove(broker, lease, false);
	lease->spi_in = lease->spi_out = 0;
	lease->shares_out = false;
}

void broker_drop_lease(struct broker *broker, struct broker_lease *lease)
{
	const bool was_marked = lease->is_marked;

	/* SAs first: without the cover, what still comes in by one would be answered in the clear. */
	lease_remove_associations(broker, lease);
	broker_cover_end(broker, lease);
	(void)lease_write(broker, lease, true);
	lease_table_remove(broker->leases, lease);
	if (was_marked)
		broker_blocks_settle(broker);
}

void broker_break_lease(
	struct broker *broker, struct broker_lease *lease, enum ipsec_latch_reason reason)
{
	char text[BROKER_LOG_TUPLE_BYTES];

	lease_remove_associations(broker, lease);
	if (lease->state != IPSEC_LATCH_STATE_CLOSING || reason == IPSEC_LATCH_MOVED) {
		lease->state = IPSEC_LATCH_STATE_BROKEN;
		lease->due_ms = 0;
	}
	lease->reason = (uint8_t)reason;
	recorder_free(&lease->recorder);
	(void)broker_record(broker, lease);
	broker_log_user(lease->uid, "broken uid %u %s: %s: %s", lease->uid,
		broker_log_tuple(&lease->tuple, text), latch_reason_word(reason),
		latch_reason_text(reason));
}

void broker_close_lease(struct broker *broker, struct broker_lease *lease)
{
	char text[BROKER_LOG_TUPLE_BYTES];

	if (lease->state == IPSEC_LATCH_STATE_CLOSING)
		return;
	broker_log_user(
		lease->uid, "closed uid %u %s", lease->uid, broker_log_tuple(&lease->tuple, text));
	/* A request at work on it still points to it: the tick will find it. */
	if (!lease->has_in_policy && !lease->is_busy) {
		broker_drop_lease(broker, lease);
		return;
	}
	lease->state = IPSEC_LATCH_STATE_CLOSING;
	lease->due_ms = broker_now_ms() + (lease->has_in_policy ? broker->options.linger_ms : 0);
	recorder_free(&lease->recorder);
	(void)broker_record(broker, lease);
	broker_cover_close(broker, lease);
}

static bool lease_has_association(const struct broker_lease *lease, const struct kxfrm_event *event)
{
	struct bytes destination = BYTES_OF(event->destination);

	return (lease->spi_in == event->spi &&
		       bytes_equal(destination, BYTES_OF(lease->tuple.local))) ||
	       (lease->spi_out == event->spi &&
		       bytes_equal(destination, BYTES_OF(lease->tuple.remote)));
}

/* After a flush or lost events: does the kernel still have this SA? */
static bool association_is_lost(
	struct broker *broker, const struct broker_lease *lease, bool is_inbound)
{
	const struct kxfrm_path path = { &lease->tuple, is_inbound };
	const uint32_t spi = is_inbound ? lease->spi_in : lease->spi_out;
	struct kxfrm_counters counters;

	return spi != 0 && kxfrm_sa_query(broker->xfrm, path, spi, &counters) == ESRCH;
}

static void lease_check_associations(struct broker *broker, struct broker_lease *lease)
{
	if (association_is_lost(broker, lease, true) || association_is_lost(broker, lease, false))
		broker_break_lease(broker, lease, IPSEC_LATCH_SA_GONE);
}

/* --- rounds --- */

static void round_begin(struct broker_round *round)
{
	*round = (struct broker_round){ .is_on = true };
}

static void round_continue(struct broker *broker, struct broker_round *round,
	void (*each)(struct broker *broker, struct broker_lease *lease))
{
	const uint64_t end_ms = broker_now_ms() + ROUND_SLICE_MS;
	struct broker_lease *lease = lease_table_after(broker->leases, round->after);

	if (!round->is_on)
		return;
	for (; lease != NULL; lease = lease_table_next(lease)) {
		if (broker_now_ms() >= end_ms)
			return;
		round->after = lease->id;
		each(broker, lease);
	}
	*round = (struct broker_round){ .is_on = false };
}

void broker_rounds_continue(struct broker *broker)
{
	round_continue(broker, &broker->associations, lease_check_associations);
	round_continue(broker, &broker->covers, broker_cover_repair);
}

void broker_covers_restore(struct broker *broker)
{
	static struct broker_log_limit restored, blocked;

	broker_log_seldom(&restored, "somebody removed covers from the SPD; putting them back");
	if (broker->has_blocks && kxfrm_blocks_install(broker->xfrm) != 0)
		broker_log_seldom(&blocked, "the close cover's blocks cannot be put back");
	round_begin(&broker->covers);
}

/* --- events --- */

static void association_end(
	struct broker *broker, const struct kxfrm_event *event, enum ipsec_latch_reason reason)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0);

	for (; lease != NULL && event->spi != 0; lease = lease_table_next(lease)) {
		if (lease_has_association(lease, event))
			broker_break_lease(broker, lease, reason);
	}
}

static void event_sa_gone(struct broker *broker, const struct kxfrm_event *event)
{
	association_end(broker, event, IPSEC_LATCH_SA_GONE);
}

static void event_sa_used_up(struct broker *broker, const struct kxfrm_event *event)
{
	association_end(broker, event, IPSEC_LATCH_SA_USED_UP);
}

static void event_sa_flushed(struct broker *broker, const struct kxfrm_event *event)
{
	(void)event;
	round_begin(&broker->associations);
}

static void event_policy_changed(struct broker *broker, const struct kxfrm_event *event)
{
	(void)event;
	broker->policies.is_stale = true;
}

static void event_cover_gone(struct broker *broker, const struct kxfrm_event *event)
{
	event_policy_changed(broker, event);
	if (broker_cover_entries(broker) > 0)
		broker_covers_restore(broker);
}

static void event_lost(struct broker *broker, const struct kxfrm_event *event)
{
	event_policy_changed(broker, event);
	event_sa_flushed(broker, event);
}

static void each_event(void *context, const struct kxfrm_event *event)
{
	static void (*const handlers[])(struct broker *, const struct kxfrm_event *) = {
		[KXFRM_EVENT_SA_GONE] = event_sa_gone,
		[KXFRM_EVENT_SA_USED_UP] = event_sa_used_up,
		[KXFRM_EVENT_SA_FLUSHED] = event_sa_flushed,
		[KXFRM_EVENT_POLICY_CHANGED] = event_policy_changed,
		[KXFRM_EVENT_COVER_GONE] = event_cover_gone,
		[KXFRM_EVENT_LOST] = event_lost,
	};

	handlers[event->type](context, event);
}

bool broker_read_events(struct broker *broker)
{
	return kxfrm_events_read(broker->events, each_event, broker);
}

static void each_ended(void *context, uint64_t cookie)
{
	struct broker *broker = context;
	struct broker_lease *lease = lease_table_find(broker->leases, cookie);

	if (lease == NULL)
		return;
	lease->is_destroyed = true;
	broker_close_lease(broker, lease);
}

void broker_read_ended(struct broker *broker)
{
	if (!watch_read(broker->watch, each_ended, broker))
		broker->sweep.doubts = BROKER_DOUBTS;
}

/* --- time --- */

/*
 * A reservation that nobody used.  The acceptor's SA goes.  At an initiator the socket demands ESP
 * on its way out and only a descriptor could undo that: its SAs stay, so that errors and FIN flow.
 */
static void lease_expire(struct broker *broker, struct broker_lease *lease)
{
	if (!lease->has_out_policy) {
		broker_break_lease(broker, lease, IPSEC_LATCH_EXPIRED);
		return;
	}
	lease->state = IPSEC_LATCH_STATE_FAILED;
	lease->reason = IPSEC_LATCH_EXPIRED;
	lease->due_ms = 0;
	recorder_free(&lease->recorder);
	(void)broker_record(broker, lease);
	broker_log_user(lease->uid, "reservation %llu of uid %u expired",
		(unsigned long long)lease->id, lease->uid);
}

/* By tuple alone the kernel does not find what is bound to a device; all sockets are looked at for these only. */
static bool lease_has_remnant(struct broker *broker, const struct broker_lease *lease)
{
	return watch_look(broker->watch, &lease->tuple, lease->cookie) == WATCH_REMNANT ||
	       (!lease->is_unbound &&
		       watch_has_remnant(broker->watch, &lease->tuple, lease->cookie));
}

/* TIME_WAIT begins anew with each FIN that the peer repeats: while it is there it may answer. */
static void lease_end(struct broker *broker, struct broker_lease *lease)
{
	if (lease->has_in_policy && !broker->options.linger_is_exact &&
		lease_has_remnant(broker, lease))
		lease->due_ms += REMNANT_WAIT_MS;
	else
		broker_drop_lease(broker, lease);
}

void broker_tick(struct broker *broker, uint64_t now_ms)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0), *next;

	for (; lease != NULL; lease = next) {
		next = lease_table_next(lease);
		if (lease->is_busy || lease->due_ms == 0 || lease->due_ms > now_ms)
			continue;
		if (lease->state == IPSEC_LATCH_STATE_CLOSING)
			lease_end(broker, lease);
		else
			lease_expire(broker, lease);
	}
	broker_offload_tick(broker);
	broker_sweep_tick(broker, now_ms);
	broker_refresh_policies(broker);
}
