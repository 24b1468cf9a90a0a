/* SPDX-License-Identifier: BSD-2-Clause */
/* What a restarted broker keeps of the kernel's SAs and SPD entries; the kernel's side is here. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker.h"
#include "tests/unit/suites.h"

#define MANY 16384
#define STRAY_REQID 0x47f00000u
#define LINK_INDEX 5
#define IS_STRAY 1 /* in a field that nobody judges by */

static struct broker broker;
static char folder[32], path[64];
static struct kxfrm_sa_seen *associations;
static struct kxfrm_policy *policies;
static size_t association_count, policy_count, associations_removed, policies_removed;

/* The linker puts these in place of the real ones. */
int __wrap_broker_sweep_whole(struct broker *broker) ERR_MUST_CHECK;
int __wrap_kxfrm_sa_dump(struct kxfrm *xfrm, kxfrm_each_sa *each, void *context) ERR_MUST_CHECK;
int __wrap_kxfrm_policy_dump(
	struct kxfrm *xfrm, kxfrm_each_policy *each, void *context) ERR_MUST_CHECK;
int __wrap_kxfrm_sa_remove_seen(
	struct kxfrm *xfrm, const struct kxfrm_sa_seen *seen) ERR_MUST_CHECK;
int __wrap_kxfrm_policy_remove(
	struct kxfrm *xfrm, const struct kxfrm_policy *policy) ERR_MUST_CHECK;

/* All sockets are there. */
int __wrap_broker_sweep_whole(struct broker *of)
{
	struct broker_lease *lease;

	of->sweep.number = 1;
	for (lease = lease_table_after(of->leases, 0); lease != NULL;
		lease = lease_table_next(lease))
		lease->seen_in = of->sweep.number;
	return 0;
}

int __wrap_kxfrm_sa_dump(struct kxfrm *xfrm, kxfrm_each_sa *each, void *context)
{
	ck_assert_ptr_null(xfrm);
	for (size_t i = 0; i < association_count; i++)
		each(context, &associations[i]);
	return 0;
}

int __wrap_kxfrm_policy_dump(struct kxfrm *xfrm, kxfrm_each_policy *each, void *context)
{
	ck_assert_ptr_null(xfrm);
	for (size_t i = 0; i < policy_count; i++)
		each(context, &policies[i]);
	return 0;
}

int __wrap_kxfrm_sa_remove_seen(struct kxfrm *xfrm, const struct kxfrm_sa_seen *seen)
{
	ck_assert_ptr_null(xfrm);
	ck_assert_uint_eq(seen->source[0], IS_STRAY);
	associations_removed++;
	return 0;
}

int __wrap_kxfrm_policy_remove(struct kxfrm *xfrm, const struct kxfrm_policy *policy)
{
	ck_assert_ptr_null(xfrm);
	ck_assert_uint_eq(policy->index, IS_STRAY);
	policies_removed++;
	return 0;
}

static void begin(size_t leases)
{
	size_t spoilt;

	broker = (struct broker){ .leases = lease_table_new() };
	associations = calloc(2 * leases + 4, sizeof(*associations));
	policies = calloc(2 * leases + 4, sizeof(*policies));
	ck_assert(broker.leases != NULL && associations != NULL && policies != NULL);
	association_count = policy_count = associations_removed = policies_removed = 0;
	(void)snprintf(folder, sizeof(folder), "/tmp/adopt-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/state", folder);
	ck_assert_int_eq(journal_open(path, broker.leases, &spoilt, &broker.journal), 0);
}

static void end(void)
{
	char other[80];

	journal_close(&broker.journal);
	lease_table_free(&broker.leases);
	free(associations);
	free(policies);
	ck_assert_int_eq(unlink(path), 0);
	(void)snprintf(other, sizeof(other), "%s.lock", path);
	ck_assert_int_eq(unlink(other), 0);
	(void)snprintf(other, sizeof(other), "%s.new", path);
	ck_assert(unlink(other) == 0 || errno == ENOENT);
	ck_assert_int_eq(rmdir(folder), 0);
}

