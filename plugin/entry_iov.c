/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points for messages in pieces (gssapi_ext.h): HEADER, DATA, PADDING and TRAILER together are
 * what gss_wrap makes; SIGN_ONLY is covered and not carried.  Everything happens in the program's
 * own buffers; memory is taken only where ALLOCATE asks for it.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

/* Kinds of which a list holds one at most. */
enum iov_role { IOV_HEADER, IOV_PADDING, IOV_TRAILER, IOV_STREAM, IOV_MIC, IOV_ROLES };

static const struct {
	OM_uint32 type;
	const char *name;
} iov_roles[IOV_ROLES] = {
	[IOV_HEADER] = { GSS_IOV_BUFFER_TYPE_HEADER, "HEADER" },
	[IOV_PADDING] = { GSS_IOV_BUFFER_TYPE_PADDING, "PADDING" },
	[IOV_TRAILER] = { GSS_IOV_BUFFER_TYPE_TRAILER, "TRAILER" },
	[IOV_STREAM] = { GSS_IOV_BUFFER_TYPE_STREAM, "STREAM" },
	[IOV_MIC] = { GSS_IOV_BUFFER_TYPE_MIC_TOKEN, "MIC_TOKEN" },
};

struct iov_list {
	gss_iov_buffer_desc *items;
	size_t count;
	gss_iov_buffer_desc *of[IOV_ROLES]; /* NULL where there is none */
};

/* Where the one DATA buffer of a STREAM is and goes. */
struct iov_stream {
	const struct iov_list *list;
	const uint8_t *in;
	uint8_t *out;
	size_t len;
};

/* --- a program's list --- */

static enum err iov_refuse(const char *what, const char *name)
{
	mech_set_detail(ERR_ARGUMENT, "%s %s", what, name);
	return ERR_ARGUMENT;
}

static enum err iov_list_read(gss_iov_buffer_desc *items, int count, struct iov_list *ret_list)
{
	struct iov_list list = { .items = items, .count = count < 0 ? 0 : (size_t)count };

	if (count < 0 || (items == NULL && count > 0))
		return iov_refuse("no list of", "buffers");
	for (size_t i = 0; i < list.count; i++) {
		OM_uint32 type = GSS_IOV_BUFFER_TYPE(items[i].type);

		for (size_t role = 0; role < IOV_ROLES; role++) {
			if (type != iov_roles[role].type)
				continue;
			if (list.of[role] != NULL)
				return iov_refuse("more than one", iov_roles[role].name);
			list.of[role] = &items[i];
		}
	}
	*ret_list = list;
	return ERR_OK;
}

static enum err iov_list_require(const struct iov_list *list, enum iov_role wanted)
{
	return list->of[wanted] != NULL ? ERR_OK
					: iov_refuse("there is no", iov_roles[wanted].name);
}

static bool iov_is(const gss_iov_buffer_desc *iov, OM_uint32 type)
{
	return GSS_IOV_BUFFER_TYPE(iov->type) == type;
}

/* What is read must be somewhere. */
static enum err iov_list_check_content(const struct iov_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const gss_iov_buffer_desc *iov = &list->items[i];
		bool is_read =
			iov_is(iov, GSS_IOV_BUFFER_TYPE_SIGN_ONLY) ||
			(iov_is(iov, GSS_IOV_BUFFER_TYPE_DATA) && list->of[IOV_STREAM] == NULL);

		if (is_read && iov->buffer.value == NULL && iov->buffer.length != 0)
			return iov_refuse("a buffer without memory:",
				iov_is(iov, GSS_IOV_BUFFER_TYPE_DATA) ? "DATA" : "SIGN_ONLY");
	}
	return ERR_OK;
}

static struct crypto_piece iov_piece_of(const gss_iov_buffer_desc *iov, bool is_message)
{
	return (struct crypto_piece){ .in = iov->buffer.value,
		.out = iov->buffer.value,
		.len = iov->buffer.length,
		.is_message = is_message };
}

/* For wrap: DATA is the message, SIGN_ONLY is associated, all others are none of both. */
static struct crypto_piece iov_piece_wrapped(const void *items, size_t index)
{
	const struct iov_list *list = items;
	const gss_iov_buffer_desc *iov = &list->items[index];

