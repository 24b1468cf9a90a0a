/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether a file that is looked at by stat again is what it was, for those that keep what they read. */
#ifndef BASE_FILE_STATUS_H
#define BASE_FILE_STATUS_H

#include <stdbool.h>
#include <sys/stat.h>
#include <time.h>

/* Whether two looks saw the same file, unchanged. */
bool file_status_equal(const struct stat *a, const struct stat *b);
/* The clock that files are stamped by.  Taken before the look: it must not be later than that. */
struct timespec file_status_clock(void);
/* Whether the file was changed so lately, at that time, that a change since may have left no trace in a
 * second look. */
bool file_status_is_fresh(const struct stat *status, const struct timespec *clock);

#endif
