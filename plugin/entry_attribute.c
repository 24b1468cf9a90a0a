/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Name attributes (RFC 6680): what was seen of a peer when its context was established, each a row
 * of one table.  A program can read them and nothing else: what it could set would not have been
 * seen.  "authenticated" is true for what this side saw or looked up itself once AUTH had verified.
 */
#include <string.h>

#include "plugin/plugin.h"

#define ATTRIBUTE_BYTES_MAX 128

struct attribute {
	struct writer value;
	char shown[ATTRIBUTE_BYTES_MAX]; /* what people read; "": the value itself */
	bool is_authenticated;
	enum err absent; /* why there is no value, for the attribute that is never refused */
};

/* Writes what the name has; false when it has nothing. */
typedef bool attribute_reader(const struct mech_name *name, struct attribute *attribute);

static void attribute_put_text(struct attribute *attribute, const char *text)
{
	writer_put_bytes(&attribute->value, BYTES((const uint8_t *)text, strlen(text)));
}

static bool attribute_method(const struct mech_name *name, struct attribute *attribute)
{
	const struct mech_facts *facts = mech_name_facts(name);

	if (facts == NULL)
		return false;
	attribute_put_text(attribute, facts->method);
	return true;
}

static bool attribute_key(const struct mech_name *name, struct attribute *attribute)
{
	const struct mech_facts *facts = mech_name_facts(name);
	struct mech_name *key = NULL;

	if (facts == NULL || !facts->has_digest)
		return false;
	writer_put_bytes(&attribute->value, BYTES_OF(facts->digest));
	if (mech_name_of_key(facts->digest, &key) != ERR_OK) {
		writer_fail(&attribute->value, ERR_NO_MEMORY);
		return true;
	}
	stpncpy(attribute->shown, mech_name_display(key), ATTRIBUTE_BYTES_MAX - 1);
	mech_name_release(&key);
	return true;
}

static bool attribute_latch(const struct mech_name *name, struct attribute *attribute)
{
	const struct mech_facts *facts = mech_name_facts(name);

	if (facts == NULL)
		return false;
	writer_put_u32(&attribute->value, facts->reason);
	stpncpy(attribute->shown, latch_reason_word(facts->reason), ATTRIBUTE_BYTES_MAX - 1);
	return true;
}

static bool attribute_entry(const struct mech_name *name, struct attribute *attribute)
{
	const struct mech_facts *facts = mech_name_facts(name);

	if (facts == NULL || facts->entry[0] == '\0')
		return false;
	attribute_put_text(attribute, facts->entry);
	return true;
}

/* Of a name that was only imported nobody knows whose it is: there it is a proposal. */
static bool attribute_local_user(const struct mech_name *name, struct attribute *attribute)
{
	char user[MECH_LOCAL_USER_BYTES_MAX + 1];

	attribute->absent = plugin_localname(name, user);
	if (attribute->absent != ERR_OK)
		return false;
	attribute_put_text(attribute, user);
	return true;
}

struct attribute_row {
	const char *name;
	attribute_reader *read;
	/*
	 * Never refused: without a value it is empty and not authenticated.  The mechglue takes an
	 * attribute that is not there for leave to compare the name, as SPNEGO has it, with the local
	 * user's; with a default domain root@domain would be root.
	 */
	bool is_always_there;
};

static const struct attribute_row attribute_rows[] = {
	{ GSS_IPSEC_ATTRIBUTE_METHOD, attribute_method, false },
	{ GSS_IPSEC_ATTRIBUTE_KEY, attribute_key, false },
	{ GSS_IPSEC_ATTRIBUTE_LATCH, attribute_latch, false },
	{ GSS_IPSEC_ATTRIBUTE_PEER, attribute_entry, false },
	{ "local-login-user", attribute_local_user, true },
};

#define ATTRIBUTE_ROWS (sizeof(attribute_rows) / sizeof(attribute_rows[0]))

static const struct attribute_row *attribute_find(const gss_buffer_desc *wanted)
{
	struct bytes text = plugin_buffer_view(wanted);

	for (size_t i = 0; i < ATTRIBUTE_ROWS; i++) {
		const char *name = attribute_rows[i].name;

		if (bytes_equal(text, BYTES((const uint8_t *)name, strlen(name))))
			return &attribute_rows[i];
	}
	return NULL;
}

static void attribute_init(struct attribute *attribute)
{
	*attribute = (struct attribute){ .is_authenticated = false };
	writer_init(&attribute->value, ATTRIBUTE_BYTES_MAX);
}

/* ERR_NAME_ATTRIBUTE when the name has none of that kind.  The caller frees attribute->value. */
static enum err attribute_read(
	const struct mech_name *name, const struct attribute_row *row, struct attribute *attribute)
{
	const struct mech_facts *facts = mech_name_facts(name);

	attribute_init(attribute);
	/* RFC 6680 7.5: of a peer that proved nothing (RFC 7619) nothing is authenticated. */
	attribute->is_authenticated = facts != NULL && facts->has_digest;
	if (row->read(name, attribute))
		return writer_status(&attribute->value);
	attribute->is_authenticated = false;
	return row->is_always_there ? ERR_OK : ERR_NAME_ATTRIBUTE;
}

