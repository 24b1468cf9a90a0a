/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message tokens from a peer, under fixed keys.  The first octet says as what the rest is read:
 * bit 0 the role, bit 1 unwrap or verify, bit 2 whether the last 16 octets are replaced by the right
 * tag, so that what lies behind verification is reached too.  Bit 3: the rest is a series of instances
 * and numbers, whose tokens are made here and judged by a model of the window.  Bit 4: the rest is two
 * octets, associated data of as many octets as the first says, and a token, which is opened in two
 * pieces with the border that the second says, and in one run.
 */
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mech/protect_state.h"

#define FUZZ_MESSAGE "message"
#define FUZZ_INPUT_MAX 4096
#define FUZZ_MODE_SERIES 8
#define FUZZ_MODE_PIECES 16
#define FUZZ_SERIES_MAX 80 /* more than there are instances */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mech_protect *fuzz_protect_new(bool we_initiate)
{
	static const uint8_t nonce[32] = { 1 };
	struct secret_key sk_d = { .len = 32 };
	struct mech_protect *made = NULL;

	if (mech_protect_new(crypto_prf_find(5), crypto_aead_find(20, 256), &sk_d, BYTES_OF(nonce),
		    BYTES_OF(nonce), we_initiate, true, true, &made) != ERR_OK)
		abort();
	return made;
}

/* The tag that the peer would have made for a token that only covers its body. */
static void fuzz_tag_mend(bool we_initiate, uint8_t *token, size_t len, struct bytes covered)
{
	static const uint8_t nonces[64] = { [0] = 1, [32] = 1 };
	const char *label = we_initiate ? "\0gss-ipsec message r" : "\0gss-ipsec message i";
	uint8_t sk_d[32] = { 0 }, keymat[36], nonce[CRYPTO_NONCE_BYTES], nothing[1];
	struct bytes parts[] = { BYTES((const uint8_t *)label, 20), BYTES_OF(nonces),
		BYTES(token + 4, 8) };
	struct crypto_aead_key *key = NULL;

	if (crypto_prf_plus(crypto_prf_find(5), BYTES_OF(sk_d), parts, 3, keymat, sizeof(keymat)) !=
			ERR_OK ||
		crypto_aead_key_new(crypto_aead_find(20, 256), BYTES(keymat, 32), true, &key) !=
			ERR_OK)
		abort();
	memcpy(nonce, keymat + 32, 4);
	memcpy(nonce + 4, token + 12, 8);
	if (crypto_aead_seal2(key, nonce, BYTES(token, MECH_TOKEN_HEADER_BYTES), covered,
		    BYTES_NONE, nothing, token + len - CRYPTO_TAG_BYTES) != ERR_OK)
		abort();
	crypto_aead_key_free(&key);
}

/* Twice: the second time it must be no new message. */
static void fuzz_unwrap(struct mech_protect *protect, struct bytes token)
{
	for (int i = 0; i < 2; i++) {
		uint8_t *plain = NULL;
		bool was_sealed = false;
		size_t len = 0;
		enum err err = mech_protect_unwrap(protect, token, &plain, &len, &was_sealed);

		if (plain != NULL && len != token.len - MECH_TOKEN_OVERHEAD_BYTES)
			abort();
		if (i == 1 && plain != NULL && err != ERR_MESSAGE_DUPLICATE)
			abort();
		free(plain);
	}
}

static void fuzz_verify(struct mech_protect *protect, struct bytes message, struct bytes token)
{
	enum err err = mech_protect_verify(protect, message, token);
	bool was_good = err == ERR_OK || err == ERR_MESSAGE_GAP;

	if (was_good && mech_protect_verify(protect, message, token) != ERR_MESSAGE_DUPLICATE)
		abort();
}

/* --- a series: RFC 2743 1.2.3 and doc/protocol.md section 7, in the simplest words --- */

struct fuzz_series {
	struct {
		uint64_t instance, sequence;
	} taken[FUZZ_SERIES_MAX];
	size_t count;
};

