/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The initiator's side of the exchange (RFC 7296 1.2, doc/protocol.md 2):
 *
 *   initiator                                              acceptor
 *   T1  HDR, SAi1, KEi, Ni, V, N(hashes), N(GSS_LATCH)  -->
 *     [                <--  T2  HDR, N(INVALID_KE_PAYLOAD): T1 again with the group that it wants]
 *                      <--  T2  HDR, SAr1, KEr, Nr, V, N(hashes), N(GSS_LATCH)
 *       [ESP from here on, both ways as each end is ready]
 *   T3  HDR, SK{IDi, CERT, [IDr,] AUTH, N(GSS_CONTEXT) [, SAi2, TSi, TSr]}  -->
 *                      <--  T4  HDR, SK{IDr, CERT, AUTH, N(GSS_CONTEXT) [, SAr2, TSi, TSr]}
 *   T5  HDR, SK{N(GSS_CONTEXT)}  -->                    (services that need it)
 *
 * Each step works on the exchange and commits at its end; after a failure the context is dead.
 */
#include <string.h>

#include "mech/context.h"

static void initiator_put_t1(
	struct mech_context *context, const struct ike_latch_offer *offer, struct ike_builder *b)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_header header = { .spi_i = exchange->spi_i,
		.exchange = IKE_EXCHANGE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR };

	ike_builder_begin(b, &header);
	/* SAi1, KEi, Ni */
	ike_put_sa_offer(b, mech_policy_ike_suites(context->config));
	ike_put_ke(b, exchange->algorithms.group->id, crypto_exchange_public(exchange->ephemeral));
	ike_put_nonce(b, mech_nonce_view(&exchange->ni));
	/* V, N(SIGNATURE_HASH_ALGORITHMS), N(GSS_LATCH) */
	ike_put_vendor(b, mech_vendor_id);
	mech_auth_put_hashes(b);
	ike_put_latch_offer(b, offer);
}

/* The group of the next T1: wanted by the peer, or (0) our best one. Each is tried once. */
static enum err initiator_choose_group(struct mech_context *context, uint16_t wanted)
{
	struct mech_exchange *exchange = context->exchange;
	uint32_t suites = mech_policy_ike_suites(context->config) & ~exchange->groups_tried;
	const struct crypto_group *group = NULL;

	for (size_t i = 0; i < ike_suite_count(); i++) {
		uint16_t id = ike_suite_at(i)->group;

		if ((suites >> i & 1) == 0 || (wanted != 0 && wanted != id))
			continue;
		if (group == NULL)
			group = crypto_group_find(id);
		if (group != NULL && group->id == id)
			exchange->groups_tried |= 1u << i;
	}
	if (group == NULL) {
		mech_set_detail(ERR_PEER_NO_PROPOSAL,
			"it wants key exchange group %u, which this side does not offer or has "
			"tried",
			wanted);
		return ERR_PEER_NO_PROPOSAL;
	}
	exchange->algorithms.group = group;
	return ERR_OK;
}

static enum err initiator_choose_secrets(struct mech_context *context, uint16_t group)
{
	struct mech_exchange *exchange = context->exchange;
	enum err err = initiator_choose_group(context, group);

	/* RFC 7296 2.7: the same exchange goes on, with the same SPI. */
	if (err == ERR_OK && exchange->spi_i == 0)
		err = crypto_random_public((uint8_t *)&exchange->spi_i, sizeof(exchange->spi_i));
	exchange->spi_i |= 1; /* RFC 7296 3.1: the initiator's SPI is never zero */
	if (err == ERR_OK)
		err = mech_nonce_make(&exchange->ni);
	crypto_exchange_free(&exchange->ephemeral);
	if (err == ERR_OK)
		err = crypto_exchange_new(exchange->algorithms.group, &exchange->ephemeral);
	return err;
}

