/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows of tests/plugin_errors.c that need a peer, most of them one that lies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plugin_errors.h"

#define TOKEN_BYTES_MAX 80000
#define HOST_TARGET "host@server.example.org"
#define INSTANCES 65

/* --- the liar --- */

bool liar_takes_any_target, liar_changes_flags;

enum err __real_mech_credential_acceptor(const struct mech_credential *credential,
	const struct mech_name *wanted, const char *service,
	const struct mech_identity **ret_identity);
enum err __wrap_mech_credential_acceptor(const struct mech_credential *credential,
	const struct mech_name *wanted, const char *service,
	const struct mech_identity **ret_identity);
void __real_ike_put_context(struct ike_builder *b, const struct ike_context *context);
void __wrap_ike_put_context(struct ike_builder *b, const struct ike_context *context);

enum err __wrap_mech_credential_acceptor(const struct mech_credential *credential,
	const struct mech_name *wanted, const char *service,
	const struct mech_identity **ret_identity)
{
	return __real_mech_credential_acceptor(
		credential, liar_takes_any_target ? NULL : wanted, service, ret_identity);
}

void __wrap_ike_put_context(struct ike_builder *b, const struct ike_context *context)
{
	struct ike_context changed = *context;

	if (liar_changes_flags)
		changed.flags ^= MECH_FLAG_SEQUENCE;
	__real_ike_put_context(b, &changed);
}

void liar_init(struct liar *liar, bool initiates, const char *config, const char *target)
{
	struct mech_store_entry store = { "ipsec_config", errors_path(config) };
	struct bytes text = BYTES((const uint8_t *)target, strlen(target));
	enum err err = mech_credential_acquire(
		NULL, initiates ? MECH_INITIATE : MECH_ACCEPT, &store, 1, &liar->credential);

	if (err == ERR_OK)
		err = mech_name_import(MECH_FORM_HOSTBASED, text, NULL, &liar->target);
	if (err == ERR_OK && initiates)
		err = mech_initiator_new(liar->credential, liar->target,
			MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY, &kbind_ops_broker, &liar->context);
	else if (err == ERR_OK)
		err = mech_acceptor_new(liar->credential, &kbind_ops_broker, &liar->context);
	check_quietly(err == ERR_OK, "the other end begins: %s", error_name((unsigned int)err));
}

void liar_free(struct liar *liar)
{
	mech_context_free(&liar->context);
	mech_credential_release(&liar->credential);
	mech_name_release(&liar->target);
}

enum err liar_step(struct liar *liar, struct writer *token)
{
	enum mech_step_result result = MECH_CONTINUE;
	struct writer next;
	enum err err;

	writer_init(&next, TOKEN_BYTES_MAX);
	err = mech_step(liar->context, writer_view(token), NULL, &next, &result);
	writer_free(token);
	*token = next;
	return err;
}

/* --- a talk between the mechglue's end and the liar --- */

struct talk {
	struct told *told; /* of the last call through the mechglue */
	bool initiates;	   /* the mechglue's end does */
	gss_ctx_id_t context;
	gss_cred_id_t credential;
	gss_name_t target;
	struct liar liar;
	struct writer token; /* the IKE message that is on its way */
};

static void talk_begin(struct talk *talk, struct told *told, bool initiates, const char *config,
	const char *liar_config, const char *target)
{
	*talk = (struct talk){ .told = told, .initiates = initiates };
	talk->credential = errors_credential(config, initiates ? GSS_C_INITIATE : GSS_C_ACCEPT);
	talk->target = name_of(target, GSS_C_NT_HOSTBASED_SERVICE);
	liar_init(&talk->liar, !initiates, liar_config, target);
	writer_init(&talk->token, TOKEN_BYTES_MAX);
}

static void talk_end(struct talk *talk)
{
	OM_uint32 minor;

	(void)gss_delete_sec_context(&minor, &talk->context, GSS_C_NO_BUFFER);
	(void)gss_release_cred(&minor, &talk->credential);
	(void)gss_release_name(&minor, &talk->target);
	liar_free(&talk->liar);
	writer_free(&talk->token);
	liar_takes_any_target = liar_changes_flags = false;
}

