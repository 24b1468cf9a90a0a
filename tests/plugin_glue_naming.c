/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/plugin_glue: name attributes (RFC 6680) and local users.  test_naming wants the rules that
 * tests/plugin_run.sh writes; test_unmapped a configuration without rules.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_desc public_key_type = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_NT_PUBLIC_KEY };

#define FLAGS_ASKED (GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_INTEG_FLAG)
#define LOCAL_USER "local-login-user"
#define EMPTY_KEY_NAME "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

/* --- local users: by [localname] and by nothing else --- */

struct local_row {
	const char *text;
	const char *user; /* NULL: none */
};

static const struct local_row local_rows[] = {
	/* A whole name goes before "*@example.org", wherever it stands. */
	{ "alice@example.org", "wonder" },
	{ "bob@example.org", "bob" },
	{ "bob@EXAMPLE.org", "bob" },
	{ "b_o-b.2@example.org", "b_o-b.2" },
	{ "_bob@example.org", "_bob" },
	{ "host/server.example.org", "hostuser" },
	{ EMPTY_KEY_NAME, "keyuser" },
	{ "chief@example.org", "root" },
	{ "anybody@guests.example.org", "guest" },
	{ "root@guests.example.org", "guest" },
	{ "Root@guests.example.org", "guest" },
	/* What a peer may call itself and no user is. */
	{ "root@example.org", NULL },
	{ "Root@example.org", NULL },
	{ "Bob@example.org", NULL },
	{ "boB@example.org", NULL },
	{ ".@example.org", NULL },
	{ "..@example.org", NULL },
	{ ".bob@example.org", NULL },
	{ "bob.@example.org", NULL },
	{ "b..b@example.org", NULL },
	{ "-bob@example.org", NULL },
	{ "0@example.org", NULL },
	{ "0bob@example.org", NULL },
	{ "bob;id@example.org", NULL },
	{ "bob$@example.org", NULL },
	{ "b*b@example.org", NULL },
	{ "*@example.org", NULL },
	{ "b\\b@example.org", NULL },
	{ "b%00b@example.org", NULL },
	{ "b:b@example.org", NULL },
	{ "j\xc3\xbcrg@example.org", NULL },
	{ "abcdefghijklmnopqrstuvwxyzabcdef@example.org", "abcdefghijklmnopqrstuvwxyzabcdef" },
	{ "abcdefghijklmnopqrstuvwxyzabcdefg@example.org", NULL },
	{ "bob@sub.example.org", NULL },
	{ "bob@example.orgx", NULL },
	{ "bob@xexample.org", NULL },
	{ "bob@guest.example.org", NULL },
	{ "HTTP/server.example.org", NULL },
	{ "host/other.example.org", NULL },
	{ "SHA256:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o", NULL },
	{ "anonymous", NULL },
};

#define LOCAL_ROWS (sizeof(local_rows) / sizeof(local_rows[0]))

static gss_name_t canonical(const char *text)
{
	gss_name_t any = name_of(text, GSS_C_NT_USER_NAME), ours = GSS_C_NO_NAME;
	OM_uint32 minor;

	(void)gss_canonicalize_name(&minor, any, &mech_oid, &ours);
	(void)gss_release_name(&minor, &any);
	return ours;
}

/* The user that gss_localname() gives, malloc'ed; NULL for none, which has its sentence. */
static char *local_user(gss_name_t name, gss_OID mech)
{
	gss_buffer_desc user = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor;

	major = gss_localname(&minor, name, mech, &user);
	if (major == GSS_S_COMPLETE)
		return user.value;
	check_quietly(major == GSS_S_UNAVAILABLE && minor != 0 && error_says(minor, "[localname]"),
		"localname says why: major %x minor %u", major, minor);
	return NULL;
}

static OM_uint32 authorize(gss_name_t name, const char *user, size_t length, gss_OID type)
{
	gss_buffer_desc text = { length, (void *)(uintptr_t)user };
	gss_name_t local = GSS_C_NO_NAME;
	OM_uint32 major, minor;

	(void)gss_import_name(&minor, &text, type, &local);
	major = gss_authorize_localname(&minor, name, local);
	(void)gss_release_name(&minor, &local);
	return major;
}

