/* SPDX-License-Identifier: BSD-2-Clause */
/* ID, CERT and AUTH of both directions: who each end is, and the proof (RFC 7296 2.15, RFC 7427, RFC 7670). */
#include "mech/context.h"

#include <string.h>

/* Which side speaks decides payload types, keys and nonces; everything else is the same. */
struct auth_side {
	uint8_t id_payload;
	const struct mech_message *first_message; /* what the side signs */
	const struct mech_nonce *peer_nonce;
	const struct secret_key *sk_p;
};

static struct auth_side auth_side_of(const struct mech_exchange *exchange, bool is_initiator)
{
	if (is_initiator)
		return (struct auth_side){ IKE_PAYLOAD_IDI, &exchange->t1, &exchange->nr,
			&exchange->keys.sk_pi };
	return (struct auth_side){ IKE_PAYLOAD_IDR, &exchange->t2, &exchange->ni,
		&exchange->keys.sk_pr };
}

/* RFC 7296 2.15: RealMessage | NonceData of the other side | prf(SK_p, RestOfID). */
static enum err auth_signed_parts(const struct mech_exchange *exchange,
	const struct auth_side *side, struct bytes id_body, uint8_t mac[CRYPTO_PRF_OUTPUT_MAX],
	struct bytes ret_parts[3])
{
	enum err err;

	err = ike_auth_maced_id(&exchange->algorithms, side->sk_p, id_body, mac);
	if (err != ERR_OK)
		return err;
	ret_parts[0] = mech_message_view(side->first_message);
	ret_parts[1] = mech_nonce_view(side->peer_nonce);
	ret_parts[2] = BYTES(mac, exchange->algorithms.prf->output_bytes);
	return ERR_OK;
}

/* The body of an ID payload: type, three reserved octets, data (RFC 7296 3.5). */
static enum err auth_id_body(const struct mech_name *name, struct writer *w)
{
	uint8_t type = 0;
	struct writer data;
	enum err err;

	writer_init(&data, MECH_NAME_BYTES_MAX);
	err = mech_name_to_id(name, &type, &data);
	if (err == ERR_OK) {
		writer_put_u8(w, type);
		writer_put_zeros(w, 3);
		writer_put_bytes(w, writer_view(&data));
		err = writer_status(w);
	}
	writer_free(&data);
	return err;
}

const struct crypto_private_key *mech_exchange_key(const struct mech_exchange *exchange)
{
	return exchange->identity != NULL ? exchange->identity->key : NULL;
}

/* Nobody is ID_NULL, with no data (RFC 7619 2.2), whatever the credential would be. */
static enum err auth_own_id_body(const struct mech_exchange *exchange, struct writer *w)
{
	if (mech_exchange_key(exchange) != NULL)
		return auth_id_body(exchange->identity->name, w);
	writer_put_u8(w, IKE_ID_NULL);
	writer_put_zeros(w, 3);
	return writer_status(w);
}

static bool auth_wants_idr(const struct mech_context *context)
{
	const struct mech_name *target = context->acceptor_name;

	if (!context->is_initiator || mech_name_kind(target) == MECH_NAME_ANONYMOUS)
		return false;
	return mech_name_kind(target) != MECH_NAME_HOSTBASED || mech_name_host(target)[0] != '\0';
}

static enum err auth_put_wanted(const struct mech_context *context, struct ike_builder *b)
{
	struct writer body;
	enum err err;

	if (!auth_wants_idr(context))
		return ERR_OK;
	writer_init(&body, MECH_NAME_BYTES_MAX + 8);
	err = auth_id_body(context->acceptor_name, &body);
	if (err == ERR_OK)
		ike_put_payload(b, IKE_PAYLOAD_IDR, writer_view(&body));
	writer_free(&body);
	return err;
}

static enum err auth_put_null(const struct mech_exchange *exchange, const struct auth_side *side,
	struct bytes id_body, struct ike_builder *b)
{
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX], value[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[3];
	enum err err;

	err = auth_signed_parts(exchange, side, id_body, mac, parts);
	if (err == ERR_OK)
		err = ike_auth_null(&exchange->algorithms, side->sk_p, parts, value);
	if (err == ERR_OK)
		ike_put_auth(
			b, IKE_AUTH_NULL, BYTES(value, exchange->algorithms.prf->output_bytes));
	secret_wipe(mac, sizeof(mac));
	return err;
}

