/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who answers for a user id.  One person may own many of them (subuid(5)), and quotas that counted
 * each would be none.  So ids of a range in /etc/subuid belong to one account, that of the range's
 * owner; and what /etc/subuid does not tell (containers, directories of other kinds) is at least
 * kept together in blocks of 65 536 ids, the size in which they are given away.
 */
#ifndef KERNEL_BIND_BROKER_USERS_H
#define KERNEL_BIND_BROKER_USERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define USERS_SUBUID_PATH "/etc/subuid"
#define USERS_GROUP_FACTOR 4 /* a group may have so many times what an account may */

struct broker_user {
	uint32_t uid;
	uint32_t account; /* the uid, or the first of the ranges of its owner */
	uint64_t group;	  /* the account, or a block of ids beyond 65 535 that nobody owns */
};

/* Reads the ranges; without the file there are none. Lines that cannot be read are skipped. 0 or a
 * positive errno. Called once, before the sandbox. */
int users_read(const char *path) ERR_MUST_CHECK;
void users_find(uint32_t uid, struct broker_user *ret_user);

/* Whose turn it is first. Kept for about a thousand accounts, and forgotten in time. */
enum users_standing {
	USERS_KNOWN,   /* the last request was served as it should */
	USERS_UNKNOWN, /* nothing is known */
	USERS_SLOW     /* one had to be given up in the last minute */
};
enum users_standing users_standing(const struct broker_user *user, uint64_t now_ms);
/* A request was served, or given up. */
void users_note(const struct broker_user *user, bool is_served, uint64_t now_ms);

#endif
