/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latching from a context's point of view (doc/protocol.md 6): which connection carries the tokens,
 * told apart by traffic and never by the peer's word; when to reserve it and when to close the latch.
 */
#include <string.h>
#include <sys/socket.h>

#include "mech/context.h"

static enum err latching_failure(enum ipsec_latch_reason reason)
{
	return (enum err)((unsigned int)ERR_LATCH + (unsigned int)reason);
}

enum config_latch mech_latching_policy(const struct mech_context *context)
{
	enum config_latch policy;

	if (mech_credential_latch_policy(context->credential, &policy))
		return policy;
	return config_latch_policy(context->config, mech_context_service(context));
}

/* The candidate's addresses in the order both ends share: initiator first. */
static struct ike_tuple latching_tuple(bool is_initiator, const struct kbind_tuple *tuple)
{
	struct ike_tuple t = { .protocol = tuple->protocol };
	const uint8_t *initiator = is_initiator ? tuple->local : tuple->remote;
	const uint8_t *acceptor = is_initiator ? tuple->remote : tuple->local;

	t.address_bytes = tuple->family == AF_INET ? 4 : 16;
	memcpy(t.initiator, initiator, sizeof(t.initiator));
	memcpy(t.acceptor, acceptor, sizeof(t.acceptor));
	t.initiator_port = is_initiator ? tuple->local_port : tuple->remote_port;
	t.acceptor_port = is_initiator ? tuple->remote_port : tuple->local_port;
	return t;
}

static enum err latching_hash(const struct mech_context *context,
	const struct kbind_candidate *candidate, uint16_t *ret_hash, uint32_t *ret_veil)
{
	struct ike_tuple tuple = latching_tuple(context->is_initiator, &candidate->tuple);

	return ike_tuple_hash(context->exchange->spi_i, &tuple, ret_hash, ret_veil);
}

static enum err latching_tag(const struct mech_context *context,
	const struct kbind_candidate *candidate, uint8_t ret_tag[IKE_LATCH_TAG_BYTES])
{
	const struct mech_exchange *exchange = context->exchange;
	struct ike_tuple tuple = latching_tuple(context->is_initiator, &candidate->tuple);

	return ike_tuple_tag(&exchange->algorithms, &exchange->keys.sk_d, &tuple, ret_tag);
}

/* --- initiator, T1 --- */

static enum err latching_list(struct mech_context *context, struct ike_latch_offer *offer)
{
	const struct kbind_candidates *candidates = context->exchange->candidates;
	enum err err;

	for (size_t i = 0; i < candidates->count && i < IKE_LATCH_CANDIDATES_MAX; i++) {
		uint32_t veil;

		err = latching_hash(context, &candidates->items[i], &offer->candidates[i], &veil);
		if (err != ERR_OK)
			return err;
		offer->positions[i] = candidates->items[i].written_bytes + veil;
		offer->candidate_count = i + 1;
	}
	offer->has_positions = true;
	for (size_t i = 0; i < esp_suite_count() && i < IKE_LATCH_SUITES_MAX; i++)
		if (mech_policy_allows_esp(context->config, esp_suite_at(i)))
			offer->suites[offer->suite_count++] = esp_suite_at(i)->number;
	return ERR_OK;
}

enum err mech_latching_offer(struct mech_context *context, struct ike_latch_offer *ret_offer)
{
	struct mech_exchange *exchange = context->exchange;
	enum config_latch policy = mech_latching_policy(context);
	struct ike_latch_offer offer = { 0 };
	enum err err;

	exchange->chosen.fd = -1;
	mech_candidates_clear(exchange->candidates); /* of a refused T1 */
	context->reason = IPSEC_LATCH_POLICY_NO;
	if (policy != CONFIG_LATCH_NO)
		context->reason =
			context->ops->find_candidates(context->descriptor, exchange->candidates);
	offer.reason = (uint8_t)context->reason;
	if (context->reason != IPSEC_LATCH_LATCHED) {
		exchange->candidates->count = 0;
		if (policy == CONFIG_LATCH_REQUIRE)
			return latching_failure(context->reason);
	}
	err = latching_list(context, &offer);
	if (err == ERR_OK)
		*ret_offer = offer;
	return err;
}

