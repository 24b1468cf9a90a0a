/* SPDX-License-Identifier: BSD-2-Clause */
/* HMAC-SHA-1 (RFC 2104), for OpenSSH's hashed host names and nothing else: no protocol here uses it. */
#include "mech/crypto/library.h"

enum err crypto_hmac_sha1(struct bytes key, struct bytes data, uint8_t ret_mac[CRYPTO_SHA1_BYTES])
{
	char digest[] = "SHA1";
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, sizeof(digest) - 1),
		OSSL_PARAM_END,
	};
	EVP_MAC_CTX *context = NULL;
	EVP_MAC *hmac = NULL;
	size_t len = 0;
	int guard;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	guard = crypto_guard_begin();
	hmac = EVP_MAC_fetch(crypto_library(), "HMAC", NULL);
	if (hmac != NULL)
		context = EVP_MAC_CTX_new(hmac);
	if (context == NULL || EVP_MAC_CTX_set_params(context, params) != 1 ||
		EVP_MAC_init(context, key.data, key.len, NULL) != 1 ||
		EVP_MAC_update(context, data.data, data.len) != 1 ||
		EVP_MAC_final(context, ret_mac, &len, CRYPTO_SHA1_BYTES) != 1 ||
		len != CRYPTO_SHA1_BYTES)
		err = ERR_CRYPTO;
	EVP_MAC_CTX_free(context);
	EVP_MAC_free(hmac);
	return crypto_guard_end(guard, err);
}
