/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points between a credential and where identities are kept: storing (RFC 5588), and what a
 * program can ask of a credential beyond its name.  The store is the configuration.  Programs add
 * nothing to it: a credential is a reference to an identity that stands there, and its key never
 * leaves its file.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

static OM_uint32 store_entry(OM_uint32 *minor_status, gss_cred_id_t handle, gss_cred_usage_t usage,
	gss_const_OID mech, bool overwrites, gss_const_key_value_set_t gss_store,
	gss_OID_set *elements_stored, gss_cred_usage_t *cred_usage_stored)
{
	struct mech_store_entry *store = NULL;
	enum mech_usage wanted, stored;
	size_t count = 0;
	enum err status;

	if (elements_stored != NULL)
		*elements_stored = GSS_C_NO_OID_SET;
	if (handle == GSS_C_NO_CREDENTIAL)
		return plugin_status(minor_status, ERR_NO_IDENTITY);
	if (plugin_mech_check(mech) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	status = plugin_usage_of_gss(usage, &wanted);
	if (status == ERR_OK)
		status = plugin_store_entries(gss_store, &store, &count);
	if (status == ERR_OK)
		status = mech_credential_store(
			plugin_credential(handle), wanted, overwrites, store, count, &stored);
	if (status == ERR_OK && elements_stored != NULL)
		status = plugin_oid_set_new(plugin_mech_oid, elements_stored);
	if (status == ERR_OK && cred_usage_stored != NULL)
		*cred_usage_stored = plugin_usage_to_gss(stored);
	free(store);
	return plugin_status(minor_status, status);
}

/* default_cred is advice (RFC 5588 3): the first identity of the configuration is the default. */
PLUGIN_EXPORT OM_uint32 gss_store_cred(OM_uint32 *minor_status,
	const gss_cred_id_t input_cred_handle, gss_cred_usage_t input_usage,
	const gss_OID desired_mech, OM_uint32 overwrite_cred, OM_uint32 default_cred,
	gss_OID_set *elements_stored, gss_cred_usage_t *cred_usage_stored)
{
	(void)default_cred;
	return store_entry(minor_status, input_cred_handle, input_usage, desired_mech,
		overwrite_cred != 0, GSS_C_NO_CRED_STORE, elements_stored, cred_usage_stored);
}

PLUGIN_EXPORT OM_uint32 gss_store_cred_into(OM_uint32 *minor_status,
	gss_cred_id_t input_cred_handle, gss_cred_usage_t input_usage, gss_OID desired_mech,
	OM_uint32 overwrite_cred, OM_uint32 default_cred, gss_const_key_value_set_t cred_store,
	gss_OID_set *elements_stored, gss_cred_usage_t *cred_usage_stored)
{
	(void)default_cred;
	return store_entry(minor_status, input_cred_handle, input_usage, desired_mech,
		overwrite_cred != 0, cred_store, elements_stored, cred_usage_stored);
}

static enum err inquire_key(const struct mech_credential *credential, gss_buffer_set_t *ret_set)
{
	struct mech_name *name = NULL;
	struct bytes spki;
	enum err status = mech_credential_key(credential, &name, &spki);

	if (status == ERR_OK) {
		const char *text = mech_name_display(name);
		struct bytes members[] = { BYTES((const uint8_t *)text, strlen(text)), spki };

		status = plugin_set_new(members, sizeof(members) / sizeof(members[0]), ret_set);
	}
	mech_name_release(&name);
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_inquire_cred_by_oid(OM_uint32 *minor_status,
	const gss_cred_id_t cred_handle, const gss_OID desired_object, gss_buffer_set_t *data_set)
{
	if (data_set == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*data_set = GSS_C_NO_BUFFER_SET;
	if (!plugin_oid_equal(desired_object, plugin_inquiry_credential_key))
		return plugin_status(minor_status, ERR_UNSUPPORTED);
	if (cred_handle == GSS_C_NO_CREDENTIAL)
		return plugin_status(minor_status, ERR_NO_IDENTITY);
	return plugin_status(minor_status, inquire_key(plugin_credential(cred_handle), data_set));
}
