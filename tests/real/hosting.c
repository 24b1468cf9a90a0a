/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that logs in while it does what the mechanism cannot expect of it:
 *
 *	hosting ask|serve TWIST PORT HOST [named] [NUMBER]
 *
 * ask connects to HOST and logs in, serve takes one connection (TWIST "plain": any number); then the
 * client says something and the server repeats it in capitals.  "named": the credential names the
 * descriptor.  Prints
 *
 *	result WHO: REASON ok|failed latched|clear OTHERS
 *
 * as rendezvous does, and behind a failure the major and minor status in words.  HOSTING_DIR is a
 * folder of the test's own.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/real/hosting.h"

#define SMALL_STACK_BYTES 65536

static const char words[] = "said by a program of its own kind";

/* clang-format off */
static const struct hosting_twist twists[] = {
	{ .name = "plain" },
	{ .name = "small-stack" },
	{ .name = "forks-child",  .answered = hosting_forks_child },
	{ .name = "forks-parent", .answered = hosting_forks_parent },
	{ .name = "forks-rivals", .answered = hosting_forks_rivals, .ended = hosting_talks_on },
	{ .name = "vforks",       .acquired = hosting_vforks },
	{ .name = "daemonises",   .acquired = hosting_daemonises },
	{ .name = "execs",        .told = hosting_execs },
	{ .name = "execs-anew",   .answered = hosting_execs_anew },
	{ .name = "closes-all",   .told = hosting_closes_all },
	{ .name = "closes-midway", .answered = hosting_closes_midway, .ended = hosting_files_untouched },
	{ .name = "closes-standard", .begins = hosting_closes_standard, .connected = hosting_own_files,
		.ended = hosting_files_untouched },
	{ .name = "filters-first", .connected = hosting_filters_most },
	{ .name = "filters-most", .acquired = hosting_filters_most },
	{ .name = "filters-files", .acquired = hosting_filters_files },
	{ .name = "filters-sockets", .acquired = hosting_filters_sockets },
	{ .name = "descriptors-first", .connected = hosting_limits_descriptors },
	{ .name = "descriptors",  .acquired = hosting_limits_descriptors },
	{ .name = "memory",       .acquired = hosting_limits_memory, .ended = hosting_frees_memory },
	{ .name = "chroot-first", .connected = hosting_changes_root },
	{ .name = "chroot",       .acquired = hosting_changes_root },
	{ .name = "drops-root",   .acquired = hosting_drops_root },
	{ .name = "interrupted",  .connected = hosting_is_interrupted, .ended = hosting_is_left_alone },
	{ .name = "hung-up",      .connected = hosting_broker_hangs_up, .ended = hosting_is_left_alone },
};
/* clang-format on */

const struct hosting_twist *hosting_twist_find(const char *name)
{
	for (size_t i = 0; i < sizeof(twists) / sizeof(twists[0]); i++)
		if (strcmp(twists[i].name, name) == 0)
			return &twists[i];
	return NULL;
}

bool hosting_fail(const char *what)
{
	perror(what);
	printf("hosting failed: %s\n", what);
	return false;
}

static const char *who(const struct hosting *hosting)
{
	return hosting->is_server ? "server" : "client";
}

static bool moment_comes(struct hosting *hosting, hosting_moment moment)
{
	return moment == NULL || moment(hosting);
}

static void status_print(OM_uint32 code, int type)
{
	OM_uint32 minor, more = 0;
	gss_buffer_desc text;

	do {
		if (GSS_ERROR(gss_display_status(&minor, code, type, GSS_C_NO_OID, &more, &text)))
			return;
		printf("status: %.*s\n", (int)text.length, (const char *)text.value);
		(void)gss_release_buffer(&minor, &text);
	} while (more != 0);
}

static void result_print(const struct hosting *hosting)
{
	rv_end_report(&hosting->end, who(hosting), hosting->fd);
	if (GSS_ERROR(hosting->end.major)) {
		status_print(hosting->end.major, GSS_C_GSS_CODE);
		status_print(hosting->end.minor, GSS_C_MECH_CODE);
	}
	(void)fflush(stdout);
}

/* Tokens until one side is done; false also when the peer goes away. */
static bool tokens_exchange(
	struct hosting *hosting, const struct hosting_twist *twist, bool *ret_goes_on)
{
	struct rv_end *end = &hosting->end;
	struct rv_frame frame = { .len = 0 };
	bool takes = hosting->is_server, is_done;
	unsigned int taken = 0;

	*ret_goes_on = true;
	while (rv_end_goes_on(end)) {
		if (takes && !rv_receive(hosting->fd, RV_READ_WHOLE, &frame))
			return false;
		/* The server's second token, the client's first: nothing is reserved before it at
		 * the client, and all is at the server. */
		if (takes && ++taken == (hosting->is_server ? 2u : 1u) &&
			!moment_comes(hosting, twist->answered)) {
			*ret_goes_on = false;
			return false;
		}
		is_done = rv_end_step(end, takes ? &frame : NULL);
		if (end->token.length > 0 && !hosting->is_mute &&
			!rv_send(hosting->fd, RV_TOKEN, end->token.value, end->token.length))
			return false;
		if (!is_done || hosting->is_mute)
			return false;
		takes = true;
	}
	return true;
}

