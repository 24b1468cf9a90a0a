/* SPDX-License-Identifier: BSD-2-Clause */
/* Which connections this process holds: real sockets of every kind, and threads that swap them. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "kernel-bind/client.h"
#include "tests/unit/loopback.h"
#include "tests/unit/suites.h"

#define PAIRS (KBIND_CANDIDATES_MAX / 2 + 4) /* both ends are connections of this process */

static struct kbind_candidates found;

static const struct kbind_candidate *found_socket(int fd)
{
	uint64_t cookie = loopback_cookie(fd);
	const struct kbind_candidate *hit = NULL;
	size_t i;

	for (i = 0; i < found.count; i++) {
		if (found.items[i].cookie == cookie) {
			ck_assert_ptr_null(hit); /* once only */
			hit = &found.items[i];
		}
	}
	return hit;
}

START_TEST(test_none)
{
	size_t before = loopback_descriptors();

	found.count = 77;
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_NONE);
	ck_assert_uint_eq(found.count, 77);
	ck_assert_uint_eq(loopback_descriptors(), before);
}
END_TEST

START_TEST(test_one_connection)
{
	struct loopback pair = loopback_open();
	struct sockaddr_in client = loopback_address(pair.client);
	struct sockaddr_in server = loopback_address(pair.server);
	const struct kbind_candidate *hit;
	size_t before = loopback_descriptors();
	char buffer[8];

	ck_assert_int_eq(send(pair.client, "hello", 5, 0), 5);
	ck_assert_int_eq(recv(pair.server, buffer, sizeof(buffer), 0), 5);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(loopback_descriptors(), before);
	ck_assert_uint_eq(found.count, 2); /* both ends are this process's */
	hit = found_socket(pair.client);
	ck_assert_ptr_nonnull(hit);
	ck_assert_int_eq(hit->fd, pair.client);
	ck_assert_uint_eq(hit->tuple.family, AF_INET);
	ck_assert_uint_eq(hit->tuple.protocol, IPPROTO_TCP);
	ck_assert_uint_eq(hit->tuple.local_port, ntohs(client.sin_port));
	ck_assert_uint_eq(hit->tuple.remote_port, ntohs(server.sin_port));
	ck_assert_int_eq(memcmp(hit->tuple.local, &client.sin_addr, 4), 0);
	ck_assert_uint_eq(hit->sent_bytes, 5);
	ck_assert_uint_eq(hit->received_bytes, 0);
	hit = found_socket(pair.server);
	ck_assert_ptr_nonnull(hit);
	ck_assert_uint_eq(hit->received_bytes, 5);
	ck_assert_uint_lt(hit->last_received_ms, 5000);
	loopback_close(pair);
}
END_TEST

/* One port alone may belong to several connections. */
static bool wants_ports(const struct kbind_candidate *candidate, const void *argument)
{
	const struct kbind_tuple *wanted = argument;

	return candidate->tuple.local_port == wanted->local_port &&
	       candidate->tuple.remote_port == wanted->remote_port;
}

