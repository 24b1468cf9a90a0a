/* SPDX-License-Identifier: BSD-2-Clause */
/* A context's life: made, stepped through its states, opened, freed; and what both roles share. */
#include <stdlib.h>
#include <string.h>

#include "mech/context.h"
#include "mech/generation.h"

#define LABEL_UNIQUE "\0gss-ipsec unique"
#define PREFIX_UNIQUE "gss-ipsec-unique:"
#define PREFIX_END_POINT "gss-ipsec-end-point:"

/* doc/protocol.md 1: first 16 octets of SHA-256("gss-ipsec protocol 1"), then the version. */
static const uint8_t context_vendor[] = { 0xc5, 0x38, 0x30, 0x56, 0x6e, 0x6c, 0x78, 0x30, 0xd1,
	0xec, 0x23, 0x75, 0x38, 0x99, 0x32, 0x23, 0x01 };
const struct bytes mech_vendor_id = { context_vendor, sizeof(context_vendor) };

/* The whole state machine: who takes a token in which state. */
static const mech_step_function initiator_steps[MECH_STATE_COUNT] = {
	[MECH_STATE_START] = mech_initiator_make_t1,
	[MECH_STATE_SENT_T1] = mech_initiator_take_t2,
	[MECH_STATE_SENT_T3] = mech_initiator_take_t4,
};
static const mech_step_function acceptor_steps[MECH_STATE_COUNT] = {
	[MECH_STATE_START] = mech_acceptor_take_t1,
	[MECH_STATE_SENT_T2] = mech_acceptor_take_t3,
	[MECH_STATE_SENT_T4] = mech_acceptor_take_t5,
};

/* --- life --- */

static void message_free(struct mech_message *message)
{
	secret_free(message->data, message->len);
	message->data = NULL;
	message->len = 0;
}

static void exchange_free(struct mech_exchange **exchange)
{
	struct mech_exchange *x = *exchange;

	if (x == NULL)
		return;
	crypto_exchange_free(&x->ephemeral);
	message_free(&x->refused);
	message_free(&x->t1);
	message_free(&x->t2);
	message_free(&x->t3);
	mech_name_release(&x->peer);
	free(x->candidates);
	secret_free(x, sizeof(*x));
	*exchange = NULL;
}

void mech_candidates_clear(struct kbind_candidates *candidates)
{
	candidates->count = candidates->unfit_count = 0;
	candidates->is_cut = false;
	candidates->found_ms = 0;
}

static struct mech_exchange *exchange_new(void)
{
	struct mech_exchange *made = calloc(1, sizeof(*made));

	if (made == NULL)
		return NULL;
	made->chosen.fd = -1;
	made->candidates = malloc(sizeof(*made->candidates));
	if (made->candidates == NULL) {
		free(made);
		return NULL;
	}
	mech_candidates_clear(made->candidates);
	return made;
}

void mech_context_free(struct mech_context **context)
{
	struct mech_context *c = *context;

	if (c == NULL)
		return;
	/* An open context's latch belongs to the socket's life, not to ours. */
	if (c->state != MECH_STATE_OPEN)
		mech_latching_release(c);
	mech_turn_is_over(c);
	exchange_free(&c->exchange);
	mech_protect_free(&c->protect);
	mech_name_release(&c->initiator_name);
	mech_name_release(&c->acceptor_name);
	mech_credential_release(&c->credential);
	config_release(&c->config);
	secret_free(c, sizeof(*c));
	*context = NULL;
}

static enum err context_take_credential(struct mech_context *context,
	const struct mech_credential *credential, enum mech_usage usage)
{
	enum err err = ERR_OK;

	if (credential == NULL)
		err = mech_credential_acquire(NULL, usage, NULL, 0, &context->credential);
	else if ((mech_credential_usage(credential) & usage) == 0)
		err = ERR_CRED_USAGE;
	else
		/* References are counted atomically; the credential itself stays as it is. */
		context->credential =
			mech_credential_ref((struct mech_credential *)(uintptr_t)credential);
	if (err != ERR_OK)
		return err;
	/* Whom a peer's key belongs to may have changed since a server made its credential. */
	err = mech_credential_config(context->credential, &context->config);
	if (err != ERR_OK)
		return err;
	context->descriptor = mech_credential_descriptor(context->credential);
	return ERR_OK;
}

