/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading and replacing whole files: who reads the path sees the old or the new one, never half. */
#include "tools/tools.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

/* The host's are for all to read, a user's for that user. */
static bool directory_make(const char *path)
{
	return mkdir(path, geteuid() == 0 ? 0755 : 0700) == 0 || errno == EEXIST;
}

char *tool_path_default(const char *user_name, const char *system_name)
{
	const char *home = secure_getenv("HOME");
	char *path = NULL;

	if (geteuid() == 0)
		return asprintf(&path, "%s/gss/%s", SYSCONFDIR, system_name) < 0 ? NULL : path;
	if (home == NULL || asprintf(&path, "%s/.config/gss-ipsec/%s", home, user_name) < 0)
		return NULL;
	return path;
}

const char *tool_config_named(void)
{
	const char *named = secure_getenv("GSS_IPSEC_CONFIG");

	return named != NULL && named[0] != '\0' ? named : NULL;
}

static bool descriptor_read(int fd, struct writer *w)
{
	uint8_t buffer[4096];
	ssize_t got;
	bool is_read;

	do {
		got = read(fd, buffer, sizeof(buffer));
		if (got > 0)
			writer_put_bytes(w, BYTES(buffer, (size_t)got));
	} while ((got > 0 && writer_status(w) == ERR_OK) || (got < 0 && errno == EINTR));
	is_read = got == 0 && writer_status(w) == ERR_OK;
	if (got > 0)
		errno = EFBIG;
	secret_wipe(buffer, sizeof(buffer)); /* it may have been a private key */
	return is_read;
}

bool tool_file_read(const char *path, bool may_be_missing, struct writer *w)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool is_read;

	if (fd < 0 && errno == ENOENT && may_be_missing)
		return true;
	is_read = fd >= 0 && descriptor_read(fd, w);
	if (!is_read)
		(void)tool_fail("%s cannot be read: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return is_read;
}

static bool descriptor_write(int fd, struct bytes content)
{
	ssize_t put;

	while (content.len > 0) {
		put = write(fd, content.data, content.len);
		if (put < 0 && errno != EINTR)
			return false;
		if (put > 0)
			content = BYTES(content.data + put, content.len - (size_t)put);
	}
	return fsync(fd) == 0;
}

/* Directories of our own, ~/.config/gss-ipsec or /etc/gss, are made as they are needed. */
static bool parents_make(const char *path)
{
	char *copy = strdup(path), *directory;
	struct stat file;
	bool is_there;

	if (copy == NULL)
		return false;
	directory = dirname(copy);
	is_there = stat(directory, &file) == 0 || strcmp(directory, "/") == 0 ||
		   (parents_make(directory) && directory_make(directory));
	free(copy);
	return is_there;
}

/* What stands at path may be anybody's who can write to the directory: a new file, a private key
 * above all, takes nothing from it. */
static bool owner_copy(int fd, const char *path, unsigned int mode, bool may_replace)
{
	struct stat old;

	if (!may_replace || stat(path, &old) != 0)
		return fchmod(fd, mode) == 0;
	if ((old.st_uid != geteuid() || old.st_gid != getegid()) &&
		fchown(fd, old.st_uid, old.st_gid) != 0)
		return false;
	return fchmod(fd, old.st_mode & 0777) == 0;
}

bool tool_file_prepare(const char *path, struct bytes content, unsigned int mode, bool may_replace,
	char **ret_prepared)
{
	char *prepared = NULL;
	int fd = -1;

	if (!parents_make(path) || asprintf(&prepared, "%s.XXXXXX", path) < 0) {
		(void)tool_fail("%s cannot be written: %s", path, strerror(errno));
		return false;
	}
	fd = mkostemp(prepared, O_CLOEXEC);
	if (fd < 0 || !owner_copy(fd, path, mode, may_replace) || !descriptor_write(fd, content)) {
		(void)tool_fail("%s cannot be written: %s", prepared, strerror(errno));
		if (fd >= 0) {
			(void)unlink(prepared);
			(void)close(fd);
		}
		free(prepared);
		return false;
	}
	(void)close(fd);
	*ret_prepared = prepared;
	return true;
}

void tool_file_discard(char **prepared)
{
	(void)unlink(*prepared);
	free(*prepared);
	*prepared = NULL;
}

/* The new name is on the disk only when its directory is. */
static void directory_sync(const char *path)
{
	char *copy = strdup(path);
	int fd = copy == NULL ? -1 : open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		(void)close(fd);
	}
	free(copy);
}

bool tool_file_commit(char **prepared, const char *path, bool may_replace)
{
	bool is_done = may_replace ? rename(*prepared, path) == 0 : link(*prepared, path) == 0;

	if (!is_done && errno == EEXIST)
		(void)tool_fail("%s exists and is not replaced", path);
	else if (!is_done)
		(void)tool_fail("%s cannot be written: %s", path, strerror(errno));
	else
		directory_sync(path);
	tool_file_discard(prepared); /* rename() took it already, link() left it */
	return is_done;
}
