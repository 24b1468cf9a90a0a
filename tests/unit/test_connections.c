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
	ck_assert_int_eq(kbind_visit_all(-1, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(loopback_descriptors(), before + 1); /* two of local, but one of closed */
	ck_assert_uint_eq(visited.count, 3);
	ck_assert_uint_eq(visited.closing, 1);
	ck_assert(was_visited(&visited, pair.client) && was_visited(&visited, pair.server));
	ck_assert(was_visited(&visited, closed.client));
	visited.count = 0;
	ck_assert_int_eq(kbind_visit_all(pair.server, note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_uint_eq(visited.count, 1);
	ck_assert(was_visited(&visited, pair.server));
	ck_assert_int_eq(kbind_visit_all(local[0], note_visit, &visited), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(kbind_visit_all(9999, note_visit, &visited), IPSEC_LATCH_SOCKET_GONE);
	ck_assert_uint_eq(visited.count, 1);
	close(local[0]);
	close(local[1]);
	close(listener);
	loopback_close(pair);
	close(closed.client);
}
END_TEST

/* What has come and was not read yet. */
START_TEST(test_unread)
{
	struct loopback pair = loopback_open();
	struct kbind_candidates found;
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
	tcase_add_test(tests, test_unread);
	suite_add_tcase(suite, tests);
	return suite;
}