/* An old connection among more than fit: the one on which data has just come is kept, and comes first. */
START_TEST(test_wanted_freshest_first)
{
	struct loopback pairs[PAIRS];
	struct kbind_tuple ports = { 0 };
	size_t i;

	for (i = 0; i < PAIRS; i++)
		pairs[i] = loopback_open();
	ports.local_port = ntohs(loopback_address(pairs[0].client).sin_port);
	ports.remote_port = ntohs(loopback_address(pairs[0].server).sin_port);
	usleep(50000);
	ck_assert_int_eq(send(pairs[0].server, "hello", 5, 0), 5);
	ck_assert_int_eq(kbind_find_wanted(-1, NULL, NULL, NULL, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, KBIND_CANDIDATES_MAX);
	ck_assert(found.is_cut);
	ck_assert_uint_eq(found.items[0].cookie, loopback_cookie(pairs[0].client));
	ck_assert_int_eq(
		kbind_find_wanted(-1, NULL, wants_ports, &ports, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 1);
	ck_assert(!found.is_cut);
	ck_assert_uint_eq(found.items[0].cookie, loopback_cookie(pairs[0].client));
	ck_assert_int_eq(kbind_find_wanted(pairs[1].client, NULL, wants_ports, &ports, &found),
		IPSEC_LATCH_NONE);
	for (i = 0; i < PAIRS; i++)
		loopback_close(pairs[i]);
}
END_TEST

START_TEST(test_several_newest_first)
{
	struct loopback pairs[PAIRS];
	uint64_t newest_left_out = 0;
	struct stat file;
	size_t i, hits = 0;

	for (i = 0; i < PAIRS; i++)
		pairs[i] = loopback_open();
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, KBIND_CANDIDATES_MAX);
	for (i = 1; i < found.count; i++)
		ck_assert_uint_gt(found.items[i - 1].inode, found.items[i].inode);
	for (i = 0; i < 2 * PAIRS; i++) {
		int fd = i % 2 == 0 ? pairs[i / 2].client : pairs[i / 2].server;

		if (found_socket(fd) != NULL) {
			hits++;
			continue;
		}
		ck_assert_int_eq(fstat(fd, &file), 0);
		if (file.st_ino > newest_left_out)
			newest_left_out = file.st_ino;
	}
	ck_assert_uint_eq(hits, KBIND_CANDIDATES_MAX);
	ck_assert_uint_lt(newest_left_out, found.items[KBIND_CANDIDATES_MAX - 1].inode);
	for (i = 0; i < PAIRS; i++)
		loopback_close(pairs[i]);
}
END_TEST

/* Another thread's look at the same socket has a second descriptor for a moment, behind the program's own. */
START_TEST(test_lowest_number_counts)
{
	struct loopback pair = loopback_open();
	int own = dup2(pair.client, 900), higher = dup2(pair.client, 901), held = -1;

	ck_assert_int_eq(close(pair.client), 0);
	pair.client = own;
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
	ck_assert_ptr_nonnull(found_socket(own));
	ck_assert_int_eq(found_socket(own)->fd, own);
	ck_assert_int_eq(kbind_socket_hold(own, &held), IPSEC_LATCH_LATCHED);
	ck_assert_int_gt(held, higher);
	ck_assert_int_eq(close(held), 0);
	ck_assert_int_eq(close(higher), 0);
	loopback_close(pair);
}
END_TEST

static void expect_only(int fd, enum ipsec_latch_reason reason)
{
	ck_assert_int_eq(kbind_find_candidates(fd, &found), reason);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_NONE);
}

