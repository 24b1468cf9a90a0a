/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE messages with SK: every bit is covered; what is inside and outside obeys the rules. */
#include "tests/unit/ike_fixture.h"
#include "tests/unit/suites.h"

static const uint8_t vendor[17] = { 0xc5, 0x38 };
static const uint8_t none[1];

static void put_auth_payloads(struct ike_builder *b, uint8_t id_type)
{
	ike_put_id(b, id_type, IKE_ID_FQDN, BYTES_OF(nonce));
	ike_put_cert(b, BYTES_OF(public_value));
	ike_put_auth_signature(b, BYTES_OF(vendor), BYTES_OF(nonce));
	ike_put_notify(b, IKE_NOTIFY_GSS_CONTEXT, BYTES_OF(none));
}

static struct message_bytes seal(struct ike_builder *b)
{
	struct secret_key key = sealing_key(1);
	struct message_bytes m = { NULL, 0 };

	ck_assert_int_eq(ike_builder_seal(b, aead(), &key, &m.data, &m.len), ERR_OK);
	return m;
}

static void begin_sealed(struct ike_builder *b, uint8_t exchange, uint8_t flags, uint32_t id)
{
	struct ike_header header = header_of(exchange, flags, id, SPI_R);

	ike_builder_begin(b, &header);
	ike_builder_open_sk(b, iv);
}

static void put_child_payloads(struct ike_builder *b)
{
	struct ike_selector selector = { .protocol = 6, .address_bytes = 4 };

	ike_put_notify(b, IKE_NOTIFY_USE_TRANSPORT_MODE, BYTES_NONE);
	ike_put_sa_esp(b, esp_suite_at(0), 0x12345678);
	ike_put_ts(b, IKE_PAYLOAD_TSI, &selector);
	ike_put_ts(b, IKE_PAYLOAD_TSR, &selector);
}

static struct message_bytes make_t3(void)
{
	struct ike_builder b;

	begin_sealed(&b, IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1);
	put_auth_payloads(&b, IKE_PAYLOAD_IDI);
	put_child_payloads(&b);
	return seal(&b);
}

/* Parses and opens; frees everything. */
static enum err open_with(struct message_bytes m, enum ike_kind kind, uint8_t first_key_octet,
	struct ike_message *ret_message)
{
	struct secret_key key = sealing_key(first_key_octet);
	struct bytes plain = BYTES_NONE;
	enum err status = parse(m, kind, ret_message);

	if (status == ERR_OK)
		status = ike_message_open(ret_message, kind, aead(), &key, &plain);
	ike_plain_free(&plain);
	return status;
}

/* --- sealed messages --- */

START_TEST(t3_seals_and_opens)
{
	struct message_bytes m = make_t3();
	struct secret_key key = sealing_key(1);
	struct bytes plain = BYTES_NONE;
	struct ike_message message;
	struct ike_id id;

	ck_assert_int_eq(parse(m, IKE_KIND_T3, &message), ERR_OK);
	ck_assert_uint_eq(message.clear.len, IKE_HEADER_BYTES + IKE_PAYLOAD_HEADER_BYTES);
	ck_assert_uint_eq(message.sealed_first, IKE_PAYLOAD_IDI);
	ck_assert_ptr_null(ike_message_find(&message, IKE_PAYLOAD_IDI, 0));
	ck_assert_int_eq(ike_message_open(&message, IKE_KIND_T3, aead(), &key, &plain), ERR_OK);
	ck_assert_uint_eq(message.count, 8);
	ck_assert_int_eq(
		ike_id_parse(ike_message_find(&message, IKE_PAYLOAD_IDI, 0)->body, &id), ERR_OK);
	ck_assert(bytes_equal(id.data, BYTES_OF(nonce)));
	ike_plain_free(&plain);
	ck_assert_ptr_null(plain.data);
	ike_plain_free(&plain);
	free(m.data);
}
END_TEST

