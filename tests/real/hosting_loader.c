/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host that is not linked with libgssapi, and has it only by what it loads:
 *
 *	hosting_loader local|apart LIBRARY ARGUMENTS...
 *
 * local: dlopen() with RTLD_LOCAL, as Python does with its modules, Apache and Cyrus SASL; apart:
 * dlmopen() into a namespace of its own, with a C library of its own.  Runs LIBRARY's hosting_main().
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

typedef int (*main_function)(int argc, char **argv);

int main(int argc, char **argv)
{
	main_function run;
	void *library;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "apart") == 0)
		library = dlmopen(LM_ID_NEWLM, argv[2], RTLD_NOW | RTLD_LOCAL);
	else
		library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	*(void **)&run = dlsym(library, "hosting_main");
	if (run == NULL) {
		(void)fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	return run(argc - 2, argv + 2);
}
