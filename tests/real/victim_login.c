/* SPDX-License-Identifier: BSD-2-Clause */
/* The victim's exchange: tokens behind a length, or between header lines as HTTP has them. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gssapi/gssapi_ext.h>

#include <openssl/evp.h>

#include "base/error.h"
#include "include/gssapi_ipsec.h"
#include "victim.h"

#define TOKEN_BYTES_MAX 65536
#define HEADER_LINE_MAX 90000
#define PAD_LINE_BYTES 512
#define FIRST_PADDED_STEP 3
#define BODY_STEP 3

static char mech_octets[] = GSS_IPSEC_OID_MECH, latch_octets[] = GSS_IPSEC_OID_INQ_LATCH;
static gss_OID_desc mech_oid = { GSS_IPSEC_OID_MECH_LENGTH, mech_octets };
static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, latch_octets };

/* clang-format off */
static const struct {
	OM_uint32 code;
	const char *word;
} majors[] = {
	{ GSS_S_COMPLETE, "COMPLETE" },
	{ GSS_S_CONTINUE_NEEDED, "CONTINUE_NEEDED" },
	{ GSS_S_BAD_MECH, "BAD_MECH" },
#define X(name, number, major, tell, text) { GSS_S_##major, #major },
	ERROR_TABLE(X)
#undef X
};

static const struct {
	unsigned int number;
	const char *word;
} minors[] = {
#define X(name, number, major, tell, text) { number, #name },
	ERROR_TABLE(X)
#undef X
#define X(name, number, word, text) { ERR_LATCH + (number), word },
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
};
/* clang-format on */

/* What is no error by itself comes with GSS_S_FAILURE; the word is its own. */
static const char *major_word(OM_uint32 major)
{
	const OM_uint32 more = GSS_SUPPLEMENTARY_INFO(major);
	const OM_uint32 code =
		GSS_ROUTINE_ERROR(major) == GSS_S_FAILURE && more != 0 ? more : major;

	for (size_t i = 0; i < sizeof(majors) / sizeof(majors[0]); i++)
		if (majors[i].code == code)
			return majors[i].word;
	return "UNKNOWN";
}

/* A latch reason's word stands behind the general one of the same number. */
static const char *minor_word(OM_uint32 minor)
{
	const char *word = "unknown";

	for (size_t i = 0; i < sizeof(minors) / sizeof(minors[0]); i++)
		if (minors[i].number == minor)
			word = minors[i].word;
	return word;
}

/* --- tokens as messages --- */

/* From T3 on the message is made longer by header lines in front of the token. */
static size_t padding_put(char *at, size_t bytes)
{
	size_t len = 0;

	while (bytes >= PAD_LINE_BYTES) {
		memset(at + len, 'x', PAD_LINE_BYTES);
		memcpy(at + len, "X-Pad: ", 7);
		memcpy(at + len + PAD_LINE_BYTES - 2, "\r\n", 2);
		len += PAD_LINE_BYTES;
		bytes -= PAD_LINE_BYTES;
	}
	return len;
}

static size_t lines_put(char *at, const struct victim_order *order, unsigned int step,
	const gss_buffer_desc *token, size_t body_len)
{
	const bool is_request = step % 2 == 1;
	size_t len;

	len = (size_t)sprintf(at,
		"%s\r\nHost: host-b.example\r\nUser-Agent: victim/1.0 (as ever)\r\n",
		is_request ? "GET /public HTTP/1.1" : "HTTP/1.1 401 again");
	if (step >= FIRST_PADDED_STEP)
		len += padding_put(at + len, order->pad_bytes);
	len += (size_t)sprintf(at + len, "Content-Length: %zu\r\n%s: Negotiate ", body_len,
		is_request ? "Authorization" : "WWW-Authenticate");
	len += (size_t)EVP_EncodeBlock((unsigned char *)at + len, token->value, (int)token->length);
	return len + (size_t)sprintf(at + len, "\r\n\r\n");
}

static size_t frame_put(
	char *at, const struct victim_order *order, unsigned int step, const gss_buffer_desc *token)
{
	const size_t pad = step >= FIRST_PADDED_STEP ? order->pad_bytes : 0;
	const uint32_t lengths[2] = { htonl((uint32_t)pad), htonl((uint32_t)token->length) };

	memcpy(at, lengths, sizeof(lengths));
	memset(at + sizeof(lengths), 'x', pad);
	memcpy(at + sizeof(lengths) + pad, token->value, token->length);
	return sizeof(lengths) + pad + token->length;
}

