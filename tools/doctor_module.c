/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec doctor: whether MIT's library finds the plugin.  What it reads is read here in the same
 * order; then a child process loads the plugin and asks the library itself, as plugin or library may
 * end the process that does so.
 */
#include "tools/doctor.h"

#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/gssapi_ipsec.h"

#define MODULE_LINE "ipsec " GSS_IPSEC_MECH_DOTTED " " PLUGIN_PATH
#define MODULE_SECONDS_MAX 10
#define MODULE_WHY_BYTES 512

struct registration {
	char file[PATH_MAX], plugin[PATH_MAX]; /* of the last line with the OID, which counts */
	bool is_found, is_unreadable;
};

static void file_read(struct doctor *doctor, struct registration *found, const char *path)
{
	char *line = NULL, *name = NULL, *oid = NULL, *plugin = NULL;
	FILE *file = fopen(path, "re");
	size_t size = 0;

	if (file == NULL && errno == EACCES) {
		found->is_unreadable = true;
		doctor_tell(doctor, FOUND_REGISTRATION_UNREADABLE, path, NULL, NULL);
	}
	if (file == NULL)
		return;
	while (getline(&line, &size, file) >= 0) {
		if (line[0] != '#' && sscanf(line, "%ms %ms %ms", &name, &oid, &plugin) == 3 &&
			strcmp(oid, GSS_IPSEC_MECH_DOTTED) == 0) {
			found->is_found = true;
			(void)snprintf(found->file, sizeof(found->file), "%s", path);
			(void)snprintf(found->plugin, sizeof(found->plugin), "%s", plugin);
		}
		free(name);
		free(oid);
		free(plugin);
		name = oid = plugin = NULL;
	}
	free(line);
	(void)fclose(file);
}

static void folder_read(struct doctor *doctor, struct registration *found)
{
	static const char folder[] = "/etc/gss/mech.d";
	glob_t files = { 0 };

	if (access(folder, R_OK | X_OK) != 0 && errno == EACCES) {
		found->is_unreadable = true;
		doctor_tell(doctor, FOUND_REGISTRATION_UNREADABLE, folder, NULL, NULL);
		return;
	}
	if (glob("/etc/gss/mech.d/*.conf", 0, NULL, &files) == 0) {
		for (size_t i = 0; i < files.gl_pathc; i++)
			file_read(doctor, found, files.gl_pathv[i]);
	}
	globfree(&files);
}

/* --- in the child --- */

static void module_try(const char *plugin, char *why, size_t why_size)
{
	gss_OID_desc mech = { GSS_IPSEC_OID_MECH_LENGTH,
		(void *)(uintptr_t)(const void *)GSS_IPSEC_OID_MECH };
	OM_uint32 (*inquire)(OM_uint32 *, gss_OID, gss_OID_set *);
	gss_OID_set names = GSS_C_NO_OID_SET;
	OM_uint32 minor;
	void *library, *symbol;

	/* First, as it is in programs. */
	library = dlopen("libgssapi_krb5.so.2", RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) {
		(void)snprintf(why, why_size, "D%s", dlerror());
		return;
	}
	symbol = dlsym(library, "gss_inquire_names_for_mech");
	memcpy(&inquire, &symbol, sizeof(inquire)); /* C knows no cast from one to the other */
	if (symbol != NULL && inquire(&minor, &mech, &names) == GSS_S_COMPLETE)
		(void)snprintf(why, why_size, "F");
	else if (plugin[0] == '/' && dlopen(plugin, RTLD_NOW | RTLD_LOCAL) == NULL)
		(void)snprintf(why, why_size, "D%s", dlerror());
}

static void module_child(const char *plugin, int output)
{
	const struct rlimit none = { 0, 0 };
	char why[MODULE_WHY_BYTES] = "U";
	ssize_t put;

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)alarm(MODULE_SECONDS_MAX);
	module_try(plugin, why, sizeof(why));
	put = write(output, why, strlen(why));
	_exit(put > 0 ? 0 : 1);
}

