/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open contexts through the mechglue: handed to other processes and copies, their pseudo-random
 * function, the strength they name, and authentications that are bound to them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/plugin_glue.h"

#define TARGET "host@server.example.org"
#define CHANNEL "HTTP@server.example.org" /* ends with T5 */
#define INSTANCE_AT 4			  /* where a per-message token says its instance */
#define TOKEN_BYTES_MAX 4096

static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH };
static gss_OID_desc ssf_oid = { 11, "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f" };
static const gss_buffer_desc hello = { 5, "hello" };

/* --- small steps --- */

static gss_buffer_desc wrapped(gss_ctx_id_t context)
{
	gss_buffer_desc plain = hello, token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	check_quietly(gss_wrap(&minor, context, 1, 0, &plain, NULL, &token) == 0, "gss_wrap");
	return token;
}

/* The major status, or GSS_S_FAILURE where the message came out wrong. */
static OM_uint32 unwrapped(gss_ctx_id_t context, gss_buffer_desc *token)
{
	gss_buffer_desc back = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major = gss_unwrap(&minor, context, token, &back, NULL, NULL);

	if (!GSS_ERROR(major) && !buffers_equal(&back, &hello))
		major = GSS_S_FAILURE;
	(void)gss_release_buffer(&minor, &back);
	return major;
}

static bool passes(gss_ctx_id_t from, gss_ctx_id_t to)
{
	gss_buffer_desc token = wrapped(from);
	OM_uint32 minor, major = unwrapped(to, &token);

	(void)gss_release_buffer(&minor, &token);
	return major == GSS_S_COMPLETE;
}

static gss_buffer_desc exported(gss_ctx_id_t *context)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor;

	major = gss_export_sec_context(&minor, context, &token);
	if (major != GSS_S_COMPLETE)
		show_error("export", major, minor);
	check(major == GSS_S_COMPLETE && *context == GSS_C_NO_CONTEXT && token.length != 0 &&
			token.length <= TOKEN_BYTES_MAX,
		"export gives a token of %zu octets and takes the context away", token.length);
	return token;
}

static gss_ctx_id_t imported(gss_buffer_desc *token)
{
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	OM_uint32 major, minor;

	major = gss_import_sec_context(&minor, token, &context);
	if (major != GSS_S_COMPLETE)
		show_error("import", major, minor);
	check_quietly(major == GSS_S_COMPLETE && context != GSS_C_NO_CONTEXT, "import");
	return context;
}

static void deleted(gss_ctx_id_t *context)
{
	gss_buffer_desc token = { 1, "x" };
	OM_uint32 minor;

	check_quietly(gss_delete_sec_context(&minor, context, &token) == GSS_S_COMPLETE &&
			      token.length == 0,
		"delete gives no token");
}

/* --- contexts handed over --- */

struct facts {
	OM_uint32 flags, lifetime;
	int is_local, is_open;
	bool has_names;
	gss_buffer_set_t latch;
	struct gss_ipsec_bindings unique, end_point;
};

static void facts_get(gss_ctx_id_t context, struct facts *facts)
{
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	OM_uint32 minor;

	facts->latch = GSS_C_NO_BUFFER_SET;
	(void)gss_inquire_context(&minor, context, &source, &target, &facts->lifetime, NULL,
		&facts->flags, &facts->is_local, &facts->is_open);
	facts->has_names = name_displays(source, "alice@example.org") &&
			   name_displays(target, "host/server.example.org");
	(void)gss_release_name(&minor, &source);
	(void)gss_release_name(&minor, &target);
	(void)gss_inquire_sec_context_by_oid(&minor, context, &latch_oid, &facts->latch);
	(void)gss_ipsec_get_unique_bindings(&minor, context, &facts->unique);
	(void)gss_ipsec_get_end_point_bindings(&minor, context, &facts->end_point);
}

