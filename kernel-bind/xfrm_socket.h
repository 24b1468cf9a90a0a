/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink conversations with the kernel (XFRM and sock_diag): one message out, its answers and its
 * acknowledgement in.  Only what comes from the kernel itself (nl_pid 0) is believed.  Messages and
 * answers may carry keys: every buffer is wiped.  Not thread-safe.
 *
 * Functions return 0 or a positive errno, the kernel's own where it answered.
 */
#ifndef KERNEL_BIND_XFRM_SOCKET_H
#define KERNEL_BIND_XFRM_SOCKET_H

#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define KXFRM_MESSAGE_BYTES_MAX 4096

struct kxfrm_netlink;

/* Called for each message of an answer; header is valid during the call only. */
typedef void kxfrm_each_message(void *context, struct nlmsghdr *header);

/* protocol: NETLINK_XFRM or NETLINK_SOCK_DIAG. The owner closes it. */
int kxfrm_netlink_open(int protocol, struct kxfrm_netlink **ret_netlink) ERR_MUST_CHECK;
/* NULL inside is fine; nulls it. */
void kxfrm_netlink_close(struct kxfrm_netlink **netlink);
/* For poll(). */
int kxfrm_netlink_descriptor(const struct kxfrm_netlink *netlink);
/* The port that events made by this socket's own requests bear. */
uint32_t kxfrm_netlink_port(const struct kxfrm_netlink *netlink);
int kxfrm_netlink_join(struct kxfrm_netlink *netlink, int group) ERR_MUST_CHECK;

/* A message of this type with a zeroed fixed header of header_bytes; NULL without memory. */
struct nl_msg *kxfrm_message_new(int type, int flags, size_t header_bytes, void **ret_header);
/* Wipes and frees; NULL is fine. */
void kxfrm_message_free(struct nl_msg *message);
/* Sends message (still the caller's) and then waits for the acknowledgement, two seconds at most, or
 * the dump's end, ten; then ETIMEDOUT.  each may be NULL. */
int kxfrm_netlink_transact(struct kxfrm_netlink *netlink, struct nl_msg *message,
	kxfrm_each_message *each, void *context) ERR_MUST_CHECK;
/* The same for a long answer, without waiting: begin sends; continue reads one datagram of the
 * answer, EAGAIN: none is there yet.  What is left of an earlier answer is passed over. */
int kxfrm_netlink_begin(struct kxfrm_netlink *netlink, struct nl_msg *message) ERR_MUST_CHECK;
int kxfrm_netlink_continue(struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context,
	bool *ret_is_complete) ERR_MUST_CHECK;
/* Reads the events that are there, without waiting; ENOBUFS: some were lost; EBUSY: after 64
 * datagrams and 20 ms there were more yet. */
int kxfrm_netlink_read_events(
	struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context) ERR_MUST_CHECK;

#endif