static enum err context_new(const struct mech_credential *credential, enum mech_usage usage,
	const struct kbind_ops *ops, struct mech_context **ret_context)
{
	struct mech_context *context = calloc(1, sizeof(*context));
	enum err err = ERR_NO_MEMORY;

	if (context == NULL)
		goto out;
	context->is_initiator = usage == MECH_INITIATE;
	context->ops = ops;
	context->descriptor = -1;
	context->reason = IPSEC_LATCH_NONE;
	context->exchange = exchange_new();
	if (context->exchange == NULL)
		goto out;
	err = context_take_credential(context, credential, usage);
	if (err == ERR_OK)
		err = mech_name_anonymous(&context->initiator_name);
	if (err != ERR_OK)
		goto out;
	*ret_context = context;
	context = NULL;
out:
	mech_context_free(&context);
	return err;
}

enum err mech_initiator_new(const struct mech_credential *credential,
	const struct mech_name *target, uint32_t flags, const struct kbind_ops *ops,
	struct mech_context **ret_context)
{
	struct mech_context *context = NULL;
	enum err err;

	if (target == NULL)
		return ERR_NAME_FORMAT;
	err = context_new(credential, MECH_INITIATE, ops, &context);
	if (err != ERR_OK)
		return err;
	context->requested = flags;
	context->acceptor_name = mech_name_ref((struct mech_name *)(uintptr_t)target);
	if ((flags & MECH_FLAG_ANON) == 0) {
		mech_name_release(&context->initiator_name);
		context->initiator_name = mech_credential_name(context->credential);
	}
	if (mech_name_kind(target) == MECH_NAME_HOSTBASED) {
		/* An imported service name is at most this long (mech_name_import). */
		strncpy(context->exchange->service, mech_name_service(target),
			IKE_SERVICE_BYTES_MAX);
	}
	context->exchange->has_t5 =
		config_service_has_t5(context->config, context->exchange->service);
	*ret_context = context;
	return ERR_OK;
}

enum err mech_acceptor_new(const struct mech_credential *credential, const struct kbind_ops *ops,
	struct mech_context **ret_context)
{
	struct mech_context *context = NULL;
	enum err err = context_new(credential, MECH_ACCEPT, ops, &context);

	if (err != ERR_OK)
		return err;
	context->acceptor_name = mech_credential_name(context->credential);
	*ret_context = context;
	return ERR_OK;
}

/* --- steps --- */

static void context_die(struct mech_context *context)
{
	mech_latching_release(context);
	mech_turn_is_over(context);
	exchange_free(&context->exchange);
	mech_protect_free(&context->protect);
	context->granted = 0;
	context->state = MECH_STATE_DEAD;
}

enum err mech_step(struct mech_context *context, struct bytes input,
	const struct mech_bindings *bindings, struct writer *output,
	enum mech_step_result *ret_result)
{
	const mech_step_function *steps = context->is_initiator ? initiator_steps : acceptor_steps;
	struct writer made;
	enum err err;
	int guard;

	if (context->state == MECH_STATE_DEAD)
		return ERR_CONTEXT_DEAD;
	if (steps[context->state] == NULL)
		return ERR_ARGUMENT;
	writer_init(&made, IKE_MESSAGE_BYTES_MAX);
	guard = crypto_guard_begin();
	err = input.len > IKE_MESSAGE_BYTES_MAX
		      ? ERR_TOO_LARGE
		      : steps[context->state](context, input, bindings, &made, ret_result);
	err = crypto_guard_end(guard, err);
	if (err == ERR_OK) {
		writer_put_bytes(output, writer_view(&made));
		err = writer_status(output);
	} else {
		/* What the failed step had written must not leave: only the failure does. */
		mech_failure_tell(context, err, output);
	}
	if (err != ERR_OK)
		context_die(context);
	writer_free(&made);
	return err;
}

/* An initiator that names no service does not escape the policies of the acceptor's own. */
const char *mech_context_service(const struct mech_context *context)
{
	const char *named = context->exchange->service;

	if (context->is_initiator || named[0] != '\0')
		return named;
	return mech_credential_service(context->credential);
}

enum err mech_context_check_vendor(
	const struct mech_context *context, const struct ike_message *message)
{
	if (context->takes_plain_peer || ike_message_has_vendor(message, mech_vendor_id))
		return ERR_OK;
	return ERR_NOT_OUR_PEER;
}

