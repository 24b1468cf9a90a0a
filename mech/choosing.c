/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The acceptor's choice among the connections of its process that T1 names.  T1 is not
 * authenticated: what it names may be somebody else's.  Whether the choice was right shows behind T3.
 */
#include <stdatomic.h>
#include <time.h>

#include "mech/context.h"

#define WAIT_MS 5000	  /* for other threads' contexts to reserve what is theirs */
#define WAIT_ALL_MS 20000 /* while one after the other is */
/* Then, once: most waits are shorter, and a crowd has no need of more requests. */
#define BROKER_ASKED_MS 500
/* Anybody can send T1s that are waited for in vain, and so hold a server's threads: the process remembers. */
#define VAIN_WAIT_MS 1000
#define VAIN_WAIT_ALL_MS 3000
#define VAIN_REMEMBERED_MS 10000
#define POLL_NS_FIRST 1000000L
#define POLL_NS_MAX 32000000L

/* One that T1 names, as it is now; what cannot be looked at any more may be anything. */
struct choosing_view {
	bool is_gone;
	bool has_come; /* as much as T1 has, since T1 was made */
	bool is_read;  /* and the program has read as much */
};

struct choosing {
	struct mech_context *context;
	const struct ike_latch_offer *offer;
	size_t t1_bytes;
	const struct kbind_candidates *listed;
	struct choosing_view items[KBIND_CANDIDATES_MAX], unfit[KBIND_CANDIDATES_MAX];
	uint8_t likely[KBIND_CANDIDATES_MAX]; /* which of listed->items, the freshest first */
	size_t count;
};

static enum err choosing_look(struct choosing *choosing, const struct kbind_candidate *candidate,
	struct choosing_view *ret_view)
{
	struct kbind_candidate now;
	bool is_named;
	uint64_t since = 0;
	enum err err;

	*ret_view = (struct choosing_view){ .is_gone = true };
	if (choosing->context->ops->refresh(candidate, &now) != IPSEC_LATCH_LATCHED)
		return ERR_OK;
	err = mech_latching_compare(choosing->context, choosing->offer, &now, &is_named, &since);
	ret_view->is_gone = false;
	ret_view->has_come = since >= choosing->t1_bytes;
	/* What the program has not read is no token that it has handed to us. */
	ret_view->is_read = choosing->offer->has_positions
				    ? since >= choosing->t1_bytes + now.unread_bytes
				    : now.unread_bytes == 0;
	return err;
}

/* A program may peek, so where nothing is read those that are not stay. */
static void choosing_find_likely(struct choosing *choosing)
{
	const struct choosing_view *items = choosing->items;
	bool some_are_read = false;

	for (size_t i = 0; i < choosing->listed->count; i++)
		some_are_read = some_are_read || (items[i].has_come && items[i].is_read);
	for (size_t i = 0; i < choosing->listed->count; i++)
		if (items[i].has_come && (items[i].is_read || !some_are_read))
			choosing->likely[choosing->count++] = (uint8_t)i;
}

static enum err choosing_begin(struct choosing *choosing)
{
	const struct kbind_candidates *listed = choosing->listed;
	enum err err = ERR_OK;

	for (size_t i = 0; i < listed->count && err == ERR_OK; i++)
		err = choosing_look(choosing, &listed->items[i], &choosing->items[i]);
	for (size_t i = 0; i < listed->unfit_count && err == ERR_OK; i++)
		err = choosing_look(choosing, &listed->unfit[i], &choosing->unfit[i]);
	choosing_find_likely(choosing);
	return err;
}

static bool choosing_is_free(
	const struct choosing *choosing, const struct kbind_candidate *candidate)
{
	struct kbind_candidate now;

	return choosing->context->ops->refresh(candidate, &now) == IPSEC_LATCH_LATCHED &&
	       !now.is_closing && now.fitness == IPSEC_LATCH_LATCHED;
}

