/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process's current snapshot of the configuration, and what became of one that a credential holds.
 *
 * Both are looked after once a second: by stat, and read anew only when a file is not what it was.
 * The lock of config.c is held throughout, but for config_peek().
 */
#include "base/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file_status.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define USER_FILE "/.config/gss-ipsec/ipsec.conf"
#define SYSTEM_FILE SYSCONFDIR "/gss/ipsec.conf"

/* What one look found.  Never changed once it is in its place. */
struct look {
	struct config_sight sight;
	uid_t user; /* who must own the files */
	enum err result;
	struct config *config; /* NULL unless result is ERR_OK */
	char error[CONFIG_ERROR_BYTES];
};

struct place {
	struct look *look;
	time_t second; /* when it was last found to be so */
};

static struct place current; /* of the files that this process would begin with */
static struct place renewed; /* of the files that some snapshot was made from */

static void sight_paths_free(struct config_sight *sight)
{
	for (size_t i = 0; i < CONFIG_FILES_MAX; i++)
		free(sight->paths[i]);
}

static void look_free(struct look *look)
{
	if (look == NULL)
		return;
	sight_paths_free(&look->sight);
	config_release(&look->config);
	free(look);
}

/* COARSE is answered without a system call, and a second is coarse enough. */
static time_t second_now(void)
{
	struct timespec now = { .tv_sec = 0 };

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

static void sight_note_fresh(struct config_sight *sight, const struct timespec *now)
{
	for (size_t i = 0; sight->paths[i] != NULL; i++)
		sight->is_fresh =
			sight->is_fresh ||
			(sight->exists[i] && file_status_is_fresh(&sight->status[i], now));
}

static void sight_stat(struct config_sight *sight, size_t i)
{
	sight->exists[i] = stat(sight->paths[i], &sight->status[i]) == 0;
	sight->is_absent[i] = !sight->exists[i] && (errno == ENOENT || errno == ENOTDIR);
}

static bool sight_has_paths_of(const struct config_sight *a, const struct config_sight *b)
{
	for (size_t i = 0; i < CONFIG_FILES_MAX; i++) {
		if ((a->paths[i] == NULL) != (b->paths[i] == NULL))
			return false;
		if (a->paths[i] == NULL)
			break;
		if (strcmp(a->paths[i], b->paths[i]) != 0)
			return false;
	}
	return true;
}

static bool sight_can_be_read(const struct config_sight *sight)
{
	for (size_t i = 0; sight->paths[i] != NULL; i++)
		if (sight->exists[i] && faccessat(AT_FDCWD, sight->paths[i], R_OK, AT_EACCESS) != 0)
			return false;
	return true;
}

/* The files are what they were when before was seen.  One that was fresh then is read again, unless this
 * process has given up the rights to do so. */
static bool sight_is_same(const struct config_sight *before, const struct config_sight *now)
{
	if (!sight_has_paths_of(before, now) || (before->is_fresh && sight_can_be_read(now)))
		return false;
	for (size_t i = 0; before->paths[i] != NULL; i++)
		if (before->exists[i] != now->exists[i] ||
			before->is_absent[i] != now->is_absent[i] ||
			(before->exists[i] &&
				!file_status_equal(&before->status[i], &now->status[i])))
			return false;
	return true;
}

static bool look_is_same(const struct look *before, const struct look *now)
{
	return before != NULL && before->user == now->user &&
	       sight_is_same(&before->sight, &now->sight);
}

/* The snapshot keeps what was seen, to be compared by whoever holds it. */
static enum err look_sign(struct look *look)
{
	struct config *config = look->config;
	struct config_sight *sight = config_alloc(config, sizeof(*sight));

	if (sight == NULL)
		return ERR_NO_MEMORY;
	*sight = look->sight;
	for (size_t i = 0; look->sight.paths[i] != NULL; i++) {
		const char *path = look->sight.paths[i];

		sight->paths[i] = config_copy_text(config, path, strlen(path));
		if (sight->paths[i] == NULL)
			return ERR_NO_MEMORY;
	}
	/* Where it cannot be asked, files cannot be looked at again either. */
	if (stat("/", &sight->root) != 0)
		sight->root = (struct stat){ .st_ino = 0 };
	config->sight = sight;
	return ERR_OK;
}

/* Reads those files that there are; one that comes now is seen by the next look. */
static enum err look_read(struct look *look)
{
	const struct config_sight *sight = &look->sight;
	const char *files[CONFIG_FILES_MAX + 1] = { NULL };
	size_t count = 0;

	for (size_t i = 0; sight->paths[i] != NULL; i++)
		if (!sight->is_absent[i])
			files[count++] = sight->paths[i];
	return config_load_locked(files, &look->config);
}

/* Reads the files of a look and puts it in its place; takes the look over, also when it fails. */
static enum err place_load(struct place *place, struct look *next)
{
	struct look *previous = place->look;
	enum err status;

	next->result = look_read(next);
	status = next->result == ERR_OK ? look_sign(next) : ERR_OK;
	/* What passes by itself must not be remembered until the file changes. */
	if (next->result != ERR_OK && (next->result != ERR_CONFIG || config_mistake_passes()))
		status = next->result;
	if (status != ERR_OK) {
		look_free(next);
		return status;
	}
	if (next->result == ERR_CONFIG)
		snprintf(next->error, sizeof(next->error), "%s", config_last_error());
	place->look = next;
	look_free(previous);
	return ERR_OK;
}

static enum err place_answer(const struct place *place, struct config **ret_config)
{
	const struct look *look = place->look;

	if (look->result == ERR_CONFIG)
		config_complain_again(look->error);
	if (look->result == ERR_OK)
		*ret_config = config_ref(look->config);
	return look->result;
}

/* --- the current one --- */

static enum err add_user_file(struct config_sight *sight, size_t *count)
{
	const char *home = secure_getenv("HOME");
	const size_t home_len = home == NULL ? 0 : strlen(home);
	char *path;

	if (home == NULL || home[0] != '/')
		return ERR_OK;
	/* asprintf's pages cost a program that does not print by itself more than all the rest of this. */
	path = malloc(home_len + sizeof(USER_FILE));
	if (path == NULL)
		return ERR_NO_MEMORY;
	memcpy(path, home, home_len);
	memcpy(path + home_len, USER_FILE, sizeof(USER_FILE));
	sight->paths[(*count)++] = path;
	return ERR_OK;
}

static enum err find_files(struct config_sight *sight)
{
	const char *single = secure_getenv("GSS_IPSEC_CONFIG");
	const char *last = single != NULL && single[0] != '\0' ? single : SYSTEM_FILE;
	size_t count = 0;
	enum err status = ERR_OK;

	if (last != single)
		status = add_user_file(sight, &count);
	if (status != ERR_OK)
		return status;
	sight->paths[count] = strdup(last);
	return sight->paths[count] != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static bool home_can_be_searched(const char *users_file)
{
	const size_t home_len = strlen(users_file) - strlen(USER_FILE);
	char home[PATH_MAX];
	struct stat status;
	int len = snprintf(home, sizeof(home), "%.*s/.", (int)home_len, users_file);

	return len < 0 || (size_t)len >= sizeof(home) || stat(home, &status) == 0 ||
	       errno != EACCES;
}

/* A home that this process cannot even search has no file to offer. */
static bool is_out_of_reach(const struct config_sight *sight, size_t i)
{
	const bool is_users = sight->paths[i + 1] != NULL;

	return !sight->exists[i] && errno == EACCES && is_users &&
	       !home_can_be_searched(sight->paths[i]);
}

static void sight_fill(struct config_sight *sight)
{
	for (size_t i = 0; sight->paths[i] != NULL;) {
		sight_stat(sight, i);
		if (!is_out_of_reach(sight, i)) {
			i++;
			continue;
		}
		free(sight->paths[i]);
		sight->paths[i] = sight->paths[i + 1];
		sight->paths[i + 1] = NULL;
	}
}

static enum err look_new(struct look **ret_look)
{
	const struct timespec now = file_status_clock();
	struct look *look = calloc(1, sizeof(*look));
	struct config_sight *sight;
	enum err status;

	if (look == NULL)
		return ERR_NO_MEMORY;
	sight = &look->sight;
	look->user = geteuid();
	status = find_files(sight);
	if (status != ERR_OK) {
		look_free(look);
		return status;
	}
	sight_fill(sight);
	sight_note_fresh(sight, &now);
	*ret_look = look;
	return ERR_OK;
}

/* Looks at the files again and reads them when they are not what they were. */
static enum err current_refresh(time_t now)
{
	struct look *next = NULL;
	enum err status = look_new(&next);

	if (status == ERR_OK && look_is_same(current.look, next))
		look_free(next);
	else if (status == ERR_OK)
		status = place_load(&current, next);
	if (status == ERR_OK)
		current.second = now;
	return status;
}

enum err config_get(struct config **ret_config)
{
	const time_t now = second_now();
	enum err status = config_lock();

	if (status != ERR_OK)
		return status;
	if (current.look == NULL || now != current.second)
		status = current_refresh(now);
	if (status == ERR_OK)
		status = place_answer(&current, ret_config);
	config_unlock();
	return status;
}

/* --- none at all --- */

/* The user's file in a home out of reach has been dropped from the sight. */
static bool sight_is_of_nothing(const struct config_sight *sight)
{
	for (size_t i = 0; sight->paths[i] != NULL; i++)
		if (!sight->is_absent[i])
			return false;
	return true;
}

static bool nothing_is_there(void)
{
	struct config_sight sight = { .is_fresh = false };
	bool answer = false;

	if (find_files(&sight) == ERR_OK) {
		sight_fill(&sight);
		answer = sight_is_of_nothing(&sight);
	}
	sight_paths_free(&sight);
	return answer;
}

enum err config_peek(struct config **ret_config)
{
	/* Twice the second of the last look, and one more where nothing was there. */
	static atomic_ulong looked = ULONG_MAX;
	const unsigned long now = 2 * (unsigned long)second_now();
	unsigned long last = atomic_load(&looked);

	if (last >> 1 != now >> 1) {
		last = nothing_is_there() ? now + 1 : now;
		atomic_store(&looked, last);
	}
	if ((last & 1) == 0)
		return config_get(ret_config);
	*ret_config = config_nothing();
	return ERR_OK;
}

/* --- one that is held --- */

/* In another root the files are not there, or are others: they say nothing of the administrator's. */
static bool root_is_same(const struct config_sight *seen)
{
	struct stat root;

	return stat("/", &root) == 0 && root.st_dev == seen->root.st_dev &&
	       root.st_ino == seen->root.st_ino;
}

/* A file that this process may not look at any more, since it gave up rights, is taken for unchanged:
 * that it is gone is known only of one that is not there. */
static void sight_look(struct config_sight *sight, const struct config_sight *seen, size_t i)
{
	sight_stat(sight, i);
	if (sight->exists[i] || sight->is_absent[i] || errno == ELOOP)
		return;
	sight->exists[i] = seen->exists[i];
	sight->is_absent[i] = seen->is_absent[i];
	sight->status[i] = seen->status[i];
}

static enum err look_again(const struct config_sight *seen, struct look **ret_look)
{
	const struct timespec now = file_status_clock();
	struct look *look = calloc(1, sizeof(*look));

	if (look == NULL)
		return ERR_NO_MEMORY;
	look->user = geteuid();
	for (size_t i = 0; seen->paths[i] != NULL; i++) {
		look->sight.paths[i] = strdup(seen->paths[i]);
		if (look->sight.paths[i] == NULL) {
			look_free(look);
			return ERR_NO_MEMORY;
		}
		sight_look(&look->sight, seen, i);
	}
	sight_note_fresh(&look->sight, &now);
	*ret_look = look;
	return ERR_OK;
}

static enum err renewed_refresh(struct config *held, time_t now)
{
	struct look *next = NULL, *previous = renewed.look;
	enum err status = look_again(held->sight, &next);

	if (status == ERR_OK && look_is_same(previous, next)) {
		look_free(next);
	} else if (status == ERR_OK && sight_is_same(held->sight, &next->sight)) {
		next->result = ERR_OK;
		next->config = config_ref(held);
		renewed.look = next;
		look_free(previous);
	} else if (status == ERR_OK) {
		status = place_load(&renewed, next);
	}
	if (status == ERR_OK)
		renewed.second = now;
	return status;
}

enum err config_renew(struct config *held, struct config **ret_config)
{
	const time_t now = second_now();
	enum err status;

	if (held->sight == NULL) {
		*ret_config = config_ref(held);
		return ERR_OK;
	}
	status = config_lock();
	if (status != ERR_OK)
		return status;
	if (current.look != NULL && current.look->config == held && current.second == now) {
		*ret_config = config_ref(held);
	} else if (renewed.look != NULL && renewed.second == now &&
		   sight_has_paths_of(&renewed.look->sight, held->sight)) {
		status = place_answer(&renewed, ret_config);
	} else if (!root_is_same(held->sight)) {
		*ret_config = config_ref(held);
	} else {
		status = renewed_refresh(held, now);
		if (status == ERR_OK)
			status = place_answer(&renewed, ret_config);
	}
	config_unlock();
	return status;
}
