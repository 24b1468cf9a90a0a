/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches the life of TCP sockets through sock_diag: an event for each that ends (at the beginning
 * of TIME_WAIT, say), and questions about single ones.  Own network namespace only.
 */
#ifndef KERNEL_BIND_BROKER_WATCH_H
#define KERNEL_BIND_BROKER_WATCH_H

#include "kernel-bind/kernel_bind.h"

struct watch;

enum watch_finding {
	WATCH_ALIVE, /* this socket still has this tuple */
	WATCH_MOVED, /* it lives with another tuple */
	WATCH_GONE,
	WATCH_UNKNOWN /* the kernel did not say */
};

typedef void watch_each_ended(void *context, uint64_t cookie);

int watch_open(struct watch **ret_watch) ERR_MUST_CHECK;
void watch_close(struct watch **watch);
/* For poll(): events are there. */
int watch_descriptor(const struct watch *watch);
/* Hands over the cookies of ended sockets; false: some events were lost, so ask about all. */
bool watch_read(struct watch *watch, watch_each_ended *each, void *context);
enum watch_finding watch_look(
	struct watch *watch, const struct kbind_tuple *tuple, uint64_t cookie);

#endif
