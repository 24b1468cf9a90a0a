/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which TCP connections this process holds.  Reads /proc/self/fd once and asks the kernel about
 * each socket through a duplicate that is closed before the next one is looked at.  Changes
 * nothing, resolves nothing, asks no broker; other threads may close and open descriptors at will.
 */
#include "kernel-bind/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-bind/tuple.h"

#define DESCRIPTORS_MAX 4096
#define DESCRIPTOR_LOWEST 3 /* never takes the place of a standard descriptor that is closed */
/* Where a duplicate goes if it may: behind the program's own, which other threads look for at the same time. */
#define DESCRIPTOR_HIGH 960

/* The kernel's TCP states that matter here (include/net/tcp_states.h); <netinet/tcp.h> cannot be
 * included beside <linux/tcp.h>. */
#define STATE_ESTABLISHED 1
#define STATE_SYN_SENT 2
#define STATE_SYN_RECV 3
#define STATE_CLOSE 7
#define STATE_LISTEN 10

enum socket_kind {
	KIND_OTHER, /* tokens on it are not on a network, or nobody can tell */
	KIND_TCP,
	KIND_NETWORK, /* another protocol with connections, which cannot be latched */
};

/* What there is to know about one socket. */
struct sighting {
	struct kbind_candidate candidate;
	enum socket_kind kind;
	uint8_t state;
	enum ipsec_latch_reason fitness; /* of an established TCP connection */
};

static bool option_get(int held, int option, int *ret_value)
{
	socklen_t len = sizeof(*ret_value);

	return getsockopt(held, SOL_SOCKET, option, ret_value, &len) == 0;
}

static bool descriptor_is_socket(int fd, uint64_t *ret_inode)
{
	struct stat file;

	if (fstat(fd, &file) != 0)
		return false;
	*ret_inode = file.st_ino;
	errno = 0;
	return S_ISSOCK(file.st_mode);
}

static enum ipsec_latch_reason socket_hold(int fd, int *ret_held, uint64_t *ret_inode)
{
	int held;

	if (!descriptor_is_socket(fd, ret_inode))
		return errno != 0 ? IPSEC_LATCH_SOCKET_GONE : IPSEC_LATCH_NOT_TCP;
	held = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_HIGH);
	if (held < 0 && errno != EBADF)
		held = fcntl(fd, F_DUPFD_CLOEXEC, DESCRIPTOR_LOWEST);
	if (held < 0)
		return errno == EBADF ? IPSEC_LATCH_SOCKET_GONE : IPSEC_LATCH_TOO_MANY;
	if (!descriptor_is_socket(held, ret_inode)) { /* another thread was quicker */
		(void)close(held);
		return IPSEC_LATCH_SOCKET_GONE;
	}
	*ret_held = held;
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason kbind_socket_hold(int fd, int *ret_held)
{
	uint64_t inode;

	return socket_hold(fd, ret_held, &inode);
}

/* bytes_sent counts retransmissions too, which can only make a connection more of a candidate;
 * kernels before 4.19 have bytes_acked, which lags behind. */
static bool traffic_read(int held, struct sighting *seen)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(held, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	seen->state = info.tcpi_state;
	seen->candidate.sent_bytes =
		len >= offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof(info.tcpi_bytes_sent)
			? info.tcpi_bytes_sent
			: info.tcpi_bytes_acked;
	/* What waits unsent is written too: it goes in front of what the program writes next. */
	seen->candidate.written_bytes =
		(uint32_t)(seen->candidate.sent_bytes - info.tcpi_bytes_retrans +
			   info.tcpi_notsent_bytes);
	seen->candidate.received_bytes = info.tcpi_bytes_received;
	seen->candidate.last_received_ms = info.tcpi_last_data_recv;
	return true;
}

/*
 * A classic filter can be read back and is the program's own.  One in eBPF cannot (EACCES), and is
 * the broker's recorder: eBPF takes privileges that programs with a filter of their own rarely
 * have, and the broker would tell the difference before it touched anything.
 */
static enum ipsec_latch_reason filter_read(int held)
{
	socklen_t instructions = 0;
	int is_locked = 0;

