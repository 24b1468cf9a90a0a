/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: every key, every mistake, two files, owners, modes, current snapshot. */
#include "base/config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/config_files.h"
#include "tests/unit/suites.h"

#define DIGEST "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
#define SPKI "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define EXAMPLE "examples/ipsec.conf"
#define CONFIG_TEST_TEXT_BYTES 16384

static void write_octets(const char *path, struct bytes text)
{
	file_write(path, text, 0644);
}

static void write_file(const char *path, const char *text)
{
	write_octets(path, BYTES((const uint8_t *)text, strlen(text)));
}

static enum err load(struct config **ret_config)
{
	const char *const files[] = { first, second, NULL };

	return config_load(files, ret_config);
}

static struct config *load_text(const char *text)
{
	struct config *config = NULL;

	write_file(first, text);
	ck_assert_msg(load(&config) == ERR_OK, "%s", config_last_error());
	return config;
}

START_TEST(no_file_is_an_empty_configuration)
{
	struct config *config = NULL;

	ck_assert_int_eq(load(&config), ERR_OK);
	ck_assert_uint_eq(config_identity_count(config), 0);
	ck_assert_uint_eq(config_peer_count(config), 0);
	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_YES);
	ck_assert_int_eq(config_latch_policy(config, "host"), CONFIG_LATCH_YES);
	ck_assert_int_eq(config_unknown_peer(config), CONFIG_UNKNOWN_REFUSE);
	ck_assert_ptr_null(config_default_domain(config));
	ck_assert_str_eq(config_broker_path(config), "/run/gss-ipsec/broker.sock");
	ck_assert_uint_eq(config_token_padding_bytes(config), 0);
	ck_assert(config_service_has_t5(config, "HTTP"));
	ck_assert(!config_service_has_t5(config, "http"));
	ck_assert(!config_service_has_t5(config, NULL));
	config_release(&config);
	ck_assert_ptr_null(config);
	config_release(&config);
}
END_TEST

START_TEST(every_general_key_is_read)
{
	struct config *config = load_text("# comment\n\n[gss-ipsec]\n\tlatch = require\n"
					  "unknown_peer=accept\n  ; another\n"
					  " default_domain = \"Example.ORG\"\r\n"
					  "broker = /tmp/b.sock  \ntoken_padding = 49152\n"
					  "[service]\n imap = {\n latch = no\n }\n"
					  " x.y_z-1 = {\n t5 = yes\n}\n HTTP = {\nt5 = no\n}\n");

	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_REQUIRE);
	ck_assert_int_eq(config_latch_policy(config, "imap"), CONFIG_LATCH_NO);
	ck_assert_int_eq(config_latch_policy(config, "x.y_z-1"), CONFIG_LATCH_REQUIRE);
	ck_assert_int_eq(config_unknown_peer(config), CONFIG_UNKNOWN_ACCEPT);
	ck_assert_str_eq(config_default_domain(config), "example.org");
	ck_assert_str_eq(config_broker_path(config), "/tmp/b.sock");
	ck_assert_uint_eq(config_token_padding_bytes(config), 49152);
	ck_assert(config_service_has_t5(config, "x.y_z-1"));
	ck_assert(!config_service_has_t5(config, "imap"));
	ck_assert(!config_service_has_t5(config, "HTTP"));
	config_release(&config);
}
END_TEST

