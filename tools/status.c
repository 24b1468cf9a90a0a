/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec status: the connections that the broker protects.  What the kernel knows comes first;
 * names and methods are what the latching process claimed, and are marked so.
 */
#include "tools/status.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "kernel-bind/broker_protocol.h"
#include "kernel-bind/broker_refusals.h"
#include "mech/mech.h"
#include "tools/tools.h"

#define STATUS_USAGE                                                                              \
	"gss-ipsec status [--json] [--watch [SECONDS]] [--refused] [--broker SOCKET]\n"           \
	"                        [--port PORT] [--pid PID] [--fd DESCRIPTOR]\n"                   \
	"\n"                                                                                      \
	"Lists the latched connections; --refused also what the broker refused of late.\n"        \
	"--watch shows them anew every 2 or SECONDS seconds, until it is interrupted.\n"          \
	"--port: only those with that port at either end.  --pid: only those of that process.\n"  \
	"--fd: the one that this command was started with as that descriptor (gss-ipsec status\n" \
	"--fd 0 <&5), or with --pid the process's own.  SOCKET is gss-ipsecd's, if not the\n"     \
	"configured one.  gss-ipsec(1) describes the JSON."
#define WATCH_SECONDS 2
#define WATCH_SECONDS_MAX 86400
#define SCREEN_CLEAR "\033[H\033[2J\033[3J"

struct status_options {
	const char *broker;
	bool as_json, wants_refusals, wants_help;
	long watch_sec;	    /* 0: once */
	long port, pid, fd; /* -1: any */
};

/* --- what there is --- */

static int status_refuse(const char *path, enum ipsec_latch_reason reason)
{
	if (latch_reason_is_silence(reason))
		return tool_fail("no broker answers at %s: %s", path, latch_reason_text(reason));
	return tool_fail("the broker refuses: %s", latch_reason_text(reason));
}

/* Room for a page more; false, and told, without memory. */
static bool list_grow(void **list, size_t count, size_t item_bytes)
{
	void *grown = reallocarray(*list, count + BROKER_LIST_MAX, item_bytes);

	if (grown == NULL) {
		(void)tool_fail("%s", error_text(ERR_NO_MEMORY));
		return false;
	}
	*list = grown;
	return true;
}

/* They come in the order of making, and whoever makes new ones all the time must not keep this going. */
static bool leases_are_new(const struct status_view *view, int64_t begun_ms)
{
	const int64_t seconds = (kbind_clock_ms() - begun_ms) / 1000;

	return view->count > 0 && view->leases[view->count - 1].age_sec < (uint64_t)seconds;
}

static int view_read_leases(struct status_view *view)
{
	const int64_t begun_ms = kbind_clock_ms();
	enum ipsec_latch_reason reason;
	uint64_t cursor = 0;
	void *list = NULL;
	size_t got;

	do {
		got = 0;
		if (!list_grow(&list, view->count, sizeof(*view->leases)))
			return TOOL_FAILED;
		view->leases = list;
		reason = kbind_list(
			view->broker, &cursor, view->leases + view->count, BROKER_LIST_MAX, &got);
		if (reason != IPSEC_LATCH_LATCHED)
			return status_refuse(view->broker, reason);
		view->count += got;
	} while (got > 0 && !leases_are_new(view, begun_ms));
	return TOOL_OK;
}

static int view_read_refusals(struct status_view *view)
{
	enum ipsec_latch_reason reason;
	uint64_t cursor = 0;
	void *list = NULL;
	size_t got;

	view->has_refusals = true;
	do {
		got = 0;
		if (!list_grow(&list, view->refusal_count, sizeof(*view->refusals)))
			return TOOL_FAILED;
		view->refusals = list;
		reason = kbind_refusals(view->broker, &cursor, view->refusals + view->refusal_count,
			BROKER_LIST_MAX, &got);
		if (reason == IPSEC_LATCH_NO_BROKER)
			return tool_fail("the broker at %s is older than this command and does not "
					 "tell what it refused",
				view->broker);
		if (reason != IPSEC_LATCH_LATCHED)
			return status_refuse(view->broker, reason);
		view->refusal_count += got;
		/* Whoever is refused again and again must not keep this going. */
	} while (got > 0 && view->refusal_count < REFUSED_MAX);
	return TOOL_OK;
}

