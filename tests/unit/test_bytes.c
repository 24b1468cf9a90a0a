/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers and writers: every width, stickiness, bounds, views. */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tests/unit/suites.h"

/* A record with every kind of field: u8 u16 u32 u64, 3 octets, counted8, counted16, sub of 4. */
static const uint8_t record[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
	0x0c, 0x0d, 0x0e, 0x0f, 'a', 'b', 'c', 2, 'd', 'e', 0, 1, 'f', 0xde, 0xad, 0xbe, 0xef };

static enum err read_record(struct bytes input)
{
	struct reader r, sub;
	uint8_t three[3] = { 9, 9, 9 };
	struct bytes two, one;
	uint64_t sum = 0;

	reader_init(&r, input);
	sum += reader_get_u8(&r);
	sum += reader_get_u16(&r);
	sum += reader_get_u32(&r);
	sum += reader_get_u64(&r);
	reader_copy(&r, three, sizeof(three));
	two = reader_get_counted8(&r);
	one = reader_get_counted16(&r);
	sub = reader_get_sub(&r, 4);
	sum += reader_get_u32(&sub);
	if (reader_finish(&r) != ERR_OK) {
		ck_assert_uint_eq(reader_left(&r) != 0, reader_status(&r) == ERR_OK);
		return reader_finish(&r);
	}
	ck_assert_uint_eq(sum, 0x01 + 0x0203 + 0x04050607 + 0x08090a0b0c0d0e0f + 0xdeadbeef);
	ck_assert_mem_eq(three, "abc", 3);
	ck_assert(bytes_equal(two, BYTES((const uint8_t *)"de", 2)));
	ck_assert(bytes_equal(one, BYTES((const uint8_t *)"f", 1)));
	ck_assert_int_eq(reader_finish(&sub), ERR_OK);
	return ERR_OK;
}

START_TEST(reads_every_field)
{
	ck_assert_int_eq(read_record(BYTES_OF(record)), ERR_OK);
}
END_TEST

START_TEST(refuses_every_cut)
{
	for (size_t len = 0; len < sizeof(record); len++) {
		uint8_t *exact = malloc(len + 1);

		ck_assert_ptr_nonnull(exact);
		memcpy(exact, record, len);
		/* Its own block, so that the address sanitizer sees a read behind the end. */
		ck_assert_int_eq(read_record(BYTES(exact, len)), ERR_TRUNCATED_INPUT);
		free(exact);
	}
}
END_TEST

START_TEST(refuses_what_is_left)
{
	uint8_t longer[sizeof(record) + 1] = { 0 };

	memcpy(longer, record, sizeof(record));
	ck_assert_int_eq(read_record(BYTES_OF(longer)), ERR_TRAILING_INPUT);
}
END_TEST

START_TEST(reader_stays_failed)
{
	static const uint8_t input[] = { 1, 2, 3, 4 };
	uint8_t out[4] = { 7, 7, 7, 7 };
	struct reader r, sub;

	reader_init(&r, BYTES_OF(input));
	ck_assert_uint_eq(reader_get_u64(&r), 0);
	ck_assert_int_eq(reader_status(&r), ERR_TRUNCATED_INPUT);
	ck_assert_uint_eq(reader_get_u8(&r), 0);
	ck_assert_uint_eq(reader_get_rest(&r).len, 0);
	ck_assert_uint_eq(reader_left(&r), 0);
	reader_copy(&r, out, sizeof(out));
	ck_assert_mem_eq(out, "\0\0\0\0", 4);
	reader_fail(&r, ERR_INTERNAL);
	ck_assert_int_eq(reader_finish(&r), ERR_TRUNCATED_INPUT);
	sub = reader_get_sub(&r, 0);
	ck_assert_int_eq(reader_finish(&sub), ERR_TRUNCATED_INPUT);

	reader_init(&r, BYTES_OF(input));
	reader_fail(&r, ERR_NONCE);
	ck_assert_int_eq(reader_finish(&r), ERR_NONCE);
	ck_assert_uint_eq(reader_get_u8(&r), 0);
}
END_TEST

START_TEST(sub_reader_sees_no_further)
{
	static const uint8_t input[] = { 1, 2, 3, 4 };
	struct reader r, sub;

	reader_init(&r, BYTES_OF(input));
	sub = reader_get_sub(&r, 2);
	ck_assert_uint_eq(reader_get_u16(&sub), 0x0102);
	ck_assert_uint_eq(reader_get_u8(&sub), 0);
	ck_assert_int_eq(reader_finish(&sub), ERR_TRUNCATED_INPUT);
	reader_skip(&r, 1);
	ck_assert_uint_eq(reader_get_u8(&r), 4);
	ck_assert_int_eq(reader_finish(&r), ERR_OK);
	sub = reader_get_sub(&r, 1);
	ck_assert_int_eq(reader_status(&sub), ERR_TRUNCATED_INPUT);
}
END_TEST

START_TEST(empty_input_is_fine)
{
	struct reader r;

	reader_init(&r, BYTES_NONE);
	ck_assert_int_eq(reader_finish(&r), ERR_OK);
	ck_assert_uint_eq(reader_get_rest(&r).len, 0);
	reader_skip(&r, 0);
	ck_assert_int_eq(reader_finish(&r), ERR_OK);
	ck_assert(bytes_equal(BYTES_NONE, BYTES(record, 0)));
	ck_assert(!bytes_equal(BYTES(record, 1), BYTES(record, 2)));
	ck_assert(!bytes_equal(BYTES(record, 1), BYTES(record + 1, 1)));
}
END_TEST

