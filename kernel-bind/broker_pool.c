/* SPDX-License-Identifier: BSD-2-Clause */
/* Worker processes; see broker_pool.h. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_pool.h"

#define WORKER_DEADLINE_MS 4000 /* a crowd that logs in leaves workers no processor for seconds */
#define PRESSED_DEADLINE_MS 50
#define BUSY_PER_ACCOUNT 2
#define BUSY_OF_ROOT 6
#define SPARE_SLOTS 16 /* the last ones are for accounts that have none at work */
#define ENDED_AT_ONCE 2
#define END_PAUSE_MS 10
#define DISCARDS_MAX 32	       /* two messages each: what the buffer of a socket holds */
#define DISCARD_DEADLINE_MS 50 /* without a single one closed */

static void worker_clear(struct broker_worker *worker)
{
	secret_wipe(&worker->job, sizeof(worker->job));
	*worker = (struct broker_worker){ .fd = -1 };
}

static bool worker_is_idle(const struct broker_worker *worker)
{
	return worker->pid > 0 && !worker->is_busy && !worker->is_ending;
}

static bool worker_begin(struct broker *broker, struct broker_worker *worker)
{
	struct worker_place place = broker->place;
	int result;

	/* The daemon accepts nobody while the discarder has much to do. */
	place.keeps_priority = worker == &broker->discarder;
	worker_clear(worker);
	result = worker_start(&place, &worker->pid, &worker->fd);
	if (result == 0) {
		worker->is_starting = true;
		pool_worker_extend(worker);
		return true;
	}
	worker_clear(worker);
	broker_log("a worker cannot be started: %s", strerror(result));
	return false;
}

/* The slot stays taken until the process has ended. */
static void worker_end(struct broker_worker *worker)
{
	if (worker->pid > 0 && kill(worker->pid, SIGKILL) != 0 && errno != ESRCH)
		broker_log("worker %d cannot be killed: %s", (int)worker->pid, strerror(errno));
	if (worker->fd >= 0)
		(void)close(worker->fd);
	worker->fd = -1;
	worker->is_ending = true;
	secret_wipe(&worker->job, sizeof(worker->job));
}

static void worker_lose(struct broker *broker, struct broker_worker *worker, const char *why)
{
	if (!worker->is_busy) {
		broker_log("worker %d %s", (int)worker->pid, why);
		return;
	}
	broker_log_user(worker->user.uid, "worker %d of uid %u %s", (int)worker->pid,
		worker->user.uid, why);
	users_note(&worker->user, false, broker_now_ms());
	broker_request_abandon(broker, &worker->job);
}

void pool_worker_give_up(struct broker *broker, struct broker_worker *worker, const char *why)
{
	worker_lose(broker, worker, why);
	worker_end(worker);
}

static struct broker_worker *slot_find_empty(struct broker *broker)
{
	for (size_t i = 0; i < broker->options.workers_max; i++) {
		if (broker->workers[i].pid == 0)
			return &broker->workers[i];
	}
	return NULL;
}

struct broker_worker *pool_worker_find_idle(struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (worker_is_idle(&broker->workers[i]) && !broker->workers[i].is_starting)
			return &broker->workers[i];
	}
	return NULL;
}

bool pool_worker_add(struct broker *broker)
{
	struct broker_worker *slot = slot_find_empty(broker);

	return slot != NULL && worker_begin(broker, slot);
}

/* A killed one may have its copies until it has ended. */
bool pool_may_let_go(const struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (broker->workers[i].is_starting)
			return false;
	}
	return !broker->discarder.is_starting;
}

void pool_worker_set_ready(struct broker_worker *worker)
{
	worker->is_starting = false;
}

