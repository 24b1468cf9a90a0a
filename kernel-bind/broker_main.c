/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsecd: options.  It stays in the foreground; systemd, where
 * there is one, starts it by its socket (LISTEN_FDS, sd_listen_fds(3)).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_start.h"

static const char usage[] =
	"usage: gss-ipsecd [--socket PATH] [--state PATH] [--foreground] [--quota-user N]\n"
	"                  [--quota-total N] [--cover-max N] [--gso] [--override-spd]\n"
	"                  [--allow-user UID]... [--namespaces] [-v]\n"
	"                  [--linger-seconds N | --linger-least N] [--larval-seconds N]\n"
	"                  [--idle-seconds N]\n"
	"\n"
	"  --socket PATH       listen here, unless systemd passes the socket\n"
	"  --state PATH        keep here what a restarted broker needs\n"
	"  --quota-user N      leases for one user (1024)\n"
	"  --quota-total N     leases for all together (16384)\n"
	"  --cover-max N       covers of their own between two addresses (1000)\n"
	"  --gso               latch although esp4_offload is loaded\n"
	"  --override-spd      latch although the host's IPsec policy says otherwise\n"
	"  --allow-user UID    serve this user and root only; may be repeated\n"
	"  --namespaces        serve other network namespaces (containers) too\n"
	"  -v, --verbose       say more\n"
	"  --foreground        the only way it runs\n"
	"  --version           print the version\n"
	"\n"
	"It needs root.  The others are for tests; gss-ipsecd(8) explains all.\n";

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

static bool option_larval(struct broker_options *options, const char *value)
{
	unsigned long seconds;

	if (!number_read(value, 3600, &seconds))
		return false;
	options->larval_ms = seconds * 1000;
	return true;
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

static bool option_namespaces(struct broker_options *options, const char *value)
{
	options->serves_namespaces = true;
	return value == NULL;
}

static bool option_idle(struct broker_options *options, const char *value)
{
	unsigned long seconds;

	if (!number_read(value, 3600, &seconds))
		return false;
	options->idle_ms = seconds * 1000;
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
	{ "larval-seconds", option_larval,      true },
	{ "gso",            option_gso,         false },
	{ "override-spd",   option_override,    false },
	{ "allow-user",     option_allow_user,  true },
	{ "namespaces",     option_namespaces,  false },
	{ "idle-seconds",   option_idle,        true },
	{ "verbose",        option_verbose,     false },
};
/* clang-format on */

#define OPTION_COUNT (sizeof(option_rows) / sizeof(option_rows[0]))

enum options_result { OPTIONS_GOOD, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_WRONG };

static enum options_result options_read(int argc, char **argv, struct broker_options *options)
{
	struct option table[OPTION_COUNT + 3] = { { 0 } };
	int index, letter;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		table[i] = (struct option){ option_rows[i].name,
			option_rows[i].has_value ? required_argument : no_argument, NULL, 0 };
	table[OPTION_COUNT] = (struct option){ "help", no_argument, NULL, 'h' };
	table[OPTION_COUNT + 1] = (struct option){ "version", no_argument, NULL, 'V' };
	while ((letter = getopt_long(argc, argv, "hv", table, &index)) != -1) {
		if (letter == 'h')
			return OPTIONS_HELP;
		if (letter == 'V')
			return OPTIONS_VERSION;
		if (letter == 'v')
			options->is_verbose = true;
		else if (letter != 0)
			return OPTIONS_WRONG;
		else if (!option_rows[index].apply(options, optarg)) {
			fprintf(stderr, "gss-ipsecd: --%s %s: the value is out of range\n",
				option_rows[index].name, optarg);
			return OPTIONS_WRONG;
		}
	}
	if (optind != argc)
		fprintf(stderr, "gss-ipsecd: '%s' is no option\n", argv[optind]);
	return optind == argc ? OPTIONS_GOOD : OPTIONS_WRONG;
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
			.larval_ms = BROKER_LARVAL_MS,
			.linger_ms = BROKER_LINGER_SEC * 1000,
			.idle_ms = BROKER_IDLE_SEC * 1000,
			.workers_max = BROKER_WORKERS_MAX,
			.workers_idle = BROKER_WORKERS_IDLE,
		},
		.policies = { .is_stale = true },
		.listener = -1,
		.signals = -1,
		.keeper = -1,
		.discarder = { .fd = -1 },
		.left_over = -1,
	};
	enum options_result options;
	int result;

	options = options_read(argc, argv, &broker.options);
	if (options == OPTIONS_HELP)
		return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILURE
								       : EXIT_SUCCESS;
	if (options == OPTIONS_VERSION)
		return printf("gss-ipsecd %s\n", PACKAGE_VERSION) < 0 || fflush(stdout) != 0
			       ? EXIT_FAILURE
			       : EXIT_SUCCESS;
	if (options == OPTIONS_WRONG) {
		fputs(usage, stderr);
		return 2;
	}
	broker_log_set_verbose(broker.options.is_verbose);
	for (size_t i = 0; i < BROKER_WORKERS_MAX; i++)
		broker.workers[i].fd = -1;
	for (size_t i = 0; i < BROKER_NAMESPACES_MAX; i++)
		broker.namespaces[i].intake = -1;
	result = broker_serve(&broker);
	return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
