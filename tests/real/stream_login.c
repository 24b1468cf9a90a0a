/* SPDX-License-Identifier: BSD-2-Clause */
/* The stream program's login: a context of this mechanism through the mechglue, in either role. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <gssapi/gssapi_ext.h>
#include <gssapi_ipsec.h>

#include "stream.h"

#define TOKEN_BYTES_MAX (1u << 20)
/* Minor statuses of latch reasons (doc/protocol.md, section 9). */
#define MINOR_OF_REASONS 200

static char mech_octets[] = GSS_IPSEC_OID_MECH, descriptor_octets[] = GSS_IPSEC_OID_OPT_DESCRIPTOR,
	    latch_octets[] = GSS_IPSEC_OID_INQ_LATCH;
static gss_OID_desc mech_oid = { GSS_IPSEC_OID_MECH_LENGTH, mech_octets };
static gss_OID_desc descriptor_oid = { GSS_IPSEC_OID_ITEM_LENGTH, descriptor_octets };
static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, latch_octets };

/* clang-format off */
static const char *const reason_words[] = {
#define X(name, number, word, text) [number] = word,
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
};
/* clang-format on */

struct login {
	int fd;
	const struct stream_options *options;
	gss_cred_id_t credential;
	gss_name_t target;
	unsigned int step; /* number of the token that this side makes next */
};

static void status_print(const char *what, OM_uint32 code, int type)
{
	OM_uint32 major, minor, more = 0;
	gss_buffer_desc text;

	do {
		major = gss_display_status(&minor, code, type, &mech_oid, &more, &text);
		if (GSS_ERROR(major))
			return;
		printf("%s: %.*s\n", what, (int)text.length, (const char *)text.value);
		(void)gss_release_buffer(&minor, &text);
	} while (more != 0);
}

static void failure_print(const char *what, OM_uint32 major, OM_uint32 minor)
{
	const size_t count = sizeof(reason_words) / sizeof(reason_words[0]);

	printf("login failed: %s\n", what);
	status_print("major", major, GSS_C_GSS_CODE);
	status_print("minor", minor, GSS_C_MECH_CODE);
	if (minor > MINOR_OF_REASONS && minor - MINOR_OF_REASONS < count)
		printf("reason: %u %s\n", minor - MINOR_OF_REASONS,
			reason_words[minor - MINOR_OF_REASONS]);
}

static bool token_send(const struct login *login, const gss_buffer_desc *token)
{
	uint32_t length = htonl((uint32_t)token->length);
	char *whole;
	bool is_sent;

	if (token->length == 0)
		return true;
	whole = malloc(sizeof(length) + token->length);
	if (whole == NULL)
		return false;
	memcpy(whole, &length, sizeof(length));
	memcpy(whole + sizeof(length), token->value, token->length);
	is_sent = stream_send_all(login->fd, whole, sizeof(length) + token->length);
	free(whole);
	return is_sent;
}

static bool token_receive(const struct login *login, gss_buffer_desc *ret_token)
{
	uint32_t length;
	void *value;

	if (!stream_receive_all(login->fd, &length, sizeof(length)))
		return false;
	length = ntohl(length);
	if (length > TOKEN_BYTES_MAX)
		return false;
	value = malloc((size_t)length + 1);
	if (value == NULL)
		return false;
	if (!stream_receive_all(login->fd, value, length)) {
		free(value);
		return false;
	}
	*ret_token = (gss_buffer_desc){ .length = length, .value = value };
	return true;
}

static bool credential_name_descriptor(struct login *login)
{
	uint32_t number = htonl((uint32_t)(login->options->names_input ? STDIN_FILENO : login->fd));
	gss_buffer_desc value = { .length = sizeof(number), .value = &number };
	OM_uint32 minor, major;

	major = gss_set_cred_option(&minor, &login->credential, &descriptor_oid, &value);
	if (!GSS_ERROR(major))
		return true;
	failure_print("cannot name the descriptor", major, minor);
	return false;
}

/* Without an option of ours the program uses the default credential, as others do. */
static bool credential_acquire(struct login *login)
{
	const struct stream_options *options = login->options;
	gss_key_value_element_desc element = { .key = "ipsec_latch", .value = options->latch };
	const gss_key_value_set_desc store = { .count = options->latch == NULL ? 0 : 1,
		.elements = &element };
	gss_OID_set_desc mechs = { .count = 1, .elements = &mech_oid };
	OM_uint32 major, minor;

	if (options->latch == NULL && !options->names_descriptor)
		return true;
	major = gss_acquire_cred_from(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs,
		options->is_server ? GSS_C_ACCEPT : GSS_C_INITIATE, &store, &login->credential,
		NULL, NULL);
	if (GSS_ERROR(major)) {
		failure_print("no credential", major, minor);
		return false;
	}
	return !options->names_descriptor || credential_name_descriptor(login);
}