/* T1 with that group (0: our best). What it says of connections is as they are now. */
static enum err initiator_put_first(
	struct mech_context *context, uint16_t group, struct writer *output)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_latch_offer offer;
	struct ike_builder b = { 0 };
	bool is_our_turn = false;
	enum err err = initiator_choose_secrets(context, group);

	if (err == ERR_OK) {
		is_our_turn = mech_turn_begin(context);
		err = mech_latching_offer(context, &offer);
	}
	if (err != ERR_OK)
		goto out;
	initiator_put_t1(context, &offer, &b);
	err = ike_builder_finish(&b, &exchange->t1.data, &exchange->t1.len);
	if (err != ERR_OK)
		goto out;
	writer_put_bytes(output, mech_message_view(&exchange->t1));
	err = writer_status(output);
out:
	if (is_our_turn)
		mech_turn_end(context, err == ERR_OK ? exchange->t1.len : 0);
	ike_builder_free(&b);
	return err;
}

enum err mech_initiator_make_t1(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	enum err err;

	(void)bindings; /* they travel in T3 */
	if (input.len != 0)
		return ERR_IKE_HEADER;
	/* RFC 2743 2.2.1: asked for anonymity, no credential is shown. */
	if ((context->requested & MECH_FLAG_ANON) == 0)
		context->exchange->identity = mech_credential_initiator(context->credential);
	err = initiator_put_first(context, 0, output);
	if (err != ERR_OK)
		return err;
	context->state = MECH_STATE_SENT_T1;
	*ret_result = MECH_CONTINUE;
	return ERR_OK;
}

/* SAr1, KEr, Nr: the peer's choices, and with them all keys. */
static enum err initiator_take_choices(
	struct mech_context *context, const struct ike_message *message)
{
	struct mech_exchange *exchange = context->exchange;
	const struct ike_suite *suite;
	struct ike_ke ke;
	enum err err;

	err = ike_sa_accept(ike_message_find(message, IKE_PAYLOAD_SA, 0)->body,
		mech_policy_ike_suites(context->config), &suite);
	if (err == ERR_OK)
		err = ike_ke_parse(ike_message_find(message, IKE_PAYLOAD_KE, 0)->body, &ke);
	/* RFC 7296 3.4: the chosen group, which is the one of T1's KEi. */
	if (err == ERR_OK &&
		(ke.group != suite->group || ke.group != exchange->algorithms.group->id))
		err = ERR_KEY_EXCHANGE;
	if (err == ERR_OK)
		err = ike_algorithms_of(suite, &exchange->algorithms);
	if (err == ERR_OK)
		err = mech_nonce_take(message, !context->takes_plain_peer, &exchange->nr);
	if (err == ERR_OK)
		err = mech_context_derive_keys(context, ke.public_value);
	return err;
}

/* N(GSS_LATCH); a plain IKE peer sends none and latches nothing. */
static enum err initiator_take_latch(
	struct mech_context *context, const struct ike_message *message, size_t t2_bytes)
{
	struct ike_latch_answer answer = { .reason = IPSEC_LATCH_PEER_WONT };
	struct ike_notify notify;
	enum err err;

	if (ike_message_find_notify(message, IKE_NOTIFY_GSS_LATCH, &notify)) {
		err = ike_latch_answer_parse(notify.data, &answer);
		if (err != ERR_OK)
			return err;
	}
	return mech_latching_take_answer(context, &answer, context->exchange->t1.len, t2_bytes);
}

static enum err initiator_parse_t2(
	const struct mech_context *context, struct bytes input, struct ike_message *ret_message)
{
	enum err err = ike_message_parse(input, IKE_KIND_T2, ret_message);

	if (err == ERR_OK && ret_message->header.spi_i != context->exchange->spi_i)
		err = ERR_IKE_HEADER;
	return err;
}

static enum err initiator_read_t2(
	struct mech_context *context, struct bytes input, const struct ike_message *message)
{
	struct mech_exchange *exchange = context->exchange;
	enum err err = mech_failure_take(message, false);