/* --- acceptor, T1 --- */

enum err mech_latching_compare(const struct mech_context *context,
	const struct ike_latch_offer *offer, const struct kbind_candidate *candidate,
	bool *ret_is_named, uint64_t *ret_since)
{
	uint64_t since = offer->has_positions ? 0 : candidate->received_bytes;
	bool is_named = false;
	uint16_t hash;
	uint32_t veil;
	enum err err = latching_hash(context, candidate, &hash, &veil);

	if (err != ERR_OK)
		return err;
	for (size_t i = 0; i < offer->candidate_count; i++) {
		uint32_t come = (uint32_t)candidate->received_bytes - (offer->positions[i] - veil);

		if (offer->candidates[i] != hash)
			continue;
		is_named = true;
		/* Of two that share a hash the other one's position is out of all bounds. */
		if (offer->has_positions && come <= candidate->received_bytes && come > since)
			since = come;
	}
	*ret_is_named = is_named;
	*ret_since = since;
	return ERR_OK;
}

struct latching_wanted {
	const struct mech_context *context;
	const struct ike_latch_offer *offer;
	size_t t1_bytes;
	enum err *err; /* the first one */
};

/* T1 lists a hash like this tuple's: another one it cannot mean. */
static bool latching_takes(const struct kbind_tuple *tuple, const void *argument)
{
	const struct latching_wanted *wanted = argument;
	const struct kbind_candidate candidate = { .tuple = *tuple };
	bool is_named = false;
	uint64_t since;
	enum err err;

	err = mech_latching_compare(wanted->context, wanted->offer, &candidate, &is_named, &since);
	if (err != ERR_OK)
		*wanted->err = err;
	return err == ERR_OK && is_named;
}

/* T1 can have come on it. */
static bool latching_may_carry(const struct kbind_candidate *candidate, const void *argument)
{
	const struct latching_wanted *wanted = argument;

	return candidate->is_uncounted || candidate->received_bytes >= wanted->t1_bytes;
}

/* Named by T1 as well. */
static bool latching_wants(const struct kbind_candidate *candidate, const void *argument)
{
	const struct latching_wanted *wanted = argument;
	bool is_named = false;
	uint64_t since;
	enum err err;

	if (!latching_may_carry(candidate, argument))
		return false;
	err = mech_latching_compare(wanted->context, wanted->offer, candidate, &is_named, &since);
	if (err != ERR_OK)
		*wanted->err = err;
	return err == ERR_OK && is_named;
}

static const struct esp_suite *latching_choose_suite(
	const struct mech_context *context, const struct ike_latch_offer *offer)
{
	for (size_t i = 0; i < esp_suite_count(); i++)
		for (size_t j = 0; j < offer->suite_count; j++)
			if (offer->suites[j] == esp_suite_at(i)->number &&
				mech_policy_allows_esp(context->config, esp_suite_at(i)))
				return esp_suite_at(i);
	return NULL;
}

/* Why nothing that T1 names can be latched; 0: something can. */
static enum ipsec_latch_reason latching_find_listed(const struct latching_wanted *wanted)
{
	const struct mech_context *context = wanted->context;
	struct kbind_candidates *found = context->exchange->candidates;
	const struct kbind_pick pick = { .takes_tuple = latching_takes, .argument = wanted };
	enum ipsec_latch_reason reason = context->ops->find_wanted(
		context->descriptor, &pick, latching_wants, wanted, found);

	if (reason == IPSEC_LATCH_LATCHED)
		return reason;
	found->count = 0;
	if (reason == IPSEC_LATCH_NO_PROC || reason == IPSEC_LATCH_TOO_MANY ||
		(reason == IPSEC_LATCH_SOCKET_GONE && found->unfit_count == 0))
		return reason;
	return found->unfit_count > 0 ? found->unfit[0].fitness : IPSEC_LATCH_NONE;
}

