/* SPDX-License-Identifier: BSD-2-Clause */
/* Ends that are nobody (RFC 7619): who may be, what names and flags say of it, and a man in the middle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define ACCEPT "anonymous_peer = accept"
#define ACCEPT_FOR(service) "\n[service]\n\t" service " = {\n\t\tanonymous_peer = accept\n\t}\n"
#define PEER(lines) "\n[peer]\n\tserver = {\n\t\thost = server.example.org\n" lines "\t}\n"
#define OTHER_PEER(lines) "\tserver2 = {\n\t\thost = server.example.org\n" lines "\t}\n"
#define NOBODY_FOR(service) "\t\tanonymous = yes\n\t\tservices = " service "\n"
#define OTHER_KEY "\t\tkey = SHA256:0scQsgItTAmhBfj2gNnnd+0+k6BxHXLGgA5/HVJR7wo\n"

/* Kinds, what both configurations say, the flags asked for, and how it ends. */
struct nobody_row {
	const char *kind_i, *kind_a, *extra_i, *extra_a, *target;
	uint32_t asked;
	enum err expected;
	uint32_t granted; /* of MUTUAL and ANON, when it completes */
};

#define MUTUAL MECH_FLAG_MUTUAL
#define ANON MECH_FLAG_ANON
/* clang-format off */
static const struct nobody_row nobody_rows[] = {
	/* initiator */
	{ "ed25519", "ed25519", "", ACCEPT, TARGET, MUTUAL | ANON, ERR_OK, MUTUAL | ANON },
	{ "ed25519", "ed25519", "", ACCEPT, TARGET, ANON, ERR_OK, ANON },
	{ "anonymous", "ed25519", "", ACCEPT, TARGET, MUTUAL, ERR_OK, MUTUAL | ANON },
	{ "ed25519", "ed25519", "", ACCEPT, TARGET, MUTUAL, ERR_OK, MUTUAL },
	{ "ed25519", "ed25519", "", "", TARGET, ANON, ERR_AUTH_METHOD, 0 },
	{ "anonymous", "rsa", "", "anonymous_peer = refuse", TARGET, 0, ERR_AUTH_METHOD, 0 },
	{ "ed25519", "ed25519", "", ACCEPT_FOR("host"), TARGET, ANON, ERR_OK, ANON },
	{ "ed25519", "ed25519", "", ACCEPT_FOR("HTTP"), TARGET, ANON, ERR_AUTH_METHOD, 0 },
	/* that the initiator takes anybody says nothing of the acceptor */
	{ "ed25519", "ed25519", ACCEPT, "", TARGET, ANON, ERR_AUTH_METHOD, 0 },
	/* acceptor */
	{ "ed25519", "anonymous", ACCEPT, "", TARGET, 0, ERR_OK, 0 },
	{ "ed25519", "anonymous", ACCEPT_FOR("host"), "", TARGET, 0, ERR_OK, 0 },
	{ "ed25519", "anonymous", ACCEPT, "", "host", 0, ERR_OK, 0 },
	{ "ed25519", "anonymous", "", "", TARGET, 0, ERR_AUTH_METHOD, 0 },
	{ "ed25519", "anonymous", ACCEPT, "", TARGET, MUTUAL, ERR_NO_MUTUAL, 0 },
	{ "ed25519", "anonymous", "unknown_peer = accept", "", TARGET, 0, ERR_AUTH_METHOD, 0 },
	/* no downgrade: the database knows the target */
	{ "ed25519", "anonymous", ACCEPT PEER(OTHER_KEY), "", TARGET, 0, ERR_AUTH_METHOD, 0 },
	{ "ed25519", "anonymous", ACCEPT PEER(OTHER_KEY), "", TARGET, MUTUAL, ERR_NO_MUTUAL, 0 },
	{ "ed25519", "anonymous", PEER("\t\tanonymous = yes\n"), "", TARGET, MUTUAL, ERR_OK, 0 },
	{ "ed25519", "anonymous", PEER("\t\tanonymous = yes\n"), "", TARGET, 0, ERR_OK, 0 },
	/* an entry without a key does not let anybody with a key in */
	{ "ed25519", "anonymous", PEER("\t\tanonymous = yes\n\t\tservices = imap\n"), "", TARGET, 0,
	  ERR_AUTH_METHOD, 0 },
	/* an entry for each service, in either order */
	{ "ed25519", "anonymous", PEER(NOBODY_FOR("host")) OTHER_PEER(NOBODY_FOR("imap")), "",
	  TARGET, 0, ERR_OK, 0 },
	{ "ed25519", "anonymous", PEER(NOBODY_FOR("imap")) OTHER_PEER(NOBODY_FOR("host")), "",
	  TARGET, 0, ERR_OK, 0 },
	{ "ed25519", "anonymous", PEER(NOBODY_FOR("host")) OTHER_PEER(OTHER_KEY), "", TARGET, 0,
	  ERR_AUTH_METHOD, 0 },
	{ "ed25519", "anonymous", PEER(OTHER_KEY) OTHER_PEER(NOBODY_FOR("host")), "", TARGET, 0,
	  ERR_AUTH_METHOD, 0 },
	/* both */
	{ "anonymous", "anonymous", ACCEPT, ACCEPT, TARGET, 0, ERR_OK, ANON },
	{ "anonymous", "anonymous", ACCEPT, "", TARGET, 0, ERR_AUTH_METHOD, 0 },
	{ "anonymous", "anonymous", "", ACCEPT, TARGET, 0, ERR_AUTH_METHOD, 0 },
};
/* clang-format on */

