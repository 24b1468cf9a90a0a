/* SPDX-License-Identifier: BSD-2-Clause */
/* Which SPD entries apply to a connection. */
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "kernel-bind/xfrm.h"
#include "tests/unit/suites.h"

static const struct kbind_tuple tuple = { .family = AF_INET,
	.protocol = IPPROTO_TCP,
	.local = { 10, 1, 2, 3 },
	.remote = { 192, 0, 2, 130 },
	.local_port = 40000,
	.remote_port = 443 };

static const struct kxfrm_path in = { &tuple, true }, out = { &tuple, false };

/* 10.1.0.0/16 to 192.0.2.128/25, outbound */
static struct kxfrm_policy policy_base(void)
{
	return (struct kxfrm_policy){ .family = AF_INET,
		.direction = XFRM_POLICY_OUT,
		.source_bits = 16,
		.destination_bits = 25,
		.source = { 10, 1 },
		.destination = { 192, 0, 2, 128 } };
}

START_TEST(test_prefixes)
{
	struct kxfrm_policy policy = policy_base();

	ck_assert(kxfrm_policy_matches(&policy, out, 0));
	ck_assert(!kxfrm_policy_matches(&policy, in, 0));
	policy.destination_bits = 26;
	ck_assert(kxfrm_policy_matches(&policy, out, 0));
	policy.destination[3] = 0;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
	policy = policy_base();
	policy.source[1] = 2;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
	policy.source_bits = policy.destination_bits = 0;
	ck_assert(kxfrm_policy_matches(&policy, out, 0));
	policy.source_bits = 200;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
}
END_TEST

START_TEST(test_ipv6)
{
	const struct kbind_tuple six = { .family = AF_INET6,
		.protocol = IPPROTO_TCP,
		.local = { 0xfd, 0x77, [15] = 1 },
		.remote = { 0xfd, 0x77, [15] = 0x82 } };
	const struct kxfrm_path path = { &six, false };
	struct kxfrm_policy policy = { .family = AF_INET6,
		.direction = XFRM_POLICY_OUT,
		.source_bits = 128,
		.destination_bits = 121,
		.source = { 0xfd, 0x77, [15] = 1 },
		.destination = { 0xfd, 0x77, [15] = 0x80 } };

	ck_assert(kxfrm_policy_matches(&policy, path, 0));
	policy.destination_bits = 127;
	ck_assert(!kxfrm_policy_matches(&policy, path, 0));
	policy.destination_bits = 121;
	policy.source[15] = 2;
	ck_assert(!kxfrm_policy_matches(&policy, path, 0));
	policy = policy_base();
	policy.source_bits = policy.destination_bits = 0;
	ck_assert(!kxfrm_policy_matches(&policy, path, 0));
}
END_TEST

START_TEST(test_ports_and_protocol)
{
	struct kxfrm_policy policy = policy_base();

	policy.protocol = IPPROTO_TCP;
	policy.destination_port = 443;
	policy.destination_port_mask = 0xffff;
	ck_assert(kxfrm_policy_matches(&policy, out, 0));
	policy.destination_port = 444;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
	policy.destination_port_mask = 0xfff0;
	ck_assert(kxfrm_policy_matches(&policy, out, 0));
	policy.protocol = IPPROTO_UDP;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
}
END_TEST

START_TEST(test_marks)
{
	struct kxfrm_policy policy = policy_base();

	policy.mark = 5;
	policy.mark_mask = 0xff;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
	ck_assert(kxfrm_policy_matches(&policy, out, 0x105));
	policy = policy_base();
	policy.if_id = 1;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
	policy = policy_base();
	policy.family = AF_INET6;
	ck_assert(!kxfrm_policy_matches(&policy, out, 0));
}
END_TEST

START_TEST(test_reqids)
{
	ck_assert(kxfrm_reqid_is_ours(0x47000001));
	ck_assert(kxfrm_reqid_is_ours(0x47ffffff));
	ck_assert(!kxfrm_reqid_is_ours(0x48000000));
	ck_assert(!kxfrm_reqid_is_ours(1));
}
END_TEST

