/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of 'gss-ipsec peer'. */
#ifndef TOOLS_PEER_H
#define TOOLS_PEER_H

#include "tools/tools.h"

/* From the command line; borrowed from it. */
struct peer_options {
	const char *file, *tag, *services;
	bool is_user, is_host; /* what NAME is said to be */
	bool wants_help;
	char **words; /* what follows the options */
	int word_count;
};

/* A [peer] entry to be; texts are borrowed, services may be NULL. */
struct peer_entry {
	const char *tag;
	const char *kind, *name; /* "host" or "user"; both NULL: the key is the name */
	const char *services;
};

/* A key that was given: as it goes into the file (its SHA256 name where that is what was given, or
 * where a line would be too long), and its name; malloc'ed. */
struct peer_key {
	char *text, *name;
};

/* --- peer_file.c --- */
/* The file that is meant, symbolic links followed, so that a link is not replaced by a file;
 * malloc'ed, NULL (told) without HOME. */
char *peer_file_path(const struct peer_options *options);
/* Appends its text, once the configuration's reader has found it in order; else false, and told. */
bool peer_file_read(const char *path, struct writer *text);
/* Puts content in the file's place if it is in order, and the file still what was read before; TOOL_OK, or
 * TOOL_FAILED and told. */
int peer_file_replace(const char *path, struct bytes before, const struct writer *content);
/* The host or user that the entry of that tag is for; malloc'ed, NULL: there is none. */
char *peer_file_name_of(const char *path, const char *tag);
/* The first entry for that host or user, with that key among its keys (NULL: any), other than but_tag (NULL:
 * any). */
struct peer_wanted {
	const char *name, *key_name, *but_tag;
	bool is_unlimited; /* for all services */
};
/* Its tag; malloc'ed, NULL: there is none. */
char *peer_file_find(const char *path, const struct peer_wanted *wanted);
/* Whether the file's entry of that tag is for the same name, so that it can take another key. */
bool peer_file_entry_fits(const char *path, const struct peer_entry *entry);
/* Appends the old text with the key put into its entry, or with a new entry. */
void peer_text_add(struct writer *w, struct bytes old, const struct peer_entry *entry,
	const struct tool_peer_place *place, const char *key);
/* False, and told, when it is no key.  The caller frees, whatever this returns. */
bool peer_key_read(const char *given, struct peer_key *key);
bool peer_key_of_spki(struct bytes spki, struct peer_key *key);
void peer_key_free(struct peer_key *key);

/* --- peer_import.c --- */
int peer_import_known_hosts(const struct peer_options *options);

#endif
