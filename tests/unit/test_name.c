/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: every form in and out, what is refused, base64, details. */
#include "mech/mech.h"

#include <stdlib.h>
#include <string.h>

#include "mech/base64.h"
#include "mech/ike/wire.h"
#include "tests/unit/suites.h"

/* SHA-256 of nothing, FIPS 180-4's well-known value. */
#define EMPTY_DIGEST "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
#define SIXTEEN "abcdefghijklmnop"
#define LABEL_63 SIXTEEN SIXTEEN SIXTEEN "abcdefghijklmno"
#define HOST_243 LABEL_63 "." LABEL_63 "." LABEL_63 "." SIXTEEN SIXTEEN SIXTEEN "abc"

static struct bytes view(const char *text)
{
	return BYTES((const uint8_t *)text, strlen(text));
}

static enum err import(enum mech_name_form form, const char *text, struct mech_name **ret_name)
{
	return mech_name_import(form, view(text), "example.org", ret_name);
}

/* What text in this form displays as; NULL: refused with err. */
struct sample {
	enum mech_name_form form;
	const char *text, *display;
	enum mech_name_kind kind;
	enum err err;
};

/* clang-format off */
static const struct sample samples[] = {
	{ MECH_FORM_HOSTBASED, "HTTP@www.Example.ORG", "HTTP/www.example.org",
	  MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_HOSTBASED, "ldap@127.0.0.1", "ldap/127.0.0.1", MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_HOSTBASED, "ldap@my_host.", "ldap/my_host", MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_HOSTBASED, "imap", "imap/", MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_USER, "imap/", "imap/", MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_USER, "/Host", "/host", MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_USER, "imap/mail.example.org", "imap/mail.example.org",
	  MECH_NAME_HOSTBASED, ERR_OK },
	{ MECH_FORM_USER, "Alice@Example.org", "Alice@example.org", MECH_NAME_USER, ERR_OK },
	{ MECH_FORM_USER, "alice", "alice@example.org", MECH_NAME_USER, ERR_OK },
	{ MECH_FORM_USER, "j\xc3\xbcrg@example.org", "j\xc3\xbcrg@example.org",
	  MECH_NAME_USER, ERR_OK },
	{ MECH_FORM_USER, "anonymous", "anonymous", MECH_NAME_ANONYMOUS, ERR_OK },
	{ MECH_FORM_ANONYMOUS, "", "anonymous", MECH_NAME_ANONYMOUS, ERR_OK },
	{ MECH_FORM_USER, "SHA256:" EMPTY_DIGEST, "SHA256:" EMPTY_DIGEST, MECH_NAME_KEY, ERR_OK },
	{ MECH_FORM_KEY, "SHA256:" EMPTY_DIGEST "=",
	  "SHA256:" EMPTY_DIGEST, MECH_NAME_KEY, ERR_OK },
	{ MECH_FORM_HOSTBASED, LABEL_63 "@" HOST_243, NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "s@" LABEL_63 "p", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, LABEL_63 "pq@h", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "@host", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@.", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@a..b", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@a.b..", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@.a", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@-a", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@a-.b", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@a@b", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@a/b", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "s/v@a", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_HOSTBASED, "svc@h\xc3\xb6st", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "/", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "HTTP/www@EXAMPLE.ORG", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "a/b/c", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "@example.org", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "alice@", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "alice@b@c", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "alice smith", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "alice\n", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "alice@b\x7f", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "al\xc2\xa0ice", NULL, 0, ERR_NAME_FORMAT },       /* no-break space */
	{ MECH_FORM_USER, "al\xc2\xadice", NULL, 0, ERR_NAME_FORMAT },       /* soft hyphen */
	{ MECH_FORM_USER, "al\xe2\x80\x8bice", NULL, 0, ERR_NAME_FORMAT },   /* zero-width space */
	{ MECH_FORM_USER, "al\xe2\x80\xaeice",
	  NULL, 0, ERR_NAME_FORMAT }, /* right-to-left override */
	{ MECH_FORM_USER, "al\xf0\x9d\x85\xb3ice",
	  NULL, 0, ERR_NAME_FORMAT }, /* musical begin beam */
	{ MECH_FORM_USER, "al\xc0\xaf", NULL, 0, ERR_NAME_FORMAT },          /* overlong '/' */
	{ MECH_FORM_USER, "al\xed\xa0\x80", NULL, 0, ERR_NAME_FORMAT },      /* surrogate */
	{ MECH_FORM_USER, "al\xf4\x90\x80\x80", NULL, 0, ERR_NAME_FORMAT },  /* beyond U+10FFFF */
	{ MECH_FORM_USER, "al\xe2\x80", NULL, 0, ERR_NAME_FORMAT },          /* cut */
	{ MECH_FORM_USER, "al\xff", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, HOST_243 "x", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "SHA256:alice@example.org", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_USER, "sha256:" EMPTY_DIGEST, NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, EMPTY_DIGEST, NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:" EMPTY_DIGEST "==", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV",
	  NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
	  NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:AAAA", NULL, 0, ERR_NAME_FORMAT },
	{ MECH_FORM_KEY, "SHA256:" EMPTY_DIGEST EMPTY_DIGEST, NULL, 0, ERR_NAME_FORMAT },
};
/* clang-format on */

START_TEST(imports)
{
	const struct sample *sample = &samples[_i];
	struct mech_name *name = NULL, *again = NULL;

	ck_assert_int_eq(import(sample->form, sample->text, &name), sample->err);
	if (sample->err != ERR_OK) {
		ck_assert_ptr_null(name);
		return;
	}
	ck_assert_str_eq(mech_name_display(name), sample->display);
	ck_assert_int_eq(mech_name_kind(name), sample->kind);
	ck_assert_int_eq(import(MECH_FORM_USER, mech_name_display(name), &again), ERR_OK);
	ck_assert(mech_name_equal(name, again));
	mech_name_release(&name);
	mech_name_release(&again);
	ck_assert_ptr_null(name);
	mech_name_release(&name);
}
END_TEST

static void check_exported(struct mech_name *name)
{
	struct mech_name *again = NULL;
	struct writer w;
	uint8_t cut[1024];

	writer_init(&w, sizeof(cut) - 1);
	ck_assert_int_eq(mech_name_export(name, &w), ERR_OK);
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_EXPORTED, writer_view(&w), NULL, &again), ERR_OK);
	ck_assert(mech_name_equal(name, again));
	mech_name_release(&again);
	memcpy(cut, writer_view(&w).data, writer_len(&w));
	for (size_t len = 0; len < writer_len(&w); len++)
		ck_assert_int_eq(
			mech_name_import(MECH_FORM_EXPORTED, BYTES(cut, len), NULL, &again),
			ERR_NAME_FORMAT);
	/* Fields of a later version are passed over. */
	cut[writer_len(&w)] = 7;
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_EXPORTED, BYTES(cut, writer_len(&w) + 1), NULL, &again),
		ERR_OK);
	mech_name_release(&again);
	for (size_t at = 0; at < writer_len(&w); at++) {
		cut[at] ^= 0xff;
		if (mech_name_import(MECH_FORM_EXPORTED, BYTES(cut, writer_len(&w)), NULL,
			    &again) == ERR_OK) {
			ck_assert(!mech_name_equal(name, again));
			mech_name_release(&again);
		}
		cut[at] ^= 0xff;
	}
	writer_free(&w);
}

