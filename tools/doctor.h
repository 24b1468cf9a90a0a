/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec doctor: one table of examinations, each of which looks at one thing and tells what it
 * found.  An examination needs nothing of an earlier one but what stands in struct doctor, and tells
 * nothing twice.
 */
#ifndef TOOLS_DOCTOR_H
#define TOOLS_DOCTOR_H

#include <sys/types.h>

#include "base/config.h"
#include "kernel-bind/kernel_bind.h"
#include "tools/doctor_texts.h"
#include "tools/tools.h"

#define DOCTOR_COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DOCTOR_PROCESS_BYTES 32

enum doctor_verdict { DOCTOR_OK, DOCTOR_UNSEEN, DOCTOR_WARNING, DOCTOR_BROKEN };

enum doctor_finding {
#define X(name, verdict, area, text, command, advice) FOUND_##name,
	DOCTOR_TEXTS(X)
#undef X
		FOUND_COUNT
};

struct doctor {
	/* what was asked for; NULL: not */
	const char *peer;    /* user@domain, a host or SHA256:... */
	const char *service; /* with target_host: what the program asks for or answers for */
	const char *target_host;
	char *key; /* SHA256:... that the other side says it has */
	bool is_server, is_json;

	bool has_systemd;
	bool has_units;	       /* systemd's, of the broker */
	struct config *config; /* NULL: there is none to go by */
	const char *broker_path;
	bool broker_answers;
	pid_t broker_pid;     /* 0: not known */
	char *broker_options; /* words quoted for the shell, each behind a blank; never NULL */
	bool is_told[FOUND_COUNT];
	size_t counts[DOCTOR_BROKEN + 1];
};

/* Tells it, with what stands for %1, %2 and %3 in its texts. */
void doctor_tell(struct doctor *doctor, enum doctor_finding finding, const char *first,
	const char *second, const char *third);
/* One word for the shell; malloc'ed, NULL: no memory. */
char *doctor_quote(const char *word);

/* Runs NAME of the system's folders with these arguments (the first is the name) and a clean
 * environment, for 5 seconds at most; standard output, at most 1 MiB, malloc'ed.  NULL: it is not
 * there, or failed. */
char *doctor_run(const char *const *arguments);
bool doctor_can_run(const char *name);
/* The number in a file of /proc or /sys; false: there is none. */
bool doctor_read_number(const char *path, long *ret_number);
/* What a process is called, which it may have chosen itself; false: there is none. */
bool doctor_process_name(pid_t pid, char ret_name[DOCTOR_PROCESS_BYTES]);
/* Whether it lives in this network namespace, or in another one; of other users' processes only root can
 * see that. */
enum doctor_place { DOCTOR_PLACE_UNSEEN, DOCTOR_PLACE_HERE, DOCTOR_PLACE_APART };
enum doctor_place doctor_process_place(pid_t pid);

bool doctor_broker_has(const struct doctor *doctor, const char *option);
/* Why the broker refused; at most once for each reason.  over: what was tried, for the sentence. */
void doctor_tell_reason(struct doctor *doctor, enum ipsec_latch_reason reason, const char *over);

/* --- the examinations, in their order --- */
void doctor_examine_module(struct doctor *doctor);
void doctor_examine_config(struct doctor *doctor);
void doctor_examine_identities(struct doctor *doctor);
void doctor_examine_peers(struct doctor *doctor);
void doctor_examine_broker(struct doctor *doctor);
void doctor_examine_kernel(struct doctor *doctor);
void doctor_examine_interfaces(struct doctor *doctor);
void doctor_examine_daemons(struct doctor *doctor);
void doctor_examine_policies(struct doctor *doctor);
void doctor_examine_firewall(struct doctor *doctor);
void doctor_examine_trial(struct doctor *doctor);

#endif
