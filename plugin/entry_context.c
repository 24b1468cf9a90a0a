/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points that establish and end contexts.  The first token has RFC 2743's header, all others
 * are bare IKE messages.  A first call that fails leaves no handle; after a later failure the dead
 * context stays for inquiries until the program deletes it.
 */
#include <stdlib.h>

#include "kernel-bind/kernel_bind.h"
#include "plugin/plugin.h"

_Static_assert(MECH_FLAG_MUTUAL == GSS_C_MUTUAL_FLAG && MECH_FLAG_REPLAY == GSS_C_REPLAY_FLAG &&
		       MECH_FLAG_SEQUENCE == GSS_C_SEQUENCE_FLAG &&
		       MECH_FLAG_CONF == GSS_C_CONF_FLAG && MECH_FLAG_INTEG == GSS_C_INTEG_FLAG &&
		       MECH_FLAG_ANON == GSS_C_ANON_FLAG &&
		       MECH_FLAG_PROT_READY == GSS_C_PROT_READY_FLAG &&
		       MECH_FLAG_TRANS == GSS_C_TRANS_FLAG &&
		       MECH_FLAG_CHANNEL_BOUND == GSS_C_CHANNEL_BOUND_FLAG,
	"flags must be GSS-API's");

/* Others (DCE_STYLE, delegation) may be asked for and are not given. */
#define CONTEXT_FLAGS_ASKED                                                          \
	(MECH_FLAG_MUTUAL | MECH_FLAG_REPLAY | MECH_FLAG_SEQUENCE | MECH_FLAG_CONF | \
		MECH_FLAG_INTEG | MECH_FLAG_ANON | MECH_FLAG_CHANNEL_BOUND)

struct context_step {
	struct bytes input; /* without RFC 2743's header */
	const struct gss_channel_bindings_struct *bindings;
	bool is_initiators, frames_output;
};

void plugin_context_free(gss_ctx_id_t *context)
{
	gss_ctx_id_t old = *context;

	*context = GSS_C_NO_CONTEXT;
	if (old == GSS_C_NO_CONTEXT)
		return;
	mech_context_free(&old->mech);
	(void)pthread_mutex_destroy(&old->lock);
	free(old);
}

enum err plugin_context_new(struct mech_context *mech, gss_ctx_id_t *ret_context)
{
	gss_ctx_id_t context = calloc(1, sizeof(*context));

	if (context == NULL || pthread_mutex_init(&context->lock, NULL) != 0) {
		free(context);
		mech_context_free(&mech);
		return ERR_NO_MEMORY;
	}
	context->mech = mech;
	*ret_context = context;
	return ERR_OK;
}

static enum err context_output(struct writer *message, bool is_framed, gss_buffer_t ret_token)
{
	struct writer framed;
	enum err status;

	if (!is_framed || writer_len(message) == 0)
		return plugin_buffer_take(ret_token, message);
	writer_init(&framed, PLUGIN_TOKEN_BYTES_MAX);
	status = plugin_framing_token_write(writer_view(message), &framed);
	if (status == ERR_OK)
		status = plugin_buffer_take(ret_token, &framed);
	writer_free(&framed);
	return status;
}

/* One step of the exchange.  A token may come with an error too: it tells the peer. */
static enum err context_do_step(gss_ctx_id_t context, const struct context_step *step,
	gss_buffer_t ret_token, enum mech_step_result *ret_result)
{
	struct mech_bindings bindings = plugin_bindings_view(step->bindings);
	struct writer message;
	enum err status = ERR_NO_CONTEXT, output_status;

	writer_init(&message, PLUGIN_MESSAGE_BYTES_MAX);
	(void)pthread_mutex_lock(&context->lock);
	if (context->mech != NULL &&
		mech_context_is_initiator(context->mech) != step->is_initiators)
		status = ERR_ARGUMENT;
	else if (context->mech != NULL)
		status = mech_step(context->mech, step->input, &bindings, &message, ret_result);
	output_status = context_output(&message, step->frames_output, ret_token);
	if (status == ERR_OK && output_status != ERR_OK) {
		/* The peer will never see this token, so neither side may think it is done. */
		mech_context_free(&context->mech);
		status = output_status;
	}
	(void)pthread_mutex_unlock(&context->lock);
	writer_free(&message);
	return status;
}

