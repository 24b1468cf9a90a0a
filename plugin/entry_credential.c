/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points for credentials.  A gss_cred_id_t of this mechanism is a reference to a struct
 * mech_credential, which never changes; an option replaces the reference.
 */
#include <stdlib.h>

#include "plugin/plugin.h"

#define STORE_ENTRIES_MAX 256

struct credential_usage_row {
	gss_cred_usage_t gss;
	enum mech_usage mech;
};

static const struct credential_usage_row usage_rows[] = {
	{ GSS_C_BOTH, MECH_BOTH },
	{ GSS_C_INITIATE, MECH_INITIATE },
	{ GSS_C_ACCEPT, MECH_ACCEPT },
};

#define USAGE_ROWS (sizeof(usage_rows) / sizeof(usage_rows[0]))

enum err plugin_usage_of_gss(gss_cred_usage_t usage, enum mech_usage *ret_usage)
{
	for (size_t i = 0; i < USAGE_ROWS; i++) {
		if (usage_rows[i].gss == usage) {
			*ret_usage = usage_rows[i].mech;
			return ERR_OK;
		}
	}
	mech_set_detail(ERR_ARGUMENT, "credential usage %d", usage);
	return ERR_ARGUMENT;
}

gss_cred_usage_t plugin_usage_to_gss(enum mech_usage usage)
{
	for (size_t i = 0; i < USAGE_ROWS; i++) {
		if (usage_rows[i].mech == usage)
			return usage_rows[i].gss;
	}
	return GSS_C_BOTH;
}

/* NULL, the default set, holds us; so does a set that names us. */
static bool credential_mechs_have_us(gss_OID_set mechs)
{
	if (mechs == GSS_C_NO_OID_SET)
		return true;
	for (size_t i = 0; i < mechs->count; i++) {
		if (plugin_oid_equal(&mechs->elements[i], plugin_mech_oid))
			return true;
	}
	return false;
}

enum err plugin_store_entries(
	gss_const_key_value_set_t gss_store, struct mech_store_entry **ret_store, size_t *ret_count)
{
	size_t count = gss_store == GSS_C_NO_CRED_STORE ? 0 : gss_store->count;
	struct mech_store_entry *store = NULL;

	if (count > STORE_ENTRIES_MAX)
		return ERR_CRED_STORE;
	if (count > 0) {
		store = calloc(count, sizeof(*store));
		if (store == NULL)
			return ERR_NO_MEMORY;
		for (size_t i = 0; i < count; i++)
			store[i] = (struct mech_store_entry){
				.key = gss_store->elements[i].key,
				.value = gss_store->elements[i].value,
			};
	}
	*ret_store = store;
	*ret_count = count;
	return ERR_OK;
}

static enum err credential_acquire(gss_name_t desired, gss_cred_usage_t gss_usage,
	gss_const_key_value_set_t gss_store, struct mech_credential **ret_credential)
{
	struct mech_store_entry *store = NULL;
	size_t count = 0;
	enum mech_usage usage;
	enum err status = plugin_usage_of_gss(gss_usage, &usage);

	if (status == ERR_OK)
		status = plugin_store_entries(gss_store, &store, &count);
	if (status == ERR_OK)
		status = mech_credential_acquire(
			plugin_name(desired), usage, store, count, ret_credential);
	free(store);
	return status;
}

