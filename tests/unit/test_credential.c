/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: which identity serves what, the credential store, key files and their modes,
 * tokens.
 */
#include "mech/mech.h"

#include "mech/identity.h"
#include "tests/unit/key_store.h"
#include "tests/unit/suites.h"

static const char config_text[] = "[identity]\n"
				  "\tserver = {\n"
				  "\t\tkey = server.pem\n"
				  "\t\thost = Server.example.org\n"
				  "\t\tservices = imap HTTP\n"
				  "\t\tusage = accept\n"
				  "\t}\n"
				  "\talice = {\n"
				  "\t\tkey = alice.pem\n"
				  "\t\tuser = alice@example.org\n"
				  "\t}\n"
				  "\tother = {\n"
				  "\t\tkey = other.pem\n"
				  "\t\thost = other.example.org\n"
				  "\t}\n"
				  "\tbare = {\n"
				  "\t\tkey = bare.pem\n"
				  "\t\tusage = initiate\n"
				  "\t}\n";

static struct key_store store;
static struct key_store_path config_path;
static char bare_name[64], other_name[64];

static void keep_name(const struct crypto_private_key *key, char *out, size_t room)
{
	struct mech_name *name = key_store_name(key);

	snprintf(out, room, "%s", mech_name_display(name));
	mech_name_release(&name);
}

static void setup(void)
{
	static const char *const files[] = { "server.pem", "alice.pem", "other.pem", "bare.pem" };

	store = key_store_new();
	config_path = key_store_path(&store, "ipsec.conf");
	key_store_write_text(&store, "ipsec.conf", config_text);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct crypto_private_key *key = key_store_add(&store, files[i]);

		keep_name(key, i == 2 ? other_name : bare_name, sizeof(bare_name));
		crypto_private_key_free(&key);
	}
}

static void teardown(void)
{
	key_store_free(&store);
}

/* desired in MECH_FORM_USER, NULL for none; one more entry of the store if key is not NULL. */
static enum err acquire(const char *desired, enum mech_usage usage, const char *key,
	const char *value, struct mech_credential **ret_credential)
{
	const struct mech_store_entry entries[] = { { "ccache", "ignored" },
		{ "ipsec_config", config_path.text }, { key, value } };
	struct mech_name *name = desired == NULL ? NULL : import_name(MECH_FORM_USER, desired);
	enum err err =
		mech_credential_acquire(name, usage, entries, key == NULL ? 2 : 3, ret_credential);

	mech_name_release(&name);
	return err;
}