enum err mech_context_check_header(const struct mech_context *context,
	const struct ike_header *header, uint8_t exchange, uint32_t message_id, bool is_response)
{
	/* RFC 7296 3.1: I is set by the original initiator, R in responses. */
	uint8_t flags = context->is_initiator ? 0 : IKE_FLAG_INITIATOR;

	if (is_response)
		flags |= IKE_FLAG_RESPONSE;
	if (header->spi_i != context->exchange->spi_i ||
		header->spi_r != context->exchange->spi_r || header->exchange != exchange ||
		header->message_id != message_id ||
		(header->flags & (IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE)) != flags)
		return ERR_IKE_HEADER;
	return ERR_OK;
}

enum err mech_context_derive_keys(struct mech_context *context, struct bytes peer_public)
{
	struct mech_exchange *x = context->exchange;
	struct secret_key shared = { .len = 0 };
	enum err err;

	err = crypto_exchange_derive(x->ephemeral, peer_public, &shared);
	if (err == ERR_OK)
		err = ike_keys_derive(&x->algorithms, &shared, mech_nonce_view(&x->ni),
			mech_nonce_view(&x->nr), x->spi_i, x->spi_r, &x->keys);
	if (err == ERR_OK)
		x->has_keys = true;
	secret_key_wipe(&shared);
	return err;
}

enum err mech_context_open_message(const struct mech_context *context, struct bytes input,
	enum ike_kind kind, struct ike_message *ret_message, struct bytes *ret_plain)
{
	const struct mech_exchange *x = context->exchange;
	const struct secret_key *peers = context->is_initiator ? &x->keys.sk_er : &x->keys.sk_ei;
	struct ike_message message;
	enum err err = ike_message_parse(input, kind, &message);

	if (err == ERR_OK && (message.header.spi_i != x->spi_i || message.header.spi_r != x->spi_r))
		err = ERR_IKE_HEADER;
	/* Without SK it can only be an error, and nobody has proven that it is the peer's. */
	if (err == ERR_OK && message.sealed.len == 0)
		err = mech_failure_take(&message, false);
	if (err == ERR_OK)
		err = ike_message_open(&message, kind, x->algorithms.aead, peers, ret_plain);
	if (err == ERR_OK)
		*ret_message = message;
	return err;
}

enum err mech_context_begin_sealed(const struct mech_context *context, struct ike_builder *b,
	uint8_t exchange, uint32_t message_id, bool is_response)
{
	struct ike_header header = { .spi_i = context->exchange->spi_i,
		.spi_r = context->exchange->spi_r,
		.exchange = exchange,
		.message_id = message_id };
	uint8_t iv[IKE_IV_BYTES] = { 0 };
	uint64_t generation = 0;
	enum err err = mech_generation_get(&generation);

	if (err != ERR_OK)
		return err;
	if (context->is_initiator)
		header.flags |= IKE_FLAG_INITIATOR;
	if (is_response)
		header.flags |= IKE_FLAG_RESPONSE;
	/* One process seals under a message ID once at most; a forked one has another generation. */
	for (size_t i = 0; i < 4; i++) {
		iv[i] = (uint8_t)(generation >> (8 * i));
		iv[IKE_IV_BYTES - 1 - i] = (uint8_t)(message_id >> (8 * i));
	}
	ike_builder_begin(b, &header);
	ike_builder_open_sk(b, iv);
	return writer_status(&b->w);
}

enum err mech_context_seal_message(
	const struct mech_context *context, struct ike_builder *b, struct writer *output)
{
	const struct mech_exchange *x = context->exchange;
	const struct secret_key *ours = context->is_initiator ? &x->keys.sk_ei : &x->keys.sk_er;
	uint8_t *data = NULL;
	size_t len = 0;
	enum err err = ike_builder_seal(b, x->algorithms.aead, ours, &data, &len);

	if (err != ERR_OK)
		return err;
	writer_put_bytes(output, BYTES(data, len));
	free(data);
	return writer_status(output);
}

void mech_context_grant(struct mech_context *context, bool is_mutual, bool is_bound)
{
	const struct mech_exchange *exchange = context->exchange;

	context->granted = MECH_FLAG_CONF | MECH_FLAG_INTEG | MECH_FLAG_REPLAY |
			   (context->requested & MECH_FLAG_SEQUENCE);
	if (is_mutual)
		context->granted |= MECH_FLAG_MUTUAL;
	if (is_bound)
		context->granted |= MECH_FLAG_CHANNEL_BOUND;
	if (context->is_initiator ? mech_exchange_key(exchange) == NULL
				  : mech_name_kind(exchange->peer) == MECH_NAME_ANONYMOUS)
		context->granted |= MECH_FLAG_ANON;
}