PLUGIN_EXPORT OM_uint32 gss_inquire_name(OM_uint32 *minor_status, gss_name_t input_name,
	int *name_is_MN, gss_OID *MN_mech, gss_buffer_set_t *attributes)
{
	struct bytes members[ATTRIBUTE_ROWS];
	size_t count = 0;

	if (name_is_MN != NULL)
		*name_is_MN = 1;
	if (MN_mech != NULL)
		*MN_mech = plugin_mech_oid;
	if (attributes == NULL)
		return plugin_status(minor_status, ERR_OK);
	*attributes = GSS_C_NO_BUFFER_SET;
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	for (size_t i = 0; i < ATTRIBUTE_ROWS; i++) {
		const char *name = attribute_rows[i].name;
		struct attribute attribute;

		attribute_init(&attribute);
		if (attribute_rows[i].read(plugin_name(input_name), &attribute))
			members[count++] = BYTES((const uint8_t *)name, strlen(name));
		writer_free(&attribute.value);
	}
	/* A name without any has no set. */
	if (count == 0)
		return plugin_status(minor_status, ERR_OK);
	return plugin_status(minor_status, plugin_set_new(members, count, attributes));
}

/* value and display_value may be NULL each. */
static enum err attribute_hand_over(
	struct attribute *attribute, gss_buffer_t value, gss_buffer_t display_value)
{
	enum err status = ERR_OK;

	/* Text shows as it is. */
	if (attribute->shown[0] == '\0' && writer_len(&attribute->value) > 0)
		memcpy(attribute->shown, writer_view(&attribute->value).data,
			writer_len(&attribute->value));
	/* gss_release_buffer() frees no buffer of length 0. */
	if (display_value != GSS_C_NO_BUFFER && attribute->shown[0] != '\0')
		status = plugin_buffer_set_text(display_value, attribute->shown);
	if (status == ERR_OK && value != GSS_C_NO_BUFFER)
		status = plugin_buffer_take(value, &attribute->value);
	if (status != ERR_OK && display_value != GSS_C_NO_BUFFER)
		plugin_buffer_free(display_value);
	return status;
}

PLUGIN_EXPORT OM_uint32 gss_get_name_attribute(OM_uint32 *minor_status, gss_name_t input_name,
	gss_buffer_t attr, int *authenticated, int *complete, gss_buffer_t value,
	gss_buffer_t display_value, int *more)
{
	const struct attribute_row *row = attribute_find(attr);
	struct attribute attribute;
	enum err status;

	plugin_buffer_clear(value);
	plugin_buffer_clear(display_value);
	if (authenticated != NULL)
		*authenticated = 0;
	if (complete != NULL)
		*complete = 0;
	if (more != NULL)
		*more = 0;
	if (input_name == GSS_C_NO_NAME)
		return plugin_status(minor_status, ERR_NAME_FORMAT);
	if (row == NULL)
		return plugin_status(minor_status, ERR_NAME_ATTRIBUTE);
	status = attribute_read(plugin_name(input_name), row, &attribute);
	if (status == ERR_OK)
		status = attribute_hand_over(&attribute, value, display_value);
	if (status == ERR_OK && authenticated != NULL)
		*authenticated = attribute.is_authenticated;
	if (status == ERR_OK && complete != NULL)
		*complete = 1;
	writer_free(&attribute.value);
	/* What gss_localname() hands on when it has no user. */
	if (status == ERR_OK && attribute.absent != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_COMPLETE, attribute.absent);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_set_name_attribute(OM_uint32 *minor_status, gss_name_t input_name,
	int complete, gss_buffer_t attr, gss_buffer_t value)
{
	(void)input_name;
	(void)complete;
	(void)value;
	/* RFC 6680 7.6: FAILURE where the mechanism does not know the attribute. */
	if (attribute_find(attr) == NULL)
		return plugin_status_as(minor_status, GSS_S_FAILURE, ERR_NAME_ATTRIBUTE);
	return plugin_status(minor_status, ERR_NAME_ATTRIBUTE);
}

PLUGIN_EXPORT OM_uint32 gss_delete_name_attribute(
	OM_uint32 *minor_status, gss_name_t input_name, gss_buffer_t attr)
{
	(void)input_name;
	/* RFC 6680 7.7 */
	if (attribute_find(attr) != NULL)
		return plugin_status_as(minor_status, GSS_S_UNAUTHORIZED, ERR_NAME_ATTRIBUTE);
	return plugin_status(minor_status, ERR_NAME_ATTRIBUTE);
}

PLUGIN_EXPORT OM_uint32 gss_map_name_to_any(OM_uint32 *minor_status, gss_name_t input_name,
	int authenticated, gss_buffer_t type_id, gss_any_t *output)
{
	(void)input_name;
	(void)authenticated;
	(void)type_id;
	if (output != NULL)
		*output = NULL;
	return plugin_status(minor_status, ERR_UNSUPPORTED);
}

PLUGIN_EXPORT OM_uint32 gss_release_any_name_mapping(
	OM_uint32 *minor_status, gss_name_t input_name, gss_buffer_t type_id, gss_any_t *input)
{
	(void)input_name;
	(void)type_id;
	(void)input;
	return plugin_status(minor_status, ERR_UNSUPPORTED);
}
