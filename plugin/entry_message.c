/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points for per-message tokens.  Two threads may use one context: all run under its lock. */
#include <stdlib.h>

#include "plugin/plugin.h"

enum err plugin_message_begin(gss_ctx_id_t context, struct mech_protect **ret_protect)
{
	struct mech_protect *protect = NULL;

	if (context == GSS_C_NO_CONTEXT)
		return ERR_NO_CONTEXT;
	(void)pthread_mutex_lock(&context->lock);
	if (context->mech != NULL)
		protect = mech_context_protect(context->mech);
	if (protect == NULL) {
		(void)pthread_mutex_unlock(&context->lock);
		return ERR_NO_CONTEXT;
	}
	*ret_protect = protect;
	return ERR_OK;
}

void plugin_message_end(gss_ctx_id_t context)
{
	(void)pthread_mutex_unlock(&context->lock);
}

bool plugin_message_is_delivered(enum err status)
{
	return status == ERR_OK || status == ERR_MESSAGE_DUPLICATE || status == ERR_MESSAGE_OLD ||
	       status == ERR_MESSAGE_UNSEQ || status == ERR_MESSAGE_GAP;
}

PLUGIN_EXPORT OM_uint32 gss_wrap(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int conf_req_flag, gss_qop_t qop_req, gss_buffer_t input_message_buffer, int *conf_state,
	gss_buffer_t output_message_buffer)
{
	struct mech_protect *protect;
	uint8_t *token = NULL;
	size_t len = 0;
	enum err status;

	if (output_message_buffer == GSS_C_NO_BUFFER ||
		!plugin_buffer_is_there(input_message_buffer))
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(output_message_buffer);
	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = mech_protect_wrap(protect, conf_req_flag != 0,
		plugin_buffer_view(input_message_buffer), &token, &len);
	plugin_message_end(context_handle);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	output_message_buffer->value = token;
	output_message_buffer->length = len;
	if (conf_state != NULL)
		*conf_state = conf_req_flag != 0;
	return plugin_status(minor_status, ERR_OK);
}

PLUGIN_EXPORT OM_uint32 gss_unwrap(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_buffer_t input_message_buffer, gss_buffer_t output_message_buffer, int *conf_state,
	gss_qop_t *qop_state)
{
	struct mech_protect *protect;
	uint8_t *plain = NULL;
	size_t len = 0;
	bool was_sealed = false;
	enum err status;

	if (output_message_buffer == GSS_C_NO_BUFFER ||
		!plugin_buffer_is_there(input_message_buffer))
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(output_message_buffer);
	if (qop_state != NULL)
		*qop_state = GSS_C_QOP_DEFAULT;
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = mech_protect_unwrap(
		protect, plugin_buffer_view(input_message_buffer), &plain, &len, &was_sealed);
	plugin_message_end(context_handle);
	if (!plugin_message_is_delivered(status))
		return plugin_status(minor_status, status);
	/* gss_release_buffer() frees nothing of length zero. */
	if (len == 0) {
		free(plain);
		plain = NULL;
	}
	output_message_buffer->value = plain;
	output_message_buffer->length = len;
	if (conf_state != NULL)
		*conf_state = was_sealed;
	return plugin_message_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_get_mic(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_qop_t qop_req, gss_buffer_t message_buffer, gss_buffer_t message_token)
{
	struct mech_protect *protect;
	uint8_t *token = NULL;
	size_t len = 0;
	enum err status;

	if (!plugin_buffer_is_there(message_buffer) || message_token == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(message_token);
	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = mech_protect_mic(protect, plugin_buffer_view(message_buffer), &token, &len);
	plugin_message_end(context_handle);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	message_token->value = token;
	message_token->length = len;
	return plugin_status(minor_status, ERR_OK);
}

PLUGIN_EXPORT OM_uint32 gss_verify_mic(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_buffer_t message_buffer, gss_buffer_t message_token, gss_qop_t *qop_state)
{
	struct mech_protect *protect;
	enum err status;

	if (!plugin_buffer_is_there(message_buffer) || message_token == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	if (qop_state != NULL)
		*qop_state = GSS_C_QOP_DEFAULT;
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = mech_protect_verify(
		protect, plugin_buffer_view(message_buffer), plugin_buffer_view(message_token));
	plugin_message_end(context_handle);
	if (!plugin_message_is_delivered(status))
		return plugin_status(minor_status, status);
	return plugin_message_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_wrap_size_limit(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int conf_req_flag, gss_qop_t qop_req, OM_uint32 req_output_size, OM_uint32 *max_input_size)
{
	struct mech_protect *protect;
	enum err status;

	(void)conf_req_flag; /* sealed or not, a token is as long */
	if (max_input_size == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*max_input_size = 0;
	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	plugin_message_end(context_handle);
	if (req_output_size > MECH_TOKEN_OVERHEAD_BYTES)
		*max_input_size = req_output_size - MECH_TOKEN_OVERHEAD_BYTES;
	return plugin_status(minor_status, ERR_OK);
}
