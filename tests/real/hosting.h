/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the hosting program share; see hosting.c for what it does. */
#ifndef TESTS_REAL_HOSTING_H
#define TESTS_REAL_HOSTING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/real/rendezvous.h"

#define HOSTING_FILES 24

/* A program's own file, under a number that a descriptor of somebody else's may have had. */
struct hosting_file {
	int fd;
	ino_t inode;
};

struct hosting {
	bool is_server, names_descriptor;
	bool is_mute; /* says nothing more to the peer in tokens */
	const char *port, *host, *twist;
	long number; /* the twist's own argument */
	char **argv;
	int listener, fd;
	struct rv_end end;
	struct hosting_file files[HOSTING_FILES];
	size_t file_count;
};

/* Each is one way in which a program is no ordinary one.  A moment returns false when this process
 * has nothing more to say: its exit status is *ret_status of hosting_run() then. */
typedef bool (*hosting_moment)(struct hosting *hosting);
struct hosting_twist {
	const char *name;
	hosting_moment begins;	  /* before the connection is made */
	hosting_moment connected; /* before there is a credential */
	hosting_moment acquired;  /* before the first token is made or taken */
	hosting_moment
		answered; /* the second token that this side takes, the server's first, is there */
	hosting_moment ended; /* the login has succeeded or failed; before it is told */
	hosting_moment told;  /* before the program's own words */
};
const struct hosting_twist *hosting_twist_find(const char *name);

/* --- hosting.c --- */
/* From the connection to the words; whether they came back, or the login failed as it may. */
bool hosting_run(struct hosting *hosting, const struct hosting_twist *twist);
/* The program's own words over the connection, both ways. */
bool hosting_talk(const struct hosting *hosting);
bool hosting_fail(const char *what);

/* --- hosting_life.c: processes, descriptors, threads --- */
bool hosting_own_files(struct hosting *hosting);
bool hosting_forks_child(struct hosting *hosting);
bool hosting_forks_parent(struct hosting *hosting);
bool hosting_forks_rivals(struct hosting *hosting);
bool hosting_talks_on(struct hosting *hosting);
bool hosting_vforks(struct hosting *hosting);
bool hosting_daemonises(struct hosting *hosting);
bool hosting_execs(struct hosting *hosting);
bool hosting_execs_anew(struct hosting *hosting);
bool hosting_closes_all(struct hosting *hosting);
bool hosting_closes_midway(struct hosting *hosting);
bool hosting_closes_standard(struct hosting *hosting);
bool hosting_files_untouched(struct hosting *hosting);
/* What execs leaves to the new program: hosting rest ROLE DESCRIPTOR. */
int hosting_rest(const char *role, const char *descriptor);

/* --- hosting_bounds.c: what a program may do, and how much --- */
bool hosting_filters_most(struct hosting *hosting);
bool hosting_filters_files(struct hosting *hosting);
bool hosting_filters_sockets(struct hosting *hosting);
bool hosting_limits_descriptors(struct hosting *hosting);
bool hosting_limits_memory(struct hosting *hosting);
bool hosting_frees_memory(struct hosting *hosting);
bool hosting_changes_root(struct hosting *hosting);
bool hosting_drops_root(struct hosting *hosting);
bool hosting_is_interrupted(struct hosting *hosting);
bool hosting_is_left_alone(struct hosting *hosting);
bool hosting_broker_hangs_up(struct hosting *hosting);

#endif
