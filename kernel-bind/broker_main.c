/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsecd: options, socket, sandbox, start and end.  It stays in the foreground; systemd, where
 * there is one, starts it by its socket (LISTEN_FDS, sd_listen_fds(3)).
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_sandbox.h"

#define ACTIVATED_FD 3 /* sd_listen_fds(3): SD_LISTEN_FDS_START */
#define BACKLOG 16     /* who connects waits, in turn with others, and not behind a flood */

static const char usage[] =
	"usage: gss-ipsecd [--socket PATH] [--state PATH] [--foreground] [--quota-user N]\n"
	"                  [--quota-total N] [--cover-max N] [--linger-seconds N] [--gso]\n"
	"                  [--override-spd] [--allow-user UID]... [-v]\n";

static bool number_read(const char *text, unsigned long max, unsigned long *ret_number)
{
	char *end = NULL;
	unsigned long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || number > max)
		return false;
	*ret_number = number;
	return true;
}

struct option_row {
	const char *name;
	bool (*apply)(struct broker_options *options, const char *value);
	bool has_value;
};

static bool option_socket(struct broker_options *options, const char *value)
{
	options->socket_path = value;
	return strlen(value) < sizeof(((struct sockaddr_un *)NULL)->sun_path);
}

static bool option_state(struct broker_options *options, const char *value)
{
	options->state_path = value;
	return *value != '\0';
}

static bool option_foreground(struct broker_options *options, const char *value)
{
	(void)options;
	return value == NULL; /* there is no other way; told for unit files that say so */
}

static bool option_quota_user(struct broker_options *options, const char *value)
{
	return number_read(value, 1u << 20, &options->quota_user);
}

static bool option_quota_total(struct broker_options *options, const char *value)
{
	return number_read(value, 1u << 20, &options->quota_total);
}

static bool option_cover_max(struct broker_options *options, const char *value)
{
	return number_read(value, 1u << 20, &options->cover_max);
}

static bool option_linger(struct broker_options *options, const char *value)
{
	unsigned long seconds;

	if (!number_read(value, 3600, &seconds))
		return false;
	options->linger_ms = seconds * 1000;
	options->linger_is_exact = true;
	return true;
}

static bool option_linger_least(struct broker_options *options, const char *value)
{
	bool is_good = option_linger(options, value);

	options->linger_is_exact = false;
	return is_good;
}

static bool option_gso(struct broker_options *options, const char *value)
{
	options->allows_offload = true;
	return value == NULL;
}

static bool option_override(struct broker_options *options, const char *value)
{
	options->overrides_policy = true;
	return value == NULL;
}

static bool option_allow_user(struct broker_options *options, const char *value)
{
	unsigned long uid;

	if (options->allowed_count == BROKER_ALLOWED_USERS_MAX ||
		!number_read(value, UINT32_MAX - 1, &uid))
		return false;
	options->allowed_users[options->allowed_count++] = (uint32_t)uid;
	return true;
}

static bool option_verbose(struct broker_options *options, const char *value)
{
	options->is_verbose = true;
	return value == NULL;
}

/* clang-format off */
static const struct option_row option_rows[] = {
	{ "socket",         option_socket,      true },
	{ "state",          option_state,       true },
	{ "foreground",     option_foreground,  false },
	{ "quota-user",     option_quota_user,  true },
	{ "quota-total",    option_quota_total, true },
	{ "cover-max",      option_cover_max,   true },
	{ "linger-seconds", option_linger,      true },
	{ "linger-least",   option_linger_least, true },
	{ "gso",            option_gso,         false },
	{ "override-spd",   option_override,    false },
	{ "allow-user",     option_allow_user,  true },
	{ "verbose",        option_verbose,     false },
};
/* clang-format on */

#define OPTION_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