/* Each direction's key, named from our side. */
static enum err latching_derive(struct mech_context *context)
{
	struct mech_exchange *exchange = context->exchange;
	struct secret_key *i_to_r = context->is_initiator ? &exchange->key_out : &exchange->key_in;
	struct secret_key *r_to_i = context->is_initiator ? &exchange->key_in : &exchange->key_out;

	return ike_child_keys_derive(&exchange->algorithms, &exchange->keys.sk_d,
		mech_nonce_view(&exchange->ni), mech_nonce_view(&exchange->nr), exchange->suite,
		i_to_r, r_to_i);
}

enum err mech_latching_reserve(
	struct mech_context *context, size_t token_bytes, enum ipsec_latch_reason *ret_reason)
{
	struct mech_exchange *exchange = context->exchange;
	struct kbind_reserve reserve = { .is_initiator = context->is_initiator,
		.suite = exchange->suite->number,
		.key_in = &exchange->key_in,
		.token_bytes = token_bytes };
	enum err err = latching_derive(context);

	if (err != ERR_OK)
		return err;
	if (context->is_initiator) {
		reserve.key_out = &exchange->key_out;
		reserve.spi_out = exchange->spi_out;
	}
	*ret_reason = context->ops->reserve(
		config_broker_path(context->config), &exchange->chosen, &reserve, &exchange->lease);
	if (*ret_reason == IPSEC_LATCH_LATCHED) {
		exchange->spi_in = exchange->lease.spi_in;
		context->latched = exchange->chosen;
	}
	return ERR_OK;
}

/* Finds and reserves one that T1 names. */
static enum err latching_match(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, enum ipsec_latch_reason *ret_reason)
{
	enum err err = ERR_OK;
	struct latching_wanted wanted = { context, offer, t1_bytes, &err };

	*ret_reason = latching_find_listed(&wanted);
	if (err == ERR_OK)
		err = mech_choosing_run(context, offer, t1_bytes, ret_reason);
	return err;
}

/* T1 does not say which service it is for: that comes in T3, and the policy is judged then. */
static bool latching_is_off(const struct mech_context *context)
{
	enum config_latch policy;

	if (mech_credential_latch_policy(context->credential, &policy))
		return policy == CONFIG_LATCH_NO;
	return config_latch_is_off(context->config);
}

/* Without a latch: what this process holds, for the policy's sake, the freshest first; and the most
 * telling reason. */
static void latching_explain(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, enum ipsec_latch_reason *reason)
{
	const struct latching_wanted wanted = { .context = context, .t1_bytes = t1_bytes };
	enum ipsec_latch_reason found = context->ops->find_wanted(context->descriptor, NULL,
		latching_may_carry, &wanted, context->exchange->candidates);

	if (found == IPSEC_LATCH_LATCHED && offer->candidate_count == 0) {
		mech_latching_take_reason(context, offer->reason);
		*reason = context->reason;
	} else if (found != IPSEC_LATCH_LATCHED &&
		   (found != IPSEC_LATCH_NONE || *reason != IPSEC_LATCH_SOCKET_GONE) &&
		   (found != IPSEC_LATCH_ALREADY_LATCHED || offer->candidate_count == 0)) {
		*reason = found;
	}
}

static enum err latching_find(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, enum ipsec_latch_reason *ret_reason)
{
	struct mech_exchange *exchange = context->exchange;
	enum err err = ERR_OK;

	exchange->chosen.fd = -1;
	*ret_reason = IPSEC_LATCH_POLICY_NO;
	if (latching_is_off(context))
		return ERR_OK;
	*ret_reason = IPSEC_LATCH_NO_SUITE;
	if (offer->candidate_count > 0)
		exchange->suite = latching_choose_suite(context, offer);
	if (exchange->suite != NULL)
		err = latching_match(context, offer, t1_bytes, ret_reason);
	if (err == ERR_OK && *ret_reason != IPSEC_LATCH_LATCHED)
		latching_explain(context, offer, t1_bytes, ret_reason);
	return err;
}