static bool is_user(gss_name_t name, const char *user)
{
	bool is_ok = gss_userok(name, user) == 1;

	check_quietly(is_ok == (authorize(name, user, strlen(user), GSS_C_NT_USER_NAME) ==
				       GSS_S_COMPLETE),
		"gss_userok and gss_authorize_localname agree about %s", user);
	return is_ok;
}

static void check_local(const struct local_row *row)
{
	static const char *const others[] = { "root", "alice", "bob", "wonder", "guest", "Bob",
		"anonymous", "nobody", "example.org", "*", "bob@example.org" };
	gss_name_t name = canonical(row->text);
	char *user = local_user(name, &mech_oid), *again = local_user(name, GSS_C_NO_OID);

	check_quietly(name != GSS_C_NO_NAME, "%s is a name", row->text);
	check((user == NULL) == (row->user == NULL) &&
			(user == NULL || strcmp(user, row->user) == 0) &&
			(user == NULL) == (again == NULL),
		"%s is %s", row->text, row->user == NULL ? "nobody here" : row->user);
	if (row->user != NULL)
		check_quietly(is_user(name, row->user), "%s may be %s", row->text, row->user);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (row->user == NULL || strcmp(row->user, others[i]) != 0)
			check_quietly(!is_user(name, others[i]), "%s may not be %s", row->text,
				others[i]);
	}
	free(user);
	free(again);
	release_name(&name);
}

static void test_local_texts(void)
{
	gss_name_t bob = canonical("bob@example.org"), any;
	gss_buffer_desc user = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	check(authorize(bob, "bob", 3, GSS_C_NO_OID) == GSS_S_COMPLETE, "a user of no type");
	check(authorize(bob, "bob\0", 4, GSS_C_NT_USER_NAME) == GSS_S_UNAUTHORIZED &&
			authorize(bob, "bob\0root", 8, GSS_C_NT_USER_NAME) == GSS_S_UNAUTHORIZED &&
			authorize(bob, "bo", 2, GSS_C_NT_USER_NAME) == GSS_S_UNAUTHORIZED,
		"a user with a NUL, or a part of one");
	check(GSS_ERROR(authorize(bob, "0", 1, GSS_C_NT_STRING_UID_NAME)), "a user's number");
	any = name_of("bob@example.org", GSS_C_NT_USER_NAME);
	check(gss_localname(&minor, any, &mech_oid, &user) == GSS_S_COMPLETE &&
			buffer_is(&user, "bob"),
		"a name of no mechanism yet");
	(void)gss_release_buffer(&minor, &user);
	check(GSS_ERROR(authorize(any, "bob", 3, GSS_C_NT_USER_NAME)),
		"such a name authorizes nobody");
	release_name(&any);
	release_name(&bob);
}

/* --- attributes --- */

struct attribute {
	gss_buffer_desc value, shown;
	int is_authenticated, is_complete, more;
	OM_uint32 major, minor;
};

static struct attribute attribute_of(gss_name_t name, const char *which)
{
	gss_buffer_desc text = { strlen(which), (void *)(uintptr_t)which };
	struct attribute got = { .is_authenticated = -1, .is_complete = -1, .more = -1 };

	got.major = gss_get_name_attribute(&got.minor, name, &text, &got.is_authenticated,
		&got.is_complete, &got.value, &got.shown, &got.more);
	return got;
}

static void attribute_free(struct attribute *got)
{
	OM_uint32 minor;

	(void)gss_release_buffer(&minor, &got->value);
	(void)gss_release_buffer(&minor, &got->shown);
}

static void check_attribute(
	gss_name_t name, const char *which, size_t length, const char *shown, const char *what)
{
	struct attribute got = attribute_of(name, which);

	check(got.major == GSS_S_COMPLETE && got.is_authenticated == 1 && got.is_complete == 1 &&
			got.more == 0 && got.value.length == length &&
			(shown == NULL || buffer_is(&got.shown, shown)) &&
			((char *)got.shown.value)[got.shown.length] == '\0',
		"attribute %s: %s", what, got.shown.value == NULL ? "" : (char *)got.shown.value);
	attribute_free(&got);
}