	if (err == ERR_OK && message->header.spi_r == 0)
		err = ERR_IKE_HEADER;
	if (err == ERR_OK)
		err = mech_context_check_vendor(context, message);
	if (err == ERR_OK)
		err = mech_auth_choose_signature(exchange, message);
	if (err != ERR_OK)
		return err;
	exchange->spi_r = message->header.spi_r;
	err = initiator_take_choices(context, message);
	if (err == ERR_OK)
		err = mech_message_keep(input, &exchange->t2);
	if (err == ERR_OK)
		err = initiator_take_latch(context, message, input.len);
	return err;
}

/* RFC 7296 1.3, 2.7: T1 once more.  Nobody has proven that the acceptor said so: that a stranger cannot
 * choose the group, the acceptor's own strictness and the unique binding see to. */
static enum err initiator_retry(struct mech_context *context, struct bytes input,
	const struct ike_notify *notify, struct writer *output)
{
	uint16_t group = 0;
	enum err err = ike_group_wanted_parse(notify->data, &group);

	if (err == ERR_OK && group == 0)
		err = ERR_IKE_PAYLOAD;
	if (err == ERR_OK)
		err = mech_exchange_refuse(context->exchange, input);
	return err == ERR_OK ? initiator_put_first(context, group, output) : err;
}

static enum err initiator_put_context(
	struct mech_context *context, const struct mech_bindings *bindings, struct ike_builder *b)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_context notify = { .flags = context->requested,
		.has_t5 = exchange->has_t5,
		.reason = (uint8_t)context->reason,
		.service = BYTES((const uint8_t *)exchange->service, strlen(exchange->service)) };
	enum err err = mech_bindings_put(bindings, &notify);

	if (err == ERR_OK)
		ike_put_context(b, &notify);
	return err;
}

static enum err initiator_put_t3(
	struct mech_context *context, const struct mech_bindings *bindings, struct writer *output)
{
	struct mech_exchange *exchange = context->exchange;
	size_t start = writer_len(output);
	struct ike_builder b = { 0 };
	struct bytes sent;
	enum err err;

	err = mech_context_begin_sealed(context, &b, IKE_EXCHANGE_AUTH, 1, false);
	/* IDi, CERT, [IDr,] AUTH */
	if (err == ERR_OK)
		err = mech_auth_put(context, &b);
	/* N(GSS_CONTEXT) */
	if (err == ERR_OK)
		err = initiator_put_context(context, bindings, &b);
	if (err != ERR_OK)
		goto out;
	/* N(USE_TRANSPORT_MODE), SAi2, TSi, TSr */
	mech_latching_put_child(context, &b);
	mech_context_put_padding(context, &b);
	err = mech_context_seal_message(context, &b, output);
	if (err != ERR_OK)
		goto out;
	sent = writer_view(output);
	err = mech_message_keep(BYTES(sent.data + start, sent.len - start), &exchange->t3);
out:
	ike_builder_free(&b);
	return err;
}

enum err mech_initiator_take_t2(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	struct ike_message message;
	struct ike_notify notify;
	enum err err;

	if (bytes_equal(input, mech_message_view(&context->exchange->t1)))
		return ERR_REFLECTED;
	err = initiator_parse_t2(context, input, &message);
	if (err != ERR_OK)
		return err;
	mech_turn_is_over(context);
	*ret_result = MECH_CONTINUE;
	if (message.is_error_only &&
		ike_message_find_notify(&message, IKE_NOTIFY_INVALID_KE_PAYLOAD, &notify))
		return initiator_retry(context, input, &notify, output);
	err = initiator_read_t2(context, input, &message);
	if (err == ERR_OK)
		err = initiator_put_t3(context, bindings, output);
	if (err == ERR_OK)
		context->state = MECH_STATE_SENT_T3;
	return err;
}

