/* SPDX-License-Identifier: BSD-2-Clause */
/* A host of the campaign: its namespaces, its broker's life, and what its kernel and broker hold. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-bind/broker_journal.h"
#include "kernel-bind/broker_protocol.h"
#include "kill.h"

#define DUMP_BYTES 32768
#define LOG_BYTES 4096
#define STATE_BYTES_MAX (1u << 20)

static int namespace_open(const char *pid, const char *kind)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%s/ns/%s", pid, kind);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* A socket stays in the namespace that it was made in. */
static int netlink_open(int network)
{
	int home = namespace_open("self", "net"), fd = -1;

	if (home < 0)
		return -1;
	if (setns(network, CLONE_NEWNET) == 0) {
		fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM);
		if (setns(home, CLONE_NEWNET) != 0)
			_exit(EXIT_FAILURE);
	}
	(void)close(home);
	return fd;
}

bool kill_host_open(struct kill_host *host, const char *name, const char *pid,
	const char *directory, const char *out)
{
	char log[240];

	*host = (struct kill_host){ .name = name };
	(void)snprintf(host->directory, sizeof(host->directory), "%s/%s", directory, name);
	(void)snprintf(host->broker_path, sizeof(host->broker_path), "%s/run/gss-ipsec/broker.sock",
		host->directory);
	(void)snprintf(host->state_path, sizeof(host->state_path), "%s/run/gss-ipsec/state",
		host->directory);
	(void)snprintf(log, sizeof(log), "%s/gss-ipsecd.%s.log", out, name);
	host->network = namespace_open(pid, "net");
	host->mount = namespace_open(pid, "mnt");
	host->log = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	host->xfrm = host->network < 0 ? -1 : netlink_open(host->network);
	return host->mount >= 0 && host->log >= 0 && host->xfrm >= 0;
}

bool kill_host_enter(const struct kill_host *host)
{
	return setns(host->network, CLONE_NEWNET) == 0 && setns(host->mount, CLONE_NEWNS) == 0;
}

/* --- the broker --- */

static _Noreturn void broker_exec(const struct kill_host *host)
{
	sigset_t none;

	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) == 0 && dup2(host->log, STDERR_FILENO) >= 0 &&
		dup2(host->log, STDOUT_FILENO) >= 0 && kill_host_enter(host))
		(void)execlp(
			"gss-ipsecd", "gss-ipsecd", "--linger-seconds", "1", "-v", (char *)NULL);
	_exit(EXIT_FAILURE);
}

bool kill_broker_start(struct kill_host *host)
{
	pid_t pid;

	host->log_at = lseek(host->log, 0, SEEK_END);
	host->worker_count = 0;
	pid = fork();
	if (pid == 0)
		broker_exec(host);
	host->broker = pid < 0 ? 0 : pid;
	return pid > 0;
}

bool kill_broker_serves(const struct kill_host *host)
{
	char text[LOG_BYTES];
	ssize_t len = pread(host->log, text, sizeof(text) - 1, host->log_at);

	if (len <= 0)
		return false;
	text[len] = '\0';
	return strstr(text, "gss-ipsecd serves") != NULL;
}

/* The parent's number, 0 when there is no such process or only its zombie. */
static pid_t parent_of(const char *pid)
{
	char path[300], text[512], *end;
	ssize_t len;
	int fd, parent = 0;
	char state;

	(void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	len = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	end = strrchr(text, ')');
	if (end == NULL || sscanf(end, ") %c %d", &state, &parent) != 2 || state == 'Z')
		return 0;
	return parent;
}

void kill_host_look(struct kill_host *host)
{
	DIR *processes = opendir("/proc");
	const struct dirent *item;

	host->worker_count = 0;
	while (processes != NULL && (item = readdir(processes)) != NULL) {
		if (!isdigit((unsigned char)item->d_name[0]) ||
			parent_of(item->d_name) != host->broker ||
			host->worker_count == KILL_WORKERS_MAX)
			continue;
		host->workers[host->worker_count++] = (pid_t)strtol(item->d_name, NULL, 10);
	}
	if (processes != NULL)
		(void)closedir(processes);
}

bool kill_workers_are_gone(const struct kill_host *host)
{
	char pid[16];

	for (size_t i = 0; i < host->worker_count; i++) {
		(void)snprintf(pid, sizeof(pid), "%d", (int)host->workers[i]);
		if (parent_of(pid) != 0)
			return false;
	}
	return true;
}

/* --- what the kernel holds --- */

static uint64_t octets_hash(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *octets = data;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ octets[i]) * 0x100000001b3u;
	return sum;
}