/* Whether one is left at most, when those that are reserved by now are left out: of all, or of those up to the
 * second free one, which is the cheaper look. */
static bool choosing_is_settled(struct choosing *choosing, bool looks_at_all)
{
	const struct kbind_candidate *items = choosing->listed->items;
	size_t kept = 0, i;

	for (i = 0; i < choosing->count && (looks_at_all || kept < 2); i++)
		if (choosing_is_free(choosing, &items[choosing->likely[i]]))
			choosing->likely[kept++] = choosing->likely[i];
	while (i < choosing->count)
		choosing->likely[kept++] = choosing->likely[i++];
	choosing->count = kept;
	return kept < 2;
}

static _Atomic(int64_t) waited_in_vain_ms; /* when it was last seen; 0: never */

/* begun: the wait; moved: when another one was last seen to be reserved, of those that were looked at. */
static bool choosing_is_over(int64_t begun, int64_t moved, int64_t now)
{
	const int64_t vain = atomic_load(&waited_in_vain_ms);
	const bool is_vain = vain != 0 && now - vain < VAIN_REMEMBERED_MS;

	return now - moved >= (is_vain ? VAIN_WAIT_MS : WAIT_MS) ||
	       now - begun >= (is_vain ? VAIN_WAIT_ALL_MS : WAIT_ALL_MS);
}

/* Without a broker, or behind a crowd that it does not get through, nobody reserves anything: NO_BROKER or
 * BROKER_BUSY; else LATCHED. */
static enum ipsec_latch_reason choosing_ask_broker(const struct choosing *choosing)
{
	const struct mech_context *context = choosing->context;
	struct kbind_status status;
	enum ipsec_latch_reason reason =
		context->ops->query_settled(config_broker_path(context->config),
			&choosing->listed->items[choosing->likely[0]], 0, &status);

	return latch_reason_is_silence(reason) ? reason : IPSEC_LATCH_LATCHED;
}

/*
 * Other threads may be at the T1s that came on the others: whichever T1 was made last knows its own connection, and
 * when that one is reserved the T1 before it does, and so on.  LATCHED when one is left at most;
 * else SEVERAL, since a guess could take another context's, or what choosing_ask_broker() says.
 */
static enum ipsec_latch_reason choosing_wait(struct choosing *choosing)
{
	struct timespec pause = { .tv_nsec = POLL_NS_FIRST };
	int64_t begun = kbind_clock_ms(), moved = begun, now;
	size_t before = choosing->count;
	enum ipsec_latch_reason reason;
	bool has_asked = false;

	if (choosing->count <= 1 || !choosing->offer->has_positions || !kbind_has_threads())
		return IPSEC_LATCH_LATCHED;
	while (!choosing_is_settled(choosing, false)) {
		now = kbind_clock_ms();
		if (!has_asked && now - begun >= BROKER_ASKED_MS) {
			has_asked = true;
			reason = choosing_ask_broker(choosing);
			if (reason != IPSEC_LATCH_LATCHED)
				return reason;
			begun = moved = kbind_clock_ms(); /* a busy one's time is not theirs */
			continue;
		}
		if (choosing_is_over(begun, choosing->count < before ? now : moved, now)) {
			if (choosing_is_settled(choosing, true))
				break;
			if (choosing->count == before) {
				atomic_store(&waited_in_vain_ms, now);
				return IPSEC_LATCH_SEVERAL;
			}
		}
		if (choosing->count < before)
			moved = now;
		before = choosing->count;
		(void)nanosleep(&pause, NULL); /* a signal only makes it look sooner */
		if (pause.tv_nsec < POLL_NS_MAX)
			pause.tv_nsec *= 2;
	}
	return IPSEC_LATCH_LATCHED;
}