enum err mech_latching_answer(struct mech_context *context, const struct ike_latch_offer *offer,
	size_t t1_bytes, struct ike_latch_answer *ret_answer)
{
	struct mech_exchange *exchange = context->exchange;
	struct ike_latch_answer answer = { 0 };
	enum ipsec_latch_reason reason;
	enum err err;

	err = latching_find(context, offer, t1_bytes, &reason);
	if (err != ERR_OK)
		return err;
	context->reason = reason;
	answer.reason = (uint8_t)reason;
	if (reason == IPSEC_LATCH_LATCHED) {
		answer.suite = exchange->suite->number;
		answer.spi = exchange->spi_in;
		err = latching_tag(context, &exchange->chosen, answer.tag);
	}
	if (err == ERR_OK)
		*ret_answer = answer;
	return err;
}

/* --- initiator, T2 --- */

static enum err latching_find_named(struct mech_context *context,
	const struct ike_latch_answer *answer, enum ipsec_latch_reason *ret_reason)
{
	struct mech_exchange *exchange = context->exchange;
	uint8_t tag[IKE_LATCH_TAG_BYTES];
	enum err err;

	*ret_reason = IPSEC_LATCH_NONE;
	exchange->suite = esp_suite_find(answer->suite);
	/* One that we did not offer is none that we install. */
	if (exchange->suite == NULL || !mech_policy_allows_esp(context->config, exchange->suite))
		return ERR_CONTEXT_MISMATCH;
	for (size_t i = 0; i < exchange->candidates->count; i++) {
		const struct kbind_candidate *candidate = &exchange->candidates->items[i];

		if (context->descriptor >= 0 && candidate->fd != context->descriptor)
			continue;
		err = latching_tag(context, candidate, tag);
		if (err != ERR_OK)
			return err;
		if (secret_equal(BYTES_OF(tag), BYTES_OF(answer->tag))) {
			exchange->chosen = *candidate;
			*ret_reason = IPSEC_LATCH_LATCHED;
			return ERR_OK;
		}
	}
	return ERR_OK;
}

static enum err latching_take_named(struct mech_context *context,
	const struct ike_latch_answer *answer, size_t t1_bytes, size_t t2_bytes,
	enum ipsec_latch_reason *ret_reason)
{
	enum err err = latching_find_named(context, answer, ret_reason);

	if (err != ERR_OK || *ret_reason != IPSEC_LATCH_LATCHED)
		return err;
	*ret_reason = mech_carriers_test_named(context, t1_bytes, t2_bytes);
	if (*ret_reason != IPSEC_LATCH_LATCHED)
		return ERR_OK;
	context->exchange->spi_out = answer->spi;
	return mech_latching_reserve(context, 0, ret_reason);
}

void mech_latching_take_reason(struct mech_context *context, uint8_t reason)
{
	/* "The peer will not" is what we say of it where it says nothing. */
	bool is_known = reason != IPSEC_LATCH_LATCHED && reason != IPSEC_LATCH_PEER_WONT &&
			error_is_known(ERR_LATCH + reason);

	context->reason = is_known ? (enum ipsec_latch_reason)reason : IPSEC_LATCH_PEER_WONT;
	context->reason_is_peers = is_known;
}

enum err mech_latching_take_answer(struct mech_context *context,
	const struct ike_latch_answer *answer, size_t t1_bytes, size_t t2_bytes)
{
	enum ipsec_latch_reason reason = context->reason;
	enum err err = ERR_OK;

	if (reason == IPSEC_LATCH_LATCHED && answer->reason != IPSEC_LATCH_LATCHED) {
		mech_latching_take_reason(context, answer->reason);
	} else if (reason == IPSEC_LATCH_LATCHED) {
		err = latching_take_named(context, answer, t1_bytes, t2_bytes, &reason);
		if (err != ERR_OK)
			return err;
		context->reason = reason;
		if (reason == IPSEC_LATCH_LATCHED)
			return ERR_OK;
	}
	return mech_latching_judge_unlatched(context, t1_bytes, t2_bytes);
}

