/* SPDX-License-Identifier: BSD-2-Clause */
/* What a name knows of its peer: where it comes from, and its octets (composite exported names). */
#include "tests/unit/key_store.h"
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define TOKEN_BYTES_MAX 1024

static struct mech_facts some_facts(void)
{
	struct mech_facts facts = { .method = "Ed25519",
		.has_digest = true,
		.reason = IPSEC_LATCH_LATCHED,
		.entry = "alice" };

	for (size_t i = 0; i < sizeof(facts.digest); i++)
		facts.digest[i] = (uint8_t)(i * 7);
	return facts;
}

static void check_facts(const struct mech_name *name, const struct mech_facts *wanted)
{
	const struct mech_facts *facts = mech_name_facts(name);

	ck_assert_ptr_nonnull(facts);
	ck_assert_str_eq(facts->method, wanted->method);
	ck_assert_str_eq(facts->entry, wanted->entry);
	ck_assert_int_eq(facts->reason, wanted->reason);
	ck_assert(facts->has_digest == wanted->has_digest);
	if (wanted->has_digest)
		ck_assert(bytes_equal(BYTES_OF(facts->digest), BYTES_OF(wanted->digest)));
}

static const char *const texts[] = { "alice@example.org", "host/server.example.org", "imap/",
	"/host", "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "anonymous" };

#define TEXTS ((int)(sizeof(texts) / sizeof(texts[0])))

START_TEST(names_with_facts_are_the_same_names)
{
	struct mech_facts facts = some_facts();
	struct mech_name *plain = import_name(MECH_FORM_USER, texts[_i]), *name = NULL,
			 *again = NULL;
	struct writer a, b;

	ck_assert_ptr_null(mech_name_facts(plain));
	ck_assert_int_eq(mech_name_with_facts(plain, &facts, &name), ERR_OK);
	ck_assert(mech_name_equal(plain, name));
	ck_assert_int_eq(mech_name_kind(name), mech_name_kind(plain));
	ck_assert_str_eq(mech_name_display(name), texts[_i]);
	ck_assert_str_eq(mech_name_service(name), mech_name_service(plain));
	ck_assert_str_eq(mech_name_host(name), mech_name_host(plain));
	ck_assert((mech_name_digest(name) == NULL) == (mech_name_digest(plain) == NULL));
	writer_init(&a, TOKEN_BYTES_MAX);
	writer_init(&b, TOKEN_BYTES_MAX);
	ck_assert_int_eq(mech_name_export(plain, &a), ERR_OK);
	ck_assert_int_eq(mech_name_export(name, &b), ERR_OK);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	writer_free(&a);
	writer_free(&b);
	mech_name_release(&plain);
	check_facts(name, &facts);
	/* Facts take the place of facts. */
	facts.reason = IPSEC_LATCH_NONE;
	ck_assert_int_eq(mech_name_with_facts(name, &facts, &again), ERR_OK);
	mech_name_release(&name);
	check_facts(again, &facts);
	mech_name_release(&again);
}
END_TEST

static void check_changed_tokens(struct bytes token)
{
	uint8_t copy[TOKEN_BYTES_MAX + 1];
	struct mech_name *name = NULL;

	memcpy(copy, token.data, token.len);
	for (size_t len = 0; len < token.len; len++)
		ck_assert_int_eq(
			mech_name_import_composite(BYTES(copy, len), &name), ERR_NAME_FORMAT);
	/* Fields of a later version are passed over. */
	copy[token.len] = 7;
	ck_assert_int_eq(mech_name_import_composite(BYTES(copy, token.len + 1), &name), ERR_OK);
	mech_name_release(&name);
	for (size_t at = 0; at < token.len; at++) {
		for (unsigned int bit = 0; bit < 8; bit++) {
			copy[at] ^= (uint8_t)(1u << bit);
			if (mech_name_import_composite(BYTES(copy, token.len), &name) == ERR_OK)
				mech_name_release(&name);
			ck_assert_ptr_null(name);
			copy[at] ^= (uint8_t)(1u << bit);
		}
	}
}

START_TEST(composites_come_back)
{
	struct mech_name *plain = import_name(MECH_FORM_USER, texts[_i]), *name = NULL,
			 *again = NULL;
	struct mech_facts facts = some_facts();
	struct writer w;

	for (int round = 0; round < 3; round++) {
		facts.has_digest = round > 0;
		if (round == 2)
			facts.entry = "";
		ck_assert_int_eq(mech_name_with_facts(plain, &facts, &name), ERR_OK);
		writer_init(&w, TOKEN_BYTES_MAX);
		ck_assert_int_eq(mech_name_export_composite(name, &w), ERR_OK);
		ck_assert_int_eq(mech_name_import_composite(writer_view(&w), &again), ERR_OK);
		ck_assert(mech_name_equal(name, again));
		check_facts(again, &facts);
		mech_name_release(&name);
		mech_name_release(&again);
		check_changed_tokens(writer_view(&w));
		writer_free(&w);
	}
	writer_init(&w, TOKEN_BYTES_MAX);
	ck_assert_int_eq(mech_name_export_composite(plain, &w), ERR_OK);
	ck_assert_int_eq(mech_name_import_composite(writer_view(&w), &again), ERR_OK);
	ck_assert(mech_name_equal(plain, again));
	ck_assert_ptr_null(mech_name_facts(again));
	check_changed_tokens(writer_view(&w));
	writer_free(&w);
	mech_name_release(&plain);
	mech_name_release(&again);
}
END_TEST

START_TEST(composite_octets)
{
	static const struct {
		const char *octets;
		size_t len;
		enum err err;
	} rows[] = {
		{ "\1\0\2\1\4\0", 6, ERR_OK },
		{ "\1\0\2\1\4\1\0\1x\0\0", 11, ERR_OK },
		{ "\2\0\2\1\4\0", 6, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\2", 6, ERR_NAME_FORMAT },
		{ "\1\0\2\1\5\0", 6, ERR_NAME_FORMAT },
		{ "\1\0\0\0", 4, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\1\0\0\0\0", 10, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\1\0\1\n\0\0", 11, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\1\0\1\0\0\0", 11, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\1\0\1x\1y\0", 12, ERR_NAME_FORMAT },
		{ "\1\0\2\1\4\1\0\1x\0\1\xff", 12, ERR_NAME_FORMAT },
	};
	struct mech_name *name = NULL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(
			mech_name_import_composite(
				BYTES((const uint8_t *)rows[i].octets, rows[i].len), &name),
			rows[i].err);
		mech_name_release(&name);
	}
}
END_TEST

/* The peer's name at both ends, and never one's own. */
static void check_ends(const char *extra, enum ipsec_latch_reason reason, bool has_t5)
{
	struct mech_facts wanted = { .method = "Ed25519", .has_digest = true, .reason = reason };
	const struct mech_facts *seen;
	struct two_ends ends;

	two_ends_new(&ends, extra, extra);
	two_ends_contexts(&ends, has_t5 ? "HTTP@server.example.org" : TARGET, MECH_FLAG_MUTUAL);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), ERR_OK);
	memcpy(wanted.digest, ends.initiator->end_point, sizeof(wanted.digest));
	wanted.entry = "other";
	check_facts(mech_context_acceptor_name(ends.initiator), &wanted);
	ck_assert_ptr_null(mech_name_facts(mech_context_initiator_name(ends.initiator)));
	seen = mech_name_facts(mech_context_initiator_name(ends.acceptor));
	ck_assert_ptr_nonnull(seen);
	ck_assert(seen->has_digest);
	ck_assert_str_eq(seen->method, wanted.method);
	ck_assert_str_eq(seen->entry, "other");
	ck_assert_int_eq(seen->reason, reason);
	ck_assert_ptr_null(mech_name_facts(mech_context_acceptor_name(ends.acceptor)));
	two_ends_free(&ends);
}

