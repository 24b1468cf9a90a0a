/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenSSH's keys and known hosts: what is taken, what is not.  The keys were made by ssh-keygen (9.2). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tests/unit/suites.h"
#include "tools/ssh_key.h"

#include "tests/unit/ssh_vectors.h"

static struct bytes text_of(const char *text)
{
	return BYTES((const uint8_t *)text, strlen(text));
}

static enum err read_private(struct bytes text, struct writer *ret_spki)
{
	struct crypto_private_key *key = NULL;
	const char *why = NULL;
	enum err err = ssh_private_read(text, &key, &why);

	ck_assert(err == ERR_OK || (why != NULL && key == NULL));
	if (err == ERR_OK && ret_spki != NULL)
		writer_put_bytes(ret_spki, crypto_private_key_spki(key));
	crypto_private_key_free(&key);
	return err;
}

START_TEST(halves_are_one_key)
{
	struct writer of_public, of_private;

	writer_init(&of_public, 4096);
	writer_init(&of_private, 4096);
	ck_assert_int_eq(
		ssh_public_file_read(text_of(ssh_pairs[_i].public_file), &of_public), ERR_OK);
	ck_assert_int_eq(read_private(text_of(ssh_pairs[_i].private_file), &of_private), ERR_OK);
	ck_assert_int_eq(crypto_spki_check(writer_view(&of_public)), ERR_OK);
	ck_assert(bytes_equal(writer_view(&of_public), writer_view(&of_private)));
	writer_free(&of_public);
	writer_free(&of_private);
}
END_TEST

/* Cut anywhere, but for line ends behind it, a private key is none. */
START_TEST(private_cut)
{
	const char *text = ssh_pairs[_i].private_file;

	for (size_t len = 0; len + 1 < strlen(text); len++)
		ck_assert_int_ne(read_private(BYTES((const uint8_t *)text, len), NULL), ERR_OK);
}
END_TEST

/* One digit changed: not taken, or the same key (the comment has no check). */
START_TEST(private_changed)
{
	const char *text = ssh_pairs[_i].private_file;
	char *copy = strdup(text);
	struct writer spki, changed;

	ck_assert_ptr_nonnull(copy);
	writer_init(&spki, 4096);
	ck_assert_int_eq(read_private(text_of(text), &spki), ERR_OK);
	for (size_t at = 0; at < strlen(text); at++) {
		copy[at] = text[at] == 'A' ? 'B' : 'A';
		writer_init(&changed, 4096);
		if (read_private(text_of(copy), &changed) == ERR_OK)
			ck_assert(bytes_equal(writer_view(&spki), writer_view(&changed)));
		writer_free(&changed);
		copy[at] = text[at];
	}
	writer_free(&spki);
	free(copy);
}
END_TEST

START_TEST(public_cut_and_changed)
{
	const char *text = ssh_pairs[_i].public_file;
	char *copy = strdup(text);
	size_t key = strcspn(text, " ") + 1, end = key + strcspn(text + key, " =");
	struct writer spki;

	ck_assert_ptr_nonnull(copy);
	writer_init(&spki, 4096);
	for (size_t len = 0; len < end; len++)
		ck_assert_int_ne(
			ssh_public_file_read(BYTES((const uint8_t *)text, len), &spki), ERR_OK);
	/* The type, and the type and lengths inside. */
	for (size_t at = 0; at < key + 20; at++) {
		copy[at] = text[at] == 'A' ? 'B' : 'A';
		ck_assert_int_ne(ssh_public_file_read(text_of(copy), &spki), ERR_OK);
		copy[at] = text[at];
	}
	ck_assert_uint_eq(writer_len(&spki), 0);
	writer_free(&spki);
	free(copy);
}
END_TEST

START_TEST(others_are_named)
{
	struct writer spki;

	writer_init(&spki, 4096);
	ck_assert_int_eq(ssh_public_file_read(text_of(ssh_rsa_public), &spki), ERR_UNSUPPORTED);
	ck_assert_int_eq(ssh_public_file_read(text_of(ssh_p521_public), &spki), ERR_KEY_CURVE);
	ck_assert_int_eq(ssh_public_file_read(text_of(""), &spki), ERR_KEY_FORMAT);
	ck_assert_int_eq(ssh_public_file_read(text_of("ssh-ed25519\n"), &spki), ERR_KEY_FORMAT);
	ck_assert_int_eq(read_private(text_of(ssh_locked_private), NULL), ERR_UNSUPPORTED);
	ck_assert_int_eq(read_private(text_of(""), NULL), ERR_KEY_FORMAT);
	ck_assert_uint_eq(writer_len(&spki), 0);
	writer_free(&spki);
}
END_TEST