START_TEST(test_covers)
{
	struct kxfrm_policy policy = { .has_template = true, .reqid = 0x47000001 };

	ck_assert(kxfrm_policy_is_cover(&policy));
	policy.reqid = 0x48000000;
	ck_assert(!kxfrm_policy_is_cover(&policy));
	/* a block is told by its mark, and is no cover */
	policy = (struct kxfrm_policy){
		.is_block = true, .mark = KXFRM_COVER_MARK, .mark_mask = KXFRM_COVER_MARK_MASK
	};
	ck_assert(kxfrm_policy_is_block(&policy));
	ck_assert(!kxfrm_policy_is_cover(&policy));
	policy.mark_mask = UINT32_MAX;
	ck_assert(!kxfrm_policy_is_block(&policy));
	policy.mark_mask = KXFRM_COVER_MARK_MASK;
	policy.is_block = false;
	ck_assert(!kxfrm_policy_is_block(&policy));
	/* reqids with the added bit are marks of the second form, and of nothing else */
	ck_assert_uint_eq((0x47123456 | KXFRM_COVER_BIT) & KXFRM_COVER_MARK_MASK, KXFRM_COVER_MARK);
	ck_assert_uint_ne(0x47123456 & KXFRM_COVER_MARK_MASK, KXFRM_COVER_MARK);
}
END_TEST

/* The inbound entry of a cover that yields names no reqid, and looks like nobody else's. */
static struct kxfrm_policy policy_yielding(void)
{
	return (struct kxfrm_policy){ .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.direction = XFRM_POLICY_IN,
		.source_bits = 32,
		.destination_bits = 32,
		.source_port_mask = UINT16_MAX,
		.destination_port_mask = UINT16_MAX,
		.priority = 1,
		.reqid = KXFRM_REQID_ANY,
		.has_template = true,
		.is_local_ok = true };
}

START_TEST(test_yielding_cover)
{
	struct kxfrm_policy policies[9];

	for (size_t i = 0; i < 9; i++)
		policies[i] = policy_yielding();
	ck_assert(kxfrm_policy_is_cover(&policies[0]));
	policies[1].is_local_ok = false;
	policies[2].source_bits = 24;
	policies[3].priority = 2;
	policies[4].direction = XFRM_POLICY_OUT;
	policies[5].destination_port_mask = 0;
	policies[6].reqid = 5;
	policies[7].mark_mask = UINT32_MAX;
	policies[8].has_template = false;
	for (size_t i = 1; i < 9; i++)
		ck_assert(!kxfrm_policy_is_cover(&policies[i]));
	policies[0].family = AF_INET6;
	ck_assert(!kxfrm_policy_is_cover(&policies[0]));
	policies[0].source_bits = policies[0].destination_bits = 128;
	ck_assert(kxfrm_policy_is_cover(&policies[0]));
}
END_TEST

/* The kernel takes the one of the lowest number; 0, ip(8)'s default, comes before covers, too. */
START_TEST(test_prescribing)
{
	struct kxfrm_policy policies[2] = { policy_base(), policy_base() };

	policies[0].priority = 10;
	ck_assert(kxfrm_policy_find_prescribing(policies, 1, out, 0) == NULL);
	for (uint32_t priority = 0; priority <= 2; priority++) {
		policies[0].priority = priority;
		ck_assert(kxfrm_policy_find_prescribing(policies, 1, out, 0) == &policies[0]);
	}
	policies[0].priority = 3;
	ck_assert(kxfrm_policy_find_prescribing(policies, 1, out, 0) == NULL);
	policies[1].priority = 10;
	policies[1].is_block = true;
	ck_assert(kxfrm_policy_find_prescribing(policies, 2, out, 0) == NULL);
	policies[0].is_partial = true;
	ck_assert(kxfrm_policy_find_prescribing(policies, 2, out, 0) == &policies[1]);
	policies[0].has_template = true;
	ck_assert(kxfrm_policy_find_prescribing(policies, 2, out, 0) == &policies[0]);
	policies[0].priority = 10;
	policies[0].has_template = policies[0].is_partial = false;
	ck_assert(kxfrm_policy_find_prescribing(policies, 2, out, 0) == &policies[1]);
	ck_assert(kxfrm_policy_find_prescribing(policies, 2, in, 0) == NULL);
}
END_TEST

Suite *suite_xfrm_policy(void)
{
	Suite *suite = suite_create("xfrm_policy");
	TCase *tests = tcase_create("xfrm_policy");

	tcase_add_test(tests, test_prefixes);
	tcase_add_test(tests, test_ipv6);
	tcase_add_test(tests, test_ports_and_protocol);
	tcase_add_test(tests, test_marks);
	tcase_add_test(tests, test_reqids);
	tcase_add_test(tests, test_covers);
	tcase_add_test(tests, test_yielding_cover);
	tcase_add_test(tests, test_prescribing);
	suite_add_tcase(suite, tests);
	return suite;
}
