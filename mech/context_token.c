/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Handing an open context to another process (RFC 2743 2.2.8, 2.2.9; doc/protocol.md section 7.1).
 * The token holds keys; it is for a process of this host that has the same plugin.  The sender's
 * instance and number are not in it: whoever imports it draws an instance of its own at its first
 * message, so that no two copies ever seal under one nonce.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/context.h"
#include "mech/protect_state.h"

#define TOKEN_VERSION 1
#define TOKEN_BIT_INITIATOR 0x01
#define TOKEN_BIT_REASON_IS_PEERS 0x02
#define TOKEN_BITS_KNOWN 0x03
#define TOKEN_LABEL "\0gss-ipsec context"
#define TOKEN_CHECK_BYTES 32

#define TOKEN_FLAGS_NEEDED                                                            \
	(MECH_FLAG_CONF | MECH_FLAG_INTEG | MECH_FLAG_REPLAY | MECH_FLAG_PROT_READY | \
		MECH_FLAG_TRANS)
#define TOKEN_FLAGS_KNOWN                                                              \
	(TOKEN_FLAGS_NEEDED | MECH_FLAG_MUTUAL | MECH_FLAG_SEQUENCE | MECH_FLAG_ANON | \
		MECH_FLAG_CHANNEL_BOUND)

/* --- writing --- */

static void token_put_name(struct writer *w, const struct mech_name *name)
{
	struct writer exported;
	enum err err;

	writer_init(&exported, MECH_CONTEXT_TOKEN_BYTES_MAX);
	err = mech_name_export_composite(name, &exported);
	if (err == ERR_OK)
		writer_put_counted16(w, writer_view(&exported));
	else
		writer_fail(w, err);
	writer_free(&exported);
}

static void token_put_latched(struct writer *w, const struct kbind_candidate *latched)
{
	const struct kbind_tuple *tuple = &latched->tuple;

	writer_put_u8(w, tuple->family);
	writer_put_u8(w, tuple->protocol);
	writer_put_bytes(w, BYTES_OF(tuple->local));
	writer_put_bytes(w, BYTES_OF(tuple->remote));
	writer_put_u16(w, tuple->local_port);
	writer_put_u16(w, tuple->remote_port);
	writer_put_u32(w, tuple->zone);
	writer_put_u64(w, latched->cookie);
}

static void token_put_protect(struct writer *w, const struct mech_protect *protect)
{
	writer_put_u16(w, protect->prf->id);
	writer_put_u16(w, protect->aead->id);
	writer_put_u16(w, protect->aead->key_bits);
	writer_put_counted8(w, secret_key_view(&protect->sk_d));
	writer_put_counted16(w, BYTES(protect->nonces, protect->nonces_len));
	writer_put_u8(w, (uint8_t)protect->receiver_count);
	for (const struct protect_receiver *r = protect->receivers; r != NULL; r = r->other) {
		writer_put_u64(w, r->instance);
		writer_put_u64(w, r->next);
		writer_put_u64(w, r->seen);
	}
}

/* prf(SK_d, label | the token so far): accidents, and who changes it without knowing what it is. */
static enum err token_check(const struct crypto_prf *prf, struct bytes sk_d, struct bytes body,
	uint8_t ret_check[TOKEN_CHECK_BYTES])
{
	struct bytes parts[] = { BYTES((const uint8_t *)TOKEN_LABEL, sizeof(TOKEN_LABEL) - 1),
		body };
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];
	enum err err = crypto_prf_compute(prf, sk_d, parts, 2, output);

	if (err == ERR_OK)
		memcpy(ret_check, output, TOKEN_CHECK_BYTES);
	secret_wipe(output, sizeof(output));
	return err;
}

enum err mech_context_export(const struct mech_context *context, struct writer *w)
{
	uint8_t check[TOKEN_CHECK_BYTES], bits = 0;
	enum err err;

