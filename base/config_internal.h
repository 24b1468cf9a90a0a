/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the configuration's files share among themselves; nobody else includes this.
 *
 *	config.c        snapshots, what others ask them
 *	config_current.c the process's current one, and whether one that is held still holds
 *	config_lines.c  one file's owner, mode and lines: shape, order and line numbers
 *	config_check.c  one file's values, from the profile library, into a snapshot
 *	config_profile.c that library, opened for it
 *	config_keys.c   tables of sections and keys
 *	config_values.c the formats of values: names, paths, keys
 *
 * The profile library alone would not do: it tells neither line nor file, sorts subsections by
 * name, and passes over misplaced and misspelt lines in silence.  So every line's shape is checked
 * first, the library then reads the values, and each of them is asked for by the line it stands on.
 */
#ifndef BASE_CONFIG_INTERNAL_H
#define BASE_CONFIG_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/config.h"
#include "base/error.h"

#define CONFIG_FILES_MAX 2
#define CONFIG_ERROR_BYTES 1024
#define CONFIG_FILE_BYTES_MAX ((size_t)1 << 20)
#define CONFIG_LINE_BYTES_MAX 1024 /* the library reads lines in pieces of 2048 */
#define CONFIG_TAG_BYTES_MAX 64
#define CONFIG_LIST_ITEMS_MAX 64 /* services of one entry, keys of one peer */
#define CONFIG_TOKEN_PADDING_MAX 49152

/* --- a snapshot --- */
struct config_general {
	enum config_latch latch;
	enum config_unknown_peer unknown_peer;
	const char *default_domain, *broker_path;
	size_t token_padding_bytes;
	bool takes_anonymous;
	unsigned int choices[CONFIG_CHOICE_COUNT]; /* bit n: word n is allowed */
};

struct config_service {
	enum config_latch latch;
	bool has_t5;
	bool takes_anonymous;
};

/* One subsection, or all of [gss-ipsec]; keys_set has a bit for each key of the section's table. */
struct config_entry {
	const char *tag;
	size_t file_index;
	unsigned int keys_set;
	union {
		struct config_general general;
		struct config_identity identity;
		struct config_peer peer;
		struct config_service service;
		struct config_localname localname;
	} as;
};

enum config_list_kind {
	CONFIG_IDENTITIES,
	CONFIG_PEERS,
	CONFIG_SERVICES,
	CONFIG_LOCALNAMES,
	CONFIG_LIST_COUNT
};

struct config_list {
	struct config_entry *entries;
	size_t count, capacity;
};

struct config_memory {
	struct config_memory *next;
	max_align_t data[];
};

/* What one look at the files of the configuration saw; never changed once others can see it. */
struct config_sight {
	char *paths[CONFIG_FILES_MAX + 1]; /* NULL-terminated */
	struct stat status[CONFIG_FILES_MAX];
	bool exists[CONFIG_FILES_MAX];
	bool is_absent[CONFIG_FILES_MAX]; /* for certain: nothing kept this process from looking */
	bool is_fresh;	  /* one may have been changed since, and no time stamp would show it */
	struct stat root; /* of the process: in another one, paths mean other files */
};

struct config {
	atomic_uint references;
	const struct config_sight *sight; /* of config_get()'s only; else NULL */
	struct config_memory *memory;	  /* all strings and arrays that entries point to */
	struct config_entry general;
	struct config_list lists[CONFIG_LIST_COUNT];
};

/* The snapshot of no file at all; it has no sight. */
struct config *config_nothing(void);

/* --- the process's lock --- */
/* Not for a caller that holds it already. */
enum err config_lock(void) ERR_MUST_CHECK;
void config_unlock(void);
/* As config_load(); the lock is held. */
enum err config_load_locked(const char *const *files, struct config **ret_config) ERR_MUST_CHECK;

