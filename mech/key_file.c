/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Key files: permission checks, and a small cache for the process so that a server reads its key
 * once, not for each context.  A cached private key is good for the effective user it was read by
 * only; what is cached goes when its file does.
 */
#include "mech/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file_status.h"

#define KEY_FILE_BYTES_MAX 65536
#define CACHE_SLOTS 32
#define LOOK_AGAIN_MS 1000

enum key_kind { KEY_PRIVATE, KEY_PUBLIC };

/* What a file holds: one of both. */
struct key_content {
	struct crypto_private_key *key;
	uint8_t *spki;
	size_t spki_len;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of spki */
};

/* What one look at a file saw. */
struct key_look {
	struct stat status;
	bool is_fresh; /* a change since may have left no trace in status */
};

struct key_slot {
	char *path;
	enum key_kind kind;
	uid_t user; /* of a private key: whose it was when it was read */
	struct key_look look;
	int64_t looked_ms;
	struct key_content content;
};

/* Never waited for: what another thread holds, or held when this process was forked, is read
 * from the file. */
static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct key_slot cache[CACHE_SLOTS];

static int64_t now_ms(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void content_free(struct key_content *content)
{
	crypto_private_key_free(&content->key);
	free(content->spki);
	*content = (struct key_content){ 0 };
}

static enum err content_copy(const struct key_content *from, struct key_content *ret_content)
{
	struct key_content copy = { .spki_len = from->spki_len };

	if (from->spki != NULL) {
		copy.spki = malloc(from->spki_len);
		if (copy.spki == NULL)
			return ERR_NO_MEMORY;
		memcpy(copy.spki, from->spki, from->spki_len);
		memcpy(copy.digest, from->digest, sizeof(copy.digest));
	}
	if (from->key != NULL)
		copy.key = crypto_private_key_ref(from->key);
	*ret_content = copy;
	return ERR_OK;
}

/* --- cache; cache_lock is held --- */

static void slot_clear(struct key_slot *slot)
{
	free(slot->path);
	content_free(&slot->content);
	*slot = (struct key_slot){ 0 };
}

static struct key_slot *slot_find(const char *path, enum key_kind kind, uid_t user)
{
	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		struct key_slot *slot = &cache[i];

		if (slot->path != NULL && slot->kind == kind && slot->user == user &&
			strcmp(slot->path, path) == 0)
			return slot;
	}
	return NULL;
}

/* A free one, or the one that was looked at longest ago, emptied. */
static struct key_slot *slot_claim(void)
{
	struct key_slot *oldest = &cache[0];

	for (size_t i = 0; i < CACHE_SLOTS; i++) {
		if (cache[i].path == NULL)
			return &cache[i];
		if (cache[i].looked_ms < oldest->looked_ms)
			oldest = &cache[i];
	}
	slot_clear(oldest);
	return oldest;
}

/* --- cache, from outside --- */

/* look NULL: takes what was looked at within the last second; else what is still that file's. */
static bool cache_take(const char *path, enum key_kind kind, uid_t user,
	const struct key_look *look, struct key_content *ret_content)
{
	struct key_slot *slot;
	int64_t now = now_ms();
	bool is_found = false;

	if (pthread_mutex_trylock(&cache_lock) != 0)
		return false;
	slot = slot_find(path, kind, user);
	if (slot != NULL) {
		is_found = look == NULL ? now - slot->looked_ms < LOOK_AGAIN_MS
					: !slot->look.is_fresh && file_status_equal(&look->status,
									  &slot->look.status);
		is_found = is_found && content_copy(&slot->content, ret_content) == ERR_OK;
		if (is_found && look != NULL)
			slot->looked_ms = now;
	}
	(void)pthread_mutex_unlock(&cache_lock);
	return is_found;
}

/* Keeps a copy, or forgets the path when content is NULL. Best effort: a cache that is full or
 * busy costs time only. */
static void cache_put(const char *path, enum key_kind kind, uid_t user, const struct key_look *look,
	const struct key_content *content)
{
	struct key_slot *slot;

	if (pthread_mutex_trylock(&cache_lock) != 0)
		return;
	slot = slot_find(path, kind, user);
	if (slot != NULL)
		slot_clear(slot);
	if (content != NULL) {
		slot = slot_claim();
		slot->path = strdup(path);
		if (slot->path == NULL || content_copy(content, &slot->content) != ERR_OK) {
			slot_clear(slot);
		} else {
			slot->kind = kind;
			slot->user = user;
			slot->look = *look;
			slot->looked_ms = now_ms();
		}
	}
	(void)pthread_mutex_unlock(&cache_lock);
}

/* --- files --- */

static enum err file_refuse(enum err code, const char *path, const char *why)
{
	mech_set_detail(code, "%s: %s", path, why);
	return code;
}

