/* SPDX-License-Identifier: BSD-2-Clause */
/* The request behind a credential: from the credential store, and to and from its token. */
#include "mech/credential_request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_VERSION 1
#define TOKEN_TEXT_BYTES_MAX PATH_MAX
#define DESCRIPTOR_NONE UINT32_MAX

static const char *const latch_words[] = {
	[CONFIG_LATCH_YES] = "yes",
	[CONFIG_LATCH_AUTO] = "auto",
	[CONFIG_LATCH_REQUIRE] = "require",
	[CONFIG_LATCH_NO] = "no",
};
#define LATCH_WORDS (sizeof(latch_words) / sizeof(latch_words[0]))

void mech_request_free(struct mech_request *request)
{
	mech_name_release(&request->desired);
	free(request->tag);
	free(request->key_path);
	free(request->config_path);
	*request = (struct mech_request){ .fd = -1 };
}

/* --- credential store --- */

static enum err take_text(const char *value, char **text)
{
	if (*value == '\0' || *text != NULL)
		return ERR_CRED_STORE;
	*text = strdup(value);
	return *text == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err take_tag(const char *value, struct mech_request *request)
{
	return take_text(value, &request->tag);
}

static enum err take_key(const char *value, struct mech_request *request)
{
	return take_text(value, &request->key_path);
}

static enum err take_config(const char *value, struct mech_request *request)
{
	return take_text(value, &request->config_path);
}

static enum err take_fd(const char *value, struct mech_request *request)
{
	int fd = 0;

	if (*value == '\0' || request->fd >= 0)
		return ERR_CRED_STORE;
	for (; *value != '\0'; value++) {
		int digit = *value - '0';

		if (digit < 0 || digit > 9 || fd > (INT_MAX - digit) / 10)
			return ERR_CRED_STORE;
		fd = fd * 10 + digit;
	}
	request->fd = fd;
	return ERR_OK;
}

static enum err take_latch(const char *value, struct mech_request *request)
{
	for (size_t i = 0; i < LATCH_WORDS && !request->has_latch; i++) {
		if (strcmp(value, latch_words[i]) == 0) {
			request->latch = (enum config_latch)i;
			request->has_latch = true;
			return ERR_OK;
		}
	}
	return ERR_CRED_STORE;
}

static const struct {
	const char *key;
	enum err (*take)(const char *value, struct mech_request *request);
} store_keys[] = {
	{ "ipsec_identity", take_tag },
	{ "ipsec_key", take_key },
	{ "ipsec_config", take_config },
	{ "ipsec_fd", take_fd },
	{ "ipsec_latch", take_latch },
};

static enum err take_entry(const struct mech_store_entry *entry, struct mech_request *request)
{
	enum err err = ERR_OK;

	if (entry->key == NULL || entry->value == NULL)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < sizeof(store_keys) / sizeof(store_keys[0]); i++) {
		if (strcmp(entry->key, store_keys[i].key) == 0)
			err = store_keys[i].take(entry->value, request);
	}
	if (err == ERR_CRED_STORE)
		mech_set_detail(err, "%s = \"%s\"", entry->key, entry->value);
	return err;
}

enum err mech_request_make(const struct mech_name *desired, enum mech_usage usage,
	const struct mech_store_entry *store, size_t store_count, struct mech_request *ret_request)
{
	struct mech_request request = { .usage = usage, .fd = -1 };
	struct writer copy;
	enum err err = ERR_OK;

	writer_init(&copy, 2 * MECH_NAME_BYTES_MAX);
	if ((unsigned int)usage - 1u >= MECH_BOTH)
		err = ERR_ARGUMENT;
	for (size_t i = 0; i < store_count && err == ERR_OK; i++)
		err = take_entry(&store[i], &request);
	if (err == ERR_OK && request.tag != NULL && request.key_path != NULL) {
		err = ERR_CRED_STORE;
		mech_set_detail(err, "ipsec_identity and ipsec_key together");
	}
	/* The caller's name is const, a reference counts: hence a copy, through the exported
	 * form. */
	if (err == ERR_OK && desired != NULL) {
		err = mech_name_export(desired, &copy);
		if (err == ERR_OK)
			err = mech_name_import(
				MECH_FORM_EXPORTED, writer_view(&copy), NULL, &request.desired);
	}
	writer_free(&copy);
	if (err == ERR_OK)
		*ret_request = request;
	else
		mech_request_free(&request);
	return err;
}