/* The one of a descriptor of this process, whatever namespace it is of; none is no failure. */
static int view_read_descriptor(struct status_view *view, int fd)
{
	enum ipsec_latch_reason reason;

	view->leases = calloc(1, sizeof(*view->leases));
	if (view->leases == NULL)
		return tool_fail("%s", error_text(ERR_NO_MEMORY));
	reason = kbind_query(view->broker, fd, &view->leases[0]);
	view->count = reason == IPSEC_LATCH_LATCHED ? 1 : 0;
	if (latch_reason_is_silence(reason))
		return status_refuse(view->broker, reason);
	if (reason != IPSEC_LATCH_LATCHED && reason != IPSEC_LATCH_NONE)
		return tool_fail("descriptor %d: %s", fd, latch_reason_text(reason));
	return TOOL_OK;
}

static void view_free(struct status_view *view)
{
	status_holders_free(&view->holders);
	free(view->leases);
	free(view->refusals);
}

/* --- what is asked for --- */

/* The inode of descriptor fd of another process; 0: it cannot be seen, or is no socket. */
static ino_t socket_of(long pid, long fd)
{
	struct stat file;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd/%ld", pid, fd);
	return stat(path, &file) == 0 && S_ISSOCK(file.st_mode) ? file.st_ino : 0;
}

static bool holder_is_wanted(
	const struct status_holder *holder, const struct status_options *options)
{
	if (holder->pid != options->pid)
		return false;
	return options->fd < 0 ||
	       (socket_of(options->pid, options->fd) != 0 &&
		       socket_of(options->pid, options->fd) == socket_of(options->pid, holder->fd));
}

static bool lease_is_wanted(
	const struct status_view *view, size_t index, const struct status_options *options)
{
	const struct kbind_tuple *tuple = &view->leases[index].tuple;

	if (options->port >= 0 && tuple->local_port != options->port &&
		tuple->remote_port != options->port)
		return false;
	if (options->pid < 0)
		return true;
	for (size_t i = 0; i < view->holders.count; i++)
		if (view->holders.items[i].lease == index &&
			holder_is_wanted(&view->holders.items[i], options))
			return true;
	return false;
}

/* Takes out what is not wanted; the holders' indices follow. */
static void view_filter(struct status_view *view, const struct status_options *options)
{
	size_t kept = 0, held = 0, holder = 0;

	for (size_t i = 0; i < view->count; i++) {
		bool is_kept = lease_is_wanted(view, i, options);

		/* by lease, so those of this one come next */
		for (; holder < view->holders.count && view->holders.items[holder].lease == i;
			holder++) {
			if (!is_kept)
				continue;
			view->holders.items[held] = view->holders.items[holder];
			view->holders.items[held++].lease = kept;
		}
		if (is_kept)
			view->leases[kept++] = view->leases[i];
	}
	view->count = kept;
	view->holders.count = held;
}

static int view_read(struct status_view *view, const struct status_options *options)
{
	const bool is_own = options->fd >= 0 && options->pid < 0;
	int code = is_own ? view_read_descriptor(view, (int)options->fd) : view_read_leases(view);

	if (code == TOOL_OK && view->count > 0 &&
		!status_holders_find(view->leases, view->count, &view->holders))
		code = tool_fail("%s", error_text(ERR_NO_MEMORY));
	if (code == TOOL_OK)
		view_filter(view, options);
	if (code == TOOL_OK && options->wants_refusals)
		code = view_read_refusals(view);
	return code;
}

/* --- showing it, once or again and again --- */

