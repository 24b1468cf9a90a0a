/* SPDX-License-Identifier: BSD-2-Clause */
/* The lease table; see broker_lease.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "kernel-bind/broker_lease.h"
#include "kernel-bind/broker_tally.h"

#define SLOTS 4096 /* a power of two, of the order of the quota */

struct lease_table {
	struct broker_lease *by_cookie[SLOTS], *by_tuple[SLOTS];
	struct broker_lease *first, *last;
	struct tally *users, *closing, *reqids, *covers; /* closing: of users */
	size_t count;
	uint64_t last_id, seed;
};

struct lease_table *lease_table_new(void)
{
	struct lease_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	/* Users choose ports and so tuples: an unknown seed keeps chains short. */
	if (getrandom(&table->seed, sizeof(table->seed), 0) == (ssize_t)sizeof(table->seed)) {
		table->users = tally_new(table->seed);
		table->closing = tally_new(table->seed);
		table->reqids = tally_new(table->seed);
		table->covers = tally_new(table->seed);
	}
	if (table->users == NULL || table->closing == NULL || table->reqids == NULL ||
		table->covers == NULL)
		lease_table_free(&table);
	return table;
}

static void lease_free(struct broker_lease *lease)
{
	recorder_free(&lease->recorder);
	secret_free(lease, sizeof(*lease));
}

void lease_table_free(struct lease_table **table)
{
	if (*table == NULL)
		return;
	while ((*table)->first != NULL)
		lease_table_remove(*table, (*table)->first);
	tally_free(&(*table)->users);
	tally_free(&(*table)->closing);
	tally_free(&(*table)->reqids);
	tally_free(&(*table)->covers);
	free(*table);
	*table = NULL;
}

static uint64_t hash_octets(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i < len; i++) {
		hash ^= octets[i];
		hash *= 0x100000001b3u;
	}
	return hash ^ hash >> 29;
}

static size_t slot_of_cookie(const struct lease_table *table, uint64_t cookie)
{
	return hash_octets(table->seed, &cookie, sizeof(cookie)) % SLOTS;
}

static size_t slot_of_tuple(const struct lease_table *table, const struct kbind_tuple *tuple)
{
	uint64_t hash = table->seed;

	hash = hash_octets(hash, tuple->local, sizeof(tuple->local));
	hash = hash_octets(hash, tuple->remote, sizeof(tuple->remote));
	hash = hash_octets(hash, &tuple->local_port, sizeof(tuple->local_port));
	hash = hash_octets(hash, &tuple->remote_port, sizeof(tuple->remote_port));
	return hash % SLOTS;
}

/* --- what is counted --- */

static struct bytes key_of_user(const uint32_t *uid)
{
	return BYTES((const uint8_t *)uid, sizeof(*uid));
}

static struct bytes key_of_reqid(const uint32_t *reqid)
{
	return BYTES((const uint8_t *)reqid, sizeof(*reqid));
}

static struct bytes key_of_addresses(const struct kbind_tuple *tuple, uint8_t key[TALLY_KEY_MAX])
{
	static_assert(1 + sizeof(tuple->local) + sizeof(tuple->remote) <= TALLY_KEY_MAX, "room");
	key[0] = tuple->family;
	memcpy(key + 1, tuple->local, sizeof(tuple->local));
	memcpy(key + 1 + sizeof(tuple->local), tuple->remote, sizeof(tuple->remote));
	return BYTES(key, 1 + sizeof(tuple->local) + sizeof(tuple->remote));
}

static bool reqid_recount(struct lease_table *table, uint32_t *counted, uint32_t reqid)
{
	if (*counted == reqid)
		return true;
	if (reqid != 0 && !tally_add(table->reqids, key_of_reqid(&reqid)))
		return false;
	if (*counted != 0)
		tally_take(table->reqids, key_of_reqid(counted));
	*counted = reqid;
	return true;
}

static bool cover_recount(struct lease_table *table, struct broker_lease *lease, bool has_cover)
{
	uint8_t octets[TALLY_KEY_MAX];
	struct bytes key = key_of_addresses(&lease->tuple, octets);

	if (lease->counts_cover == has_cover)
		return true;
	if (has_cover && !tally_add(table->covers, key))
		return false;
	if (!has_cover)
		tally_take(table->covers, key);
	lease->counts_cover = has_cover;
	return true;
}

static bool closing_recount(struct lease_table *table, struct broker_lease *lease, bool is_closing)
{
	const struct bytes key = key_of_user(&lease->uid);

	if (lease->counts_closing == is_closing)
		return true;
	if (is_closing && !tally_add(table->closing, key))
		return false;
	if (!is_closing)
		tally_take(table->closing, key);
	lease->counts_closing = is_closing;
	return true;
}

bool lease_table_recount(struct lease_table *table, struct broker_lease *lease)
{
	return reqid_recount(table, &lease->counted_reqids[0], lease->reqid_in) &&
	       reqid_recount(table, &lease->counted_reqids[1], lease->reqid_out) &&
	       cover_recount(table, lease, lease->has_cover) &&
	       closing_recount(table, lease, lease->state == IPSEC_LATCH_STATE_CLOSING);
}

