/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests as no honest client writes them: cut, too long, at every bound, of no known kind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/real/hostile.h"

#define REPLY_WAIT_MS 5000

static const struct broker_request whole = {
	.type = BROKER_LATCH,
	.is_initiator = true,
	.suite = 1,
	.spi_out = 0x12345678,
	.cookie = 1,
	.token_bytes = UINT64_MAX,
	.cursor = UINT64_MAX,
	.key_in = { .len = 36 },
	.key_out = { .len = 36 },
	.local_name = "mallory",
	.peer_name = "alice",
	.method = "Ed25519",
	.service = "probe",
};

/* No reply, or one that refuses. */
static bool is_refused(struct bytes message, int descriptor)
{
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
	ssize_t len = hostile_reply(
		probe_message_send(&probe_hosts[0], message, &descriptor, descriptor >= 0),
		REPLY_WAIT_MS, reply, sizeof(reply));

	return len == 0 || (len >= 2 && reply[1] != IPSEC_LATCH_LATCHED);
}

/* Every request that carries a descriptor, at every length. */
static void cut_run(void *argument)
{
	const int descriptor = *(const int *)argument;
	struct broker_request request = whole;
	struct writer w;
	bool is_good = true;

	for (request.type = BROKER_RESERVE; request.type <= BROKER_RELEASE; request.type++) {
		writer_init(&w, BROKER_REQUEST_BYTES_MAX);
		if (broker_request_write(&request, &w) != ERR_OK)
			_exit(1);
		for (size_t len = 0; len < writer_len(&w); len++)
			is_good =
				is_refused(BYTES(writer_view(&w).data, len), descriptor) && is_good;
		writer_free(&w);
	}
	_exit(is_good ? 0 : 1);
}

/* Empty, and up to far beyond what a request may be. */
static void long_run(void *argument)
{
	static const size_t lengths[] = { 0, 1, 2, 3, 2047, 2048, 2049, 4096, 65536, 200000 };
	const int descriptor = *(const int *)argument;
	uint8_t *octets = calloc(1, 200000);
	bool is_good = octets != NULL;

	for (unsigned int first = 0; first < 256 && is_good; first += 5) {
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			octets[0] = first == 0 ? BROKER_VERSION : (uint8_t)first;
			octets[1] = (uint8_t)(first * 7);
			/* LIST and PING of any length are answered. */
			if (octets[0] == BROKER_VERSION && (octets[1] == 5 || octets[1] == 6))
				continue;
			is_good = is_good && is_refused(BYTES(octets, lengths[i]), descriptor);
		}
	}
	free(octets);
	_exit(is_good ? 0 : 1);
}

/* Fields of a reservation at and beyond their bounds. */
static void bounds_run(void *argument)
{
	static const uint32_t spis[] = { 0, 1, 255, UINT32_MAX };
	static const uint16_t suites[] = { 0, 2, 255, 256, UINT16_MAX };
	static const size_t key_bytes[] = { 0, 1, 35, 37, SECRET_KEY_MAX };
	const struct end *end = argument;
	struct broker_request request = whole;
	bool is_good = true;

	request.type = BROKER_RESERVE;
	request.cookie = end->candidate.cookie;
	for (size_t i = 0; i < 3; i++) {
		request.spi_out = spis[i];
		is_good = hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_NO_SUITE && is_good;
	}
	request.spi_out = whole.spi_out;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		request.suite = suites[i];
		is_good = hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_NO_SUITE && is_good;
	}
	request.suite = whole.suite;
	for (size_t i = 0; i < sizeof(key_bytes) / sizeof(key_bytes[0]); i++) {
		request.key_in.len = key_bytes[i];
		is_good = hostile_reason(&request, &end->fd, 1) != IPSEC_LATCH_LATCHED && is_good;
		request.key_in.len = whole.key_in.len;
		request.key_out.len = key_bytes[i];
		is_good = hostile_reason(&request, &end->fd, 1) != IPSEC_LATCH_LATCHED && is_good;
		request.key_out.len = whole.key_out.len;
	}
	for (unsigned int bit = 0; bit < 64; bit++) {
		request.cookie = end->candidate.cookie ^ UINT64_C(1) << bit;
		is_good =
			hostile_reason(&request, &end->fd, 1) == IPSEC_LATCH_SOCKET_GONE && is_good;
	}
	_exit(is_good ? 0 : 1);
}