static bool target_import(struct login *login)
{
	const struct stream_options *options = login->options;
	char text[512];
	gss_buffer_desc name = { .value = text };
	OM_uint32 major, minor;

	if (options->is_server)
		return true;
	name.length =
		(size_t)snprintf(text, sizeof(text), "%s@%s", options->service, options->host);
	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &login->target);
	if (GSS_ERROR(major))
		failure_print("bad name", major, minor);
	return !GSS_ERROR(major);
}

static void step_begin(struct login *login)
{
	printf("step %u\n", login->step);
	if (login->step == login->options->pause_step)
		stream_sleep_ms(login->options->pause_ms);
	login->step += 2;
}

static OM_uint32 token_make(struct login *login, gss_ctx_id_t *context, gss_buffer_t input,
	gss_buffer_t output, OM_uint32 *minor)
{
	if (login->options->is_server)
		return gss_accept_sec_context(minor, context, login->credential, input,
			GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, output, NULL, NULL, NULL);
	return gss_init_sec_context(minor, login->credential, context, login->target, &mech_oid,
		GSS_C_MUTUAL_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS, input, NULL, output, NULL, NULL);
}

static bool login_exchange(struct login *login, gss_ctx_id_t *context)
{
	OM_uint32 major = GSS_S_CONTINUE_NEEDED, minor = 0, ignored;
	gss_buffer_desc input = GSS_C_EMPTY_BUFFER, output = GSS_C_EMPTY_BUFFER;
	bool takes_token = login->options->is_server, is_sent;

	while (major == GSS_S_CONTINUE_NEEDED) {
		if (takes_token && !token_receive(login, &input)) {
			printf("login failed: the peer sends no token\n");
			return false;
		}
		takes_token = true;
		step_begin(login);
		major = token_make(login, context, &input, &output, &minor);
		free(input.value);
		input = (gss_buffer_desc)GSS_C_EMPTY_BUFFER;
		is_sent = token_send(login, &output);
		(void)gss_release_buffer(&ignored, &output);
		if (GSS_ERROR(major)) {
			failure_print("no context", major, minor);
			return false;
		}
		if (!is_sent) {
			printf("login failed: a token cannot be sent\n");
			return false;
		}
	}
	return true;
}

/* The peer's name knows the latch too (RFC 6680): it must say the same word. */
static bool name_says(gss_ctx_id_t context, bool is_server, const gss_buffer_desc *word)
{
	static char attribute[] = GSS_IPSEC_ATTRIBUTE_LATCH;
	gss_buffer_desc which = { .length = sizeof(attribute) - 1, .value = attribute };
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	gss_name_t initiator = GSS_C_NO_NAME, acceptor = GSS_C_NO_NAME;
	OM_uint32 minor;
	int is_authenticated = 0, more = -1;
	bool is_same;

	is_same = gss_inquire_context(&minor, context, &initiator, &acceptor, NULL, NULL, NULL,
			  NULL, NULL) == GSS_S_COMPLETE &&
		  gss_get_name_attribute(&minor, is_server ? initiator : acceptor, &which,
			  &is_authenticated, NULL, NULL, &shown, &more) == GSS_S_COMPLETE &&
		  is_authenticated != 0 && shown.length == word->length &&
		  memcmp(shown.value, word->value, word->length) == 0;
	(void)gss_release_buffer(&minor, &shown);
	(void)gss_release_name(&minor, &initiator);
	(void)gss_release_name(&minor, &acceptor);
	return is_same;
}

static void latch_print(gss_ctx_id_t context, bool is_server)
{
	gss_buffer_set_t answer = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor;
	uint32_t reason;

	major = gss_inquire_sec_context_by_oid(&minor, context, &latch_oid, &answer);
	if (GSS_ERROR(major) || answer->count != 3 ||
		answer->elements[0].length != sizeof(reason)) {
		failure_print("no answer to the inquiry", major, minor);
	} else if (!name_says(context, is_server, &answer->elements[1])) {
		printf("login failed: the peer's name says another reason\n");
	} else {
		memcpy(&reason, answer->elements[0].value, sizeof(reason));
		printf("reason: %u %.*s\n", ntohl(reason), (int)answer->elements[1].length,
			(const char *)answer->elements[1].value);
	}
	(void)gss_release_buffer_set(&minor, &answer);
}

bool stream_login(int fd, const struct stream_options *options, gss_ctx_id_t *ret_context)
{
	struct login login = { .fd = fd,
		.options = options,
		.credential = GSS_C_NO_CREDENTIAL,
		.target = GSS_C_NO_NAME,
		.step = options->is_server ? 2 : 1 };
	uint64_t begun = stream_clock_ms();
	OM_uint32 minor;
	bool is_done;

	is_done = credential_acquire(&login) && target_import(&login) &&
		  login_exchange(&login, ret_context);
	if (is_done) {
		latch_print(*ret_context, options->is_server);
		printf("login ok: %llu ms\n", (unsigned long long)(stream_clock_ms() - begun));
	}
	(void)gss_release_cred(&minor, &login.credential);
	(void)gss_release_name(&minor, &login.target);
	return is_done;
}
