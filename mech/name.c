/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: made canonical once, immutable, shared by reference count.  The display
 * text is made with the name and is the name: two names are equal when kind and text are.  Nothing
 * is resolved. Exported form and identities: doc/protocol.md section 4; RFC 7296 3.5 for the ID
 * types.
 */
#include "mech/mech.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mech/ike/wire.h"
#include "mech/name_draft.h"

#define NAME_VERSION 1

struct mech_name {
	atomic_uint references;
	enum mech_name_kind kind;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* KEY */
	const char *service, *host;	     /* point into text */
	struct mech_facts *facts;	     /* or NULL; owned, as immutable as the rest */
	char text[];			     /* display text, then the service again */
};

/* --- importing: from what a program, a peer or a file gives to a draft --- */

static enum err read_user(struct bytes text, const char *default_domain, struct mech_draft *draft)
{
	size_t slash = mech_bytes_find(text, '/');

	if (mech_draft_has_key_prefix(text))
		return mech_draft_key(text, draft);
	if (slash < text.len)
		return mech_draft_host(
			mech_bytes_until(text, slash), mech_bytes_from(text, slash + 1), draft);
	if (bytes_equal(text, mech_text_bytes(MECH_ANONYMOUS_TEXT)))
		return mech_draft_anonymous(draft);
	return mech_draft_user(text, default_domain, draft);
}

static enum err read_hostbased(
	struct bytes text, const char *default_domain, struct mech_draft *draft)
{
	size_t at = mech_bytes_find(text, '@');

	(void)default_domain;
	if (at == 0 || at + 1 == text.len)
		return ERR_NAME_FORMAT;
	return mech_draft_host(mech_bytes_until(text, at),
		at == text.len ? BYTES_NONE : mech_bytes_from(text, at + 1), draft);
}

static enum err read_key(struct bytes text, const char *default_domain, struct mech_draft *draft)
{
	(void)default_domain;
	return mech_draft_key(text, draft);
}

static enum err read_anonymous(
	struct bytes text, const char *default_domain, struct mech_draft *draft)
{
	(void)text;
	(void)default_domain;
	return mech_draft_anonymous(draft);
}

static enum err read_exported_host(struct reader *r, struct mech_draft *draft)
{
	struct bytes service = reader_get_counted8(r);
	struct bytes host = reader_get_counted16(r);

	return reader_status(r) != ERR_OK ? ERR_NAME_FORMAT : mech_draft_host(service, host, draft);
}

static enum err read_exported_user(struct reader *r, struct mech_draft *draft)
{
	struct bytes text = reader_get_counted16(r);

	return reader_status(r) != ERR_OK ? ERR_NAME_FORMAT : mech_draft_user(text, NULL, draft);
}

static enum err read_exported_key(struct reader *r, struct mech_draft *draft)
{
	struct bytes digest = reader_get_counted8(r);

	return reader_status(r) != ERR_OK ? ERR_NAME_FORMAT : mech_draft_digest(digest, draft);
}

static enum err read_exported_anonymous(struct reader *r, struct mech_draft *draft)
{
	return reader_status(r) != ERR_OK ? ERR_NAME_FORMAT : mech_draft_anonymous(draft);
}

static enum err (*const exported_readers[])(struct reader *, struct mech_draft *) = {
	[MECH_NAME_HOSTBASED] = read_exported_host,
	[MECH_NAME_USER] = read_exported_user,
	[MECH_NAME_KEY] = read_exported_key,
	[MECH_NAME_ANONYMOUS] = read_exported_anonymous,
};

static void draft_export(const struct mech_draft *draft, struct writer *w);

/* RFC 2743 3.2: exported names are compared as octets, so only the canonical form is one. */
static enum err check_canonical(const struct mech_draft *draft, struct bytes fields)
{
	struct writer w;
	enum err err;

	writer_init(&w, 2 * MECH_NAME_BYTES_MAX);
	draft_export(draft, &w);
	err = writer_status(&w);
	if (err == ERR_OK && !bytes_equal(writer_view(&w), fields))
		err = ERR_NAME_FORMAT;
	writer_free(&w);
	return err;
}

static enum err read_exported(
	struct bytes token, const char *default_domain, struct mech_draft *draft)
{
	struct reader r;
	uint8_t version, kind;
	enum err err;

	(void)default_domain;
	reader_init(&r, token);
	version = reader_get_u8(&r);
	kind = reader_get_u8(&r);
	if (version != NAME_VERSION ||
		kind >= sizeof(exported_readers) / sizeof(exported_readers[0]) ||
		exported_readers[kind] == NULL)
		return ERR_NAME_FORMAT;
	err = exported_readers[kind](&r, draft);
	if (err == ERR_OK)
		err = check_canonical(draft, mech_bytes_until(token, token.len - reader_left(&r)));
	return err == ERR_NAME_NO_DOMAIN ? ERR_NAME_FORMAT : err;
}

