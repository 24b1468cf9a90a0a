/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The broker's wire format, both directions and both sides.
 *
 *	request  1 version, 1 type, then by type
 *	  RESERVE  1 initiator?, 2 suite, 8 cookie, counted8 key in, counted8 key out, 4 SPI out,
 *	           8 token bytes
 *	  LATCH    16 secret, 8 cookie, 8 token bytes, counted8 key out, 4 SPI out,
 *	           counted8 local name, peer name, method, service, peer's key
 *	  RELEASE  16 secret, 8 cookie
 *	  QUERY    nothing
 *	  LIST     8 cursor
 *	  PING     nothing
 *	  REFUSALS 8 cursor
 *	reply    1 version, 1 reason, then only for reason 0 and by type
 *	  RESERVE  16 secret, 8 cookie, 4 SPI in
 *	  QUERY    one lease
 *	  LIST     8 cursor, 1 count, leases
 *	  REFUSALS 8 cursor, 1 count, refusals
 *	lease    counted16: see lease_write()
 *	refusal  counted16: see refusal_write()
 *
 * Only form is judged here; what a request may do is the broker's to decide.
 */
#include "kernel-bind/broker_protocol.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void flag_put(struct writer *w, bool flag)
{
	writer_put_u8(w, flag ? 1 : 0);
}

static bool flag_get(struct reader *r)
{
	uint8_t value = reader_get_u8(r);

	if (value > 1)
		reader_fail(r, ERR_ARGUMENT);
	return value == 1;
}

static void text_put(struct writer *w, const char *text, size_t size)
{
	writer_put_counted8(w, BYTES((const uint8_t *)text, strnlen(text, size - 1)));
}

/* Texts are claims of a process that nobody vouches for, and end on terminals and in logs. */
static void text_get(struct reader *r, char *text, size_t size)
{
	struct bytes view = reader_get_counted8(r);
	size_t i;

	if (view.len >= size) {
		reader_fail(r, ERR_TOO_LARGE);
		return;
	}
	for (i = 0; i < view.len; i++)
		text[i] = view.data[i] >= 0x20 && view.data[i] <= 0x7e ? (char)view.data[i] : '?';
	text[view.len] = '\0';
}

static void key_put(struct writer *w, const struct secret_key *key)
{
	writer_put_counted8(w, secret_key_view(key));
}

static void key_get(struct reader *r, struct secret_key *key)
{
	size_t len = reader_get_u8(r);

	if (len > SECRET_KEY_MAX) {
		reader_fail(r, ERR_TOO_LARGE);
		return;
	}
	reader_copy(r, key->data, len);
	key->len = len;
}

/* --- requests --- */

static void reserve_write(const struct broker_request *request, struct writer *w)
{
	flag_put(w, request->is_initiator);
	writer_put_u16(w, request->suite);
	writer_put_u64(w, request->cookie);
	key_put(w, &request->key_in);
	key_put(w, &request->key_out);
	writer_put_u32(w, request->spi_out);
	writer_put_u64(w, request->token_bytes);
}

static void reserve_read(struct reader *r, struct broker_request *request)
{
	request->is_initiator = flag_get(r);
	request->suite = reader_get_u16(r);
	request->cookie = reader_get_u64(r);
	key_get(r, &request->key_in);
	key_get(r, &request->key_out);
	request->spi_out = reader_get_u32(r);
	request->token_bytes = reader_get_u64(r);
}

static void release_write(const struct broker_request *request, struct writer *w)
{
	writer_put_bytes(w, BYTES_OF(request->secret));
	writer_put_u64(w, request->cookie);
}

static void release_read(struct reader *r, struct broker_request *request)
{
	reader_copy(r, request->secret, sizeof(request->secret));
	request->cookie = reader_get_u64(r);
}

static void latch_write(const struct broker_request *request, struct writer *w)
{
	release_write(request, w);
	writer_put_u64(w, request->token_bytes);
	key_put(w, &request->key_out);
	writer_put_u32(w, request->spi_out);
	text_put(w, request->local_name, sizeof(request->local_name));
	text_put(w, request->peer_name, sizeof(request->peer_name));
	text_put(w, request->method, sizeof(request->method));
	text_put(w, request->service, sizeof(request->service));
	text_put(w, request->peer_key, sizeof(request->peer_key));
}

