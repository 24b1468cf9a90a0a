/* SPDX-License-Identifier: BSD-2-Clause */
/* Makes brokers of other network namespaces; see broker_keeper.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-bind/broker_keeper.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_sandbox.h"
#include "kernel-bind/broker_start.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* since Linux 5.14 */
#endif

/* One that is killed may take its time to end. */
#define CHILDREN_MAX (2 * BROKER_NAMESPACES_MAX)
#define STATE_PATH_BYTES 512
#define RETIRED 3 /* exit status: nothing is left to do, the state file can go */
#define WORKERS_MAX 24
#define WORKERS_IDLE 2

struct child {
	pid_t pid; /* 0: none */
	uint64_t cookie;
};

struct keeper {
	int daemon, signals;
	struct broker *broker; /* options only */
	struct child children[CHILDREN_MAX];
};

struct keeper_request {
	uint64_t cookie;
	int space, intake;
};

/* --- the broker of a namespace --- */

static void state_path(const struct keeper *keeper, uint64_t cookie, const char *suffix,
	char path[STATE_PATH_BYTES])
{
	(void)snprintf(path, STATE_PATH_BYTES, "%s.%llu%s", keeper->broker->options.state_path,
		(unsigned long long)cookie, suffix);
}

/* A state file that is read in another namespace would make a mess there. */
static bool cookie_is(uint64_t wanted)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	bool is_same;

	if (fd < 0)
		return false;
	is_same =
		getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) == 0 && cookie == wanted;
	(void)close(fd);
	return is_same;
}

static _Noreturn void namespace_main(struct keeper *keeper, const struct keeper_request *request)
{
	static char path[STATE_PATH_BYTES];
	struct broker *broker = keeper->broker;
	struct broker_options *options = &broker->options;
	char prefix[64];
	int result;

	(void)close(keeper->daemon);
	(void)close(keeper->signals);
	(void)snprintf(prefix, sizeof(prefix),
		"network namespace %llu: ", (unsigned long long)request->cookie);
	broker_log_set_prefix(prefix);
	result = sandbox_enter_namespace(request->space);
	if (result == 0 && !cookie_is(request->cookie))
		result = EXDEV;
	if (result != 0) {
		broker_log("cannot be entered: %s", strerror(result));
		_exit(1);
	}
	(void)close(request->space);
	state_path(keeper, request->cookie, "", path);
	options->state_path = path;
	options->workers_max = WORKERS_MAX;
	options->workers_idle = WORKERS_IDLE;
	if (options->quota_total > USERS_GROUP_FACTOR * options->quota_user)
		options->quota_total = USERS_GROUP_FACTOR * options->quota_user;
	broker->is_namespace = true;
	broker->listener = request->intake;
	broker->idle_since_ms = broker_now_ms();
	result = broker_serve(broker);
	_exit(broker->is_retired ? RETIRED : result != 0);
}

/* --- the keeper --- */

static void state_remove(const struct keeper *keeper, uint64_t cookie)
{
	static const char *const suffixes[] = { "", ".new", ".lock" };
	char path[STATE_PATH_BYTES];

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		state_path(keeper, cookie, suffixes[i], path);
		if (unlink(path) != 0 && errno != ENOENT)
			broker_log("%s cannot be removed: %s", path, strerror(errno));
	}
}

static struct child *child_find(struct keeper *keeper, pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (keeper->children[i].pid == pid)
			return &keeper->children[i];
	}
	return NULL;
}

static bool cookie_is_in_use(const struct keeper *keeper, uint64_t cookie)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (keeper->children[i].pid != 0 && keeper->children[i].cookie == cookie)
			return true;
	}
	return false;
}

static void children_reap(struct keeper *keeper)
{
	struct child *child;
	uint64_t cookie;
	int status = 0;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		child = child_find(keeper, pid);
		if (child == NULL)
			continue;
		cookie = child->cookie;
		*child = (struct child){ 0 };
		if (WIFSIGNALED(status))
			broker_log("network namespace %llu: its broker was ended by signal %d",
				(unsigned long long)cookie, WTERMSIG(status));
		/* Not from under one that was started meanwhile. */
		if (WIFEXITED(status) && WEXITSTATUS(status) == RETIRED &&
			!cookie_is_in_use(keeper, cookie))
			state_remove(keeper, cookie);
	}
}

