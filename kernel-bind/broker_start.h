/* SPDX-License-Identifier: BSD-2-Clause */
/* A broker's whole life. */
#ifndef KERNEL_BIND_BROKER_START_H
#define KERNEL_BIND_BROKER_START_H

#include "kernel-bind/broker.h"

/* From options to the end; 0 or a positive errno. Of another network namespace (is_namespace): it is
 * there already, and has its intake. */
int broker_serve(struct broker *broker) ERR_MUST_CHECK;

#endif
