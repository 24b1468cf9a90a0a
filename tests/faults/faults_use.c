/* SPDX-License-Identifier: BSD-2-Clause */
/* See faults_login.h: what a program does with credentials, names and contexts that it has. */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "tests/faults/faults_life.h"

/* --- names and credentials --- */

/* Storing what is there already; and what an identity with a key tells of it. */
static void use_store(struct life *life)
{
	gss_key_value_element_desc element = { "ipsec_config",
		life->login->ends->initiator_config };
	gss_key_value_set_desc store = { 1, &element };
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	gss_OID_set stored = GSS_C_NO_OID_SET;
	OM_uint32 minor;

	if (life->login->is_nobody[0])
		return;
	CALL(life, gss_store_cred_into, life->credentials[0], GSS_C_INITIATE, plugin_mech_oid, 1, 0,
		&store, &stored, NULL);
	(void)gss_release_oid_set(&minor, &stored);
	CALL(life, gss_inquire_cred_by_oid, life->credentials[0], plugin_inquiry_credential_key,
		&set);
	(void)gss_release_buffer_set(&minor, &set);
}

void use_credential(struct life *life)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	gss_cred_id_t copy = GSS_C_NO_CREDENTIAL;
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_inquire_cred, life->credentials[0], &name, NULL, NULL, NULL);
	(void)gss_release_name(&minor, &name);
	CALL(life, gss_export_cred, life->credentials[0], &token);
	CALL(life, gss_import_cred, &token, &copy);
	life_drop(&token);
	(void)gss_release_cred(&minor, &copy);
	use_store(life);
}

static void use_attributes(struct life *life, gss_name_t name)
{
	gss_buffer_set_t attributes = GSS_C_NO_BUFFER_SET;
	gss_buffer_desc user = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	CALL(life, gss_inquire_name, name, NULL, NULL, &attributes);
	for (size_t i = 0; attributes != NULL && i < attributes->count; i++) {
		gss_buffer_desc value = GSS_C_EMPTY_BUFFER, shown = GSS_C_EMPTY_BUFFER;
		int more = -1;

		CALL(life, gss_get_name_attribute, name, &attributes->elements[i], NULL, NULL,
			&value, &shown, &more);
		life_drop(&value);
		life_drop(&shown);
	}
	(void)gss_release_buffer_set(&minor, &attributes);
	if (life->login->is_nobody[0])
		return;
	CALL(life, gss_localname, name, plugin_mech_oid, &user);
	CALL(life, gssspi_authorize_localname, name, &user, GSS_C_NT_USER_NAME);
	life_drop(&user);
}

static void use_composite(struct life *life, gss_name_t name)
{
	gss_buffer_desc exported = GSS_C_EMPTY_BUFFER;
	gss_name_t copy = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_export_name_composite, name, &exported);
	CALL(life, gss_import_name, &exported, GSS_C_NT_COMPOSITE_EXPORT, &copy);
	life_drop(&exported);
	(void)gss_release_name(&minor, &copy);
	CALL(life, gss_duplicate_name, name, &copy);
	(void)gss_release_name(&minor, &copy);
}

void use_name(struct life *life, gss_name_t name)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER, exported = GSS_C_EMPTY_BUFFER;
	gss_name_t copy = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_display_name, name, &text, NULL);
	life_drop(&text);
	CALL(life, gss_export_name, name, &exported);
	CALL(life, gss_import_name, &exported, GSS_C_NT_EXPORT_NAME, &copy);
	life_drop(&exported);
	(void)gss_release_name(&minor, &copy);
	use_composite(life, name);
	use_attributes(life, name);
}

/* --- contexts --- */

void use_context(struct life *life, size_t side)
{
	static gss_OID_desc inquiries[] = {
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH },
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_UNIQUE },
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_END_POINT },
	};
	/* The end-point binding stands last: an acceptor that is nobody has none. */
	const size_t count =
		sizeof(inquiries) / sizeof(inquiries[0]) - (life->login->is_nobody[1] ? 1 : 0);
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	gss_buffer_desc octets = GSS_C_EMPTY_BUFFER, input = { 5, "input" };
	OM_uint32 minor;

	CALL(life, gss_inquire_context, life->contexts[side], &source, &target, NULL, NULL, NULL,
		NULL, NULL);
	(void)gss_release_name(&minor, &source);
	(void)gss_release_name(&minor, &target);
	for (size_t i = 0; i < count; i++) {
		gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;

		CALL(life, gss_inquire_sec_context_by_oid, life->contexts[side], &inquiries[i],
			&set);
		(void)gss_release_buffer_set(&minor, &set);
	}
	CALL(life, gss_pseudo_random, life->contexts[side], GSS_C_PRF_KEY_FULL, &input, 100,
		&octets);
	life_drop(&octets);
}

void use_transfer(struct life *life, size_t side)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;

	CALL(life, gss_export_sec_context, &life->contexts[side], &token);
	CALL(life, gss_import_sec_context, &token, &life->contexts[side]);
	/* It holds keys: whoever has it wipes it. */
	secret_wipe(token.value, token.length);
	life_drop(&token);
}

