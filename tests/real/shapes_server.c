/* SPDX-License-Identifier: BSD-2-Clause */
/* The shapes program's servers in one process, and those that share a port. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/shapes.h"

#define EVENTS 64

static struct sh_login *login_accept(int listener)
{
	struct sh_login *login = calloc(1, sizeof(*login));

	if (login == NULL)
		abort();
	login->fd = accept(listener, NULL, NULL);
	if (login->fd >= 0)
		return login;
	free(login);
	return NULL;
}

static bool watch(int poller, int operation, uint32_t flags, struct sh_login *login, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | flags, .data.ptr = login };

	return epoll_ctl(poller, operation, fd, &event) == 0;
}

static bool login_serve_next(struct sh_login *login)
{
	struct rv_frame frame;

	if (rv_receive(login->fd, RV_READ_WHOLE, &frame) && sh_serve_frame(login, &frame))
		return true;
	sh_login_free(login);
	free(login);
	return false;
}

/* --- one thread, one event after the other --- */

static void serve_loop(int listener, const char *port)
{
	struct epoll_event events[EVENTS];
	int count, poller = epoll_create1(EPOLL_CLOEXEC);

	(void)port;
	if (!watch(poller, EPOLL_CTL_ADD, 0, NULL, listener))
		return;
	while ((count = epoll_wait(poller, events, EVENTS, -1)) > 0)
		for (int i = 0; i < count; i++) {
			struct sh_login *login = events[i].data.ptr;

			if (login != NULL) {
				(void)login_serve_next(login);
				continue;
			}
			login = login_accept(listener);
			if (login != NULL && !watch(poller, EPOLL_CTL_ADD, 0, login, login->fd))
				return;
		}
}

/* --- accepts in one thread, and any of some others takes the next token --- */

struct pool {
	int listener, poller;
	pthread_mutex_t lock;
	pthread_cond_t is_filled;
	struct sh_login *waiting[1024];
	size_t first, count;
};

static void pool_put(struct pool *pool, struct sh_login *login)
{
	(void)pthread_mutex_lock(&pool->lock);
	if (pool->count == sizeof(pool->waiting) / sizeof(pool->waiting[0]))
		abort();
	pool->waiting[(pool->first + pool->count++) % 1024] = login;
	(void)pthread_cond_signal(&pool->is_filled);
	(void)pthread_mutex_unlock(&pool->lock);
}

static struct sh_login *pool_take(struct pool *pool)
{
	struct sh_login *login;

	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count == 0)
		(void)pthread_cond_wait(&pool->is_filled, &pool->lock);
	login = pool->waiting[pool->first++ % 1024];
	pool->first %= 1024;
	pool->count--;
	(void)pthread_mutex_unlock(&pool->lock);
	return login;
}

static void *pool_work(void *argument)
{
	struct pool *pool = argument;

	for (;;) {
		struct sh_login *login = pool_take(pool);

		if (login_serve_next(login))
			(void)watch(pool->poller, EPOLL_CTL_MOD, EPOLLONESHOT, login, login->fd);
	}
	return NULL;
}

static void serve_pool(int listener, const char *port)
{
	static struct pool pool = { .lock = PTHREAD_MUTEX_INITIALIZER,
		.is_filled = PTHREAD_COND_INITIALIZER };
	struct epoll_event events[EVENTS];
	pthread_t thread;
	int count;

	(void)port;
	pool.poller = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < SH_WORKERS; i++)
		(void)pthread_create(&thread, NULL, pool_work, &pool);
	(void)watch(pool.poller, EPOLL_CTL_ADD, 0, NULL, listener);
	while ((count = epoll_wait(pool.poller, events, EVENTS, -1)) > 0)
		for (int i = 0; i < count; i++) {
			struct sh_login *login = events[i].data.ptr;

			if (login != NULL) {
				pool_put(&pool, login);
				continue;
			}
			login = login_accept(listener);
			if (login != NULL)
				(void)watch(
					pool.poller, EPOLL_CTL_ADD, EPOLLONESHOT, login, login->fd);
		}
}

/* --- a thread for each connection --- */

static void *thread_serve(void *argument)
{
	sh_serve_connection((int)(intptr_t)argument);
	return NULL;
}

static void serve_threads(int listener, const char *port)
{
	pthread_t thread;
	int fd;

	(void)port;
	while ((fd = accept(listener, NULL, NULL)) >= 0)
		if (pthread_create(&thread, NULL, thread_serve, (void *)(intptr_t)fd) == 0)
			(void)pthread_detach(thread);
}

/* --- children that wait on one port, with the parent's listening socket or one of their own --- */

static void workers_run(int listener)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0)
		sh_serve_connection(fd);
	_exit(EXIT_FAILURE);
}

static void serve_prefork(int listener, const char *port)
{
	(void)port;
	for (int i = 0; i < SH_WORKERS; i++)
		if (sh_fork() == 0)
			workers_run(listener);
	while (wait(NULL) > 0)
		;
}

static void serve_reuseport(int listener, const char *port)
{
	for (int i = 1; i < SH_WORKERS; i++)
		if (sh_fork() == 0) {
			(void)close(listener);
			listener = rv_listen(port, true);
			serve_loop(listener, port);
			_exit(EXIT_FAILURE);
		}
	serve_loop(listener, port);
}

/* clang-format off */
static const struct {
	const char *name;
	sh_serve serve;
} shapes[] = {
	{ "loop", serve_loop },
	{ "pool", serve_pool },
	{ "threads", serve_threads },
	{ "prefork", serve_prefork },
	{ "reuseport", serve_reuseport },
	{ "fork", sh_serve_fork },
	{ "inetd", sh_serve_inetd },
	{ "passed", sh_serve_passed },
	{ "helper", sh_serve_helper },
};
/* clang-format on */

sh_serve sh_server_find(const char *shape)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (strcmp(shapes[i].name, shape) == 0)
			return shapes[i].serve;
	return NULL;
}