static struct broker_lease lease_of(uint32_t number)
{
	struct broker_lease lease = { .cookie = number,
		.uid = 1000,
		.state = IPSEC_LATCH_STATE_ESTABLISHED,
		.spi_in = 0x10000000 + number * 7919,
		.spi_out = 0x20000000 + number * 6101,
		.reqid_in = KXFRM_REQID_BASE + (number * 4093 & 0xfffff),
		.has_in_policy = true,
		.has_out_policy = true,
		.has_cover = true };

	lease.reqid_out = lease.reqid_in;
	lease.tuple = (struct kbind_tuple){ .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = { 10, 0, 0, 1 },
		.remote = { 10, 0, (uint8_t)(number >> 16), 2 },
		.local_port = 443,
		.remote_port = (uint16_t)number };
	return lease;
}

static struct kxfrm_sa_seen *association_put(
	const uint8_t destination[16], uint32_t spi, uint32_t reqid)
{
	struct kxfrm_sa_seen *seen = &associations[association_count++];

	*seen = (struct kxfrm_sa_seen){
		.family = AF_INET, .protocol = IPPROTO_ESP, .spi = spi, .reqid = reqid
	};
	memcpy(seen->destination, destination, sizeof(seen->destination));
	return seen;
}

static struct kxfrm_policy *policy_put(const struct broker_lease *lease, bool is_inbound)
{
	const struct kbind_tuple *tuple = &lease->tuple;
	struct kxfrm_policy *policy = &policies[policy_count++];

	*policy = (struct kxfrm_policy){ .family = tuple->family,
		.protocol = tuple->protocol,
		.direction = is_inbound ? XFRM_POLICY_IN : XFRM_POLICY_OUT,
		.source_bits = tuple->family == AF_INET ? 32 : 128,
		.source_port = is_inbound ? tuple->remote_port : tuple->local_port,
		.destination_port = is_inbound ? tuple->local_port : tuple->remote_port,
		.source_port_mask = UINT16_MAX,
		.destination_port_mask = UINT16_MAX,
		.priority = 1,
		.reqid = is_inbound ? lease->reqid_in : lease->reqid_out,
		.has_template = true };
	policy->destination_bits = policy->source_bits;
	memcpy(policy->source, is_inbound ? tuple->remote : tuple->local, sizeof(policy->source));
	memcpy(policy->destination, is_inbound ? tuple->local : tuple->remote,
		sizeof(policy->destination));
	return policy;
}

/* As kxfrm_cover_yield() makes it. */
static struct kxfrm_policy *policy_put_yielding(const struct broker_lease *lease)
{
	struct kxfrm_policy *policy = policy_put(lease, true);

	policy->reqid = KXFRM_REQID_ANY;
	policy->is_local_ok = true;
	return policy;
}

static struct broker_lease *lease_put(const struct broker_lease *lease)
{
	struct broker_lease *made = lease_table_insert(broker.leases, lease);

	ck_assert_ptr_nonnull(made);
	ck_assert_int_eq(journal_append(broker.journal, broker.leases, made, false), 0);
	return made;
}

/* With all that belongs to it. */
static struct broker_lease *lease_put_whole(const struct broker_lease *lease)
{
	(void)association_put(lease->tuple.local, lease->spi_in, lease->reqid_in);
	(void)association_put(lease->tuple.remote, lease->spi_out, lease->reqid_out);
	(void)policy_put(lease, true);
	(void)policy_put(lease, false);
	return lease_put(lease);
}

/* In less time than a test may take, which comparing each with each does not. */
START_TEST(test_many)
{
	const struct broker_lease *lease;
	struct broker_lease made;

	begin(MANY);
	for (uint32_t i = 1; i <= MANY; i++) {
		made = lease_of(i);
		(void)lease_put_whole(&made);
	}
	ck_assert_int_eq(broker_adopt(&broker), 0);
	ck_assert_uint_eq(associations_removed + policies_removed, 0);
	ck_assert_uint_eq(lease_table_count(broker.leases), MANY);
	for (lease = lease_table_after(broker.leases, 0); lease != NULL;
		lease = lease_table_next(lease))
		ck_assert_uint_eq(lease->state, IPSEC_LATCH_STATE_ESTABLISHED);
	end();
}
END_TEST

