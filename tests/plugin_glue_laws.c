/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/plugin_glue: what RFC 2743 promises of names, for many texts read in every way: what is
 * shown or exported imports again as the same name, comparing is an equivalence, different names
 * never show alike.  Nobody (anonymous) is no one's equal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_desc public_key_type = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_NT_PUBLIC_KEY };

#define KEY "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
#define TEXT(text)                     \
	{                              \
		text, sizeof(text) - 1 \
	}
#define LONG_BYTES 4096

/* Octets, since some have a NUL within. */
struct odd_text {
	const char *octets;
	size_t length;
};

static const struct odd_text odd_texts[] = {
	TEXT("alice@example.org"),
	TEXT("alice@EXAMPLE.ORG"),
	TEXT("Alice@example.org"),
	TEXT("alice"),
	TEXT("alice@"),
	TEXT("@x"),
	TEXT("@"),
	TEXT("@@"),
	TEXT("alice@@x"),
	TEXT("alice@x@y"),
	TEXT("alice@example.org."),
	TEXT("alice@example.org.."),
	TEXT("alice@example.org\0"),
	TEXT("alice@example.org\0\0"),
	TEXT("alice\0@example.org"),
	TEXT("alice@example.org\0root"),
	TEXT("alice@example.org "),
	TEXT(" alice@example.org"),
	TEXT("alice@example.org\n"),
	TEXT("al\tice@example.org"),
	TEXT("al\033[1mice@example.org"),
	TEXT("al\177ice@example.org"),
	TEXT("j\xc3\xbcrg@example.org"),
	TEXT("j\xfcrg@example.org"),
	TEXT("ju\xcc\x88rg@example.org"),
	TEXT("al\xe2\x80\x8bice@example.org"),
	TEXT("alice\xe2\x80\xae@example.org"),
	TEXT("\xc0\xaf@example.org"),
	TEXT("alice\\@example.org"),
	TEXT("../alice@example.org"),
	TEXT("host"),
	TEXT("host@"),
	TEXT("host/"),
	TEXT("/server.example.org"),
	TEXT("/"),
	TEXT("//"),
	TEXT("a/b/c"),
	TEXT("host/server.example.org"),
	TEXT("host@server.example.org"),
	TEXT("HOST@server.example.org"),
	TEXT("host@SERVER.example.org"),
	TEXT("host@server.example.org."),
	TEXT("host@server.example.org\0"),
	TEXT("host@server..example.org"),
	TEXT("host@-server.example.org"),
	TEXT("host@192.0.2.1"),
	TEXT("host@::1"),
	TEXT("host@[2001:db8::1]"),
	TEXT("http://server.example.org/x"),
	TEXT("anonymous"),
	TEXT("Anonymous"),
	TEXT("anonymous@example.org"),
	TEXT("anonymous\0"),
	TEXT(KEY),
	TEXT(KEY "="),
	TEXT(KEY "=="),
	TEXT("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"),
	TEXT("SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV"),
	TEXT("SHA256:"),
	TEXT("SHA256:alice@example.org"),
	TEXT("1000"),
	TEXT("CN=alice,O=example"),
	TEXT("\0"),
	TEXT("\4\1\0\43"),
};

#define TEXTS (sizeof(odd_texts) / sizeof(odd_texts[0]))

struct law_type {
	const char *what;
	gss_OID *type; /* NULL: none */
};

static gss_OID public_key = &public_key_type;

static const struct law_type law_types[] = {
	{ "user name", &GSS_C_NT_USER_NAME },
	{ "host-based service", &GSS_C_NT_HOSTBASED_SERVICE },
	{ "no type", NULL },
	{ "public key", &public_key },
	{ "exported name", &GSS_C_NT_EXPORT_NAME },
	{ "composite name", &GSS_C_NT_COMPOSITE_EXPORT },
};

#define TYPES (sizeof(law_types) / sizeof(law_types[0]))
#define NAMES_MAX (TEXTS * TYPES)

struct law_name {
	gss_name_t name;
	gss_buffer_desc shown, exported;
	bool is_anonymous;
};

static gss_name_t read_text(const struct odd_text *text, const struct law_type *type)
{
	gss_buffer_desc buffer = { text->length, (void *)(uintptr_t)text->octets };
	gss_name_t any = GSS_C_NO_NAME, ours = GSS_C_NO_NAME;
	OM_uint32 major, minor;

	major = gss_import_name(
		&minor, &buffer, type->type == NULL ? GSS_C_NO_OID : *type->type, &any);
	if (major == GSS_S_COMPLETE)
		major = gss_canonicalize_name(&minor, any, &mech_oid, &ours);
	check_quietly((major == GSS_S_COMPLETE) == (ours != GSS_C_NO_NAME) &&
			      (major == GSS_S_COMPLETE || minor != 0 || any == GSS_C_NO_NAME),
		"%s '%s': a name, or a minor", type->what, text->octets);
	release_name(&any);
	return ours;
}

static bool is_printable(const gss_buffer_desc *shown)
{
	const uint8_t *octets = shown->value;

	for (size_t i = 0; i < shown->length; i++) {
		if (octets[i] <= ' ' || octets[i] == 0x7f)
			return false;
	}
	return shown->length > 0 && shown->length <= 255;
}

