/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The acceptor's side of the exchange; the flow is drawn in initiator.c.  Nothing that T1 says is
 * believed beyond what a reservation costs; T3 authenticates the initiator and everything it and T1 said.
 */
#include <string.h>

#include "mech/context.h"

/* What T1 offers, and what of it we take. */
struct acceptor_choice {
	const struct ike_suite *suite;
	uint8_t proposal_number;
	struct ike_ke ke;
};

static enum err acceptor_choose(const struct mech_context *context,
	const struct ike_message *message, struct acceptor_choice *ret_choice)
{
	enum err err = ike_sa_choose(ike_message_find(message, IKE_PAYLOAD_SA, 0)->body,
		mech_policy_ike_suites(context->config), &ret_choice->suite,
		&ret_choice->proposal_number);

	if (err == ERR_OK)
		err = ike_ke_parse(
			ike_message_find(message, IKE_PAYLOAD_KE, 0)->body, &ret_choice->ke);
	return err;
}

static enum err acceptor_take_offer(struct mech_context *context, const struct ike_message *message,
	const struct acceptor_choice *choice)
{
	struct mech_exchange *exchange = context->exchange;
	enum err err = ike_algorithms_of(choice->suite, &exchange->algorithms);

	if (err == ERR_OK)
		err = mech_nonce_take(message, !context->takes_plain_peer, &exchange->ni);
	if (err == ERR_OK)
		err = mech_nonce_make(&exchange->nr);
	if (err == ERR_OK)
		err = crypto_random_public((uint8_t *)&exchange->spi_r, sizeof(exchange->spi_r));
	exchange->spi_r |= 1; /* RFC 7296 3.1: zero means "not chosen yet" */
	if (err == ERR_OK)
		err = crypto_exchange_new(exchange->algorithms.group, &exchange->ephemeral);
	if (err == ERR_OK)
		err = mech_context_derive_keys(context, choice->ke.public_value);
	return err;
}

/*
 * RFC 7296 1.3: KEi is of another group than the best that both have.  Insisted on even where KEi's
 * would do: then nobody gains by telling the initiator to take a worse one.
 */
static enum err acceptor_ask_group(
	struct mech_context *context, uint16_t group, struct writer *output)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_header header = { .spi_i = exchange->spi_i,
		.exchange = IKE_EXCHANGE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE };
	struct ike_builder b = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	enum err err;

	if (exchange->refused.len > 0) {
		mech_set_detail(ERR_KEY_EXCHANGE, "group %u was asked for and did not come", group);
		return ERR_KEY_EXCHANGE;
	}
	ike_builder_begin(&b, &header);
	ike_put_group_wanted(&b, group);
	err = ike_builder_finish(&b, &data, &len);
	if (err == ERR_OK)
		err = mech_exchange_refuse(exchange, BYTES(data, len));
	if (err == ERR_OK) {
		writer_put_bytes(output, BYTES(data, len));
		err = writer_status(output);
	}
	secret_free(data, len);
	ike_builder_free(&b);
	return err;
}

/* A T1 without N(GSS_LATCH) is a peer that latches nothing. */
static enum err acceptor_answer_latch(struct mech_context *context,
	const struct ike_message *message, size_t t1_bytes, struct ike_latch_answer *ret_answer)
{
	struct ike_latch_offer offer = { .reason = IPSEC_LATCH_PEER_WONT };
	struct ike_notify notify;
	enum err err;

	if (ike_message_find_notify(message, IKE_NOTIFY_GSS_LATCH, &notify)) {
		err = ike_latch_offer_parse(notify.data, &offer);
		if (err != ERR_OK)
			return err;
	}
	return mech_latching_answer(context, &offer, t1_bytes, ret_answer);
}

static void acceptor_put_t2(struct mech_context *context, const struct ike_suite *suite,
	uint8_t proposal_number, const struct ike_latch_answer *answer, struct ike_builder *b)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_header header = { .spi_i = exchange->spi_i,
		.spi_r = exchange->spi_r,
		.exchange = IKE_EXCHANGE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE };

	ike_builder_begin(b, &header);
	/* SAr1, KEr, Nr */
	ike_put_sa_choice(b, suite, proposal_number);
	ike_put_ke(b, exchange->algorithms.group->id, crypto_exchange_public(exchange->ephemeral));
	ike_put_nonce(b, mech_nonce_view(&exchange->nr));
	/* V, N(SIGNATURE_HASH_ALGORITHMS), N(CHILDLESS_IKEV2_SUPPORTED), N(GSS_LATCH) */
	ike_put_vendor(b, mech_vendor_id);
	mech_auth_put_hashes(b);
	ike_put_notify(b, IKE_NOTIFY_CHILDLESS_IKEV2_SUPPORTED, BYTES_NONE);
	ike_put_latch_answer(b, answer);
}

