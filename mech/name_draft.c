/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a name may hold, and its canonical form.  Rules: mech/mech.h at mech_name_import.  Two
 * texts that would look alike on a terminal must not be two names, so what does not show, or
 * changes how others show, is refused.
 */
#include "mech/name_draft.h"

#include <strings.h>

#include "mech/base64.h"

#define SERVICE_BYTES_MAX 64
#define LABEL_BYTES_MAX 63 /* RFC 1035 2.3.4 */
#define KEY_PREFIX "SHA256:"
#define KEY_PREFIX_BYTES (sizeof(KEY_PREFIX) - 1)

static uint8_t lower(uint8_t octet)
{
	return octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet - 'A' + 'a') : octet;
}

static bool is_alphanumeric(uint8_t octet)
{
	return (lower(octet) >= 'a' && lower(octet) <= 'z') || (octet >= '0' && octet <= '9');
}

/* --- drafts: from parts to canonical text --- */

static enum err draft_put(struct mech_draft *draft, struct bytes text)
{
	if (text.len > MECH_NAME_BYTES_MAX - draft->len)
		return ERR_NAME_FORMAT;
	if (text.len > 0)
		memcpy(draft->text + draft->len, text.data, text.len);
	draft->len += text.len;
	draft->text[draft->len] = '\0';
	return ERR_OK;
}

static void draft_lower(struct mech_draft *draft, size_t from)
{
	for (size_t i = from; i < draft->len; i++)
		draft->text[i] = (char)lower((uint8_t)draft->text[i]);
}

static bool service_is_valid(struct bytes service)
{
	for (size_t i = 0; i < service.len; i++) {
		uint8_t octet = service.data[i];

		if (!is_alphanumeric(octet) && octet != '.' && octet != '_' && octet != '-')
			return false;
	}
	return service.len <= SERVICE_BYTES_MAX;
}

/* Labels of letters, digits, '-' and '_'; a '-' neither first (it would look like an option)
 * nor last. */