static bool wants_colours(void)
{
	const char *no_color = secure_getenv("NO_COLOR"), *terminal = secure_getenv("TERM");

	return isatty(STDOUT_FILENO) == 1 && (no_color == NULL || no_color[0] == '\0') &&
	       terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int status_show(const struct status_options *options, FILE *out)
{
	struct status_view view = { .broker = options->broker,
		.uses_colours = wants_colours(),
		.is_one_line = options->watch_sec > 0,
		.is_filtered = options->port >= 0 || options->pid >= 0 || options->fd >= 0 };
	int code = view_read(&view, options);

	if (code == TOOL_OK && options->as_json)
		status_print_json(&view, out);
	else if (code == TOOL_OK)
		status_print_text(&view, out);
	if (code == TOOL_OK && view.is_filtered && view.count == 0)
		code = TOOL_FAILED;
	view_free(&view);
	return code;
}

/* Sleeps, but not longer than somebody reads: POLLERR comes when a pipe's other end is closed. */
static bool watch_pause(long seconds)
{
	struct pollfd output = { .fd = STDOUT_FILENO };
	const int got = poll(&output, 1, (int)(seconds * 1000));

	return got == 0 || (got < 0 && errno == EINTR);
}

/* One round is one write, so that nobody sees half of it. */
static int status_watch(const struct status_options *options)
{
	const bool clears = !options->as_json && isatty(STDOUT_FILENO) == 1;
	char *text = NULL;
	size_t len = 0;
	FILE *round;

	do {
		round = open_memstream(&text, &len);
		if (round == NULL)
			return tool_fail("%s", error_text(ERR_NO_MEMORY));
		(void)status_show(options, round);   /* what is wrong may pass */
		if (fclose(round) == 0 && len > 0) { /* else what is wrong stays to be seen */
			if (clears)
				(void)fputs(SCREEN_CLEAR, stdout);
			(void)fwrite(text, 1, len, stdout);
			if (!options->as_json && !clears)
				(void)fputs("\n", stdout);
		}
		free(text);
		text = NULL;
	} while (fflush(stdout) == 0 && watch_pause(options->watch_sec));
	return TOOL_OK;
}

/* --- arguments --- */

static const struct option known_options[] = { { "broker", required_argument, NULL, 'b' },
	{ "fd", required_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' },
	{ "json", no_argument, NULL, 'j' }, { "pid", required_argument, NULL, 'P' },
	{ "port", required_argument, NULL, 'p' }, { "refused", no_argument, NULL, 'r' },
	{ "watch", optional_argument, NULL, 'w' }, { NULL, 0, NULL, 0 } };

/* A number in its bounds, or told. */
static bool option_number(const char *what, const char *text, long max, long *ret_number)
{
	if (tool_number_read(text, max, ret_number))
		return true;
	(void)tool_fail(text[0] == '\0' || text[strspn(text, "0123456789")] != '\0'
				? "--%s %s: the value is no number"
				: "--%s %s: the value is out of range",
		what, text);
	return false;
}

static bool option_seconds(const char *text, long *ret_seconds)
{
	if (!option_number("watch", text, WATCH_SECONDS_MAX, ret_seconds))
		return false;
	if (*ret_seconds == 0)
		*ret_seconds = 1;
	return true;
}

static bool option_take(struct status_options *options, int option, const char *value)
{
	options->as_json = options->as_json || option == 'j';
	options->wants_help = options->wants_help || option == 'h';
	options->wants_refusals = options->wants_refusals || option == 'r';
	if (option == 'b')
		options->broker = value;
	if (option == 'f')
		return option_number("fd", value, INT32_MAX, &options->fd);
	if (option == 'P')
		return option_number("pid", value, INT32_MAX, &options->pid);
	if (option == 'p')
		return option_number("port", value, 65535, &options->port);
	if (option == 'w' && value != NULL)
		return option_seconds(value, &options->watch_sec);
	if (option == 'w')
		options->watch_sec = WATCH_SECONDS;
	return option != '?';
}

static bool status_options_read(int argc, char **argv, struct status_options *options)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", known_options, NULL)) != -1)
		if (!option_take(options, option, optarg))
			return false;
	/* SECONDS may stand behind --watch as a word of its own: this command has no other ones. */
	if (optind == argc - 1 && options->watch_sec > 0)
		return option_seconds(argv[optind], &options->watch_sec);
	return tool_options_end(argc, argv);
}

int tool_status(int argc, char **argv)
{
	struct status_options options = { .port = -1, .pid = -1, .fd = -1 };
	struct config *config = NULL;
	int code;

	if (!status_options_read(argc, argv, &options))
		return tool_refuse_usage(STATUS_USAGE);
	if (options.wants_help)
		return tool_print_usage(STATUS_USAGE);
	/* A mistake in the configuration is no reason not to show what is latched. */
	if (options.broker == NULL && config_get(&config) == ERR_OK)
		options.broker = config_broker_path(config);
	if (options.broker == NULL)
		options.broker = BROKER_SOCKET_PATH;
	code = options.watch_sec > 0 ? status_watch(&options) : status_show(&options, stdout);
	config_release(&config);
	return code;
}
