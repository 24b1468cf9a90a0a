/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec status: the connections that the broker protects.  What the kernel knows comes first;
 * names and methods are what the latching process claimed, and are marked so.
 */
#include "tools/tools.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <net/if.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/config.h"
#include "kernel-bind/broker_protocol.h"
#include "mech/ike/ike.h"

#define STATUS_USAGE                           \
	"gss-ipsec status [--broker SOCKET]\n" \
	"\n"                                   \
	"Lists the latched connections. SOCKET is gss-ipsecd's, if not the configured one."

/* zone: the interface of link-local addresses (RFC 4007 11), 0: none. */
static void print_end(uint8_t family, const uint8_t *address, uint16_t port, uint32_t zone)
{
	const bool is_link_local = address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
	char text[INET6_ADDRSTRLEN] = "?", name[IF_NAMESIZE];

	(void)inet_ntop(family, address, text, sizeof(text));
	if (family != AF_INET6)
		printf("%s:%u", text, port);
	else if (zone == 0 || !is_link_local)
		printf("[%s]:%u", text, port);
	else if (if_indextoname(zone, name) != NULL)
		printf("[%s%%%s]:%u", text, name, port);
	else
		printf("[%s%%%u]:%u", text, zone, port);
}

struct unit {
	uint64_t size;
	const char *name;
	const char *plural;
};

static const struct unit byte_units[] = {
	{ UINT64_C(1) << 40, "TiB", "TiB" },
	{ UINT64_C(1) << 30, "GiB", "GiB" },
	{ UINT64_C(1) << 20, "MiB", "MiB" },
	{ UINT64_C(1) << 10, "KiB", "KiB" },
};

static const struct unit time_units[] = {
	{ 86400, "day", "days" },
	{ 3600, "hour", "hours" },
	{ 60, "minute", "minutes" },
	{ 1, "second", "seconds" },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void print_traffic(uint64_t bytes, uint64_t packets, const char *direction)
{
	size_t i = 0;

	while (i < COUNT_OF(byte_units) && bytes < byte_units[i].size)
		i++;
	if (i == COUNT_OF(byte_units))
		printf("%" PRIu64 " B", bytes);
	else
		printf("%.2f %s", (double)bytes / (double)byte_units[i].size, byte_units[i].name);
	printf(" %s in %" PRIu64 " packet%s", direction, packets, packets == 1 ? "" : "s");
}

/* The two largest units: "1 hour, 12 minutes". */
static void print_age(uint64_t age_sec)
{
	uint64_t left = age_sec, count;
	int printed = 0;
	size_t i;

	for (i = 0; i < COUNT_OF(time_units) && printed < 2; i++) {
		count = left / time_units[i].size;
		left %= time_units[i].size;
		if (count == 0)
			continue;
		printf("%s%" PRIu64 " %s", printed++ > 0 ? ", " : "", count,
			count == 1 ? time_units[i].name : time_units[i].plural);
	}
	printf(printed > 0 ? "\n" : "0 seconds\n");
}

static void print_suite(uint16_t number)
{
	const struct esp_suite *suite = esp_suite_find(number);

	if (suite != NULL)
		printf("  suite: %s\n", suite->name);
	else
		printf("  suite: number %u\n", number);
}

static void print_claim(const char *what, const char *text)
{
	if (text[0] != '\0')
		printf("    %s: %s\n", what, text);
}

static void print_claims(const struct kbind_status *lease)
{
	const struct passwd *user = getpwuid(lease->uid);

	printf("  latched by: uid %" PRIu32 "%s%s%s", lease->uid, user != NULL ? " (" : "",
		user != NULL ? user->pw_name : "", user != NULL ? ")" : "");
	if (lease->local_name[0] == '\0' && lease->peer_name[0] == '\0' &&
		lease->method[0] == '\0' && lease->service[0] == '\0') {
		printf("\n");
		return;
	}
	printf(", which claims\n");
	print_claim("local", lease->local_name);
	print_claim("peer", lease->peer_name);
	print_claim("method", lease->method);
	print_claim("service", lease->service);
}

static void print_lease(const struct kbind_status *lease)
{
	const struct kbind_tuple *tuple = &lease->tuple;

	printf("connection: ");
	print_end(tuple->family, tuple->local, tuple->local_port, tuple->zone);
	printf(" %s ", lease->is_initiator ? "->" : "<-");
	print_end(tuple->family, tuple->remote, tuple->remote_port, tuple->zone);
	printf("\n  state: %s", latch_state_word(lease->state));
	if (lease->reason != IPSEC_LATCH_LATCHED)
		printf(": %s", latch_reason_text(lease->reason));
	printf("\n");
	print_suite(lease->suite);
	if (lease->spi_in != 0)
		printf("  SPI: 0x%08" PRIx32 " in, 0x%08" PRIx32 " out\n", lease->spi_in,
			lease->spi_out);
	printf("  age: ");
	print_age(lease->age_sec);
	printf("  transfer: ");
	print_traffic(lease->bytes_in, lease->packets_in, "received");
	printf(", ");
	print_traffic(lease->bytes_out, lease->packets_out, "sent");
	printf("\n");
	print_claims(lease);
}

static int status_list(const char *path)
{
	struct kbind_status items[BROKER_LIST_MAX];
	enum ipsec_latch_reason reason;
	uint64_t cursor = 0;
	size_t count = 0, i, total = 0;

	do {
		reason = kbind_list(path, &cursor, items, BROKER_LIST_MAX, &count);
		if (reason == IPSEC_LATCH_NO_BROKER)
			return tool_fail(
				"no broker answers at %s: %s", path, latch_reason_text(reason));
		if (reason != IPSEC_LATCH_LATCHED)
			return tool_fail("the broker refuses: %s", latch_reason_text(reason));
		for (i = 0; i < count; i++) {
			printf(total++ > 0 ? "\n" : "");
			print_lease(&items[i]);
		}
	} while (count > 0);
	if (total == 0)
		printf("No connection is latched.\n");
	return TOOL_OK;
}

int tool_status(int argc, char **argv)
{
	static const struct option options[] = { { "broker", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 } };
	struct config *config = NULL;
	const char *path = NULL;
	int option, code;

	while ((option = getopt_long(argc, argv, "b:h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_print_usage(STATUS_USAGE);
		if (option != 'b')
			return tool_refuse_usage(STATUS_USAGE);
		path = optarg;
	}
	if (optind != argc)
		return tool_refuse_usage(STATUS_USAGE);
	/* A mistake in the configuration is no reason not to show what is latched. */
	if (path == NULL && config_get(&config) == ERR_OK)
		path = config_broker_path(config);
	code = status_list(path != NULL ? path : BROKER_SOCKET_PATH);
	config_release(&config);
	return code;
}