START_TEST(exports)
{
	struct mech_name *name = NULL;

	if (samples[_i].err != ERR_OK)
		return;
	ck_assert_int_eq(import(samples[_i].form, samples[_i].text, &name), ERR_OK);
	check_exported(name);
	mech_name_release(&name);
}
END_TEST

START_TEST(exported_octets_are_those_of_the_protocol)
{
	static const uint8_t host[] = "\1\1\4imap\0\1h", upper[] = "\1\1\4imap\0\1H";
	static const uint8_t user[] = "\1\2\0\3a@b", bare[] = "\1\2\0\1a";
	static const uint8_t nobody[] = "\1\4", no_version[] = "\2\4", no_kind[] = "\1\5",
			     zero_kind[] = "\1\0", empty[] = "\1\1\0\0\0";
	static const struct {
		struct bytes token;
		const char *display;
	} tokens[] = {
		{ BYTES(host, 10), "imap/h" },
		{ BYTES(upper, 10), NULL },
		{ BYTES(user, 7), "a@b" },
		{ BYTES(bare, 5), NULL },
		{ BYTES(nobody, 2), "anonymous" },
		{ BYTES(no_version, 2), NULL },
		{ BYTES(no_kind, 2), NULL },
		{ BYTES(zero_kind, 2), NULL },
		{ BYTES(empty, 5), NULL },
	};

	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		struct mech_name *name = NULL;
		struct writer w;

		ck_assert_int_eq(
			mech_name_import(MECH_FORM_EXPORTED, tokens[i].token, "example.org", &name),
			tokens[i].display == NULL ? ERR_NAME_FORMAT : ERR_OK);
		if (tokens[i].display == NULL)
			continue;
		ck_assert_str_eq(mech_name_display(name), tokens[i].display);
		writer_init(&w, 100);
		ck_assert_int_eq(mech_name_export(name, &w), ERR_OK);
		ck_assert(bytes_equal(writer_view(&w), tokens[i].token));
		writer_free(&w);
		mech_name_release(&name);
	}
}
END_TEST

