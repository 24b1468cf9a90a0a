/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting what leases have in common; see broker_tally.h. */
#include "kernel-bind/broker_tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 1024 /* a power of two */

struct tally_item {
	struct tally_item *next;
	size_t count, key_len;
	uint8_t key[TALLY_KEY_MAX];
};

struct tally {
	struct tally_item *slots[SLOTS];
	uint64_t seed;
};

struct tally *tally_new(uint64_t seed)
{
	struct tally *tally = calloc(1, sizeof(*tally));

	if (tally != NULL)
		tally->seed = seed;
	return tally;
}

void tally_free(struct tally **tally)
{
	struct tally_item *item, *next;

	for (size_t i = 0; *tally != NULL && i < SLOTS; i++) {
		for (item = (*tally)->slots[i]; item != NULL; item = next) {
			next = item->next;
			free(item);
		}
	}
	free(*tally);
	*tally = NULL;
}

/* FNV-1a, from an unknown start. */
static size_t slot_of(const struct tally *tally, struct bytes key)
{
	uint64_t hash = tally->seed;

	for (size_t i = 0; i < key.len; i++) {
		hash ^= key.data[i];
		hash *= 0x100000001b3u;
	}
	return (hash ^ hash >> 29) % SLOTS;
}

/* Where its item is linked, or would be. */
static struct tally_item **item_find(struct tally *tally, struct bytes key)
{
	struct tally_item **link = &tally->slots[slot_of(tally, key)];

	while (*link != NULL && !bytes_equal(BYTES((*link)->key, (*link)->key_len), key))
		link = &(*link)->next;
	return link;
}

bool tally_add(struct tally *tally, struct bytes key)
{
	struct tally_item **link = item_find(tally, key);

	assert(key.len > 0 && key.len <= TALLY_KEY_MAX);
	if (*link == NULL) {
		*link = calloc(1, sizeof(**link));
		if (*link == NULL)
			return false;
		(*link)->key_len = key.len;
		memcpy((*link)->key, key.data, key.len);
	}
	(*link)->count++;
	return true;
}

void tally_take(struct tally *tally, struct bytes key)
{
	struct tally_item **link = item_find(tally, key), *item = *link;

	assert(item != NULL);
	if (--item->count > 0)
		return;
	*link = item->next;
	free(item);
}

size_t tally_count(const struct tally *tally, struct bytes key)
{
	const struct tally_item *item = tally->slots[slot_of(tally, key)];

	while (item != NULL && !bytes_equal(BYTES(item->key, item->key_len), key))
		item = item->next;
	return item != NULL ? item->count : 0;
}

void tally_each(const struct tally *tally, tally_each_key *each, void *context)
{
	for (size_t i = 0; i < SLOTS; i++) {
		for (const struct tally_item *item = tally->slots[i]; item != NULL;
			item = item->next)
			each(context, BYTES(item->key, item->key_len), item->count);
	}
}