bool victim_token_write(struct victim_stream *stream, unsigned int step,
	const gss_buffer_desc *token, const void *body, size_t body_len, bool is_failure)
{
	const struct victim_order *order = stream->order;
	char *whole = malloc(token->length * 2 + order->pad_bytes + body_len + 1024);
	bool is_sent;
	size_t len;

	if (whole == NULL)
		return false;
	len = order->has_lines ? lines_put(whole, order, step, token, body_len)
			       : frame_put(whole, order, step, token);
	if (body_len != 0)
		memcpy(whole + len, body, body_len);
	if (is_failure)
		victim_hex_print("notice", whole, len + body_len);
	is_sent = victim_write(stream, whole, len + body_len);
	free(whole);
	return is_sent;
}

static bool line_read(struct victim_stream *stream, char *line, size_t size, size_t *ret_len)
{
	size_t len = 0;

	do {
		if (len == size - 1 || !victim_read(stream, line + len, 1))
			return false;
	} while (line[len++] != '\n');
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	line[len] = '\0';
	*ret_len = len;
	return true;
}

/* The token in "Header: Negotiate BASE64", if this is that line. */
static bool line_token(const char *line, void *token, size_t size, size_t *ret_len)
{
	const char *text = strstr(line, ": Negotiate ");
	size_t len;
	int decoded;

	if (text == NULL)
		return false;
	text += strlen(": Negotiate ");
	len = strlen(text);
	if (len / 4 * 3 > size)
		return false;
	decoded = EVP_DecodeBlock(token, (const unsigned char *)text, (int)len);
	if (decoded < 0)
		return false;
	while (len > 0 && text[len - 1] == '=') {
		len--;
		decoded--;
	}
	*ret_len = (size_t)decoded;
	return true;
}

static bool lines_token_read(
	struct victim_stream *stream, void *token, size_t size, size_t *ret_len)
{
	char *line = malloc(HEADER_LINE_MAX);
	bool is_read, has_token = false, is_first = true;
	size_t len = 0;

	if (line == NULL)
		return false;
	while ((is_read = line_read(stream, line, HEADER_LINE_MAX, &len)) && len > 0) {
		if (is_first)
			printf("request %s\n", line);
		is_first = false;
		has_token |= line_token(line, token, size, ret_len);
	}
	free(line);
	return is_read && has_token;
}

bool victim_token_read(struct victim_stream *stream, void *token, size_t size, size_t *ret_len)
{
	uint32_t lengths[2];
	char octet;

	if (stream->order->has_lines)
		return lines_token_read(stream, token, size, ret_len);
	if (!victim_read(stream, lengths, sizeof(lengths)))
		return false;
	if (ntohl(lengths[1]) > size)
		return false;
	for (uint32_t i = ntohl(lengths[0]); i > 0; i--)
		if (!victim_read(stream, &octet, 1))
			return false;
	if (!victim_read(stream, token, ntohl(lengths[1])))
		return false;
	*ret_len = ntohl(lengths[1]);
	return true;
}

/* --- the exchange --- */

static bool target_import(const struct victim_order *order, const char *host, gss_name_t *ret_name)
{
	char text[512];
	gss_buffer_desc name = { .value = text };
	OM_uint32 minor;

	name.length = (size_t)snprintf(text, sizeof(text), "%s@%s", order->service, host);
	return gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, ret_name) ==
	       GSS_S_COMPLETE;
}

static void latch_print(gss_ctx_id_t context)
{
	gss_buffer_set_t answer = GSS_C_NO_BUFFER_SET;
	OM_uint32 minor;

	if (gss_inquire_sec_context_by_oid(&minor, context, &latch_oid, &answer) !=
			GSS_S_COMPLETE ||
		answer->count != 3)
		printf("result COMPLETE no-answer\n");
	else
		printf("result COMPLETE %.*s\n", (int)answer->elements[1].length,
			(const char *)answer->elements[1].value);
	(void)gss_release_buffer_set(&minor, &answer);
}

static void name_print(gss_ctx_id_t context, bool is_server)
{
	gss_name_t initiator = GSS_C_NO_NAME, acceptor = GSS_C_NO_NAME;
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, flags = 0;

	if (gss_inquire_context(&minor, context, &initiator, &acceptor, NULL, NULL, &flags, NULL,
		    NULL) == GSS_S_COMPLETE &&
		gss_display_name(&minor, is_server ? initiator : acceptor, &text, NULL) ==
			GSS_S_COMPLETE)
		printf("peer %.*s flags %x\n", (int)text.length, (const char *)text.value, flags);
	(void)gss_release_buffer(&minor, &text);
	(void)gss_release_name(&minor, &initiator);
	(void)gss_release_name(&minor, &acceptor);
}

static void failure_print(OM_uint32 major, OM_uint32 minor)
{
	OM_uint32 ignored, more = 0;
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;

	printf("result %s %s\n", major_word(major), minor_word(minor));
	if (gss_display_status(&ignored, minor, GSS_C_MECH_CODE, &mech_oid, &more, &text) ==
		GSS_S_COMPLETE)
		printf("text %.*s\n", (int)text.length, (const char *)text.value);
	(void)gss_release_buffer(&ignored, &text);
}

