/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer database: who may be shown as whom, in both roles. */
#include "mech/mech.h"

#include "mech/identity.h"
#include "mech/ike/wire.h"
#include "tests/unit/key_store.h"
#include "tests/unit/suites.h"

#define NOBODY 65534

/* Peers' keys: each with its own; FILE stands in the database by file, STRANGER not at all. */
enum peer_key { WWW, MAIL_OLD, MAIL_NEW, ALICE, BARE, FILE_KEY, STRANGER, PEER_KEYS };

static struct key_store store;
static struct crypto_private_key *keys[PEER_KEYS];
static char key_names[PEER_KEYS][64];
static struct config *refusing, *accepting;

static void spki_text(enum peer_key key, char *out)
{
	mech_base64_write(crypto_private_key_spki(keys[key]), out);
}

/* RFC 7468 section 13 */
static void write_public_key(enum peer_key key, const char *file)
{
	char digits[128], pem[256];

	spki_text(key, digits);
	snprintf(pem, sizeof(pem), "-----BEGIN PUBLIC KEY-----\n%s=\n-----END PUBLIC KEY-----\n",
		digits);
	key_store_write_text(&store, file, pem);
}

static struct config *load(const char *file, const char *unknown_peer)
{
	struct key_store_path path = key_store_path(&store, file);
	const char *files[] = { path.text, NULL };
	struct config *config = NULL;
	char text[4096], whole[2][128];

	/* 44 octets: the base64 of an Ed25519 key ends with one '='. */
	spki_text(MAIL_NEW, whole[0]);
	spki_text(BARE, whole[1]);
	snprintf(text, sizeof(text),
		"[gss-ipsec]\n\tunknown_peer = %s\n"
		"[peer]\n"
		"\twww = {\n\t\thost = www.example.org\n\t\tkey = %s\n\t}\n"
		"\tmail = {\n\t\thost = mail.example.org\n\t\tservices = imap smtp\n"
		"\t\tkey = %s\n\t\tkey = %s=\n\t}\n"
		"\talice = {\n\t\tuser = alice@example.org\n\t\tkey = %s\n\t}\n"
		"\tbare = {\n\t\tkey = %s=\n\t}\n"
		"\tfile = {\n\t\thost = file.example.org\n\t\tkey_file = file.pem\n\t}\n"
		"\tlost = {\n\t\thost = lost.example.org\n\t\tkey_file = nowhere.pem\n\t}\n",
		unknown_peer, key_names[WWW], key_names[MAIL_OLD], whole[0], key_names[ALICE],
		whole[1]);
	key_store_write_text(&store, file, text);
	ck_assert_msg(config_load(files, &config) == ERR_OK, "%s", config_last_error());
	return config;
}

static void setup(void)
{
	store = key_store_new();
	for (int i = 0; i < PEER_KEYS; i++) {
		struct mech_name *name;

		ck_assert_int_eq(
			crypto_private_key_generate(crypto_key_kind_at(0), 0, &keys[i]), ERR_OK);
		name = key_store_name(keys[i]);
		snprintf(key_names[i], sizeof(key_names[i]), "%s", mech_name_display(name));
		mech_name_release(&name);
	}
	write_public_key(FILE_KEY, "file.pem");
	refusing = load("refuse.conf", "refuse");
	accepting = load("accept.conf", "accept");
}

static void teardown(void)
{
	for (int i = 0; i < PEER_KEYS; i++)
		crypto_private_key_free(&keys[i]);
	config_release(&refusing);
	config_release(&accepting);
	key_store_free(&store);
}

/* NO_CERT: the claim goes without a key. */
enum { CERT, NO_CERT };
enum { AT_ACCEPTOR, AT_INITIATOR };

/* claim: a name (NULL: the key's own); name: what is shown (own: the key's own), NULL for an
 * error. */
