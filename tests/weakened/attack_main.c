/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One attack on broker and kernel, between two network namespaces with a broker each, from the host
 * or from one of its users:  attack_latch PATH-OF-GSS-IPSECD ATTACK...
 * For each it prints "succeeded ATTACK", "refused ATTACK" or "impossible ATTACK".  Linked with the
 * client half of a weakened tree (build.sh).  Run as root where ESP is there.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/weakened/attack.h"

enum attack_outcome attack_judge(bool has_succeeded, enum ipsec_latch_reason reason)
{
	if (!has_succeeded && reason != IPSEC_LATCH_LATCHED)
		(void)printf("# refused with reason %d\n", reason);
	return has_succeeded ? ATTACK_SUCCEEDED : ATTACK_REFUSED;
}

bool attack_say(struct end *from, const char *text)
{
	return send(from->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

void attack_hear(struct end *to, char *ret_text, size_t size)
{
	size_t len = 0;
	ssize_t now = 1;

	while (now > 0 && len < size - 1 && !probe_nothing_comes(to, 500)) {
		now = recv(to->fd, ret_text + len, size - 1 - len, MSG_DONTWAIT);
		len += now > 0 ? (size_t)now : 0;
	}
	ret_text[len] = '\0';
}

bool attack_prepare(struct end ends[2])
{
	return probe_pair_reserve(ends) && probe_transfer(&ends[0], &ends[1], PROBE_TOKEN_BYTES);
}

enum ipsec_latch_reason attack_close(struct end ends[2], uint64_t token_bytes)
{
	return probe_end_latch(&ends[1], false, ends[0].lease.spi_in, token_bytes);
}

int attack_as(uint32_t uid, int (*act)(struct end ends[2]), struct end ends[2])
{
	int result = -1;
	pid_t child = fork();

	if (child == 0)
		_exit(setuid(uid) == 0 ? act(ends) : 255);
	(void)waitpid(child, &result, 0);
	return WIFEXITED(result) ? WEXITSTATUS(result) : 255;
}

static const struct attack *attack_find(const char *name)
{
	static const struct attack *const tables[] = { attacks_on_stream, attacks_on_wire,
		attacks_on_closed, attacks_of_users };

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct attack *row = tables[i]; row->name != NULL; row++) {
			if (strcmp(row->name, name) == 0)
				return row;
		}
	}
	return NULL;
}

/* Aborts: what the attack left unacknowledged would keep the sockets for minutes. */
static void attack_abort(struct end ends[2])
{
	const struct linger abort_now = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++) {
		if (ends[i].fd >= 0)
			(void)setsockopt(
				ends[i].fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof(abort_now));
	}
	probe_pair_close(ends);
}

static bool attack_run(const char *name)
{
	static const char *const words[] = { "succeeded", "refused", "impossible" };
	const struct attack *attack = attack_find(name);
	enum attack_outcome outcome = ATTACK_IMPOSSIBLE;
	struct end ends[2];

	if (attack != NULL && probe_pair_open_veth(ends)) {
		outcome = attack->run(ends);
		attack_abort(ends);
	}
	(void)printf("%s %s\n", words[outcome], name);
	(void)fflush(stdout);
	return outcome != ATTACK_IMPOSSIBLE;
}

int main(int argc, char **argv)
{
	int failed = 0;

	if (argc < 3) {
		(void)fprintf(stderr, "usage: attack_latch PATH-OF-GSS-IPSECD ATTACK...\n");
		return 2;
	}
	probe_daemon_path = argv[1];
	probe_network_make();
	probe_broker_start(&probe_hosts[0]);
	probe_broker_start(&probe_hosts[1]);
	for (int i = 2; i < argc; i++)
		failed += !attack_run(argv[i]);
	probe_broker_stop(&probe_hosts[0], SIGTERM);
	probe_broker_stop(&probe_hosts[1], SIGTERM);
	return failed == 0 ? 0 : 1;
}
