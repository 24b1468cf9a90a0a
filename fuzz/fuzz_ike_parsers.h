/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs every payload parser of mech/ike over a body, whatever type it is said to have. */
#ifndef FUZZ_IKE_PARSERS_H
#define FUZZ_IKE_PARSERS_H

#include <stdlib.h>

#include "mech/ike/ike.h"

/* Aborts when a view does not lie within what it was read from. */
static inline void fuzz_check_view(struct bytes inner, struct bytes outer)
{
	if (inner.len > 0 && (inner.data < outer.data || inner.len > outer.len ||
				     inner.data > outer.data + outer.len - inner.len))
		abort();
}

static inline void fuzz_notify_data(struct bytes data)
{
	uint16_t group;
	struct ike_latch_offer offer;
	struct ike_latch_answer answer;
	struct ike_context context;
	unsigned int code;

	if (ike_latch_offer_parse(data, &offer) == ERR_OK &&
		(offer.suite_count > IKE_LATCH_SUITES_MAX ||
			offer.candidate_count > IKE_LATCH_CANDIDATES_MAX))
		abort();
	(void)!ike_latch_answer_parse(data, &answer);
	if (ike_context_parse(data, &context) == ERR_OK)
		fuzz_check_view(context.service, data);
	if (ike_failure_parse(data, &code) == ERR_OK && code == ERR_OK)
		abort();
	(void)ike_hashes_include(data, IKE_HASH_IDENTITY);
	if (ike_group_wanted_parse(data, &group) == ERR_OK && data.len != sizeof(group))
		abort();
}

static inline void fuzz_sa_and_ts(struct bytes body)
{
	const struct ike_suite *suite;
	struct ike_selector selector;
	uint8_t number;
	uint32_t spi;
	size_t count;

	if (ike_sa_choose(body, IKE_SUITES_ALL, &suite, &number) == ERR_OK && number == 0)
		abort();
	(void)!ike_sa_accept(body, IKE_SUITES_ALL, &suite);
	if (ike_sa_esp_parse(body, esp_suite_at(0), false, &spi) == ERR_OK && spi < IKE_ESP_SPI_MIN)
		abort();
	if (ike_sa_esp_parse(body, esp_suite_at(0), true, &spi) == ERR_OK && spi < IKE_ESP_SPI_MIN)
		abort();
	if (ike_ts_parse(body, &selector, &count) == ERR_OK &&
		(count == 0 || !ike_selector_equal(&selector, &selector)))
		abort();
}

static inline void fuzz_body(struct bytes body)
{
	struct ike_notify notify;
	struct ike_auth auth;
	struct ike_cert cert;
	struct ike_id id;
	struct ike_ke ke;

	if (ike_ke_parse(body, &ke) == ERR_OK)
		fuzz_check_view(ke.public_value, body);
	if (ike_id_parse(body, &id) == ERR_OK)
		fuzz_check_view(id.data, body);
	if (ike_cert_parse(body, &cert) == ERR_OK) {
		fuzz_check_view(cert.data, body);
		(void)!crypto_spki_check(cert.data);
	}
	if (ike_auth_parse(body, &auth) == ERR_OK) {
		fuzz_check_view(auth.algorithm, body);
		(void)crypto_signature_find(auth.algorithm);
		fuzz_check_view(auth.signature, body);
	}
	if (ike_notify_parse(body, &notify) == ERR_OK) {
		fuzz_check_view(notify.spi, body);
		fuzz_check_view(notify.data, body);
		fuzz_notify_data(notify.data);
	}
	fuzz_notify_data(body);
	fuzz_sa_and_ts(body);
}

static inline void fuzz_payloads(const struct ike_message *message, struct bytes outer)
{
	struct ike_notify notify;
	size_t i;

	if (message->count > IKE_PAYLOADS_MAX)
		abort();
	for (i = 0; i < message->count; i++) {
		fuzz_check_view(message->payloads[i].body, outer);
		fuzz_body(message->payloads[i].body);
	}
	if (message->is_error_only && !ike_message_find_error(message, &notify))
		abort();
	if (ike_message_find_notify(message, IKE_NOTIFY_GSS_CONTEXT, &notify) &&
		notify.type != IKE_NOTIFY_GSS_CONTEXT)
		abort();
	if (message->count > 0 &&
		ike_message_find(message, message->payloads[0].type, 0) != &message->payloads[0])
		abort();
	(void)ike_message_has_vendor(message, outer);
}

/* The IKE header of a message whose payloads have chain_len octets. */
static inline void fuzz_put_header(
	struct writer *w, const struct ike_header *header, uint8_t first, size_t chain_len)
{
	writer_put_u64(w, header->spi_i);
	writer_put_u64(w, header->spi_r);
	writer_put_u8(w, first);
	writer_put_u8(w, IKE_VERSION);
	writer_put_u8(w, header->exchange);
	writer_put_u8(w, header->flags);
	writer_put_u32(w, header->message_id);
	writer_put_u32(w, (uint32_t)(IKE_HEADER_BYTES + chain_len));
}

/* Moves octets to memory of exactly their length, where a sanitizer sees reading past the end. */
static inline uint8_t *fuzz_shrink(uint8_t *octets, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	if (exact == NULL)
		abort();
	for (size_t i = 0; i < len; i++)
		exact[i] = octets[i];
	free(octets);
	return exact;
}

/*
 * A payload chain whose lengths are right: for each payload its type, critical octet and body,
 * counted by two octets. Returns the type of the first.
 */
static inline uint8_t fuzz_compose_chain(struct bytes input, struct writer *w)
{
	struct reader r;
	uint8_t first = IKE_PAYLOAD_NONE, *next;
	size_t next_at = 0;

	reader_init(&r, input);
	while (reader_left(&r) >= 4) {
		uint8_t type = reader_get_u8(&r), critical = reader_get_u8(&r);
		size_t len = reader_get_u16(&r);
		struct bytes body =
			reader_get_bytes(&r, len < reader_left(&r) ? len : reader_left(&r));

		next = next_at > 0 ? writer_at(w, next_at - 1, 1) : NULL;
		if (next_at == 0)
			first = type;
		else if (next != NULL)
			*next = type;
		next_at = writer_len(w) + 1;
		writer_put_u8(w, IKE_PAYLOAD_NONE);
		writer_put_u8(w, critical);
		writer_put_u16(w, (uint16_t)(IKE_PAYLOAD_HEADER_BYTES + body.len));
		writer_put_bytes(w, body);
	}
	return first;
}

#endif
