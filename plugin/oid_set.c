/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sets of OIDs for the program, which frees them with gss_release_oid_set(): plain malloc, like
 * libgssapi's.  Made here, since nothing of libgssapi is linked (plugin.h).
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"

static bool oid_copy(gss_const_OID oid, gss_OID ret_copy)
{
	void *elements = malloc(oid->length);

	if (elements == NULL)
		return false;
	memcpy(elements, oid->elements, oid->length);
	*ret_copy = (gss_OID_desc){ oid->length, elements };
	return true;
}

enum err plugin_oid_set_add(gss_const_OID oid, gss_OID_set *set)
{
	gss_OID_set target = *set != GSS_C_NO_OID_SET ? *set : calloc(1, sizeof(*target));
	gss_OID larger;

	if (target == NULL)
		return ERR_NO_MEMORY;
	*set = target;
	larger = reallocarray(target->elements, target->count + 1, sizeof(*larger));
	if (larger == NULL)
		return ERR_NO_MEMORY;
	target->elements = larger;
	if (!oid_copy(oid, &larger[target->count]))
		return ERR_NO_MEMORY;
	target->count++;
	return ERR_OK;
}

enum err plugin_oid_set_new(gss_const_OID oid, gss_OID_set *ret_set)
{
	gss_OID_set set = GSS_C_NO_OID_SET;
	enum err status = plugin_oid_set_add(oid, &set);

	if (status != ERR_OK) {
		plugin_oid_set_free(&set);
		return status;
	}
	*ret_set = set;
	return ERR_OK;
}

void plugin_oid_set_free(gss_OID_set *set)
{
	if (*set == GSS_C_NO_OID_SET)
		return;
	for (size_t i = 0; i < (*set)->count; i++)
		free((*set)->elements[i].elements);
	free((*set)->elements);
	free(*set);
	*set = GSS_C_NO_OID_SET;
}
