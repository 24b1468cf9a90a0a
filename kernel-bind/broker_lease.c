/* SPDX-License-Identifier: BSD-2-Clause */
/* The lease table; see broker_lease.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include "kernel-bind/broker_lease.h"

#define SLOTS 4096 /* a power of two, of the order of the quota */

struct lease_table {
	struct broker_lease *by_cookie[SLOTS], *by_tuple[SLOTS];
	struct broker_lease *first, *last;
	size_t count;
	uint64_t last_id, seed;
};

struct lease_table *lease_table_new(void)
{
	struct lease_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	/* Users choose ports and so tuples: an unknown seed keeps chains short. */
	if (getrandom(&table->seed, sizeof(table->seed), 0) != (ssize_t)sizeof(table->seed)) {
		free(table);
		return NULL;
	}
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

bool lease_table_uses_reqid(const struct lease_table *table, uint32_t reqid)
{
	const struct broker_lease *lease;

	for (lease = table->first; lease != NULL; lease = lease->next) {
		if (lease->reqid_in == reqid || lease->reqid_out == reqid)
			return true;
	}
	return false;
}

bool lease_is_owned(const struct broker_lease *lease, uint32_t uid, const uint8_t *secret)
{
	bool is_secret_right =
		secret_equal(BYTES_OF(lease->secret), BYTES(secret, KBIND_SECRET_BYTES));

	return is_secret_right && lease->uid == uid;
}
