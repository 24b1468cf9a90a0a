/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lease table: one lease for each connection that the broker protects or is about to.  Found by
 * socket cookie (one lease at most) or by tuple (several: an earlier connection may be in its
 * closing time), walked in the order of making.  No kernel calls here.
 */
#ifndef KERNEL_BIND_BROKER_LEASE_H
#define KERNEL_BIND_BROKER_LEASE_H

#include "kernel-bind/broker_recorder.h"
#include "kernel-bind/tuple.h"

struct broker_lease {
	uint64_t id; /* counts up, never reused; 0 only before lease_table_insert */
	uint64_t cookie;
	struct kbind_tuple tuple;
	uint32_t uid;
	uint8_t secret[KBIND_SECRET_BYTES];
	uint8_t state, reason; /* ipsec_latch.h */
	uint16_t suite;
	uint32_t spi_in, spi_out, reqid_in, reqid_out; /* 0: not there; mark = reqid_in */
	bool is_initiator;
	bool has_in_policy, has_out_policy; /* on the socket, or being set */
	bool has_cover;			    /* SPD entries of this connection's own */
	bool is_marked;	 /* the cover's second form: the socket bears a mark that is blocked */
	bool shares_out; /* the outbound SA is the inbound one of a lease with the mirrored tuple */
	bool is_released; /* its context is gone; may be replaced */
	bool is_busy; /* a request is at work on it; not kept in the journal, nor are those below */
	uint64_t made_ms;	   /* CLOCK_BOOTTIME */
	uint64_t due_ms;	   /* when LARVAL or CLOSING ends; 0: never */
	struct recorder *recorder; /* while LARVAL; owned */
	uint32_t buffer_bytes;	   /* largest SO_RCVBUF seen while LARVAL */
	uint64_t taken_bytes;	   /* off the connection by its program, when it was reserved */
	bool is_unbound;   /* seen to be bound to no device: watch_look() finds its remnant */
	bool is_destroyed; /* CLOSING: the kernel told that the socket is no more */
	bool is_yielding; /* while CLOSING: a new connection has its tuple, see broker_cover_yield() */
	uint64_t seen_in; /* the last sweep that met the socket */
	uint8_t missed;	  /* so many sweeps since did not */
	char local_name[KBIND_NAME_BYTES_MAX + 1], peer_name[KBIND_NAME_BYTES_MAX + 1];
	char method[32], service[65], peer_key[KBIND_KEY_NAME_BYTES_MAX + 1];
	/* private to broker_lease.c */
	uint32_t counted_reqids[2];
	bool counts_cover, counts_closing;
	struct broker_lease *next_by_cookie, *next_by_tuple, *previous, *next;
};

struct lease_table;

struct lease_table *lease_table_new(void);
/* Forgets all leases (the kernel's objects stay); NULL inside is fine; nulls it. */
void lease_table_free(struct lease_table **table);
/* A copy of lease goes in, with a new id unless it has one; NULL: no memory, or cookie or id taken.
 * recorder changes owner. */
struct broker_lease *lease_table_insert(
	struct lease_table *table, const struct broker_lease *lease) ERR_MUST_CHECK;
/* Wipes and frees. */
void lease_table_remove(struct lease_table *table, struct broker_lease *lease);
struct broker_lease *lease_table_find(const struct lease_table *table, uint64_t cookie);
/* A lease on exactly this tuple other than except (may be NULL) for which accepts says so. */
struct broker_lease *lease_table_find_tuple(const struct lease_table *table,
	const struct kbind_tuple *tuple, const struct broker_lease *except,
	bool (*accepts)(const struct broker_lease *lease));
/* In order of making: the first with an id greater than id; NULL: none. */
struct broker_lease *lease_table_after(const struct lease_table *table, uint64_t id);
/* The one made next; NULL: none. */
struct broker_lease *lease_table_next(const struct broker_lease *lease);
size_t lease_table_count(const struct lease_table *table);

/* Reqids, covers, users and closing ones are counted, so that no answer grows with the number of leases.
 * Whoever changes a lease's reqids, has_cover or state has it counted anew (broker_record() does); false:
 * no memory, to which taking away never comes. */
bool lease_table_recount(struct lease_table *table, struct broker_lease *lease) ERR_MUST_CHECK;
bool lease_table_uses_reqid(const struct lease_table *table, uint32_t reqid);
/* Leases with a cover of their own between these two addresses. */
size_t lease_table_count_covers(const struct lease_table *table, const struct kbind_tuple *tuple);
/* Each user id that has leases, in no order, how many it has, and how many of these are CLOSING. */
typedef void lease_each_user(void *context, uint32_t uid, size_t count, size_t closing);
void lease_table_each_user(const struct lease_table *table, lease_each_user *each, void *context);

/* Whether secret and uid are the lease's; constant-time in the secret. */
bool lease_is_owned(const struct broker_lease *lease, uint32_t uid, const uint8_t *secret);

#endif
