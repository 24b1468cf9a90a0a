/* SPDX-License-Identifier: BSD-2-Clause */
/* Wiping and comparing secrets (base/secret.h). */
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

void secret_wipe(void *data, size_t len)
{
	if (len > 0)
		explicit_bzero(data, len);
}

void secret_free(void *data, size_t len)
{
	if (data == NULL)
		return;
	secret_wipe(data, len);
	free(data);
}

bool secret_equal(struct bytes a, struct bytes b)
{
	/* volatile: the compiler must not leave the loop at the first difference. */
	volatile uint8_t difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference = (uint8_t)(difference | (a.data[i] ^ b.data[i]));
	return difference == 0;
}

void secret_key_wipe(struct secret_key *key)
{
	secret_wipe(key, sizeof(*key));
}

struct bytes secret_key_view(const struct secret_key *key)
{
	return BYTES(key->data, key->len);
}