/* In this order: the daemon's close() is never the last one.  0 once the worker has it. */
static int connection_give(
	const struct broker_worker *worker, enum worker_message_type type, int *fd)
{
	const struct worker_message message = { .type = type };
	const struct worker_message yours = { .type = WORKER_YOURS };
	int result = worker->fd < 0 ? EPIPE : worker_send(worker->fd, &message, BYTES_NONE, *fd);

	if (result != 0)
		return result;
	message_close(fd);
	return worker_send(worker->fd, &yours, BYTES_NONE, -1);
}

int pool_worker_start_job(struct broker_worker *worker, const struct broker_user *user, int *fd)
{
	int result = connection_give(worker, WORKER_CONNECTION, fd);

	if (result != 0)
		return result;
	worker->user = *user;
	worker->job = (struct broker_job){ .uid = user->uid };
	worker->is_busy = true;
	worker->started_ms = broker_now_ms();
	pool_worker_extend(worker);
	return 0;
}

void pool_worker_end_job(struct broker_worker *worker)
{
	secret_wipe(&worker->job, sizeof(worker->job));
	worker->is_busy = false;
	users_note(&worker->user, true, broker_now_ms());
}

void pool_worker_extend(struct broker_worker *worker)
{
	worker->deadline_ms = broker_now_ms() + WORKER_DEADLINE_MS;
}

static size_t account_limit(const struct broker_user *user, size_t slots_left)
{
	if (user->uid == 0)
		return BUSY_OF_ROOT;
	return slots_left <= SPARE_SLOTS ? 1 : BUSY_PER_ACCOUNT;
}

bool pool_user_may_start(
	const struct broker *broker, const struct broker_user *user, size_t *ret_busy)
{
	size_t of_account = 0, of_group = 0, left = 0;

	for (size_t i = 0; i < broker->options.workers_max; i++) {
		const struct broker_worker *worker = &broker->workers[i];

		left += worker->pid == 0 || worker_is_idle(worker);
		/* A killed one too, as long as something keeps it. */
		if (!worker->is_busy)
			continue;
		of_account += worker->user.account == user->account;
		of_group += worker->user.group == user->group;
	}
	*ret_busy = of_account;
	return of_account < account_limit(user, left) &&
	       (user->uid == 0 || of_group < USERS_GROUP_FACTOR * BUSY_PER_ACCOUNT);
}

/* True where there is nothing to be done first. */
static bool discarder_balance(struct broker *broker)
{
	int fd = broker->left_over;

	if (broker->discarder.pid == 0)
		return !worker_begin(broker, &broker->discarder);
	if (fd >= 0 && broker->discarder.fd >= 0) {
		broker->left_over = -1;
		pool_discard(broker, &fd);
	}
	return true;
}

void pool_balance(struct broker *broker)
{
	const size_t wanted = broker->options.workers_idle;
	struct broker_worker *spare = NULL;
	size_t idle = 0;

	/* One after the other: until each is ready the daemon lets nothing go. */
	broker->is_out_of_balance = true;
	if (!pool_may_let_go(broker) || !discarder_balance(broker))
		return;
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (worker_is_idle(&broker->workers[i]) && ++idle > wanted)
			spare = &broker->workers[i];
	}
	if (spare != NULL)
		worker_end(spare);
	broker->is_out_of_balance = idle > wanted + 1 ||
				    (idle < wanted && pool_worker_add(broker) && idle + 1 < wanted);
}

/* --- connections that are not served --- */

/* What is in its pipe is closed at its end.  pool_balance() begins the next one. */
static void discarder_end(struct broker *broker)
{
	struct broker_worker *slot = slot_find_empty(broker);

	worker_end(&broker->discarder);
	if (slot != NULL && broker->discarder.pid > 0) {
		*slot = broker->discarder;
		slot->is_busy = false; /* with nobody's request */
	}
	worker_clear(&broker->discarder);
	broker->discards = 0;
	broker->is_out_of_balance = true;
}

bool pool_may_discard(const struct broker *broker)
{
	return broker->discards < DISCARDS_MAX && broker->discarder.fd >= 0 &&
	       broker->left_over < 0 && pool_may_let_go(broker);
}