	if (getsockopt(held, SOL_SOCKET, SO_GET_FILTER, NULL, &instructions) != 0)
		return errno == EACCES ? IPSEC_LATCH_ALREADY_LATCHED : IPSEC_LATCH_HAS_FILTER;
	/* Locked without a filter: the recorder cannot be attached either. */
	return instructions != 0 || !option_get(held, SO_LOCK_FILTER, &is_locked) || is_locked != 0
		       ? IPSEC_LATCH_HAS_FILTER
		       : IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason fitness_read(int held)
{
	char name[32];
	socklen_t len = sizeof(name);

	if (getsockopt(held, IPPROTO_TCP, TCP_ULP, name, &len) == 0 && len > 0)
		return IPSEC_LATCH_ULP;
	return filter_read(held);
}

/* What cannot be asked (O_PATH) carries nothing. */
static enum socket_kind kind_read(int held)
{
	int domain, type, protocol;

	if (!option_get(held, SO_DOMAIN, &domain) || !option_get(held, SO_PROTOCOL, &protocol))
		return KIND_OTHER;
	if (domain != AF_INET && domain != AF_INET6 && domain != AF_SMC)
		return KIND_OTHER;
	if (domain != AF_SMC && protocol == IPPROTO_TCP)
		return KIND_TCP;
	if (!option_get(held, SO_TYPE, &type))
		return KIND_OTHER;
	if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
		return KIND_OTHER;
	return KIND_NETWORK;
}

/* MPTCP, SCTP, SMC: nothing tells how much went over which path, so it may be anything. */
static void network_look(int held, struct sighting *seen)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);

	seen->candidate.is_uncounted = true;
	seen->state = getpeername(held, (struct sockaddr *)&peer, &len) == 0 ? STATE_ESTABLISHED
									     : STATE_CLOSE;
}

static bool cookie_read(int fd, uint64_t *ret_cookie)
{
	socklen_t len = sizeof(*ret_cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &len) == 0;
}

/* Fills seen, all but descriptor and inode; false when the socket is gone.  What no connection has stays zero. */
static bool socket_look(int held, struct sighting *seen)
{
	int type;

	seen->kind = kind_read(held);
	if (seen->kind == KIND_OTHER)
		return true;
	if (!cookie_read(held, &seen->candidate.cookie))
		return false;
	if (seen->kind == KIND_NETWORK) {
		network_look(held, seen);
		return true;
	}
	if (!traffic_read(held, seen)) { /* it is over, or a raw one that carries TCP's segments */
		seen->kind = KIND_OTHER;
		return option_get(held, SO_TYPE, &type) && type != SOCK_STREAM;
	}
	if (seen->state != STATE_ESTABLISHED)
		return true;
	seen->fitness = fitness_read(held);
	return tuple_read(held, &seen->candidate.tuple);
}

/* TCP Fast Open: tokens may travel before the handshake is over. */
static bool sighting_is_opening(const struct sighting *seen)
{
	return seen->kind == KIND_TCP &&
	       (seen->state == STATE_SYN_SENT || seen->state == STATE_SYN_RECV);
}

/* Whether tokens may travel on it. */
static bool sighting_is_connection(const struct sighting *seen)
{
	return seen->kind != KIND_OTHER &&
	       (seen->state == STATE_ESTABLISHED || sighting_is_opening(seen));
}

/* Why this socket is no candidate; 0: it is one. */
static enum ipsec_latch_reason sighting_judge(const struct sighting *seen)
{
	if (seen->kind != KIND_TCP || seen->state == STATE_LISTEN || seen->state == STATE_CLOSE ||
		sighting_is_opening(seen))
		return IPSEC_LATCH_NOT_TCP;
	if (seen->state != STATE_ESTABLISHED)
		return IPSEC_LATCH_SOCKET_GONE;
	return tuple_is_self(&seen->candidate.tuple) ? IPSEC_LATCH_SELF : seen->fitness;
}

static enum ipsec_latch_reason descriptor_look(int fd, struct sighting *ret_seen)
{
	struct sighting seen = { .candidate = { .fd = fd } };
	enum ipsec_latch_reason reason;
	bool is_there;
	int held;

	reason = socket_hold(fd, &held, &seen.candidate.inode);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	is_there = socket_look(held, &seen);
	(void)close(held);
	*ret_seen = seen;
	return is_there ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_SOCKET_GONE;
}

struct search {
	struct kbind_candidates found;	/* first what goes before the others */
	enum ipsec_latch_reason reason; /* the most telling one of those left out */
	size_t descriptors;
	bool freshest_first; /* else the newest */
	const struct kbind_pick *pick;
	kbind_wants wants;
	const void *argument;
	kbind_visit visit; /* in place of all others but descriptors */
	void *visitor;
};

