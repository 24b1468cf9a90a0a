/* SPDX-License-Identifier: BSD-2-Clause */
/* The client half where the broker is busy, silent, strange or not there: bounded in time, and the right reason. */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "tests/unit/client_broker.h"
#include "tests/unit/suites.h"

#define BROKER_LIFE_SEC 60 /* of one that has to be stopped */

/* --- the broker's side --- */

/* A crowd that does not end. */
static void serve_crowd_for_ever(int connection)
{
	(void)alarm(BROKER_LIFE_SEC);
	for (; connection >= 0; connection = accept(listener_of_broker, NULL, NULL)) {
		require(recv(connection, &answer_type, 1, MSG_PEEK) == 1);
		close(connection);
	}
}

/* Hangs up on one, and takes no other: its backlog is full. */
static void serve_crowd_at_door(int connection)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int filler;

	(void)alarm(BROKER_LIFE_SEC);
	strcpy(address.sun_path, path);
	do {
		filler = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);
		require(filler >= 0);
	} while (connect(filler, (struct sockaddr *)&address, sizeof(address)) == 0);
	require(errno == EAGAIN);
	require(recv(connection, &answer_type, 1, MSG_PEEK) == 1);
	close(connection);
	(void)pause();
}

static void serve_silence(int connection)
{
	(void)hear(connection);
	(void)hear(connection); /* fails when the client gives up */
}

static void serve_garbage(int connection)
{
	(void)hear(connection);
	require(send(connection, "\x01\x00\x01", 3, 0) == 3);
}

static void serve_too_much(int connection)
{
	static const uint8_t data[BROKER_REPLY_BYTES_MAX + 1] = { BROKER_VERSION, 0 };

	(void)hear(connection);
	require(send(connection, data, sizeof(data), 0) == (ssize_t)sizeof(data));
}

/* --- the program's side --- */

/* The clock goes forward by so much each time it is looked at. */
static int64_t clock_stride_ms, clock_ahead_ms;

int64_t __real_kbind_clock_ms(void);
int64_t __wrap_kbind_clock_ms(void);

int64_t __wrap_kbind_clock_ms(void)
{
	clock_ahead_ms += clock_stride_ms;
	return __real_kbind_clock_ms() + clock_ahead_ms;
}

/* What was never read has changed nothing, so the broker is not lost. */
START_TEST(test_broker_busy)
{
	struct kbind_latch latch = { .token_bytes = 900 };
	struct kbind_lease lease = { .cookie = candidate.cookie, .is_held = true };

	clock_stride_ms = 2000;
	broker_start(serve_crowd_for_ever);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_BROKER_BUSY);
	ck_assert_int_ge(clock_ahead_ms, KBIND_BROKER_CROWD_MS);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_BROKER_BUSY);
	broker_stop();
	clock_stride_ms = 5000; /* seven of the twelve seconds are left */
	broker_start(serve_crowd_at_door);
	ck_assert_int_eq(kbind_latch(path, &candidate, &lease, &latch), IPSEC_LATCH_BROKER_BUSY);
	broker_stop();
	clock_stride_ms = 0;
}
END_TEST

START_TEST(test_bad_answers)
{
	struct kbind_status status;

	broker_start(serve_garbage);
	ck_assert_int_eq(kbind_query(path, pair.client, &status), IPSEC_LATCH_NO_BROKER);
	broker_finish(0);
	broker_start(serve_too_much);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	broker_finish(0);
	broker_start(serve_hang_up);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	broker_finish(0);
}
END_TEST

START_TEST(test_no_broker)
{
	char longer[200];

	memset(longer, '/', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	ck_assert_int_eq(kbind_ping(longer), IPSEC_LATCH_NO_BROKER);
	ck_assert_int_eq(kbind_ping(""), IPSEC_LATCH_NO_BROKER);
}
END_TEST

static void count_alarm(int number)
{
	(void)number;
}

/* Signals without SA_RESTART, every 10 ms. */
static void interrupt(bool is_on)
{
	struct sigaction action = { .sa_handler = count_alarm };
	struct itimerval timer = { { 0, is_on ? 10000 : 0 }, { 0, is_on ? 10000 : 0 } };

	ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
	ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

START_TEST(test_silence_ends)
{
	int64_t begin = kbind_clock_ms(), took;

	broker_start(serve_silence);
	interrupt(true);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	interrupt(false);
	took = kbind_clock_ms() - begin;
	ck_assert_int_ge(took, KBIND_BROKER_TIMEOUT_MS);
	ck_assert_int_lt(took, KBIND_BROKER_TIMEOUT_MS + 2000);
	broker_finish(3);
}
END_TEST

/* Nobody accepts and the backlog is full: connect() itself has to end. */
START_TEST(test_full_backlog_ends)
{
	int listener = listen_at(path, 0), filler = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int64_t begin = kbind_clock_ms(), took;

	strcpy(address.sun_path, path);
	ck_assert_int_eq(connect(filler, (struct sockaddr *)&address, sizeof(address)), 0);
	interrupt(true);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	interrupt(false);
	took = kbind_clock_ms() - begin;
	ck_assert_int_ge(took, KBIND_BROKER_TIMEOUT_MS - 100);
	ck_assert_int_lt(took, KBIND_BROKER_TIMEOUT_MS + 2000);
	close(filler);
	close(listener);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Another user's process that got hold of the path is not asked, and gets no key. */
START_TEST(test_strange_broker)
{
	int status;
	pid_t owner;

	if (geteuid() != 0) {
		printf("SKIPPED: a broker of another user takes root\n");
		return;
	}
	ck_assert_int_eq(chown(directory, 65534, 65534), 0);
	owner = fork();
	ck_assert_int_ge(owner, 0);
	if (owner == 0) {
		require(setuid(65534) == 0);
		(void)listen_at(path, 1);
		pause();
		_exit(0);
	}
	while (access(path, F_OK) != 0)
		usleep(1000);
	usleep(20000);
	ck_assert_int_eq(kbind_ping(path), IPSEC_LATCH_NO_BROKER);
	ck_assert_int_eq(kill(owner, SIGKILL), 0);
	ck_assert_int_eq(waitpid(owner, &status, 0), owner);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

Suite *suite_client_trouble(void)
{
	Suite *suite = suite_create("client_trouble");
	TCase *trouble = tcase_create("trouble");

	tcase_add_checked_fixture(trouble, client_set_up, client_tear_down);
	tcase_add_test(trouble, test_broker_busy);
	tcase_add_test(trouble, test_bad_answers);
	tcase_add_test(trouble, test_no_broker);
	tcase_add_test(trouble, test_silence_ends);
	tcase_add_test(trouble, test_full_backlog_ends);
	tcase_add_test(trouble, test_strange_broker);
	tcase_set_timeout(trouble, 40);
	suite_add_tcase(suite, trouble);
	return suite;
}