START_TEST(test_other_sockets)
{
	struct sockaddr_in address;
	int listener = loopback_bound(SOCK_STREAM), fresh = loopback_bound(SOCK_STREAM);
	int udp = loopback_bound(SOCK_DGRAM), local[2];

	address = loopback_address(udp);
	ck_assert_int_eq(connect(udp, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	expect_only(listener, IPSEC_LATCH_NOT_TCP);
	expect_only(fresh, IPSEC_LATCH_NOT_TCP);
	expect_only(udp, IPSEC_LATCH_NOT_TCP);
	expect_only(local[0], IPSEC_LATCH_NOT_TCP);
	expect_only(STDERR_FILENO, IPSEC_LATCH_NOT_TCP);
	expect_only(9999, IPSEC_LATCH_SOCKET_GONE);
	close(listener);
	close(fresh);
	close(udp);
	close(local[0]);
	close(local[1]);
}
END_TEST

START_TEST(test_explicit)
{
	struct loopback pair = loopback_open(), other = loopback_open();
	size_t before = loopback_descriptors();

	ck_assert_int_eq(kbind_find_candidates(pair.server, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_int_eq(found.items[0].fd, pair.server);
	ck_assert_ptr_nonnull(found_socket(pair.server));
	ck_assert_uint_eq(loopback_descriptors(), before);
	loopback_close(pair);
	loopback_close(other);
}
END_TEST

/* A connection that is being opened, or may not be filtered, counts as one that cannot be latched. */
START_TEST(test_unfit)
{
	struct loopback pair = loopback_open();
	int fd, listener = loopback_bound(SOCK_STREAM);
	struct sockaddr_in address = loopback_address(listener);
	struct kbind_candidate now;
	const int yes = 1;
	char path[64];

	ck_assert_int_eq(setsockopt(pair.client, SOL_SOCKET, SO_LOCK_FILTER, &yes, sizeof(yes)), 0);
	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_HAS_FILTER);
	ck_assert_uint_eq(found.unfit_count, 1);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", pair.server);
	fd = open(path, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(kbind_find_candidates(fd, &found), IPSEC_LATCH_NOT_TCP);
	ck_assert_uint_eq(found.unfit_count, 0);
	close(fd);
	loopback_close(pair);
	/* Fast Open: connected as far as the program knows, before a single packet. */
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &yes, sizeof(yes)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &yes, sizeof(yes)), 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(kbind_find_candidates(fd, &found), IPSEC_LATCH_NOT_TCP);
	ck_assert_uint_eq(found.unfit_count, 1);
	ck_assert_int_eq(kbind_refresh(&found.unfit[0], &now), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(send(fd, "T1", 2, 0), 2);
	close(accept(listener, NULL, NULL));
	ck_assert_int_eq(kbind_refresh(&found.unfit[0], &now), IPSEC_LATCH_LATCHED);
	ck_assert_uint_ge(now.sent_bytes, 2);
	close(fd);
	close(listener);
}
END_TEST

START_TEST(test_half_closed)
{
	struct loopback pair = loopback_open();
	struct pollfd waiting = { .fd = pair.server, .events = POLLRDHUP };

	ck_assert_int_eq(shutdown(pair.client, SHUT_WR), 0);
	ck_assert_int_eq(poll(&waiting, 1, 2000), 1);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_NONE);
	ck_assert_int_eq(kbind_find_candidates(pair.server, &found), IPSEC_LATCH_SOCKET_GONE);
	loopback_close(pair);
}
END_TEST

START_TEST(test_self_connected)
{
	int fd = loopback_bound(SOCK_STREAM);
	struct sockaddr_in address = loopback_address(fd);

	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_SELF);
	ck_assert_int_eq(kbind_find_candidates(fd, &found), IPSEC_LATCH_SELF);
	close(fd);
}
END_TEST

START_TEST(test_duplicates_count_once)
{
	struct loopback pair = loopback_open();
	int copies[5], status;
	pid_t child;
	size_t i;

	for (i = 0; i < 5; i++)
		copies[i] = dup(pair.client);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_ptr_nonnull(found_socket(pair.client));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) /* what was inherited is as good as what was opened */
		_exit(kbind_find_candidates(-1, &found) == IPSEC_LATCH_LATCHED && found.count == 2
				? 0
				: 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	for (i = 0; i < 5; i++)
		close(copies[i]);
	loopback_close(pair);
}
END_TEST

START_TEST(test_mapped_address)
{
	int listener = loopback_bound(SOCK_STREAM), fd, accepted;
	struct sockaddr_in address = loopback_address(listener);
	struct sockaddr_in6 mapped = { .sin6_family = AF_INET6, .sin6_port = address.sin_port };
	struct kbind_candidate now, before = { 0 };

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr), 1);
	fd = socket(AF_INET6, SOCK_STREAM, 0);
	if (fd < 0) {
		printf("SKIPPED: this host has no IPv6\n");
		return;
	}
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&mapped, sizeof(mapped)), 0);
	accepted = accept(listener, NULL, NULL);
	ck_assert_int_eq(kbind_find_candidates(fd, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.items[0].tuple.family, AF_INET);
	ck_assert_int_eq(kbind_find_candidates(accepted, &found), IPSEC_LATCH_LATCHED);
	before.fd = fd;
	before.cookie = loopback_cookie(fd);
	before.tuple = found.items[0].tuple;
	before.tuple.local_port = found.items[0].tuple.remote_port;
	before.tuple.remote_port = found.items[0].tuple.local_port;
	ck_assert_int_eq(kbind_refresh(&before, &now), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(now.tuple.family, AF_INET);
	close(accepted);
	close(listener);
	close(fd);
}
END_TEST

static void attach_classic(int fd)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog program = { .len = 1, .filter = &code };

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

/* What the broker's recorder is, seen from outside; false where this host does not allow it. */
static bool attach_extended(int fd)
{
	static const char license[] = "BSD";
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0x7fffffff },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attributes = { .prog_type = BPF_PROG_TYPE_SOCKET_FILTER };
	int program;

	attributes.insns = (uint64_t)(uintptr_t)code;
	attributes.insn_cnt = 2;
	attributes.license = (uint64_t)(uintptr_t)license;
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
	if (program < 0)
		return false;
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_ATTACH_BPF, &program, sizeof(program)), 0);
	close(program);
	return true;
}