static void assert_names(const struct two_ends *ends, const struct nobody_row *row)
{
	bool hides = (row->granted & ANON) != 0, is_nobody = strcmp(row->kind_a, "anonymous") == 0;
	const char *initiator = hides ? "anonymous" : "alice@example.org";
	struct writer binding;

	ck_assert_str_eq(
		mech_name_display(mech_context_initiator_name(ends->initiator)), initiator);
	ck_assert_str_eq(mech_name_display(mech_context_initiator_name(ends->acceptor)), initiator);
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends->initiator)),
		is_nobody ? "anonymous" : "host/server.example.org");
	ck_assert_str_eq(mech_name_display(mech_context_acceptor_name(ends->acceptor)),
		is_nobody ? "anonymous" : "host/server.example.org");
	/* What each claims of the other. */
	ck_assert_str_eq(fake_kernels[1].last_method, hides ? "NULL" : "Ed25519");
	ck_assert_str_eq(fake_kernels[0].last_method, is_nobody ? "NULL" : "Ed25519");
	ck_assert_uint_eq(strlen(fake_kernels[1].last_peer_key), hides ? 0 : 50);
	ck_assert_uint_eq(strlen(fake_kernels[0].last_peer_key), is_nobody ? 0 : 50);
	writer_init(&binding, 256);
	ck_assert_int_eq(mech_context_end_point_binding(ends->initiator, &binding),
		is_nobody ? ERR_NO_END_POINT : ERR_OK);
	ck_assert_int_eq(mech_context_end_point_binding(ends->acceptor, &binding),
		is_nobody ? ERR_NO_END_POINT : ERR_OK);
	writer_free(&binding);
}

START_TEST(nobody)
{
	const struct nobody_row *row = &nobody_rows[_i];
	struct two_ends ends;
	uint32_t told;

	two_ends_new_of(&ends, row->kind_i, row->kind_a, row->extra_i, row->extra_a);
	two_ends_contexts(&ends, row->target, FLAGS | row->asked);
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL), row->expected);
	if (row->expected == ERR_OK) {
		/* an initiator is told of a proven acceptor also where it did not ask */
		told = ANON | (row->asked & MUTUAL);
		ck_assert_uint_eq(mech_context_flags(ends.initiator) & told, row->granted);
		ck_assert_uint_eq(mech_context_flags(ends.acceptor) & told, row->granted);
		assert_names(&ends, row);
	} else {
		ck_assert(!mech_context_is_open(ends.initiator) ||
			  !mech_context_is_open(ends.acceptor));
	}
	two_ends_free(&ends);
}
END_TEST

START_TEST(acceptor_refuses_a_wrong_mac)
{
	enum mech_step_result result;
	struct two_ends ends;

	two_ends_new(&ends, "", ACCEPT);
	two_ends_contexts(&ends, TARGET, FLAGS | ANON);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	/* what an end with other keys would have sent */
	ends.acceptor->exchange->keys.sk_pi.data[0] ^= 1;
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_AUTH_FAILED);
	two_ends_free(&ends);
}
END_TEST

