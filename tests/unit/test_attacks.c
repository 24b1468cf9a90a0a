/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks on the exchange, over the fake kernel of two_ends.h: each test case is one attack, its
 * test fails where the attack succeeds.  tests/weakened/ shows that each does succeed against a
 * build without the defence that it is aimed at; names of cases stand in its attacks.table.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mech/ike/wire.h"
#include "tests/support/two_ends.h"
#include "tests/unit/suites.h"

#define TARGET "host@server.example.org"
#define FLAGS (MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE)
#define TAG_AT 32 /* octets from the end of T2 */
#define SPI_AT (TAG_AT + 4)

static void attack_begin(struct two_ends *ends, const char *policy)
{
	two_ends_new(ends, policy, policy);
	two_ends_contexts(ends, TARGET, FLAGS);
}

/* One honest step, which must work. */
static void attack_step(struct two_ends *ends, struct mech_context *context)
{
	enum mech_step_result result;

	ck_assert_int_eq(two_ends_step(ends, context, NULL, &result), ERR_OK);
}

/* The step in which the attack is noticed, or not. */
static void attack_last_step(struct two_ends *ends, struct mech_context *context)
{
	enum mech_step_result result;

	(void)two_ends_step(ends, context, NULL, &result);
}

/* What of a T3 or T4 somebody can make who knows the keys of the exchange, which are anybody's,
 * and a public key, but not the private one: AUTH is zeros. */
static void attack_forge(struct two_ends *ends, struct mech_context *context, uint8_t id_type,
	const char *name, struct bytes spki)
{
	static const uint8_t zeros[64];
	struct ike_context notify = { .flags = FLAGS };
	struct ike_builder b = { 0 };
	struct writer id;

	writer_free(&ends->token);
	writer_init(&ends->token, IKE_MESSAGE_BYTES_MAX);
	writer_init(&id, 256);
	writer_put_u8(&id, id_type);
	writer_put_zeros(&id, 3);
	writer_put_bytes(&id, BYTES((const uint8_t *)name, strlen(name)));
	ck_assert_int_eq(mech_context_begin_sealed(
				 context, &b, IKE_EXCHANGE_AUTH, 1, !context->is_initiator),
		ERR_OK);
	ike_put_payload(
		&b, context->is_initiator ? IKE_PAYLOAD_IDI : IKE_PAYLOAD_IDR, writer_view(&id));
	ike_put_cert(&b, spki);
	ike_put_auth_signature(&b, crypto_signature_at(0)->algorithm, BYTES_OF(zeros));
	ike_put_context(&b, &notify);
	mech_latching_put_child(context, &b);
	ck_assert_int_eq(mech_context_seal_message(context, &b, &ends->token), ERR_OK);
	ike_builder_free(&b);
	writer_free(&id);
}

/* Somebody who knows alice's public key logs in as alice. */
START_TEST(impostor_initiator)
{
	struct two_ends ends;

	attack_begin(&ends, "");
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	attack_forge(&ends, ends.initiator, IKE_ID_RFC822_ADDR, "alice@example.org",
		crypto_private_key_spki(ends.initiator->exchange->identity->key));
	attack_last_step(&ends, ends.acceptor);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* Somebody who knows the server's public key stands in for it. */
START_TEST(impostor_acceptor)
{
	const struct mech_identity *server;
	struct two_ends ends;

	attack_begin(&ends, "");
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	ck_assert_int_eq(
		mech_credential_acceptor(ends.acceptor_credential, NULL, "host", &server), ERR_OK);
	attack_forge(&ends, ends.acceptor, IKE_ID_FQDN, "server.example.org",
		crypto_private_key_spki(server->key));
	attack_last_step(&ends, ends.initiator);
	ck_assert(!mech_context_is_open(ends.initiator));
	two_ends_free(&ends);
}
END_TEST

/* The acceptor's database has another key under alice's name. */
START_TEST(stranger)
{
	struct two_ends ends, others;

	attack_begin(&ends, "");
	two_ends_new(&others, "", "");
	mech_context_free(&ends.acceptor);
	ck_assert_int_eq(
		mech_acceptor_new(others.acceptor_credential, &fake_acceptor_ops, &ends.acceptor),
		ERR_OK);
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	attack_last_step(&ends, ends.acceptor);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
	two_ends_free(&others);
}
END_TEST

/* A server that is known, under its own name and with its own key, answers for another one. */
START_TEST(wrong_host)
{
	struct ike_context notify = { .flags = FLAGS };
	struct mech_context *acceptor;
	struct ike_builder b = { 0 };
	struct two_ends ends;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, "host@other.example.org", FLAGS);
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	acceptor = ends.acceptor;
	ck_assert_int_eq(mech_credential_acceptor(ends.acceptor_credential, NULL, "host",
				 &acceptor->exchange->identity),
		ERR_OK);
	writer_free(&ends.token);
	writer_init(&ends.token, IKE_MESSAGE_BYTES_MAX);
	ck_assert_int_eq(
		mech_context_begin_sealed(acceptor, &b, IKE_EXCHANGE_AUTH, 1, true), ERR_OK);
	acceptor->exchange->signature =
		crypto_private_key_signature(acceptor->exchange->identity->key);
	ck_assert_int_eq(mech_auth_put(acceptor, &b), ERR_OK);
	ike_put_context(&b, &notify);
	mech_latching_put_child(acceptor, &b);
	ck_assert_int_eq(mech_context_seal_message(acceptor, &b, &ends.token), ERR_OK);
	ike_builder_free(&b);
	attack_last_step(&ends, ends.initiator);
	ck_assert(!mech_context_is_open(ends.initiator));
	two_ends_free(&ends);
}
END_TEST

