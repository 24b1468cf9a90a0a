/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration file into a snapshot.  Values come from MIT's profile library, with one profile
 * object for each file, so that earlier files win by our rule and not by the library's.
 */
#include "base/config_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_profile.h"
#include "base/file_status.h"

/* One file on its way into a snapshot. */
struct reading {
	struct config *config;
	const char *path;
	size_t file_index;
	const struct config_lines *lines;
	const struct config_profile_library *calls;
	profile_t profile;
	unsigned int general_keys; /* of [gss-ipsec], set by this file */
};

static enum err find_section(const struct reading *r, const struct config_line *line,
	const struct config_section_row **ret_row)
{
	const struct config_section_row *row = config_section_find(line->section);

	if (row == NULL)
		return config_complain(r->path, line->number,
			"[%s] is no section of this configuration (gss-ipsec, identity, peer, "
			"service, localname)",
			line->section);
	if (line->key != NULL && line->tag == NULL && row->has_subsections)
		return config_complain(r->path, line->number,
			"[%s] %s: this section holds subsections only, 'name = {' to '}'",
			line->section, line->key);
	if (line->tag != NULL && !row->has_subsections)
		return config_complain(r->path, line->number,
			"[%s] %s: this section has no subsections", line->section, line->tag);
	*ret_row = row;
	return ERR_OK;
}

static enum err find_key(const struct reading *r, const struct config_line *line,
	const struct config_section_row *section, size_t *ret_index)
{
	for (size_t i = 0; i < section->key_count; i++) {
		if (strcmp(section->keys[i].name, line->key) == 0) {
			*ret_index = i;
			return ERR_OK;
		}
	}
	return config_complain(r->path, line->number, "[%s]%s%s: %s is no key of this section",
		line->section, line->tag != NULL ? " " : "", line->tag != NULL ? line->tag : "",
		line->key);
}

/* How many lines before this one, in the same subsection, have the same key. */
static size_t count_earlier(const struct reading *r, const struct config_line *line)
{
	size_t count = 0;

	for (const struct config_line *l = line; l > r->lines->items && l[-1].key != NULL; l--)
		if (l[-1].tag == line->tag && strcmp(l[-1].key, line->key) == 0)
			count++;
	return count;
}

static size_t count_later(const struct reading *r, const struct config_line *line)
{
	const struct config_line *end = r->lines->items + r->lines->count;
	size_t count = 0;

	for (const struct config_line *l = line + 1; l < end && l->key != NULL; l++)
		if (l->tag == line->tag && strcmp(l->key, line->key) == 0)
			count++;
	return count;
}

/* An escape sequence between quotation marks can make any character. */
static bool is_printable(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return false;
	return true;
}

/* The library's value for this line. */
static enum err set_value(const struct reading *r, const struct config_line *line,
	size_t occurrence, config_value_setter *set, struct config_entry *entry)
{
	const char *const names[] = { line->section, line->tag != NULL ? line->tag : line->key,
		line->tag != NULL ? line->key : NULL, NULL };
	struct config_place place = { .config = r->config, .path = r->path, .line = line };
	char **values = NULL;
	size_t count = 0;
	long code = r->calls->profile_get_values(r->profile, names, &values);
	enum err status;

	if (code == ENOMEM)
		return ERR_NO_MEMORY;
	if (code != 0)
		return config_complain_passing(config_complain(
			r->path, line->number, "%s", r->calls->error_message(code)));
	while (values[count] != NULL)
		count++;
	/* Where memory ends, libkrb5 1.20.1 loses values without a word. */
	if (count < occurrence + 1 + count_later(r, line)) {
		status = config_complain_passing(config_complain(
			r->path, line->number, "the profile library reads this line otherwise"));
		goto out;
	}
	place.value = values[occurrence];
	if (place.value[0] == '\0') {
		status = config_complain_value(&place, "is empty");
		goto out;
	}
	status = is_printable(place.value)
			 ? set(&place, entry)
			 : config_complain_value(&place, "has a control character");
out:
	r->calls->profile_free_list(values);
	return status;
}

static enum err add_value(const struct reading *r, const struct config_line *line,
	const struct config_section_row *section, unsigned int *keys_of_file,
	struct config_entry *entry)
{
	size_t index = 0;
	unsigned int bit;
	enum err status = find_key(r, line, section, &index);

	if (status != ERR_OK)
		return status;
	bit = 1u << index;
	if ((*keys_of_file & bit) != 0 && !section->keys[index].repeats)
		return config_complain(r->path, line->number, "[%s]%s%s: %s is given twice",
			line->section, line->tag != NULL ? " " : "",
			line->tag != NULL ? line->tag : "", line->key);
	*keys_of_file |= bit;
	return set_value(r, line, count_earlier(r, line), section->keys[index].set, entry);
}

/* [gss-ipsec]: key by key, what an earlier file set stays; a later value is only checked. */
static enum err add_general(
	struct reading *r, const struct config_line *line, const struct config_section_row *section)
{
	struct config_entry *general = &r->config->general;
	struct config_entry unused = { .tag = NULL };
	struct config_entry *target = general;
	unsigned int before = r->general_keys;
	enum err status;

