/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the broker's sandboxes share; see sandbox_probe.c. */
#ifndef TESTS_REAL_SANDBOX_H
#define TESTS_REAL_SANDBOX_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel-bind/broker_sandbox.h"

#define SANDBOX_KEPT ((1ull << CAP_NET_ADMIN) | (1ull << CAP_BPF))
#define SANDBOX_KEPT_BY_KEEPER (SANDBOX_KEPT | 1ull << CAP_SYS_ADMIN)

enum { SANDBOX_DAEMON, SANDBOX_WORKER, SANDBOX_KEEPER, SANDBOX_NAMESPACE, SANDBOX_PLACES };

struct sandbox_place {
	const char *name;
	int (*enter)(void);
	uint64_t kept, bounding; /* capabilities */
};

extern const struct sandbox_place sandbox_places[SANDBOX_PLACES];
extern int sandbox_socket; /* TCP, made before the sandbox; the descriptor that is kept there */

/* How a process ended that entered and then ran it; it exits with 0 where that succeeded. */
int sandbox_status(const struct sandbox_place *place, long (*run)(void));
/* Of the system calls that must not be made there, how many end the process. */
size_t sandbox_count_deadly(const struct sandbox_place *place, size_t *ret_tried);
/* A process that says an octet on *ret_fd when it is inside, and ends when that is closed. */
pid_t sandbox_start(const struct sandbox_place *place, int *ret_fd);
/* Whether root with these capabilities may not trace it. */
bool sandbox_refuses_tracing(pid_t pid, uint64_t kept);
long sandbox_crash(void);

/* sandbox_attacks.c: "refused NAME" or "succeeded NAME" of each; an exit status. */
int sandbox_attacks(char **names);

#endif
