/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec peer import-from-ssh-known-hosts: the hosts that ssh knows, with their keys, as [peer]
 * entries.  All are put into the text first; the file is replaced once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "mech/mech.h"
#include "tools/peer.h"
#include "tools/ssh_key.h"

#define IMPORT_REVOKED_MAX 256

/* Why names and lines were left out; told once each, with how many there were. */
enum import_left {
	LEFT_MALFORMED,
	LEFT_AUTHORITY,
	LEFT_KIND,
	LEFT_REVOKED,
	LEFT_HASHED,
	LEFT_PORT,
	LEFT_PATTERN,
	LEFT_NO_NAME,
	LEFT_OTHER_ENTRY,
	LEFT_COUNT
};

/* clang-format off */
static const char *const left_texts[LEFT_COUNT] = {
	[LEFT_MALFORMED] = "malformed lines or keys",
	[LEFT_AUTHORITY] = "certificate authorities: this mechanism has no certificates",
	[LEFT_KIND] = "keys of other kinds than ed25519 and ecdsa of 256 or 384 bits",
	[LEFT_REVOKED] = "keys that the file says are revoked",
	[LEFT_HASHED] = "hashed names: name the hosts to have them",
	[LEFT_PORT] = "names with a port: name them, as [host]:port, to have them",
	[LEFT_PATTERN] = "lines with patterns ('*', '?' or '!'), which name no one host",
	[LEFT_NO_NAME] = "addresses and names without a dot: name them to have them",
	[LEFT_OTHER_ENTRY] = "hosts whose entry in the configuration is for another name or services",
};
/* clang-format on */

struct import {
	const struct peer_options *options;
	const char *path;    /* the configuration */
	struct writer text;  /* as it is to be */
	struct bytes before; /* as it was */
	char **hosts;	     /* that were named; none: all that can be read */
	size_t host_count, added, known;
	size_t left[LEFT_COUNT];
	bool *is_found; /* of each host that was named */
	char *revoked[IMPORT_REVOKED_MAX];
	size_t revoked_count;
};

/* "[host]:port" and "host" are both the host; malloc'ed. */
static char *host_of(const char *written)
{
	const char *end = strchr(written, ']');

	if (written[0] != '[' || end == NULL)
		return strdup(written);
	return strndup(written + 1, (size_t)(end - written) - 1);
}

static bool import_is_revoked(const struct import *import, const char *key_name)
{
	for (size_t i = 0; i < import->revoked_count; i++)
		if (strcmp(import->revoked[i], key_name) == 0)
			return true;
	return false;
}

/* The text with the key in it; false when the configuration holds the host as something else. */
static bool import_put(
	struct import *import, const struct peer_entry *entry, const struct peer_key *key)
{
	struct bytes text = writer_view(&import->text);
	struct tool_peer_place place = tool_peer_find(text, entry->tag);
	struct writer changed;
	size_t begin, end;
	bool was_there = tool_peer_find(import->before, entry->tag).has_entry;

	if (tool_peer_find_key(text, &place, key->name, &begin, &end)) {
		import->known++;
		return true;
	}
	if (was_there && !peer_file_entry_fits(import->path, entry))
		return false;
	writer_init(&changed, TOOL_FILE_BYTES_MAX);
	peer_text_add(&changed, text, entry, &place, key->text);
	writer_free(&import->text);
	import->text = changed;
	import->added++;
	printf("  %s %s%s\n", entry->name, key->name,
		was_there ? ", beside the keys that it had" : "");
	return true;
}

/* Of a host that was named it is a failure, of any other it is counted. */
static int import_leave(struct import *import, const char *host, enum import_left why)
{
	import->left[why]++;
	if (import->host_count == 0)
		return TOOL_OK;
	return tool_fail(
		"%s is left out, one of the %s; nothing is imported", host, left_texts[why]);
}

/* One name with its key. */
static int import_take(struct import *import, const char *written, const struct peer_key *key)
{
	struct peer_entry entry = { .kind = "host", .services = import->options->services };
	struct mech_name *name = NULL;
	char *host = host_of(written);
	int code = TOOL_OK;

	if (host == NULL)
		return tool_fail("%s", error_text(ERR_NO_MEMORY));
	if (mech_name_of_host("", host, &name) != ERR_OK) {
		code = tool_fail("'%s' is no name that a host can have here", host);
		goto out;
	}
	entry.tag = entry.name = mech_name_host(name);
	if (import_is_revoked(import, key->name))
		code = import_leave(import, entry.name, LEFT_REVOKED);
	else if (!import_put(import, &entry, key))
		code = import_leave(import, entry.name, LEFT_OTHER_ENTRY);
out:
	mech_name_release(&name);
	free(host);
	return code;
}

