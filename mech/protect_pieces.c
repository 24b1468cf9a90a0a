/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message tokens over messages in pieces (doc/protocol.md section 7), in place: no octet of a
 * message is copied and nothing is allocated.  The pieces may be anywhere in memory.
 */
#include "mech/protect_state.h"

#include <endian.h>
#include <string.h>

#define PIECES_COVER_BYTES (MECH_TOKEN_HEADER_BYTES + 8)

/* What counts before the pieces: the header and, where the program has associated data of its own,
 * how much; or that could change place with a message that is not sealed. */
static struct bytes pieces_cover(const uint8_t header[MECH_TOKEN_HEADER_BYTES],
	size_t associated_len, uint8_t cover[PIECES_COVER_BYTES])
{
	uint64_t len_be = htobe64(associated_len);

	memcpy(cover, header, MECH_TOKEN_HEADER_BYTES);
	memcpy(cover + MECH_TOKEN_HEADER_BYTES, &len_be, sizeof(len_be));
	return BYTES(cover, associated_len != 0 ? PIECES_COVER_BYTES : MECH_TOKEN_HEADER_BYTES);
}

enum err mech_protect_wrap_pieces(struct mech_protect *protect, bool seal,
	const struct crypto_pieces *pieces, uint8_t *ret_header, uint8_t *ret_tag)
{
	size_t associated_len = crypto_pieces_bytes(pieces, false);
	uint8_t nonce[CRYPTO_NONCE_BYTES], cover[PIECES_COVER_BYTES];
	uint8_t flags = seal ? PROTECT_FLAG_SEALED : 0;
	enum err err;

	if (associated_len != 0)
		flags |= PROTECT_FLAG_ASSOCIATED;
	if (ret_tag == NULL)
		flags |= PROTECT_FLAG_TAG_FIRST;
	err = protect_send_begin(protect, PROTECT_ID_WRAP, flags, ret_header, nonce);
	if (err != ERR_OK)
		return err;
	return crypto_aead_seal_pieces(protect->sender.key.cipher, nonce,
		pieces_cover(ret_header, associated_len, cover), pieces, seal,
		ret_tag != NULL ? ret_tag : ret_header + MECH_TOKEN_HEADER_BYTES);
}

enum err mech_protect_unwrap_pieces(struct mech_protect *protect,
	const struct crypto_pieces *pieces, struct bytes header, const uint8_t *tag,
	bool *ret_was_sealed)
{
	size_t associated_len = crypto_pieces_bytes(pieces, false);
	struct protect_content content = { .pieces = pieces };
	bool is_tag_first = tag == NULL;
	uint8_t cover[PIECES_COVER_BYTES];
	enum err err, status = ERR_OK;
	struct protect_token token;

	if (header.len != (is_tag_first ? MECH_TOKEN_OVERHEAD_BYTES : MECH_TOKEN_HEADER_BYTES))
		return ERR_MESSAGE_TOKEN;
	err = protect_header_take(protect, PROTECT_ID_WRAP, header.data, &token);
	if (err != ERR_OK)
		return err;
	if (((token.flags & PROTECT_FLAG_TAG_FIRST) != 0) != is_tag_first)
		return ERR_MESSAGE_TOKEN;
	if (((token.flags & PROTECT_FLAG_ASSOCIATED) != 0) != (associated_len != 0))
		return ERR_MESSAGE_MIC;
	token.tag = is_tag_first ? header.data + MECH_TOKEN_HEADER_BYTES : tag;
	content.aad = pieces_cover(header.data, associated_len, cover);
	err = protect_receive(protect, &token, &content, &status);
	if (err != ERR_OK)
		return err;
	*ret_was_sealed = (token.flags & PROTECT_FLAG_SEALED) != 0;
	return status;
}

enum err mech_protect_split(struct bytes token, struct bytes *ret_header, struct bytes *ret_message,
	struct bytes *ret_tag)
{
	size_t header_len = MECH_TOKEN_HEADER_BYTES, tag_len = CRYPTO_TAG_BYTES, message_len;

	if (token.len < MECH_TOKEN_OVERHEAD_BYTES)
		return ERR_MESSAGE_TOKEN;
	/* the flags are the fourth octet */
	if ((token.data[3] & PROTECT_FLAG_TAG_FIRST) != 0) {
		header_len += CRYPTO_TAG_BYTES;
		tag_len = 0;
	}
	message_len = token.len - MECH_TOKEN_OVERHEAD_BYTES;
	*ret_header = BYTES(token.data, header_len);
	*ret_message = BYTES(token.data + header_len, message_len);
	*ret_tag =
		tag_len == 0 ? BYTES_NONE : BYTES(token.data + header_len + message_len, tag_len);
	return ERR_OK;
}

enum err mech_protect_mic_pieces(struct mech_protect *protect, const struct crypto_pieces *pieces,
	uint8_t ret_token[MECH_TOKEN_OVERHEAD_BYTES])
{
	uint8_t nonce[CRYPTO_NONCE_BYTES];
	enum err err = protect_send_begin(protect, PROTECT_ID_MIC, 0, ret_token, nonce);

	if (err != ERR_OK)
		return err;
	return crypto_aead_seal_pieces(protect->sender.key.cipher, nonce,
		BYTES(ret_token, MECH_TOKEN_HEADER_BYTES), pieces, false,
		ret_token + MECH_TOKEN_HEADER_BYTES);
}

enum err mech_protect_verify_pieces(
	struct mech_protect *protect, const struct crypto_pieces *pieces, struct bytes input)
{
	struct protect_content content = { .pieces = pieces };
	enum err err, status = ERR_OK;
	struct protect_token token;

	if (input.len != MECH_TOKEN_OVERHEAD_BYTES)
		return ERR_MESSAGE_TOKEN;
	err = protect_header_take(protect, PROTECT_ID_MIC, input.data, &token);
	if (err != ERR_OK)
		return err;
	token.tag = input.data + MECH_TOKEN_HEADER_BYTES;
	content.aad = token.header;
	err = protect_receive(protect, &token, &content, &status);
	return err != ERR_OK ? err : status;
}