static void check_same_facts(struct facts *before, struct facts *after, const char *who)
{
	OM_uint32 minor;

	check(before->flags == after->flags &&
			(after->flags & PAIR_FLAGS_OPEN) == PAIR_FLAGS_OPEN &&
			before->lifetime == after->lifetime &&
			before->is_local == after->is_local && after->is_open == 1,
		"%s: flags, lifetime, role", who);
	check(before->has_names && after->has_names, "%s: names", who);
	check(before->latch->count == 3 && after->latch->count == 3 &&
			buffers_equal(&before->latch->elements[1], &after->latch->elements[1]),
		"%s: latch", who);
	check(before->unique.bindings.application_data.length == 49 &&
			buffers_equal(&before->unique.bindings.application_data,
				&after->unique.bindings.application_data) &&
			buffers_equal(&before->end_point.bindings.application_data,
				&after->end_point.bindings.application_data),
		"%s: bindings", who);
	(void)gss_release_buffer_set(&minor, &before->latch);
	(void)gss_release_buffer_set(&minor, &after->latch);
}

static void check_handover(struct side *side, struct side *other, const char *who)
{
	struct facts before, after;
	gss_buffer_desc old = wrapped(other->context), skipped = wrapped(other->context), token;
	OM_uint32 minor;

	facts_get(side->context, &before);
	check(unwrapped(side->context, &old) == GSS_S_COMPLETE, "%s: a message before", who);
	token = exported(&side->context);
	side->context = imported(&token);
	(void)gss_release_buffer(&minor, &token);
	facts_get(side->context, &after);
	check_same_facts(&before, &after, who);
	check(unwrapped(side->context, &old) == GSS_S_DUPLICATE_TOKEN,
		"%s: the message of before is a duplicate", who);
	check(unwrapped(side->context, &skipped) == GSS_S_COMPLETE, "%s: the next one is not", who);
	check(passes(side->context, other->context) && passes(other->context, side->context),
		"%s: messages pass both ways", who);
	(void)gss_release_buffer(&minor, &old);
	(void)gss_release_buffer(&minor, &skipped);
}

static bool same_instance(const gss_buffer_desc *a, const gss_buffer_desc *b)
{
	return memcmp((char *)a->value + INSTANCE_AT, (char *)b->value + INSTANCE_AT, 8) == 0;
}

/* All copies of a context send under instances of their own: before export, each import, after use. */
static void check_copies(struct pair *pair)
{
	gss_buffer_desc tokens[5], token;
	gss_ctx_id_t copies[3];
	OM_uint32 minor;

	tokens[0] = wrapped(pair->initiator.context);
	token = exported(&pair->initiator.context);
	copies[0] = imported(&token);
	tokens[1] = wrapped(copies[0]);
	copies[1] = imported(&token);
	tokens[2] = wrapped(copies[1]);
	tokens[3] = wrapped(copies[0]);
	copies[2] = imported(&token);
	tokens[4] = wrapped(copies[2]);
	check(same_instance(&tokens[1], &tokens[3]), "a copy keeps its instance");
	for (int a = 0; a < 5; a++) {
		for (int b = 0; b < a; b++)
			check_quietly(same_instance(&tokens[a], &tokens[b]) == (b == 1 && a == 3),
				"copies %d and %d share an instance", a, b);
		check(unwrapped(pair->acceptor.context, &tokens[a]) == GSS_S_COMPLETE,
			"message %d of five from copies", a);
		check(unwrapped(pair->acceptor.context, &tokens[a]) == GSS_S_DUPLICATE_TOKEN,
			"message %d of five, again", a);
	}
	for (int a = 0; a < 5; a++)
		(void)gss_release_buffer(&minor, &tokens[a]);
	(void)gss_release_buffer(&minor, &token);
	for (int a = 0; a < 3; a++)
		deleted(&copies[a]);
}

