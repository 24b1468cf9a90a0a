/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names in every form: the first octet says which (255: a composite exported name; else above the
 * forms: an IKE identity of that type), the rest is the text.  What is taken must come back from
 * its display text and from its exported form.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz_text.h"
#include "mech/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FORMS (MECH_FORM_EXPORTED + 1)
#define COMPOSITE 255

static void must_equal(const struct mech_name *name, enum err err, struct mech_name *again)
{
	if (err != ERR_OK || !mech_name_equal(name, again) ||
		strcmp(mech_name_display(name), mech_name_display(again)) != 0)
		abort();
	mech_name_release(&again);
}

/* The IKE identity names the same host, user or key again, and nobody else. */
static void check_identity(const struct mech_name *name)
{
	struct mech_name *again = NULL;
	struct writer id;
	uint8_t type = 0;

	writer_init(&id, MECH_NAME_BYTES_MAX);
	if (mech_name_to_id(name, &type, &id) == ERR_OK) {
		if (mech_name_of_id(type, writer_view(&id), &again) != ERR_OK ||
			mech_name_kind(again) != mech_name_kind(name) ||
			strcmp(mech_name_host(again), mech_name_host(name)) != 0)
			abort();
		if (mech_name_kind(name) != MECH_NAME_HOSTBASED && !mech_name_equal(name, again))
			abort();
		mech_name_release(&again);
	} else if (mech_name_kind(name) != MECH_NAME_HOSTBASED || mech_name_host(name)[0] != '\0') {
		abort();
	}
	writer_free(&id);
}

static void check_parts(const struct mech_name *name)
{
	const char *host = mech_name_host(name);
	bool is_user = mech_name_kind(name) == MECH_NAME_USER;

	if (strlen(mech_name_service(name)) > 64 || strlen(host) > MECH_NAME_BYTES_MAX)
		abort();
	if (mech_name_is_host(name, host) != (host[0] != '\0') ||
		mech_name_is_user(name, mech_name_display(name)) != is_user ||
		(mech_name_digest(name) != NULL) != (mech_name_kind(name) == MECH_NAME_KEY))
		abort();
}

static void check_name(const struct mech_name *name)
{
	const char *display = mech_name_display(name);
	struct mech_name *again = NULL;
	struct writer exported;
	enum err err;

	if (strlen(display) > MECH_NAME_BYTES_MAX)
		abort();
	err = mech_name_import(
		MECH_FORM_USER, BYTES((const uint8_t *)display, strlen(display)), NULL, &again);
	must_equal(name, err, again);
	writer_init(&exported, 1024);
	err = mech_name_export(name, &exported);
	if (err == ERR_OK)
		err = mech_name_import(MECH_FORM_EXPORTED, writer_view(&exported), NULL, &again);
	must_equal(name, err, again);
	writer_free(&exported);
	check_parts(name);
	check_identity(name);
}

/* What is known of a peer comes back as it was, and every text of it can be shown. */
static void check_facts(const struct mech_name *name)
{
	const struct mech_facts *facts = mech_name_facts(name), *others;
	struct mech_name *again = NULL;
	struct writer composite;

	if (facts == NULL)
		return;
	fuzz_check_text(facts->method, MECH_FACT_METHOD_BYTES_MAX + 1);
	fuzz_check_text(facts->entry, MECH_FACT_ENTRY_BYTES_MAX + 1);
	writer_init(&composite, 1024);
	if (mech_name_export_composite(name, &composite) != ERR_OK ||
		mech_name_import_composite(writer_view(&composite), &again) != ERR_OK)
		abort();
	others = mech_name_facts(again);
	if (!mech_name_equal(name, again) || others == NULL || others->reason != facts->reason ||
		others->has_digest != facts->has_digest ||
		strcmp(others->method, facts->method) != 0 ||
		strcmp(others->entry, facts->entry) != 0)
		abort();
	mech_name_release(&again);
	writer_free(&composite);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mech_name *name = NULL;
	struct bytes text;
	enum err err;

	if (size == 0)
		return 0;
	text = BYTES(data + 1, size - 1);
	if (data[0] == COMPOSITE)
		err = mech_name_import_composite(text, &name);
	else if (data[0] < FORMS)
		err = mech_name_import((enum mech_name_form)data[0], text, "example.org", &name);
	else
		err = mech_name_of_id((uint8_t)(data[0] - FORMS), text, &name);
	if (err == ERR_OK) {
		check_name(name);
		check_facts(name);
	}
	mech_name_release(&name);
	return 0;
}
