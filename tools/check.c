/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec check: one line for each thing that has to be right, from configuration to broker. */
#include "tools/tools.h"

#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "kernel-bind/kernel_bind.h"
#include "mech/identity.h"
#include "mech/mech.h"

#define CHECK_USAGE                                                                              \
	"gss-ipsec check [--file FILE]\n"                                                        \
	"\n"                                                                                     \
	"Checks the configuration (FILE, if not the one that this user's programs read), keys\n" \
	"and broker.  Run it as the user whose programs are concerned."

static void print_trouble(const char *kind, const char *tag, enum err err)
{
	char *why = tool_error_text(err);

	printf("%s %s: %s\n", kind, tag, why != NULL ? why : error_text(err));
	free(why);
}

/* Root may read every key, but uses root's only: one that its owner keeps from others is in order,
 * and the owner's programs can tell more. */
static bool check_is_others(const char *key_file, uid_t *ret_owner)
{
	struct stat file;

	if (geteuid() != 0 || stat(key_file, &file) != 0 || file.st_uid == 0 ||
		!S_ISREG(file.st_mode) || (file.st_mode & 077) != 0)
		return false;
	*ret_owner = file.st_uid;
	return true;
}

static void print_others(const struct config_identity *configured, uid_t owner)
{
	const struct passwd *user = getpwuid(owner);

	if (user != NULL)
		printf("identity %s: for programs of %s; 'runuser -u %s -- gss-ipsec check' tells "
		       "more\n",
			configured->tag, user->pw_name, user->pw_name);
	else
		printf("identity %s: for programs of uid %u, which has no name here; chown %s\n",
			configured->tag, (unsigned int)owner, configured->key_file);
}

/* A key that this user may not read is somebody else's: said, but no mistake. */
static bool check_identity(const struct config_identity *configured)
{
	struct mech_identity identity = { 0 };
	bool is_denied = false;
	char *key_name;
	enum err err;
	uid_t owner;

	if (!configured->is_anonymous && check_is_others(configured->key_file, &owner)) {
		print_others(configured, owner);
		return true;
	}
	err = mech_identity_load(configured, &identity, &is_denied);
	if (err != ERR_OK && is_denied) {
		printf("identity %s: this user may not read %s; if it should, chown it\n",
			configured->tag, configured->key_file);
		return true;
	}
	if (err != ERR_OK) {
		print_trouble("identity", configured->tag, err);
		return false;
	}
	if (identity.key == NULL) {
		printf("identity %s: OK, anonymous\n", configured->tag);
		mech_identity_wipe(&identity);
		return true;
	}
	key_name = tool_key_name(crypto_private_key_spki(identity.key));
	printf("identity %s: OK, %s%skey %s\n", configured->tag,
		configured->host != NULL   ? configured->host
		: configured->user != NULL ? configured->user
					   : "",
		configured->host != NULL || configured->user != NULL ? ", " : "",
		key_name != NULL ? key_name : "?");
	free(key_name);
	mech_identity_wipe(&identity);
	return true;
}

static bool check_identities(const struct config *config)
{
	bool is_good = true;
	size_t i;

	for (i = 0; i < config_identity_count(config); i++)
		is_good = check_identity(config_identity_at(config, i)) && is_good;
	if (config_identity_count(config) == 0)
		printf("identity: none is configured; make one with 'gss-ipsec keygen'\n");
	return is_good;
}

static bool check_peers(const struct config *config)
{
	bool is_good = true;
	enum err err;
	size_t i;

	for (i = 0; i < config_peer_count(config); i++) {
		const struct config_peer *peer = config_peer_at(config, i);

		free(tool_peer_file_key(peer, &err));
		if (err != ERR_OK)
			printf("peer %s: its key_file cannot be taken: %s\n", peer->tag,
				tool_peer_file_problem(err));
		is_good = is_good && err == ERR_OK;
	}
	printf("peers: %zu\n", config_peer_count(config));
	return is_good;
}

static bool check_broker(const char *path)
{
	enum ipsec_latch_reason reason = kbind_ping(path);

	if (reason == IPSEC_LATCH_LATCHED)
		printf("broker: OK, answers at %s\n", path);
	else if (latch_reason_is_silence(reason))
		printf("broker: no answer at %s: %s\n", path, latch_reason_text(reason));
	else
		printf("broker: answers at %s, but: %s\n", path, latch_reason_text(reason));
	return reason == IPSEC_LATCH_LATCHED;
}

static int check_run(const char *file)
{
	const char *files[] = { file, NULL };
	struct config *config = NULL;
	const char *named;
	bool is_good;
	enum err err;

	/* Missing is empty for those that are looked for; this one was named. */
	if (file != NULL && access(file, F_OK) != 0)
		return tool_fail("%s: %s", file, strerror(errno));
	err = file != NULL ? config_load(files, &config) : config_get(&config);
	if (err != ERR_OK) {
		printf("configuration: %s\n",
			err == ERR_CONFIG ? config_last_error() : error_text(err));
		return TOOL_FAILED;
	}
	named = file != NULL ? NULL : tool_config_named();
	if (named != NULL && access(named, F_OK) != 0)
		printf("configuration: %s: %s, so it counts as empty\n", named, strerror(errno));
	else
		printf("configuration: OK\n");
	is_good = check_identities(config);
	is_good = check_peers(config) && is_good;
	is_good = check_broker(config_broker_path(config)) && is_good;
	config_release(&config);
	return is_good ? TOOL_OK : TOOL_FAILED;
}

int tool_check(int argc, char **argv)
{
	static const struct option options[] = { { "file", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	const char *file = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_print_usage(CHECK_USAGE);
		if (option != 'f')
			return tool_refuse_usage(CHECK_USAGE);
		file = optarg;
	}
	if (!tool_options_end(argc, argv))
		return tool_refuse_usage(CHECK_USAGE);
	return check_run(file);
}