static void latch_read(struct reader *r, struct broker_request *request)
{
	release_read(r, request);
	request->token_bytes = reader_get_u64(r);
	key_get(r, &request->key_out);
	request->spi_out = reader_get_u32(r);
	text_get(r, request->local_name, sizeof(request->local_name));
	text_get(r, request->peer_name, sizeof(request->peer_name));
	text_get(r, request->method, sizeof(request->method));
	text_get(r, request->service, sizeof(request->service));
	/* An earlier client does not tell it. */
	if (reader_left(r) > 0)
		text_get(r, request->peer_key, sizeof(request->peer_key));
}

static void list_write(const struct broker_request *request, struct writer *w)
{
	writer_put_u64(w, request->cursor);
}

static void list_read(struct reader *r, struct broker_request *request)
{
	request->cursor = reader_get_u64(r);
}

static void empty_write(const struct broker_request *request, struct writer *w)
{
	(void)request;
	(void)w;
}

static void empty_read(struct reader *r, struct broker_request *request)
{
	(void)r;
	(void)request;
}

/* --- replies --- */

static void address_put(struct writer *w, const struct kbind_tuple *tuple)
{
	size_t len = tuple->family == AF_INET6 ? 16 : 4;

	writer_put_u8(w, (uint8_t)len);
	writer_put_bytes(w, BYTES(tuple->local, len));
	writer_put_u16(w, tuple->local_port);
	writer_put_bytes(w, BYTES(tuple->remote, len));
	writer_put_u16(w, tuple->remote_port);
}

static void address_get(struct reader *r, struct kbind_tuple *tuple)
{
	size_t len = reader_get_u8(r);

	if (len != 4 && len != 16) {
		reader_fail(r, ERR_ARGUMENT);
		return;
	}
	tuple->family = len == 16 ? AF_INET6 : AF_INET;
	reader_copy(r, tuple->local, len);
	tuple->local_port = reader_get_u16(r);
	reader_copy(r, tuple->remote, len);
	tuple->remote_port = reader_get_u16(r);
}

static void lease_write(const struct kbind_status *lease, struct writer *w)
{
	size_t mark = writer_open16(w);

	writer_put_u64(w, lease->cookie);
	writer_put_u8(w, lease->tuple.protocol);
	address_put(w, &lease->tuple);
	writer_put_u8(w, lease->state);
	writer_put_u8(w, lease->reason);
	flag_put(w, lease->is_initiator);
	writer_put_u16(w, lease->suite);
	writer_put_u32(w, lease->spi_in);
	writer_put_u32(w, lease->spi_out);
	writer_put_u32(w, lease->reqid);
	writer_put_u32(w, lease->uid);
	writer_put_u64(w, lease->age_sec);
	writer_put_u64(w, lease->bytes_in);
	writer_put_u64(w, lease->packets_in);
	writer_put_u64(w, lease->bytes_out);
	writer_put_u64(w, lease->packets_out);
	text_put(w, lease->local_name, sizeof(lease->local_name));
	text_put(w, lease->peer_name, sizeof(lease->peer_name));
	text_put(w, lease->method, sizeof(lease->method));
	text_put(w, lease->service, sizeof(lease->service));
	writer_put_u32(w, lease->tuple.zone);
	text_put(w, lease->peer_key, sizeof(lease->peer_key));
	writer_close16(w, mark, 0);
}

static void lease_read(struct reader *outer, struct kbind_status *lease)
{
	struct bytes view = reader_get_counted16(outer);
	struct reader r;

	reader_init(&r, view);
	lease->cookie = reader_get_u64(&r);
	lease->tuple.protocol = reader_get_u8(&r);
	address_get(&r, &lease->tuple);
	lease->state = reader_get_u8(&r);
	lease->reason = reader_get_u8(&r);
	lease->is_initiator = flag_get(&r);
	lease->suite = reader_get_u16(&r);
	lease->spi_in = reader_get_u32(&r);
	lease->spi_out = reader_get_u32(&r);
	lease->reqid = reader_get_u32(&r);
	lease->uid = reader_get_u32(&r);
	lease->age_sec = reader_get_u64(&r);
	lease->bytes_in = reader_get_u64(&r);
	lease->packets_in = reader_get_u64(&r);
	lease->bytes_out = reader_get_u64(&r);
	lease->packets_out = reader_get_u64(&r);
	text_get(&r, lease->local_name, sizeof(lease->local_name));
	text_get(&r, lease->peer_name, sizeof(lease->peer_name));
	text_get(&r, lease->method, sizeof(lease->method));
	text_get(&r, lease->service, sizeof(lease->service));
	/* An earlier broker does not tell these. */
	lease->tuple.zone = reader_left(&r) >= sizeof(uint32_t) ? reader_get_u32(&r) : 0;
	if (reader_left(&r) > 0)
		text_get(&r, lease->peer_key, sizeof(lease->peer_key));
	if (reader_status(&r) != ERR_OK)
		reader_fail(outer, reader_status(&r));
}

