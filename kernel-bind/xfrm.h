/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the broker asks of the kernel's IPsec: security associations (SAs) in transport mode for
 * exact five-tuples, policies on sockets, and the close cover in the security policy database
 * (SPD).
 * Netlink stays below this header.  Functions return 0 or a positive errno; not thread-safe.
 */
#ifndef KERNEL_BIND_XFRM_H
#define KERNEL_BIND_XFRM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "kernel-bind/kernel_bind.h"

/* Our reqids: far above strongSwan's (from 1) and Libreswan's (from 0x3fff). */
#define KXFRM_REQID_BASE 0x47000000u
#define KXFRM_REQID_MASK 0x00ffffffu
#define KXFRM_REQID_ANY 0 /* of a cover that yields: no reqid is asked for */

/* Conversation for requests. */
struct kxfrm;

int kxfrm_open(struct kxfrm **ret_xfrm) ERR_MUST_CHECK;
void kxfrm_close(struct kxfrm **xfrm);
bool kxfrm_reqid_is_ours(uint32_t reqid);

/* One direction of one connection. tuple is the local end's view of it. */
struct kxfrm_path {
	const struct kbind_tuple *tuple;
	bool is_inbound;
};

struct kxfrm_sa {
	struct kxfrm_path path;
	uint32_t spi, reqid;
	uint32_t mark; /* put on what an inbound SA decapsulates; 0: none */
	uint16_t suite;
	const struct secret_key *key; /* key and salt */
	bool fills_larval;	      /* an SPI of kxfrm_spi_allocate */
};

struct kxfrm_counters {
	uint64_t bytes, packets;
};

/* Whether SAs are installed for suite (doc/protocol.md 2.1); ret: octets of key and salt. */
bool kxfrm_suite_is_known(uint16_t suite, size_t *ret_key_bytes);
/* A fresh SPI and a larval inbound SA that the kernel forgets by itself after its acquire time. */
int kxfrm_spi_allocate(struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid,
	uint32_t *ret_spi) ERR_MUST_CHECK;
/* Never replaces an SA: EEXIST instead. EPROTONOSUPPORT: no ESP; ENOSYS, ENOENT: no such cipher. */
int kxfrm_sa_install(struct kxfrm *xfrm, const struct kxfrm_sa *sa) ERR_MUST_CHECK;
/* ESRCH when it is not there. */
int kxfrm_sa_remove(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi) ERR_MUST_CHECK;
int kxfrm_sa_query(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi,
	struct kxfrm_counters *ret_counters) ERR_MUST_CHECK;
/* Whether the kernel's SA has exactly this key; constant-time in the key. */
int kxfrm_sa_compare_key(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi,
	const struct secret_key *key, bool *ret_is_same) ERR_MUST_CHECK;

/* An SA of the dump; addresses in network order. */
struct kxfrm_sa_seen {
	uint8_t family, protocol;
	uint8_t source[16], destination[16];
	uint32_t spi, reqid;
};
typedef void kxfrm_each_sa(void *context, const struct kxfrm_sa_seen *seen);
int kxfrm_sa_dump(struct kxfrm *xfrm, kxfrm_each_sa *each, void *context) ERR_MUST_CHECK;
int kxfrm_sa_remove_seen(struct kxfrm *xfrm, const struct kxfrm_sa_seen *seen) ERR_MUST_CHECK;

/* The close cover: SPD entries for exactly this connection that demand its own SAs.  EEXIST: there
 * is an entry with that selector. On failure nothing of it is left. */
int kxfrm_cover_install(struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in,
	uint32_t reqid_out) ERR_MUST_CHECK;
/* Puts back what is missing of a cover installed before; EEXIST: somebody else's entry has its
 * place. */
int kxfrm_cover_repair(struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in,
	uint32_t reqid_out) ERR_MUST_CHECK;
/* From now on the inbound entry of a cover with this reqid takes what comes in by any SA whose selector
 * is this connection, and nothing in the clear, as before.  With reqid_in KXFRM_REQID_ANY the others
 * repair and remove it. EEXIST: somebody else's entry has its place. */
int kxfrm_cover_yield(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in) ERR_MUST_CHECK;
/* Removes what of it is there; entries of others with the same selector stay. */
int kxfrm_cover_remove(struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in,
	uint32_t reqid_out) ERR_MUST_CHECK;

/* The cover's second form: SPD entries, in and out, that block whatever bears a mark of this range.
 * Sockets get the mark itself; inbound SAs that mark and their reqid's low bits. */
