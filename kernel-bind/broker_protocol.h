/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests and replies between the client half and gss-ipsecd (doc/broker-protocol.md): one request
 * and one reply per SOCK_SEQPACKET connection, codec only, used by both sides.  Big-endian through
 * base/bytes; version octet first; unknown trailing fields are ignored.
 */
#ifndef KERNEL_BIND_BROKER_PROTOCOL_H
#define KERNEL_BIND_BROKER_PROTOCOL_H

#include "kernel-bind/kernel_bind.h"

#define BROKER_SOCKET_PATH "/run/gss-ipsec/broker.sock"
#define BROKER_VERSION 1
#define BROKER_REQUEST_BYTES_MAX 2048
#define BROKER_REPLY_BYTES_MAX 32768
#define BROKER_LIST_MAX 24 /* leases, or refusals, in one reply */

enum broker_request_type {
	BROKER_RESERVE = 1, /* with descriptor */
	BROKER_LATCH = 2,   /* with descriptor and secret */
	BROKER_RELEASE = 3, /* with descriptor and secret */
	BROKER_QUERY = 4,   /* with descriptor */
	BROKER_LIST = 5,    /* descriptor, if any: any TCP socket of the network namespace meant */
	BROKER_PING = 6,    /* the same: is it alive, can this kernel latch */
	BROKER_REFUSALS = 7 /* the same: what it refused of late */
};

/* "reserve", "latch", ...; of a type that there is not: "unknown". */
const char *broker_request_word(uint8_t type);

/* One struct for all; a field is meaningful where kernel_bind.h says so for that request. */
struct broker_request {
	uint8_t type;
	bool is_initiator;
	uint16_t suite;
	uint32_t spi_out;
	uint64_t cookie, token_bytes, cursor;
	uint8_t secret[KBIND_SECRET_BYTES];
	struct secret_key key_in, key_out;
	char local_name[KBIND_NAME_BYTES_MAX + 1], peer_name[KBIND_NAME_BYTES_MAX + 1];
	char method[32], service[65], peer_key[KBIND_KEY_NAME_BYTES_MAX + 1];
};

struct broker_reply {
	uint8_t reason;			    /* enum ipsec_latch_reason; 0 done */
	uint8_t secret[KBIND_SECRET_BYTES]; /* RESERVE */
	uint64_t cookie;
	uint32_t spi_in;
	uint64_t cursor; /* LIST, REFUSALS: where the next page starts */
	size_t count;	 /* QUERY: 1; LIST, REFUSALS: 0..BROKER_LIST_MAX */
	struct kbind_status items[BROKER_LIST_MAX];
	struct kbind_refusal refusals[BROKER_LIST_MAX]; /* REFUSALS */
};

/* Names are made printable when read: control characters and bytes beyond ASCII become '?'. */
enum err broker_request_write(
	const struct broker_request *request, struct writer *w) ERR_MUST_CHECK;
enum err broker_request_read(struct bytes input, struct broker_request *ret_request) ERR_MUST_CHECK;
enum err broker_reply_write(
	uint8_t request_type, const struct broker_reply *reply, struct writer *w) ERR_MUST_CHECK;
enum err broker_reply_read(
	uint8_t request_type, struct bytes input, struct broker_reply *ret_reply) ERR_MUST_CHECK;
/* Wipes keys and secret. */
void broker_request_wipe(struct broker_request *request);

#endif
