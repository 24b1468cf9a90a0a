/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * After a restart: which leases of the state file still hold?  A latched one needs its socket and
 * both SAs; a handshake in the middle is lost.  All else in our reqid range is deleted; what is
 * outside that range belongs to others and is never touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

/* Things by their reqid, of which few have the same: no start takes longer than its dumps. */
struct entry {
	uint32_t reqid;
	const void *item;
};
struct index {
	struct entry *entries; /* sorted once all are in */
	size_t count;
};

struct found {
	struct kxfrm_sa_seen *associations;
	struct kxfrm_policy *policies;
	size_t association_count, policy_count, association_room, policy_room;
	bool has_failed, has_blocks, has_yielding;
	struct index by_reqid; /* of associations */
};

static bool index_make(struct index *index, size_t room)
{
	index->count = 0;
	index->entries = calloc(room + 1, sizeof(*index->entries));
	return index->entries != NULL;
}

static void index_add(struct index *index, uint32_t reqid, const void *item)
{
	index->entries[index->count++] = (struct entry){ reqid, item };
}

static int entries_compare(const void *a, const void *b)
{
	const uint32_t first = ((const struct entry *)a)->reqid;
	const uint32_t second = ((const struct entry *)b)->reqid;

	return (first > second) - (first < second);
}

static void index_sort(struct index *index)
{
	qsort(index->entries, index->count, sizeof(*index->entries), entries_compare);
}

