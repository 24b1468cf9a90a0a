/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points that ask about a context, or set an option on it.  All work on partial contexts. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

#define INQUIRY_BYTES_MAX 256
#define INQUIRY_ANSWERS_MAX 3
#define SAID_BY_PEER "said by the peer, of its own side; "

/* Locks the context; on an error nothing is locked. */
static enum err inquiry_begin(gss_ctx_id_t context)
{
	if (context == GSS_C_NO_CONTEXT)
		return ERR_NO_CONTEXT;
	(void)pthread_mutex_lock(&context->lock);
	if (context->mech != NULL)
		return ERR_OK;
	(void)pthread_mutex_unlock(&context->lock);
	return ERR_NO_CONTEXT;
}

static void inquiry_end(gss_ctx_id_t context)
{
	(void)pthread_mutex_unlock(&context->lock);
}

PLUGIN_EXPORT OM_uint32 gss_context_time(
	OM_uint32 *minor_status, gss_ctx_id_t context_handle, OM_uint32 *time_rec)
{
	enum err status = inquiry_begin(context_handle);
	bool is_open;

	if (time_rec != NULL)
		*time_rec = 0;
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	is_open = mech_context_is_open(context_handle->mech);
	inquiry_end(context_handle);
	if (is_open && time_rec != NULL)
		*time_rec = GSS_C_INDEFINITE;
	return plugin_status(minor_status, is_open ? ERR_OK : ERR_NO_CONTEXT);
}

PLUGIN_EXPORT OM_uint32 gss_inquire_context(OM_uint32 *minor_status, gss_ctx_id_t context_handle,
	gss_name_t *src_name, gss_name_t *targ_name, OM_uint32 *lifetime_rec, gss_OID *mech_type,
	OM_uint32 *ctx_flags, int *locally_initiated, int *is_open)
{
	const struct mech_context *mech;
	enum err status = inquiry_begin(context_handle);

	if (src_name != NULL)
		*src_name = GSS_C_NO_NAME;
	if (targ_name != NULL)
		*targ_name = GSS_C_NO_NAME;
	if (mech_type != NULL)
		*mech_type = plugin_mech_oid;
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	mech = context_handle->mech;
	if (src_name != NULL)
		*src_name = plugin_name_handle(mech_name_ref(mech_context_initiator_name(mech)));
	if (targ_name != NULL)
		*targ_name = plugin_name_handle(mech_name_ref(mech_context_acceptor_name(mech)));
	if (lifetime_rec != NULL)
		*lifetime_rec = GSS_C_INDEFINITE;
	if (ctx_flags != NULL)
		*ctx_flags = mech_context_flags(mech);
	if (locally_initiated != NULL)
		*locally_initiated = mech_context_is_initiator(mech);
	if (is_open != NULL)
		*is_open = mech_context_is_open(mech);
	inquiry_end(context_handle);
	return plugin_status(minor_status, ERR_OK);
}

/* --- gss_inquire_sec_context_by_oid: each row writes the buffers of one inquiry --- */

struct inquiry_answers {
	struct writer items[INQUIRY_ANSWERS_MAX];
	size_t count;
};

static enum err inquiry_latch(struct mech_context *mech, struct inquiry_answers *answers)
{
	unsigned int reason = mech_context_latch_reason(mech);
	const char *word = latch_reason_word(reason), *text = latch_reason_text(reason);

	/* Before its end an exchange has none yet; of one that failed "none" says no more than its error. */
	if (reason == IPSEC_LATCH_NONE && !mech_context_is_open(mech))
		return ERR_NO_CONTEXT;
	answers->count = 3;
	writer_put_u32(&answers->items[0], reason);
	writer_put_bytes(&answers->items[1], BYTES((const uint8_t *)word, strlen(word)));
	if (mech_context_reason_is_peers(mech))
		writer_put_bytes(&answers->items[2],
			BYTES((const uint8_t *)SAID_BY_PEER, sizeof(SAID_BY_PEER) - 1));
	writer_put_bytes(&answers->items[2], BYTES((const uint8_t *)text, strlen(text)));
	return ERR_OK;
}

static enum err inquiry_unique(struct mech_context *mech, struct inquiry_answers *answers)
{
	answers->count = 1;
	return mech_context_unique_binding(mech, &answers->items[0]);
}

static enum err inquiry_end_point(struct mech_context *mech, struct inquiry_answers *answers)
{
	answers->count = 1;
	return mech_context_end_point_binding(mech, &answers->items[0]);
}

/* What gss_wrap gives, latched or not: it protects by itself, and both ends must say the same or
 * SASL's two sides offer each other different layers. */
static enum err inquiry_ssf(struct mech_context *mech, struct inquiry_answers *answers)
{
	const struct mech_protect *protect = mech_context_protect(mech);

	if (protect == NULL)
		return ERR_NO_CONTEXT;
	answers->count = 1;
	writer_put_u32(&answers->items[0], mech_protect_key_bits(protect));
	return ERR_OK;
}

