/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec: shows latched connections, makes keys, keeps the peer database, checks the set-up. */
#include "tools/tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
};

/* clang-format off */
static const struct subcommand subcommands[] = {
	{ "status", tool_status, "show latched connections" },
	{ "keygen", tool_keygen, "make a private key" },
	{ "peer",   tool_peer,   "add, list, remove and import peers; show-key FILE" },
	{ "check",  tool_check,  "check configuration, keys and broker" },
	{ "doctor", tool_doctor, "say what is missing for a latched connection here" },
	{ "localname", tool_localname, "which local user a name may be" },
};
/* clang-format on */

#define SUBCOMMAND_COUNT (sizeof(subcommands) / sizeof(subcommands[0]))

static void print_help(FILE *stream)
{
	size_t i;

	fprintf(stream, "usage: gss-ipsec COMMAND [ARGUMENT...]\n\n");
	for (i = 0; i < SUBCOMMAND_COUNT; i++)
		fprintf(stream, "  %-9s %s\n", subcommands[i].name, subcommands[i].summary);
	fprintf(stream, "\n'gss-ipsec COMMAND --help' tells more; see also gss-ipsec(1).\n"
			"'gss-ipsec --version' tells which version this is.\n");
}

int tool_print_usage(const char *usage)
{
	printf("usage: %s\n", usage);
	return TOOL_OK;
}

int tool_refuse_usage(const char *usage)
{
	fprintf(stderr, "usage: %s\n", usage);
	return TOOL_USAGE;
}

bool tool_options_end(int argc, char **argv)
{
	if (optind < argc)
		(void)tool_fail("'%s' is no option", argv[optind]);
	return optind >= argc;
}

/* Names come from files of others; a terminal takes no orders of theirs, in UTF-8 (C2 80 to C2 9F) neither. */
static bool is_order(const char *text, size_t i)
{
	const unsigned char c = (unsigned char)text[i];

	return (c < ' ' && c != '\n' && c != '\t') || c == 0x7f ||
	       (i > 0 && text[i - 1] == '\xc2' && c >= 0x80 && c < 0xa0);
}

int tool_fail(const char *format, ...)
{
	va_list arguments;
	char *text = NULL;

	(void)fflush(stdout);
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	fprintf(stderr, "gss-ipsec: ");
	for (size_t i = 0; text != NULL && text[i] != '\0'; i++)
		(void)fputc(is_order(text, i) ? '?' : text[i], stderr);
	fprintf(stderr, "%s\n", text != NULL ? "" : error_text(ERR_NO_MEMORY));
	free(text);
	return TOOL_FAILED;
}

/* Output that did not get out (a full disk) is no success. */
static int finish(int code)
{
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == TOOL_OK)
		return tool_fail("cannot write to standard output");
	return code;
}

int main(int argc, char **argv)
{
	size_t i;

	if (argc < 2) {
		print_help(stderr);
		return TOOL_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("gss-ipsec %s\n", PACKAGE_VERSION);
		return finish(TOOL_OK);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return finish(TOOL_OK);
	}
	for (i = 0; i < SUBCOMMAND_COUNT; i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return finish(subcommands[i].run(argc - 1, argv + 1));
	fprintf(stderr, "gss-ipsec: '%s' is no command\n", argv[1]);
	print_help(stderr);
	return TOOL_USAGE;
}
