/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec peer: adds, lists and removes [peer] entries of one configuration file.  The new file
 * is checked by the configuration's own reader before it takes the old one's place.
 */
#include "tools/tools.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "mech/mech.h"

#define PEER_KEY_DIGITS_MAX 960
#define PEER_USAGE                                                                            \
	"gss-ipsec peer add [--file FILE] [--tag TAG] [--services LIST] NAME KEY\n"           \
	"       gss-ipsec peer list [--file FILE]\n"                                          \
	"       gss-ipsec peer remove [--file FILE] TAG [KEY]\n"                              \
	"       gss-ipsec peer show-key FILE\n"                                               \
	"\n"                                                                                  \
	"NAME is user@domain, a host name, or - for a peer that only its key names (needs\n"  \
	"--tag).  TAG is the entry's own name, else NAME.  LIST is for hosts, with blanks.\n" \
	"KEY is SHA256:..., the base64 of the public key, or a PEM file."

struct peer_options {
	const char *file, *tag, *services;
	bool wants_help;
	char **words; /* what follows the options */
	int word_count;
};

/* --- the file --- */

/* The file that is meant, symbolic links followed, so that a link is not replaced by a file. */
static char *peer_file_path(const struct peer_options *options)
{
	const char *named =
		options->file != NULL ? options->file : secure_getenv("GSS_IPSEC_CONFIG");
	char *path = named != NULL ? strdup(named) : tool_path_default("ipsec.conf", "ipsec.conf");
	char *resolved;

	if (path == NULL) {
		(void)tool_fail("HOME is not set; name the file with --file");
		return NULL;
	}
	resolved = realpath(path, NULL);
	if (resolved == NULL)
		return path;
	free(path);
	return resolved;
}

static bool peer_file_check(const char *path)
{
	const char *files[] = { path, NULL };
	struct config *config = NULL;
	enum err err = config_load(files, &config);

	config_release(&config);
	if (err != ERR_OK)
		(void)tool_fail("%s", err == ERR_CONFIG ? config_last_error() : error_text(err));
	return err == ERR_OK;
}

static int peer_file_replace(const char *path, const struct writer *content)
{
	char *prepared = NULL;

	if (writer_status(content) != ERR_OK)
		return tool_fail("%s", error_text(writer_status(content)));
	if (!tool_file_prepare(path, writer_view(content), 0644, true, &prepared))
		return TOOL_FAILED;
	if (!peer_file_check(prepared)) {
		tool_file_discard(&prepared);
		return tool_fail("%s is left as it was", path);
	}
	return tool_file_commit(&prepared, path, true) ? TOOL_OK : TOOL_FAILED;
}

/* The text, once the configuration's reader has found it in order. */
static bool peer_file_read(const char *path, struct writer *text)
{
	return peer_file_check(path) && tool_file_read(path, true, text);
}

static void put_text(struct writer *w, const char *text)
{
	writer_put_bytes(w, BYTES((const uint8_t *)text, strlen(text)));
}

static void put_line(struct writer *w, const char *key, const char *value)
{
	put_text(w, "\t\t");
	put_text(w, key);
	put_text(w, " = ");
	put_text(w, value);
	put_text(w, "\n");
}

/* --- keys --- */

/* As it stands in the file: names are kept, all else becomes base64, or a name where that is too long. */
static char *peer_key_text(const char *given)
{
	struct mech_name *name = NULL;
	struct writer spki;
	char *text = NULL;

	if (strncmp(given, "SHA256:", 7) == 0) {
		if (mech_name_import(MECH_FORM_KEY, BYTES((const uint8_t *)given, strlen(given)),
			    NULL, &name) == ERR_OK)
			text = strdup(mech_name_display(name));
		else
			(void)tool_fail("%s: 43 base64 digits must stand behind SHA256:", given);
		mech_name_release(&name);
		return text;
	}
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	if (tool_key_read(given, &spki))
		text = tool_key_base64(writer_view(&spki));
	/* RSA of more than some 5600 bits: a configuration's line would be too long. */
	if (text != NULL && strlen(text) > PEER_KEY_DIGITS_MAX) {
		free(text);
		text = tool_key_name(writer_view(&spki));
	}
	writer_free(&spki);
	return text;
}

/* The SHA256 name of a key in any form. */
static char *peer_key_name(const char *given)
{
	struct writer spki;
	char *name = NULL;

	if (strncmp(given, "SHA256:", 7) == 0)
		return strdup(given);
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	if (tool_key_read(given, &spki))
		name = tool_key_name(writer_view(&spki));
	writer_free(&spki);
	return name;
}

/* A key that was given: as it goes into the file, and its name. */
struct peer_key {
	char *text, *name;
};

static void peer_key_free(struct peer_key *key)
{
	free(key->text);
	free(key->name);
}

/* The caller frees, whatever this returns. */
static bool peer_key_read(const char *given, struct peer_key *key)
{
	key->text = peer_key_text(given);
	key->name = key->text == NULL ? NULL : peer_key_name(key->text);
	return key->name != NULL;
}

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

static void put_entry(struct writer *w, const struct peer_options *options, const char *key)
{
	const char *name = options->words[0];

	put_text(w, "\t");
	put_text(w, options->tag);
	put_text(w, " = {\n");
	if (strcmp(name, "-") != 0)
		put_line(w, strchr(name, '@') != NULL ? "user" : "host", name);
	if (options->services != NULL)
		put_line(w, "services", options->services);
	put_line(w, "key", key);
	put_text(w, "\t}\n");
}

