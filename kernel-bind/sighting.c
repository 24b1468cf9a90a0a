/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One socket at a time, through a duplicate that is closed before the call returns: other threads may
 * close and open descriptors at will.  Changes nothing.
 */
#include "kernel-bind/sighting.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-bind/client.h"
#include "kernel-bind/tuple.h"

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

/*
 * What the program has written so far.  A segment that this host's own queue or filter did not take is sent anew,
 * and counted, without being a repetition.  When nothing is on its way what was acknowledged says
 * how much that was: less one, since a SYN is counted with it at the end that connected.  An octet
 * too few only lets T1 be found behind it; while something is on its way, too many remain, and T1
 * is not found.
 */
static void written_read(
	const struct tcp_info *info, uint64_t sent_bytes, struct kbind_candidate *candidate)
{
	const uint64_t once = sent_bytes - info->tcpi_bytes_retrans;

	/* What waits unsent is written too: it goes in front of what the program writes next. */
	candidate->counted_bytes = (uint32_t)(once + info->tcpi_notsent_bytes);
	candidate->written_bytes = candidate->counted_bytes;
	if (info->tcpi_unacked == 0 && info->tcpi_notsent_bytes == 0 &&
		info->tcpi_bytes_acked < once)
		candidate->written_bytes = (uint32_t)(info->tcpi_bytes_acked - 1);
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
	written_read(&info, seen->candidate.sent_bytes, &seen->candidate);
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
static enum sighting_kind kind_read(int held)
{
	int domain, type, protocol;

	if (!option_get(held, SO_DOMAIN, &domain) || !option_get(held, SO_PROTOCOL, &protocol))
		return SIGHTING_OTHER;
	if (domain != AF_INET && domain != AF_INET6 && domain != AF_SMC)
		return SIGHTING_OTHER;
	if (domain != AF_SMC && protocol == IPPROTO_TCP)
		return SIGHTING_TCP;
	if (!option_get(held, SO_TYPE, &type))
		return SIGHTING_OTHER;
	if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
		return SIGHTING_OTHER;
	return SIGHTING_NETWORK;
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

bool sighting_cookie(int fd, uint64_t *ret_cookie)
{
	socklen_t len = sizeof(*ret_cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, ret_cookie, &len) == 0;
}

/* Fills seen, all but descriptor and inode; false when the socket is gone.  What no connection has stays zero. */
static bool socket_look(int held, struct sighting *seen)
{
	int type;

	seen->kind = kind_read(held);
	if (seen->kind == SIGHTING_OTHER)
		return true;
	if (!sighting_cookie(held, &seen->candidate.cookie))
		return false;
	if (seen->kind == SIGHTING_NETWORK) {
		network_look(held, seen);
		return true;
	}
	if (!traffic_read(held, seen)) { /* it is over, or a raw one that carries TCP's segments */
		seen->kind = SIGHTING_OTHER;
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
	return seen->kind == SIGHTING_TCP &&
	       (seen->state == STATE_SYN_SENT || seen->state == STATE_SYN_RECV);
}

/* Whether tokens may travel on it. */
bool sighting_is_connection(const struct sighting *seen)
{
	return seen->kind != SIGHTING_OTHER &&
	       (seen->state == STATE_ESTABLISHED || sighting_is_opening(seen));
}

/* Why this socket is no candidate; 0: it is one. */
enum ipsec_latch_reason sighting_judge(const struct sighting *seen)
{
	if (seen->kind != SIGHTING_TCP || seen->state == STATE_LISTEN ||
		seen->state == STATE_CLOSE || sighting_is_opening(seen))
		return IPSEC_LATCH_NOT_TCP;
	if (seen->state != STATE_ESTABLISHED)
		return IPSEC_LATCH_SOCKET_GONE;
	return tuple_is_self(&seen->candidate.tuple) ? IPSEC_LATCH_SELF : seen->fitness;
}

enum ipsec_latch_reason sighting_take(int fd, struct sighting *ret_seen)
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

/* A connection that cannot be latched, or not by another context. */
bool sighting_is_unfit(const struct sighting *seen, enum ipsec_latch_reason reason)
{
	return sighting_is_connection(seen) &&
	       (reason == IPSEC_LATCH_NOT_TCP || reason == IPSEC_LATCH_HAS_FILTER ||
		       reason == IPSEC_LATCH_ULP || reason == IPSEC_LATCH_ALREADY_LATCHED);
}

bool sighting_show(struct sighting *seen)
{
	seen->candidate.is_closing = seen->state != STATE_ESTABLISHED;
	seen->candidate.fitness = sighting_judge(seen);
	return seen->kind != SIGHTING_OTHER && seen->state != STATE_LISTEN;
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
	is_there = socket_look(held, &seen) && seen.kind != SIGHTING_OTHER &&
		   seen.candidate.cookie == candidate->cookie;
	if (is_there)
		seen.candidate.unread_bytes = unread_read(held);
	(void)close(held);
	if (!is_there)
		return IPSEC_LATCH_SOCKET_GONE;
	(void)sighting_show(&seen);
	if (seen.candidate.is_closing)
		seen.candidate.tuple = candidate->tuple;
	else if (candidate->tuple.family != 0 &&
		 !tuple_is_same(&seen.candidate.tuple, &candidate->tuple))
		return IPSEC_LATCH_SOCKET_GONE;
	*ret_now = seen.candidate;
	return IPSEC_LATCH_LATCHED;
}
