/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec localname: what the rules of [localname] make of a name, before somebody relies on it. */
#include "tools/tools.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "mech/mech.h"

#define LOCALNAME_USAGE                                                                           \
	"gss-ipsec localname [--file FILE] NAME\n"                                                \
	"\n"                                                                                      \
	"Prints the local user that the configuration's rules ([localname]) let NAME be.  NAME\n" \
	"is as 'gss-ipsec status' shows it: user@domain, service/host, SHA256:... .  FILE is\n"   \
	"read in place of the files that this user's programs read."

static int localname_run(const struct config *config, const char *text)
{
	char user[MECH_LOCAL_USER_BYTES_MAX + 1];
	struct mech_name *name = NULL;
	char *why;
	enum err err;

	err = mech_name_import(MECH_FORM_USER, BYTES((const uint8_t *)text, strlen(text)),
		config_default_domain(config), &name);
	if (err == ERR_OK)
		err = mech_localname(config, name, user);
	mech_name_release(&name);
	if (err == ERR_OK) {
		printf("%s\n", user);
		return TOOL_OK;
	}
	why = tool_error_text(err);
	(void)tool_fail("%s: %s", text, why != NULL ? why : error_text(err));
	free(why);
	return TOOL_FAILED;
}

int tool_localname(int argc, char **argv)
{
	static const struct option options[] = { { "file", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *files[] = { NULL, NULL };
	struct config *config = NULL;
	int option, code;
	enum err err;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_print_usage(LOCALNAME_USAGE);
		if (option != 'f')
			return tool_refuse_usage(LOCALNAME_USAGE);
		files[0] = optarg;
	}
	if (argc - optind != 1)
		return tool_refuse_usage(LOCALNAME_USAGE);
	if (files[0] != NULL && access(files[0], F_OK) != 0)
		return tool_fail("%s: %s", files[0], strerror(errno));
	err = files[0] != NULL ? config_load(files, &config) : config_get(&config);
	if (err != ERR_OK)
		return tool_fail("%s", err == ERR_CONFIG ? config_last_error() : error_text(err));
	code = localname_run(config, argv[optind]);
	config_release(&config);
	return code;
}