/* Whatever tells it from others, and nothing that changes while it is used. */
static uint64_t item_hash(const struct nlmsghdr *message)
{
	const uint64_t start = 0xcbf29ce484222325u + message->nlmsg_type;
	const uint8_t *body = (const uint8_t *)message + NLMSG_HDRLEN;
	struct xfrm_userpolicy_info policy;
	struct xfrm_usersa_info association;
	uint64_t sum;

	if (message->nlmsg_type == XFRM_MSG_NEWSA &&
		message->nlmsg_len >= NLMSG_LENGTH(sizeof(association))) {
		memcpy(&association, body, sizeof(association));
		sum = octets_hash(start, &association.id.daddr, sizeof(association.id.daddr));
		sum = octets_hash(sum, &association.id.spi, sizeof(association.id.spi));
		return octets_hash(sum, &association.reqid, sizeof(association.reqid));
	}
	if (message->nlmsg_type == XFRM_MSG_NEWPOLICY &&
		message->nlmsg_len >= NLMSG_LENGTH(sizeof(policy))) {
		memcpy(&policy, body, sizeof(policy));
		sum = octets_hash(start, &policy.sel, sizeof(policy.sel));
		sum = octets_hash(sum, &policy.dir, sizeof(policy.dir));
		return octets_hash(sum, &policy.index, sizeof(policy.index));
	}
	return start;
}

static bool dump_ask(int fd, uint16_t type, size_t body_bytes)
{
	union {
		struct nlmsghdr header;
		uint8_t octets[256];
	} request = { .octets = { 0 } };

	request.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(body_bytes);
	request.header.nlmsg_type = type;
	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	return send(fd, &request, request.header.nlmsg_len, 0) == (ssize_t)request.header.nlmsg_len;
}

static bool dump_add(int fd, uint16_t type, size_t body_bytes, uint64_t *sum, size_t *count)
{
	static union {
		struct nlmsghdr header;
		uint8_t octets[DUMP_BYTES];
	} answer;
	const struct nlmsghdr *message;
	ssize_t len;

	if (!dump_ask(fd, type, body_bytes))
		return false;
	for (;;) {
		len = recv(fd, &answer, sizeof(answer), MSG_TRUNC);
		if (len <= 0 || len > (ssize_t)sizeof(answer))
			return false;
		for (size_t at = 0; at + sizeof(*message) <= (size_t)len;
			at += NLMSG_ALIGN(message->nlmsg_len)) {
			message = (const struct nlmsghdr *)(const void *)(answer.octets + at);
			if (message->nlmsg_len < sizeof(*message) ||
				message->nlmsg_type == NLMSG_ERROR)
				return false;
			if (message->nlmsg_type == NLMSG_DONE)
				return true;
			*sum += item_hash(message);
			(*count)++;
		}
	}
}

uint64_t kill_kernel_digest(const struct kill_host *host, size_t *ret_count)
{
	uint64_t sum = 1;
	size_t count = 0;

	if (!dump_add(host->xfrm, XFRM_MSG_GETSA, sizeof(struct xfrm_usersa_id), &sum, &count) ||
		!dump_add(host->xfrm, XFRM_MSG_GETPOLICY, sizeof(struct xfrm_userpolicy_id), &sum,
			&count))
		return 0;
	*ret_count = count;
	return sum;
}

/* --- what the broker holds --- */

int kill_broker_leases(const struct kill_host *host, uint8_t state, int *ret_of_state)
{
	static struct kbind_status items[BROKER_LIST_MAX];
	uint64_t cursor = 0;
	int leases = 0, of_state = 0;
	size_t count;

	do {
		if (kbind_list(host->broker_path, &cursor, items, BROKER_LIST_MAX, &count) !=
			IPSEC_LATCH_LATCHED)
			return -1;
		leases += (int)count;
		for (size_t i = 0; i < count; i++)
			of_state += items[i].state == state;
	} while (count > 0);
	*ret_of_state = of_state;
	return leases;
}

static size_t state_read(const struct kill_host *host, uint8_t *data)
{
	int fd = open(host->state_path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t len = 0;

	do {
		have += (size_t)len;
		len = fd < 0 ? -1 : read(fd, data + have, STATE_BYTES_MAX - have);
	} while (len > 0);
	if (fd >= 0)
		(void)close(fd);
	return have;
}

int kill_state_leases(const struct kill_host *host)
{
	struct lease_table *table = lease_table_new();
	uint8_t *data = malloc(STATE_BYTES_MAX);
	size_t spoilt = 0;
	int count = -1;

	if (table != NULL && data != NULL &&
		journal_replay(BYTES(data, state_read(host, data)), table, &spoilt) == ERR_OK &&
		spoilt == 0)
		count = (int)lease_table_count(table);
	free(data);
	lease_table_free(&table);
	return count;
}