/* Where those with this reqid begin. */
static size_t index_find(const struct index *index, uint32_t reqid)
{
	size_t low = 0, high = index->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (index->entries[middle].reqid < reqid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The item at *place when it has this reqid, and goes on; NULL: no more. */
static const void *index_next(const struct index *index, uint32_t reqid, size_t *place)
{
	if (*place >= index->count || index->entries[*place].reqid != reqid)
		return NULL;
	return index->entries[(*place)++].item;
}

static void *array_room(void *items, size_t count, size_t *room, size_t item_bytes)
{
	size_t wanted = *room == 0 ? 64 : *room * 2;
	void *grown;

	if (count < *room)
		return items;
	grown = reallocarray(items, wanted, item_bytes);
	if (grown != NULL)
		*room = wanted;
	return grown;
}

static void each_association(void *context, const struct kxfrm_sa_seen *seen)
{
	struct found *found = context;
	void *grown;

	if (!kxfrm_reqid_is_ours(seen->reqid))
		return;
	grown = array_room(found->associations, found->association_count, &found->association_room,
		sizeof(*seen));
	if (grown == NULL) {
		found->has_failed = true;
		return;
	}
	found->associations = grown;
	found->associations[found->association_count++] = *seen;
}

static void each_policy(void *context, const struct kxfrm_policy *policy)
{
	struct found *found = context;
	void *grown;

	found->has_blocks |= kxfrm_policy_is_block(policy);
	if (!kxfrm_policy_is_cover(policy))
		return;
	grown = array_room(
		found->policies, found->policy_count, &found->policy_room, sizeof(*policy));
	if (grown == NULL) {
		found->has_failed = true;
		return;
	}
	found->has_yielding |= policy->reqid == KXFRM_REQID_ANY;
	found->policies = grown;
	found->policies[found->policy_count++] = *policy;
}

static bool association_is_of(
	const struct kxfrm_sa_seen *seen, const struct broker_lease *lease, bool is_inbound)
{
	const uint8_t *end = is_inbound ? lease->tuple.local : lease->tuple.remote;

	return seen->spi == (is_inbound ? lease->spi_in : lease->spi_out) &&
	       seen->reqid == (is_inbound ? lease->reqid_in : lease->reqid_out) &&
	       bytes_equal(BYTES_OF(seen->destination), BYTES(end, sizeof(seen->destination)));
}

static bool association_exists(
	const struct found *found, const struct broker_lease *lease, bool is_inbound)
{
	const uint32_t reqid = is_inbound ? lease->reqid_in : lease->reqid_out;
	size_t place = index_find(&found->by_reqid, reqid);
	const struct kxfrm_sa_seen *seen;

	while ((seen = index_next(&found->by_reqid, reqid, &place)) != NULL) {
		if (association_is_of(seen, lease, is_inbound))
			return true;
	}
	return false;
}

static void lease_set_broken(struct broker_lease *lease, enum ipsec_latch_reason reason)
{
	lease->state = IPSEC_LATCH_STATE_BROKEN;
	lease->reason = (uint8_t)reason;
	lease->due_ms = 0;
	lease->spi_in = lease->spi_out = 0;
	lease->shares_out = false;
}

/* A sweep has been made: what it met needs no question. */
static enum watch_finding lease_find_socket(struct broker *broker, const struct broker_lease *lease)
{
	if (lease->seen_in == broker->sweep.number)
		return WATCH_ALIVE;
	return watch_look(broker->watch, &lease->tuple, lease->cookie);
}

/* What the lease is now; false: nothing, forget it. */
static bool lease_judge(
	struct broker *broker, const struct found *found, struct broker_lease *lease)
{
	enum watch_finding finding = lease_find_socket(broker, lease);
	const uint64_t latest_ms = broker_now_ms() + broker->options.linger_ms;

	if (lease->state == IPSEC_LATCH_STATE_CLOSING) {
		if (lease->due_ms > latest_ms)
			lease->due_ms = latest_ms;
		return true;
	}
	if (finding == WATCH_NONE || finding == WATCH_REMNANT) {
		lease->state = IPSEC_LATCH_STATE_CLOSING;
		lease->due_ms = latest_ms;
		return lease->has_in_policy;
	}
	if (lease->missed > 0) /* met by the sweep, with another tuple */
		lease_set_broken(lease, IPSEC_LATCH_MOVED);
	else if (lease->state == IPSEC_LATCH_STATE_LARVAL)
		lease_set_broken(lease, IPSEC_LATCH_BROKER_LOST);
	else if (lease->state != IPSEC_LATCH_STATE_BROKEN &&
		 (!association_exists(found, lease, true) ||
			 !association_exists(found, lease, false)))
		lease_set_broken(lease, IPSEC_LATCH_SA_GONE);
	return true;
}

static bool association_is_kept(const struct index *leases, const struct kxfrm_sa_seen *seen)
{
	size_t place = index_find(leases, seen->reqid);
	const struct broker_lease *lease;

	while ((lease = index_next(leases, seen->reqid, &place)) != NULL) {
		if (association_is_of(seen, lease, true) || association_is_of(seen, lease, false))
			return true;
	}
	return false;
}

static bool policy_is_of(const struct kxfrm_policy *policy, const struct broker_lease *lease)
{
	const struct kxfrm_path in = { &lease->tuple, true }, out = { &lease->tuple, false };

	if (!lease->has_cover)
		return false;
	if ((policy->reqid == lease->reqid_in || policy->reqid == KXFRM_REQID_ANY) &&
		kxfrm_policy_matches(policy, in, 0))
		return true;
	return policy->reqid == lease->reqid_out && kxfrm_policy_matches(policy, out, 0);
}

static bool lease_has_cover(const struct broker_lease *lease)
{
	return lease->has_cover;
}

/* A cover that yields has no reqid, but its connection's addresses and ports; not the interface of
 * link-local ones, so whoever is not found so is looked for. */
static bool yielding_is_kept(const struct broker *broker, const struct kxfrm_policy *policy)
{
	struct kbind_tuple tuple = { .family = policy->family,
		.protocol = policy->protocol,
		.local_port = policy->destination_port,
		.remote_port = policy->source_port };
	const struct broker_lease *lease;

	memcpy(tuple.local, policy->destination, sizeof(tuple.local));
	memcpy(tuple.remote, policy->source, sizeof(tuple.remote));
	lease = lease_table_find_tuple(broker->leases, &tuple, NULL, lease_has_cover);
	if (lease == NULL || !policy_is_of(policy, lease))
		lease = lease_table_after(broker->leases, 0);
	while (lease != NULL && !policy_is_of(policy, lease))
		lease = lease_table_next(lease);
	return lease != NULL;
}

static bool policy_is_kept(
	const struct broker *broker, const struct index *leases, const struct kxfrm_policy *policy)
{
	size_t place = index_find(leases, policy->reqid);
	const struct broker_lease *lease;

	if (policy->reqid == KXFRM_REQID_ANY)
		return yielding_is_kept(broker, policy);
	while ((lease = index_next(leases, policy->reqid, &place)) != NULL) {
		if (policy_is_of(policy, lease))
			return true;
	}
	return false;
}

static void strays_remove(
	struct broker *broker, const struct found *found, const struct index *leases)
{
	size_t policies = 0, associations = 0;

	/* Associations first, as at a latch's end. */
	for (size_t i = 0; i < found->association_count; i++) {
		if (association_is_kept(leases, &found->associations[i]))
			continue;
		associations++;
		if (kxfrm_sa_remove_seen(broker->xfrm, &found->associations[i]) != 0)
			broker_log("a stray SA cannot be removed");
	}
	for (size_t i = 0; i < found->policy_count; i++) {
		if (policy_is_kept(broker, leases, &found->policies[i]))
			continue;
		policies++;
		if (kxfrm_policy_remove(broker->xfrm, &found->policies[i]) != 0)
			broker_log("a stray SPD entry cannot be removed");
	}
	if (policies + associations > 0)
		broker_log("removed %zu SAs and %zu SPD entries that no lease holds", associations,
			policies);
}

static size_t leases_judge(struct broker *broker, const struct found *found)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0), *next;
	size_t kept = 0;

	for (; lease != NULL; lease = next) {
		next = lease_table_next(lease);
		if (!lease_judge(broker, found, lease)) {
			lease_table_remove(broker->leases, lease);
			continue;
		}
		kept++;
		if (!lease_table_recount(broker->leases, lease))
			broker_log(
				"lease %llu stays counted as open", (unsigned long long)lease->id);
	}
	return kept;
}