/* Nothing can fail where nothing is added. */
static void lease_uncount(struct lease_table *table, struct broker_lease *lease)
{
	(void)reqid_recount(table, &lease->counted_reqids[0], 0);
	(void)reqid_recount(table, &lease->counted_reqids[1], 0);
	(void)cover_recount(table, lease, false);
	(void)closing_recount(table, lease, false);
	tally_take(table->users, key_of_user(&lease->uid));
}

static bool lease_count(struct lease_table *table, struct broker_lease *lease)
{
	lease->counted_reqids[0] = lease->counted_reqids[1] = 0;
	lease->counts_cover = lease->counts_closing = false;
	if (!tally_add(table->users, key_of_user(&lease->uid)))
		return false;
	if (lease_table_recount(table, lease))
		return true;
	lease_uncount(table, lease);
	return false;
}

size_t lease_table_count_covers(const struct lease_table *table, const struct kbind_tuple *tuple)
{
	uint8_t key[TALLY_KEY_MAX];

	return tally_count(table->covers, key_of_addresses(tuple, key));
}

bool lease_table_uses_reqid(const struct lease_table *table, uint32_t reqid)
{
	return tally_count(table->reqids, key_of_reqid(&reqid)) > 0;
}

struct user_visit {
	const struct lease_table *table;
	lease_each_user *each;
	void *context;
};

static void each_user(void *context, struct bytes key, size_t count)
{
	const struct user_visit *visit = context;
	uint32_t uid;

	memcpy(&uid, key.data, sizeof(uid));
	visit->each(visit->context, uid, count, tally_count(visit->table->closing, key));
}

void lease_table_each_user(const struct lease_table *table, lease_each_user *each, void *context)
{
	struct user_visit visit = { table, each, context };

	tally_each(table->users, each_user, &visit);
}

/* --- the table --- */

/* Restored leases come in order of their ids, so the list stays sorted by appending. */
static void list_append(struct lease_table *table, struct broker_lease *lease)
{
	lease->previous = table->last;
	lease->next = NULL;
	if (table->last != NULL)
		table->last->next = lease;
	else
		table->first = lease;
	table->last = lease;
	table->count++;
}

struct broker_lease *lease_table_insert(struct lease_table *table, const struct broker_lease *lease)
{
	struct broker_lease *own;
	size_t slot;

	if (lease_table_find(table, lease->cookie) != NULL)
		return NULL;
	if (lease->id != 0 && lease->id <= table->last_id)
		return NULL;
	own = malloc(sizeof(*own));
	if (own == NULL)
		return NULL;
	*own = *lease;
	if (!lease_count(table, own)) {
		secret_free(own, sizeof(*own)); /* the recorder stays the caller's */
		return NULL;
	}
	if (own->id == 0)
		own->id = table->last_id + 1;
	table->last_id = own->id;
	slot = slot_of_cookie(table, own->cookie);
	own->next_by_cookie = table->by_cookie[slot];
	table->by_cookie[slot] = own;
	slot = slot_of_tuple(table, &own->tuple);
	own->next_by_tuple = table->by_tuple[slot];
	table->by_tuple[slot] = own;
	list_append(table, own);
	return own;
}

void lease_table_remove(struct lease_table *table, struct broker_lease *lease)
{
	struct broker_lease **link = &table->by_cookie[slot_of_cookie(table, lease->cookie)];

	while (*link != lease)
		link = &(*link)->next_by_cookie;
	*link = lease->next_by_cookie;
	link = &table->by_tuple[slot_of_tuple(table, &lease->tuple)];
	while (*link != lease)
		link = &(*link)->next_by_tuple;
	*link = lease->next_by_tuple;
	*(lease->previous != NULL ? &lease->previous->next : &table->first) = lease->next;
	*(lease->next != NULL ? &lease->next->previous : &table->last) = lease->previous;
	table->count--;
	lease_uncount(table, lease);
	lease_free(lease);
}

struct broker_lease *lease_table_find(const struct lease_table *table, uint64_t cookie)
{
	struct broker_lease *lease = table->by_cookie[slot_of_cookie(table, cookie)];

	while (lease != NULL && lease->cookie != cookie)
		lease = lease->next_by_cookie;
	return lease;
}

struct broker_lease *lease_table_find_tuple(const struct lease_table *table,
	const struct kbind_tuple *tuple, const struct broker_lease *except,
	bool (*accepts)(const struct broker_lease *lease))
{
	struct broker_lease *lease = table->by_tuple[slot_of_tuple(table, tuple)];

	for (; lease != NULL; lease = lease->next_by_tuple) {
		if (lease != except && tuple_is_same(&lease->tuple, tuple) && accepts(lease))
			return lease;
	}
	return NULL;
}

struct broker_lease *lease_table_after(const struct lease_table *table, uint64_t id)
{
	struct broker_lease *lease = table->first;

	while (lease != NULL && lease->id <= id)
		lease = lease->next;
	return lease;
}

struct broker_lease *lease_table_next(const struct broker_lease *lease)
{
	return lease->next;
}

size_t lease_table_count(const struct lease_table *table)
{
	return table->count;
}

bool lease_is_owned(const struct broker_lease *lease, uint32_t uid, const uint8_t *secret)
{
	bool is_secret_right =
		secret_equal(BYTES_OF(lease->secret), BYTES(secret, KBIND_SECRET_BYTES));

	return is_secret_right && lease->uid == uid;
}
