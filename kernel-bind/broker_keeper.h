/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The keeper: the one process that may enter other network namespaces (CAP_SYS_ADMIN), there only
 * with --namespaces.  It is forked before the daemon has any lease, secret or listener, hears nobody
 * but the daemon, and never sees a client's connection.  For each namespace it forks a broker, which
 * gives CAP_SYS_ADMIN up once it is there.  All end with the daemon.
 */
#ifndef KERNEL_BIND_BROKER_KEEPER_H
#define KERNEL_BIND_BROKER_KEEPER_H

#include <stdint.h>

#include "base/error.h"

struct broker;

/* Forks it and waits until it is ready; broker has its options and nothing else.  Returns the daemon's
 * end of the conversation, which is readable when the keeper has ended. 0 or a positive errno. */
int keeper_start(struct broker *broker, int *ret_keeper) ERR_MUST_CHECK;
/* Asks for a broker of network namespace `space`, whose cookie is this, with that intake; both stay
 * the caller's. No answer: if nothing comes of it, the intake is closed. 0 or a positive errno. */
int keeper_ask(int keeper, uint64_t cookie, int space, int intake) ERR_MUST_CHECK;

#endif