START_TEST(identities_keep_the_files_order)
{
	struct config *config = load_text(
		"[identity]\nzeta = {\nkey = zeta.pem\nhost = Z.Example.org\n"
		"services = host  imap\tHTTP\nusage = accept\n}\n"
		"[peer]\n[identity]\nalpha = {\nuser = a.b@example.org\nkey = /k/alpha 1\n"
		"usage = initiate\n}\nmiddle = {\nkey = \"sub/m\"\n}\n");
	const struct config_identity *zeta, *alpha, *middle;
	char path[80];

	ck_assert_uint_eq(config_identity_count(config), 3);
	zeta = config_identity_at(config, 0);
	alpha = config_identity_at(config, 1);
	middle = config_identity_at(config, 2);
	snprintf(path, sizeof(path), "%s/zeta.pem", directory);
	ck_assert_str_eq(zeta->tag, "zeta");
	ck_assert_str_eq(zeta->key_file, path);
	ck_assert_str_eq(zeta->host, "z.example.org");
	ck_assert_ptr_null(zeta->user);
	ck_assert_uint_eq(zeta->service_count, 3);
	ck_assert_str_eq(zeta->services[0], "host");
	ck_assert_str_eq(zeta->services[1], "imap");
	ck_assert_str_eq(zeta->services[2], "HTTP");
	ck_assert(zeta->accepts && !zeta->initiates);
	ck_assert_str_eq(alpha->key_file, "/k/alpha 1");
	ck_assert_str_eq(alpha->user, "a.b@example.org");
	ck_assert(alpha->initiates && !alpha->accepts);
	snprintf(path, sizeof(path), "%s/sub/m", directory);
	ck_assert_str_eq(middle->key_file, path);
	ck_assert(middle->initiates && middle->accepts);
	ck_assert_ptr_null(middle->host);
	ck_assert_uint_eq(middle->service_count, 0);
	config_release(&config);
}
END_TEST

START_TEST(peers_hold_several_keys)
{
	struct config *config =
		load_text("[peer]\nmail = {\nkey = " DIGEST "\nhost = mail\nkey = " SPKI
			  "\nservices = imap\n}\nbob = {\nuser = bob@x\nkey_file = bob\n}\n"
			  "anna = {\nkey = " DIGEST "\n}\n");
	const struct config_peer *mail, *bob, *anna;

	ck_assert_uint_eq(config_peer_count(config), 3);
	mail = config_peer_at(config, 0);
	bob = config_peer_at(config, 1);
	anna = config_peer_at(config, 2);
	ck_assert_str_eq(mail->tag, "mail");
	ck_assert_uint_eq(mail->key_count, 2);
	ck_assert_str_eq(mail->keys[0], DIGEST);
	ck_assert_str_eq(mail->keys[1], SPKI);
	ck_assert_str_eq(mail->services[0], "imap");
	ck_assert_ptr_null(mail->key_file);
	ck_assert_str_eq(bob->user, "bob@x");
	ck_assert_ptr_null(bob->host);
	ck_assert_uint_eq(bob->key_count, 0);
	ck_assert(strncmp(bob->key_file, directory, strlen(directory)) == 0);
	ck_assert_str_eq(anna->tag, "anna");
	ck_assert(anna->host == NULL && anna->user == NULL);
	config_release(&config);
}
END_TEST

START_TEST(earlier_files_win)
{
	struct config *config = NULL;
	struct config *again;

	write_file(first, "[gss-ipsec]\nlatch = no\n[identity]\nb = {\nkey = 1\nuser = b@one\n}\n"
			  "[service]\nimap = {\nlatch = auto\n}\n");
	write_file(second, "[gss-ipsec]\nlatch = auto\nbroker = /b\n[identity]\n"
			   "a = {\nkey = 2\n}\nb = {\nkey = 3\nusage = accept\nhost = two\n}\n"
			   "[service]\nimap = {\nt5 = yes\n}\n");
	ck_assert_msg(load(&config) == ERR_OK, "%s", config_last_error());
	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_NO);
	ck_assert_str_eq(config_broker_path(config), "/b");
	ck_assert_uint_eq(config_identity_count(config), 2);
	ck_assert_str_eq(config_identity_at(config, 0)->tag, "b");
	ck_assert_str_eq(config_identity_at(config, 0)->user, "b@one");
	ck_assert_ptr_null(config_identity_at(config, 0)->host);
	ck_assert(config_identity_at(config, 0)->initiates);
	ck_assert_str_eq(config_identity_at(config, 1)->tag, "a");
	ck_assert_int_eq(config_latch_policy(config, "imap"), CONFIG_LATCH_AUTO);
	ck_assert(!config_service_has_t5(config, "imap"));
	again = config_ref(config);
	config_release(&config);
	ck_assert_str_eq(config_identity_at(again, 0)->tag, "b");
	config_release(&again);
}
END_TEST

