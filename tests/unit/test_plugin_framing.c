/* SPDX-License-Identifier: BSD-2-Clause */
/* RFC 2743's headers: round trips at every length form, cuts, flips, lengths that are not minimal. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"
#include "tests/unit/suites.h"

#define OID_OCTETS 35 /* with its DER header */

static const size_t message_lengths[] = { 1, 28, 90, 91, 92, 93, 127, 128, 218, 219, 220, 221, 255,
	256, 1000, 65499, 65500, 65501, 65535 };
#define MESSAGE_LENGTHS (sizeof(message_lengths) / sizeof(message_lengths[0]))

static void frame(size_t message_bytes, struct writer *w)
{
	uint8_t *message = malloc(message_bytes);

	ck_assert_ptr_nonnull(message);
	for (size_t i = 0; i < message_bytes; i++)
		message[i] = (uint8_t)(i * 7 + 1);
	writer_init(w, PLUGIN_TOKEN_BYTES_MAX);
	ck_assert_int_eq(plugin_framing_token_write(BYTES(message, message_bytes), w), ERR_OK);
	free(message);
}

START_TEST(token_round_trip)
{
	size_t length = message_lengths[_i];
	struct bytes token, message = BYTES_NONE;
	struct writer w;

	frame(length, &w);
	token = writer_view(&w);
	ck_assert_int_eq(plugin_framing_token_read(token, &message), ERR_OK);
	ck_assert_uint_eq(message.len, length);
	ck_assert_ptr_eq(message.data + message.len, token.data + token.len);
	ck_assert_uint_eq(message.data[0], 1);
	writer_free(&w);
}
END_TEST

/* libgssapi's own encoder is the second opinion, but for one octet that it leaves behind tokens of
 * some lengths (framing.c); those must be taken all the same. */
START_TEST(token_same_as_libgssapi)
{
	size_t length = message_lengths[_i];
	struct bytes token, message;
	gss_buffer_desc input, output = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	struct writer w;

	frame(length, &w);
	token = writer_view(&w);
	ck_assert_int_eq(plugin_framing_token_read(token, &message), ERR_OK);
	input.length = message.len;
	input.value = w.data + (token.len - message.len);
	ck_assert_uint_eq(gss_encapsulate_token(&input, plugin_mech_oid, &output), GSS_S_COMPLETE);
	ck_assert_uint_ge(output.length, token.len);
	ck_assert_uint_le(output.length, token.len + 1);
	ck_assert(bytes_equal(token, BYTES(output.value, token.len)));
	ck_assert_int_eq(
		plugin_framing_token_read(BYTES(output.value, output.length), &message), ERR_OK);
	ck_assert_uint_eq(message.len, length);
	(void)gss_release_buffer(&minor, &output);
	writer_free(&w);
}
END_TEST

START_TEST(token_cut_everywhere)
{
	struct bytes token, message;
	struct writer w;

	frame(300, &w);
	token = writer_view(&w);
	for (size_t len = 0; len < token.len; len++) {
		uint8_t *cut = malloc(len == 0 ? 1 : len);

		ck_assert_ptr_nonnull(cut);
		memcpy(cut, token.data, len);
		ck_assert_int_eq(
			plugin_framing_token_read(BYTES(cut, len), &message), ERR_TOKEN_FRAMING);
		free(cut);
	}
	writer_free(&w);
}
END_TEST

START_TEST(token_flip_header)
{
	struct bytes token, message;
	struct writer w;
	size_t header;

	frame(300, &w);
	token = writer_view(&w);
	header = token.len - 300;
	for (size_t at = 0; at < header; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			w.data[at] ^= (uint8_t)(1u << bit);
			ck_assert_int_eq(
				plugin_framing_token_read(token, &message), ERR_TOKEN_FRAMING);
			w.data[at] ^= (uint8_t)(1u << bit);
		}
	}
	ck_assert_int_eq(plugin_framing_token_read(token, &message), ERR_OK);
	writer_free(&w);
}
END_TEST

START_TEST(token_trailing)
{
	struct bytes message;
	struct writer w;

	frame(300, &w);
	writer_put_u8(&w, 0);
	ck_assert_int_eq(plugin_framing_token_read(writer_view(&w), &message), ERR_TOKEN_FRAMING);
	writer_free(&w);
}
END_TEST