void mech_context_put_padding(const struct mech_context *context, struct ike_builder *b)
{
	size_t len = config_token_padding_bytes(context->config);
	struct writer zeros;

	if (len == 0)
		return;
	writer_init(&zeros, len);
	writer_put_zeros(&zeros, len);
	if (writer_status(&zeros) == ERR_OK)
		ike_put_notify(b, IKE_NOTIFY_GSS_PADDING, writer_view(&zeros));
	else
		writer_fail(&b->w, ERR_NO_MEMORY);
	writer_free(&zeros);
}

/* prf(SK_d, label | SHA-256([refused T1 | T2 |] T1 | T2 | T3 | T4)): doc/protocol.md 5. */
static enum err context_make_unique(struct mech_context *context, struct bytes t4)
{
	const struct mech_exchange *x = context->exchange;
	struct bytes transcript[] = { mech_message_view(&x->refused), mech_message_view(&x->t1),
		mech_message_view(&x->t2), mech_message_view(&x->t3), t4 };
	uint8_t digest[CRYPTO_SHA256_BYTES], output[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[] = { BYTES((const uint8_t *)LABEL_UNIQUE, sizeof(LABEL_UNIQUE) - 1),
		BYTES_OF(digest) };
	enum err err;

	err = crypto_sha256(transcript, 5, digest);
	if (err == ERR_OK)
		err = crypto_prf_compute(
			x->algorithms.prf, secret_key_view(&x->keys.sk_d), parts, 2, output);
	if (err == ERR_OK)
		memcpy(context->unique, output, sizeof(context->unique));
	secret_wipe(output, sizeof(output));
	return err;
}

/* What is known of the peer is complete but for the latch, which has been decided by now. */
static enum err context_note_latch(struct mech_context *context)
{
	struct mech_exchange *x = context->exchange;
	/* RFC 7619: a peer that proves nothing has no more to it. */
	struct mech_facts facts = { .method = "NULL", .entry = "" };
	struct mech_name *name = NULL;
	enum err err;

	if (mech_name_facts(x->peer) != NULL)
		facts = *mech_name_facts(x->peer);
	facts.reason = context->reason;
	err = mech_name_with_facts(x->peer, &facts, &name);
	if (err != ERR_OK)
		return err;
	mech_name_release(&x->peer);
	x->peer = name;
	return ERR_OK;
}

enum err mech_context_complete(struct mech_context *context, struct bytes t4)
{
	const struct mech_exchange *x = context->exchange;
	enum err err = context_make_unique(context, t4);

	if (err == ERR_OK)
		err = context_note_latch(context);
	if (err != ERR_OK)
		return err;
	return mech_protect_new(x->algorithms.prf, x->algorithms.aead, &x->keys.sk_d,
		mech_nonce_view(&x->ni), mech_nonce_view(&x->nr), context->is_initiator,
		(context->granted & MECH_FLAG_REPLAY) != 0,
		(context->granted & MECH_FLAG_SEQUENCE) != 0, &context->protect);
}

void mech_context_opened(struct mech_context *context)
{
	context->granted |= MECH_FLAG_PROT_READY | MECH_FLAG_TRANS;
	context->state = MECH_STATE_OPEN;
	kbind_forget(&context->exchange->lease);
	exchange_free(&context->exchange);
	/* Nothing asks them any more; an idle context is kept small. */
	mech_credential_release(&context->credential);
	config_release(&context->config);
}

/* --- small things --- */

enum err mech_nonce_make(struct mech_nonce *ret_nonce)
{
	enum err err;

