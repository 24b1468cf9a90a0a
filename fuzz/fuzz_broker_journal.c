/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's state file: whole files as they are, and again with each record's checksum made
 * right, since no mutation would ever hit it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COMPOSED 0xffffffffu /* no record begins so */
#define COMPOSED_RECORD_BYTES 7
#define COMPOSED_RECORDS_MAX 64
#define COMPOSED_GONE 1
#define COMPOSED_CHANGE 2

static void record_try(struct bytes input)
{
	struct broker_lease lease;
	struct writer w;
	bool is_gone;

	if (journal_record_read(input, &lease, &is_gone) != ERR_OK)
		return;
	writer_init(&w, JOURNAL_RECORD_BYTES);
	if (journal_record_write(&lease, is_gone, &w) != ERR_OK)
		abort();
	writer_free(&w);
}

/* In the order of ids, found by cookie, and written so that it reads back. */
static void table_try(const struct lease_table *table)
{
	const struct broker_lease *lease;
	struct broker_lease again;
	uint64_t last_id = 0;
	size_t count = 0;
	struct writer w;
	bool is_gone;

	for (lease = lease_table_after(table, 0); lease != NULL; lease = lease_table_next(lease)) {
		if (lease->id <= last_id || lease_table_find(table, lease->cookie) != lease)
			abort();
		writer_init(&w, JOURNAL_RECORD_BYTES);
		if (journal_record_write(lease, false, &w) != ERR_OK ||
			journal_record_read(writer_view(&w), &again, &is_gone) != ERR_OK ||
			is_gone || again.id != lease->id || again.cookie != lease->cookie ||
			!tuple_is_same(&again.tuple, &lease->tuple))
			abort();
		writer_free(&w);
		last_id = lease->id;
		count++;
	}
	if (count != lease_table_count(table))
		abort();
}

static void file_try(struct bytes input)
{
	struct lease_table *table = lease_table_new();
	size_t spoilt = 0;

	if (table == NULL)
		return;
	if (journal_replay(input, table, &spoilt) != ERR_OK)
		abort();
	if (lease_table_count(table) + spoilt > input.len / JOURNAL_RECORD_BYTES + 1)
		abort();
	table_try(table);
	lease_table_free(&table);
}

/* FNV-1a over all but the last 8 octets, as doc/broker-protocol.md has it. */
static void checksum_repair(uint8_t *record)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < JOURNAL_RECORD_BYTES - 8; i++) {
		sum ^= record[i];
		sum *= 0x100000001b3u;
	}
	for (size_t i = 0; i < 8; i++)
		record[JOURNAL_RECORD_BYTES - 8 + i] = (uint8_t)(sum >> (56 - 8 * i));
}

static void record_compose(struct reader *r, struct writer *w)
{
	struct broker_lease lease = { .id = reader_get_u8(r), .cookie = reader_get_u8(r) };
	size_t start = writer_len(w), offset;
	uint8_t flags, value;

	lease.tuple.family = AF_INET;
	lease.tuple.local_port = reader_get_u8(r);
	flags = reader_get_u8(r);
	offset = reader_get_u16(r) % JOURNAL_RECORD_BYTES;
	value = reader_get_u8(r);
	if (journal_record_write(&lease, (flags & COMPOSED_GONE) != 0, w) != ERR_OK)
		abort();
	if ((flags & COMPOSED_CHANGE) == 0)
		return;
	*writer_at(w, start + offset, 1) = value;
	checksum_repair(writer_at(w, start, JOURNAL_RECORD_BYTES));
}

static void file_compose(struct bytes input)
{
	struct reader r;
	struct writer w;

	reader_init(&r, input);
	writer_init(&w, (size_t)COMPOSED_RECORDS_MAX * JOURNAL_RECORD_BYTES);
	for (size_t i = 0; i < COMPOSED_RECORDS_MAX && reader_left(&r) >= COMPOSED_RECORD_BYTES;
		i++)
		record_compose(&r, &w);
	file_try(writer_view(&w));
	writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r;
	uint8_t *copy;

	reader_init(&r, BYTES(data, size));
	if (reader_get_u32(&r) == COMPOSED) {
		file_compose(reader_get_rest(&r));
		return 0;
	}
	copy = malloc(size + 1);
	if (copy == NULL)
		return 0;
	if (size > 0)
		memcpy(copy, data, size);
	record_try(BYTES(data, size));
	file_try(BYTES(data, size));
	for (size_t at = 0; at + JOURNAL_RECORD_BYTES <= size; at += JOURNAL_RECORD_BYTES) {
		checksum_repair(copy + at);
		record_try(BYTES(copy + at, JOURNAL_RECORD_BYTES));
	}
	file_try(BYTES(copy, size));
	free(copy);
	return 0;
}
