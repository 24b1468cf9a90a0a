/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec keygen: a new private key in a file that only its owner can read. */
#include "tools/tools.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mech/crypto/crypto.h"
#include "tools/ssh_key.h"

#define KEYGEN_USAGE                                                                               \
	"gss-ipsec keygen [--type TYPE] [--bits BITS] [--out FILE]\n"                              \
	"       gss-ipsec keygen --from-ssh KEY [--out FILE]\n"                                    \
	"\n"                                                                                       \
	"TYPE is ed25519 (default), p256, p384 or rsa.  BITS are for rsa: 2048 to 8192 (3072).\n"  \
	"KEY is a private key of OpenSSH's (ed25519 or ecdsa, without a passphrase), to be used\n" \
	"here too.  Without FILE: ~/.config/gss-ipsec/key.pem, for root /etc/gss/ipsec-key.pem.\n" \
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
	{ "p256", "ecdsa-p256", 0 },
	{ "p384", "ecdsa-p384", 0 },
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

struct keygen_options {
	const char *out, *from_ssh;
	const struct keygen_type *type; /* NULL: none was named */
	size_t bits;
	bool wants_help;
};

/* A key of OpenSSH's; who else may read its file could have it already. */
static bool keygen_take(const char *path, struct crypto_private_key **ret_key)
{
	const char *why = NULL;
	struct writer text;
	bool is_taken;

	writer_init(&text, TOOL_FILE_BYTES_MAX);
	is_taken = tool_file_read(path, false, &text);
	if (is_taken && ssh_private_read(writer_view(&text), ret_key, &why) != ERR_OK) {
		is_taken = false;
		(void)tool_fail("%s: %s", path, why);
	}
	writer_free(&text);
	return is_taken;
}

static bool keygen_make(const struct keygen_options *options, struct crypto_private_key **ret_key)
{
	const struct keygen_type *type = options->type != NULL ? options->type : &keygen_types[0];
	enum err err = crypto_private_key_generate(crypto_key_kind_find(type->kind),
		options->bits != 0 ? options->bits : type->bits, ret_key);

	if (err != ERR_OK)
		(void)tool_fail("%s", error_text(err));
	return err == ERR_OK;
}

/* Looked at before a key is made for nothing; what counts is that the commit replaces nothing. */
static int keygen_run(const char *path, const struct keygen_options *options)
{
	struct crypto_private_key *key = NULL;
	int code = TOOL_FAILED;

	if (access(path, F_OK) == 0)
		return tool_fail("%s exists and is not replaced", path);
	if (options->from_ssh != NULL ? keygen_take(options->from_ssh, &key)
				      : keygen_make(options, &key))
		code = keygen_store(key, path);
	crypto_private_key_free(&key);
	return code;
}

static bool keygen_bits_read(const char *text, size_t *ret_bits)
{
	long bits;

	if (!tool_number_read(text, CRYPTO_RSA_BITS_MAX, &bits) || bits < CRYPTO_RSA_BITS_MIN) {
		(void)tool_fail("--bits %s: an RSA key has %d to %d bits", text,
			CRYPTO_RSA_BITS_MIN, CRYPTO_RSA_BITS_MAX);
		return false;
	}
	*ret_bits = (size_t)bits;
	return true;
}

static bool keygen_type_read(const char *text, const struct keygen_type **ret_type)
{
	*ret_type = keygen_find_type(text);
	if (*ret_type == NULL)
		(void)tool_fail("'%s' is no type of key", text);
	return *ret_type != NULL;
}

static bool keygen_options_read(int argc, char **argv, struct keygen_options *options)
{
	static const struct option known[] = { { "out", required_argument, NULL, 'o' },
		{ "type", required_argument, NULL, 't' }, { "bits", required_argument, NULL, 'b' },
		{ "from-ssh", required_argument, NULL, 's' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	bool is_good = true;
	int option;

	while (is_good && (option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		if (option == 'o')
			options->out = optarg;
		else if (option == 's')
			options->from_ssh = optarg;
		else if (option == 't')
			is_good = keygen_type_read(optarg, &options->type);
		else if (option == 'b')
			is_good = keygen_bits_read(optarg, &options->bits);
		else if (option == 'h')
			options->wants_help = true;
		else
			is_good = false;
	}
	return is_good && tool_options_end(argc, argv);
}

/* What was asked for has to fit together. */
static bool keygen_options_fit(const struct keygen_options *options)
{
	if (options->from_ssh != NULL && (options->type != NULL || options->bits != 0)) {
		(void)tool_fail("--from-ssh takes a key as it is: no --type, no --bits");
		return false;
	}
	if (options->bits != 0 &&
		(options->type == NULL || strcmp(options->type->kind, "rsa") != 0 ||
			options->type->bits != 0)) {
		(void)tool_fail("--bits goes with --type rsa");
		return false;
	}
	return true;
}

int tool_keygen(int argc, char **argv)
{
	struct keygen_options options = { 0 };
	char *by_default = NULL;
	int code;

	if (!keygen_options_read(argc, argv, &options) || !keygen_options_fit(&options))
		return tool_refuse_usage(KEYGEN_USAGE);
	if (options.wants_help)
		return tool_print_usage(KEYGEN_USAGE);
	if (options.out == NULL)
		options.out = by_default = tool_path_default("key.pem", "ipsec-key.pem");
	if (options.out == NULL)
		return tool_fail("HOME is not set; name the file with --out");
	code = keygen_run(options.out, &options);
	free(by_default);
	return code;
}
