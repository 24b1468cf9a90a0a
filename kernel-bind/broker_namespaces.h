/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Other network namespaces that the daemon serves: which there are, and who may have one.  Each has a
 * broker process of its own, made by the keeper (broker_keeper.h), so that what its root does to
 * netlink, SPD and SAs there harms nobody else.
 */
#ifndef KERNEL_BIND_BROKER_NAMESPACES_H
#define KERNEL_BIND_BROKER_NAMESPACES_H

#include "kernel-bind/broker.h"

/* Where the job's connection has to go: *ret_intake, which stays the table's.  space is the
 * namespace, as a worker gave it.  A broker that could not be reached before is replaced. */
enum ipsec_latch_reason namespaces_forward(
	struct broker *broker, struct broker_job *job, int space, int *ret_intake);
/* The job's connection has been sent, or nobody knows. */
void namespaces_end_job(struct broker *broker, struct broker_job *job);
/* Its broker has ended, or asks whether it may. */
void namespaces_read(struct broker_namespace *space);

#endif
