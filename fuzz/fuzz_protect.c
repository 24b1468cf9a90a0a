/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message tokens from a peer, under fixed keys.  The first octet says as what the rest is read:
 * bit 0 the role, bit 1 unwrap or verify, bit 2 whether the last 16 octets are replaced by the right
 * tag, so that what lies behind verification is reached too.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mech/protect_state.h"

#define FUZZ_MESSAGE "message"
#define FUZZ_INPUT_MAX 4096

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes message = BYTES((const uint8_t *)FUZZ_MESSAGE, sizeof(FUZZ_MESSAGE) - 1);
	uint8_t token[FUZZ_INPUT_MAX];
	struct mech_protect *protect;
	bool we_initiate, verifies;
	size_t len;

	if (size < 1 || size - 1 > sizeof(token))
		return 0;
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
