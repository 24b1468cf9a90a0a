/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: whether the broker answers, who it is, and how to start it anew. */
#include "tools/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BROKER_PROGRAM "gss-ipsecd"
#define BROKER_NO_NAME_UID 65534 /* of the host's root, in a container */
#define BROKER_CAP_NET_ADMIN 12
#define BROKER_CAP_BPF 39
#define QUOTA_LEAST 32

/* --- its process --- */

/* The line of /proc/PID/status that begins so. */
static bool status_read(pid_t pid, const char *begin, char *line, size_t size)
{
	char path[48];
	bool is_found = false;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && !is_found && fgets(line, (int)size, file) != NULL)
		is_found = strncmp(line, begin, strlen(begin)) == 0;
	if (file != NULL)
		(void)fclose(file);
	return is_found;
}

/* Anybody may give his process that name, or a setuid program's; the options of either would stand in a
 * command that root is to run. */
static bool process_is_roots(pid_t pid)
{
	unsigned int real, effective, saved;
	char line[128];

	return status_read(pid, "Uid:", line, sizeof(line)) &&
	       sscanf(line, "Uid: %u %u %u", &real, &effective, &saved) == 3 && real == 0 &&
	       effective == 0 && saved == 0;
}

/* Root of a container has root's number, too: there the process has another number besides this one. */
static bool process_is_contained(pid_t pid)
{
	char line[128];
	int here, there;

	return status_read(pid, "NSpid:", line, sizeof(line)) &&
	       sscanf(line, "NSpid: %d %d", &here, &there) == 2;
}

static bool process_is_broker(pid_t pid)
{
	char name[DOCTOR_PROCESS_BYTES];

	return process_is_roots(pid) && !process_is_contained(pid) &&
	       doctor_process_name(pid, name) && strcmp(name, BROKER_PROGRAM) == 0;
}

static bool process_is_here(pid_t pid)
{
	return doctor_process_place(pid) == DOCTOR_PLACE_HERE;
}

static bool process_is_any(pid_t pid)
{
	return pid > 0;
}

/* The oldest process of that name: workers are younger. */
static pid_t process_find(bool (*is_meant)(pid_t pid))
{
	DIR *folder = opendir("/proc");
	const struct dirent *entry;
	pid_t found = 0;

	if (folder == NULL)
		return 0;
	while ((entry = readdir(folder)) != NULL) {
		const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0 && (found == 0 || pid < found) && process_is_broker(pid) &&
			is_meant(pid))
			found = pid;
	}
	(void)closedir(folder);
	return found;
}

