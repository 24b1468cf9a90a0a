/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The plugin through MIT's own mechglue, both ends in one process, tokens over memory.  Run by
 * tests/plugin_run.sh, which makes identities and sets GSS_MECH_CONFIG and GSS_IPSEC_CONFIG:
 *
 *   plugin_glue configured       everything
 *   plugin_glue naming           with rules for local users
 *   plugin_glue anonymous        with identities that are nobody, and peers that may be
 *   plugin_glue unconfigured     installed without any identity
 *   plugin_glue reselect         SPNEGO with a decoy mechanism before ours
 *   plugin_glue decoy            the same decoy, installed without any identity
 *   plugin_glue allocations      counts them, under tests/support/count_allocations.c
 *   plugin_glue growth           what logins leave in the heap, under the same
 *
 * Prints "ok" and "FAIL" lines; exit status 1 when one failed.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH };
static gss_OID_desc unique_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_UNIQUE };
static gss_OID_desc end_point_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_END_POINT };
static gss_OID_desc descriptor_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_OPT_DESCRIPTOR };
static gss_OID_desc ssf_oid = { 11, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f" };

/* --- partial contexts --- */

static void check_nothing_to_hand_over(struct side *side, const char *who)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, input = { 1, "x" };
	OM_uint32 major, minor;

	major = gss_export_sec_context(&minor, &side->context, &token);
	/* MIT's mechglue (1.20.1) loses the minor status of this call. */
	check(major == GSS_S_NO_CONTEXT && token.length == 0 && side->context != GSS_C_NO_CONTEXT,
		"%s: a partial context is not exported, and stays", who);
	major = gss_pseudo_random(&minor, side->context, GSS_C_PRF_KEY_PARTIAL, &input, 32, &token);
	check(major == GSS_S_UNAVAILABLE && minor != 0, "%s: no pseudo-random function yet", who);
	major = gss_process_context_token(&minor, side->context, &input);
	check(major == GSS_S_NO_CONTEXT && minor != 0, "%s: process_context_token", who);
}

static void check_partial(struct side *side, const char *who)
{
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	gss_OID mech = GSS_C_NO_OID;
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor, flags = 0, lifetime = 0;
	int is_local = -1, is_open = -1;

	major = gss_inquire_context(&minor, side->context, &source, &target, &lifetime, &mech,
		&flags, &is_local, &is_open);
	check(major == GSS_S_COMPLETE && is_open == 0 && mech != NULL && source != GSS_C_NO_NAME &&
			target != GSS_C_NO_NAME,
		"%s: inquire_context on a partial context", who);
	check((flags & GSS_C_PROT_READY_FLAG) == 0, "%s: no PROT_READY yet", who);
	(void)gss_release_name(&minor, &source);
	(void)gss_release_name(&minor, &target);
	major = gss_inquire_sec_context_by_oid(&minor, side->context, &unique_oid, &set);
	check(GSS_ERROR(major) && minor != 0, "%s: no unique binding yet", who);
	major = gss_inquire_sec_context_by_oid(&minor, side->context, &ssf_oid, &set);
	check(major == GSS_S_NO_CONTEXT && minor != 0, "%s: no strength yet", who);
	major = gss_inquire_sec_context_by_oid(&minor, side->context, &descriptor_oid, &set);
	check(major == GSS_S_UNAVAILABLE, "%s: unknown inquiry is UNAVAILABLE", who);
	check_nothing_to_hand_over(side, who);
	major = gss_context_time(&minor, side->context, &lifetime);
	check(major == GSS_S_NO_CONTEXT, "%s: context_time on a partial context", who);
}

/* The descriptor may be named between T1 and T2, if it is one that T1 listed: here none is. */
static void check_context_options(struct side *side)
{
	gss_buffer_desc fd = { 4, "\0\0\0\0" }, bad = { 5, "\0\0\0\0\0" };
	OM_uint32 major, minor;

	major = gss_set_sec_context_option(&minor, &side->context, &descriptor_oid, &fd);
	check(GSS_ERROR(major) && minor != 0, "a descriptor that T1 did not list");
	major = gss_set_sec_context_option(&minor, &side->context, &descriptor_oid, &bad);
	check(GSS_ERROR(major) && minor != 0 && error_says(minor, "4 octets"),
		"a descriptor of five octets");
	major = gss_set_sec_context_option(&minor, &side->context, &latch_oid, &fd);
	check(major == GSS_S_UNAVAILABLE, "unknown context option is UNAVAILABLE");
}

