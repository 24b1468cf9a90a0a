/* SPDX-License-Identifier: BSD-2-Clause */
/* Five-tuples of TCP connections, as their packets show them: v4-mapped addresses are IPv4. */
#ifndef KERNEL_BIND_TUPLE_H
#define KERNEL_BIND_TUPLE_H

#include "kernel-bind/kernel_bind.h"

/* What the socket says of itself now; false: it has no peer, or no address of ours. */
bool tuple_read(int fd, struct kbind_tuple *ret_tuple) ERR_MUST_CHECK;
bool tuple_is_same(const struct kbind_tuple *a, const struct kbind_tuple *b);
/* Whether both ends are the same socket. */
bool tuple_is_self(const struct kbind_tuple *tuple);
/* Seen from the other end. */
void tuple_mirror(const struct kbind_tuple *tuple, struct kbind_tuple *ret_mirrored);

#endif
