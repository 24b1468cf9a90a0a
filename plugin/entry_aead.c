/* SPDX-License-Identifier: BSD-2-Clause */
/* gss_wrap and gss_unwrap with associated data that is covered and not carried (gssapi_ext.h). */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

enum { AEAD_ASSOCIATED, AEAD_MESSAGE, AEAD_PIECES };

struct aead_parts {
	struct bytes associated, message;
	uint8_t *out;
};

static struct crypto_piece aead_piece(const void *items, size_t index)
{
	const struct aead_parts *parts = items;

	if (index == AEAD_MESSAGE)
		return (struct crypto_piece){ .in = parts->message.data,
			.out = parts->out,
			.len = parts->message.len,
			.is_message = true };
	return (struct crypto_piece){ .in = parts->associated.data, .len = parts->associated.len };
}

static struct crypto_pieces aead_pieces(const struct aead_parts *parts)
{
	return (struct crypto_pieces){ .items = parts, .count = AEAD_PIECES, .at = aead_piece };
}

/* A message that is not sealed passes through no cipher: it is only covered. */
static void aead_copy_clear(const struct aead_parts *parts, bool is_sealed)
{
	if (!is_sealed && parts->message.len != 0)
		memcpy(parts->out, parts->message.data, parts->message.len);
}

PLUGIN_EXPORT OM_uint32 gss_wrap_aead(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int conf_req_flag, gss_qop_t qop_req, gss_buffer_t input_assoc_buffer,
	gss_buffer_t input_payload_buffer, int *conf_state, gss_buffer_t output_message_buffer)
{
	struct aead_parts parts = { .associated = plugin_buffer_view(input_assoc_buffer),
		.message = plugin_buffer_view(input_payload_buffer) };
	const struct crypto_pieces pieces = aead_pieces(&parts);
	struct mech_protect *protect;
	uint8_t *token;
	enum err status;

	if (output_message_buffer == GSS_C_NO_BUFFER ||
		!plugin_buffer_is_there(input_payload_buffer) ||
		(input_assoc_buffer != GSS_C_NO_BUFFER &&
			!plugin_buffer_is_there(input_assoc_buffer)))
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(output_message_buffer);
	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	if (parts.message.len > SIZE_MAX - MECH_TOKEN_OVERHEAD_BYTES)
		return plugin_status(minor_status, ERR_TOO_LARGE);
	token = malloc(parts.message.len + MECH_TOKEN_OVERHEAD_BYTES);
	if (token == NULL)
		return plugin_status(minor_status, ERR_NO_MEMORY);
	parts.out = token + MECH_TOKEN_HEADER_BYTES;
	status = plugin_message_begin(context_handle, &protect);
	if (status == ERR_OK) {
		aead_copy_clear(&parts, conf_req_flag != 0);
		status = mech_protect_wrap_pieces(
			protect, conf_req_flag != 0, &pieces, token, parts.out + parts.message.len);
		plugin_message_end(context_handle);
	}
	if (status != ERR_OK) {
		free(token);
		return plugin_status(minor_status, status);
	}
	output_message_buffer->value = token;
	output_message_buffer->length = parts.message.len + MECH_TOKEN_OVERHEAD_BYTES;
	if (conf_state != NULL)
		*conf_state = conf_req_flag != 0;
	return plugin_status(minor_status, ERR_OK);
}

/* Opens into new memory; NULL for a message of no octets, which gss_release_buffer() would not free. */
static enum err aead_unwrap(struct mech_protect *protect, struct bytes token,
	struct bytes associated, struct bytes *ret_message, bool *ret_was_sealed)
{
	struct aead_parts parts = { .associated = associated };
	const struct crypto_pieces pieces = aead_pieces(&parts);
	struct bytes header, tag;
	enum err status = mech_protect_split(token, &header, &parts.message, &tag);

	if (status != ERR_OK)
		return status;
	if (parts.message.len != 0) {
		parts.out = malloc(parts.message.len);
		if (parts.out == NULL)
			return ERR_NO_MEMORY;
	}
	status = mech_protect_unwrap_pieces(
		protect, &pieces, header, tag.len != 0 ? tag.data : NULL, ret_was_sealed);
	if (!plugin_message_is_delivered(status)) {
		secret_free(parts.out, parts.message.len);
		return status;
	}
	aead_copy_clear(&parts, *ret_was_sealed);
	*ret_message = BYTES(parts.out, parts.message.len);
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_unwrap_aead(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_buffer_t input_message_buffer, gss_buffer_t input_assoc_buffer,
	gss_buffer_t output_payload_buffer, int *conf_state, gss_qop_t *qop_state)
{
	struct mech_protect *protect;
	struct bytes message = BYTES_NONE;
	bool was_sealed = false;
	enum err status;

	if (output_payload_buffer == GSS_C_NO_BUFFER ||
		!plugin_buffer_is_there(input_message_buffer) ||
		(input_assoc_buffer != GSS_C_NO_BUFFER &&
			!plugin_buffer_is_there(input_assoc_buffer)))
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(output_payload_buffer);
	if (qop_state != NULL)
		*qop_state = GSS_C_QOP_DEFAULT;
	status = plugin_message_begin(context_handle, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = aead_unwrap(protect, plugin_buffer_view(input_message_buffer),
		plugin_buffer_view(input_assoc_buffer), &message, &was_sealed);
	plugin_message_end(context_handle);
	if (!plugin_message_is_delivered(status))
		return plugin_status(minor_status, status);
	output_payload_buffer->value = (void *)(uintptr_t)message.data;
	output_payload_buffer->length = message.len;
	if (conf_state != NULL)
		*conf_state = was_sealed;
	return plugin_message_status(minor_status, status);
}
