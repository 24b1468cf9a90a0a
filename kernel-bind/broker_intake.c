/* SPDX-License-Identifier: BSD-2-Clause */
/* Connections for the broker of another network namespace; see broker_intake.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_intake.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_message.h"

enum intake_type { INTAKE_CONNECTION = 1, INTAKE_GO };

static int type_send(int intake, enum intake_type type, int connection)
{
	uint8_t octet = (uint8_t)type;
	struct iovec vector = { &octet, sizeof(octet) };
	const struct message_parts parts = { &vector, 1, { connection, -1 } };

	return message_send(intake, &parts, MSG_DONTWAIT);
}

int intake_send(int intake, int connection)
{
	return intake < 0 ? EBADF : type_send(intake, INTAKE_CONNECTION, connection);
}

int intake_send_go(int intake)
{
	return type_send(intake, INTAKE_GO, -1);
}

int intake_read_idle(int intake, uint64_t *ret_received)
{
	ssize_t len = recv(intake, ret_received, sizeof(*ret_received), MSG_DONTWAIT);

	if (len < 0)
		return errno;
	return len == (ssize_t)sizeof(*ret_received) ? 0 : EPIPE;
}

static bool broker_is_idle(const struct broker *broker)
{
	if (lease_table_count(broker->leases) > 0 || broker->queued > 0 || broker->discards > 0 ||
		broker->left_over >= 0)
		return false;
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (broker->workers[i].is_busy)
			return false;
	}
	return true;
}

int intake_receive(struct broker *broker)
{
	uint8_t type = 0;
	struct iovec vector = { &type, sizeof(type) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };
	ssize_t len = message_receive(broker->listener, &parts, 1, MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EMSGSIZE))
		return -1;
	if (len == (ssize_t)sizeof(type) && type == INTAKE_CONNECTION) {
		broker->received++;
		broker->idle_since_ms = broker_now_ms();
		return parts.descriptors[0];
	}
	/* Leases that there might be are in the state file, for the next one. */
	broker->is_retired = len > 0 && type == INTAKE_GO && broker_is_idle(broker);
	broker->is_ending = true;
	message_close(&parts.descriptors[0]);
	return -1;
}

void intake_tick(struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();

	if (!broker->is_namespace)
		return;
	if (!broker_is_idle(broker))
		broker->idle_since_ms = now_ms;
	if (now_ms < broker->idle_since_ms + broker->options.idle_ms)
		return;
	broker->idle_since_ms = now_ms;
	if (send(broker->listener, &broker->received, sizeof(broker->received),
		    MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		broker_log("the daemon cannot be told of idleness: %s", strerror(errno));
}
