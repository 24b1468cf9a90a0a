/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which processes hold a latched connection: from its addresses to the socket's inode (/proc/net/tcp,
 * tcp6), and from there to descriptors (/proc/PID/fd).  A user sees own processes, root all.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/status.h"
#include "tools/tools.h"

#define LINE_BYTES_MAX 512
#define PATH_BYTES_MAX 64
#define PORTS 65536

/* A socket that is wanted. */
struct wanted {
	uint64_t inode;
	size_t lease;
};
struct search {
	const struct kbind_status *leases;
	size_t count;
	size_t *first, *next;	/* leases by the port here, each number one more than the index */
	struct wanted *sockets; /* by inode */
	size_t socket_count;
	struct status_holder *found;
	size_t found_count, found_room;
	bool is_out_of_memory;
};

/* --- addresses to inodes --- */

/* The kernel prints each word of an address as the number that it is on this machine. */
static bool address_read(const char *text, size_t digits, uint8_t *ret_address)
{
	char word[9] = "";
	uint32_t value;

	for (size_t i = 0; i < digits / 8; i++) {
		memcpy(word, text + 8 * i, 8);
		value = (uint32_t)strtoul(word, NULL, 16);
		memcpy(ret_address + 4 * i, &value, 4);
	}
	return strspn(text, "0123456789ABCDEF") == digits;
}

/* v4-mapped addresses stand in tcp6, and are IPv4 to the broker. */
static void address_unmap(struct kbind_tuple *tuple)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (!bytes_equal(BYTES(tuple->local, 12), BYTES_OF(mapped)) ||
		!bytes_equal(BYTES(tuple->remote, 12), BYTES_OF(mapped)))
		return;
	tuple->family = AF_INET;
	memcpy(tuple->local, tuple->local + 12, 4);
	memcpy(tuple->remote, tuple->remote + 12, 4);
}

/* "sl: LOCAL:PORT REMOTE:PORT st tx:rx tr:when retrnsmt uid timeout inode ..." */
static bool line_read(const char *line, struct kbind_tuple *ret_tuple, uint64_t *ret_inode)
{
	char local[33], remote[33];
	unsigned int local_port, remote_port;
	size_t digits;

	if (sscanf(line,
		    " %*u: %32[0-9A-F]:%x %32[0-9A-F]:%x %*x %*x:%*x %*x:%*x %*x %*u %*u "
		    "%" SCNu64,
		    local, &local_port, remote, &remote_port, ret_inode) != 5)
		return false;
	digits = strlen(local);
	if ((digits != 8 && digits != 32) || strlen(remote) != digits)
		return false;
	ret_tuple->family = digits == 8 ? AF_INET : AF_INET6;
	ret_tuple->local_port = (uint16_t)local_port;
	ret_tuple->remote_port = (uint16_t)remote_port;
	if (!address_read(local, digits, ret_tuple->local) ||
		!address_read(remote, digits, ret_tuple->remote))
		return false;
	if (ret_tuple->family == AF_INET6)
		address_unmap(ret_tuple);
	return true;
}

/* The zone is left out: /proc/net/tcp6 does not have it. */
static bool tuple_is(const struct kbind_tuple *a, const struct kbind_tuple *b)
{
	const size_t bytes = a->family == AF_INET ? 4 : 16;

	return a->family == b->family && a->local_port == b->local_port &&
	       a->remote_port == b->remote_port &&
	       bytes_equal(BYTES(a->local, bytes), BYTES(b->local, bytes)) &&
	       bytes_equal(BYTES(a->remote, bytes), BYTES(b->remote, bytes));
}

static void table_read(struct search *search, const char *path)
{
	char line[LINE_BYTES_MAX];
	FILE *table = fopen(path, "re");
	uint64_t inode = 0;

	while (table != NULL && fgets(line, sizeof(line), table) != NULL) {
		struct kbind_tuple tuple = { 0 };

		if (!line_read(line, &tuple, &inode) || inode == 0)
			continue;
		for (size_t i = search->first[tuple.local_port]; i != 0; i = search->next[i - 1]) {
			if (!tuple_is(&search->leases[i - 1].tuple, &tuple) ||
				search->socket_count == search->count)
				continue;
			search->sockets[search->socket_count].inode = inode;
			search->sockets[search->socket_count++].lease = i - 1;
		}
	}
	if (table != NULL)
		(void)fclose(table);
}

/* --- inodes to processes --- */

static int compare_inodes(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return (x->inode > y->inode) - (x->inode < y->inode);
}

static const struct wanted *wanted_find(const struct search *search, uint64_t inode)
{
	const struct wanted key = { .inode = inode };

	return bsearch(&key, search->sockets, search->socket_count, sizeof(*search->sockets),
		compare_inodes);
}