static bool search_wants(const struct search *search, const struct kbind_candidate *candidate)
{
	return search->wants == NULL || search->wants(candidate, search->argument);
}

/* A connection that cannot be latched, or not by another context. */
static bool sighting_is_unfit(const struct sighting *seen, enum ipsec_latch_reason reason)
{
	return sighting_is_connection(seen) &&
	       (reason == IPSEC_LATCH_NOT_TCP || reason == IPSEC_LATCH_HAS_FILTER ||
		       reason == IPSEC_LATCH_ULP || reason == IPSEC_LATCH_ALREADY_LATCHED);
}

static enum ipsec_latch_reason find_explicit(
	const struct search *search, int fd, struct kbind_candidates *ret_candidates)
{
	struct sighting seen;
	enum ipsec_latch_reason reason = descriptor_look(fd, &seen);

	ret_candidates->unfit_count = 0;
	ret_candidates->is_cut = false;
	ret_candidates->found_ms = search->found.found_ms;
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = seen.candidate.fitness = sighting_judge(&seen);
	if (sighting_is_unfit(&seen, reason))
		ret_candidates->unfit[ret_candidates->unfit_count++] = seen.candidate;
	if (reason == IPSEC_LATCH_LATCHED && !search_wants(search, &seen.candidate))
		reason = IPSEC_LATCH_NONE;
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	*ret_candidates =
		(struct kbind_candidates){ .count = 1, .found_ms = search->found.found_ms };
	ret_candidates->items[0] = seen.candidate;
	return IPSEC_LATCH_LATCHED;
}

/* The more telling a reason, the later it stands here. */
static const enum ipsec_latch_reason reasons_by_rank[] = { IPSEC_LATCH_NONE,
	IPSEC_LATCH_SOCKET_GONE, IPSEC_LATCH_SELF, IPSEC_LATCH_NOT_TCP, IPSEC_LATCH_ULP,
	IPSEC_LATCH_HAS_FILTER, IPSEC_LATCH_ALREADY_LATCHED };

static size_t reason_rank(enum ipsec_latch_reason reason)
{
	size_t rank = sizeof(reasons_by_rank) / sizeof(reasons_by_rank[0]);

	while (rank > 0 && reasons_by_rank[rank - 1] != reason)
		rank--;
	return rank;
}

static void search_note(struct search *search, enum ipsec_latch_reason reason)
{
	if (reason_rank(reason) > reason_rank(search->reason))
		search->reason = reason;
}

static bool search_goes_before(const struct search *search, const struct kbind_candidate *a,
	const struct kbind_candidate *b)
{
	if (search->freshest_first && a->last_received_ms != b->last_received_ms)
		return a->last_received_ms < b->last_received_ms;
	return a->inode > b->inode;
}

/* A socket counts once, whatever number of descriptors it has: its cookie names it. */
static void search_add(struct search *search, const struct kbind_candidate *candidate,
	struct kbind_candidate *items, size_t *count)
{
	size_t i, at = 0;

	for (i = 0; i < *count; i++) {
		if (items[i].cookie == candidate->cookie) {
			/* The higher one may be another thread's duplicate, for this moment only. */
			if (candidate->fd < items[i].fd)
				items[i].fd = candidate->fd;
			return;
		}
		if (search_goes_before(search, &items[i], candidate))
			at = i + 1;
	}
	if (*count == KBIND_CANDIDATES_MAX)
		search->found.is_cut = true;
	else
		++*count;
	if (at == KBIND_CANDIDATES_MAX)
		return;
	for (i = *count - 1; i > at; i--)
		items[i] = items[i - 1];
	items[at] = *candidate;
}

static enum ipsec_latch_reason search_look(struct search *search, int fd)
{
	struct kbind_candidates *found = &search->found;
	struct sighting seen;
	enum ipsec_latch_reason reason = descriptor_look(fd, &seen);

	if (reason == IPSEC_LATCH_TOO_MANY)
		return reason;
	if (reason != IPSEC_LATCH_LATCHED)
		return IPSEC_LATCH_LATCHED;
	if (!sighting_is_connection(&seen)) {
		/* The one that is meant, perhaps; without a pick it could be anybody's. */
		if (search->pick != NULL && sighting_judge(&seen) == IPSEC_LATCH_SOCKET_GONE)
			search_note(search, IPSEC_LATCH_SOCKET_GONE);
		return IPSEC_LATCH_LATCHED;
	}
	reason = seen.candidate.fitness = sighting_judge(&seen);
	if (sighting_is_unfit(&seen, reason) && search_wants(search, &seen.candidate))
		search_add(search, &seen.candidate, found->unfit, &found->unfit_count);
	if (reason == IPSEC_LATCH_LATCHED && search_wants(search, &seen.candidate))
		search_add(search, &seen.candidate, found->items, &found->count);
	else
		search_note(search, reason);
	return IPSEC_LATCH_LATCHED;
}

