/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec status for people: what the kernel knows first, claims of the latching process behind. */
#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker_protocol.h"
#include "mech/ike/ike.h"
#include "mech/mech.h"
#include "tools/status.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define HOLDERS_SHOWN_MAX 8
#define BOLD "\033[1m"
#define GREEN "\033[32m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define PLAIN "\033[0m"

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

static const char *paint(const struct status_view *view, const char *code)
{
	return view->uses_colours ? code : "";
}

const char *status_address(
	const struct kbind_tuple *tuple, bool is_local, char text[STATUS_ADDRESS_BYTES])
{
	const uint8_t *address = is_local ? tuple->local : tuple->remote;
	const bool is_link_local =
		tuple->family == AF_INET6 && address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
	char plain[INET6_ADDRSTRLEN] = "?", name[IF_NAMESIZE];

	(void)inet_ntop(tuple->family, address, plain, sizeof(plain));
	if (!is_link_local || tuple->zone == 0)
		(void)snprintf(text, STATUS_ADDRESS_BYTES, "%s", plain);
	else if (if_indextoname(tuple->zone, name) != NULL)
		(void)snprintf(text, STATUS_ADDRESS_BYTES, "%s%%%s", plain, name);
	else
		(void)snprintf(text, STATUS_ADDRESS_BYTES, "%s%%%u", plain, tuple->zone);
	return text;
}

static void print_end(const struct kbind_tuple *tuple, bool is_local, FILE *out)
{
	char text[STATUS_ADDRESS_BYTES];

	fprintf(out, tuple->family == AF_INET6 ? "[%s]:%u" : "%s:%u",
		status_address(tuple, is_local, text),
		is_local ? tuple->local_port : tuple->remote_port);
}

static void print_traffic(uint64_t bytes, uint64_t packets, const char *direction, FILE *out)
{
	size_t i = 0;

	while (i < COUNT_OF(byte_units) && bytes < byte_units[i].size)
		i++;
	if (i == COUNT_OF(byte_units))
		fprintf(out, "%" PRIu64 " B", bytes);
	else
		fprintf(out, "%.2f %s", (double)bytes / (double)byte_units[i].size,
			byte_units[i].name);
	fprintf(out, " %s in %" PRIu64 " packet%s", direction, packets, packets == 1 ? "" : "s");
}

/* The two largest units: "1 hour, 12 minutes". */
static void print_age(uint64_t age_sec, FILE *out)
{
	uint64_t left = age_sec, count;
	int printed = 0;
	size_t i;

	for (i = 0; i < COUNT_OF(time_units) && printed < 2; i++) {
		count = left / time_units[i].size;
		left %= time_units[i].size;
		if (count == 0)
			continue;
		fprintf(out, "%s%" PRIu64 " %s", printed++ > 0 ? ", " : "", count,
			count == 1 ? time_units[i].name : time_units[i].plural);
	}
	if (printed == 0)
		fprintf(out, "0 seconds");
}

static void print_suite(uint16_t number, FILE *out)
{
	const struct esp_suite *suite = esp_suite_find(number);

	if (suite != NULL)
		fprintf(out, "  suite: %s\n", suite->name);
	else
		fprintf(out, "  suite: number %u\n", number);
}

static void print_claim(const char *what, const char *text, FILE *out)
{
	if (text[0] != '\0')
		fprintf(out, "    %s: %s\n", what, text);
}

static void print_user(uint32_t uid, FILE *out)
{
	const struct passwd *user = getpwuid(uid);

	fprintf(out, "uid %" PRIu32, uid);
	if (user != NULL)
		fprintf(out, " (%s)", user->pw_name);
}

static void print_claims(const struct kbind_status *lease, FILE *out)
{
	fprintf(out, "  latched by: ");
	print_user(lease->uid, out);
	if (lease->local_name[0] == '\0' && lease->peer_name[0] == '\0' &&
		lease->method[0] == '\0' && lease->service[0] == '\0') {
		fprintf(out, "\n");
		return;
	}
	fprintf(out, ", which claims\n");
	print_claim("local", lease->local_name, out);
	print_claim("peer", lease->peer_name, out);
	print_claim("proven by", lease->method, out);
	print_claim("key", lease->peer_key, out);
	print_claim("service", lease->service, out);
}

