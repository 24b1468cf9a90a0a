/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client half of latching: finds the process's connections and asks the broker to protect one.
 * Runs inside applications: no thread, no state between calls but what the caller holds, no
 * descriptor kept (a kept duplicate would delay the application's FIN), every call bounded in time.
 * Thread-safe and fork-safe.  Order and verdict: doc/protocol.md section 6.
 *
 * A reason (include/ipsec_latch.h) is not an error here: functions return the reason, 0 = done.
 */
#ifndef KERNEL_BIND_KERNEL_BIND_H
#define KERNEL_BIND_KERNEL_BIND_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/secret.h"
#include "include/ipsec_latch.h"

#define KBIND_CANDIDATES_MAX 64
#define KBIND_SECRET_BYTES 16
#define KBIND_NAME_BYTES_MAX 255
#define KBIND_KEY_NAME_BYTES_MAX 50   /* "SHA256:" and 43 digits */
#define KBIND_BROKER_TIMEOUT_MS 12000 /* for an answer, and before it for a place in the queue */
#define KBIND_BROKER_CROWD_MS 60000   /* as long as it hangs up on a crowd, it is asked again */

struct kbind_tuple {
	uint8_t family;			  /* AF_INET or AF_INET6; v4-mapped is given as AF_INET */
	uint8_t protocol;		  /* IPPROTO_TCP */
	uint8_t local[16], remote[16];	  /* network order, first 4 octets for AF_INET */
	uint16_t local_port, remote_port; /* host order */
	uint32_t zone; /* interface of link-local addresses (RFC 4007), which mean nothing without
			* it; 0 for all others. The peer's number for it is another one. */
};

/* One connection of this process, as it was when looked at. */
struct kbind_candidate {
	int fd;		 /* number only, nothing is held; -1: none */
	uint64_t cookie; /* SO_COOKIE: the socket's identity */
	uint64_t inode;	 /* for "newest first" */
	struct kbind_tuple tuple;
	uint64_t sent_bytes, received_bytes; /* since the connection began */
	uint32_t written_bytes; /* what the program has written so far, each octet once; mod 2^32 */
	/* The same as the kernel counts it: what this host itself dropped twice, but it never falls. */
	uint32_t counted_bytes;
	uint32_t last_received_ms; /* tcpi_last_data_recv: how long ago data came */
	uint32_t unread_bytes;	   /* kbind_refresh only: what the program has not read yet */
	bool is_uncounted; /* no TCP: how much it carried is not known, so it may be anything */
	bool is_closing; /* kbind_refresh and _visit: either end has closed, its counters still count */
	/* 0: it can be latched; else why not, ALREADY_LATCHED where some context latched it or is about to. */
	enum ipsec_latch_reason fitness;
};

struct kbind_candidates {
	struct kbind_candidate items[KBIND_CANDIDATES_MAX];
	size_t count;
	/* Connections that this version cannot latch (NOT_TCP, HAS_FILTER, ULP), and those that are latched or being
	 * latched already; tokens may travel on them. */
	struct kbind_candidate unfit[KBIND_CANDIDATES_MAX];
	size_t unfit_count;
	bool is_cut;	  /* there were more than fit into one of both lists */
	int64_t found_ms; /* CLOCK_MONOTONIC, just before they were looked at */
};

/* The ESTABLISHED TCP connections of this process, each socket once, newest first; latched ones (an IP_XFRM
 * policy cannot be asked for, so: a socket filter attached counts as ALREADY_LATCHED or HAS_FILTER) are left out
 * unless nothing else is found.  fd >= 0: only that descriptor is looked at (explicit).  The unfit ones, is_cut
 * and found_ms are written for every reason, the others for LATCHED only.
 * Returns IPSEC_LATCH_LATCHED with count >= 1, else the reason: NONE, NOT_TCP, ULP, NO_PROC, TOO_MANY (more than
 * 4096 descriptors), ALREADY_LATCHED, SELF, SOCKET_GONE.  No DNS, no broker, nothing is changed. */
enum ipsec_latch_reason kbind_find_candidates(
	int fd, struct kbind_candidates *ret_candidates) ERR_MUST_CHECK;
/* For a process that holds thousands: which of its sockets a search looks at.  Cookie and tuple cost one
 * and two system calls, all else a dozen more.  What is not taken, or has no such tuple, is not looked
 * at: as if it were not there.  Asked for each descriptor unless one is named; NULL: not asked. */
struct kbind_pick {
	bool (*takes_cookie)(uint64_t cookie, const void *argument);
	bool (*takes_tuple)(const struct kbind_tuple *tuple, const void *argument);
	const void *argument;
};
/* kbind_find_candidates() for an acceptor: those of pick (NULL: all) that wants accepts (NULL: all), the
 * one on which data arrived last first, so that of more than KBIND_CANDIDATES_MAX the freshest are kept.
 * SOCKET_GONE also where pick takes only what either end has closed. */
typedef bool (*kbind_wants)(const struct kbind_candidate *candidate, const void *argument);
enum ipsec_latch_reason kbind_find_wanted(int fd, const struct kbind_pick *pick, kbind_wants wants,
	const void *argument, struct kbind_candidates *ret_candidates) ERR_MUST_CHECK;
/* Shows the connections of this process, all or those of pick (NULL: all), to visit, in no order, once for
 * each descriptor: latched ones and those that cannot be latched too, and closed ones whose descriptor is
 * still open (also such as never were one, which have carried nothing).  fd >= 0: only that one.
 * LATCHED when none was overlooked; else NO_PROC, TOO_MANY, of one fd SOCKET_GONE or NOT_TCP. */
typedef void (*kbind_visit)(const struct kbind_candidate *connection, void *argument);
enum ipsec_latch_reason kbind_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument) ERR_MUST_CHECK;
/* Looks at the same descriptor again, through a duplicate closed before it returns: SOCKET_GONE when cookie or
 * tuple are not the same any more.  Of a connection that was closed meanwhile, by either end or by anybody on
 * the path, what came before can still be read: is_closing is set then. */
