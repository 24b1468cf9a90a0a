/* SPDX-License-Identifier: BSD-2-Clause */
/* tests/plugin_glue: the mechanism, names and credentials, with and without a configuration. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_set_desc mech_set = { 1, &mech_oid };
static gss_OID_desc public_key_type = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_NT_PUBLIC_KEY };
static gss_OID_desc descriptor_option = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_OPT_DESCRIPTOR };
static gss_OID_desc no_ci_flags = { 6, "\x2a\x85\x70\x2b\x0d\x1d" };

#define KEY_NAME "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

/* --- the mechanism --- */

static bool set_has(gss_OID_set set, gss_const_OID member)
{
	gss_OID_desc copy = *member;
	OM_uint32 minor;
	int is_there = 0;

	return gss_test_oid_set_member(&minor, &copy, set, &is_there) == GSS_S_COMPLETE && is_there;
}

/* Without an identity it authenticates nobody: Cyrus SASL must not offer it. */
static void test_attributes(bool has_identity)
{
	gss_const_OID has[] = { GSS_C_MA_MECH_CONCRETE, GSS_C_MA_ITOK_FRAMED, GSS_C_MA_INTEG_PROT,
		GSS_C_MA_CONF_PROT, GSS_C_MA_MIC, GSS_C_MA_WRAP, GSS_C_MA_REPLAY_DET,
		GSS_C_MA_OOS_DET, GSS_C_MA_CBINDINGS, GSS_C_MA_CTX_TRANS, GSS_C_MA_PFS };
	gss_const_OID has_not[] = { GSS_C_MA_MECH_NEGO, GSS_C_MA_MECH_PSEUDO, GSS_C_MA_MECH_GLUE,
		GSS_C_MA_NOT_MECH, GSS_C_MA_DEPRECATED, GSS_C_MA_NOT_DFLT_MECH,
		GSS_C_MA_AUTH_INIT_ANON, GSS_C_MA_DELEG_CRED };
	gss_OID_set attributes = GSS_C_NO_OID_SET, known = GSS_C_NO_OID_SET,
		    mechs = GSS_C_NO_OID_SET;
	OM_uint32 minor;
	bool are_right = true;

	check(gss_indicate_mechs(&minor, &mechs) == 0 && set_has(mechs, &mech_oid),
		"indicate_mechs lists us");
	(void)gss_release_oid_set(&minor, &mechs);
	check(gss_inquire_attrs_for_mech(&minor, &mech_oid, &attributes, &known) == 0,
		"inquire_attrs_for_mech");
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		are_right = are_right && set_has(attributes, has[i]);
	for (size_t i = 0; i < sizeof(has_not) / sizeof(has_not[0]); i++)
		are_right = are_right && !set_has(attributes, has_not[i]);
	check(are_right, "attributes");
	check(set_has(attributes, GSS_C_MA_AUTH_INIT) == has_identity &&
			set_has(attributes, GSS_C_MA_AUTH_TARG) == has_identity,
		"attributes of authentication, %s identity", has_identity ? "with an" : "without");
	(void)gss_release_oid_set(&minor, &attributes);
	(void)gss_release_oid_set(&minor, &known);
	check(gss_inquire_attrs_for_mech(&minor, &mech_oid, NULL, NULL) == 0,
		"inquire_attrs_for_mech without outputs");
}

static void test_sasl_name(void)
{
	gss_buffer_desc sasl = GSS_C_EMPTY_BUFFER, name = GSS_C_EMPTY_BUFFER,
			text = GSS_C_EMPTY_BUFFER, unknown = { 9, "GS2-OTHER" };
	gss_OID mech = GSS_C_NO_OID, kept;
	OM_uint32 minor;

	check(gss_inquire_saslname_for_mech(&minor, &mech_oid, &sasl, NULL, NULL) == 0 &&
			buffer_is(&sasl, GSS_IPSEC_SASL_NAME) && sasl.length <= 15,
		"SASL name alone");
	check(gss_inquire_mech_for_saslname(&minor, &sasl, &mech) == 0 &&
			gss_oid_equal(mech, &mech_oid),
		"SASL name round trip");
	kept = mech;
	(void)gss_release_oid(&minor, &mech);
	check(gss_oid_equal(kept, &mech_oid), "the OID outlives its release");
	check(gss_inquire_mech_for_saslname(&minor, &unknown, &mech) == GSS_S_BAD_MECH,
		"unknown SASL name: BAD_MECH");
	(void)gss_release_buffer(&minor, &sasl);
	check(gss_inquire_saslname_for_mech(&minor, &mech_oid, &sasl, &name, &text) == 0 &&
			name.length > 0 && text.length > 0,
		"SASL name with description");
	(void)gss_release_buffer(&minor, &sasl);
	(void)gss_release_buffer(&minor, &name);
	(void)gss_release_buffer(&minor, &text);
}

