/* SPDX-License-Identifier: BSD-2-Clause */
/* Notify types by name, for logs and status messages. */
#include "mech/ike/ike.h"

/* clang-format off */
static const struct {
	uint16_t type;
	const char *name;
} notify_names[] = {
	{ IKE_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD, "UNSUPPORTED_CRITICAL_PAYLOAD" },
	{ IKE_NOTIFY_INVALID_SYNTAX,               "INVALID_SYNTAX" },
	{ IKE_NOTIFY_NO_PROPOSAL_CHOSEN,           "NO_PROPOSAL_CHOSEN" },
	{ IKE_NOTIFY_INVALID_KE_PAYLOAD,           "INVALID_KE_PAYLOAD" },
	{ IKE_NOTIFY_AUTHENTICATION_FAILED,        "AUTHENTICATION_FAILED" },
	{ IKE_NOTIFY_TS_UNACCEPTABLE,              "TS_UNACCEPTABLE" },
	{ IKE_NOTIFY_USE_TRANSPORT_MODE,           "USE_TRANSPORT_MODE" },
	{ IKE_NOTIFY_CHILDLESS_IKEV2_SUPPORTED,    "CHILDLESS_IKEV2_SUPPORTED" },
	{ IKE_NOTIFY_SIGNATURE_HASH_ALGORITHMS,    "SIGNATURE_HASH_ALGORITHMS" },
	{ IKE_NOTIFY_GSS_FAILURE,                  "GSS_FAILURE" },
	{ IKE_NOTIFY_GSS_LATCH,                    "GSS_LATCH" },
	{ IKE_NOTIFY_GSS_CONTEXT,                  "GSS_CONTEXT" },
	{ IKE_NOTIFY_GSS_PADDING,                  "GSS_PADDING" },
};
/* clang-format on */

const char *ike_notify_name(uint16_t type)
{
	size_t i;

	for (i = 0; i < sizeof(notify_names) / sizeof(notify_names[0]); i++)
		if (notify_names[i].type == type)
			return notify_names[i].name;
	return "notify";
}