/* The child imports what the parent exported, and so does the parent. */
static void check_other_process(struct pair *pair)
{
	gss_buffer_desc token = exported(&pair->acceptor.context), messages[2];
	char room[2][256];
	int ends[2], status = -1;
	OM_uint32 minor;
	pid_t child;

	if (pipe(ends) != 0 || (child = fork()) < 0) {
		check(false, "a child");
		return;
	}
	if (child == 0) {
		gss_ctx_id_t context = imported(&token);
		gss_buffer_desc message = wrapped(context);

		_exit(passes(pair->initiator.context, context) &&
					write(ends[1], message.value, message.length) ==
						(ssize_t)message.length
				? 0
				: 1);
	}
	pair->acceptor.context = imported(&token);
	messages[0] = (gss_buffer_desc){ 0, room[0] };
	messages[0].length = (size_t)read(ends[0], room[0], sizeof(room[0]));
	messages[1] = wrapped(pair->acceptor.context);
	check(waitpid(child, &status, 0) == child && status == 0, "a child imports and receives");
	check(!same_instance(&messages[0], &messages[1]), "the child's instance is its own");
	check(unwrapped(pair->initiator.context, &messages[0]) == GSS_S_COMPLETE &&
			unwrapped(pair->initiator.context, &messages[1]) == GSS_S_COMPLETE,
		"messages of both processes are good");
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)gss_release_buffer(&minor, &messages[1]);
	(void)gss_release_buffer(&minor, &token);
}

/* Every octet changed, every length: no context comes of it. */
static void check_wrong_tokens(struct pair *pair)
{
	gss_buffer_desc token = exported(&pair->initiator.context), cut = token;
	unsigned int before = checks_failed();
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	OM_uint32 major, minor;

	for (size_t i = 0; i < token.length; i++) {
		((uint8_t *)token.value)[i] ^= 0x10;
		major = gss_import_sec_context(&minor, &token, &context);
		check_quietly(GSS_ERROR(major) && context == GSS_C_NO_CONTEXT, "octet %zu", i);
		((uint8_t *)token.value)[i] ^= 0x10;
		cut.length = i;
		major = gss_import_sec_context(&minor, &cut, &context);
		check_quietly(GSS_ERROR(major) && context == GSS_C_NO_CONTEXT, "length %zu", i);
	}
	check(checks_failed() == before, "every octet changed, every length: refused");
	((uint8_t *)token.value)[token.length - 1] ^= 1;
	major = gss_import_sec_context(&minor, &token, &context);
	check(major == GSS_S_DEFECTIVE_TOKEN && error_says(minor, "exported context"),
		"its sentence");
	((uint8_t *)token.value)[token.length - 1] ^= 1;
	pair->initiator.context = imported(&token);
	(void)gss_release_buffer(&minor, &token);
}

void test_transfer(void)
{
	struct pair pair;

	if (!pair_open(&pair, &mech_oid, TARGET))
		return;
	check_handover(&pair.initiator, &pair.acceptor, "exported initiator");
	check_handover(&pair.acceptor, &pair.initiator, "exported acceptor");
	check_wrong_tokens(&pair);
	check_other_process(&pair);
	check_copies(&pair);
	pair_free(&pair);
	if (!pair_open(&pair, &spnego_oid, TARGET))
		return;
	check_handover(&pair.acceptor, &pair.initiator, "SPNEGO: exported acceptor");
	pair_free(&pair);
}

/* --- GSS_Pseudo_random --- */

static gss_buffer_desc random_of(struct side *side, int key, size_t in, ssize_t out)
{
	gss_buffer_desc input = { in, calloc(in + 1, 1) }, output = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;

	major = gss_pseudo_random(&minor, side->context, key, &input, out, &output);
	check_quietly(major == GSS_S_COMPLETE && output.length == (size_t)out,
		"pseudo_random of %zu octets, %zd wanted: %x", in, out, major);
	free(input.value);
	return output;
}

static void check_random(struct pair *pair, int key, size_t in, ssize_t out)
{
	gss_buffer_desc a = random_of(&pair->initiator, key, in, out);
	gss_buffer_desc b = random_of(&pair->acceptor, key, in, out);
	gss_buffer_desc more = random_of(&pair->acceptor, key, in + 1, out);
	gss_buffer_desc other = random_of(&pair->acceptor, !key, in, out);
	OM_uint32 minor;

	check(buffers_equal(&a, &b), "key %d, %zu octets in, %zd out: both ends agree", key, in,
		out);
	if (out >= 16)
		check(!buffers_equal(&a, &more) && !buffers_equal(&a, &other),
			"... and other input or another key give others");
	(void)gss_release_buffer(&minor, &a);
	(void)gss_release_buffer(&minor, &b);
	(void)gss_release_buffer(&minor, &more);
	(void)gss_release_buffer(&minor, &other);
}

