/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec doctor: latches a connection of its own within this host, in the order of
 * doc/protocol.md section 6, with keys of its own in place of an exchange's.  So kernel, broker,
 * quotas, marks and (on loopback) the firewall are tried as a program would.
 */
#include "tools/doctor.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mech/ike/ike.h"
#include "mech/mech.h"

#define TRIAL_TOKEN_BYTES 700
#define TRIAL_WAIT_MS 3000

struct trial_end {
	int fd;
	struct kbind_candidate candidate;
	struct kbind_lease lease;
	struct secret_key key_in, key_out;
};

enum trial_result { TRIAL_LATCHED, TRIAL_REFUSED, TRIAL_STUCK, TRIAL_UNCONNECTED };

struct trial {
	const char *broker_path;
	const struct esp_suite *suite;
	sa_family_t family;
	struct trial_end ends[2];	/* initiator, acceptor */
	enum ipsec_latch_reason reason; /* of REFUSED */
};

/* --- the connection --- */

static void ends_close(struct trial *trial)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	for (size_t i = 0; i < 2; i++) {
		if (trial->ends[i].fd >= 0) {
			kbind_release(trial->broker_path, &trial->ends[i].candidate,
				&trial->ends[i].lease);
			(void)setsockopt(trial->ends[i].fd, SOL_SOCKET, SO_LINGER, &at_once,
				sizeof(at_once));
			(void)close(trial->ends[i].fd);
		}
		trial->ends[i].fd = -1;
		secret_wipe(&trial->ends[i].key_in, sizeof(trial->ends[i].key_in));
		secret_wipe(&trial->ends[i].key_out, sizeof(trial->ends[i].key_out));
	}
}

/* A socket bound to loopback, and the address it got. */
static int listener_open(sa_family_t family, struct sockaddr_storage *address, socklen_t *len)
{
	const struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (family == AF_INET)
		memcpy(address, &v4, *len = sizeof(v4));
	else
		memcpy(address, &v6, *len = sizeof(v6));
	if (bind(fd, (struct sockaddr *)address, *len) != 0 || listen(fd, 1) != 0 ||
		getsockname(fd, (struct sockaddr *)address, len) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

static int connection_open(
	sa_family_t family, const struct sockaddr_storage *address, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct pollfd waiting = { .fd = fd, .events = POLLOUT };

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)address, len) != 0 && errno != EINPROGRESS) {
		(void)close(fd);
		return -1;
	}
	(void)poll(&waiting, 1, TRIAL_WAIT_MS);
	return fd;
}

static bool end_look(struct trial_end *end)
{
	struct kbind_candidates found;

	if (kbind_find_candidates(end->fd, &found) != IPSEC_LATCH_LATCHED)
		return false;
	end->candidate = found.items[0];
	return true;
}

static bool ends_open(struct trial *trial)
{
	struct sockaddr_storage address = { 0 };
	socklen_t len = 0;
	int listener = listener_open(trial->family, &address, &len);
	struct pollfd waiting = { .fd = listener, .events = POLLIN };

	trial->ends[0].fd = trial->ends[1].fd = -1;
	if (listener < 0)
		return false;
	trial->ends[0].fd = connection_open(trial->family, &address, len);
	if (trial->ends[0].fd >= 0 && poll(&waiting, 1, TRIAL_WAIT_MS) == 1)
		trial->ends[1].fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	(void)close(listener);
	return trial->ends[1].fd >= 0 && end_look(&trial->ends[0]) && end_look(&trial->ends[1]);
}

static bool keys_make(struct trial *trial)
{
	struct trial_end *ends = trial->ends;
	const size_t len = trial->suite->keymat_bytes;

	if (getrandom(ends[0].key_in.data, len, 0) != (ssize_t)len ||
		getrandom(ends[0].key_out.data, len, 0) != (ssize_t)len)
		return false;
	ends[0].key_in.len = ends[0].key_out.len = len;
	ends[1].key_in = ends[0].key_out;
	ends[1].key_out = ends[0].key_in;
	return true;
}

/* A token's worth of octets from one end to the other. */
static bool token_move(const struct trial_end *from, const struct trial_end *to)
{
	uint8_t octets[TRIAL_TOKEN_BYTES] = { 0 };
	struct pollfd waiting = { .fd = to->fd, .events = POLLIN };
	size_t received = 0;
	ssize_t got;

	if (send(from->fd, octets, sizeof(octets), MSG_NOSIGNAL) != (ssize_t)sizeof(octets))
		return false;
	while (received < sizeof(octets) && poll(&waiting, 1, TRIAL_WAIT_MS) == 1) {
		got = recv(to->fd, octets, sizeof(octets) - received, 0);
		if (got <= 0)
			return false;
		received += (size_t)got;
	}
	return received == sizeof(octets);
}

/* --- latching --- */

static bool end_reserve(struct trial *trial, bool is_initiator)
{
	struct trial_end *end = &trial->ends[is_initiator ? 0 : 1];
	const struct kbind_reserve reserve = {
		.is_initiator = is_initiator,
		.suite = trial->suite->number,
		.key_in = &end->key_in,
		.key_out = is_initiator ? &end->key_out : NULL,
		.spi_out = is_initiator ? trial->ends[1].lease.spi_in : 0,
		.token_bytes = is_initiator ? 0 : TRIAL_TOKEN_BYTES,
	};

	trial->reason = kbind_reserve(trial->broker_path, &end->candidate, &reserve, &end->lease);
	return trial->reason == IPSEC_LATCH_LATCHED;
}

