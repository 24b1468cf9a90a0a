/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GSS_LATCH (doc/protocol.md, section 3): the offer in T1, the answer in T2, and how both name a
 * connection without telling strangers of it.
 */
#include <string.h>

#include "mech/ike/ike.h"

#define LATCH_VERSION 1
#define LATCH_KIND_OFFER 1
#define LATCH_KIND_ANSWER 2
#define TUPLE_BYTES_MAX (1 + 2 * (16 + 2))

/* The zero octet in front keeps labels and nonces apart (doc/protocol.md, section 5). */
static const char label_connection[] = "\0gss-ipsec connection";
#define LABEL_CONNECTION BYTES((const uint8_t *)label_connection, sizeof(label_connection) - 1)

/* --- offer --- */

static bool offer_is_allowed(const struct ike_latch_offer *offer)
{
	return offer->suite_count <= IKE_LATCH_SUITES_MAX &&
	       offer->candidate_count <= IKE_LATCH_CANDIDATES_MAX &&
	       (offer->reason == 0) == (offer->candidate_count > 0);
}

/* They came later than the lists, so they are behind both. */
static void put_positions(struct writer *w, const struct ike_latch_offer *offer)
{
	for (size_t i = 0; offer->has_positions && i < offer->candidate_count; i++)
		writer_put_u32(w, offer->positions[i]);
}

static void put_list(struct writer *w, const uint16_t *items, size_t count)
{
	size_t i;

	writer_put_u8(w, (uint8_t)count);
	for (i = 0; i < count; i++)
		writer_put_u16(w, items[i]);
}

void ike_put_latch_offer(struct ike_builder *b, const struct ike_latch_offer *offer)
{
	if (!offer_is_allowed(offer)) {
		writer_fail(&b->w, ERR_INTERNAL);
		return;
	}
	ike_builder_open_notify(b, IKE_NOTIFY_GSS_LATCH);
	writer_put_u8(&b->w, LATCH_VERSION);
	writer_put_u8(&b->w, LATCH_KIND_OFFER);
	writer_put_u8(&b->w, offer->reason);
	put_list(&b->w, offer->suites, offer->suite_count);
	put_list(&b->w, offer->candidates, offer->candidate_count);
	put_positions(&b->w, offer);
	ike_builder_close_payload(b);
}

static size_t read_list(struct reader *r, uint16_t *items, size_t room)
{
	size_t i, count = reader_get_u8(r);

	if (count > room) {
		reader_fail(r, ERR_NOTIFY_FORMAT);
		return 0;
	}
	for (i = 0; i < count; i++)
		items[i] = reader_get_u16(r);
	return count;
}

/* A sender that knows none leaves them out. */
static void read_positions(struct reader *r, struct ike_latch_offer *offer)
{
	if (reader_left(r) < offer->candidate_count * sizeof(offer->positions[0]))
		return;
	for (size_t i = 0; i < offer->candidate_count; i++)
		offer->positions[i] = reader_get_u32(r);
	offer->has_positions = offer->candidate_count > 0;
}

static void read_version(struct reader *r, uint8_t kind)
{
	uint8_t version = reader_get_u8(r);

	if (version != LATCH_VERSION || reader_get_u8(r) != kind)
		reader_fail(r, ERR_NOTIFY_FORMAT);
}

enum err ike_latch_offer_parse(struct bytes data, struct ike_latch_offer *ret_offer)
{
	struct ike_latch_offer offer = { 0 };
	struct reader r;

	reader_init(&r, data);
	read_version(&r, LATCH_KIND_OFFER);
	offer.reason = reader_get_u8(&r);
	offer.suite_count = read_list(&r, offer.suites, IKE_LATCH_SUITES_MAX);
	offer.candidate_count = read_list(&r, offer.candidates, IKE_LATCH_CANDIDATES_MAX);
	read_positions(&r, &offer);
	if (reader_status(&r) != ERR_OK || !offer_is_allowed(&offer))
		return ERR_NOTIFY_FORMAT;
	*ret_offer = offer;
	return ERR_OK;
}

/* --- answer --- */

