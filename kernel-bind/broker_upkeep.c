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

#define LOOKS_PER_TICK 64
#define RECONCILE_MS 50 /* of each second: a look for a socket that has moved goes through all */

uint64_t broker_now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int broker_record(struct broker *broker, const struct broker_lease *lease)
{
	int result = journal_append(broker->journal, broker->leases, lease, false);

	if (result != 0)
		broker_log("state file cannot be written: %s", strerror(result));
	return result;
}

static bool lease_is_sharing(const struct broker_lease *lease)
{
	return lease->shares_out;
}

static void association_remove(
	struct broker *broker, const struct broker_lease *lease, bool is_inbound)
{
	const struct kxfrm_path path = { &lease->tuple, is_inbound };
	const uint32_t spi = is_inbound ? lease->spi_in : lease->spi_out;
	int result;

	if (spi == 0)
		return;
	result = kxfrm_sa_remove(broker->xfrm, path, spi);
	if (result != 0 && result != ESRCH)
		broker_log("SA %08x cannot be removed: %s", spi, strerror(result));
}

void broker_remove_associations(struct broker *broker, struct broker_lease *lease)
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
	int result = 0;

	/* SAs first: without the cover, what still comes in by one would be answered in the clear. */
	broker_remove_associations(broker, lease);
	if (lease->has_cover)
		result = kxfrm_cover_remove(broker->xfrm, &lease->tuple);
	if (result != 0)
		broker_log("cover of lease %llu cannot be removed: %s",
			(unsigned long long)lease->id, strerror(result));
	result = journal_append(broker->journal, broker->leases, lease, true);
	if (result != 0)
		broker_log("state file cannot be written: %s", strerror(result));
	lease_table_remove(broker->leases, lease);
}

void broker_break_lease(
	struct broker *broker, struct broker_lease *lease, enum ipsec_latch_reason reason)
{
	char text[BROKER_LOG_TUPLE_BYTES];

	broker_remove_associations(broker, lease);
	if (lease->state != IPSEC_LATCH_STATE_CLOSING) {
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
}

static bool lease_has_association(const struct broker_lease *lease, const struct kxfrm_event *event)
{
	struct bytes destination = BYTES_OF(event->destination);

	if (event->spi == 0)
		return false;
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

static void leases_check_associations(struct broker *broker)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0);

	for (; lease != NULL; lease = lease_table_next(lease)) {
		if (association_is_lost(broker, lease, true) ||
			association_is_lost(broker, lease, false))
			broker_break_lease(broker, lease, IPSEC_LATCH_KERNEL);
	}
}

static void each_event(void *context, const struct kxfrm_event *event)
{
	struct broker *broker = context;
	struct broker_lease *lease;

	if (event->type == KXFRM_EVENT_POLICY_CHANGED || event->type == KXFRM_EVENT_LOST)
		broker->policies.is_stale = true;
	if (event->type == KXFRM_EVENT_SA_FLUSHED || event->type == KXFRM_EVENT_LOST)
		leases_check_associations(broker);
	if (event->type != KXFRM_EVENT_SA_GONE)
		return;
	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		if (lease_has_association(lease, event))
			broker_break_lease(broker, lease, IPSEC_LATCH_KERNEL);
	}
}

void broker_read_events(struct broker *broker)
{
	kxfrm_events_read(broker->events, each_event, broker);
}

static void each_ended(void *context, uint64_t cookie)
{
	struct broker *broker = context;
	struct broker_lease *lease = lease_table_find(broker->leases, cookie);

	if (lease != NULL)
		broker_close_lease(broker, lease);
}

void broker_read_ended(struct broker *broker)
{
	if (!watch_read(broker->watch, each_ended, broker))
		broker->reconcile_left = lease_table_count(broker->leases);
}

static void lease_reconcile(struct broker *broker, struct broker_lease *lease)
{
	enum watch_finding finding;

	if (lease->state == IPSEC_LATCH_STATE_CLOSING || lease->is_busy)
		return;
	finding = watch_look(broker->watch, &lease->tuple, lease->cookie);
	if (finding == WATCH_GONE)
		broker_close_lease(broker, lease);
	else if (finding == WATCH_MOVED && lease->state != IPSEC_LATCH_STATE_BROKEN)
		broker_break_lease(broker, lease, IPSEC_LATCH_SOCKET_GONE);
}

/* Some leases each second, in turn; when events were lost, all of them as fast as may be. */
static void leases_reconcile(struct broker *broker)
{
	const uint64_t end_ms = broker_now_ms() + RECONCILE_MS;
	struct broker_lease *lease = lease_table_after(broker->leases, broker->reconcile_after);
	struct broker_lease *next;
	size_t looks = 0;

	for (; lease != NULL && (broker->reconcile_left > 0 || looks < LOOKS_PER_TICK);
		lease = next) {
		if (broker_now_ms() >= end_ms)
			return;
		next = lease_table_next(lease);
		broker->reconcile_after = lease->id;
		lease_reconcile(broker, lease);
		looks++;
		broker->reconcile_left -= broker->reconcile_left > 0;
	}
	if (lease == NULL)
		broker->reconcile_after = 0;
}

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

void broker_tick(struct broker *broker, uint64_t now_ms)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0), *next;

	for (; lease != NULL; lease = next) {
		next = lease_table_next(lease);
		if (lease->is_busy || lease->due_ms == 0 || lease->due_ms > now_ms)
			continue;
		if (lease->state == IPSEC_LATCH_STATE_CLOSING)
			broker_drop_lease(broker, lease);
		else
			lease_expire(broker, lease);
	}
	leases_reconcile(broker);
	broker_refresh_policies(broker);
}