static enum err auth_put_signature(const struct mech_exchange *exchange,
	const struct auth_side *side, struct bytes id_body, struct ike_builder *b)
{
	const struct crypto_private_key *key = exchange->identity->key;
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX], signature[CRYPTO_SIGNATURE_MAX];
	struct bytes parts[3];
	size_t len = 0;
	enum err err;

	err = auth_signed_parts(exchange, side, id_body, mac, parts);
	if (err == ERR_OK)
		err = crypto_sign_as(key, exchange->signature, parts, 3, signature, &len);
	if (err == ERR_OK)
		ike_put_auth_signature(b, exchange->signature->algorithm, BYTES(signature, len));
	secret_wipe(mac, sizeof(mac));
	return err;
}

enum err mech_auth_put(struct mech_context *context, struct ike_builder *b)
{
	struct mech_exchange *exchange = context->exchange;
	struct auth_side side = auth_side_of(exchange, context->is_initiator);
	const struct crypto_private_key *key = mech_exchange_key(exchange);
	struct writer body;
	enum err err;

	writer_init(&body, MECH_NAME_BYTES_MAX + 8);
	err = auth_own_id_body(exchange, &body);
	if (err != ERR_OK)
		goto out;
	ike_put_payload(b, side.id_payload, writer_view(&body));
	if (key != NULL)
		ike_put_cert(b, crypto_private_key_spki(key));
	err = auth_put_wanted(context, b);
	if (err != ERR_OK)
		goto out;
	err = key != NULL ? auth_put_signature(exchange, &side, writer_view(&body), b)
			  : auth_put_null(exchange, &side, writer_view(&body), b);
out:
	writer_free(&body);
	return err;
}

/* The raw public key among the CERT payloads; empty when none came (then the database must have it). */
static enum err auth_find_spki(const struct ike_message *message, struct bytes *ret_spki)
{
	const struct ike_payload *payload;
	struct ike_cert cert;
	enum err err;

	*ret_spki = BYTES_NONE;
	for (size_t n = 0; (payload = ike_message_find(message, IKE_PAYLOAD_CERT, n)) != NULL;
		n++) {
		err = ike_cert_parse(payload->body, &cert);
		if (err != ERR_OK)
			return err;
		if (cert.encoding == IKE_CERT_RAW_PUBLIC_KEY) {
			*ret_spki = cert.data;
			return ERR_OK;
		}
	}
	return ERR_OK;
}

static enum err auth_read_claim(const struct ike_payload *id_payload,
	const struct ike_message *message, struct mech_peer_claim *ret_claim)
{
	struct ike_id id;
	enum err err;

	if (id_payload == NULL)
		return ERR_IKE_PAYLOAD;
	err = ike_id_parse(id_payload->body, &id);
	if (err != ERR_OK)
		return err;
	ret_claim->id_type = id.type;
	ret_claim->id_data = id.data;
	return auth_find_spki(message, &ret_claim->spki);
}

static enum err auth_verify_signature(const struct mech_exchange *exchange,
	const struct auth_side *side, const struct ike_message *message, struct bytes id_body,
	struct bytes spki, const char **ret_method)
{
	const struct ike_payload *payload = ike_message_find(message, IKE_PAYLOAD_AUTH, 0);
	const struct crypto_signature *signature;
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[3];
	struct ike_auth auth;
	enum err err;

	if (payload == NULL)
		return ERR_IKE_PAYLOAD;
	err = ike_auth_parse(payload->body, &auth);
	if (err != ERR_OK)
		return err;
	if (auth.method != IKE_AUTH_DIGITAL_SIGNATURE)
		return ERR_AUTH_METHOD;
	signature = crypto_signature_find(auth.algorithm);
	if (signature == NULL)
		return ERR_AUTH_METHOD;
	err = auth_signed_parts(exchange, side, id_body, mac, parts);
	if (err == ERR_OK)
		err = crypto_verify(spki, signature, parts, 3, auth.signature);
	secret_wipe(mac, sizeof(mac));
	if (err == ERR_OK)
		*ret_method = signature->name;
	return err;
}

