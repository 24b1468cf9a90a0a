/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: the configuration's files, and what it says about latching. */
#include "tools/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#define CONFIG_HOST_FILE SYSCONFDIR "/gss/ipsec.conf"

/* Whether the file is there, or cannot be known to be; tells what keeps programs from taking it. */
static bool file_examine(struct doctor *doctor, const char *path)
{
	struct stat file;

	if (stat(path, &file) != 0)
		return false;
	if (file.st_uid != 0 && file.st_uid != geteuid())
		doctor_tell(doctor, FOUND_CONFIG_OWNER, path, NULL, NULL);
	if ((file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		doctor_tell(doctor, FOUND_CONFIG_MODE, path, NULL, NULL);
	if (access(path, R_OK) != 0 && errno == EACCES)
		doctor_tell(doctor, FOUND_CONFIG_UNREADABLE, path, NULL, NULL);
	return true;
}

static void files_examine(struct doctor *doctor)
{
	const char *named = tool_config_named(), *home = secure_getenv("HOME");
	char *own = NULL;
	bool is_there;

	if (named != NULL) {
		if (!file_examine(doctor, named))
			doctor_tell(doctor, FOUND_CONFIG_NONE_NAMED, named, NULL, NULL);
		return;
	}
	if (home != NULL && asprintf(&own, "%s/.config/gss-ipsec/ipsec.conf", home) < 0)
		own = NULL;
	is_there = own != NULL && file_examine(doctor, own);
	is_there = file_examine(doctor, CONFIG_HOST_FILE) || is_there;
	if (!is_there)
		doctor_tell(doctor, FOUND_CONFIG_NONE, own != NULL ? own : "~/.config",
			CONFIG_HOST_FILE, NULL);
	free(own);
}

static void latch_examine(struct doctor *doctor)
{
	const enum config_latch latch = config_latch_policy(doctor->config, doctor->service);
	char *where = NULL;

	if (asprintf(&where, "for %s%s", doctor->service != NULL ? "the service " : "services",
		    doctor->service != NULL ? doctor->service : " without a line of their own") < 0)
		return;
	if (config_latch_is_off(doctor->config))
		doctor_tell(doctor, FOUND_LATCH_OFF, "for all services", NULL, NULL);
	else if (latch == CONFIG_LATCH_NO)
		doctor_tell(doctor, FOUND_LATCH_OFF, where, NULL, NULL);
	else if (latch == CONFIG_LATCH_AUTO)
		doctor_tell(doctor, FOUND_LATCH_AUTO, where, NULL, NULL);
	free(where);
}

void doctor_examine_config(struct doctor *doctor)
{
	const size_t broken = doctor->counts[DOCTOR_BROKEN];
	enum err err;

	files_examine(doctor);
	err = config_get(&doctor->config);
	if (err != ERR_OK && doctor->counts[DOCTOR_BROKEN] == broken)
		doctor_tell(doctor, FOUND_CONFIG_MISTAKE,
			err == ERR_CONFIG ? config_last_error() : error_text(err), NULL, NULL);
	if (err != ERR_OK)
		return;
	doctor->broker_path = config_broker_path(doctor->config);
	if (doctor->counts[DOCTOR_BROKEN] == broken)
		doctor_tell(doctor, FOUND_CONFIG_OK, NULL, NULL, NULL);
	latch_examine(doctor);
}