	if (context->state != MECH_STATE_OPEN)
		return ERR_NO_CONTEXT;
	if (context->is_initiator)
		bits |= TOKEN_BIT_INITIATOR;
	if (context->reason_is_peers)
		bits |= TOKEN_BIT_REASON_IS_PEERS;
	writer_put_u8(w, TOKEN_VERSION);
	writer_put_u8(w, bits);
	writer_put_u32(w, context->granted);
	writer_put_u8(w, (uint8_t)context->reason);
	if (context->reason == IPSEC_LATCH_LATCHED)
		token_put_latched(w, &context->latched);
	token_put_name(w, context->initiator_name);
	token_put_name(w, context->acceptor_name);
	writer_put_bytes(w, BYTES_OF(context->unique));
	writer_put_counted8(w, context->has_end_point ? BYTES_OF(context->end_point) : BYTES_NONE);
	token_put_protect(w, context->protect);
	err = writer_status(w);
	if (err == ERR_OK)
		err = token_check(context->protect->prf, secret_key_view(&context->protect->sk_d),
			writer_view(w), check);
	if (err != ERR_OK)
		return err;
	writer_put_bytes(w, BYTES_OF(check));
	return writer_status(w);
}

/* --- reading --- */

static struct mech_name *token_get_name(struct reader *r)
{
	struct bytes exported = reader_get_counted16(r);
	struct mech_name *name = NULL;
	enum err err;

	if (reader_status(r) != ERR_OK)
		return NULL;
	err = mech_name_import_composite(exported, &name);
	if (err != ERR_OK)
		reader_fail(r, err == ERR_NO_MEMORY ? err : ERR_CONTEXT_TOKEN);
	return name;
}

static void token_get_latched(struct reader *r, struct kbind_candidate *latched)
{
	struct kbind_tuple *tuple = &latched->tuple;

	latched->fd = -1;
	tuple->family = reader_get_u8(r);
	tuple->protocol = reader_get_u8(r);
	reader_copy(r, tuple->local, sizeof(tuple->local));
	reader_copy(r, tuple->remote, sizeof(tuple->remote));
	tuple->local_port = reader_get_u16(r);
	tuple->remote_port = reader_get_u16(r);
	tuple->zone = reader_get_u32(r);
	latched->cookie = reader_get_u64(r);
}

/* The newest number was received, and none before the first. */
static bool window_is_possible(uint64_t next, uint64_t seen)
{
	if (next == 0 || (seen & 1) == 0)
		return false;
	return next >= PROTECT_WINDOW_NUMBERS || seen >> next == 0;
}

/* Appends to the list's end, so that it keeps its order. */
static void token_get_receivers(struct reader *r, struct mech_protect *protect)
{
	struct protect_receiver **end = &protect->receivers;
	uint8_t count = reader_get_u8(r);

	if (count > PROTECT_INSTANCES_MAX)
		reader_fail(r, ERR_CONTEXT_TOKEN);
	for (uint8_t i = 0; i < count && reader_status(r) == ERR_OK; i++) {
		struct protect_receiver *made = calloc(1, sizeof(*made));

		if (made == NULL) {
			reader_fail(r, ERR_NO_MEMORY);
			return;
		}
		*end = made;
		end = &made->other;
		protect->receiver_count++;
		made->instance = reader_get_u64(r);
		made->next = reader_get_u64(r);
		made->seen = reader_get_u64(r);
		if (!window_is_possible(made->next, made->seen))
			reader_fail(r, ERR_CONTEXT_TOKEN);
		for (const struct protect_receiver *o = protect->receivers; o != made; o = o->other)
			if (o->instance == made->instance)
				reader_fail(r, ERR_CONTEXT_TOKEN);
	}
}

