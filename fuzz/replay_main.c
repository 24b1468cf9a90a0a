/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a fuzz target over the files named, without libFuzzer, so that every compiler can replay. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;
	size_t size = 0, room = 1 << 20;
	int ret = -1;

	if (!file)
		goto out;
	data = malloc(room);
	if (!data)
		goto out;
	size = fread(data, 1, room, file);
	if (ferror(file))
		goto out;
	/* An exact copy, so that a sanitizer sees reading past the end. */
	uint8_t *exact = malloc(size ? size : 1);
	if (!exact)
		goto out;
	for (size_t i = 0; i < size; i++)
		exact[i] = data[i];
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	ret = 0;
out:
	if (ret != 0)
		perror(path);
	free(data);
	if (file)
		fclose(file);
	return ret;
}

int main(int argc, char **argv)
{
	int failed = 0;

	for (int i = 1; i < argc; i++)
		failed += replay(argv[i]) != 0;
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
