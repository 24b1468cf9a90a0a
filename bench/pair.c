/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of a context in one process (pair.h). */
#include "bench/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/gssapi_ipsec.h"

#define PAIR_FLAGS                                                                       \
	(GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_CONF_FLAG | \
		GSS_C_INTEG_FLAG)

static gss_OID_desc pair_mech = { GSS_IPSEC_OID_MECH_LENGTH, GSS_IPSEC_OID_MECH };
const gss_OID bench_mech_ipsec = &pair_mech;

void bench_gss_require(
	const struct bench_ends *ends, const char *what, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	if (!GSS_ERROR(major))
		return;
	(void)gss_display_status(&ignored, minor, GSS_C_MECH_CODE, ends->mech, &more, &text);
	(void)fprintf(stderr, "bench: %s: %#x: %.*s\n", what, major, (int)text.length,
		(char *)text.value);
	exit(EXIT_FAILURE);
}

void bench_ends_acquire(gss_OID mech, const char *service, struct bench_ends *ret_ends)
{
	gss_OID_set_desc mechs = { 1, mech };
	/* not written through */
	gss_buffer_desc name = { strlen(service), (void *)(uintptr_t)service };
	struct bench_ends ends = { .mech = mech };
	OM_uint32 major, minor;

	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &ends.target);
	bench_gss_require(&ends, "gss_import_name", major, minor);
	major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, GSS_C_INITIATE,
		&ends.initiator, NULL, NULL);
	bench_gss_require(&ends, "gss_acquire_cred (initiate)", major, minor);
	major = gss_acquire_cred(&minor, ends.target, GSS_C_INDEFINITE, &mechs, GSS_C_ACCEPT,
		&ends.acceptor, NULL, NULL);
	bench_gss_require(&ends, "gss_acquire_cred (accept)", major, minor);
	*ret_ends = ends;
}

void bench_ends_release(struct bench_ends *ends)
{
	OM_uint32 ignored;

	(void)gss_release_cred(&ignored, &ends->initiator);
	(void)gss_release_cred(&ignored, &ends->acceptor);
	(void)gss_release_name(&ignored, &ends->target);
}

static void pair_count(const gss_buffer_desc *token, struct bench_tokens *tokens)
{
	tokens->count += token->length != 0;
	tokens->bytes += token->length;
}

void bench_pair_establish(
	const struct bench_ends *ends, struct bench_pair *ret_pair, struct bench_tokens *ret_tokens)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER, next = GSS_C_EMPTY_BUFFER;
	OM_uint32 initiates, accepts = GSS_S_CONTINUE_NEEDED, minor, ignored, flags = 0;
	struct bench_pair pair = { GSS_C_NO_CONTEXT, GSS_C_NO_CONTEXT };
	struct bench_tokens tokens = { 0, 0 };

	do {
		initiates =
			gss_init_sec_context(&minor, ends->initiator, &pair.initiator, ends->target,
				ends->mech, PAIR_FLAGS, 0, NULL, &token, NULL, &next, &flags, NULL);
		bench_gss_require(ends, "gss_init_sec_context", initiates, minor);
		pair_count(&next, &tokens);
		(void)gss_release_buffer(&ignored, &token);
		if (accepts == GSS_S_CONTINUE_NEEDED)
			accepts = gss_accept_sec_context(&minor, &pair.acceptor, ends->acceptor,
				&next, NULL, NULL, NULL, &token, NULL, NULL, NULL);
		bench_gss_require(ends, "gss_accept_sec_context", accepts, minor);
		pair_count(&token, &tokens);
		(void)gss_release_buffer(&ignored, &next);
	} while (initiates == GSS_S_CONTINUE_NEEDED || accepts == GSS_S_CONTINUE_NEEDED);
	(void)gss_release_buffer(&ignored, &token);
	if ((flags & PAIR_FLAGS) != PAIR_FLAGS)
		bench_gss_require(ends, "the flags", GSS_S_FAILURE, 0);
	*ret_pair = pair;
	if (ret_tokens != NULL)
		*ret_tokens = tokens;
}

void bench_pair_delete(struct bench_pair *pair)
{
	OM_uint32 ignored;

	(void)gss_delete_sec_context(&ignored, &pair->initiator, NULL);
	(void)gss_delete_sec_context(&ignored, &pair->acceptor, NULL);
}