static bool lease_owns_inbound(const struct broker_lease *lease)
{
	return lease->spi_in != 0;
}

/* An SA whose other end lost its lease belongs to the end that shared it. */
static void shares_settle(struct broker *broker)
{
	struct broker_lease *lease;
	const struct broker_lease *owner;
	struct kbind_tuple mirrored;

	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		if (!lease->shares_out)
			continue;
		tuple_mirror(&lease->tuple, &mirrored);
		owner = lease_table_find_tuple(
			broker->leases, &mirrored, lease, lease_owns_inbound);
		lease->shares_out = owner != NULL && owner->spi_in == lease->spi_out;
	}
}

/* The second form's blocks are there exactly when a lease needs them, what was closed meanwhile gets
 * its cover, and no cover yields to a reservation that is lost. */
static int covers_settle(struct broker *broker, const struct found *found)
{
	struct broker_lease *lease;
	bool is_needed = false;

	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease))
		is_needed |= lease->is_marked;
	if (is_needed) {
		broker->has_blocks = false;
		if (broker_blocks_ensure(broker) != 0)
			return EIO;
	} else {
		broker->has_blocks = found->has_blocks;
		broker_blocks_settle(broker);
	}
	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		if (lease->state != IPSEC_LATCH_STATE_CLOSING)
			continue;
		broker_cover_close(broker, lease);
		if (found->has_yielding)
			broker_cover_repair(broker, lease);
	}
	return 0;
}

static int found_read(struct broker *broker, struct found *found)
{
	int result = kxfrm_sa_dump(broker->xfrm, each_association, found);

	if (result == 0)
		result = kxfrm_policy_dump(broker->xfrm, each_policy, found);
	if (result == 0 &&
		(found->has_failed || !index_make(&found->by_reqid, found->association_count)))
		result = ENOMEM;
	if (result != 0)
		return result;
	for (size_t i = 0; i < found->association_count; i++)
		index_add(&found->by_reqid, found->associations[i].reqid, &found->associations[i]);
	index_sort(&found->by_reqid);
	return 0;
}

/* Both reqids of each. */
static int leases_index(const struct broker *broker, struct index *leases)
{
	const struct broker_lease *lease;

	if (!index_make(leases, 2 * lease_table_count(broker->leases)))
		return ENOMEM;
	for (lease = lease_table_after(broker->leases, 0); lease != NULL;
		lease = lease_table_next(lease)) {
		index_add(leases, lease->reqid_in, lease);
		if (lease->reqid_out != lease->reqid_in)
			index_add(leases, lease->reqid_out, lease);
	}
	index_sort(leases);
	return 0;
}

/* The old file is as good as before, only longer. */
static void journal_shorten(struct broker *broker)
{
	int result = journal_compact(broker->journal, broker->leases);

	if (result != 0)
		broker_log(
			"state file cannot be rewritten: %s; it stays as it is", strerror(result));
}

int broker_adopt(struct broker *broker)
{
	struct found found = { 0 };
	struct index leases = { 0 };
	size_t kept;
	int result;

	result = broker_sweep_whole(broker);
	if (result == 0)
		result = found_read(broker, &found);
	if (result != 0)
		goto out;
	kept = leases_judge(broker, &found);
	shares_settle(broker);
	result = leases_index(broker, &leases);
	if (result != 0)
		goto out;
	strays_remove(broker, &found, &leases);
	result = covers_settle(broker, &found);
	if (result != 0)
		goto out;
	if (kept > 0)
		broker_log("adopted %zu leases of an earlier broker", kept);
	journal_shorten(broker);
out:
	free(leases.entries);
	free(found.by_reqid.entries);
	free(found.associations);
	free(found.policies);
	return result;
}
