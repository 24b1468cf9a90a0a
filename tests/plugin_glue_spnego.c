/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/plugin_glue: SPNEGO (RFC 4178) over the mechanism, with the list of mechanisms checked (the
 * acceptor chose another than the initiator's first) and without, initiator or acceptor speaking
 * last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_desc decoy_oid = { 9, "\x2b\x06\x01\x04\x01\x82\x37\x7f\x01" };
static gss_OID_set_desc spnego_set = { 1, &spnego_oid };

#define FLAGS_ASKED (GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG)
#define TAG_APPLICATION_0 0x60
#define TAG_OID 0x06
#define TAG_SEQUENCE 0x30
#define TAG_MECH_LIST_MIC 0xa3

/* --- just enough DER --- */

struct view {
	const uint8_t *data;
	size_t length;
};

/* Takes one element off the view; false at its end, or for what is no DER of up to 64 kB. */
static bool take(struct view *view, uint8_t *ret_tag, struct view *ret_content)
{
	size_t length, octets = 0;

	if (view->length < 2)
		return false;
	*ret_tag = view->data[0];
	length = view->data[1];
	if (length > 0x80 && length <= 0x82) {
		octets = length - 0x80;
		if (view->length < 2 + octets)
			return false;
		length = view->data[2];
		if (octets == 2)
			length = length << 8 | view->data[3];
	}
	if (length > view->length - 2 - octets)
		return false;
	*ret_content = (struct view){ view->data + 2 + octets, length };
	view->data += 2 + octets + length;
	view->length -= 2 + octets + length;
	return true;
}

/* Whether a token of SPNEGO holds a mechListMIC. */
static bool has_mic(const gss_buffer_desc *token)
{
	struct view view = { token->value, token->length }, inner;
	bool is_found = false;
	uint8_t tag = 0;

	if (!take(&view, &tag, &inner))
		return false;
	if (tag == TAG_APPLICATION_0) {
		view = inner;
		if (!take(&view, &tag, &inner) || tag != TAG_OID || !take(&view, &tag, &inner))
			return false;
	}
	view = inner;
	if (!take(&view, &tag, &inner) || tag != TAG_SEQUENCE)
		return false;
	view = inner;
	while (take(&view, &tag, &inner))
		is_found = is_found || tag == TAG_MECH_LIST_MIC;
	return is_found;
}

static bool lists(const gss_buffer_desc *token, gss_OID mech)
{
	return token->value != NULL &&
	       memmem(token->value, token->length, mech->elements, mech->length) != NULL;
}

/* --- exchanges --- */

static gss_cred_id_t credential_for(gss_cred_usage_t usage, gss_OID_set mechs)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor;

	check(gss_acquire_cred(&minor, GSS_C_NO_NAME, 0, &spnego_set, usage, &credential, NULL,
		      NULL) == GSS_S_COMPLETE &&
			gss_set_neg_mechs(&minor, credential, mechs) == GSS_S_COMPLETE,
		"a credential of SPNEGO with mechanisms of one's choice");
	return credential;
}

struct spnego_run {
	const char *target;
	gss_OID_set initiator_mechs, acceptor_mechs; /* NULL: default credentials */
	bool (*change)(struct pair *pair);	     /* the token just made; whether it did */
	int mics;				     /* tokens that held a mechListMIC */
};

static OM_uint32 run(struct spnego_run *spnego, struct pair *pair)
{
	OM_uint32 major = GSS_S_CONTINUE_NEEDED;
	bool is_changed = false;

	pair_init(pair, &spnego_oid, spnego->target, FLAGS_ASKED);
	if (spnego->initiator_mechs != NULL)
		pair->initiator.credential =
			credential_for(GSS_C_INITIATE, spnego->initiator_mechs);
	if (spnego->acceptor_mechs != NULL)
		pair->acceptor.credential = credential_for(GSS_C_ACCEPT, spnego->acceptor_mechs);
	for (int i = 0; i < 20 && !pair_is_open(pair) && !GSS_ERROR(major); i++) {
		int tokens = pair->tokens;

		major = pair_step(pair);
		if (pair->tokens == tokens)
			break;
		spnego->mics += has_mic(&pair->token);
		if (spnego->change != NULL && !is_changed)
			is_changed = spnego->change(pair);
	}
	return pair_is_open(pair) ? (OM_uint32)GSS_S_COMPLETE : major;
}

