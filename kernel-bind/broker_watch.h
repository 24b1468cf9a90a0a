/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches the life of TCP sockets through sock_diag: an event for each that ends (at the beginning
 * of TIME_WAIT, say), a question about a single one, and a sweep, which goes through all of them in
 * pieces, so that nobody waits for its end.  Own network namespace only.
 */
#ifndef KERNEL_BIND_BROKER_WATCH_H
#define KERNEL_BIND_BROKER_WATCH_H

#include "kernel-bind/kernel_bind.h"

struct watch;

enum watch_finding {
	WATCH_ALIVE,   /* this socket has this tuple */
	WATCH_REMNANT, /* TIME_WAIT, or an orphan's FIN_WAIT2, is what is left of it */
	WATCH_NONE,    /* not there; a socket bound to a device is found by sweeps only */
	WATCH_UNKNOWN  /* the kernel did not say */
};

typedef void watch_each_ended(void *context, uint64_t cookie);
/* One socket of a sweep: connected, connecting or closing, no remnant. */
typedef void watch_each_socket(void *context, uint64_t cookie, const struct kbind_tuple *tuple);

int watch_open(struct watch **ret_watch) ERR_MUST_CHECK;
void watch_close(struct watch **watch);
/* For poll(): events are there. */
int watch_descriptor(const struct watch *watch);
/* Hands over the cookies of ended sockets, for 20 ms at most; false: some events were lost. */
bool watch_read(struct watch *watch, watch_each_ended *each, void *context);
/* By tuple and cookie, at once. */
enum watch_finding watch_look(
	struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);
/* Whether this socket, and no other nor what is left of one, has this tuple, on whatever device; false
 * also where the kernel did not say.  Goes through all sockets of the host. */
bool watch_is_alone(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);

/* Whether TIME_WAIT or an orphan of this socket is there, on whatever device it was bound to; goes through
 * all sockets of the host. */
bool watch_has_remnant(struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);

/* Begins a sweep; only when the one before is over.  0 or a positive errno. */
int watch_sweep_begin(struct watch *watch) ERR_MUST_CHECK;
/* For poll(): a piece is there. */
int watch_sweep_descriptor(const struct watch *watch);
/* Hands over one piece, some hundred sockets, without waiting; false: none is there yet.
 * *ret_is_over: it was the last one; *ret_is_whole: then, whether every socket was handed over. */
bool watch_sweep_read(struct watch *watch, watch_each_socket *each, void *context,
	bool *ret_is_over, bool *ret_is_whole);

#endif