/* Lengths that say the same with more octets than needed, or in a form that DER does not have. */
START_TEST(token_length_not_minimal)
{
	static const struct {
		uint8_t octets[6];
		size_t count;
	} forms[] = {
		{ { 0x81, OID_OCTETS + 10 }, 2 },
		{ { 0x82, 0x00, OID_OCTETS + 10 }, 3 },
		{ { 0x83, 0x00, 0x00, OID_OCTETS + 10 }, 4 },
		{ { 0x84, 0x00, 0x00, 0x00, OID_OCTETS + 10 }, 5 },
		{ { 0x80 }, 1 },
		{ { 0xff }, 1 },
	};
	static const uint8_t body[10] = { 1 };
	struct bytes message;
	struct writer w;

	writer_init(&w, 128);
	writer_put_u8(&w, 0x60);
	writer_put_bytes(&w, BYTES(forms[_i].octets, forms[_i].count));
	writer_put_u8(&w, 0x06);
	writer_put_u8(&w, GSS_IPSEC_OID_MECH_LENGTH);
	writer_put_bytes(&w, BYTES(plugin_mech_oid->elements, plugin_mech_oid->length));
	writer_put_bytes(&w, BYTES_OF(body));
	ck_assert_int_eq(plugin_framing_token_read(writer_view(&w), &message), ERR_TOKEN_FRAMING);
	writer_free(&w);
}
END_TEST

START_TEST(token_limits)
{
	static uint8_t message[PLUGIN_MESSAGE_BYTES_MAX + 1];
	gss_buffer_desc input = { sizeof(message), message }, output = GSS_C_EMPTY_BUFFER;
	struct bytes view;
	OM_uint32 minor;
	struct writer w;

	writer_init(&w, PLUGIN_TOKEN_BYTES_MAX);
	ck_assert_int_eq(plugin_framing_token_write(BYTES_OF(message), &w), ERR_TOO_LARGE);
	ck_assert_int_eq(plugin_framing_token_write(BYTES_NONE, &w), ERR_TOO_LARGE);
	writer_free(&w);
	ck_assert_uint_eq(gss_encapsulate_token(&input, plugin_mech_oid, &output), GSS_S_COMPLETE);
	ck_assert_int_eq(plugin_framing_token_read(BYTES(output.value, output.length), &view),
		ERR_TOKEN_FRAMING);
	(void)gss_release_buffer(&minor, &output);
	input.length = 0;
	ck_assert_uint_eq(gss_encapsulate_token(&input, plugin_mech_oid, &output), GSS_S_COMPLETE);
	ck_assert_int_eq(plugin_framing_token_read(BYTES(output.value, output.length), &view),
		ERR_TOKEN_FRAMING);
	(void)gss_release_buffer(&minor, &output);
}
END_TEST

START_TEST(token_of_another_mechanism)
{
	static const uint8_t krb5[] = { 0x60, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12,
		0x01, 0x02, 0x02, 0x01, 0x00 };
	struct bytes message;

	ck_assert_int_eq(plugin_framing_token_read(BYTES_OF(krb5), &message), ERR_TOKEN_FRAMING);
}
END_TEST

static void frame_name(struct writer *w)
{
	static const uint8_t inner[] = "\1\2\0\5a@b.c";

	writer_init(w, PLUGIN_NAME_TOKEN_BYTES_MAX);
	ck_assert_int_eq(plugin_framing_name_write(BYTES(inner, 9), w), ERR_OK);
}

START_TEST(name_round_trip_cut_flip)
{
	struct bytes token, inner = BYTES_NONE;
	struct writer w;
	size_t header;

	frame_name(&w);
	token = writer_view(&w);
	header = token.len - 9;
	ck_assert_uint_eq(header, 4 + OID_OCTETS + 4);
	ck_assert_int_eq(plugin_framing_name_read(token, &inner), ERR_OK);
	ck_assert_uint_eq(inner.len, 9);
	for (size_t len = 0; len < token.len; len++)
		ck_assert_int_eq(
			plugin_framing_name_read(BYTES(token.data, len), &inner), ERR_NAME_FORMAT);
	for (size_t at = 0; at < header; at++) {
		w.data[at] ^= 0x41;
		ck_assert_int_eq(plugin_framing_name_read(token, &inner), ERR_NAME_FORMAT);
		w.data[at] ^= 0x41;
	}
	writer_put_u8(&w, 0);
	ck_assert_int_eq(plugin_framing_name_read(writer_view(&w), &inner), ERR_NAME_FORMAT);
	writer_free(&w);
}
END_TEST

Suite *suite_plugin_framing(void)
{
	Suite *suite = suite_create("plugin_framing");
	TCase *token = tcase_create("token"), *name = tcase_create("name");

	tcase_add_loop_test(token, token_round_trip, 0, (int)MESSAGE_LENGTHS);
	tcase_add_loop_test(token, token_same_as_libgssapi, 0, (int)MESSAGE_LENGTHS);
	tcase_add_test(token, token_cut_everywhere);
	tcase_add_test(token, token_flip_header);
	tcase_add_test(token, token_trailing);
	tcase_add_loop_test(token, token_length_not_minimal, 0, 6);
	tcase_add_test(token, token_limits);
	tcase_add_test(token, token_of_another_mechanism);
	tcase_add_test(name, name_round_trip_cut_flip);
	suite_add_tcase(suite, token);
	suite_add_tcase(suite, name);
	return suite;
}