START_TEST(writes_every_field)
{
	struct writer w;
	uint8_t *data;
	size_t len;

	writer_init(&w, 1000);
	writer_put_u8(&w, 0x01);
	writer_put_u16(&w, 0x0203);
	writer_put_u32(&w, 0x04050607);
	writer_put_u64(&w, 0x08090a0b0c0d0e0f);
	writer_put_bytes(&w, BYTES((const uint8_t *)"abc", 3));
	writer_put_counted8(&w, BYTES((const uint8_t *)"de", 2));
	writer_put_counted16(&w, BYTES((const uint8_t *)"f", 1));
	writer_put_u32(&w, 0xdeadbeef);
	ck_assert_uint_eq(writer_len(&w), sizeof(record));
	ck_assert(bytes_equal(writer_view(&w), BYTES_OF(record)));
	ck_assert_int_eq(writer_take(&w, &data, &len), ERR_OK);
	ck_assert(bytes_equal(BYTES(data, len), BYTES_OF(record)));
	free(data);
	ck_assert_uint_eq(writer_len(&w), 0);
	writer_put_u8(&w, 5);
	ck_assert_int_eq(writer_status(&w), ERR_OK);
	writer_free(&w);
	writer_free(&w);
}
END_TEST

START_TEST(writes_lengths)
{
	struct writer w;
	size_t outer, inner;

	writer_init(&w, 70000);
	writer_put_u16(&w, 0xffff);
	outer = writer_open16(&w);
	writer_put_u8(&w, 1);
	inner = writer_open16(&w);
	ck_assert_uint_eq(writer_put_zeros(&w, 300), 7);
	writer_close16(&w, inner, 4);
	writer_close16(&w, outer, 0);
	ck_assert_int_eq(writer_status(&w), ERR_OK);
	ck_assert_mem_eq(writer_at(&w, 0, 8), "\xff\xff\x01\x2f\x01\x01\x30\x00", 8);
	*writer_at(&w, 306, 1) = 7;
	ck_assert_uint_eq(writer_view(&w).data[306], 7);
	ck_assert_ptr_null(writer_at(&w, 307, 1));
	ck_assert_ptr_null(writer_at(&w, 306, 2));
	ck_assert_ptr_null(writer_at(&w, SIZE_MAX, 2));
	ck_assert_ptr_null(writer_at(&w, 2, SIZE_MAX));
	writer_close16(&w, inner, SIZE_MAX);
	ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
	writer_free(&w);

	writer_init(&w, 70000);
	outer = writer_open16(&w);
	(void)writer_put_zeros(&w, 65535);
	writer_close16(&w, outer, 0);
	ck_assert_int_eq(writer_status(&w), ERR_OK);
	writer_close16(&w, outer, 1);
	ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
	writer_free(&w);
}
END_TEST

START_TEST(writer_keeps_its_limit)
{
	for (size_t limit = 0; limit < 600; limit++) {
		struct writer w;
		uint8_t *data = NULL;
		size_t len = 77;

		writer_init(&w, limit);
		for (size_t i = 0; i < 600; i++)
			writer_put_u8(&w, (uint8_t)i);
		ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
		ck_assert_uint_eq(writer_view(&w).len, 0);
		ck_assert_uint_eq(writer_len(&w), 0);
		ck_assert_int_eq(writer_take(&w, &data, &len), ERR_TOO_LARGE);
		ck_assert_ptr_null(data);
		ck_assert_uint_eq(len, 77);
		ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
		writer_free(&w);

		writer_init(&w, limit);
		for (size_t i = 0; i < limit; i++)
			writer_put_u8(&w, (uint8_t)i);
		ck_assert_int_eq(writer_take(&w, &data, &len), ERR_OK);
		ck_assert_ptr_nonnull(data);
		ck_assert_uint_eq(len, limit);
		for (size_t i = 0; i < limit; i++)
			ck_assert_uint_eq(data[i], (uint8_t)i);
		free(data);
	}
}
END_TEST

START_TEST(writer_refuses_long_counts)
{
	static const uint8_t zeros[65536];
	struct writer w;

	writer_init(&w, SIZE_MAX);
	writer_put_counted8(&w, BYTES(zeros, 255));
	writer_put_counted16(&w, BYTES(zeros, 65535));
	ck_assert_int_eq(writer_status(&w), ERR_OK);
	ck_assert_uint_eq(writer_len(&w), 1 + 255 + 2 + 65535);
	writer_put_counted16(&w, BYTES(zeros, 65536));
	ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
	writer_free(&w);
	writer_put_counted8(&w, BYTES(zeros, 256));
	ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
	writer_fail(&w, ERR_CRYPTO);
	ck_assert_int_eq(writer_status(&w), ERR_TOO_LARGE);
	writer_free(&w);
	writer_fail(&w, ERR_CRYPTO);
	writer_put_u8(&w, 1);
	ck_assert_ptr_null(writer_at(&w, 0, 0));
	ck_assert_int_eq(writer_status(&w), ERR_CRYPTO);
	writer_free(&w);
}
END_TEST

Suite *suite_bytes(void)
{
	Suite *suite = suite_create("bytes");
	TCase *tc = tcase_create("bytes");

	tcase_add_test(tc, reads_every_field);
	tcase_add_test(tc, refuses_every_cut);
	tcase_add_test(tc, refuses_what_is_left);
	tcase_add_test(tc, reader_stays_failed);
	tcase_add_test(tc, sub_reader_sees_no_further);
	tcase_add_test(tc, empty_input_is_fine);
	tcase_add_test(tc, writes_every_field);
	tcase_add_test(tc, writes_lengths);
	tcase_add_test(tc, writer_keeps_its_limit);
	tcase_add_test(tc, writer_refuses_long_counts);
	suite_add_tcase(suite, tc);
	return suite;
}
