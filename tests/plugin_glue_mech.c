/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tests/plugin_glue: every mechanism attribute that RFC 5587 has and a program can try out, tried
 * out: claimed exactly if it works.  Others are listed as claimed or not.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

static gss_OID_set_desc mech_set = { 1, &mech_oid };

#define FLAGS_ASKED                                                                       \
	(GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG | \
		GSS_C_CONF_FLAG | GSS_C_DELEG_FLAG | GSS_C_PROT_READY_FLAG | GSS_C_TRANS_FLAG)

typedef bool probe_function(struct pair *open);

/* --- what each attribute promises --- */

static bool is_concrete(struct pair *open)
{
	gss_OID mech = GSS_C_NO_OID;
	OM_uint32 minor;

	return gss_inquire_context(&minor, open->initiator.context, NULL, NULL, NULL, &mech, NULL,
		       NULL, NULL) == GSS_S_COMPLETE &&
	       gss_oid_equal(mech, &mech_oid);
}

static bool frames_first_token(struct pair *open)
{
	gss_buffer_desc inner = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor;
	bool is_framed;

	(void)open;
	pair_init(&pair, &mech_oid, "host@server.example.org", FLAGS_ASKED);
	(void)pair_step(&pair);
	is_framed = gss_decapsulate_token(&pair.token, &mech_oid, &inner) == GSS_S_COMPLETE;
	(void)gss_release_buffer(&minor, &inner);
	pair_free(&pair);
	return is_framed;
}

static bool authenticates_initiator(struct pair *open)
{
	return name_displays(open->acceptor.peer, "alice@example.org");
}

static bool authenticates_target(struct pair *open)
{
	return (open->initiator.flags & GSS_C_MUTUAL_FLAG) != 0;
}

static bool is_anonymous(gss_name_t name)
{
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	gss_OID type = GSS_C_NO_OID;
	OM_uint32 minor;
	bool is_nobody = name != GSS_C_NO_NAME &&
			 gss_display_name(&minor, name, &shown, &type) == GSS_S_COMPLETE &&
			 buffer_is(&shown, "anonymous") && type == GSS_C_NT_ANONYMOUS;

	(void)gss_release_buffer(&minor, &shown);
	return is_nobody;
}

static gss_cred_id_t anonymous_credential(gss_cred_usage_t usage)
{
	gss_name_t nobody = name_of("anonymous", GSS_C_NT_ANONYMOUS);
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor;

	(void)gss_acquire_cred(&minor, nobody, 0, &mech_set, usage, &credential, NULL, NULL);
	release_name(&nobody);
	return credential;
}

static bool has_anonymous_initiator(struct pair *open)
{
	struct pair pair;
	bool is_ok;

	(void)open;
	pair_init(&pair, &mech_oid, "host@server.example.org",
		FLAGS_ASKED & ~(OM_uint32)GSS_C_MUTUAL_FLAG);
	pair.initiator.credential = anonymous_credential(GSS_C_INITIATE);
	is_ok = pair.initiator.credential != GSS_C_NO_CREDENTIAL &&
		pair_run(&pair) == GSS_S_COMPLETE && is_anonymous(pair.acceptor.peer);
	pair_free(&pair);
	return is_ok;
}

static bool has_anonymous_target(struct pair *open)
{
	gss_name_t target = GSS_C_NO_NAME;
	struct pair pair;
	OM_uint32 minor;
	bool is_ok;

	(void)open;
	pair_init(&pair, &mech_oid, NULL, FLAGS_ASKED & ~(OM_uint32)GSS_C_MUTUAL_FLAG);
	pair.target = name_of("anonymous", GSS_C_NT_ANONYMOUS);
	pair.acceptor.credential = anonymous_credential(GSS_C_ACCEPT);
	is_ok = pair.acceptor.credential != GSS_C_NO_CREDENTIAL &&
		pair_run(&pair) == GSS_S_COMPLETE &&
		(pair.initiator.flags & GSS_C_MUTUAL_FLAG) == 0 &&
		gss_inquire_context(&minor, pair.initiator.context, NULL, &target, NULL, NULL, NULL,
			NULL, NULL) == GSS_S_COMPLETE &&
		is_anonymous(target);
	release_name(&target);
	pair_free(&pair);
	return is_ok;
}

