/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library that real.sh's tests preload: its control block is the file that FAULTS_FILE names, so
 * that the test arms it, reads what was counted, and need not start a daemon anew for each call.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/faults/faults.h"

__attribute__((constructor)) static void faults_begin(void)
{
	const char *path = getenv("FAULTS_FILE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(struct faults_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (page != MAP_FAILED)
		faults_control = page;
}
