/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who closes a client's connection last: never the daemon, and no worker that has just been forked.
 * Workers are played here; with real ones: tests/real/hostile_cuse.c, tests/weakened/attack_users.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_pool.h"
#include "tests/unit/suites.h"

static struct broker broker;
static int worker_end; /* of the worker that was started last */
static int start_error;

/* The linker puts it in the place of the real one. */
int __wrap_worker_start(const struct worker_place *place, pid_t *ret_pid, int *ret_fd);

int __wrap_worker_start(const struct worker_place *place, pid_t *ret_pid, int *ret_fd)
{
	int pair[2];

	(void)place;
	if (start_error != 0)
		return start_error;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	*ret_pid = fork();
	ck_assert_int_ge(*ret_pid, 0);
	if (*ret_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close_range(0, ~0u, 0);
		for (;;)
			(void)pause();
	}
	*ret_fd = pair[0];
	worker_end = pair[1];
	return 0;
}

static void pool_make(void)
{
	start_error = 0;
	broker = (struct broker){ .listener = -1, .left_over = -1, .discarder = { .fd = -1 } };
	broker.options.workers_max = BROKER_WORKERS_MAX;
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++)
		broker.workers[i].fd = -1;
}

/* With its discarder, which is ready. */
static int pool_open(void)
{
	pool_make();
	pool_balance(&broker);
	pool_worker_set_ready(&broker.discarder);
	return worker_end;
}

static bool is_closed(int peer)
{
	char octet;

	return recv(peer, &octet, 1, MSG_DONTWAIT) == 0;
}

static void connection_make(int *ret_connection, int *ret_peer)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	*ret_connection = pair[0];
	*ret_peer = pair[1];
}

static enum worker_message_type message_take(int end, int *ret_fd)
{
	struct worker_message message;

	ck_assert_int_eq(worker_receive(end, &message, ret_fd), 0);
	return message.type;
}

/* The worker that has it is the only one when it is told so. */
START_TEST(test_daemon_closes_first)
{
	const struct broker_user user = { .uid = 1000, .account = 1000, .group = 1000 };
	struct broker_worker *worker;
	int connection, peer, taken, none, end;

	(void)pool_open();
	ck_assert(pool_worker_add(&broker));
	end = worker_end;
	pool_worker_set_ready(&broker.workers[0]);
	worker = pool_worker_find_idle(&broker);
	ck_assert_ptr_nonnull(worker);
	connection_make(&connection, &peer);
	ck_assert_int_eq(pool_worker_start_job(worker, &user, &connection), 0);
	ck_assert_int_eq(connection, -1);
	ck_assert_int_eq(message_take(end, &taken), WORKER_CONNECTION);
	ck_assert_int_eq(message_take(end, &none), WORKER_YOURS);
	ck_assert(taken >= 0 && none < 0 && !is_closed(peer));
	message_close(&taken);
	ck_assert(is_closed(peer));
	pool_stop(&broker);
}
END_TEST

/* One that was forked has copies of all that the daemon holds: until it has closed them, or has ended,
 * nothing leaves the daemon's hands. */
START_TEST(test_newborn)
{
	(void)pool_open();
	ck_assert(pool_may_let_go(&broker) && pool_may_discard(&broker));
	ck_assert(pool_worker_add(&broker));
	ck_assert(!pool_may_let_go(&broker) && !pool_may_discard(&broker));
	ck_assert_ptr_null(pool_worker_find_idle(&broker));
	if (_i == 0) {
		pool_worker_set_ready(&broker.workers[0]);
		ck_assert_ptr_eq(pool_worker_find_idle(&broker), &broker.workers[0]);
	} else {
		pool_worker_give_up(&broker, &broker.workers[0], "is given up");
		ck_assert(!pool_may_let_go(&broker));
		for (int i = 0; i < 5000 && broker.workers[0].pid != 0; i++) {
			(void)poll(NULL, 0, 1);
			pool_reap(&broker);
		}
		ck_assert_ptr_null(pool_worker_find_idle(&broker));
	}
	ck_assert(pool_may_let_go(&broker) && pool_may_discard(&broker));
	pool_stop(&broker);
}
END_TEST

/* As many as may be given up at once fit into a socket's buffer. */
START_TEST(test_discards_fit)
{
	int connection, peer, taken, count = 0, end = pool_open();
	const pid_t discarder = broker.discarder.pid;

	for (; pool_may_discard(&broker); count++) {
		connection_make(&connection, &peer);
		pool_discard(&broker, &connection);
		ck_assert_int_eq(connection, -1);
		(void)close(peer);
	}
	ck_assert_int_ge(count, 32);
	ck_assert_int_eq(broker.discarder.pid, discarder);
	for (int i = 0; i < count; i++) {
		ck_assert_int_eq(message_take(end, &taken), WORKER_DISCARD);
		ck_assert_int_ge(taken, 0);
		message_close(&taken);
		ck_assert_int_eq(message_take(end, &taken), WORKER_YOURS);
	}
	pool_stop(&broker);
}
END_TEST

/* It is kept for the next discarder. */
START_TEST(test_nobody_to_discard)
{
	int connection, peer, taken;

	pool_make();
	start_error = EAGAIN;
	pool_balance(&broker);
	connection_make(&connection, &peer);
	pool_discard(&broker, &connection);
	ck_assert(connection == -1 && !is_closed(peer) && !pool_may_discard(&broker));
	start_error = 0;
	pool_balance(&broker);
	ck_assert(!pool_may_discard(&broker));
	pool_worker_set_ready(&broker.discarder);
	pool_balance(&broker);
	ck_assert_int_eq(message_take(worker_end, &taken), WORKER_DISCARD);
	ck_assert(!is_closed(peer));
	message_close(&taken);
	/* The child has its own, until it has closed it. */
	ck_assert_int_eq(poll(&(struct pollfd){ .fd = peer, .events = POLLIN }, 1, 5000), 1);
	ck_assert(is_closed(peer));
	ck_assert(pool_may_discard(&broker));
	pool_stop(&broker);
}
END_TEST

Suite *suite_broker_pool(void)
{
	Suite *suite = suite_create("broker_pool");
	TCase *tests = tcase_create("broker_pool");

	tcase_add_test(tests, test_daemon_closes_first);
	tcase_add_loop_test(tests, test_newborn, 0, 2);
	tcase_add_test(tests, test_discards_fit);
	tcase_add_test(tests, test_nobody_to_discard);
	suite_add_tcase(suite, tests);
	return suite;
}
