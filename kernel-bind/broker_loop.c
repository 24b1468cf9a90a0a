/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The poll loop: accepts connections, hands each to an idle worker once its request is there (so
 * that whoever says nothing keeps no worker busy), keeps workers to their deadline.  It never reads
 * from a client's connection and never closes the last reference to one that may hold a descriptor:
 * both are a worker's to do (broker_worker.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

#define TICK_MS 600 /* what a tick finds, at second sight at worst, is found within a second */
#define WORKER_DEADLINE_MS 2000
#define QUEUE_WAIT_MS 4000 /* below the client's own patience */
#define ACCEPTS_PER_TURN 32
#define BUSY_PER_USER 2
#define BUSY_OF_ROOT 6
#define SPARE_WORKERS 2 /* the last idle ones are for users who have none at work */
#define REQUEST_WAIT_MS 1000
#define QUEUED_PER_USER 256
#define DISCARDS_MAX 64

static void worker_clear(struct broker_worker *worker)
{
	secret_wipe(&worker->job, sizeof(worker->job));
	*worker = (struct broker_worker){ .fd = -1 };
}

static void worker_replace(struct broker *broker, struct broker_worker *worker)
{
	int result;

	worker_clear(worker);
	result = worker_start(&broker->network_namespace, &worker->pid, &worker->fd);
	if (result != 0) {
		worker_clear(worker);
		broker_log("a worker cannot be started: %s", strerror(result));
	}
}

/* Remembers a killed process until it has ended: while a descriptor blocks it, it counts. */
static void worker_kill(struct broker *broker, struct broker_worker *worker)
{
	if (worker->pid > 0 && kill(worker->pid, SIGKILL) != 0 && errno != ESRCH)
		broker_log("worker %d cannot be killed: %s", (int)worker->pid, strerror(errno));
	for (size_t i = 0; i < BROKER_KILLED_MAX && worker->pid > 0; i++) {
		if (broker->killed[i].pid != 0)
			continue;
		broker->killed[i].pid = worker->pid;
		broker->killed[i].uid = worker->job.uid;
		break;
	}
	if (worker->fd >= 0)
		(void)close(worker->fd);
	worker_clear(worker);
}

static bool killed_are_few(const struct broker *broker)
{
	for (size_t i = 0; i < BROKER_KILLED_MAX; i++) {
		if (broker->killed[i].pid == 0)
			return true;
	}
	return false;
}

/* Without room to remember another blocked one there is no replacement: the tick tries again. */
static void worker_give_up(struct broker *broker, struct broker_worker *worker, const char *why)
{
	broker_log_user(
		worker->job.uid, "worker %d of uid %u %s", (int)worker->pid, worker->job.uid, why);
	if (worker->is_busy)
		broker_request_abandon(broker, &worker->job);
	worker_kill(broker, worker);
	if (killed_are_few(broker))
		worker_replace(broker, worker);
}

/* What is in the old one's pipe is closed at its end. */
static void discarder_replace(struct broker *broker)
{
	worker_kill(broker, &broker->discarder);
	broker->discards = 0;
	worker_replace(broker, &broker->discarder);
}

static void workers_ensure(struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (broker->workers[i].pid == 0 && killed_are_few(broker))
			worker_replace(broker, &broker->workers[i]);
	}
	if (broker->discarder.pid == 0)
		worker_replace(broker, &broker->discarder);
}

/* The number may be another process's from now on. */
static void child_forget(struct broker *broker, pid_t pid)
{
	for (size_t i = 0; i < BROKER_KILLED_MAX; i++) {
		if (broker->killed[i].pid == pid)
			broker->killed[i].pid = 0;
	}
	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (broker->workers[i].pid != pid)
			continue;
		broker->workers[i].pid = 0;
		worker_give_up(broker, &broker->workers[i], "ended");
	}
	if (broker->discarder.pid == pid) {
		broker->discarder.pid = 0;
		discarder_replace(broker);
	}
}

static void children_reap(struct broker *broker)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		child_forget(broker, pid);
	workers_ensure(broker);
}

/* --- connections that are not served --- */

