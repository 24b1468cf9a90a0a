/* SPDX-License-Identifier: BSD-2-Clause */
/* The state file; see broker_journal.h. Layout: doc/broker-protocol.md, "State file". */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernel-bind/broker_journal.h"

#define JOURNAL_VERSION 1
#define KIND_LEASE 1
#define KIND_GONE 2
#define CHECKSUM_BYTES 8
#define SLACK_RECORDS 256
#define JOURNAL_OPEN (O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW)
#define LOCK_TRIES 20
#define LOCK_PAUSE_MS 100

enum flag {
	FLAG_INITIATOR = 1,
	FLAG_IN_POLICY = 2,
	FLAG_OUT_POLICY = 4,
	FLAG_COVER = 8,
	FLAG_SHARES_OUT = 16,
	FLAG_RELEASED = 32,
	FLAG_MARKED = 64,
	FLAGS_KNOWN = 127
};

/* FNV-1a: finds torn writes; against an attacker the file's mode protects. */
static uint64_t checksum(struct bytes input)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < input.len; i++) {
		sum ^= input.data[i];
		sum *= 0x100000001b3u;
	}
	return sum;
}

static uint8_t flags_of(const struct broker_lease *lease)
{
	return (uint8_t)((lease->is_initiator ? FLAG_INITIATOR : 0) |
			 (lease->has_in_policy ? FLAG_IN_POLICY : 0) |
			 (lease->has_out_policy ? FLAG_OUT_POLICY : 0) |
			 (lease->has_cover ? FLAG_COVER : 0) |
			 (lease->shares_out ? FLAG_SHARES_OUT : 0) |
			 (lease->is_released ? FLAG_RELEASED : 0) |
			 (lease->is_marked ? FLAG_MARKED : 0));
}

static void flags_apply(uint8_t flags, struct broker_lease *lease)
{
	lease->is_initiator = (flags & FLAG_INITIATOR) != 0;
	lease->has_in_policy = (flags & FLAG_IN_POLICY) != 0;
	lease->has_out_policy = (flags & FLAG_OUT_POLICY) != 0;
	lease->has_cover = (flags & FLAG_COVER) != 0;
	lease->shares_out = (flags & FLAG_SHARES_OUT) != 0;
	lease->is_released = (flags & FLAG_RELEASED) != 0;
	lease->is_marked = (flags & FLAG_MARKED) != 0;
}

static void put_text(struct writer *w, const char *text)
{
	writer_put_counted8(w, BYTES((const uint8_t *)text, strlen(text)));
}

static void get_text(struct reader *r, char *out, size_t room)
{
	struct bytes text = reader_get_counted8(r);

	if (text.len >= room) {
		reader_fail(r, ERR_INTERNAL);
		return;
	}
	if (text.len > 0)
		memcpy(out, text.data, text.len);
	out[text.len] = '\0';
}

enum err journal_record_write(const struct broker_lease *lease, bool is_gone, struct writer *w)
{
	const size_t start = writer_len(w);
	struct bytes all;

	writer_put_u8(w, JOURNAL_VERSION);
	writer_put_u8(w, is_gone ? KIND_GONE : KIND_LEASE);
	writer_put_u64(w, lease->id);
	writer_put_u64(w, lease->cookie);
	writer_put_u8(w, lease->tuple.family);
	writer_put_u8(w, lease->tuple.protocol);
	writer_put_bytes(w, BYTES_OF(lease->tuple.local));
	writer_put_bytes(w, BYTES_OF(lease->tuple.remote));
	writer_put_u16(w, lease->tuple.local_port);
	writer_put_u16(w, lease->tuple.remote_port);
	writer_put_u32(w, lease->uid);
	writer_put_bytes(w, BYTES_OF(lease->secret));
	writer_put_u8(w, lease->state);
	writer_put_u8(w, lease->reason);
	writer_put_u8(w, flags_of(lease));
	writer_put_u16(w, lease->suite);
	writer_put_u32(w, lease->spi_in);
	writer_put_u32(w, lease->spi_out);
	writer_put_u32(w, lease->reqid_in);
	writer_put_u32(w, lease->reqid_out);
	writer_put_u64(w, lease->made_ms);
	writer_put_u64(w, lease->due_ms);
	put_text(w, lease->local_name);
	put_text(w, lease->peer_name);
	put_text(w, lease->method);
	put_text(w, lease->service);
	writer_put_u32(w, lease->tuple.zone);
	put_text(w, lease->peer_key);
	if (writer_len(w) - start > JOURNAL_RECORD_BYTES - CHECKSUM_BYTES)
		writer_fail(w, ERR_TOO_LARGE);
	else
		(void)writer_put_zeros(
			w, JOURNAL_RECORD_BYTES - CHECKSUM_BYTES - (writer_len(w) - start));
	all = writer_view(w);
	if (all.len > start)
		writer_put_u64(w, checksum(BYTES(all.data + start, all.len - start)));
	return writer_status(w);
}

