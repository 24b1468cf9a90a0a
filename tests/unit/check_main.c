/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs the suites of tests/unit/suites.h: unit [SUITE], unit --list; prints "N passed, N failed" last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suites.h"

static const struct {
	const char *name;
	Suite *(*make)(void);
} suites[] = {
#define X(module) { #module, suite_##module },
	SUITES(X)
#undef X
};

#define SUITE_COUNT (sizeof(suites) / sizeof(suites[0]))

static int list(void)
{
	for (size_t i = 0; i < SUITE_COUNT; i++)
		puts(suites[i].name);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	SRunner *runner;
	int failed, run;

	if (only != NULL && strcmp(only, "--list") == 0)
		return list();
	runner = srunner_create(NULL);
	for (size_t i = 0; i < SUITE_COUNT; i++) {
		if (only == NULL || strcmp(only, suites[i].name) == 0)
			srunner_add_suite(runner, suites[i].make());
	}
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	run = srunner_ntests_run(runner);
	srunner_free(runner);
	printf("%d passed, %d failed\n", run - failed, failed);
	return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
