/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSH's files, which others write; the first octet says which: a private key file, its content
 * (put into base64 and its two lines here, which no mutation would keep right), a public key, a .pub
 * file, a list of known hosts.  What is taken must be a key, and names must lie within their line.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/base64.h"
#include "tools/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST "www.example.org"
#define ARMOUR_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define ARMOUR_END "\n-----END OPENSSH PRIVATE KEY-----\n"

static void put_text(struct writer *w, const char *text)
{
	writer_put_bytes(w, BYTES((const uint8_t *)text, strlen(text)));
}

static void fuzz_private(struct bytes text)
{
	struct crypto_private_key *key = NULL;
	const char *why = NULL;

	if (ssh_private_read(text, &key, &why) != ERR_OK) {
		if (why == NULL || *why == '\0' || key != NULL)
			abort();
		return;
	}
	if (crypto_spki_check(crypto_private_key_spki(key)) != ERR_OK)
		abort();
	crypto_private_key_free(&key);
}

static void fuzz_private_content(struct bytes content)
{
	size_t digits = MECH_BASE64_DIGITS(content.len);
	char *base64 = malloc(digits + 1);
	struct writer text;

	if (base64 == NULL)
		abort();
	mech_base64_write(content, base64);
	writer_init(&text, (size_t)1 << 20);
	put_text(&text, ARMOUR_BEGIN);
	put_text(&text, base64);
	put_text(&text, ARMOUR_END);
	fuzz_private(writer_view(&text));
	writer_free(&text);
	free(base64);
}

static void check_spki(enum err err, const struct writer *spki)
{
	if (err == ERR_OK ? crypto_spki_check(writer_view(spki)) != ERR_OK : writer_len(spki) != 0)
		abort();
}

static void fuzz_public(struct bytes blob)
{
	struct writer spki;

	writer_init(&spki, 4096);
	check_spki(ssh_public_read(blob, &spki), &spki);
	writer_free(&spki);
}

static void fuzz_public_file(struct bytes text)
{
	struct writer spki;

	writer_init(&spki, 4096);
	check_spki(ssh_public_file_read(text, &spki), &spki);
	writer_free(&spki);
}

/* In memory of its own, so that nothing beside it is read. */
static void check_name(struct bytes name)
{
	uint8_t *copy = malloc(name.len);
	enum known_name_kind kind;

	if (copy == NULL || name.len == 0)
		abort();
	memcpy(copy, name.data, name.len);
	name = BYTES(copy, name.len);
	kind = known_name_kind(name);
	if (known_name_is(name, HOST) && kind != KNOWN_NAME_PLAIN && kind != KNOWN_NAME_HASHED)
		abort();
	free(copy);
}

static bool is_within(struct bytes part, struct bytes line)
{
	return part.len > 0 && part.data >= line.data &&
	       part.data + part.len <= line.data + line.len;
}

static void check_line(struct bytes line)
{
	struct known_host host;
	struct bytes name;
	struct writer spki;
	bool is_entry;

	if (known_host_read(line, &is_entry, &host) != ERR_OK || !is_entry)
		return;
	if (!is_within(host.names, line) || !is_within(host.type, line) ||
		!is_within(host.key, line))
		abort();
	while (known_host_next_name(&host.names, &name))
		check_name(name);
	writer_init(&spki, 4096);
	check_spki(ssh_public_text_read(host.type, host.key, &spki), &spki);
	writer_free(&spki);
}

static void fuzz_known_hosts(struct bytes text)
{
	struct bytes line;

	while (known_hosts_next_line(&text, &line))
		check_line(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const forms[])(struct bytes input) = { fuzz_private, fuzz_private_content,
		fuzz_public, fuzz_public_file, fuzz_known_hosts };

	if (size > 0 && data[0] < sizeof(forms) / sizeof(forms[0]))
		forms[data[0]](BYTES(data + 1, size - 1));
	return 0;
}