void test_mechanism(void)
{
	gss_OID_set types = GSS_C_NO_OID_SET;
	OM_uint32 minor;

	test_attributes(true);
	test_sasl_name();
	check(gss_inquire_names_for_mech(&minor, &mech_oid, &types) == 0 &&
			set_has(types, GSS_C_NT_USER_NAME) &&
			set_has(types, GSS_C_NT_HOSTBASED_SERVICE) &&
			set_has(types, GSS_C_NT_EXPORT_NAME) &&
			set_has(types, GSS_C_NT_COMPOSITE_EXPORT) &&
			set_has(types, &public_key_type),
		"inquire_names_for_mech");
	(void)gss_release_oid_set(&minor, &types);
}

/* --- names --- */

/* Imports, shows, imports what was shown, exports and imports again: all the same name. */
static void check_name(const char *text, gss_OID type, const char *shown)
{
	gss_name_t any = name_of(text, type), ours = GSS_C_NO_NAME, again, back = GSS_C_NO_NAME;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	int is_equal = 0, is_anonymous = strcmp(shown, "anonymous") == 0;

	check(gss_canonicalize_name(&minor, any, &mech_oid, &ours) == 0 &&
			name_displays(ours, shown),
		"name '%s' displays as '%s'", text, shown);
	again = name_of(shown, GSS_C_NT_USER_NAME);
	check(gss_compare_name(&minor, ours, again, &is_equal) == 0 && is_equal == !is_anonymous,
		"name '%s' from its display text", text);
	is_equal = 0;
	check(gss_export_name(&minor, ours, &token) == 0 &&
			gss_import_name(&minor, &token, GSS_C_NT_EXPORT_NAME, &back) == 0 &&
			gss_compare_name(&minor, ours, back, &is_equal) == 0 &&
			is_equal == !is_anonymous && name_displays(back, shown),
		"name '%s' exported and imported", text);
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_name(&minor, &any);
	(void)gss_release_name(&minor, &ours);
	(void)gss_release_name(&minor, &again);
	(void)gss_release_name(&minor, &back);
}

static void check_no_name(const char *text, gss_OID type)
{
	gss_name_t any = name_of(text, type), ours = GSS_C_NO_NAME;
	OM_uint32 major, minor;

	major = gss_canonicalize_name(&minor, any, &mech_oid, &ours);
	check((major == GSS_S_BAD_NAME || major == GSS_S_BAD_NAMETYPE) && minor != 0 &&
			error_says(minor, "name"),
		"no name: '%s'", text);
	(void)gss_release_name(&minor, &any);
	(void)gss_release_name(&minor, &ours);
}

static void test_exported_name_changed(void)
{
	gss_name_t any = name_of("alice@example.org", GSS_C_NT_USER_NAME), ours, back;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, cut;
	OM_uint32 minor;
	size_t taken = 0;

	if (gss_canonicalize_name(&minor, any, &mech_oid, &ours) != 0 ||
		gss_export_name(&minor, ours, &token) != 0) {
		check(false, "exported name to change");
		return;
	}
	for (size_t length = 1; length < token.length; length++) {
		cut = (gss_buffer_desc){ length, token.value };
		back = GSS_C_NO_NAME;
		if (gss_import_name(&minor, &cut, GSS_C_NT_EXPORT_NAME, &back) == GSS_S_COMPLETE)
			taken++;
		(void)gss_release_name(&minor, &back);
	}
	check(taken == 0, "exported name cut everywhere");
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_name(&minor, &any);
	(void)gss_release_name(&minor, &ours);
}

