/* SPDX-License-Identifier: BSD-2-Clause */
/* Readers and writers of octets (base/bytes.h). Libc only; nothing here knows a protocol. */
#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define WRITER_FIRST_CAPACITY 256

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

void reader_init(struct reader *r, struct bytes input)
{
	*r = (struct reader){ .next = input.data, .left = input.len, .status = ERR_OK };
}

void reader_fail(struct reader *r, enum err code)
{
	if (r->status == ERR_OK)
		r->status = code;
}

struct bytes reader_get_bytes(struct reader *r, size_t len)
{
	struct bytes view;

	if (len > r->left)
		reader_fail(r, ERR_TRUNCATED_INPUT);
	if (r->status != ERR_OK || len == 0)
		return BYTES_NONE;
	view = BYTES(r->next, len);
	r->next += len;
	r->left -= len;
	return view;
}

static uint64_t get_integer(struct reader *r, size_t len)
{
	struct bytes view = reader_get_bytes(r, len);
	uint64_t value = 0;

	for (size_t i = 0; i < view.len; i++)
		value = value << 8 | view.data[i];
	return value;
}

uint8_t reader_get_u8(struct reader *r)
{
	return (uint8_t)get_integer(r, 1);
}

uint16_t reader_get_u16(struct reader *r)
{
	return (uint16_t)get_integer(r, 2);
}

uint32_t reader_get_u32(struct reader *r)
{
	return (uint32_t)get_integer(r, 4);
}

uint64_t reader_get_u64(struct reader *r)
{
	return get_integer(r, 8);
}

struct bytes reader_get_rest(struct reader *r)
{
	return reader_get_bytes(r, r->left);
}

struct bytes reader_get_counted8(struct reader *r)
{
	size_t len = reader_get_u8(r);

	return reader_get_bytes(r, len);
}

struct bytes reader_get_counted16(struct reader *r)
{
	size_t len = reader_get_u16(r);

	return reader_get_bytes(r, len);
}

struct reader reader_get_sub(struct reader *r, size_t len)
{
	struct reader sub;

	reader_init(&sub, reader_get_bytes(r, len));
	sub.status = r->status;
	return sub;
}

void reader_copy(struct reader *r, uint8_t *out, size_t len)
{
	struct bytes view = reader_get_bytes(r, len);

	if (len == 0)
		return;
	if (view.len == len)
		memcpy(out, view.data, len);
	else
		secret_wipe(out, len);
}

void reader_skip(struct reader *r, size_t len)
{
	(void)reader_get_bytes(r, len);
}

size_t reader_left(const struct reader *r)
{
	return r->status == ERR_OK ? r->left : 0;
}

enum err reader_status(const struct reader *r)
{
	return r->status;
}

enum err reader_finish(const struct reader *r)
{
	if (r->status == ERR_OK && r->left != 0)
		return ERR_TRAILING_INPUT;
	return r->status;
}

void writer_init(struct writer *w, size_t limit_bytes)
{
	*w = (struct writer){ .limit = limit_bytes, .status = ERR_OK };
}

void writer_fail(struct writer *w, enum err code)
{
	if (w->status == ERR_OK)
		w->status = code;
}

/* Moves what was written into a larger buffer; the old copy may hold secrets. */
static void grow(struct writer *w, size_t needed)
{
	size_t capacity = w->capacity > 0 ? w->capacity : WRITER_FIRST_CAPACITY;
	uint8_t *data;

	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	if (capacity > w->limit)
		capacity = w->limit;
	data = malloc(capacity);
	if (data == NULL) {
		writer_fail(w, ERR_NO_MEMORY);
		return;
	}
	if (w->len > 0)
		memcpy(data, w->data, w->len);
	secret_free(w->data, w->capacity);
	w->data = data;
	w->capacity = capacity;
}

