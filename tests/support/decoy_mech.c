/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A mechanism that only begins: it makes SPNEGO's initiator send its token first, so that an acceptor
 * that takes another mechanism must reselect and both must check the list of mechanisms.
 */
#include <stdlib.h>
#include <string.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>

#define DECOY_EXPORT __attribute__((visibility("default")))

static gss_OID_desc decoy_oid = { 9, "\x2b\x06\x01\x04\x01\x82\x37\x7f\x01" };
static int handle;

static OM_uint32 decoy_done(OM_uint32 *minor_status)
{
	*minor_status = 0;
	return GSS_S_COMPLETE;
}

DECOY_EXPORT OM_uint32 gss_acquire_cred(OM_uint32 *minor_status, gss_name_t name, OM_uint32 time,
	gss_OID_set mechs, gss_cred_usage_t usage, gss_cred_id_t *credential, gss_OID_set *actual,
	OM_uint32 *time_rec)
{
	(void)name, (void)time, (void)mechs, (void)usage;
	*credential = (gss_cred_id_t)&handle;
	if (actual != NULL)
		*actual = GSS_C_NO_OID_SET;
	if (time_rec != NULL)
		*time_rec = GSS_C_INDEFINITE;
	return decoy_done(minor_status);
}

DECOY_EXPORT OM_uint32 gss_release_cred(OM_uint32 *minor_status, gss_cred_id_t *credential)
{
	*credential = GSS_C_NO_CREDENTIAL;
	return decoy_done(minor_status);
}

DECOY_EXPORT OM_uint32 gss_init_sec_context(OM_uint32 *minor_status, gss_cred_id_t credential,
	gss_ctx_id_t *context, gss_name_t target, gss_OID mech, OM_uint32 flags, OM_uint32 time,
	gss_channel_bindings_t bindings, gss_buffer_t input, gss_OID *actual, gss_buffer_t output,
	OM_uint32 *ret_flags, OM_uint32 *time_rec)
{
	static const char token[] = "\x60\x0d\x06\x09\x2b\x06\x01\x04\x01\x82\x37\x7f\x01hi";

	(void)credential, (void)target, (void)mech, (void)flags, (void)time, (void)bindings,
		(void)input;
	*context = (gss_ctx_id_t)&handle;
	if (actual != NULL)
		*actual = &decoy_oid;
	if (ret_flags != NULL)
		*ret_flags = 0;
	if (time_rec != NULL)
		*time_rec = GSS_C_INDEFINITE;
	output->length = sizeof(token) - 1;
	output->value = malloc(output->length);
	*minor_status = 0;
	if (output->value == NULL)
		return GSS_S_FAILURE;
	memcpy(output->value, token, output->length);
	return GSS_S_CONTINUE_NEEDED;
}

DECOY_EXPORT OM_uint32 gss_delete_sec_context(
	OM_uint32 *minor_status, gss_ctx_id_t *context, gss_buffer_t output)
{
	(void)output;
	*context = GSS_C_NO_CONTEXT;
	return decoy_done(minor_status);
}

DECOY_EXPORT OM_uint32 gss_import_name(
	OM_uint32 *minor_status, gss_buffer_t text, gss_OID type, gss_name_t *name)
{
	(void)text, (void)type;
	*name = (gss_name_t)&handle;
	return decoy_done(minor_status);
}

DECOY_EXPORT OM_uint32 gss_release_name(OM_uint32 *minor_status, gss_name_t *name)
{
	*name = GSS_C_NO_NAME;
	return decoy_done(minor_status);
}

DECOY_EXPORT OM_uint32 gss_inquire_attrs_for_mech(
	OM_uint32 *minor_status, gss_const_OID mech, gss_OID_set *attributes, gss_OID_set *known)
{
	(void)mech;
	if (attributes != NULL)
		(void)gss_create_empty_oid_set(minor_status, attributes);
	if (known != NULL)
		(void)gss_create_empty_oid_set(minor_status, known);
	return decoy_done(minor_status);
}