START_TEST(raw_values)
{
	static const uint8_t zeros[48];
	uint8_t ones[48];
	const struct {
		const char *word;
		const uint8_t *value;
		size_t len;
		enum err err;
	} rows[] = {
		{ "ed25519", zeros, 32, ERR_OK },
		{ "ed25519", zeros, 31, ERR_ARGUMENT },
		{ "ed25519", zeros, 33, ERR_ARGUMENT },
		{ "ecdsa-p256", zeros, 32, ERR_CRYPTO },
		{ "ecdsa-p256", ones, 32, ERR_CRYPTO },
		{ "ecdsa-p256", ones + 1, 31, ERR_ARGUMENT },
		{ "ecdsa-p384", zeros, 48, ERR_CRYPTO },
		{ "ecdsa-p384", ones, 32, ERR_ARGUMENT },
		{ "rsa", ones, 48, ERR_ARGUMENT },
	};

	memset(ones, 0xff, sizeof(ones));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct crypto_private_key *key = NULL;

		ck_assert_int_eq(crypto_private_key_of_raw(crypto_key_kind_find(rows[i].word),
					 BYTES(rows[i].value, rows[i].len), &key),
			rows[i].err);
		ck_assert((key != NULL) == (rows[i].err == ERR_OK));
		crypto_private_key_free(&key);
	}
}
END_TEST