/* Room for len octets more, counted as written; NULL on any error, never NULL otherwise. */
static uint8_t *reserve(struct writer *w, size_t len)
{
	uint8_t *start;

	if (w->status == ERR_OK && len > w->limit - w->len)
		writer_fail(w, ERR_TOO_LARGE);
	if (w->status == ERR_OK && len > w->capacity - w->len)
		grow(w, w->len + len);
	if (w->status != ERR_OK || w->data == NULL)
		return NULL;
	start = w->data + w->len;
	w->len += len;
	return start;
}

static void put_integer(struct writer *w, uint64_t value, size_t len)
{
	uint8_t *out = reserve(w, len);

	if (out == NULL)
		return;
	for (size_t i = len; i-- > 0; value >>= 8)
		out[i] = (uint8_t)value;
}

void writer_put_u8(struct writer *w, uint8_t value)
{
	put_integer(w, value, 1);
}

void writer_put_u16(struct writer *w, uint16_t value)
{
	put_integer(w, value, 2);
}

void writer_put_u32(struct writer *w, uint32_t value)
{
	put_integer(w, value, 4);
}

void writer_put_u64(struct writer *w, uint64_t value)
{
	put_integer(w, value, 8);
}

void writer_put_bytes(struct writer *w, struct bytes value)
{
	uint8_t *out;

	if (value.len == 0)
		return;
	out = reserve(w, value.len);
	if (out != NULL)
		memcpy(out, value.data, value.len);
}

void writer_put_counted8(struct writer *w, struct bytes value)
{
	if (value.len > UINT8_MAX)
		writer_fail(w, ERR_TOO_LARGE);
	writer_put_u8(w, (uint8_t)value.len);
	writer_put_bytes(w, value);
}

void writer_put_counted16(struct writer *w, struct bytes value)
{
	if (value.len > UINT16_MAX)
		writer_fail(w, ERR_TOO_LARGE);
	writer_put_u16(w, (uint16_t)value.len);
	writer_put_bytes(w, value);
}

size_t writer_put_zeros(struct writer *w, size_t len)
{
	size_t start = w->len;
	uint8_t *out = reserve(w, len);

	if (out != NULL)
		secret_wipe(out, len);
	return start;
}

size_t writer_open16(struct writer *w)
{
	return writer_put_zeros(w, 2);
}

void writer_close16(struct writer *w, size_t mark, size_t extra)
{
	uint8_t *field = writer_at(w, mark, 2);
	size_t follows;

	if (field == NULL) {
		writer_fail(w, ERR_INTERNAL);
		return;
	}
	follows = w->len - mark - 2;
	if (extra > UINT16_MAX || follows > UINT16_MAX - extra) {
		writer_fail(w, ERR_TOO_LARGE);
		return;
	}
	field[0] = (uint8_t)((follows + extra) >> 8);
	field[1] = (uint8_t)(follows + extra);
}

uint8_t *writer_at(struct writer *w, size_t offset, size_t len)
{
	if (w->status != ERR_OK || w->data == NULL || offset > w->len || len > w->len - offset)
		return NULL;
	return w->data + offset;
}

size_t writer_len(const struct writer *w)
{
	return w->status == ERR_OK ? w->len : 0;
}

enum err writer_status(const struct writer *w)
{
	return w->status;
}

struct bytes writer_view(const struct writer *w)
{
	return w->status == ERR_OK ? BYTES(w->data, w->len) : BYTES_NONE;
}

enum err writer_take(struct writer *w, uint8_t **ret_data, size_t *ret_len)
{
	/* An empty result still is a pointer, even where the limit is zero. */
	if (w->status == ERR_OK && w->data == NULL) {
		w->data = malloc(1);
		if (w->data == NULL)
			writer_fail(w, ERR_NO_MEMORY);
	}
	if (w->status != ERR_OK) {
		enum err status = w->status;

		writer_free(w);
		w->status = status;
		return status;
	}
	*ret_data = w->data;
	*ret_len = w->len;
	writer_init(w, w->limit);
	return ERR_OK;
}

void writer_free(struct writer *w)
{
	secret_free(w->data, w->capacity);
	writer_init(w, w->limit);
}
