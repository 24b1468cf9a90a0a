/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How many leases have something in common: a user, a reqid, a pair of addresses.  Asked for with
 * each latch, so that a walk over all leases would make a latch slower the more of them live.
 */
#ifndef KERNEL_BIND_BROKER_TALLY_H
#define KERNEL_BIND_BROKER_TALLY_H

#include <stdint.h>

#include "base/bytes.h"

#define TALLY_KEY_MAX 36

struct tally;

/* seed: unknown to users, who may choose keys.  NULL: no memory. */
struct tally *tally_new(uint64_t seed);
/* NULL inside is fine; nulls it. */
void tally_free(struct tally **tally);
/* One more of this key, of at most TALLY_KEY_MAX octets; false: no memory, nothing counted. */
bool tally_add(struct tally *tally, struct bytes key);
/* One less; there must be one. */
void tally_take(struct tally *tally, struct bytes key);
/* How many there are of this key. */
size_t tally_count(const struct tally *tally, struct bytes key);
/* Each key of which there is one, in no order. */
typedef void tally_each_key(void *context, struct bytes key, size_t count);
void tally_each(const struct tally *tally, tally_each_key *each, void *context);

#endif
