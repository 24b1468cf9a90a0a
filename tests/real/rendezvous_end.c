/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a context through the mechglue, for the rendezvous program. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <gssapi/gssapi_ext.h>
#include <gssapi_ipsec.h>

#include "rendezvous.h"

#define MINOR_OF_REASONS 200
#define DESCRIPTORS_LOOKED_AT 128
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char mech_octets[] = GSS_IPSEC_OID_MECH, latch_octets[] = GSS_IPSEC_OID_INQ_LATCH;
static gss_OID_desc mech_oid = { GSS_IPSEC_OID_MECH_LENGTH, mech_octets };
static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, latch_octets };

/* clang-format off */
static const char *const reason_words[] = {
#define X(name, number, word, text) [number] = word,
	IPSEC_LATCH_REASON_TABLE(X)
#undef X
};
/* clang-format on */

static bool credential_acquire(struct rv_end *end)
{
	const struct rv_role *role = &end->role;
	gss_key_value_element_desc elements[3] = { { "ipsec_latch", role->latch } };
	gss_key_value_set_desc store = { .count = 1, .elements = elements };
	gss_OID_set_desc mechs = { .count = 1, .elements = &mech_oid };
	char number[16];

	if (role->identity != NULL)
		elements[store.count++] =
			(gss_key_value_element_desc){ "ipsec_identity", role->identity };
	if (role->named >= 0) {
		(void)snprintf(number, sizeof(number), "%d", role->named);
		elements[store.count++] = (gss_key_value_element_desc){ "ipsec_fd", number };
	}
	end->major = gss_acquire_cred_from(&end->minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs,
		role->is_server ? GSS_C_ACCEPT : GSS_C_INITIATE, &store, &end->credential, NULL,
		NULL);
	return !GSS_ERROR(end->major);
}

bool rv_end_new(struct rv_end *end, const struct rv_role *role)
{
	char text[256];
	gss_buffer_desc name = { .value = text };

	*end = (struct rv_end){ .role = *role, .major = GSS_S_CONTINUE_NEEDED };
	if (!credential_acquire(end)) {
		printf("no credential\n");
		return false;
	}
	end->major = GSS_S_CONTINUE_NEEDED;
	if (role->is_server)
		return true;
	name.length = (size_t)snprintf(text, sizeof(text), "%s@%s",
		role->service != NULL ? role->service : "sample", role->host);
	return !GSS_ERROR(
		gss_import_name(&end->minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &end->target));
}

bool rv_end_step(struct rv_end *end, const struct rv_frame *input)
{
	gss_buffer_desc token = { .length = input == NULL ? 0 : input->len,
		.value = input == NULL ? NULL : (void *)(uintptr_t)input->data };
	OM_uint32 minor;

	(void)gss_release_buffer(&minor, &end->token);
	if (end->role.is_server)
		end->major = gss_accept_sec_context(&end->minor, &end->context, end->credential,
			&token, GSS_C_NO_CHANNEL_BINDINGS, NULL, NULL, &end->token, NULL, NULL,
			NULL);
	else
		end->major = gss_init_sec_context(&end->minor, end->credential, &end->context,
			end->target, &mech_oid, GSS_C_MUTUAL_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS,
			&token, NULL, &end->token, NULL, NULL);
	return !GSS_ERROR(end->major);
}

bool rv_end_goes_on(const struct rv_end *end)
{
	return end->major == GSS_S_CONTINUE_NEEDED;
}

static void end_print_error(const struct rv_end *end)
{
	OM_uint32 minor, more = 0;
	gss_buffer_desc text;

	if (GSS_ERROR(gss_display_status(
		    &minor, end->minor, GSS_C_MECH_CODE, &mech_oid, &more, &text)))
		return;
	printf("error: %.*s\n", (int)text.length, (const char *)text.value);
	(void)gss_release_buffer(&minor, &text);
}

const char *rv_end_reason(const struct rv_end *end)
{
	gss_buffer_set_t answer = GSS_C_NO_BUFFER_SET;
	const char *word = "unknown";
	OM_uint32 minor;
	uint32_t reason;

	if (GSS_ERROR(end->major))
		return end->minor > MINOR_OF_REASONS &&
				       end->minor - MINOR_OF_REASONS < COUNT(reason_words)
			       ? reason_words[end->minor - MINOR_OF_REASONS]
			       : word;
	if (GSS_ERROR(gss_inquire_sec_context_by_oid(&minor, end->context, &latch_oid, &answer)))
		return word;
	memcpy(&reason, answer->elements[0].value, sizeof(reason));
	if (ntohl(reason) < COUNT(reason_words))
		word = reason_words[ntohl(reason)];
	(void)gss_release_buffer_set(&minor, &answer);
	return word;
}

void rv_end_report(const struct rv_end *end, const char *who, int carrier)
{
	uint64_t seen[DESCRIPTORS_LOOKED_AT], own = rv_cookie(carrier);
	size_t count = 0, others = 0;

	for (int fd = 0; fd < DESCRIPTORS_LOOKED_AT; fd++) {
		uint64_t cookie = rv_cookie(fd);
		bool is_known = cookie == 0 || cookie == own;

		for (size_t i = 0; i < count; i++)
			is_known = is_known || seen[i] == cookie;
		if (is_known)
			continue;
		seen[count++] = cookie;
		others += rv_is_latched(fd);
	}
	if (GSS_ERROR(end->major))
		end_print_error(end);
	printf("result %s: %s %s %s %zu\n", who, rv_end_reason(end),
		end->major == GSS_S_COMPLETE ? "ok"
		: GSS_ERROR(end->major)	     ? "failed"
					     : "unfinished",
		rv_is_latched(carrier) ? "latched" : "clear", others);
}

void rv_end_free(struct rv_end *end)
{
	OM_uint32 minor;

	(void)gss_delete_sec_context(&minor, &end->context, GSS_C_NO_BUFFER);
	(void)gss_release_cred(&minor, &end->credential);
	(void)gss_release_name(&minor, &end->target);
	(void)gss_release_buffer(&minor, &end->token);
}