/* Tokens that somebody in the middle hands on from one outer channel into another. */
START_TEST(relayed)
{
	static const uint8_t a[] = "channel to the relay", b[] = "channel from the relay";
	struct mech_bindings one = { .present = true, .application_data = BYTES_OF(a) };
	struct mech_bindings other = { .present = true, .application_data = BYTES_OF(b) };
	struct two_ends ends;

	attack_begin(&ends, "");
	(void)two_ends_run(&ends, &one, &other);
	ck_assert(!mech_context_is_open(ends.initiator) && !mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

static void attack_flip(struct two_ends *ends, size_t octets_from_end)
{
	size_t len = writer_len(&ends->token);

	*writer_at(&ends->token, len - octets_from_end, 1) ^= 1;
}

/* T1's last octets are the name of a connection: changed, it names none, and `auto` goes on. */
START_TEST(downgrade)
{
	struct two_ends ends;

	attack_begin(&ends, "latch = auto");
	attack_step(&ends, ends.initiator);
	attack_flip(&ends, 1);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	attack_last_step(&ends, ends.acceptor);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* Another SPI_r in T2: the initiator's ESP goes to an association that is not the acceptor's. */
START_TEST(other_spi)
{
	struct two_ends ends;

	attack_begin(&ends, "");
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_flip(&ends, SPI_AT);
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_last_step(&ends, ends.initiator);
	ck_assert(!mech_context_is_open(ends.initiator));
	two_ends_free(&ends);
}
END_TEST

/* The acceptor names a connection of the initiator's on which nothing went back and forth. */
START_TEST(named_by_acceptor)
{
	struct two_ends ends;

	attack_begin(&ends, "latch = auto");
	fake_kernels[0].stalls = true;
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_last_step(&ends, ends.initiator);
	ck_assert_uint_eq(fake_kernels[0].reserved, 0);
	two_ends_free(&ends);
}
END_TEST

/* The initiator names a connection of the acceptor's on which neither T2 nor T3 went. */
START_TEST(named_by_initiator)
{
	struct two_ends ends;

	attack_begin(&ends, "latch = auto");
	fake_kernels[1].stalls = true;
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	attack_last_step(&ends, ends.acceptor);
	ck_assert_uint_eq(fake_kernels[1].latched, 0);
	two_ends_free(&ends);
}
END_TEST

/* Both hold the connection, nobody can latch it (a broker made to hang), and the policy is "yes". */
START_TEST(no_latch_to_be_had)
{
	struct two_ends ends;

	attack_begin(&ends, "");
	fake_kernels[1].reserve = IPSEC_LATCH_NO_BROKER;
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.initiator) && !mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* The same at the acceptor, whose "yes" does not hang on the initiator's. */
START_TEST(no_latch_at_acceptor)
{
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	fake_kernels[1].reserve = IPSEC_LATCH_NO_BROKER;
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* An initiator whose T3 is about another connection than the one that T1 and T2 settled on. */
static enum ipsec_latch_reason lying_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	struct kbind_candidate *chosen = (struct kbind_candidate *)(uintptr_t)candidate;

	chosen->tuple.local_port ^= 1;
	return fake_initiator_ops.reserve(broker_path, candidate, reserve, ret_lease);
}

START_TEST(other_selectors)
{
	struct kbind_ops lying = fake_initiator_ops;
	struct two_ends ends;

	lying.reserve = lying_reserve;
	attack_begin(&ends, "");
	mech_context_free(&ends.initiator);
	ck_assert_int_eq(mech_initiator_new(ends.initiator_credential, ends.target, FLAGS, &lying,
				 &ends.initiator),
		ERR_OK);
	attack_step(&ends, ends.initiator);
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	attack_last_step(&ends, ends.acceptor);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* --- connections that somebody else, or the program itself, holds beside the right one --- */

/* So many octets moved since T1 as no tokens have. */
static struct kbind_candidate attack_moved(struct kbind_candidate connection)
{
	connection.sent_bytes += 60000;
	connection.received_bytes += 60000;
	return connection;
}

static struct kbind_candidate attack_other(size_t side)
{
	struct kbind_candidate other = fake_connection(side == 0);

	other.cookie = 99;
	other.fd = 8;
	return other;
}

/* The acceptor has reserved one of two that T1 names; the tokens may have come on the other. */
START_TEST(other_carried)
{
	struct fake_kernel *k = &fake_kernels[1];
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "latch = auto");
	k->twins[0] = attack_other(1);
	k->twins[0].last_received_ms = 700;
	k->others[0] = attack_moved(k->twins[0]);
	k->twin_count = k->other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* The initiator holds another connection to that server, which the acceptor could not name. */
START_TEST(hidden_carried)
{
	struct fake_kernel *k = &fake_kernels[0];
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "");
	k->others[0] = attack_moved(attack_other(0));
	k->other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert_uint_eq(k->reserved, 0);
	two_ends_free(&ends);
}
END_TEST

/* Somebody with a latch of his own passes on the tokens of others. */
START_TEST(passed_on)
{
	struct fake_kernel *k = &fake_kernels[1];
	struct two_ends ends;

	two_ends_new(&ends, "latch = auto", "");
	fake_kernels[0].find = fake_kernels[1].find = IPSEC_LATCH_ALREADY_LATCHED;
	k->has_unfit = true;
	k->fitness = IPSEC_LATCH_ALREADY_LATCHED;
	k->status =
		(struct kbind_status){ .state = IPSEC_LATCH_STATE_ESTABLISHED, .uid = geteuid() };
	strcpy(k->status.peer_name, "mallory@example.org");
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* The initiator, under "yes", holds nothing at T1, and then this connection: whether it completes. */
static bool attack_beside(struct kbind_candidate connection)
{
	struct fake_kernel *k = &fake_kernels[0];
	struct two_ends ends;
	bool is_open;

	two_ends_new(&ends, "", "latch = auto");
	fake_kernels[0].find = fake_kernels[1].find = IPSEC_LATCH_NONE;
	k->others[0] = connection;
	k->other_count = 1;
	two_ends_contexts(&ends, TARGET, FLAGS);
	(void)two_ends_run(&ends, NULL, NULL);
	is_open = mech_context_is_open(ends.initiator);
	two_ends_free(&ends);
	return is_open;
}

/* The tokens went over a connection that was opened after T1's search. */
START_TEST(opened_later)
{
	struct kbind_candidate connection = { .fd = 8, .cookie = 77 };

	connection = attack_moved(connection);
	ck_assert(!attack_beside(connection));
}
END_TEST

/* They went one way over this connection and came back over another. */
START_TEST(one_way)
{
	struct kbind_candidate connection = { .fd = 8, .cookie = 77 };

	connection.received_bytes = 60000;
	ck_assert(!attack_beside(connection));
}
END_TEST

/* They may have gone over one of several paths, which nobody counts. */
START_TEST(several_paths)
{
	struct kbind_candidate connection = { .fd = 8, .cookie = 77 };

	connection.is_uncounted = true;
	ck_assert(!attack_beside(connection));
}
END_TEST

#define TAKES_NOBODY "anonymous_peer = accept"

/* The database has the server with a key; somebody without one answers. */
START_TEST(nobody_in_its_place)
{
	struct two_ends ends;

	two_ends_new_of(&ends, "ed25519", "anonymous",
		TAKES_NOBODY "\n[peer]\n\tserver = {\n\t\thost = server.example.org\n\t\tkey = "
			     "SHA256:0scQsgItTAmhBfj2gNnnd+0+k6BxHXLGgA5/HVJR7wo\n\t}\n",
		"");
	two_ends_contexts(&ends, TARGET, MECH_FLAG_REPLAY);
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.initiator));
	two_ends_free(&ends);
}
END_TEST

/* Two who are nobody; T1's list of hashes is another one when it arrives. */
START_TEST(nobodys_t1_changed)
{
	enum mech_step_result result;
	struct ike_message message;
	struct ike_notify notify;
	struct two_ends ends;
	size_t at;

	two_ends_new_of(&ends, "anonymous", "anonymous", TAKES_NOBODY, TAKES_NOBODY);
	two_ends_contexts(&ends, TARGET, MECH_FLAG_REPLAY);
	attack_step(&ends, ends.initiator);
	ck_assert_int_eq(
		ike_message_parse(writer_view(&ends.token), IKE_KIND_T1, &message), ERR_OK);
	ck_assert(ike_message_find_notify(&message, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, &notify));
	at = (size_t)(notify.data.data - message.raw.data);
	*writer_at(&ends.token, at, 1) ^= 0x40;
	attack_step(&ends, ends.acceptor);
	attack_step(&ends, ends.initiator);
	(void)two_ends_step(&ends, ends.acceptor, NULL, &result);
	ck_assert(!mech_context_is_open(ends.acceptor));
	two_ends_free(&ends);
}
END_TEST

/* A refusal that the acceptor never sent makes the initiator go on with its second best group. */
START_TEST(forged_refusal)
{
	static const uint8_t p256[] = { 0, IKE_GROUP_P256 };
	struct ike_header header = { .exchange = IKE_EXCHANGE_SA_INIT, .flags = IKE_FLAG_RESPONSE };
	struct ike_builder b;
	struct two_ends ends;
	uint8_t *data = NULL;
	size_t len = 0;

	two_ends_new(&ends, "", "");
	two_ends_contexts(&ends, TARGET, FLAGS);
	attack_step(&ends, ends.initiator);
	header.spi_i = ends.initiator->exchange->spi_i;
	ike_builder_begin(&b, &header);
	ike_put_notify(&b, IKE_NOTIFY_INVALID_KE_PAYLOAD, BYTES_OF(p256));
	ck_assert_int_eq(ike_builder_finish(&b, &data, &len), ERR_OK);
	writer_free(&ends.token);
	writer_init(&ends.token, IKE_MESSAGE_BYTES_MAX);
	writer_put_bytes(&ends.token, BYTES(data, len));
	free(data);
	(void)two_ends_run(&ends, NULL, NULL);
	ck_assert(!mech_context_is_open(ends.initiator));
	two_ends_free(&ends);
}
END_TEST

/* clang-format off */
#define ATTACKS(X) \
	X(impostor_initiator) \
	X(impostor_acceptor) \
	X(stranger) \
	X(wrong_host) \
	X(relayed) \
	X(downgrade) \
	X(other_spi) \
	X(named_by_acceptor) \
	X(named_by_initiator) \
	X(no_latch_to_be_had) \
	X(no_latch_at_acceptor) \
	X(other_selectors) \
	X(other_carried) \
	X(hidden_carried) \
	X(passed_on) \
	X(opened_later) \
	X(one_way) \
	X(several_paths) \
	X(nobody_in_its_place) \
	X(nobodys_t1_changed) \
	X(forged_refusal)
/* clang-format on */

static void attack_add(Suite *suite, const char *name, const TTest *test)
{
	TCase *attack = tcase_create(name);

	tcase_add_test(attack, test);
	suite_add_tcase(suite, attack);
}

Suite *suite_attacks(void)
{
	Suite *suite = suite_create("attacks");

#define X(name) attack_add(suite, #name, name);
	ATTACKS(X)
#undef X
	return suite;
}