/* --- SAi2, SAr2, TSi, TSr --- */

static struct ike_selector latching_selector(const struct ike_tuple *tuple, bool of_initiator)
{
	struct ike_selector s = { .protocol = tuple->protocol,
		.address_bytes = tuple->address_bytes };
	const uint8_t *address = of_initiator ? tuple->initiator : tuple->acceptor;

	memcpy(s.first, address, tuple->address_bytes);
	memcpy(s.last, address, tuple->address_bytes);
	s.first_port = of_initiator ? tuple->initiator_port : tuple->acceptor_port;
	/* No TCP connection has port 0: there it means any, for a plain IKE peer. */
	s.last_port = s.first_port == 0 ? UINT16_MAX : s.first_port;
	return s;
}

void mech_latching_put_child(const struct mech_context *context, struct ike_builder *b)
{
	const struct mech_exchange *exchange = context->exchange;
	struct ike_tuple tuple;
	struct ike_selector selector;

	if (!context->exchange->lease.is_held)
		return;
	tuple = latching_tuple(context->is_initiator, &exchange->chosen.tuple);
	ike_put_notify(b, IKE_NOTIFY_USE_TRANSPORT_MODE, BYTES_NONE);
	ike_put_sa_esp(b, exchange->suite, exchange->spi_in);
	selector = latching_selector(&tuple, true);
	ike_put_ts(b, IKE_PAYLOAD_TSI, &selector);
	selector = latching_selector(&tuple, false);
	ike_put_ts(b, IKE_PAYLOAD_TSR, &selector);
}

static enum err latching_check_ts(
	const struct ike_message *message, uint8_t type, const struct ike_selector *expected)
{
	const struct ike_payload *payload = ike_message_find(message, type, 0);
	struct ike_selector selector;
	size_t count = 0;
	enum err err;

	if (payload == NULL)
		return ERR_CONTEXT_MISMATCH;
	err = ike_ts_parse(payload->body, &selector, &count);
	if (err != ERR_OK)
		return err;
	return count == 1 && ike_selector_equal(&selector, expected) ? ERR_OK
								     : ERR_CONTEXT_MISMATCH;
}

/* Exactly our five-tuple in transport mode; a peer never widens or narrows (RFC 7296 2.9 does not apply). */
static enum err latching_check_child(
	const struct mech_context *context, const struct ike_message *message)
{
	struct ike_tuple tuple =
		latching_tuple(context->is_initiator, &context->exchange->chosen.tuple);
	struct ike_selector initiator = latching_selector(&tuple, true);
	struct ike_selector acceptor = latching_selector(&tuple, false);
	struct ike_notify notify;
	enum err err;

	if (!ike_message_find_notify(message, IKE_NOTIFY_USE_TRANSPORT_MODE, &notify))
		return ERR_CONTEXT_MISMATCH;
	err = latching_check_ts(message, IKE_PAYLOAD_TSI, &initiator);
	if (err != ERR_OK)
		return err;
	return latching_check_ts(message, IKE_PAYLOAD_TSR, &acceptor);
}

enum err mech_latching_take_child(
	struct mech_context *context, const struct ike_message *message, bool *ret_has_child)
{
	struct mech_exchange *exchange = context->exchange;
	const struct ike_payload *sa = ike_message_find(message, IKE_PAYLOAD_SA, 0);
	uint32_t spi = 0;
	enum err err;

	if (sa == NULL) {
		*ret_has_child = false;
		return ERR_OK;
	}
	if (!context->exchange->lease.is_held)
		return ERR_CONTEXT_MISMATCH;
	err = ike_sa_esp_parse(sa->body, exchange->suite, context->is_initiator, &spi);
	if (err != ERR_OK)
		return err;
	/* What T2 announced in the clear must be what T4 says under AUTH. */
	if (spi == 0 ||
		(context->is_initiator && !context->takes_plain_peer && spi != exchange->spi_out))
		return ERR_CONTEXT_MISMATCH;
	err = latching_check_child(context, message);
	if (err != ERR_OK)
		return err;
	exchange->spi_out = spi;
	*ret_has_child = true;
	return ERR_OK;
}

