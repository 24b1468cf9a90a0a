/* SPDX-License-Identifier: BSD-2-Clause */
/* The daemon's log; see broker_log.h. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_users.h"
#include "kernel-bind/kernel_bind.h"

#define USERS 512 /* accounts share an allowance when their numbers fall together */
#define BURST_LINES 30
#define LINES_PER_SEC 2
#define SELDOM_MS 10000
#define LINE_BYTES 512

static bool log_is_verbose;
static char log_prefix[64];
static struct {
	long long seen_sec;
	unsigned int lines, suppressed;
} allowances[USERS];

void broker_log_set_prefix(const char *prefix)
{
	(void)snprintf(log_prefix, sizeof(log_prefix), "%s", prefix);
}

void broker_log_set_verbose(bool is_verbose)
{
	log_is_verbose = is_verbose;
}

static void log_line(const char *format, va_list arguments)
{
	char line[LINE_BYTES];
	int start = snprintf(line, sizeof(line), "%s", log_prefix);
	int len = vsnprintf(line + start, sizeof(line) - 1 - (size_t)start, format, arguments);

	if (len < 0)
		return;
	len += start;
	if ((size_t)len > sizeof(line) - 2)
		len = (int)sizeof(line) - 2;
	for (int i = 0; i < len; i++) {
		if (line[i] < ' ' || line[i] > '~')
			line[i] = '?';
	}
	line[len] = '\n';
	/* One write, so that lines of workers and daemon do not mix; nobody to tell if it fails. */
	if (write(STDERR_FILENO, line, (size_t)len + 1) < 0)
		return;
}

void broker_log(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	log_line(format, arguments);
	va_end(arguments);
}

static bool user_may_log(uint32_t uid, unsigned int *ret_suppressed)
{
	struct timespec now = { 0 };
	struct broker_user user;
	size_t slot;
	unsigned long long earned;

	users_find(uid, &user);
	slot = user.account % USERS;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	earned = (unsigned long long)(now.tv_sec - allowances[slot].seen_sec) * LINES_PER_SEC;
	allowances[slot].seen_sec = now.tv_sec;
	allowances[slot].lines = earned >= allowances[slot].lines
					 ? 0
					 : allowances[slot].lines - (unsigned int)earned;
	if (allowances[slot].lines >= BURST_LINES) {
		allowances[slot].suppressed++;
		return false;
	}
	allowances[slot].lines++;
	*ret_suppressed = allowances[slot].suppressed;
	allowances[slot].suppressed = 0;
	return true;
}

void broker_log_user(uint32_t uid, const char *format, ...)
{
	unsigned int suppressed = 0;
	va_list arguments;

	if (!user_may_log(uid, &suppressed))
		return;
	if (suppressed > 0)
		broker_log("%u lines about users like uid %u left out", suppressed, uid);
	va_start(arguments, format);
	log_line(format, arguments);
	va_end(arguments);
}

void broker_log_seldom(struct broker_log_limit *limit, const char *format, ...)
{
	struct timespec now = { 0 };
	va_list arguments;
	uint64_t now_ms;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (now_ms < limit->next_ms) {
		limit->suppressed++;
		return;
	}
	if (limit->suppressed > 0)
		broker_log("%u lines like the next one left out", limit->suppressed);
	*limit = (struct broker_log_limit){ .next_ms = now_ms + SELDOM_MS };
	va_start(arguments, format);
	log_line(format, arguments);
	va_end(arguments);
}

void broker_log_verbose(const char *format, ...)
{
	va_list arguments;

	if (!log_is_verbose)
		return;
	va_start(arguments, format);
	log_line(format, arguments);
	va_end(arguments);
}

const char *broker_log_tuple(const struct kbind_tuple *tuple, char text[BROKER_LOG_TUPLE_BYTES])
{
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];

	if (inet_ntop(tuple->family, tuple->local, local, sizeof(local)) == NULL ||
		inet_ntop(tuple->family, tuple->remote, remote, sizeof(remote)) == NULL)
		return "no tuple";
	(void)snprintf(text, BROKER_LOG_TUPLE_BYTES,
		tuple->family == AF_INET6 ? "[%s]:%u - [%s]:%u" : "%s:%u - %s:%u", local,
		tuple->local_port, remote, tuple->remote_port);
	return text;
}