START_TEST(mistakes_in_a_later_file_count)
{
	struct config *config = NULL;

	write_file(first, "[gss-ipsec]\nlatch = no\n[peer]\na = {\nkey_file = k\n}\n");
	write_file(second, "[gss-ipsec]\nlatch = maybe\n");
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert(strncmp(config_last_error(), second, strlen(second)) == 0);
	write_file(second, "[peer]\na = {\nhost = x\n}\n");
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_ptr_null(config);
}
END_TEST

/* A mistake, the line it is on (0: the whole file), and a word that the message must have. */
struct mistake {
	const char *text;
	unsigned int line;
	const char *word;
};

/* clang-format off */
static const struct mistake mistakes[] = {
	{ "latch = yes\n[gss-ipsec]\n", 1, "before the first" },
	{ "}\n", 1, "'}'" },
	{ " [gss-ipsec]\n", 1, "first column" },
	{ "[gss-ipsec\n", 1, "[name]" },
	{ "[gss-ipsec] x\n", 1, "[name]" },
	{ "[gss-ipsec]*\n", 1, "[name]" },
	{ "[]\n", 1, "is no name" },
	{ "\n[nonsense]\n", 2, "[nonsense] is no section" },
	{ "[gss-ipsec]\nlach = yes\n", 2, "lach is no key" },
	{ "[gss-ipsec]\nlatch yes\n", 2, "neither" },
	{ "[gss-ipsec]\nlatch =\n{\n}\n", 2, "no value" },
	{ "[gss-ipsec]\nlatch = \"\"\n", 2, "empty" },
	{ "[gss-ipsec]\nlatch = Yes\n", 2, "[gss-ipsec]: latch = Yes" },
	{ "[gss-ipsec]\nlatch* = yes\n", 2, "is no name" },
	{ "[gss-ipsec]\nla tch = yes\n", 2, "is no name" },
	{ "[gss-ipsec]\n = yes\n", 2, "is no name" },
	{ "[gss-ipsec]\nlatch = yes # so\n", 2, "comment" },
	{ "[gss-ipsec]\nlatch = \"yes\n", 2, "quot" },
	{ "[gss-ipsec]\nlatch = \"yes\" no\n", 2, "quot" },
	{ "[gss-ipsec]\nlatch = \"yes\\\"\n", 2, "quot" },
	{ "[gss-ipsec]\nlatch = \"yes\\n\"\n", 2, "control" },
	{ "[gss-ipsec]\nlatch = y\033[1mes\n", 2, "control" },
	{ "[gss-ipsec]\nlatch = yes\nlatch = yes\n", 3, "twice" },
	{ "[gss-ipsec]\nlatch = yes\n[peer]\n[gss-ipsec]\nlatch = yes\n", 5, "twice" },
	{ "[gss-ipsec]\nlatch = {\n}\n", 2, "no subsections" },
	{ "[gss-ipsec]\nunknown_peer = yes\n", 2, "refuse" },
	{ "[gss-ipsec]\ndefault_domain = a..b\n", 2, "host name" },
	{ "[gss-ipsec]\ndefault_domain = a.b.\n", 2, "host name" },
	{ "[gss-ipsec]\nbroker = b.sock\n", 2, "absolute" },
	{ "[gss-ipsec]\ntoken_padding = 49153\n", 2, "49152" },
	{ "[gss-ipsec]\ntoken_padding = -1\n", 2, "number" },
	{ "[gss-ipsec]\ntoken_padding = 000001\n", 2, "number" },
	{ "include /etc/passwd\n", 1, "before the first" },
	{ "[gss-ipsec]\ninclude /etc/passwd\n", 2, "neither" },
	{ "[gss-ipsec]\ninclude = /etc/passwd\n", 2, "include" },
	{ "[gss-ipsec]\nincludedir = /etc\n", 2, "includedir" },
	{ "[gss-ipsec]\nmodule = /x.so:y\n", 2, "module" },
	{ "[identity]\nkey = x\n", 2, "subsections only" },
	{ "[identity]\na = {\n", 2, "missing" },
	{ "[identity]\na = {\n[peer]\n", 3, "line 2" },
	{ "[identity]\na = {\nb = {\n}\n}\n", 3, "within" },
	{ "[identity]\na = {\nkey = k\n} x\n", 4, "'}'" },
	{ "[identity]\na = { key = k }\n", 2, "" },
	{ "[identity]\na = {\n}\n", 2, "[identity] a: the identity has no key" },
	{ "[identity]\na = {\nkey = ~/k\n}\n", 3, "path" },
	{ "[identity]\na = {\nkey = k\nkey = l\n}\n", 4, "twice" },
	{ "[identity]\na = {\nkey = k\nhost = h\nuser = u@h\n}\n", 2, "two identities" },
	{ "[identity]\na = {\nkey = k\n}\na = {\nkey = k\n}\n", 5, "before" },
	{ "[identity]\na = {\nkey = k\nusage = none\n}\n", 4, "initiate" },
	{ "[identity]\na = {\nkey = k\nservices = \" \"\n}\n", 4, "no service" },
	{ "[identity]\na = {\nkey = k\nservices = imap/x\n}\n", 4, "service name" },
	{ "[identity]\na = {\nkey = k\nuser = alice\n}\n", 4, "user@domain" },
	{ "[identity]\na = {\nkey = k\nuser = @x\n}\n", 4, "user@domain" },
	{ "[identity]\na = {\nkey = k\nuser = a@b@c\n}\n", 4, "user@domain" },
	{ "[identity]\na = {\nkey = k\nuser = a b@c\n}\n", 4, "user@domain" },
	{ "[identity]\na = {\nkey = k\nhost = -x\n}\n", 4, "host name" },
	{ "[identity]\na = {\nkey = k\nhost = x-.y\n}\n", 4, "host name" },
	{ "[identity]\na = {\nkey = k\nuser = a/b@c\n}\n", 4, "user@domain" },
	{ "[identity]\na = {\nkey = k\nuser = sha256:a@c\n}\n", 4, "user@domain" },
	{ "[peer]\na = {\nhost = h\n}\n", 2, "neither key" },
	{ "[peer]\na = {\nkey = " DIGEST "\nhost = h\nuser = u@h\n}\n", 2, "two peers" },
	{ "[peer]\na = {\nkey = " DIGEST "\nservices = imap\n}\n", 2, "services" },
	{ "[peer]\na = {\nkey = " DIGEST "=\n}\n", 3, "SHA256" },
	{ "[peer]\na = {\nkey = SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV\n}\n", 3, "SHA256" },
	{ "[peer]\na = {\nkey = SHA256:abc\n}\n", 3, "SHA256" },
	{ "[peer]\na = {\nkey = /etc/key.pem\n}\n", 3, "key_file" },
	{ "[peer]\na = {\nkey = " DIGEST "\nkey = " SPKI "=\n}\n", 4, "[peer] a: key = " SPKI "=" },
	{ "[peer]\na = {\nkey = " DIGEST "\nusage = both\n}\n", 4, "usage is no key" },
	{ "[service]\na@b = {\nt5 = yes\n}\n", 2, "service name" },
	{ "[service]\na = {\nt5 = true\n}\n", 3, "yes nor no" },
	{ "[service]\na = {\nlatch = on\n}\n", 3, "require" },
};
/* clang-format on */