static void check_no_attribute(gss_name_t name, const char *which)
{
	struct attribute got = attribute_of(name, which);

	check(got.major == GSS_S_UNAVAILABLE && got.minor != 0 && got.is_authenticated == 0 &&
			got.value.value == NULL && got.shown.value == NULL,
		"no attribute %.20s...%s", which,
		which + (strlen(which) > 2 ? strlen(which) - 2 : 0));
	attribute_free(&got);
}

static bool has_attribute(gss_buffer_set_t set, const char *which)
{
	for (size_t i = 0; set != NULL && i < set->count; i++) {
		if (buffer_is(&set->elements[i], which))
			return true;
	}
	return false;
}

static size_t count_attributes(gss_name_t name)
{
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 minor;
	size_t count;

	if (gss_inquire_name(&minor, name, NULL, NULL, &set) != GSS_S_COMPLETE)
		return 999;
	count = set == NULL ? 0 : set->count;
	(void)gss_release_buffer_set(&minor, &set);
	return count;
}

static void check_fixed(gss_name_t name)
{
	static const char *const known[] = { GSS_IPSEC_ATTRIBUTE_METHOD, GSS_IPSEC_ATTRIBUTE_PEER,
		LOCAL_USER };
	gss_buffer_desc root = { 4, "root" }, other = { 5, "other" };
	gss_any_t any = NULL;
	OM_uint32 minor;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		gss_buffer_desc which = { strlen(known[i]), (void *)(uintptr_t)known[i] };

		check(gss_set_name_attribute(&minor, name, 1, &which, &root) == GSS_S_UNAVAILABLE &&
				minor != 0 &&
				gss_delete_name_attribute(&minor, name, &which) ==
					GSS_S_UNAUTHORIZED &&
				minor != 0,
			"a program changes no attribute");
	}
	check(gss_set_name_attribute(&minor, name, 1, &other, &root) == GSS_S_FAILURE && minor != 0,
		"and adds none (RFC 6680 7.6)");
	check(gss_delete_name_attribute(&minor, name, &other) == GSS_S_UNAVAILABLE && minor != 0,
		"and deletes none that is not there");
	check(gss_map_name_to_any(&minor, name, 1, &other, &any) == GSS_S_UNAVAILABLE &&
			minor != 0 && any == NULL &&
			gss_release_any_name_mapping(&minor, name, &other, &any) ==
				GSS_S_UNAVAILABLE &&
			minor != 0,
		"nothing maps to a type of the program's");
}

/* All of a peer's name, as an exchange over memory leaves it. */
static void check_peer(gss_name_t name, const char *entry)
{
	check_attribute(name, GSS_IPSEC_ATTRIBUTE_METHOD, 7, "Ed25519", "method");
	check_attribute(name, GSS_IPSEC_ATTRIBUTE_KEY, 32, NULL, "key");
	check_attribute(name, GSS_IPSEC_ATTRIBUTE_LATCH, 4, "none", "latch");
	check_attribute(name, GSS_IPSEC_ATTRIBUTE_PEER, strlen(entry), entry, "peer entry");
	check_no_attribute(name, "urn:oid:1.2.3");
	check_no_attribute(name, GSS_IPSEC_ATTRIBUTE_ARC);
	check_no_attribute(name, "");
}

static void check_inquired(gss_name_t name, size_t count, const char *what)
{
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	gss_OID mech = GSS_C_NO_OID;
	OM_uint32 minor;
	int is_mn = -1;

	check(gss_inquire_name(&minor, name, &is_mn, &mech, &set) == GSS_S_COMPLETE && is_mn == 1 &&
			gss_oid_equal(mech, &mech_oid) && set != NULL && set->count == count &&
			has_attribute(set, GSS_IPSEC_ATTRIBUTE_METHOD) &&
			has_attribute(set, GSS_IPSEC_ATTRIBUTE_KEY) &&
			has_attribute(set, GSS_IPSEC_ATTRIBUTE_LATCH) &&
			has_attribute(set, GSS_IPSEC_ATTRIBUTE_PEER),
		"inquire_name of %s", what);
	(void)gss_release_buffer_set(&minor, &set);
	/* The mechglue's copy; a mechanism's own would stay. */
	(void)gss_release_oid(&minor, &mech);
}

