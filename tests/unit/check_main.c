/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs every suite of tests/unit/suites.h; prints "N passed, N failed" last. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/suites.h"

int main(void)
{
	SRunner *runner = srunner_create(NULL);
	int failed, run;

#define X(module) srunner_add_suite(runner, suite_##module());
	SUITES(X)
#undef X
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	run = srunner_ntests_run(runner);
	srunner_free(runner);
	printf("%d passed, %d failed\n", run - failed, failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