static bool options_read(int argc, char **argv, struct broker_options *options)
{
	struct option table[OPTION_COUNT + 1] = { { 0 } };
	int index, letter;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		table[i] = (struct option){ option_rows[i].name,
			option_rows[i].has_value ? required_argument : no_argument, NULL, 0 };
	while ((letter = getopt_long(argc, argv, "v", table, &index)) != -1) {
		if (letter == 'v')
			options->is_verbose = true;
		else if (letter != 0 || !option_rows[index].apply(options, optarg))
			return false;
	}
	return optind == argc;
}

/* The socket that systemd listens on for us, or -1. */
static int socket_activated(void)
{
	const char *pid = secure_getenv("LISTEN_PID"), *count = secure_getenv("LISTEN_FDS");
	unsigned long number;
	int type = 0;
	socklen_t len = sizeof(type);

	if (pid == NULL || count == NULL || !number_read(pid, INT_MAX, &number) ||
		number != (unsigned long)getpid() || !number_read(count, 1, &number) || number != 1)
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
		result = worker_namespace(&broker->network_namespace);
	return result;
}

static int users_open(struct broker *broker)
{
	(void)broker;
	return users_read(USERS_SUBUID_PATH);
}

static int sandbox_enter(struct broker *broker)
{
	(void)broker;
	return sandbox_enter_daemon();
}

/* Events are joined before the state is judged, so that nothing happens in between unseen. */
static const struct {
	const char *what;
	int (*make)(struct broker *broker);
} start_rows[] = {
	{ "signals", signals_open },
	{ "the state file", state_open },
	{ "the kernel's IPsec", kernel_open },
	{ USERS_SUBUID_PATH, users_open },
	{ "the socket", listener_open },
	{ "the interfaces", broker_cover_check_interfaces },
	{ "giving up privileges", sandbox_enter },
	{ "adopting earlier leases", broker_adopt },
};

static int broker_start(struct broker *broker)
{
	enum ipsec_latch_reason reason;
	int result;

	for (size_t i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++) {
		result = start_rows[i].make(broker);
		if (result != 0) {
			broker_log("gss-ipsecd cannot start: %s: %s", start_rows[i].what,
				result == EBUSY ? "another gss-ipsecd uses it" : strerror(result));
			return result;
		}
	}
	reason = broker_probe(broker);
	if (reason != IPSEC_LATCH_LATCHED)
		broker_log("no connection can be latched: %s: %s", latch_reason_word(reason),
			latch_reason_text(reason));
	broker_log("gss-ipsecd serves %s", broker->options.socket_path);
	return 0;
}

static void broker_stop(struct broker *broker)
{
	policy_cache_free(&broker->policies);
	watch_close(&broker->watch);
	kxfrm_events_close(&broker->events);
	kxfrm_close(&broker->xfrm);
	journal_close(&broker->journal);
	lease_table_free(&broker->leases);
	if (broker->listener >= 0)
		(void)close(broker->listener);
	if (broker->signals >= 0)
		(void)close(broker->signals);
}

int main(int argc, char **argv)
{
	static struct broker broker = {
		.options = {
			.socket_path = BROKER_SOCKET_PATH,
			.state_path = BROKER_STATE_PATH,
			.quota_user = BROKER_QUOTA_USER,
			.quota_total = BROKER_QUOTA_TOTAL,
			.cover_max = BROKER_COVER_MAX,
			.linger_ms = BROKER_LINGER_SEC * 1000,
		},
		.policies = { .is_stale = true },
		.listener = -1,
		.signals = -1,
		.discarder = { .fd = -1 },
	};
	int result;

	if (!options_read(argc, argv, &broker.options)) {
		if (write(STDERR_FILENO, usage, sizeof(usage) - 1) < 0)
			return EXIT_FAILURE;
		return 2;
	}
	broker_log_set_verbose(broker.options.is_verbose);
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++)
		broker.workers[i].fd = -1;
	result = broker_start(&broker);
	if (result == 0)
		result = broker_run(&broker);
	broker_stop(&broker);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