/* The judged name with what AUTH has shown. */
static enum err auth_note_facts(
	const struct mech_name *judged, const char *method, struct mech_name **ret_name)
{
	const struct mech_facts *judged_facts = mech_name_facts(judged);
	struct mech_facts facts = { .method = "", .entry = "", .reason = IPSEC_LATCH_NONE };

	if (judged_facts != NULL) /* nobody has no key */
		facts = *judged_facts;
	facts.method = method;
	return mech_name_with_facts(judged, &facts, ret_name);
}

/* The acceptor's key is the end-point binding, whichever side we are; one without a key has none. */
static void auth_note_end_point(struct mech_context *context)
{
	const struct crypto_private_key *own = mech_exchange_key(context->exchange);
	const struct mech_facts *peer = mech_name_facts(context->exchange->peer);
	struct bytes digest = BYTES_NONE;

	if (context->is_initiator && peer->has_digest)
		digest = BYTES_OF(peer->digest);
	else if (!context->is_initiator && own != NULL)
		digest = crypto_private_key_digest(own);
	context->has_end_point = digest.len > 0;
	if (context->has_end_point)
		memcpy(context->end_point, digest.data, sizeof(context->end_point));
}

static bool auth_is_own_key(const struct mech_exchange *exchange, struct bytes spki)
{
	const struct crypto_private_key *own = mech_exchange_key(exchange);

	return own != NULL && bytes_equal(spki, crypto_private_key_spki(own));
}

/* Whom the policy allows to prove who it is, and how. */
static enum err auth_check_policy(const struct mech_context *context, struct bytes spki)
{
	const struct crypto_key_kind *kind = crypto_spki_kind(spki);

	if (kind != NULL && config_allows(context->config, CONFIG_AUTH_METHODS, kind->word))
		return ERR_OK;
	mech_set_detail(ERR_AUTH_METHOD,
		"the peer's key is of type %s, which auth_methods leaves out",
		kind != NULL ? kind->word : "unknown");
	return ERR_AUTH_METHOD;
}

static enum err auth_verify_key(struct mech_context *context, const struct ike_message *message,
	const struct ike_payload *id, const struct mech_name *wanted, bool *ret_is_proven)
{
	struct mech_exchange *exchange = context->exchange;
	struct auth_side side = auth_side_of(exchange, !context->is_initiator);
	struct mech_peer_claim claim = { 0 };
	const char *method = "";
	struct mech_name *name = NULL;
	struct writer spki;
	bool is_proven = false;
	enum err err;

	writer_init(&spki, 4096);
	err = auth_read_claim(id, message, &claim);
	if (err == ERR_OK)
		err = mech_peer_judge(context->config, context->is_initiator, wanted, &claim, &spki,
			&name, &is_proven);
	if (err == ERR_OK && auth_is_own_key(exchange, writer_view(&spki)))
		err = ERR_SELF_PEER;
	if (err == ERR_OK)
		err = auth_check_policy(context, writer_view(&spki));
	if (err == ERR_OK)
		err = auth_verify_signature(
			exchange, &side, message, id->body, writer_view(&spki), &method);
	if (err == ERR_OK)
		err = auth_note_facts(name, method, &exchange->peer);
	if (err == ERR_OK) {
		auth_note_end_point(context);
		*ret_is_proven = is_proven;
	}
	mech_name_release(&name);
	writer_free(&spki);
	return err;
}

