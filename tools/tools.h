/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The subcommands of gss-ipsec and what they share.  Each takes its own arguments (argv[0] is its
 * name) and returns an exit code; what went wrong is on standard error by then.
 */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

#include <stdio.h>

#include "base/bytes.h"
#include "base/config.h"

#define TOOL_OK 0
#define TOOL_FAILED 1
#define TOOL_USAGE 2

#define TOOL_FILE_BYTES_MAX ((size_t)1 << 20)

int tool_status(int argc, char **argv);
int tool_keygen(int argc, char **argv);
int tool_peer(int argc, char **argv);
int tool_check(int argc, char **argv);
int tool_doctor(int argc, char **argv);
int tool_localname(int argc, char **argv);

/* Print usage: where help was asked for, to standard output, TOOL_OK; else to standard error,
 * TOOL_USAGE. */
int tool_print_usage(const char *usage);
int tool_refuse_usage(const char *usage);
/* For commands that take options only, behind getopt_long(): whether no word is left; else tells it. */
bool tool_options_end(int argc, char **argv);
/* Prints "gss-ipsec: " and the text, returns TOOL_FAILED. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- texts: text.c --- */
/* Names and rules come from files and other programs; a terminal takes no orders of theirs: what is no
 * printable ASCII becomes '?'. */
void tool_put_printable(const char *text, FILE *out);
/* The same as a string of JSON (RFC 8259), with its quotation marks. */
void tool_put_json(const char *text, FILE *out);
/* What error_text() says, and the particulars behind it if there are any; malloc'ed, NULL: no memory. */
char *tool_error_text(enum err err);
/* Digits and nothing else, at most max; false: it is no such number. */
bool tool_number_read(const char *text, long max, long *ret_number);

/* --- files: files.c --- */
/* The file that GSS_IPSEC_CONFIG names in place of all others, as programs take it; NULL: none. */
const char *tool_config_named(void);
/* A file of this user's (under ~/.config/gss-ipsec), or of the host's for root; malloc'ed, NULL
 * when HOME is missing. */
char *tool_path_default(const char *user_name, const char *system_name);
/* Appends a whole file to w; false, and told, when that fails.  A file that is not there counts as
 * empty when may_be_missing. */
bool tool_file_read(const char *path, bool may_be_missing, struct writer *w);
/* Writes a new file beside path, with all of its content on the disk, for tool_file_commit or
 * tool_file_discard; its path is malloc'ed. Mode and owner are those of the old file if there
 * is one and it may be replaced, else mode and this user. */
bool tool_file_prepare(const char *path, struct bytes content, unsigned int mode, bool may_replace,
	char **ret_prepared);
/* Puts the prepared file in path's place in one step, or refuses when path exists and may not
 * be replaced.  Either way the prepared name is gone. */
bool tool_file_commit(char **prepared, const char *path, bool may_replace);
void tool_file_discard(char **prepared);

/* --- keys: keys.c --- */
/* "SHA256:..." of a DER SubjectPublicKeyInfo; malloc'ed, NULL on failure (told). */
char *tool_key_name(struct bytes spki);
/* The same of a key in any form that a user may give, that name among them. */
char *tool_key_name_of(const char *given);
/* The key in a peer's key_file by its SHA256 name, malloc'ed, read as programs read it: PEM, and public.
 * NULL: there is no such file (ERR_OK), or it cannot be taken. */
char *tool_peer_file_key(const struct config_peer *peer, enum err *ret_err);
/* Why it cannot, until the thread's next failure: the error's own sentence is about an identity. */
const char *tool_peer_file_problem(enum err err);
/* Whether a peer's entry has the key of this SHA256 name; a file that cannot be taken has none. */
bool tool_peer_has_key(const struct config_peer *peer, const char *name);
/* Its base64 with padding; malloc'ed, NULL on failure (told). */
char *tool_key_base64(struct bytes spki);
/* A public key from what a user may give: base64 of the SPKI, a PEM file with a public or a
 * private key, or a public key file of OpenSSH's.  Appends the DER SPKI; false, and told, when it is
 * none of these. */
bool tool_key_read(const char *text, struct writer *ret_spki);
/* Whether a key as it stands in a configuration (SHA256:... or base64) has this SHA256 name. */
bool tool_key_is_named(struct bytes value, const char *name);
/* Prints name and base64; TOOL_OK or TOOL_FAILED. */
int tool_key_print(struct bytes spki);

/* --- one [peer] entry in the text of a configuration: peer_text.c --- */
/* Where things are in a text that is known to be in order; offsets of line beginnings. */
struct tool_peer_place {
	bool has_section, has_entry;
	size_t insert;		   /* where a new entry goes: behind the last one of [peer] */
	size_t entry, close, next; /* the entry's first line, its '}' line, and what follows */
};
struct tool_peer_place tool_peer_find(struct bytes text, const char *tag);
/* The entry's line with the key of this SHA256 name, in whatever form it is written; where that
 * line begins and where the next does. */
bool tool_peer_find_key(struct bytes text, const struct tool_peer_place *place, const char *name,
	size_t *ret_begin, size_t *ret_end);

#endif
