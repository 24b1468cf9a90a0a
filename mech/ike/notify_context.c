/* SPDX-License-Identifier: BSD-2-Clause */
/* GSS_CONTEXT of T3, T4 and T5 (doc/protocol.md, section 3). */
#include <string.h>

#include "mech/ike/ike.h"

#define CONTEXT_VERSION 1
#define CONTEXT_BIT_T5 0x80

/* The alphabet of names (doc/protocol.md 4): it becomes part of one, a C string, and goes into logs. */
static bool service_is_allowed(struct bytes service)
{
	for (size_t i = 0; i < service.len; i++) {
		const uint8_t octet = service.data[i];

		if (!(octet >= 'A' && octet <= 'Z') && !(octet >= 'a' && octet <= 'z') &&
			!(octet >= '0' && octet <= '9') && octet != '.' && octet != '_' &&
			octet != '-')
			return false;
	}
	return service.len <= IKE_SERVICE_BYTES_MAX;
}

static bool bindings_are_allowed(size_t len)
{
	return len == 0 || len == CRYPTO_SHA256_BYTES;
}

void ike_put_context(struct ike_builder *b, const struct ike_context *context)
{
	if (!service_is_allowed(context->service) || !bindings_are_allowed(context->bindings_len)) {
		writer_fail(&b->w, ERR_INTERNAL);
		return;
	}
	ike_builder_open_notify(b, IKE_NOTIFY_GSS_CONTEXT);
	writer_put_u8(&b->w, CONTEXT_VERSION);
	writer_put_u32(&b->w, context->flags);
	writer_put_u8(&b->w, context->has_t5 ? CONTEXT_BIT_T5 : 0);
	writer_put_u8(&b->w, context->reason);
	writer_put_counted8(&b->w, BYTES(context->bindings, context->bindings_len));
	writer_put_counted8(&b->w, context->service);
	ike_builder_close_payload(b);
}

enum err ike_context_parse(struct bytes data, struct ike_context *ret_context)
{
	struct ike_context context = { 0 };
	struct bytes bindings;
	struct reader r;

	reader_init(&r, data);
	if (reader_get_u8(&r) != CONTEXT_VERSION)
		return ERR_NOTIFY_FORMAT;
	context.flags = reader_get_u32(&r);
	/* Bits that later versions may add are ignored. */
	context.has_t5 = (reader_get_u8(&r) & CONTEXT_BIT_T5) != 0;
	context.reason = reader_get_u8(&r);
	bindings = reader_get_counted8(&r);
	context.service = reader_get_counted8(&r);
	if (reader_status(&r) != ERR_OK || !bindings_are_allowed(bindings.len) ||
		!service_is_allowed(context.service))
		return ERR_NOTIFY_FORMAT;
	context.bindings_len = (uint8_t)bindings.len;
	if (bindings.len > 0)
		memcpy(context.bindings, bindings.data, bindings.len);
	*ret_context = context;
	return ERR_OK;
}
