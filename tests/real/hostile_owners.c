/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whose lease is it: a user with the victim's descriptor but without his uid and secret (inetd, a
 * child, a CGI program), secrets guessed, requests out of order, clients that die or change their
 * connection while the broker is at work.
 */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define ROUNDS 60

static struct broker_request request_of(uint8_t type, const struct end *end)
{
	struct broker_request request = {
		.type = type,
		.cookie = end->candidate.cookie,
		.suite = 1,
		.key_in = end->key_in,
		.key_out = end->key_out,
	};

	memcpy(request.secret, end->lease.secret, sizeof(request.secret));
	return request;
}

/* With the descriptor, and in the second half with the secret too. */
static void thief_run(void *argument)
{
	const struct end *end = argument;
	struct broker_request request;
	bool is_good = true;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		request = request_of(BROKER_RESERVE, end);
		is_good = is_good &&
			  hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_ALREADY_LATCHED;
		request = request_of(i % 2 == 0 ? BROKER_LATCH : BROKER_RELEASE, end);
		if (i < ROUNDS / 2 && getrandom(request.secret, sizeof(request.secret), 0) < 0)
			_exit(1);
		is_good =
			is_good && hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_NOT_ALLOWED;
	}
	_exit(is_good ? 0 : 1);
}

static void test_thief(struct end ends[2], const char *when)
{
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, thief_run, &ends[0])),
		"%s: who shares the descriptor cannot latch, re-key or release", when);
}

/* The owner himself, with one bit of the secret wrong. */
static void test_secrets(const struct end *end)
{
	struct broker_request request = request_of(BROKER_RELEASE, end);
	bool is_good = true;

	for (size_t bit = 0; bit < 8 * sizeof(request.secret); bit++) {
		request.secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
		is_good =
			is_good && hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_NOT_ALLOWED;
		request.secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	probe_check(is_good, "each bit of the secret counts");
}

static void test_order(void)
{
	struct broker_request request;
	struct end ends[2];

	if (!hostile_pair_open(ends))
		return;
	request = request_of(BROKER_LATCH, &ends[0]);
	probe_check(hostile_reason(&request, &ends[0].fd, 1) == IPSEC_LATCH_BROKER_LOST,
		"latch before reserve");
	request = request_of(BROKER_RELEASE, &ends[0]);
	probe_check(hostile_reason(&request, &ends[0].fd, 1) == IPSEC_LATCH_LATCHED,
		"release before reserve: nothing to undo");
	probe_check(hostile_reason(&request, NULL, 0) != IPSEC_LATCH_LATCHED &&
			    hostile_reason(&request, NULL, 0) >= 0,
		"release without a descriptor is refused");
	probe_pair_close(ends);
}

static void test_shared(void)
{
	struct end ends[2];

	if (!hostile_pair_open(ends) || !probe_pair_reserve(ends))
		return;
	test_thief(ends, "reserved");
	test_secrets(&ends[0]);
	if (!probe_transfer(&ends[0], &ends[1], 700) ||
		!probe_check(probe_end_latch(&ends[1], false, ends[0].lease.spi_in, 700) == 0 &&
				     probe_transfer(&ends[1], &ends[0], 700) &&
				     probe_end_latch(&ends[0], true, 0, 700) == 0,
			"the victim latches all the same"))
		return;
	test_thief(ends, "latched");
	test_secrets(&ends[0]);
	probe_check(probe_end_latch(&ends[0], true, 0, 700) == IPSEC_LATCH_ALREADY_LATCHED,
		"latched once is latched");
	probe_check(probe_end_state(&ends[0]) == IPSEC_LATCH_STATE_ESTABLISHED &&
			    probe_transfer(&ends[0], &ends[1], 5000),
		"the victim's connection goes on");
	probe_pair_close(ends);
}

/* Asks and dies before the answer; its own connection dies with it. */
static void deserter_run(void *argument)
{
	struct end *ends = argument;
	struct broker_request request = request_of(BROKER_RESERVE, &ends[0]);

	(void)probe_request_send(&probe_hosts[0], &request, &ends[0].fd, 1);
	(void)kill(getpid(), SIGKILL);
}

static void test_deserters(void)
{
	struct end ends[2];
	pid_t child;
	int before = probe_count_associations(&probe_hosts[0]);

	hostile_measure_begin();
	for (int i = 0; i < ROUNDS; i++) {
		if (!hostile_pair_open(ends))
			return;
		child = hostile_start(HOSTILE_UID, deserter_run, ends);
		probe_pair_close(ends);
		(void)waitpid(child, NULL, 0);
	}
	hostile_measure_end("clients that die before the answer");
	probe_pause_ms(1500);
	probe_check(probe_count_associations(&probe_hosts[0]) <= before + 1,
		"and leave nothing behind: %d SAs", probe_count_associations(&probe_hosts[0]));
}

/* Disconnects and connects anew as fast as it can. */
static void changer_run(void *argument)
{
	const struct end *end = argument;
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_in there = { .sin_family = AF_INET };

	memcpy(&there.sin_addr, end->candidate.tuple.remote, 4);
	there.sin_port = htons(end->candidate.tuple.remote_port);
	for (;;) {
		(void)connect(end->fd, &nowhere, sizeof(nowhere));
		(void)connect(end->fd, (const struct sockaddr *)&there, sizeof(there));
	}
}

static void juggler_run(void *argument)
{
	const struct end *end = argument;
	struct broker_request request;
	struct kbind_status *status = calloc(1, sizeof(*status));

	for (int i = 0; i < ROUNDS && status != NULL; i++) {
		request = request_of(BROKER_RESERVE, end);
		(void)hostile_reason(&request, &end->fd, 1);
		request = request_of(BROKER_LATCH, end);
		(void)hostile_reason(&request, &end->fd, 1);
		if (kbind_query(probe_hosts[0].socket_path, end->fd, status) == 0 &&
			status->state == IPSEC_LATCH_STATE_ESTABLISHED)
			_exit(1);
	}
	_exit(0);
}

static void test_changers(void)
{
	struct end ends[2];
	pid_t changer;

	if (!hostile_pair_open(ends))
		return;
	hostile_measure_begin();
	changer = hostile_start(HOSTILE_UID, changer_run, &ends[0]);
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, juggler_run, &ends[0])),
		"a connection that changes under the request is never established");
	hostile_kill(&changer, 1);
	hostile_measure_end("connections that change");
	probe_pair_close(ends);
}

void hostile_test_owners(void)
{
	test_order();
	test_shared();
	test_deserters();
	test_changers();
}
