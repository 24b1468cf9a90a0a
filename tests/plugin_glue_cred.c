/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/plugin_glue: credentials that the mechglue makes of others (gss_add_cred and its kin), that
 * programs would store, and calls that there is nothing behind.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_set_desc mech_set = { 1, &mech_oid };
static gss_OID_desc key_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CREDENTIAL_KEY };

#define FLAGS_ASKED (GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG)

static void release(gss_cred_id_t *credential)
{
	OM_uint32 minor;

	(void)gss_release_cred(&minor, credential);
}

struct path {
	char text[PATH_MAX];
};

static struct path path_of(const char *directory, const char *file)
{
	struct path path = { "" };

	if (file == NULL || strlen(directory) + 1 + strlen(file) >= sizeof(path.text))
		return path;
	stpcpy(stpcpy(stpcpy(path.text, directory), "/"), file);
	return path;
}

/* From a store of one entry; key NULL: without one. */
static gss_cred_id_t acquire(
	const char *name, gss_cred_usage_t usage, const char *key, const char *value)
{
	gss_key_value_element_desc element = { key, value };
	gss_key_value_set_desc store = { 1, &element };
	gss_name_t desired = name == NULL ? GSS_C_NO_NAME : name_of(name, GSS_C_NT_USER_NAME);
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 major, minor;

	major = gss_acquire_cred_from(&minor, desired, 0, &mech_set, usage,
		key == NULL ? GSS_C_NO_CRED_STORE : &store, &credential, NULL, NULL);
	check(major == GSS_S_COMPLETE, "a credential: %s", name == NULL ? "default" : name);
	if (major != GSS_S_COMPLETE)
		show_error("acquire", major, minor);
	release_name(&desired);
	return credential;
}

/* Whether the credential's element of ours is alice's, to initiate with. */
static bool is_alice(gss_cred_id_t credential)
{
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 minor, initiates = 0, accepts = 1;
	gss_cred_usage_t usage = -1;
	bool is_hers;

	is_hers = gss_inquire_cred_by_mech(&minor, credential, &mech_oid, &name, &initiates,
			  &accepts, &usage) == GSS_S_COMPLETE &&
		  usage == GSS_C_INITIATE && initiates == GSS_C_INDEFINITE && accepts == 0 &&
		  name_displays(name, "alice@example.org");
	release_name(&name);
	return is_hers;
}

static bool authenticates(gss_cred_id_t *credential, gss_OID mech)
{
	struct pair pair;
	bool is_ok;

	pair_init(&pair, mech, "host@server.example.org", FLAGS_ASKED);
	pair.initiator.credential = *credential;
	*credential = GSS_C_NO_CREDENTIAL;
	is_ok = pair_run(&pair) == GSS_S_COMPLETE &&
		name_displays(pair.acceptor.peer, "alice@example.org");
	pair_free(&pair);
	return is_ok;
}

/* --- gss_add_cred --- */

/* A copy with one element more: SPNEGO's, which holds ours again. */
static void test_copy(bool frees_original_first)
{
	gss_cred_id_t original = acquire(NULL, GSS_C_INITIATE, "ipsec_identity", "alice");
	gss_cred_id_t copy = GSS_C_NO_CREDENTIAL;
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	OM_uint32 major, minor, initiates = 0;

	major = gss_add_cred(&minor, original, GSS_C_NO_NAME, &spnego_oid, GSS_C_INITIATE, 0, 0,
		&copy, &mechs, &initiates, NULL);
	check(major == GSS_S_COMPLETE && copy != original && mechs != NULL && mechs->count == 2 &&
			initiates != 0,
		"add_cred copies and adds an element");
	(void)gss_release_oid_set(&minor, &mechs);
	check(is_alice(original) && is_alice(copy), "original and copy are alice's");
	if (frees_original_first)
		release(&original);
	check(authenticates(&copy, &mech_oid), "the copy authenticates");
	if (!frees_original_first)
		check(authenticates(&original, &mech_oid), "and so does the original");
	release(&original);
	release(&copy);
}

