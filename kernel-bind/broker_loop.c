/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The poll loop: what comes from workers, and whose turn it is.  It takes nothing from a client's
 * connection (broker_queue.c looks at a request's type) and never closes the last reference to one
 * that may hold a descriptor: both are a worker's to do (broker_worker.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "kernel-bind/broker_intake.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_namespaces.h"
#include "kernel-bind/broker_pool.h"

#define TICK_MS 600 /* what a tick finds, at second sight at worst, is found within a second */
#define PRESSED_TICK_MS 10
#define NO_MEMORY_WAIT_MS 100

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
	pool_worker_extend(worker);
	if (result != 0)
		pool_worker_give_up(broker, worker, "takes no answer");
}

/* Its socket is of another network namespace: where shall it go? */
static void worker_forward(struct broker *broker, struct broker_worker *worker, int space)
{
	const struct worker_message forward = { .type = WORKER_FORWARD };
	struct broker_job *job = &worker->job;
	const uint8_t type = job->message.request.type;
	struct broker_reply reply;
	int result, intake = -1;
	enum ipsec_latch_reason reason = namespaces_forward(broker, job, space, &intake);

	if (reason == IPSEC_LATCH_LATCHED) {
		result = worker_send(worker->fd, &forward, BYTES_NONE, intake);
	} else {
		broker_request_refuse(broker, job, reason, &reply);
		result = reply_send(worker, type, &reply);
		secret_wipe(&reply, sizeof(reply));
	}
	pool_worker_extend(worker);
	if (result != 0)
		pool_worker_give_up(broker, worker, "takes no answer");
}

static void worker_handle(struct broker *broker, struct broker_worker *worker,
	const struct worker_message *message, int descriptor)
{
	struct broker_job *job = &worker->job;

	if (message->type == WORKER_READY && worker->is_starting && descriptor < 0) {
		pool_worker_set_ready(worker);
	} else if (descriptor >= 0) {
		job->message = *message;
		if (message->type == WORKER_FACTS && job->stage == 0 && worker->is_busy &&
			message->facts.reason == IPSEC_LATCH_OTHER_NETNS && broker->keeper >= 0)
			worker_forward(broker, worker, descriptor);
		else
			pool_worker_give_up(broker, worker, "spoke out of turn");
	} else if (message->type == WORKER_FACTS && job->stage == 0) {
		job->message = *message;
		worker_advance(broker, worker);
	} else if (message->type == WORKER_RESULT && job->stage > 0 && job->lease != NULL) {
		job->message.facts = message->facts;
		job->message.result = message->result;
		worker_advance(broker, worker);
	} else if (message->type == WORKER_IDLE && job->lease == NULL) {
		namespaces_end_job(broker, job);
		pool_worker_end_job(worker);
	} else {
		pool_worker_give_up(broker, worker, "spoke out of turn");
	}
}

static void worker_read(struct broker *broker, struct broker_worker *worker)
{
	struct worker_message message;
	int descriptor, result = worker_receive(worker->fd, &message, &descriptor);

	if (result == EAGAIN || result == EINTR)
		return;
	if (result != 0)
		pool_worker_give_up(broker, worker, "ended");
	else
		worker_handle(broker, worker, &message, descriptor);
	message_close(&descriptor);
	secret_wipe(&message, sizeof(message));
}

/* --- the loop --- */

enum poll_slot {
	POLL_LISTENER,
	POLL_SIGNALS,
	POLL_EVENTS,
	POLL_ENDED,
	POLL_SWEEP,
	POLL_DISCARDER,
	POLL_KEEPER,
	POLL_NAMESPACES,
	POLL_WORKERS = POLL_NAMESPACES + BROKER_NAMESPACES_MAX,
	POLL_QUEUE = POLL_WORKERS + BROKER_WORKERS_MAX,
	POLL_COUNT = POLL_QUEUE + BROKER_QUEUE_MAX
};

static void poll_fill(const struct broker *broker, struct pollfd items[POLL_COUNT])
{
	items[POLL_LISTENER].fd = pool_may_discard(broker) ? broker->listener : -1;
	items[POLL_SIGNALS].fd = broker->signals;
	items[POLL_EVENTS].fd = kxfrm_events_descriptor(broker->events);
	items[POLL_ENDED].fd = watch_descriptor(broker->watch);
	items[POLL_SWEEP].fd = watch_sweep_descriptor(broker->watch);
	items[POLL_DISCARDER].fd = broker->discarder.fd;
	items[POLL_KEEPER].fd = broker->keeper;
	for (size_t i = 0; i < BROKER_NAMESPACES_MAX; i++)
		items[POLL_NAMESPACES + i].fd =
			broker->namespaces[i].id != 0 ? broker->namespaces[i].intake : -1;
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++)
		items[POLL_WORKERS + i].fd = broker->workers[i].fd;
	for (size_t i = 0; i < broker->queued; i++)
		items[POLL_QUEUE + i].fd = broker->queue[i].is_ready ? -1 : broker->queue[i].fd;
	for (size_t i = 0; i < POLL_QUEUE + broker->queued; i++) {
		items[i].events = POLLIN;
		items[i].revents = 0;
	}
}