START_TEST(t3_cut_is_refused)
{
	struct message_bytes m = make_t3(), cut;
	struct ike_message message;
	size_t len;

	for (len = 0; len < m.len; len++) {
		cut.data = malloc(len > 0 ? len : 1);
		cut.len = len;
		ck_assert_ptr_nonnull(cut.data);
		memcpy(cut.data, m.data, len);
		ck_assert_int_ne(open_with(cut, IKE_KIND_T3, 1, &message), ERR_OK);
		if (len >= IKE_HEADER_BYTES + IKE_PAYLOAD_HEADER_BYTES) { /* lengths agree */
			size_t sk_len = len - IKE_HEADER_BYTES;

			cut.data[LENGTH_AT - 1] = (uint8_t)(len >> 8);
			cut.data[LENGTH_AT] = (uint8_t)len;
			cut.data[IKE_HEADER_BYTES + 2] = (uint8_t)(sk_len >> 8);
			cut.data[IKE_HEADER_BYTES + 3] = (uint8_t)sk_len;
			ck_assert_int_ne(open_with(cut, IKE_KIND_T3, 1, &message), ERR_OK);
		}
		free(cut.data);
	}
	free(m.data);
}
END_TEST

/* Every bit of the message is covered by the tag (RFC 5282 section 5.2). */
START_TEST(t3_flipped_is_refused)
{
	struct message_bytes m = make_t3();
	struct ike_message message;
	size_t i, bit;

	for (i = 0; i < m.len; i++) {
		for (bit = 0; bit < 8; bit++) {
			m.data[i] ^= (uint8_t)(1u << bit);
			ck_assert_int_ne(open_with(m, IKE_KIND_T3, 1, &message), ERR_OK);
			m.data[i] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_int_eq(open_with(m, IKE_KIND_T3, 2, &message), ERR_IKE_INTEGRITY);
	ck_assert_int_eq(open_with(m, IKE_KIND_T3, 1, &message), ERR_OK);
	ck_assert_int_eq(open_with(m, IKE_KIND_T4, 1, &message), ERR_IKE_HEADER);
	ck_assert_int_eq(open_with(m, IKE_KIND_T5, 1, &message), ERR_IKE_HEADER);
	free(m.data);
}
END_TEST

START_TEST(failed_open_changes_nothing)
{
	struct message_bytes m = make_t3();
	struct secret_key key = sealing_key(7);
	struct bytes plain = BYTES_NONE;
	struct ike_message message;

	ck_assert_int_eq(parse(m, IKE_KIND_T3, &message), ERR_OK);
	ck_assert_int_eq(
		ike_message_open(&message, IKE_KIND_T3, aead(), &key, &plain), ERR_IKE_INTEGRITY);
	ck_assert_ptr_null(plain.data);
	ck_assert_uint_eq(message.count, 1);
	key.len--;
	ck_assert_int_eq(
		ike_message_open(&message, IKE_KIND_T3, aead(), &key, &plain), ERR_INTERNAL);
	free(m.data);
}
END_TEST

/* Seals an inner chain as it is, padding and pad length included. */
static enum err open_inner(
	enum ike_kind kind, uint8_t exchange, uint8_t flags, uint8_t first, struct bytes inner)
{
	struct secret_key key = sealing_key(1);
	struct crypto_aead_key *aead_key = NULL;
	struct ike_message message;
	struct message_bytes m;
	struct ike_builder b;
	uint8_t aead_nonce[CRYPTO_NONCE_BYTES];
	size_t at = IKE_HEADER_BYTES + IKE_PAYLOAD_HEADER_BYTES + IKE_IV_BYTES;
	uint8_t *data;
	enum err status;

	begin_sealed(&b, exchange, flags, 1);
	*writer_at(&b.w, b.next_at, 1) = first;
	writer_put_bytes(&b.w, inner);
	(void)writer_put_zeros(&b.w, CRYPTO_TAG_BYTES);
	writer_close16(&b.w, b.sk_mark, IKE_PAYLOAD_HEADER_BYTES);
	b.sk_mark = 0;
	data = writer_at(&b.w, 0, writer_len(&b.w));
	data[LENGTH_AT - 1] = (uint8_t)(writer_len(&b.w) >> 8);
	data[LENGTH_AT] = (uint8_t)writer_len(&b.w);
	memcpy(aead_nonce, key.data + 32, 4);
	memcpy(aead_nonce + 4, iv, sizeof(iv));
	ck_assert_int_eq(crypto_aead_key_new(aead(), BYTES(key.data, 32), true, &aead_key), ERR_OK);
	ck_assert_int_eq(crypto_aead_seal(aead_key, aead_nonce, BYTES(data, at - IKE_IV_BYTES),
				 BYTES(data + at, inner.len), data + at, data + at + inner.len),
		ERR_OK);
	crypto_aead_key_free(&aead_key);
	m = finish(&b);
	status = open_with(m, kind, 1, &message);
	free(m.data);
	return status;
}

#define INFORMATIONAL(first, text)                                                 \
	open_inner(IKE_KIND_INFORMATIONAL, IKE_EXCHANGE_INFORMATIONAL, 0, (first), \
		BYTES((const uint8_t *)(text), sizeof(text) - 1))

START_TEST(padding_and_inner_chain)
{
	static uint8_t longest[256];

	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NONE, "\0"), ERR_OK);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NONE, ""), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NONE, "abc\3"), ERR_OK);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NONE, "abc\4"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NONE, "abc\2"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NOTIFY, "\0\0\0\x8\0\0\0\x18xy\2"), ERR_OK);
	ck_assert_int_eq(
		INFORMATIONAL(IKE_PAYLOAD_NOTIFY, "\0\0\0\x8\0\4\0\x18\0"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_NOTIFY, "\0"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_DELETE, "\0\0\0\x8\1\0\0\0\0"), ERR_OK);
	/* RFC 7296 3.1: SK must not contain SK. */
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_SK, "\0\0\0\4\0"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(IKE_PAYLOAD_SA, "\0\0\0\4\0"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(INFORMATIONAL(200, "\0\0\0\4\0"), ERR_OK);
	ck_assert_int_eq(INFORMATIONAL(200, "\0\x80\0\4\0"), ERR_IKE_CRITICAL);
	longest[255] = 255;
	ck_assert_int_eq(open_inner(IKE_KIND_INFORMATIONAL, IKE_EXCHANGE_INFORMATIONAL,
				 IKE_FLAG_INITIATOR, IKE_PAYLOAD_NONE, BYTES_OF(longest)),
		ERR_OK);
}
END_TEST