static void discarder_extend(struct broker_worker *discarder)
{
	discarder->deadline_ms = broker_now_ms() + DISCARD_DEADLINE_MS;
}

void pool_discard(struct broker *broker, int *fd)
{
	struct broker_worker *discarder = &broker->discarder;

	if (connection_give(discarder, WORKER_DISCARD, fd) == 0) {
		if (broker->discards++ == 0)
			discarder_extend(discarder);
		discarder->is_busy = true;
		return;
	}
	discarder_end(broker);
	if (*fd >= 0) {
		broker->left_over = *fd;
		*fd = -1;
	}
}

void pool_read_discarder(struct broker *broker)
{
	struct worker_message message;
	int result, descriptor;

	do {
		result = worker_receive(broker->discarder.fd, &message, &descriptor);
		message_close(&descriptor);
		if (result == 0 && message.type == WORKER_READY)
			pool_worker_set_ready(&broker->discarder);
		else if (result == 0 && broker->discards > 0)
			broker->discards--;
	} while (result == 0);
	if (result != EAGAIN) {
		discarder_end(broker);
		return;
	}
	broker->discarder.is_busy = broker->discards > 0;
	if (!broker->discarder.is_starting)
		discarder_extend(&broker->discarder);
}

/* --- the end --- */

static bool slots_are_all_taken(const struct broker *broker)
{
	for (size_t i = 0; i < broker->options.workers_max; i++) {
		if (broker->workers[i].pid == 0 || worker_is_idle(&broker->workers[i]))
			return false;
	}
	return true;
}

/* Why this worker has to end now; NULL: it has not. */
static const char *worker_is_late(
	const struct broker_worker *worker, bool is_short, uint64_t now_ms)
{
	if ((!worker->is_busy && !worker->is_starting) || worker->is_ending)
		return NULL;
	if (worker->deadline_ms <= now_ms)
		return worker->is_starting ? "does not start" : "missed its deadline";
	return is_short && worker->is_busy && worker->started_ms + PRESSED_DEADLINE_MS <= now_ms
		       ? "had to make room for others"
		       : NULL;
}

void pool_enforce_deadlines(struct broker *broker, bool is_pressed)
{
	const uint64_t now_ms = broker_now_ms();
	const bool is_short = is_pressed && slots_are_all_taken(broker);
	size_t ended = 0;

	if ((broker->discarder.is_busy || broker->discarder.is_starting) &&
		broker->discarder.deadline_ms <= now_ms)
		discarder_end(broker);
	if (now_ms < broker->next_end_ms)
		return;
	for (size_t i = 0; i < BROKER_WORKERS_MAX && ended < ENDED_AT_ONCE; i++) {
		const char *why = worker_is_late(&broker->workers[i], is_short, now_ms);

		if (why == NULL)
			continue;
		pool_worker_give_up(broker, &broker->workers[i], why);
		ended++;
	}
	/* Many that end together would take the processor from those who work. */
	if (ended > 0)
		broker->next_end_ms = now_ms + END_PAUSE_MS;
}

/* The number may be another process's from now on. */
static void child_forget(struct broker *broker, pid_t pid)
{
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		struct broker_worker *worker = &broker->workers[i];

		if (worker->pid != pid)
			continue;
		if (!worker->is_ending)
			worker_lose(broker, worker, "ended");
		if (worker->fd >= 0)
			(void)close(worker->fd);
		worker_clear(worker);
	}
	if (broker->discarder.pid == pid) {
		broker->discarder.pid = 0;
		discarder_end(broker);
	}
}

void pool_reap(struct broker *broker)
{
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
			broker_log(
				"worker %d made a system call that is not on its list", (int)pid);
		child_forget(broker, pid);
	}
}

void pool_stop(struct broker *broker)
{
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++) {
		if (broker->workers[i].pid > 0)
			worker_end(&broker->workers[i]);
	}
	worker_end(&broker->discarder);
}
