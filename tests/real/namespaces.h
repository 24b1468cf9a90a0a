/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of gss-ipsecd --namespaces share; see namespaces_probe.c. */
#ifndef TESTS_REAL_NAMESPACES_H
#define TESTS_REAL_NAMESPACES_H

#include "tests/real/probe.h"

extern struct host namespaces_daemon; /* where the broker lives */

#define NAMESPACES_IDLE "5" /* seconds after which a namespace's broker ends, mostly */
void namespaces_daemon_start(const char *option, const char *idle_seconds);
/* The broker inside, without its workers; -1: there is none. */
pid_t namespaces_broker_of(const struct host *host);
/* Those that the keeper has. */
int namespaces_count_brokers(void);
/* A connection between the containers, latched; says so where it fails. */
bool namespaces_pair_latch(struct end ends[2]);

void namespaces_test_limits(void); /* namespaces_limits.c */
void namespaces_test_flood(void);
void namespaces_test_killed_while_asked(void);
void namespaces_test_vanished(void);

#endif