START_TEST(test_own_filter)
{
	struct loopback pair = loopback_open();

	attach_classic(pair.client);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_ptr_nonnull(found_socket(pair.server));
	ck_assert_uint_eq(found.unfit_count, 1);
	ck_assert_uint_eq(found.unfit[0].cookie, loopback_cookie(pair.client));
	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_HAS_FILTER);
	ck_assert_uint_eq(found.unfit_count, 1);
	attach_classic(pair.server);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_HAS_FILTER);
	ck_assert_uint_eq(found.unfit_count, 2);
	loopback_close(pair);
}
END_TEST

START_TEST(test_recorder)
{
	struct loopback pair = loopback_open();
	struct kbind_candidate now;

	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
	attach_classic(pair.server);
	if (attach_extended(pair.client)) {
		ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_ALREADY_LATCHED);
		ck_assert_uint_eq(found.unfit_count, 2);
		ck_assert_int_eq(found.unfit[0].fitness + found.unfit[1].fitness,
			IPSEC_LATCH_ALREADY_LATCHED + IPSEC_LATCH_HAS_FILTER);
		ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_LATCHED);
	} else {
		printf("SKIPPED: eBPF filters are not allowed here (%s)\n", strerror(errno));
	}
	loopback_close(pair);
}
END_TEST

START_TEST(test_too_many)
{
	struct rlimit limit = { 5000, 5000 };
	int fd, last = -1, i;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		printf("SKIPPED: 5000 descriptors are not allowed here\n");
		return;
	}
	fd = open("/dev/null", O_RDONLY);
	for (i = 0; i < 4096; i++)
		last = dup(fd);
	ck_assert_int_ge(last, 4096);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_TOO_MANY);
	for (i = fd; i <= last; i++)
		close(i);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_NONE);
}
END_TEST

START_TEST(test_no_descriptor_left)
{
	struct loopback pair = loopback_open();
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_TOO_MANY);
	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_TOO_MANY);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	loopback_close(pair);
}
END_TEST

