/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message tokens (doc/protocol.md section 7; RFC 2743 1.2.3, 2.3).  A key belongs to one
 * direction and one instance; an instance belongs to one process, so that no two processes ever
 * seal under the same nonce.  Nothing a token says is believed, or kept, before it has verified.
 */
#include "mech/protect_state.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "mech/generation.h"

#define PROTECT_VERSION 1

struct protect_header {
	uint32_t kind; /* protect_kind() */
	uint64_t instance, sequence;
};

static const uint8_t label_initiator[] = "\0gss-ipsec message i";
static const uint8_t label_acceptor[] = "\0gss-ipsec message r";

enum err mech_protect_new(const struct crypto_prf *prf, const struct crypto_aead *aead,
	const struct secret_key *sk_d, struct bytes ni, struct bytes nr, bool we_initiate,
	bool detects_replay, bool detects_sequence, struct mech_protect **ret_protect)
{
	struct mech_protect *made;

	assert(aead->salt_bytes == PROTECT_SALT_BYTES);
	if (ni.len > UINT16_MAX || nr.len > UINT16_MAX)
		return ERR_TOO_LARGE;
	made = calloc(1, sizeof(*made) + ni.len + nr.len);
	if (made == NULL)
		return ERR_NO_MEMORY;
	made->prf = prf;
	made->aead = aead;
	made->sk_d = *sk_d;
	made->we_initiate = we_initiate;
	made->detects_replay = detects_replay;
	made->detects_sequence = detects_sequence;
	made->nonces_len = ni.len + nr.len;
	if (ni.len != 0)
		memcpy(made->nonces, ni.data, ni.len);
	if (nr.len != 0)
		memcpy(made->nonces + ni.len, nr.data, nr.len);
	*ret_protect = made;
	return ERR_OK;
}

static void protect_key_end(struct protect_key *key)
{
	crypto_aead_key_free(&key->cipher);
	secret_wipe(key->salt, sizeof(key->salt));
}

static void protect_receiver_free(struct protect_receiver *receiver)
{
	if (receiver == NULL)
		return;
	protect_key_end(&receiver->key);
	free(receiver);
}

void mech_protect_free(struct mech_protect **protect)
{
	struct mech_protect *freed = *protect;

	*protect = NULL;
	if (freed == NULL)
		return;
	protect_key_end(&freed->sender.key);
	while (freed->receivers != NULL) {
		struct protect_receiver *receiver = freed->receivers;

		freed->receivers = receiver->other;
		protect_receiver_free(receiver);
	}
	secret_free(freed, sizeof(*freed) + freed->nonces_len);
}

/* prf+(SK_d, label | Ni | Nr | instance): key, then salt. */
static enum err protect_key_make(const struct mech_protect *protect, bool is_ours,
	uint64_t instance, struct protect_key *ret_key)
{
	const struct crypto_aead *aead = protect->aead;
	bool by_initiator = is_ours == protect->we_initiate;
	uint64_t instance_be = htobe64(instance);
	struct bytes parts[] = {
		/* without the literal's own zero at the end */
		BYTES(by_initiator ? label_initiator : label_acceptor, sizeof(label_initiator) - 1),
		BYTES(protect->nonces, protect->nonces_len),
		BYTES((const uint8_t *)&instance_be, sizeof(instance_be)),
	};
	struct secret_key keymat = { .len = aead->key_bytes + aead->salt_bytes };
	enum err err;

	assert(keymat.len <= sizeof(keymat.data));
	err = crypto_prf_plus(protect->prf, secret_key_view(&protect->sk_d), parts,
		sizeof(parts) / sizeof(parts[0]), keymat.data, keymat.len);
	if (err == ERR_OK)
		err = crypto_aead_key_new(
			aead, BYTES(keymat.data, aead->key_bytes), is_ours, &ret_key->cipher);
	if (err == ERR_OK)
		memcpy(ret_key->salt, keymat.data + aead->key_bytes, sizeof(ret_key->salt));
	secret_key_wipe(&keymat);
	return err;
}

static void protect_nonce(
	const struct protect_key *key, uint64_t sequence, uint8_t nonce[CRYPTO_NONCE_BYTES])
{
	uint64_t sequence_be = htobe64(sequence);

	memcpy(nonce, key->salt, PROTECT_SALT_BYTES);
	memcpy(nonce + PROTECT_SALT_BYTES, &sequence_be, sizeof(sequence_be));
}