static const char own[] = "own";
static const struct claim {
	int role;
	const char *wanted; /* NULL none; own the key's own */
	const char *claim;
	enum peer_key key;
	int cert;
	enum err refused; /* what unknown_peer = refuse gives */
	const char *name;
	bool is_proven;
	enum err accepted; /* unknown_peer = accept: another error, or OK as own, not proven */
} claims[] = {
	/* an acceptor */
	{ AT_ACCEPTOR, NULL, "/www.example.org", WWW, CERT, ERR_OK, "host/www.example.org", true,
		ERR_OK },
	{ AT_ACCEPTOR, NULL, "/mail.example.org", MAIL_OLD, CERT, ERR_OK, "imap/mail.example.org",
		true, ERR_OK },
	{ AT_ACCEPTOR, NULL, "/file.example.org", FILE_KEY, CERT, ERR_OK, "host/file.example.org",
		true, ERR_OK },
	{ AT_ACCEPTOR, NULL, "alice@example.org", ALICE, CERT, ERR_OK, "alice@example.org", true,
		ERR_OK },
	{ AT_ACCEPTOR, NULL, "alice@example.org", STRANGER, CERT, ERR_PEER_KEY_CHANGED, NULL, false,
		ERR_PEER_KEY_CHANGED },
	{ AT_ACCEPTOR, NULL, "alice@example.org", BARE, CERT, ERR_PEER_KEY_CHANGED, NULL, false,
		ERR_PEER_KEY_CHANGED },
	{ AT_ACCEPTOR, NULL, "/www.example.org", ALICE, CERT, ERR_PEER_KEY_CHANGED, NULL, false,
		ERR_PEER_KEY_CHANGED },
	{ AT_ACCEPTOR, NULL, "root@example.org", STRANGER, CERT, ERR_PEER_UNKNOWN, NULL, false,
		ERR_OK },
	{ AT_ACCEPTOR, NULL, "root@example.org", BARE, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_ACCEPTOR, NULL, "root@example.org", ALICE, CERT, ERR_PEER_UNKNOWN, NULL, false,
		ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, BARE, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, ALICE, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, STRANGER, CERT, ERR_PEER_UNKNOWN, NULL, false, ERR_OK },
	{ AT_ACCEPTOR, NULL, "/lost.example.org", STRANGER, CERT, ERR_CONFIG, NULL, false,
		ERR_CONFIG },
	{ AT_ACCEPTOR, NULL, "anonymous", STRANGER, CERT, ERR_AUTH_METHOD, NULL, false,
		ERR_AUTH_METHOD },
	/* without a CERT */
	{ AT_ACCEPTOR, NULL, "/mail.example.org", MAIL_NEW, NO_CERT, ERR_OK,
		"imap/mail.example.org", true, ERR_OK },
	{ AT_ACCEPTOR, NULL, "/file.example.org", FILE_KEY, NO_CERT, ERR_OK,
		"host/file.example.org", true, ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, BARE, NO_CERT, ERR_OK, own, true, ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, FILE_KEY, NO_CERT, ERR_OK, own, true, ERR_OK },
	{ AT_ACCEPTOR, NULL, NULL, WWW, NO_CERT, ERR_PEER_UNKNOWN, NULL, false, ERR_PEER_UNKNOWN },
	{ AT_ACCEPTOR, NULL, "/www.example.org", WWW, NO_CERT, ERR_PEER_UNKNOWN, NULL, false,
		ERR_PEER_UNKNOWN },
	{ AT_ACCEPTOR, NULL, "/none.example.org", WWW, NO_CERT, ERR_PEER_UNKNOWN, NULL, false,
		ERR_PEER_UNKNOWN },
	/* an initiator that wants a host */
	{ AT_INITIATOR, "HTTP/www.example.org", "/www.example.org", WWW, CERT, ERR_OK,
		"HTTP/www.example.org", true, ERR_OK },
	{ AT_INITIATOR, "smtp/mail.example.org", "/mail.example.org", MAIL_NEW, CERT, ERR_OK,
		"smtp/mail.example.org", true, ERR_OK },
	{ AT_INITIATOR, "pop/mail.example.org", "/mail.example.org", MAIL_NEW, CERT,
		ERR_SERVICE_REFUSED, NULL, false, ERR_SERVICE_REFUSED },
	{ AT_INITIATOR, "smtp/mail.example.org", "/mail.example.org", MAIL_NEW, NO_CERT, ERR_OK,
		"smtp/mail.example.org", true, ERR_OK },
	{ AT_INITIATOR, "HTTP/www.example.org", "/www.example.org", STRANGER, CERT,
		ERR_PEER_KEY_CHANGED, NULL, false, ERR_PEER_KEY_CHANGED },
	{ AT_INITIATOR, "HTTP/www.example.org", "/mail.example.org", MAIL_NEW, CERT, ERR_PEER_NAME,
		NULL, false, ERR_PEER_NAME },
	{ AT_INITIATOR, "HTTP/www.example.org", NULL, WWW, CERT, ERR_PEER_NAME, NULL, false,
		ERR_PEER_NAME },
	{ AT_INITIATOR, "HTTP/www.example.org", "alice@example.org", ALICE, CERT, ERR_PEER_NAME,
		NULL, false, ERR_PEER_NAME },
	{ AT_INITIATOR, "HTTP/new.example.org", "/new.example.org", STRANGER, CERT,
		ERR_PEER_UNKNOWN, NULL, false, ERR_PEER_UNKNOWN },
	{ AT_INITIATOR, "HTTP/new.example.org", "/new.example.org", BARE, CERT, ERR_PEER_UNKNOWN,
		NULL, false, ERR_PEER_UNKNOWN },
	{ AT_INITIATOR, "imap/", "/mail.example.org", MAIL_NEW, CERT, ERR_OK,
		"imap/mail.example.org", true, ERR_OK },
	{ AT_INITIATOR, "pop/", "/mail.example.org", MAIL_NEW, CERT, ERR_SERVICE_REFUSED, NULL,
		false, ERR_SERVICE_REFUSED },
	{ AT_INITIATOR, "imap/", NULL, STRANGER, CERT, ERR_PEER_UNKNOWN, NULL, false, ERR_OK },
	/* a user, a key, or nobody in particular */
	{ AT_INITIATOR, "alice@example.org", "alice@example.org", ALICE, CERT, ERR_OK,
		"alice@example.org", true, ERR_OK },
	{ AT_INITIATOR, "bob@example.org", "bob@example.org", STRANGER, CERT, ERR_PEER_UNKNOWN,
		NULL, false, ERR_PEER_UNKNOWN },
	{ AT_INITIATOR, own, NULL, STRANGER, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_INITIATOR, own, "/new.example.org", STRANGER, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_INITIATOR, own, "/www.example.org", WWW, CERT, ERR_OK, own, true, ERR_OK },
	{ AT_INITIATOR, own, "/www.example.org", STRANGER, CERT, ERR_PEER_KEY_CHANGED, NULL, false,
		ERR_PEER_KEY_CHANGED },
	{ AT_INITIATOR, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", NULL, WWW, CERT,
		ERR_PEER_NAME, NULL, false, ERR_PEER_NAME },
	{ AT_INITIATOR, NULL, NULL, STRANGER, CERT, ERR_PEER_UNKNOWN, NULL, false, ERR_OK },
	{ AT_INITIATOR, "anonymous", "root@example.org", STRANGER, CERT, ERR_PEER_UNKNOWN, NULL,
		false, ERR_OK },
	{ AT_INITIATOR, NULL, "/www.example.org", WWW, CERT, ERR_OK, "host/www.example.org", true,
		ERR_OK },
};

