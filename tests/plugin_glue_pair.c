/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks and the two ends of tests/plugin_glue. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

gss_OID_desc mech_oid = { GSS_IPSEC_OID_MECH_LENGTH, GSS_IPSEC_OID_MECH };
gss_OID_desc spnego_oid = { 6, "\x2b\x06\x01\x05\x05\x02" };

static unsigned int failed;

static void print_check(bool is_ok, const char *format, va_list arguments)
{
	if (!is_ok)
		failed++;
	printf("%s plugin_glue: ", is_ok ? "ok" : "FAIL");
	vprintf(format, arguments);
	printf("\n");
	(void)fflush(stdout);
}

void check(bool is_ok, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_check(is_ok, format, arguments);
	va_end(arguments);
}

void check_quietly(bool is_ok, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (!is_ok)
		print_check(is_ok, format, arguments);
	va_end(arguments);
}

unsigned int checks_failed(void)
{
	return failed;
}

static void error_text_of(OM_uint32 code, int type, char *out, size_t room)
{
	OM_uint32 minor, context = 0;
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;

	out[0] = '\0';
	if (gss_display_status(&minor, code, type, &mech_oid, &context, &text) != GSS_S_COMPLETE)
		return;
	(void)snprintf(out, room, "%.*s", (int)text.length, (char *)text.value);
	(void)gss_release_buffer(&minor, &text);
}

void show_error(const char *what, OM_uint32 major, OM_uint32 minor)
{
	char of_major[600], of_minor[600];

	error_text_of(major, GSS_C_GSS_CODE, of_major, sizeof(of_major));
	error_text_of(minor, GSS_C_MECH_CODE, of_minor, sizeof(of_minor));
	printf("# %s: %s / %s\n", what, of_major, of_minor);
}

bool error_says(OM_uint32 minor, const char *part)
{
	char text[600];

	error_text_of(minor, GSS_C_MECH_CODE, text, sizeof(text));
	if (strstr(text, part) != NULL)
		return true;
	printf("# the sentence is: %s\n", text);
	return false;
}

bool buffer_is(const gss_buffer_desc *buffer, const char *text)
{
	return buffer->length == strlen(text) &&
	       (buffer->length == 0 || strncmp(buffer->value, text, buffer->length) == 0);
}

bool buffers_equal(const gss_buffer_desc *a, const gss_buffer_desc *b)
{
	const uint8_t *x = a->value, *y = b->value;

	if (a->length != b->length)
		return false;
	for (size_t i = 0; i < a->length; i++) {
		if (x[i] != y[i])
			return false;
	}
	return true;
}

bool name_displays(gss_name_t name, const char *text)
{
	gss_buffer_desc shown = GSS_C_EMPTY_BUFFER;
	gss_OID type = GSS_C_NO_OID;
	OM_uint32 minor;
	bool is_same;

	if (name == GSS_C_NO_NAME ||
		gss_display_name(&minor, name, &shown, &type) != GSS_S_COMPLETE)
		return false;
	is_same = buffer_is(&shown, text) && type != GSS_C_NO_OID &&
		  ((char *)shown.value)[shown.length] == '\0';
	if (!is_same)
		printf("# the name is %s, wanted %s\n", (char *)shown.value, text);
	(void)gss_release_buffer(&minor, &shown);
	return is_same;
}

gss_name_t name_of(const char *text, gss_OID type)
{
	gss_buffer_desc buffer = { strlen(text), strdup(text) };
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 minor;

	(void)gss_import_name(&minor, &buffer, type, &name);
	free(buffer.value);
	return name;
}

void release_name(gss_name_t *name)
{
	OM_uint32 minor;

	(void)gss_release_name(&minor, name);
}

void bindings_set(struct gss_channel_bindings_struct *bindings, const char *text)
{
	if (text == NULL)
		return;
	bindings->application_data.length = strlen(text);
	bindings->application_data.value = strcmp(text, "a") == 0 ? "a" : "b";
}

void pair_init(struct pair *pair, gss_OID mech, const char *target, OM_uint32 asked)
{
	*pair = (struct pair){ .mech = mech, .asked = asked };
	if (target != NULL)
		pair->target = name_of(target, GSS_C_NT_HOSTBASED_SERVICE);
}

static OM_uint32 pair_initiate(struct pair *pair, gss_buffer_t output)
{
	struct side *side = &pair->initiator;
	gss_OID mech = GSS_C_NO_OID;

	return gss_init_sec_context(&pair->minor, side->credential, &side->context, pair->target,
		pair->mech, pair->asked, 0, side->bindings, &pair->token, &mech, output,
		&side->flags, &side->lifetime);
}

static OM_uint32 pair_accept(struct pair *pair, gss_buffer_t output)
{
	struct side *side = &pair->acceptor;

	return gss_accept_sec_context(&pair->minor, &side->context, side->credential, &pair->token,
		side->bindings, &side->peer, NULL, output, &side->flags, &side->lifetime, NULL);
}

OM_uint32 pair_step(struct pair *pair)
{
	bool initiates = pair->tokens % 2 == 0;
	struct side *side = initiates ? &pair->initiator : &pair->acceptor;
	gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	pair->major = initiates ? pair_initiate(pair, &output) : pair_accept(pair, &output);
	(void)gss_release_buffer(&minor, &pair->token);
	pair->token = output;
	if (GSS_ERROR(pair->major)) {
		pair->error_tokens += output.length > 0;
		return pair->major;
	}
	side->is_complete = pair->major == GSS_S_COMPLETE;
	if (output.length > 0)
		pair->tokens++;
	return pair->major;
}

OM_uint32 pair_run(struct pair *pair)
{
	OM_uint32 major = GSS_S_CONTINUE_NEEDED;

	for (int i = 0; i < 20 && !pair_is_open(pair); i++) {
		int tokens = pair->tokens;

		major = pair_step(pair);
		if (GSS_ERROR(major))
			return major;
		if (pair->tokens == tokens && !pair_is_open(pair))
			return GSS_S_FAILURE; /* nobody has anything to say */
	}
	return pair_is_open(pair) ? (OM_uint32)GSS_S_COMPLETE : major;
}

bool pair_is_open(const struct pair *pair)
{
	return pair->initiator.is_complete && pair->acceptor.is_complete;
}

bool pair_open(struct pair *pair, gss_OID mech, const char *target)
{
	pair_init(pair, mech, target, PAIR_FLAGS_ASKED);
	if (pair_run(pair) == GSS_S_COMPLETE)
		return true;
	check(false, "exchange with %s", target);
	show_error("exchange", pair->major, pair->minor);
	pair_free(pair);
	return false;
}

static void side_free(struct side *side)
{
	OM_uint32 minor;

	(void)gss_delete_sec_context(&minor, &side->context, GSS_C_NO_BUFFER);
	(void)gss_release_cred(&minor, &side->credential);
	(void)gss_release_name(&minor, &side->peer);
}

void pair_free(struct pair *pair)
{
	OM_uint32 minor;

	side_free(&pair->initiator);
	side_free(&pair->acceptor);
	(void)gss_release_name(&minor, &pair->target);
	(void)gss_release_buffer(&minor, &pair->token);
}
