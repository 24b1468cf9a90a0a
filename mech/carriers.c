/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which connections of this process carried a context's tokens (doc/protocol.md 6).  The counters
 * of all of them are compared with what T1's search saw, by the socket's cookie: descriptors may
 * have been moved, closed and opened again since.  What cannot be told is assumed to have carried.
 */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mech/context.h"

/* A tick of the kernel's clock at HZ = 100, and one more: tcpi_last_data_recv is no finer. */
#define FRESHNESS_MS 20
/* So long the other threads of this process have to end what they are at; one that waits for us
 * never does. */
#define RIVAL_WAIT_MS 500
#define RIVAL_WAIT_THREADS_MS 5000
#define RIVAL_POLL_NS_FIRST 2000000L
#define RIVAL_POLL_NS_MAX 32000000L

struct carriers_search {
	struct mech_context *context;
	uint64_t sent_since, received_since; /* T1 */
	bool is_found;			     /* what the search is for */
	bool is_final;			     /* rivals: latched ones are judged too */
	bool is_named_there, is_named_moved;
};

static const struct kbind_candidate *carriers_find(
	const struct kbind_candidate *items, size_t count, uint64_t cookie)
{
	for (size_t i = 0; i < count; i++)
		if (items[i].cookie == cookie)
			return &items[i];
	return NULL;
}

/* As it was at T1; NULL when it was not seen then. */
static const struct kbind_candidate *carriers_before(
	const struct mech_exchange *exchange, uint64_t cookie)
{
	const struct kbind_candidates *seen = exchange->candidates;
	const struct kbind_candidate *before = carriers_find(seen->items, seen->count, cookie);

	return before != NULL ? before : carriers_find(seen->unfit, seen->unfit_count, cookie);
}

/*
 * How much went over it since T1; at least that much for one that T1's search did not see: opened
 * later, or one too many.  Since all tokens but T1 are answers, data must have come on it since.
 */
static void carriers_count(const struct mech_exchange *exchange, const struct kbind_candidate *now,
	uint64_t *ret_sent, uint64_t *ret_received)
{
	const struct kbind_candidate *before = carriers_before(exchange, now->cookie);
	bool is_fresh = kbind_clock_ms() - (int64_t)now->last_received_ms + FRESHNESS_MS >=
			exchange->candidates->found_ms;

	*ret_sent = *ret_received = 0;
	if (before != NULL) {
		*ret_sent = now->sent_bytes - before->sent_bytes;
		*ret_received = now->received_bytes - before->received_bytes;
	} else if (is_fresh) {
		*ret_sent = now->sent_bytes;
		*ret_received = now->received_bytes;
	}
}

/* Of what cannot be counted only that is known to have carried nothing which was never open. */
static bool carriers_may_be_any(
	const struct carriers_search *search, const struct kbind_candidate *now)
{
	return now->is_uncounted && (!now->is_closing || carriers_before(search->context->exchange,
								 now->cookie) != NULL);
}

/* All tokens so far. */
static bool carriers_has_all(
	const struct carriers_search *search, const struct kbind_candidate *now)
{
	uint64_t sent, received;

	carriers_count(search->context->exchange, now, &sent, &received);
	return sent >= search->sent_since && received >= search->received_since;
}

/* Those of one direction are enough: a program may use two connections in turn. */
static bool carriers_has_some(
	const struct carriers_search *search, const struct kbind_candidate *now)
{
	uint64_t sent, received;

	carriers_count(search->context->exchange, now, &sent, &received);
	return sent >= search->sent_since || received >= search->received_since ||
	       carriers_may_be_any(search, now);
}

/*
 * Latched by another context of this user with the very peer of this one: then nobody else's octets
 * come out of it.  A latch of somebody else's may well carry our tokens: he passes them on.
 */