static void test_partial(void)
{
	struct pair pair;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	check(pair_step(&pair) == GSS_S_CONTINUE_NEEDED, "T1");
	check(pair.token.length > 40 && ((uint8_t *)pair.token.value)[0] == 0x60,
		"T1 has RFC 2743's header");
	check_partial(&pair.initiator, "initiator");
	check_context_options(&pair.initiator);
	check(pair_step(&pair) == GSS_S_CONTINUE_NEEDED, "T2");
	check_partial(&pair.acceptor, "acceptor");
	check(pair.acceptor.peer == GSS_C_NO_NAME, "no source name before the end");
	pair_free(&pair);
}

/* --- a whole exchange --- */

static void check_open(struct side *side, bool is_initiator, const char *who)
{
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	gss_OID mech = GSS_C_NO_OID;
	OM_uint32 major, minor, flags = 0, lifetime = 0;
	int is_local = -1, is_open = -1;

	major = gss_inquire_context(&minor, side->context, &source, &target, &lifetime, &mech,
		&flags, &is_local, &is_open);
	check(major == GSS_S_COMPLETE && is_open == 1 && is_local == is_initiator,
		"%s: inquire_context when open", who);
	check(gss_oid_equal(mech, &mech_oid), "%s: mechanism", who);
	check((flags & PAIR_FLAGS_OPEN) == PAIR_FLAGS_OPEN, "%s: flags %x", who, flags);
	check((flags & (GSS_C_DELEG_FLAG | GSS_C_ANON_FLAG)) == 0, "%s: no flag that is not true",
		who);
	check((side->flags & PAIR_FLAGS_OPEN) == PAIR_FLAGS_OPEN, "%s: ret_flags %x", who,
		side->flags);
	check(lifetime == GSS_C_INDEFINITE && side->lifetime == GSS_C_INDEFINITE, "%s: lifetime",
		who);
	check(name_displays(source, "alice@example.org"), "%s: source name", who);
	check(name_displays(target, "host/server.example.org"), "%s: target name", who);
	(void)gss_release_name(&minor, &source);
	(void)gss_release_name(&minor, &target);
	check(gss_context_time(&minor, side->context, &lifetime) == GSS_S_COMPLETE &&
			lifetime == GSS_C_INDEFINITE,
		"%s: context_time", who);
	check(gss_process_context_token(&minor, side->context, &(gss_buffer_desc){ 1, "x" }) ==
			GSS_S_DEFECTIVE_TOKEN,
		"%s: process_context_token takes none", who);
}

static void check_latch_inquiry(struct side *side, const char *who)
{
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor;

	major = gss_inquire_sec_context_by_oid(&minor, side->context, &latch_oid, &set);
	check(major == GSS_S_COMPLETE && set != NULL && set->count == 3, "%s: latch inquiry", who);
	if (set == NULL || set->count != 3)
		return;
	check(set->elements[0].length == 4 &&
			((uint8_t *)set->elements[0].value)[3] == IPSEC_LATCH_NONE,
		"%s: reason number is none's", who);
	check(buffer_is(&set->elements[1], "none"), "%s: reason word", who);
	check(set->elements[2].length > 20, "%s: reason sentence", who);
	(void)gss_release_buffer_set(&minor, &set);
}

static void check_same_binding(struct pair *pair, gss_OID oid, const char *prefix)
{
	gss_buffer_set_t a = GSS_C_NO_BUFFER_SET, b = GSS_C_NO_BUFFER_SET;
	size_t length = strlen(prefix);
	OM_uint32 minor;

	check(gss_inquire_sec_context_by_oid(&minor, pair->initiator.context, oid, &a) == 0 &&
			gss_inquire_sec_context_by_oid(&minor, pair->acceptor.context, oid, &b) ==
				0,
		"%s inquired on both sides", prefix);
	check(a != NULL && b != NULL && a->count == 1 && b->count == 1 &&
			a->elements[0].length == length + 32 &&
			buffers_equal(&a->elements[0], &b->elements[0]) &&
			strncmp(a->elements[0].value, prefix, length) == 0,
		"%s equal on both sides", prefix);
	(void)gss_release_buffer_set(&minor, &a);
	(void)gss_release_buffer_set(&minor, &b);
}

