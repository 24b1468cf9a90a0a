/* SPDX-License-Identifier: BSD-2-Clause */
/* Status codes: majors from base/error.h's table, minors are its numbers, and their texts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "plugin/plugin.h"

#define STATUS_TEXT_BYTES_MAX 1024

struct status_row {
	unsigned int code;
	OM_uint32 major;
};

static const struct status_row status_rows[] = {
#define X(name, number, major, tell, text) { number, GSS_S_##major },
	ERROR_TABLE(X)
#undef X
};

#define STATUS_ROWS (sizeof(status_rows) / sizeof(status_rows[0]))

/* Reasons why there is no latch have no row of their own: FAILURE, as ERR_LATCH. */
static OM_uint32 status_major(enum err code)
{
	for (size_t i = 0; i < STATUS_ROWS; i++) {
		if (status_rows[i].code == (unsigned int)code)
			return status_rows[i].major;
	}
	return GSS_S_FAILURE;
}

OM_uint32 plugin_status_as(OM_uint32 *minor, OM_uint32 major, enum err code)
{
	if (minor != NULL)
		*minor = (OM_uint32)code;
	mech_settle_details(code);
	return major;
}

OM_uint32 plugin_message_status(OM_uint32 *minor, enum err code)
{
	return plugin_status_as(minor, status_major(code), code);
}

OM_uint32 plugin_status(OM_uint32 *minor, enum err code)
{
	OM_uint32 major = status_major(code);

	/* RFC 2743 1.2.3: a duplicate token is fatal while a context is being established, but its
	 * bit alone is none that GSS_ERROR() looks at. */
	if (code != ERR_OK && !GSS_ERROR(major))
		major |= GSS_S_FAILURE;
	return plugin_status_as(minor, major, code);
}

/* What is known beyond the table's sentence; "" when nothing is. */
static const char *status_detail(unsigned int code)
{
	const char *detail = mech_last_detail(code);

	if (code == ERR_CONFIG && detail[0] == '\0')
		return config_last_error();
	return detail;
}

PLUGIN_EXPORT OM_uint32 gss_display_status(OM_uint32 *minor_status, OM_uint32 status_value,
	int status_type, gss_OID mech_type, OM_uint32 *message_context, gss_buffer_t status_string)
{
	char text[STATUS_TEXT_BYTES_MAX];
	const char *detail;

	plugin_buffer_clear(status_string);
	if (message_context != NULL)
		*message_context = 0;
	if (status_type != GSS_C_MECH_CODE)
		return plugin_status_as(minor_status, GSS_S_BAD_STATUS, ERR_ARGUMENT);
	if (plugin_mech_check(mech_type) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	if (status_string == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	detail = status_value == ERR_OK ? "" : status_detail(status_value);
	/* A text that does not fit is cut, which is what a reader of it can use best. */
	(void)snprintf(text, sizeof(text), "%s%s%s", error_text(status_value),
		detail[0] == '\0' ? "" : ": ", detail);
	return plugin_status(minor_status, plugin_buffer_set_text(status_string, text));
}