static void check_random_refused(
	struct side *side, int key, size_t in, ssize_t out, OM_uint32 wanted)
{
	gss_buffer_desc input = { in, "input" }, output = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor = 0, major;

	major = gss_pseudo_random(&minor, side->context, key, &input, out, &output);
	check(GSS_ROUTINE_ERROR(major) == wanted && minor != 0 && output.length == 0,
		"key %d, %zu octets in, %zd out: %x", key, in, out, major);
}

void test_pseudo_random(void)
{
	struct pair pair;
	gss_buffer_desc before, after, token;
	OM_uint32 minor;

	if (!pair_open(&pair, &mech_oid, TARGET))
		return;
	for (int key = GSS_C_PRF_KEY_FULL; key <= GSS_C_PRF_KEY_PARTIAL; key++) {
		check_random(&pair, key, 1, 1);
		check_random(&pair, key, 100, 33);
		check_random(&pair, key, 1u << 14, 1 << 14);
		check_random(&pair, key, 7, 1 << 20);
	}
	check_random_refused(&pair.initiator, GSS_C_PRF_KEY_FULL, 0, 32, GSS_S_FAILURE);
	check_random_refused(&pair.initiator, GSS_C_PRF_KEY_FULL, 5, 0, GSS_S_FAILURE);
	check_random_refused(&pair.initiator, GSS_C_PRF_KEY_FULL, 5, (1 << 20) + 1, GSS_S_FAILURE);
	check_random_refused(&pair.initiator, 2, 5, 32, GSS_S_UNAVAILABLE);
	before = random_of(&pair.initiator, GSS_C_PRF_KEY_FULL, 9, 64);
	token = exported(&pair.initiator.context);
	pair.initiator.context = imported(&token);
	after = random_of(&pair.initiator, GSS_C_PRF_KEY_FULL, 9, 64);
	check(buffers_equal(&before, &after), "the same after export and import");
	(void)gss_release_buffer(&minor, &before);
	(void)gss_release_buffer(&minor, &after);
	(void)gss_release_buffer(&minor, &token);
	pair_free(&pair);
}

/* --- what SASL asks, and sizes --- */

void test_strength(void)
{
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor;
	struct pair pair;

	if (!pair_open(&pair, &mech_oid, TARGET))
		return;
	major = gss_inquire_sec_context_by_oid(&minor, pair.acceptor.context, &ssf_oid, &set);
	check(major == GSS_S_COMPLETE && set != NULL && set->count == 1 &&
			set->elements[0].length == 4 &&
			memcmp(set->elements[0].value, "\0\0\1\0", 4) == 0,
		"SASL's strength is 256");
	(void)gss_release_buffer_set(&minor, &set);
	pair_free(&pair);
}

/* The largest message whose token fits, for every size of token. */
void test_size_limits(void)
{
	OM_uint32 minor, limit = 0;
	unsigned int before = checks_failed();
	struct pair pair;

	if (!pair_open(&pair, &mech_oid, TARGET))
		return;
	for (OM_uint32 size = 0; size < 300; size++) {
		char room[300] = { 0 };
		gss_buffer_desc token = GSS_C_EMPTY_BUFFER, plain = { 0, room };
		int seals = size % 2 == 0;

		check_quietly(gss_wrap_size_limit(&minor, pair.initiator.context, seals, 0, size,
				      &limit) == GSS_S_COMPLETE,
			"wrap_size_limit of %u", size);
		plain.length = limit;
		(void)gss_wrap(&minor, pair.initiator.context, seals, 0, &plain, NULL, &token);
		check_quietly(limit == 0 ? size <= token.length : size == token.length,
			"wrap_size_limit of %u is %u, whose token has %zu", size, limit,
			token.length);
		(void)gss_release_buffer(&minor, &token);
	}
	check(checks_failed() == before, "wrap_size_limit for 300 sizes");
	pair_free(&pair);
}