static void test_add(void)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL, other = GSS_C_NO_CREDENTIAL;
	gss_key_value_element_desc element = { "ipsec_identity", "alice" };
	gss_key_value_set_desc store = { 1, &element };
	gss_name_t bob = name_of("bob@example.org", GSS_C_NT_USER_NAME);
	OM_uint32 major, minor;

	major = gss_add_cred(&minor, GSS_C_NO_CREDENTIAL, GSS_C_NO_NAME, &mech_oid, GSS_C_INITIATE,
		0, 0, &credential, NULL, NULL, NULL);
	check(major == GSS_S_COMPLETE && is_alice(credential), "add_cred to nothing");
	major = gss_add_cred(&minor, credential, GSS_C_NO_NAME, &mech_oid, GSS_C_INITIATE, 0, 0,
		&other, NULL, NULL, NULL);
	check(major == GSS_S_DUPLICATE_ELEMENT && other == GSS_C_NO_CREDENTIAL,
		"a second element of ours: DUPLICATE_ELEMENT");
	major = gss_add_cred(&minor, credential, GSS_C_NO_NAME, &spnego_oid, GSS_C_INITIATE, 0, 0,
		NULL, NULL, NULL, NULL);
	check(major == GSS_S_COMPLETE && is_alice(credential), "add_cred in place");
	release(&credential);
	major = gss_add_cred(&minor, GSS_C_NO_CREDENTIAL, bob, &mech_oid, GSS_C_INITIATE, 0, 0,
		&credential, NULL, NULL, NULL);
	check(major == GSS_S_NO_CRED && minor != 0 && credential == GSS_C_NO_CREDENTIAL &&
			error_says(minor, "bob@example.org"),
		"add_cred of another's");
	major = gss_add_cred_from(&minor, GSS_C_NO_CREDENTIAL, GSS_C_NO_NAME, &mech_oid,
		GSS_C_INITIATE, 0, 0, &store, &credential, NULL, NULL, NULL);
	check(major == GSS_S_COMPLETE && authenticates(&credential, &mech_oid), "add_cred_from");
	element.value = "nobody";
	major = gss_add_cred_from(&minor, GSS_C_NO_CREDENTIAL, GSS_C_NO_NAME, &mech_oid,
		GSS_C_INITIATE, 0, 0, &store, &credential, NULL, NULL, NULL);
	check(major == GSS_S_NO_CRED && minor != 0, "add_cred_from: no such identity");
	release_name(&bob);
	release(&credential);
}

/* What the copy is made of names an identity and holds no key. */
static void test_token_has_no_key(const char *directory)
{
	gss_cred_id_t credential = acquire(NULL, GSS_C_INITIATE, "ipsec_identity", "alice");
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	gss_buffer_set_t key = GSS_C_NO_BUFFER_SET;
	char pem[1024] = "";
	struct path path;
	OM_uint32 minor;
	FILE *file;

	path = path_of(directory, "alice.key");
	file = fopen(path.text, "r");
	if (file != NULL) {
		(void)fread(pem, 1, sizeof(pem) - 1, file);
		(void)fclose(file);
	}
	check(gss_export_cred(&minor, credential, &token) == GSS_S_COMPLETE && token.length < 200 &&
			memmem(token.value, token.length, "alice", 5) != NULL,
		"an exported credential is a short reference");
	check(strlen(pem) > 60 && memmem(token.value, token.length, pem + 30, 16) == NULL &&
			memmem(token.value, token.length, "PRIVATE", 7) == NULL,
		"and nothing of the key file");
	check(gss_inquire_cred_by_oid(&minor, credential, &key_oid, &key) == GSS_S_COMPLETE &&
			key != NULL && key->count == 2 &&
			memmem(token.value, token.length, (char *)key->elements[1].value + 12,
				16) == NULL,
		"nor of the public key");
	(void)gss_release_buffer_set(&minor, &key);
	(void)gss_release_buffer(&minor, &token);
	release(&credential);
}

/* --- storing --- */

struct store_row {
	const char *what;
	const char *name, *key_file; /* of the credential; key_file NULL: a configured one */
	gss_cred_usage_t has, asked;
	OM_uint32 overwrites;
	const char *store_key, *store_value; /* value: a file beside the configuration */
	OM_uint32 major;
	gss_cred_usage_t stored;
};

