/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole exchanges over connections of either address family. */
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"

/* Addresses of 16 octets: hashes, tag and traffic selectors; and families that do not meet. */
START_TEST(latched_over_ipv6)
{
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "latch = auto");
	fake_kernels[0].is_ipv6 = fake_kernels[1].is_ipv6 = true;
	two_ends_contexts(&ends, TARGET, 0);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(mech_context_latch_reason(ends.acceptor), IPSEC_LATCH_LATCHED);
	fake_kernels[1].is_ipv6 = false;
	two_ends_contexts(&ends, TARGET, 0);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	ck_assert_int_eq(mech_context_latch_reason(ends.initiator), IPSEC_LATCH_NONE);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_families(void)
{
	Suite *suite = suite_create("families");
	TCase *tests = tcase_create("families");

	tcase_add_test(tests, latched_over_ipv6);
	suite_add_tcase(suite, tests);
	return suite;
}
