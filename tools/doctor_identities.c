/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: who this side is, and whether its key files are as programs take them. */
#include "tools/doctor.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mech/identity.h"
#include "mech/mech.h"

/* What is known when all identities have been looked at. */
struct identities {
	size_t usable, in_role, in_service;
	const struct config_identity *denied; /* the first one; told when nothing else is usable */
};

/* A user's name, or his number where he has none; for chown, and for reading. */
static void user_name(uid_t uid, char *text, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user != NULL)
		(void)snprintf(text, size, "%s", user->pw_name);
	else
		(void)snprintf(text, size, "%u", (unsigned int)uid);
}

static void key_tell(
	struct doctor *doctor, enum doctor_finding finding, const struct config_identity *identity)
{
	char user[64];

	user_name(geteuid(), user, sizeof(user));
	doctor_tell(doctor, finding, identity->tag, identity->key_file, user);
}

/* Root sees every key file; those that their owners keep to themselves are theirs.  What root is offered
 * is the whole configuration's matter. */
static bool others_examine(struct doctor *doctor, const struct config_identity *identity,
	const struct stat *file, struct identities *all)
{
	char user[64];

	if (geteuid() != 0 || file->st_uid == 0)
		return false;
	if ((file->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
		key_tell(doctor, FOUND_KEY_MODE, identity);
		return true;
	}
	user_name(file->st_uid, user, sizeof(user));
	doctor_tell(doctor,
		mech_credential_is_possible(doctor->config) ? FOUND_IDENTITY_OTHERS
							    : FOUND_IDENTITY_NOT_OFFERED,
		identity->tag, user, NULL);
	all->usable++;
	all->in_role++;
	all->in_service++;
	return true;
}

static bool identity_serves(const struct doctor *doctor, const struct config_identity *identity)
{
	if (doctor->service == NULL || !doctor->is_server)
		return true;
	return identity->host != NULL && strcasecmp(identity->host, doctor->target_host) == 0 &&
	       mech_services_include(identity->services, identity->service_count, doctor->service);
}

static void usable_count(
	const struct doctor *doctor, const struct config_identity *identity, struct identities *all)
{
	const bool has_role = doctor->is_server ? identity->accepts : identity->initiates;

	all->usable++;
	all->in_role += has_role;
	all->in_service += has_role && identity_serves(doctor, identity);
}

static void loaded_tell(struct doctor *doctor, const struct config_identity *configured,
	const struct mech_identity *identity)
{
	const char *name = configured->host != NULL ? configured->host : configured->user;
	char *key = NULL;

	if (identity->key == NULL) {
		doctor_tell(doctor, FOUND_IDENTITY_ANONYMOUS, configured->tag, NULL, NULL);
		return;
	}
	key = tool_key_name(crypto_private_key_spki(identity->key));
	doctor_tell(doctor, FOUND_IDENTITY_OK, configured->tag,
		name != NULL ? name : "named by its key", key != NULL ? key : "?");
	free(key);
}

static void trouble_tell(struct doctor *doctor, const struct config_identity *identity,
	const struct stat *file, enum err err)
{
	char *why;

	if (err == ERR_KEY_FILE_MODE && file->st_uid != geteuid() && file->st_uid != 0) {
		key_tell(doctor, FOUND_KEY_OWNER, identity);
		return;
	}
	if (err == ERR_KEY_FILE_MODE) {
		key_tell(doctor, FOUND_KEY_MODE, identity);
		return;
	}
	why = tool_error_text(err);
	doctor_tell(doctor, err == ERR_CONFIG ? FOUND_IDENTITY_BAD : FOUND_KEY_BAD, identity->tag,
		why, identity->key_file);
	free(why);
}

static void identity_examine(
	struct doctor *doctor, const struct config_identity *configured, struct identities *all)
{
	struct mech_identity identity = { 0 };
	struct stat file = { 0 };
	bool is_denied = false;
	enum err err;

	if (!configured->is_anonymous && stat(configured->key_file, &file) != 0 &&
		errno == ENOENT) {
		key_tell(doctor, FOUND_KEY_MISSING, configured);
		return;
	}
	if (!configured->is_anonymous && others_examine(doctor, configured, &file, all))
		return;
	err = mech_identity_load(configured, &identity, &is_denied);
	if (err != ERR_OK && is_denied) {
		all->denied = all->denied != NULL ? all->denied : configured;
		return;
	}
	if (err != ERR_OK) {
		trouble_tell(doctor, configured, &file, err);
		return;
	}
	usable_count(doctor, configured, all);
	loaded_tell(doctor, configured, &identity);
	mech_identity_wipe(&identity);
}

static void role_examine(struct doctor *doctor, const struct identities *all)
{
	char *wanted = NULL;

	if (all->in_role == 0) {
		doctor_tell(doctor, FOUND_IDENTITY_ROLE,
			doctor->is_server ? "accepts connections" : "begins connections", NULL,
			NULL);
	} else if (all->in_service == 0 &&
		   asprintf(&wanted, "%s@%s", doctor->service, doctor->target_host) >= 0) {
		doctor_tell(doctor, FOUND_IDENTITY_SERVICE, wanted, NULL, NULL);
		free(wanted);
	}
}

void doctor_examine_identities(struct doctor *doctor)
{
	const size_t broken = doctor->counts[DOCTOR_BROKEN];
	struct identities all = { 0 };
	size_t i;

	if (doctor->config == NULL)
		return;
	for (i = 0; i < config_identity_count(doctor->config); i++)
		identity_examine(doctor, config_identity_at(doctor->config, i), &all);
	if (config_identity_count(doctor->config) == 0)
		doctor_tell(doctor, FOUND_IDENTITY_NONE, NULL, NULL, NULL);
	else if (all.usable == 0 && all.denied != NULL && doctor->counts[DOCTOR_BROKEN] == broken)
		key_tell(doctor, FOUND_KEY_DENIED, all.denied);
	else if (doctor->counts[DOCTOR_BROKEN] == broken)
		role_examine(doctor, &all);
}