static bool host_is_valid(struct bytes host)
{
	size_t label = 0;

	for (size_t i = 0; i <= host.len; i++) {
		if (i == host.len || host.data[i] == '.') {
			if (label == 0 || label > LABEL_BYTES_MAX || host.data[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!is_alphanumeric(host.data[i]) && host.data[i] != '_' &&
			!(host.data[i] == '-' && label > 0))
			return false;
		label++;
	}
	return true;
}

enum err mech_draft_host(struct bytes service, struct bytes host, struct mech_draft *draft)
{
	enum err err;

	*draft = (struct mech_draft){ .kind = MECH_NAME_HOSTBASED, .service_len = service.len };
	if (host.len > 1 && host.data[host.len - 1] == '.')
		host.len--;
	if (service.len + host.len == 0 || !service_is_valid(service) ||
		(host.len > 0 && !host_is_valid(host)))
		return ERR_NAME_FORMAT;
	err = draft_put(draft, service);
	if (err == ERR_OK)
		err = draft_put(draft, BYTES((const uint8_t *)"/", 1));
	if (err == ERR_OK)
		err = draft_put(draft, host);
	draft_lower(draft, service.len);
	return err;
}

/* Octets that follow the first one of a UTF-8 sequence and the first code point of that length
 * (RFC 3629). */
static const struct utf8_form {
	uint8_t mask, value, following;
	uint32_t first;
} utf8_forms[] = {
	{ 0x80, 0x00, 0, 0 },
	{ 0xe0, 0xc0, 1, 0x80 },
	{ 0xf0, 0xe0, 2, 0x800 },
	{ 0xf8, 0xf0, 3, 0x10000 },
};

/* Takes one code point off the text; false when that is no UTF-8. */
static bool take_code_point(struct bytes *text, uint32_t *ret_point)
{
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
		const struct utf8_form *form = &utf8_forms[i];
		uint32_t point = text->data[0] & (uint8_t)~form->mask;

		if ((text->data[0] & form->mask) != form->value)
			continue;
		if (text->len <= form->following)
			return false;
		for (size_t k = 1; k <= form->following; k++) {
			if ((text->data[k] & 0xc0) != 0x80)
				return false;
			point = point << 6 | (text->data[k] & 0x3f);
		}
		*text = mech_bytes_from(*text, form->following + 1u);
		*ret_point = point;
		return point >= form->first && point <= 0x10ffff;
	}
	return false;
}

/* Code points that show as nothing, as a blank, or change how others show; surrogates; and '/'. */
static const struct {
	uint32_t first, last;
} refused_points[] = {
	{ 0x00, 0x20 },
	{ '/', '/' },
	{ 0x7f, 0xa0 },
	{ 0xad, 0xad },
	{ 0x034f, 0x034f },
	{ 0x061c, 0x061c },
	{ 0x115f, 0x1160 },
	{ 0x1680, 0x1680 },
	{ 0x17b4, 0x17b5 },
	{ 0x180b, 0x180f },
	{ 0x2000, 0x200f },
	{ 0x2028, 0x202f },
	{ 0x205f, 0x206f },
	{ 0x2800, 0x2800 },
	{ 0x3000, 0x3000 },
	{ 0x3164, 0x3164 },
	{ 0xd800, 0xdfff },
	{ 0xfe00, 0xfe0f },
	{ 0xfeff, 0xfeff },
	{ 0xffa0, 0xffa0 },
	{ 0xfff0, 0xffff },
	{ 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },
};

static bool user_is_printable(struct bytes text)
{
	uint32_t point;

	while (text.len > 0) {
		if (!take_code_point(&text, &point))
			return false;
		for (size_t i = 0; i < sizeof(refused_points) / sizeof(refused_points[0]); i++) {
			if (point >= refused_points[i].first && point <= refused_points[i].last)
				return false;
		}
	}
	return true;
}

bool mech_draft_has_key_prefix(struct bytes text)
{
	return text.len >= KEY_PREFIX_BYTES &&
	       strncasecmp((const char *)text.data, KEY_PREFIX, KEY_PREFIX_BYTES) == 0;
}

enum err mech_draft_user(struct bytes text, const char *default_domain, struct mech_draft *draft)
{
	struct bytes domain = mech_text_bytes(default_domain);
	size_t at = mech_bytes_find(text, '@');
	enum err err;

	*draft = (struct mech_draft){ .kind = MECH_NAME_USER };
	if (at == 0 || mech_draft_has_key_prefix(text) || !user_is_printable(text))
		return ERR_NAME_FORMAT;
	if (at == text.len && domain.len == 0)
		return ERR_NAME_NO_DOMAIN;
	if (at < text.len)
		domain = mech_bytes_from(text, at + 1);
	if (domain.len == 0 || mech_bytes_find(domain, '@') < domain.len ||
		!user_is_printable(domain))
		return ERR_NAME_FORMAT;
	err = draft_put(draft, mech_bytes_until(text, at));
	if (err == ERR_OK)
		err = draft_put(draft, BYTES((const uint8_t *)"@", 1));
	if (err == ERR_OK)
		err = draft_put(draft, domain);
	draft_lower(draft, at);
	return err;
}

enum err mech_draft_digest(struct bytes digest, struct mech_draft *draft)
{
	*draft = (struct mech_draft){ .kind = MECH_NAME_KEY,
		.len = KEY_PREFIX_BYTES + MECH_BASE64_DIGITS(CRYPTO_SHA256_BYTES) };
	if (digest.len != CRYPTO_SHA256_BYTES)
		return ERR_NAME_FORMAT;
	memcpy(draft->digest, digest.data, CRYPTO_SHA256_BYTES);
	memcpy(draft->text, KEY_PREFIX, KEY_PREFIX_BYTES);
	mech_base64_write(digest, draft->text + KEY_PREFIX_BYTES);
	return ERR_OK;
}

enum err mech_draft_key(struct bytes text, struct mech_draft *draft)
{
	struct writer digest;
	enum err err = ERR_NAME_FORMAT;

	if (!mech_draft_has_key_prefix(text) ||
		strncmp((const char *)text.data, KEY_PREFIX, KEY_PREFIX_BYTES) != 0)
		return err;
	writer_init(&digest, CRYPTO_SHA256_BYTES);
	err = mech_base64_read(mech_bytes_from(text, KEY_PREFIX_BYTES), &digest);
	if (err == ERR_OK)
		err = mech_draft_digest(writer_view(&digest), draft);
	writer_free(&digest);
	return err == ERR_TOO_LARGE ? ERR_NAME_FORMAT : err;
}

enum err mech_draft_anonymous(struct mech_draft *draft)
{
	*draft = (struct mech_draft){ .kind = MECH_NAME_ANONYMOUS };
	return draft_put(draft, mech_text_bytes(MECH_ANONYMOUS_TEXT));
}