static enum err judge(struct two_ends *ends, uint8_t type, struct bytes data)
{
	struct mech_peer_claim claim = { .id_type = type, .id_data = data };

	return mech_peer_judge_nobody(ends->acceptor->config, NULL, "host", false, &claim);
}

START_TEST(nobody_has_no_name)
{
	static const uint8_t name[] = "alice@example.org";
	struct two_ends ends;

	two_ends_new(&ends, "", ACCEPT);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(judge(&ends, IKE_ID_NULL, BYTES_NONE), ERR_OK);
	ck_assert_int_eq(judge(&ends, IKE_ID_NULL, BYTES_OF(name)), ERR_IKE_PAYLOAD);
	ck_assert_int_eq(judge(&ends, IKE_ID_RFC822_ADDR, BYTES_OF(name)), ERR_AUTH_METHOD);
	ck_assert_int_eq(judge(&ends, IKE_ID_KEY_ID, BYTES_NONE), ERR_AUTH_METHOD);
	two_ends_free(&ends);
}
END_TEST

/* The program answers for imap alone, which refuses nobody's logins; T3 names no service. */
START_TEST(naming_no_service_escapes_no_refusal)
{
	static const uint8_t imap[] = "imap@server.example.org";
	bool is_default = _i == 1; /* the program answers for anything: then nothing is known */
	struct mech_store_entry store;
	struct mech_name *desired = NULL;
	enum mech_step_result result;
	struct two_ends ends;

	two_ends_new(
		&ends, "", ACCEPT "\n[service]\n\timap = {\n\t\tanonymous_peer = refuse\n\t}\n");
	ck_assert_int_eq(mech_name_import(MECH_FORM_HOSTBASED, BYTES(imap, sizeof(imap) - 1), NULL,
				 &desired),
		ERR_OK);
	store = (struct mech_store_entry){ "ipsec_config", ends.acceptor_config };
	mech_credential_release(&ends.acceptor_credential);
	ck_assert_int_eq(mech_credential_acquire(is_default ? NULL : desired, MECH_ACCEPT, &store,
				 1, &ends.acceptor_credential),
		ERR_OK);
	two_ends_contexts(&ends, TARGET, FLAGS | ANON);
	ends.initiator->exchange->service[0] = '\0';
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(two_ends_step(&ends, i == 1 ? ends.acceptor : ends.initiator, NULL,
					 &result),
			ERR_OK);
	ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result),
		is_default ? ERR_OK : ERR_AUTH_METHOD);
	mech_name_release(&desired);
	two_ends_free(&ends);
}
END_TEST

/* Another latch with somebody who is nobody does not vouch for ours. */
START_TEST(nobodys_latch_is_not_our_peers)
{
	struct two_ends ends;

	two_ends_new_of(&ends, "anonymous", "anonymous", ACCEPT, ACCEPT);
	two_ends_contexts(&ends, TARGET, FLAGS);
	fake_kernels[0].find = IPSEC_LATCH_ALREADY_LATCHED;
	fake_kernels[0].fitness = IPSEC_LATCH_ALREADY_LATCHED;
	fake_kernels[0].has_unfit = true;
	fake_kernels[0].query = IPSEC_LATCH_LATCHED;
	fake_kernels[0].status.state = IPSEC_LATCH_STATE_ESTABLISHED;
	fake_kernels[0].status.uid = geteuid();
	strcpy(fake_kernels[0].status.peer_name, "anonymous");
	ck_assert_int_eq(two_ends_run(&ends, NULL, NULL),
		(enum err)(ERR_LATCH + IPSEC_LATCH_ALREADY_LATCHED));
	two_ends_free(&ends);
}
END_TEST

static void unique_of(const struct mech_context *context, struct writer *w)
{
	writer_init(w, 256);
	ck_assert_int_eq(mech_context_unique_binding(context, w), ERR_OK);
}