static void text_fill(char *text, size_t room, unsigned int seed)
{
	static const char nasty[] =
		"\033[2J\033]0;x\a\r\n\x80\xc0\xaf\xed\xa0\x80\xff\"\\\t\b\x7f%s%n";

	for (size_t i = 0; i + 1 < room; i++)
		text[i] = nasty[(i + seed) % (sizeof(nasty) - 1)];
	text[room - 1] = '\0';
}

static bool text_is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* Whether the broker's own octets, not what a client makes of them, are printable. */
static bool reply_is_printable(int fd)
{
	const struct broker_request query = { .type = BROKER_QUERY };
	uint8_t reply[BROKER_REPLY_BYTES_MAX];
	ssize_t len = hostile_reply(probe_request_send(&probe_hosts[0], &query, &fd, 1),
		REPLY_WAIT_MS, reply, sizeof(reply));

	/* The names are the last thing in it; here they are 255 octets, "?[2J?]0;x" and so on. */
	return len > 510 && memchr(reply + len - 510, '\033', 510) == NULL &&
	       memchr(reply + len - 510, 0x7f, 510) == NULL &&
	       memchr(reply + len - 510, '\n', 510) == NULL;
}

static void test_names(void)
{
	struct kbind_status *status = calloc(1, sizeof(*status));
	struct broker_request latch = { .type = BROKER_LATCH, .key_out = { .len = 36 } };
	struct end ends[2];

	text_fill(latch.local_name, sizeof(latch.local_name), 0);
	text_fill(latch.peer_name, sizeof(latch.peer_name), 7);
	text_fill(latch.method, sizeof(latch.method), 3);
	text_fill(latch.service, sizeof(latch.service), 5);
	if (status == NULL || !hostile_pair_open(ends) || !probe_pair_reserve(ends) ||
		!probe_transfer(&ends[0], &ends[1], 100))
		return;
	latch.cookie = ends[1].lease.cookie;
	memcpy(latch.secret, ends[1].lease.secret, sizeof(latch.secret));
	latch.key_out = ends[1].key_out;
	latch.spi_out = ends[0].lease.spi_in;
	latch.token_bytes = 100;
	probe_check(hostile_reason(&latch, &ends[1].fd, 1) == IPSEC_LATCH_LATCHED,
		"latched with names of 255 octets of escape sequences and invalid UTF-8");
	probe_check(kbind_query(probe_hosts[0].socket_path, ends[1].fd, status) == 0 &&
			    strlen(status->local_name) == 255 &&
			    text_is_printable(status->local_name) &&
			    text_is_printable(status->peer_name) &&
			    text_is_printable(status->method) &&
			    text_is_printable(status->service) && reply_is_printable(ends[1].fd),
		"status shows them printable only");
	free(status);
	probe_pair_close(ends);
}

void hostile_test_requests(void)
{
	struct end ends[2];

	if (!hostile_pair_open(ends))
		return;
	hostile_measure_begin();
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, cut_run, &ends[0].fd)),
		"requests cut at every length are refused");
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, long_run, &ends[0].fd)),
		"empty, unknown and oversized ones too");
	probe_check(hostile_wait(hostile_start(HOSTILE_UID, bounds_run, &ends[0])),
		"suites, SPIs, keys and cookies at and beyond their bounds are refused");
	hostile_measure_end("broken requests");
	probe_pair_close(ends);
	test_names();
}
