/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gssapi_ipsec.h: what a program may know of the gss-ipsec mechanism beyond plain GSS-API.
 * Programs need none of it to get protected connections; these are for those who ask.
 *
 * OIDs: no number is registered yet, so the arc comes from a UUID (doc/protocol.md section 1).
 */
#ifndef GSSAPI_IPSEC_H
#define GSSAPI_IPSEC_H

#include <string.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>

#include "ipsec_latch.h"

/* 1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436 */
#define GSS_IPSEC_ARC                                                                              \
	"\x2a\x86\x48\x86\xf7\x14\x01\xbe\x40\x93\x7a\x81\xf2\x67\x83\xb5\x18\x81\xf0\x54\x81\x93" \
	"\x74\x82\xa5\x4e\xe5\xca\x16\xbf\xe7\x3c"
#define GSS_IPSEC_ARC_LENGTH 32
#define GSS_IPSEC_MECH_DOTTED \
	"1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.1"
#define GSS_IPSEC_SASL_NAME "GS2-63L22ULZSVD"

/* An OID of ours: { GSS_IPSEC_OID_xxx_LENGTH, GSS_IPSEC_OID_xxx } fits a gss_OID_desc. */
#define GSS_IPSEC_OID_MECH GSS_IPSEC_ARC "\x01"
#define GSS_IPSEC_OID_MECH_LENGTH 33
/* Name type: "SHA256:<base64 of the digest of a DER SubjectPublicKeyInfo>". */
#define GSS_IPSEC_OID_NT_PUBLIC_KEY GSS_IPSEC_ARC "\x02\x01"
/* Credential option (gss_set_cred_option) and, at an initiator between its first and second call,
 * context option (gss_set_sec_context_option): the connection's descriptor, a 4-octet big-endian
 * integer. */
#define GSS_IPSEC_OID_OPT_DESCRIPTOR GSS_IPSEC_ARC "\x02\x0a"
/* Inquiry (gss_inquire_sec_context_by_oid): the latch, in three buffers: 4-octet big-endian reason
 * (0 = latched; enum ipsec_latch_reason), its word, a sentence for people. */
#define GSS_IPSEC_OID_INQ_LATCH GSS_IPSEC_ARC "\x02\x14"
/* Inquiry: channel bindings of the IPsec channel (RFC 5056), one buffer, for the application_data of a
 * gss_channel_bindings_t; gss_ipsec_get_unique_bindings() below asks and fills one. */
#define GSS_IPSEC_OID_INQ_CB_UNIQUE GSS_IPSEC_ARC "\x02\x15"
#define GSS_IPSEC_OID_INQ_CB_END_POINT GSS_IPSEC_ARC "\x02\x16"
/* Inquiry (gss_inquire_cred_by_oid): the public key that the credential authenticates with, in two
 * buffers: its "SHA256:..." name, then the DER SubjectPublicKeyInfo. */
#define GSS_IPSEC_OID_INQ_CREDENTIAL_KEY GSS_IPSEC_ARC "\x02\x1e"
#define GSS_IPSEC_OID_ITEM_LENGTH 34

/*
 * Name attributes (RFC 6680, gss_get_name_attribute) of the peer's name in an established context, the one that
 * gss_accept_sec_context() or gss_inquire_context() gave.  At most one value each (doc/entry-points.md,
 * "Name attributes"); a peer that proved nothing has no key.
 */
#define GSS_IPSEC_ATTRIBUTE_ARC \
	"urn:oid:1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.3."
/* How the peer proved its identity: the signature algorithm ("Ed25519"), or "NULL". */
#define GSS_IPSEC_ATTRIBUTE_METHOD GSS_IPSEC_ATTRIBUTE_ARC "1"
/* Digest of the key it proved it with: 32 octets; shown as "SHA256:...". */
#define GSS_IPSEC_ATTRIBUTE_KEY GSS_IPSEC_ATTRIBUTE_ARC "2"
/* The latch when the context was completed: the 4-octet big-endian reason (0 = latched); shown as its word. */
#define GSS_IPSEC_ATTRIBUTE_LATCH GSS_IPSEC_ATTRIBUTE_ARC "3"
/* Name of the [peer] entry that says whose the key is. */
#define GSS_IPSEC_ATTRIBUTE_PEER GSS_IPSEC_ATTRIBUTE_ARC "4"

/*
 * Channel bindings of an established context, for another authentication inside its channel (RFC 5056):
 *
 *	struct gss_ipsec_bindings outer;
 *
 *	major = gss_ipsec_get_unique_bindings(&minor, context, &outer);
 *	if (major == GSS_S_COMPLETE)
 *		major = gss_init_sec_context(..., &outer.bindings, ...);
 *
 * Nothing has to be released, but what .bindings points at is in the structure itself: fill each where it
 * is used, do not copy it.  unique stands for this one exchange, end-point for the acceptor's key.
 * An inner acceptor must look for GSS_C_CHANNEL_BOUND_FLAG: a Kerberos acceptor, for one, takes
 * initiators without bindings too.
 * The context may be one that SPNEGO negotiated.  GSS_S_NO_CONTEXT before it is established,
 * GSS_S_UNAVAILABLE for contexts of other mechanisms; *ret is then without bindings.
 */
#define GSS_IPSEC_BINDINGS_BYTES_MAX 64
struct gss_ipsec_bindings {
	struct gss_channel_bindings_struct bindings;
	unsigned char octets[GSS_IPSEC_BINDINGS_BYTES_MAX];
};

static inline OM_uint32 gss_ipsec_get_bindings(
	OM_uint32 *minor, gss_ctx_id_t context, const char *inquiry, struct gss_ipsec_bindings *ret)
{
	static const gss_buffer_desc empty = GSS_C_EMPTY_BUFFER;
	unsigned char octets[GSS_IPSEC_OID_ITEM_LENGTH];
	gss_OID_desc oid = { GSS_IPSEC_OID_ITEM_LENGTH, octets };
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, ignored;

	ret->bindings.initiator_addrtype = ret->bindings.acceptor_addrtype = 0;
	ret->bindings.initiator_address = ret->bindings.acceptor_address = empty;
	ret->bindings.application_data = empty;
	memcpy(octets, inquiry, sizeof(octets));
	major = gss_inquire_sec_context_by_oid(minor, context, &oid, &set);
	if (GSS_ERROR(major))
		return major;
	if (set == GSS_C_NO_BUFFER_SET || set->count != 1 ||
		set->elements[0].length > sizeof(ret->octets)) {
		(void)gss_release_buffer_set(&ignored, &set);
		return GSS_S_UNAVAILABLE;
	}
	memcpy(ret->octets, set->elements[0].value, set->elements[0].length);
	ret->bindings.application_data.value = ret->octets;
	ret->bindings.application_data.length = set->elements[0].length;
	(void)gss_release_buffer_set(&ignored, &set);
	return GSS_S_COMPLETE;
}

static inline OM_uint32 gss_ipsec_get_unique_bindings(
	OM_uint32 *minor, gss_ctx_id_t context, struct gss_ipsec_bindings *ret)
{
	return gss_ipsec_get_bindings(minor, context, GSS_IPSEC_OID_INQ_CB_UNIQUE, ret);
}

static inline OM_uint32 gss_ipsec_get_end_point_bindings(
	OM_uint32 *minor, gss_ctx_id_t context, struct gss_ipsec_bindings *ret)
{
	return gss_ipsec_get_bindings(minor, context, GSS_IPSEC_OID_INQ_CB_END_POINT, ret);
}

#endif