static OM_uint32 context_flags(gss_ctx_id_t context)
{
	OM_uint32 flags = 0;

	(void)pthread_mutex_lock(&context->lock);
	if (context->mech != NULL)
		flags = mech_context_flags(context->mech);
	(void)pthread_mutex_unlock(&context->lock);
	return flags;
}

/* What both directions of establishment hand back, whatever the outcome. */
static OM_uint32 context_finish(OM_uint32 *minor_status, enum err status,
	enum mech_step_result result, bool is_first, gss_ctx_id_t *context, OM_uint32 *ret_flags)
{
	/* RFC 2744 5.19: no context comes out of a first call that failed; the mechglue forgets
	 * its half without calling for ours to be deleted. */
	if (status != ERR_OK && is_first)
		plugin_context_free(context);
	if (ret_flags != NULL && *context != GSS_C_NO_CONTEXT)
		*ret_flags = context_flags(*context);
	if (status == ERR_OK && result == MECH_CONTINUE)
		return plugin_status_as(minor_status, GSS_S_CONTINUE_NEEDED, ERR_OK);
	return plugin_status(minor_status, status);
}

static void context_clear_outputs(
	gss_OID *mech_type, gss_buffer_t output_token, OM_uint32 *ret_flags, OM_uint32 *time_rec)
{
	if (mech_type != NULL)
		*mech_type = plugin_mech_oid;
	plugin_buffer_clear(output_token);
	if (ret_flags != NULL)
		*ret_flags = 0;
	if (time_rec != NULL)
		*time_rec = GSS_C_INDEFINITE;
}

static enum err context_initiator_new(
	gss_cred_id_t credential, gss_name_t target, OM_uint32 flags, gss_ctx_id_t *ret_context)
{
	struct mech_credential *mine = plugin_credential(credential);
	struct mech_context *mech = NULL;
	enum err status;

	if (mine != NULL && (mech_credential_usage(mine) & MECH_INITIATE) == 0)
		return ERR_CRED_USAGE;
	status = mech_initiator_new(
		mine, plugin_name(target), flags & CONTEXT_FLAGS_ASKED, &kbind_ops_broker, &mech);
	if (status != ERR_OK)
		return status;
	return plugin_context_new(mech, ret_context);
}

