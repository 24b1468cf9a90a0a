/* SPDX-License-Identifier: BSD-2-Clause */
/* A whole life of the mechanism through the plugin's entry points, call by call. */
#ifndef TESTS_FAULTS_FAULTS_LOGIN_H
#define TESTS_FAULTS_FAULTS_LOGIN_H

#include "tests/support/two_ends.h"

/* How a login with one failure in it came out. */
struct login {
	const struct two_ends *ends; /* where the configurations are */
	bool is_nobody[2];	     /* initiator, acceptor: has no key (RFC 7619) */
	bool is_armed;		     /* count, and fail what is due */
	bool is_told;		     /* some call has failed */
	unsigned int major, minor;   /* of the first call that failed */
	unsigned int peer_minor;     /* of the other end, which was given the error token */
	const char *call;	     /* which call that was */
	char text[512];		     /* what it displays */
	char complaint[256];	     /* what should not be; "" when all is well */
};

/* Everything from names to the last release.  Secrets are added to those that are looked for. */
void login_run(struct login *login);
/* Whether the exchange came to its end on both sides. */
bool login_is_whole(const struct login *login);

#endif
