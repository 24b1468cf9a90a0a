/* SPDX-License-Identifier: BSD-2-Clause */
/* Message protection with the keys of tests/vectors/message.hex. */
#ifndef TESTS_UNIT_PROTECT_FIXTURE_H
#define TESTS_UNIT_PROTECT_FIXTURE_H

#include <check.h>
#include <string.h>

#include "mech/context.h"
#include "tests/unit/vector.h"

static struct mech_protect *protect_new(bool we_initiate, bool replay, bool sequence)
{
	struct vector_field sk_d, ni, nr;
	struct mech_protect *made = NULL;
	struct secret_key key;

	vector_read("message.hex", "sk_d", &sk_d);
	vector_read("message.hex", "ni", &ni);
	vector_read("message.hex", "nr", &nr);
	memcpy(key.data, sk_d.data, sk_d.len);
	key.len = sk_d.len;
	ck_assert_int_eq(
		mech_protect_new(crypto_prf_find(5), crypto_aead_find(20, 256), &key,
			vector_view(&ni), vector_view(&nr), we_initiate, replay, sequence, &made),
		ERR_OK);
	return made;
}

#endif