START_TEST(test_refresh)
{
	struct loopback pair = loopback_open(), other = loopback_open();
	struct kbind_candidate before, now = { .fd = -5 };
	char octet;

	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
	before = found.items[0];
	ck_assert_int_eq(send(pair.client, "abc", 3, 0), 3);
	ck_assert_int_eq(kbind_refresh(&before, &now), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(now.sent_bytes, before.sent_bytes + 3);
	now.fd = -5;
	ck_assert_int_eq(dup2(other.client, pair.client), pair.client); /* same number */
	ck_assert_int_eq(kbind_refresh(&before, &now), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_int_eq(dup2(STDERR_FILENO, pair.client), pair.client);
	ck_assert_int_eq(kbind_refresh(&before, &now), IPSEC_LATCH_SOCKET_GONE);
	close(pair.client);
	ck_assert_int_eq(kbind_refresh(&before, &now), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_int_eq(now.fd, -5);
	/* Nothing of ours keeps the connection open: its end arrives. */
	ck_assert_int_eq(recv(pair.server, &octet, 1, MSG_WAITALL), 1);
	ck_assert_int_eq(recv(pair.server, &octet, 1, MSG_WAITALL), 1);
	ck_assert_int_eq(recv(pair.server, &octet, 1, MSG_WAITALL), 1);
	ck_assert_int_eq(recv(pair.server, &octet, 1, MSG_WAITALL), 0);
	close(pair.server);
	loopback_close(other);
}
END_TEST

/* Whoever closes, or resets, the other end does not take away what has come before. */
START_TEST(test_refresh_closed_by_peer)
{
	const struct linger reset = { .l_onoff = 1 };

	for (int resets = 0; resets < 2; resets++) {
		struct loopback pair = loopback_open();
		struct kbind_candidate now;
		int held;

		ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
		ck_assert_int_eq(send(pair.server, "abc", 3, 0), 3);
		if (resets)
			ck_assert_int_eq(setsockopt(pair.server, SOL_SOCKET, SO_LINGER, &reset,
						 sizeof(reset)),
				0);
		close(pair.server);
		ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_LATCHED);
		ck_assert(now.is_closing);
		ck_assert_uint_ge(
			now.received_bytes, found.items[0].received_bytes + 3); /* FIN is one */
		ck_assert_int_eq(
			kbind_candidate_hold(&found.items[0], &held), IPSEC_LATCH_SOCKET_GONE);
		close(pair.client);
	}
}
END_TEST

/* The same socket, connected elsewhere: the cookie stays, the tuple does not. */
START_TEST(test_refresh_reconnected)
{
	struct loopback pair = loopback_open();
	struct sockaddr disconnect = { .sa_family = AF_UNSPEC };
	int listener = loopback_bound(SOCK_STREAM);
	struct sockaddr_in address = loopback_address(listener);
	struct kbind_candidate now;

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(connect(pair.client, &disconnect, sizeof(disconnect)), 0);
	ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_LATCHED);
	ck_assert(now.is_closing);
	ck_assert_int_eq(connect(pair.client, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_uint_eq(loopback_cookie(pair.client), found.items[0].cookie);
	ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_SOCKET_GONE);
	close(listener);
	loopback_close(pair);
}
END_TEST

static atomic_bool swapping;

/* Opens and closes connections and files as fast as it can, on the same few numbers. */
static void *swap_descriptors(void *argument)
{
	(void)argument;
	while (atomic_load(&swapping)) {
		struct loopback pair = loopback_open();
		int file = open("/dev/null", O_RDONLY | O_CLOEXEC);

		loopback_close(pair);
		close(file);
	}
	return NULL;
}

START_TEST(test_swapped_under_the_hands)
{
	struct loopback pair = loopback_open();
	struct kbind_candidate steady, now;
	size_t before = loopback_descriptors();
	pthread_t threads[2];
	size_t i, round;

	ck_assert_int_eq(kbind_find_candidates(pair.client, &found), IPSEC_LATCH_LATCHED);
	steady = found.items[0];
	atomic_store(&swapping, true);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, swap_descriptors, NULL), 0);
	for (round = 0; round < 300; round++) {
		ck_assert_int_eq(kbind_find_candidates(-1, &found), IPSEC_LATCH_LATCHED);
		ck_assert_ptr_nonnull(found_socket(pair.client));
		ck_assert_ptr_nonnull(found_socket(pair.server));
		for (i = 0; i < found.count; i++)
			ck_assert_uint_ne(found.items[i].tuple.remote_port, 0);
		ck_assert_int_eq(kbind_refresh(&steady, &now), IPSEC_LATCH_LATCHED);
		ck_assert(now.cookie == steady.cookie);
	}
	atomic_store(&swapping, false);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_uint_eq(loopback_descriptors(), before);
	loopback_close(pair);
}
END_TEST

Suite *suite_candidates(void)
{
	Suite *suite = suite_create("candidates");
	TCase *find = tcase_create("find"), *refresh = tcase_create("refresh");

	tcase_add_test(find, test_lowest_number_counts);
	tcase_add_test(find, test_none);
	tcase_add_test(find, test_one_connection);
	tcase_add_test(find, test_several_newest_first);
	tcase_add_test(find, test_wanted_freshest_first);
	tcase_add_test(find, test_other_sockets);
	tcase_add_test(find, test_explicit);
	tcase_add_test(find, test_unfit);
	tcase_add_test(find, test_half_closed);
	tcase_add_test(find, test_self_connected);
	tcase_add_test(find, test_duplicates_count_once);
	tcase_add_test(find, test_mapped_address);
	tcase_add_test(find, test_own_filter);
	tcase_add_test(find, test_recorder);
	tcase_add_test(find, test_no_descriptor_left);
	tcase_add_test(find, test_too_many);
	suite_add_tcase(suite, find);
	tcase_add_test(refresh, test_refresh);
	tcase_add_test(refresh, test_refresh_closed_by_peer);
	tcase_add_test(refresh, test_refresh_reconnected);
	tcase_add_test(refresh, test_swapped_under_the_hands);
	tcase_set_timeout(refresh, 30);
	suite_add_tcase(suite, refresh);
	return suite;
}