static void connection_discard(struct broker *broker, int *fd)
{
	const struct worker_message message = { .type = WORKER_DISCARD };
	struct broker_worker *discarder = &broker->discarder;
	int result = EPIPE;

	if (broker->discards >= DISCARDS_MAX || discarder->fd < 0)
		result = EAGAIN;
	else
		result = worker_send(discarder->fd, &message, BYTES_NONE, *fd);
	if (result != 0) {
		discarder_replace(broker);
		if (discarder->fd >= 0)
			result = worker_send(discarder->fd, &message, BYTES_NONE, *fd);
	}
	if (result == 0) {
		if (broker->discards++ == 0)
			discarder->deadline_ms = broker_now_ms() + WORKER_DEADLINE_MS;
		discarder->is_busy = true;
	}
	(void)close(*fd);
	*fd = -1;
}

static void discarder_read(struct broker *broker)
{
	struct worker_message message;
	int result;

	do {
		result = worker_receive(broker->discarder.fd, &message);
		if (result == 0 && broker->discards > 0)
			broker->discards--;
	} while (result == 0);
	if (result != EAGAIN) {
		discarder_replace(broker);
		return;
	}
	broker->discarder.is_busy = broker->discards > 0;
	broker->discarder.deadline_ms = broker_now_ms() + WORKER_DEADLINE_MS;
}

/* --- the queue --- */

static size_t user_busy_count(const struct broker *broker, uint32_t uid)
{
	size_t count = 0;

	for (size_t i = 0; i < BROKER_WORKERS; i++)
		count += broker->workers[i].is_busy && broker->workers[i].job.uid == uid;
	for (size_t i = 0; i < BROKER_KILLED_MAX; i++)
		count += broker->killed[i].pid != 0 && broker->killed[i].uid == uid;
	return count;
}

static size_t user_queued_count(const struct broker *broker, uint32_t uid)
{
	size_t count = 0;

	for (size_t i = 0; i < broker->queued; i++)
		count += broker->queue[i].uid == uid;
	return count;
}

static void queue_remove(struct broker *broker, size_t index)
{
	broker->queued--;
	memmove(&broker->queue[index], &broker->queue[index + 1],
		(broker->queued - index) * sizeof(broker->queue[0]));
}

/* The first that has said nothing yet; queued: all have. */
static size_t queue_find_silent(const struct broker *broker)
{
	size_t i = 0;

	while (i < broker->queued && broker->queue[i].is_ready)
		i++;
	return i;
}

/* Who says nothing makes room for others. */
static bool queue_make_room(struct broker *broker)
{
	size_t silent;
	int fd;

	if (broker->queued < BROKER_QUEUE_MAX)
		return true;
	silent = queue_find_silent(broker);
	if (silent == broker->queued)
		return false;
	fd = broker->queue[silent].fd;
	queue_remove(broker, silent);
	connection_discard(broker, &fd);
	return true;
}

static void connection_queue(struct broker *broker, int fd)
{
	struct ucred peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0 ||
		user_queued_count(broker, peer.uid) >= QUEUED_PER_USER ||
		!queue_make_room(broker)) {
		broker_log_user(peer.uid, "too many requests of uid %u", peer.uid);
		connection_discard(broker, &fd);
		return;
	}
	broker->queue[broker->queued++] = (struct broker_connection){
		.fd = fd, .uid = peer.uid, .accepted_ms = broker_now_ms()
	};
}

static void listener_accept(struct broker *broker)
{
	int fd;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		connection_queue(broker, fd);
	}
}

static struct broker_worker *worker_idle(struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (broker->workers[i].pid > 0 && !broker->workers[i].is_busy)
			return &broker->workers[i];
	}
	return NULL;
}

static void connection_hand_over(
	struct broker *broker, struct broker_worker *worker, struct broker_connection *connection)
{
	const struct worker_message message = { .type = WORKER_CONNECTION };
	int result = worker_send(worker->fd, &message, BYTES_NONE, connection->fd);

	worker->job = (struct broker_job){ .uid = connection->uid };
	if (result != 0) {
		connection_discard(broker, &connection->fd);
		worker_give_up(broker, worker, "takes no connection");
		return;
	}
	worker->is_busy = true;
	worker->deadline_ms = broker_now_ms() + WORKER_DEADLINE_MS;
	(void)close(connection->fd);
}

static bool connection_is_over(const struct broker_connection *connection, uint64_t now_ms)
{
	const uint64_t wait_ms = connection->is_ready ? QUEUE_WAIT_MS : REQUEST_WAIT_MS;

	return connection->accepted_ms + wait_ms < now_ms;
}

static size_t workers_idle_count(const struct broker *broker)
{
	size_t count = 0;

	for (size_t i = 0; i < BROKER_WORKERS; i++)
		count += broker->workers[i].pid > 0 && !broker->workers[i].is_busy;
	return count;
}