bool hosting_talk(const struct hosting *hosting)
{
	struct rv_frame frame;
	char capitals[sizeof(words)];

	for (size_t i = 0; i < sizeof(words); i++)
		capitals[i] = (char)toupper((unsigned char)words[i]);
	if (!hosting->is_server)
		return rv_send(hosting->fd, RV_ECHO, words, sizeof(words)) &&
		       rv_receive(hosting->fd, RV_READ_WHOLE, &frame) &&
		       frame.len == sizeof(words) &&
		       memcmp(frame.data, capitals, sizeof(capitals)) == 0;
	while (rv_receive(hosting->fd, RV_READ_WHOLE, &frame)) {
		for (size_t i = 0; i < frame.len; i++)
			frame.data[i] = (uint8_t)toupper(frame.data[i]);
		if (frame.kind != RV_ECHO || !rv_send(hosting->fd, RV_ECHO, frame.data, frame.len))
			return false;
	}
	return true;
}

static bool login(struct hosting *hosting, const struct hosting_twist *twist)
{
	const struct rv_role role = { .is_server = hosting->is_server,
		.latch = "yes",
		.host = hosting->host,
		.named = hosting->names_descriptor ? hosting->fd : -1 };
	bool is_open, goes_on = true;

	if (!moment_comes(hosting, twist->connected))
		return false;
	is_open = rv_end_new(&hosting->end, &role);
	if (is_open && !moment_comes(hosting, twist->acquired))
		return false;
	is_open = is_open && tokens_exchange(hosting, twist, &goes_on);
	if (!goes_on || !moment_comes(hosting, twist->ended))
		return false;
	result_print(hosting);
	return is_open;
}

bool hosting_run(struct hosting *hosting, const struct hosting_twist *twist)
{
	bool is_done;

	if (hosting->is_server)
		hosting->fd = accept4(hosting->listener, NULL, NULL, SOCK_CLOEXEC);
	else
		hosting->fd = rv_connect(hosting->host, hosting->port);
	if (hosting->fd < 0)
		return hosting_fail("no connection");
	is_done = login(hosting, twist) && moment_comes(hosting, twist->told) &&
		  hosting_talk(hosting);
	if (is_done)
		printf("%s talked\n", who(hosting));
	(void)fflush(stdout);
	rv_end_free(&hosting->end);
	(void)close(hosting->fd);
	return is_done;
}

static bool run_all(struct hosting *hosting)
{
	const struct hosting_twist *twist = hosting_twist_find(hosting->twist);
	bool is_done;

	if (!moment_comes(hosting, twist->begins))
		return false;
	if (hosting->is_server) {
		hosting->listener = rv_listen(hosting->port, false);
		if (hosting->listener < 0)
			return false;
		printf("listening\n");
		(void)fflush(stdout);
	}
	do
		is_done = hosting_run(hosting, twist);
	while (hosting->is_server && strcmp(hosting->twist, "plain") == 0);
	return is_done;
}

static void *run_in_thread(void *argument)
{
	struct hosting *hosting = argument;

	return run_all(hosting) ? hosting : NULL;
}

static bool run_on_small_stack(struct hosting *hosting)
{
	pthread_attr_t attributes;
	pthread_t thread;
	void *result = NULL;

	return pthread_attr_init(&attributes) == 0 &&
	       pthread_attr_setstacksize(&attributes, SMALL_STACK_BYTES) == 0 &&
	       pthread_create(&thread, &attributes, run_in_thread, hosting) == 0 &&
	       pthread_join(thread, &result) == 0 && result != NULL;
}

/* Also called by hosting_loader, to which this program is a library. */
__attribute__((visibility("default"))) int hosting_main(int argc, char **argv);
int hosting_main(int argc, char **argv)
{
	static struct hosting hosting;

	if (argc == 4 && strcmp(argv[1], "rest") == 0)
		return hosting_rest(argv[2], argv[3]);
	if (argc < 5 || hosting_twist_find(argv[2]) == NULL) {
		(void)fprintf(
			stderr, "usage: hosting ask|serve TWIST PORT HOST [named] [NUMBER]\n");
		return 2;
	}
	hosting = (struct hosting){ .is_server = strcmp(argv[1], "serve") == 0,
		.twist = argv[2],
		.port = argv[3],
		.host = argv[4],
		.argv = argv,
		.listener = -1,
		.fd = -1 };
	for (int i = 5; i < argc; i++)
		if (strcmp(argv[i], "named") == 0)
			hosting.names_descriptor = true;
		else
			hosting.number = strtol(argv[i], NULL, 10);
	if (strcmp(hosting.twist, "small-stack") == 0)
		return run_on_small_stack(&hosting) ? 0 : 1;
	return run_all(&hosting) ? 0 : 1;
}
