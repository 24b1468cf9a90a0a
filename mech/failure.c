/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors that travel between the two ends: IKEv2 error notifies (doc/protocol.md 9, RFC 7296 2.21). */
#include "mech/context.h"

/* What a plain IKE peer understands of our errors (RFC 7296 3.10.1). */
static const struct {
	enum err code;
	uint16_t notify;
} failure_notifies[] = {
	{ ERR_NO_PROPOSAL, IKE_NOTIFY_NO_PROPOSAL_CHOSEN },
	{ ERR_IKE_CRITICAL, IKE_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD },
	{ ERR_IKE_HEADER, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_IKE_PAYLOAD, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_IKE_INTEGRITY, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_NOTIFY_FORMAT, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_KEY_EXCHANGE, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_NONCE, IKE_NOTIFY_INVALID_SYNTAX },
	{ ERR_CONTEXT_MISMATCH, IKE_NOTIFY_TS_UNACCEPTABLE },
};

static uint16_t failure_notify_of(enum err code)
{
	for (size_t i = 0; i < sizeof(failure_notifies) / sizeof(failure_notifies[0]); i++)
		if (failure_notifies[i].code == code)
			return failure_notifies[i].notify;
	return IKE_NOTIFY_AUTHENTICATION_FAILED;
}

static void failure_put(struct ike_builder *b, enum err code)
{
	ike_put_notify(b, failure_notify_of(code), BYTES_NONE);
	/* What only concerns this side is told as "failed", without saying how. */
	ike_put_failure(
		b, error_tells_peer(code) ? (unsigned int)code : (unsigned int)ERR_PEER_FAILED);
}

/* T2's place, before there are keys. */
static enum err failure_tell_clear(
	const struct mech_context *context, enum err code, struct writer *output)
{
	struct ike_header header = { .spi_i = context->exchange->spi_i,
		.exchange = IKE_EXCHANGE_SA_INIT,
		.flags = IKE_FLAG_RESPONSE };
	struct ike_builder b = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	enum err err;

	ike_builder_begin(&b, &header);
	failure_put(&b, code);
	err = ike_builder_finish(&b, &data, &len);
	if (err == ERR_OK)
		writer_put_bytes(output, BYTES(data, len));
	secret_free(data, len);
	ike_builder_free(&b);
	return err;
}

static enum err failure_tell_sealed(
	const struct mech_context *context, enum err code, struct writer *output)
{
	/* The acceptor's error takes T4's place; the initiator's is a request of its own. */
	bool is_response = !context->is_initiator;
	uint8_t exchange = is_response ? IKE_EXCHANGE_AUTH : IKE_EXCHANGE_INFORMATIONAL;
	uint32_t message_id = is_response || context->state == MECH_STATE_SENT_T1 ? 1 : 2;
	struct ike_builder b = { 0 };
	enum err err;

	err = mech_context_begin_sealed(context, &b, exchange, message_id, is_response);
	if (err == ERR_OK) {
		failure_put(&b, code);
		err = mech_context_seal_message(context, &b, output);
	}
	ike_builder_free(&b);
	return err;
}

void mech_failure_tell(const struct mech_context *context, enum err code, struct writer *output)
{
	const struct mech_exchange *exchange = context->exchange;
	enum err ignored = ERR_OK;
	int guard;

	/* T4's message ID was used for T4 itself once that has been sent. */
	if (exchange == NULL || (!context->is_initiator && context->state == MECH_STATE_SENT_T4))
		return;
	/* A told failure is not answered: the peer knows. */
	if (context->is_told || code == ERR_PEER_FAILED || code == ERR_PEER_UNPROTECTED ||
		code == ERR_PEER_AUTH_FAILED || code == ERR_PEER_NO_PROPOSAL)
		return;
	guard = crypto_guard_begin();
	/* The initiator has keys from T2 on, which a failing acceptor does not send. */
	if (context->state == MECH_STATE_START) {
		if (!context->is_initiator && exchange->spi_i != 0)
			ignored = failure_tell_clear(context, code, output);
	} else if (exchange->has_keys) {
		ignored = failure_tell_sealed(context, code, output);
	}
	ignored = crypto_guard_end(guard, ignored);
	(void)ignored; /* the failure itself is what the caller hears of */
}

static enum err failure_of_code(unsigned int code)
{
	/* Its own sentence would speak of the peer's peer, which is this side. */
	mech_set_detail(ERR_PEER_FAILED, "the peer says: %s",
		code == ERR_PEER_FAILED ? "it failed, not how" : error_text(code));
	switch (code) {
	case ERR_AUTH_FAILED:
	case ERR_PEER_UNKNOWN:
	case ERR_PEER_KEY_CHANGED:
		mech_set_detail(ERR_PEER_AUTH_FAILED, "the peer says: %s", error_text(code));
		return ERR_PEER_AUTH_FAILED;
	case ERR_BINDINGS:
		return ERR_BINDINGS;
	default:
		break;
	}
	if (code > ERR_LATCH && error_is_known(code)) {
		mech_set_detail(code, "said by the peer, of its own side");
		return (enum err)code;
	}
	return ERR_PEER_FAILED;
}

enum err mech_failure_take(const struct ike_message *message, bool is_protected)
{
	struct ike_notify notify;
	unsigned int code = 0;

	if (!ike_message_find_error(message, &notify))
		return ERR_OK;
	if (notify.type == IKE_NOTIFY_GSS_FAILURE) {
		if (ike_failure_parse(notify.data, &code) != ERR_OK)
			code = ERR_PEER_FAILED;
		if (is_protected)
			return failure_of_code(code);
		mech_set_detail(ERR_PEER_UNPROTECTED, "it claims: %s",
			code == ERR_PEER_FAILED ? "it failed, not how" : error_text(code));
		return ERR_PEER_UNPROTECTED;
	}
	if (notify.type == IKE_NOTIFY_AUTHENTICATION_FAILED && is_protected)
		return ERR_PEER_AUTH_FAILED;
	if (notify.type == IKE_NOTIFY_NO_PROPOSAL_CHOSEN && !is_protected)
		return ERR_PEER_NO_PROPOSAL;
	mech_set_detail(is_protected ? ERR_PEER_FAILED : ERR_PEER_UNPROTECTED,
		"IKEv2 notify %s (%u)", ike_notify_name(notify.type), notify.type);
	return is_protected ? ERR_PEER_FAILED : ERR_PEER_UNPROTECTED;
}
