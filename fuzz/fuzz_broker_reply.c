/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a broker may answer; the first octet is the type of the request it answers.  With REPEATED in
 * it the input is shorter than what it stands for: a count around the limit, how often there is a
 * lease (0: as often as counted), and that lease, since no mutation would make that many.
 */
#include <stdlib.h>

#include "fuzz/fuzz_text.h"
#include "kernel-bind/broker_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REPEATED 0x80
#define REPEATED_MAX 32

static struct broker_reply reply, again; /* too large for the stack */

static void check_lease(const struct kbind_status *lease)
{
	fuzz_check_text(lease->local_name, sizeof(lease->local_name));
	fuzz_check_text(lease->peer_name, sizeof(lease->peer_name));
	fuzz_check_text(lease->method, sizeof(lease->method));
	fuzz_check_text(lease->service, sizeof(lease->service));
}

static void fuzz_reply(uint8_t type, struct bytes input)
{
	struct writer first, second;

	if (broker_reply_read(type, input, &reply) != ERR_OK)
		return;
	if (reply.count > BROKER_LIST_MAX)
		abort();
	for (size_t i = 0; i < reply.count; i++)
		check_lease(&reply.items[i]);
	writer_init(&first, BROKER_REPLY_BYTES_MAX);
	writer_init(&second, BROKER_REPLY_BYTES_MAX);
	if (broker_reply_write(type, &reply, &first) != ERR_OK ||
		broker_reply_read(type, writer_view(&first), &again) != ERR_OK ||
		broker_reply_write(type, &again, &second) != ERR_OK ||
		!bytes_equal(writer_view(&first), writer_view(&second)))
		abort();
	writer_free(&first);
	writer_free(&second);
}

/* A page: version, reason and cursor are right, all else is the input's. */
static void fuzz_repeated(struct bytes input)
{
	struct reader r;
	struct writer w;
	uint8_t count, times;
	struct bytes lease;

	reader_init(&r, input);
	count = reader_get_u8(&r) % (REPEATED_MAX + 1);
	times = reader_get_u8(&r) % (REPEATED_MAX + 1);
	if (times == 0)
		times = count;
	lease = reader_get_rest(&r);
	writer_init(&w, (size_t)1 << 20);
	writer_put_u8(&w, BROKER_VERSION);
	writer_put_u8(&w, IPSEC_LATCH_LATCHED);
	writer_put_u64(&w, count);
	writer_put_u8(&w, count);
	for (uint8_t i = 0; i < times; i++)
		writer_put_bytes(&w, lease);
	fuzz_reply(BROKER_LIST, writer_view(&w));
	writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if ((data[0] & REPEATED) != 0)
		fuzz_repeated(BYTES(data + 1, size - 1));
	else
		fuzz_reply(data[0], BYTES(data + 1, size - 1));
	return 0;
}