/* Names as shown, or the error. */
static const struct choice {
	const char *desired;
	enum mech_usage usage;
	const char *key, *value;
	enum err err;
	const char *name, *initiator; /* initiator: tag, NULL none */
} choices[] = {
	{ NULL, MECH_INITIATE, NULL, NULL, ERR_OK, "alice@example.org", "alice" },
	{ NULL, MECH_ACCEPT, NULL, NULL, ERR_OK, "host/server.example.org", NULL },
	{ NULL, MECH_BOTH, NULL, NULL, ERR_OK, "alice@example.org", "alice" },
	{ "alice@example.org", MECH_BOTH, NULL, NULL, ERR_OK, "alice@example.org", "alice" },
	{ "bob@example.org", MECH_INITIATE, NULL, NULL, ERR_NO_IDENTITY, NULL, NULL },
	{ "host/other.example.org", MECH_INITIATE, NULL, NULL, ERR_OK, "host/other.example.org",
		"other" },
	{ "imap/OTHER.example.org", MECH_INITIATE, NULL, NULL, ERR_OK, "host/other.example.org",
		"other" },
	{ "imap/other.example.org", MECH_BOTH, NULL, NULL, ERR_OK, "imap/other.example.org",
		"other" },
	{ "/other.example.org", MECH_ACCEPT, NULL, NULL, ERR_OK, "host/other.example.org", NULL },
	{ "imap/", MECH_INITIATE, NULL, NULL, ERR_OK, "host/other.example.org", "other" },
	{ "imap/", MECH_ACCEPT, NULL, NULL, ERR_OK, "imap/server.example.org", NULL },
	{ "pop/", MECH_ACCEPT, NULL, NULL, ERR_OK, "alice@example.org", NULL },
	{ "pop/server.example.org", MECH_ACCEPT, NULL, NULL, ERR_NO_IDENTITY, NULL, NULL },
	{ "imap/server.example.org", MECH_ACCEPT, NULL, NULL, ERR_OK, "imap/server.example.org",
		NULL },
	{ "imap/server.example.org", MECH_INITIATE, NULL, NULL, ERR_CRED_USAGE, NULL, NULL },
	{ "imap/server.example.org", MECH_BOTH, NULL, NULL, ERR_CRED_USAGE, NULL, NULL },
	{ "imap/nowhere.example.org", MECH_ACCEPT, NULL, NULL, ERR_NO_IDENTITY, NULL, NULL },
	{ "anonymous", MECH_INITIATE, NULL, NULL, ERR_NO_IDENTITY, NULL, NULL },
	{ bare_name, MECH_INITIATE, NULL, NULL, ERR_OK, bare_name, "bare" },
	{ bare_name, MECH_ACCEPT, NULL, NULL, ERR_NO_IDENTITY, NULL, NULL },
	{ other_name, MECH_BOTH, NULL, NULL, ERR_OK, other_name, "other" },
	{ NULL, MECH_INITIATE, "ipsec_identity", "bare", ERR_OK, bare_name, "bare" },
	{ NULL, MECH_BOTH, "ipsec_identity", "bare", ERR_CRED_USAGE, NULL, NULL },
	{ NULL, MECH_ACCEPT, "ipsec_identity", "other", ERR_OK, "host/other.example.org", NULL },
	{ "alice@example.org", MECH_INITIATE, "ipsec_identity", "other", ERR_NO_IDENTITY, NULL,
		NULL },
	{ NULL, MECH_INITIATE, "ipsec_identity", "nobody", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_identity", "", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_fd", "", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_fd", "-1", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_fd", "3x", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_fd", "2147483648", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_latch", "maybe", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_config", "/twice", ERR_CRED_STORE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_key", "/nowhere/key.pem", ERR_KEY_FILE, NULL, NULL },
	{ NULL, MECH_INITIATE, "ipsec_config", NULL, ERR_ARGUMENT, NULL, NULL },
	{ NULL, (enum mech_usage)0, NULL, NULL, ERR_ARGUMENT, NULL, NULL },
	{ NULL, (enum mech_usage)4, NULL, NULL, ERR_ARGUMENT, NULL, NULL },
};

static void check_choice(const struct choice *choice, const struct mech_credential *credential)
{
	struct mech_name *name = mech_credential_name(credential);
	const struct mech_identity *initiator = mech_credential_initiator(credential);
	struct config *config = NULL;

	ck_assert_str_eq(mech_name_display(name), choice->name);
	ck_assert_int_eq(mech_credential_usage(credential), choice->usage);
	ck_assert_int_eq(mech_credential_descriptor(credential), -1);
	ck_assert_int_eq(initiator == NULL, choice->initiator == NULL);
	if (initiator != NULL)
		ck_assert_str_eq(initiator->tag, choice->initiator);
	ck_assert_int_eq(mech_credential_config(credential, &config), ERR_OK);
	ck_assert_ptr_nonnull(config);
	config_release(&config);
	mech_name_release(&name);
}

START_TEST(chooses)
{
	const struct choice *choice = &choices[_i];
	struct mech_credential *credential = NULL, *again = NULL;
	struct writer token;

	ck_assert_int_eq(
		acquire(choice->desired, choice->usage, choice->key, choice->value, &credential),
		choice->err);
	if (choice->err != ERR_OK) {
		ck_assert_ptr_null(credential);
		return;
	}
	check_choice(choice, credential);
	writer_init(&token, 4096);
	ck_assert_int_eq(mech_credential_export(credential, &token), ERR_OK);
	mech_credential_release(&credential);
	ck_assert_int_eq(mech_credential_import(writer_view(&token), &again), ERR_OK);
	check_choice(choice, again);
	mech_credential_release(&again);
	writer_free(&token);
}
END_TEST