static void talk_put(struct talk *talk, const gss_buffer_desc *octets)
{
	writer_free(&talk->token);
	writer_init(&talk->token, TOKEN_BYTES_MAX);
	writer_put_bytes(&talk->token, BYTES(octets->value, octets->length));
}

static uint8_t *octets_of(struct talk *talk)
{
	return writer_at(&talk->token, 0, writer_len(&talk->token));
}

/* The mechglue's end takes the token; its first one has RFC 2743's header, which IKE has not. */
static void ask(struct talk *talk)
{
	struct bytes view = writer_view(&talk->token);
	gss_buffer_desc input = { view.len, (void *)(uintptr_t)view.data },
			framed = GSS_C_EMPTY_BUFFER, output = GSS_C_EMPTY_BUFFER,
			plain = GSS_C_EMPTY_BUFFER;
	bool is_first = talk->context == GSS_C_NO_CONTEXT;
	OM_uint32 minor = 0, major, ignored;

	if (talk->initiates) {
		major = gss_init_sec_context(&minor, talk->credential, &talk->context, talk->target,
			&mech_oid, GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG, 0,
			GSS_C_NO_CHANNEL_BINDINGS, &input, NULL, &output, NULL, NULL);
	} else {
		if (is_first)
			(void)gss_encapsulate_token(&input, &mech_oid, &framed);
		major = gss_accept_sec_context(&minor, &talk->context, talk->credential,
			is_first ? &framed : &input, GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &output,
			NULL, NULL, NULL);
	}
	told_set(talk->told, major, minor);
	if (talk->initiates && is_first &&
		gss_decapsulate_token(&output, &mech_oid, &plain) == GSS_S_COMPLETE)
		talk_put(talk, &plain);
	else
		talk_put(talk, &output);
	(void)gss_release_buffer(&ignored, &framed);
	(void)gss_release_buffer(&ignored, &output);
	(void)gss_release_buffer(&ignored, &plain);
}

/* Calls in turn, the initiator's end first. */
static void talk_steps(struct talk *talk, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if ((i % 2 == 0) == talk->initiates)
			ask(talk);
		else
			(void)liar_step(&talk->liar, &talk->token);
	}
}

/* --- T1 and T2, changed on their way --- */

static const uint8_t masks[] = { 0x01, 0x80, 0xff, 0x02 };

/* Changes one octet after the other until the mechglue's end says row->code. */
static void search(struct told *told, const struct row *row, bool initiates)
{
	struct talk talk;
	size_t at, mask;

	for (at = 0; told->minor != (OM_uint32)row->code; at++) {
		for (mask = 0; mask < sizeof(masks) && told->minor != (OM_uint32)row->code;
			mask++) {
			talk_begin(
				&talk, told, initiates, "errors.conf", "errors.conf", HOST_TARGET);
			talk_steps(&talk, initiates ? 2 : 1);
			if (at < writer_len(&talk.token)) {
				octets_of(&talk)[at] ^= masks[mask];
				ask(&talk);
			}
			talk_end(&talk);
		}
		if (at > 2000)
			break;
	}
}

static void make_t1_change(struct told *told, const struct row *row)
{
	search(told, row, false);
}

static void make_t2_change(struct told *told, const struct row *row)
{
	search(told, row, true);
}

/* The generic header of the first payload of that type (RFC 7296 3.2); 0: none. */
static size_t find_payload(struct talk *talk, uint8_t wanted)
{
	const uint8_t *m = octets_of(talk);
	uint8_t type = m[16];
	size_t at = IKE_HEADER_BYTES;

	while (type != IKE_PAYLOAD_NONE && type != wanted && at + 4 <= writer_len(&talk->token)) {
		type = m[at];
		at += (size_t)m[at + 2] << 8 | m[at + 3];
	}
	return type == wanted ? at : 0;
}

/* octet: the payload of T1 that is changed. */
static void make_t1_payload(struct told *told, const struct row *row)
{
	struct talk talk;
	uint8_t *m;
	size_t at;

	talk_begin(&talk, told, false, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 1);
	m = octets_of(&talk);
	at = find_payload(&talk, row->octet);
	if (row->code == ERR_NONCE) {
		m[at + 4] = 0;
	} else if (row->code == ERR_KEY_EXCHANGE) {
		memset(m + at + 8, 0, 32);
	} else { /* SA, the first one, becomes one that nobody knows, and critical */
		m[16] = 200;
		m[at + 1] |= IKE_CRITICAL_BIT;
	}
	ask(&talk);
	talk_end(&talk);
}