/* The command line's words behind the program's name, quoted for the shell. */
static char *options_read(pid_t pid)
{
	char path[48], *word = NULL, *text = NULL, *quoted;
	size_t size = 0, text_size = 0;
	bool is_first = true;
	FILE *file, *stream;

	(void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	file = fopen(path, "re");
	stream = file == NULL ? NULL : open_memstream(&text, &text_size);
	while (stream != NULL && getdelim(&word, &size, '\0', file) > 0) {
		quoted = is_first ? NULL : doctor_quote(word);
		if (quoted != NULL)
			(void)fprintf(stream, " %s", quoted);
		free(quoted);
		is_first = false;
	}
	free(word);
	if (file != NULL)
		(void)fclose(file);
	return stream != NULL && fclose(stream) == 0 ? text : NULL;
}

/* Where systemd listens, or nobody, the daemon is looked for by its name.  One that may be another
 * network namespace's is good for its options only: no command shall end it. */
static void process_learn(struct doctor *doctor, pid_t listener)
{
	char *options;
	pid_t pid;

	doctor->broker_pid = process_is_broker(listener) ? listener : process_find(process_is_here);
	pid = doctor->broker_pid > 0 ? doctor->broker_pid : process_find(process_is_any);
	options = pid > 0 ? options_read(pid) : NULL;
	if (options == NULL)
		return;
	free(doctor->broker_options);
	doctor->broker_options = options;
}

bool doctor_broker_has(const struct doctor *doctor, const char *option)
{
	const char *at = strstr(doctor->broker_options, option);
	const char after = at == NULL ? 'x' : at[strlen(option)];

	return after == '\0' || after == ' ' || after == '=';
}

/* --- commands --- */

/* What --namespaces wants besides; gss-ipsecd(8), CONTAINERS. */
static const char namespaces_lines[] = " 'CapabilityBoundingSet=CAP_SYS_ADMIN CAP_SETPCAP'"
				       " RestrictNamespaces= RestrictNamespaces=net";

/* The file's name comes behind that of "systemctl edit", whose options the running daemon has shown. */
static char *command_for_systemd(const struct doctor *doctor, const char *more_options)
{
	static const char folder[] = "/etc/systemd/system/gss-ipsecd.service.d";
	static const char restart[] = "systemctl restart gss-ipsecd.socket gss-ipsecd.service";
	char *line = NULL, *quoted = NULL, *command = NULL;
	const char *more_lines;

	if (more_options[0] == '\0')
		return strdup(restart);
	if (asprintf(&line, "ExecStart=/usr/sbin/gss-ipsecd%s%s", doctor->broker_options,
		    more_options) < 0)
		return NULL;
	more_lines = strstr(line, " --namespaces") != NULL ? namespaces_lines : "";
	quoted = doctor_quote(line);
	if (quoted != NULL && asprintf(&command,
				      "mkdir -p %s && printf '%%s\\n' '[Service]' ExecStart= %s%s "
				      ">%s/zz-doctor.conf && "
				      "systemctl daemon-reload && %s",
				      folder, quoted, more_lines, folder, restart) < 0)
		command = NULL;
	free(line);
	free(quoted);
	return command;
}

/* The command that starts gss-ipsecd, or ends it and starts it anew with the same options and these,
 * which begin with a blank.  malloc'ed. */
static char *command_for_broker(const struct doctor *doctor, const char *more_options)
{
	static const char begin[] = "setsid " BROKER_PROGRAM, log[] = "/var/log/gss-ipsecd.log";
	char *command = NULL;
	int result;

	if (doctor->has_units)
		return command_for_systemd(doctor, more_options);
	if (doctor->broker_pid > 0)
		result = asprintf(&command,
			"kill %d; sleep 1; kill -KILL %d 2>/dev/null; %s%s%s >>%s 2>&1 &",
			(int)doctor->broker_pid, (int)doctor->broker_pid, begin,
			doctor->broker_options, more_options, log);
	else
		result = asprintf(&command, "%s%s%s >>%s 2>&1 &", begin, doctor->broker_options,
			more_options, log);
	return result < 0 ? NULL : command;
}

/* The number behind an option where it stands last, as getopt() takes it, or the default. */
static unsigned long option_number(
	const struct doctor *doctor, const char *option, unsigned long otherwise)
{
	const char *at = doctor->broker_options;
	unsigned long number = otherwise;

	while ((at = strstr(at, option)) != NULL) {
		at += strlen(option);
		number = *at == '\0' ? otherwise : strtoul(at + 1, NULL, 10);
	}
	return number;
}

/* Twice as many as now, and enough for a trial. */
static char *command_for_quota(const struct doctor *doctor)
{
	const unsigned long user = option_number(doctor, "--quota-user", 1024);
	const unsigned long total = option_number(doctor, "--quota-total", 16384);
	char *options = NULL, *command;

	if (asprintf(&options, " --quota-user %lu --quota-total %lu",
		    user < QUOTA_LEAST ? 2ul * QUOTA_LEAST : 2 * user,
		    total < QUOTA_LEAST ? 2ul * QUOTA_LEAST : 2 * total) < 0)
		return NULL;
	command = command_for_broker(doctor, options);
	free(options);
	return command;
}

static char *command_for_user(const struct doctor *doctor)
{
	char options[40];

	(void)snprintf(options, sizeof(options), " --allow-user %u", (unsigned int)geteuid());
	return command_for_broker(doctor, options);
}

static char *command_for_namespaces(const struct doctor *doctor)
{
	return command_for_broker(doctor, " --namespaces");
}

static char *command_for_restart(const struct doctor *doctor)
{
	return command_for_broker(doctor, "");
}

/* --- reasons --- */

/* A line of /proc/PID/status has what the daemon may do. */
static const char *capability_missing(const struct doctor *doctor)
{
	char line[128];
	uint64_t held;

	if (doctor->broker_pid <= 0 ||
		!status_read(doctor->broker_pid, "CapEff:", line, sizeof(line)))
		return NULL;
	held = strtoull(line + strlen("CapEff:"), NULL, 16);
	if ((held >> BROKER_CAP_NET_ADMIN & 1) == 0)
		return "CAP_NET_ADMIN";
	return (held >> BROKER_CAP_BPF & 1) == 0 ? "CAP_BPF" : NULL;
}

static const struct {
	enum ipsec_latch_reason reason;
	enum doctor_finding finding;
	char *(*command)(const struct doctor *doctor); /* stands for %1 of the finding */
} reason_rows[] = {
	{ IPSEC_LATCH_NOT_ALLOWED, FOUND_BROKER_REFUSES, command_for_user },
	{ IPSEC_LATCH_OTHER_NETNS, FOUND_BROKER_NAMESPACE, command_for_namespaces },
	{ IPSEC_LATCH_QUOTA, FOUND_BROKER_QUOTA, command_for_quota },
	{ IPSEC_LATCH_NO_BPF, FOUND_BROKER_NO_BPF, command_for_restart },
	{ IPSEC_LATCH_NO_ESP, FOUND_NO_ESP, NULL },
	{ IPSEC_LATCH_PRESCRIBED, FOUND_TRIAL_PRESCRIBED, NULL },
	{ IPSEC_LATCH_SHORT, FOUND_TRIAL_MARKS, NULL },
	{ IPSEC_LATCH_CLEAR_BEHIND, FOUND_TRIAL_MARKS, NULL },
};

void doctor_tell_reason(struct doctor *doctor, enum ipsec_latch_reason reason, const char *over)
{
	const char *missing = reason == IPSEC_LATCH_NO_BPF ? capability_missing(doctor) : NULL;
	char *command = NULL;

	if (missing != NULL && !doctor->is_told[FOUND_BROKER_CAPABILITY]) {
		command = command_for_restart(doctor);
		doctor_tell(doctor, FOUND_BROKER_CAPABILITY, missing, command, NULL);
		free(command);
	}
	if (doctor->is_told[FOUND_BROKER_CAPABILITY] && reason == IPSEC_LATCH_NO_BPF)
		return;
	/* What loaded it is told with the module's name. */
	if (reason == IPSEC_LATCH_OFFLOAD && doctor->is_told[FOUND_OFFLOAD])
		return;
	for (size_t i = 0; i < DOCTOR_COUNT(reason_rows); i++) {
		if (reason_rows[i].reason != reason)
			continue;
		if (doctor->is_told[reason_rows[i].finding])
			return;
		command = reason_rows[i].command == NULL ? NULL : reason_rows[i].command(doctor);
		doctor_tell(doctor, reason_rows[i].finding, command, NULL, NULL);
		free(command);
		return;
	}
	doctor_tell(doctor, FOUND_TRIAL_FAILED, over, latch_reason_text(reason), NULL);
}

/* --- its socket --- */

static void restart_tell(struct doctor *doctor, enum doctor_finding finding)
{
	char *command = command_for_broker(doctor, "");

	doctor_tell(doctor, finding, doctor->broker_path, command, NULL);
	free(command);
}

/* The folder that keeps this user out: the highest one that he may not search. */
static void folder_tell(struct doctor *doctor)
{
	char *path = strdup(doctor->broker_path);
	char *closed = path == NULL ? NULL : strdup(dirname(path));

	for (char *at = closed; at != NULL && (at = strchr(at + 1, '/')) != NULL;) {
		*at = '\0';
		if (access(closed, X_OK) != 0)
			break;
		*at = '/';
	}
	doctor_tell(doctor, FOUND_BROKER_FOLDER, doctor->broker_path, closed, NULL);
	free(closed);
	free(path);
}

static void connect_tell(struct doctor *doctor, int error)
{
	struct stat file;
	const bool is_there = stat(doctor->broker_path, &file) == 0;
	const bool is_kept_out = !is_there && errno == EACCES;

	process_learn(doctor, 0);
	if (is_kept_out)
		folder_tell(doctor);
	else if (!is_there)
		restart_tell(doctor, FOUND_BROKER_ABSENT);
	else if (error == EACCES)
		doctor_tell(doctor, FOUND_BROKER_CLOSED, doctor->broker_path, NULL, NULL);
	else if (error == ECONNREFUSED && S_ISSOCK(file.st_mode))
		restart_tell(doctor, FOUND_BROKER_DEAD);
	else
		doctor_tell(
			doctor, FOUND_BROKER_NO_SOCKET, doctor->broker_path, strerror(error), NULL);
}

/* Who listens gets keys, so a program talks to root or to its own user only.  In a container the host's
 * root may have no name; the request itself shows whether that is taken. */
static bool listener_examine(struct doctor *doctor, int fd)
{
	struct ucred owner = { 0 };
	socklen_t len = sizeof(owner);
	char uid[16], pid[16];

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &len) != 0)
		return true;
	process_learn(doctor, owner.pid);
	if (owner.uid == 0 || owner.uid == geteuid() || owner.uid == BROKER_NO_NAME_UID)
		return true;
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned int)owner.uid);
	(void)snprintf(pid, sizeof(pid), "%d", (int)owner.pid);
	doctor_tell(doctor, FOUND_BROKER_STRANGER, doctor->broker_path, uid, pid);
	return false;
}

