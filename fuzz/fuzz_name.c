/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names in every form: the first octet says which (above the forms: an IKE identity of that type),
 * the rest is the text.  What is taken must come back from its display text and from its exported
 * form.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FORMS (MECH_FORM_EXPORTED + 1)

static void must_equal(const struct mech_name *name, enum err err, struct mech_name *again)
{
	if (err != ERR_OK || !mech_name_equal(name, again) ||
		strcmp(mech_name_display(name), mech_name_display(again)) != 0)
		abort();
	mech_name_release(&again);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mech_name *name = NULL;
	struct bytes text;
	enum err err;

	if (size == 0)
		return 0;
	text = BYTES(data + 1, size - 1);
	if (data[0] < FORMS)
		err = mech_name_import((enum mech_name_form)data[0], text, "example.org", &name);
	else
		err = mech_name_of_id((uint8_t)(data[0] - FORMS), text, &name);
	if (err == ERR_OK)
		check_name(name);
	mech_name_release(&name);
	return 0;
}