START_TEST(nothing_configured_gives_nothing)
{
	struct mech_credential *credential = NULL;

	key_store_write_text(&store, "ipsec.conf", "");
	for (int usage = MECH_INITIATE; usage <= MECH_BOTH; usage++)
		ck_assert_int_eq(acquire(NULL, (enum mech_usage)usage, NULL, NULL, &credential),
			ERR_NO_IDENTITY);
	ck_assert_int_eq(unlink(config_path.text), 0);
	ck_assert_int_eq(acquire(NULL, MECH_ACCEPT, NULL, NULL, &credential), ERR_NO_IDENTITY);
	key_store_write_text(&store, "ipsec.conf", "[nonsense]\n");
	ck_assert_int_eq(acquire(NULL, MECH_ACCEPT, NULL, NULL, &credential), ERR_CONFIG);
	ck_assert_str_ne(mech_last_detail(ERR_CONFIG), "");
}
END_TEST

/* wanted NULL: none was sent. tag NULL: err. */
static const struct answer {
	const char *desired, *wanted, *service, *tag;
	enum err err;
} answers[] = {
	{ NULL, NULL, "imap", "server", ERR_OK },
	{ NULL, NULL, "", "server", ERR_OK },
	{ NULL, NULL, NULL, "server", ERR_OK },
	{ NULL, NULL, "pop", "alice", ERR_OK },
	{ NULL, "/other.example.org", "pop", "other", ERR_OK },
	{ NULL, "/server.example.org", "pop", NULL, ERR_SERVICE_REFUSED },
	{ NULL, "/nowhere.example.org", "pop", NULL, ERR_TARGET_HOST },
	{ NULL, "imap/", "imap", "server", ERR_OK },
	{ NULL, "alice@example.org", "", "alice", ERR_OK },
	{ NULL, "bob@example.org", "", NULL, ERR_TARGET_HOST },
	{ NULL, "anonymous", "", NULL, ERR_TARGET_HOST },
	{ NULL, other_name, "", "other", ERR_OK },
	{ NULL, bare_name, "", NULL, ERR_TARGET_HOST },
	{ "imap/", NULL, "imap", "server", ERR_OK },
	{ "imap/", NULL, "HTTP", NULL, ERR_SERVICE_REFUSED },
	{ "imap/", "/other.example.org", "imap", "other", ERR_OK },
	{ "imap/", "/other.example.org", "HTTP", NULL, ERR_SERVICE_REFUSED },
	{ "imap/server.example.org", "/other.example.org", "imap", NULL, ERR_TARGET_HOST },
	{ "imap/server.example.org", "/server.example.org", "HTTP", NULL, ERR_SERVICE_REFUSED },
	{ "imap/server.example.org", "/server.example.org", "", "server", ERR_OK },
};

START_TEST(answers_for_services)
{
	const struct answer *answer = &answers[_i];
	struct mech_credential *credential = NULL;
	struct mech_name *wanted =
		answer->wanted == NULL ? NULL : import_name(MECH_FORM_USER, answer->wanted);
	const struct mech_identity *identity = NULL;

	ck_assert_int_eq(acquire(answer->desired, MECH_ACCEPT, NULL, NULL, &credential), ERR_OK);
	ck_assert_int_eq(mech_credential_acceptor(credential, wanted, answer->service, &identity),
		answer->err);
	if (answer->tag != NULL)
		ck_assert_str_eq(identity->tag, answer->tag);
	else
		ck_assert_str_ne(mech_last_detail(answer->err), "");
	mech_name_release(&wanted);
	mech_credential_release(&credential);
}
END_TEST

