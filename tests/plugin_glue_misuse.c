/* SPDX-License-Identifier: BSD-2-Clause */
/* tests/plugin_glue: calls in the wrong order, on the wrong end or of nothing, and what is told of each. */
#include <string.h>

#include "tests/plugin_glue.h"

#define TARGET "host@server.example.org"

static gss_OID_desc descriptor_option = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_OPT_DESCRIPTOR };
static gss_OID_desc latch_inquiry = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH };

/* What the initiator's context is given with the acceptor's call changes nothing of it. */
static void test_wrong_role(void)
{
	gss_name_t source = GSS_C_NO_NAME;
	gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major, flags = 0;
	struct pair pair;

	pair_init(&pair, &mech_oid, TARGET, PAIR_FLAGS_ASKED);
	(void)pair_step(&pair);
	(void)pair_step(&pair);
	major = gss_accept_sec_context(&minor, &pair.initiator.context, GSS_C_NO_CREDENTIAL,
		&pair.token, GSS_C_NO_CHANNEL_BINDINGS, &source, NULL, &output, &flags, NULL, NULL);
	check(GSS_ERROR(major) && output.length == 0 && flags == 0 && source == GSS_C_NO_NAME,
		"an initiator's context does not accept");
	check(pair_run(&pair) == GSS_S_COMPLETE, "and goes on as if it had not been asked");
	(void)gss_release_buffer(&minor, &output);
	release_name(&source);
	pair_free(&pair);
}

static bool latch_is_told(gss_ctx_id_t context)
{
	gss_buffer_set_t answers = GSS_C_NO_BUFFER_SET;
	OM_uint32 minor,
		major = gss_inquire_sec_context_by_oid(&minor, context, &latch_inquiry, &answers);

	(void)gss_release_buffer_set(&minor, &answers);
	return major == GSS_S_COMPLETE;
}

static void test_early_inquiry(void)
{
	struct pair pair;

	pair_init(&pair, &mech_oid, TARGET, PAIR_FLAGS_ASKED);
	(void)pair_step(&pair);
	(void)pair_step(&pair);
	check(!latch_is_told(pair.initiator.context) && !latch_is_told(pair.acceptor.context),
		"nothing is said of a latch before the end");
	(void)pair_run(&pair);
	check(latch_is_told(pair.initiator.context) && latch_is_told(pair.acceptor.context),
		"and all behind it");
	pair_free(&pair);
}

/* A length without octets is no empty message. */
static void test_nothing_there(void)
{
	gss_buffer_desc nothing = { 5, NULL }, empty = GSS_C_EMPTY_BUFFER;
	gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor;

	if (!pair_open(&pair, &mech_oid, TARGET))
		return;
	check(GSS_ERROR(gss_wrap(&minor, pair.initiator.context, 1, 0, &nothing, NULL, &output)) &&
			GSS_ERROR(
				gss_get_mic(&minor, pair.initiator.context, 0, &nothing, &output)),
		"five octets that are nowhere are not wrapped");
	check(gss_get_mic(&minor, pair.initiator.context, 0, &empty, &output) == GSS_S_COMPLETE,
		"an empty message has a MIC");
	check(GSS_ERROR(gss_verify_mic(&minor, pair.acceptor.context, &nothing, &output, NULL)),
		"which is not that of octets that are nowhere");
	(void)gss_release_buffer(&minor, &output);
	pair_free(&pair);
}

/* The particulars of one failure are not told of the next with the same code. */
static void test_stale_particulars(void)
{
	gss_buffer_desc value = { 5, "12345" }, output = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor, other;

	pair_init(&pair, &mech_oid, TARGET, PAIR_FLAGS_ASKED);
	(void)pair_step(&pair);
	(void)gss_set_sec_context_option(
		&minor, &pair.initiator.context, &descriptor_option, &value);
	check(error_says(minor, "a descriptor is 4 octets"), "a wrong option: what is wrong");
	(void)pair_step(&pair);
	check(error_says(minor, "a descriptor is 4 octets"),
		"and still behind a call that is right");
	(void)gss_accept_sec_context(&minor, &pair.initiator.context, GSS_C_NO_CREDENTIAL,
		&pair.token, GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &output, NULL, NULL, NULL);
	check(!error_says(minor, "a descriptor"), "another wrong call: nothing of the first");
	(void)gss_release_buffer(&other, &output);
	pair_free(&pair);
}

void test_misuse(void)
{
	test_wrong_role();
	test_early_inquiry();
	test_nothing_there();
	test_stale_particulars();
}