static void record_get_lease(struct reader *r, struct broker_lease *lease)
{
	uint8_t flags;

	lease->id = reader_get_u64(r);
	lease->cookie = reader_get_u64(r);
	lease->tuple.family = reader_get_u8(r);
	lease->tuple.protocol = reader_get_u8(r);
	reader_copy(r, lease->tuple.local, sizeof(lease->tuple.local));
	reader_copy(r, lease->tuple.remote, sizeof(lease->tuple.remote));
	lease->tuple.local_port = reader_get_u16(r);
	lease->tuple.remote_port = reader_get_u16(r);
	lease->uid = reader_get_u32(r);
	reader_copy(r, lease->secret, sizeof(lease->secret));
	lease->state = reader_get_u8(r);
	lease->reason = reader_get_u8(r);
	flags = reader_get_u8(r);
	lease->suite = reader_get_u16(r);
	lease->spi_in = reader_get_u32(r);
	lease->spi_out = reader_get_u32(r);
	lease->reqid_in = reader_get_u32(r);
	lease->reqid_out = reader_get_u32(r);
	lease->made_ms = reader_get_u64(r);
	lease->due_ms = reader_get_u64(r);
	get_text(r, lease->local_name, sizeof(lease->local_name));
	get_text(r, lease->peer_name, sizeof(lease->peer_name));
	get_text(r, lease->method, sizeof(lease->method));
	get_text(r, lease->service, sizeof(lease->service));
	lease->tuple.zone = reader_get_u32(r);
	get_text(r, lease->peer_key, sizeof(lease->peer_key)); /* zeros before: "" */
	flags_apply(flags, lease);
	if (lease->id == 0 || lease->state > IPSEC_LATCH_STATE_CLOSING ||
		(lease->tuple.family != AF_INET && lease->tuple.family != AF_INET6) ||
		(flags & ~FLAGS_KNOWN) != 0)
		reader_fail(r, ERR_INTERNAL);
}

enum err journal_record_read(struct bytes input, struct broker_lease *ret_lease, bool *ret_is_gone)
{
	struct broker_lease lease = { 0 };
	struct reader r, body, tail;
	struct bytes summed;
	uint8_t version, kind;
	enum err status;

	reader_init(&r, input);
	summed = reader_get_bytes(&r, JOURNAL_RECORD_BYTES - CHECKSUM_BYTES);
	tail = reader_get_sub(&r, CHECKSUM_BYTES);
	status = reader_finish(&r);
	if (status != ERR_OK)
		return status;
	if (reader_get_u64(&tail) != checksum(summed))
		return ERR_INTERNAL;
	reader_init(&body, summed);
	version = reader_get_u8(&body);
	kind = reader_get_u8(&body);
	record_get_lease(&body, &lease);
	status = reader_status(&body);
	if (status == ERR_OK &&
		(version != JOURNAL_VERSION || (kind != KIND_LEASE && kind != KIND_GONE)))
		status = ERR_INTERNAL;
	if (status == ERR_OK) {
		*ret_lease = lease;
		*ret_is_gone = kind == KIND_GONE;
	}
	secret_wipe(&lease, sizeof(lease));
	return status;
}

/* A later record of the same lease changes all but its identity. */
static void lease_update(struct broker_lease *lease, const struct broker_lease *record)
{
	struct broker_lease merged = *record;

	merged.recorder = lease->recorder;
	memcpy(merged.counted_reqids, lease->counted_reqids, sizeof(merged.counted_reqids));
	merged.counts_cover = lease->counts_cover;
	merged.counts_closing = lease->counts_closing;
	merged.next_by_cookie = lease->next_by_cookie;
	merged.next_by_tuple = lease->next_by_tuple;
	merged.previous = lease->previous;
	merged.next = lease->next;
	*lease = merged;
	secret_wipe(&merged, sizeof(merged));
}

static bool record_apply(struct lease_table *table, const struct broker_lease *record, bool is_gone)
{
	struct broker_lease *lease = lease_table_find(table, record->cookie);

	if (lease != NULL && (is_gone || lease->id < record->id)) {
		if (lease->id <= record->id)
			lease_table_remove(table, lease);
		lease = NULL;
	}
	if (is_gone)
		return true;
	if (lease == NULL)
		return lease_table_insert(table, record) != NULL;
	if (lease->id != record->id || lease->uid != record->uid ||
		!tuple_is_same(&lease->tuple, &record->tuple))
		return false;
	lease_update(lease, record);
	return lease_table_recount(table, lease);
}

