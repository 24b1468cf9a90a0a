/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel tells of others' changes to policies and SAs.  The kernel's side is here. */
#include <arpa/inet.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/xfrm_internal.h"
#include "tests/unit/suites.h"

#define OWN_PORT 4711
#define OTHERS_PORT 4712

static struct nl_msg *told;
static struct kxfrm_event heard[4];
static size_t heard_count;

/* The linker puts these in place of the real ones. */
int __wrap_kxfrm_netlink_open(int protocol, struct kxfrm_netlink **ret_netlink) ERR_MUST_CHECK;
void __wrap_kxfrm_netlink_close(struct kxfrm_netlink **netlink);
uint32_t __wrap_kxfrm_netlink_port(const struct kxfrm_netlink *netlink);
int __wrap_kxfrm_netlink_join(struct kxfrm_netlink *netlink, int group) ERR_MUST_CHECK;
int __wrap_kxfrm_netlink_read_events(
	struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context) ERR_MUST_CHECK;

int __wrap_kxfrm_netlink_open(int protocol, struct kxfrm_netlink **ret_netlink)
{
	ck_assert_int_eq(protocol, NETLINK_XFRM);
	*ret_netlink = NULL;
	return 0;
}

void __wrap_kxfrm_netlink_close(struct kxfrm_netlink **netlink)
{
	*netlink = NULL;
}

uint32_t __wrap_kxfrm_netlink_port(const struct kxfrm_netlink *netlink)
{
	ck_assert_ptr_null(netlink);
	return OWN_PORT;
}

int __wrap_kxfrm_netlink_join(struct kxfrm_netlink *netlink, int group)
{
	return netlink == NULL && group != 0 ? 0 : 1;
}

int __wrap_kxfrm_netlink_read_events(
	struct kxfrm_netlink *netlink, kxfrm_each_message *each, void *context)
{
	ck_assert_ptr_null(netlink);
	each(context, nlmsg_hdr(told));
	return 0;
}

static void hear(void *context, const struct kxfrm_event *event)
{
	(void)context;
	ck_assert_uint_lt(heard_count, sizeof(heard) / sizeof(heard[0]));
	heard[heard_count++] = *event;
}

/* What comes of told, which is freed. */
static void read_told(void)
{
	const struct kxfrm xfrm = { .netlink = NULL };
	struct kxfrm_events *events = NULL;

	heard_count = 0;
	ck_assert_int_eq(kxfrm_events_open(&xfrm, &events), 0);
	ck_assert(kxfrm_events_read(events, hear, NULL));
	kxfrm_events_close(&events);
	kxfrm_message_free(told);
}

static void *tell(int type, size_t header_bytes, uint32_t port)
{
	void *header = NULL;

	told = kxfrm_message_new(type, 0, header_bytes, &header);
	ck_assert_ptr_nonnull(told);
	nlmsg_hdr(told)->nlmsg_pid = port;
	return header;
}

/* A deleted entry, as the kernel tells of it. */
struct deleted {
	uint32_t reqid;
	uint8_t flags, action, priority;
	bool has_template, has_info;
	enum kxfrm_event_type type;
};

/* clang-format off */
static const struct deleted deleted[] = {
	{ 0x47000001,      0, XFRM_POLICY_ALLOW, 1, true, true, KXFRM_EVENT_COVER_GONE },
	{ 0x47000001,      0, XFRM_POLICY_ALLOW, 1, true, false, KXFRM_EVENT_COVER_GONE },
	{ KXFRM_REQID_ANY, XFRM_POLICY_LOCALOK, XFRM_POLICY_ALLOW, 1, true, true, KXFRM_EVENT_COVER_GONE },
	{ KXFRM_REQID_ANY, 0, XFRM_POLICY_ALLOW, 1, true, true, KXFRM_EVENT_POLICY_CHANGED },
	{ 5,               0, XFRM_POLICY_ALLOW, 1, true, true, KXFRM_EVENT_POLICY_CHANGED },
	{ 0,               0, XFRM_POLICY_BLOCK, 1, false, true, KXFRM_EVENT_POLICY_CHANGED },
};
/* clang-format on */

static void tell_deleted(const struct deleted *entry)
{
	struct xfrm_userpolicy_info info = { .priority = entry->priority,
		.action = entry->action,
		.flags = entry->flags,
		.dir = XFRM_POLICY_IN,
		.sel = { .family = AF_INET,
			.proto = IPPROTO_TCP,
			.prefixlen_s = 32,
			.prefixlen_d = 32,
			.sport_mask = UINT16_MAX,
			.dport_mask = UINT16_MAX } };
	const struct xfrm_user_tmpl template = { .id = { .proto = IPPROTO_ESP },
		.reqid = entry->reqid };
	struct xfrm_userpolicy_id *id = tell(XFRM_MSG_DELPOLICY, sizeof(*id), OTHERS_PORT);

	id->dir = XFRM_POLICY_IN;
	if (entry->has_info)
		ck_assert_int_eq(nla_put(told, XFRMA_POLICY, sizeof(info), &info), 0);
	if (entry->has_template)
		ck_assert_int_eq(nla_put(told, XFRMA_TMPL, sizeof(template), &template), 0);
}

START_TEST(test_deleted)
{
	tell_deleted(&deleted[_i]);
	read_told();
	ck_assert_uint_eq(heard_count, 1);
	ck_assert_int_eq(heard[0].type, deleted[_i].type);
}
END_TEST

/* Cut short it is a change all the same. */
START_TEST(test_cut)
{
	tell_deleted(&deleted[2]);
	nlmsg_hdr(told)->nlmsg_len = NLMSG_HDRLEN + 4;
	read_told();
	ck_assert_uint_eq(heard_count, 1);
	ck_assert_int_eq(heard[0].type, KXFRM_EVENT_POLICY_CHANGED);
}
END_TEST

START_TEST(test_own)
{
	(void)tell(XFRM_MSG_FLUSHPOLICY, 4, OWN_PORT);
	read_told();
	ck_assert_uint_eq(heard_count, 0);
}
END_TEST

START_TEST(test_associations)
{
	struct xfrm_usersa_id *id = tell(XFRM_MSG_DELSA, sizeof(*id), OTHERS_PORT);
	struct xfrm_user_expire *expire;

	id->spi = htonl(0x1234);
	memcpy(&id->daddr, "\x0a\x00\x00\x01", 4);
	read_told();
	ck_assert(heard_count == 1 && heard[0].type == KXFRM_EVENT_SA_GONE);
	ck_assert(
		heard[0].spi == 0x1234 && memcmp(heard[0].destination, "\x0a\x00\x00\x01", 4) == 0);
	for (uint8_t hard = 0; hard < 2; hard++) {
		expire = tell(XFRM_MSG_EXPIRE, sizeof(*expire), OTHERS_PORT);
		expire->state.id.spi = htonl(0x1234);
		expire->hard = hard;
		read_told();
		ck_assert(heard_count == 1 && heard[0].type == KXFRM_EVENT_SA_USED_UP);
		ck_assert_uint_eq(heard[0].spi, hard != 0 ? 0x1234 : 0);
	}
}
END_TEST

Suite *suite_xfrm_events(void)
{
	Suite *suite = suite_create("xfrm_events");
	TCase *tests = tcase_create("xfrm_events");

	tcase_add_loop_test(tests, test_deleted, 0, (int)(sizeof(deleted) / sizeof(deleted[0])));
	tcase_add_test(tests, test_cut);
	tcase_add_test(tests, test_own);
	tcase_add_test(tests, test_associations);
	suite_add_tcase(suite, tests);
	return suite;
}