static OM_uint32 credential_acquire_entry(const void *caller, OM_uint32 *minor_status,
	gss_name_t desired_name, gss_OID_set desired_mechs, gss_cred_usage_t usage,
	gss_const_key_value_set_t store, gss_cred_id_t *output_cred_handle,
	gss_OID_set *actual_mechs, OM_uint32 *time_rec)
{
	struct mech_credential *credential = NULL;
	enum err status;

	if (actual_mechs != NULL)
		*actual_mechs = GSS_C_NO_OID_SET;
	/* The mechglue takes the least over all mechanisms and reads 0 as expired. */
	if (time_rec != NULL)
		*time_rec = GSS_C_INDEFINITE;
	if (output_cred_handle == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*output_cred_handle = GSS_C_NO_CREDENTIAL;
	if (!credential_mechs_have_us(desired_mechs))
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	status = credential_acquire(desired_name, usage, store, &credential);
	if (status == ERR_OK)
		plugin_libgssapi_meet(caller);
	if (status == ERR_OK && actual_mechs != NULL)
		status = plugin_oid_set_new(plugin_mech_oid, actual_mechs);
	if (status == ERR_OK)
		*output_cred_handle = plugin_credential_handle(credential);
	else
		mech_credential_release(&credential);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_acquire_cred(OM_uint32 *minor_status, gss_name_t desired_name,
	OM_uint32 time_req, gss_OID_set desired_mechs, gss_cred_usage_t cred_usage,
	gss_cred_id_t *output_cred_handle, gss_OID_set *actual_mechs, OM_uint32 *time_rec)
{
	const void *caller = __builtin_return_address(0);

	(void)time_req;
	return credential_acquire_entry(caller, minor_status, desired_name, desired_mechs,
		cred_usage, GSS_C_NO_CRED_STORE, output_cred_handle, actual_mechs, time_rec);
}

PLUGIN_EXPORT OM_uint32 gss_acquire_cred_from(OM_uint32 *minor_status, gss_name_t desired_name,
	OM_uint32 time_req, gss_OID_set desired_mechs, gss_cred_usage_t cred_usage,
	gss_const_key_value_set_t cred_store, gss_cred_id_t *output_cred_handle,
	gss_OID_set *actual_mechs, OM_uint32 *time_rec)
{
	const void *caller = __builtin_return_address(0);

	(void)time_req;
	return credential_acquire_entry(caller, minor_status, desired_name, desired_mechs,
		cred_usage, cred_store, output_cred_handle, actual_mechs, time_rec);
}

PLUGIN_EXPORT OM_uint32 gss_release_cred(OM_uint32 *minor_status, gss_cred_id_t *cred_handle)
{
	if (cred_handle != NULL) {
		struct mech_credential *released = plugin_credential(*cred_handle);

		mech_credential_release(&released);
		*cred_handle = GSS_C_NO_CREDENTIAL;
	}
	return plugin_status(minor_status, ERR_OK);
}

/* The handle's credential, or the default initiator's (RFC 2744 5.21); referenced. */
static enum err credential_or_default(gss_cred_id_t handle, struct mech_credential **ret_credential)
{
	if (handle == GSS_C_NO_CREDENTIAL)
		return mech_credential_acquire(NULL, MECH_INITIATE, NULL, 0, ret_credential);
	*ret_credential = mech_credential_ref(plugin_credential(handle));
	return ERR_OK;
}

static enum err credential_set_name(
	const struct mech_credential *credential, gss_name_t *ret_name_or_null)
{
	struct mech_name *name;

	if (ret_name_or_null == NULL)
		return ERR_OK;
	name = mech_credential_name(credential);
	if (name == NULL)
		return ERR_INTERNAL;
	*ret_name_or_null = plugin_name_handle(name);
	return ERR_OK;
}

PLUGIN_EXPORT OM_uint32 gss_inquire_cred(OM_uint32 *minor_status, gss_cred_id_t cred_handle,
	gss_name_t *name, OM_uint32 *lifetime, gss_cred_usage_t *cred_usage,
	gss_OID_set *mechanisms)
{
	struct mech_credential *credential = NULL;
	gss_OID_set set = GSS_C_NO_OID_SET;
	enum err status;

	if (name != NULL)
		*name = GSS_C_NO_NAME;
	if (mechanisms != NULL)
		*mechanisms = GSS_C_NO_OID_SET;
	status = credential_or_default(cred_handle, &credential);
	if (status == ERR_OK && mechanisms != NULL)
		status = plugin_oid_set_new(plugin_mech_oid, &set);
	if (status == ERR_OK)
		status = credential_set_name(credential, name);
	if (status != ERR_OK) {
		plugin_oid_set_free(&set);
		goto out;
	}
	if (mechanisms != NULL)
		*mechanisms = set;
	if (lifetime != NULL)
		*lifetime = GSS_C_INDEFINITE;
	if (cred_usage != NULL)
		*cred_usage = plugin_usage_to_gss(mech_credential_usage(credential));
out:
	mech_credential_release(&credential);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_inquire_cred_by_mech(OM_uint32 *minor_status, gss_cred_id_t cred_handle,
	gss_OID mech_type, gss_name_t *name, OM_uint32 *initiator_lifetime,
	OM_uint32 *acceptor_lifetime, gss_cred_usage_t *cred_usage)
{
	struct mech_credential *credential = NULL;
	enum mech_usage usage;
	enum err status;

	if (name != NULL)
		*name = GSS_C_NO_NAME;
	if (plugin_mech_check(mech_type) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	status = credential_or_default(cred_handle, &credential);
	if (status == ERR_OK)
		status = credential_set_name(credential, name);
	if (status != ERR_OK)
		goto out;
	usage = mech_credential_usage(credential);
	if (initiator_lifetime != NULL)
		*initiator_lifetime = (usage & MECH_INITIATE) != 0 ? GSS_C_INDEFINITE : 0;
	if (acceptor_lifetime != NULL)
		*acceptor_lifetime = (usage & MECH_ACCEPT) != 0 ? GSS_C_INDEFINITE : 0;
	if (cred_usage != NULL)
		*cred_usage = plugin_usage_to_gss(usage);
out:
	mech_credential_release(&credential);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_export_cred(
	OM_uint32 *minor_status, gss_cred_id_t cred_handle, gss_buffer_t token)
{
	struct mech_credential *credential = NULL;
	struct writer w;
	enum err status;

	if (token == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(token);
	writer_init(&w, PLUGIN_CREDENTIAL_TOKEN_BYTES_MAX);
	status = credential_or_default(cred_handle, &credential);
	if (status == ERR_OK)
		status = mech_credential_export(credential, &w);
	if (status == ERR_OK)
		status = plugin_buffer_take(token, &w);
	writer_free(&w);
	mech_credential_release(&credential);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_import_cred(
	OM_uint32 *minor_status, gss_buffer_t token, gss_cred_id_t *cred_handle)
{
	struct mech_credential *credential = NULL;
	enum err status;

	if (cred_handle == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*cred_handle = GSS_C_NO_CREDENTIAL;
	status = mech_credential_import(plugin_buffer_view(token), &credential);
	if (status == ERR_OK)
		*cred_handle = plugin_credential_handle(credential);
	return plugin_status(minor_status, status);
}

static enum err credential_set_descriptor(gss_cred_id_t *handle, struct bytes value)
{
	struct mech_credential *old = plugin_credential(*handle), *copy = NULL;
	int fd;
	enum err status = plugin_descriptor_read(value, &fd);

	if (status == ERR_OK && old == NULL) {
		mech_set_detail(ERR_ARGUMENT, "the descriptor option needs a credential handle");
		status = ERR_ARGUMENT;
	}
	if (status == ERR_OK)
		status = mech_credential_with_descriptor(old, fd, &copy);
	if (status != ERR_OK)
		return status;
	*handle = plugin_credential_handle(copy);
	mech_credential_release(&old);
	return ERR_OK;
}

PLUGIN_EXPORT OM_uint32 gssspi_set_cred_option(OM_uint32 *minor_status,
	gss_cred_id_t *credential_handle, const gss_OID option, const gss_buffer_t value)
{
	if (credential_handle == NULL || option == GSS_C_NO_OID)
		return plugin_status(minor_status, ERR_ARGUMENT);
	/* Tells Kerberos not to negotiate protection; nothing of the kind is negotiated here, and
	 * SPNEGO fails when no mechanism takes it. */
	if (plugin_oid_equal(option, plugin_option_no_ci_flags))
		return plugin_status(minor_status, ERR_OK);
	if (!plugin_oid_equal(option, plugin_option_descriptor))
		return plugin_status(minor_status, ERR_UNSUPPORTED);
	return plugin_status(minor_status,
		credential_set_descriptor(credential_handle, plugin_buffer_view(value)));
}