/* What the acceptor grants; mutual authentication only when its name is proven. */
static enum err initiator_take_context(struct mech_context *context,
	const struct ike_message *message, const struct mech_bindings *bindings, bool is_proven,
	uint8_t *ret_peer_reason)
{
	struct ike_context granted = { 0 };
	struct ike_notify notify;
	bool is_bound = false;
	enum err err;

	if (ike_message_find_notify(message, IKE_NOTIFY_GSS_CONTEXT, &notify)) {
		err = ike_context_parse(notify.data, &granted);
		if (err != ERR_OK)
			return err;
	} else if (!context->takes_plain_peer) {
		return ERR_IKE_PAYLOAD;
	}
	err = mech_bindings_compare(bindings, &granted, &is_bound);
	if (err != ERR_OK)
		return err;
	/* An acceptor that is nobody has been judged: where it may be, the flag says that it is. */
	if ((context->requested & MECH_FLAG_MUTUAL) != 0 && !is_proven &&
		mech_name_kind(context->exchange->peer) != MECH_NAME_ANONYMOUS)
		return ERR_NO_MUTUAL;
	mech_context_grant(context, is_proven, is_bound);
	context->exchange->t4_flags = granted.flags;
	*ret_peer_reason = granted.reason;
	return ERR_OK;
}

/* SAr2, TSi, TSr present: close the latch.  Absent: the acceptor does not latch, and says why. */
static enum err initiator_settle_latch(struct mech_context *context,
	const struct ike_message *message, uint8_t peer_reason, size_t t4_bytes)
{
	struct mech_exchange *exchange = context->exchange;
	bool has_child = false;
	enum err err;

	err = mech_latching_take_child(context, message, &has_child);
	if (err != ERR_OK || !context->exchange->lease.is_held)
		return err;
	if (has_child)
		return mech_latching_close(context, t4_bytes);
	mech_latching_take_reason(context, peer_reason);
	err = mech_latching_judge_unlatched(context, exchange->t1.len, exchange->t2.len);
	if (err == ERR_OK)
		mech_latching_release(context);
	return err;
}

static enum err initiator_read_t4(struct mech_context *context, const struct ike_message *message,
	const struct mech_bindings *bindings, size_t t4_bytes)
{
	uint8_t peer_reason = 0;
	bool is_proven = false;
	enum err err;

	err = mech_context_check_header(context, &message->header, IKE_EXCHANGE_AUTH, 1, true);
	/* Where AUTH came, an error beside it concerns the child SA only (RFC 7296 1.3). */
	if (err == ERR_OK && ike_message_find(message, IKE_PAYLOAD_AUTH, 0) == NULL) {
		err = mech_failure_take(message, true);
		context->is_told = err != ERR_OK;
		if (err == ERR_OK)
			err = ERR_IKE_PAYLOAD;
	}
	if (err == ERR_OK)
		err = mech_auth_verify(context, message, context->acceptor_name, &is_proven);
	if (err == ERR_OK)
		err = initiator_take_context(context, message, bindings, is_proven, &peer_reason);
	if (err == ERR_OK)
		err = initiator_settle_latch(context, message, peer_reason, t4_bytes);
	return err;
}

static enum err initiator_put_t5(struct mech_context *context, struct writer *output)
{
	struct ike_context notify = { .flags = context->exchange->t4_flags,
		.reason = (uint8_t)context->reason };
	struct ike_builder b = { 0 };
	enum err err;

	if (!context->exchange->has_t5)
		return ERR_OK;
	err = mech_context_begin_sealed(context, &b, IKE_EXCHANGE_INFORMATIONAL, 2, false);
	if (err == ERR_OK) {
		ike_put_context(&b, &notify);
		err = mech_context_seal_message(context, &b, output);
	}
	ike_builder_free(&b);
	return err;
}

enum err mech_initiator_take_t4(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	struct ike_message message;
	struct bytes plain = BYTES_NONE;
	enum err err;

	err = mech_context_open_message(context, input, IKE_KIND_T4, &message, &plain);
	if (err == ERR_OK)
		err = initiator_read_t4(context, &message, bindings, input.len);
	if (err == ERR_OK)
		err = initiator_put_t5(context, output);
	if (err == ERR_OK)
		err = mech_context_complete(context, input);
	if (err == ERR_OK) {
		mech_name_release(&context->acceptor_name);
		context->acceptor_name = mech_name_ref(context->exchange->peer);
		mech_context_opened(context);
		*ret_result = MECH_COMPLETE;
	}
	ike_plain_free(&plain);
	return err;
}