START_TEST(identities_of_ike)
{
	static const struct {
		const char *text;
		uint8_t type;
		enum err err;
		const char *back;
	} rows[] = {
		{ "imap/h.example.org", IKE_ID_FQDN, ERR_OK, "/h.example.org" },
		{ "imap/", 0, ERR_NAME_FORMAT, NULL },
		{ "a@b", IKE_ID_RFC822_ADDR, ERR_OK, "a@b" },
		{ "SHA256:" EMPTY_DIGEST, IKE_ID_KEY_ID, ERR_OK, "SHA256:" EMPTY_DIGEST },
		{ "anonymous", IKE_ID_NULL, ERR_OK, "anonymous" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mech_name *name = NULL, *back = NULL;
		struct writer w;
		uint8_t type = 0;

		writer_init(&w, 300);
		ck_assert_int_eq(import(MECH_FORM_USER, rows[i].text, &name), ERR_OK);
		ck_assert_int_eq(mech_name_to_id(name, &type, &w), rows[i].err);
		ck_assert_uint_eq(type, rows[i].type);
		if (rows[i].err == ERR_OK) {
			ck_assert_int_eq(mech_name_of_id(type, writer_view(&w), &back), ERR_OK);
			ck_assert_str_eq(mech_name_display(back), rows[i].back);
		}
		mech_name_release(&name);
		mech_name_release(&back);
		writer_free(&w);
	}
}
END_TEST

START_TEST(identities_that_are_no_names)
{
	struct mech_name *name = NULL;

	ck_assert_int_eq(mech_name_of_id(IKE_ID_IPV4_ADDR, view("abcd"), &name), ERR_NAME_TYPE);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_DER_ASN1_DN, view("0"), &name), ERR_NAME_TYPE);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_FQDN, BYTES_NONE, &name), ERR_NAME_FORMAT);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_FQDN, view("a b"), &name), ERR_NAME_FORMAT);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_FQDN, BYTES((const uint8_t *)"a\0", 2), &name),
		ERR_NAME_FORMAT);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_RFC822_ADDR, view("a"), &name), ERR_NAME_FORMAT);
	ck_assert_int_eq(mech_name_of_id(IKE_ID_KEY_ID, view("abc"), &name), ERR_NAME_FORMAT);
	ck_assert_ptr_null(name);
}
END_TEST

START_TEST(drops_one_nul)
{
	struct mech_name *name = NULL;

	ck_assert_int_eq(mech_name_import(MECH_FORM_HOSTBASED, BYTES((const uint8_t *)"svc@h\0", 6),
				 NULL, &name),
		ERR_OK);
	ck_assert_str_eq(mech_name_display(name), "svc/h");
	ck_assert_str_eq(mech_name_service(name), "svc");
	ck_assert_str_eq(mech_name_host(name), "h");
	ck_assert_ptr_null(mech_name_digest(name));
	mech_name_release(&name);
	ck_assert_int_eq(mech_name_import(MECH_FORM_HOSTBASED,
				 BYTES((const uint8_t *)"svc@h\0\0", 7), NULL, &name),
		ERR_NAME_FORMAT);
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_USER, BYTES((const uint8_t *)"a\0b@c", 5), NULL, &name),
		ERR_NAME_FORMAT);
}
END_TEST

START_TEST(default_domain)
{
	struct mech_name *name = NULL;

	ck_assert_int_eq(
		mech_name_import(MECH_FORM_USER, view("al"), NULL, &name), ERR_NAME_NO_DOMAIN);
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_USER, view("al"), "", &name), ERR_NAME_NO_DOMAIN);
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_USER, view("al"), "x y", &name), ERR_NAME_FORMAT);
	ck_assert_int_eq(mech_name_of_user("al", &name), ERR_NAME_NO_DOMAIN);
	ck_assert_int_eq(
		mech_name_import((enum mech_name_form)99, view("al"), "", &name), ERR_NAME_TYPE);
	ck_assert_ptr_null(name);
}
END_TEST