PLUGIN_EXPORT OM_uint32 gss_init_sec_context(OM_uint32 *minor_status,
	gss_cred_id_t claimant_cred_handle, gss_ctx_id_t *context_handle, gss_name_t target_name,
	gss_OID mech_type, OM_uint32 req_flags, OM_uint32 time_req,
	gss_channel_bindings_t input_chan_bindings, gss_buffer_t input_token,
	gss_OID *actual_mech_type, gss_buffer_t output_token, OM_uint32 *ret_flags,
	OM_uint32 *time_rec)
{
	struct context_step step = { .input = plugin_buffer_view(input_token),
		.bindings = input_chan_bindings,
		.is_initiators = true };
	enum mech_step_result result = MECH_CONTINUE;
	enum err status = ERR_OK;

	(void)time_req;
	context_clear_outputs(actual_mech_type, output_token, ret_flags, time_rec);
	if (context_handle == NULL || output_token == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	if (plugin_mech_check(mech_type) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	step.frames_output = *context_handle == GSS_C_NO_CONTEXT;
	if (step.frames_output)
		status = context_initiator_new(
			claimant_cred_handle, target_name, req_flags, context_handle);
	if (status == ERR_OK)
		status = context_do_step(*context_handle, &step, output_token, &result);
	return context_finish(
		minor_status, status, result, step.frames_output, context_handle, ret_flags);
}

static enum err context_acceptor_new(gss_cred_id_t credential, gss_ctx_id_t *ret_context)
{
	struct mech_credential *mine = plugin_credential(credential);
	struct mech_context *mech = NULL;
	enum err status;

	if (mine != NULL && (mech_credential_usage(mine) & MECH_ACCEPT) == 0)
		return ERR_CRED_USAGE;
	status = mech_acceptor_new(mine, &kbind_ops_broker, &mech);
	if (status != ERR_OK)
		return status;
	return plugin_context_new(mech, ret_context);
}

/* The initiator's name for a program that asked for it; only an open context has one. */
static gss_name_t context_source_name(gss_ctx_id_t context)
{
	struct mech_name *name;

	(void)pthread_mutex_lock(&context->lock);
	name = mech_name_ref(mech_context_initiator_name(context->mech));
	(void)pthread_mutex_unlock(&context->lock);
	return plugin_name_handle(name);
}

PLUGIN_EXPORT OM_uint32 gss_accept_sec_context(OM_uint32 *minor_status,
	gss_ctx_id_t *context_handle, gss_cred_id_t acceptor_cred_handle,
	gss_buffer_t input_token_buffer, gss_channel_bindings_t input_chan_bindings,
	gss_name_t *src_name, gss_OID *mech_type, gss_buffer_t output_token, OM_uint32 *ret_flags,
	OM_uint32 *time_rec, gss_cred_id_t *delegated_cred_handle)
{
	struct context_step step = { .input = plugin_buffer_view(input_token_buffer),
		.bindings = input_chan_bindings };
	enum mech_step_result result = MECH_CONTINUE;
	enum err status = ERR_OK;
	bool is_first;

	context_clear_outputs(mech_type, output_token, ret_flags, time_rec);
	if (src_name != NULL)
		*src_name = GSS_C_NO_NAME;
	if (delegated_cred_handle != NULL)
		*delegated_cred_handle = GSS_C_NO_CREDENTIAL;
	if (context_handle == NULL || output_token == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	is_first = *context_handle == GSS_C_NO_CONTEXT;
	if (is_first)
		status = plugin_framing_token_read(step.input, &step.input);
	if (status == ERR_OK && is_first)
		status = context_acceptor_new(acceptor_cred_handle, context_handle);
	if (status == ERR_OK)
		status = context_do_step(*context_handle, &step, output_token, &result);
	if (status == ERR_OK && result == MECH_COMPLETE && src_name != NULL)
		*src_name = context_source_name(*context_handle);
	return context_finish(minor_status, status, result, is_first, context_handle, ret_flags);
}

/* RFC 2743 2.2.4: what a peer's GSS_Delete_sec_context made; ours makes nothing, and whatever else
 * comes has no proof that it is the peer's, so it changes nothing. */
PLUGIN_EXPORT OM_uint32 gss_process_context_token(
	OM_uint32 *minor_status, gss_ctx_id_t context_handle, gss_buffer_t token_buffer)
{
	bool is_open = false;

	if (context_handle == GSS_C_NO_CONTEXT)
		return plugin_status(minor_status, ERR_NO_CONTEXT);
	if (token_buffer == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	(void)pthread_mutex_lock(&context_handle->lock);
	if (context_handle->mech != NULL)
		is_open = mech_context_is_open(context_handle->mech);
	(void)pthread_mutex_unlock(&context_handle->lock);
	return plugin_status(minor_status, is_open ? ERR_CONTEXT_CONTROL : ERR_NO_CONTEXT);
}

/* Always complete: on an error the mechglue would lose its half of the context. */
PLUGIN_EXPORT OM_uint32 gss_delete_sec_context(
	OM_uint32 *minor_status, gss_ctx_id_t *context_handle, gss_buffer_t output_token)
{
	plugin_buffer_clear(output_token);
	if (context_handle != NULL)
		plugin_context_free(context_handle);
	return plugin_status(minor_status, ERR_OK);
}
