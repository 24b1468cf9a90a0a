/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's worker processes, from fork to end.  A few idle ones are kept; while users wait there
 * may be more.  One that misses its deadline is killed, and its slot counts against its user until
 * it has ended, which a descriptor can delay for as long as its owner likes.
 */
#ifndef KERNEL_BIND_BROKER_POOL_H
#define KERNEL_BIND_BROKER_POOL_H

#include "kernel-bind/broker.h"

/* One without work; NULL: there is none. */
struct broker_worker *pool_worker_find_idle(struct broker *broker);
/* Starts one more, while users wait; false: there is no slot, or no process. */
bool pool_worker_add(struct broker *broker);
/* Whether every child has closed its copies of what the daemon holds: only then may the daemon let a
 * connection go, whose last close() would else be the child's. */
bool pool_may_let_go(const struct broker *broker);
/* It has closed them. */
void pool_worker_set_ready(struct broker_worker *worker);
/* The worker has this user's connection from now on, and the caller not any more; an errno: the worker is
 * of no use, and *fd the caller's unless it is -1. */
int pool_worker_start_job(
	struct broker_worker *worker, const struct broker_user *user, int *fd) ERR_MUST_CHECK;
/* The request is done. */
void pool_worker_end_job(struct broker_worker *worker);
/* Each step of a request has its time. */
void pool_worker_extend(struct broker_worker *worker);
/* Kills it; the request at work is abandoned. */
void pool_worker_give_up(struct broker *broker, struct broker_worker *worker, const char *why);
/* Whether one more request of this user may be at work now, and how many of its account are. */
bool pool_user_may_start(
	const struct broker *broker, const struct broker_user *user, size_t *ret_busy);
/* Kills those that are late. is_pressed: somebody waits for a slot, and patience is short. */
void pool_enforce_deadlines(struct broker *broker, bool is_pressed);
/* Children that have ended. */
void pool_reap(struct broker *broker);
/* Now and then: as many idle ones as there should be. */
void pool_balance(struct broker *broker);
void pool_stop(struct broker *broker);
/* Whether one more may be given up; if not, the loop accepts none until some are closed, and there is a
 * discarder which is ready. */
bool pool_may_discard(const struct broker *broker);
/* Only while pool_may_discard(): has a connection closed that is not served, now or by the next
 * discarder. */
void pool_discard(struct broker *broker, int *fd);
void pool_read_discarder(struct broker *broker);

#endif
