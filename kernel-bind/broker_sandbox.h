/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives up privilege: everything but the capabilities and system calls that latching needs, for
 * good. */
#ifndef KERNEL_BIND_BROKER_SANDBOX_H
#define KERNEL_BIND_BROKER_SANDBOX_H

#include "base/error.h"

/* Each: 0 or a positive errno, and then the process must not go on. */

/* The daemon: CAP_NET_ADMIN (SAs, policies) and CAP_BPF (recorder); no core dump, no ptrace by its
 * like, no new privileges, and the system calls of broker_calls.h only: no file is opened and no
 * socket made from then on. */
int sandbox_enter_daemon(void) ERR_MUST_CHECK;
/* The keeper of other network namespaces (broker_keeper.h): CAP_SYS_ADMIN (setns) besides, and the
 * calls with which a broker starts; ends with its parent; keeps descriptor keep and standard
 * error. */
int sandbox_enter_keeper(int keep) ERR_MUST_CHECK;
/* What the keeper forked enters a network namespace and has the daemon's capabilities from then on,
 * and a limit on memory; the daemon's list of calls is still to come. */
int sandbox_enter_namespace(int space) ERR_MUST_CHECK;
/* A worker, first: ends with its parent; keeps descriptor keep and standard error. */
int sandbox_begin_worker(int keep) ERR_MUST_CHECK;
/* Then: CAP_NET_ADMIN (socket policies, namespace of a descriptor) alone, and fewer system calls. */
int sandbox_enter_worker(void) ERR_MUST_CHECK;

#endif
