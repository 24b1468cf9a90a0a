/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-message tokens over pieces: vectors, every border between pieces, what is refused. */
#include <stdlib.h>
#include <string.h>

#include "mech/protect_state.h"
#include "tests/unit/protect_fixture.h"
#include "tests/unit/suites.h"
#include "tests/unit/vector.h"

#define PIECES_MAX 4
#define FLAGS_AT 3

struct list {
	struct crypto_piece items[PIECES_MAX];
	size_t count;
};

static struct crypto_piece list_at(const void *items, size_t index)
{
	return ((const struct list *)items)->items[index];
}

static struct crypto_pieces list_pieces(const struct list *list)
{
	return (struct crypto_pieces){ .items = list, .count = list->count, .at = list_at };
}

static void list_add(struct list *list, uint8_t *data, size_t len, bool is_message)
{
	list->items[list->count++] = (struct crypto_piece){
		.in = data, .out = data, .len = len, .is_message = is_message
	};
}

/* A token in one run, opened in pieces in place. */
static enum err open_run(struct mech_protect *protect, struct vector_field *token,
	struct vector_field *covered, struct bytes *ret_message, bool *ret_was_sealed)
{
	struct bytes header, tag;
	struct list list = { .count = 0 };
	struct crypto_pieces pieces;
	enum err err = mech_protect_split(vector_view(token), &header, ret_message, &tag);

	if (err != ERR_OK)
		return err;
	if (covered != NULL)
		list_add(&list, covered->data, covered->len, false);
	list_add(&list, token->data + header.len, ret_message->len, true);
	pieces = list_pieces(&list);
	return mech_protect_unwrap_pieces(
		protect, &pieces, header, tag.len != 0 ? tag.data : NULL, ret_was_sealed);
}

static const struct {
	const char *name;
	bool is_sealed, has_associated, is_tag_first;
} vectors[] = {
	{ "wrap_sealed_i_0", true, false, false },
	{ "wrap_clear_i_1", false, false, false },
	{ "wrap_sealed_associated_i_4", true, true, false },
	{ "wrap_clear_associated_i_5", false, true, false },
	{ "wrap_sealed_tag_first_i_6", true, false, true },
	{ "wrap_clear_tag_first_i_7", false, true, true },
};

#define VECTORS (sizeof(vectors) / sizeof(vectors[0]))

START_TEST(vectors_are_understood)
{
	struct vector_field token, expected, covered;
	struct mech_protect *r = protect_new(false, true, true);
	struct bytes message;
	bool was_sealed = false;

	vector_read("message.hex", "message", &expected);
	vector_read("message.hex", "associated", &covered);
	for (size_t i = 0; i < VECTORS; i++) {
		enum err err;

		vector_read("message.hex", vectors[i].name, &token);
		err = open_run(r, &token, vectors[i].has_associated ? &covered : NULL, &message,
			&was_sealed);
		ck_assert(err == ERR_OK || err == ERR_MESSAGE_GAP);
		ck_assert_int_eq(was_sealed, vectors[i].is_sealed);
		ck_assert(bytes_equal(message, vector_view(&expected)));
	}
	mech_protect_free(&r);
}
END_TEST

/* Each octet of each vector changed, and of the associated data; each length. */
START_TEST(changed_vectors_are_refused)
{
	struct vector_field token, changed, covered;
	struct mech_protect *r = protect_new(false, true, true);
	struct bytes message;
	bool was_sealed = false;

	vector_read("message.hex", "associated", &covered);
	for (size_t i = 0; i < VECTORS; i++) {
		struct vector_field *with = vectors[i].has_associated ? &covered : NULL;

		vector_read("message.hex", vectors[i].name, &token);
		for (size_t bit = 0; bit < token.len * 8; bit++) {
			changed = token;
			changed.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_int_ne(
				open_run(r, &changed, with, &message, &was_sealed), ERR_OK);
		}
		for (size_t len = 0; len < token.len; len++) {
			changed = token;
			changed.len = len;
			ck_assert_int_ne(
				open_run(r, &changed, with, &message, &was_sealed), ERR_OK);
		}
		changed = token;
		with = vectors[i].has_associated ? NULL : &covered;
		ck_assert_int_eq(
			open_run(r, &changed, with, &message, &was_sealed), ERR_MESSAGE_MIC);
		covered.data[covered.len - 1] ^= 1;
		changed = token;
		ck_assert_int_eq(
			open_run(r, &changed, &covered, &message, &was_sealed), ERR_MESSAGE_MIC);
		covered.data[covered.len - 1] ^= 1;
	}
	ck_assert_ptr_null(r->receivers);
	mech_protect_free(&r);
}
END_TEST

/* One message in three pieces with every pair of borders is one and the same message. */
START_TEST(borders_do_not_matter)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	uint8_t text[40], data[40], header[MECH_TOKEN_HEADER_BYTES], tag[CRYPTO_TAG_BYTES];
	bool was_sealed = false;

	for (size_t n = 0; n < sizeof(text); n++)
		text[n] = (uint8_t)n;
	for (size_t a = 0; a <= sizeof(text); a++) {
		for (size_t b = a; b <= sizeof(text); b += 3) {
			struct list three = { .count = 0 }, one = { .count = 0 };
			struct crypto_pieces pieces = list_pieces(&three);

			memcpy(data, text, sizeof(data));
			list_add(&three, data, a, true);
			list_add(&three, data + a, b - a, true);
			list_add(&three, data + b, sizeof(data) - b, true);
			pieces = list_pieces(&three);
			ck_assert_int_eq(
				mech_protect_wrap_pieces(i, true, &pieces, header, tag), ERR_OK);
			list_add(&one, data, sizeof(data), true);
			pieces = list_pieces(&one);
			ck_assert_int_eq(mech_protect_unwrap_pieces(
						 r, &pieces, BYTES_OF(header), tag, &was_sealed),
				ERR_OK);
			ck_assert(bytes_equal(BYTES_OF(data), BYTES_OF(text)));
		}
	}
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