/* The key that the attribute names is the one that the peer's credential tells of itself. */
static void check_key_is_credentials(gss_name_t name)
{
	static gss_OID_desc key_oid = { GSS_IPSEC_OID_ITEM_LENGTH,
		GSS_IPSEC_OID_INQ_CREDENTIAL_KEY };
	gss_OID_set_desc mechs = { 1, &mech_oid };
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	struct attribute got = attribute_of(name, GSS_IPSEC_ATTRIBUTE_KEY);
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 minor;

	check(gss_acquire_cred(&minor, GSS_C_NO_NAME, 0, &mechs, GSS_C_INITIATE, &credential, NULL,
		      NULL) == GSS_S_COMPLETE &&
			gss_inquire_cred_by_oid(&minor, credential, &key_oid, &set) ==
				GSS_S_COMPLETE &&
			set != NULL && set->count == 2 &&
			buffers_equal(&set->elements[0], &got.shown) &&
			set->elements[1].length == 44,
		"the key is the one that the initiator's credential tells");
	attribute_free(&got);
	(void)gss_release_buffer_set(&minor, &set);
	check(gss_inquire_cred_by_oid(&minor, credential, &spnego_oid, &set) == GSS_S_UNAVAILABLE &&
			minor != 0,
		"inquire_cred_by_oid of another object");
	(void)gss_release_cred(&minor, &credential);
}

/* A token of the name with its attributes; changed octets make none that says more. */
static void check_composite(gss_name_t name, bool has_user)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, cut;
	gss_name_t back = GSS_C_NO_NAME;
	OM_uint32 minor;
	size_t taken = 0;
	int is_equal = 0;

	check(gss_export_name_composite(&minor, name, &token) == GSS_S_COMPLETE &&
			token.length > 40 && ((uint8_t *)token.value)[0] == 4 &&
			((uint8_t *)token.value)[1] == 2,
		"export_name_composite");
	check(gss_import_name(&minor, &token, GSS_C_NT_COMPOSITE_EXPORT, &back) == GSS_S_COMPLETE &&
			gss_compare_name(&minor, name, back, &is_equal) == GSS_S_COMPLETE &&
			is_equal,
		"and its import: an equal name");
	check_inquired(back, has_user ? 5 : 4, "a composite name");
	check_peer(back, "alice");
	release_name(&back);
	for (size_t length = 0; length < token.length; length++) {
		cut = (gss_buffer_desc){ length, token.value };
		if (gss_import_name(&minor, &cut, GSS_C_NT_COMPOSITE_EXPORT, &back) ==
			GSS_S_COMPLETE)
			taken++;
		release_name(&back);
	}
	for (size_t at = 0; at < token.length; at++) {
		((uint8_t *)token.value)[at] ^= 0xff;
		(void)gss_import_name(&minor, &token, GSS_C_NT_COMPOSITE_EXPORT, &back);
		if (back != GSS_C_NO_NAME)
			(void)count_attributes(back);
		release_name(&back);
		((uint8_t *)token.value)[at] ^= 0xff;
	}
	check(taken == 0, "composite name cut everywhere");
	(void)gss_release_buffer(&minor, &token);
}

/* An imported name has seen nobody. */
static void check_imported(bool has_rules)
{
	gss_name_t name = canonical("bob@example.org");
	struct attribute got = attribute_of(name, LOCAL_USER);

	check_no_attribute(name, GSS_IPSEC_ATTRIBUTE_METHOD);
	check_no_attribute(name, GSS_IPSEC_ATTRIBUTE_KEY);
	check_no_attribute(name, GSS_IPSEC_ATTRIBUTE_LATCH);
	check_no_attribute(name, GSS_IPSEC_ATTRIBUTE_PEER);
	check(got.major == GSS_S_COMPLETE && got.is_authenticated == 0 &&
			(has_rules ? buffer_is(&got.value, "bob") : got.value.length == 0),
		"local user of an imported name: not authenticated");
	check(count_attributes(name) == (has_rules ? 1 : 0), "its attributes");
	attribute_free(&got);
	release_name(&name);
}