START_TEST(compares)
{
	struct mech_name *host = NULL, *user = NULL, *other = NULL, *again;

	ck_assert_int_eq(mech_name_of_host("imap", "a.example.org", &host), ERR_OK);
	ck_assert_int_eq(mech_name_of_host(NULL, "a.example.org", &other), ERR_OK);
	ck_assert_int_eq(mech_name_of_user("a@b.example.org", &user), ERR_OK);
	ck_assert(mech_name_is_host(host, "A.Example.org"));
	ck_assert(!mech_name_is_host(host, "example.org"));
	ck_assert(!mech_name_is_host(host, NULL));
	ck_assert(!mech_name_is_host(host, ""));
	ck_assert(!mech_name_is_host(user, "a.example.org"));
	ck_assert(mech_name_is_user(user, "a@B.example.org"));
	ck_assert(!mech_name_is_user(user, "A@b.example.org"));
	ck_assert(!mech_name_is_user(user, NULL));
	ck_assert(!mech_name_is_user(host, "imap/a.example.org"));
	ck_assert(!mech_name_equal(host, other));
	again = mech_name_ref(host);
	ck_assert_ptr_eq(again, host);
	ck_assert_ptr_null(mech_name_ref(NULL));
	mech_name_release(&host);
	ck_assert_str_eq(mech_name_service(again), "imap");
	mech_name_release(&again);
	mech_name_release(&other);
	mech_name_release(&user);
}
END_TEST

/* RFC 4648 section 10 */
START_TEST(base64)
{
	static const struct {
		const char *value, *padded;
	} vectors[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" },
		{ "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" } };
	static const char *const bad[] = { "Z", "Zh", "Zm9",
		"Zg=", "Zg===", "Zm9v=", "Zm9v====", "Z=g=", "Zm 9", "Zm9vYg==Zg==", "Zm9\n", "=",
		"====" };
	char text[32];
	struct writer w;

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		size_t digits = strcspn(vectors[i].padded, "=");

		mech_base64_write(view(vectors[i].value), text);
		ck_assert_uint_eq(strlen(text), digits);
		ck_assert_int_eq(strncmp(text, vectors[i].padded, digits), 0);
		writer_init(&w, 32);
		ck_assert_int_eq(mech_base64_read(view(vectors[i].padded), &w), ERR_OK);
		ck_assert(bytes_equal(writer_view(&w), view(vectors[i].value)));
		writer_free(&w);
		writer_init(&w, 32);
		ck_assert_int_eq(mech_base64_read(view(text), &w), ERR_OK);
		ck_assert(bytes_equal(writer_view(&w), view(vectors[i].value)));
		writer_free(&w);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		writer_init(&w, 32);
		ck_assert_msg(mech_base64_read(view(bad[i]), &w) == ERR_NAME_FORMAT, "%s", bad[i]);
		ck_assert_uint_eq(writer_len(&w), 0);
		writer_free(&w);
	}
}
END_TEST

START_TEST(details)
{
	char text[600];

	ck_assert_str_eq(mech_last_detail(ERR_KEY_FILE), "");
	mech_set_detail(ERR_KEY_FILE, "%s: %d", "a\nb\x1b[1m\xc3\xbc", 7);
	ck_assert_str_eq(mech_last_detail(ERR_KEY_FILE), "a?b?[1m??: 7");
	ck_assert_str_eq(mech_last_detail(ERR_OK), "");
	ck_assert_str_eq(mech_last_detail(ERR_CONFIG), "");
	mech_set_detail(ERR_OK, "nothing");
	ck_assert_str_eq(mech_last_detail(ERR_OK), "");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	mech_set_detail(ERR_CONFIG, "%s", text);
	ck_assert_uint_lt(strlen(mech_last_detail(ERR_CONFIG)), sizeof(text) - 1);
	ck_assert_str_eq(
		mech_last_detail(ERR_CONFIG) + strlen(mech_last_detail(ERR_CONFIG)) - 4, "x...");
	mech_set_detail(ERR_KEY_FILE, "again: %s", mech_last_detail(ERR_KEY_FILE));
	ck_assert_str_eq(mech_last_detail(ERR_KEY_FILE), "again: a?b?[1m??: 7");
	for (unsigned int code = 1000; code < 1004; code++)
		mech_set_detail(code, "later");
	ck_assert_str_eq(mech_last_detail(ERR_KEY_FILE), "");
	ck_assert_str_eq(mech_last_detail(1003), "later");
}
END_TEST

Suite *suite_name(void)
{
	Suite *suite = suite_create("name");
	TCase *tcase = tcase_create("name");
	int count = (int)(sizeof(samples) / sizeof(samples[0]));

	tcase_add_loop_test(tcase, imports, 0, count);
	tcase_add_loop_test(tcase, exports, 0, count);
	tcase_add_test(tcase, exported_octets_are_those_of_the_protocol);
	tcase_add_test(tcase, identities_of_ike);
	tcase_add_test(tcase, identities_that_are_no_names);
	tcase_add_test(tcase, drops_one_nul);
	tcase_add_test(tcase, default_domain);
	tcase_add_test(tcase, compares);
	tcase_add_test(tcase, base64);
	tcase_add_test(tcase, details);
	suite_add_tcase(suite, tcase);
	return suite;
}