/* RFC 7619 2.1: it proves that this is whom the keys were exchanged with, and no more. */
static enum err auth_verify_null(struct mech_context *context, const struct ike_auth *auth,
	const struct ike_payload *id_payload, const struct mech_name *wanted)
{
	struct mech_exchange *exchange = context->exchange;
	struct auth_side side = auth_side_of(exchange, !context->is_initiator);
	uint8_t mac[CRYPTO_PRF_OUTPUT_MAX], value[CRYPTO_PRF_OUTPUT_MAX];
	struct bytes parts[3];
	struct mech_peer_claim claim = { 0 };
	struct mech_name *nobody = NULL;
	struct ike_id id;
	enum err err = ike_id_parse(id_payload->body, &id);

	if (err != ERR_OK)
		return err;
	claim.id_type = id.type;
	claim.id_data = id.data;
	err = mech_peer_judge_nobody(context->config, wanted, mech_context_service(context),
		context->is_initiator && (context->requested & MECH_FLAG_MUTUAL) != 0, &claim);
	if (err == ERR_OK)
		err = auth_signed_parts(exchange, &side, id_payload->body, mac, parts);
	if (err == ERR_OK)
		err = ike_auth_null(&exchange->algorithms, side.sk_p, parts, value);
	if (err == ERR_OK && !secret_equal(auth->signature,
				     BYTES(value, exchange->algorithms.prf->output_bytes)))
		err = ERR_AUTH_FAILED;
	if (err == ERR_OK)
		err = mech_name_anonymous(&nobody);
	if (err == ERR_OK)
		err = auth_note_facts(nobody, "NULL", &exchange->peer);
	if (err == ERR_OK)
		auth_note_end_point(context);
	mech_name_release(&nobody);
	secret_wipe(mac, sizeof(mac));
	secret_wipe(value, sizeof(value));
	return err;
}

enum err mech_auth_verify(struct mech_context *context, const struct ike_message *message,
	const struct mech_name *wanted, bool *ret_is_proven)
{
	struct auth_side side = auth_side_of(context->exchange, !context->is_initiator);
	const struct ike_payload *id = ike_message_find(message, side.id_payload, 0);
	const struct ike_payload *payload = ike_message_find(message, IKE_PAYLOAD_AUTH, 0);
	struct ike_auth auth;
	enum err err;

	if (id == NULL || payload == NULL)
		return ERR_IKE_PAYLOAD;
	err = ike_auth_parse(payload->body, &auth);
	if (err != ERR_OK)
		return err;
	if (auth.method != IKE_AUTH_NULL)
		return auth_verify_key(context, message, id, wanted, ret_is_proven);
	err = auth_verify_null(context, &auth, id, wanted);
	if (err == ERR_OK)
		*ret_is_proven = false;
	return err;
}

/* Several ways to sign share a hash, which is listed once. */
static bool auth_hash_is_new(size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (crypto_signature_at(i)->hash == crypto_signature_at(index)->hash)
			return false;
	return true;
}

void mech_auth_put_hashes(struct ike_builder *b)
{
	struct writer list;

	writer_init(&list, 64);
	for (size_t i = 0; i < crypto_signature_count(); i++)
		if (auth_hash_is_new(i))
			writer_put_u16(&list, crypto_signature_at(i)->hash);
	if (writer_status(&list) == ERR_OK)
		ike_put_notify(b, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, writer_view(&list));
	else
		writer_fail(&b->w, ERR_NO_MEMORY);
	writer_free(&list);
}

/* RFC 7427 section 4: only what the peer listed may be used to sign. */
enum err mech_auth_choose_signature(
	struct mech_exchange *exchange, const struct ike_message *message)
{
	const struct crypto_private_key *key = mech_exchange_key(exchange);
	const struct crypto_key_kind *kind;
	struct ike_notify notify = { .data = BYTES_NONE };

	if (key == NULL)
		return ERR_OK;
	kind = crypto_private_key_kind(key);
	/* Without the notify nothing is listed. */
	(void)ike_message_find_notify(message, IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS, &notify);
	for (size_t i = 0; i < CRYPTO_KIND_SIGNATURES_MAX && kind->signatures[i] != NULL; i++) {
		if (ike_hashes_include(notify.data, kind->signatures[i]->hash)) {
			exchange->signature = kind->signatures[i];
			return ERR_OK;
		}
	}
	mech_set_detail(ERR_AUTH_METHOD,
		"the peer verifies no signature that this side's %s key can make", kind->name);
	return ERR_AUTH_METHOD;
}
