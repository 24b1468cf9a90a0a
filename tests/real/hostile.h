/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests with hostile local users share; see hostile.c. */
#ifndef TESTS_REAL_HOSTILE_H
#define TESTS_REAL_HOSTILE_H

#include "tests/real/probe.h"

#define HOSTILE_UID 50100     /* ordinary users: 16 of them */
#define HOSTILE_SUBUID 200000 /* /etc/subuid: one person's */
#define HOSTILE_BLOCK 327680  /* 65 536 users of whom no file tells */

typedef void hostile_job(void *argument);

/* A process of this user that does the job and ends; with its parent at the latest. */
pid_t hostile_start(uid_t uid, hostile_job *job, void *argument);
/* Waits for it; false: killed, or the job ended otherwise than by returning. */
bool hostile_wait(pid_t pid);
void hostile_kill(pid_t *pids, size_t count);

/* The reply's length (0: hung up, -1: nothing for so long), and hangs up. */
ssize_t hostile_reply(int connection, int wait_ms, uint8_t *reply, size_t room);
/* The reason in the reply to a request; -1: none. */
int hostile_reason(const struct broker_request *request, const int *descriptors, size_t count);

/* The honest user begins and ends; the latter says how he fared in all. */
bool hostile_honest_start(void);
void hostile_honest_end(void);
/* Between begin and end he is measured. */
void hostile_measure_begin(void);
void hostile_measure_end(const char *while_what);
/* So many requests of his since it began. */
unsigned int hostile_measured(void);
/* The broker's processes, and those of them that nothing can end. */
int hostile_count_workers(const char *states);
/* Within a while none of the latter is left. */
bool hostile_workers_come_free(void);

/* A connection on the loopback of the first host, both ends of which its broker sees. */
bool hostile_pair_open(struct end ends[2]);

void hostile_test_requests(void);    /* hostile_requests.c */
void hostile_test_owners(void);	     /* hostile_owners.c */
void hostile_test_descriptors(void); /* hostile_descriptors.c */
void hostile_test_held(void);	     /* hostile_held.c */
void hostile_test_devices(void);     /* hostile_cuse.c */
void hostile_test_floods(void);	     /* hostile_floods.c */
void hostile_test_quotas(void);	     /* hostile_quotas.c */

#endif
