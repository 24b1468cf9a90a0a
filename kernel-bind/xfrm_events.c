/* SPDX-License-Identifier: BSD-2-Clause */
/* The events that tell what others, or time, did to policies and SAs. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-bind/xfrm_internal.h"

struct kxfrm_events {
	struct kxfrm_netlink *netlink;
	uint32_t own_port;
};

int kxfrm_events_open(const struct kxfrm *xfrm, struct kxfrm_events **ret_events)
{
	static const int groups[] = { XFRMNLGRP_SA, XFRMNLGRP_EXPIRE, XFRMNLGRP_POLICY };
	struct kxfrm_events *events = calloc(1, sizeof(*events));
	int result;

	if (events == NULL)
		return ENOMEM;
	events->own_port = kxfrm_netlink_port(xfrm->netlink);
	result = kxfrm_netlink_open(NETLINK_XFRM, &events->netlink);
	for (size_t i = 0; result == 0 && i < sizeof(groups) / sizeof(groups[0]); i++)
		result = kxfrm_netlink_join(events->netlink, groups[i]);
	if (result != 0) {
		kxfrm_events_close(&events);
		return result;
	}
	*ret_events = events;
	return 0;
}

void kxfrm_events_close(struct kxfrm_events **events)
{
	if (*events == NULL)
		return;
	kxfrm_netlink_close(&(*events)->netlink);
	free(*events);
	*events = NULL;
}

int kxfrm_events_descriptor(const struct kxfrm_events *events)
{
	return kxfrm_netlink_descriptor(events->netlink);
}

struct event_reading {
	uint32_t own_port;
	kxfrm_each_event *each;
	void *context;
};

/* An entry that is none of ours stays the change that the table says. */
static void event_read_policy(const struct nlmsghdr *header, struct kxfrm_event *event)
{
	const struct xfrm_userpolicy_id *id = nlmsg_data(header);
	struct kxfrm_policy policy = { 0 };
	struct nlattr *attributes[XFRMA_MAX + 1];
	struct xfrm_userpolicy_info info = { .action = XFRM_POLICY_BLOCK };

	if (nlmsg_parse((struct nlmsghdr *)(uintptr_t)header, sizeof(*id), attributes, XFRMA_MAX,
		    NULL) < 0)
		return;
	/* Its flags alone tell whose the entry of a cover that yields was. */
	if (attributes[XFRMA_POLICY] != NULL &&
		nla_len(attributes[XFRMA_POLICY]) >= (int)sizeof(info))
		memcpy(&info, nla_data(attributes[XFRMA_POLICY]), sizeof(info));
	kxfrm_policy_read(&info, attributes, &policy);
	if (kxfrm_policy_is_cover(&policy) || kxfrm_policy_is_block(&policy))
		event->type = KXFRM_EVENT_COVER_GONE;
}

static void event_read_deleted(const struct nlmsghdr *header, struct kxfrm_event *event)
{
	const struct xfrm_usersa_id *id = nlmsg_data(header);

	if (nlmsg_datalen(header) < (int)sizeof(*id))
		return;
	memcpy(event->destination, &id->daddr, sizeof(event->destination));
	event->spi = ntohl(id->spi);
}

static void event_read_expired(const struct nlmsghdr *header, struct kxfrm_event *event)
{
	const struct xfrm_user_expire *expire = nlmsg_data(header);

	/* Soft limits change nothing; spi stays 0, which is nobody's. */
	if (nlmsg_datalen(header) < (int)sizeof(*expire) || expire->hard == 0)
		return;
	memcpy(event->destination, &expire->state.id.daddr, sizeof(event->destination));
	event->spi = ntohl(expire->state.id.spi);
}

struct event_row {
	uint16_t message;
	enum kxfrm_event_type type;
	void (*read)(const struct nlmsghdr *header, struct kxfrm_event *event);
};

/* clang-format off */
static const struct event_row event_rows[] = {
	{ XFRM_MSG_DELSA,       KXFRM_EVENT_SA_GONE,        event_read_deleted },
	{ XFRM_MSG_EXPIRE,      KXFRM_EVENT_SA_USED_UP,     event_read_expired },
	{ XFRM_MSG_FLUSHSA,     KXFRM_EVENT_SA_FLUSHED,     NULL },
	{ XFRM_MSG_NEWPOLICY,   KXFRM_EVENT_POLICY_CHANGED, NULL },
	{ XFRM_MSG_UPDPOLICY,   KXFRM_EVENT_POLICY_CHANGED, NULL },
	{ XFRM_MSG_DELPOLICY,   KXFRM_EVENT_POLICY_CHANGED, event_read_policy },
	{ XFRM_MSG_POLEXPIRE,   KXFRM_EVENT_POLICY_CHANGED, NULL },
	{ XFRM_MSG_FLUSHPOLICY, KXFRM_EVENT_COVER_GONE,     NULL },
};
/* clang-format on */

static void each_event_message(void *context, struct nlmsghdr *header)
{
	const struct event_reading *reading = context;
	struct kxfrm_event event = { 0 };

	if (header->nlmsg_pid == reading->own_port)
		return;
	for (size_t i = 0; i < sizeof(event_rows) / sizeof(event_rows[0]); i++) {
		if (event_rows[i].message != header->nlmsg_type)
			continue;
		event.type = event_rows[i].type;
		if (event_rows[i].read != NULL)
			event_rows[i].read(header, &event);
		reading->each(reading->context, &event);
	}
}

bool kxfrm_events_read(struct kxfrm_events *events, kxfrm_each_event *each, void *context)
{
	struct event_reading reading = { events->own_port, each, context };
	const struct kxfrm_event lost = { .type = KXFRM_EVENT_LOST };
	int result = kxfrm_netlink_read_events(events->netlink, each_event_message, &reading);

	if (result != 0 && result != EBUSY)
		each(context, &lost);
	return result != EBUSY;
}
