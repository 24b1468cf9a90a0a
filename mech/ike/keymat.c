/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys of the IKE SA (RFC 7296 2.14, with an AEAD as RFC 5282 7.1) and of its child (2.17). */
#include "mech/ike/ike.h"

/* SK_d, SK_pi, SK_pr; SK_ei, SK_er. */
#define SK_BYTES_MAX (5 * SECRET_KEY_MAX)
#define CHILD_BYTES_MAX (2 * SECRET_KEY_MAX)

enum err ike_algorithms_of(const struct ike_suite *suite, struct ike_algorithms *ret_algorithms)
{
	struct ike_algorithms algorithms = {
		.aead = crypto_aead_find(suite->encr, suite->key_bits),
		.prf = crypto_prf_find(suite->prf),
		.group = crypto_group_find(suite->group),
	};

	if (algorithms.aead == NULL || algorithms.prf == NULL || algorithms.group == NULL)
		return ERR_INTERNAL;
	*ret_algorithms = algorithms;
	return ERR_OK;
}

void ike_keys_wipe(struct ike_keys *keys)
{
	secret_wipe(keys, sizeof(*keys));
}

static bool nonce_is_allowed(struct bytes nonce)
{
	return nonce.len >= IKE_NONCE_BYTES_MIN && nonce.len <= IKE_NONCE_BYTES_MAX;
}

static void take_key(struct reader *r, size_t len, struct secret_key *ret_key)
{
	if (len > sizeof(ret_key->data)) {
		reader_fail(r, ERR_INTERNAL);
		return;
	}
	reader_copy(r, ret_key->data, len);
	ret_key->len = len;
}

/* RFC 7296 2.14: taken in order, "without regard to PRF output boundaries". */
static enum err take_keys(
	const struct ike_algorithms *algorithms, struct bytes stream, struct ike_keys *ret_keys)
{
	size_t prf_bytes = algorithms->prf->key_bytes;
	size_t aead_bytes = algorithms->aead->key_bytes + algorithms->aead->salt_bytes;
	struct reader r;

	reader_init(&r, stream);
	take_key(&r, prf_bytes, &ret_keys->sk_d);
	take_key(&r, aead_bytes, &ret_keys->sk_ei);
	take_key(&r, aead_bytes, &ret_keys->sk_er);
	take_key(&r, prf_bytes, &ret_keys->sk_pi);
	take_key(&r, prf_bytes, &ret_keys->sk_pr);
	return reader_finish(&r);
}

enum err ike_keys_derive(const struct ike_algorithms *algorithms, const struct secret_key *shared,
	struct bytes ni, struct bytes nr, uint64_t spi_i, uint64_t spi_r, struct ike_keys *ret_keys)
{
	size_t len = 3 * algorithms->prf->key_bytes +
		     2 * (algorithms->aead->key_bytes + algorithms->aead->salt_bytes);
	uint8_t stream[SK_BYTES_MAX];
	struct bytes seed;
	struct ike_keys keys = { 0 };
	struct writer w;
	enum err status;

	if (!nonce_is_allowed(ni) || !nonce_is_allowed(nr))
		return ERR_NONCE;
	if (len > sizeof(stream))
		return ERR_INTERNAL;
	writer_init(&w, 2 * IKE_NONCE_BYTES_MAX + 2 * sizeof(uint64_t));
	writer_put_bytes(&w, ni);
	writer_put_bytes(&w, nr);
	writer_put_u64(&w, spi_i);
	writer_put_u64(&w, spi_r);
	status = writer_status(&w);
	if (status != ERR_OK)
		goto out;
	seed = writer_view(&w);
	/* SKEYSEED = prf(Ni | Nr, g^ir)
	 * {SK_d | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr) */
	status = crypto_prf_plus_salted(algorithms->prf, BYTES(seed.data, ni.len + nr.len),
		secret_key_view(shared), &seed, 1, stream, len);
	if (status != ERR_OK)
		goto out;
	status = take_keys(algorithms, BYTES(stream, len), &keys);
	if (status == ERR_OK)
		*ret_keys = keys;
out:
	writer_free(&w);
	secret_wipe(stream, sizeof(stream));
	ike_keys_wipe(&keys);
	return status;
}

enum err ike_child_keys_derive(const struct ike_algorithms *algorithms,
	const struct secret_key *sk_d, struct bytes ni, struct bytes nr,
	const struct esp_suite *suite, struct secret_key *ret_i_to_r, struct secret_key *ret_r_to_i)
{
	struct secret_key i_to_r = { .len = 0 }, r_to_i = { .len = 0 };
	struct bytes nonces[] = { ni, nr };
	uint8_t keymat[CHILD_BYTES_MAX];
	size_t len = 2 * suite->keymat_bytes;
	struct reader r;
	enum err status;

	if (!nonce_is_allowed(ni) || !nonce_is_allowed(nr))
		return ERR_NONCE;
	if (len > sizeof(keymat))
		return ERR_INTERNAL;
	status = crypto_prf_plus(algorithms->prf, secret_key_view(sk_d), nonces, 2, keymat, len);
	if (status != ERR_OK)
		goto out;
	/* RFC 7296 2.17: keys from the initiator to the responder are taken first. */
	reader_init(&r, BYTES(keymat, len));
	take_key(&r, suite->keymat_bytes, &i_to_r);
	take_key(&r, suite->keymat_bytes, &r_to_i);
	status = reader_finish(&r);
	if (status != ERR_OK)
		goto out;
	*ret_i_to_r = i_to_r;
	*ret_r_to_i = r_to_i;
out:
	secret_wipe(keymat, sizeof(keymat));
	secret_key_wipe(&i_to_r);
	secret_key_wipe(&r_to_i);
	return status;
}