/* --- token --- */

static void put_text(struct writer *w, const char *text)
{
	size_t len = text == NULL ? 0 : strlen(text);

	if (len > TOKEN_TEXT_BYTES_MAX)
		writer_fail(w, ERR_TOO_LARGE);
	writer_put_counted16(w, BYTES((const uint8_t *)text, len));
}

enum err mech_request_write(const struct mech_request *request, const char *tag, struct writer *w)
{
	size_t mark;

	writer_put_u8(w, TOKEN_VERSION);
	writer_put_u8(w, (uint8_t)request->usage);
	writer_put_u8(w, request->has_latch ? (uint8_t)(1 + request->latch) : 0);
	writer_put_u32(w, request->fd < 0 ? DESCRIPTOR_NONE : (uint32_t)request->fd);
	put_text(w, request->config_path);
	put_text(w, tag != NULL ? tag : request->tag);
	put_text(w, request->key_path);
	mark = writer_open16(w);
	if (request->desired != NULL) {
		enum err err = mech_name_export(request->desired, w);

		if (err != ERR_OK)
			return err;
	}
	writer_close16(w, mark, 0);
	return writer_status(w);
}

/* Leaves *ret_text NULL for an empty field. */
static enum err get_text(struct reader *r, char **ret_text)
{
	struct bytes field = reader_get_counted16(r);

	if (reader_status(r) != ERR_OK || field.len > TOKEN_TEXT_BYTES_MAX)
		return ERR_CRED_TOKEN;
	if (field.len == 0)
		return ERR_OK;
	if (memchr(field.data, '\0', field.len) != NULL)
		return ERR_CRED_TOKEN;
	*ret_text = strndup((const char *)field.data, field.len);
	return *ret_text == NULL ? ERR_NO_MEMORY : ERR_OK;
}

static enum err get_desired(struct reader *r, struct mech_name **ret_name)
{
	struct bytes field = reader_get_counted16(r);
	enum err err;

	if (reader_status(r) != ERR_OK)
		return ERR_CRED_TOKEN;
	if (field.len == 0)
		return ERR_OK;
	err = mech_name_import(MECH_FORM_EXPORTED, field, NULL, ret_name);
	return err == ERR_NAME_FORMAT ? ERR_CRED_TOKEN : err;
}

static enum err get_numbers(struct reader *r, struct mech_request *request)
{
	uint8_t version = reader_get_u8(r);
	uint8_t usage = reader_get_u8(r);
	uint8_t latch = reader_get_u8(r);
	uint32_t fd = reader_get_u32(r);

	if (reader_status(r) != ERR_OK || version != TOKEN_VERSION || usage < MECH_INITIATE ||
		usage > MECH_BOTH || latch > LATCH_WORDS || (fd > INT_MAX && fd != DESCRIPTOR_NONE))
		return ERR_CRED_TOKEN;
	request->usage = (enum mech_usage)usage;
	request->has_latch = latch > 0;
	if (latch > 0)
		request->latch = (enum config_latch)(latch - 1);
	request->fd = fd == DESCRIPTOR_NONE ? -1 : (int)fd;
	return ERR_OK;
}

enum err mech_request_read(struct bytes token, struct mech_request *ret_request)
{
	struct mech_request request = { .fd = -1 };
	struct reader r;
	enum err err;

	reader_init(&r, token);
	err = get_numbers(&r, &request);
	if (err == ERR_OK)
		err = get_text(&r, &request.config_path);
	if (err == ERR_OK)
		err = get_text(&r, &request.tag);
	if (err == ERR_OK)
		err = get_text(&r, &request.key_path);
	if (err == ERR_OK)
		err = get_desired(&r, &request.desired);
	if (err == ERR_OK && request.tag != NULL && request.key_path != NULL)
		err = ERR_CRED_TOKEN;
	if (err == ERR_OK)
		*ret_request = request;
	else
		mech_request_free(&request);
	return err;
}