static void check_mistake(const struct mistake *mistake)
{
	struct config *config = NULL;
	char place[80];

	write_file(first, mistake->text);
	ck_assert_msg(load(&config) == ERR_CONFIG, "accepted: %s", mistake->text);
	ck_assert_ptr_null(config);
	snprintf(place, sizeof(place), "%s:%u: ", first, mistake->line);
	ck_assert_msg(strncmp(config_last_error(), place, strlen(place)) == 0 &&
			      strstr(config_last_error(), mistake->word) != NULL,
		"%s\n gives: %s", mistake->text, config_last_error());
	for (const char *c = config_last_error(); *c != '\0'; c++)
		ck_assert_int_ge((unsigned char)*c, ' ');
}

START_TEST(every_mistake_is_named)
{
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++)
		check_mistake(&mistakes[i]);
}
END_TEST

START_TEST(limits_hold)
{
	static char text[CONFIG_TEST_TEXT_BYTES];
	struct config *config = NULL;
	size_t len;

	snprintf(text, sizeof(text), "[identity]\n#%0*d\na = {\nkey = %0*d\n}\n", 1023, 0, 1000, 0);
	config = load_text(text);
	config_release(&config);
	snprintf(text, sizeof(text), "#%0*d\n", 1024, 0);
	write_file(first, text);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "longer"));
	snprintf(text, sizeof(text), "[identity]\n%0*d = {\nkey = k\n}\n", 65, 0);
	write_file(first, text);
	ck_assert_int_eq(load(&config), ERR_CONFIG);

	len = (size_t)snprintf(text, sizeof(text), "[peer]\na = {\n");
	for (int i = 0; i < 65; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "key = " DIGEST "\n");
	snprintf(text + len, sizeof(text) - len, "}\n");
	write_file(first, text);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), ":67:"));
	ck_assert_ptr_nonnull(strstr(config_last_error(), "too many"));
	write_octets(first, BYTES((const uint8_t *)"[peer]\n\0[", 9));
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "zero octet"));
}
END_TEST

