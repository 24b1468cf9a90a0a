/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks at files, see file_status.h. */
#include "base/file_status.h"

bool file_status_equal(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

struct timespec file_status_clock(void)
{
	struct timespec now = { .tv_sec = 0 };

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

/*
 * File systems stamp in ticks of the kernel's clock, or seconds: a file that was changed so lately may be
 * changed once more in the same one.  Of a time to come, set by a clock that was put back, nothing is known.
 */
bool file_status_is_fresh(const struct stat *status, const struct timespec *clock)
{
	const time_t seconds = clock->tv_sec - status->st_ctim.tv_sec;

	return seconds < 1 || (seconds == 1 && clock->tv_nsec < status->st_ctim.tv_nsec);
}