	for (size_t i = 0; i < section->key_count; i++)
		if (strcmp(section->keys[i].name, line->key) == 0 &&
			(general->keys_set & ~before & (1u << i)) != 0)
			target = &unused;
	status = add_value(r, line, section, &r->general_keys, target);
	if (status == ERR_OK)
		general->keys_set |= r->general_keys;
	return status;
}

static enum err list_append(struct config_list *list, const struct config_entry *entry)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity > 0 ? list->capacity * 2 : 8;
		struct config_entry *entries =
			reallocarray(list->entries, capacity, sizeof(*entries));

		if (entries == NULL)
			return ERR_NO_MEMORY;
		list->entries = entries;
		list->capacity = capacity;
	}
	list->entries[list->count++] = *entry;
	return ERR_OK;
}

static void entry_begin(struct config_entry *entry, enum config_list_kind kind)
{
	if (kind == CONFIG_IDENTITIES) {
		entry->as.identity.tag = entry->tag;
		entry->as.identity.initiates = true;
		entry->as.identity.accepts = true;
	} else if (kind == CONFIG_PEERS) {
		entry->as.peer.tag = entry->tag;
	} else if (kind == CONFIG_LOCALNAMES) {
		entry->as.localname.tag = entry->tag;
	}
}

/* A whole subsection, from its first line on; ret_taken says how many lines that were. */
static enum err add_subsection(const struct reading *r, const struct config_line *first,
	size_t left, const struct config_section_row *section, size_t *ret_taken)
{
	struct config_list *list = &r->config->lists[section->list];
	const struct config_entry *earlier = config_list_find(list, first->tag);
	struct config_entry entry = { .file_index = r->file_index };
	struct config_place place = { .config = r->config, .path = r->path, .line = first };
	enum err status = ERR_OK;
	size_t taken = 1;

	if (earlier != NULL && earlier->file_index == r->file_index)
		return config_complain_entry(&place, "the name was used before in this file");
	entry.tag = config_copy_text(r->config, first->tag, strlen(first->tag));
	if (entry.tag == NULL)
		return ERR_NO_MEMORY;
	entry_begin(&entry, section->list);
	for (; taken < left && first[taken].tag == first->tag && status == ERR_OK; taken++)
		status = add_value(r, &first[taken], section, &entry.keys_set, &entry);
	if (status == ERR_OK)
		status = section->check(&place, &entry);
	if (status == ERR_OK && earlier == NULL)
		status = list_append(list, &entry);
	if (status == ERR_OK)
		*ret_taken = taken;
	return status;
}

static enum err add_lines(struct reading *r)
{
	enum err status = ERR_OK;
	size_t taken;

	for (size_t i = 0; i < r->lines->count && status == ERR_OK; i += taken) {
		const struct config_line *line = &r->lines->items[i];
		const struct config_section_row *section = NULL;

		taken = 1;
		status = find_section(r, line, &section);
		if (status != ERR_OK)
			break;
		if (line->tag != NULL)
			status = add_subsection(r, line, r->lines->count - i, section, &taken);
		else if (line->key != NULL)
			status = add_general(r, line, section);
	}
	return status;
}

/* Without a slash in front, the library would take a leading ~ for the home directory. */
static enum err open_profile(struct reading *r)
{
	char *plain = NULL;
	const char *files[2] = { NULL, NULL };
	long code;

	if (r->calls == NULL)
		return config_complain_passing(config_complain(r->path, 0,
			"cannot be read: libkrb5.so.3, which reads it, cannot be opened"));
	if (asprintf(&plain, "%s%s", r->path[0] == '/' ? "" : "./", r->path) < 0)
		return ERR_NO_MEMORY;
	files[0] = plain;
	code = r->calls->profile_init(files, &r->profile);
	free(plain);
	if (code == ENOMEM)
		return ERR_NO_MEMORY;
	return code == 0 ? ERR_OK
			 : config_complain_passing(config_complain(
				   r->path, 0, "%s", r->calls->error_message(code)));
}

enum err config_file_add(
	struct config *config, const char *path, size_t file_index, bool *ret_changed)
{
	struct config_lines lines;
	struct reading r = { .config = config,
		.path = path,
		.file_index = file_index,
		.calls = config_profile_library() };
	struct stat now;
	enum err status = config_lines_read(path, &lines);

	*ret_changed = false;
	if (status != ERR_OK || !lines.exists)
		return status;
	r.lines = &lines;
	status = open_profile(&r);
	if (status == ERR_OK)
		status = add_lines(&r);
	if (stat(path, &now) != 0 || !file_status_equal(&now, &lines.status)) {
		*ret_changed = true;
		status = config_complain(path, 0, "the file changed while it was read");
	}
	if (r.profile != NULL)
		r.calls->profile_abandon(r.profile);
	config_lines_free(&lines);
	return status;
}