static bool socket_examine(struct doctor *doctor)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool is_good = false;
	int fd;

	if (strlen(doctor->broker_path) >= sizeof(address.sun_path)) {
		doctor_tell(doctor, FOUND_BROKER_NO_SOCKET, doctor->broker_path,
			"the path is too long", NULL);
		return false;
	}
	(void)strncpy(address.sun_path, doctor->broker_path, sizeof(address.sun_path) - 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		(void)tool_fail("socket: %s", strerror(errno));
		return true;
	}
	/* EAGAIN: others wait, too. */
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EAGAIN)
		connect_tell(doctor, errno);
	else
		is_good = listener_examine(doctor, fd);
	(void)close(fd);
	return is_good;
}

void doctor_examine_broker(struct doctor *doctor)
{
	enum ipsec_latch_reason reason;

	if (!socket_examine(doctor))
		return;
	reason = kbind_ping(doctor->broker_path);
	doctor->broker_answers = !latch_reason_is_silence(reason);
	if (reason == IPSEC_LATCH_LATCHED)
		doctor_tell(doctor, FOUND_BROKER_OK, doctor->broker_path, NULL, NULL);
	else if (reason == IPSEC_LATCH_NO_BROKER)
		restart_tell(doctor, FOUND_BROKER_SILENT);
	else
		doctor_tell_reason(doctor, reason, "loopback");
}