static size_t series_instances(const struct fuzz_series *series)
{
	size_t distinct = 0;

	for (size_t i = 0; i < series->count; i++) {
		size_t earlier = 0;

		while (series->taken[earlier].instance != series->taken[i].instance)
			earlier++;
		distinct += earlier == i;
	}
	return distinct;
}

static enum err series_expect(
	const struct fuzz_series *series, uint64_t instance, uint64_t sequence)
{
	bool is_known = false, was_seen = false;
	uint64_t next = 0;

	for (size_t i = 0; i < series->count; i++) {
		if (series->taken[i].instance != instance)
			continue;
		is_known = true;
		was_seen = was_seen || series->taken[i].sequence == sequence;
		if (series->taken[i].sequence >= next)
			next = series->taken[i].sequence + 1;
	}
	if (sequence == UINT64_MAX)
		return ERR_MESSAGE_TOKEN;
	if (!is_known && series_instances(series) == PROTECT_INSTANCES_MAX)
		return ERR_MESSAGE_INSTANCES;
	if (sequence >= next)
		return sequence == next ? ERR_OK : ERR_MESSAGE_GAP;
	if (next - 1 - sequence >= PROTECT_WINDOW_NUMBERS)
		return ERR_MESSAGE_OLD;
	return was_seen ? ERR_MESSAGE_DUPLICATE : ERR_MESSAGE_UNSEQ;
}

static enum err series_verify(struct mech_protect *protect, uint64_t instance, uint64_t sequence)
{
	struct bytes message = BYTES((const uint8_t *)FUZZ_MESSAGE, sizeof(FUZZ_MESSAGE) - 1);
	static const uint8_t mic_of_initiator[] = { 'G', 'M', 1, 0 };
	uint8_t token[MECH_TOKEN_OVERHEAD_BYTES] = { 0 };
	uint64_t numbers[] = { htobe64(instance), htobe64(sequence) };

	memcpy(token, mic_of_initiator, sizeof(mic_of_initiator));
	memcpy(token + sizeof(mic_of_initiator), numbers, sizeof(numbers));
	fuzz_tag_mend(false, token, sizeof(token), message);
	return mech_protect_verify(protect, message, BYTES_OF(token));
}

/* One octet of instance and two of number, which count from the end of all numbers when negative. */
static void fuzz_series(struct bytes input)
{
	struct mech_protect *protect = fuzz_protect_new(false);
	struct fuzz_series series = { .count = 0 };
	struct reader r;

	reader_init(&r, input);
	for (size_t i = 0; i < FUZZ_SERIES_MAX && reader_left(&r) >= 3; i++) {
		uint64_t instance = reader_get_u8(&r);
		uint64_t sequence = (uint64_t)(int64_t)(int16_t)reader_get_u16(&r);
		enum err expected = series_expect(&series, instance, sequence);

		if (series_verify(protect, instance, sequence) != expected)
			abort();
		if (expected == ERR_MESSAGE_TOKEN || expected == ERR_MESSAGE_INSTANCES)
			continue;
		series.taken[series.count].instance = instance;
		series.taken[series.count++].sequence = sequence;
	}
	mech_protect_free(&protect);
}

/* --- pieces --- */

struct fuzz_pieces {
	struct crypto_piece items[3];
};

static struct crypto_piece fuzz_piece(const void *items, size_t index)
{
	return ((const struct fuzz_pieces *)items)->items[index];
}

/* What precedes the message in what is covered: length and octets of associated data. */
static void fuzz_pieces_mend(bool we_initiate, struct bytes associated, uint8_t *token, size_t len)
{
	uint8_t covered[8 + FUZZ_INPUT_MAX];
	uint64_t associated_len = htobe64(associated.len);
	size_t covered_len = 0, body_len = len - MECH_TOKEN_OVERHEAD_BYTES;

	if (associated.len != 0) {
		memcpy(covered, &associated_len, 8);
		memcpy(covered + 8, associated.data, associated.len);
		covered_len = 8 + associated.len;
	}
	memcpy(covered + covered_len, token + MECH_TOKEN_HEADER_BYTES, body_len);
	fuzz_tag_mend(we_initiate, token, len, BYTES(covered, covered_len + body_len));
}

