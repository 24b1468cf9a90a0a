/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the shapes program share; see shapes.c for what it does. */
#ifndef TESTS_REAL_SHAPES_H
#define TESTS_REAL_SHAPES_H

#include <sys/types.h>

#include "tests/real/rendezvous.h"

#define SH_SERVICE_BYTES 16
#define SH_LATCH_DEFAULT "require"

/* One login, at either end. */
struct sh_login {
	int fd;
	char service[SH_SERVICE_BYTES]; /* what tells this login from all others */
	struct rv_end end;
	bool is_begun;
};

/* --- shapes.c --- */
/* Prints "WHO: REASON ok|failed right|wrong|clear|-": whether the broker says of this very connection that it is
 * latched for this very login; "-" where the context failed.  In one write, so that processes do not mix. */
void sh_report(const char *who, const struct sh_login *login);
/* Takes a frame of a client's, answers it, and reports a login's end; false when the connection is over. */
bool sh_serve_frame(struct sh_login *login, const struct rv_frame *frame);
/* Reads frames and serves them until the connection ends; closes it. */
void sh_serve_connection(int fd);
void sh_login_free(struct sh_login *login);
const char *sh_latch_policy(void);

/* fork(); the child ends when its parent does. */
pid_t sh_fork(void);

/* --- shapes_server.c, shapes_handed.c: a row for each shape; they serve until they are killed --- */
#define SH_WORKERS 4
typedef void (*sh_serve)(int listener, const char *port);
sh_serve sh_server_find(const char *shape);
void sh_serve_fork(int listener, const char *port);
void sh_serve_inetd(int listener, const char *port);
void sh_serve_passed(int listener, const char *port);
void sh_serve_helper(int listener, const char *port);

/* --- shapes_client.c --- */
bool sh_client_run(const char *shape, const char *host, const char *port, size_t count);

#endif
