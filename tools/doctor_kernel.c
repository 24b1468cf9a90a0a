/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: modules, settings and interfaces of this kernel, and other IPsec daemons. */
#include "tools/doctor.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- modules and settings --- */

static bool offload_examine(struct doctor *doctor, const char *module)
{
	char *path = NULL, *line = NULL;
	bool is_loaded = false;

	if (asprintf(&path, "/sys/module/%s", module) < 0)
		return false;
	is_loaded = access(path, F_OK) == 0;
	free(path);
	if (!is_loaded)
		return false;
	if (doctor_broker_has(doctor, "--gso")) {
		doctor_tell(doctor, FOUND_OFFLOAD_ALLOWED, module, NULL, NULL);
	} else if (asprintf(&line, "install %s /bin/false", module) >= 0) {
		doctor_tell(doctor, FOUND_OFFLOAD, module, line, NULL);
		free(line);
	}
	return true;
}

void doctor_examine_kernel(struct doctor *doctor)
{
	const bool has_v4 = offload_examine(doctor, "esp4_offload");
	const bool has_v6 = offload_examine(doctor, "esp6_offload");
	long value;

	if (!has_v4 && !has_v6)
		doctor_tell(doctor, FOUND_OFFLOAD_NONE, NULL, NULL, NULL);
	if (doctor_read_number("/proc/sys/kernel/unprivileged_bpf_disabled", &value) && value == 0)
		doctor_tell(doctor, FOUND_BPF_FOR_ALL, NULL, NULL, NULL);
}

/* --- interfaces --- */

static void setting_examine(struct doctor *doctor, const char *interface, const char *setting)
{
	char *path = NULL;
	long value;

	if (asprintf(&path, "/proc/sys/net/ipv4/conf/%s/%s", interface, setting) < 0)
		return;
	if (doctor_read_number(path, &value) && value != 0)
		doctor_tell(doctor, FOUND_INTERFACE_WITHOUT_POLICY, path, NULL, NULL);
	free(path);
}

static void settings_examine(struct doctor *doctor)
{
	DIR *folder = opendir("/proc/sys/net/ipv4/conf");
	const struct dirent *entry;

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		const char *name = entry->d_name;

		/* Loopback has both on everywhere, and what is on it has not left the host. */
		if (name[0] == '.' || strcmp(name, "lo") == 0 || strcmp(name, "default") == 0)
			continue;
		setting_examine(doctor, name, "disable_xfrm");
		setting_examine(doctor, name, "disable_policy");
	}
	(void)closedir(folder);
}

/* "7: ipsec0@eth0: <...": the name, without what it stands on. */
static void kind_examine(struct doctor *doctor, const char *kind)
{
	const char *const arguments[] = { "ip", "-o", "link", "show", "type", kind, NULL };
	char *text = doctor_run(arguments), *name = NULL;

	for (char *line = text; line != NULL && *line != '\0';) {
		char *end = strchr(line, '\n');

		if (sscanf(line, "%*d: %m[^@:]", &name) == 1)
			doctor_tell(doctor, FOUND_XFRM_INTERFACE, name, kind, NULL);
		free(name);
		name = NULL;
		line = end == NULL ? NULL : end + 1;
	}
	free(text);
}

void doctor_examine_interfaces(struct doctor *doctor)
{
	static const char *const kinds[] = { "xfrm", "vti", "vti6" };

	settings_examine(doctor);
	for (size_t i = 0; i < DOCTOR_COUNT(kinds); i++)
		kind_examine(doctor, kinds[i]);
}

/* --- other IPsec daemons --- */

static const struct {
	const char *process, *unit;
} daemons[] = {
	{ "pluto", "ipsec" },
	{ "charon", "strongswan-starter" },
	{ "charon-systemd", "strongswan" },
	{ "iked", "iked" },
	{ "racoon", "racoon" },
};

static void daemon_tell(
	struct doctor *doctor, const char *process, const char *unit, const char *pid)
{
	char *command = NULL;
	const int result = doctor->has_systemd
				   ? asprintf(&command, "systemctl disable --now %s", unit)
				   : asprintf(&command, "kill %s", pid);

	if (result >= 0)
		doctor_tell(doctor, FOUND_OTHER_DAEMON, process, pid, command);
	free(command);
}

/* In a container of its own it does no harm here. */
static void process_examine(struct doctor *doctor, const char *pid)
{
	const pid_t number = (pid_t)strtol(pid, NULL, 10);
	char name[DOCTOR_PROCESS_BYTES];

	if (!doctor_process_name(number, name))
		return;
	for (size_t i = 0; i < DOCTOR_COUNT(daemons); i++) {
		if (strcmp(name, daemons[i].process) == 0 &&
			doctor_process_place(number) != DOCTOR_PLACE_APART)
			daemon_tell(doctor, daemons[i].process, daemons[i].unit, pid);
	}
}

void doctor_examine_daemons(struct doctor *doctor)
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;

	if (folder == NULL)
		return;
	while ((entry = readdir(folder)) != NULL) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			process_examine(doctor, entry->d_name);
	}
	(void)closedir(folder);
}
