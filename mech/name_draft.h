/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internal to the names (name.c): the canonical form of a name's parts, as a value on the stack.
 * Each function fills all of *draft or gives ERR_NAME_FORMAT; what is taken stands in mech/mech.h
 * at mech_name_import.
 */
#ifndef MECH_NAME_DRAFT_H
#define MECH_NAME_DRAFT_H

#include <string.h>

#include "mech/mech.h"

#define MECH_ANONYMOUS_TEXT "anonymous"

struct mech_draft {
	enum mech_name_kind kind;
	size_t len, service_len; /* of text and of the service at its beginning (HOSTBASED) */
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* KEY */
	char text[MECH_NAME_BYTES_MAX + 1];  /* the display text */
};

enum err mech_draft_host(
	struct bytes service, struct bytes host, struct mech_draft *draft) ERR_MUST_CHECK;
/* ERR_NAME_NO_DOMAIN without '@' and default_domain. */
enum err mech_draft_user(
	struct bytes text, const char *default_domain, struct mech_draft *draft) ERR_MUST_CHECK;
enum err mech_draft_digest(struct bytes digest, struct mech_draft *draft) ERR_MUST_CHECK;
/* "SHA256:" and base64. */
enum err mech_draft_key(struct bytes text, struct mech_draft *draft) ERR_MUST_CHECK;
enum err mech_draft_anonymous(struct mech_draft *draft) ERR_MUST_CHECK;
/* Whether text begins like a key's name, in any case of letters. */
bool mech_draft_has_key_prefix(struct bytes text);

static inline struct bytes mech_text_bytes(const char *text)
{
	return BYTES((const uint8_t *)text, text == NULL ? 0 : strlen(text));
}

/* The part of text from offset on. */
static inline struct bytes mech_bytes_from(struct bytes text, size_t offset)
{
	return BYTES(text.data + offset, text.len - offset);
}

static inline struct bytes mech_bytes_until(struct bytes text, size_t len)
{
	return BYTES(text.data, len);
}

/* Where the octet stands first, or text.len. */
static inline size_t mech_bytes_find(struct bytes text, uint8_t octet)
{
	size_t i = 0;

	while (i < text.len && text.data[i] != octet)
		i++;
	return i;
}

#endif