/*
 * The header in place, without reader and writer: this is on the path of every message, and of a
 * length that is fixed.
 */
static void protect_header_write(
	const struct protect_header *header, uint8_t out[MECH_TOKEN_HEADER_BYTES])
{
	uint32_t kind = htobe32(header->kind);
	uint64_t numbers[] = { htobe64(header->instance), htobe64(header->sequence) };

	static_assert(sizeof(kind) + sizeof(numbers) == MECH_TOKEN_HEADER_BYTES, "all of it");
	memcpy(out, &kind, sizeof(kind));
	memcpy(out + sizeof(kind), numbers, sizeof(numbers));
}

static struct protect_header protect_header_read(const uint8_t in[MECH_TOKEN_HEADER_BYTES])
{
	uint64_t numbers[2];
	uint32_t kind;

	memcpy(&kind, in, sizeof(kind));
	memcpy(numbers, in + sizeof(kind), sizeof(numbers));
	return (struct protect_header){ .kind = be32toh(kind),
		.instance = be64toh(numbers[0]),
		.sequence = be64toh(numbers[1]) };
}

/* Token id, version and flags in one. */
static uint32_t protect_kind(uint16_t id, bool by_acceptor, uint8_t flags)
{
	return (uint32_t)id << 16 | PROTECT_VERSION << 8 |
	       (by_acceptor ? PROTECT_FLAG_ACCEPTOR : 0) | flags;
}

/* --- sending --- */

/* Sees to it that the sender has an instance of this very process. */
static enum err protect_sender_ready(struct mech_protect *protect)
{
	struct protect_sender made = { .next = 0 };
	enum err err;

	err = mech_generation_get(&made.generation);
	if (err != ERR_OK)
		return err;
	if (protect->sender.generation == made.generation)
		return ERR_OK;
	err = crypto_random((uint8_t *)&made.instance, sizeof(made.instance));
	if (err != ERR_OK)
		return err;
	err = protect_key_make(protect, true, made.instance, &made.key);
	if (err != ERR_OK)
		return err;
	protect_key_end(&protect->sender.key);
	protect->sender = made;
	return ERR_OK;
}

enum err protect_send_begin(struct mech_protect *protect, uint16_t id, uint8_t flags,
	uint8_t ret_header[MECH_TOKEN_HEADER_BYTES], uint8_t ret_nonce[CRYPTO_NONCE_BYTES])
{
	struct protect_header header;
	enum err err = protect_sender_ready(protect);

	if (err != ERR_OK)
		return err;
	if (protect->sender.next == UINT64_MAX)
		return ERR_TOO_LARGE;
	header = (struct protect_header){
		.kind = protect_kind(id, !protect->we_initiate, flags),
		.instance = protect->sender.instance,
		.sequence = protect->sender.next++,
	};
	protect_header_write(&header, ret_header);
	protect_nonce(&protect->sender.key, header.sequence, ret_nonce);
	return ERR_OK;
}

/* A token whose body is carried (wrap) or only covered (MIC). */
static enum err protect_send(struct mech_protect *protect, uint16_t id, bool is_sealed,
	struct bytes message, uint8_t **ret_token, size_t *ret_len)
{
	size_t body_len = id == PROTECT_ID_WRAP ? message.len : 0;
	uint8_t nonce[CRYPTO_NONCE_BYTES];
	uint8_t *token, *body;
	enum err err;

	if (body_len > SIZE_MAX - MECH_TOKEN_OVERHEAD_BYTES)
		return ERR_TOO_LARGE;
	token = malloc(body_len + MECH_TOKEN_OVERHEAD_BYTES);
	if (token == NULL)
		return ERR_NO_MEMORY;
	body = token + MECH_TOKEN_HEADER_BYTES;
	err = protect_send_begin(protect, id, is_sealed ? PROTECT_FLAG_SEALED : 0, token, nonce);
	if (err == ERR_OK && body_len != 0 && !is_sealed)
		memcpy(body, message.data, body_len);
	if (err == ERR_OK)
		err = crypto_aead_seal2(protect->sender.key.cipher, nonce,
			BYTES(token, MECH_TOKEN_HEADER_BYTES), is_sealed ? BYTES_NONE : message,
			is_sealed ? message : BYTES_NONE, body, body + body_len);
	if (err != ERR_OK) {
		free(token);
		return err;
	}
	*ret_token = token;
	*ret_len = body_len + MECH_TOKEN_OVERHEAD_BYTES;
	return ERR_OK;
}

