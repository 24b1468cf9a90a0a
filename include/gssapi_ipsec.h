/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gssapi_ipsec.h: what a program may know of the gss-ipsec mechanism beyond plain GSS-API.
 * Programs need none of it to get protected connections; these are for those who ask.
 *
 * OIDs: no number is registered yet, so the arc comes from a UUID (doc/protocol.md, "OIDs").
 */
#ifndef GSSAPI_IPSEC_H
#define GSSAPI_IPSEC_H

#include <gssapi/gssapi.h>

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
/* Credential option (gss_set_cred_option) and, at an initiator between its first and second call, context option
 * (gss_set_sec_context_option): the connection's descriptor, a 4-octet big-endian integer. */
#define GSS_IPSEC_OID_OPT_DESCRIPTOR GSS_IPSEC_ARC "\x02\x0a"
/* Inquiry (gss_inquire_sec_context_by_oid): 4-octet big-endian reason (0 = latched), then the word, then the sentence: three buffers. */
#define GSS_IPSEC_OID_INQ_LATCH GSS_IPSEC_ARC "\x02\x14"
/* Inquiry: channel bindings of the IPsec channel, one buffer, ready for gss_channel_bindings_t.application_data (RFC 5056). */
#define GSS_IPSEC_OID_INQ_CB_UNIQUE GSS_IPSEC_ARC "\x02\x15"
#define GSS_IPSEC_OID_INQ_CB_END_POINT GSS_IPSEC_ARC "\x02\x16"
/* Inquiry (gss_inquire_cred_by_oid): the public key that the credential authenticates with: its "SHA256:..." name, then the DER
 * SubjectPublicKeyInfo: two buffers. */
#define GSS_IPSEC_OID_INQ_CREDENTIAL_KEY GSS_IPSEC_ARC "\x02\x1e"
#define GSS_IPSEC_OID_ITEM_LENGTH 34

/*
 * Name attributes (RFC 6680, gss_get_name_attribute) of the peer's name in an established context, the one that
 * gss_accept_sec_context() or gss_inquire_context() gave.  One value each.
 */
#define GSS_IPSEC_ATTRIBUTE_ARC \
	"urn:oid:1.2.840.113556.1.8000.2554.31079.55960.30804.18932.37582.1664278.1045436.3."
/* How the peer proved its identity: the name of the signature algorithm ("Ed25519"). */
#define GSS_IPSEC_ATTRIBUTE_METHOD GSS_IPSEC_ATTRIBUTE_ARC "1"
/* Digest of the key it proved it with: 32 octets; shown as "SHA256:...". */
#define GSS_IPSEC_ATTRIBUTE_KEY GSS_IPSEC_ATTRIBUTE_ARC "2"
/* The latch when the context was completed: the 4-octet big-endian reason (0 = latched); shown as its word. */
#define GSS_IPSEC_ATTRIBUTE_LATCH GSS_IPSEC_ATTRIBUTE_ARC "3"
/* Name of the [peer] entry that says whose the key is. */
#define GSS_IPSEC_ATTRIBUTE_PEER GSS_IPSEC_ATTRIBUTE_ARC "4"

#endif