static const struct {
	bool is_text;
	enum err (*read)(struct bytes text, const char *default_domain, struct mech_draft *draft);
} forms[] = {
	[MECH_FORM_USER] = { true, read_user },
	[MECH_FORM_HOSTBASED] = { true, read_hostbased },
	[MECH_FORM_KEY] = { true, read_key },
	[MECH_FORM_ANONYMOUS] = { true, read_anonymous },
	[MECH_FORM_EXPORTED] = { false, read_exported },
};

/* --- names --- */

static enum err name_new(const struct mech_draft *draft, struct mech_name **ret_name)
{
	struct mech_name *name = malloc(sizeof(*name) + draft->len + 1 + draft->service_len + 1);
	char *service;

	if (name == NULL)
		return ERR_NO_MEMORY;
	atomic_init(&name->references, 1);
	name->kind = draft->kind;
	name->facts = NULL;
	memcpy(name->digest, draft->digest, sizeof(name->digest));
	memcpy(name->text, draft->text, draft->len + 1);
	service = name->text + draft->len + 1;
	memcpy(service, draft->text, draft->service_len);
	service[draft->service_len] = '\0';
	name->service = service;
	name->host = name->text + draft->len;
	if (draft->kind == MECH_NAME_HOSTBASED)
		name->host = name->text + draft->service_len + 1;
	*ret_name = name;
	return ERR_OK;
}

enum err mech_name_import(enum mech_name_form form, struct bytes text, const char *default_domain,
	struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err;

	if ((size_t)form >= sizeof(forms) / sizeof(forms[0]))
		return ERR_NAME_TYPE;
	if (forms[form].is_text && text.len > 0 && text.data[text.len - 1] == '\0')
		text.len--;
	err = forms[form].read(text, default_domain, &draft);
	if (err == ERR_OK)
		return name_new(&draft, ret_name);
	if (forms[form].is_text)
		mech_set_detail(err, "name \"%.*s\"",
			(int)(text.len < MECH_NAME_BYTES_MAX ? text.len : MECH_NAME_BYTES_MAX),
			text.len == 0 ? "" : (const char *)text.data);
	return err;
}

enum err mech_name_of_host(const char *service, const char *host, struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err = mech_draft_host(mech_text_bytes(service), mech_text_bytes(host), &draft);

	return err == ERR_OK ? name_new(&draft, ret_name) : err;
}

enum err mech_name_of_user(const char *user, struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err = mech_draft_user(mech_text_bytes(user), NULL, &draft);

	return err == ERR_OK ? name_new(&draft, ret_name) : err;
}

enum err mech_name_of_key(const uint8_t digest[CRYPTO_SHA256_BYTES], struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err = mech_draft_digest(BYTES(digest, CRYPTO_SHA256_BYTES), &draft);

	return err == ERR_OK ? name_new(&draft, ret_name) : err;
}

enum err mech_name_anonymous(struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err = mech_draft_anonymous(&draft);

	return err == ERR_OK ? name_new(&draft, ret_name) : err;
}

static enum err draft_of_id(uint8_t id_type, struct bytes id_data, struct mech_draft *draft)
{
	if (id_type == IKE_ID_FQDN)
		return id_data.len == 0 ? ERR_NAME_FORMAT
					: mech_draft_host(BYTES_NONE, id_data, draft);
	if (id_type == IKE_ID_RFC822_ADDR)
		return mech_draft_user(id_data, NULL, draft);
	if (id_type == IKE_ID_KEY_ID)
		return mech_draft_digest(id_data, draft);
	if (id_type == IKE_ID_NULL)
		return mech_draft_anonymous(draft);
	return ERR_NAME_TYPE;
}

enum err mech_name_of_id(uint8_t id_type, struct bytes id_data, struct mech_name **ret_name)
{
	struct mech_draft draft;
	enum err err = draft_of_id(id_type, id_data, &draft);

	if (err == ERR_NAME_NO_DOMAIN)
		err = ERR_NAME_FORMAT;
	return err == ERR_OK ? name_new(&draft, ret_name) : err;
}

struct mech_name *mech_name_ref(struct mech_name *name)
{
	if (name != NULL)
		atomic_fetch_add_explicit(&name->references, 1, memory_order_relaxed);
	return name;
}

void mech_name_release(struct mech_name **name)
{
	struct mech_name *last = *name;

	*name = NULL;
	if (last == NULL ||
		atomic_fetch_sub_explicit(&last->references, 1, memory_order_acq_rel) != 1)
		return;
	free(last->facts);
	free(last);
}

/* One block, its texts at its end; NULL without memory. */
static struct mech_facts *facts_copy(const struct mech_facts *facts)
{
	size_t method_len = strlen(facts->method), entry_len = strlen(facts->entry);
	struct mech_facts *copy = malloc(sizeof(*copy) + method_len + 1 + entry_len + 1);
	char *texts = (char *)(copy + 1);

	if (copy == NULL)
		return NULL;
	*copy = *facts;
	memcpy(texts, facts->method, method_len + 1);
	copy->method = texts;
	memcpy(texts + method_len + 1, facts->entry, entry_len + 1);
	copy->entry = texts + method_len + 1;
	return copy;
}

