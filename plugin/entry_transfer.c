/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points that hand an open context to another process. */
#include "plugin/plugin.h"

PLUGIN_EXPORT OM_uint32 gss_export_sec_context(
	OM_uint32 *minor_status, gss_ctx_id_t *context_handle, gss_buffer_t interprocess_token)
{
	struct writer token;
	enum err status = ERR_NO_CONTEXT;

	if (interprocess_token == GSS_C_NO_BUFFER || context_handle == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(interprocess_token);
	if (*context_handle == GSS_C_NO_CONTEXT)
		return plugin_status(minor_status, ERR_NO_CONTEXT);
	writer_init(&token, MECH_CONTEXT_TOKEN_BYTES_MAX);
	(void)pthread_mutex_lock(&(*context_handle)->lock);
	if ((*context_handle)->mech != NULL)
		status = mech_context_export((*context_handle)->mech, &token);
	if (status == ERR_OK)
		status = plugin_buffer_take(interprocess_token, &token);
	(void)pthread_mutex_unlock(&(*context_handle)->lock);
	writer_free(&token);
	/* RFC 2743 2.2.8: on success it is gone here, on a failure it is as it was. */
	if (status == ERR_OK)
		plugin_context_free(context_handle);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_import_sec_context(
	OM_uint32 *minor_status, gss_buffer_t interprocess_token, gss_ctx_id_t *context_handle)
{
	struct mech_context *mech = NULL;
	enum err status;

	if (interprocess_token == GSS_C_NO_BUFFER || context_handle == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*context_handle = GSS_C_NO_CONTEXT;
	status = mech_context_import(
		plugin_buffer_view(interprocess_token), &kbind_ops_broker, &mech);
	if (status == ERR_OK)
		status = plugin_context_new(mech, context_handle);
	return plugin_status(minor_status, status);
}
