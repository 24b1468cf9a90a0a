/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The particulars of this thread's last failures, one bounded printable line for each of the last
 * few codes: GSS_Display_status is called later, and other failures may come in between.  No
 * secrets.
 */
#include "mech/mech.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DETAIL_BYTES_MAX 400
#define DETAIL_SLOTS 4

struct detail {
	unsigned int code;
	char text[DETAIL_BYTES_MAX];
};

static _Thread_local struct {
	struct detail slots[DETAIL_SLOTS];
	unsigned int next;
} last;

static struct detail *find_slot(unsigned int code)
{
	for (size_t i = 0; i < DETAIL_SLOTS; i++) {
		if (last.slots[i].code == code)
			return &last.slots[i];
	}
	return NULL;
}

const char *mech_last_detail(unsigned int code)
{
	const struct detail *slot = code == ERR_OK ? NULL : find_slot(code);

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
	struct detail *slot = find_slot(code);
	int saved = errno, len;
	va_list arguments;

	if (code == ERR_OK)
		return;
	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (len < 0)
		text[0] = '\0';
	else if ((size_t)len >= sizeof(text))
		memcpy(text + sizeof(text) - sizeof(cut), cut, sizeof(cut));
	make_printable(text);
	if (slot == NULL) {
		slot = &last.slots[last.next];
		last.next = (last.next + 1) % DETAIL_SLOTS;
	}
	/* Only now: an argument may be the slot's old text. */
	memcpy(slot->text, text, sizeof(text));
	slot->code = code;
	errno = saved;
}