/* A torn or spoilt one is skipped and counted. */
static void record_replay(struct bytes input, struct lease_table *table, size_t *spoilt)
{
	struct broker_lease record;
	bool is_gone;

	if (journal_record_read(input, &record, &is_gone) != ERR_OK) {
		(*spoilt)++;
		return;
	}
	if (!record_apply(table, &record, is_gone))
		(*spoilt)++;
	secret_wipe(&record, sizeof(record));
}

enum err journal_replay(struct bytes input, struct lease_table *table, size_t *ret_spoilt)
{
	struct reader r;
	size_t spoilt = 0;

	reader_init(&r, input);
	while (reader_left(&r) >= JOURNAL_RECORD_BYTES)
		record_replay(reader_get_bytes(&r, JOURNAL_RECORD_BYTES), table, &spoilt);
	if (reader_left(&r) > 0)
		record_replay(reader_get_rest(&r), table, &spoilt);
	*ret_spoilt = spoilt;
	return reader_status(&r);
}

/* Both files stay open: the daemon's sandbox opens none. */
struct journal {
	int file, spare, lock;
	size_t records;	 /* whole ones in file */
	size_t retry_at; /* so many records, after a rewriting that failed */
	bool is_behind;	 /* a record could not be written: the table has more to tell */
	char path[512], new_path[520];
};

/* By its place, so that a torn record never puts later ones out of step. */
static int record_put(int file, size_t place, const struct broker_lease *lease, bool is_gone)
{
	const off_t offset = (off_t)(place * JOURNAL_RECORD_BYTES);
	struct writer w;
	ssize_t len = 0;
	int result = EINVAL;

	writer_init(&w, JOURNAL_RECORD_BYTES);
	if (journal_record_write(lease, is_gone, &w) != ERR_OK)
		goto out;
	if (lseek(file, offset, SEEK_SET) == offset)
		len = write(file, writer_view(&w).data, JOURNAL_RECORD_BYTES);
	else
		len = -1;
	result = len < 0 ? errno : len < JOURNAL_RECORD_BYTES ? ENOSPC : 0;
out:
	writer_free(&w);
	return result;
}

/* ret: octets read, fewer than a record at the file's end. */
static int record_load(int file, uint8_t record[JOURNAL_RECORD_BYTES], size_t *ret_len)
{
	size_t have = 0;
	ssize_t len;

	do {
		len = read(file, record + have, JOURNAL_RECORD_BYTES - have);
		if (len < 0)
			return errno;
		have += (size_t)len;
	} while (len > 0 && have < JOURNAL_RECORD_BYTES);
	*ret_len = have;
	return 0;
}

static int journal_load(struct journal *journal, struct lease_table *table, size_t *ret_spoilt)
{
	uint8_t record[JOURNAL_RECORD_BYTES];
	struct stat status;
	size_t len = 0, spoilt = 0;
	int result;

	if (fstat(journal->file, &status) != 0)
		return errno;
	if (status.st_uid != geteuid() || fchmod(journal->file, 0600) != 0)
		return EPERM;
	do {
		result = record_load(journal->file, record, &len);
		if (result == 0 && len > 0)
			record_replay(BYTES(record, len), table, &spoilt);
		journal->records += result == 0 && len == sizeof(record);
	} while (result == 0 && len == sizeof(record));
	secret_wipe(record, sizeof(record));
	*ret_spoilt = spoilt;
	return result;
}

/* A killed daemon's youngest worker may not have closed its copy of the lock yet. */
static int lock_take(int lock)
{
	const struct timespec pause = { .tv_nsec = LOCK_PAUSE_MS * 1000000L };
	int result = 0;

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(lock, LOCK_EX | LOCK_NB) == 0)
			return 0;
		result = errno == EWOULDBLOCK ? EBUSY : errno;
		if (result != EBUSY)
			return result;
		(void)nanosleep(&pause, NULL);
	}
	return result;
}

static int journal_lock(const char *path, int *ret_lock)
{
	char name[sizeof(((struct journal *)NULL)->new_path)];
	int lock, result;

	(void)snprintf(name, sizeof(name), "%s.lock", path);
	lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return errno;
	result = lock_take(lock);
	if (result != 0) {
		(void)close(lock);
		return result;
	}
	*ret_lock = lock;
	return 0;
}

int journal_open(const char *path, struct lease_table *table, size_t *ret_spoilt,
	struct journal **ret_journal)
{
	struct journal *journal;
	size_t spoilt = 0;
	int result;