/* Anybody names his processes: what is no printable ASCII becomes '?'. */
static void command_read(pid_t pid, char ret_command[STATUS_COMMAND_BYTES_MAX + 1])
{
	char path[PATH_BYTES_MAX];
	size_t len = 0;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (file != NULL) {
		len = fread(ret_command, 1, STATUS_COMMAND_BYTES_MAX, file);
		(void)fclose(file);
	}
	ret_command[len] = '\0';
	if (len > 0 && ret_command[len - 1] == '\n')
		ret_command[len - 1] = '\0';
	for (char *at = ret_command; *at != '\0'; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
}

static void found_add(struct search *search, size_t lease, pid_t pid, int fd)
{
	struct status_holder *grown;

	for (size_t i = search->found_count; i > 0 && search->found[i - 1].pid == pid; i--) {
		if (search->found[i - 1].lease != lease)
			continue;
		if (fd < search->found[i - 1].fd)
			search->found[i - 1].fd = fd;
		return;
	}
	if (search->found_count == search->found_room) {
		search->found_room = search->found_room * 2 + 16;
		grown = reallocarray(search->found, search->found_room, sizeof(*grown));
		if (grown == NULL) {
			search->is_out_of_memory = true;
			return;
		}
		search->found = grown;
	}
	search->found[search->found_count] =
		(struct status_holder){ .pid = pid, .lease = lease, .fd = fd };
	command_read(pid, search->found[search->found_count].command);
	search->found_count++;
}

/* A descriptor that is one of the sockets: "socket:[INODE]". */
static void descriptor_look(struct search *search, int directory, const char *name, pid_t pid)
{
	const struct wanted *wanted;
	char target[PATH_BYTES_MAX];
	uint64_t inode;
	ssize_t len;
	long fd;

	if (!tool_number_read(name, INT32_MAX, &fd))
		return;
	len = readlinkat(directory, name, target, sizeof(target) - 1);
	if (len <= 0)
		return;
	target[len] = '\0';
	if (sscanf(target, "socket:[%" SCNu64 "]", &inode) != 1)
		return;
	wanted = wanted_find(search, inode);
	if (wanted != NULL)
		found_add(search, wanted->lease, pid, (int)fd);
}

static void process_look(struct search *search, pid_t pid)
{
	char path[PATH_BYTES_MAX];
	struct dirent *entry;
	DIR *directory;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	if (directory == NULL)
		return; /* another user's, or over */
	while (!search->is_out_of_memory && (entry = readdir(directory)) != NULL)
		descriptor_look(search, dirfd(directory), entry->d_name, pid);
	(void)closedir(directory);
}

static void processes_look(struct search *search)
{
	DIR *directory = search->socket_count > 0 ? opendir("/proc") : NULL;
	struct dirent *entry;
	long pid;

	while (directory != NULL && !search->is_out_of_memory &&
		(entry = readdir(directory)) != NULL)
		if (tool_number_read(entry->d_name, INT32_MAX, &pid))
			process_look(search, (pid_t)pid);
	if (directory != NULL)
		(void)closedir(directory);
}

static int compare_holders(const void *a, const void *b)
{
	const struct status_holder *x = a, *y = b;

	if (x->lease != y->lease)
		return x->lease < y->lease ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* --- the whole --- */

static bool search_begin(struct search *search, const struct kbind_status *leases, size_t count)
{
	search->leases = leases;
	search->count = count;
	search->first = calloc(PORTS, sizeof(*search->first));
	search->next = calloc(count + 1, sizeof(*search->next));
	search->sockets = calloc(count + 1, sizeof(*search->sockets));
	if (search->first == NULL || search->next == NULL || search->sockets == NULL)
		return false;
	for (size_t i = 0; i < count; i++) {
		search->next[i] = search->first[leases[i].tuple.local_port];
		search->first[leases[i].tuple.local_port] = i + 1;
	}
	return true;
}

bool status_holders_find(
	const struct kbind_status *leases, size_t count, struct status_holders *ret_holders)
{
	struct search search = { .count = 0 };
	bool is_done = search_begin(&search, leases, count);

	if (is_done) {
		table_read(&search, "/proc/self/net/tcp");
		table_read(&search, "/proc/self/net/tcp6");
		qsort(search.sockets, search.socket_count, sizeof(*search.sockets), compare_inodes);
		processes_look(&search);
		is_done = !search.is_out_of_memory;
	}
	if (is_done && search.found_count > 0)
		qsort(search.found, search.found_count, sizeof(*search.found), compare_holders);
	if (is_done) {
		*ret_holders = (struct status_holders){ search.found, search.found_count };
		search.found = NULL;
	}
	free(search.found);
	free(search.first);
	free(search.next);
	free(search.sockets);
	return is_done;
}

void status_holders_free(struct status_holders *holders)
{
	free(holders->items);
	*holders = (struct status_holders){ NULL, 0 };
}