	do
		err = crypto_random_public(ret_nonce->data, IKE_NONCE_BYTES);
	while (err == ERR_OK && ret_nonce->data[0] == 0);
	ret_nonce->len = IKE_NONCE_BYTES;
	return err;
}

enum err mech_nonce_take(
	const struct ike_message *message, bool is_ours, struct mech_nonce *ret_nonce)
{
	struct bytes body = ike_message_find(message, IKE_PAYLOAD_NONCE, 0)->body;

	if (body.len < IKE_NONCE_BYTES_MIN || body.len > IKE_NONCE_BYTES_MAX)
		return ERR_NONCE;
	/* Labels begin with a zero octet, so no nonce of ours does (doc/protocol.md 2). */
	if (is_ours && body.data[0] == 0)
		return ERR_NONCE;
	memcpy(ret_nonce->data, body.data, body.len);
	ret_nonce->len = body.len;
	return ERR_OK;
}

enum err mech_message_keep(struct bytes octets, struct mech_message *ret_message)
{
	uint8_t *copy = malloc(octets.len == 0 ? 1 : octets.len);

	if (copy == NULL)
		return ERR_NO_MEMORY;
	memcpy(copy, octets.data, octets.len);
	ret_message->data = copy;
	ret_message->len = octets.len;
	return ERR_OK;
}

enum err mech_exchange_refuse(struct mech_exchange *exchange, struct bytes t2)
{
	enum err err;
	struct writer w;

	writer_init(&w, 4 * IKE_MESSAGE_BYTES_MAX);
	writer_put_bytes(&w, mech_message_view(&exchange->refused));
	writer_put_bytes(&w, mech_message_view(&exchange->t1));
	writer_put_bytes(&w, t2);
	message_free(&exchange->refused);
	message_free(&exchange->t1);
	err = writer_take(&w, &exchange->refused.data, &exchange->refused.len);
	writer_free(&w);
	return err;
}

struct bytes mech_message_view(const struct mech_message *message)
{
	return BYTES(message->data, message->len);
}

struct bytes mech_nonce_view(const struct mech_nonce *nonce)
{
	return BYTES(nonce->data, nonce->len);
}

/* --- inquiry --- */

bool mech_context_is_initiator(const struct mech_context *context)
{
	return context->is_initiator;
}

bool mech_context_is_open(const struct mech_context *context)
{
	return context->state == MECH_STATE_OPEN;
}

struct mech_name *mech_context_initiator_name(const struct mech_context *context)
{
	return context->initiator_name;
}

struct mech_name *mech_context_acceptor_name(const struct mech_context *context)
{
	return context->acceptor_name;
}

uint32_t mech_context_flags(const struct mech_context *context)
{
	return context->granted;
}

enum ipsec_latch_reason mech_context_latch_reason(const struct mech_context *context)
{
	/* Reserved is not latched: only an open context's word counts. */
	if (context->reason == IPSEC_LATCH_LATCHED && context->state != MECH_STATE_OPEN)
		return IPSEC_LATCH_NONE;
	return context->reason;
}

bool mech_context_reason_is_peers(const struct mech_context *context)
{
	return context->reason_is_peers;
}

bool mech_context_latch_tuple(const struct mech_context *context, struct kbind_tuple *ret_tuple)
{
	if (mech_context_latch_reason(context) != IPSEC_LATCH_LATCHED)
		return false;
	*ret_tuple = context->latched.tuple;
	return true;
}

struct mech_protect *mech_context_protect(struct mech_context *context)
{
	return context->state == MECH_STATE_OPEN ? context->protect : NULL;
}

enum err mech_context_set_descriptor(struct mech_context *context, int fd)
{
	const struct mech_exchange *x = context->exchange;

	if (!context->is_initiator || context->state != MECH_STATE_SENT_T1)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < x->candidates->count; i++)
		if (x->candidates->items[i].fd == fd) {
			context->descriptor = fd;
			return ERR_OK;
		}
	return ERR_ARGUMENT;
}

static enum err context_put_binding(const struct mech_context *context, const char *prefix,
	struct bytes value, struct writer *w)
{
	if (context->state != MECH_STATE_OPEN)
		return ERR_NO_CONTEXT;
	writer_put_bytes(w, BYTES((const uint8_t *)prefix, strlen(prefix)));
	writer_put_bytes(w, value);
	return writer_status(w);
}

enum err mech_context_unique_binding(const struct mech_context *context, struct writer *w)
{
	return context_put_binding(context, PREFIX_UNIQUE, BYTES_OF(context->unique), w);
}

enum err mech_context_end_point_binding(const struct mech_context *context, struct writer *w)
{
	if (context->state == MECH_STATE_OPEN && !context->has_end_point)
		return ERR_NO_END_POINT;
	return context_put_binding(context, PREFIX_END_POINT, BYTES_OF(context->end_point), w);
}
