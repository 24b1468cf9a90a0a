/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys in OpenSSH's forms, public and private; the private parts live in buffers that wipe themselves. */
#include "tools/ssh_key.h"

#include <string.h>

#include "base/secret.h"
#include "mech/base64.h"

#define SSH_BLOB_BYTES_MAX 16384
#define SSH_PRIVATE_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define SSH_PRIVATE_END "-----END OPENSSH PRIVATE KEY-----"
#define SSH_ED25519_PRIVATE_BYTES 64 /* the seed, then the public key */
#define SSH_PADDING_BLOCK 8
#define CURVE_BYTES_MAX 48
#define DER_SEQUENCE 0x30
#define DER_BIT_STRING 0x03
#define DER_SHORT_MAX 127

struct ssh_kind {
	const char *type, *curve; /* RFC 8709 4; RFC 5656 3.1, 10.1 */
	const char *word;	  /* ours; NULL: known, but not taken */
};

/* clang-format off */
static const struct ssh_kind ssh_kinds[] = {
	{ "ssh-ed25519",         NULL,       "ed25519" },
	{ "ecdsa-sha2-nistp256", "nistp256", "ecdsa-p256" },
	{ "ecdsa-sha2-nistp384", "nistp384", "ecdsa-p384" },
	{ "ecdsa-sha2-nistp521", "nistp521", NULL },
};
/* clang-format on */

bool ssh_text_is(struct bytes value, const char *text)
{
	return bytes_equal(value, BYTES((const uint8_t *)text, strlen(text)));
}

static const struct ssh_kind *ssh_kind_find(struct bytes type)
{
	for (size_t i = 0; i < sizeof(ssh_kinds) / sizeof(ssh_kinds[0]); i++)
		if (ssh_text_is(type, ssh_kinds[i].type))
			return &ssh_kinds[i];
	return NULL;
}

/* A type that can be ours, or why not. */
static enum err ssh_kind_check(struct bytes type, const struct ssh_kind **ret_kind)
{
	const struct ssh_kind *kind = ssh_kind_find(type);

	if (kind == NULL)
		return type.len > 0 ? ERR_UNSUPPORTED : ERR_KEY_FORMAT;
	if (kind->word == NULL)
		return ERR_KEY_CURVE;
	*ret_kind = kind;
	return ERR_OK;
}

/* RFC 4251 5: string. */
static struct bytes string_get(struct reader *r)
{
	return reader_get_bytes(r, reader_get_u32(r));
}

/* --- public keys --- */

/* All the lengths here are short ones (X.690 8.1.3.4), or the kind is none of ours. */
static enum err spki_put(const char *word, struct bytes raw, struct writer *ret_spki)
{
	const struct crypto_key_kind *kind = crypto_key_kind_find(word);
	struct writer w;
	size_t bits = raw.len + 1, whole;
	enum err err;

	if (kind == NULL || raw.len != kind->public_bytes)
		return ERR_KEY_FORMAT;
	whole = 2 + kind->algorithm.len + 2 + bits;
	if (whole > DER_SHORT_MAX)
		return ERR_KEY_FORMAT;
	writer_init(&w, 2 + whole);
	writer_put_u8(&w, DER_SEQUENCE);
	writer_put_u8(&w, (uint8_t)whole);
	writer_put_u8(&w, DER_SEQUENCE);
	writer_put_counted8(&w, kind->algorithm);
	writer_put_u8(&w, DER_BIT_STRING);
	writer_put_u8(&w, (uint8_t)bits);
	writer_put_u8(&w, 0); /* unused bits */
	writer_put_bytes(&w, raw);
	err = writer_status(&w);
	if (err == ERR_OK)
		err = crypto_spki_check(writer_view(&w));
	if (err == ERR_OK) {
		writer_put_bytes(ret_spki, writer_view(&w));
		err = writer_status(ret_spki);
	}
	writer_free(&w);
	return err;
}

/* What follows the type: the curve's name, if the kind has one, and the key. */
static struct bytes public_get(struct reader *r, const struct ssh_kind *kind)
{
	if (kind->curve != NULL && !ssh_text_is(string_get(r), kind->curve))
		reader_fail(r, ERR_KEY_FORMAT);
	return string_get(r);
}

enum err ssh_public_read(struct bytes blob, struct writer *ret_spki)
{
	const struct ssh_kind *kind = NULL;
	struct bytes type, raw;
	struct reader r;
	enum err err;