static enum err fuzz_open_pieces(struct mech_protect *protect, struct bytes associated,
	size_t border, uint8_t *token, size_t len, struct bytes *ret_message)
{
	struct bytes header, tag;
	struct fuzz_pieces list = { .items = { { .in = associated.data, .len = associated.len } } };
	struct crypto_pieces pieces = { &list, 3, fuzz_piece };
	bool was_sealed = false;
	uint8_t *at;

	if (mech_protect_split(BYTES(token, len), &header, ret_message, &tag) != ERR_OK)
		return ERR_MESSAGE_TOKEN;
	at = token + header.len;
	border = border > ret_message->len ? ret_message->len : border;
	list.items[1] = (struct crypto_piece){ at, at, border, true };
	list.items[2] =
		(struct crypto_piece){ at + border, at + border, ret_message->len - border, true };
	return mech_protect_unwrap_pieces(
		protect, &pieces, header, tag.len != 0 ? tag.data : NULL, &was_sealed);
}

/* Without associated data both ways must give the same; with it one run must give nothing. */
static void fuzz_pieces(uint8_t mode, struct bytes input)
{
	struct mech_protect *in_pieces = fuzz_protect_new((mode & 1) != 0);
	struct mech_protect *in_run = fuzz_protect_new((mode & 1) != 0);
	uint8_t token[FUZZ_INPUT_MAX], *plain = NULL;
	struct bytes associated, rest, message = BYTES_NONE;
	enum err of_pieces, of_run;
	bool was_sealed = false;
	size_t border, len = 0;
	struct reader r;

	reader_init(&r, input);
	len = reader_get_u8(&r);
	border = reader_get_u8(&r);
	associated = reader_get_bytes(&r, len);
	rest = reader_get_rest(&r);
	if (reader_status(&r) != ERR_OK || rest.len < MECH_TOKEN_OVERHEAD_BYTES)
		goto out;
	memcpy(token, rest.data, rest.len);
	if ((mode & 4) != 0)
		fuzz_pieces_mend((mode & 1) != 0, associated, token, rest.len);
	of_run = mech_protect_unwrap(in_run, BYTES(token, rest.len), &plain, &len, &was_sealed);
	of_pieces = fuzz_open_pieces(in_pieces, associated, border, token, rest.len, &message);
	if (associated.len == 0 && of_run != of_pieces)
		abort();
	if (associated.len != 0 && plain != NULL && of_pieces != ERR_MESSAGE_MIC)
		abort();
	if (associated.len == 0 && plain != NULL && !bytes_equal(message, BYTES(plain, len)))
		abort();
out:
	free(plain);
	mech_protect_free(&in_pieces);
	mech_protect_free(&in_run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes message = BYTES((const uint8_t *)FUZZ_MESSAGE, sizeof(FUZZ_MESSAGE) - 1);
	uint8_t token[FUZZ_INPUT_MAX];
	struct mech_protect *protect;
	bool we_initiate, verifies;
	size_t len;

	if (size < 1 || size - 1 > sizeof(token))
		return 0;
	if ((data[0] & FUZZ_MODE_SERIES) != 0) {
		fuzz_series(BYTES(data + 1, size - 1));
		return 0;
	}
	if ((data[0] & FUZZ_MODE_PIECES) != 0) {
		fuzz_pieces(data[0], BYTES(data + 1, size - 1));
		return 0;
	}
	len = size - 1;
	memcpy(token, data + 1, len);
	we_initiate = (data[0] & 1) != 0;
	verifies = (data[0] & 2) != 0;
	if ((data[0] & 4) != 0 && len >= MECH_TOKEN_OVERHEAD_BYTES)
		fuzz_tag_mend(we_initiate, token, len,
			verifies ? message
				 : BYTES(token + MECH_TOKEN_HEADER_BYTES,
					   len - MECH_TOKEN_OVERHEAD_BYTES));
	protect = fuzz_protect_new(we_initiate);
	if (verifies)
		fuzz_verify(protect, message, BYTES(token, len));
	else
		fuzz_unwrap(protect, BYTES(token, len));
	mech_protect_free(&protect);
	return 0;
}
