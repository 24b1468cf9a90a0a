/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The intake: how connections reach the broker of another network namespace.  A SOCK_SEQPACKET pair
 * with the daemon, which its workers hold for the moment in which they send a client's connection.
 *
 *	worker  CONNECTION (with the client's connection)
 *	broker  how many it has received: it has been idle, has it to stay?
 *	daemon  GO         (all that was sent has been received, and no more will be)
 */
#ifndef KERNEL_BIND_BROKER_INTAKE_H
#define KERNEL_BIND_BROKER_INTAKE_H

#include <stdint.h>

#include "base/error.h"

struct broker;

/* Sends a connection, which stays the caller's, without waiting: 0 or a positive errno. */
int intake_send(int intake, int connection) ERR_MUST_CHECK;
/* From the daemon: the broker at the other end may go. */
int intake_send_go(int intake) ERR_MUST_CHECK;
/* In the daemon: how many connections an idle broker has received; EAGAIN: it has said nothing. */
int intake_read_idle(int intake, uint64_t *ret_received) ERR_MUST_CHECK;

/* In the namespace's broker: the next connection, or -1.  When the daemon is gone or says GO, the
 * broker ends. */
int intake_receive(struct broker *broker);
/* Now and then: says how long there has been nothing to do. */
void intake_tick(struct broker *broker);

#endif