static void namespace_start(struct keeper *keeper, const struct keeper_request *request)
{
	struct child *child = child_find(keeper, 0);
	pid_t pid;

	/* The kernel's name for a file of this kind, not the sender's. */
	if (child == NULL || ioctl(request->space, NS_GET_NSTYPE) != CLONE_NEWNET) {
		broker_log("network namespace %llu cannot be served",
			(unsigned long long)request->cookie);
		return;
	}
	pid = fork();
	if (pid == 0)
		namespace_main(keeper, request);
	if (pid < 0) {
		broker_log("the broker of network namespace %llu cannot be started: %s",
			(unsigned long long)request->cookie, strerror(errno));
		return;
	}
	*child = (struct child){ pid, request->cookie };
}

/* false: the daemon has ended. */
static bool daemon_read(struct keeper *keeper)
{
	struct keeper_request request = { 0 };
	struct iovec vector = { &request.cookie, sizeof(request.cookie) };
	struct message_parts parts = { .vectors = &vector, .count = 1 };
	ssize_t len = message_receive(keeper->daemon, &parts, 2, MSG_DONTWAIT);

	if (len < 0)
		return errno == EAGAIN;
	request.space = parts.descriptors[0];
	request.intake = parts.descriptors[1];
	if (len == (ssize_t)sizeof(request.cookie) && request.space >= 0 && request.intake >= 0)
		namespace_start(keeper, &request);
	message_close(&request.space);
	message_close(&request.intake);
	return len > 0;
}

static int signals_prepare(int *ret_signals)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	/* The first two are the daemon's to answer; the keeper ends with it. */
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return errno;
	(void)sigdelset(&set, SIGTERM);
	(void)sigdelset(&set, SIGINT);
	*ret_signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret_signals < 0 ? errno : 0;
}

static void keeper_run(struct keeper *keeper)
{
	struct pollfd items[] = {
		{ .fd = keeper->daemon, .events = POLLIN },
		{ .fd = keeper->signals, .events = POLLIN },
	};
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(items, 2, -1) < 0 && errno != EINTR)
			return;
		while (read(keeper->signals, &info, sizeof(info)) > 0)
			continue;
		children_reap(keeper);
		if (items[0].revents != 0 && !daemon_read(keeper))
			return;
	}
}

static _Noreturn void keeper_main(struct broker *broker, int daemon)
{
	static struct keeper keeper;
	int result = sandbox_enter_keeper(daemon);

	/* The brokers of other namespaces too.  A start that was nicer than that stays so: the right to
	 * change it is gone. */
	if (result == 0 && setpriority(PRIO_PROCESS, 0, 0) != 0 && errno != EACCES &&
		errno != EPERM)
		result = errno;
	keeper.daemon = daemon;
	keeper.broker = broker;
	if (result == 0)
		result = signals_prepare(&keeper.signals);
	if (result == 0)
		result = users_read(USERS_SUBUID_PATH);
	if (send(daemon, &result, sizeof(result), MSG_NOSIGNAL) < 0 || result != 0)
		_exit(1);
	keeper_run(&keeper);
	_exit(0);
}

/* It says how its start went. */
static int keeper_wait(int keeper)
{
	int result = 0;
	ssize_t len = recv(keeper, &result, sizeof(result), 0);

	if (len < 0)
		return errno;
	if (len != (ssize_t)sizeof(result))
		return EPIPE;
	if (result != 0)
		return result;
	return fcntl(keeper, F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
}

int keeper_start(struct broker *broker, int *ret_keeper)
{
	int pair[2], result;
	pid_t pid;

	if (strlen(broker->options.state_path) + 32 > STATE_PATH_BYTES)
		return ENAMETOOLONG;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	pid = fork();
	if (pid == 0)
		keeper_main(broker, pair[1]);
	result = pid < 0 ? errno : 0;
	(void)close(pair[1]);
	if (result == 0)
		result = keeper_wait(pair[0]);
	if (result != 0) {
		(void)close(pair[0]);
		return result;
	}
	*ret_keeper = pair[0];
	return 0;
}

int keeper_ask(int keeper, uint64_t cookie, int space, int intake)
{
	struct iovec vector = { &cookie, sizeof(cookie) };
	const struct message_parts parts = { &vector, 1, { space, intake } };

	return message_send(keeper, &parts, MSG_DONTWAIT);
}