static void check_open_pair(struct pair *pair)
{
	gss_buffer_desc message = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER,
			back = GSS_C_EMPTY_BUFFER;
	gss_OID mech = GSS_C_NO_OID;
	OM_uint32 minor, flags = 0;

	check(gss_inquire_context(&minor, pair->initiator.context, NULL, NULL, NULL, &mech, &flags,
		      NULL, NULL) == GSS_S_COMPLETE &&
			gss_oid_equal(mech, &mech_oid) && (flags & FLAGS_ASKED) == FLAGS_ASKED,
		"SPNEGO chose ours, with all flags");
	check(name_displays(pair->acceptor.peer, "alice@example.org"), "SPNEGO: the source name");
	/* SPNEGO's own MICs have numbers too: none may be missing. */
	check(gss_wrap(&minor, pair->initiator.context, 1, 0, &message, NULL, &token) ==
				GSS_S_COMPLETE &&
			gss_unwrap(&minor, pair->acceptor.context, &token, &back, NULL, NULL) ==
				GSS_S_COMPLETE,
		"SPNEGO: the first message is in sequence");
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_buffer(&minor, &back);
	check(gss_get_mic(&minor, pair->acceptor.context, 0, &message, &token) == GSS_S_COMPLETE &&
			gss_verify_mic(&minor, pair->initiator.context, &message, &token, NULL) ==
				GSS_S_COMPLETE,
		"SPNEGO: and so is the answer");
	(void)gss_release_buffer(&minor, &token);
}

/* --- the mechanism is the first one: no MIC --- */

static void check_first_choice(const char *target)
{
	struct spnego_run spnego = { .target = target };
	struct pair pair;

	check(run(&spnego, &pair) == GSS_S_COMPLETE && spnego.mics == 0,
		"SPNEGO, %s: the first choice, no MIC over the list", target);
	if (pair_is_open(&pair))
		check_open_pair(&pair);
	else
		show_error("SPNEGO", pair.major, pair.minor);
	pair_free(&pair);
}

/* An acceptor that does not take the mechanism chooses nothing of ours. */
static void test_refused(void)
{
	gss_OID_set_desc decoy = { 1, &decoy_oid };
	struct spnego_run spnego = { .target = "host@server.example.org",
		.initiator_mechs = &(gss_OID_set_desc){ 1, &mech_oid } };
	struct pair pair;

	pair_init(&pair, &spnego_oid, spnego.target, FLAGS_ASKED);
	pair.initiator.credential = credential_for(GSS_C_INITIATE, spnego.initiator_mechs);
	pair.acceptor.credential = credential_for(GSS_C_ACCEPT, &decoy);
	check(pair_step(&pair) == GSS_S_CONTINUE_NEEDED && lists(&pair.token, &mech_oid),
		"SPNEGO offers the mechanism");
	check(GSS_ERROR(pair_step(&pair)) && !pair_is_open(&pair),
		"SPNEGO: an acceptor that takes others only refuses it");
	pair_free(&pair);
}

void test_spnego_first(void)
{
	check_first_choice("host@server.example.org");
	check_first_choice("HTTP@server.example.org");
}

/* --- reselection: the list is checked --- */

/* The decoy, first in the initiator's list, becomes a mechanism that nobody knows. */
static bool change_list(struct pair *pair)
{
	uint8_t *found =
		memmem(pair->token.value, pair->token.length, decoy_oid.elements, decoy_oid.length);

	if (found == NULL)
		return false;
	found[decoy_oid.length - 1] ^= 2;
	return true;
}

/* One bit of the first mechListMIC that is sent. */
static bool change_mic(struct pair *pair)
{
	if (!has_mic(&pair->token))
		return false;
	((uint8_t *)pair->token.value)[pair->token.length - 1] ^= 1;
	return true;
}

static void check_reselected(const char *target, bool (*change)(struct pair *), const char *what)
{
	gss_OID_desc both[] = { decoy_oid, mech_oid };
	gss_OID_set_desc decoy_first = { 2, both }, ours = { 1, &mech_oid };
	struct spnego_run spnego = { target, &decoy_first, &ours, change, 0 };
	struct pair pair;
	OM_uint32 major = run(&spnego, &pair);

	if (change == NULL) {
		check(major == GSS_S_COMPLETE && spnego.mics == 2,
			"SPNEGO, %s: reselected, a MIC over the list each way (%d)", target,
			spnego.mics);
		if (pair_is_open(&pair))
			check_open_pair(&pair);
		else
			show_error("SPNEGO", pair.major, pair.minor);
	} else {
		check(GSS_ERROR(major) && !pair_is_open(&pair), "SPNEGO, %s: %s is noticed (%x)",
			target, what, major);
	}
	pair_free(&pair);
}

void test_spnego_reselects(void)
{
	static const char *const targets[] = { "host@server.example.org",
		"HTTP@server.example.org" };

	for (size_t i = 0; i < 2; i++) {
		check_reselected(targets[i], NULL, "");
		check_reselected(targets[i], change_list, "a changed list");
		check_reselected(targets[i], change_mic, "a changed MIC");
	}
	test_refused();
}

/* --- installed, nothing configured --- */

void test_spnego_unconfigured(void)
{
	struct pair pair;
	OM_uint32 major;

	pair_init(&pair, &spnego_oid, "host@server.example.org", FLAGS_ASKED);
	major = pair_step(&pair);
	check(major == GSS_S_CONTINUE_NEEDED && lists(&pair.token, &decoy_oid) &&
			!lists(&pair.token, &mech_oid),
		"SPNEGO does not offer a mechanism without an identity");
	pair_free(&pair);
}