static void print_holders(const struct status_view *view, size_t lease, FILE *out)
{
	size_t printed = 0, more = 0;

	for (size_t i = 0; i < view->holders.count; i++) {
		const struct status_holder *holder = &view->holders.items[i];

		if (holder->lease != lease)
			continue;
		if (printed == HOLDERS_SHOWN_MAX) {
			more++;
			continue;
		}
		fprintf(out, "%s%s[%d]", printed++ == 0 ? "  held by: " : ", ", holder->command,
			(int)holder->pid);
	}
	if (more > 0)
		fprintf(out, " and %zu more", more);
	if (printed > 0)
		fprintf(out, "\n");
}

static const char *state_colour(const struct status_view *view, uint8_t state)
{
	if (state == IPSEC_LATCH_STATE_ESTABLISHED)
		return paint(view, GREEN);
	return paint(view, state == IPSEC_LATCH_STATE_BROKEN || state == IPSEC_LATCH_STATE_FAILED
				   ? RED
				   : YELLOW);
}

static void print_lease(const struct status_view *view, size_t index, FILE *out)
{
	const struct kbind_status *lease = &view->leases[index];

	fprintf(out, "%sconnection%s: ", paint(view, BOLD), paint(view, PLAIN));
	print_end(&lease->tuple, true, out);
	fprintf(out, " %s ", lease->is_initiator ? "->" : "<-");
	print_end(&lease->tuple, false, out);
	fprintf(out, "\n  state: %s%s%s", state_colour(view, lease->state),
		latch_state_word(lease->state), paint(view, PLAIN));
	if (lease->reason != IPSEC_LATCH_LATCHED)
		fprintf(out, ": %s", latch_reason_text(lease->reason));
	fprintf(out, "\n");
	print_suite(lease->suite, out);
	if (lease->spi_in != 0)
		fprintf(out, "  SPI: 0x%08" PRIx32 " in, 0x%08" PRIx32 " out\n", lease->spi_in,
			lease->spi_out);
	fprintf(out, "  age: ");
	print_age(lease->age_sec, out);
	fprintf(out, "\n  transfer: ");
	print_traffic(lease->bytes_in, lease->packets_in, "received", out);
	fprintf(out, ", ");
	print_traffic(lease->bytes_out, lease->packets_out, "sent", out);
	fprintf(out, "\n");
	print_claims(lease, out);
	print_holders(view, index, out);
}

/* --- refusals --- */

static void print_refusal(
	const struct status_view *view, const struct kbind_refusal *refusal, FILE *out)
{
	fprintf(out, "%srefused%s: ", paint(view, BOLD), paint(view, PLAIN));
	if (refusal->has_tuple) {
		print_end(&refusal->tuple, true, out);
		fprintf(out, " - ");
		print_end(&refusal->tuple, false, out);
		fprintf(out, ", ");
	}
	fprintf(out, "%s of ", broker_request_word(refusal->request));
	print_user(refusal->uid, out);
	fprintf(out, ", ");
	print_age(refusal->age_sec, out);
	fprintf(out, " ago\n  %s: %s\n", latch_reason_word(refusal->reason),
		latch_reason_text(refusal->reason));
}

void status_print_text(const struct status_view *view, FILE *out)
{
	size_t i;

	for (i = 0; i < view->count; i++) {
		fprintf(out, i > 0 ? "\n" : "");
		print_lease(view, i, out);
	}
	if (view->count == 0)
		fprintf(out, view->is_filtered ? "No such connection is latched.\n"
					       : "No connection is latched.\n");
	if (!view->has_refusals)
		return;
	fprintf(out, "\n");
	for (i = 0; i < view->refusal_count; i++)
		print_refusal(view, &view->refusals[i], out);
	if (view->refusal_count == 0)
		fprintf(out, "Nothing was refused of late.\n");
}