static void test_exchange(void)
{
	struct pair pair;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	check(pair_run(&pair) == GSS_S_COMPLETE, "exchange completes");
	if (!pair_is_open(&pair)) {
		show_error("exchange", pair.major, pair.minor);
		pair_free(&pair);
		return;
	}
	check(pair.tokens == 4, "four tokens (%d)", pair.tokens);
	check(name_displays(pair.acceptor.peer, "alice@example.org"), "source name from accept");
	check_open(&pair.initiator, true, "initiator");
	check_open(&pair.acceptor, false, "acceptor");
	check_latch_inquiry(&pair.initiator, "initiator");
	check_latch_inquiry(&pair.acceptor, "acceptor");
	check_same_binding(&pair, &unique_oid, "gss-ipsec-unique:");
	check_same_binding(&pair, &end_point_oid, "gss-ipsec-end-point:");
	pair_free(&pair);
	pair_init(&pair, &mech_oid, "HTTP@server.example.org", PAIR_FLAGS_ASKED);
	check(pair_run(&pair) == GSS_S_COMPLETE && pair.tokens == 5, "HTTP: five tokens");
	pair_free(&pair);
}

/* --- per-message tokens --- */

static void check_wrap(struct side *from, struct side *to, int seals, size_t length)
{
	gss_buffer_desc plain = { length, malloc(length + 1) }, token = GSS_C_EMPTY_BUFFER,
			back = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, limit = 0;
	int was_sealed = -1;

	memset(plain.value, 'm', length);
	major = gss_wrap(&minor, from->context, seals, 0, &plain, &was_sealed, &token);
	check(major == GSS_S_COMPLETE && was_sealed == seals, "wrap %zu octets, seal %d", length,
		seals);
	major = gss_wrap_size_limit(
		&minor, from->context, seals, 0, (OM_uint32)token.length, &limit);
	check(major == GSS_S_COMPLETE && limit == length, "wrap_size_limit of %zu is %u",
		token.length, limit);
	major = gss_unwrap(&minor, to->context, &token, &back, &was_sealed, NULL);
	check(major == GSS_S_COMPLETE && was_sealed == seals && buffers_equal(&plain, &back),
		"unwrap %zu octets, seal %d", length, seals);
	(void)gss_release_buffer(&minor, &back);
	major = gss_unwrap(&minor, to->context, &token, &back, NULL, NULL);
	check(major == GSS_S_DUPLICATE_TOKEN, "unwrap again: duplicate (%x)", major);
	(void)gss_release_buffer(&minor, &back);
	major = gss_unwrap(&minor, from->context, &token, &back, NULL, NULL);
	check(GSS_ERROR(major) && minor != 0, "unwrap one's own: refused");
	((uint8_t *)token.value)[token.length - 1] ^= 1;
	major = gss_unwrap(&minor, to->context, &token, &back, NULL, NULL);
	check(major == GSS_S_BAD_SIG && back.value == NULL, "unwrap a changed one: BAD_SIG");
	(void)gss_release_buffer(&minor, &token);
	free(plain.value);
}

static void check_mic(struct side *from, struct side *to)
{
	gss_buffer_desc message = { 5, "hello" }, other = { 5, "hullo" },
			token = GSS_C_EMPTY_BUFFER, skipped = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	check(gss_get_mic(&minor, from->context, 0, &message, &token) == 0, "get_mic");
	check(gss_verify_mic(&minor, to->context, &other, &token, NULL) == GSS_S_BAD_SIG,
		"verify_mic of another message: BAD_SIG");
	check(gss_verify_mic(&minor, to->context, &message, &token, NULL) == 0, "verify_mic");
	(void)gss_release_buffer(&minor, &token);
	check(gss_get_mic(&minor, from->context, 1, &message, &token) == GSS_S_BAD_QOP,
		"get_mic with an unknown quality of protection: BAD_QOP");
	check(gss_get_mic(&minor, from->context, 0, &message, &skipped) == 0 &&
			gss_get_mic(&minor, from->context, 0, &message, &token) == 0,
		"two MICs");
	check(gss_verify_mic(&minor, to->context, &message, &token, NULL) == GSS_S_GAP_TOKEN,
		"second first: gap");
	check(gss_verify_mic(&minor, to->context, &message, &skipped, NULL) == GSS_S_UNSEQ_TOKEN,
		"first second: out of sequence");
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_buffer(&minor, &skipped);
}

static void test_messages(void)
{
	static const size_t lengths[] = { 0, 1, 16, 1000, 100000 };
	struct pair pair;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	if (pair_run(&pair) != GSS_S_COMPLETE) {
		check(false, "exchange for messages");
		goto out;
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		check_wrap(&pair.initiator, &pair.acceptor, 1, lengths[i]);
		check_wrap(&pair.acceptor, &pair.initiator, 0, lengths[i]);
	}
	check_mic(&pair.initiator, &pair.acceptor);
	check_mic(&pair.acceptor, &pair.initiator);
out:
	pair_free(&pair);
}