/* What the mechanism knows survives a copy, and plain export forgets it. */
static void check_copies(gss_name_t name)
{
	gss_name_t copy = GSS_C_NO_NAME, back = GSS_C_NO_NAME;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	check(gss_duplicate_name(&minor, name, &copy) == GSS_S_COMPLETE &&
			count_attributes(copy) == count_attributes(name),
		"a duplicate has the attributes");
	check(gss_export_name(&minor, name, &token) == GSS_S_COMPLETE &&
			gss_import_name(&minor, &token, GSS_C_NT_EXPORT_NAME, &back) ==
				GSS_S_COMPLETE,
		"a plain exported name");
	check_no_attribute(back, GSS_IPSEC_ATTRIBUTE_KEY);
	(void)gss_release_buffer(&minor, &token);
	release_name(&copy);
	release_name(&back);
}

static void test_exchange_names(bool has_rules)
{
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	struct pair pair;
	OM_uint32 minor;

	pair_init(&pair, &mech_oid, "host@server.example.org", FLAGS_ASKED);
	check(pair_run(&pair) == GSS_S_COMPLETE, "exchange for attributes");
	check_inquired(pair.acceptor.peer, has_rules ? 5 : 4, "the source name");
	check_peer(pair.acceptor.peer, "alice");
	check_key_is_credentials(pair.acceptor.peer);
	check_fixed(pair.acceptor.peer);
	check_composite(pair.acceptor.peer, has_rules);
	check_copies(pair.acceptor.peer);
	check(gss_inquire_context(&minor, pair.initiator.context, &source, &target, NULL, NULL,
		      NULL, NULL, NULL) == GSS_S_COMPLETE,
		"initiator's names");
	check_peer(target, "server");
	check_no_attribute(source, GSS_IPSEC_ATTRIBUTE_METHOD);
	release_name(&source);
	release_name(&target);
	pair_free(&pair);
}

/* SPNEGO's names know no rules: the mechglue asks for the attribute, and else compares texts. */
static void test_spnego_names(bool has_rules)
{
	struct pair pair;
	char *user;

	pair_init(&pair, &spnego_oid, "host@server.example.org", FLAGS_ASKED);
	check(pair_run(&pair) == GSS_S_COMPLETE, "SPNEGO for local users");
	user = local_user(pair.acceptor.peer, GSS_C_NO_OID);
	check(has_rules ? user != NULL && strcmp(user, "wonder") == 0 : user == NULL,
		"SPNEGO: localname is %s", user == NULL ? "none" : user);
	free(user);
	check(is_user(pair.acceptor.peer, "wonder") == has_rules, "SPNEGO: alice may be wonder: %d",
		has_rules);
	check(!is_user(pair.acceptor.peer, "alice") && !is_user(pair.acceptor.peer, "root") &&
			!is_user(pair.acceptor.peer, "alice@example.org"),
		"SPNEGO: no name is a local user because it reads so");
	if (has_rules)
		check_attribute(pair.acceptor.peer, LOCAL_USER, 6, "wonder", "local user");
	check_attribute(pair.acceptor.peer, GSS_IPSEC_ATTRIBUTE_METHOD, 7, "Ed25519",
		"method through SPNEGO");
	pair_free(&pair);
}

void test_naming(void)
{
	for (size_t i = 0; i < LOCAL_ROWS; i++)
		check_local(&local_rows[i]);
	test_local_texts();
	test_exchange_names(true);
	check_imported(true);
	test_spnego_names(true);
}

void test_unmapped(void)
{
	struct local_row row = { .user = NULL };

	for (size_t i = 0; i < LOCAL_ROWS; i++) {
		row.text = local_rows[i].text;
		check_local(&row);
	}
	test_exchange_names(false);
	check_imported(false);
	test_spnego_names(false);
}

