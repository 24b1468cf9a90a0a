/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts for terminals, for programs and from command lines. */
#include "tools/tools.h"

#include <stdlib.h>

#include "mech/mech.h"

void tool_put_printable(const char *text, FILE *out)
{
	for (; *text != '\0'; text++)
		(void)fputc(*text >= ' ' && *text <= '~' ? *text : '?', out);
}

void tool_put_json(const char *text, FILE *out)
{
	(void)fputc('"', out);
	for (; *text != '\0'; text++) {
		const char octet[] = { *text, '\0' };

		if (*text == '"' || *text == '\\')
			(void)fputc('\\', out);
		tool_put_printable(octet, out);
	}
	(void)fputc('"', out);
}

char *tool_error_text(enum err err)
{
	const char *detail = mech_last_detail(err);
	char *text = NULL;

	if (asprintf(&text, "%s%s%s%s", error_text(err), detail[0] != '\0' ? " (" : "", detail,
		    detail[0] != '\0' ? ")" : "") < 0)
		return NULL;
	return text;
}

bool tool_number_read(const char *text, long max, long *ret_number)
{
	char *end = NULL;
	long number = *text >= '0' && *text <= '9' ? strtol(text, &end, 10) : -1;

	if (number < 0 || number > max || *end != '\0')
		return false;
	*ret_number = number;
	return true;
}
