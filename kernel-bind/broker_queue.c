/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections until a worker has them.  Each gets one when its request is there, so that whoever says
 * nothing keeps no worker busy; first come those of whom least is at work and least was waiting, so
 * that a crowd waits behind its own; of a crowd, those who end a reservation.
 */
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_intake.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_pool.h"

/* A turn is as long as all of this takes: who has an answer to get waits for its end. */
#define ACCEPTS_PER_TURN 8
#define HAND_OVERS_PER_TURN 4
#define QUEUE_WAIT_MS 4000 /* below the client's own patience, by what a worker may take */
#define REQUEST_WAIT_MS 1000
#define QUEUED_PER_ACCOUNT 256
#define QUEUED_EXTRA 64 /* of an account, for those who end a reservation */
#define REFUSALS_MAX 32
/* Before others: else who says LATCH for ever kept his account's others waiting. */
#define ENDS_IN_A_ROW_MAX 3

struct crowd {
	size_t of_account, of_group;
};

struct turn {
	enum users_standing standing;
	size_t rank, busy;
};

/* Accounts of which no more may be at work now: asked once for each choice. */
struct refusals {
	uint32_t accounts[REFUSALS_MAX];
	size_t count;
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

/* The greater, the sooner it has to make room: the last one of the greatest crowd, and rather one
 * that says nothing. */
static size_t burden_of(const struct broker_connection *connection)
{
	return 2 * connection->rank + !connection->is_ready;
}

/* queued: none is a greater burden than one of this rank that has just come. */
static size_t queue_find_burden(const struct broker *broker, size_t rank)
{
	size_t found = broker->queued, greatest = 2 * rank + 1;

	for (size_t i = 0; i < broker->queued; i++) {
		if (burden_of(&broker->queue[i]) <= greatest)
			continue;
		greatest = burden_of(&broker->queue[i]);
		found = i;
	}
	return found;
}

static bool queue_make_room(struct broker *broker, size_t rank)
{
	size_t burden;
	int fd;

	if (broker->queued < BROKER_QUEUE_MAX)
		return true;
	burden = queue_find_burden(broker, rank);
	if (burden == broker->queued)
		return false;
	fd = broker->queue[burden].fd;
	queue_remove(broker, burden);
	pool_discard(broker, &fd);
	return true;
}

/* fd goes into the queue, or to the discarder. */
static void queue_add(struct broker *broker, int fd)
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
	if (crowd.of_account >= QUEUED_PER_ACCOUNT + QUEUED_EXTRA ||
		!queue_make_room(broker, crowd.of_group)) {
		broker_log_user(peer.uid, "too many requests of uid %u", peer.uid);
		pool_discard(broker, &fd);
		return;
	}
	broker->queue[broker->queued++] = (struct broker_connection){
		.fd = fd,
		.user = user,
		.is_extra = crowd.of_account >= QUEUED_PER_ACCOUNT,
		.rank = crowd.of_group,
		.accepted_ms = broker_now_ms(),
	};
}

/* Its type, looked at without the descriptor that came with it and not taken: the worker will see whether it
 * is true. */
void broker_queue_set_ready(struct broker_connection *connection)
{
	uint8_t head[2] = { 0 }; /* version, type */

	(void)recv(connection->fd, head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
	connection->is_ready = true;
	connection->ends_lease = head[1] == BROKER_LATCH || head[1] == BROKER_RELEASE;
}

void broker_queue_accept(struct broker *broker)
{
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN && pool_may_discard(broker); i++) {
		fd = broker->is_namespace ? intake_receive(broker)
					  : accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		queue_add(broker, fd);
	}
}

/* What it did not take stays for another one. */
static void connection_hand_over(struct broker *broker, struct broker_worker *worker, size_t index)
{
	struct broker_connection *connection = &broker->queue[index];

	if (pool_worker_start_job(worker, &connection->user, &connection->fd) != 0)
		pool_worker_give_up(broker, worker, "takes no connection");
	if (connection->fd < 0)
		queue_remove(broker, index);
}

