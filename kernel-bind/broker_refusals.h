/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the broker refused of late, for 'gss-ipsec status --refused': a list of fixed size.  A user
 * (an account: one person's ids in /etc/subuid are one) has a few places in it, and a crowd of users
 * makes room at the cost of who has most, so that nobody's refusals push out another one's.  Lost
 * when the broker restarts; nothing is decided by it.
 */
#ifndef KERNEL_BIND_BROKER_REFUSALS_H
#define KERNEL_BIND_BROKER_REFUSALS_H

#include "kernel-bind/kernel_bind.h"

#define REFUSED_MAX 256
#define REFUSED_USER_MAX 16

struct refused {
	/* private to broker_refusals.c; zeroed: empty */
	struct refusal {
		uint64_t number; /* counts up; 0: a free place */
		uint64_t at_ms;
		uint32_t account;
		struct kbind_refusal told; /* but for its age */
	} items[REFUSED_MAX];
	uint64_t last;
};

/* tuple: family 0 for a request without a connection. */
void refused_note(struct refused *refusals, uint32_t uid, uint8_t request,
	enum ipsec_latch_reason reason, const struct kbind_tuple *tuple, uint64_t now_ms);
/* Those behind *cursor that uid may see (its own; uid 0 all), the oldest first; moves *cursor on and
 * returns how many there are, at most room. */
size_t refused_list(const struct refused *refusals, uint32_t uid, uint64_t now_ms, uint64_t *cursor,
	struct kbind_refusal *ret_items, size_t room);

#endif