static bool delegates(struct pair *open)
{
	return ((open->initiator.flags | open->acceptor.flags) & GSS_C_DELEG_FLAG) != 0;
}

/* A wrapped message: opened, and then a changed one refused; ret_shows: the text can be read in it. */
static bool wraps(struct pair *open, int seals, bool *ret_shows)
{
	gss_buffer_desc plain = { 16, "readable message" }, token = GSS_C_EMPTY_BUFFER,
			back = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	int was_sealed = -1;
	bool is_ok;

	is_ok = gss_wrap(&minor, open->initiator.context, seals, 0, &plain, &was_sealed, &token) ==
			GSS_S_COMPLETE &&
		was_sealed == seals;
	*ret_shows = memmem(token.value, token.length, plain.value, plain.length) != NULL;
	if (is_ok)
		((uint8_t *)token.value)[token.length - 1] ^= 1;
	is_ok = is_ok && gss_unwrap(&minor, open->acceptor.context, &token, &back, NULL, NULL) ==
				 GSS_S_BAD_SIG;
	if (is_ok)
		((uint8_t *)token.value)[token.length - 1] ^= 1;
	is_ok = is_ok &&
		gss_unwrap(&minor, open->acceptor.context, &token, &back, NULL, NULL) ==
			GSS_S_COMPLETE &&
		buffers_equal(&plain, &back);
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_buffer(&minor, &back);
	return is_ok;
}

static bool protects_integrity(struct pair *open)
{
	bool shows = false;

	return (open->initiator.flags & open->acceptor.flags & GSS_C_INTEG_FLAG) != 0 &&
	       wraps(open, 0, &shows);
}

static bool protects_confidentiality(struct pair *open)
{
	bool shows = true;

	return (open->initiator.flags & open->acceptor.flags & GSS_C_CONF_FLAG) != 0 &&
	       wraps(open, 1, &shows) && !shows;
}

static bool does_wrap(struct pair *open)
{
	bool shows = false;

	return wraps(open, 1, &shows);
}

static OM_uint32 verify(struct pair *open, gss_buffer_t token)
{
	gss_buffer_desc message = { 4, "text" };
	OM_uint32 minor;

	return gss_verify_mic(&minor, open->acceptor.context, &message, token, NULL);
}

static gss_buffer_desc mic(struct pair *open)
{
	gss_buffer_desc message = { 4, "text" }, token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	(void)gss_get_mic(&minor, open->initiator.context, 0, &message, &token);
	return token;
}

static bool does_mic(struct pair *open)
{
	gss_buffer_desc token = mic(open);
	OM_uint32 minor;
	bool is_ok = token.length > 0 && verify(open, &token) == GSS_S_COMPLETE;

	(void)gss_release_buffer(&minor, &token);
	return is_ok;
}

static bool detects_replay(struct pair *open)
{
	gss_buffer_desc token = mic(open);
	OM_uint32 minor;
	bool is_ok = verify(open, &token) == GSS_S_COMPLETE &&
		     verify(open, &token) == GSS_S_DUPLICATE_TOKEN;

	(void)gss_release_buffer(&minor, &token);
	return is_ok;
}

static bool detects_order(struct pair *open)
{
	gss_buffer_desc early = mic(open), late = mic(open);
	OM_uint32 minor;
	bool is_ok =
		verify(open, &late) == GSS_S_GAP_TOKEN && verify(open, &early) == GSS_S_UNSEQ_TOKEN;

	(void)gss_release_buffer(&minor, &early);
	(void)gss_release_buffer(&minor, &late);
	return is_ok;
}