/* Message state with its windows; the keys of instances are made when they are needed. */
static void token_get_protect(struct reader *r, struct mech_context *context)
{
	const struct crypto_prf *prf = crypto_prf_find(reader_get_u16(r));
	uint16_t aead_id = reader_get_u16(r), aead_bits = reader_get_u16(r);
	const struct crypto_aead *aead = crypto_aead_find(aead_id, aead_bits);
	struct bytes key = reader_get_counted8(r), nonces = reader_get_counted16(r);
	struct secret_key sk_d = { .len = key.len };
	enum err err;

	if (prf == NULL || aead == NULL || aead->salt_bytes != PROTECT_SALT_BYTES ||
		key.len != prf->key_bytes || nonces.len < 2 * IKE_NONCE_BYTES_MIN ||
		nonces.len > 2 * IKE_NONCE_BYTES_MAX)
		reader_fail(r, ERR_CONTEXT_TOKEN);
	if (reader_status(r) != ERR_OK)
		return;
	memcpy(sk_d.data, key.data, key.len);
	err = mech_protect_new(prf, aead, &sk_d, nonces, BYTES_NONE, context->is_initiator,
		(context->granted & MECH_FLAG_REPLAY) != 0,
		(context->granted & MECH_FLAG_SEQUENCE) != 0, &context->protect);
	secret_key_wipe(&sk_d);
	if (err != ERR_OK)
		reader_fail(r, err);
	else
		token_get_receivers(r, context->protect);
}

static void token_get_end_point(struct reader *r, struct mech_context *context)
{
	struct bytes end_point = reader_get_counted8(r);

	context->has_end_point = end_point.len > 0; /* an acceptor without a key has none */
	if (!context->has_end_point)
		return;
	if (end_point.len == sizeof(context->end_point))
		memcpy(context->end_point, end_point.data, end_point.len);
	else
		reader_fail(r, ERR_CONTEXT_TOKEN);
}

static void token_get_context(struct reader *r, struct mech_context *context)
{
	uint8_t version = reader_get_u8(r), bits = reader_get_u8(r);

	context->granted = reader_get_u32(r);
	context->reason = reader_get_u8(r);
	if (version != TOKEN_VERSION || (bits & ~TOKEN_BITS_KNOWN) != 0 ||
		(context->granted & ~TOKEN_FLAGS_KNOWN) != 0 ||
		(~context->granted & TOKEN_FLAGS_NEEDED) != 0 ||
		!error_is_known(ERR_LATCH + context->reason))
		reader_fail(r, ERR_CONTEXT_TOKEN);
	context->is_initiator = (bits & TOKEN_BIT_INITIATOR) != 0;
	context->reason_is_peers = (bits & TOKEN_BIT_REASON_IS_PEERS) != 0;
	if (context->reason == IPSEC_LATCH_LATCHED)
		token_get_latched(r, &context->latched);
	context->initiator_name = token_get_name(r);
	context->acceptor_name = token_get_name(r);
	reader_copy(r, context->unique, sizeof(context->unique));
	token_get_end_point(r, context);
	token_get_protect(r, context);
}

static enum err token_read(struct bytes token, struct mech_context *context)
{
	struct bytes body = BYTES(token.data, token.len - TOKEN_CHECK_BYTES);
	uint8_t check[TOKEN_CHECK_BYTES];
	struct reader r;
	enum err err;

	reader_init(&r, body);
	token_get_context(&r, context);
	err = reader_finish(&r);
	if (err == ERR_OK)
		err = token_check(context->protect->prf, secret_key_view(&context->protect->sk_d),
			body, check);
	if (err == ERR_OK &&
		!secret_equal(BYTES_OF(check), BYTES(token.data + body.len, TOKEN_CHECK_BYTES)))
		err = ERR_CONTEXT_TOKEN;
	if (err == ERR_TRUNCATED_INPUT || err == ERR_TRAILING_INPUT)
		err = ERR_CONTEXT_TOKEN;
	return err;
}

enum err mech_context_import(
	struct bytes token, const struct kbind_ops *ops, struct mech_context **ret_context)
{
	struct mech_context *context;
	enum err err;

	if (token.len < TOKEN_CHECK_BYTES || token.len > MECH_CONTEXT_TOKEN_BYTES_MAX)
		return ERR_CONTEXT_TOKEN;
	context = calloc(1, sizeof(*context));
	if (context == NULL)
		return ERR_NO_MEMORY;
	context->ops = ops;
	context->descriptor = -1;
	/* Open from the start: whatever fails below, the connection's latch is not ours to end. */
	context->state = MECH_STATE_OPEN;
	err = token_read(token, context);
	if (err == ERR_OK) {
		*ret_context = context;
		return ERR_OK;
	}
	mech_context_free(&context);
	return err;
}