static int compare(gss_name_t a, gss_name_t b)
{
	OM_uint32 minor;
	int is_equal = -1;

	if (gss_compare_name(&minor, a, b, &is_equal) != GSS_S_COMPLETE)
		return -1;
	return is_equal;
}

/* What came of a name imports as the same name. */
static void check_again(
	const struct law_name *law, gss_buffer_t from, gss_OID type, const char *how)
{
	gss_name_t any = GSS_C_NO_NAME, ours = GSS_C_NO_NAME;
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	check_quietly(
		gss_import_name(&minor, from, type, &any) == GSS_S_COMPLETE &&
			gss_canonicalize_name(&minor, any, &mech_oid, &ours) == GSS_S_COMPLETE &&
			gss_display_name(&minor, ours, &shown, NULL) == GSS_S_COMPLETE &&
			buffers_equal(&shown, &law->shown) &&
			compare(ours, law->name) == !law->is_anonymous,
		"%s %s imports as the same name", (char *)law->shown.value, how);
	(void)gss_release_buffer(&minor, &shown);
	release_name(&any);
	release_name(&ours);
}

static void check_one(struct law_name *law)
{
	gss_buffer_desc composite = GSS_C_EMPTY_BUFFER;
	gss_name_t copy = GSS_C_NO_NAME;
	gss_OID type = GSS_C_NO_OID;
	OM_uint32 minor;

	check_quietly(
		gss_display_name(&minor, law->name, &law->shown, &type) == GSS_S_COMPLETE &&
			type != GSS_C_NO_OID && is_printable(&law->shown) &&
			gss_export_name(&minor, law->name, &law->exported) == GSS_S_COMPLETE &&
			gss_export_name_composite(&minor, law->name, &composite) ==
				GSS_S_COMPLETE &&
			gss_duplicate_name(&minor, law->name, &copy) == GSS_S_COMPLETE,
		"a name is shown, exported, duplicated");
	law->is_anonymous = type == GSS_C_NT_ANONYMOUS;
	check_quietly(compare(law->name, copy) == !law->is_anonymous &&
			      compare(law->name, law->name) == !law->is_anonymous,
		"%s equals itself and its duplicate", (char *)law->shown.value);
	check_again(law, &law->shown, type, "shown");
	check_again(law, &law->shown, GSS_C_NT_USER_NAME, "shown, as a user name");
	check_again(law, &law->shown, GSS_C_NO_OID, "shown, of no type");
	check_again(law, &law->exported, GSS_C_NT_EXPORT_NAME, "exported");
	check_again(law, &composite, GSS_C_NT_COMPOSITE_EXPORT, "exported as a composite name");
	(void)gss_release_buffer(&minor, &composite);
	release_name(&copy);
}

/* Equal, shown alike, exported alike: all three or none. */
static void check_two(const struct law_name *a, const struct law_name *b)
{
	bool shows_alike = buffers_equal(&a->shown, &b->shown);
	int is_equal = compare(a->name, b->name);

	check_quietly(is_equal == compare(b->name, a->name) &&
			      is_equal == (shows_alike && !a->is_anonymous) &&
			      buffers_equal(&a->exported, &b->exported) == shows_alike,
		"%s and %s: equal, shown alike and exported alike, or none of it",
		(char *)a->shown.value, (char *)b->shown.value);
}

static void test_lengths(void)
{
	static char long_text[LONG_BYTES + 32];
	const size_t lengths[] = { 1, 200, 242, 243, 244, 245, 255, 256, 300, LONG_BYTES };
	size_t taken = 0;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct law_name law = { .name = GSS_C_NO_NAME };
		struct odd_text text = { long_text, lengths[i] + strlen("@example.org") };
		OM_uint32 minor;

		memset(long_text, 'a', lengths[i]);
		strcpy(long_text + lengths[i], "@example.org");
		law.name = read_text(&text, &law_types[0]);
		check_quietly((law.name != GSS_C_NO_NAME) == (text.length <= 255),
			"a name of %zu octets", text.length);
		if (law.name == GSS_C_NO_NAME)
			continue;
		taken++;
		check_one(&law);
		(void)gss_release_buffer(&minor, &law.shown);
		(void)gss_release_buffer(&minor, &law.exported);
		release_name(&law.name);
	}
	check(taken == 4, "names of up to 255 octets, and no longer ones (%zu)", taken);
}

void test_name_laws(void)
{
	static struct law_name names[NAMES_MAX];
	unsigned int before = checks_failed();
	size_t count = 0;
	OM_uint32 minor;

	for (size_t t = 0; t < TYPES; t++) {
		for (size_t i = 0; i < TEXTS; i++) {
			names[count].name = read_text(&odd_texts[i], &law_types[t]);
			count += names[count].name != GSS_C_NO_NAME;
		}
	}
	for (size_t i = 0; i < count; i++)
		check_one(&names[i]);
	check(checks_failed() == before && count > 50,
		"%zu of %zu readings are names, and come back as they were", count, NAMES_MAX);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < count; k++)
			check_two(&names[i], &names[k]);
	}
	check(checks_failed() == before, "%zu pairs: equal exactly when shown alike",
		count * count);
	for (size_t i = 0; i < count; i++) {
		(void)gss_release_buffer(&minor, &names[i].shown);
		(void)gss_release_buffer(&minor, &names[i].exported);
		release_name(&names[i].name);
	}
	test_lengths();
}
