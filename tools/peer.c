/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec peer: adds, lists and removes [peer] entries of one configuration file.  The new file
 * is checked by the configuration's own reader before it takes the old one's place.
 */
#include "tools/peer.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "mech/mech.h"

#define PEER_USAGE                                                                              \
	"gss-ipsec peer add [--file FILE] [--tag TAG] [--services LIST] [--user|--host]\n"      \
	"                          NAME KEY\n"                                                  \
	"       gss-ipsec peer list [--file FILE]\n"                                            \
	"       gss-ipsec peer remove [--file FILE] TAG [KEY]\n"                                \
	"       gss-ipsec peer show-key FILE\n"                                                 \
	"       gss-ipsec peer import-from-ssh-known-hosts [--file FILE] [--services LIST]\n"   \
	"                          [KNOWN-HOSTS [HOST...]]\n"                                   \
	"\n"                                                                                    \
	"NAME is user@domain, a host's full name, or - for a peer that only its key names\n"    \
	"(needs --tag).  --host is for a host's name without a dot.  TAG is the entry's own\n"  \
	"name, else NAME.  LIST is for hosts, with blanks.  KEY is SHA256:..., the base64 of\n" \
	"the public key, or a file: PEM, or OpenSSH's .pub.  KNOWN-HOSTS is ssh's file, else\n" \
	"~/.ssh/known_hosts, for root /etc/ssh/ssh_known_hosts; with HOSTs, only these."

static int peer_show_key(const struct peer_options *options)
{
	struct writer spki;
	int code = TOOL_FAILED;

	if (options->word_count != 1)
		return tool_refuse_usage(PEER_USAGE);
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	if (tool_key_read(options->words[0], &spki))
		code = tool_key_print(writer_view(&spki));
	writer_free(&spki);
	return code;
}

/* --- add --- */

/* "/server" and "imap/server" are how names with a host in them are shown. */
static bool refuse_displayed(const char *name)
{
	const char *host = strchr(name, '/') + 1;

	if (name[0] == '/')
		(void)tool_fail("'%s' is how a host is shown; give its name alone: %s", name, host);
	else
		(void)tool_fail("'%s' names a service; give the host alone, %s, and the service "
				"with --services %.*s",
			name, host, (int)strcspn(name, "/"), name);
	return false;
}

/* Which of the two a name is: said by an option, or plain from the name itself. */
static bool peer_kind_read(const struct peer_options *options, const char **ret_kind)
{
	const char *name = options->words[0];
	bool has_domain = strchr(name, '@') != NULL;

	if (strchr(name, '/') != NULL)
		return refuse_displayed(name);
	if (options->is_user && options->is_host)
		(void)tool_fail("a peer is a user or a host, not both");
	else if (strncmp(name, "SHA256:", 7) == 0)
		(void)tool_fail(
			"a key is no name: write 'gss-ipsec peer add --tag TAG - %s'", name);
	else if (options->is_host && has_domain)
		(void)tool_fail("'%s' has an '@', which no host's name has", name);
	else if (options->is_user && !has_domain)
		(void)tool_fail("'%s' is no whole name of a user; write %s@DOMAIN", name, name);
	else if (!options->is_host && !has_domain && strchr(name, '.') == NULL)
		(void)tool_fail("'%s' may be a user or a host: write %s@DOMAIN for the user, "
				"--host %s for the host",
			name, name, name);
	else {
		*ret_kind = has_domain ? "user" : "host";
		return true;
	}
	return false;
}

/* The name in its one form; the caller releases it, and the entry borrows from it. */
static bool peer_name_read(
	const struct peer_options *options, struct peer_entry *entry, struct mech_name **ret_name)
{
	const char *text = options->words[0];
	enum err err;

	if (strcmp(text, "-") == 0)
		return true;
	if (!peer_kind_read(options, &entry->kind))
		return false;
	err = strcmp(entry->kind, "user") == 0 ? mech_name_of_user(text, ret_name)
					       : mech_name_of_host("", text, ret_name);
	if (err != ERR_OK) {
		(void)tool_fail("'%s' is no name that a %s can have here", text, entry->kind);
		return false;
	}
	entry->name = mech_name_kind(*ret_name) == MECH_NAME_USER ? mech_name_display(*ret_name)
								  : mech_name_host(*ret_name);
	return true;
}

static int peer_add_to(const char *path, const struct peer_entry *entry, const struct peer_key *key,
	struct writer *old)
{
	struct tool_peer_place place;
	struct writer changed;
	size_t begin, end;
	int code;

