/* SPDX-License-Identifier: BSD-2-Clause */
/* The file that 'gss-ipsec peer' changes, keys as they stand in it, and new entries in its text. */
#include "tools/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/config.h"
#include "mech/mech.h"

#define PEER_KEY_DIGITS_MAX 960

/* --- the file --- */

char *peer_file_path(const struct peer_options *options)
{
	const char *named = options->file != NULL ? options->file : tool_config_named();
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

/* An editor, or a second 'peer add', may have been at it; what it wrote would be lost. */
static bool peer_file_is_still(const char *path, struct bytes before)
{
	struct writer now;
	bool is_same;

	writer_init(&now, TOOL_FILE_BYTES_MAX);
	is_same = tool_file_read(path, true, &now) && bytes_equal(writer_view(&now), before);
	writer_free(&now);
	if (!is_same)
		(void)tool_fail("%s was changed by somebody else meanwhile; try again", path);
	return is_same;
}

int peer_file_replace(const char *path, struct bytes before, const struct writer *content)
{
	char *prepared = NULL;

	if (writer_status(content) != ERR_OK)
		return tool_fail("%s", error_text(writer_status(content)));
	if (!tool_file_prepare(path, writer_view(content), 0644, true, &prepared))
		return TOOL_FAILED;
	if (!peer_file_check(prepared) || !peer_file_is_still(path, before)) {
		tool_file_discard(&prepared);
		return tool_fail("%s is left as it was", path);
	}
	return tool_file_commit(&prepared, path, true) ? TOOL_OK : TOOL_FAILED;
}

bool peer_file_read(const char *path, struct writer *text)
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

/* RSA of more than some 5600 bits: a configuration's line would be too long. */
static char *spki_text(struct bytes spki)
{
	char *text = tool_key_base64(spki);

	if (text == NULL || strlen(text) <= PEER_KEY_DIGITS_MAX)
		return text;
	free(text);
	return tool_key_name(spki);
}

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
		text = spki_text(writer_view(&spki));
	writer_free(&spki);
	return text;
}

void peer_key_free(struct peer_key *key)
{
	free(key->text);
	free(key->name);
}

bool peer_key_read(const char *given, struct peer_key *key)
{
	key->text = peer_key_text(given);
	key->name = key->text == NULL ? NULL : tool_key_name_of(key->text);
	return key->name != NULL;
}

bool peer_key_of_spki(struct bytes spki, struct peer_key *key)
{
	key->text = spki_text(spki);
	key->name = key->text == NULL ? NULL : tool_key_name(spki);
	return key->name != NULL;
}

/* --- entries --- */

static void put_entry(struct writer *w, const struct peer_entry *entry, const char *key)
{
	put_text(w, "\t");
	put_text(w, entry->tag);
	put_text(w, " = {\n");
	if (entry->kind != NULL)
		put_line(w, entry->kind, entry->name);
	if (entry->services != NULL)
		put_line(w, "services", entry->services);
	put_line(w, "key", key);
	put_text(w, "\t}\n");
}

static void put_line_end(struct writer *w)
{
	struct bytes so_far = writer_view(w);

	if (so_far.len > 0 && so_far.data[so_far.len - 1] != '\n')
		put_text(w, "\n");
}

void peer_text_add(struct writer *w, struct bytes old, const struct peer_entry *entry,
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
		put_entry(w, entry, key);
	}
	if (at < old.len) /* a file that is not there has no octets at all */
		writer_put_bytes(w, BYTES(old.data + at, old.len - at));
}

static const char *peer_name(const struct config_peer *peer)
{
	return peer->host != NULL ? peer->host : peer->user;
}

/* Users are told apart by their letters' case, hosts are not. */
static bool peer_is_named(const struct config_peer *peer, const char *name)
{
	if (peer->host != NULL)
		return strcasecmp(peer->host, name) == 0;
	return peer->user != NULL && strcmp(peer->user, name) == 0;
}

static bool entry_is_for(const struct config_peer *peer, const struct peer_entry *entry)
{
	const char *name = peer_name(peer);

	if (entry->kind == NULL || name == NULL)
		return entry->kind == NULL && name == NULL;
	return (strcmp(entry->kind, "host") == 0) == (peer->host != NULL) &&
	       peer_is_named(peer, entry->name);
}

typedef bool peer_fits(const struct config_peer *peer, const void *argument);

/* The first entry of the file that fits, or NULL; the caller releases *ret_config, which has it. */
static const struct config_peer *file_search(
	const char *path, peer_fits *fits, const void *argument, struct config **ret_config)
{
	const char *files[] = { path, NULL };

	*ret_config = NULL;
	if (config_load(files, ret_config) != ERR_OK)
		return NULL;
	for (size_t i = 0; i < config_peer_count(*ret_config); i++)
		if (fits(config_peer_at(*ret_config, i), argument))
			return config_peer_at(*ret_config, i);
	return NULL;
}

static bool has_tag(const struct config_peer *peer, const void *argument)
{
	return strcmp(peer->tag, argument) == 0;
}

static bool is_wanted(const struct config_peer *peer, const void *argument)
{
	const struct peer_wanted *wanted = argument;

	return peer_is_named(peer, wanted->name) &&
	       (wanted->key_name == NULL || tool_peer_has_key(peer, wanted->key_name)) &&
	       (wanted->but_tag == NULL || strcmp(peer->tag, wanted->but_tag) != 0) &&
	       (!wanted->is_unlimited || peer->service_count == 0);
}

char *peer_file_name_of(const char *path, const char *tag)
{
	struct config *config;
	const struct config_peer *peer = file_search(path, has_tag, tag, &config);
	char *found = peer != NULL && peer_name(peer) != NULL ? strdup(peer_name(peer)) : NULL;

	config_release(&config);
	return found;
}

char *peer_file_find(const char *path, const struct peer_wanted *wanted)
{
	struct config *config;
	const struct config_peer *peer = file_search(path, is_wanted, wanted, &config);
	char *found = peer != NULL ? strdup(peer->tag) : NULL;

	config_release(&config);
	return found;
}

bool peer_file_entry_fits(const char *path, const struct peer_entry *entry)
{
	struct config *config;
	const struct config_peer *peer = file_search(path, has_tag, entry->tag, &config);
	const bool is_same = peer != NULL && entry_is_for(peer, entry);

	config_release(&config);
	return is_same && entry->services == NULL;
}