static bool connection_is_over(const struct broker_connection *connection, uint64_t now_ms)
{
	const uint64_t wait_ms = connection->is_ready ? QUEUE_WAIT_MS : REQUEST_WAIT_MS;

	if (connection->is_extra && connection->is_ready && !connection->ends_lease)
		return true;
	return connection->accepted_ms + wait_ms < now_ms;
}

/* Whether a comes before b. */
static bool turn_is_before(const struct turn *a, const struct turn *b)
{
	if (a->standing != b->standing)
		return a->standing < b->standing;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	return a->busy < b->busy;
}

static bool user_may_start(const struct broker *broker, const struct broker_user *user,
	struct refusals *refusals, size_t *ret_busy)
{
	for (size_t i = 0; i < refusals->count; i++) {
		if (refusals->accounts[i] == user->account)
			return false;
	}
	if (pool_user_may_start(broker, user, ret_busy))
		return true;
	if (refusals->count < REFUSALS_MAX)
		refusals->accounts[refusals->count++] = user->account;
	return false;
}

/* queued: none may be served now. */
static size_t queue_pick(const struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();
	struct turn turn, first = { .standing = USERS_SLOW, .rank = SIZE_MAX };
	struct refusals refusals = { .count = 0 };
	size_t pick = broker->queued;

	for (size_t i = 0; i < broker->queued; i++) {
		const struct broker_connection *item = &broker->queue[i];

		turn = (struct turn){ users_standing(&item->user, now_ms), item->rank, 0 };
		/* The cheap part first: there may be a thousand. */
		if (!item->is_ready || !turn_is_before(&turn, &first) ||
			!user_may_start(broker, &item->user, &refusals, &turn.busy) ||
			!turn_is_before(&turn, &first))
			continue;
		first = turn;
		pick = i;
	}
	return pick;
}

/* Within a crowd who ends a reservation goes first, for it lives but a minute, at both ends; then, and now
 * and then in any case, who came first. */
static bool is_sooner(const struct broker *broker, size_t a, size_t b)
{
	const struct broker_connection *queue = broker->queue;

	if (broker->ends_in_a_row < ENDS_IN_A_ROW_MAX && queue[a].ends_lease != queue[b].ends_lease)
		return queue[a].ends_lease;
	return a < b;
}

/* He leaves his rank to the one he went before: else those who come while the crowd grows less would
 * overtake the last ones until their time is over. */
static size_t queue_pick_within(struct broker *broker, size_t pick)
{
	const size_t rank = broker->queue[pick].rank;
	size_t sooner = pick;

	for (size_t i = 0; i < broker->queued; i++) {
		const struct broker_connection *item = &broker->queue[i];

		if (item->is_ready && item->user.account == broker->queue[pick].user.account &&
			is_sooner(broker, i, sooner))
			sooner = i;
	}
	broker->queue[pick].rank = broker->queue[sooner].rank;
	broker->queue[sooner].rank = rank;
	broker->ends_in_a_row = broker->queue[sooner].ends_lease ? broker->ends_in_a_row + 1 : 0;
	return sooner;
}

static void queue_expire(struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();
	int fd;

	for (size_t i = 0; i < broker->queued && pool_may_discard(broker);) {
		if (!connection_is_over(&broker->queue[i], now_ms)) {
			i++;
			continue;
		}
		fd = broker->queue[i].fd;
		queue_remove(broker, i);
		pool_discard(broker, &fd);
	}
}

bool broker_queue_dispatch(struct broker *broker, bool *ret_has_more)
{
	struct broker_worker *worker;
	bool is_short = false;
	size_t i, handed_over = 0;

	while (pool_may_let_go(broker) && handed_over < HAND_OVERS_PER_TURN &&
		(i = queue_pick(broker)) < broker->queued) {
		worker = pool_worker_find_idle(broker);
		/* It serves in a later turn. */
		if (worker == NULL) {
			is_short = !pool_worker_add(broker);
			break;
		}
		connection_hand_over(broker, worker, queue_pick_within(broker, i));
		handed_over++;
	}
	queue_expire(broker);
	*ret_has_more = handed_over == HAND_OVERS_PER_TURN;
	return is_short;
}