	if (iov_is(iov, GSS_IOV_BUFFER_TYPE_DATA))
		return iov_piece_of(iov, true);
	if (iov_is(iov, GSS_IOV_BUFFER_TYPE_SIGN_ONLY))
		return iov_piece_of(iov, false);
	return (struct crypto_piece){ .len = 0 };
}

/* For a MIC both are the message, in the order of the list. */
static struct crypto_piece iov_piece_signed(const void *items, size_t index)
{
	struct crypto_piece piece = iov_piece_wrapped(items, index);

	piece.is_message = true;
	return piece;
}

static struct crypto_piece iov_piece_streamed(const void *items, size_t index)
{
	const struct iov_stream *stream = items;
	struct crypto_piece piece = iov_piece_wrapped(stream->list, index);

	if (piece.is_message) {
		piece.in = stream->in;
		piece.out = stream->out;
		piece.len = stream->len;
	}
	return piece;
}

static struct crypto_pieces iov_pieces(
	const struct iov_list *list, struct crypto_piece (*at)(const void *items, size_t index))
{
	return (struct crypto_pieces){ .items = list, .count = list->count, .at = at };
}

/* Room for len octets in the kind's buffer: the program's, or new where ALLOCATE asks for it. */
static enum err iov_place(const struct iov_list *list, enum iov_role role, size_t len)
{
	gss_iov_buffer_desc *iov = list->of[role];

	if (iov == NULL)
		return ERR_OK;
	if ((iov->type & GSS_IOV_BUFFER_FLAG_ALLOCATE) != 0) {
		iov->type &= ~(OM_uint32)GSS_IOV_BUFFER_FLAG_ALLOCATED;
		iov->buffer.value = len == 0 ? NULL : malloc(len);
		if (len != 0 && iov->buffer.value == NULL)
			return ERR_NO_MEMORY;
		if (len != 0)
			iov->type |= GSS_IOV_BUFFER_FLAG_ALLOCATED;
	} else if (len != 0 && (iov->buffer.value == NULL || iov->buffer.length < len)) {
		return iov_refuse("too little room in", iov_roles[role].name);
	}
	iov->buffer.length = len;
	return ERR_OK;
}

/* After a failure: frees what iov_place() allocated. */
static void iov_unplace(const struct iov_list *list, enum iov_role role)
{
	gss_iov_buffer_desc *iov = list->of[role];

	if (iov == NULL || (iov->type & GSS_IOV_BUFFER_FLAG_ALLOCATE) == 0 ||
		(iov->type & GSS_IOV_BUFFER_FLAG_ALLOCATED) == 0)
		return;
	free(iov->buffer.value);
	iov->buffer.value = NULL;
	iov->buffer.length = 0;
	iov->type &= ~(OM_uint32)GSS_IOV_BUFFER_FLAG_ALLOCATED;
}

/* Without a TRAILER the tag is part of the HEADER. */
static size_t iov_header_bytes(const struct iov_list *list)
{
	return list->of[IOV_TRAILER] != NULL ? MECH_TOKEN_HEADER_BYTES : MECH_TOKEN_OVERHEAD_BYTES;
}

static enum err iov_place_all(const struct iov_list *list)
{
	enum err status = iov_place(list, IOV_HEADER, iov_header_bytes(list));

	if (status == ERR_OK)
		status = iov_place(list, IOV_TRAILER, CRYPTO_TAG_BYTES);
	if (status == ERR_OK)
		status = iov_place(list, IOV_PADDING, 0);
	return status;
}

/* plugin_message_begin() for a list with that kind of buffer in it; a call for lengths only reads
 * nothing. */
static enum err iov_begin(gss_ctx_id_t context, const struct iov_list *list, enum iov_role wanted,
	bool reads, struct mech_protect **ret_protect)
{
	enum err status = iov_list_require(list, wanted);

	if (status == ERR_OK && reads)
		status = iov_list_check_content(list);
	return status == ERR_OK ? plugin_message_begin(context, ret_protect) : status;
}

/* --- wrap --- */

static enum err iov_wrap(gss_ctx_id_t context, bool seal, const struct iov_list *list)
{
	const struct crypto_pieces pieces = iov_pieces(list, iov_piece_wrapped);
	struct mech_protect *protect;
	enum err status = iov_begin(context, list, IOV_HEADER, true, &protect);