struct inquiry_row {
	const gss_OID *oid;
	enum err (*answer)(struct mech_context *mech, struct inquiry_answers *answers);
};

static const struct inquiry_row inquiry_rows[] = {
	{ &plugin_inquiry_latch, inquiry_latch },
	{ &plugin_inquiry_unique, inquiry_unique },
	{ &plugin_inquiry_end_point, inquiry_end_point },
	{ &plugin_inquiry_ssf, inquiry_ssf },
};

static const struct inquiry_row *inquiry_find(gss_const_OID oid)
{
	for (size_t i = 0; i < sizeof(inquiry_rows) / sizeof(inquiry_rows[0]); i++) {
		if (plugin_oid_equal(oid, *inquiry_rows[i].oid))
			return &inquiry_rows[i];
	}
	return NULL;
}

static enum err inquiry_set_new(const struct inquiry_answers *answers, gss_buffer_set_t *ret_set)
{
	struct bytes members[sizeof(answers->items) / sizeof(answers->items[0])];

	for (size_t i = 0; i < answers->count; i++) {
		enum err status = writer_status(&answers->items[i]);

		if (status != ERR_OK)
			return status;
		members[i] = writer_view(&answers->items[i]);
	}
	return plugin_set_new(members, answers->count, ret_set);
}

PLUGIN_EXPORT OM_uint32 gss_inquire_sec_context_by_oid(OM_uint32 *minor_status,
	const gss_ctx_id_t context_handle, const gss_OID desired_object, gss_buffer_set_t *data_set)
{
	const struct inquiry_row *row = inquiry_find(desired_object);
	struct inquiry_answers answers = { .count = 0 };
	enum err status;

	if (data_set == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*data_set = GSS_C_NO_BUFFER_SET;
	if (row == NULL)
		return plugin_status(minor_status, ERR_UNSUPPORTED);
	/* The mechglue does not check this handle. */
	status = inquiry_begin(context_handle);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	for (size_t i = 0; i < INQUIRY_ANSWERS_MAX; i++)
		writer_init(&answers.items[i], INQUIRY_BYTES_MAX);
	status = row->answer(context_handle->mech, &answers);
	inquiry_end(context_handle);
	if (status == ERR_OK)
		status = inquiry_set_new(&answers, data_set);
	for (size_t i = 0; i < INQUIRY_ANSWERS_MAX; i++)
		writer_free(&answers.items[i]);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_set_sec_context_option(OM_uint32 *minor_status,
	gss_ctx_id_t *context_handle, const gss_OID desired_object, const gss_buffer_t value)
{
	enum err status;
	int fd;

	if (context_handle == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	if (!plugin_oid_equal(desired_object, plugin_option_descriptor))
		return plugin_status(minor_status, ERR_UNSUPPORTED);
	status = plugin_descriptor_read(plugin_buffer_view(value), &fd);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = inquiry_begin(*context_handle);
	if (status != ERR_OK)
		return plugin_status(minor_status, status);
	status = mech_context_set_descriptor((*context_handle)->mech, fd);
	inquiry_end(*context_handle);
	return plugin_status(minor_status, status);
}

static enum err pseudo_random(
	gss_ctx_id_t context, int prf_key, struct bytes input, uint8_t *ret_output, size_t len)
{
	enum err status = inquiry_begin(context);

	if (status != ERR_OK)
		return status;
	status = mech_context_pseudo_random(context->mech,
		prf_key == GSS_C_PRF_KEY_FULL ? MECH_PRF_FULL : MECH_PRF_PARTIAL, input, ret_output,
		len);
	inquiry_end(context);
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_pseudo_random(OM_uint32 *minor_status, gss_ctx_id_t context,
	int prf_key, const gss_buffer_t prf_in, ssize_t desired_output_len, gss_buffer_t prf_out)
{
	size_t len = desired_output_len < 0 ? 0 : (size_t)desired_output_len;
	uint8_t *output;
	enum err status;

	if (prf_in == GSS_C_NO_BUFFER || prf_out == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(prf_out);
	if (prf_key != GSS_C_PRF_KEY_FULL && prf_key != GSS_C_PRF_KEY_PARTIAL)
		return plugin_status(minor_status, ERR_UNSUPPORTED);
	if (len == 0 || len > MECH_PRF_BYTES_MAX)
		return plugin_status(minor_status, ERR_PRF_LENGTH);
	output = malloc(len);
	if (output == NULL)
		return plugin_status(minor_status, ERR_NO_MEMORY);
	status = pseudo_random(context, prf_key, plugin_buffer_view(prf_in), output, len);
	if (status == ERR_OK) {
		prf_out->value = output;
		prf_out->length = len;
		return plugin_status(minor_status, ERR_OK);
	}
	free(output);
	/* RFC 4401 2: a context that is there but not established yet. */
	if (status == ERR_NO_CONTEXT && context != GSS_C_NO_CONTEXT)
		return plugin_status_as(minor_status, GSS_S_UNAVAILABLE, status);
	return plugin_status(minor_status, status);
}