static int poll_wait_ms(const struct broker *broker, bool is_pressed, bool has_more)
{
	const uint64_t now_ms = broker_now_ms();
	uint64_t next_ms = broker->next_tick_ms;

	if (has_more || broker->associations.is_on || broker->covers.is_on)
		return 0;
	if ((is_pressed || broker->is_out_of_balance) && now_ms + PRESSED_TICK_MS < next_ms)
		next_ms = now_ms + PRESSED_TICK_MS;
	if (broker->discarder.is_busy && broker->discarder.deadline_ms < next_ms)
		next_ms = broker->discarder.deadline_ms;
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (broker->workers[i].is_busy && !broker->workers[i].is_ending &&
			broker->workers[i].deadline_ms < next_ms)
			next_ms = broker->workers[i].deadline_ms;
	}
	if (next_ms < broker->next_end_ms)
		next_ms = broker->next_end_ms;
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
		pool_reap(broker);
	}
	return false;
}

/* Ended sockets come before requests: a request must not meet a lease whose socket is gone. */
static void turn_handle(struct broker *broker, const struct pollfd items[POLL_COUNT])
{
	if (items[POLL_EVENTS].revents != 0)
		(void)broker_read_events(broker); /* poll() will say that there are more */
	if (items[POLL_ENDED].revents != 0)
		broker_read_ended(broker);
	if (items[POLL_SWEEP].revents != 0)
		broker_sweep_read(broker);
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (items[POLL_WORKERS + i].revents != 0 &&
			broker->workers[i].fd == items[POLL_WORKERS + i].fd)
			worker_read(broker, &broker->workers[i]);
	}
	for (size_t i = 0; i < BROKER_NAMESPACES_MAX; i++) {
		if (items[POLL_NAMESPACES + i].revents != 0 && broker->namespaces[i].id != 0 &&
			broker->namespaces[i].intake == items[POLL_NAMESPACES + i].fd)
			namespaces_read(&broker->namespaces[i]);
	}
	if (items[POLL_DISCARDER].revents != 0 && broker->discarder.fd >= 0)
		pool_read_discarder(broker);
	for (size_t i = 0; i < broker->queued; i++) {
		if (items[POLL_QUEUE + i].revents != 0)
			broker_queue_set_ready(&broker->queue[i]);
	}
	if (items[POLL_LISTENER].revents != 0)
		broker_queue_accept(broker);
}

/* For many descriptors poll() wants memory.  A daemon that ended for a moment without any would leave
 * all latches alone, so it looks at nothing this time, and again a little later. */
static int turn_wait(struct pollfd *items, size_t count, int wait_ms)
{
	if (poll(items, count, wait_ms) >= 0 || errno == EINTR)
		return 0;
	if (errno != ENOMEM && errno != EAGAIN)
		return errno;
	for (size_t i = 0; i < count; i++)
		items[i].revents = 0;
	return poll(NULL, 0, NO_MEMORY_WAIT_MS) < 0 && errno != EINTR ? errno : 0;
}

int broker_run(struct broker *broker)
{
	struct pollfd items[POLL_COUNT];
	bool is_pressed = false, has_more = false;
	int result = 0;

	pool_balance(broker);
	while (!broker->is_ending) {
		poll_fill(broker, items);
		result = turn_wait(items, POLL_QUEUE + broker->queued,
			poll_wait_ms(broker, is_pressed, has_more));
		if (result != 0) {
			broker_log("gss-ipsecd ends, as it cannot wait: %s", strerror(result));
			break;
		}
		if (items[POLL_SIGNALS].revents != 0)
			broker->is_ending = signals_read(broker);
		/* It never says anything: it has ended.  Only a new start can make another. */
		if (items[POLL_KEEPER].revents != 0) {
			broker_log("the keeper of other network namespaces has ended");
			result = EPIPE;
			break;
		}
		turn_handle(broker, items);
		is_pressed = broker_queue_dispatch(broker, &has_more);
		pool_enforce_deadlines(broker, is_pressed);
		broker_rounds_continue(broker);
		if (broker->next_tick_ms <= broker_now_ms()) {
			broker->next_tick_ms = broker_now_ms() + TICK_MS;
			broker_tick(broker, broker_now_ms());
			broker->is_out_of_balance = true;
			intake_tick(broker);
		}
		/* One process in a turn: fork() takes long where much else runs. */
		if (broker->is_out_of_balance)
			pool_balance(broker);
	}
	pool_stop(broker);
	return result;
}