static bool answer_is_allowed(const struct ike_latch_answer *answer)
{
	return answer->reason != 0 || answer->spi >= IKE_ESP_SPI_MIN;
}

void ike_put_latch_answer(struct ike_builder *b, const struct ike_latch_answer *answer)
{
	if (!answer_is_allowed(answer)) {
		writer_fail(&b->w, ERR_INTERNAL);
		return;
	}
	ike_builder_open_notify(b, IKE_NOTIFY_GSS_LATCH);
	writer_put_u8(&b->w, LATCH_VERSION);
	writer_put_u8(&b->w, LATCH_KIND_ANSWER);
	writer_put_u8(&b->w, answer->reason);
	if (answer->reason == 0) {
		writer_put_u16(&b->w, answer->suite);
		writer_put_u32(&b->w, answer->spi);
		writer_put_bytes(&b->w, BYTES_OF(answer->tag));
	}
	ike_builder_close_payload(b);
}

enum err ike_latch_answer_parse(struct bytes data, struct ike_latch_answer *ret_answer)
{
	struct ike_latch_answer answer = { 0 };
	struct reader r;

	reader_init(&r, data);
	read_version(&r, LATCH_KIND_ANSWER);
	answer.reason = reader_get_u8(&r);
	if (answer.reason == 0) {
		answer.suite = reader_get_u16(&r);
		answer.spi = reader_get_u32(&r);
		reader_copy(&r, answer.tag, sizeof(answer.tag));
	}
	if (reader_status(&r) != ERR_OK || !answer_is_allowed(&answer))
		return ERR_NOTIFY_FORMAT;
	*ret_answer = answer;
	return ERR_OK;
}

/* --- naming a connection --- */

static void put_tuple(struct writer *w, const struct ike_tuple *tuple)
{
	if (tuple->address_bytes != 4 && tuple->address_bytes != 16) {
		writer_fail(w, ERR_INTERNAL);
		return;
	}
	writer_put_u8(w, tuple->protocol);
	writer_put_bytes(w, BYTES(tuple->initiator, tuple->address_bytes));
	writer_put_u16(w, tuple->initiator_port);
	writer_put_bytes(w, BYTES(tuple->acceptor, tuple->address_bytes));
	writer_put_u16(w, tuple->acceptor_port);
}

enum err ike_tuple_hash(
	uint64_t spi_i, const struct ike_tuple *tuple, uint16_t *ret_hash, uint32_t *ret_veil)
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct bytes input;
	struct reader r;
	struct writer w;
	enum err status;

	writer_init(&w, sizeof(spi_i) + TUPLE_BYTES_MAX);
	writer_put_u64(&w, spi_i);
	put_tuple(&w, tuple);
	status = writer_status(&w);
	if (status != ERR_OK)
		goto out;
	input = writer_view(&w);
	status = crypto_sha256(&input, 1, digest);
	if (status != ERR_OK)
		goto out;
	reader_init(&r, BYTES_OF(digest));
	*ret_hash = reader_get_u16(&r);
	*ret_veil = reader_get_u32(&r);
out:
	writer_free(&w);
	return status;
}

enum err ike_tuple_tag(const struct ike_algorithms *algorithms, const struct secret_key *sk_d,
	const struct ike_tuple *tuple, uint8_t ret_tag[IKE_LATCH_TAG_BYTES])
{
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[2] = { LABEL_CONNECTION, BYTES_NONE };
	struct writer w;
	enum err status;

	if (algorithms->prf->output_bytes < IKE_LATCH_TAG_BYTES)
		return ERR_INTERNAL;
	writer_init(&w, TUPLE_BYTES_MAX);
	put_tuple(&w, tuple);
	status = writer_status(&w);
	if (status != ERR_OK)
		goto out;
	parts[1] = writer_view(&w);
	status = crypto_prf_compute(algorithms->prf, secret_key_view(sk_d), parts, 2, output);
	if (status != ERR_OK)
		goto out;
	memcpy(ret_tag, output, IKE_LATCH_TAG_BYTES);
out:
	writer_free(&w);
	secret_wipe(output, sizeof(output));
	return status;
}
