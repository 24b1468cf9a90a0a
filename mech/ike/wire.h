/* SPDX-License-Identifier: BSD-2-Clause */
/* The numbers of IKEv2 that we use, one per line, with where they are from. In mech/ and mech/ike/
 * they stand nowhere else; mech/crypto/, which includes nothing of these, has its transforms' own. */
#ifndef MECH_IKE_WIRE_H
#define MECH_IKE_WIRE_H

#define IKE_VERSION 0x20	    /* RFC 7296 3.1: major 2, minor 0 */
#define IKE_HEADER_BYTES 28	    /* RFC 7296 3.1 */
#define IKE_PAYLOAD_HEADER_BYTES 4  /* RFC 7296 3.2 */
#define IKE_CRITICAL_BIT 0x80	    /* RFC 7296 3.2 */
#define IKE_FLAG_INITIATOR 0x08	    /* RFC 7296 3.1 */
#define IKE_FLAG_RESPONSE 0x20	    /* RFC 7296 3.1 */
#define IKE_NONCE_BYTES_MIN 16	    /* RFC 7296 3.9 */
#define IKE_NONCE_BYTES_MAX 256	    /* RFC 7296 3.9 */
#define IKE_NONCE_BYTES 32	    /* ours: at least half the PRF's key, RFC 7296 2.10 */
#define IKE_IV_BYTES 8		    /* RFC 5282 section 3.1 */
#define IKE_MESSAGE_BYTES_MAX 65535 /* ours */
#define IKE_PAYLOADS_MAX 32	    /* ours: more in one message are refused */

/* Exchange types, RFC 7296 3.1 */
#define IKE_EXCHANGE_SA_INIT 34
#define IKE_EXCHANGE_AUTH 35
#define IKE_EXCHANGE_INFORMATIONAL 37

/* Payload types, RFC 7296 3.2 */
#define IKE_PAYLOAD_NONE 0
#define IKE_PAYLOAD_SA 33
#define IKE_PAYLOAD_KE 34
#define IKE_PAYLOAD_IDI 35
#define IKE_PAYLOAD_IDR 36
#define IKE_PAYLOAD_CERT 37
#define IKE_PAYLOAD_CERTREQ 38
#define IKE_PAYLOAD_AUTH 39
#define IKE_PAYLOAD_NONCE 40
#define IKE_PAYLOAD_NOTIFY 41
#define IKE_PAYLOAD_DELETE 42
#define IKE_PAYLOAD_VENDOR 43
#define IKE_PAYLOAD_TSI 44
#define IKE_PAYLOAD_TSR 45
#define IKE_PAYLOAD_SK 46
#define IKE_PAYLOAD_CP 47
#define IKE_PAYLOAD_EAP 48

/* Protocol identifiers, RFC 7296 3.3.1 */
#define IKE_PROTOCOL_NONE 0
#define IKE_PROTOCOL_IKE 1
#define IKE_PROTOCOL_ESP 3

/* "Last Substruc" of an SA payload, RFC 7296 3.3.1 and 3.3.2 */
#define IKE_LAST_SUBSTRUCTURE 0
#define IKE_MORE_PROPOSALS 2
#define IKE_MORE_TRANSFORMS 3

/* Transform types, RFC 7296 3.3.2 */
#define IKE_TRANSFORM_ENCR 1
#define IKE_TRANSFORM_PRF 2
#define IKE_TRANSFORM_INTEG 3
#define IKE_TRANSFORM_KE 4
#define IKE_TRANSFORM_ESN 5

/* Transform numbers */
#define IKE_ENCR_AES_GCM_16 20	      /* RFC 5282 */
#define IKE_ENCR_CHACHA20_POLY1305 28 /* RFC 7634 */
#define IKE_PRF_HMAC_SHA2_256 5	      /* RFC 4868 */
#define IKE_PRF_HMAC_SHA2_512 7	      /* RFC 4868 */
#define IKE_GROUP_P256 19	      /* RFC 5903 */
#define IKE_GROUP_CURVE25519 31	      /* RFC 8031 */
#define IKE_TRANSFORM_NONE 0	      /* RFC 7296 3.3.2: INTEG and key exchange NONE */
#define IKE_ESN_NO 0		      /* RFC 7296 3.3.2 */
#define IKE_ESN_YES 1
#define IKE_ATTRIBUTE_KEY_LENGTH 14 /* RFC 7296 3.3.5, always in TV form */

#define IKE_ATTRIBUTE_TV 0x8000 /* RFC 7296 3.3.5: AF bit, the value follows at once */

#define IKE_ESP_SPI_BYTES 4 /* RFC 7296 3.3.1 */
#define IKE_ESP_SPI_MIN 256 /* RFC 4303 2.1: lower ones are reserved */

/* Identification types, RFC 7296 3.5 */
#define IKE_ID_IPV4_ADDR 1
#define IKE_ID_FQDN 2
#define IKE_ID_RFC822_ADDR 3
#define IKE_ID_DER_ASN1_DN 9
#define IKE_ID_KEY_ID 11
#define IKE_ID_NULL 13 /* RFC 7619 */

#define IKE_CERT_RAW_PUBLIC_KEY 15    /* RFC 7670 */
#define IKE_AUTH_NULL 13	      /* RFC 7619 */
#define IKE_AUTH_DIGITAL_SIGNATURE 14 /* RFC 7427 */
#define IKE_HASH_SHA2_256 2	      /* RFC 7427 */
#define IKE_HASH_IDENTITY 5	      /* RFC 8420 */

/* Traffic selectors, RFC 7296 3.13.1 */
#define IKE_TS_IPV4_ADDR_RANGE 7
#define IKE_TS_IPV6_ADDR_RANGE 8

/* Notify types: errors, RFC 7296 3.10.1 */
#define IKE_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD 1
#define IKE_NOTIFY_INVALID_SYNTAX 7
#define IKE_NOTIFY_NO_PROPOSAL_CHOSEN 14
#define IKE_NOTIFY_INVALID_KE_PAYLOAD 17
#define IKE_NOTIFY_AUTHENTICATION_FAILED 24
#define IKE_NOTIFY_TS_UNACCEPTABLE 38
#define IKE_NOTIFY_ERROR_MAX 16383
/* status */
#define IKE_NOTIFY_USE_TRANSPORT_MODE 16391
#define IKE_NOTIFY_CHILDLESS_IKEV2_SUPPORTED 16418 /* RFC 6023 */
#define IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS 16431 /* RFC 7427 */
/* ours, from the private ranges (RFC 7296 3.10.1); 40961-40969 mean something to charon */
#define IKE_NOTIFY_GSS_FAILURE 12544 /* an error type: ends the exchange for any IKE peer */
#define IKE_NOTIFY_GSS_LATCH 49920
#define IKE_NOTIFY_GSS_CONTEXT 49921
#define IKE_NOTIFY_GSS_PADDING 49922 /* ignored; a test option that makes tokens long */

#endif
