/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines of known_hosts and the names in them, sshd(8): "[marker] names type key [comment]". */
#include <ctype.h>
#include <string.h>

#include "mech/base64.h"
#include "tools/ssh_key.h"

#define LINE_BYTES_MAX 16384
#define HOST_BYTES_MAX 255
#define HASH_BEGIN "|1|"

static bool has(struct bytes value, char wanted)
{
	return value.len > 0 && memchr(value.data, wanted, value.len) != NULL;
}

/* What stands before the next separator, or the end; moves *rest behind it. */
static struct bytes part_next(struct bytes *rest, char separator)
{
	const uint8_t *end = memchr(rest->data, separator, rest->len);
	const size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
	const struct bytes part = BYTES(rest->data, len);
	const size_t taken = end != NULL ? len + 1 : len;

	*rest = BYTES(rest->data + taken, rest->len - taken);
	return part;
}

bool known_hosts_next_line(struct bytes *text, struct bytes *ret_line)
{
	if (text->len == 0)
		return false;
	*ret_line = part_next(text, '\n');
	return true;
}

enum err known_host_read(struct bytes line, bool *ret_is_entry, struct known_host *ret_host)
{
	struct known_host host = { .marker = KNOWN_HOST_PLAIN };

	*ret_is_entry = false;
	if (line.len > LINE_BYTES_MAX)
		return ERR_KEY_FORMAT;
	host.names = ssh_field_next(&line);
	if (host.names.len == 0 || host.names.data[0] == '#')
		return ERR_OK;
	if (host.names.data[0] == '@') {
		if (ssh_text_is(host.names, "@cert-authority"))
			host.marker = KNOWN_HOST_AUTHORITY;
		else if (ssh_text_is(host.names, "@revoked"))
			host.marker = KNOWN_HOST_REVOKED;
		else
			return ERR_KEY_FORMAT;
		host.names = ssh_field_next(&line);
	}
	host.type = ssh_field_next(&line);
	host.key = ssh_field_next(&line);
	if (host.key.len == 0)
		return ERR_KEY_FORMAT;
	*ret_is_entry = true;
	*ret_host = host;
	return ERR_OK;
}

bool known_host_next_name(struct bytes *names, struct bytes *ret_name)
{
	while (names->len > 0 && names->data[0] == ',')
		*names = BYTES(names->data + 1, names->len - 1);
	if (names->len == 0)
		return false;
	*ret_name = part_next(names, ',');
	return true;
}

/* Digits and dots alone are an IPv4 address, a colon is an IPv6 one's. */
static bool is_address(struct bytes name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.data[i] != '.' && !isdigit(name.data[i]))
			return has(name, ':');
	return true;
}

enum known_name_kind known_name_kind(struct bytes name)
{
	if (name.len > 0 && name.data[0] == '|')
		return KNOWN_NAME_HASHED;
	if (has(name, '*') || has(name, '?') || has(name, '!'))
		return KNOWN_NAME_PATTERN;
	if (name.len > 0 && name.data[0] == '[')
		return KNOWN_NAME_PORT;
	return name.len == 0 || is_address(name) ? KNOWN_NAME_OTHER : KNOWN_NAME_PLAIN;
}

/* "|1|", salt, "|", HMAC-SHA-1 of the name with the salt as key. */
static bool hash_is(struct bytes name, struct bytes host)
{
	const size_t begin = strlen(HASH_BEGIN);
	uint8_t mac[CRYPTO_SHA1_BYTES];
	struct writer salt, hash;
	const uint8_t *middle;
	bool is_same = false;

	if (name.len < begin || !ssh_text_is(BYTES(name.data, begin), HASH_BEGIN))
		return false;
	name = BYTES(name.data + begin, name.len - begin);
	middle = name.len > 0 ? memchr(name.data, '|', name.len) : NULL;
	if (middle == NULL)
		return false;
	writer_init(&salt, CRYPTO_SHA1_BYTES);
	writer_init(&hash, CRYPTO_SHA1_BYTES);
	if (mech_base64_read(BYTES(name.data, (size_t)(middle - name.data)), &salt) == ERR_OK &&
		mech_base64_read(BYTES(middle + 1, (size_t)(name.data + name.len - middle) - 1),
			&hash) == ERR_OK &&
		writer_len(&salt) == CRYPTO_SHA1_BYTES &&
		crypto_hmac_sha1(writer_view(&salt), host, mac) == ERR_OK)
		is_same = bytes_equal(writer_view(&hash), BYTES_OF(mac));
	writer_free(&salt);
	writer_free(&hash);
	return is_same;
}

bool known_name_is(struct bytes name, const char *host)
{
	uint8_t wanted[HOST_BYTES_MAX];
	size_t len = strlen(host), i;

	if (len == 0 || len > sizeof(wanted))
		return false;
	for (i = 0; i < len; i++)
		wanted[i] = (uint8_t)tolower((unsigned char)host[i]);
	if (known_name_kind(name) == KNOWN_NAME_HASHED)
		return hash_is(name, BYTES(wanted, len));
	if (known_name_kind(name) == KNOWN_NAME_PATTERN || name.len != len)
		return false;
	for (i = 0; i < len; i++)
		if (tolower(name.data[i]) != wanted[i])
			return false;
	return true;
}
