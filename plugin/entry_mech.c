/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points about the mechanism itself: OIDs, attributes (RFC 5587), SASL name (RFC 5801). */
#include <stddef.h>
#include <string.h>

#include "base/config.h"
#include "plugin/plugin.h"

/*
 * RFC 5587 3.4: 1.3.6.1.5.5.13 and one arc more.  Written here and not taken from libgssapi's
 * GSS_C_MA_*: the loader would look each of these up in every program that lists mechanisms,
 * whether it uses this one or not (bench/starts.sh).
 */
#define MECH_ATTRIBUTE_ARCS 0x2b, 6, 1, 5, 5, 13

enum mech_attribute {
	MECH_CONCRETE = 1,
	ITOK_FRAMED = 9,
	AUTH_INIT = 10,
	AUTH_TARG = 11,
	AUTH_INIT_ANON = 14,
	AUTH_TARG_ANON = 15,
	INTEG_PROT = 17,
	CONF_PROT = 18,
	MIC = 19,
	WRAP = 20,
	REPLAY_DET = 22,
	OOS_DET = 23,
	CBINDINGS = 24,
	PFS = 25,
	CTX_TRANS = 27
};

/* True ones only.  PROT_READY (RFC 5587 3.1: protection before full establishment) is not; those of
 * authentication and anonymity come below. */
static const uint8_t mech_attributes[] = {
	MECH_CONCRETE,
	ITOK_FRAMED,
	INTEG_PROT,
	CONF_PROT,
	MIC,
	WRAP,
	REPLAY_DET,
	OOS_DET,
	CBINDINGS,
	CTX_TRANS,
	PFS,
};

#define MECH_ATTRIBUTES (sizeof(mech_attributes) / sizeof(mech_attributes[0]))

#define MECH_NAME_TEXT "ipsec"
#define MECH_DESCRIPTION_TEXT \
	"IKEv2 authentication that protects the program's own connection with IPsec"

static enum err mech_attribute_add(uint8_t attribute, gss_OID_set *set)
{
	uint8_t arcs[] = { MECH_ATTRIBUTE_ARCS, attribute };
	gss_OID_desc member = { sizeof(arcs), arcs };

	return plugin_oid_set_add(&member, set);
}

/*
 * A process that has no identity authenticates nobody, and Cyrus SASL offers, and prefers, every
 * mechanism that says it does: slapd on a host where this one is merely installed.
 *
 * Nobody is anonymous where the configuration does not say so, and Cyrus SASL leaves a mechanism with
 * these attributes out where a program wants none that lets anybody in (slapd's "noanonymous").
 */
static enum err mech_attribute_add_configured(gss_OID_set *set)
{
	struct config *config = NULL;
	enum err status = ERR_OK;
	enum err seen = config_peek(&config);
	bool can_be;

	if (seen != ERR_OK)
		return seen == ERR_NO_MEMORY ? seen : ERR_OK;
	can_be = mech_credential_is_possible(config);
	if (can_be)
		status = mech_attribute_add(AUTH_INIT, set);
	if (can_be && status == ERR_OK)
		status = mech_attribute_add(AUTH_TARG, set);
	if (status == ERR_OK && config_has_anonymous(config, true))
		status = mech_attribute_add(AUTH_INIT_ANON, set);
	if (status == ERR_OK && config_has_anonymous(config, false))
		status = mech_attribute_add(AUTH_TARG_ANON, set);
	config_release(&config);
	return status;
}

static enum err mech_attribute_set_new(gss_OID_set *ret_set)
{
	gss_OID_set set = GSS_C_NO_OID_SET;
	enum err status = ERR_OK;

	for (size_t i = 0; i < MECH_ATTRIBUTES && status == ERR_OK; i++)
		status = mech_attribute_add(mech_attributes[i], &set);
	if (status == ERR_OK)
		status = mech_attribute_add_configured(&set);
	if (status != ERR_OK) {
		plugin_oid_set_free(&set);
		return status;
	}
	*ret_set = set;
	return ERR_OK;
}

PLUGIN_EXPORT OM_uint32 gss_inquire_attrs_for_mech(OM_uint32 *minor_status, gss_const_OID mech,
	gss_OID_set *mech_attrs, gss_OID_set *known_mech_attrs)
{
	gss_OID_set ours = GSS_C_NO_OID_SET;
	enum err status = ERR_OK;

	/* The mechglue's own list: all of RFC 5587's have been considered here, and libgssapi fills
	 * in which those are. */
	if (known_mech_attrs != NULL)
		*known_mech_attrs = GSS_C_NO_OID_SET;
	if (plugin_mech_check(mech) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	if (mech_attrs != NULL)
		status = mech_attribute_set_new(&ours);
	if (mech_attrs != NULL)
		*mech_attrs = ours;
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_indicate_mechs(OM_uint32 *minor_status, gss_OID_set *mech_set)
{
	enum err status;

	if (mech_set == NULL)
		return plugin_status(minor_status, ERR_ARGUMENT);
	*mech_set = GSS_C_NO_OID_SET;
	status = plugin_oid_set_new(plugin_mech_oid, mech_set);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_inquire_saslname_for_mech(OM_uint32 *minor_status,
	const gss_OID desired_mech, gss_buffer_t sasl_mech_name, gss_buffer_t mech_name,
	gss_buffer_t mech_description)
{
	const struct {
		gss_buffer_t buffer;
		const char *text;
	} answers[] = {
		{ sasl_mech_name, GSS_IPSEC_SASL_NAME },
		{ mech_name, MECH_NAME_TEXT },
		{ mech_description, MECH_DESCRIPTION_TEXT },
	};
	enum err status = ERR_OK;

	for (size_t i = 0; i < 3; i++)
		plugin_buffer_clear(answers[i].buffer);
	if (plugin_mech_check(desired_mech) != ERR_OK)
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	for (size_t i = 0; i < 3 && status == ERR_OK; i++) {
		if (answers[i].buffer != GSS_C_NO_BUFFER)
			status = plugin_buffer_set_text(answers[i].buffer, answers[i].text);
	}
	for (size_t i = 0; i < 3 && status != ERR_OK; i++)
		plugin_buffer_free(answers[i].buffer);
	return plugin_status(minor_status, status);
}

PLUGIN_EXPORT OM_uint32 gss_inquire_mech_for_saslname(
	OM_uint32 *minor_status, const gss_buffer_t sasl_mech_name, gss_OID *mech_type)
{
	static const char name[] = GSS_IPSEC_SASL_NAME;
	struct bytes ours = BYTES((const uint8_t *)name, sizeof(name) - 1);

	if (mech_type != NULL)
		*mech_type = GSS_C_NO_OID;
	/* Any other error would end the mechglue's search among the mechanisms behind this one. */
	if (!bytes_equal(plugin_buffer_view(sasl_mech_name), ours))
		return plugin_status_as(minor_status, GSS_S_BAD_MECH, ERR_UNSUPPORTED);
	if (mech_type != NULL)
		*mech_type = plugin_mech_oid;
	return plugin_status(minor_status, ERR_OK);
}

/* By address, never by value: a copy that compares equal belongs to somebody else. Called with the
 * mechglue's lock held, so nothing of libgssapi may be used here. */
PLUGIN_EXPORT OM_uint32 gss_internal_release_oid(OM_uint32 *minor_status, gss_OID *oid)
{
	if (oid == NULL || !plugin_oid_is_ours(*oid))
		return plugin_status_as(minor_status, GSS_S_CONTINUE_NEEDED, ERR_OK);
	*oid = GSS_C_NO_OID;
	return plugin_status(minor_status, ERR_OK);
}