START_TEST(test_strays)
{
	struct broker_lease lease = lease_of(1), stray = lease_of(2);

	begin(4);
	(void)lease_put_whole(&lease);
	/* No lease has this reqid. */
	stray.reqid_in = stray.reqid_out = STRAY_REQID;
	association_put(stray.tuple.local, stray.spi_in, STRAY_REQID)->source[0] = IS_STRAY;
	policy_put(&stray, true)->index = IS_STRAY;
	/* This one has no cover, and the last is another connection's. */
	stray = lease_of(3);
	stray.has_cover = false;
	policy_put(&stray, true)->index = IS_STRAY;
	(void)association_put(stray.tuple.local, stray.spi_in, stray.reqid_in);
	(void)association_put(stray.tuple.remote, stray.spi_out, stray.reqid_out);
	(void)lease_put(&stray);
	stray = lease_of(1);
	stray.tuple.remote_port++;
	policy_put(&stray, false)->index = IS_STRAY;
	ck_assert_int_eq(broker_adopt(&broker), 0);
	ck_assert_uint_eq(associations_removed, 1);
	ck_assert_uint_eq(policies_removed, 3);
	ck_assert_uint_eq(lease_table_find(broker.leases, 1)->state, IPSEC_LATCH_STATE_ESTABLISHED);
	end();
}
END_TEST

/* Both SAs are needed, the outbound one perhaps with the other end's reqid; one alone goes. */
START_TEST(test_associations)
{
	struct broker_lease lease = lease_of(1);

	begin(4);
	lease.reqid_out++;
	(void)lease_put_whole(&lease);
	lease = lease_of(3);
	association_put(lease.tuple.local, lease.spi_in, lease.reqid_in)->source[0] = IS_STRAY;
	(void)lease_put(&lease);
	lease = lease_of(4);
	association_put(lease.tuple.remote, lease.spi_out, lease.reqid_out)->source[0] = IS_STRAY;
	lease.reqid_in |= STRAY_REQID;
	association_put(lease.tuple.local, lease.spi_in + 1, lease.reqid_in)->source[0] = IS_STRAY;
	(void)lease_put(&lease);
	ck_assert_int_eq(broker_adopt(&broker), 0);
	ck_assert_uint_eq(lease_table_find(broker.leases, 1)->state, IPSEC_LATCH_STATE_ESTABLISHED);
	ck_assert_uint_eq(lease_table_find(broker.leases, 3)->reason, IPSEC_LATCH_SA_GONE);
	ck_assert_uint_eq(lease_table_find(broker.leases, 4)->reason, IPSEC_LATCH_SA_GONE);
	ck_assert_uint_eq(associations_removed, 3);
	end();
}
END_TEST

/* A cover that yields names no reqid, and no interface. */
START_TEST(test_yielding)
{
	struct broker_lease lease = lease_of(1);

	begin(4);
	(void)policy_put_yielding(&lease);
	(void)lease_put(&lease);
	lease.cookie = 2;
	lease.tuple.family = AF_INET6;
	lease.tuple.zone = LINK_INDEX;
	memcpy(lease.tuple.local, "\xfe\x80", 2);
	memcpy(lease.tuple.remote, "\xfe\x80", 2);
	(void)policy_put_yielding(&lease);
	(void)lease_put(&lease);
	lease.tuple.remote_port++;
	policy_put_yielding(&lease)->index = IS_STRAY;
	ck_assert_int_eq(broker_adopt(&broker), 0);
	ck_assert_uint_eq(policies_removed, 1);
	end();
}
END_TEST

/* There is no room to write the state file anew: the old one is as good. */
START_TEST(test_no_room)
{
	struct broker_lease lease = lease_of(1);
	char spare[80];

	begin(4);
	ck_assert_ptr_nonnull(lease_table_insert(broker.leases, &lease));
	(void)snprintf(spare, sizeof(spare), "%s.new", path);
	ck_assert_int_eq(unlink(spare), 0);
	ck_assert_int_eq(broker_adopt(&broker), 0);
	ck_assert_uint_eq(lease_table_count(broker.leases), 1);
	end();
}
END_TEST

Suite *suite_broker_adopt(void)
{
	Suite *suite = suite_create("broker_adopt");
	TCase *tests = tcase_create("broker_adopt");

	tcase_add_test(tests, test_many);
	tcase_add_test(tests, test_strays);
	tcase_add_test(tests, test_associations);
	tcase_add_test(tests, test_yielding);
	tcase_add_test(tests, test_no_room);
	suite_add_tcase(suite, tests);
	return suite;
}
