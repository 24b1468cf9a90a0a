/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec status for programs: JSON (RFC 8259), as gss-ipsec(1) describes it; fields are only added. */
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include "kernel-bind/broker_protocol.h"
#include "mech/ike/ike.h"
#include "mech/mech.h"
#include "tools/status.h"
#include "tools/tools.h"

#define JSON_VERSION 1

/* All texts are ASCII by now, but for user names and paths. */
static void put_text(const char *name, const char *text, FILE *out)
{
	fprintf(out, "\"%s\": ", name);
	if (text == NULL || text[0] == '\0')
		fprintf(out, "null");
	else
		tool_put_json(text, out);
}

static void put_end(const char *name, const struct kbind_tuple *tuple, bool is_local, FILE *out)
{
	char text[STATUS_ADDRESS_BYTES];

	fprintf(out, "\"%s\": {", name);
	put_text("address", status_address(tuple, is_local, text), out);
	fprintf(out, ", \"port\": %u}", is_local ? tuple->local_port : tuple->remote_port);
}

static void put_user(uint32_t uid, FILE *out)
{
	const struct passwd *user = getpwuid(uid);

	fprintf(out, "\"uid\": %" PRIu32 ", ", uid);
	put_text("user", user != NULL ? user->pw_name : NULL, out);
}

/* SPIs are shown as everywhere else, or not at all. */
static void put_spi(const char *name, uint32_t spi, FILE *out)
{
	if (spi != 0)
		fprintf(out, "\"%s\": \"0x%08" PRIx32 "\", ", name, spi);
	else
		fprintf(out, "\"%s\": null, ", name);
}

static void put_claims(const struct kbind_status *lease, FILE *out)
{
	fprintf(out, "\"claims\": {");
	put_text("own_name", lease->local_name, out);
	fprintf(out, ", ");
	put_text("peer_name", lease->peer_name, out);
	fprintf(out, ", ");
	put_text("peer_method", lease->method, out);
	fprintf(out, ", ");
	put_text("peer_key", lease->peer_key, out);
	fprintf(out, ", ");
	put_text("service", lease->service, out);
	fprintf(out, "}");
}

static void put_holders(const struct status_view *view, size_t lease, FILE *out)
{
	const char *between = "";

	fprintf(out, "\"processes\": [");
	for (size_t i = 0; i < view->holders.count; i++) {
		const struct status_holder *holder = &view->holders.items[i];

		if (holder->lease != lease)
			continue;
		fprintf(out, "%s{\"pid\": %d, \"descriptor\": %d, ", between, (int)holder->pid,
			holder->fd);
		put_text("command", holder->command, out);
		fprintf(out, "}");
		between = ", ";
	}
	fprintf(out, "]");
}

static void put_lease(const struct status_view *view, size_t index, FILE *out)
{
	const struct kbind_status *lease = &view->leases[index];
	const struct esp_suite *suite = esp_suite_find(lease->suite);
	const bool is_latched = lease->state == IPSEC_LATCH_STATE_ESTABLISHED;

	fprintf(out, "{\"latched\": %s, \"state\": \"%s\", ", is_latched ? "true" : "false",
		latch_state_word(lease->state));
	put_text("reason", lease->reason != 0 ? latch_reason_word(lease->reason) : NULL, out);
	fprintf(out, ", ");
	put_text("reason_text", lease->reason != 0 ? latch_reason_text(lease->reason) : NULL, out);
	fprintf(out, ", \"role\": \"%s\", ", lease->is_initiator ? "initiator" : "acceptor");
	put_end("local", &lease->tuple, true, out);
	fprintf(out, ", ");
	put_end("remote", &lease->tuple, false, out);
	fprintf(out, ", ");
	put_text("esp", suite != NULL ? suite->name : NULL, out);
	fprintf(out, ", ");
	put_spi("spi_in", lease->spi_in, out);
	put_spi("spi_out", lease->spi_out, out);
	fprintf(out,
		"\"age_seconds\": %" PRIu64 ", \"received\": {\"bytes\": %" PRIu64
		", \"packets\": %" PRIu64 "}, \"sent\": {\"bytes\": %" PRIu64
		", \"packets\": %" PRIu64 "}, ",
		lease->age_sec, lease->bytes_in, lease->packets_in, lease->bytes_out,
		lease->packets_out);
	put_user(lease->uid, out);
	fprintf(out, ", ");
	put_claims(lease, out);
	fprintf(out, ", ");
	put_holders(view, index, out);
	fprintf(out, "}");
}

static void put_refusal(const struct kbind_refusal *refusal, FILE *out)
{
	fprintf(out, "{\"age_seconds\": %" PRIu64 ", \"request\": \"%s\", ", refusal->age_sec,
		broker_request_word(refusal->request));
	put_text("reason", latch_reason_word(refusal->reason), out);
	fprintf(out, ", ");
	put_text("reason_text", latch_reason_text(refusal->reason), out);
	fprintf(out, ", ");
	put_user(refusal->uid, out);
	if (refusal->has_tuple) {
		fprintf(out, ", ");
		put_end("local", &refusal->tuple, true, out);
		fprintf(out, ", ");
		put_end("remote", &refusal->tuple, false, out);
	} else {
		fprintf(out, ", \"local\": null, \"remote\": null");
	}
	fprintf(out, "}");
}

void status_print_json(const struct status_view *view, FILE *out)
{
	const char *line = view->is_one_line ? " " : "\n";
	size_t i;

	fprintf(out, "{\"version\": %d, \"time\": %lld, ", JSON_VERSION, (long long)time(NULL));
	put_text("broker", view->broker, out);
	fprintf(out, ", \"connections\": [");
	for (i = 0; i < view->count; i++) {
		fprintf(out, "%s%s", i > 0 ? "," : "", line);
		put_lease(view, i, out);
	}
	fprintf(out, "]");
	if (view->has_refusals) {
		fprintf(out, ",%s\"refusals\": [", line);
		for (i = 0; i < view->refusal_count; i++) {
			fprintf(out, "%s%s", i > 0 ? "," : "", line);
			put_refusal(&view->refusals[i], out);
		}
		fprintf(out, "]");
	}
	fprintf(out, "}\n");
}