enum err mech_protect_wrap(struct mech_protect *protect, bool seal, struct bytes plain,
	uint8_t **ret_token, size_t *ret_len)
{
	return protect_send(protect, PROTECT_ID_WRAP, seal, plain, ret_token, ret_len);
}

enum err mech_protect_mic(
	struct mech_protect *protect, struct bytes message, uint8_t **ret_token, size_t *ret_len)
{
	return protect_send(protect, PROTECT_ID_MIC, false, message, ret_token, ret_len);
}

/* --- receiving --- */

/* What a token of each kind may say beside its direction. */
static uint8_t protect_flags_known(uint16_t id)
{
	if (id == PROTECT_ID_MIC)
		return 0;
	return PROTECT_FLAG_SEALED | PROTECT_FLAG_ASSOCIATED | PROTECT_FLAG_TAG_FIRST;
}

enum err protect_header_take(const struct mech_protect *protect, uint16_t id,
	const uint8_t header[MECH_TOKEN_HEADER_BYTES], struct protect_token *ret_token)
{
	struct protect_header read = protect_header_read(header);
	uint8_t flags = (uint8_t)(read.kind & protect_flags_known(id));

	/* the peer's direction only: a token with ours is one of ours, sent back */
	if (read.kind != protect_kind(id, protect->we_initiate, flags) ||
		read.sequence == UINT64_MAX)
		return ERR_MESSAGE_TOKEN;
	ret_token->flags = flags;
	ret_token->instance = read.instance;
	ret_token->sequence = read.sequence;
	ret_token->header = BYTES(header, MECH_TOKEN_HEADER_BYTES);
	return ERR_OK;
}

/* A token in one run. */
static enum err protect_token_read(const struct mech_protect *protect, uint16_t id,
	struct bytes input, struct protect_token *ret_token)
{
	struct protect_token token;
	const uint8_t *behind;
	size_t body_len;
	enum err err;

	if (input.len < MECH_TOKEN_OVERHEAD_BYTES)
		return ERR_MESSAGE_TOKEN;
	err = protect_header_take(protect, id, input.data, &token);
	if (err != ERR_OK)
		return err;
	body_len = input.len - MECH_TOKEN_OVERHEAD_BYTES;
	if (id == PROTECT_ID_MIC && body_len != 0)
		return ERR_MESSAGE_TOKEN;
	/* The program has given no associated data, so it is not what the token was made over. */
	if ((token.flags & PROTECT_FLAG_ASSOCIATED) != 0)
		return ERR_MESSAGE_MIC;
	behind = input.data + MECH_TOKEN_HEADER_BYTES;
	if ((token.flags & PROTECT_FLAG_TAG_FIRST) != 0) {
		token.tag = behind;
		token.body = BYTES(behind + CRYPTO_TAG_BYTES, body_len);
	} else {
		token.tag = behind + body_len;
		token.body = BYTES(behind, body_len);
	}
	*ret_token = token;
	return ERR_OK;
}

/* The receiver of an instance, moved to the front; NULL when there is none. */
static struct protect_receiver *protect_receiver_find(
	struct mech_protect *protect, uint64_t instance)
{
	struct protect_receiver **at = &protect->receivers;
	struct protect_receiver *found;

	while (*at != NULL && (*at)->instance != instance)
		at = &(*at)->other;
	found = *at;
	if (found != NULL) {
		*at = found->other;
		found->other = protect->receivers;
		protect->receivers = found;
	}
	return found;
}

static enum err protect_open(const struct protect_receiver *receiver,
	const struct protect_token *token, const struct protect_content *content)
{
	bool is_sealed = (token->flags & PROTECT_FLAG_SEALED) != 0;
	uint8_t nonce[CRYPTO_NONCE_BYTES];
	enum err err;

	protect_nonce(&receiver->key, token->sequence, nonce);
	if (content->pieces != NULL)
		err = crypto_aead_open_pieces(receiver->key.cipher, nonce, content->aad,
			content->pieces, is_sealed, token->tag);
	else
		err = crypto_aead_open2(receiver->key.cipher, nonce, content->aad, content->covered,
			is_sealed ? token->body : BYTES_NONE, token->tag, content->plain);
	return err == ERR_IKE_INTEGRITY ? ERR_MESSAGE_MIC : err;
}

