/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's log: a line per event on standard error, limited per user. Never keys or secrets. */
#ifndef KERNEL_BIND_BROKER_LOG_H
#define KERNEL_BIND_BROKER_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct kbind_tuple;

#define BROKER_LOG_TUPLE_BYTES 112

void broker_log_set_verbose(bool is_verbose);
/* Stands at the beginning of each line from now on. */
void broker_log_set_prefix(const char *prefix);
/* The daemon's own matters: always written. */
void broker_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What a user causes: at most a burst of lines, then two a second. */
void broker_log_user(uint32_t uid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What somebody else's doings in the kernel cause, whoever that is: a line in 10 s, and how many like it were
 * left out.  A limit for each kind of line, zero at first. */
struct broker_log_limit {
	uint64_t next_ms;
	unsigned int suppressed;
};
void broker_log_seldom(struct broker_log_limit *limit, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Only with -v. */
void broker_log_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "local:port - remote:port"; returns text. */
const char *broker_log_tuple(const struct kbind_tuple *tuple, char text[BROKER_LOG_TUPLE_BYTES]);

#endif