static enum err acceptor_read_t1(
	struct mech_context *context, struct bytes input, struct ike_message *ret_message)
{
	struct mech_exchange *exchange = context->exchange;
	enum err err = ike_message_parse(input, IKE_KIND_T1, ret_message);

	if (err != ERR_OK)
		return err;
	if (ret_message->header.spi_i == 0)
		return ERR_IKE_HEADER;
	exchange->spi_i = ret_message->header.spi_i;
	err = mech_context_check_vendor(context, ret_message);
	if (err == ERR_OK)
		err = mech_message_keep(input, &exchange->t1);
	return err;
}

static enum err acceptor_answer(struct mech_context *context, const struct ike_message *message,
	const struct acceptor_choice *choice, size_t t1_bytes, struct writer *output)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_latch_answer answer;
	struct ike_builder b = { 0 };
	enum err err = acceptor_take_offer(context, message, choice);

	if (err == ERR_OK)
		err = acceptor_answer_latch(context, message, t1_bytes, &answer);
	if (err != ERR_OK)
		goto out;
	acceptor_put_t2(context, choice->suite, choice->proposal_number, &answer, &b);
	err = ike_builder_finish(&b, &exchange->t2.data, &exchange->t2.len);
	if (err != ERR_OK)
		goto out;
	writer_put_bytes(output, mech_message_view(&exchange->t2));
	err = writer_status(output);
	if (err == ERR_OK)
		context->state = MECH_STATE_SENT_T2;
out:
	ike_builder_free(&b);
	return err;
}

enum err mech_acceptor_take_t1(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	struct acceptor_choice choice = { .suite = NULL };
	struct ike_message message;
	enum err err;

	(void)bindings; /* compared at T3 */
	err = acceptor_read_t1(context, input, &message);
	if (err == ERR_OK)
		err = acceptor_choose(context, &message, &choice);
	if (err != ERR_OK)
		return err;
	*ret_result = MECH_CONTINUE;
	if (choice.ke.group != choice.suite->group)
		return acceptor_ask_group(context, choice.suite->group, output);
	return acceptor_answer(context, &message, &choice, input.len, output);
}

/* --- T3 --- */

/* The host that T3's IDr asks for; NULL when the initiator leaves it to us. */
static enum err acceptor_read_wanted(
	const struct ike_message *message, struct mech_name **ret_wanted)
{
	const struct ike_payload *payload = ike_message_find(message, IKE_PAYLOAD_IDR, 0);
	struct ike_id id;
	enum err err;

	*ret_wanted = NULL;
	if (payload == NULL)
		return ERR_OK;
	err = ike_id_parse(payload->body, &id);
	if (err != ERR_OK)
		return err;
	err = mech_name_of_id(id.type, id.data, ret_wanted);
	/* The peer's words, not this program's: whoever is asked for is none of ours. */
	return err == ERR_NAME_FORMAT || err == ERR_NAME_TYPE ? ERR_TARGET_HOST : err;
}

/* N(GSS_CONTEXT): flags, service, whether T5 follows. */
static enum err acceptor_take_context(struct mech_context *context,
	const struct ike_message *message, struct ike_context *ret_context)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_notify notify;
	enum err err;

	if (!ike_message_find_notify(message, IKE_NOTIFY_GSS_CONTEXT, &notify))
		return context->takes_plain_peer ? ERR_OK : ERR_IKE_PAYLOAD;
	err = ike_context_parse(notify.data, ret_context);
	if (err != ERR_OK)
		return err;
	/* No longer than fits and without NUL: ike_context_parse has seen to that. */
	if (ret_context->service.len > 0)
		memcpy(exchange->service, ret_context->service.data, ret_context->service.len);
	exchange->service[ret_context->service.len] = '\0';
	exchange->has_t5 = ret_context->has_t5;
	context->requested = ret_context->flags;
	return ERR_OK;
}

/* T1 said which hashes the initiator takes; only now is it known which key signs. */
static enum err acceptor_choose_signature(const struct mech_context *context)
{
	struct ike_message t1;
	enum err err =
		ike_message_parse(mech_message_view(&context->exchange->t1), IKE_KIND_T1, &t1);

