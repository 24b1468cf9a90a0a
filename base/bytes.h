/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Byte readers and writers: the only way wire formats are read and written here.
 *
 * Both are sticky: after the first error every further call does nothing (getters give 0 or an
 * empty view), so a parser reads straight down and checks once, with reader_finish(),
 * writer_status() or writer_take().  Integers are big-endian.  Not thread-safe; one object, one thread at a time.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A borrowed run of octets; valid as long as what it points into. data may be NULL when len is 0. */
struct bytes {
	const uint8_t *data;
	size_t len;
};

#define BYTES(ptr, length) ((struct bytes){ .data = (ptr), .len = (length) })
#define BYTES_OF(array) ((struct bytes){ .data = (array), .len = sizeof(array) })
#define BYTES_NONE ((struct bytes){ .data = NULL, .len = 0 })

/* Same length and same octets; not constant-time: for public values only (secrets: secret_equal). */
bool bytes_equal(struct bytes a, struct bytes b);

/* A reader owns nothing.  Fields are private to bytes.c. */
struct reader {
	const uint8_t *next;
	size_t left;
	enum err status;
};

/* Starts reading at the first octet of input, which must outlive the reader and every view from it. */
void reader_init(struct reader *r, struct bytes input);
uint8_t reader_get_u8(struct reader *r);
uint16_t reader_get_u16(struct reader *r);
uint32_t reader_get_u32(struct reader *r);
uint64_t reader_get_u64(struct reader *r);
/* The next len octets as a view into the input. */
struct bytes reader_get_bytes(struct reader *r, size_t len);
/* All that is left. */
struct bytes reader_get_rest(struct reader *r);
/* A view counted by a length of one (two) octets before it. */
struct bytes reader_get_counted8(struct reader *r);
struct bytes reader_get_counted16(struct reader *r);
/* A reader over the next len octets, which this reader skips; it cannot see past them. */
struct reader reader_get_sub(struct reader *r, size_t len);
/* Copies exactly len octets into out; zeroes out when there are fewer. */
void reader_copy(struct reader *r, uint8_t *out, size_t len);
void reader_skip(struct reader *r, size_t len);
size_t reader_left(const struct reader *r);
/* Makes the reader fail with code, unless it failed before: for rules a parser checks itself. */
void reader_fail(struct reader *r, enum err code);
/* The first error, or ERR_OK; trailing octets are no error. */
enum err reader_status(const struct reader *r) ERR_MUST_CHECK;
/* The first error, ERR_TRUNCATED_INPUT included; ERR_TRAILING_INPUT when octets are left. */
enum err reader_finish(const struct reader *r) ERR_MUST_CHECK;

/*
 * A writer grows its own buffer, at most to limit octets (ERR_TOO_LARGE beyond), never through
 * realloc: the old copy is wiped before it is freed, so that secrets may be written too.
 */
struct writer {
	uint8_t *data;
	size_t len, capacity, limit;
	enum err status;
};

void writer_init(struct writer *w, size_t limit_bytes);
void writer_put_u8(struct writer *w, uint8_t value);
void writer_put_u16(struct writer *w, uint16_t value);
void writer_put_u32(struct writer *w, uint32_t value);
void writer_put_u64(struct writer *w, uint64_t value);
void writer_put_bytes(struct writer *w, struct bytes value);
/* A length of one (two) octets, then value; ERR_TOO_LARGE when it does not fit. */
void writer_put_counted8(struct writer *w, struct bytes value);
void writer_put_counted16(struct writer *w, struct bytes value);
/* len zero octets; returns where they start, to be filled in through writer_at() later. */
size_t writer_put_zeros(struct writer *w, size_t len);
/* Reserves a 16-bit length field; writer_close16 fills in how many octets follow the field,
 * plus extra (IKE payload lengths count their own header, RFC 7296 3.2). */
size_t writer_open16(struct writer *w);
void writer_close16(struct writer *w, size_t mark, size_t extra);
/* A pointer to an octet already written, valid until the next put; NULL when out of range or failed. */
uint8_t *writer_at(struct writer *w, size_t offset, size_t len);
size_t writer_len(const struct writer *w);
void writer_fail(struct writer *w, enum err code);
enum err writer_status(const struct writer *w) ERR_MUST_CHECK;
/* What was written, borrowed until the writer changes; empty after an error. */
struct bytes writer_view(const struct writer *w);
/* Hands the buffer to the caller (plain malloc, the caller frees) and empties the writer.
 * On error nothing is handed over and the buffer is wiped. An empty result is a non-NULL pointer. */
enum err writer_take(struct writer *w, uint8_t **ret_data, size_t *ret_len) ERR_MUST_CHECK;
/* Wipes and frees; safe on a zeroed, taken or failed writer. */
void writer_free(struct writer *w);

#endif