/* One thread wraps on a context while another unwraps on the same. */
static void *wrap_many(void *argument)
{
	struct side *side = argument;
	size_t failures = 0;

	for (int i = 0; i < 2000; i++) {
		gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER;
		OM_uint32 minor;

		if (gss_wrap(&minor, side->context, 1, 0, &plain, NULL, &token) != GSS_S_COMPLETE)
			failures++;
		(void)gss_release_buffer(&minor, &token);
	}
	return (void *)failures;
}

static void test_two_threads(void)
{
	struct pair pair;
	pthread_t writer;
	void *writer_failures = NULL;
	size_t failures = 0;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	if (pair_run(&pair) != GSS_S_COMPLETE ||
		pthread_create(&writer, NULL, wrap_many, &pair.initiator) != 0) {
		check(false, "exchange for two threads");
		goto out;
	}
	for (int i = 0; i < 2000; i++) {
		gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER,
				back = GSS_C_EMPTY_BUFFER;
		OM_uint32 minor;

		if (gss_wrap(&minor, pair.acceptor.context, 1, 0, &plain, NULL, &token) != 0 ||
			gss_unwrap(&minor, pair.initiator.context, &token, &back, NULL, NULL) != 0)
			failures++;
		(void)gss_release_buffer(&minor, &token);
		(void)gss_release_buffer(&minor, &back);
	}
	(void)pthread_join(writer, &writer_failures);
	check(failures == 0 && writer_failures == NULL, "a reader and a writer thread");
out:
	pair_free(&pair);
}

/* --- wrong tokens --- */

/* Runs until token number at is made, changes it, runs on: not both ends may become open. */
static void check_changed_token(int at, size_t octet, size_t cut, const char *what)
{
	struct pair pair;
	OM_uint32 major = GSS_S_CONTINUE_NEEDED;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	while (pair.tokens < at && (major == GSS_S_CONTINUE_NEEDED || major == GSS_S_COMPLETE))
		major = pair_step(&pair);
	if (pair.tokens < at || pair.token.length <= octet || cut > pair.token.length) {
		check(false, "%s: token %d was made", what, at);
		goto out;
	}
	if (cut > 0)
		pair.token.length -= cut;
	else
		((uint8_t *)pair.token.value)[octet] ^= 0x01;
	major = pair_step(&pair);
	if (!GSS_ERROR(major) || pair.minor == 0) {
		/* A changed T1 or T2 that still parses comes out at the next AUTH. */
		major = at <= 2 ? pair_run(&pair) : major;
		check_quietly(GSS_ERROR(major) && pair.minor != 0, "%s: token %d octet %zu cut %zu",
			what, at, octet, cut);
	}
	check_quietly(!pair_is_open(&pair), "%s: token %d octet %zu: not open", what, at, octet);
out:
	pair_free(&pair);
}

static size_t token_length(int at)
{
	struct pair pair;
	size_t length;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	while (pair.tokens < at && !GSS_ERROR(pair.major))
		(void)pair_step(&pair);
	length = pair.token.length;
	pair_free(&pair);
	return length;
}

static void test_wrong_tokens(void)
{
	for (int at = 1; at <= 4; at++) {
		size_t length = token_length(at);
		unsigned int before = checks_failed();

		for (size_t octet = 0; octet < length; octet++)
			check_changed_token(at, octet, 0, "flip");
		for (size_t cut = 1; cut <= length; cut += 7)
			check_changed_token(at, 0, cut, "cut");
		check(checks_failed() == before, "T%d: every octet changed, cut (%zu octets)", at,
			length);
	}
}

static void test_order_of_tokens(void)
{
	struct pair pair;
	gss_buffer_desc t1, out = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	check(pair_step(&pair) == GSS_S_CONTINUE_NEEDED, "T1 for order");
	t1.length = pair.token.length;
	t1.value = malloc(t1.length);
	memcpy(t1.value, pair.token.value, t1.length);
	check(pair_step(&pair) == GSS_S_CONTINUE_NEEDED, "T2 for order");
	major = gss_accept_sec_context(&minor, &pair.acceptor.context, GSS_C_NO_CREDENTIAL, &t1,
		GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &out, NULL, NULL, NULL);
	check(GSS_ERROR(major) && minor != 0, "T1 twice: refused");
	(void)gss_release_buffer(&minor, &out);
	check(!pair_is_open(&pair), "T1 twice: not open");
	/* T1's own header is no part of the message: send its inner part back. */
	(void)gss_release_buffer(&minor, &pair.token);
	check(gss_decapsulate_token(&t1, &mech_oid, &pair.token) == GSS_S_COMPLETE, "inner T1");
	pair.tokens = 2;
	check(GSS_ERROR(pair_step(&pair)), "T1 reflected: an error that GSS_ERROR() sees");
	free(t1.value);
	pair_free(&pair);
}