	return err == ERR_OK ? mech_auth_choose_signature(context->exchange, &t1) : err;
}

/* svc/host for the service that was asked for; the identity's own name where it is no host. */
static enum err acceptor_name_self(struct mech_context *context)
{
	const struct mech_name *own = context->exchange->identity->name;
	struct mech_name *name = NULL;
	enum err err = ERR_OK;

	if (mech_name_kind(own) == MECH_NAME_HOSTBASED)
		err = mech_name_of_host(context->exchange->service, mech_name_host(own), &name);
	else
		name = mech_name_ref(context->exchange->identity->name);
	if (err != ERR_OK)
		return err;
	mech_name_release(&context->acceptor_name);
	context->acceptor_name = name;
	return ERR_OK;
}

/* Which of our identities answers: the host asked for, the service asked for (doc/protocol.md 4). */
static enum err acceptor_choose_identity(
	struct mech_context *context, const struct ike_message *message)
{
	struct mech_exchange *exchange = context->exchange;
	struct mech_name *wanted = NULL;
	enum err err;

	err = acceptor_read_wanted(message, &wanted);
	if (err == ERR_OK)
		err = mech_credential_acceptor(
			context->credential, wanted, exchange->service, &exchange->identity);
	mech_name_release(&wanted);
	if (err == ERR_OK)
		err = acceptor_name_self(context);
	return err == ERR_OK ? acceptor_choose_signature(context) : err;
}

static enum err acceptor_settle_latch(struct mech_context *context,
	const struct ike_message *message, const struct ike_context *asked, size_t t3_bytes)
{
	struct mech_exchange *exchange = context->exchange;
	bool has_child = false;
	enum err err;

	if (context->exchange->lease.is_held && mech_latching_policy(context) == CONFIG_LATCH_NO) {
		/* Only now is it known which service this is; T4 will say that it is not latched. */
		mech_latching_release(context);
		context->reason = IPSEC_LATCH_POLICY_NO;
		return ERR_OK;
	}
	err = mech_latching_take_child(context, message, &has_child);
	if (err != ERR_OK)
		return err;
	if (has_child)
		return mech_latching_close(context, t3_bytes);
	if (context->exchange->lease.is_held) {
		mech_latching_release(context);
		mech_latching_take_reason(context, asked->reason);
	}
	return mech_latching_judge_unlatched(context, exchange->t2.len, t3_bytes);
}

static enum err acceptor_read_t3(struct mech_context *context, const struct ike_message *message,
	const struct mech_bindings *bindings, size_t t3_bytes)
{
	struct ike_context asked = { 0 };
	bool is_proven = false, is_bound = false;
	enum err err;

	err = mech_context_check_header(context, &message->header, IKE_EXCHANGE_AUTH, 1, false);
	if (err == ERR_OK)
		err = acceptor_take_context(context, message, &asked);
	if (err == ERR_OK)
		err = acceptor_choose_identity(context, message);
	if (err == ERR_OK)
		err = mech_auth_verify(context, message, NULL, &is_proven);
	if (err == ERR_OK)
		err = mech_bindings_compare(bindings, &asked, &is_bound);
	if (err != ERR_OK)
		return err;
	/* The initiator judges whether we are proven to it; our flag follows what it asked for. */
	mech_context_grant(context,
		(context->requested & MECH_FLAG_MUTUAL) != 0 &&
			mech_exchange_key(context->exchange) != NULL,
		is_bound);
	return acceptor_settle_latch(context, message, &asked, t3_bytes);
}

static enum err acceptor_put_t4(
	struct mech_context *context, const struct mech_bindings *bindings, struct writer *output)
{
	struct ike_context granted = { .flags = context->granted,
		.reason = (uint8_t)context->reason };
	struct ike_builder b = { 0 };
	enum err err;

	err = mech_context_begin_sealed(context, &b, IKE_EXCHANGE_AUTH, 1, true);
	/* IDr, CERT, AUTH */
	if (err == ERR_OK)
		err = mech_auth_put(context, &b);
	if (err == ERR_OK)
		err = mech_bindings_put(bindings, &granted);
	if (err != ERR_OK)
		goto out;
	/* N(GSS_CONTEXT) [, N(USE_TRANSPORT_MODE), SAr2, TSi, TSr] */
	ike_put_context(&b, &granted);
	mech_latching_put_child(context, &b);
	mech_context_put_padding(context, &b);
	err = mech_context_seal_message(context, &b, output);
out:
	ike_builder_free(&b);
	return err;
}