/* --- acceptor at T3, initiator at T4 --- */

/* Whether the reserved connection has moved that much since T1; also that it is still the same one. */
static enum ipsec_latch_reason latching_test_traffic(
	const struct mech_context *context, uint64_t sent_since, uint64_t received_since)
{
	const struct kbind_candidate *before = &context->exchange->chosen;
	struct kbind_candidate now;
	enum ipsec_latch_reason reason = context->ops->refresh(before, &now);

	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	if (now.is_closing)
		return IPSEC_LATCH_SOCKET_GONE;
	return now.sent_bytes - before->sent_bytes >= sent_since &&
			       now.received_bytes - before->received_bytes >= received_since
		       ? IPSEC_LATCH_LATCHED
		       : IPSEC_LATCH_TRAFFIC;
}

enum err mech_latching_close(struct mech_context *context, size_t token_bytes)
{
	struct mech_exchange *exchange = context->exchange;
	const struct mech_facts *facts = mech_name_facts(exchange->peer);
	struct mech_name *key = NULL;
	struct kbind_latch latch = { .token_bytes = token_bytes,
		.local_name = mech_name_display(
			context->is_initiator ? context->initiator_name : context->acceptor_name),
		.peer_name = mech_name_display(exchange->peer),
		.method = facts != NULL ? facts->method : NULL,
		.service = exchange->service };
	enum ipsec_latch_reason reason = IPSEC_LATCH_LATCHED;

	/* For a status that nobody decides by: without memory it has none. */
	if (facts != NULL && facts->has_digest && mech_name_of_key(facts->digest, &key) == ERR_OK)
		latch.peer_key = mech_name_display(key);
	if (!context->is_initiator) {
		latch.key_out = &exchange->key_out;
		latch.spi_out = exchange->spi_out;
		reason = latching_test_traffic(context, exchange->t2.len, token_bytes);
		if (reason == IPSEC_LATCH_LATCHED)
			reason = mech_carriers_test_rivals(
				context, exchange->t2.len, token_bytes, false);
	}
	if (reason == IPSEC_LATCH_LATCHED)
		reason = context->ops->latch(config_broker_path(context->config), &context->latched,
			&context->exchange->lease, &latch);
	if (reason == IPSEC_LATCH_LATCHED && !context->is_initiator)
		reason = mech_carriers_test_rivals(context, exchange->t2.len, token_bytes, true);
	mech_name_release(&key);
	context->reason = reason;
	return reason == IPSEC_LATCH_LATCHED ? ERR_OK : latching_failure(reason);
}

/* --- without a latch --- */

/* The error of a context that does not complete for want of a latch: whose side it is, and why it is one. */
static enum err latching_refuse(const struct mech_context *context, const char *why)
{
	enum err err = latching_failure(context->reason);

	mech_set_detail((unsigned int)err, "%s%s",
		context->reason_is_peers ? "said by the peer, of its own side; " : "", why);
	return err;
}

enum err mech_latching_judge_unlatched(
	struct mech_context *context, uint64_t sent_since, uint64_t received_since)
{
	switch (mech_latching_policy(context)) {
	case CONFIG_LATCH_REQUIRE:
		return latching_refuse(context, "latch = require is configured");
	case CONFIG_LATCH_YES:
		/* An attacker can rewrite a port on the path but cannot take our own candidates away. */
		if (mech_carriers_exist(context, sent_since, received_since))
			return latching_refuse(context,
				"this process holds a connection that carried the tokens, or may "
				"hold one, and latch = auto is not configured");
		break;
	case CONFIG_LATCH_AUTO:
	case CONFIG_LATCH_NO:
		break;
	}
	return ERR_OK;
}

void mech_latching_release(struct mech_context *context)
{
	if (context->exchange != NULL && context->exchange->lease.is_held)
		context->ops->release(config_broker_path(context->config), &context->latched,
			&context->exchange->lease);
}
