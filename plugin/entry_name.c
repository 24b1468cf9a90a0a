/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points for names.  A gss_name_t of this mechanism is a reference to a struct mech_name. */
#include <stddef.h>
#include <string.h>

#include "base/config.h"
#include "plugin/plugin.h"

/* How the text of each name type is read. */
struct name_type_row {
	const gss_OID *type;
	enum mech_name_form form;
};

static const struct name_type_row name_types[] = {
	{ &plugin_type_user, MECH_FORM_USER },
	{ &plugin_type_hostbased, MECH_FORM_HOSTBASED },
	{ &plugin_type_hostbased_x, MECH_FORM_HOSTBASED },
	{ &plugin_type_anonymous, MECH_FORM_ANONYMOUS },
	{ &plugin_type_export, MECH_FORM_EXPORTED },
	{ &plugin_type_composite, MECH_FORM_EXPORTED }, /* name_import knows better */
	{ &plugin_public_key_name_type, MECH_FORM_KEY },
};

#define NAME_TYPES (sizeof(name_types) / sizeof(name_types[0]))

/* No type at all is a user name's: the mechglue re-imports display texts without one. */
static enum err name_form_of_type(gss_const_OID type, enum mech_name_form *ret_form)
{
	if (type == GSS_C_NO_OID) {
		*ret_form = MECH_FORM_USER;
		return ERR_OK;
	}
	for (size_t i = 0; i < NAME_TYPES; i++) {
		if (plugin_oid_equal(type, *name_types[i].type)) {
			*ret_form = name_types[i].form;
			return ERR_OK;
		}
	}
	return ERR_NAME_TYPE;
}

/* A user name without a domain takes the configured one; a faulty configuration gives none. */
static enum err name_import_user(struct bytes text, struct mech_name **ret_name)
{
	struct config *config = NULL;
	const char *domain = NULL;
	enum err status;

	status = config_peek(&config);
	if (status == ERR_NO_MEMORY)
		return status;
	if (status == ERR_OK)
		domain = config_default_domain(config);
	status = mech_name_import(MECH_FORM_USER, text, domain, ret_name);
	config_release(&config);
	return status;
}

static enum err name_import_composite(struct bytes token, struct mech_name **ret_name)
{
	enum err status = plugin_framing_composite_read(token, &token);

	return status == ERR_OK ? mech_name_import_composite(token, ret_name) : status;
}

static enum err name_import(gss_const_OID type, struct bytes text, struct mech_name **ret_name)
{
	enum mech_name_form form;
	enum err status;

	if (type != GSS_C_NO_OID && plugin_oid_equal(type, plugin_type_composite))
		return name_import_composite(text, ret_name);
	status = name_form_of_type(type, &form);
	if (status == ERR_OK && form == MECH_FORM_USER)
		return name_import_user(text, ret_name);
	if (status == ERR_OK && form == MECH_FORM_EXPORTED)
		status = plugin_framing_name_read(text, &text);
	if (status != ERR_OK)
		return status;
	return mech_name_import(form, text, NULL, ret_name);
}

