/* SPDX-License-Identifier: BSD-2-Clause */
/* The verdict on what the recorder noted: doc/protocol.md section 6, (c) and (d). */
#include "kernel-bind/broker_recorder.h"
#include "tests/unit/suites.h"

#define BUFFER (6u << 20)
#define REACH (BUFFER + (1u << 20)) /* and the rest of the stretch in which it ends */

static struct recorder_record record_of(uint32_t first, uint64_t bytes)
{
	return (struct recorder_record){ .protected_bytes = bytes,
		.protected_packets = 1,
		.anchor = RECORDER_PRESENT | first,
		.first_protected = RECORDER_PRESENT | first,
		.last_protected = RECORDER_PRESENT | (uint32_t)(first + bytes) };
}

/* As the program notes it. */
static void clear_end(struct recorder_record *record, uint32_t end)
{
	uint32_t *noted = &record->clear_end[end >> RECORDER_STRETCH_BITS];
	const uint32_t place = RECORDER_STRETCH + end % RECORDER_STRETCH;

	if (*noted < place)
		*noted = place;
}

START_TEST(test_bytes)
{
	struct recorder_record record = record_of(5000, 700);

	ck_assert_int_eq(recorder_judge(&record, 700, BUFFER), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(recorder_judge(&record, 701, BUFFER), IPSEC_LATCH_SHORT);
	record.last_protected = 0; /* its segment is in the filter yet */
	ck_assert_int_eq(recorder_judge(&record, 700, BUFFER), IPSEC_LATCH_SHORT);
	record.first_protected = 0;
	ck_assert_int_eq(recorder_judge(&record, 0, BUFFER), IPSEC_LATCH_SHORT);
}
END_TEST

START_TEST(test_poison)
{
	struct recorder_record record = record_of(5000, 700);

	record.is_poisoned = 1;
	ck_assert_int_eq(recorder_judge(&record, 700, BUFFER), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

START_TEST(test_marks)
{
	struct recorder_record record = record_of(5000, 700);

	record.protected_packets = 3;
	ck_assert_int_eq(recorder_judge_marks(&record, 4), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(recorder_judge_marks(&record, 3), IPSEC_LATCH_LATCHED);
	ck_assert_int_eq(recorder_judge_marks(&record, 2), IPSEC_LATCH_CLEAR_BEHIND);
	ck_assert_int_eq(recorder_judge_marks(&record, 0), IPSEC_LATCH_CLEAR_BEHIND);
	record.protected_packets = 0;
	ck_assert_int_eq(recorder_judge_marks(&record, 0), IPSEC_LATCH_LATCHED);
	record.protected_packets = UINT64_MAX;
	ck_assert_int_eq(recorder_judge_marks(&record, UINT64_MAX - 1), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

/* Each start, so that stretches and the end of the sequence space fall everywhere. */
START_TEST(test_clear_ends)
{
	static const struct {
		uint32_t distance;
		enum ipsec_latch_reason reason;
	} rows[] = {
		{ 0, IPSEC_LATCH_LATCHED },
		{ 1, IPSEC_LATCH_CLEAR_BEHIND },
		{ 1u << 20, IPSEC_LATCH_CLEAR_BEHIND },
		{ BUFFER, IPSEC_LATCH_CLEAR_BEHIND },
		{ REACH, IPSEC_LATCH_CLEAR_BEHIND },
		{ REACH + RECORDER_STRETCH, IPSEC_LATCH_LATCHED },
		{ 1u << 28, IPSEC_LATCH_LATCHED },
		{ 1u << 30, IPSEC_LATCH_LATCHED },
		{ 1u << 31, IPSEC_LATCH_LATCHED },
		{ UINT32_MAX, IPSEC_LATCH_LATCHED },
	};
	static const uint32_t starts[] = { 0, 1, 0x0fffffff, 0x10000000, 0x7fffffff, 0xf0000000,
		0xfffffff0, UINT32_MAX };
	struct recorder_record record;

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
			record = record_of(starts[i], 10);
			clear_end(&record, starts[i] + rows[j].distance);
			ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), rows[j].reason);
		}
	}
}
END_TEST

/* One running maximum could be walked round; one for each stretch cannot. */
START_TEST(test_walk_round)
{
	struct recorder_record record = record_of(5000, 10);

	clear_end(&record, 5000 + 20);
	clear_end(&record, 5000 + 0x7fffffffu);
	clear_end(&record, 5000 - 500);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

/* A higher end in the same stretch, beyond the reach, does not hide the one that counts. */
START_TEST(test_hidden_by_stranger)
{
	const uint32_t start = RECORDER_STRETCH - 1;
	struct recorder_record record = record_of(start, 10);

	clear_end(&record, start + 20);
	clear_end(&record, start + RECORDER_STRETCH);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

/* What the program read under the mark moves the window on; how much came again does not. */
START_TEST(test_read_ahead)
{
	const uint32_t start = 0xfffffff0, read = 20u << 20;
	struct recorder_record record = record_of(start, read);

	clear_end(&record, start + read + REACH + RECORDER_STRETCH);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_LATCHED);
	clear_end(&record, start + read + REACH);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_CLEAR_BEHIND);
	record = record_of(start, 10);
	record.protected_bytes = UINT64_MAX;
	clear_end(&record, start + REACH + RECORDER_STRETCH);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_LATCHED);
}
END_TEST

/* As far apart as the program lets numbers be: what ended just before them is not behind. */
START_TEST(test_far_apart)
{
	const uint32_t start = 0x12345678;
	struct recorder_record record = record_of(start, 2 * RECORDER_FAR);

	clear_end(&record, start);
	clear_end(&record, start - RECORDER_FAR + 2 * RECORDER_STRETCH);
	ck_assert_int_eq(recorder_judge(&record, 10, UINT32_MAX), IPSEC_LATCH_LATCHED);
	clear_end(&record, start + 3 * RECORDER_FAR);
	ck_assert_int_eq(recorder_judge(&record, 10, UINT32_MAX), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

/* Who knows only the addresses and ports cannot break a latch, wherever he guesses but right there;
 * the end of the message before is still there. */
START_TEST(test_strangers)
{
	const uint32_t start = 0x12345678;
	struct recorder_record record = record_of(start, 10);

	clear_end(&record, start - 5);
	for (uint32_t i = 1; i < RECORDER_STRETCHES - 1; i++)
		clear_end(&record, start + REACH + i * RECORDER_STRETCH);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_LATCHED);
	clear_end(&record, start + BUFFER);
	ck_assert_int_eq(recorder_judge(&record, 10, BUFFER), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

/* No buffer makes the reach wrap round. */
START_TEST(test_huge_buffer)
{
	struct recorder_record record = record_of(5000, 10);

	clear_end(&record, 5000 - 1);
	clear_end(&record, 5000 + (1u << 31));
	ck_assert_int_eq(recorder_judge(&record, 10, UINT32_MAX), IPSEC_LATCH_LATCHED);
	clear_end(&record, 5000 + 10 + (1u << 30) + (1u << 20));
	ck_assert_int_eq(recorder_judge(&record, 10, UINT32_MAX), IPSEC_LATCH_CLEAR_BEHIND);
}
END_TEST

Suite *suite_broker_recorder(void)
{
	Suite *suite = suite_create("broker_recorder");
	TCase *tests = tcase_create("broker_recorder");

	tcase_add_test(tests, test_bytes);
	tcase_add_test(tests, test_poison);
	tcase_add_test(tests, test_marks);
	tcase_add_test(tests, test_clear_ends);
	tcase_add_test(tests, test_read_ahead);
	tcase_add_test(tests, test_far_apart);
	tcase_add_test(tests, test_walk_round);
	tcase_add_test(tests, test_hidden_by_stranger);
	tcase_add_test(tests, test_strangers);
	tcase_add_test(tests, test_huge_buffer);
	suite_add_tcase(suite, tests);
	return suite;
}