START_TEST(owner_and_mode_are_checked)
{
	struct config *config = load_text("[peer]\n");

	config_release(&config);
	ck_assert_int_eq(chmod(first, 0664), 0);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "chmod"));
	ck_assert_int_eq(chmod(first, 0602), 0);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	ck_assert_int_eq(chmod(first, 0600), 0);
	ck_assert_int_eq(load(&config), ERR_OK);
	config_release(&config);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(first, 1, 1), 0);
		ck_assert_int_eq(load(&config), ERR_CONFIG);
		ck_assert_ptr_nonnull(strstr(config_last_error(), "belongs to user 1"));
	}
	unlink(first);
	ck_assert_int_eq(mkfifo(first, 0600), 0);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	unlink(first);
	ck_assert_int_eq(mkdir(first, 0700), 0);
	ck_assert_int_eq(load(&config), ERR_CONFIG);
	rmdir(first);
}
END_TEST

static size_t read_example(char *text, size_t size)
{
	FILE *file = fopen(EXAMPLE, "r");
	size_t len;

	ck_assert_msg(file != NULL, "run the tests at the top of the source tree");
	len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	fclose(file);
	return len;
}

START_TEST(the_example_is_read)
{
	static char text[CONFIG_TEST_TEXT_BYTES];
	struct config *config;

	ck_assert_uint_gt(read_example(text, sizeof(text)), 0);
	config = load_text(text);
	ck_assert_uint_eq(config_identity_count(config), 2);
	ck_assert_uint_eq(config_peer_count(config), 3);
	ck_assert_str_eq(config_identity_at(config, 0)->tag, "server");
	ck_assert_uint_eq(config_peer_at(config, 0)->key_count, 2);
	ck_assert_int_eq(config_latch_policy(config, "HTTP"), CONFIG_LATCH_AUTO);
	config_release(&config);
}
END_TEST

START_TEST(damaged_examples_do_no_harm)
{
	static char text[CONFIG_TEST_TEXT_BYTES], damaged[CONFIG_TEST_TEXT_BYTES];
	size_t len = read_example(text, sizeof(text));
	struct config *config = NULL;

	for (size_t i = 0; i < len; i++) {
		write_octets(first, BYTES((const uint8_t *)text, i));
		if (load(&config) == ERR_OK)
			config_release(&config);
		memcpy(damaged, text, len);
		damaged[i] = (char)(damaged[i] ^ (i % 2 == 0 ? 0x01 : 0x5d));
		write_octets(first, BYTES((const uint8_t *)damaged, len));
		if (load(&config) == ERR_OK)
			config_release(&config);
		ck_assert_ptr_null(config);
	}
}
END_TEST

/* Longer than the second for which a snapshot is taken as current. */
static void wait_a_second(void)
{
	const struct timespec pause = { .tv_sec = 1, .tv_nsec = 50000000 };

	nanosleep(&pause, NULL);
}