/* --- an authentication inside another one's channel --- */

typedef OM_uint32 (*bindings_get)(
	OM_uint32 *minor, gss_ctx_id_t context, struct gss_ipsec_bindings *ret);

/* Runs an inner exchange over the channel whose ends are a and b; its major status. */
static OM_uint32 run_inside(struct side *a, struct side *b, bindings_get get)
{
	struct gss_ipsec_bindings of_a, of_b;
	OM_uint32 major, minor, bound = GSS_C_CHANNEL_BOUND_FLAG;
	struct pair inner;

	check_quietly(get(&minor, a->context, &of_a) == 0 && get(&minor, b->context, &of_b) == 0,
		"bindings");
	pair_init(&inner, &mech_oid, TARGET, PAIR_FLAGS_ASKED);
	inner.initiator.bindings = &of_a.bindings;
	inner.acceptor.bindings = &of_b.bindings;
	major = pair_run(&inner);
	check_quietly(major != GSS_S_COMPLETE || ((inner.initiator.flags & bound) != 0 &&
							 (inner.acceptor.flags & bound) != 0),
		"an inner exchange that completes is bound");
	pair_free(&inner);
	return major;
}

static void check_no_bindings(gss_ctx_id_t context, OM_uint32 wanted, const char *what)
{
	struct gss_ipsec_bindings bindings;
	OM_uint32 major, minor;

	major = gss_ipsec_get_unique_bindings(&minor, context, &bindings);
	check(GSS_ROUTINE_ERROR(major) == wanted && bindings.bindings.application_data.length == 0,
		"%s: no unique bindings (%x)", what, major);
	major = gss_ipsec_get_end_point_bindings(&minor, context, &bindings);
	check(GSS_ROUTINE_ERROR(major) == wanted && bindings.bindings.application_data.length == 0,
		"%s: no end-point bindings (%x)", what, major);
}

/* Two channels to one server: one who sits between them has both, and passes the inner one on. */
void test_bindings_out(void)
{
	struct pair outer, second;

	pair_init(&outer, &mech_oid, TARGET, PAIR_FLAGS_ASKED);
	check_no_bindings(GSS_C_NO_CONTEXT, GSS_S_NO_CONTEXT, "no context");
	(void)pair_step(&outer);
	check_no_bindings(outer.initiator.context, GSS_S_NO_CONTEXT, "a partial initiator");
	(void)pair_step(&outer);
	check_no_bindings(outer.acceptor.context, GSS_S_NO_CONTEXT, "a partial acceptor");
	(void)pair_run(&outer);
	if (!pair_is_open(&outer) || !pair_open(&second, &mech_oid, CHANNEL)) {
		check(false, "outer exchanges");
		pair_free(&outer);
		return;
	}
	check(run_inside(&outer.initiator, &outer.acceptor, gss_ipsec_get_unique_bindings) == 0,
		"bound to unique");
	check(run_inside(&outer.acceptor, &outer.initiator, gss_ipsec_get_end_point_bindings) == 0,
		"bound to end-point, the other way round");
	check(run_inside(&second.initiator, &second.acceptor, gss_ipsec_get_unique_bindings) == 0,
		"bound to unique, with T5");
	check(run_inside(&outer.initiator, &second.acceptor, gss_ipsec_get_unique_bindings) ==
			GSS_S_BAD_BINDINGS,
		"unique of two channels: BAD_BINDINGS");
	check(run_inside(&outer.initiator, &second.acceptor, gss_ipsec_get_end_point_bindings) == 0,
		"end-point of two channels to one key is the same");
	pair_free(&outer);
	pair_free(&second);
	if (!pair_open(&outer, &spnego_oid, TARGET))
		return;
	check(run_inside(&outer.initiator, &outer.acceptor, gss_ipsec_get_unique_bindings) == 0,
		"bound to unique, SPNEGO outside");
	pair_free(&outer);
}
