/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD of this host, as others filled it.  A socket policy is looked up before the SPD, so
 * latching could take a connection out of a tunnel that the administrator prescribed: such
 * connections are refused.  Our own covers prescribe nothing.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

#define ITEMS_FIRST 64
#define EVENT_TURNS 4

void policy_cache_free(struct policy_cache *cache)
{
	free(cache->items);
	*cache = (struct policy_cache){ .is_stale = true };
}

static bool cache_grow(struct policy_cache *cache)
{
	size_t room = cache->room == 0 ? ITEMS_FIRST : cache->room * 2;
	struct kxfrm_policy *items = reallocarray(cache->items, room, sizeof(*items));

	if (items == NULL)
		return false;
	cache->items = items;
	cache->room = room;
	return true;
}

static void each_policy(void *context, const struct kxfrm_policy *policy)
{
	struct policy_cache *cache = context;

	if (kxfrm_policy_is_cover(policy) || kxfrm_policy_is_block(policy)) {
		/* A kernel may have no blocks for IPv6: broker_cover_entries() counts none. */
		cache->own_count += kxfrm_policy_is_cover(policy) || policy->family == AF_INET;
		return;
	}
	if (cache->count == cache->room && !cache_grow(cache)) {
		cache->has_failed = true;
		return;
	}
	cache->items[cache->count++] = *policy;
}

void broker_refresh_policies(struct broker *broker)
{
	struct policy_cache *cache = &broker->policies;

	if (!cache->is_stale)
		return;
	cache->count = cache->own_count = 0;
	cache->has_failed = false;
	if (kxfrm_policy_dump(broker->xfrm, each_policy, cache) != 0)
		cache->has_failed = true;
	cache->is_stale = cache->has_failed;
	if (!cache->has_failed && !broker->covers.is_on &&
		cache->own_count < broker_cover_entries(broker))
		broker_covers_restore(broker);
}

static bool path_is_prescribed(
	const struct policy_cache *cache, struct kxfrm_path path, uint32_t mark)
{
	return kxfrm_policy_find_prescribing(cache->items, cache->count, path, mark) != NULL;
}

/* What is not read yet may say that the SPD has changed; whoever sends without end is not listened to
 * for ever. */
static bool events_are_read(struct broker *broker)
{
	for (int turns = 0; turns < EVENT_TURNS; turns++) {
		if (broker_read_events(broker))
			return true;
	}
	return false;
}

enum ipsec_latch_reason broker_judge_policies(
	struct broker *broker, const struct kbind_tuple *tuple, uint32_t mark)
{
	const struct kxfrm_path in = { tuple, true }, out = { tuple, false };

	if (broker->options.overrides_policy)
		return IPSEC_LATCH_LATCHED;
	if (events_are_read(broker))
		broker_refresh_policies(broker);
	else
		broker->policies.is_stale = true;
	if (broker->policies.is_stale) {
		broker_log("the host's IPsec policy could not be read, so nothing is latched now");
		return IPSEC_LATCH_KERNEL;
	}
	return path_is_prescribed(&broker->policies, in, mark) ||
			       path_is_prescribed(&broker->policies, out, mark)
		       ? IPSEC_LATCH_PRESCRIBED
		       : IPSEC_LATCH_LATCHED;
}