static const struct store_row store_rows[] = {
	{ "what is there", NULL, NULL, GSS_C_INITIATE, GSS_C_INITIATE, 1, NULL, NULL,
		GSS_S_COMPLETE, GSS_C_INITIATE },
	{ "what is there, without overwriting", NULL, NULL, GSS_C_INITIATE, GSS_C_INITIATE, 0, NULL,
		NULL, GSS_S_DUPLICATE_ELEMENT, -1 },
	{ "an initiator for both", NULL, NULL, GSS_C_INITIATE, GSS_C_BOTH, 1, NULL, NULL,
		GSS_S_COMPLETE, GSS_C_INITIATE },
	{ "an acceptor", NULL, NULL, GSS_C_ACCEPT, GSS_C_ACCEPT, 1, NULL, NULL, GSS_S_COMPLETE,
		GSS_C_ACCEPT },
	{ "both", NULL, NULL, GSS_C_BOTH, GSS_C_BOTH, 1, NULL, NULL, GSS_S_COMPLETE, GSS_C_BOTH },
	{ "an initiator as acceptor", NULL, NULL, GSS_C_INITIATE, GSS_C_ACCEPT, 1, NULL, NULL,
		GSS_S_NO_CRED, -1 },
	{ "into the file that has it", NULL, NULL, GSS_C_INITIATE, GSS_C_INITIATE, 1,
		"ipsec_config", "ipsec.conf", GSS_S_COMPLETE, GSS_C_INITIATE },
	{ "into a file that has it not", NULL, NULL, GSS_C_INITIATE, GSS_C_INITIATE, 1,
		"ipsec_config", "none.conf", GSS_S_UNAVAILABLE, -1 },
	{ "into a store of others", NULL, NULL, GSS_C_INITIATE, GSS_C_INITIATE, 1, "ccache",
		"none.conf", GSS_S_UNAVAILABLE, -1 },
	{ "a key for a new name", "bob@example.org", "mallory.key", GSS_C_INITIATE, GSS_C_INITIATE,
		1, NULL, NULL, GSS_S_UNAVAILABLE, -1 },
	{ "another key for a name", "alice@example.org", "mallory.key", GSS_C_INITIATE,
		GSS_C_INITIATE, 1, NULL, NULL, GSS_S_UNAVAILABLE, -1 },
	{ "another key for a name, without overwriting", "alice@example.org", "mallory.key",
		GSS_C_INITIATE, GSS_C_INITIATE, 0, NULL, NULL, GSS_S_DUPLICATE_ELEMENT, -1 },
	{ "the same key by its file", "alice@example.org", "alice.key", GSS_C_INITIATE,
		GSS_C_INITIATE, 1, NULL, NULL, GSS_S_COMPLETE, GSS_C_INITIATE },
};

static void check_store(const struct store_row *row, const char *directory)
{
	struct path key = path_of(directory, row->key_file);
	struct path place = path_of(directory, row->store_value);
	gss_key_value_element_desc element = { row->store_key, place.text };
	gss_key_value_set_desc store = { 1, &element };
	gss_OID_set elements = GSS_C_NO_OID_SET;
	gss_cred_usage_t stored = -1;
	gss_cred_id_t credential;
	OM_uint32 major, minor;

	credential =
		acquire(row->name, row->has, row->key_file == NULL ? NULL : "ipsec_key", key.text);
	if (row->store_key == NULL)
		major = gss_store_cred(&minor, credential, row->asked, &mech_oid, row->overwrites,
			1, &elements, &stored);
	else
		major = gss_store_cred_into(&minor, credential, row->asked, &mech_oid,
			row->overwrites, 0, &store, &elements, &stored);
	check(major == row->major && (major == GSS_S_COMPLETE || minor != 0), "store %s: %x",
		row->what, major);
	if (major == GSS_S_COMPLETE)
		check(elements != NULL && elements->count == 1 &&
				gss_oid_equal(&elements->elements[0], &mech_oid) &&
				stored == row->stored,
			"and says for which use");
	else
		check_quietly(
			error_says(minor, "store") || error_says(minor, "use"), "and says why not");
	(void)gss_release_oid_set(&minor, &elements);
	release(&credential);
}

/* --- nothing behind them --- */

static void test_left_out(void)
{
	gss_name_t alice = name_of("alice@example.org", GSS_C_NT_USER_NAME);
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL,
		      own = acquire(NULL, GSS_C_INITIATE, NULL, NULL);
	gss_buffer_desc password = { 6, "secret" };
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor;

	major = gss_acquire_cred_with_password(
		&minor, alice, &password, 0, &mech_set, GSS_C_INITIATE, &credential, NULL, NULL);
	check(major == GSS_S_UNAVAILABLE && credential == GSS_C_NO_CREDENTIAL,
		"no credential by password");
	major = gss_acquire_cred_impersonate_name(
		&minor, own, alice, 0, &mech_set, GSS_C_INITIATE, &credential, NULL, NULL);
	check(major == GSS_S_UNAVAILABLE && credential == GSS_C_NO_CREDENTIAL,
		"no credential of somebody else");
	major = gss_inquire_cred_by_oid(&minor, own, &spnego_oid, &set);
	check(major == GSS_S_UNAVAILABLE && minor != 0 && set == GSS_C_NO_BUFFER_SET,
		"inquire_cred_by_oid of an unknown object");
	release_name(&alice);
	release(&own);
}

void test_credential_kin(void)
{
	const char *config = getenv("GSS_IPSEC_CONFIG");
	char directory[PATH_MAX / 2];

	(void)snprintf(directory, sizeof(directory), "%s", config == NULL ? "." : config);
	if (strrchr(directory, '/') != NULL)
		*strrchr(directory, '/') = '\0';
	test_copy(false);
	test_copy(true);
	test_add();
	test_token_has_no_key(directory);
	for (size_t i = 0; i < sizeof(store_rows) / sizeof(store_rows[0]); i++)
		check_store(&store_rows[i], directory);
	test_left_out();
}
