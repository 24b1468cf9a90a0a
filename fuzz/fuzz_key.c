/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Public keys and signature algorithms as a peer sends them, and private keys as a file has them.
 * What is taken has one form only: a public key that is read is the whole input.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/base64.h"
#include "mech/crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KEY_BYTES_MAX 4096
#define PEM_BEGIN "-----BEGIN PRIVATE KEY-----\n"
#define PEM_END "\n-----END PRIVATE KEY-----\n"
#define PEM_LINE 64

static void put_text(struct writer *w, const char *text)
{
	writer_put_bytes(w, BYTES((const uint8_t *)text, strlen(text)));
}

/* Nothing signs what nobody signed. */
static void fuzz_public_key(struct bytes spki)
{
	static const uint8_t message[] = "message", neutral[64] = { 1 };
	struct bytes part = BYTES_OF(message);
	const struct crypto_key_kind *kind = crypto_spki_kind(spki);

	if ((kind != NULL) != (crypto_spki_check(spki) == ERR_OK))
		abort();
	for (size_t i = 0; i < crypto_signature_count(); i++)
		if (crypto_verify(spki, crypto_signature_at(i), &part, 1, part) == ERR_OK ||
			crypto_verify(spki, crypto_signature_at(i), &part, 1, BYTES_OF(neutral)) ==
				ERR_OK)
			abort();
	if (kind != NULL && crypto_spki_check(BYTES(spki.data, spki.len - 1)) == ERR_OK)
		abort();
}

static void fuzz_algorithm(struct bytes algorithm)
{
	const struct crypto_signature *found = crypto_signature_find(algorithm);

	if (found != NULL && crypto_signature_find(found->algorithm) != found)
		abort();
}

static void fuzz_private_key(struct bytes der)
{
	struct crypto_private_key *key = NULL;
	char base64[MECH_BASE64_DIGITS(KEY_BYTES_MAX) + 4];
	size_t digits = MECH_BASE64_DIGITS(der.len);
	struct writer w;

	mech_base64_write(der, base64);
	while (digits % 4 != 0)
		base64[digits++] = '=';
	writer_init(&w, (size_t)1 << 16);
	put_text(&w, PEM_BEGIN);
	for (size_t at = 0; at < digits; at += PEM_LINE) {
		if (at > 0)
			writer_put_u8(&w, '\n');
		writer_put_bytes(&w, BYTES((const uint8_t *)base64 + at,
					     digits - at < PEM_LINE ? digits - at : PEM_LINE));
	}
	put_text(&w, PEM_END);
	if (crypto_private_key_read(writer_view(&w), &key) == ERR_OK &&
		crypto_spki_kind(crypto_private_key_spki(key)) != crypto_private_key_kind(key))
		abort();
	crypto_private_key_free(&key);
	writer_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *exact;

	if (size == 0 || size > KEY_BYTES_MAX)
		return 0;
	/* Taken out, so that reading past the end is seen. */
	exact = malloc(size);
	if (exact == NULL)
		abort();
	memcpy(exact, data, size);
	fuzz_public_key(BYTES(exact, size));
	fuzz_algorithm(BYTES(exact, size));
	fuzz_private_key(BYTES(exact, size));
	free(exact);
	return 0;
}