static bool carriers_is_our_peers(
	const struct mech_context *context, const struct kbind_candidate *now, int wait_ms)
{
	const struct mech_exchange *exchange = context->exchange;
	const struct mech_name *peer = exchange->peer;
	struct kbind_status status;

	if (now->fitness != IPSEC_LATCH_ALREADY_LATCHED)
		return false;
	/* Before T4 the target: a peer of another name never becomes this context's. */
	if (peer == NULL)
		peer = context->is_initiator ? context->acceptor_name : context->initiator_name;
	/* Two who are nobody need not be the same. */
	if (mech_name_kind(peer) == MECH_NAME_ANONYMOUS)
		return false;
	return context->ops->query_settled(config_broker_path(context->config), now, wait_ms,
		       &status) == IPSEC_LATCH_LATCHED &&
	       status.state == IPSEC_LATCH_STATE_ESTABLISHED && status.uid == geteuid() &&
	       strcmp(status.peer_name, mech_name_display(peer)) == 0;
}

/* --- initiator, T2: the connection that the acceptor names --- */

/* Not named by T1, so the acceptor cannot choose it, but it may lead to the same server. */
static bool carriers_is_hidden(
	const struct mech_context *context, const struct kbind_candidate *connection)
{
	const struct mech_exchange *exchange = context->exchange;
	const struct kbind_candidates *listed = exchange->candidates;
	const struct kbind_tuple *named = &exchange->chosen.tuple, *other = &connection->tuple;

	return carriers_find(listed->items, listed->count, connection->cookie) == NULL &&
	       connection->fitness != IPSEC_LATCH_ALREADY_LATCHED &&
	       other->remote_port == named->remote_port &&
	       (other->family != named->family ||
		       bytes_equal(BYTES_OF(other->remote), BYTES_OF(named->remote)));
}

/* Looked at besides the named one: what T1 does not list. */
static bool carriers_takes_named(uint64_t cookie, const void *argument)
{
	const struct carriers_search *search = argument;
	const struct mech_exchange *exchange = search->context->exchange;
	const struct kbind_candidates *listed = exchange->candidates;

	return cookie == exchange->chosen.cookie ||
	       carriers_find(listed->items, listed->count, cookie) == NULL;
}

/* And leads to the same port; the rest carriers_is_hidden() judges. */
static bool carriers_takes_port(const struct kbind_tuple *tuple, const void *argument)
{
	const struct carriers_search *search = argument;

	return tuple->remote_port == search->context->exchange->chosen.tuple.remote_port;
}

static void carriers_visit_named(const struct kbind_candidate *connection, void *argument)
{
	struct carriers_search *search = argument;
	struct kbind_candidate *chosen = &search->context->exchange->chosen;

	if (connection->cookie == chosen->cookie) {
		/* The program may have moved it to another number, or hold it under several. */
		if (!search->is_named_there || connection->fd < chosen->fd)
			chosen->fd = connection->fd;
		search->is_named_there = !connection->is_closing;
		search->is_named_moved = carriers_has_all(search, connection);
	} else if (carriers_is_hidden(search->context, connection)) {
		search->is_found = search->is_found || carriers_has_all(search, connection);
	}
}

enum ipsec_latch_reason mech_carriers_test_named(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since)
{
	struct timespec pause = { .tv_nsec = RIVAL_POLL_NS_FIRST };
	int64_t deadline = kbind_clock_ms() + RIVAL_WAIT_THREADS_MS;
	struct carriers_search search;
	const struct kbind_pick pick = { carriers_takes_named, carriers_takes_port, &search };
	enum ipsec_latch_reason reason;