void test_names(void)
{
	gss_name_t nul = GSS_C_NO_NAME;
	gss_buffer_desc with_nul = { 24, "host@server.example.org" };
	OM_uint32 minor;

	check_name("alice@example.org", GSS_C_NT_USER_NAME, "alice@example.org");
	check_name("alice", GSS_C_NT_USER_NAME, "alice@example.org");
	check_name("alice@example.org", GSS_C_NO_OID, "alice@example.org");
	check_name(
		"host@Server.Example.ORG", GSS_C_NT_HOSTBASED_SERVICE, "host/server.example.org");
	check_name("host/server.example.org", GSS_C_NO_OID, "host/server.example.org");
	check_name("host", GSS_C_NT_HOSTBASED_SERVICE, "host/");
	check_name(KEY_NAME, &public_key_type, KEY_NAME);
	check_name(KEY_NAME, GSS_C_NT_USER_NAME, KEY_NAME);
	check_name("anonymous", GSS_C_NT_ANONYMOUS, "anonymous");
	check_no_name("a b@example.org", GSS_C_NT_USER_NAME);
	check_no_name("SHA256:short", &public_key_type);
	check_no_name("1000", GSS_C_NT_STRING_UID_NAME);
	check(gss_import_name(&minor, &with_nul, GSS_C_NT_HOSTBASED_SERVICE, &nul) == 0,
		"a name with its NUL counted");
	(void)gss_release_name(&minor, &nul);
	test_exported_name_changed();
}

/* --- credentials --- */

static OM_uint32 acquire(const char *name, gss_cred_usage_t usage, gss_cred_id_t *ret_credential,
	OM_uint32 *ret_minor)
{
	gss_name_t desired = name == NULL ? GSS_C_NO_NAME : name_of(name, GSS_C_NT_USER_NAME);
	OM_uint32 major, minor, lifetime = 0;

	major = gss_acquire_cred(
		ret_minor, desired, 0, &mech_set, usage, ret_credential, NULL, &lifetime);
	if (major == GSS_S_COMPLETE)
		check(lifetime == GSS_C_INDEFINITE, "a credential's lifetime is set");
	(void)gss_release_name(&minor, &desired);
	return major;
}

static void check_credential(const char *name, gss_cred_usage_t usage, const char *shown)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_name_t own = GSS_C_NO_NAME;
	OM_uint32 minor, lifetime = 0, of_initiator = 0, of_acceptor = 0;
	gss_cred_usage_t told = -1;

	if (acquire(name, usage, &credential, &minor) != GSS_S_COMPLETE) {
		check(false, "acquire %s, usage %d", shown, usage);
		show_error("acquire", 0, minor);
		return;
	}
	check(gss_inquire_cred(&minor, credential, &own, &lifetime, &told, NULL) == 0 &&
			lifetime == GSS_C_INDEFINITE && told == usage && name_displays(own, shown),
		"inquire_cred %s", shown);
	(void)gss_release_name(&minor, &own);
	check(gss_inquire_cred_by_mech(&minor, credential, &mech_oid, &own, &of_initiator,
		      &of_acceptor, &told) == 0 &&
			(of_initiator != 0) == (usage != GSS_C_ACCEPT) &&
			(of_acceptor != 0) == (usage != GSS_C_INITIATE) && told == usage,
		"inquire_cred_by_mech %s", shown);
	(void)gss_release_name(&minor, &own);
	(void)gss_release_cred(&minor, &credential);
}

static void check_no_credential(const char *name, gss_cred_usage_t usage)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 major, minor;

	major = acquire(name, usage, &credential, &minor);
	check(major == GSS_S_NO_CRED && minor != 0 && credential == GSS_C_NO_CREDENTIAL,
		"no credential: %s, usage %d (major %x minor %u)", name == NULL ? "default" : name,
		usage, major, minor);
	check(error_says(minor, "identity"), "and its sentence");
}

static void test_credential_token(void)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL, back = GSS_C_NO_CREDENTIAL,
		      copy = GSS_C_NO_CREDENTIAL;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, cut;
	gss_name_t own = GSS_C_NO_NAME;
	OM_uint32 minor;
	size_t taken = 0;

	if (acquire("alice@example.org", GSS_C_INITIATE, &credential, &minor) != GSS_S_COMPLETE) {
		check(false, "credential to export");
		return;
	}
	check(gss_export_cred(&minor, credential, &token) == 0 &&
			gss_import_cred(&minor, &token, &back) == 0 &&
			gss_inquire_cred(&minor, back, &own, NULL, NULL, NULL) == 0 &&
			name_displays(own, "alice@example.org"),
		"export_cred and import_cred");
	(void)gss_release_name(&minor, &own);
	for (size_t length = 1; length < token.length; length++) {
		cut = (gss_buffer_desc){ length, token.value };
		if (gss_import_cred(&minor, &cut, &copy) == GSS_S_COMPLETE)
			taken++;
		(void)gss_release_cred(&minor, &copy);
	}
	check(taken == 0, "credential token cut everywhere");
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_cred(&minor, &credential);
	(void)gss_release_cred(&minor, &back);
}