/* Enters a number of a verified token into the window and says what it was, as RFC 2743 1.2.3. */
static enum err protect_window_enter(struct protect_receiver *receiver, uint64_t sequence)
{
	uint64_t ahead, behind;

	if (sequence >= receiver->next) {
		ahead = sequence - receiver->next;
		receiver->seen =
			ahead + 1 < PROTECT_WINDOW_NUMBERS ? receiver->seen << (ahead + 1) | 1 : 1;
		receiver->next = sequence + 1;
		return ahead == 0 ? ERR_OK : ERR_MESSAGE_GAP;
	}
	behind = receiver->next - 1 - sequence;
	if (behind >= PROTECT_WINDOW_NUMBERS)
		return ERR_MESSAGE_OLD;
	if ((receiver->seen >> behind & 1) != 0)
		return ERR_MESSAGE_DUPLICATE;
	receiver->seen |= (uint64_t)1 << behind;
	return ERR_MESSAGE_UNSEQ;
}

/* What of it this context's caller asked to be told. */
static enum err protect_window_report(const struct mech_protect *protect, enum err found)
{
	bool is_replay = found == ERR_MESSAGE_DUPLICATE || found == ERR_MESSAGE_OLD;

	if (protect->detects_sequence || (protect->detects_replay && is_replay))
		return found;
	return ERR_OK;
}

enum err protect_receive(struct mech_protect *protect, const struct protect_token *token,
	const struct protect_content *content, enum err *ret_status)
{
	struct protect_receiver *receiver = protect_receiver_find(protect, token->instance);
	struct protect_receiver *made = NULL;
	enum err err = ERR_OK;

	if (receiver == NULL) {
		made = calloc(1, sizeof(*made));
		if (made == NULL)
			return ERR_NO_MEMORY;
		made->instance = token->instance;
		receiver = made;
	}
	/* of a new instance, or one that came with an imported context */
	if (receiver->key.cipher == NULL)
		err = protect_key_make(protect, false, receiver->instance, &receiver->key);
	if (err == ERR_OK)
		err = protect_open(receiver, token, content);
	if (err != ERR_OK)
		goto out;
	if (made != NULL && protect->receiver_count == PROTECT_INSTANCES_MAX) {
		if (content->pieces != NULL && (token->flags & PROTECT_FLAG_SEALED) != 0)
			crypto_pieces_wipe(content->pieces);
		err = ERR_MESSAGE_INSTANCES;
		goto out;
	}
	if (made != NULL) {
		made->other = protect->receivers;
		protect->receivers = made;
		protect->receiver_count++;
		made = NULL;
	}
	*ret_status =
		protect_window_report(protect, protect_window_enter(receiver, token->sequence));
out:
	protect_receiver_free(made);
	return err;
}

enum err mech_protect_unwrap(struct mech_protect *protect, struct bytes input, uint8_t **ret_plain,
	size_t *ret_len, bool *ret_was_sealed)
{
	struct protect_content content = { .pieces = NULL };
	struct protect_token token;
	enum err err, status = ERR_OK;
	bool is_sealed;

	err = protect_token_read(protect, PROTECT_ID_WRAP, input, &token);
	if (err != ERR_OK)
		return err;
	is_sealed = (token.flags & PROTECT_FLAG_SEALED) != 0;
	content.aad = token.header;
	content.covered = is_sealed ? BYTES_NONE : token.body;
	content.plain = malloc(token.body.len != 0 ? token.body.len : 1);
	if (content.plain == NULL)
		return ERR_NO_MEMORY;
	err = protect_receive(protect, &token, &content, &status);
	if (err != ERR_OK) {
		secret_free(content.plain, token.body.len);
		return err;
	}
	if (token.body.len != 0 && !is_sealed)
		memcpy(content.plain, token.body.data, token.body.len);
	*ret_plain = content.plain;
	*ret_len = token.body.len;
	*ret_was_sealed = is_sealed;
	return status;
}

enum err mech_protect_verify(struct mech_protect *protect, struct bytes message, struct bytes input)
{
	struct protect_content content = { .covered = message };
	struct protect_token token;
	enum err err, status = ERR_OK;

	err = protect_token_read(protect, PROTECT_ID_MIC, input, &token);
	if (err == ERR_OK) {
		content.aad = token.header;
		err = protect_receive(protect, &token, &content, &status);
	}
	return err != ERR_OK ? err : status;
}

unsigned int mech_protect_key_bits(const struct mech_protect *protect)
{
	return (unsigned int)protect->aead->key_bytes * 8;
}