static bool binds_channels(struct pair *open)
{
	struct gss_channel_bindings_struct a = { 0 }, b = { 0 };
	struct pair pair;
	OM_uint32 major;

	(void)open;
	bindings_set(&a, "a");
	bindings_set(&b, "b");
	pair_init(&pair, &mech_oid, "host@server.example.org", FLAGS_ASKED);
	pair.initiator.bindings = &a;
	pair.acceptor.bindings = &b;
	major = pair_run(&pair);
	pair_free(&pair);
	return major == GSS_S_BAD_BINDINGS;
}

/* RFC 5587: PROT_READY is protection before the exchange is over. */
static bool protects_early(struct pair *open)
{
	gss_buffer_desc plain = { 1, "x" }, token = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor;
	bool is_early = false;

	(void)open;
	pair_init(&pair, &mech_oid, "host@server.example.org", FLAGS_ASKED);
	for (int i = 0; i < 3 && !is_early; i++) {
		struct side *side = pair.tokens % 2 == 0 ? &pair.initiator : &pair.acceptor;

		(void)pair_step(&pair);
		is_early = (side->flags & GSS_C_PROT_READY_FLAG) != 0 ||
			   gss_wrap(&minor, side->context, 1, 0, &plain, NULL, &token) ==
				   GSS_S_COMPLETE;
		(void)gss_release_buffer(&minor, &token);
	}
	pair_free(&pair);
	return is_early;
}

/* Ends an end's life here: the last probe of a pair. */
static bool moves_contexts(struct pair *open)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;
	bool is_ok = gss_export_sec_context(&minor, &open->initiator.context, &token) ==
			     GSS_S_COMPLETE &&
		     gss_import_sec_context(&minor, &token, &open->initiator.context) ==
			     GSS_S_COMPLETE &&
		     does_mic(open);

	(void)gss_release_buffer(&minor, &token);
	return is_ok;
}

/* The same keys, the same peers: and no two first tokens have the same key exchange value. */
static bool draws_fresh_keys(struct pair *open)
{
	struct pair pairs[2];
	const uint8_t *values[2] = { NULL, NULL };
	bool is_ok;

	(void)open;
	for (int i = 0; i < 2; i++) {
		/* KE payload of group 31: what stands behind the header of 0x001f0000. */
		static const uint8_t header[] = { 0x00, 0x28, 0x00, 0x1f, 0x00, 0x00 };

		pair_init(&pairs[i], &mech_oid, "host@server.example.org", FLAGS_ASKED);
		(void)pair_step(&pairs[i]);
		values[i] =
			memmem(pairs[i].token.value, pairs[i].token.length, header, sizeof(header));
	}
	is_ok = values[0] != NULL && values[1] != NULL && memcmp(values[0], values[1], 38) != 0;
	pair_free(&pairs[0]);
	pair_free(&pairs[1]);
	return is_ok;
}

/* --- the table --- */

struct attribute_row {
	gss_const_OID *attribute;
	const char *name;
	probe_function *probe; /* NULL: never to be claimed */
};

#define ROW(name, probe)                       \
	{                                      \
		&GSS_C_MA_##name, #name, probe \
	}