/* So many requests of a user with this uid may be at work at once, now. */
static size_t user_limit(const struct broker *broker, uint32_t uid)
{
	if (workers_idle_count(broker) <= SPARE_WORKERS)
		return 1;
	return uid == 0 ? BUSY_OF_ROOT : BUSY_PER_USER;
}

/* Of the requests that may be served the first one of a user with the fewest at work, so that a few
 * users with requests that take long do not take all workers; queued: none. */
static size_t queue_pick(const struct broker *broker)
{
	size_t busy, fewest = SIZE_MAX, pick = broker->queued;

	for (size_t i = 0; i < broker->queued && fewest > 0; i++) {
		if (!broker->queue[i].is_ready)
			continue;
		busy = user_busy_count(broker, broker->queue[i].uid);
		if (busy >= user_limit(broker, broker->queue[i].uid) || busy >= fewest)
			continue;
		fewest = busy;
		pick = i;
	}
	return pick;
}

static void queue_dispatch(struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();
	struct broker_connection connection;
	struct broker_worker *worker;
	size_t i;

	while ((worker = worker_idle(broker)) != NULL) {
		i = queue_pick(broker);
		if (i == broker->queued)
			break;
		connection = broker->queue[i];
		queue_remove(broker, i);
		connection_hand_over(broker, worker, &connection);
	}
	for (i = 0; i < broker->queued;) {
		connection = broker->queue[i];
		if (!connection_is_over(&connection, now_ms)) {
			i++;
			continue;
		}
		queue_remove(broker, i);
		connection_discard(broker, &connection.fd);
	}
}

/* --- workers --- */

static int reply_send(
	struct broker_worker *worker, uint8_t request_type, const struct broker_reply *reply)
{
	const struct worker_message message = { .type = WORKER_REPLY };
	struct writer w;
	int result = EMSGSIZE;

	writer_init(&w, BROKER_REPLY_BYTES_MAX);
	if (broker_reply_write(request_type, reply, &w) == ERR_OK)
		result = worker_send(worker->fd, &message, writer_view(&w), -1);
	writer_free(&w);
	return result;
}

/* Facts or results have come: the next step of the request. */
static void worker_advance(struct broker *broker, struct broker_worker *worker)
{
	struct broker_job *job = &worker->job;
	const uint8_t type = job->message.request.type;
	struct broker_reply reply;
	int result, program = -1;

	if (broker_request_advance(broker, job, &reply, &program)) {
		result = reply_send(worker, type, &reply);
		secret_wipe(&reply, sizeof(reply));
	} else {
		job->message.type = WORKER_OPERATIONS;
		result = worker_send(worker->fd, &job->message, BYTES_NONE, program);
	}
	worker->deadline_ms = broker_now_ms() + WORKER_DEADLINE_MS;
	if (result != 0)
		worker_give_up(broker, worker, "takes no answer");
}

static void worker_handle(
	struct broker *broker, struct broker_worker *worker, const struct worker_message *message)
{
	struct broker_job *job = &worker->job;

	if (message->type == WORKER_FACTS && job->stage == 0) {
		job->message = *message;
		worker_advance(broker, worker);
	} else if (message->type == WORKER_RESULT && job->stage > 0 && job->lease != NULL) {
		job->message.facts = message->facts;
		job->message.result = message->result;
		worker_advance(broker, worker);
	} else if (message->type == WORKER_IDLE && job->lease == NULL) {
		secret_wipe(job, sizeof(*job));
		worker->is_busy = false;
	} else {
		worker_give_up(broker, worker, "spoke out of turn");
	}
}

static void worker_read(struct broker *broker, struct broker_worker *worker)
{
	struct worker_message message;
	int result = worker_receive(worker->fd, &message);

	if (result == EAGAIN || result == EINTR)
		return;
	if (result != 0)
		worker_give_up(broker, worker, "ended");
	else
		worker_handle(broker, worker, &message);
	secret_wipe(&message, sizeof(message));
}

static void deadlines_enforce(struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();

	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (broker->workers[i].is_busy && broker->workers[i].deadline_ms <= now_ms)
			worker_give_up(broker, &broker->workers[i], "missed its deadline");
	}
	if (broker->discarder.is_busy && broker->discarder.deadline_ms <= now_ms)
		discarder_replace(broker);
}

/* --- the loop --- */

