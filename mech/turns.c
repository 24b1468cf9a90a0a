/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several threads that log in to one server at once: each T1 lists the connections of all of them,
 * with what had been written to each.  When each T1 is made behind the leaving of the one before,
 * the acceptor can tell from that which came on which; made at once, nobody could.  This is for
 * telling apart only: whoever waits too long goes on, and nothing that is safe depends on it.
 *
 * One T1 of the process is remembered, the last one.  A forked child finds its parent's, and a turn
 * that another thread of the parent had: both are known by the generation, and ignored.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mech/context.h"
#include "mech/generation.h"

#define TURN_WAIT_MS 2000     /* while nobody's turn ends */
#define TURN_WAIT_ALL_MS 5000 /* while others' do */
#define LEAVE_WAIT_MS 1000    /* for one thread to send what it was given */
#define POLL_NS_FIRST 500000L
#define POLL_NS_MAX 32000000L
#define TURN_POLL_NS 100000000L

static _Atomic(uint32_t) turn_ends;    /* who waits is woken when it changes */
static _Atomic(uint64_t) turn_holder;  /* generation of the process whose turn it is; 0: nobody's */
static _Atomic(uint64_t) turn_awaited; /* SPI of the last T1; 0 once nobody need wait for it */

/* Whoever has the turn may read and write it. */
static struct {
	uint64_t generation;
	pid_t thread; /* a pthread_t is given to the next one */
	int64_t made_ms;
	size_t t1_bytes, count;
	struct {
		int fd;
		uint64_t cookie;
		uint32_t counted_bytes;
	} listed[KBIND_CANDIDATES_MAX];
	int cancel_state; /* as the thread was that has the turn */
} turn_last;

/* A wakeup may come for nothing, or go to one who has given up: both only cost time. */
static void turn_sleep(uint32_t ends)
{
	const struct timespec pause = { .tv_nsec = TURN_POLL_NS };

	(void)syscall(SYS_futex, &turn_ends, FUTEX_WAIT_PRIVATE, ends, &pause, NULL, 0);
}

static bool turn_take(uint64_t generation)
{
	const int64_t last = kbind_clock_ms() + TURN_WAIT_ALL_MS;
	int64_t deadline = kbind_clock_ms() + TURN_WAIT_MS, now;
	uint32_t ends = atomic_load(&turn_ends), before;
	uint64_t holder;

	for (;;) {
		before = ends;
		ends = atomic_load(&turn_ends);
		if (ends != before) /* nobody keeps it, so ours may come */
			deadline = kbind_clock_ms() + TURN_WAIT_MS;
		holder = atomic_load(&turn_holder);
		/* Nobody's, or that of a thread which this process, a child, does not have. */
		while (holder != generation)
			if (atomic_compare_exchange_weak(&turn_holder, &holder, generation))
				return true;
		now = kbind_clock_ms();
		if (now >= deadline || now >= last)
			return false;
		turn_sleep(ends);
	}
}

/* What was written since to a connection that is reserved by now is the T3 of that one's own context, or the
 * T1 that is meant, which was answered then. */
static bool turn_has_left(const struct mech_context *context)
{
	struct kbind_candidate now, before;

	if (atomic_load(&turn_awaited) == 0)
		return true;
	for (size_t i = 0; i < turn_last.count; i++) {
		before = (struct kbind_candidate){ .fd = turn_last.listed[i].fd,
			.cookie = turn_last.listed[i].cookie };
		if (context->ops->refresh(&before, &now) == IPSEC_LATCH_LATCHED &&
			now.fitness == IPSEC_LATCH_LATCHED &&
			now.counted_bytes - turn_last.listed[i].counted_bytes >= turn_last.t1_bytes)
			return true;
	}
	return false;
}

/* Each look borrows the descriptors of others for a moment, so they become rare. */
static void turn_await_leaving(const struct mech_context *context)
{
	struct timespec pause = { .tv_nsec = POLL_NS_FIRST };

	while (kbind_clock_ms() - turn_last.made_ms < LEAVE_WAIT_MS && !turn_has_left(context)) {
		(void)nanosleep(&pause, NULL); /* a signal only makes it look sooner */
		if (pause.tv_nsec < POLL_NS_MAX)
			pause.tv_nsec *= 2;
	}
}

bool mech_turn_begin(const struct mech_context *context)
{
	uint64_t generation;
	int state;

	/* Without latches no connection is listed, one descriptor needs no order, and one thread could only
	 * wait for itself. */
	if (mech_latching_policy(context) == CONFIG_LATCH_NO || context->descriptor >= 0 ||
		!kbind_has_threads() || mech_generation_get(&generation) != ERR_OK ||
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state) != 0)
		return false;
	if (!turn_take(generation)) {
		(void)pthread_setcancelstate(state, NULL);
		return false;
	}
	/* A thread that was cancelled would keep the turn for ever, and make all others wait in vain. */
	turn_last.cancel_state = state;
	if (turn_last.generation == generation && turn_last.thread != gettid())
		turn_await_leaving(context);
	turn_last.generation = 0;
	return true;
}

static void turn_note(const struct mech_context *context, size_t t1_bytes)
{
	const struct kbind_candidates *listed = context->exchange->candidates;

	turn_last.thread = gettid();
	turn_last.made_ms = kbind_clock_ms();
	turn_last.t1_bytes = t1_bytes;
	turn_last.count = listed->count;
	for (size_t i = 0; i < listed->count; i++) {
		turn_last.listed[i].fd = listed->items[i].fd;
		turn_last.listed[i].cookie = listed->items[i].cookie;
		turn_last.listed[i].counted_bytes = listed->items[i].counted_bytes;
	}
	atomic_store(&turn_awaited, context->exchange->spi_i);
	turn_last.generation = atomic_load(&turn_holder);
}

void mech_turn_end(const struct mech_context *context, size_t t1_bytes)
{
	const int state = turn_last.cancel_state;

	if (t1_bytes > 0 && context->exchange->candidates->count > 0)
		turn_note(context, t1_bytes);
	atomic_store(&turn_holder, 0);
	(void)atomic_fetch_add(&turn_ends, 1);
	(void)syscall(SYS_futex, &turn_ends, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	(void)pthread_setcancelstate(state, NULL);
}

void mech_turn_is_over(const struct mech_context *context)
{
	uint64_t awaited;

	if (!context->is_initiator || context->exchange == NULL)
		return;
	awaited = context->exchange->spi_i;
	(void)atomic_compare_exchange_strong(&turn_awaited, &awaited, 0);
}
