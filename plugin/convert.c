/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * GSS-API's buffers, bindings and option values to mech/'s types and back.  What goes to the
 * program is plain malloc, since libgssapi frees it.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

struct bytes plugin_buffer_view(const gss_buffer_desc *buffer)
{
	if (buffer == NULL || buffer->value == NULL)
		return BYTES_NONE;
	return BYTES(buffer->value, buffer->length);
}

bool plugin_buffer_is_there(const gss_buffer_desc *buffer)
{
	return buffer != NULL && (buffer->value != NULL || buffer->length == 0);
}

void plugin_buffer_clear(gss_buffer_t buffer)
{
	if (buffer == NULL)
		return;
	buffer->length = 0;
	buffer->value = NULL;
}

void plugin_buffer_free(gss_buffer_t buffer)
{
	if (buffer == NULL)
		return;
	free(buffer->value);
	plugin_buffer_clear(buffer);
}

enum err plugin_buffer_set_text(gss_buffer_t buffer, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		return ERR_NO_MEMORY;
	buffer->length = strlen(copy);
	buffer->value = copy;
	return ERR_OK;
}

enum err plugin_buffer_take(gss_buffer_t buffer, struct writer *w)
{
	uint8_t *data = NULL;
	size_t len = 0;
	enum err status = writer_status(w);

	if (status != ERR_OK)
		return status;
	if (writer_len(w) == 0) {
		plugin_buffer_clear(buffer);
		return ERR_OK;
	}
	status = writer_take(w, &data, &len);
	if (status != ERR_OK)
		return status;
	buffer->length = len;
	buffer->value = data;
	return ERR_OK;
}

struct mech_bindings plugin_bindings_view(const struct gss_channel_bindings_struct *bindings)
{
	struct mech_bindings view = { .present = false };

	if (bindings == NULL)
		return view;
	view.present = true;
	view.initiator_type = bindings->initiator_addrtype;
	view.acceptor_type = bindings->acceptor_addrtype;
	view.initiator_address = plugin_buffer_view(&bindings->initiator_address);
	view.acceptor_address = plugin_buffer_view(&bindings->acceptor_address);
	view.application_data = plugin_buffer_view(&bindings->application_data);
	return view;
}

enum err plugin_descriptor_read(struct bytes value, int *ret_fd)
{
	struct reader r;
	uint32_t fd;

	reader_init(&r, value);
	fd = reader_get_u32(&r);
	if (reader_finish(&r) != ERR_OK || fd > INT_MAX) {
		mech_set_detail(ERR_ARGUMENT, "a descriptor is 4 octets, big-endian");
		return ERR_ARGUMENT;
	}
	*ret_fd = (int)fd;
	return ERR_OK;
}

enum err plugin_mech_check(gss_const_OID oid)
{
	if (oid == GSS_C_NO_OID || plugin_oid_equal(oid, plugin_mech_oid))
		return ERR_OK;
	return ERR_UNSUPPORTED;
}

static void set_free(gss_buffer_set_t set)
{
	for (size_t i = 0; set->elements != NULL && i < set->count; i++)
		free(set->elements[i].value);
	free(set->elements);
	free(set);
}

enum err plugin_set_new(const struct bytes *members, size_t count, gss_buffer_set_t *ret_set)
{
	gss_buffer_set_t set = calloc(1, sizeof(*set));

	if (set == NULL)
		return ERR_NO_MEMORY;
	set->count = count;
	set->elements = calloc(count != 0 ? count : 1, sizeof(*set->elements));
	for (size_t i = 0; set->elements != NULL && i < count; i++) {
		char *octets = malloc(members[i].len + 1);

		if (octets == NULL)
			goto out;
		if (members[i].len != 0)
			memcpy(octets, members[i].data, members[i].len);
		octets[members[i].len] = '\0';
		set->elements[i] = (gss_buffer_desc){ members[i].len, octets };
	}
	if (set->elements == NULL)
		goto out;
	*ret_set = set;
	return ERR_OK;
out:
	set_free(set);
	return ERR_NO_MEMORY;
}
