/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GSS_Pseudo_random (RFC 4401; doc/protocol.md section 8): a key of its own for each kind, from SK_d
 * and all four messages, then counted blocks, of which there may be more than prf+ has.
 */
#include <endian.h>
#include <string.h>

#include "mech/context.h"
#include "mech/protect_state.h"

static const struct {
	const char *label;
	size_t len;
} pseudo_random_labels[] = {
#define LABEL(text)                    \
	{                              \
		text, sizeof(text) - 1 \
	}
	[MECH_PRF_FULL] = LABEL("\0gss-ipsec prf full"),
	[MECH_PRF_PARTIAL] = LABEL("\0gss-ipsec prf partial"),
#undef LABEL
};

/* prf(SK_d, label | unique) */
static enum err pseudo_random_key(const struct mech_context *context, enum mech_prf_key kind,
	uint8_t ret_key[CRYPTO_PRF_OUTPUT_MAX])
{
	struct bytes parts[] = {
		BYTES((const uint8_t *)pseudo_random_labels[kind].label,
			pseudo_random_labels[kind].len),
		BYTES_OF(context->unique),
	};

	return crypto_prf_compute(
		context->protect->prf, secret_key_view(&context->protect->sk_d), parts, 2, ret_key);
}

enum err mech_context_pseudo_random(const struct mech_context *context, enum mech_prf_key kind,
	struct bytes input, uint8_t *ret_output, size_t len)
{
	uint8_t key[CRYPTO_PRF_OUTPUT_MAX], block[CRYPTO_PRF_OUTPUT_MAX];
	const struct crypto_prf *prf;
	uint32_t number_be;
	struct bytes parts[] = { BYTES((const uint8_t *)&number_be, sizeof(number_be)), input };
	size_t done = 0;
	enum err err;

	if (context->state != MECH_STATE_OPEN)
		return ERR_NO_CONTEXT;
	/* RFC 4401 2: at least one octet of each. */
	if (input.len == 0 || len == 0)
		return ERR_PRF_LENGTH;
	if (len > MECH_PRF_BYTES_MAX)
		return ERR_PRF_LENGTH;
	prf = context->protect->prf;
	err = pseudo_random_key(context, kind, key);
	for (uint32_t number = 0; err == ERR_OK && done < len; number++) {
		size_t part = len - done < prf->output_bytes ? len - done : prf->output_bytes;

		number_be = htobe32(number);
		err = crypto_prf_compute(prf, BYTES(key, prf->output_bytes), parts, 2, block);
		if (err == ERR_OK)
			memcpy(ret_output + done, block, part);
		done += part;
	}
	if (err != ERR_OK)
		secret_wipe(ret_output, len);
	secret_wipe(key, sizeof(key));
	secret_wipe(block, sizeof(block));
	return err;
}
