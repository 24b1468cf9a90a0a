/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interprocess tokens of contexts.  The first octet says as what the rest is read: bit 0 clear, as it
 * is; set, its last 32 octets are replaced by the right check, so that what lies behind it is reached
 * too.  What is taken must come out of an export as it does of the next (names may have octets behind
 * their last field, which are left out), and two imports must never send under one instance.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/context.h"
#include "mech/protect_state.h"

#define FUZZ_LABEL "\0gss-ipsec context"
#define FUZZ_CHECK_BYTES 32
#define FUZZ_TUPLE_BYTES 50

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* SK_d and the PRF, where doc/protocol.md 7.1 has them. */
static struct bytes fuzz_key_find(struct bytes body, const struct crypto_prf **ret_prf)
{
	struct reader r;

	reader_init(&r, body);
	reader_skip(&r, 6);
	if (reader_get_u8(&r) == IPSEC_LATCH_LATCHED)
		reader_skip(&r, FUZZ_TUPLE_BYTES);
	(void)reader_get_counted16(&r);
	(void)reader_get_counted16(&r);
	reader_skip(&r, 32);
	(void)reader_get_counted8(&r);
	*ret_prf = crypto_prf_find(reader_get_u16(&r));
	reader_skip(&r, 4);
	return reader_get_counted8(&r);
}

static void fuzz_mend(uint8_t *token, size_t len)
{
	struct bytes body = BYTES(token, len - FUZZ_CHECK_BYTES);
	struct bytes parts[] = { BYTES((const uint8_t *)FUZZ_LABEL, sizeof(FUZZ_LABEL) - 1), body };
	uint8_t output[CRYPTO_PRF_OUTPUT_MAX];
	const struct crypto_prf *prf;
	struct bytes key = fuzz_key_find(body, &prf);

	if (prf == NULL || crypto_prf_compute(prf, key, parts, 2, output) != ERR_OK)
		return;
	memcpy(token + body.len, output, FUZZ_CHECK_BYTES);
}

static uint64_t fuzz_instance(struct mech_context *context)
{
	uint8_t *token = NULL;
	uint64_t instance;
	size_t len = 0;

	if (mech_protect_mic(mech_context_protect(context), BYTES_NONE, &token, &len) != ERR_OK)
		abort();
	memcpy(&instance, token + 4, sizeof(instance));
	free(token);
	return instance;
}

static void fuzz_export(const struct mech_context *context, struct writer *w)
{
	writer_init(w, MECH_CONTEXT_TOKEN_BYTES_MAX);
	if (mech_context_export(context, w) != ERR_OK)
		abort();
}

static void fuzz_import(struct bytes token)
{
	struct mech_context *context = NULL, *twin = NULL;
	struct writer once, twice;
	enum err err = mech_context_import(token, &kbind_ops_broker, &context);

	if ((err == ERR_OK) != (context != NULL))
		abort();
	if (err != ERR_OK)
		return;
	fuzz_export(context, &once);
	if (mech_context_import(writer_view(&once), &kbind_ops_broker, &twin) != ERR_OK)
		abort();
	fuzz_export(twin, &twice);
	if (!bytes_equal(writer_view(&once), writer_view(&twice)) || writer_len(&once) > token.len)
		abort();
	if (fuzz_instance(context) == fuzz_instance(twin))
		abort();
	writer_free(&once);
	writer_free(&twice);
	mech_context_free(&context);
	mech_context_free(&twin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t token[MECH_CONTEXT_TOKEN_BYTES_MAX + 1];

	if (size < 1 || size - 1 > sizeof(token))
		return 0;
	memcpy(token, data + 1, size - 1);
	if ((data[0] & 1) != 0 && size - 1 >= FUZZ_CHECK_BYTES)
		fuzz_mend(token, size - 1);
	fuzz_import(BYTES(token, size - 1));
	return 0;
}