static void choosing_keep_freshest(struct choosing *choosing)
{
	const struct kbind_candidate *items = choosing->listed->items;
	size_t count = 0;

	while (count < choosing->count && items[choosing->likely[count]].last_received_ms ==
						  items[choosing->likely[0]].last_received_ms)
		count++;
	choosing->count = count;
}

/* T1 cannot have come on any other: what T1 says is under AUTH behind T3, when this matters. */
static void choosing_note_rivals(struct choosing *choosing, const struct kbind_candidate *named,
	const struct choosing_view *views, size_t count)
{
	struct mech_exchange *exchange = choosing->context->exchange;

	for (size_t i = 0; i < count; i++)
		if (named[i].cookie != exchange->chosen.cookie &&
			(views[i].is_gone || views[i].has_come))
			exchange->rivals[exchange->rival_count++] = named[i].cookie;
}

static void choosing_take(struct choosing *choosing, const struct kbind_candidate *candidate)
{
	const struct kbind_candidates *listed = choosing->listed;

	choosing->context->exchange->chosen = *candidate;
	choosing->context->exchange->rival_count = 0;
	choosing_note_rivals(choosing, listed->items, choosing->items, listed->count);
	choosing_note_rivals(choosing, listed->unfit, choosing->unfit, listed->unfit_count);
}

/* Of several the one that other threads leave; then the one on which data arrived last; a tie cannot be told
 * apart.  Whether it was the right one the others show behind T3. */
static enum ipsec_latch_reason choosing_pick(struct choosing *choosing)
{
	enum ipsec_latch_reason reason;

	if (choosing->count == 0)
		return IPSEC_LATCH_TRAFFIC;
	reason = choosing_wait(choosing);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	choosing_keep_freshest(choosing);
	if (choosing->count != 1)
		return IPSEC_LATCH_SEVERAL;
	choosing_take(choosing, &choosing->listed->items[choosing->likely[0]]);
	return IPSEC_LATCH_LATCHED;
}

/*
 * Both lists have the freshest first.  Somebody else's T1 may have named this connection before, and
 * holds it until its context ends.  Whether this T1 has come on it since, the broker can tell.
 */
static bool choosing_contest(struct choosing *choosing)
{
	const struct kbind_candidates *listed = choosing->listed;
	const struct kbind_candidate *taken = NULL;

	for (size_t i = 0; i < listed->unfit_count && taken == NULL; i++)
		if (listed->unfit[i].fitness == IPSEC_LATCH_ALREADY_LATCHED &&
			choosing->unfit[i].has_come && choosing->unfit[i].is_read)
			taken = &listed->unfit[i];
	if (taken == NULL ||
		(choosing->count > 0 && listed->items[choosing->likely[0]].last_received_ms <
						taken->last_received_ms))
		return false;
	choosing_take(choosing, taken);
	return true;
}

enum err mech_choosing_run(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, enum ipsec_latch_reason *ret_reason)
{
	const struct kbind_candidates *listed = context->exchange->candidates;
	struct choosing choosing = {
		.context = context, .offer = offer, .t1_bytes = t1_bytes, .listed = listed
	};
	const enum ipsec_latch_reason reason = *ret_reason;
	enum err err;

	if (listed->is_cut) { /* not all the others can be looked after */
		*ret_reason = IPSEC_LATCH_SEVERAL;
		return ERR_OK;
	}
	err = choosing_begin(&choosing);
	if (err != ERR_OK)
		return err;
	if (choosing_contest(&choosing)) {
		err = mech_latching_reserve(context, t1_bytes, ret_reason);
		if (err != ERR_OK || *ret_reason == IPSEC_LATCH_LATCHED)
			return err;
		context->exchange->chosen.fd = -1;
	}
	*ret_reason = reason;
	if (reason == IPSEC_LATCH_LATCHED)
		*ret_reason = choosing_pick(&choosing);
	return *ret_reason == IPSEC_LATCH_LATCHED
		       ? mech_latching_reserve(context, t1_bytes, ret_reason)
		       : ERR_OK;
}
