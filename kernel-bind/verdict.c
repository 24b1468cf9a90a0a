/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verdict's checks (e) and (f), made in the process that owns the connection: no segment waits
 * out of order, and there is no urgent mark.  Clear bytes in either place would be delivered after
 * the latch closed.  Changes nothing but SO_OOBINLINE, which it puts back.
 */
#include "kernel-bind/client.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

#define PENDING_POLL_NS 2000000L

int64_t kbind_clock_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Segments ever queued out of order; ret_is_known false on kernels before 5.4. */
static bool count_out_of_order(int held, uint32_t *ret_packets, bool *ret_is_known)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(held, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return false;
	*ret_packets = info.tcpi_rcv_ooopack;
	*ret_is_known =
		len >= offsetof(struct tcp_info, tcpi_rcv_ooopack) + sizeof(info.tcpi_rcv_ooopack);
	return true;
}

/* RMEM_ALLOC counts the receive queue and the out-of-order queue together. */
static bool queues_are_empty(int held)
{
	uint32_t memory[SK_MEMINFO_VARS] = { 0 };
	socklen_t len = sizeof(memory);

	if (getsockopt(held, SOL_SOCKET, SO_MEMINFO, memory, &len) != 0)
		return false;
	return len > SK_MEMINFO_BACKLOG * sizeof(memory[0]) && memory[SK_MEMINFO_RMEM_ALLOC] == 0 &&
	       memory[SK_MEMINFO_BACKLOG] == 0;
}

/*
 * TCP_INFO takes the socket's lock, so a backlog is worked off before its count is read: it goes
 * first.  Bytes in order that the program has not read yet look like bytes out of order in
 * SO_MEMINFO, and no interface tells the queues apart.  The count does, from one call to the next:
 * as long as it is what it was when the queues were seen empty, nothing came out of order since,
 * whatever is unread.
 */
static enum ipsec_latch_reason look_for_pending(int held, uint32_t *known_packets)
{
	uint32_t packets;
	bool is_known;

	if (!count_out_of_order(held, &packets, &is_known))
		return IPSEC_LATCH_SOCKET_GONE;
	if (is_known && packets == *known_packets)
		return IPSEC_LATCH_LATCHED;
	if (!queues_are_empty(held))
		return IPSEC_LATCH_PENDING;
	*known_packets = packets;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason wait_for_pending(int held, uint32_t *known_packets)
{
	const struct timespec pause = { .tv_nsec = PENDING_POLL_NS };
	int64_t deadline = kbind_clock_ms() + KBIND_PENDING_WAIT_MS;
	enum ipsec_latch_reason reason;

	for (;;) {
		reason = look_for_pending(held, known_packets);
		if (reason != IPSEC_LATCH_PENDING || kbind_clock_ms() >= deadline)
			return reason;
		(void)nanosleep(&pause, NULL); /* a signal only makes it look sooner */
	}
}

/* EINVAL is what the kernel says when there is no mark, but also when SO_OOBINLINE is on. */
static enum ipsec_latch_reason look_for_mark(int held)
{
	uint8_t octet;

	if (recv(held, &octet, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) >= 0 || errno == EAGAIN)
		return IPSEC_LATCH_URGENT;
	return errno == EINVAL ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_SOCKET_GONE;
}

static enum ipsec_latch_reason check_urgent(int held)
{
	const int off = 0, on = 1;
	enum ipsec_latch_reason reason;
	int is_inline = 0;
	socklen_t len = sizeof(is_inline);

	if (getsockopt(held, SOL_SOCKET, SO_OOBINLINE, &is_inline, &len) != 0)
		return IPSEC_LATCH_SOCKET_GONE;
	if (!is_inline)
		return look_for_mark(held);
	if (setsockopt(held, SOL_SOCKET, SO_OOBINLINE, &off, sizeof(off)) != 0)
		return IPSEC_LATCH_SOCKET_GONE;
	reason = look_for_mark(held);
	if (setsockopt(held, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) != 0)
		reason = IPSEC_LATCH_SOCKET_GONE;
	return reason;
}

enum ipsec_latch_reason kbind_check_stream(int held, uint32_t *known_packets)
{
	enum ipsec_latch_reason reason = wait_for_pending(held, known_packets);

	return reason == IPSEC_LATCH_LATCHED ? check_urgent(held) : reason;
}