	if (strlen(path) + sizeof(".lock") > sizeof(journal->path))
		return ENAMETOOLONG;
	journal = calloc(1, sizeof(*journal));
	if (journal == NULL)
		return ENOMEM;
	journal->file = journal->spare = journal->lock = -1;
	(void)snprintf(journal->path, sizeof(journal->path), "%s", path);
	(void)snprintf(journal->new_path, sizeof(journal->new_path), "%s.new", path);
	result = journal_lock(path, &journal->lock);
	if (result != 0)
		goto out;
	journal->file = open(path, JOURNAL_OPEN, 0600);
	result = journal->file < 0 ? errno : journal_load(journal, table, &spoilt);
	if (result != 0)
		goto out;
	journal->spare = open(journal->new_path, JOURNAL_OPEN | O_TRUNC, 0600);
	result = journal->spare < 0 ? errno : 0;
	if (result != 0)
		goto out;
	*ret_spoilt = spoilt;
	*ret_journal = journal;
	journal = NULL;
out:
	journal_close(&journal);
	return result;
}

void journal_close(struct journal **journal)
{
	if (*journal == NULL)
		return;
	if ((*journal)->file >= 0)
		(void)close((*journal)->file);
	if ((*journal)->spare >= 0)
		(void)close((*journal)->spare);
	if ((*journal)->lock >= 0)
		(void)close((*journal)->lock);
	free(*journal);
	*journal = NULL;
}

/* The table's leases but one, which may be NULL, as the file's first records. */
static int leases_put(int file, const struct lease_table *table, const struct broker_lease *except)
{
	const struct broker_lease *lease = lease_table_after(table, 0);
	size_t place = 0;
	int result = 0;

	for (; lease != NULL && result == 0; lease = lease_table_next(lease)) {
		if (lease != except)
			result = record_put(file, place++, lease, false);
	}
	return result;
}

static bool file_empty(int file)
{
	return ftruncate(file, 0) == 0;
}

/* In a new file, which is whole before it has the name. */
static int file_exchange(
	struct journal *journal, const struct lease_table *table, const struct broker_lease *except)
{
	const int old = journal->file;
	int result;

	if (!file_empty(journal->spare))
		return EIO;
	result = leases_put(journal->spare, table, except);
	if (result == 0 && renameat2(AT_FDCWD, journal->new_path, AT_FDCWD, journal->path,
				   RENAME_EXCHANGE) != 0)
		result = errno;
	if (result == 0) {
		journal->file = journal->spare;
		journal->spare = old;
	}
	/* It takes no room meanwhile; and is emptied before it is used again, in any case. */
	(void)file_empty(journal->spare);
	return result;
}

/* Over the old ones, which takes no room.  The file says the same at each moment: ids ascend in it, so
 * no lease has its first record before its new place; thus of a lease that is not written yet all
 * records are there, and of the others what is left of the old ones ends with the last.  (Behind a
 * lease that never got a record, because its request failed and is being undone, who kills the broker
 * in this moment may make it forget one: that connection carries nothing any more.) */
static int file_overwrite(struct journal *journal, const struct lease_table *table,
	const struct broker_lease *except, size_t held)
{
	int result = leases_put(journal->file, table, except);

	if (result == 0 && ftruncate(journal->file, (off_t)(held * JOURNAL_RECORD_BYTES)) != 0)
		result = errno;
	return result;
}

static int journal_rewrite(
	struct journal *journal, const struct lease_table *table, const struct broker_lease *except)
{
	const size_t held = lease_table_count(table) - (except != NULL);
	int result = file_exchange(journal, table, except);

	if (result != 0 && held <= journal->records)
		result = file_overwrite(journal, table, except, held);
	if (result != 0) {
		journal->retry_at = journal->records + SLACK_RECORDS;
		return result;
	}
	journal->records = held;
	journal->retry_at = 0;
	journal->is_behind = false;
	return 0;
}

int journal_compact(struct journal *journal, const struct lease_table *table)
{
	return journal_rewrite(journal, table, NULL);
}

bool journal_is_behind(const struct journal *journal)
{
	return journal->is_behind;
}

static bool journal_is_long(const struct journal *journal, size_t held)
{
	return journal->records > SLACK_RECORDS + 2 * held && journal->records >= journal->retry_at;
}

int journal_append(struct journal *journal, const struct lease_table *table,
	const struct broker_lease *lease, bool is_gone)
{
	const size_t held = lease_table_count(table) - is_gone;
	int rewritten, result = EAGAIN;

	/* Behind a record that is missing none is appended, only all are written anew. */
	if (!journal->is_behind)
		result = record_put(journal->file, journal->records, lease, is_gone);
	if (result == 0) {
		journal->records++;
		if (!journal_is_long(journal, held))
			return 0;
	}
	rewritten = journal_rewrite(journal, table, is_gone ? lease : NULL);
	if (result == 0)
		return 0; /* it is in: a rewriting that fails is tried again later */
	journal->is_behind = rewritten != 0;
	return rewritten;
}
