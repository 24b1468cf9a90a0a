/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of broker_probe. */
#ifndef TESTS_REAL_BROKER_PROBE_H
#define TESTS_REAL_BROKER_PROBE_H

#include "tests/real/probe.h"

/* broker_probe_queue.c */
void test_crowd(void);
void test_crowd_latch_first(void);
void test_silent_users(void);
void test_hanging_descriptor(void);
/* broker_probe_reserve.c */
void test_overtaken(void);
void test_spent(void);
void test_given_up(void);
void test_room(void);
void test_few_files(void);

#endif