static struct mech_name *name_of(const char *text, enum peer_key key)
{
	return text == NULL ? NULL
			    : import_name(MECH_FORM_USER, text == own ? key_names[key] : text);
}

static void check_claim(const struct claim *row, const struct config *config, enum err expected,
	const char *shown, bool is_proven)
{
	struct mech_name *wanted = name_of(row->wanted, row->key);
	struct mech_name *claimed = name_of(row->claim == NULL ? own : row->claim, row->key);
	struct mech_peer_claim claim = { 0 };
	struct mech_name *name = NULL;
	struct writer id, spki;
	bool got_proven = false;

	writer_init(&id, 300);
	writer_init(&spki, 1000);
	ck_assert_int_eq(mech_name_to_id(claimed, &claim.id_type, &id), ERR_OK);
	claim.id_data = writer_view(&id);
	if (row->cert == CERT)
		claim.spki = crypto_private_key_spki(keys[row->key]);
	ck_assert_int_eq(mech_peer_judge(config, row->role == AT_INITIATOR, wanted, &claim, &spki,
				 &name, &got_proven),
		expected);
	if (expected == ERR_OK) {
		ck_assert_str_eq(
			mech_name_display(name), shown == own ? key_names[row->key] : shown);
		ck_assert(got_proven == is_proven);
		ck_assert(bytes_equal(writer_view(&spki), crypto_private_key_spki(keys[row->key])));
	} else {
		ck_assert_ptr_null(name);
		ck_assert_uint_eq(writer_len(&spki), 0);
		ck_assert_str_ne(mech_last_detail(expected), "");
	}
	mech_name_release(&name);
	mech_name_release(&wanted);
	mech_name_release(&claimed);
	writer_free(&id);
	writer_free(&spki);
}

START_TEST(judges)
{
	const struct claim *row = &claims[_i];
	bool differs = row->refused != ERR_OK && row->accepted == ERR_OK;

	check_claim(row, refusing, row->refused, row->name, row->is_proven);
	check_claim(row, accepting, row->accepted, differs ? own : row->name,
		differs ? false : row->is_proven);
}
END_TEST

static enum err judge(uint8_t type, struct bytes data, struct bytes key)
{
	struct mech_peer_claim claim = { .id_type = type, .id_data = data, .spki = key };
	struct mech_name *name = NULL;
	struct writer spki;
	bool is_proven;
	enum err err;

	writer_init(&spki, 1000);
	err = mech_peer_judge(accepting, false, NULL, &claim, &spki, &name, &is_proven);
	mech_name_release(&name);
	writer_free(&spki);
	return err;
}

