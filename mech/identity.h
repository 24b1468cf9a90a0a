/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files and identities made from them, for mech/ and for what gss-ipsec says of them.  Keys are
 * kept for the process by path (a few), and their files looked at again, by descriptor, no more than
 * once a second.  Thread-safe and fork-safe; no descriptor is held between calls.  Trouble sets the detail: path,
 * and errno's text or what is wrong with the file.
 */
#ifndef MECH_IDENTITY_H
#define MECH_IDENTITY_H

#include "mech/mech.h"

/*
 * A PEM private key: a regular file of at most 64 kB, owned by the effective user or root, with no
 * permission for group and others.  KEY_FILE, KEY_FILE_MODE, KEY_FORMAT, KEY_SIZE, KEY_CURVE.
 * ret_is_denied, written always: whether it was KEY_FILE because this user may not read it: then it
 * is somebody else's.
 */
enum err mech_private_key_load(
	const char *path, struct crypto_private_key **ret_key, bool *ret_is_denied) ERR_MUST_CHECK;
/* Whether a file is there that belongs to the effective user or root (for_any_root: or the user is root)
 * and may be read. */
bool mech_private_key_is_ours(const char *path, bool for_any_root);
/* Whether a file is there that belongs to neither the effective user nor root: what is wrong with it is not
 * this user's fault. */
bool mech_private_key_is_anothers(const char *path);
/* A PEM public key's DER SubjectPublicKeyInfo, appended to w, and its SHA-256 (NULL: not wanted, else
 * CRYPTO_SHA256_BYTES). KEY_FILE, also when group or others can write it, KEY_FORMAT, KEY_SIZE, KEY_CURVE. */
enum err mech_public_key_load(
	const char *path, struct writer *w, uint8_t *ret_digest) ERR_MUST_CHECK;

/* Loads the key and makes the name: nobody's (then there is no key), host, else user, else the
 * key's own.  What is in *ret_identity is the caller's and ends with mech_identity_wipe.
 * ERR_CONFIG for a bad host or user. */
enum err mech_identity_load(const struct config_identity *config,
	struct mech_identity *ret_identity, bool *ret_is_denied) ERR_MUST_CHECK;
/* Frees what the identity holds; safe on a zeroed one. */
void mech_identity_wipe(struct mech_identity *identity);
/* An empty list serves all. */
bool mech_services_include(const char *const *services, size_t count, const char *service);

#endif
