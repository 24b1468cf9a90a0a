/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The particulars of this thread's last failures, one bounded printable line for each of the last
 * few codes: GSS_Display_status is called later, and other failures may come in between.  No
 * secrets.
 */
#include "mech/mech.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/thread_memory.h"

#define DETAIL_BYTES_MAX 400
#define DETAIL_SLOTS 4

struct detail {
	unsigned int code;
	bool is_settled; /* what it is about has been handed to the program */
	char text[DETAIL_BYTES_MAX];
};

struct details {
	struct detail slots[DETAIL_SLOTS];
	unsigned int next;
};

static struct thread_memory last = { .len = sizeof(struct details) };

static struct detail *find_slot(struct details *details, unsigned int code)
{
	for (size_t i = 0; details != NULL && i < DETAIL_SLOTS; i++) {
		if (details->slots[i].code == code)
			return &details->slots[i];
	}
	return NULL;
}

const char *mech_last_detail(unsigned int code)
{
	const struct detail *slot =
		code == ERR_OK ? NULL : find_slot(thread_memory_get(&last), code);

	return slot == NULL ? "" : slot->text;
}

/* What peers and files say ends up on terminals and in logs: nothing but printable ASCII. */
static void make_printable(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

void mech_set_detail(unsigned int code, const char *format, ...)
{
	static const char cut[] = "...";
	char text[DETAIL_BYTES_MAX];
	int saved = errno, len;
	struct details *details = thread_memory_get(&last);
	struct detail *slot = find_slot(details, code);
	va_list arguments;

	if (code == ERR_OK || details == NULL)
		goto out;
	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (len < 0)
		text[0] = '\0';
	else if ((size_t)len >= sizeof(text))
		memcpy(text + sizeof(text) - sizeof(cut), cut, sizeof(cut));
	make_printable(text);
	if (slot == NULL) {
		slot = &details->slots[details->next];
		details->next = (details->next + 1) % DETAIL_SLOTS;
	}
	/* Only now: an argument may be the slot's old text. */
	memcpy(slot->text, text, sizeof(text));
	slot->code = code;
	slot->is_settled = false;
out:
	errno = saved;
}

void mech_settle_details(unsigned int code)
{
	struct details *details = thread_memory_peek(&last);

	for (size_t i = 0; details != NULL && i < DETAIL_SLOTS; i++) {
		struct detail *slot = &details->slots[i];

		if (code != ERR_OK && slot->code == code && slot->is_settled)
			slot->text[0] = '\0';
		slot->is_settled = true;
	}
}
