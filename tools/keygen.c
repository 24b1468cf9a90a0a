/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec keygen: a new private key in a file that only its owner can read. */
#include "tools/tools.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mech/crypto/crypto.h"

#define KEYGEN_USAGE                                                                               \
	"gss-ipsec keygen [--type TYPE] [--out FILE]\n"                                            \
	"\n"                                                                                       \
	"TYPE is ed25519 (default), ecdsa-p256, ecdsa-p384, rsa (3072 bits), rsa-2048 or\n"        \
	"rsa-4096.  Without FILE: ~/.config/gss-ipsec/key.pem, for root /etc/gss/ipsec-key.pem.\n" \
	"A file that exists is never replaced."
#define KEYGEN_PEM_BYTES_MAX 16384

static int keygen_store(const struct crypto_private_key *key, const char *path)
{
	char *prepared = NULL;
	struct writer pem;
	int code = TOOL_FAILED;

	writer_init(&pem, KEYGEN_PEM_BYTES_MAX);
	if (crypto_private_key_write(key, &pem) != ERR_OK) {
		(void)tool_fail("%s", error_text(ERR_CRYPTO));
		goto out;
	}
	if (!tool_file_prepare(path, writer_view(&pem), 0600, false, &prepared) ||
		!tool_file_commit(&prepared, path, false))
		goto out;
	printf("private key: %s\n", path);
	code = tool_key_print(crypto_private_key_spki(key));
out:
	writer_free(&pem);
	return code;
}

struct keygen_type {
	const char *word, *kind;
	size_t bits;
};

static const struct keygen_type keygen_types[] = {
	{ "ed25519", "ed25519", 0 },
	{ "ecdsa-p256", "ecdsa-p256", 0 },
	{ "ecdsa-p384", "ecdsa-p384", 0 },
	{ "rsa", "rsa", 0 },
	{ "rsa-2048", "rsa", 2048 },
	{ "rsa-3072", "rsa", 3072 },
	{ "rsa-4096", "rsa", 4096 },
};

static const struct keygen_type *keygen_find_type(const char *word)
{
	for (size_t i = 0; i < sizeof(keygen_types) / sizeof(keygen_types[0]); i++)
		if (strcmp(keygen_types[i].word, word) == 0)
			return &keygen_types[i];
	return NULL;
}

/* Looked at before a key is made for nothing; what counts is that the commit replaces nothing. */
static int keygen_run(const char *path, const struct keygen_type *type)
{
	struct crypto_private_key *key = NULL;
	int code;

	if (access(path, F_OK) == 0)
		return tool_fail("%s exists and is not replaced", path);
	if (crypto_private_key_generate(crypto_key_kind_find(type->kind), type->bits, &key) !=
		ERR_OK)
		return tool_fail("%s", error_text(ERR_CRYPTO));
	code = keygen_store(key, path);
	crypto_private_key_free(&key);
	return code;
}

int tool_keygen(int argc, char **argv)
{
	static const struct option options[] = { { "out", required_argument, NULL, 'o' },
		{ "type", required_argument, NULL, 't' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	const struct keygen_type *type = &keygen_types[0];
	char *by_default = NULL;
	const char *path = NULL;
	int option, code;

	while ((option = getopt_long(argc, argv, "o:t:h", options, NULL)) != -1) {
		if (option == 'o')
			path = optarg;
		else if (option == 't')
			type = keygen_find_type(optarg);
		else if (option == 'h')
			return tool_print_usage(KEYGEN_USAGE);
		else
			return tool_refuse_usage(KEYGEN_USAGE);
		if (type == NULL) {
			(void)tool_fail("'%s' is no type of key", optarg);
			return tool_refuse_usage(KEYGEN_USAGE);
		}
	}
	if (optind != argc)
		return tool_refuse_usage(KEYGEN_USAGE);
	if (path == NULL)
		path = by_default = tool_path_default("key.pem", "ipsec-key.pem");
	if (path == NULL)
		return tool_fail("HOME is not set; name the file with --out");
	code = keygen_run(path, type);
	free(by_default);
	return code;
}