/* The tag where the flags do not say it is; a wrong one wipes what was opened. */
START_TEST(place_of_the_tag)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	uint8_t data[5] = "12345", zeros[5] = { 0 }, header[MECH_TOKEN_OVERHEAD_BYTES];
	struct bytes front = BYTES_OF(header), alone = BYTES(header, MECH_TOKEN_HEADER_BYTES);
	struct list list = { .count = 0 };
	struct crypto_pieces pieces;
	bool was_sealed = false;

	list_add(&list, data, sizeof(data), true);
	pieces = list_pieces(&list);
	ck_assert_int_eq(mech_protect_wrap_pieces(i, true, &pieces, header, NULL), ERR_OK);
	ck_assert_uint_eq(header[FLAGS_AT], PROTECT_FLAG_SEALED | PROTECT_FLAG_TAG_FIRST);
	ck_assert_int_eq(mech_protect_unwrap_pieces(
				 r, &pieces, alone, header + MECH_TOKEN_HEADER_BYTES, &was_sealed),
		ERR_MESSAGE_TOKEN);
	ck_assert_int_eq(mech_protect_unwrap_pieces(r, &pieces, alone, NULL, &was_sealed),
		ERR_MESSAGE_TOKEN);
	header[FLAGS_AT] ^= PROTECT_FLAG_TAG_FIRST;
	ck_assert_int_eq(mech_protect_unwrap_pieces(r, &pieces, front, NULL, &was_sealed),
		ERR_MESSAGE_TOKEN);
	header[FLAGS_AT] ^= PROTECT_FLAG_TAG_FIRST;
	header[MECH_TOKEN_HEADER_BYTES] ^= 1;
	ck_assert_int_eq(
		mech_protect_unwrap_pieces(r, &pieces, front, NULL, &was_sealed), ERR_MESSAGE_MIC);
	ck_assert(bytes_equal(BYTES_OF(data), BYTES_OF(zeros)));
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

START_TEST(mics_of_pieces_are_mics)
{
	struct mech_protect *i = protect_new(true, true, true), *r = protect_new(false, true, true);
	uint8_t data[20] = "a message in pieces", token[MECH_TOKEN_OVERHEAD_BYTES], *whole = NULL;
	struct list list = { .count = 0 };
	struct crypto_pieces pieces;
	size_t len = 0;

	list_add(&list, data, 7, true);
	list_add(&list, data + 7, 13, true);
	pieces = list_pieces(&list);
	ck_assert_int_eq(mech_protect_mic_pieces(i, &pieces, token), ERR_OK);
	ck_assert_int_eq(mech_protect_verify(r, BYTES_OF(data), BYTES_OF(token)), ERR_OK);
	ck_assert_int_eq(mech_protect_mic(i, BYTES_OF(data), &whole, &len), ERR_OK);
	ck_assert_int_eq(mech_protect_verify_pieces(r, &pieces, BYTES(whole, len)), ERR_OK);
	ck_assert_int_eq(
		mech_protect_verify_pieces(r, &pieces, BYTES(whole, len)), ERR_MESSAGE_DUPLICATE);
	ck_assert_int_eq(
		mech_protect_verify_pieces(r, &pieces, BYTES(whole, len - 1)), ERR_MESSAGE_TOKEN);
	data[0] ^= 1;
	ck_assert_int_eq(
		mech_protect_verify_pieces(r, &pieces, BYTES(whole, len)), ERR_MESSAGE_MIC);
	free(whole);
	mech_protect_free(&i);
	mech_protect_free(&r);
}
END_TEST

START_TEST(more_than_can_be_is_refused)
{
	struct mech_protect *i = protect_new(true, true, true);
	uint8_t header[MECH_TOKEN_HEADER_BYTES], tag[CRYPTO_TAG_BYTES], octet = 0;
	struct list list = { .count = 0 };
	struct crypto_pieces pieces;

	list_add(&list, &octet, SIZE_MAX, true);
	list_add(&list, &octet, 1, true);
	pieces = list_pieces(&list);
	ck_assert_uint_eq(crypto_pieces_bytes(&pieces, true), SIZE_MAX);
	ck_assert_uint_eq(crypto_pieces_bytes(&pieces, false), 0);
	ck_assert_int_eq(mech_protect_wrap_pieces(i, true, &pieces, header, tag), ERR_TOO_LARGE);
	mech_protect_free(&i);
}
END_TEST

Suite *suite_pieces(void)
{
	Suite *suite = suite_create("pieces");
	TCase *tests = tcase_create("pieces");

	tcase_set_timeout(tests, 30);
	tcase_add_test(tests, vectors_are_understood);
	tcase_add_test(tests, changed_vectors_are_refused);
	tcase_add_test(tests, borders_do_not_matter);
	tcase_add_test(tests, place_of_the_tag);
	tcase_add_test(tests, mics_of_pieces_are_mics);
	tcase_add_test(tests, more_than_can_be_is_refused);
	suite_add_tcase(suite, tests);
	return suite;
}