START_TEST(initiators_do_not_answer)
{
	struct mech_credential *credential = NULL;
	const struct mech_identity *identity = NULL;

	ck_assert_int_eq(acquire(NULL, MECH_INITIATE, NULL, NULL, &credential), ERR_OK);
	ck_assert_int_eq(mech_credential_acceptor(credential, NULL, "", &identity), ERR_CRED_USAGE);
	mech_credential_release(&credential);
}
END_TEST

START_TEST(key_without_configuration)
{
	static const struct {
		const char *desired, *name;
		enum err err;
	} rows[] = {
		{ NULL, bare_name, ERR_OK },
		{ bare_name, bare_name, ERR_OK },
		{ other_name, NULL, ERR_NO_IDENTITY },
		{ "carol@example.org", "carol@example.org", ERR_OK },
		{ "imap/new.example.org", "imap/new.example.org", ERR_OK },
		{ "imap/", bare_name, ERR_OK },
		{ "anonymous", NULL, ERR_NO_IDENTITY },
	};
	struct key_store_path path = key_store_path(&store, "bare.pem");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mech_credential *credential = NULL;
		struct mech_name *name;

		ck_assert_int_eq(
			acquire(rows[i].desired, MECH_BOTH, "ipsec_key", path.text, &credential),
			rows[i].err);
		if (rows[i].err != ERR_OK)
			continue;
		name = mech_credential_name(credential);
		ck_assert_str_eq(mech_name_display(name), rows[i].name);
		mech_name_release(&name);
		mech_credential_release(&credential);
	}
}
END_TEST

START_TEST(store_options)
{
	struct mech_credential *credential = NULL, *copy = NULL;
	struct mech_name *name, *other;
	enum config_latch policy = CONFIG_LATCH_YES;

	ck_assert_int_eq(
		acquire(NULL, MECH_INITIATE, "ipsec_latch", "require", &credential), ERR_OK);
	ck_assert(mech_credential_latch_policy(credential, &policy));
	ck_assert_int_eq(policy, CONFIG_LATCH_REQUIRE);
	ck_assert_int_eq(mech_credential_with_descriptor(credential, -2, &copy), ERR_ARGUMENT);
	ck_assert_int_eq(mech_credential_with_descriptor(credential, 17, &copy), ERR_OK);
	ck_assert_int_eq(mech_credential_descriptor(copy), 17);
	ck_assert_int_eq(mech_credential_descriptor(credential), -1);
	name = mech_credential_name(credential);
	mech_credential_release(&credential);
	other = mech_credential_name(copy);
	ck_assert(mech_name_equal(name, other));
	mech_name_release(&name);
	mech_name_release(&other);
	credential = mech_credential_ref(copy);
	mech_credential_release(&copy);
	ck_assert_int_eq(mech_credential_descriptor(credential), 17);
	mech_credential_release(&credential);
	ck_assert_int_eq(
		acquire(NULL, MECH_INITIATE, "ipsec_fd", "2147483647", &credential), ERR_OK);
	ck_assert_int_eq(mech_credential_descriptor(credential), 2147483647);
	ck_assert(!mech_credential_latch_policy(credential, &policy));
	mech_credential_release(&credential);
	mech_credential_release(&credential);
}
END_TEST

START_TEST(exported_descriptor_and_latch)
{
	struct mech_credential *credential = NULL, *copy = NULL;
	enum config_latch policy = CONFIG_LATCH_YES;
	struct writer token;

	writer_init(&token, 4096);
	ck_assert_int_eq(acquire(NULL, MECH_ACCEPT, "ipsec_latch", "no", &credential), ERR_OK);
	ck_assert_int_eq(mech_credential_with_descriptor(credential, 3, &copy), ERR_OK);
	mech_credential_release(&credential);
	ck_assert_int_eq(mech_credential_export(copy, &token), ERR_OK);
	mech_credential_release(&copy);
	ck_assert_int_eq(mech_credential_import(writer_view(&token), &copy), ERR_OK);
	ck_assert_int_eq(mech_credential_descriptor(copy), 3);
	ck_assert(mech_credential_latch_policy(copy, &policy));
	ck_assert_int_eq(policy, CONFIG_LATCH_NO);
	mech_credential_release(&copy);
	writer_free(&token);
}
END_TEST

