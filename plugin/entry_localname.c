/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Entry points that ask which local user a name may be.  The rules are [localname]'s in the
 * configuration of the process, which is read anew when it changed.
 */
#include <string.h>

#include "base/config.h"
#include "plugin/plugin.h"

enum err plugin_localname(
	const struct mech_name *name, char ret_user[MECH_LOCAL_USER_BYTES_MAX + 1])
{
	struct config *config = NULL;
	enum err status = config_get(&config);

	if (status == ERR_OK)
		status = mech_localname(config, name, ret_user);
	config_release(&config);
	return status;
}

/* In these calls there is no credential that could be missing: a faulty configuration is a failure. */
static OM_uint32 localname_status(OM_uint32 *minor_status, OM_uint32 unmapped, enum err status)
{
	if (status == ERR_LOCALNAME)
		return plugin_status_as(minor_status, unmapped, status);
	if (status == ERR_CONFIG)
		return plugin_status_as(minor_status, GSS_S_FAILURE, status);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_localname(OM_uint32 *minor_status, const gss_name_t name,
	gss_const_OID mech_type, gss_buffer_t localname)
{
	char user[MECH_LOCAL_USER_BYTES_MAX + 1];
	enum err status;

	if (localname == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(localname);
	if (plugin_mech_check(mech_type) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	if (name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	status = plugin_localname(plugin_name(name), user);
	if (status == ERR_OK)
		status = plugin_buffer_set_text(localname, user);
	return localname_status(minor_status, GSS_S_UNAVAILABLE, status);
}

/* Never UNAVAILABLE: the mechglue would then compare the name with the user's name as such, and with
 * a default domain root@domain would be root. */
PLUGIN_EXPORT OM_uint32 gssspi_authorize_localname(OM_uint32 *minor_status, const gss_name_t name,
	gss_const_buffer_t local_user, gss_const_OID local_name_type)
{
	char user[MECH_LOCAL_USER_BYTES_MAX + 1];
	struct bytes wanted = plugin_buffer_view(local_user);
	enum err status;

	if (name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	if (local_name_type != GSS_C_NO_OID && !plugin_oid_equal(local_name_type, plugin_type_user))
		return plugin_status(minor_status, ERR_NAME_TYPE);
	status = plugin_localname(plugin_name(name), user);
	if (status == ERR_OK && !bytes_equal(wanted, BYTES((const uint8_t *)user, strlen(user)))) {
		mech_set_detail(ERR_LOCALNAME, "%s is %s here, and no other",
			mech_name_display(plugin_name(name)), user);
		status = ERR_LOCALNAME;
	}
	return localname_status(minor_status, GSS_S_UNAUTHORIZED, status);
}
