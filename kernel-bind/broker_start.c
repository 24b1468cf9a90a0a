/* SPDX-License-Identifier: BSD-2-Clause */
/* Start and end of a broker, the daemon and that of another network namespace; see broker_start.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel-bind/broker_calls.h"
#include "kernel-bind/broker_keeper.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_sandbox.h"
#include "kernel-bind/broker_start.h"

#define ACTIVATED_FD 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define DAEMON_NICE (-10)
/* Descriptors of its own: what it polls, a recorder's program for each worker, and what else is open. */
#define FILES_OWN (2 * BROKER_WORKERS_MAX + BROKER_NAMESPACES_MAX + BROKER_QUEUE_MAX + 128)
#define FILES_LEAST (FILES_OWN + 256)
#define BACKLOG 16 /* who connects waits, in turn with others, and not behind a flood */

/* The socket that systemd listens on for us, or -1. */
static int socket_activated(void)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");
	int type = 0;
	socklen_t len = sizeof(type);

	if (pid == NULL || count == NULL || strtol(pid, NULL, 10) != (long)getpid() ||
		strcmp(count, "1") != 0)
		return -1;
	if (getsockopt(ACTIVATED_FD, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
		type != SOCK_SEQPACKET)
		return -1;
	return fcntl(ACTIVATED_FD, F_SETFD, FD_CLOEXEC) == 0 ? ACTIVATED_FD : -1;
}

/* The folder of path, world-readable: clients must reach the socket. */
static int folder_make(const char *path)
{
	char folder[PATH_MAX];
	char *slash;
	mode_t mask;
	int result;

	if (strlen(path) >= sizeof(folder))
		return ENAMETOOLONG;
	memcpy(folder, path, strlen(path) + 1);
	slash = strrchr(folder, '/');
	if (slash == NULL || slash == folder)
		return 0;
	*slash = '\0';
	mask = umask(0022);
	result = mkdir(folder, 0755) == 0 || errno == EEXIST ? 0 : errno;
	(void)umask(mask);
	return result;
}

static int socket_listen(const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int fd, result;

	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	/* The lock on the state file has shown that no other broker of ours uses it. */
	result = unlink(path) == 0 || errno == ENOENT ? 0 : errno;
	mask = umask(0111);
	if (result == 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		result = errno;
	(void)umask(mask);
	if (result == 0 && listen(fd, BACKLOG) != 0)
		result = errno;
	if (result != 0) {
		(void)close(fd);
		return result;
	}
	*ret_fd = fd;
	return 0;
}

static int listener_open(struct broker *broker)
{
	int flags, result;

	broker->listener = socket_activated();
	if (broker->listener < 0) {
		result = folder_make(broker->options.socket_path);
		if (result == 0)
			result = socket_listen(broker->options.socket_path, &broker->listener);
		if (result != 0)
			return result;
	}
	flags = fcntl(broker->listener, F_GETFL);
	if (flags < 0 || fcntl(broker->listener, F_SETFL, flags | O_NONBLOCK) != 0)
		return errno;
	return 0;
}

/* The soft limit is for select(), and of the hard one, too, somebody may have thought that it is enough. */
static int files_raise(rlim_t wanted, rlim_t *ret_limit)
{
	struct rlimit files, raised = { wanted, wanted };

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return errno;
	files.rlim_cur = files.rlim_max;
	if (files.rlim_max < wanted && setrlimit(RLIMIT_NOFILE, &raised) == 0)
		files = raised;
	else if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		return errno;
	*ret_limit = files.rlim_cur;
	return 0;
}

/* A larval lease holds a map.  What waits, and whoever serves it, always has descriptors: else poll()
 * itself is refused, and accept() for ever. */
static int files_allow(struct broker *broker)
{
	struct broker_options *options = &broker->options;
	rlim_t limit = 0;
	int result = files_raise(FILES_OWN + options->quota_total, &limit);

	if (result != 0)
		return result;
	if (limit < FILES_LEAST) {
		broker_log("the hard limit of open files (RLIMIT_NOFILE) is %llu, gss-ipsecd needs "
			   "%d, "
			   "and only CAP_SYS_RESOURCE raises it",
			(unsigned long long)limit, FILES_LEAST);
		return EMFILE;
	}
	options->recorders_max = (size_t)limit - FILES_OWN;
	if (options->recorders_max < options->quota_total)
		broker_log("the hard limit of open files (RLIMIT_NOFILE) is %llu: not more than "
			   "%zu reservations at a time",
			(unsigned long long)limit, options->recorders_max);
	return 0;
}

static int signals_open(struct broker *broker)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGCHLD);
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return errno;
	broker->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return broker->signals < 0 ? errno : 0;
}