/* --- channel bindings --- */

static void check_bindings(const char *a, const char *b, OM_uint32 wanted, bool is_bound)
{
	struct gss_channel_bindings_struct of_a = { 0 }, of_b = { 0 };
	const char *shown_a = a == NULL ? "-" : a, *shown_b = b == NULL ? "-" : b;
	struct pair pair;
	OM_uint32 major;

	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	bindings_set(&of_a, a);
	bindings_set(&of_b, b);
	pair.initiator.bindings = a == NULL ? GSS_C_NO_CHANNEL_BINDINGS : &of_a;
	pair.acceptor.bindings = b == NULL ? GSS_C_NO_CHANNEL_BINDINGS : &of_b;
	major = pair_run(&pair);
	check(major == wanted, "bindings %s/%s: major %x", shown_a, shown_b, major);
	if (wanted != GSS_S_COMPLETE)
		goto out;
	check(((pair.initiator.flags & GSS_C_CHANNEL_BOUND_FLAG) != 0) == is_bound &&
			((pair.acceptor.flags & GSS_C_CHANNEL_BOUND_FLAG) != 0) == is_bound,
		"bindings %s/%s: flag on both sides", shown_a, shown_b);
out:
	pair_free(&pair);
}

static void test_bindings(void)
{
	check_bindings("a", "a", GSS_S_COMPLETE, true);
	check_bindings("a", "b", GSS_S_BAD_BINDINGS, false);
	check_bindings("a", NULL, GSS_S_COMPLETE, false);
	check_bindings(NULL, "a", GSS_S_COMPLETE, false);
	check_bindings(NULL, NULL, GSS_S_COMPLETE, false);
}

/* --- failures with sentences --- */

static void test_errors(void)
{
	struct pair pair;

	pair_init(&pair, &mech_oid, "host@other.example.org", PAIR_FLAGS_ASKED);
	check(GSS_ERROR(pair_run(&pair)), "a host that the acceptor is not");
	check(pair.minor != 0 && error_says(pair.minor, "host"), "its sentence");
	check(pair.error_tokens == 1, "an error token went with it");
	pair_free(&pair);
	pair_init(&pair, &mech_oid, "host@server.example.org", PAIR_FLAGS_ASKED);
	pair.token.length = 3;
	pair.token.value = strdup("abc");
	pair.tokens = 1;
	check(GSS_ERROR(pair_step(&pair)) && pair.acceptor.context == GSS_C_NO_CONTEXT,
		"first accept fails: no handle");
	pair_free(&pair);
	pair_init(&pair, &mech_oid, NULL, PAIR_FLAGS_ASKED);
	check(GSS_ERROR(pair_step(&pair)) && pair.initiator.context == GSS_C_NO_CONTEXT,
		"first init fails: no handle");
	pair_free(&pair);
}

static void test_configured(void)
{
	test_mechanism();
	test_mech_attributes();
	test_names();
	test_name_laws();
	test_credentials();
	test_credential_kin();
	test_shown_as();
	test_unmapped();
	test_partial();
	test_misuse();
	test_exchange();
	test_messages();
	test_two_threads();
	test_size_limits();
	test_pieces();
	test_pseudo_random();
	test_strength();
	test_transfer();
	test_bindings_out();
	test_bindings();
	test_errors();
	test_order_of_tokens();
	test_wrong_tokens();
	test_spnego_first();
}

static void test_anonymous(void)
{
	test_mech_attributes();
	test_nobody();
}

int main(int argc, char **argv)
{
	const char *mode = argc == 2 ? argv[1] : "";

	if (strcmp(mode, "configured") == 0)
		test_configured();
	else if (strcmp(mode, "naming") == 0)
		test_naming();
	else if (strcmp(mode, "anonymous") == 0)
		test_anonymous();
	else if (strcmp(mode, "unconfigured") == 0)
		test_unconfigured();
	else if (strcmp(mode, "allocations") == 0)
		test_allocations();
	else if (strcmp(mode, "growth") == 0)
		test_growth();
	else if (strcmp(mode, "reselect") == 0)
		test_spnego_reselects();
	else if (strcmp(mode, "decoy") == 0)
		test_spnego_unconfigured();
	else
		check(false, "usage: plugin_glue configured | naming | anonymous | unconfigured | "
			     "reselect | decoy | allocations | growth");
	printf("%u failed\n", checks_failed());
	return checks_failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