START_TEST(lies)
{
	struct bytes www = crypto_private_key_spki(keys[WWW]);
	uint8_t other[256], digest[CRYPTO_SHA256_BYTES] = { 1 };

	ck_assert_int_eq(judge(IKE_ID_KEY_ID, BYTES_OF(digest), www), ERR_AUTH_FAILED);
	ck_assert_int_eq(judge(IKE_ID_KEY_ID, BYTES(digest, 31), www), ERR_PEER_UNKNOWN);
	ck_assert_int_eq(judge(IKE_ID_IPV4_ADDR, BYTES(digest, 4), www), ERR_PEER_UNKNOWN);
	ck_assert_int_eq(judge(IKE_ID_NULL, BYTES_NONE, www), ERR_AUTH_METHOD);
	ck_assert_int_eq(judge(IKE_ID_RFC822_ADDR, BYTES((const uint8_t *)"alice", 5), www),
		ERR_PEER_UNKNOWN);
	memcpy(other, www.data, www.len);
	for (size_t len = 1; len < www.len; len++)
		ck_assert_int_eq(judge(IKE_ID_FQDN, BYTES((const uint8_t *)"www.example.org", 15),
					 BYTES(other, len)),
			ERR_AUTH_METHOD);
	for (size_t at = 0; at < www.len; at++) {
		enum err err;

		other[at] ^= 0xff;
		err = judge(IKE_ID_FQDN, BYTES((const uint8_t *)"www.example.org", 15),
			BYTES(other, www.len));
		ck_assert(err == ERR_AUTH_METHOD || err == ERR_PEER_KEY_CHANGED);
		other[at] ^= 0xff;
	}
}
END_TEST

/* What a peer wrote into its claim must not reach a terminal as it is. */
START_TEST(details_name_the_claim)
{
	struct bytes stranger = crypto_private_key_spki(keys[STRANGER]);
	char expected[300];

	ck_assert_int_eq(judge(IKE_ID_RFC822_ADDR, BYTES((const uint8_t *)"alice@example.org", 17),
				 stranger),
		ERR_PEER_KEY_CHANGED);
	snprintf(expected, sizeof(expected), "the peer says it is alice@example.org, its key is %s",
		key_names[STRANGER]);
	ck_assert_str_eq(mech_last_detail(ERR_PEER_KEY_CHANGED), expected);
	ck_assert_int_eq(
		judge(IKE_ID_FQDN, BYTES((const uint8_t *)"www.example.org", 15), stranger),
		ERR_PEER_KEY_CHANGED);
	snprintf(expected, sizeof(expected), "the peer says it is www.example.org, its key is %s",
		key_names[STRANGER]);
	ck_assert_str_eq(mech_last_detail(ERR_PEER_KEY_CHANGED), expected);
}
END_TEST

/* Whoever gives up rights keeps a peer's key for as long as a configuration that may not be read any more. */
START_TEST(key_files_are_for_every_user)
{
	struct key_store_path path = key_store_path(&store, "file.pem");
	struct bytes spki = crypto_private_key_spki(keys[FILE_KEY]);
	uint8_t digest[CRYPTO_SHA256_BYTES], expected[CRYPTO_SHA256_BYTES];
	struct writer w;

	if (geteuid() != 0)
		return;
	writer_init(&w, 4096);
	ck_assert_int_eq(mech_public_key_load(path.text, &w, digest), ERR_OK);
	ck_assert_int_eq(crypto_sha256(&spki, 1, expected), ERR_OK);
	ck_assert(bytes_equal(BYTES_OF(digest), BYTES_OF(expected)));
	ck_assert(bytes_equal(crypto_private_key_digest(keys[FILE_KEY]), BYTES_OF(expected)));
	ck_assert_int_eq(seteuid(NOBODY), 0);
	ck_assert_int_eq(mech_public_key_load(path.text, &w, digest), ERR_OK);
	usleep(1100000);
	ck_assert_int_eq(mech_public_key_load(path.text, &w, digest), ERR_KEY_FILE);
	ck_assert_int_eq(seteuid(0), 0);
	ck_assert_int_eq(mech_public_key_load(path.text, &w, digest), ERR_OK);
	writer_free(&w);
}
END_TEST

Suite *suite_peer(void)
{
	Suite *suite = suite_create("peer");
	TCase *tcase = tcase_create("peer");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, judges, 0, (int)(sizeof(claims) / sizeof(claims[0])));
	tcase_add_test(tcase, lies);
	tcase_add_test(tcase, details_name_the_claim);
	tcase_add_test(tcase, key_files_are_for_every_user);
	suite_add_tcase(suite, tcase);
	return suite;
}
