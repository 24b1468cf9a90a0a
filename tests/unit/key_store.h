/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A directory with a configuration and fresh keys, for tests of credentials and of the peer
 * database.
 */
#ifndef TESTS_UNIT_KEY_STORE_H
#define TESTS_UNIT_KEY_STORE_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mech/base64.h"
#include "mech/mech.h"

#define KEY_STORE_PATH_BYTES 128

struct key_store {
	char directory[64];
};

struct key_store_path {
	char text[KEY_STORE_PATH_BYTES];
};

static inline struct key_store key_store_new(void)
{
	struct key_store store = { "/tmp/gss-ipsec-keys-XXXXXX" };

	ck_assert_ptr_nonnull(mkdtemp(store.directory));
	return store;
}

static inline struct key_store_path key_store_path(const struct key_store *store, const char *file)
{
	struct key_store_path path;

	snprintf(path.text, sizeof(path.text), "%s/%s", store->directory, file);
	return path;
}

/* file is given a mode before its content is there. */
static inline void key_store_write(
	const struct key_store *store, const char *file, mode_t mode, struct bytes content)
{
	struct key_store_path path = key_store_path(store, file);
	int fd;

	(void)unlink(path.text);
	fd = open(path.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(write(fd, content.data, content.len), (int)content.len);
	ck_assert_int_eq(close(fd), 0);
}

static inline void key_store_write_text(
	const struct key_store *store, const char *file, const char *text)
{
	key_store_write(store, file, 0644, BYTES((const uint8_t *)text, strlen(text)));
}

/* Makes a key and its file; the caller frees the key. */
static inline struct crypto_private_key *key_store_add(
	const struct key_store *store, const char *file)
{
	struct crypto_private_key *key = NULL;
	struct writer pem;

	writer_init(&pem, 4096);
	ck_assert_int_eq(crypto_private_key_generate(crypto_key_kind_at(0), 0, &key), ERR_OK);
	ck_assert_int_eq(crypto_private_key_write(key, &pem), ERR_OK);
	key_store_write(store, file, 0600, writer_view(&pem));
	writer_free(&pem);
	return key;
}

static inline struct mech_name *key_store_name(const struct crypto_private_key *key)
{
	struct bytes spki = crypto_private_key_spki(key);
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct mech_name *name = NULL;

	ck_assert_int_eq(crypto_sha256(&spki, 1, digest), ERR_OK);
	ck_assert_int_eq(mech_name_of_key(digest, &name), ERR_OK);
	return name;
}

static inline void key_store_free(struct key_store *store)
{
	char command[KEY_STORE_PATH_BYTES];

	snprintf(command, sizeof(command), "rm -rf '%s'", store->directory);
	ck_assert_int_eq(system(command), 0);
}

static inline struct mech_name *import_name(enum mech_name_form form, const char *text)
{
	struct mech_name *name = NULL;

	ck_assert_int_eq(
		mech_name_import(form, BYTES((const uint8_t *)text, strlen(text)), NULL, &name),
		ERR_OK);
	return name;
}

#endif