START_TEST(contexts_know_their_peers)
{
	check_ends("", IPSEC_LATCH_LATCHED, false);
	check_ends("", IPSEC_LATCH_LATCHED, true);
	check_ends("latch = no", IPSEC_LATCH_POLICY_NO, false);
	check_ends("latch = no", IPSEC_LATCH_POLICY_NO, true);
}
END_TEST

/* Until the end, a context tells nothing of whom it may be talking to. */
START_TEST(half_made_contexts_know_nothing)
{
	enum mech_step_result result;
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, "HTTP@server.example.org", MECH_FLAG_MUTUAL);
	for (int i = 0; i < 4; i++) {
		struct mech_context *next = i % 2 == 0 ? ends.initiator : ends.acceptor;

		ck_assert_int_eq(two_ends_step(&ends, next, NULL, &result), ERR_OK);
		ck_assert_int_eq(result, MECH_CONTINUE);
		ck_assert_ptr_null(mech_name_facts(mech_context_acceptor_name(ends.initiator)));
		ck_assert_ptr_null(mech_name_facts(mech_context_initiator_name(ends.acceptor)));
	}
	two_ends_free(&ends);
}
END_TEST

Suite *suite_name_facts(void)
{
	Suite *suite = suite_create("name_facts");
	TCase *tcase = tcase_create("name_facts");

	tcase_add_loop_test(tcase, names_with_facts_are_the_same_names, 0, TEXTS);
	tcase_add_loop_test(tcase, composites_come_back, 0, TEXTS);
	tcase_add_test(tcase, composite_octets);
	tcase_add_test(tcase, contexts_know_their_peers);
	tcase_add_test(tcase, half_made_contexts_know_nothing);
	suite_add_tcase(suite, tcase);
	return suite;
}