static void test_credential_options(void)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_buffer_desc none = GSS_C_EMPTY_BUFFER, fd = { 4, "\0\0\0\7" }, bad = { 3, "\0\0\7" };
	OM_uint32 minor;

	if (acquire(NULL, GSS_C_INITIATE, &credential, &minor) != GSS_S_COMPLETE) {
		check(false, "credential for options");
		return;
	}
	check(gss_set_cred_option(&minor, &credential, &no_ci_flags, &none) == 0,
		"option NO_CI_FLAGS is taken");
	check(gss_set_cred_option(&minor, &credential, &descriptor_option, &fd) == 0,
		"option descriptor");
	check(GSS_ERROR(gss_set_cred_option(&minor, &credential, &descriptor_option, &bad)) &&
			minor != 0,
		"option descriptor of three octets");
	check(gss_set_cred_option(&minor, &credential, &public_key_type, &none) ==
			GSS_S_UNAVAILABLE,
		"unknown option is UNAVAILABLE");
	(void)gss_release_cred(&minor, &credential);
}

static OM_uint32 acquire_from(const char *key, const char *value, gss_name_t *ret_name)
{
	gss_key_value_element_desc elements[] = { { "ccache", "FILE:/nonexistent" },
		{ key, value } };
	gss_key_value_set_desc store = { 2, elements };
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 major, minor, ignored;

	major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, 0, &mech_set, GSS_C_INITIATE, &store,
		&credential, NULL, NULL);
	if (major == GSS_S_COMPLETE)
		(void)gss_inquire_cred(&ignored, credential, ret_name, NULL, NULL, NULL);
	else
		check(minor != 0, "a store that is refused has a minor");
	(void)gss_release_cred(&ignored, &credential);
	return major;
}

static void test_credential_store(void)
{
	gss_name_t own = GSS_C_NO_NAME;
	OM_uint32 minor;

	check(acquire_from("ipsec_identity", "alice", &own) == 0 &&
			name_displays(own, "alice@example.org"),
		"store: an identity");
	(void)gss_release_name(&minor, &own);
	check(acquire_from("keytab", "/nonexistent", &own) == 0, "store: others' keys are ignored");
	(void)gss_release_name(&minor, &own);
	check(GSS_ERROR(acquire_from("ipsec_identity", "nobody", &own)), "store: no such identity");
	check(GSS_ERROR(acquire_from("ipsec_latch", "maybe", &own)), "store: no such policy");
	check(GSS_ERROR(acquire_from("ipsec_key", "/nonexistent", &own)), "store: no such file");
}

void test_credentials(void)
{
	check_credential(NULL, GSS_C_INITIATE, "alice@example.org");
	check_credential("alice@example.org", GSS_C_INITIATE, "alice@example.org");
	check_credential(NULL, GSS_C_ACCEPT, "host/server.example.org");
	check_no_credential("bob@example.org", GSS_C_INITIATE);
	check_no_credential("alice@example.org", GSS_C_ACCEPT);
	test_credential_token();
	test_credential_options();
	test_credential_store();
}

/* --- installed, nothing configured: nobody notices (RULES 1 and 2 of credentials) --- */

void test_unconfigured(void)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_OID_set actual = GSS_C_NO_OID_SET;
	struct pair pair;
	OM_uint32 major, minor;

	check_no_credential(NULL, GSS_C_INITIATE);
	check_no_credential(NULL, GSS_C_ACCEPT);
	check_no_credential(NULL, GSS_C_BOTH);
	major = gss_acquire_cred(&minor, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET, GSS_C_INITIATE,
		&credential, &actual, NULL);
	check(GSS_ERROR(major) && credential == GSS_C_NO_CREDENTIAL,
		"no default credential because of us");
	pair_init(&pair, &mech_oid, "host@server.example.org", 0);
	major = pair_step(&pair);
	check(major == GSS_S_NO_CRED && pair.minor != 0 && error_says(pair.minor, "identity"),
		"init: NO_CRED and its sentence");
	check(pair.initiator.context == GSS_C_NO_CONTEXT && pair.token.length == 0,
		"init: no handle, no token");
	pair_free(&pair);
	test_attributes(false);
}