enum err mech_name_with_facts(
	const struct mech_name *name, const struct mech_facts *facts, struct mech_name **ret_name)
{
	size_t text_len = strlen(name->text), service_len = strlen(name->service);
	size_t size = sizeof(*name) + text_len + 1 + service_len + 1;
	struct mech_name *copy = malloc(size);
	struct mech_facts *kept = facts_copy(facts);

	if (copy == NULL || kept == NULL) {
		free(copy);
		free(kept);
		return ERR_NO_MEMORY;
	}
	atomic_init(&copy->references, 1);
	copy->kind = name->kind;
	memcpy(copy->digest, name->digest, sizeof(copy->digest));
	memcpy(copy->text, name->text, text_len + 1 + service_len + 1);
	copy->service = copy->text + (name->service - name->text);
	copy->host = copy->text + (name->host - name->text);
	copy->facts = kept;
	*ret_name = copy;
	return ERR_OK;
}

const struct mech_facts *mech_name_facts(const struct mech_name *name)
{
	return name->facts;
}

enum mech_name_kind mech_name_kind(const struct mech_name *name)
{
	return name->kind;
}

const char *mech_name_display(const struct mech_name *name)
{
	return name->text;
}

const char *mech_name_service(const struct mech_name *name)
{
	return name->service;
}

const char *mech_name_host(const struct mech_name *name)
{
	return name->host;
}

const uint8_t *mech_name_digest(const struct mech_name *name)
{
	return name->kind == MECH_NAME_KEY ? name->digest : NULL;
}

bool mech_name_equal(const struct mech_name *a, const struct mech_name *b)
{
	return a->kind == b->kind && strcmp(a->text, b->text) == 0;
}

bool mech_name_is_host(const struct mech_name *name, const char *host)
{
	struct mech_draft draft;

	return name->kind == MECH_NAME_HOSTBASED && name->host[0] != '\0' && host != NULL &&
	       mech_draft_host(BYTES_NONE, mech_text_bytes(host), &draft) == ERR_OK &&
	       strcmp(draft.text + 1, name->host) == 0;
}

bool mech_name_is_user(const struct mech_name *name, const char *user)
{
	struct mech_draft draft;

	return name->kind == MECH_NAME_USER && user != NULL &&
	       mech_draft_user(mech_text_bytes(user), NULL, &draft) == ERR_OK &&
	       strcmp(draft.text, name->text) == 0;
}

/* --- exported form and IKE identity --- */

static void put_exported(
	enum mech_name_kind kind, struct bytes service, struct bytes last, struct writer *w)
{
	writer_put_u8(w, NAME_VERSION);
	writer_put_u8(w, (uint8_t)kind);
	if (kind == MECH_NAME_HOSTBASED)
		writer_put_counted8(w, service);
	if (kind == MECH_NAME_HOSTBASED || kind == MECH_NAME_USER)
		writer_put_counted16(w, last);
	if (kind == MECH_NAME_KEY)
		writer_put_counted8(w, last);
}

static void draft_export(const struct mech_draft *draft, struct writer *w)
{
	struct bytes text = BYTES((const uint8_t *)draft->text, draft->len);
	struct bytes last = text;

	if (draft->kind == MECH_NAME_HOSTBASED)
		last = mech_bytes_from(text, draft->service_len + 1);
	if (draft->kind == MECH_NAME_KEY)
		last = BYTES_OF(draft->digest);
	put_exported(draft->kind, mech_bytes_until(text, draft->service_len), last, w);
}

/* The one field that says who: host, text or digest; nothing for nobody. */
static struct bytes name_subject(const struct mech_name *name)
{
	if (name->kind == MECH_NAME_KEY)
		return BYTES_OF(name->digest);
	if (name->kind == MECH_NAME_HOSTBASED)
		return mech_text_bytes(name->host);
	return name->kind == MECH_NAME_USER ? mech_text_bytes(name->text) : BYTES_NONE;
}

enum err mech_name_export(const struct mech_name *name, struct writer *w)
{
	put_exported(name->kind, mech_text_bytes(name->service), name_subject(name), w);
	return writer_status(w);
}

enum err mech_name_to_id(const struct mech_name *name, uint8_t *ret_type, struct writer *w)
{
	static const uint8_t types[] = {
		[MECH_NAME_HOSTBASED] = IKE_ID_FQDN,
		[MECH_NAME_USER] = IKE_ID_RFC822_ADDR,
		[MECH_NAME_KEY] = IKE_ID_KEY_ID,
		[MECH_NAME_ANONYMOUS] = IKE_ID_NULL,
	};
	enum err err;

	if (name->kind == MECH_NAME_HOSTBASED && name->host[0] == '\0')
		return ERR_NAME_FORMAT;
	writer_put_bytes(w, name_subject(name));
	err = writer_status(w);
	if (err == ERR_OK)
		*ret_type = types[name->kind];
	return err;
}