static int state_open(struct broker *broker)
{
	size_t spoilt = 0;
	int result = folder_make(broker->options.state_path);

	broker->leases = lease_table_new();
	if (result == 0 && broker->leases == NULL)
		result = ENOMEM;
	if (result == 0)
		result = journal_open(
			broker->options.state_path, broker->leases, &spoilt, &broker->journal);
	if (result == 0 && spoilt > 0)
		broker_log("state file: %zu spoilt records skipped", spoilt);
	return result;
}

static int kernel_open(struct broker *broker)
{
	int result = kxfrm_open(&broker->xfrm);

	if (result == 0)
		result = kxfrm_events_open(broker->xfrm, &broker->events);
	if (result == 0)
		result = watch_open(&broker->watch);
	if (result == 0)
		result = worker_namespace(&broker->place.network_namespace);
	return result;
}

static int users_open(struct broker *broker)
{
	(void)broker;
	return users_read(USERS_SUBUID_PATH);
}

/* Whoever keeps the processors busy shall not keep everybody's broker waiting, whose own share of a
 * request is short.  Without CAP_SYS_NICE it stays as it was started. */
static int priority_raise(struct broker *broker)
{
	(void)broker;
	if (setpriority(PRIO_PROCESS, 0, DAEMON_NICE) != 0 && errno != EACCES && errno != EPERM)
		return errno;
	return 0;
}

static int sandbox_enter(struct broker *broker)
{
	(void)broker;
	return sandbox_enter_daemon();
}

static int keeper_open(struct broker *broker)
{
	if (!broker->options.serves_namespaces)
		return 0;
	broker->place.has_others = true;
	return keeper_start(broker, &broker->keeper);
}

static int calls_enter(struct broker *broker)
{
	(void)broker;
	return calls_restrict_daemon();
}

struct start_row {
	const char *what;
	int (*make)(struct broker *broker);
};

/* The keeper is forked from what knows nothing yet, and its brokers have the limits.  Events are joined before the state is judged, so
 * that nothing happens in between unseen. */
static const struct start_row daemon_rows[] = {
	{ "descriptors", files_allow },
	{ "the keeper of other network namespaces, which needs CAP_SYS_ADMIN and CAP_NET_ADMIN",
		keeper_open },
	{ "signals", signals_open },
	{ "the state file", state_open },
	{ "the kernel's IPsec", kernel_open },
	{ USERS_SUBUID_PATH, users_open },
	{ "the socket", listener_open },
	{ "seeing in /sys/module whether an offload module is loaded (not needed with --gso)",
		broker_offload_check_sight },
	{ "the interfaces", broker_cover_check_interfaces },
	{ "priority", priority_raise },
	{ "giving up privileges", sandbox_enter },
	{ "adopting earlier leases", broker_adopt },
};

/* In the namespace already; its interfaces are not listed: there may be as many as its root likes. */
static const struct start_row namespace_rows[] = {
	{ "signals", signals_open },
	{ "the state file", state_open },
	{ "the kernel's IPsec", kernel_open },
	{ "giving up system calls", calls_enter },
	{ "adopting earlier leases", broker_adopt },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int broker_start(struct broker *broker, const struct start_row *rows, size_t count)
{
	enum ipsec_latch_reason reason;
	int result;

	for (size_t i = 0; i < count; i++) {
		result = rows[i].make(broker);
		if (result != 0) {
			broker_log("gss-ipsecd cannot start: %s: %s", rows[i].what,
				result == EBUSY ? "another gss-ipsecd uses it" : strerror(result));
			return result;
		}
	}
	reason = broker_probe(broker);
	if (reason != IPSEC_LATCH_LATCHED)
		broker_log("no connection can be latched: %s: %s", latch_reason_word(reason),
			latch_reason_text(reason));
	broker_log("gss-ipsecd serves %s",
		broker->is_namespace ? "this network namespace" : broker->options.socket_path);
	return 0;
}

/* What clients sent is closed with the process, of which the kernel asks no patience (SO_LINGER): the
 * listener with what nobody has accepted, and the queue.  A device's own close() may keep it all the same. */
static void broker_stop(struct broker *broker)
{
	policy_cache_free(&broker->policies);
	watch_close(&broker->watch);
	kxfrm_events_close(&broker->events);
	kxfrm_close(&broker->xfrm);
	journal_close(&broker->journal);
	lease_table_free(&broker->leases);
	if (broker->keeper >= 0)
		(void)close(broker->keeper);
	if (broker->signals >= 0)
		(void)close(broker->signals);
}

int broker_serve(struct broker *broker)
{
	int result = broker->is_namespace
			     ? broker_start(broker, namespace_rows, COUNT(namespace_rows))
			     : broker_start(broker, daemon_rows, COUNT(daemon_rows));

	if (result == 0)
		result = broker_run(broker);
	broker_stop(broker);
	return result;
}