/* T3's body: the client sends it, the server reads it when its call on T3 has returned. */
static bool body_read(struct victim_stream *stream)
{
	const size_t len = stream->order->body_bytes;
	char *body = malloc(len + 1);
	bool is_read;

	if (body == NULL)
		return false;
	is_read = victim_read(stream, body, len);
	if (is_read)
		victim_hex_print("body", body, len);
	free(body);
	return is_read;
}

static bool step_send(struct victim_stream *stream, unsigned int step, const gss_buffer_desc *token,
	bool is_failure)
{
	const size_t len = step == BODY_STEP && !is_failure ? stream->order->body_bytes : 0;
	char *body = malloc(len + 1);
	bool is_sent;

	if (body == NULL)
		return false;
	memset(body, 'b', len);
	is_sent = token->length == 0 ||
		  victim_token_write(stream, step, token, body, len, is_failure);
	free(body);
	return is_sent;
}

/* As any name that there is a key for, or as the one of the order. */
static OM_uint32 step_accept(const struct victim_order *order, OM_uint32 *minor,
	gss_ctx_id_t *context, gss_buffer_t input, gss_buffer_t output)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_name_t name = GSS_C_NO_NAME;
	gss_OID_set_desc mechs = { 1, &mech_oid };
	OM_uint32 major = GSS_S_COMPLETE, ignored;

	if (order->acceptor[0] != '\0' && target_import(order, order->acceptor, &name))
		major = gss_acquire_cred(minor, name, GSS_C_INDEFINITE, &mechs, GSS_C_ACCEPT,
			&credential, NULL, NULL);
	if (major == GSS_S_COMPLETE)
		major = gss_accept_sec_context(minor, context, credential, input,
			GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, output, NULL, NULL, NULL);
	(void)gss_release_cred(&ignored, &credential);
	(void)gss_release_name(&ignored, &name);
	return major;
}

static OM_uint32 step_call(struct victim_stream *stream, gss_ctx_id_t *context, gss_name_t target,
	gss_buffer_t input, gss_buffer_t output)
{
	OM_uint32 major, minor;

	if (target == GSS_C_NO_NAME)
		major = step_accept(stream->order, &minor, context, input, output);
	else
		major = gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, context, target,
			&mech_oid, GSS_C_MUTUAL_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS, input, NULL,
			output, NULL, NULL);
	printf("call %s at %llu\n", major_word(major),
		(unsigned long long)(victim_clock_ms() - stream->begun_ms));
	if (GSS_ERROR(major))
		failure_print(major, minor);
	/* Until the attacker has done what he does behind this call. */
	if (++stream->calls == stream->order->halt_call)
		(void)raise(SIGSTOP);
	return major;
}

static bool login_exchange(struct victim_stream *stream, gss_name_t target, gss_ctx_id_t *context)
{
	OM_uint32 major = GSS_S_CONTINUE_NEEDED, ignored;
	bool takes_token = target == GSS_C_NO_NAME, is_sent;
	unsigned int step = takes_token ? 2 : 1;
	unsigned char *token = malloc(TOKEN_BYTES_MAX);
	gss_buffer_desc input = { .value = token }, output = GSS_C_EMPTY_BUFFER;

	if (token == NULL)
		return false;
	for (; major == GSS_S_CONTINUE_NEEDED; step += 2) {
		if (takes_token &&
			!victim_token_read(stream, token, TOKEN_BYTES_MAX, &input.length)) {
			printf("result none no-token\n");
			major = GSS_S_FAILURE;
			break;
		}
		takes_token = true;
		major = step_call(stream, context, target, &input, &output);
		is_sent = step_send(stream, step, &output, GSS_ERROR(major));
		(void)gss_release_buffer(&ignored, &output);
		/* The body is read when the token before it has been worked off. */
		if (!is_sent || (!GSS_ERROR(major) && target == GSS_C_NO_NAME &&
					step - 1 == BODY_STEP && !body_read(stream))) {
			printf("result none connection\n");
			major = GSS_S_FAILURE;
		}
	}
	free(token);
	return major == GSS_S_COMPLETE;
}

bool victim_login(struct victim_stream *stream, bool is_server, const char *host)
{
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t target = GSS_C_NO_NAME;
	OM_uint32 minor;
	bool is_done;

	if (!is_server && !target_import(stream->order, host, &target))
		return false;
	is_done = login_exchange(stream, target, &context);
	if (is_done) {
		latch_print(context);
		name_print(context, is_server);
	}
	/* A latch outlives its context. */
	(void)gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	(void)gss_release_name(&minor, &target);
	return is_done;
}