/* Without hosts named: whole names in the clear, of the usual port. */
static bool import_wants(struct import *import, struct bytes name)
{
	static const enum import_left by_kind[] = {
		[KNOWN_NAME_PLAIN] = LEFT_NO_NAME,
		[KNOWN_NAME_PORT] = LEFT_PORT,
		[KNOWN_NAME_HASHED] = LEFT_HASHED,
		[KNOWN_NAME_PATTERN] = LEFT_PATTERN,
		[KNOWN_NAME_OTHER] = LEFT_NO_NAME,
	};
	enum known_name_kind kind = known_name_kind(name);

	if (kind == KNOWN_NAME_PLAIN && memchr(name.data, '.', name.len) != NULL)
		return true;
	import->left[by_kind[kind]]++;
	return false;
}

static int import_take_all(struct import *import, struct bytes names, const struct peer_key *key)
{
	struct bytes name;
	char *text;

	while (known_host_next_name(&names, &name)) {
		if (!import_wants(import, name))
			continue;
		text = strndup((const char *)name.data, name.len);
		if (text == NULL)
			return tool_fail("%s", error_text(ERR_NO_MEMORY));
		/* A name that no host can have here is told, and the others are taken. */
		(void)import_take(import, text, key);
		free(text);
	}
	return TOOL_OK;
}

static int import_take_named(struct import *import, struct bytes names, const struct peer_key *key)
{
	struct bytes name;
	int code = TOOL_OK;
	size_t i;

	while (known_host_next_name(&names, &name)) {
		for (i = 0; i < import->host_count && code == TOOL_OK; i++) {
			if (!known_name_is(name, import->hosts[i]))
				continue;
			import->is_found[i] = true;
			code = import_take(import, import->hosts[i], key);
		}
	}
	return code;
}

/* A pattern takes back what another name of its line gives ("*.org,!bad.org"). */
static bool has_negation(struct bytes names)
{
	return names.len > 0 && memchr(names.data, '!', names.len) != NULL;
}

/* The key of a line; false: left out, and counted. */
static bool import_key(struct import *import, const struct known_host *host, struct peer_key *key)
{
	struct writer spki;
	bool is_read = false;
	enum err err;

	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	err = ssh_public_text_read(host->type, host->key, &spki);
	if (err == ERR_OK)
		is_read = peer_key_of_spki(writer_view(&spki), key);
	else if (err == ERR_UNSUPPORTED || err == ERR_KEY_CURVE)
		import->left[LEFT_KIND]++;
	else
		import->left[LEFT_MALFORMED]++;
	writer_free(&spki);
	return is_read;
}

static int import_line(struct import *import, const struct known_host *host)
{
	struct peer_key key = { NULL, NULL };
	int code = TOOL_OK;

	if (host->marker == KNOWN_HOST_REVOKED)
		return TOOL_OK;
	if (host->marker == KNOWN_HOST_AUTHORITY) {
		import->left[LEFT_AUTHORITY]++;
		return TOOL_OK;
	}
	if (has_negation(host->names)) {
		import->left[LEFT_PATTERN]++;
		return TOOL_OK;
	}
	if (import_key(import, host, &key))
		code = import->host_count > 0 ? import_take_named(import, host->names, &key)
					      : import_take_all(import, host->names, &key);
	peer_key_free(&key);
	return code;
}

/* A revoked key is nobody's, whatever names the line has. */
static int import_line_revoked(struct import *import, const struct known_host *host)
{
	const size_t kinds = import->left[LEFT_KIND];
	struct peer_key key = { NULL, NULL };

	if (host->marker != KNOWN_HOST_REVOKED)
		return TOOL_OK;
	if (!import_key(import, host, &key)) {
		peer_key_free(&key);
		return import->left[LEFT_KIND] > kinds
			       ? TOOL_OK
			       : tool_fail("a revoked key cannot be read; nothing is imported");
	}
	free(key.text);
	if (import->revoked_count == IMPORT_REVOKED_MAX) {
		free(key.name);
		return tool_fail(
			"more than %d keys are revoked; nothing is imported", IMPORT_REVOKED_MAX);
	}
	import->revoked[import->revoked_count++] = key.name;
	return TOOL_OK;
}

typedef int import_line_take(struct import *import, const struct known_host *host);

/* A marker that cannot be read might take a key back. */
static int import_malformed(struct import *import, struct bytes line, import_line_take *take)
{
	struct bytes first = ssh_field_next(&line);

	if (first.len > 0 && first.data[0] == '@')
		return tool_fail("a line with a marker (@) cannot be read; nothing is imported");
	if (take == import_line)
		import->left[LEFT_MALFORMED]++;
	return TOOL_OK;
}