/* Fills why: 'F' it is found, 'U' it is not, 'D' and the linker's words, or that it crashed. */
static bool module_ask(const char *plugin, char why[MODULE_WHY_BYTES])
{
	int ends[2], status;
	ssize_t got;
	pid_t child;

	if (pipe(ends) != 0)
		return false;
	(void)fflush(stdout);
	child = fork();
	if (child == 0)
		module_child(plugin, ends[1]);
	(void)close(ends[1]);
	do
		got = child < 0 ? 0 : read(ends[0], why, MODULE_WHY_BYTES - 1);
	while (got < 0 && errno == EINTR);
	(void)close(ends[0]);
	if (child < 0 || waitpid(child, &status, 0) != child)
		return false;
	if (got <= 0)
		got = snprintf(why, MODULE_WHY_BYTES, "Dit ends the process that loads it (%s)",
			WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "exit");
	why[got] = '\0';
	return true;
}

/* --- judging --- */

/* The words for sed; a path that would mean something else to it gets none. */
static void elsewhere_tell(struct doctor *doctor, const struct registration *found)
{
	char *words = NULL;

	if (access(PLUGIN_PATH, R_OK) != 0 || strpbrk(found->plugin, "|\\&*[]^$") != NULL ||
		asprintf(&words, "s|%s|%s|", found->plugin, PLUGIN_PATH) < 0) {
		doctor_tell(doctor, FOUND_PLUGIN_MISSING, found->file, found->plugin, NULL);
		return;
	}
	doctor_tell(doctor, FOUND_PLUGIN_ELSEWHERE, found->file, found->plugin, words);
	free(words);
}

static void found_judge(struct doctor *doctor, const struct registration *found, bool by_variable)
{
	char why[MODULE_WHY_BYTES] = "";

	if (found->plugin[0] == '/' && access(found->plugin, F_OK) != 0 && errno == ENOENT) {
		elsewhere_tell(doctor, found);
	} else if (found->plugin[0] == '/' && access(found->plugin, R_OK) != 0) {
		doctor_tell(doctor, FOUND_PLUGIN_UNREADABLE, found->plugin, NULL, NULL);
	} else if (!module_ask(found->plugin, why)) {
		(void)tool_fail("the plugin cannot be tried: %s", strerror(errno));
		doctor_tell(doctor, FOUND_PLUGIN_UNSEEN, found->file, found->plugin, NULL);
	} else if (why[0] == 'D') {
		doctor_tell(doctor, FOUND_PLUGIN_DEFECT, found->plugin, why + 1, NULL);
	} else if (why[0] != 'F') {
		doctor_tell(doctor, FOUND_PLUGIN_UNSEEN, found->file, found->plugin, NULL);
	} else {
		doctor_tell(doctor, by_variable ? FOUND_REGISTERED_BY_VARIABLE : FOUND_REGISTERED,
			found->file, found->plugin, NULL);
	}
}

void doctor_examine_module(struct doctor *doctor)
{
	const char *variable = secure_getenv("GSS_MECH_CONFIG");
	struct registration *found = calloc(1, sizeof(*found));

	if (found == NULL) {
		(void)tool_fail("%s", error_text(ERR_NO_MEMORY));
		return;
	}
	if (variable != NULL) {
		file_read(doctor, found, variable);
	} else {
		file_read(doctor, found, "/etc/gss/mech");
		folder_read(doctor, found);
	}
	if (found->is_found)
		found_judge(doctor, found, variable != NULL);
	else if (variable != NULL && !found->is_unreadable)
		doctor_tell(doctor, FOUND_NOT_REGISTERED_BY_VARIABLE, MODULE_LINE, variable, NULL);
	else if (!found->is_unreadable)
		doctor_tell(doctor, FOUND_NOT_REGISTERED, MODULE_LINE, NULL, NULL);
	free(found);
}