	if (!peer_file_read(path, old))
		return TOOL_FAILED;
	place = tool_peer_find(writer_view(old), entry->tag);
	if (tool_peer_find_key(writer_view(old), &place, key->name, &begin, &end))
		return tool_fail("%s has this key already", entry->tag);
	if (place.has_entry && !peer_file_entry_fits(path, entry))
		return tool_fail("%s is there already, for another name or services; remove it "
				 "first, or give another --tag",
			entry->tag);
	writer_init(&changed, TOOL_FILE_BYTES_MAX);
	peer_text_add(&changed, writer_view(old), entry, &place, key->text);
	code = peer_file_replace(path, writer_view(old), &changed);
	writer_free(&changed);
	if (code != TOOL_OK)
		return code;
	printf("%s: %s %s", path, place.has_entry ? "another key for" : "added", entry->tag);
	printf(entry->kind != NULL ? ", %s %s\n" : "\n", entry->kind, entry->name);
	return TOOL_OK;
}

/* A line end in a name that a script hands on would begin another entry. */
static bool peer_text_is_line(const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static int peer_add(const struct peer_options *options)
{
	struct peer_entry entry = { .tag = options->tag, .services = options->services };
	struct peer_key key = { NULL, NULL };
	struct mech_name *name = NULL;
	char *path = NULL, *tag = NULL;
	struct writer old;
	int code = TOOL_FAILED;

	if (options->word_count != 2)
		return tool_refuse_usage(PEER_USAGE);
	if (options->tag == NULL && strcmp(options->words[0], "-") == 0)
		return tool_fail("a peer without a name needs a --tag");
	if (!peer_text_is_line(options->tag) || !peer_text_is_line(options->words[0]) ||
		!peer_text_is_line(options->services))
		return tool_fail("a name, tag or service has a control character");
	writer_init(&old, TOOL_FILE_BYTES_MAX);
	if (!peer_name_read(options, &entry, &name))
		goto out;
	path = peer_file_path(options);
	if (entry.tag == NULL && path != NULL && options->services == NULL)
		entry.tag = tag = peer_file_find(
			path, &(struct peer_wanted){ .name = entry.name, .is_unlimited = true });
	if (entry.tag == NULL)
		entry.tag = entry.name;
	if (path != NULL && peer_key_read(options->words[1], &key))
		code = peer_add_to(path, &entry, &key, &old);
out:
	writer_free(&old);
	peer_key_free(&key);
	mech_name_release(&name);
	free(path);
	free(tag);
	return code;
}

/* --- remove --- */

static int refuse_absent(const char *path, const char *tag)
{
	char *entry = peer_file_find(path, &(struct peer_wanted){ .name = tag });

	if (entry != NULL)
		(void)tool_fail("%s has no [peer] entry %s; the one for that name is called %s",
			path, tag, entry);
	else
		(void)tool_fail("%s has no [peer] entry %s", path, tag);
	free(entry);
	return TOOL_FAILED;
}

/* name: whose entry it was, or NULL. */
static void print_removed(const char *path, const char *tag, const char *key_name, const char *name)
{
	const struct peer_wanted wanted = {
		.name = name, .key_name = key_name, .but_tag = key_name == NULL ? tag : NULL
	};
	char *other = name != NULL ? peer_file_find(path, &wanted) : NULL;

	printf("%s: removed %s%s\n", path, key_name != NULL ? "a key of " : "", tag);
	if (other != NULL)
		printf("Entry %s, for %s too, stays: logins go on with %s.\n", other, name,
			key_name != NULL ? "that key" : "the keys it has");
	else
		printf("Logins are refused from the next second on, by servers that are running "
		       "too, unless another configuration file has this peer; connections that are "
		       "open stay.\n");
	free(other);
}

static int peer_remove_from(
	const char *path, const char *tag, const char *key_name, struct writer *old)
{
	struct tool_peer_place place;
	struct writer changed;
	struct bytes text;
	size_t begin, end;
	char *name;
	int code;

	if (!peer_file_read(path, old))
		return TOOL_FAILED;
	text = writer_view(old);
	place = tool_peer_find(text, tag);
	if (!place.has_entry)
		return refuse_absent(path, tag);
	begin = place.entry;
	end = place.next;
	if (key_name != NULL && !tool_peer_find_key(text, &place, key_name, &begin, &end))
		return tool_fail("%s does not have this key", tag);
	name = peer_file_name_of(path, tag);
	writer_init(&changed, TOOL_FILE_BYTES_MAX);
	writer_put_bytes(&changed, BYTES(text.data, begin));
	writer_put_bytes(&changed, BYTES(text.data + end, text.len - end));
	code = peer_file_replace(path, writer_view(old), &changed);
	writer_free(&changed);
	if (code == TOOL_OK)
		print_removed(path, tag, key_name, name);
	free(name);
	return code;
}

static int peer_remove(const struct peer_options *options)
{
	struct peer_key key = { NULL, NULL };
	struct writer old;
	char *path;
	int code = TOOL_FAILED;

	if (options->word_count < 1 || options->word_count > 2)
		return tool_refuse_usage(PEER_USAGE);
	writer_init(&old, TOOL_FILE_BYTES_MAX);
	path = peer_file_path(options);
	if (path != NULL && (options->word_count == 1 || peer_key_read(options->words[1], &key)))
		code = peer_remove_from(path, options->words[0], key.name, &old);
	writer_free(&old);
	peer_key_free(&key);
	free(path);
	return code;
}

/* --- list --- */

static int peer_print_key(const char *text)
{
	char *name = tool_key_name_of(text);

	if (name == NULL)
		return TOOL_FAILED;
	printf("  key      %s\n", name);
	free(name);
	return TOOL_OK;
}

static int peer_print_key_file(const struct config_peer *peer)
{
	enum err err;
	char *name = tool_peer_file_key(peer, &err);

	if (err != ERR_OK)
		return tool_fail("peer %s: its key_file cannot be taken: %s", peer->tag,
			tool_peer_file_problem(err));
	if (name != NULL)
		printf("  key      %s\n", name);
	free(name);
	return TOOL_OK;
}

static int peer_print(const struct config_peer *peer)
{
	int code = TOOL_OK;
	size_t i;

	printf("%s\n", peer->tag);
	if (peer->host != NULL || peer->user != NULL)
		printf("  %-8s %s\n", peer->host != NULL ? "host" : "user",
			peer->host != NULL ? peer->host : peer->user);
	else
		printf("  named by its key\n");
	if (peer->service_count > 0) {
		printf("  services");
		for (i = 0; i < peer->service_count; i++)
			printf(" %s", peer->services[i]);
		printf("\n");
	}
	for (i = 0; i < peer->key_count; i++)
		if (peer_print_key(peer->keys[i]) != TOOL_OK)
			code = TOOL_FAILED;
	if (peer_print_key_file(peer) != TOOL_OK)
		code = TOOL_FAILED;
	return code;
}

static int peer_list(const struct peer_options *options)
{
	const char *files[] = { options->file, NULL };
	struct config *config = NULL;
	int code = TOOL_OK;
	enum err err;
	size_t i;

	if (options->word_count != 0)
		return tool_refuse_usage(PEER_USAGE);
	if (options->file != NULL && access(options->file, F_OK) != 0)
		return tool_fail("%s: %s", options->file, strerror(errno));
	err = options->file != NULL ? config_load(files, &config) : config_get(&config);
	if (err != ERR_OK)
		return tool_fail("%s", err == ERR_CONFIG ? config_last_error() : error_text(err));
	for (i = 0; i < config_peer_count(config); i++)
		if (peer_print(config_peer_at(config, i)) != TOOL_OK)
			code = TOOL_FAILED;
	if (config_peer_count(config) == 0)
		printf("No peer is configured.\n");
	config_release(&config);
	return code;
}

/* --- arguments --- */

struct peer_action {
	const char *name;
	int (*run)(const struct peer_options *options);
};

static const struct peer_action peer_actions[] = {
	{ "add", peer_add },
	{ "list", peer_list },
	{ "remove", peer_remove },
	{ "show-key", peer_show_key },
	{ "import-from-ssh-known-hosts", peer_import_known_hosts },
};

static bool peer_options_read(int argc, char **argv, struct peer_options *ret_options)
{
	static const struct option known[] = { { "file", required_argument, NULL, 'f' },
		{ "tag", required_argument, NULL, 't' },
		{ "services", required_argument, NULL, 's' }, { "user", no_argument, NULL, 'u' },
		{ "host", no_argument, NULL, 'H' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	struct peer_options options = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		const char **value = option == 'f'   ? &options.file
				     : option == 't' ? &options.tag
				     : option == 's' ? &options.services
						     : NULL;

		options.wants_help = options.wants_help || option == 'h';
		options.is_user = options.is_user || option == 'u';
		options.is_host = options.is_host || option == 'H';
		if (value != NULL)
			*value = optarg;
		else if (option != 'h' && option != 'u' && option != 'H')
			return false;
	}
	options.words = argv + optind;
	options.word_count = argc - optind;
	*ret_options = options;
	return true;
}

int tool_peer(int argc, char **argv)
{
	struct peer_options options;
	size_t i;

	if (!peer_options_read(argc, argv, &options))
		return tool_refuse_usage(PEER_USAGE);
	if (options.wants_help)
		return tool_print_usage(PEER_USAGE);
	if (options.word_count < 1)
		return tool_refuse_usage(PEER_USAGE);
	for (i = 0; i < sizeof(peer_actions) / sizeof(peer_actions[0]); i++) {
		if (strcmp(options.words[0], peer_actions[i].name) == 0) {
			options.words++;
			options.word_count--;
			return peer_actions[i].run(&options);
		}
	}
	return tool_refuse_usage(PEER_USAGE);
}
