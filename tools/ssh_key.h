/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSH's forms of keys and its list of known hosts, read strictly.  What these functions are given
 * may be anybody's: they only look, print nothing, and their views lie within their input.
 */
#ifndef TOOLS_SSH_KEY_H
#define TOOLS_SSH_KEY_H

#include "base/bytes.h"
#include "mech/crypto/crypto.h"

/* --- keys: ssh_key.c --- */

bool ssh_text_is(struct bytes value, const char *text);

/* The next field of a line, without the blanks around it, empty at the end; moves *line on. */
struct bytes ssh_field_next(struct bytes *line);

/* A public key (RFC 4253 6.6, RFC 8709 4, RFC 5656 3.1) to its DER SubjectPublicKeyInfo, appended.
 * ERR_UNSUPPORTED for a kind that is not taken from OpenSSH (RSA among them), ERR_KEY_CURVE for
 * P-521, else ERR_KEY_FORMAT. */
enum err ssh_public_read(struct bytes blob, struct writer *ret_spki) ERR_MUST_CHECK;
/* "TYPE BASE64" as in known_hosts and, a comment behind it, in a .pub file; the type must be the
 * key's own.  Errors as above. */
enum err ssh_public_text_read(
	struct bytes type, struct bytes base64, struct writer *ret_spki) ERR_MUST_CHECK;
/* A whole .pub file: one line, no options before the type.  Errors as above. */
enum err ssh_public_file_read(struct bytes text, struct writer *ret_spki) ERR_MUST_CHECK;

/* A private key file, "BEGIN OPENSSH PRIVATE KEY" (OpenSSH's PROTOCOL.key), not encrypted, whose
 * halves fit each other.  ERR_KEY_FORMAT when it is none, ERR_UNSUPPORTED when it is encrypted or of
 * another kind, ERR_KEY_CURVE; *ret_why, written on failure, then says so to a user. */
enum err ssh_private_read(struct bytes text, struct crypto_private_key **ret_key,
	const char **ret_why) ERR_MUST_CHECK;

/* --- known hosts: known_hosts.c (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT) --- */

enum known_host_marker { KNOWN_HOST_PLAIN, KNOWN_HOST_AUTHORITY, KNOWN_HOST_REVOKED };

struct known_host {
	enum known_host_marker marker;
	struct bytes names; /* with commas between them */
	struct bytes type, key;
};

enum known_name_kind {
	KNOWN_NAME_PLAIN,
	KNOWN_NAME_PORT,    /* [host]:port */
	KNOWN_NAME_HASHED,  /* |1|salt|hash */
	KNOWN_NAME_PATTERN, /* with '*', '?' or '!' */
	KNOWN_NAME_OTHER    /* an address, or what no host is called */
};

/* The next line; its end is not in it.  Moves *text on; false at the end. */
bool known_hosts_next_line(struct bytes *text, struct bytes *ret_line);
/* One line.  *ret_is_entry is false for blank lines and comments.  ERR_KEY_FORMAT when a field is
 * missing, the marker is unknown or the line is longer than 16384 octets. */
enum err known_host_read(
	struct bytes line, bool *ret_is_entry, struct known_host *ret_host) ERR_MUST_CHECK;
/* The next name of the list; moves *names on; false at the end. */
bool known_host_next_name(struct bytes *names, struct bytes *ret_name);
enum known_name_kind known_name_kind(struct bytes name);
/* Whether it is this host's, written as OpenSSH does: "host", or "[host]:port" for another port than
 * 22.  Capital letters do not count.  Patterns are nobody's. */
bool known_name_is(struct bytes name, const char *host);

#endif