START_TEST(tokens_cut_and_changed)
{
	struct mech_credential *credential = NULL;
	struct writer token;
	uint8_t copy[4096];

	writer_init(&token, sizeof(copy));
	ck_assert_int_eq(
		acquire("alice@example.org", MECH_BOTH, "ipsec_identity", "alice", &credential),
		ERR_OK);
	ck_assert_int_eq(mech_credential_export(credential, &token), ERR_OK);
	mech_credential_release(&credential);
	memcpy(copy, writer_view(&token).data, writer_len(&token));
	for (size_t len = 0; len < writer_len(&token); len++)
		ck_assert_int_eq(
			mech_credential_import(BYTES(copy, len), &credential), ERR_CRED_TOKEN);
	for (size_t at = 0; at < writer_len(&token); at++) {
		copy[at] ^= 0xff;
		if (mech_credential_import(BYTES(copy, writer_len(&token)), &credential) == ERR_OK)
			mech_credential_release(&credential);
		copy[at] ^= 0xff;
	}
	writer_free(&token);
}
END_TEST

START_TEST(modes_of_key_files)
{
	static const struct {
		mode_t mode;
		enum err err;
	} rows[] = { { 0600, ERR_OK }, { 0400, ERR_OK }, { 0700, ERR_OK },
		{ 0640, ERR_KEY_FILE_MODE }, { 0604, ERR_KEY_FILE_MODE },
		{ 0602, ERR_KEY_FILE_MODE }, { 0610, ERR_KEY_FILE_MODE } };
	struct key_store_path path = key_store_path(&store, "alice.pem");

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct crypto_private_key *key = NULL;
		bool is_denied = true;
		struct key_store_path link_path = key_store_path(&store, "link");

		/* Another path each time: a look at the same one may be a second old. */
		link_path.text[strlen(link_path.text) - 1] = (char)('a' + i);
		ck_assert_int_eq(symlink(path.text, link_path.text), 0);
		ck_assert_int_eq(chmod(path.text, rows[i].mode), 0);
		ck_assert_int_eq(
			mech_private_key_load(link_path.text, &key, &is_denied), rows[i].err);
		ck_assert(!is_denied);
		crypto_private_key_free(&key);
	}
}
END_TEST

START_TEST(bad_key_files)
{
	static uint8_t large[65537];
	struct crypto_private_key *key = NULL;
	struct key_store_path fifo = key_store_path(&store, "fifo");
	struct key_store_path text = key_store_path(&store, "text.pem");
	struct key_store_path huge = key_store_path(&store, "huge.pem");
	uint8_t digest[CRYPTO_SHA256_BYTES];
	struct writer w;
	bool is_denied;

	writer_init(&w, 1000);
	ck_assert_int_eq(mkfifo(fifo.text, 0600), 0);
	key_store_write(&store, "text.pem", 0600, BYTES((const uint8_t *)"hello\n", 6));
	key_store_write(&store, "huge.pem", 0600, BYTES_OF(large));
	ck_assert_int_eq(mech_private_key_load(fifo.text, &key, &is_denied), ERR_KEY_FILE);
	ck_assert_int_eq(mech_private_key_load(store.directory, &key, &is_denied), ERR_KEY_FILE);
	ck_assert_int_eq(mech_private_key_load(huge.text, &key, &is_denied), ERR_KEY_FILE);
	ck_assert_int_eq(mech_private_key_load(text.text, &key, &is_denied), ERR_KEY_FORMAT);
	ck_assert_str_eq(mech_last_detail(ERR_KEY_FORMAT), text.text);
	ck_assert_int_eq(mech_public_key_load(text.text, &w, digest), ERR_KEY_FORMAT);
	ck_assert_int_eq(mech_public_key_load("/nowhere/x", &w, digest), ERR_KEY_FILE);
	ck_assert_str_eq(mech_last_detail(ERR_KEY_FILE), "/nowhere/x: No such file or directory");
	ck_assert_uint_eq(writer_len(&w), 0);
	writer_free(&w);
}
END_TEST

