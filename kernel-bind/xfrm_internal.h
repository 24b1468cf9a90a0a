/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the xfrm_*.c files only. */
#ifndef KERNEL_BIND_XFRM_INTERNAL_H
#define KERNEL_BIND_XFRM_INTERNAL_H

#include <linux/xfrm.h>

#include "kernel-bind/xfrm.h"
#include "kernel-bind/xfrm_socket.h"

struct kxfrm {
	struct kxfrm_netlink *netlink;
};

struct kxfrm_endpoints {
	uint16_t family;
	xfrm_address_t source, destination;
	uint16_t source_port, destination_port; /* host order */
};

/* The path seen as packets are: from source to destination. */
void kxfrm_path_endpoints(struct kxfrm_path path, struct kxfrm_endpoints *ret_endpoints);
/* Exactly this path's packets. */
void kxfrm_path_selector(struct kxfrm_path path, struct xfrm_selector *ret_selector);
/* No limits at all. */
void kxfrm_lifetime_unlimited(struct xfrm_lifetime_cfg *ret_lifetime);
/* What the kernel tells of an SPD entry: its header and, by type, its attributes (NULL: not there). */
void kxfrm_policy_read(const struct xfrm_userpolicy_info *info, struct nlattr **attributes,
	struct kxfrm_policy *policy);
/* Sends message, frees it (NULL: ENOMEM), returns what the kernel said. */
int kxfrm_request(struct kxfrm *xfrm, struct nl_msg *message, kxfrm_each_message *each,
	void *context) ERR_MUST_CHECK;

#endif