PLUGIN_EXPORT OM_uint32 gss_import_name(OM_uint32 *minor_status, gss_buffer_t input_name_buffer,
	gss_OID input_name_type, gss_name_t *output_name)
{
	struct mech_name *name = NULL;
	enum err status;

	if (output_name == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*output_name = GSS_C_NO_NAME;
	status = name_import(input_name_type, plugin_buffer_view(input_name_buffer), &name);
	if (status == ERR_OK)
		*output_name = plugin_name_handle(name);
	return plugin_status(minor_status, status);
}

/* The display text of every name is read as a user name, which is thus its type ("svc/host" is no
 * text of the host-based type). */
static const char *name_display_type(const struct mech_name *name)
{
	return mech_name_kind(name) == MECH_NAME_ANONYMOUS ? "GSS_C_NT_ANONYMOUS"
							   : "GSS_C_NT_USER_NAME";
}

PLUGIN_EXPORT OM_uint32 gss_display_name(OM_uint32 *minor_status, gss_name_t input_name,
	gss_buffer_t output_name_buffer, gss_OID *output_name_type)
{
	const struct mech_name *name = plugin_name(input_name);
	gss_OID type = GSS_C_NO_OID;
	enum err status = ERR_OK;

	plugin_buffer_clear(output_name_buffer);
	if (output_name_type != NULL)
		*output_name_type = GSS_C_NO_OID;
	if (name == NULL)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	if (output_name_type != NULL)
		status = plugin_libgssapi_oid(
			__builtin_return_address(0), name_display_type(name), &type);
	if (status == ERR_OK && output_name_buffer != GSS_C_NO_BUFFER)
		status = plugin_buffer_set_text(output_name_buffer, mech_name_display(name));
	if (status == ERR_OK && output_name_type != NULL)
		*output_name_type = type;
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_compare_name(
	OM_uint32 *minor_status, gss_name_t name1, gss_name_t name2, int *name_equal)
{
	const struct mech_name *a = plugin_name(name1), *b = plugin_name(name2);

	if (name_equal == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*name_equal = 0;
	if (a == NULL || b == NULL)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	/* RFC 2744 5.6: an anonymous principal is not the same as any other. */
	*name_equal = mech_name_kind(a) != MECH_NAME_ANONYMOUS && mech_name_equal(a, b);
	return plugin_status(minor_status, ERR_OK);
}

PLUGIN_EXPORT OM_uint32 gss_release_name(OM_uint32 *minor_status, gss_name_t *name)
{
	if (name != NULL) {
		struct mech_name *released = plugin_name(*name);

		mech_name_release(&released);
		*name = GSS_C_NO_NAME;
	}
	return plugin_status(minor_status, ERR_OK);
}

PLUGIN_EXPORT OM_uint32 gss_duplicate_name(
	OM_uint32 *minor_status, const gss_name_t input_name, gss_name_t *dest_name)
{
	if (dest_name == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*dest_name = GSS_C_NO_NAME;
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	*dest_name = plugin_name_handle(mech_name_ref(plugin_name(input_name)));
	return plugin_status(minor_status, ERR_OK);
}

/* As svc@host, if there are both parts. */
static enum err name_show_hostbased(const struct mech_name *name, struct writer *w)
{
	const char *service = mech_name_service(name), *host = mech_name_host(name);

	if (mech_name_kind(name) != MECH_NAME_HOSTBASED || service[0] == '\0')
		return ERR_NAME_TYPE;
	writer_put_bytes(w, BYTES((const uint8_t *)service, strlen(service)));
	if (host[0] != '\0')
		writer_put_u8(w, '@');
	writer_put_bytes(w, BYTES((const uint8_t *)host, strlen(host)));
	return writer_status(w);
}

/* The text that imports with this type as an equal name; ERR_NAME_TYPE when there is none. */
static enum err name_show_as(
	const struct mech_name *name, enum mech_name_form form, struct writer *w)
{
	const char *text = mech_name_display(name);

	if (form == MECH_FORM_HOSTBASED)
		return name_show_hostbased(name, w);
	if (form == MECH_FORM_EXPORTED ||
		(form == MECH_FORM_KEY && mech_name_kind(name) != MECH_NAME_KEY) ||
		(form == MECH_FORM_ANONYMOUS && mech_name_kind(name) != MECH_NAME_ANONYMOUS))
		return ERR_NAME_TYPE;
	writer_put_bytes(w, BYTES((const uint8_t *)text, strlen(text)));
	return writer_status(w);
}

PLUGIN_EXPORT OM_uint32 gss_display_name_ext(OM_uint32 *minor_status, gss_name_t input_name,
	gss_OID display_as_name_type, gss_buffer_t display_name)
{
	enum mech_name_form form;
	struct writer w;
	enum err status;

	if (display_name == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(display_name);
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	writer_init(&w, MECH_NAME_BYTES_MAX + 1);
	status = name_form_of_type(display_as_name_type, &form);
	if (status == ERR_OK)
		status = name_show_as(plugin_name(input_name), form, &w);
	/* Programs take what is shown for a string. */
	writer_put_u8(&w, '\0');
	if (status == ERR_OK)
		status = writer_status(&w);
	if (status == ERR_OK)
		status = plugin_buffer_set_text(display_name, (const char *)writer_view(&w).data);
	writer_free(&w);
	/* RFC 6680 7.3 */
	if (status == ERR_NAME_TYPE)
		return plugin_status_as(minor_status, GSS_S_UNAVAILABLE, status);
	return plugin_status(minor_status, status);
}

/* What stands in the token, and what stands before it. */
struct name_token {
	enum err (*put)(const struct mech_name *name, struct writer *w);
	enum err (*frame)(struct bytes inner, struct writer *w);
};

static const struct name_token name_token_exported = { mech_name_export,
	plugin_framing_name_write };
static const struct name_token name_token_composite = { mech_name_export_composite,
	plugin_framing_composite_write };

static enum err name_export(
	const struct mech_name *name, const struct name_token *kind, gss_buffer_t ret_token)
{
	struct writer inner, token;
	enum err status;

	writer_init(&inner, PLUGIN_NAME_TOKEN_BYTES_MAX);
	writer_init(&token, PLUGIN_NAME_TOKEN_BYTES_MAX + 64);
	status = kind->put(name, &inner);
	if (status == ERR_OK)
		status = kind->frame(writer_view(&inner), &token);
	if (status == ERR_OK)
		status = plugin_buffer_take(ret_token, &token);
	writer_free(&inner);
	writer_free(&token);
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_export_name(
	OM_uint32 *minor_status, const gss_name_t input_name, gss_buffer_t exported_name)
{
	if (exported_name == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(exported_name);
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	return plugin_status(minor_status,
		name_export(plugin_name(input_name), &name_token_exported, exported_name));
}

PLUGIN_EXPORT OM_uint32 gss_export_name_composite(
	OM_uint32 *minor_status, gss_name_t input_name, gss_buffer_t exp_composite_name)
{
	if (exp_composite_name == GSS_C_NO_BUFFER)
		return plugin_status(minor_status, ERR_ARGUMENT);
	plugin_buffer_clear(exp_composite_name);
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	return plugin_status(minor_status,
		name_export(plugin_name(input_name), &name_token_composite, exp_composite_name));
}

PLUGIN_EXPORT OM_uint32 gss_inquire_names_for_mech(
	OM_uint32 *minor_status, gss_OID mechanism, gss_OID_set *name_types_set)
{
	gss_OID_set set = GSS_C_NO_OID_SET;
	enum err status = ERR_OK;

	if (name_types_set == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*name_types_set = GSS_C_NO_OID_SET;
	if (plugin_mech_check(mechanism) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	for (size_t i = 0; i < NAME_TYPES && status == ERR_OK; i++)
		status = plugin_oid_set_add(*name_types[i].type, &set);
	if (status != ERR_OK)
		plugin_oid_set_free(&set);
	*name_types_set = set;
	return plugin_status(minor_status, status);
}