void use_messages(struct life *life, size_t from)
{
	char text[] = "over there";
	gss_buffer_desc plain = { sizeof(text), text }, token = GSS_C_EMPTY_BUFFER,
			back = GSS_C_EMPTY_BUFFER, mic = GSS_C_EMPTY_BUFFER;

	CALL(life, gss_wrap, life->contexts[from], 1, GSS_C_QOP_DEFAULT, &plain, NULL, &token);
	CALL(life, gss_unwrap, life->contexts[1 - from], &token, &back, NULL, NULL);
	if (back.length != plain.length || strcmp(back.value, text) != 0)
		life_complain(life->login, "a message did not come through");
	CALL(life, gss_get_mic, life->contexts[from], GSS_C_QOP_DEFAULT, &plain, &mic);
	CALL(life, gss_verify_mic, life->contexts[1 - from], &plain, &mic, NULL);
	life_drop(&token);
	life_drop(&back);
	life_drop(&mic);
}

static void join(gss_buffer_t whole, const gss_iov_buffer_desc *iov, int count, uint8_t *room)
{
	*whole = (gss_buffer_desc){ 0, room };
	for (int i = 0; i < count; i++) {
		memcpy(room + whole->length, iov[i].buffer.value, iov[i].buffer.length);
		whole->length += iov[i].buffer.length;
	}
}

/* In place: what a call that failed has left there is no text any more, so the next one gets it anew. */
static OM_uint32 wrap_pieces(OM_uint32 *minor, gss_ctx_id_t context, gss_iov_buffer_desc *iov)
{
	memcpy(iov[1].buffer.value, "in pieces", iov[1].buffer.length);
	return gss_wrap_iov(minor, context, 1, GSS_C_QOP_DEFAULT, NULL, iov, 3);
}

/* Header and trailer are the plugin's allocations; back through a stream, whose text is one too. */
static void use_wrapped_pieces(struct life *life, size_t from)
{
	char text[] = "in pieces";
	uint8_t room[256];
	gss_iov_buffer_desc iov[] = {
		{ GSS_IOV_BUFFER_TYPE_HEADER | GSS_IOV_BUFFER_FLAG_ALLOCATE, { 0, NULL } },
		{ GSS_IOV_BUFFER_TYPE_DATA, { sizeof(text), text } },
		{ GSS_IOV_BUFFER_TYPE_TRAILER | GSS_IOV_BUFFER_FLAG_ALLOCATE, { 0, NULL } },
	};
	gss_iov_buffer_desc stream[] = {
		{ GSS_IOV_BUFFER_TYPE_STREAM, { 0, NULL } },
		{ GSS_IOV_BUFFER_TYPE_DATA | GSS_IOV_BUFFER_FLAG_ALLOCATE, { 0, NULL } },
	};

	CALL(life, wrap_pieces, life->contexts[from], iov);
	join(&stream[0].buffer, iov, 3, room);
	CALL(life, gss_unwrap_iov, life->contexts[1 - from], NULL, NULL, stream, 2);
	if (stream[1].buffer.length != sizeof(text) ||
		strcmp(stream[1].buffer.value, "in pieces") != 0)
		life_complain(life->login, "a message in pieces did not come through");
	life_drop(&iov[0].buffer);
	life_drop(&iov[2].buffer);
	life_drop(&stream[1].buffer);
}

static void use_aead(struct life *life, size_t from)
{
	char text[] = "beside it";
	gss_buffer_desc plain = { sizeof(text), text }, beside = { 6, "header" },
			token = GSS_C_EMPTY_BUFFER, back = GSS_C_EMPTY_BUFFER;

	CALL(life, gss_wrap_aead, life->contexts[from], 1, GSS_C_QOP_DEFAULT, &beside, &plain, NULL,
		&token);
	CALL(life, gss_unwrap_aead, life->contexts[1 - from], &token, &beside, &back, NULL, NULL);
	if (back.length != plain.length || strcmp(back.value, text) != 0)
		life_complain(life->login, "a message beside a header did not come through");
	life_drop(&token);
	life_drop(&back);
}

void use_pieces(struct life *life, size_t from)
{
	char text[] = "in pieces";
	gss_iov_buffer_desc iov[] = {
		{ GSS_IOV_BUFFER_TYPE_DATA, { sizeof(text), text } },
		{ GSS_IOV_BUFFER_TYPE_MIC_TOKEN | GSS_IOV_BUFFER_FLAG_ALLOCATE, { 0, NULL } },
	};

	use_wrapped_pieces(life, from);
	use_aead(life, from);
	CALL(life, gss_get_mic_iov, life->contexts[from], GSS_C_QOP_DEFAULT, iov, 2);
	CALL(life, gss_verify_mic_iov, life->contexts[1 - from], NULL, iov, 2);
	life_drop(&iov[1].buffer);
}
