/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A name and what was seen of its peer as octets, for another process of the same host (RFC 6680
 * 7.8: composite exported names).  Whoever takes such octets believes who gave them.
 */
#include "mech/mech.h"

#include <string.h>

#define COMPOSITE_VERSION 1
#define FACTS_NONE 0
#define FACTS_THERE 1

enum err mech_name_export_composite(const struct mech_name *name, struct writer *w)
{
	const struct mech_facts *facts = mech_name_facts(name);
	size_t mark;
	enum err err;

	writer_put_u8(w, COMPOSITE_VERSION);
	mark = writer_open16(w);
	err = mech_name_export(name, w);
	if (err != ERR_OK)
		return err;
	writer_close16(w, mark, 0);
	writer_put_u8(w, facts == NULL ? FACTS_NONE : FACTS_THERE);
	if (facts == NULL)
		return writer_status(w);
	writer_put_u8(w, (uint8_t)facts->reason);
	writer_put_counted8(w, BYTES((const uint8_t *)facts->method, strlen(facts->method)));
	writer_put_counted8(w, BYTES(facts->digest, facts->has_digest ? sizeof(facts->digest) : 0));
	writer_put_counted8(w, BYTES((const uint8_t *)facts->entry, strlen(facts->entry)));
	return writer_status(w);
}

/* Printable ASCII of at most that many octets. */
static enum err get_text(struct reader *r, size_t most, char *ret_text)
{
	struct bytes text = reader_get_counted8(r);

	if (reader_status(r) != ERR_OK || text.len > most)
		return ERR_NAME_FORMAT;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < ' ' || text.data[i] > '~')
			return ERR_NAME_FORMAT;
		ret_text[i] = (char)text.data[i];
	}
	ret_text[text.len] = '\0';
	return ERR_OK;
}

static enum err get_digest(struct reader *r, struct mech_facts *facts)
{
	struct bytes digest = reader_get_counted8(r);

	if (reader_status(r) != ERR_OK || (digest.len != 0 && digest.len != sizeof(facts->digest)))
		return ERR_NAME_FORMAT;
	facts->has_digest = digest.len != 0;
	if (facts->has_digest)
		memcpy(facts->digest, digest.data, digest.len);
	return ERR_OK;
}

/* The name with the facts that stand next in the reader. */
static enum err get_facts(
	struct reader *r, const struct mech_name *name, struct mech_name **ret_name)
{
	char method[MECH_FACT_METHOD_BYTES_MAX + 1], entry[MECH_FACT_ENTRY_BYTES_MAX + 1];
	struct mech_facts facts = { .method = method, .entry = entry };
	enum err err;

	facts.reason = (enum ipsec_latch_reason)reader_get_u8(r);
	err = get_text(r, MECH_FACT_METHOD_BYTES_MAX, method);
	if (err == ERR_OK && method[0] == '\0')
		err = ERR_NAME_FORMAT;
	if (err == ERR_OK)
		err = get_digest(r, &facts);
	if (err == ERR_OK)
		err = get_text(r, MECH_FACT_ENTRY_BYTES_MAX, entry);
	return err == ERR_OK ? mech_name_with_facts(name, &facts, ret_name) : err;
}

enum err mech_name_import_composite(struct bytes token, struct mech_name **ret_name)
{
	struct mech_name *name = NULL;
	struct bytes inner;
	struct reader r;
	uint8_t version, kind;
	enum err err;

	reader_init(&r, token);
	version = reader_get_u8(&r);
	inner = reader_get_counted16(&r);
	kind = reader_get_u8(&r);
	if (reader_status(&r) != ERR_OK || version != COMPOSITE_VERSION || kind > FACTS_THERE)
		return ERR_NAME_FORMAT;
	err = mech_name_import(MECH_FORM_EXPORTED, inner, NULL, &name);
	if (err == ERR_OK && kind == FACTS_THERE)
		err = get_facts(&r, name, ret_name);
	else if (err == ERR_OK)
		*ret_name = mech_name_ref(name);
	mech_name_release(&name);
	return err;
}