static const struct attribute_row rows[] = {
	ROW(MECH_CONCRETE, is_concrete),
	ROW(MECH_PSEUDO, NULL),
	ROW(MECH_COMPOSITE, NULL),
	ROW(MECH_NEGO, NULL),
	ROW(MECH_GLUE, NULL),
	ROW(NOT_MECH, NULL),
	ROW(DEPRECATED, NULL),
	ROW(NOT_DFLT_MECH, NULL),
	ROW(ITOK_FRAMED, frames_first_token),
	ROW(AUTH_INIT, authenticates_initiator),
	ROW(AUTH_TARG, authenticates_target),
	ROW(AUTH_INIT_INIT, NULL),
	ROW(AUTH_TARG_INIT, NULL),
	ROW(AUTH_INIT_ANON, has_anonymous_initiator),
	ROW(AUTH_TARG_ANON, has_anonymous_target),
	ROW(DELEG_CRED, delegates),
	ROW(INTEG_PROT, protects_integrity),
	ROW(CONF_PROT, protects_confidentiality),
	ROW(MIC, does_mic),
	ROW(WRAP, does_wrap),
	ROW(PROT_READY, protects_early),
	ROW(REPLAY_DET, detects_replay),
	ROW(OOS_DET, detects_order),
	ROW(CBINDINGS, binds_channels),
	ROW(PFS, draws_fresh_keys),
	ROW(COMPRESS, NULL),
	ROW(CTX_TRANS, moves_contexts),
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static bool set_has(gss_OID_set set, gss_const_OID member)
{
	gss_OID_desc copy = *member;
	OM_uint32 minor;
	int is_there = 0;

	return gss_test_oid_set_member(&minor, &copy, set, &is_there) == GSS_S_COMPLETE && is_there;
}

static bool is_indicated(gss_OID_set desired, gss_OID_set except, gss_OID_set critical)
{
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	OM_uint32 minor;
	bool is_there = gss_indicate_mechs_by_attrs(&minor, desired, except, critical, &mechs) ==
				GSS_S_COMPLETE &&
			set_has(mechs, &mech_oid);

	(void)gss_release_oid_set(&minor, &mechs);
	return is_there;
}

static void check_row(const struct attribute_row *row, gss_OID_set claimed, struct pair *open)
{
	gss_OID_desc copy = **row->attribute;
	gss_OID_set_desc one = { 1, &copy };
	gss_buffer_desc name = GSS_C_EMPTY_BUFFER, brief = GSS_C_EMPTY_BUFFER,
			text = GSS_C_EMPTY_BUFFER;
	bool is_claimed = set_has(claimed, *row->attribute);
	bool works = row->probe != NULL && row->probe(open);
	char wanted[64];
	OM_uint32 minor;

	check(is_claimed == works, "GSS_C_MA_%s: claimed %d, works %d", row->name, is_claimed,
		works);
	check_quietly(is_indicated(&one, NULL, NULL) == is_claimed &&
			      is_indicated(NULL, &one, NULL) == !is_claimed &&
			      is_indicated(NULL, NULL, &one),
		"GSS_C_MA_%s: indicate_mechs_by_attrs", row->name);
	(void)snprintf(wanted, sizeof(wanted), "GSS_C_MA_%s", row->name);
	check_quietly(gss_display_mech_attr(&minor, *row->attribute, &name, &brief, &text) ==
				      GSS_S_COMPLETE &&
			      buffer_is(&name, wanted) && text.length > 0,
		"GSS_C_MA_%s: display_mech_attr", row->name);
	(void)gss_release_buffer(&minor, &name);
	(void)gss_release_buffer(&minor, &brief);
	(void)gss_release_buffer(&minor, &text);
}

void test_mech_attributes(void)
{
	gss_OID_set claimed = GSS_C_NO_OID_SET, known = GSS_C_NO_OID_SET;
	struct pair open;
	OM_uint32 minor;
	size_t listed = 0;

	pair_init(&open, &mech_oid, "host@server.example.org", FLAGS_ASKED);
	check(pair_run(&open) == GSS_S_COMPLETE, "exchange for mechanism attributes");
	check(gss_inquire_attrs_for_mech(&minor, &mech_oid, &claimed, &known) == GSS_S_COMPLETE,
		"inquire_attrs_for_mech");
	for (size_t i = 0; i < ROWS; i++) {
		listed += set_has(claimed, *rows[i].attribute);
		check_quietly(
			set_has(known, *rows[i].attribute), "GSS_C_MA_%s is known", rows[i].name);
		check_row(&rows[i], claimed, &open);
	}
	check(listed == claimed->count, "no attribute is claimed that is not tried (%zu of %zu)",
		listed, claimed->count);
	(void)gss_release_oid_set(&minor, &claimed);
	(void)gss_release_oid_set(&minor, &known);
	pair_free(&open);
}