static enum err file_check(
	const char *path, enum key_kind kind, uid_t user, const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return file_refuse(ERR_KEY_FILE, path, "not a regular file");
	if (status->st_size > KEY_FILE_BYTES_MAX)
		return file_refuse(ERR_KEY_FILE, path, "larger than 64 kB");
	if (kind == KEY_PUBLIC)
		return (status->st_mode & (S_IWGRP | S_IWOTH)) == 0
			       ? ERR_OK
			       : file_refuse(ERR_KEY_FILE, path,
					 "can be written by others; chmod go-w it");
	if (status->st_uid != user && status->st_uid != 0)
		return file_refuse(
			ERR_KEY_FILE_MODE, path, "belongs to neither this user nor root");
	if ((status->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		mech_set_detail(ERR_KEY_FILE_MODE, "%s: mode %04o", path,
			(unsigned int)status->st_mode & 07777u);
		return ERR_KEY_FILE_MODE;
	}
	return ERR_OK;
}

/* Up to room octets; false with errno. */
static bool file_read(int fd, uint8_t *out, size_t room, size_t *ret_len)
{
	size_t len = 0;

	while (len < room) {
		ssize_t got = read(fd, out + len, room - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			break;
		len += (size_t)got;
	}
	*ret_len = len;
	return true;
}

static enum err content_parse(enum key_kind kind, struct bytes pem, struct key_content *ret_content)
{
	struct key_content content = { 0 };
	struct writer spki;
	struct bytes view;
	enum err err;
	int guard = crypto_guard_begin();

	if (kind == KEY_PRIVATE) {
		err = crypto_private_key_read(pem, &content.key);
	} else {
		writer_init(&spki, KEY_FILE_BYTES_MAX);
		err = crypto_spki_read_pem(pem, &spki);
		view = writer_view(&spki);
		if (err == ERR_OK)
			err = crypto_sha256(&view, 1, content.digest);
		if (err == ERR_OK)
			err = writer_take(&spki, &content.spki, &content.spki_len);
		writer_free(&spki);
	}
	err = crypto_guard_end(guard, err);
	if (err == ERR_OK)
		*ret_content = content;
	return err;
}

/* Reads one octet more than the file had, to see whether it grew. */
static enum err content_read(const char *path, int fd, enum key_kind kind,
	const struct stat *status, struct key_content *ret_content)
{
	size_t room = (size_t)status->st_size + 1, len = 0;
	uint8_t *pem = malloc(room);
	enum err err = ERR_OK;

	if (pem == NULL)
		return ERR_NO_MEMORY;
	if (!file_read(fd, pem, room, &len))
		err = file_refuse(ERR_KEY_FILE, path, strerror(errno));
	else if (len == room)
		err = file_refuse(ERR_KEY_FILE, path, "was changed while it was read");
	else
		err = content_parse(kind, BYTES(pem, len), ret_content);
	if (err == ERR_KEY_FORMAT || err == ERR_KEY_SIZE || err == ERR_KEY_CURVE)
		mech_set_detail(err, "%s", path);
	secret_free(pem, room);
	return err;
}

static enum err file_load(const char *path, enum key_kind kind, uid_t user,
	struct key_content *ret_content, bool *ret_is_denied)
{
	const struct timespec clock = file_status_clock();
	struct key_look look = { .is_fresh = false };
	enum err err;
	/* O_NONBLOCK: a FIFO in the file's place must not hang the program. Links are followed:
	 * fstat judges the file. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		*ret_is_denied = errno == EACCES || errno == EPERM;
		return file_refuse(ERR_KEY_FILE, path, strerror(errno));
	}
	if (fstat(fd, &look.status) != 0)
		err = file_refuse(ERR_KEY_FILE, path, strerror(errno));
	else
		err = file_check(path, kind, user, &look.status);
	if (err == ERR_OK && !cache_take(path, kind, user, &look, ret_content)) {
		look.is_fresh = file_status_is_fresh(&look.status, &clock);
		err = content_read(path, fd, kind, &look.status, ret_content);
		if (err == ERR_OK)
			cache_put(path, kind, user, &look, ret_content);
	}
	(void)close(fd);
	return err;
}

static enum err content_load(
	const char *path, enum key_kind kind, struct key_content *ret_content, bool *ret_is_denied)
{
	/* A peer's key is good for any user; to ask who this is costs a system call in each context. */
	const uid_t user = kind == KEY_PRIVATE ? geteuid() : 0;
	enum err err;

	*ret_is_denied = false;
	if (cache_take(path, kind, user, NULL, ret_content))
		return ERR_OK;
	err = file_load(path, kind, user, ret_content, ret_is_denied);
	if (err != ERR_OK)
		cache_put(path, kind, user, NULL, NULL);
	return err;
}

bool mech_private_key_is_ours(const char *path, bool for_any_root)
{
	const uid_t user = geteuid();
	struct stat status;

	return stat(path, &status) == 0 &&
	       (status.st_uid == user || status.st_uid == 0 || (user == 0 && for_any_root)) &&
	       faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
}

bool mech_private_key_is_anothers(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_uid != geteuid() && status.st_uid != 0;
}

enum err mech_private_key_load(
	const char *path, struct crypto_private_key **ret_key, bool *ret_is_denied)
{
	struct key_content content = { 0 };
	enum err err = content_load(path, KEY_PRIVATE, &content, ret_is_denied);

	if (err == ERR_OK)
		*ret_key = content.key;
	return err;
}

enum err mech_public_key_load(const char *path, struct writer *w, uint8_t *ret_digest)
{
	struct key_content content = { 0 };
	bool is_denied;
	enum err err = content_load(path, KEY_PUBLIC, &content, &is_denied);

	if (err != ERR_OK)
		return err;
	writer_put_bytes(w, BYTES(content.spki, content.spki_len));
	err = writer_status(w);
	if (err == ERR_OK && ret_digest != NULL)
		memcpy(ret_digest, content.digest, sizeof(content.digest));
	content_free(&content);
	return err;
}