enum ipsec_latch_reason kbind_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now) ERR_MUST_CHECK;

/* A lease of the broker, held by a context. */
struct kbind_lease {
	uint8_t secret[KBIND_SECRET_BYTES]; /* proves ownership to the broker; wiped on release */
	uint64_t cookie;
	uint32_t spi_in;
	uint32_t out_of_order_packets; /* how many there were when none was pending: verdict (e) */
	bool is_held;
};

struct kbind_reserve {
	bool is_initiator;
	uint16_t suite;			  /* enum of doc/protocol.md: ESP suites */
	const struct secret_key *key_in;  /* key and salt of the direction towards us */
	const struct secret_key *key_out; /* initiator only (both SAs are installed on T2) */
	uint32_t spi_out;		  /* initiator only */
	uint64_t token_bytes; /* acceptor: |T1|; so much behind another reservation takes it over */
};
struct kbind_latch {
	uint64_t token_bytes; /* |T3| at the acceptor, |T4| at the initiator: verdict (c) */
	const struct secret_key *key_out; /* acceptor only */
	uint32_t spi_out;		  /* acceptor only */
	const char *local_name, *peer_name, *method,
		*service;     /* what this process claims, for status; may be NULL */
	const char *peer_key; /* the same: the SHA256 name of the key that the peer has proven */
};

/* Acceptor at T1, initiator at T2 (doc/protocol.md 6, order 1 and 2): the broker attaches the recorder,
 * allocates an SPI, installs the inbound SA (acceptor) or both and the outbound policy (initiator).  Checks
 * (e) and (f) are made here, before the broker is asked and again behind its answer: what came between the
 * first look and the recorder's start is in no record. */
enum ipsec_latch_reason kbind_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease) ERR_MUST_CHECK;
/* Acceptor at T3, initiator at T4: outbound SA, policies, close cover, and the whole verdict; (a)-(d) by the
 * broker, then (e) and (f) here. On any reason but LATCHED the context must die; see kbind_release. */
enum ipsec_latch_reason kbind_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch) ERR_MUST_CHECK;
/* The context failed: undoes what may be undone, or marks the latch FAILED (doc/protocol.md 6, "Failure"; the broker
 * decides by what the lease's recorder saw).  Wipes the lease. Never fails: the broker's timer is the fallback. */
void kbind_release(const char *broker_path, const struct kbind_candidate *candidate,
	struct kbind_lease *lease);