/* Mallory is nobody to both: what binds a channel differs on her two sides. */
START_TEST(a_man_in_the_middle_has_two_unique_values)
{
	struct two_ends near, far;
	struct writer values[4];

	two_ends_new_of(&near, "anonymous", "anonymous", ACCEPT, ACCEPT);
	two_ends_contexts(&near, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&near, NULL, NULL), ERR_OK);
	two_ends_new_of(&far, "anonymous", "anonymous", ACCEPT, ACCEPT);
	two_ends_contexts(&far, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_run(&far, NULL, NULL), ERR_OK);
	unique_of(near.initiator, &values[0]);
	unique_of(near.acceptor, &values[1]);
	unique_of(far.initiator, &values[2]);
	unique_of(far.acceptor, &values[3]);
	ck_assert(bytes_equal(writer_view(&values[0]), writer_view(&values[1])));
	ck_assert(bytes_equal(writer_view(&values[2]), writer_view(&values[3])));
	ck_assert(!bytes_equal(writer_view(&values[0]), writer_view(&values[3])));
	for (size_t i = 0; i < 4; i++)
		writer_free(&values[i]);
	two_ends_free(&near);
	two_ends_free(&far);
}
END_TEST

/* She hands each side's messages on but for the public values, which give a secret that all know. */
static void put_public_value(struct writer *token, uint16_t group, struct bytes value)
{
	struct ike_message message;
	const struct ike_payload *ke;
	size_t at;

	ck_assert_int_eq(
		ike_message_parse(writer_view(token), IKE_KIND_T1, &message) == ERR_OK ||
			ike_message_parse(writer_view(token), IKE_KIND_T2, &message) == ERR_OK,
		true);
	ke = ike_message_find(&message, IKE_PAYLOAD_KE, 0);
	ck_assert_ptr_nonnull(ke);
	ck_assert_uint_eq(ke->body.len, 4 + value.len);
	ck_assert_uint_eq(ke->body.data[0] << 8 | ke->body.data[1], group);
	at = (size_t)(ke->body.data - message.raw.data) + 4;
	memcpy(writer_at(token, at, value.len), value.data, value.len);
}

struct degenerate_row {
	const char *groups;
	uint16_t group;
	size_t len;
	uint8_t first, last;
};

static const struct degenerate_row degenerate_rows[] = {
	{ "ike_groups = curve25519", 31, 32, 0, 0 },
	{ "ike_groups = curve25519", 31, 32, 1, 0 },
	/* (0, 0), and a point that is off the curve */
	{ "ike_groups = p256", 19, 64, 0, 0 },
	{ "ike_groups = p256", 19, 64, 1, 1 },
};

START_TEST(degenerate_public_values_are_refused)
{
	const struct degenerate_row *row = &degenerate_rows[_i / 2];
	bool at_acceptor = _i % 2 == 0;
	enum mech_step_result result;
	uint8_t value[64] = { 0 };
	struct two_ends ends;
	char extra[128];

	snprintf(extra, sizeof(extra), ACCEPT "\n\t%s", row->groups);
	value[0] = row->first;
	value[row->len - 1] |= row->last;
	two_ends_new_of(&ends, "anonymous", "anonymous", extra, extra);
	two_ends_contexts(&ends, TARGET, FLAGS);
	ck_assert_int_eq(two_ends_step(&ends, ends.initiator, NULL, &result), ERR_OK);
	if (!at_acceptor)
		ck_assert_int_eq(two_ends_step(&ends, ends.acceptor, NULL, &result), ERR_OK);
	put_public_value(&ends.token, row->group, BYTES(value, row->len));
	ck_assert_int_eq(
		two_ends_step(&ends, at_acceptor ? ends.acceptor : ends.initiator, NULL, &result),
		ERR_KEY_EXCHANGE);
	two_ends_free(&ends);
}
END_TEST

Suite *suite_anonymous(void)
{
	Suite *suite = suite_create("anonymous");
	TCase *tests = tcase_create("anonymous");

	tcase_add_loop_test(tests, nobody, 0, COUNT_OF(nobody_rows));
	tcase_add_test(tests, acceptor_refuses_a_wrong_mac);
	tcase_add_test(tests, nobody_has_no_name);
	tcase_add_loop_test(tests, naming_no_service_escapes_no_refusal, 0, 2);
	tcase_add_test(tests, nobodys_latch_is_not_our_peers);
	tcase_add_test(tests, a_man_in_the_middle_has_two_unique_values);
	tcase_add_loop_test(
		tests, degenerate_public_values_are_refused, 0, 2 * COUNT_OF(degenerate_rows));
	suite_add_tcase(suite, tests);
	return suite;
}
