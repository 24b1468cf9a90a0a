/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections until a worker has them.  Each gets one when its request is there, so that whoever says
 * nothing keeps no worker busy; first come those of whom least is at work and least was waiting, so
 * that a crowd waits behind its own.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_pool.h"

#define ACCEPTS_PER_TURN 32
#define QUEUE_WAIT_MS 4000 /* below the client's own patience */
#define REQUEST_WAIT_MS 1000
#define QUEUED_PER_ACCOUNT 256

struct crowd {
	size_t of_account, of_group;
};

static struct crowd queue_count(const struct broker *broker, const struct broker_user *user)
{
	struct crowd crowd = { 0, 0 };

	for (size_t i = 0; i < broker->queued; i++) {
		crowd.of_account += broker->queue[i].user.account == user->account;
		crowd.of_group += broker->queue[i].user.group == user->group;
	}
	return crowd;
}

static void queue_remove(struct broker *broker, size_t index)
{
	broker->queued--;
	memmove(&broker->queue[index], &broker->queue[index + 1],
		(broker->queued - index) * sizeof(broker->queue[0]));
}

/* Who says nothing makes room for others, and then the last one of the greatest crowd; queued: none
 * is of a greater one than this. */
static size_t queue_find_least(const struct broker *broker, size_t rank)
{
	size_t least = broker->queued;

	for (size_t i = 0; i < broker->queued; i++) {
		if (!broker->queue[i].is_ready)
			return i;
		if (broker->queue[i].rank > rank) {
			rank = broker->queue[i].rank;
			least = i;
		}
	}
	return least;
}

static bool queue_make_room(struct broker *broker, size_t rank)
{
	size_t least;
	int fd;

	if (broker->queued < BROKER_QUEUE_MAX)
		return true;
	least = queue_find_least(broker, rank);
	if (least == broker->queued)
		return false;
	fd = broker->queue[least].fd;
	queue_remove(broker, least);
	pool_discard(broker, &fd);
	return true;
}

static void connection_queue(struct broker *broker, int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);
	struct broker_user user;
	struct crowd crowd;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
		pool_discard(broker, &fd);
		return;
	}
	users_find(peer.uid, &user);
	crowd = queue_count(broker, &user);
	if (crowd.of_account >= QUEUED_PER_ACCOUNT || !queue_make_room(broker, crowd.of_group)) {
		broker_log_user(peer.uid, "too many requests of uid %u", peer.uid);
		pool_discard(broker, &fd);
		return;
	}
	broker->queue[broker->queued++] = (struct broker_connection){
		.fd = fd,
		.user = user,
		.rank = crowd.of_group,
		.accepted_ms = broker_now_ms(),
	};
}

void broker_queue_accept(struct broker *broker)
{
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		connection_queue(broker, fd);
	}
}

static void connection_hand_over(
	struct broker *broker, struct broker_worker *worker, struct broker_connection *connection)
{
	const struct worker_message message = { .type = WORKER_CONNECTION };
	int result = worker_send(worker->fd, &message, BYTES_NONE, connection->fd);

	if (result != 0) {
		pool_discard(broker, &connection->fd);
		pool_worker_give_up(broker, worker, "takes no connection");
		return;
	}
	pool_worker_start_job(worker, &connection->user);
	(void)close(connection->fd);
}

static bool connection_is_over(const struct broker_connection *connection, uint64_t now_ms)
{
	const uint64_t wait_ms = connection->is_ready ? QUEUE_WAIT_MS : REQUEST_WAIT_MS;

	return connection->accepted_ms + wait_ms < now_ms;
}

/* queued: none may be served now. */
static size_t queue_pick(const struct broker *broker)
{
	size_t busy, fewest = SIZE_MAX, least_rank = SIZE_MAX, pick = broker->queued;

	for (size_t i = 0; i < broker->queued; i++) {
		const struct broker_connection *item = &broker->queue[i];

		if (!item->is_ready || !pool_user_may_start(broker, &item->user, &busy))
			continue;
		if (busy > fewest || (busy == fewest && item->rank >= least_rank))
			continue;
		fewest = busy;
		least_rank = item->rank;
		pick = i;
		if (busy == 0 && item->rank == 0)
			break;
	}
	return pick;
}

static void queue_expire(struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();
	int fd;

	for (size_t i = 0; i < broker->queued;) {
		if (!connection_is_over(&broker->queue[i], now_ms)) {
			i++;
			continue;
		}
		fd = broker->queue[i].fd;
		queue_remove(broker, i);
		pool_discard(broker, &fd);
	}
}

bool broker_queue_dispatch(struct broker *broker)
{
	struct broker_connection connection;
	struct broker_worker *worker = NULL;
	size_t i;

	while ((i = queue_pick(broker)) < broker->queued) {
		worker = pool_worker_take(broker);
		if (worker == NULL)
			break;
		connection = broker->queue[i];
		queue_remove(broker, i);
		connection_hand_over(broker, worker, &connection);
	}
	queue_expire(broker);
	return i < broker->queued && worker == NULL;
}
