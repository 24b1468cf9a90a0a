/* SPDX-License-Identifier: BSD-2-Clause */
/* What the broker says when it is itself, and not the kernel or the user, that is short of something. */
#include <errno.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_namespaces.h"
#include "tests/unit/suites.h"

#define UID 1000

static struct broker broker;

static void setup(void)
{
	broker = (struct broker){ .listener = -1, .keeper = -1 };
}

START_TEST(namespaces_broker_is_busy)
{
	struct broker_job job = { .uid = UID };
	enum ipsec_latch_reason reason = IPSEC_LATCH_LATCHED;
	int intake = -1;

	job.message.facts.space_cookie = 1;
	job.message.result.error = EAGAIN;
	broker.namespaces[0] = (struct broker_namespace){ .id = 1, .cookie = 1, .intake = -1 };
	for (int i = 0; i < 10 && reason == IPSEC_LATCH_LATCHED; i++)
		reason = namespaces_forward(&broker, &job, -1, &intake);
	ck_assert_int_eq(reason, IPSEC_LATCH_BROKER_BUSY);
	ck_assert_uint_eq(broker.namespaces[0].under_way, 0);
}
END_TEST

START_TEST(namespace_is_not_known)
{
	struct broker_job job = { .uid = UID };
	int intake = -1;

	ck_assert_int_eq(namespaces_forward(&broker, &job, -1, &intake), IPSEC_LATCH_OTHER_NETNS);
}
END_TEST

START_TEST(no_recorder)
{
	ck_assert_int_eq(broker_recorder_reason(UID, EMFILE, "test"), IPSEC_LATCH_BROKER_BUSY);
	ck_assert_int_eq(broker_recorder_reason(UID, ENOMEM, "test"), IPSEC_LATCH_BROKER_BUSY);
	ck_assert_int_eq(broker_recorder_reason(UID, EPERM, "test"), IPSEC_LATCH_NO_BPF);
}
END_TEST

START_TEST(probed_of_late)
{
	broker.cannot = IPSEC_LATCH_NO_BPF;
	broker.probe_next_ms = broker_now_ms() + 60000;
	ck_assert_int_eq(broker_probe(&broker), IPSEC_LATCH_NO_BPF);
}
END_TEST

Suite *suite_broker_reasons(void)
{
	Suite *suite = suite_create("broker_reasons");
	TCase *tests = tcase_create("tests");

	tcase_add_checked_fixture(tests, setup, NULL);
	tcase_add_test(tests, namespaces_broker_is_busy);
	tcase_add_test(tests, namespace_is_not_known);
	tcase_add_test(tests, no_recorder);
	tcase_add_test(tests, probed_of_late);
	suite_add_tcase(suite, tests);
	return suite;
}