enum poll_slot {
	POLL_LISTENER,
	POLL_SIGNALS,
	POLL_EVENTS,
	POLL_ENDED,
	POLL_SWEEP,
	POLL_DISCARDER,
	POLL_WORKERS,
	POLL_QUEUE = POLL_WORKERS + BROKER_WORKERS,
	POLL_COUNT = POLL_QUEUE + BROKER_QUEUE_MAX
};

static void poll_fill(const struct broker *broker, struct pollfd items[POLL_COUNT])
{
	items[POLL_LISTENER].fd =
		broker->queued < BROKER_QUEUE_MAX || queue_find_silent(broker) < broker->queued
			? broker->listener
			: -1;
	items[POLL_SIGNALS].fd = broker->signals;
	items[POLL_EVENTS].fd = kxfrm_events_descriptor(broker->events);
	items[POLL_ENDED].fd = watch_descriptor(broker->watch);
	items[POLL_SWEEP].fd = watch_sweep_descriptor(broker->watch);
	items[POLL_DISCARDER].fd = broker->discarder.fd;
	for (size_t i = 0; i < BROKER_WORKERS; i++)
		items[POLL_WORKERS + i].fd = broker->workers[i].fd;
	for (size_t i = 0; i < broker->queued; i++)
		items[POLL_QUEUE + i].fd = broker->queue[i].is_ready ? -1 : broker->queue[i].fd;
	for (size_t i = 0; i < POLL_QUEUE + broker->queued; i++) {
		items[i].events = POLLIN;
		items[i].revents = 0;
	}
}

static int poll_wait_ms(const struct broker *broker)
{
	const uint64_t now_ms = broker_now_ms();
	uint64_t next_ms = broker->next_tick_ms;

	if (broker->associations.is_on || broker->covers.is_on)
		return 0;
	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (broker->workers[i].is_busy && broker->workers[i].deadline_ms < next_ms)
			next_ms = broker->workers[i].deadline_ms;
	}
	if (next_ms <= now_ms)
		return 0;
	return next_ms - now_ms < TICK_MS ? (int)(next_ms - now_ms) : TICK_MS;
}

/* Whether the daemon is to end. */
static bool signals_read(struct broker *broker)
{
	struct signalfd_siginfo info;

	while (read(broker->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGCHLD)
			return true;
		children_reap(broker);
	}
	return false;
}

/* Ended sockets come before requests: a request must not meet a lease whose socket is gone. */
static void turn_handle(struct broker *broker, const struct pollfd items[POLL_COUNT])
{
	if (items[POLL_EVENTS].revents != 0)
		broker_read_events(broker);
	if (items[POLL_ENDED].revents != 0)
		broker_read_ended(broker);
	if (items[POLL_SWEEP].revents != 0)
		broker_sweep_read(broker);
	for (size_t i = 0; i < BROKER_WORKERS; i++) {
		if (items[POLL_WORKERS + i].revents != 0 &&
			broker->workers[i].fd == items[POLL_WORKERS + i].fd)
			worker_read(broker, &broker->workers[i]);
	}
	if (items[POLL_DISCARDER].revents != 0 && broker->discarder.fd >= 0)
		discarder_read(broker);
	for (size_t i = 0; i < broker->queued; i++) {
		if (items[POLL_QUEUE + i].revents != 0)
			broker->queue[i].is_ready = true;
	}
	if (items[POLL_LISTENER].revents != 0)
		listener_accept(broker);
}

static void workers_stop(struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS; i++)
		worker_kill(broker, &broker->workers[i]);
	worker_kill(broker, &broker->discarder);
}

int broker_run(struct broker *broker)
{
	struct pollfd items[POLL_COUNT];
	bool is_ending = false;
	int result = 0;

	workers_ensure(broker);
	while (!is_ending) {
		poll_fill(broker, items);
		if (poll(items, POLL_QUEUE + broker->queued, poll_wait_ms(broker)) < 0 &&
			errno != EINTR) {
			result = errno;
			break;
		}
		if (items[POLL_SIGNALS].revents != 0)
			is_ending = signals_read(broker);
		turn_handle(broker, items);
		deadlines_enforce(broker);
		queue_dispatch(broker);
		broker_rounds_continue(broker);
		if (broker->next_tick_ms <= broker_now_ms()) {
			broker->next_tick_ms = broker_now_ms() + TICK_MS;
			broker_tick(broker, broker_now_ms());
			workers_ensure(broker);
		}
	}
	workers_stop(broker);
	return result;
}