#define KXFRM_COVER_MARK 0xc7000000u
#define KXFRM_COVER_MARK_MASK 0xff000000u
#define KXFRM_COVER_BIT 0x80000000u /* added to a mark that is a reqid */
/* Puts in what is missing of the blocks, of both families; 0 or a positive errno. */
int kxfrm_blocks_install(struct kxfrm *xfrm) ERR_MUST_CHECK;
int kxfrm_blocks_remove(struct kxfrm *xfrm) ERR_MUST_CHECK;
/* Another mark for what this SA decapsulates from now on; its key and counters stay. */
int kxfrm_sa_set_mark(struct kxfrm *xfrm, const struct kxfrm_sa *sa) ERR_MUST_CHECK;

/* One SPD entry as far as the broker judges it. */
struct kxfrm_policy {
	uint8_t family, protocol;
	uint8_t direction; /* XFRM_POLICY_IN or XFRM_POLICY_OUT */
	uint8_t source_bits, destination_bits;
	uint8_t source[16], destination[16];
	uint16_t source_port, source_port_mask, destination_port, destination_port_mask;
	uint32_t priority, index, mark, mark_mask, if_id;
	uint32_t reqid; /* of the first template; 0: no template, or none that names one */
	bool has_template, is_block;
	bool is_partial; /* for one device, or of the second table: it hides no other entry */
	bool is_local_ok; /* a flag that the kernel keeps and does not use: ours, where a cover yields */
};
typedef void kxfrm_each_policy(void *context, const struct kxfrm_policy *policy);
/* SPD entries only, no socket policies. */
int kxfrm_policy_dump(struct kxfrm *xfrm, kxfrm_each_policy *each, void *context) ERR_MUST_CHECK;
/* By index and direction, as a dump showed it. */
int kxfrm_policy_remove(struct kxfrm *xfrm, const struct kxfrm_policy *policy) ERR_MUST_CHECK;
/* Whether the entry is a cover, one that yields included (reqid KXFRM_REQID_ANY), or a block of its
 * second form. */
bool kxfrm_policy_is_cover(const struct kxfrm_policy *policy);
bool kxfrm_policy_is_block(const struct kxfrm_policy *policy);
/* Whether the entry says how packets travel: that they do not, or protected. */
bool kxfrm_policy_prescribes(const struct kxfrm_policy *policy);
/* The best of these entries for packets of this path with this mark, where it prescribes something, be it
 * that packets pass before a cover stops them; of equal ones, one that does: the kernel takes the older,
 * which a dump does not show.  NULL: none. */
const struct kxfrm_policy *kxfrm_policy_find_prescribing(
	const struct kxfrm_policy *items, size_t count, struct kxfrm_path path, uint32_t mark);
/* Whether the entry would apply to packets of this path with this mark. */
bool kxfrm_policy_matches(const struct kxfrm_policy *policy, struct kxfrm_path path, uint32_t mark);

/* Socket policies, for whoever holds the descriptor (needs CAP_NET_ADMIN, no conversation). */
enum kxfrm_socket_policy {
	KXFRM_SOCKET_REQUIRE, /* ESP with this reqid or nothing */
	KXFRM_SOCKET_BLOCK    /* nothing */
};
/* family: what the connection's packets are, AF_INET for a v4-mapped socket too.  Packets of the
 * other family pass a socket policy by. */
int kxfrm_socket_policy_set(int fd, uint8_t family, bool is_inbound,
	enum kxfrm_socket_policy policy, uint32_t reqid) ERR_MUST_CHECK;
/* Both directions. */
int kxfrm_socket_policy_clear(int fd) ERR_MUST_CHECK;

/* What others did to IPsec's state, or time did. */
enum kxfrm_event_type {
	KXFRM_EVENT_SA_GONE,	    /* deleted */
	KXFRM_EVENT_SA_USED_UP,	    /* its hard limit was reached */
	KXFRM_EVENT_SA_FLUSHED,	    /* all of them, perhaps */
	KXFRM_EVENT_POLICY_CHANGED, /* one SPD entry came or went */
	KXFRM_EVENT_COVER_GONE,	    /* one of ours went, or all entries did */
	KXFRM_EVENT_LOST	    /* events were lost: look at everything */
};
struct kxfrm_event {
	enum kxfrm_event_type type;
	uint8_t destination[16]; /* SA_GONE, SA_USED_UP */
	uint32_t spi;
};
struct kxfrm_events;
typedef void kxfrm_each_event(void *context, const struct kxfrm_event *event);

/* Events that xfrm's own requests cause are left out; xfrm must outlive the events. */
int kxfrm_events_open(const struct kxfrm *xfrm, struct kxfrm_events **ret_events) ERR_MUST_CHECK;
void kxfrm_events_close(struct kxfrm_events **events);
int kxfrm_events_descriptor(const struct kxfrm_events *events);
/* Hands over what is there, without waiting; false: after 64 datagrams and 20 ms there was more. */
bool kxfrm_events_read(struct kxfrm_events *events, kxfrm_each_event *each, void *context);

#endif