static void make_framing(struct told *told, const struct row *row)
{
	gss_buffer_desc token = { 3, "abc" }, output = GSS_C_EMPTY_BUFFER;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	OM_uint32 minor, major;

	(void)row;
	/* The mechglue itself wants a header to find the mechanism by: ours, with a false length. */
	token = (gss_buffer_desc){ 0, NULL };
	(void)gss_encapsulate_token(&(gss_buffer_desc){ 3, "abc" }, &mech_oid, &token);
	token.length--;
	major = gss_accept_sec_context(&minor, &context, GSS_C_NO_CREDENTIAL, &token,
		GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &output, NULL, NULL, NULL);
	told_set(told, major, minor);
	token.length++;
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_buffer(&minor, &output);
}

static void make_large(struct told *told, const struct row *row)
{
	static uint8_t zeros[70000];
	struct talk talk;

	(void)row;
	talk_begin(&talk, told, true, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 1);
	talk_put(&talk, &(gss_buffer_desc){ sizeof(zeros), zeros });
	ask(&talk);
	talk_end(&talk);
}

static void make_reflected(struct told *told, const struct row *row)
{
	struct talk talk;

	talk_begin(&talk, told, true, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 1);
	ask(&talk);
	if (row->code == ERR_CONTEXT_DEAD)
		ask(&talk);
	talk_end(&talk);
}

/* T2 in the clear that is an error; octet 1: with our own notify beside IKE's. */
static void make_clear_failure(struct told *told, const struct row *row)
{
	struct ike_header header = { .exchange = IKE_EXCHANGE_SA_INIT, .flags = IKE_FLAG_RESPONSE };
	struct ike_builder b;
	struct talk talk;
	uint8_t *data = NULL;
	size_t len = 0;

	talk_begin(&talk, told, true, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 1);
	for (size_t i = 0; i < 8; i++)
		header.spi_i = header.spi_i << 8 | octets_of(&talk)[i];
	ike_builder_begin(&b, &header);
	ike_put_notify(&b, IKE_NOTIFY_NO_PROPOSAL_CHOSEN, BYTES_NONE);
	if (row->octet != 0)
		ike_put_failure(&b, ERR_NO_PROPOSAL);
	check_quietly(ike_builder_finish(&b, &data, &len) == ERR_OK, "an error in the clear");
	talk_put(&talk, &(gss_buffer_desc){ len, data });
	ike_builder_free(&b);
	secret_free(data, len);
	ask(&talk);
	talk_end(&talk);
}

/* --- T3, T4 and T5 --- */

static void make_t3_change(struct told *told, const struct row *row)
{
	struct talk talk;

	(void)row;
	talk_begin(&talk, told, false, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 3);
	octets_of(&talk)[writer_len(&talk.token) - 1] ^= 1;
	ask(&talk);
	talk_end(&talk);
}

/* The acceptor answers T3 with a failure of its own, octet. */
static void make_told(struct told *told, const struct row *row)
{
	struct talk talk;

	talk_begin(&talk, told, true, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 3);
	writer_free(&talk.token);
	writer_init(&talk.token, TOKEN_BYTES_MAX);
	mech_failure_tell(talk.liar.context, (enum err)row->octet, &talk.token);
	ask(&talk);
	talk_end(&talk);
}

static void make_false_signature(struct told *told, const struct row *row)
{
	struct talk talk;

	(void)row;
	talk_begin(&talk, told, true, "errors.conf", "errors.conf", HOST_TARGET);
	talk_steps(&talk, 3);
	talk.liar.context->exchange->ni.data[0] ^= 1; /* what it signs */
	(void)liar_step(&talk.liar, &talk.token);
	ask(&talk);
	talk_end(&talk);
}

