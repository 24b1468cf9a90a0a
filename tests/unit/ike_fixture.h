/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of clear and of sealed IKE messages share. */
#ifndef TESTS_UNIT_IKE_FIXTURE_H
#define TESTS_UNIT_IKE_FIXTURE_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "mech/ike/ike.h"

#define SPI_I 0x1122334455667788u
#define SPI_R 0x99aabbccddeeff00u
#define LENGTH_AT 27

static const uint8_t nonce[32] = { 1, 2, 3 };
static const uint8_t public_value[32] = { 9 };
static const uint8_t iv[IKE_IV_BYTES] = { 0, 0, 0, 0, 0, 0, 0, 1 };

struct message_bytes {
	uint8_t *data;
	size_t len;
};

static inline struct ike_header header_of(
	uint8_t exchange, uint8_t flags, uint32_t id, uint64_t spi_r)
{
	return (struct ike_header){ .spi_i = SPI_I,
		.spi_r = spi_r,
		.exchange = exchange,
		.flags = flags,
		.message_id = id };
}

static inline struct message_bytes finish(struct ike_builder *b)
{
	struct message_bytes m = { NULL, 0 };

	ck_assert_int_eq(ike_builder_finish(b, &m.data, &m.len), ERR_OK);
	return m;
}

static inline const struct crypto_aead *aead(void)
{
	const struct crypto_aead *found = crypto_aead_find(IKE_ENCR_AES_GCM_16, 256);

	ck_assert_ptr_nonnull(found);
	return found;
}

static inline struct secret_key sealing_key(uint8_t first)
{
	struct secret_key key = { .len = 36 };
	size_t i;

	for (i = 0; i < key.len; i++)
		key.data[i] = (uint8_t)(first + i);
	return key;
}

static inline enum err parse(
	struct message_bytes m, enum ike_kind kind, struct ike_message *ret_message)
{
	return ike_message_parse(BYTES(m.data, m.len), kind, ret_message);
}

#endif