	for (;;) {
		search = (struct carriers_search){ .context = context,
			.sent_since = sent_since,
			.received_since = received_since };
		reason = context->ops->visit_all(
			context->descriptor, &pick, carriers_visit_named, &search);
		/* It may be another thread's, whose context is about to reserve it. */
		if (!search.is_found || !kbind_has_threads() || kbind_clock_ms() >= deadline)
			break;
		(void)nanosleep(&pause, NULL); /* a signal only makes it look sooner */
		if (pause.tv_nsec < RIVAL_POLL_NS_MAX)
			pause.tv_nsec *= 2;
	}
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	if (!search.is_named_there)
		return IPSEC_LATCH_SOCKET_GONE;
	if (!search.is_named_moved)
		return IPSEC_LATCH_TRAFFIC;
	return search.is_found ? IPSEC_LATCH_SEVERAL : IPSEC_LATCH_LATCHED;
}

/* --- acceptor, behind T3: the other connections that T1 names --- */

/* Whether the program has not read what came, which may be another context's T3. */
static bool carriers_is_unread(
	const struct carriers_search *search, const struct kbind_candidate *connection)
{
	struct kbind_candidate now;

	return search->context->ops->refresh(connection, &now) == IPSEC_LATCH_LATCHED &&
	       now.unread_bytes >= search->received_since;
}

/* All descriptors are visited: one that is something else by now was another thread's duplicate. */
static bool carriers_is_gone(
	const struct carriers_search *search, const struct kbind_candidate *connection)
{
	struct kbind_candidate now;

	return search->context->ops->refresh(connection, &now) == IPSEC_LATCH_SOCKET_GONE;
}

static bool carriers_is_rival(uint64_t cookie, const void *argument)
{
	const struct carriers_search *search = argument;
	const struct mech_exchange *exchange = search->context->exchange;

	for (size_t i = 0; i < exchange->rival_count; i++)
		if (exchange->rivals[i] == cookie)
			return true;
	return false;
}

static void carriers_visit_rival(const struct kbind_candidate *connection, void *argument)
{
	struct carriers_search *search = argument;

	if (search->is_found || !carriers_is_rival(connection->cookie, search) ||
		!carriers_has_all(search, connection))
		return;
	if (connection->fitness == IPSEC_LATCH_ALREADY_LATCHED &&
		(!search->is_final || carriers_is_unread(search, connection)))
		return;
	search->is_found = !carriers_is_our_peers(search->context, connection,
				   kbind_has_threads() ? RIVAL_WAIT_THREADS_MS : RIVAL_WAIT_MS) &&
			   !carriers_is_gone(search, connection);
}

enum ipsec_latch_reason mech_carriers_test_rivals(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since, bool is_final)
{
	struct carriers_search search = { .context = context,
		.is_final = is_final,
		.sent_since = sent_since,
		.received_since = received_since };
	const struct kbind_pick pick = { .takes_cookie = carriers_is_rival, .argument = &search };
	enum ipsec_latch_reason reason;

	if (context->exchange->rival_count == 0)
		return IPSEC_LATCH_LATCHED;
	reason = context->ops->visit_all(context->descriptor, &pick, carriers_visit_rival, &search);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	return search.is_found ? IPSEC_LATCH_SEVERAL : IPSEC_LATCH_LATCHED;
}

/* --- without a latch --- */

/* One that somebody closed behind the token counts too: what lies between the two is still read by
 * the program.  A descriptor that the program has named counts by its word. */
static void carriers_visit_unlatched(const struct kbind_candidate *connection, void *argument)
{
	struct carriers_search *search = argument;

	if (search->is_found ||
		(search->context->descriptor < 0 && !carriers_has_some(search, connection)))
		return;
	search->is_found = !carriers_is_our_peers(search->context, connection, 0);
}

bool mech_carriers_exist(struct mech_context *context, uint64_t sent_since, uint64_t received_since)
{
	struct carriers_search search = {
		.context = context, .sent_since = sent_since, .received_since = received_since
	};
	enum ipsec_latch_reason reason = context->ops->visit_all(
		context->descriptor, NULL, carriers_visit_unlatched, &search);

	return search.is_found || reason == IPSEC_LATCH_NO_PROC || reason == IPSEC_LATCH_TOO_MANY;
}