static int import_walk(struct import *import, struct bytes text, import_line_take *take)
{
	struct known_host host;
	struct bytes line;
	bool is_entry;
	int code = TOOL_OK;

	while (code == TOOL_OK && known_hosts_next_line(&text, &line)) {
		if (known_host_read(line, &is_entry, &host) != ERR_OK)
			code = import_malformed(import, line, take);
		else if (is_entry)
			code = take(import, &host);
	}
	return code;
}

/* --- what is told --- */

static void import_print_left(const struct import *import)
{
	size_t i;

	/* Of other hosts than those that were named nobody wants to know. */
	for (i = 0; i < LEFT_COUNT; i++)
		if (import->left[i] > 0 && import->host_count == 0)
			printf("left out, %zu: %s\n", import->left[i], left_texts[i]);
}

static void import_print_trust(void)
{
	printf("Whoever holds one of these keys is taken for its host from now on.  So each of "
	       "these hosts\nmust give its programs the key of its sshd; as root, there:\n"
	       "\tgss-ipsec keygen --from-ssh /etc/ssh/ssh_host_ed25519_key --out "
	       "/etc/gss/ipsec-key.pem\n"
	       "and name that file, with this host's name, in an [identity] section.  Who can read "
	       "that file\ncan be the host to ssh, too.\n");
}

/* Each host that was named is there, or the command has failed. */
static int import_check_found(const struct import *import, const char *known_hosts)
{
	int code = TOOL_OK;
	size_t i;

	for (i = 0; i < import->host_count; i++)
		if (!import->is_found[i])
			code = tool_fail("%s has no key for %s that can be taken; nothing "
					 "is imported",
				known_hosts, import->hosts[i]);
	if (code == TOOL_OK && import->added + import->known == 0) {
		import_print_left(import);
		code = tool_fail("%s has nothing that can be taken", known_hosts);
	}
	return code;
}

/* --- the whole --- */

static int import_run(
	struct import *import, const char *known_hosts, struct writer *input, struct writer *before)
{
	int code;

	if (!tool_file_read(known_hosts, false, input) || !peer_file_read(import->path, before))
		return TOOL_FAILED;
	import->before = writer_view(before);
	writer_put_bytes(&import->text, import->before);
	code = import_walk(import, writer_view(input), import_line_revoked);
	if (code != TOOL_OK)
		return code;
	printf("%s to %s:\n", known_hosts, import->path);
	code = import_walk(import, writer_view(input), import_line);
	if (code == TOOL_OK)
		code = import_check_found(import, known_hosts);
	if (code == TOOL_OK && import->added > 0)
		code = peer_file_replace(import->path, import->before, &import->text);
	if (code != TOOL_OK)
		return code;
	printf("%zu key%s added, %zu known already\n", import->added, import->added == 1 ? "" : "s",
		import->known);
	import_print_left(import);
	if (import->added > 0)
		import_print_trust();
	return TOOL_OK;
}

/* ssh's own list: for the host's configuration the host's, for a user's the user's; malloc'ed. */
static char *known_hosts_path(void)
{
	const char *home = secure_getenv("HOME");
	char *path = NULL;

	if (geteuid() == 0)
		return strdup("/etc/ssh/ssh_known_hosts");
	if (home == NULL || asprintf(&path, "%s/.ssh/known_hosts", home) < 0)
		return NULL;
	return path;
}

static void import_free(struct import *import)
{
	for (size_t i = 0; i < import->revoked_count; i++)
		free(import->revoked[i]);
	free(import->is_found);
	writer_free(&import->text);
}

int peer_import_known_hosts(const struct peer_options *options)
{
	struct import import = { .options = options };
	char *path, *known_hosts;
	struct writer input, before;
	int code = TOOL_FAILED;

	if (options->word_count > 1) {
		import.hosts = options->words + 1;
		import.host_count = (size_t)options->word_count - 1;
	}
	writer_init(&input, TOOL_FILE_BYTES_MAX);
	writer_init(&before, TOOL_FILE_BYTES_MAX);
	writer_init(&import.text, TOOL_FILE_BYTES_MAX);
	import.is_found = calloc(import.host_count + 1, sizeof(*import.is_found));
	import.path = path = peer_file_path(options);
	known_hosts = options->word_count > 0 ? strdup(options->words[0]) : known_hosts_path();
	if (known_hosts == NULL || import.is_found == NULL)
		code = tool_fail("%s", import.is_found == NULL
					       ? error_text(ERR_NO_MEMORY)
					       : "HOME is not set; name the file of known hosts");
	else if (path != NULL)
		code = import_run(&import, known_hosts, &input, &before);
	writer_free(&input);
	writer_free(&before);
	import_free(&import);
	free(known_hosts);
	free(path);
	return code;
}