static void reserved_write(const struct broker_reply *reply, struct writer *w)
{
	writer_put_bytes(w, BYTES_OF(reply->secret));
	writer_put_u64(w, reply->cookie);
	writer_put_u32(w, reply->spi_in);
}

static void reserved_read(struct reader *r, struct broker_reply *reply)
{
	reader_copy(r, reply->secret, sizeof(reply->secret));
	reply->cookie = reader_get_u64(r);
	reply->spi_in = reader_get_u32(r);
}

static void queried_write(const struct broker_reply *reply, struct writer *w)
{
	lease_write(&reply->items[0], w);
}

static void queried_read(struct reader *r, struct broker_reply *reply)
{
	lease_read(r, &reply->items[0]);
	reply->count = 1;
}

/* How a page of either list begins; returns how many items follow. */
static size_t page_write(const struct broker_reply *reply, struct writer *w)
{
	if (reply->count > BROKER_LIST_MAX) {
		writer_fail(w, ERR_TOO_LARGE);
		return 0;
	}
	writer_put_u64(w, reply->cursor);
	writer_put_u8(w, (uint8_t)reply->count);
	return reply->count;
}

static size_t page_read(struct reader *r, struct broker_reply *reply)
{
	size_t count;

	reply->cursor = reader_get_u64(r);
	count = reader_get_u8(r);
	if (count > BROKER_LIST_MAX) {
		reader_fail(r, ERR_TOO_LARGE);
		return 0;
	}
	reply->count = count;
	return count;
}

static void listed_write(const struct broker_reply *reply, struct writer *w)
{
	const size_t count = page_write(reply, w);

	for (size_t i = 0; i < count; i++)
		lease_write(&reply->items[i], w);
}

static void listed_read(struct reader *r, struct broker_reply *reply)
{
	const size_t count = page_read(r, reply);

	for (size_t i = 0; i < count; i++)
		lease_read(r, &reply->items[i]);
}

static void refusal_write(const struct kbind_refusal *refusal, struct writer *w)
{
	size_t mark = writer_open16(w);

	writer_put_u64(w, refusal->age_sec);
	writer_put_u32(w, refusal->uid);
	writer_put_u8(w, refusal->request);
	writer_put_u8(w, refusal->reason);
	flag_put(w, refusal->has_tuple);
	if (refusal->has_tuple) {
		address_put(w, &refusal->tuple);
		writer_put_u32(w, refusal->tuple.zone);
	}
	writer_close16(w, mark, 0);
}

static void refusal_read(struct reader *outer, struct kbind_refusal *refusal)
{
	struct bytes view = reader_get_counted16(outer);
	struct reader r;

	reader_init(&r, view);
	refusal->age_sec = reader_get_u64(&r);
	refusal->uid = reader_get_u32(&r);
	refusal->request = reader_get_u8(&r);
	refusal->reason = reader_get_u8(&r);
	refusal->has_tuple = flag_get(&r);
	if (refusal->has_tuple) {
		address_get(&r, &refusal->tuple);
		refusal->tuple.zone = reader_get_u32(&r);
	}
	if (reader_status(&r) != ERR_OK)
		reader_fail(outer, reader_status(&r));
}

static void refusals_write(const struct broker_reply *reply, struct writer *w)
{
	const size_t count = page_write(reply, w);

	for (size_t i = 0; i < count; i++)
		refusal_write(&reply->refusals[i], w);
}

static void refusals_read(struct reader *r, struct broker_reply *reply)
{
	const size_t count = page_read(r, reply);

	for (size_t i = 0; i < count; i++)
		refusal_read(r, &reply->refusals[i]);
}