START_TEST(keys_are_looked_at_again)
{
	struct key_store_path path = key_store_path(&store, "bare.pem");
	struct crypto_private_key *first = NULL, *second = NULL, *fresh;
	bool is_denied;

	ck_assert_int_eq(mech_private_key_load(path.text, &first, &is_denied), ERR_OK);
	ck_assert_int_eq(mech_private_key_load(path.text, &second, &is_denied), ERR_OK);
	ck_assert_ptr_eq(first, second);
	crypto_private_key_free(&second);
	fresh = key_store_add(&store, "bare.pem");
	usleep(1100000);
	ck_assert_int_eq(mech_private_key_load(path.text, &second, &is_denied), ERR_OK);
	ck_assert(bytes_equal(crypto_private_key_spki(second), crypto_private_key_spki(fresh)));
	ck_assert(!bytes_equal(crypto_private_key_spki(second), crypto_private_key_spki(first)));
	crypto_private_key_free(&second);
	ck_assert_int_eq(unlink(path.text), 0);
	usleep(1100000);
	ck_assert_int_eq(mech_private_key_load(path.text, &second, &is_denied), ERR_KEY_FILE);
	crypto_private_key_free(&first);
	crypto_private_key_free(&fresh);
}
END_TEST

static size_t file_read(const char *path, char *content, size_t room)
{
	FILE *file = fopen(path, "r");
	size_t len = file == NULL ? 0 : fread(content, 1, room, file);

	ck_assert(len > 0 && fclose(file) == 0);
	return len;
}

static void file_write(const char *path, const char *content, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert(file != NULL && fwrite(content, 1, len, file) == len);
	ck_assert_int_eq(fclose(file), 0);
}

/* Written twice within one tick of the file system's clock, a file has the same time, and a key's size. */
START_TEST(keys_of_the_same_tick_are_seen)
{
	struct key_store_path path = key_store_path(&store, "bare.pem");
	char first[4096], second[4096];
	size_t first_len = file_read(path.text, first, sizeof(first)), second_len;
	struct crypto_private_key *read, *last = key_store_add(&store, "bare.pem");
	bool is_denied;

	second_len = file_read(path.text, second, sizeof(second));
	file_write(path.text, first, first_len);
	ck_assert_int_eq(mech_private_key_load(path.text, &read, &is_denied), ERR_OK);
	file_write(path.text, second, second_len);
	crypto_private_key_free(&read);
	usleep(1100000);
	ck_assert_int_eq(mech_private_key_load(path.text, &read, &is_denied), ERR_OK);
	ck_assert(bytes_equal(crypto_private_key_spki(read), crypto_private_key_spki(last)));
	crypto_private_key_free(&read);
	crypto_private_key_free(&last);
}
END_TEST

/* More paths than the cache holds. */
START_TEST(cache_overflows)
{
	struct key_store_path path = key_store_path(&store, "bare.pem");
	struct crypto_private_key *key = NULL;
	bool is_denied;

	for (int i = 0; i < 100; i++) {
		struct key_store_path link_path;

		snprintf(link_path.text, sizeof(link_path.text), "%.64s/l%d", store.directory, i);
		ck_assert_int_eq(symlink(path.text, link_path.text), 0);
		ck_assert_int_eq(mech_private_key_load(link_path.text, &key, &is_denied), ERR_OK);
		crypto_private_key_free(&key);
	}
}
END_TEST

#define NOBODY 65534

