/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the client half only: looking at one socket of this process, and the part of the verdict
 * that is made here.  Everything works on a short-lived duplicate, so that another thread's
 * close() and reopening of the same number cannot swap the socket under a call.
 */
#ifndef KERNEL_BIND_CLIENT_H
#define KERNEL_BIND_CLIENT_H

#include "kernel-bind/kernel_bind.h"

#define KBIND_PENDING_WAIT_MS 200

/* Duplicates fd when it is a socket; the caller closes *ret_held before it returns to the program.
 * Never duplicates anything else on purpose: closing a duplicate of a file drops its POSIX locks.
 * Reasons: SOCKET_GONE (no such descriptor), NOT_TCP (no socket), TOO_MANY (no descriptor
 * free). */
enum ipsec_latch_reason kbind_socket_hold(int fd, int *ret_held) ERR_MUST_CHECK;
/* The same, and it must still be this very connection: SOCKET_GONE otherwise, or TOO_MANY. */
enum ipsec_latch_reason kbind_candidate_hold(
	const struct kbind_candidate *candidate, int *ret_held) ERR_MUST_CHECK;

/* Checks (e) and (f) of the verdict on a held socket: PENDING, URGENT, SOCKET_GONE, or 0.
 * *known_packets is a count of out-of-order segments (tcpi_rcv_ooopack, which only grows) at which
 * the out-of-order queue was seen empty, 0 for a new connection; success brings it up to date.
 * Waits KBIND_PENDING_WAIT_MS at most. */
enum ipsec_latch_reason kbind_check_stream(int held, uint32_t *known_packets) ERR_MUST_CHECK;

#endif