	reader_init(&r, blob);
	type = string_get(&r);
	if (reader_status(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	err = ssh_kind_check(type, &kind);
	if (err != ERR_OK)
		return err;
	raw = public_get(&r, kind);
	if (reader_finish(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	return spki_put(kind->word, raw, ret_spki);
}

enum err ssh_public_text_read(struct bytes type, struct bytes base64, struct writer *ret_spki)
{
	struct reader r;
	struct writer blob;
	enum err err;

	writer_init(&blob, SSH_BLOB_BYTES_MAX);
	err = mech_base64_read(base64, &blob) == ERR_OK ? ERR_OK : ERR_KEY_FORMAT;
	reader_init(&r, writer_view(&blob));
	if (err == ERR_OK && !bytes_equal(string_get(&r), type))
		err = ERR_KEY_FORMAT;
	if (err == ERR_OK)
		err = ssh_public_read(writer_view(&blob), ret_spki);
	writer_free(&blob);
	return err;
}

static bool is_blank(uint8_t octet)
{
	return octet == ' ' || octet == '\t' || octet == '\r';
}

struct bytes ssh_field_next(struct bytes *line)
{
	struct bytes field;
	size_t begin = 0, end;

	while (begin < line->len && is_blank(line->data[begin]))
		begin++;
	end = begin;
	while (end < line->len && !is_blank(line->data[end]))
		end++;
	field = BYTES(line->data + begin, end - begin);
	*line = BYTES(line->data + end, line->len - end);
	return field;
}

static struct bytes without_line_ends(struct bytes text)
{
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	return text;
}

enum err ssh_public_file_read(struct bytes text, struct writer *ret_spki)
{
	struct bytes line = without_line_ends(text), type, base64;

	if (line.len == 0 || memchr(line.data, '\n', line.len) != NULL)
		return ERR_KEY_FORMAT;
	type = ssh_field_next(&line);
	base64 = ssh_field_next(&line);
	return ssh_public_text_read(type, base64, ret_spki);
}

/* --- private keys --- */

/* The base64 between the two lines, its line ends taken out. */
static enum err armour_read(struct bytes text, struct writer *ret_blob)
{
	const size_t begin = strlen(SSH_PRIVATE_BEGIN), end = strlen(SSH_PRIVATE_END);
	struct writer digits;
	enum err err = ERR_KEY_FORMAT;
	size_t i;

	text = without_line_ends(text);
	if (text.len < begin + end || !ssh_text_is(BYTES(text.data, begin), SSH_PRIVATE_BEGIN) ||
		!ssh_text_is(BYTES(text.data + text.len - end, end), SSH_PRIVATE_END))
		return ERR_KEY_FORMAT;
	text = BYTES(text.data + begin, text.len - begin - end);
	writer_init(&digits, text.len);
	for (i = 0; i < text.len; i++)
		if (text.data[i] != '\n' && text.data[i] != '\r')
			writer_put_u8(&digits, text.data[i]);
	if (writer_status(&digits) == ERR_OK &&
		mech_base64_read(writer_view(&digits), ret_blob) == ERR_OK)
		err = ERR_OK;
	writer_free(&digits);
	return err;
}

/* The outer part: one key, no passphrase.  Views into the blob. */
static enum err envelope_read(struct bytes blob, struct bytes *ret_public,
	struct bytes *ret_private, const char **ret_why)
{
	static const uint8_t magic[] = "openssh-key-v1"; /* with its NUL */
	struct bytes cipher, kdf, options;
	struct reader r;
	uint32_t count;

	reader_init(&r, blob);
	if (!bytes_equal(reader_get_bytes(&r, sizeof(magic)), BYTES_OF(magic)))
		return ERR_KEY_FORMAT;
	cipher = string_get(&r);
	kdf = string_get(&r);
	options = string_get(&r);
	count = reader_get_u32(&r);
	if (reader_status(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	if (!ssh_text_is(cipher, "none") || !ssh_text_is(kdf, "none")) {
		*ret_why = "it is encrypted with a passphrase; take that off a copy of it with "
			   "'ssh-keygen -p -f COPY'";
		return ERR_UNSUPPORTED;
	}
	*ret_public = string_get(&r);
	*ret_private = string_get(&r);
	if (options.len != 0 || count != 1 || reader_finish(&r) != ERR_OK)
		return ERR_KEY_FORMAT;
	return ERR_OK;
}

/* A positive mpint (RFC 4251 5) in exactly len octets. */
static bool number_read(struct bytes number, size_t len, uint8_t *ret_value)
{
	if (number.len > 0 && number.data[0] == 0)
		number = BYTES(number.data + 1, number.len - 1);
	else if (number.len > 0 && number.data[0] >= 0x80)
		return false;
	if (number.len == 0 || number.len > len)
		return false;
	for (size_t i = 0; i < len - number.len; i++)
		ret_value[i] = 0;
	memcpy(ret_value + len - number.len, number.data, number.len);
	return true;
}

/* 1, 2, 3, ... up to a whole block, and nothing else. */
static bool padding_is_right(struct reader *r, size_t section_bytes)
{
	struct bytes padding = reader_get_rest(r);

	if (section_bytes % SSH_PADDING_BLOCK != 0 || padding.len >= SSH_PADDING_BLOCK)
		return false;
	for (size_t i = 0; i < padding.len; i++)
		if (padding.data[i] != i + 1)
			return false;
	return true;
}

/* The inner part: the private value, into raw with its length. */
static enum err section_read(struct bytes section, const struct ssh_kind **ret_kind,
	struct secret_key *ret_raw, struct bytes *ret_public)
{
	struct bytes private_value;
	uint32_t first_check;
	struct reader r;
	enum err err;

	reader_init(&r, section);
	first_check = reader_get_u32(&r);
	if (first_check != reader_get_u32(&r))
		return ERR_KEY_FORMAT;
	err = ssh_kind_check(string_get(&r), ret_kind);
	if (err != ERR_OK)
		return err;
	*ret_public = public_get(&r, *ret_kind);
	private_value = string_get(&r);
	(void)string_get(&r); /* comment */
	if (reader_status(&r) != ERR_OK || !padding_is_right(&r, section.len))
		return ERR_KEY_FORMAT;
	if ((*ret_kind)->curve == NULL) {
		if (private_value.len != SSH_ED25519_PRIVATE_BYTES)
			return ERR_KEY_FORMAT;
		ret_raw->len = SSH_ED25519_PRIVATE_BYTES / 2;
		memcpy(ret_raw->data, private_value.data, ret_raw->len);
		return ERR_OK;
	}
	ret_raw->len = ret_public->len / 2; /* the point is 4, x, y */
	if (ret_raw->len > CURVE_BYTES_MAX ||
		!number_read(private_value, ret_raw->len, ret_raw->data))
		return ERR_KEY_FORMAT;
	return ERR_OK;
}

/* The key, if it makes both the public halves that the file has. */
static enum err halves_join(const struct ssh_kind *kind, const struct secret_key *raw,
	struct bytes inner, struct bytes outer, struct crypto_private_key **ret_key)
{
	struct crypto_private_key *key = NULL;
	struct writer first, second;
	enum err err;

	writer_init(&first, SSH_BLOB_BYTES_MAX);
	writer_init(&second, SSH_BLOB_BYTES_MAX);
	err = spki_put(kind->word, inner, &first);
	if (err == ERR_OK)
		err = ssh_public_read(outer, &second);
	if (err == ERR_OK)
		err = crypto_private_key_of_raw(
			crypto_key_kind_find(kind->word), secret_key_view(raw), &key);
	if (err == ERR_CRYPTO || err == ERR_ARGUMENT)
		err = ERR_KEY_FORMAT;
	if (err == ERR_OK &&
		(!bytes_equal(writer_view(&first), writer_view(&second)) ||
			!bytes_equal(writer_view(&first), crypto_private_key_spki(key))))
		err = ERR_KEY_FORMAT;
	if (err == ERR_OK) {
		*ret_key = key;
		key = NULL;
	}
	crypto_private_key_free(&key);
	writer_free(&first);
	writer_free(&second);
	return err;
}

enum err ssh_private_read(
	struct bytes text, struct crypto_private_key **ret_key, const char **ret_why)
{
	struct bytes outer = BYTES_NONE, section = BYTES_NONE, inner = BYTES_NONE;
	const struct ssh_kind *kind = NULL;
	struct secret_key raw = { .len = 0 };
	const char *why = NULL;
	struct writer blob;
	enum err err;

	writer_init(&blob, SSH_BLOB_BYTES_MAX);
	err = armour_read(text, &blob);
	if (err == ERR_OK)
		err = envelope_read(writer_view(&blob), &outer, &section, &why);
	if (err == ERR_OK)
		err = section_read(section, &kind, &raw, &inner);
	if (err == ERR_OK)
		err = halves_join(kind, &raw, inner, outer, ret_key);
	secret_key_wipe(&raw);
	writer_free(&blob);
	if (err == ERR_OK)
		return ERR_OK;
	if (why == NULL && err == ERR_UNSUPPORTED)
		why = "it is of a kind that is not taken from OpenSSH: ed25519, ecdsa of 256 or "
		      "384 bits are; 'ssh-keygen -p -N \"\" -m PKCS8 -f COPY' turns a copy of an "
		      "RSA key into one that can be used as it is";
	else if (why == NULL)
		why = err == ERR_KEY_FORMAT ? "it is no private key of OpenSSH's" : error_text(err);
	*ret_why = why;
	return err;
}
