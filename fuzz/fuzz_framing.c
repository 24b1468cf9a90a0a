/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 2743's headers, both ways: what is taken is what the writer makes of the same inner part, but
 * for the one octet behind a token that framing.c explains; and what the writer makes is taken.
 */
#include <stdlib.h>

#include "plugin/plugin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef enum err (*framing_read)(struct bytes token, struct bytes *ret_inner);
typedef enum err (*framing_write)(struct bytes inner, struct writer *w);

static void read_then_write(struct bytes input, framing_read reads, framing_write writes)
{
	struct bytes inner;
	struct writer w;

	if (reads(input, &inner) != ERR_OK)
		return;
	writer_init(&w, PLUGIN_TOKEN_BYTES_MAX);
	if (writes(inner, &w) != ERR_OK || writer_len(&w) + 1 < input.len)
		abort();
	if (!bytes_equal(writer_view(&w), BYTES(input.data, writer_len(&w))))
		abort();
	writer_free(&w);
}

/* Also one octet longer, which may or may not be taken, and one shorter, which never is. */
static void write_then_read(struct bytes inner, framing_read reads, framing_write writes)
{
	struct bytes back, token;
	struct writer w;

	writer_init(&w, PLUGIN_TOKEN_BYTES_MAX);
	if (writes(inner, &w) == ERR_OK) {
		token = writer_view(&w);
		if (reads(token, &back) != ERR_OK || !bytes_equal(back, inner) ||
			reads(BYTES(token.data, token.len - 1), &back) == ERR_OK)
			abort();
		writer_put_u8(&w, 0);
		token = writer_view(&w);
		if (reads(token, &back) == ERR_OK && !bytes_equal(back, inner))
			abort();
	}
	writer_free(&w);
}

static void fuzz_framing(struct bytes input, framing_read reads, framing_write writes)
{
	read_then_write(input, reads, writes);
	write_then_read(input, reads, writes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_framing(BYTES(data, size), plugin_framing_token_read, plugin_framing_token_write);
	fuzz_framing(BYTES(data, size), plugin_framing_name_read, plugin_framing_name_write);
	return 0;
}