START_TEST(current_snapshot_follows_the_file)
{
	struct config *config = NULL, *same = NULL;

	write_file(first, "[gss-ipsec]\nlatch = no\n");
	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	wait_a_second();
	ck_assert_int_eq(config_get(&config), ERR_OK);
	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_NO);
	wait_a_second();
	ck_assert_int_eq(config_get(&same), ERR_OK);
	ck_assert_ptr_eq(config, same);
	config_release(&same);
	write_file(first, "[gss-ipsec]\nlatch = nein\n");
	wait_a_second();
	ck_assert_int_eq(config_get(&same), ERR_CONFIG);
	ck_assert_ptr_nonnull(strstr(config_last_error(), "nein"));
	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_NO);
	config_release(&config);
	unlink(first);
	wait_a_second();
	ck_assert_int_eq(config_get(&config), ERR_OK);
	ck_assert_int_eq(config_latch_policy(config, NULL), CONFIG_LATCH_YES);
	config_release(&config);
	unsetenv("GSS_IPSEC_CONFIG");
}
END_TEST

START_TEST(the_users_file_is_found)
{
	struct config *config = NULL;
	char path[128];

	unsetenv("GSS_IPSEC_CONFIG");
	ck_assert_int_eq(setenv("HOME", directory, 1), 0);
	snprintf(path, sizeof(path), "%s/.config", directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.config/gss-ipsec", directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.config/gss-ipsec/ipsec.conf", directory);
	write_file(path, "[gss-ipsec]\nbroker = /users/own\n");
	wait_a_second();
	ck_assert_int_eq(config_get(&config), ERR_OK);
	ck_assert_str_eq(config_broker_path(config), "/users/own");
	config_release(&config);
	unlink(path);
	snprintf(path, sizeof(path), "%s/.config/gss-ipsec", directory);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/.config", directory);
	rmdir(path);
}
END_TEST

static atomic_bool threads_stop;

static void *get_often(void *unused)
{
	while (!atomic_load(&threads_stop)) {
		struct config *config = NULL;

		if (config_get(&config) == ERR_OK)
			config_release(&config);
		if (config_peek(&config) == ERR_OK)
			config_release(&config);
		if (load(&config) == ERR_OK)
			config_release(&config);
	}
	return unused;
}

static int ask_in_child(void)
{
	struct config *config = NULL;

	alarm(20);
	if (config_get(&config) != ERR_OK)
		return 1;
	config_release(&config);
	if (load(&config) != ERR_OK)
		return 2;
	config_release(&config);
	return 0;
}

/* A child forked while other threads read must find the lock free. The library's own lock is the
 * application's to keep free (doc/configuration.md), so the files do not exist here. */
START_TEST(threads_and_forks_get_on)
{
	pthread_t threads[3];

	ck_assert_int_eq(setenv("GSS_IPSEC_CONFIG", first, 1), 0);
	atomic_store(&threads_stop, false);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, get_often, NULL), 0);
	for (int i = 0; i < 200; i++) {
		int status = 0;
		pid_t child = fork();

		ck_assert_int_ge(child, 0);
		if (child == 0)
			_exit(ask_in_child());
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(status, 0);
	}
	atomic_store(&threads_stop, true);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	unsetenv("GSS_IPSEC_CONFIG");
}
END_TEST

Suite *suite_config(void)
{
	Suite *suite = suite_create("config");
	TCase *tc = tcase_create("config");

	tcase_add_checked_fixture(tc, files_set_up, files_tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, no_file_is_an_empty_configuration);
	tcase_add_test(tc, every_general_key_is_read);
	tcase_add_test(tc, identities_keep_the_files_order);
	tcase_add_test(tc, peers_hold_several_keys);
	tcase_add_test(tc, earlier_files_win);
	tcase_add_test(tc, mistakes_in_a_later_file_count);
	tcase_add_test(tc, every_mistake_is_named);
	tcase_add_test(tc, limits_hold);
	tcase_add_test(tc, owner_and_mode_are_checked);
	tcase_add_test(tc, the_example_is_read);
	tcase_add_test(tc, damaged_examples_do_no_harm);
	tcase_add_test(tc, current_snapshot_follows_the_file);
	tcase_add_test(tc, the_users_file_is_found);
	suite_add_tcase(suite, tc);
	/* Excluded by this tag under AddressSanitizer, whose own allocator does not survive such forks. */
	tc = tcase_create("fork");
	tcase_set_tags(tc, "fork_among_threads");
	tcase_add_checked_fixture(tc, files_set_up, files_tear_down);
	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, threads_and_forks_get_on);
	suite_add_tcase(suite, tc);
	return suite;
}