static void put_line_end(struct writer *w)
{
	struct bytes so_far = writer_view(w);

	if (so_far.len > 0 && so_far.data[so_far.len - 1] != '\n')
		put_text(w, "\n");
}

/* The old text with the key put into its entry, or with a new entry. */
static void put_added(struct writer *w, struct bytes old, const struct peer_options *options,
	const struct tool_peer_place *place, const char *key)
{
	size_t at = place->has_entry ? place->close : place->insert;

	writer_put_bytes(w, BYTES(old.data, at));
	put_line_end(w);
	if (place->has_entry) {
		put_line(w, "key", key);
	} else {
		if (!place->has_section)
			put_text(w, at > 0 ? "\n[peer]\n" : "[peer]\n");
		put_entry(w, options, key);
	}
	writer_put_bytes(w, BYTES(old.data + at, old.len - at));
}

/* An entry that is there takes the key only when it is one for the same name. */
static bool peer_entry_fits(const char *path, const struct peer_options *options)
{
	const char *files[] = { path, NULL };
	const char *name = options->words[0];
	struct config *config = NULL;
	bool is_same = false;
	size_t i;

	if (config_load(files, &config) != ERR_OK)
		return false;
	for (i = 0; i < config_peer_count(config); i++) {
		const struct config_peer *peer = config_peer_at(config, i);
		const char *has = peer->host != NULL   ? peer->host
				  : peer->user != NULL ? peer->user
						       : "-";

		if (strcmp(peer->tag, options->tag) == 0)
			is_same = strcasecmp(has, name) == 0;
	}
	config_release(&config);
	return is_same && options->services == NULL;
}

static int peer_add_to(const char *path, const struct peer_options *options,
	const struct peer_key *key, struct writer *old)
{
	struct tool_peer_place place;
	struct writer changed;
	size_t begin, end;
	int code;

	if (!peer_file_read(path, old))
		return TOOL_FAILED;
	place = tool_peer_find(writer_view(old), options->tag);
	if (tool_peer_find_key(writer_view(old), &place, key->name, &begin, &end))
		return tool_fail("%s has this key already", options->tag);
	if (place.has_entry && !peer_entry_fits(path, options))
		return tool_fail("%s is there already, for another name or services; remove it "
				 "first, or give another --tag",
			options->tag);
	writer_init(&changed, TOOL_FILE_BYTES_MAX);
	put_added(&changed, writer_view(old), options, &place, key->text);
	code = peer_file_replace(path, &changed);
	writer_free(&changed);
	if (code == TOOL_OK)
		printf("%s: %s %s\n", path, place.has_entry ? "another key for" : "added",
			options->tag);
	return code;
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
	struct peer_options complete = *options;
	struct peer_key key = { NULL, NULL };
	char *path;
	struct writer old;
	int code = TOOL_FAILED;

	if (options->word_count != 2)
		return tool_refuse_usage(PEER_USAGE);
	if (options->tag == NULL && strcmp(options->words[0], "-") == 0)
		return tool_fail("a peer without a name needs a --tag");
	if (options->tag == NULL)
		complete.tag = options->words[0];
	if (!peer_text_is_line(complete.tag) || !peer_text_is_line(options->words[0]) ||
		!peer_text_is_line(options->services))
		return tool_fail("a name, tag or service has a control character");
	writer_init(&old, TOOL_FILE_BYTES_MAX);
	path = peer_file_path(options);
	if (path != NULL && peer_key_read(options->words[1], &key))
		code = peer_add_to(path, &complete, &key, &old);
	writer_free(&old);
	peer_key_free(&key);
	free(path);
	return code;
}

/* --- remove --- */

static int peer_remove_from(
	const char *path, const char *tag, const char *key_name, struct writer *old)
{
	struct tool_peer_place place;
	struct writer changed;
	struct bytes text;
	size_t begin, end;
	int code;

	if (!peer_file_read(path, old))
		return TOOL_FAILED;
	text = writer_view(old);
	place = tool_peer_find(text, tag);
	if (!place.has_entry)
		return tool_fail("%s has no [peer] entry %s", path, tag);
	begin = place.entry;
	end = place.next;
	if (key_name != NULL && !tool_peer_find_key(text, &place, key_name, &begin, &end))
		return tool_fail("%s does not have this key", tag);
	writer_init(&changed, TOOL_FILE_BYTES_MAX);
	writer_put_bytes(&changed, BYTES(text.data, begin));
	writer_put_bytes(&changed, BYTES(text.data + end, text.len - end));
	code = peer_file_replace(path, &changed);
	writer_free(&changed);
	if (code == TOOL_OK)
		printf("%s: removed %s%s\nLogins are refused from the next second on, by servers "
		       "that "
		       "are running too; connections that are open stay.\n",
			path, key_name != NULL ? "a key of " : "", tag);
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
	char *name = peer_key_name(text);

	if (name == NULL)
		return TOOL_FAILED;
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
	if (peer->key_file != NULL && peer_print_key(peer->key_file) != TOOL_OK)
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
};

static bool peer_options_read(int argc, char **argv, struct peer_options *ret_options)
{
	static const struct option known[] = { { "file", required_argument, NULL, 'f' },
		{ "tag", required_argument, NULL, 't' },
		{ "services", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	struct peer_options options = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "f:t:s:h", known, NULL)) != -1) {
		const char **value = option == 'f'   ? &options.file
				     : option == 't' ? &options.tag
				     : option == 's' ? &options.services
						     : NULL;

		options.wants_help = options.wants_help || option == 'h';
		if (value != NULL)
			*value = optarg;
		else if (option != 'h')
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
