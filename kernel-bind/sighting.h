/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is to know about one socket of this process, for candidates.c. */
#ifndef KERNEL_BIND_SIGHTING_H
#define KERNEL_BIND_SIGHTING_H

#include "kernel-bind/kernel_bind.h"

enum sighting_kind {
	SIGHTING_OTHER, /* tokens on it are not on a network, or nobody can tell */
	SIGHTING_TCP,
	SIGHTING_NETWORK, /* another protocol with connections, which cannot be latched */
};

struct sighting {
	struct kbind_candidate candidate;
	enum sighting_kind kind;
	uint8_t state;			 /* the kernel's, of TCP */
	enum ipsec_latch_reason fitness; /* of an established TCP connection */
};

/* SOCKET_GONE, NOT_TCP (no socket at all), TOO_MANY (no descriptor for a duplicate); nothing is held. */
enum ipsec_latch_reason sighting_take(int fd, struct sighting *ret_seen) ERR_MUST_CHECK;
/* Of any socket, without a duplicate; false: it is none. */
bool sighting_cookie(int fd, uint64_t *ret_cookie) ERR_MUST_CHECK;

/* Whether tokens may travel on it. */
bool sighting_is_connection(const struct sighting *seen);
/* Why it is no candidate; 0: it is one. */
enum ipsec_latch_reason sighting_judge(const struct sighting *seen);
/* A connection that cannot be latched, or not by another context; reason: what sighting_judge() says. */
bool sighting_is_unfit(const struct sighting *seen, enum ipsec_latch_reason reason);
/* Completes candidate for whoever visits all; false: there is nothing to show, as it is none that carries, or
 * carried, anything. */
bool sighting_show(struct sighting *seen);

#endif