	if (status != ERR_OK)
		return status;
	status = iov_place_all(list);
	if (status == ERR_OK)
		status = mech_protect_wrap_pieces(protect, seal, &pieces,
			list->of[IOV_HEADER]->buffer.value,
			list->of[IOV_TRAILER] != NULL ? list->of[IOV_TRAILER]->buffer.value : NULL);
	plugin_message_end(context);
	if (status != ERR_OK) {
		iov_unplace(list, IOV_HEADER);
		iov_unplace(list, IOV_TRAILER);
	}
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_wrap_iov(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int conf_req_flag, gss_qop_t qop_req, int *conf_state, gss_iov_buffer_desc *iov,
	int iov_count)
{
	struct iov_list list;
	enum err status;

	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_wrap(context_handle, conf_req_flag != 0, &list);
	if (status == ERR_OK && conf_state != NULL)
		*conf_state = conf_req_flag != 0;
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_wrap_iov_length(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int conf_req_flag, gss_qop_t qop_req, int *conf_state, gss_iov_buffer_desc *iov,
	int iov_count)
{
	struct mech_protect *protect;
	struct iov_list list;
	enum err status;

	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_begin(context_handle, &list, IOV_HEADER, false, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	plugin_message_end(context_handle);
	list.of[IOV_HEADER]->buffer.length = iov_header_bytes(&list);
	if (list.of[IOV_TRAILER] != NULL)
		list.of[IOV_TRAILER]->buffer.length = CRYPTO_TAG_BYTES;
	if (list.of[IOV_PADDING] != NULL)
		list.of[IOV_PADDING]->buffer.length = 0;
	if (conf_state != NULL)
		*conf_state = conf_req_flag != 0;
	return plugin_status(minor_status, ERR_OK);
}

/* --- unwrap --- */

static enum err iov_unwrap_pieces(
	struct mech_protect *protect, const struct iov_list *list, bool *ret_was_sealed)
{
	const struct crypto_pieces pieces = iov_pieces(list, iov_piece_wrapped);
	struct bytes tag = BYTES_NONE;

	if (list->of[IOV_PADDING] != NULL && list->of[IOV_PADDING]->buffer.length != 0)
		return ERR_MESSAGE_TOKEN;
	if (list->of[IOV_TRAILER] != NULL)
		tag = plugin_buffer_view(&list->of[IOV_TRAILER]->buffer);
	if (tag.len != 0 && tag.len != CRYPTO_TAG_BYTES)
		return ERR_MESSAGE_TOKEN;
	return mech_protect_unwrap_pieces(protect, &pieces,
		plugin_buffer_view(&list->of[IOV_HEADER]->buffer), tag.len != 0 ? tag.data : NULL,
		ret_was_sealed);
}

static enum err iov_stream_data(const struct iov_list *list, gss_iov_buffer_desc **ret_data)
{
	gss_iov_buffer_desc *data = NULL;

	for (size_t i = 0; i < list->count; i++) {
		if (!iov_is(&list->items[i], GSS_IOV_BUFFER_TYPE_DATA))
			continue;
		if (data != NULL)
			return iov_refuse("beside a STREAM more than one", "DATA");
		data = &list->items[i];
	}
	if (data == NULL)
		return iov_refuse("beside a STREAM there is no", "DATA");
	*ret_data = data;
	return ERR_OK;
}

/* A whole token in one buffer: opened there, or into new memory where DATA asks for it. */
static enum err iov_unwrap_stream(
	struct mech_protect *protect, const struct iov_list *list, bool *ret_was_sealed)
{
	const gss_buffer_desc *token = &list->of[IOV_STREAM]->buffer;
	struct iov_stream stream = { .list = list };
	const struct crypto_pieces pieces = { &stream, list->count, iov_piece_streamed };
	struct bytes header, message, tag;
	gss_iov_buffer_desc *data;
	bool allocates;
	enum err status;

	status = iov_stream_data(list, &data);
	if (status == ERR_OK)
		status = mech_protect_split(plugin_buffer_view(token), &header, &message, &tag);
	if (status != ERR_OK)
		return status;
	allocates = (data->type & GSS_IOV_BUFFER_FLAG_ALLOCATE) != 0 && message.len != 0;
	stream.in = message.data;
	stream.len = message.len;
	stream.out = allocates ? malloc(message.len) : (uint8_t *)token->value + header.len;
	if (stream.out == NULL)
		return ERR_NO_MEMORY;
	status = mech_protect_unwrap_pieces(
		protect, &pieces, header, tag.len != 0 ? tag.data : NULL, ret_was_sealed);
	if (!plugin_message_is_delivered(status)) {
		if (allocates)
			secret_free(stream.out, message.len);
		return status;
	}
	if (allocates && !*ret_was_sealed)
		memcpy(stream.out, message.data, message.len);
	data->buffer.value = message.len != 0 ? stream.out : NULL;
	data->buffer.length = message.len;
	data->type &= ~(OM_uint32)GSS_IOV_BUFFER_FLAG_ALLOCATED;
	if (allocates)
		data->type |= GSS_IOV_BUFFER_FLAG_ALLOCATED;
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_unwrap_iov(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	int *conf_state, gss_qop_t *qop_state, gss_iov_buffer_desc *iov, int iov_count)
{
	struct mech_protect *protect;
	struct iov_list list;
	bool was_sealed = false;
	enum err status;

	if (qop_state != NULL)
		*qop_state = GSS_C_QOP_DEFAULT;
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_begin(context_handle, &list,
			list.of[IOV_STREAM] != NULL ? IOV_STREAM : IOV_HEADER, true, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	if (list.of[IOV_STREAM] != NULL)
		status = iov_unwrap_stream(protect, &list, &was_sealed);
	else
		status = iov_unwrap_pieces(protect, &list, &was_sealed);
	plugin_message_end(context_handle);
	if (!plugin_message_is_delivered(status))
		return plugin_status(minor_status, status);
	if (conf_state != NULL)
		*conf_state = was_sealed;
	return plugin_message_status(minor_status, status);
}

/* --- MIC --- */

PLUGIN_EXPORT OM_uint32 gss_get_mic_iov(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_qop_t qop_req, gss_iov_buffer_desc *iov, int iov_count)
{
	struct mech_protect *protect;
	struct crypto_pieces pieces;
	struct iov_list list;
	enum err status;

	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_begin(context_handle, &list, IOV_MIC, true, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	pieces = iov_pieces(&list, iov_piece_signed);
	status = iov_place(&list, IOV_MIC, MECH_TOKEN_OVERHEAD_BYTES);
	if (status == ERR_OK)
		status = mech_protect_mic_pieces(protect, &pieces, list.of[IOV_MIC]->buffer.value);
	plugin_message_end(context_handle);
	if (status != ERR_OK)
		iov_unplace(&list, IOV_MIC);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_get_mic_iov_length(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_qop_t qop_req, gss_iov_buffer_desc *iov, int iov_count)
{
	struct mech_protect *protect;
	struct iov_list list;
	enum err status;

	if (qop_req != GSS_C_QOP_DEFAULT)
		return plugin_status(minor_status, ERR_MESSAGE_QOP);
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_begin(context_handle, &list, IOV_MIC, false, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	plugin_message_end(context_handle);
	list.of[IOV_MIC]->buffer.length = MECH_TOKEN_OVERHEAD_BYTES;
	return plugin_status(minor_status, ERR_OK);
}

PLUGIN_EXPORT OM_uint32 gss_verify_mic_iov(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_qop_t *qop_state, gss_iov_buffer_desc *iov, int iov_count)
{
	struct mech_protect *protect;
	struct crypto_pieces pieces;
	struct iov_list list;
	enum err status;

	if (qop_state != NULL)
		*qop_state = GSS_C_QOP_DEFAULT;
	status = iov_list_read(iov, iov_count, &list);
	if (status == ERR_OK)
		status = iov_begin(context_handle, &list, IOV_MIC, true, &protect);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	pieces = iov_pieces(&list, iov_piece_signed);
	status = mech_protect_verify_pieces(
		protect, &pieces, plugin_buffer_view(&list.of[IOV_MIC]->buffer));
	plugin_message_end(context_handle);
	if (!plugin_message_is_delivered(status))
		return plugin_status(minor_status, status);
	return plugin_message_status(minor_status, status);
}