static void visit_sighting(const struct search *search, struct sighting *seen)
{
	if (seen->kind == KIND_OTHER || seen->state == STATE_LISTEN)
		return;
	seen->candidate.is_closing = seen->state != STATE_ESTABLISHED;
	seen->candidate.fitness = sighting_judge(seen);
	search->visit(&seen->candidate, search->visitor);
}

static enum ipsec_latch_reason visit_look(const struct search *search, int fd)
{
	struct sighting seen;
	enum ipsec_latch_reason reason = descriptor_look(fd, &seen);

	if (reason == IPSEC_LATCH_LATCHED)
		visit_sighting(search, &seen);
	return reason == IPSEC_LATCH_TOO_MANY ? reason : IPSEC_LATCH_LATCHED;
}

/*
 * Without a duplicate: whatever the descriptor is, these questions change nothing, and what is taken is looked at
 * properly.  Who swaps it meanwhile closes or moves a connection during the search, whose result may be any then.
 */
static bool search_picks(const struct search *search, int fd)
{
	const struct kbind_pick *pick = search->pick;
	struct kbind_tuple tuple;
	uint64_t cookie;

	if (pick == NULL)
		return true;
	if (pick->takes_cookie != NULL &&
		(!cookie_read(fd, &cookie) || !pick->takes_cookie(cookie, pick->argument)))
		return false;
	return pick->takes_tuple == NULL ||
	       (tuple_read(fd, &tuple) && pick->takes_tuple(&tuple, pick->argument));
}

static bool name_is_descriptor(const char *name, int *ret_fd)
{
	char *end;
	long number;

	if (name[0] < '0' || name[0] > '9')
		return false;
	number = strtol(name, &end, 10);
	*ret_fd = (int)number;
	return *end == '\0' && number <= INT32_MAX;
}

static enum ipsec_latch_reason search_directory(struct search *search, DIR *directory)
{
	enum ipsec_latch_reason reason = IPSEC_LATCH_LATCHED;
	struct dirent *entry;
	int fd;

	while (reason == IPSEC_LATCH_LATCHED) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_NO_PROC;
		if (!name_is_descriptor(entry->d_name, &fd))
			continue;
		if (++search->descriptors > DESCRIPTORS_MAX + 1) /* one is the directory's */
			return IPSEC_LATCH_TOO_MANY;
		if (!search_picks(search, fd))
			continue;
		reason = search->visit != NULL ? visit_look(search, fd) : search_look(search, fd);
	}
	return reason;
}

/* The second is for a process whose first thread has ended: the first is empty then. */
static const char *const descriptor_directories[] = { "/proc/self/fd", "/proc/thread-self/fd" };

static enum ipsec_latch_reason search_process(struct search *search)
{
	enum ipsec_latch_reason reason;
	DIR *directory;
	size_t i;

	for (i = 0; i < sizeof(descriptor_directories) / sizeof(descriptor_directories[0]); i++) {
		directory = opendir(descriptor_directories[i]);
		if (directory == NULL && (errno == EMFILE || errno == ENFILE))
			return IPSEC_LATCH_TOO_MANY;
		if (directory == NULL)
			continue;
		reason = search_directory(search, directory);
		(void)closedir(directory);
		if (reason != IPSEC_LATCH_LATCHED || search->descriptors > 0)
			return reason;
	}
	return IPSEC_LATCH_NO_PROC;
}

static enum ipsec_latch_reason search_run(
	struct search *search, int fd, struct kbind_candidates *ret_candidates)
{
	enum ipsec_latch_reason reason;

	if (fd >= 0)
		return find_explicit(search, fd, ret_candidates);
	reason = search_process(search);
	if (reason == IPSEC_LATCH_LATCHED && search->found.count > 0) {
		*ret_candidates = search->found;
		return IPSEC_LATCH_LATCHED;
	}
	memcpy(ret_candidates->unfit, search->found.unfit, sizeof(search->found.unfit));
	ret_candidates->unfit_count = search->found.unfit_count;
	ret_candidates->is_cut = search->found.is_cut;
	ret_candidates->found_ms = search->found.found_ms;
	return reason == IPSEC_LATCH_LATCHED ? search->reason : reason;
}

