/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of 'gss-ipsec status'. */
#ifndef TOOLS_STATUS_H
#define TOOLS_STATUS_H

#include <stdio.h>
#include <sys/types.h>

#include "kernel-bind/kernel_bind.h"

/* --- who holds a connection's socket: status_holders.c --- */

#define STATUS_COMMAND_BYTES_MAX 15

/* A process that has a descriptor of it, as far as this user may look. */
struct status_holder {
	pid_t pid;
	char command[STATUS_COMMAND_BYTES_MAX + 1]; /* printable */
	size_t lease;				    /* index into the leases asked for */
	int fd;					    /* the smallest one */
};
struct status_holders {
	struct status_holder *items; /* by lease, then by process */
	size_t count;
};
/* Looks through /proc of this network namespace, once for all; what cannot be looked at is left out.
 * The caller frees *ret_holders.  False: no memory. */
bool status_holders_find(
	const struct kbind_status *leases, size_t count, struct status_holders *ret_holders);
void status_holders_free(struct status_holders *holders);

/* --- what is shown --- */

struct status_view {
	struct kbind_status *leases;
	size_t count;
	struct status_holders holders;
	struct kbind_refusal *refusals; /* when they are asked for */
	size_t refusal_count;
	bool has_refusals;
	const char *broker;
	bool uses_colours;
	bool is_one_line; /* JSON: without line ends inside */
	bool is_filtered;
};

/* status_text.c and status_json.c: to out, whose errors the caller sees to. */
void status_print_text(const struct status_view *view, FILE *out);
void status_print_json(const struct status_view *view, FILE *out);
/* The address alone, with its interface when it is a link-local one (RFC 4007 11); returns text. */
#define STATUS_ADDRESS_BYTES 80
const char *status_address(
	const struct kbind_tuple *tuple, bool is_local, char text[STATUS_ADDRESS_BYTES]);

#endif
