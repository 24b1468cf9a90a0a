/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking again: all connections of this process, and what one of them has not read yet. */
#include <check.h>
#include <linux/filter.h>

#include "kernel-bind/client.h"
#include "tests/unit/loopback.h"
#include "tests/unit/suites.h"

static void attach_classic(int fd)
{
	struct sock_filter code = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog program = { .len = 1, .filter = &code };

	ck_assert_int_eq(
		setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

struct visited {
	uint64_t cookies[16];
	size_t count, closing;
};

static void note_visit(const struct kbind_candidate *connection, void *argument)
{
	struct visited *visited = argument;

	ck_assert_uint_lt(visited->count, 16);
	visited->cookies[visited->count++] = connection->cookie;
	visited->closing += connection->is_closing;
}

static bool was_visited(const struct visited *visited, int fd)
{
	uint64_t cookie = loopback_cookie(fd);

	for (size_t i = 0; i < visited->count; i++)
		if (visited->cookies[i] == cookie)
			return true;
	return false;
}

/* All connections, whatever has become of them; no listener, and nothing that is no connection. */
START_TEST(test_visit)
{
	struct loopback pair = loopback_open(), closed = loopback_open();
	int listener = loopback_bound(SOCK_STREAM), local[2];
	struct visited visited = { .count = 0 };
	size_t before = loopback_descriptors();

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	attach_classic(pair.client);
	close(closed.server);
	ck_assert_int_eq(kbind_visit_all(-1, NULL, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(loopback_descriptors(), before + 1); /* two of local, but one of closed */
	ck_assert_uint_eq(visited.count, 3);
	ck_assert_uint_eq(visited.closing, 1);
	ck_assert(was_visited(&visited, pair.client) && was_visited(&visited, pair.server));
	ck_assert(was_visited(&visited, closed.client));
	visited.count = 0;
	ck_assert_int_eq(
		kbind_visit_all(pair.server, NULL, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(was_visited(&visited, pair.server));
	ck_assert_int_eq(
		kbind_visit_all(local[0], NULL, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(
		kbind_visit_all(9999, NULL, note_visit, &visited), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_uint_eq(visited.count, 1);
	close(local[0]);
	close(local[1]);
	close(listener);
	loopback_close(pair);
	close(closed.client);
}
END_TEST

static struct kbind_candidates found;

struct picked {
	uint64_t cookie;
	uint16_t client_port, server_port;
};

static bool takes_cookie(uint64_t cookie, const void *argument)
{
	return cookie == ((const struct picked *)argument)->cookie;
}

static bool takes_tuple(const struct kbind_tuple *tuple, const void *argument)
{
	const struct picked *picked = argument;

	ck_assert_uint_eq(tuple->family, AF_INET);
	/* Connections to different ports may have the same own one. */
	return tuple->local_port + tuple->remote_port ==
		       picked->client_port + picked->server_port &&
	       (tuple->local_port == picked->client_port ||
		       tuple->local_port == picked->server_port);
}

/* What the search is not for is not looked at, whatever it is; what it is for is found under its lowest number. */
START_TEST(test_find_picked)
{
	struct loopback pair = loopback_open(), other = loopback_open();
	int listener = loopback_bound(SOCK_STREAM), copy = dup(pair.client), local[2];
	struct picked picked = { loopback_cookie(pair.client),
		ntohs(loopback_address(pair.client).sin_port),
		ntohs(loopback_address(pair.server).sin_port) };
	const struct kbind_pick by_tuple = { .takes_tuple = takes_tuple, .argument = &picked };
	const struct kbind_pick by_cookie = { .takes_cookie = takes_cookie, .argument = &picked };
	const struct kbind_pick by_both = { takes_cookie, takes_tuple, &picked };

	ck_assert_int_eq(listen(listener, 1), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, local), 0);
	ck_assert_int_eq(kbind_find_wanted(-1, &by_tuple, NULL, NULL, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 2);
	ck_assert_int_eq(
		kbind_find_wanted(-1, &by_cookie, NULL, NULL, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.count, 1);
	ck_assert_int_eq(found.items[0].fd, pair.client);
	ck_assert_int_eq(kbind_find_wanted(-1, &by_both, NULL, NULL, &found), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(found.items[0].cookie, picked.cookie);
	picked.client_port = 1;
	ck_assert_int_eq(kbind_find_wanted(-1, &by_both, NULL, NULL, &found), IPSEC_LATCH_NONE);
	/* A descriptor that is named is looked at in any case. */
	ck_assert_int_eq(
		kbind_find_wanted(other.client, &by_both, NULL, NULL, &found), IPSEC_LATCH_LATCHED);
	close(listener);
	close(local[0]);
	close(local[1]);
	close(copy);
	loopback_close(other);
	loopback_close(pair);
}
END_TEST

/* A connection that the other end has closed is known by its cookie all the same. */
START_TEST(test_visit_picked)
{
	struct loopback pair = loopback_open(), closed = loopback_open();
	struct picked picked = { .cookie = loopback_cookie(closed.client) };
	const struct kbind_pick pick = { .takes_cookie = takes_cookie, .argument = &picked };
	struct visited visited = { .count = 0 };

	close(closed.server);
	ck_assert_int_eq(kbind_visit_all(-1, &pick, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(was_visited(&visited, closed.client));
	ck_assert_int_eq(kbind_find_wanted(-1, &pick, NULL, NULL, &found), IPSEC_LATCH_SOCKET_GONE);
	visited.count = 0;
	ck_assert_int_eq(
		kbind_visit_all(pair.server, &pick, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(visited.count, 1);
	loopback_close(pair);
	close(closed.client);
}
END_TEST

/* What has come and was not read yet. */
START_TEST(test_unread)
{
	struct loopback pair = loopback_open();
	struct kbind_candidate now;
	char buffer[8];

	ck_assert_int_eq(kbind_find_candidates(pair.server, &found), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(send(pair.client, "hello", 5, 0), 5);
	ck_assert_int_eq(recv(pair.server, buffer, 1, MSG_PEEK), 1);
	ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(now.unread_bytes, 5);
	ck_assert_int_eq(recv(pair.server, buffer, sizeof(buffer), 0), 5);
	ck_assert_int_eq(kbind_refresh(&found.items[0], &now), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(now.unread_bytes, 0);
	loopback_close(pair);
}
END_TEST

Suite *suite_connections(void)
{
	Suite *suite = suite_create("connections");
	TCase *tests = tcase_create("connections");

	tcase_add_test(tests, test_visit);
	tcase_add_test(tests, test_find_picked);
	tcase_add_test(tests, test_visit_picked);
	tcase_add_test(tests, test_unread);
	suite_add_tcase(suite, tests);
	return suite;
}