/* Initiator, octet 1, or acceptor, with text's configuration, against an honest peer. */
static void make_configured(struct told *told, const struct row *row)
{
	char config[64];
	const char *peer = strchr(row->text, ' ') + 1, *target = strchr(peer, ' ') + 1;
	char peer_config[64];
	struct talk talk;

	(void)snprintf(config, sizeof(config), "%.*s", (int)(peer - row->text - 1), row->text);
	(void)snprintf(peer_config, sizeof(peer_config), "%.*s", (int)(target - peer - 1), peer);
	talk_begin(&talk, told, row->octet != 0, config, peer_config, target);
	liar_takes_any_target = row->code == ERR_PEER_NAME;
	talk_steps(&talk, row->octet != 0 ? 5 : 4);
	talk_end(&talk);
}

/* The acceptor, here or there, is nobody; octet: whether the mechglue's end initiates. */
static void make_end_point(struct told *told, const struct row *row)
{
	static gss_OID_desc end_point = { GSS_IPSEC_OID_ITEM_LENGTH,
		GSS_IPSEC_OID_INQ_CB_END_POINT };
	const bool initiates = row->octet != 0;
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	struct talk talk;
	OM_uint32 minor, major;

	talk_begin(&talk, told, initiates, initiates ? "to_nobody.conf" : "nobody.conf",
		initiates ? "nobody.conf" : "to_nobody.conf", HOST_TARGET);
	talk_steps(&talk, initiates ? 5 : 4);
	check_quietly(told->major == GSS_S_COMPLETE, "an acceptor that is nobody: %s", told->text);
	major = gss_inquire_sec_context_by_oid(&minor, talk.context, &end_point, &set);
	told_set(told, major, minor);
	(void)gss_release_buffer_set(&minor, &set);
	talk_end(&talk);
}

static void make_bindings(struct told *told, const struct row *row)
{
	struct gss_channel_bindings_struct a = { 0 }, b = { 0 };
	struct pair pair;

	(void)row;
	pair_init(&pair, &mech_oid, HOST_TARGET, 0);
	bindings_set(&a, "a");
	bindings_set(&b, "b");
	pair.initiator.bindings = &a;
	pair.acceptor.bindings = &b;
	(void)pair_run(&pair);
	told_set(told, pair.major, pair.minor);
	pair_free(&pair);
}

/* HTTP's initiator speaks last, and repeats in T5 what T4 granted: here something else. */
static void make_other_flags(struct told *told, const struct row *row)
{
	struct talk talk;

	(void)row;
	talk_begin(&talk, told, false, "errors.conf", "errors.conf", "HTTP@server.example.org");
	talk_steps(&talk, 4);
	liar_changes_flags = true;
	(void)liar_step(&talk.liar, &talk.token);
	ask(&talk);
	talk_end(&talk);
}

/* A child that fork made is a copy of the context, and sends as one of its own. */
static size_t message_of_child(gss_ctx_id_t context, uint8_t *out, size_t room)
{
	int ends[2];
	ssize_t len = -1;
	pid_t child;

	if (pipe(ends) != 0)
		return 0;
	child = fork();
	if (child == 0) {
		gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER;
		OM_uint32 minor;

		(void)gss_wrap(&minor, context, 1, GSS_C_QOP_DEFAULT, &plain, NULL, &token);
		_exit(write(ends[1], token.value, token.length) == (ssize_t)token.length ? 0 : 1);
	}
	(void)close(ends[1]);
	if (child > 0)
		len = read(ends[0], out, room);
	(void)close(ends[0]);
	if (child > 0)
		(void)waitpid(child, NULL, 0);
	return len > 0 ? (size_t)len : 0;
}

static void make_instances(struct told *told, const struct row *row)
{
	struct pair pair;

	(void)row;
	pair_init(&pair, &mech_oid, HOST_TARGET, 0);
	(void)pair_run(&pair);
	for (int i = 0; i < INSTANCES; i++) {
		uint8_t octets[256];
		gss_buffer_desc token = { 0, octets }, plain = GSS_C_EMPTY_BUFFER;
		OM_uint32 minor, major;

		token.length = message_of_child(pair.initiator.context, octets, sizeof(octets));
		major = gss_unwrap(&minor, pair.acceptor.context, &token, &plain, NULL, NULL);
		told_set(told, major, minor);
		(void)gss_release_buffer(&minor, &plain);
	}
	pair_free(&pair);
}