/* The context ends in good order: forgets the lease (wipes it) and leaves the latch to the socket's life. */
void kbind_forget(struct kbind_lease *lease);

/* What the broker knows of one lease. Kernel facts first, then what the latching process claimed. */
struct kbind_status {
	uint64_t cookie;
	struct kbind_tuple tuple;
	uint8_t state;	/* enum ipsec_latch_state */
	uint8_t reason; /* why BROKEN or FAILED; 0 otherwise */
	bool is_initiator;
	uint16_t suite;
	uint32_t spi_in, spi_out, reqid; /* 0 when not shown to this uid */
	uint32_t uid;			 /* who latched */
	uint64_t age_sec;
	uint64_t bytes_in, packets_in, bytes_out, packets_out;
	char local_name[KBIND_NAME_BYTES_MAX + 1],
		peer_name[KBIND_NAME_BYTES_MAX + 1]; /* claimed; empty when not shown to this uid */
	char method[32], service[65], peer_key[KBIND_KEY_NAME_BYTES_MAX + 1];
};
/* The lease on one connection; anybody who holds the descriptor may ask. */
enum ipsec_latch_reason kbind_query(
	const char *broker_path, int fd, struct kbind_status *ret_status) ERR_MUST_CHECK;
/* The same for a connection that was seen before: SOCKET_GONE when the descriptor is another one by now.  While
 * the lease is larval, another context may be about to latch it: waits for that wait_ms at most. */
enum ipsec_latch_reason kbind_query_settled(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms,
	struct kbind_status *ret_status) ERR_MUST_CHECK;
/* All leases, page after page from *cursor (0 first) until *ret_count is 0. Names only for own ones, or to root.
 * room: at least BROKER_LIST_MAX, else TOO_MANY. */
enum ipsec_latch_reason kbind_list(const char *broker_path, uint64_t *cursor,
	struct kbind_status *ret_items, size_t room, size_t *ret_count) ERR_MUST_CHECK;
/* A request that the broker refused, as long as it remembers. */
struct kbind_refusal {
	uint64_t age_sec;
	uint32_t uid;
	uint8_t request; /* enum broker_request_type */
	uint8_t reason;
	bool has_tuple; /* it was about a connection */
	struct kbind_tuple tuple;
};
/* This user's (root: all users') recent refusals, the oldest first; pages as kbind_list.  An older broker
 * has none to tell: NO_BROKER.  room: at least BROKER_LIST_MAX, else TOO_MANY. */
enum ipsec_latch_reason kbind_refusals(const char *broker_path, uint64_t *cursor,
	struct kbind_refusal *ret_items, size_t room, size_t *ret_count) ERR_MUST_CHECK;
/* Whether the broker answers, and whether this kernel can latch: NO_BROKER, NO_ESP, NO_BPF, OFFLOAD, ... or 0. */
enum ipsec_latch_reason kbind_ping(const char *broker_path) ERR_MUST_CHECK;

/* Whether this process has more than one thread; true where /proc does not say. */
bool kbind_has_threads(void);

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t kbind_clock_ms(void);

/* The seam that unit tests of mech/ replace; production uses kbind_ops_broker. */
struct kbind_ops {
	enum ipsec_latch_reason (*find_candidates)(int fd, struct kbind_candidates *ret_candidates);
	enum ipsec_latch_reason (*find_wanted)(int fd, const struct kbind_pick *pick,
		kbind_wants wants, const void *argument, struct kbind_candidates *ret_candidates);
	enum ipsec_latch_reason (*visit_all)(
		int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument);
	enum ipsec_latch_reason (*refresh)(
		const struct kbind_candidate *candidate, struct kbind_candidate *ret_now);
	enum ipsec_latch_reason (*reserve)(const char *broker_path,
		const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
		struct kbind_lease *ret_lease);
	enum ipsec_latch_reason (*latch)(const char *broker_path,
		const struct kbind_candidate *candidate, struct kbind_lease *lease,
		const struct kbind_latch *latch);
	void (*release)(const char *broker_path, const struct kbind_candidate *candidate,
		struct kbind_lease *lease);
	enum ipsec_latch_reason (*query_settled)(const char *broker_path,
		const struct kbind_candidate *candidate, int wait_ms,
		struct kbind_status *ret_status);
};
extern const struct kbind_ops kbind_ops_broker;

#endif