static bool end_latch(struct trial *trial, bool is_initiator)
{
	struct trial_end *end = &trial->ends[is_initiator ? 0 : 1];
	const struct kbind_latch latch = {
		.token_bytes = TRIAL_TOKEN_BYTES,
		.key_out = is_initiator ? NULL : &end->key_out,
		.spi_out = is_initiator ? 0 : trial->ends[0].lease.spi_in,
		.service = "gss-ipsec doctor",
	};

	trial->reason = kbind_latch(trial->broker_path, &end->candidate, &end->lease, &latch);
	return trial->reason == IPSEC_LATCH_LATCHED;
}

static enum trial_result ends_latch(struct trial *trial)
{
	struct trial_end *ends = trial->ends;

	if (!token_move(&ends[0], &ends[1]))
		return TRIAL_UNCONNECTED;
	if (!end_reserve(trial, false))
		return TRIAL_REFUSED;
	if (!token_move(&ends[1], &ends[0]))
		return TRIAL_UNCONNECTED;
	if (!end_reserve(trial, true))
		return TRIAL_REFUSED;
	if (!token_move(&ends[0], &ends[1]))
		return TRIAL_STUCK;
	if (!end_latch(trial, false))
		return TRIAL_REFUSED;
	if (!token_move(&ends[1], &ends[0]))
		return TRIAL_STUCK;
	if (!end_latch(trial, true))
		return TRIAL_REFUSED;
	if (!token_move(&ends[0], &ends[1]) || !token_move(&ends[1], &ends[0]))
		return TRIAL_STUCK;
	/* In good order: each latch is its socket's from here. */
	kbind_forget(&ends[0].lease);
	kbind_forget(&ends[1].lease);
	return TRIAL_LATCHED;
}

static enum trial_result trial_make(struct trial *trial)
{
	enum trial_result result = TRIAL_UNCONNECTED;

	if (ends_open(trial) && keys_make(trial))
		result = ends_latch(trial);
	ends_close(trial);
	return result;
}

/* --- telling --- */

static void failure_tell(struct doctor *doctor, const struct trial *trial, enum trial_result result)
{
	const char *over = trial->family == AF_INET ? "127.0.0.1" : "::1";

	if (result == TRIAL_UNCONNECTED)
		doctor_tell(doctor, FOUND_TRIAL_NO_CONNECTION, NULL, NULL, NULL);
	else if (result == TRIAL_STUCK)
		doctor_tell(doctor, FOUND_TRIAL_LOST, NULL, NULL, NULL);
	else
		doctor_tell_reason(doctor, trial->reason, over);
}

/* The modules that make a suite's cipher. */
static const char *suite_module(const struct esp_suite *suite)
{
	return strstr(suite->kernel_name, "poly1305") != NULL ? "chacha20poly1305" : "gcm";
}

/* Ciphers that peers may ask for: an inbound association is enough to know. */
static void suite_examine(struct doctor *doctor, const struct esp_suite *suite)
{
	struct trial trial = {
		.broker_path = doctor->broker_path, .suite = suite, .family = AF_INET
	};
	bool is_refused;

	is_refused = ends_open(&trial) && keys_make(&trial) &&
		     token_move(&trial.ends[0], &trial.ends[1]) && !end_reserve(&trial, false) &&
		     (trial.reason == IPSEC_LATCH_NO_ESP || trial.reason == IPSEC_LATCH_KERNEL);
	ends_close(&trial);
	if (is_refused)
		doctor_tell(doctor, FOUND_NO_CIPHER, suite->name, suite_module(suite), NULL);
}

static bool suite_is_allowed(const struct doctor *doctor, const struct esp_suite *suite)
{
	return doctor->config == NULL || mech_policy_allows_esp(doctor->config, suite);
}

/* Over IPv6 what is missing may not matter here: this host may have no such connections. */
static void over_ipv6(struct doctor *doctor, const struct esp_suite *suite)
{
	struct trial trial = {
		.broker_path = doctor->broker_path, .suite = suite, .family = AF_INET6
	};
	const enum trial_result result = trial_make(&trial);

	if (result == TRIAL_LATCHED)
		doctor_tell(doctor, FOUND_TRIAL_OK, "IPv6", suite->name, NULL);
	else if (result == TRIAL_REFUSED && trial.reason == IPSEC_LATCH_NO_ESP)
		doctor_tell(doctor, FOUND_NO_ESP_IPV6, NULL, NULL, NULL);
	else if (result != TRIAL_UNCONNECTED)
		failure_tell(doctor, &trial, result);
}

void doctor_examine_trial(struct doctor *doctor)
{
	struct trial trial = { .broker_path = doctor->broker_path, .family = AF_INET };
	enum trial_result result = TRIAL_UNCONNECTED;

	if (!doctor->broker_answers) {
		doctor_tell(doctor, FOUND_TRIAL_NOT_MADE, NULL, NULL, NULL);
		return;
	}
	for (size_t i = 0; i < esp_suite_count(); i++) {
		if (!suite_is_allowed(doctor, esp_suite_at(i)))
			continue;
		if (trial.suite != NULL) {
			suite_examine(doctor, esp_suite_at(i));
			continue;
		}
		trial.suite = esp_suite_at(i);
		result = trial_make(&trial);
		if (result != TRIAL_LATCHED) {
			failure_tell(doctor, &trial, result);
			return;
		}
		doctor_tell(doctor, FOUND_TRIAL_OK, "IPv4", trial.suite->name, NULL);
	}
	if (trial.suite != NULL)
		over_ipv6(doctor, trial.suite);
}