/* Any reason why the other side has no latch is heard here as well. */
#define REASON_ROW(name, number, word, text)                                        \
	{ (enum err)(ERR_LATCH + (number)), (number) == 0 ? NULL : make_told, NULL, \
		(number) == 0 ? NULL : "said by the peer", (uint8_t)(ERR_LATCH + (number)), 0 },

const struct row exchange_rows[] = { { ERR_TOO_LARGE, make_large, NULL, NULL, 0, 0 },
	{ ERR_TOKEN_FRAMING, make_framing, NULL, NULL, 0, 0 },
	{ ERR_IKE_HEADER, make_t1_change, NULL, NULL, 0, 0 },
	{ ERR_IKE_PAYLOAD, make_t1_change, NULL, NULL, 0, 0 },
	{ ERR_IKE_CRITICAL, make_t1_payload, NULL, NULL, IKE_PAYLOAD_SA, 0 },
	{ ERR_IKE_INTEGRITY, make_t3_change, NULL, NULL, 0, 0 },
	{ ERR_NOTIFY_FORMAT, make_t1_change, NULL, NULL, 0, 0 },
	{ ERR_NO_PROPOSAL, make_t1_change, NULL, NULL, 0, 0 },
	{ ERR_KEY_EXCHANGE, make_t1_payload, NULL, NULL, IKE_PAYLOAD_KE, 0 },
	{ ERR_NONCE, make_t1_payload, NULL, NULL, IKE_PAYLOAD_NONCE, 0 },
	{ ERR_NOT_OUR_PEER, make_t1_change, NULL, NULL, 0, 0 },
	{ ERR_REFLECTED, make_reflected, NULL, NULL, 0, 0 },
	{ ERR_CONTEXT_DEAD, make_reflected, NULL, NULL, 0, 0 },
	{ ERR_NO_END_POINT, make_end_point, NULL, NULL, 0, 0 },
	{ ERR_NO_END_POINT, make_end_point, NULL, NULL, 1, 0 },
	{ ERR_AUTH_FAILED, make_false_signature, NULL, NULL, 0, 0 },
	{ ERR_AUTH_METHOD, make_t2_change, NULL, NULL, 0, 0 },
	{ ERR_PEER_UNKNOWN, make_configured, "stranger.conf errors.conf " HOST_TARGET,
		"server.example.org", 1, 0 },
	{ ERR_PEER_KEY_CHANGED, make_configured, "changed.conf errors.conf " HOST_TARGET,
		"server.example.org", 1, 0 },
	{ ERR_PEER_NAME, make_configured, "errors.conf errors.conf host@other.example.org",
		"other.example.org", 1, 0 },
	{ ERR_SERVICE_REFUSED, make_configured, "narrow.conf errors.conf " HOST_TARGET, NULL, 0,
		0 },
	{ ERR_BINDINGS, make_bindings, NULL, NULL, 0, 0 },
	{ ERR_NO_MUTUAL, make_configured, "trusting.conf errors.conf host", NULL, 1, 0 },
	{ ERR_SELF_PEER, make_configured, "twins.conf errors.conf " HOST_TARGET, NULL, 0, 0 },
	{ ERR_CONTEXT_MISMATCH, make_other_flags, NULL, NULL, 0, 0 },
	{ ERR_TARGET_HOST, make_configured, "errors.conf errors.conf host@other.example.org", NULL,
		0, 0 },
	{ ERR_PEER_FAILED, make_told, NULL, "the peer says: the acceptor", ERR_TARGET_HOST, 0 },
	{ ERR_PEER_UNPROTECTED, make_clear_failure, NULL, "it claims: the two sides", 1, 0 },
	{ ERR_PEER_AUTH_FAILED, make_told, NULL, "the peer says: the peer's signature",
		ERR_AUTH_FAILED, 0 },
	{ ERR_PEER_NO_PROPOSAL, make_clear_failure, NULL, NULL, 0, 0 },
	{ ERR_MESSAGE_INSTANCES, make_instances, NULL, NULL, 0, 0 },
	IPSEC_LATCH_REASON_TABLE(REASON_ROW) };
const size_t exchange_row_count = sizeof(exchange_rows) / sizeof(exchange_rows[0]);