enum ipsec_latch_reason kbind_find_candidates(int fd, struct kbind_candidates *ret_candidates)
{
	struct search search = { .reason = IPSEC_LATCH_NONE,
		.found = { .found_ms = kbind_clock_ms() } };

	return search_run(&search, fd, ret_candidates);
}

enum ipsec_latch_reason kbind_find_wanted(int fd, const struct kbind_pick *pick, kbind_wants wants,
	const void *argument, struct kbind_candidates *ret_candidates)
{
	struct search search = { .reason = IPSEC_LATCH_NONE,
		.found = { .found_ms = kbind_clock_ms() },
		.freshest_first = true,
		.pick = pick,
		.wants = wants,
		.argument = argument };

	return search_run(&search, fd, ret_candidates);
}

enum ipsec_latch_reason kbind_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	struct search search = { .pick = pick, .visit = visit, .visitor = argument };
	struct sighting seen;
	enum ipsec_latch_reason reason;

	if (fd < 0)
		return search_process(&search);
	reason = descriptor_look(fd, &seen);
	if (reason == IPSEC_LATCH_LATCHED)
		visit_sighting(&search, &seen);
	return reason;
}

/* Whether the held socket is this connection still, without looking at all of it. */
static bool candidate_is_held(const struct kbind_candidate *candidate, int held)
{
	struct sighting seen = { .candidate = { .fd = candidate->fd } };
	socklen_t len = sizeof(seen.candidate.cookie);

	return getsockopt(held, SOL_SOCKET, SO_COOKIE, &seen.candidate.cookie, &len) == 0 &&
	       seen.candidate.cookie == candidate->cookie && traffic_read(held, &seen) &&
	       seen.state == STATE_ESTABLISHED && tuple_read(held, &seen.candidate.tuple) &&
	       tuple_is_same(&seen.candidate.tuple, &candidate->tuple);
}

enum ipsec_latch_reason kbind_candidate_hold(const struct kbind_candidate *candidate, int *ret_held)
{
	enum ipsec_latch_reason reason;
	int held;

	/* Whatever else the number means by now, it is not this connection. */
	reason = kbind_socket_hold(candidate->fd, &held);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason == IPSEC_LATCH_TOO_MANY ? reason : IPSEC_LATCH_SOCKET_GONE;
	if (!candidate_is_held(candidate, held)) {
		(void)close(held);
		return IPSEC_LATCH_SOCKET_GONE;
	}
	*ret_held = held;
	return IPSEC_LATCH_LATCHED;
}

/* Zero where the kernel does not say: then nobody is told that the program has yet to read it. */
static uint32_t unread_read(int held)
{
	int unread = 0;

	return ioctl(held, SIOCINQ, &unread) == 0 && unread > 0 ? (uint32_t)unread : 0;
}

bool kbind_has_threads(void)
{
	struct stat tasks;

	/* Two links of the folder itself, and one for each thread's. */
	return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink != 3;
}

enum ipsec_latch_reason kbind_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	struct sighting seen = { .candidate = { .fd = candidate->fd } };
	enum ipsec_latch_reason reason;
	bool is_there;
	int held;

	reason = socket_hold(candidate->fd, &held, &seen.candidate.inode);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason == IPSEC_LATCH_TOO_MANY ? reason : IPSEC_LATCH_SOCKET_GONE;
	is_there = socket_look(held, &seen) && seen.kind != KIND_OTHER &&
		   seen.candidate.cookie == candidate->cookie;
	if (is_there)
		seen.candidate.unread_bytes = unread_read(held);
	(void)close(held);
	if (!is_there)
		return IPSEC_LATCH_SOCKET_GONE;
	seen.candidate.is_closing = seen.state != STATE_ESTABLISHED;
	seen.candidate.fitness = sighting_judge(&seen);
	if (seen.candidate.is_closing)
		seen.candidate.tuple = candidate->tuple;
	else if (candidate->tuple.family != 0 &&
		 !tuple_is_same(&seen.candidate.tuple, &candidate->tuple))
		return IPSEC_LATCH_SOCKET_GONE;
	*ret_now = seen.candidate;
	return IPSEC_LATCH_LATCHED;
}