/* A peer that proved nothing: what is known of it is not authenticated, and it is no local user. */
void test_nobody(void)
{
	gss_OID_set_desc mechs = { 1, &mech_oid };
	gss_name_t nobody = name_of("anonymous", GSS_C_NT_ANONYMOUS);
	struct attribute got;
	struct pair pair;
	OM_uint32 minor;

	pair_init(&pair, &mech_oid, "host@server.example.org", GSS_C_SEQUENCE_FLAG);
	check(gss_acquire_cred(&minor, nobody, 0, &mechs, GSS_C_INITIATE,
		      &pair.initiator.credential, NULL, NULL) == GSS_S_COMPLETE &&
			pair_run(&pair) == GSS_S_COMPLETE &&
			name_displays(pair.acceptor.peer, "anonymous"),
		"an anonymous initiator");
	got = attribute_of(pair.acceptor.peer, GSS_IPSEC_ATTRIBUTE_METHOD);
	check(got.major == GSS_S_COMPLETE && got.is_authenticated == 0 &&
			buffer_is(&got.shown, "NULL"),
		"its method is NULL, and not authenticated");
	attribute_free(&got);
	got = attribute_of(pair.acceptor.peer, GSS_IPSEC_ATTRIBUTE_LATCH);
	check(got.major == GSS_S_COMPLETE && got.is_authenticated == 0, "nor is its latch");
	attribute_free(&got);
	check_no_attribute(pair.acceptor.peer, GSS_IPSEC_ATTRIBUTE_KEY);
	check_no_attribute(pair.acceptor.peer, GSS_IPSEC_ATTRIBUTE_PEER);
	check(!is_user(pair.acceptor.peer, "anonymous") && !is_user(pair.acceptor.peer, "nobody") &&
			local_user(pair.acceptor.peer, GSS_C_NO_OID) == NULL,
		"it is no local user");
	pair_free(&pair);
	release_name(&nobody);
}

/* --- one name shown as each type (RFC 6680 7.3) --- */

void test_shown_as(void)
{
	const struct {
		const char *text;
		gss_OID type;
		const char *shown; /* NULL: not in this way */
	} rows[] = {
		{ "alice@example.org", GSS_C_NT_USER_NAME, "alice@example.org" },
		{ "alice@example.org", GSS_C_NT_HOSTBASED_SERVICE, NULL },
		{ "alice@example.org", &public_key_type, NULL },
		{ "alice@example.org", GSS_C_NT_ANONYMOUS, NULL },
		{ "alice@example.org", GSS_C_NT_EXPORT_NAME, NULL },
		{ "alice@example.org", GSS_C_NT_STRING_UID_NAME, NULL },
		{ "imap/mail.example.org", GSS_C_NT_HOSTBASED_SERVICE, "imap@mail.example.org" },
		{ "imap/mail.example.org", GSS_C_NT_USER_NAME, "imap/mail.example.org" },
		{ "imap/", GSS_C_NT_HOSTBASED_SERVICE, "imap" },
		{ "/mail.example.org", GSS_C_NT_HOSTBASED_SERVICE, NULL },
		{ EMPTY_KEY_NAME, &public_key_type, EMPTY_KEY_NAME },
		{ EMPTY_KEY_NAME, GSS_C_NT_USER_NAME, EMPTY_KEY_NAME },
		{ "anonymous", GSS_C_NT_ANONYMOUS, "anonymous" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gss_name_t name = canonical(rows[i].text), again = GSS_C_NO_NAME, ours;
		gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
		OM_uint32 major, minor;
		int is_equal = 0;

		major = gss_display_name_ext(&minor, name, rows[i].type, &shown);
		if (rows[i].shown == NULL) {
			check(major == GSS_S_UNAVAILABLE && minor != 0, "%s: not of that type",
				rows[i].text);
		} else {
			check(major == GSS_S_COMPLETE && buffer_is(&shown, rows[i].shown),
				"%s shown as %s", rows[i].text, rows[i].shown);
			(void)gss_import_name(&minor, &shown, rows[i].type, &again);
			(void)gss_canonicalize_name(&minor, again, &mech_oid, &ours);
			(void)gss_compare_name(&minor, name, ours, &is_equal);
			check(is_equal == (rows[i].type != GSS_C_NT_ANONYMOUS),
				"and imported again");
			release_name(&again);
			release_name(&ours);
		}
		(void)gss_release_buffer(&minor, &shown);
		release_name(&name);
	}
}