static void done_write(const struct broker_reply *reply, struct writer *w)
{
	(void)reply;
	(void)w;
}

static void done_read(struct reader *r, struct broker_reply *reply)
{
	(void)r;
	(void)reply;
}

/* --- both --- */

struct broker_form {
	const char *word;
	void (*request_write)(const struct broker_request *request, struct writer *w);
	void (*request_read)(struct reader *r, struct broker_request *request);
	void (*reply_write)(const struct broker_reply *reply, struct writer *w);
	void (*reply_read)(struct reader *r, struct broker_reply *reply);
};

/* clang-format off */
static const struct broker_form broker_forms[] = {
	[BROKER_RESERVE] = { "reserve",   reserve_write, reserve_read, reserved_write, reserved_read },
	[BROKER_LATCH]   = { "latch",     latch_write,   latch_read,   done_write,     done_read },
	[BROKER_RELEASE] = { "release",   release_write, release_read, done_write,     done_read },
	[BROKER_QUERY]   = { "query",     empty_write,   empty_read,   queried_write,  queried_read },
	[BROKER_LIST]    = { "list",      list_write,    list_read,    listed_write,   listed_read },
	[BROKER_PING]    = { "ping",      empty_write,   empty_read,   done_write,     done_read },
	[BROKER_REFUSALS] = { "refusals", list_write,    list_read,    refusals_write, refusals_read },
};
/* clang-format on */

static const struct broker_form *form_find(uint8_t type)
{
	if (type < BROKER_RESERVE || type >= sizeof(broker_forms) / sizeof(broker_forms[0]))
		return NULL;
	return &broker_forms[type];
}

const char *broker_request_word(uint8_t type)
{
	const struct broker_form *form = form_find(type);

	return form != NULL ? form->word : "unknown";
}

enum err broker_request_write(const struct broker_request *request, struct writer *w)
{
	const struct broker_form *form = form_find(request->type);

	if (form == NULL)
		return ERR_UNSUPPORTED;
	writer_put_u8(w, BROKER_VERSION);
	writer_put_u8(w, request->type);
	form->request_write(request, w);
	return writer_status(w);
}

enum err broker_request_read(struct bytes input, struct broker_request *ret_request)
{
	struct broker_request request = { 0 };
	const struct broker_form *form;
	struct reader r;
	enum err err;

	reader_init(&r, input);
	if (reader_get_u8(&r) != BROKER_VERSION)
		reader_fail(&r, ERR_UNSUPPORTED);
	request.type = reader_get_u8(&r);
	form = form_find(request.type);
	if (form == NULL)
		reader_fail(&r, ERR_UNSUPPORTED);
	else
		form->request_read(&r, &request);
	err = reader_status(&r);
	if (err == ERR_OK)
		*ret_request = request;
	broker_request_wipe(&request);
	return err;
}

enum err broker_reply_write(
	uint8_t request_type, const struct broker_reply *reply, struct writer *w)
{
	const struct broker_form *form = form_find(request_type);

	if (form == NULL)
		return ERR_UNSUPPORTED;
	writer_put_u8(w, BROKER_VERSION);
	writer_put_u8(w, reply->reason);
	if (reply->reason == IPSEC_LATCH_LATCHED)
		form->reply_write(reply, w);
	return writer_status(w);
}

enum err broker_reply_read(uint8_t request_type, struct bytes input, struct broker_reply *ret_reply)
{
	const struct broker_form *form = form_find(request_type);
	struct broker_reply *reply; /* too large for the stack of a thread that is not ours */
	struct reader r;
	enum err err;

	if (form == NULL)
		return ERR_UNSUPPORTED;
	reply = calloc(1, sizeof(*reply));
	if (reply == NULL)
		return ERR_NO_MEMORY;
	reader_init(&r, input);
	if (reader_get_u8(&r) != BROKER_VERSION)
		reader_fail(&r, ERR_UNSUPPORTED);
	reply->reason = reader_get_u8(&r);
	if (reply->reason == IPSEC_LATCH_LATCHED)
		form->reply_read(&r, reply);
	err = reader_status(&r);
	if (err == ERR_OK)
		*ret_reply = *reply;
	secret_free(reply, sizeof(*reply));
	return err;
}

void broker_request_wipe(struct broker_request *request)
{
	secret_wipe(request, sizeof(*request));
}