/* Needs to be root: then another user's look at the same files. */
START_TEST(other_users_keys)
{
	struct key_store_path path = key_store_path(&store, "server.pem");
	struct mech_credential *credential = NULL;
	struct mech_name *name;

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chown(path.text, NOBODY, 0), 0);
	/* Whatever the other user does to his key denies nobody his own. */
	ck_assert_int_eq(acquire(NULL, MECH_ACCEPT, NULL, NULL, &credential), ERR_OK);
	mech_credential_release(&credential);
	ck_assert_int_eq(chown(path.text, 0, 0), 0);
	ck_assert_int_eq(chmod(store.directory, 0755), 0);
	path = key_store_path(&store, "other.pem");
	ck_assert_int_eq(chown(path.text, NOBODY, 0), 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	/* Only root may read the first ones, cached or not; the program's own identity is found. */
	ck_assert_int_eq(acquire(NULL, MECH_ACCEPT, NULL, NULL, &credential), ERR_OK);
	name = mech_credential_name(credential);
	ck_assert_str_eq(mech_name_display(name), "host/other.example.org");
	mech_name_release(&name);
	mech_credential_release(&credential);
	ck_assert_int_eq(
		acquire("alice@example.org", MECH_INITIATE, NULL, NULL, &credential), ERR_KEY_FILE);
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

static bool is_possible_now(void)
{
	const char *const files[] = { config_path.text, NULL };
	struct config *config = NULL;
	bool is_it;

	ck_assert_int_eq(config_load(files, &config), ERR_OK);
	is_it = mech_credential_is_possible(config);
	config_release(&config);
	return is_it;
}

static bool is_possible(const char *text)
{
	key_store_write_text(&store, "ipsec.conf", text);
	return is_possible_now();
}

START_TEST(possible_with_a_key_of_ones_own)
{
	static const char one[] = "[identity]\n\tserver = {\n\t\tkey = server.pem\n\t}\n";
	static const char offered[] = "[identity]\n\tserver = {\n\t\tkey = server.pem\n"
				      "\t\toffered_to_root = yes\n\t}\n";
	struct key_store_path path = key_store_path(&store, "server.pem");

	ck_assert(!is_possible(""));
	ck_assert(!is_possible("[gss-ipsec]\n\tunknown_peer = accept\n"));
	ck_assert(!is_possible("[identity]\n\tserver = {\n\t\tkey = missing.pem\n\t}\n"));
	ck_assert(is_possible("[identity]\n\tnobody = {\n\t\tanonymous = yes\n\t}\n"));
	ck_assert(is_possible(one));
	ck_assert(is_possible(config_text));
	if (geteuid() != 0)
		return;
	/* Root could read everybody's keys, and takes none of them. */
	ck_assert_int_eq(chown(path.text, NOBODY, 0), 0);
	ck_assert(!is_possible(one));
	ck_assert(is_possible(offered));
	ck_assert(is_possible(config_text));
	ck_assert_int_eq(chmod(store.directory, 0755), 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert(is_possible_now());
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(chown(path.text, 0, 0), 0);
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert(!is_possible_now());
	ck_assert_int_eq(seteuid(0), 0);
}
END_TEST

Suite *suite_credential(void)
{
	Suite *suite = suite_create("credential");
	TCase *tcase = tcase_create("credential");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, chooses, 0, (int)(sizeof(choices) / sizeof(choices[0])));
	tcase_add_loop_test(
		tcase, answers_for_services, 0, (int)(sizeof(answers) / sizeof(answers[0])));
	tcase_add_test(tcase, nothing_configured_gives_nothing);
	tcase_add_test(tcase, initiators_do_not_answer);
	tcase_add_test(tcase, key_without_configuration);
	tcase_add_test(tcase, store_options);
	tcase_add_test(tcase, exported_descriptor_and_latch);
	tcase_add_test(tcase, tokens_cut_and_changed);
	tcase_add_test(tcase, modes_of_key_files);
	tcase_add_test(tcase, bad_key_files);
	tcase_add_test(tcase, keys_are_looked_at_again);
	tcase_add_test(tcase, keys_of_the_same_tick_are_seen);
	tcase_add_test(tcase, cache_overflows);
	tcase_add_test(tcase, other_users_keys);
	tcase_add_test(tcase, possible_with_a_key_of_ones_own);
	suite_add_tcase(suite, tcase);
	return suite;
}