/* Either T3 or, in its place, the initiator's failure. */
static enum err acceptor_open_request(struct mech_context *context, struct bytes input,
	enum ike_kind kind, uint32_t message_id, struct ike_message *ret_message,
	struct bytes *ret_plain)
{
	struct ike_header header;
	enum err err = ike_header_parse(input, &header);

	if (err != ERR_OK)
		return err;
	if (header.exchange != IKE_EXCHANGE_INFORMATIONAL)
		return mech_context_open_message(context, input, kind, ret_message, ret_plain);
	err = mech_context_open_message(
		context, input, IKE_KIND_INFORMATIONAL, ret_message, ret_plain);
	if (err != ERR_OK)
		return err;
	err = mech_context_check_header(
		context, &ret_message->header, IKE_EXCHANGE_INFORMATIONAL, message_id, false);
	if (err != ERR_OK)
		return err;
	err = mech_failure_take(ret_message, true);
	context->is_told = err != ERR_OK;
	/* Our own reason comes back from a peer that does not go on without a latch. */
	if (err == (enum err)((unsigned int)ERR_LATCH + (unsigned int)context->reason) &&
		!context->reason_is_peers)
		mech_set_detail(
			(unsigned int)err, "the peer was told, and does not go on without a latch");
	return err;
}

static enum err acceptor_finish_t3(struct mech_context *context,
	const struct mech_bindings *bindings, struct bytes t3, struct writer *output)
{
	struct mech_exchange *exchange = context->exchange;
	size_t start = writer_len(output);
	struct bytes sent;
	enum err err;

	err = mech_message_keep(t3, &exchange->t3);
	if (err == ERR_OK)
		err = acceptor_put_t4(context, bindings, output);
	if (err != ERR_OK)
		return err;
	sent = writer_view(output);
	return mech_context_complete(context, BYTES(sent.data + start, sent.len - start));
}

static void acceptor_open(struct mech_context *context)
{
	mech_name_release(&context->initiator_name);
	context->initiator_name = mech_name_ref(context->exchange->peer);
	mech_context_opened(context);
}

enum err mech_acceptor_take_t3(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	struct bytes plain = BYTES_NONE;
	struct ike_message message;
	enum err err;

	err = acceptor_open_request(context, input, IKE_KIND_T3, 1, &message, &plain);
	if (err == ERR_OK)
		err = acceptor_read_t3(context, &message, bindings, input.len);
	if (err == ERR_OK)
		err = acceptor_finish_t3(context, bindings, input, output);
	if (err == ERR_OK && context->exchange->has_t5) {
		context->state = MECH_STATE_SENT_T4;
		*ret_result = MECH_CONTINUE;
	} else if (err == ERR_OK) {
		acceptor_open(context);
		*ret_result = MECH_COMPLETE;
	}
	ike_plain_free(&plain);
	return err;
}

/* T5 repeats T4's flags, and both ends say that they latched, or neither does. */
static bool acceptor_agrees(const struct mech_context *context, const struct ike_context *confirmed)
{
	return confirmed->flags == context->granted &&
	       (confirmed->reason == IPSEC_LATCH_LATCHED) ==
		       (context->reason == IPSEC_LATCH_LATCHED);
}

enum err mech_acceptor_take_t5(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	struct bytes plain = BYTES_NONE;
	struct ike_context confirmed;
	struct ike_message message;
	struct ike_notify notify;
	enum err err;

	(void)bindings;
	(void)output;
	err = acceptor_open_request(context, input, IKE_KIND_T5, 2, &message, &plain);
	if (err == ERR_OK && message.header.exchange != IKE_EXCHANGE_INFORMATIONAL)
		err = ERR_IKE_HEADER;
	if (err == ERR_OK && !ike_message_find_notify(&message, IKE_NOTIFY_GSS_CONTEXT, &notify))
		err = ERR_IKE_PAYLOAD;
	if (err == ERR_OK)
		err = ike_context_parse(notify.data, &confirmed);
	if (err == ERR_OK && !acceptor_agrees(context, &confirmed))
		err = ERR_CONTEXT_MISMATCH;
	if (err == ERR_OK) {
		acceptor_open(context);
		*ret_result = MECH_COMPLETE;
	}
	ike_plain_free(&plain);
	return err;
}
