/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds one [peer] entry in the text of a configuration, so that the rest of the file, comments and
 * all, can be kept octet for octet.  The configuration's own reader has accepted the text before:
 * sections begin in the first column, subsections do not nest, '}' stands alone.
 */
#include "tools/tools.h"

#include <string.h>

static bool is_blank(uint8_t octet)
{
	return octet == ' ' || octet == '\t' || octet == '\r' || octet == '\n';
}

static struct bytes trim(struct bytes text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		text = BYTES(text.data + 1, text.len - 1);
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

static bool is_text(struct bytes text, const char *wanted)
{
	return bytes_equal(text, BYTES((const uint8_t *)wanted, strlen(wanted)));
}

/* The line that begins at *at, with its end; moves *at to the next. */
static struct bytes line_next(struct bytes text, size_t *at)
{
	const uint8_t *begin = text.data + *at;
	const uint8_t *end = memchr(begin, '\n', text.len - *at);
	size_t len = end == NULL ? text.len - *at : (size_t)(end - begin) + 1;

	*at += len;
	return BYTES(begin, len);
}

/* Splits "name = value"; false for comments and all else. */
static bool line_split(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
	struct bytes text = trim(line);
	const uint8_t *equals;

	if (text.len == 0 || text.data[0] == '#' || text.data[0] == ';')
		return false;
	equals = memchr(text.data, '=', text.len);
	if (equals == NULL)
		return false;
	*ret_name = trim(BYTES(text.data, (size_t)(equals - text.data)));
	*ret_value = trim(BYTES(equals + 1, text.len - (size_t)(equals - text.data) - 1));
	if (ret_value->len >= 2 && ret_value->data[0] == '"')
		*ret_value = BYTES(ret_value->data + 1, ret_value->len - 2);
	return true;
}

struct tool_peer_place tool_peer_find(struct bytes text, const char *tag)
{
	struct tool_peer_place place = { .insert = text.len };
	bool is_peer = false, is_wanted = false;
	size_t at = 0;

	while (at < text.len) {
		size_t begin = at;
		struct bytes line = line_next(text, &at), name, value;

		if (line.data[0] == '[')
			is_peer = is_text(trim(line), "[peer]");
		if (!is_peer)
			continue;
		if (line.data[0] == '[') {
			place.has_section = true;
			place.insert = at;
		} else if (is_text(trim(line), "}")) {
			place.insert = at;
			if (is_wanted) {
				place.close = begin;
				place.next = at;
			}
			is_wanted = false;
		} else if (line_split(line, &name, &value) && is_text(value, "{") &&
			   is_text(name, tag)) {
			place.has_entry = is_wanted = true;
			place.entry = begin;
		}
	}
	return place;
}

bool tool_peer_find_key(struct bytes text, const struct tool_peer_place *place, const char *name,
	size_t *ret_begin, size_t *ret_end)
{
	size_t at = place->entry;

	while (place->has_entry && at < place->close) {
		size_t begin = at;
		struct bytes line = line_next(text, &at), key, value;

		if (line_split(line, &key, &value) && is_text(key, "key") &&
			tool_key_is_named(value, name)) {
			*ret_begin = begin;
			*ret_end = at;
			return true;
		}
	}
	return false;
}