START_TEST(lines_of_hosts)
{
	static const struct {
		const char *line;
		enum err err;
		bool is_entry;
		enum known_host_marker marker;
		const char *names, *type;
	} rows[] = {
		{ "", ERR_OK, false, KNOWN_HOST_PLAIN, "", "" },
		{ "  \t\r", ERR_OK, false, KNOWN_HOST_PLAIN, "", "" },
		{ "# a b c", ERR_OK, false, KNOWN_HOST_PLAIN, "", "" },
		{ "  #a", ERR_OK, false, KNOWN_HOST_PLAIN, "", "" },
		{ "a,b ssh-ed25519 AAAA", ERR_OK, true, KNOWN_HOST_PLAIN, "a,b", "ssh-ed25519" },
		{ "\ta\t t \tk c c\r", ERR_OK, true, KNOWN_HOST_PLAIN, "a", "t" },
		{ "@revoked * t k", ERR_OK, true, KNOWN_HOST_REVOKED, "*", "t" },
		{ "@cert-authority *.x t k", ERR_OK, true, KNOWN_HOST_AUTHORITY, "*.x", "t" },
		{ "@other * t k", ERR_KEY_FORMAT, false, KNOWN_HOST_PLAIN, "", "" },
		{ "@revoked", ERR_KEY_FORMAT, false, KNOWN_HOST_PLAIN, "", "" },
		{ "@revoked a t", ERR_KEY_FORMAT, false, KNOWN_HOST_PLAIN, "", "" },
		{ "a", ERR_KEY_FORMAT, false, KNOWN_HOST_PLAIN, "", "" },
		{ "a t", ERR_KEY_FORMAT, false, KNOWN_HOST_PLAIN, "", "" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct known_host host = { .marker = KNOWN_HOST_PLAIN };
		bool is_entry = true;

		ck_assert_int_eq(
			known_host_read(text_of(rows[i].line), &is_entry, &host), rows[i].err);
		ck_assert(is_entry == rows[i].is_entry);
		ck_assert_int_eq(host.marker, rows[i].marker);
		ck_assert(bytes_equal(host.names, text_of(rows[i].names)));
		ck_assert(bytes_equal(host.type, text_of(rows[i].type)));
	}
}
END_TEST

START_TEST(a_long_line)
{
	struct known_host host;
	char *line = malloc(16386);
	bool is_entry = true;

	ck_assert_ptr_nonnull(line);
	memset(line, 'a', 16385);
	line[16385] = '\0';
	memcpy(line, "a t ", 4);
	ck_assert_int_eq(known_host_read(text_of(line), &is_entry, &host), ERR_KEY_FORMAT);
	ck_assert(!is_entry);
	line[16384] = '\0';
	ck_assert_int_eq(known_host_read(text_of(line), &is_entry, &host), ERR_OK);
	ck_assert(is_entry);
	free(line);
}
END_TEST

START_TEST(names_of_hosts)
{
	static const struct {
		const char *name, *host;
		enum known_name_kind kind;
		bool is_it;
	} rows[] = {
		{ "www.example.org", "WWW.example.org", KNOWN_NAME_PLAIN, true },
		{ "Www.example.org", "www.example.org", KNOWN_NAME_PLAIN, true },
		{ "www.example.org", "www.example.or", KNOWN_NAME_PLAIN, false },
		{ "www.example.org", "ww.example.org", KNOWN_NAME_PLAIN, false },
		{ "[www.example.org]:2222", "www.example.org", KNOWN_NAME_PORT, false },
		{ "[www.example.org]:2222", "[www.example.org]:2222", KNOWN_NAME_PORT, true },
		{ "*.example.org", "www.example.org", KNOWN_NAME_PATTERN, false },
		{ "*.example.org", "*.example.org", KNOWN_NAME_PATTERN, false },
		{ "w?w.example.org", "w?w.example.org", KNOWN_NAME_PATTERN, false },
		{ "!www.example.org", "!www.example.org", KNOWN_NAME_PATTERN, false },
		{ "192.0.2.1", "192.0.2.1", KNOWN_NAME_OTHER, true },
		{ "2001:db8::1", "2001:db8::1", KNOWN_NAME_OTHER, true },
		{ "", "", KNOWN_NAME_OTHER, false },
		/* ssh-keygen -H made these */
		{ SSH_HASHED_NAME, SSH_HASHED_HOST, KNOWN_NAME_HASHED, true },
		{ SSH_HASHED_NAME, "wwx.example.org", KNOWN_NAME_HASHED, false },
		{ SSH_HASHED_PORT_NAME, "[www.example.org]:2222", KNOWN_NAME_HASHED, true },
		{ SSH_HASHED_PORT_NAME, "www.example.org", KNOWN_NAME_HASHED, false },
		{ "|1|", "www.example.org", KNOWN_NAME_HASHED, false },
		{ "|1||", "www.example.org", KNOWN_NAME_HASHED, false },
		{ "|2|AAAA|AAAA", "www.example.org", KNOWN_NAME_HASHED, false },
		{ "|1|AAAA|AAAA", "www.example.org", KNOWN_NAME_HASHED, false },
		{ "|", "|", KNOWN_NAME_HASHED, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ck_assert_int_eq(known_name_kind(text_of(rows[i].name)), rows[i].kind);
		ck_assert_msg(known_name_is(text_of(rows[i].name), rows[i].host) == rows[i].is_it,
			"%s is %s", rows[i].name, rows[i].host);
	}
}
END_TEST

START_TEST(hash_cut)
{
	struct bytes name = text_of(SSH_HASHED_NAME);

	for (size_t len = 0; len < name.len; len++)
		if (len + 1 != name.len) /* the padding alone may be missing */
			ck_assert(!known_name_is(BYTES(name.data, len), SSH_HASHED_HOST));
}
END_TEST

START_TEST(lists_of_hosts)
{
	struct bytes names = text_of(",a,,b.c,"), name, text = text_of("x\n\ny"), line;

	ck_assert(known_host_next_name(&names, &name) && bytes_equal(name, text_of("a")));
	ck_assert(known_host_next_name(&names, &name) && bytes_equal(name, text_of("b.c")));
	ck_assert(!known_host_next_name(&names, &name));
	ck_assert(known_hosts_next_line(&text, &line) && bytes_equal(line, text_of("x")));
	ck_assert(known_hosts_next_line(&text, &line) && line.len == 0);
	ck_assert(known_hosts_next_line(&text, &line) && bytes_equal(line, text_of("y")));
	ck_assert(!known_hosts_next_line(&text, &line));
}
END_TEST

Suite *suite_ssh_key(void)
{
	Suite *suite = suite_create("ssh_key");
	TCase *keys = tcase_create("keys"), *hosts = tcase_create("hosts");

	tcase_add_loop_test(keys, halves_are_one_key, 0, SSH_PAIR_COUNT);
	tcase_add_loop_test(keys, private_cut, 0, SSH_PAIR_COUNT);
	tcase_add_loop_test(keys, private_changed, 0, SSH_PAIR_COUNT);
	tcase_add_loop_test(keys, public_cut_and_changed, 0, SSH_PAIR_COUNT);
	tcase_add_test(keys, others_are_named);
	tcase_add_test(keys, raw_values);
	tcase_set_timeout(keys, 60);
	suite_add_tcase(suite, keys);
	tcase_add_test(hosts, lines_of_hosts);
	tcase_add_test(hosts, a_long_line);
	tcase_add_test(hosts, names_of_hosts);
	tcase_add_test(hosts, hash_cut);
	tcase_add_test(hosts, lists_of_hosts);
	suite_add_tcase(suite, hosts);
	return suite;
}
