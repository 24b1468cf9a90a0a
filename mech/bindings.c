/* SPDX-License-Identifier: BSD-2-Clause */
/* The caller's channel bindings: their hash (RFC 4121 4.1.1.2) and its comparison. */
#include <string.h>

#include "mech/context.h"

static void bindings_put_u32_little(struct writer *w, uint32_t value)
{
	for (unsigned int shift = 0; shift < 32; shift += 8)
		writer_put_u8(w, (uint8_t)(value >> shift));
}

static void bindings_put_field(struct writer *w, struct bytes value)
{
	if (value.len > UINT32_MAX) {
		writer_fail(w, ERR_TOO_LARGE);
		return;
	}
	bindings_put_u32_little(w, (uint32_t)value.len);
	writer_put_bytes(w, value);
}

/* SHA-256 over the encoding of RFC 4121 4.1.1.2. */
static enum err bindings_hash(
	const struct mech_bindings *bindings, uint8_t ret_hash[CRYPTO_SHA256_BYTES])
{
	struct writer w;
	struct bytes all;
	enum err err;

	writer_init(&w, SIZE_MAX / 2);
	/* RFC 4121 4.1.1.2: all integers little-endian, in the order of the structure. */
	bindings_put_u32_little(&w, bindings->initiator_type);
	bindings_put_field(&w, bindings->initiator_address);
	bindings_put_u32_little(&w, bindings->acceptor_type);
	bindings_put_field(&w, bindings->acceptor_address);
	bindings_put_field(&w, bindings->application_data);
	err = writer_status(&w);
	if (err != ERR_OK)
		goto out;
	all = writer_view(&w);
	err = crypto_sha256(&all, 1, ret_hash);
out:
	writer_free(&w);
	return err;
}

enum err mech_bindings_put(const struct mech_bindings *bindings, struct ike_context *notify)
{
	notify->bindings_len = 0;
	if (bindings == NULL || !bindings->present)
		return ERR_OK;
	notify->bindings_len = CRYPTO_SHA256_BYTES;
	return bindings_hash(bindings, notify->bindings);
}

enum err mech_bindings_compare(
	const struct mech_bindings *bindings, const struct ike_context *notify, bool *ret_bound)
{
	uint8_t own[CRYPTO_SHA256_BYTES];
	enum err err;

	/* RFC 4121 4.1.1: one side without bindings is no mismatch; the flag tells. */
	if (bindings == NULL || !bindings->present || notify->bindings_len == 0) {
		*ret_bound = false;
		return ERR_OK;
	}
	err = bindings_hash(bindings, own);
	if (err != ERR_OK)
		return err;
	if (!secret_equal(BYTES_OF(own), BYTES(notify->bindings, notify->bindings_len)))
		return ERR_BINDINGS;
	*ret_bound = true;
	return ERR_OK;
}
