/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsecd among hostile local users: hostile PATH-OF-GSS-IPSECD LOG [TEST].  While they do their
 * worst an honest user of another uid is at work and measured (hostile_honest.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hostile.h"

/* --- processes --- */

pid_t hostile_start(uid_t uid, hostile_job *job, void *argument)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (setgid(uid) != 0 || setuid(uid) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		_exit(99);
	(void)signal(SIGPIPE, SIG_IGN);
	job(argument);
	_exit(0);
}

bool hostile_wait(pid_t pid)
{
	int status = -1;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void hostile_kill(pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)kill(pids[i], SIGKILL);
	for (size_t i = 0; i < count; i++)
		(void)waitpid(pids[i], NULL, 0);
}

/* --- talking to the broker --- */

ssize_t hostile_reply(int connection, int wait_ms, uint8_t *reply, size_t room)
{
	struct pollfd wait = { .fd = connection, .events = POLLIN };
	ssize_t len = -1;

	if (connection < 0)
		return 0;
	if (poll(&wait, 1, wait_ms) == 1)
		len = recv(connection, reply, room, MSG_DONTWAIT);
	if (len < 0 && errno == ECONNRESET)
		len = 0;
	(void)close(connection);
	return len;
}

int hostile_reason(const struct broker_request *request, const int *descriptors, size_t count)
{
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
	ssize_t len =
		hostile_reply(probe_request_send(&probe_hosts[0], request, descriptors, count),
			5000, reply, sizeof(reply));

	return len < 2 ? -1 : reply[1];
}

bool hostile_pair_open(struct end ends[2])
{
	return probe_pair_open(ends, "127.0.0.1", &probe_hosts[0], &probe_hosts[0]);
}

int hostile_count_workers(const char *states)
{
	return probe_shell_number("cat /proc/[0-9]*/stat 2>/dev/null | awk -v parent=%d "
				  "'{ sub(/^.*\\) /, \"\") } $2 == parent && index(\"%s\", $1) "
				  "{ count++ } END { print count + 0 }'",
		(int)probe_hosts[0].broker, states);
}

static void test_nobody(void)
{
	hostile_measure_begin();
	probe_pause_ms(2000);
	hostile_measure_end("nobody hostile");
}

bool hostile_workers_come_free(void)
{
	for (int i = 0; i < 50; i++) {
		if (hostile_count_workers("D") == 0)
			return true;
		probe_pause_ms(100);
	}
	return false;
}

/* --- all of them --- */

/* clang-format off */
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "nobody",      test_nobody },
	{ "requests",    hostile_test_requests },
	{ "owners",      hostile_test_owners },
	{ "descriptors", hostile_test_descriptors },
	{ "held",        hostile_test_held },
	{ "devices",     hostile_test_devices },
	{ "floods",      hostile_test_floods },
	{ "quotas",      hostile_test_quotas },
};
/* clang-format on */

/* One person with 65 536 ids, as useradd gives them away. */
static bool subuids_write(void)
{
	FILE *file = fopen("/etc/subuid", "we");

	if (file == NULL)
		return false;
	(void)fprintf(file, "somebody:%d:65536\n", HOSTILE_SUBUID);
	return fclose(file) == 0;
}

/* Nothing of what users said reaches the log as it was. */
static bool log_is_printable(const char *path)
{
	FILE *file = fopen(path, "re");
	bool is_printable = file != NULL;
	long octets = 0;
	int octet;

	while (file != NULL && (octet = getc(file)) != EOF) {
		octets++;
		is_printable = is_printable && (octet == '\n' || (octet >= ' ' && octet <= '~'));
	}
	if (file != NULL)
		(void)fclose(file);
	return is_printable && octets > 0;
}

int main(int argc, char **argv)
{
	if (argc < 3 || argc > 4 || !subuids_write() || freopen(argv[2], "w", stderr) == NULL) {
		(void)printf("usage: hostile PATH-OF-GSS-IPSECD LOG [TEST]\n");
		return 2;
	}
	probe_daemon_path = argv[1];
	probe_daemon_options[0] = "--quota-user";
	probe_daemon_options[1] = "20";
	probe_daemon_options[2] = "--quota-total";
	probe_daemon_options[3] = "160";
	probe_daemon_options[4] = "--larval-seconds";
	probe_daemon_options[5] = "10";
	probe_network_make();
	probe_broker_start(&probe_hosts[0]);
	if (!probe_check(hostile_honest_start(), "the honest user is at work"))
		return 1;
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (argc == 3 || strcmp(argv[3], tests[i].name) == 0)
			tests[i].run();
	}
	hostile_honest_end();
	probe_check(probe_nothing_is_left(10), "nothing is left");
	probe_check(hostile_count_workers("D") == 0 && hostile_count_workers("RSDT") <= 16,
		"the broker has %d processes, none of them stuck", hostile_count_workers("RSDT"));
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_check(log_is_printable(argv[2]), "the log has printable characters only");
	(void)printf("%d failed\n", probe_failures);
	return probe_failures == 0 ? 0 : 1;
}
