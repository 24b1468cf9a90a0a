/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state file, which lets a restarted broker find its leases again: records of one fixed size,
 * put behind the last with one write() each, the last of an id wins.  It lives under /run (so never longer
 * than the kernel's objects) and is readable by root only; it holds the leases' secrets themselves,
 * because who can read it can do all that a secret allows anyway.  Keys are never in it.
 */
#ifndef KERNEL_BIND_BROKER_JOURNAL_H
#define KERNEL_BIND_BROKER_JOURNAL_H

#include "kernel-bind/broker_lease.h"

#define JOURNAL_RECORD_BYTES 1024

/* One record: a lease as it is, or that it is gone. Always JOURNAL_RECORD_BYTES long. */
enum err journal_record_write(
	const struct broker_lease *lease, bool is_gone, struct writer *w) ERR_MUST_CHECK;
/* ERR_TRUNCATED_INPUT, ERR_TRAILING_INPUT: length; ERR_INTERNAL: checksum, version or values. */
enum err journal_record_read(
	struct bytes input, struct broker_lease *ret_lease, bool *ret_is_gone) ERR_MUST_CHECK;
/* Applies all whole records to an empty table; a torn or spoilt one is skipped and counted. */
enum err journal_replay(
	struct bytes input, struct lease_table *table, size_t *ret_spoilt) ERR_MUST_CHECK;

struct journal;

/* Replays the file, if there is one, into the empty table, and opens it for appending.  0 or a
 * positive errno; EBUSY: another broker has it. */
int journal_open(const char *path, struct lease_table *table, size_t *ret_spoilt,
	struct journal **ret_journal) ERR_MUST_CHECK;
/* NULL inside is fine; nulls it. */
void journal_close(struct journal **journal);
/* 0 or a positive errno.  lease is one of table's, from which the file is rewritten when it has grown
 * much longer, and when a record cannot be added: it is in then, too. */
int journal_append(struct journal *journal, const struct lease_table *table,
	const struct broker_lease *lease, bool is_gone) ERR_MUST_CHECK;
/* Whether the last journal_append() failed, so that the next one brings what that was to bring. */
bool journal_is_behind(const struct journal *journal);
/* Writes a new file with the table's leases and puts it in the old one's place; where there is no
 * room for it, writes them over the old one's records.  If it fails, the file tells what it told. */
int journal_compact(struct journal *journal, const struct lease_table *table) ERR_MUST_CHECK;

#endif