/* Zeroed memory that lives as long as the snapshot; NULL when there is none. */
void *config_alloc(struct config *config, size_t len);
char *config_copy_text(struct config *config, const char *text, size_t len);
/* NULL when there is no entry of that tag. */
struct config_entry *config_list_find(const struct config_list *list, const char *tag);

/* --- mistakes --- */
/* Notes what config_last_error() says: "file:line: text" (line 0: the whole file).
 * Returns ERR_CONFIG; where there is no memory to note it, it has no text and passes. */
enum err config_complain(const char *path, unsigned int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A complaint that may pass, the file unchanged, and is not remembered: config_mistake_passes says so.
 * What libkrb5 holds against a file is one, too, since libkrb5 1.20.1 says such things for want of memory. */
enum err config_complain_passing(enum err complaint);
/* Of a file that the system does not let us read, code being its errno; most of these pass. */
enum err config_complain_system(const char *path, int code);
bool config_mistake_passes(void);
/* Replaces this thread's text with one noted before. */
void config_complain_again(const char *text);

/* --- one file's lines --- */
/* One "key = value" (tag NULL: directly in the section), or the beginning of a subsection (key
 * NULL) or of a section (both NULL).  Lines of one subsection have the same pointer as tag. */
struct config_line {
	unsigned int number;
	const char *section, *tag, *key;
};

struct config_lines {
	char *text; /* the file, cut into pieces that the lines point to */
	struct config_line *items;
	size_t count, capacity;
	bool exists; /* false: there is no such file, and all else is empty */
	struct stat status;
};

/* Reads and checks; on success the caller frees. */
enum err config_lines_read(const char *path, struct config_lines *ret_lines) ERR_MUST_CHECK;
void config_lines_free(struct config_lines *lines);

/* --- one file's values --- */
/* Adds what the file says to a snapshot under construction; what earlier files said stays.
 * ret_changed, written always: the file changed meanwhile, so the snapshot is worth nothing.
 * Not reentrant: the library shares parsed files between its users, so the caller holds a lock. */
enum err config_file_add(struct config *config, const char *path, size_t file_index,
	bool *ret_changed) ERR_MUST_CHECK;

/* --- sections and keys --- */
/* Where a value, or (value NULL) a subsection, stands. */
struct config_place {
	struct config *config;
	const char *path;
	const struct config_line *line;
	const char *value;
};

typedef enum err config_value_setter(const struct config_place *place, struct config_entry *entry);
typedef enum err config_entry_checker(
	const struct config_place *place, const struct config_entry *entry);

/* A key's place in its table is its bit in keys_set. */
struct config_key_row {
	const char *name;
	config_value_setter *set;
	bool repeats;
};

enum config_service_key { CONFIG_SERVICE_LATCH, CONFIG_SERVICE_T5, CONFIG_SERVICE_ANONYMOUS };

struct config_section_row {
	const char *name;
	const struct config_key_row *keys;
	size_t key_count;
	bool has_subsections;
	enum config_list_kind list;  /* of the subsections */
	config_entry_checker *check; /* of a whole subsection */
};

/* NULL when there is no such section. */
const struct config_section_row *config_section_find(const char *name);
/* Both return ERR_CONFIG. */
enum err config_complain_value(const struct config_place *place, const char *complaint);
enum err config_complain_entry(const struct config_place *place, const char *complaint);

/* --- formats --- */
/* Each stores the canonical form of a value in the snapshot's memory.  For a bad value it leaves
 * ret_text alone and says why in ret_complaint.  ERR_NO_MEMORY is the only error. */
struct config_format_input {
	struct config *config;
	const char *path; /* of the file: relative paths start in its directory */
	const char *value;
};
typedef enum err config_format(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint);
config_format config_format_host;
config_format config_format_user;
config_format config_format_path;
config_format config_format_socket;
config_format config_format_public_key;
config_format config_format_service;
config_format config_format_mapped_name;
config_format config_format_local_user;

#endif
