/* SPDX-License-Identifier: BSD-2-Clause */
/* Public keys as people see them: SHA256 names, base64, PEM files. */
#include "tools/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mech/base64.h"
#include "mech/identity.h"
#include "mech/mech.h"
#include "tools/ssh_key.h"

char *tool_key_name(struct bytes spki)
{
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct mech_name *name = NULL;
	char *text = NULL;

	if (crypto_sha256(&spki, 1, digest) == ERR_OK && mech_name_of_key(digest, &name) == ERR_OK)
		text = strdup(mech_name_display(name));
	if (text == NULL)
		(void)tool_fail("%s", error_text(ERR_CRYPTO));
	mech_name_release(&name);
	return text;
}

char *tool_key_name_of(const char *given)
{
	struct writer spki;
	char *name = NULL;

	if (strncmp(given, "SHA256:", 7) == 0)
		return strdup(given);
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	if (tool_key_read(given, &spki))
		name = tool_key_name(writer_view(&spki));
	writer_free(&spki);
	return name;
}

char *tool_peer_file_key(const struct config_peer *peer, enum err *ret_err)
{
	struct writer spki;
	char *name = NULL;

	*ret_err = ERR_OK;
	if (peer->key_file == NULL)
		return NULL;
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	*ret_err = mech_public_key_load(peer->key_file, &spki, NULL);
	if (*ret_err == ERR_OK)
		name = tool_key_name(writer_view(&spki));
	writer_free(&spki);
	return name;
}

const char *tool_peer_file_problem(enum err err)
{
	if (err == ERR_KEY_FILE)
		return mech_last_detail(err);
	return err == ERR_KEY_FORMAT ? "it holds no PEM public key of a kind that is used here"
				     : error_text(err);
}

bool tool_peer_has_key(const struct config_peer *peer, const char *name)
{
	enum err err;
	char *of_file = tool_peer_file_key(peer, &err);
	bool has_key = of_file != NULL && strcmp(of_file, name) == 0;

	free(of_file);
	for (size_t i = 0; i < peer->key_count && !has_key; i++) {
		const struct bytes value =
			BYTES((const uint8_t *)peer->keys[i], strlen(peer->keys[i]));

		has_key = tool_key_is_named(value, name);
	}
	return has_key;
}

char *tool_key_base64(struct bytes spki)
{
	size_t digits = MECH_BASE64_DIGITS(spki.len);
	char *text = malloc(digits + 4);

	if (text == NULL) {
		(void)tool_fail("%s", error_text(ERR_NO_MEMORY));
		return NULL;
	}
	mech_base64_write(spki, text);
	while (digits % 4 != 0)
		text[digits++] = '=';
	text[digits] = '\0';
	return text;
}

static enum err pem_read(struct bytes pem, struct writer *ret_spki)
{
	struct crypto_private_key *key = NULL;
	enum err err = crypto_spki_read_pem(pem, ret_spki);

	if (err == ERR_OK)
		return writer_status(ret_spki);
	if (err == ERR_KEY_FORMAT)
		err = crypto_private_key_read(pem, &key);
	if (err != ERR_OK)
		return err;
	writer_put_bytes(ret_spki, crypto_private_key_spki(key));
	crypto_private_key_free(&key);
	return writer_status(ret_spki);
}

bool tool_key_read(const char *text, struct writer *ret_spki)
{
	struct writer w;
	bool is_read = false;
	enum err err;

	writer_init(&w, TOOL_FILE_BYTES_MAX);
	if (mech_base64_read(BYTES((const uint8_t *)text, strlen(text)), &w) == ERR_OK &&
		crypto_spki_check(writer_view(&w)) == ERR_OK) {
		writer_put_bytes(ret_spki, writer_view(&w));
		is_read = writer_status(ret_spki) == ERR_OK;
		goto out;
	}
	writer_free(&w);
	writer_init(&w, TOOL_FILE_BYTES_MAX);
	if (!tool_file_read(text, false, &w))
		goto out;
	err = pem_read(writer_view(&w), ret_spki);
	if (err == ERR_KEY_FORMAT && ssh_public_file_read(writer_view(&w), ret_spki) == ERR_OK)
		err = ERR_OK;
	is_read = err == ERR_OK;
	if (err == ERR_KEY_SIZE || err == ERR_KEY_CURVE)
		(void)tool_fail("%s: %s", text, error_text(err));
	else if (!is_read)
		(void)tool_fail(
			"%s holds no PEM public or private key, nor a public key of OpenSSH's, of "
			"a kind this mechanism uses",
			text);
out:
	writer_free(&w);
	return is_read;
}

bool tool_key_is_named(struct bytes value, const char *name)
{
	char *value_name = NULL;
	struct writer spki;
	bool is_it;

	if (bytes_equal(value, BYTES((const uint8_t *)name, strlen(name))))
		return true;
	writer_init(&spki, TOOL_FILE_BYTES_MAX);
	if (mech_base64_read(value, &spki) == ERR_OK)
		value_name = tool_key_name(writer_view(&spki));
	writer_free(&spki);
	is_it = value_name != NULL && strcmp(value_name, name) == 0;
	free(value_name);
	return is_it;
}

int tool_key_print(struct bytes spki)
{
	char *name = tool_key_name(spki), *base64 = tool_key_base64(spki);
	int code = TOOL_FAILED;

	if (name != NULL && base64 != NULL) {
		printf("public name: %s\n", name);
		printf("for a peer's [peer] entry:\n\tkey = %s\n", base64);
		printf("on the other host, with the name that this key proves (%s):\n"
		       "\tgss-ipsec peer add NAME %s\n",
			"user@domain, or the full name of this host", name);
		code = TOOL_OK;
	}
	free(base64);
	free(name);
	return code;
}
