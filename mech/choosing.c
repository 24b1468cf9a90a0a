/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The acceptor's choice among the connections of its process that T1 names.  T1 is not
 * authenticated: what it names may be somebody else's.  Whether the choice was right shows behind T3.
 */
#include <string.h>

#include "mech/context.h"

/* Those of the freshest that nothing tells apart.  What the program has not read is no token that it has handed to
 * us; but a program may peek, so without any other they stay. */
static void choosing_keep_likely(
	const struct mech_context *context, struct kbind_candidates *candidates)
{
	struct kbind_candidate now, read[KBIND_CANDIDATES_MAX];
	size_t count = 1, read_count = 0;

	while (count < candidates->count &&
		candidates->items[count].last_received_ms == candidates->items[0].last_received_ms)
		count++;
	candidates->count = count;
	for (size_t i = 0; count > 1 && i < count; i++)
		if (context->ops->refresh(&candidates->items[i], &now) == IPSEC_LATCH_LATCHED &&
			now.unread_bytes == 0)
			read[read_count++] = candidates->items[i];
	if (read_count == 0)
		return;
	memcpy(candidates->items, read, read_count * sizeof(read[0]));
	candidates->count = read_count;
}

static void choosing_note_rivals(
	struct mech_exchange *exchange, const struct kbind_candidate *candidates, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (candidates[i].cookie != exchange->chosen.cookie)
			exchange->rivals[exchange->rival_count++] = candidates[i].cookie;
}

static void choosing_take(struct mech_exchange *exchange, const struct kbind_candidate *candidate,
	const struct kbind_candidates *listed)
{
	exchange->chosen = *candidate;
	exchange->rival_count = 0;
	choosing_note_rivals(exchange, listed->items, listed->count);
	choosing_note_rivals(exchange, listed->unfit, listed->unfit_count);
}

/* Of several the one on which data arrived last; a tie cannot be told apart. Whether it was the right one the
 * others show behind T3. */
enum ipsec_latch_reason mech_choosing_pick(
	struct mech_context *context, const struct kbind_candidates *listed)
{
	struct kbind_candidates likely = *listed;

	choosing_keep_likely(context, &likely);
	if (likely.count > 1 || listed->is_cut) /* cut: not all the others can be looked after */
		return IPSEC_LATCH_SEVERAL;
	choosing_take(context->exchange, &likely.items[0], listed);
	return IPSEC_LATCH_LATCHED;
}

/*
 * Both lists have the freshest first.  Somebody else's T1 may have named this connection before, and
 * holds it until its context ends.  Whether this T1 has come on it since, the broker can tell.
 */
bool mech_choosing_contest(struct mech_context *context, const struct kbind_candidates *listed)
{
	const struct kbind_candidate *taken = NULL;

	for (size_t i = 0; i < listed->unfit_count && taken == NULL; i++)
		if (listed->unfit[i].fitness == IPSEC_LATCH_ALREADY_LATCHED)
			taken = &listed->unfit[i];
	if (taken == NULL || listed->is_cut ||
		(listed->count > 0 && listed->items[0].last_received_ms < taken->last_received_ms))
		return false;
	choosing_take(context->exchange, taken, listed);
	return true;
}
