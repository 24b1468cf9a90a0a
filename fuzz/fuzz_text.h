/* SPDX-License-Identifier: BSD-2-Clause */
/* What the broker's texts promise: they end within their field and are printable. */
#ifndef FUZZ_TEXT_H
#define FUZZ_TEXT_H

#include <stdlib.h>
#include <string.h>

static inline void fuzz_check_text(const char *text, size_t size)
{
	size_t i, len = strnlen(text, size);

	if (len == size)
		abort();
	for (i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			abort();
}

#endif