#define T4(first, text)                                                        \
	open_inner(IKE_KIND_T4, IKE_EXCHANGE_AUTH, IKE_FLAG_RESPONSE, (first), \
		BYTES((const uint8_t *)(text), sizeof(text) - 1))

START_TEST(t4_error_inside_sk)
{
	ck_assert_int_eq(T4(IKE_PAYLOAD_NOTIFY, "\0\0\0\x8\0\0\0\x18\0"), ERR_OK);
	/* A status notify stands for nothing, nor does nothing at all. */
	ck_assert_int_eq(T4(IKE_PAYLOAD_NOTIFY, "\0\0\0\x8\0\0\x40\x07\0"), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(T4(IKE_PAYLOAD_NONE, "\0"), ERR_IKE_PAYLOAD);
	/* IDr without AUTH is no error answer, nor is half a child SA. */
	ck_assert_int_eq(T4(IKE_PAYLOAD_NOTIFY, "\x24\0\0\x8\0\0\0\x18\0\0\0\x8\2\0\0\0\0"),
		ERR_IKE_PAYLOAD);
	ck_assert_int_eq(
		T4(IKE_PAYLOAD_NOTIFY, "\x2c\0\0\x8\0\0\0\x18\0\0\0\4\0"), ERR_IKE_PAYLOAD);
}
END_TEST

static enum err open_t3_without(bool has_sa, bool has_selectors, size_t cert_count)
{
	struct ike_selector selector = { .protocol = 6, .address_bytes = 16 };
	struct ike_message message;
	struct message_bytes m;
	struct ike_builder b;
	enum err status;
	size_t i;

	begin_sealed(&b, IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1);
	put_auth_payloads(&b, IKE_PAYLOAD_IDI);
	for (i = 0; i < cert_count; i++)
		ike_put_cert(&b, BYTES_NONE);
	if (has_sa)
		ike_put_sa_esp(&b, esp_suite_at(0), 0x1000);
	if (has_selectors) {
		ike_put_ts(&b, IKE_PAYLOAD_TSI, &selector);
		ike_put_ts(&b, IKE_PAYLOAD_TSR, &selector);
	}
	m = seal(&b);
	status = open_with(m, IKE_KIND_T3, 1, &message);
	free(m.data);
	return status;
}

START_TEST(child_payloads_come_together)
{
	ck_assert_int_eq(open_t3_without(true, true, 0), ERR_OK);
	ck_assert_int_eq(open_t3_without(false, false, 0), ERR_OK);
	ck_assert_int_eq(open_t3_without(true, false, 0), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(open_t3_without(false, true, 0), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(open_t3_without(true, true, 7), ERR_OK);
	ck_assert_int_eq(open_t3_without(true, true, 8), ERR_IKE_PAYLOAD);
}
END_TEST

static struct message_bytes make_clear(uint8_t exchange, uint8_t flags, uint8_t id, uint16_t notify)
{
	struct ike_header header = header_of(exchange, flags, id, SPI_R);
	struct ike_builder b;

	ike_builder_begin(&b, &header);
	ike_put_notify(&b, notify, BYTES_NONE);
	return finish(&b);
}

/* What should be sealed and is not can only fail, and only T4 and INFORMATIONAL. */
START_TEST(unprotected_failures)
{
	struct secret_key key = sealing_key(1);
	struct bytes plain = BYTES_NONE;
	struct ike_message message;
	struct message_bytes m;

	m = make_clear(IKE_EXCHANGE_AUTH, IKE_FLAG_RESPONSE, 1, IKE_NOTIFY_AUTHENTICATION_FAILED);
	ck_assert_int_eq(parse(m, IKE_KIND_T4, &message), ERR_OK);
	ck_assert(message.is_error_only && message.sealed.len == 0);
	ck_assert_int_eq(
		ike_message_open(&message, IKE_KIND_T4, aead(), &key, &plain), ERR_IKE_PAYLOAD);
	free(m.data);
	m = make_clear(IKE_EXCHANGE_AUTH, IKE_FLAG_RESPONSE, 1, IKE_NOTIFY_GSS_CONTEXT);
	ck_assert_int_eq(parse(m, IKE_KIND_T4, &message), ERR_IKE_PAYLOAD);
	free(m.data);
	m = make_clear(IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1, IKE_NOTIFY_GSS_FAILURE);
	ck_assert_int_eq(parse(m, IKE_KIND_T3, &message), ERR_IKE_PAYLOAD);
	free(m.data);
	m = make_clear(IKE_EXCHANGE_INFORMATIONAL, IKE_FLAG_INITIATOR, 2, IKE_NOTIFY_GSS_FAILURE);
	ck_assert_int_eq(parse(m, IKE_KIND_INFORMATIONAL, &message), ERR_OK);
	ck_assert_int_eq(parse(m, IKE_KIND_T5, &message), ERR_IKE_PAYLOAD);
	free(m.data);
}
END_TEST

/* SK once and last, nothing that we know beside it. */
START_TEST(outside_sk)
{
	struct ike_header header = header_of(IKE_EXCHANGE_AUTH, IKE_FLAG_INITIATOR, 1, SPI_R);
	static const uint8_t types[] = { 200, IKE_PAYLOAD_NOTIFY, IKE_PAYLOAD_IDI };
	static const enum err expected[] = { ERR_OK, ERR_IKE_PAYLOAD, ERR_IKE_PAYLOAD };
	struct ike_message message;
	struct message_bytes m;
	struct ike_builder b;
	size_t i;

	for (i = 0; i < sizeof(types); i++) {
		ike_builder_begin(&b, &header);
		ike_put_payload(&b, types[i], BYTES_OF(nonce));
		ike_builder_open_sk(&b, iv);
		put_auth_payloads(&b, IKE_PAYLOAD_IDI);
		m = seal(&b);
		ck_assert_int_eq(open_with(m, IKE_KIND_T3, 1, &message), expected[i]);
		free(m.data);
	}
	m = make_t3();
	m.data = realloc(m.data, m.len + 4);
	ck_assert_ptr_nonnull(m.data);
	memcpy(m.data + m.len, "\0\0\0\4", 4);
	m.len += 4;
	m.data[LENGTH_AT - 1] = (uint8_t)(m.len >> 8);
	m.data[LENGTH_AT] = (uint8_t)m.len;
	ck_assert_int_eq(parse(m, IKE_KIND_T3, &message), ERR_IKE_PAYLOAD);
	free(m.data);
}
END_TEST

Suite *suite_ike_sealed(void)
{
	Suite *suite = suite_create("ike_sealed");
	TCase *sealed = tcase_create("sealed");

	tcase_set_timeout(sealed, 60);
	tcase_add_test(sealed, t3_seals_and_opens);
	tcase_add_test(sealed, t3_cut_is_refused);
	tcase_add_test(sealed, t3_flipped_is_refused);
	tcase_add_test(sealed, failed_open_changes_nothing);
	tcase_add_test(sealed, padding_and_inner_chain);
	tcase_add_test(sealed, t4_error_inside_sk);
	tcase_add_test(sealed, child_payloads_come_together);
	tcase_add_test(sealed, unprotected_failures);
	tcase_add_test(sealed, outside_sk);
	suite_add_tcase(suite, sealed);
	return suite;
}
