/* SPDX-License-Identifier: BSD-2-Clause */
/* Recent refusals, see broker_refusals.h. */
#include "kernel-bind/broker_refusals.h"

#include "kernel-bind/broker_users.h"

static size_t count_of(const struct refused *refusals, uint32_t account)
{
	size_t count = 0;

	for (size_t i = 0; i < REFUSED_MAX; i++)
		if (refusals->items[i].number != 0 && refusals->items[i].account == account)
			count++;
	return count;
}

static struct refusal *oldest_of(struct refused *refusals, uint32_t account)
{
	struct refusal *oldest = NULL;

	for (size_t i = 0; i < REFUSED_MAX; i++) {
		struct refusal *item = &refusals->items[i];

		if (item->number != 0 && item->account == account &&
			(oldest == NULL || item->number < oldest->number))
			oldest = item;
	}
	return oldest;
}

/* Whoever has most gives one up; of several the one whose is the oldest.  All places are taken. */
static struct refusal *oldest_of_greatest(struct refused *refusals)
{
	struct refusal *oldest = NULL;
	size_t most = 0;

	for (size_t i = 0; i < REFUSED_MAX; i++) {
		struct refusal *item = &refusals->items[i];
		size_t count = count_of(refusals, item->account);

		if (count > most || (count == most && item->number < oldest->number)) {
			most = count;
			oldest = item;
		}
	}
	return oldest;
}

static struct refusal *place_find(struct refused *refusals, uint32_t account)
{
	if (count_of(refusals, account) >= REFUSED_USER_MAX)
		return oldest_of(refusals, account);
	for (size_t i = 0; i < REFUSED_MAX; i++)
		if (refusals->items[i].number == 0)
			return &refusals->items[i];
	return oldest_of_greatest(refusals);
}

void refused_note(struct refused *refusals, uint32_t uid, uint8_t request,
	enum ipsec_latch_reason reason, const struct kbind_tuple *tuple, uint64_t now_ms)
{
	struct broker_user user;
	struct refusal *place;

	users_find(uid, &user);
	place = place_find(refusals, user.account);
	*place = (struct refusal){
		.number = ++refusals->last,
		.account = user.account,
		.at_ms = now_ms,
		.told = { .uid = uid,
			.request = request,
			.reason = (uint8_t)reason,
			.has_tuple = tuple->family != 0,
			.tuple = *tuple },
	};
}

/* The one with the smallest number behind cursor that uid may see. */
static const struct refusal *next_of(const struct refused *refusals, uint32_t uid, uint64_t cursor)
{
	const struct refusal *next = NULL;

	for (size_t i = 0; i < REFUSED_MAX; i++) {
		const struct refusal *item = &refusals->items[i];

		if (item->number > cursor && (uid == 0 || item->told.uid == uid) &&
			(next == NULL || item->number < next->number))
			next = item;
	}
	return next;
}

size_t refused_list(const struct refused *refusals, uint32_t uid, uint64_t now_ms, uint64_t *cursor,
	struct kbind_refusal *ret_items, size_t room)
{
	const struct refusal *item;
	size_t count = 0;

	while (count < room && (item = next_of(refusals, uid, *cursor)) != NULL) {
		ret_items[count] = item->told;
		ret_items[count].age_sec = (now_ms - item->at_ms) / 1000;
		*cursor = item->number;
		count++;
	}
	return count;
}
