/* SPDX-License-Identifier: BSD-2-Clause */
/* GSS_FAILURE, an error of base/error.h as a notify (doc/protocol.md, section 3). */
#include "mech/ike/ike.h"

#define FAILURE_VERSION 1

void ike_put_failure(struct ike_builder *b, unsigned int code)
{
	ike_builder_open_notify(b, IKE_NOTIFY_GSS_FAILURE);
	writer_put_u8(&b->w, FAILURE_VERSION);
	writer_put_u16(&b->w, (uint16_t)(error_tells_peer(code) ? code : ERR_PEER_FAILED));
	ike_builder_close_payload(b);
}

enum err ike_failure_parse(struct bytes data, unsigned int *ret_code)
{
	unsigned int code;
	struct reader r;

	reader_init(&r, data);
	if (reader_get_u8(&r) != FAILURE_VERSION)
		return ERR_NOTIFY_FORMAT;
	code = reader_get_u16(&r);
	if (reader_status(&r) != ERR_OK)
		return ERR_NOTIFY_FORMAT;
	/* A failure must never read as success. */
	*ret_code = code != ERR_OK && error_is_known(code) ? code : (unsigned int)ERR_PEER_FAILED;
	return ERR_OK;
}
