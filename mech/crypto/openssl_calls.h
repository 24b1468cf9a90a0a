/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * OpenSSL's functions that mech/crypto calls, and where they are: in libcrypto, which is opened at
 * their first use.  To load it takes longer than a small program runs, and the mechglue loads this
 * plugin into every program that asks for its mechanisms.
 *
 * Only mech/crypto/openssl.c includes this file itself; all others take openssl.h.
 */
#ifndef MECH_CRYPTO_OPENSSL_CALLS_H
#define MECH_CRYPTO_OPENSSL_CALLS_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdbool.h>

/* X(function); those that return a structure cannot stand here.  openssl.h has a line for each. */
/* clang-format off */
#define CRYPTO_OPENSSL_CALLS(X) \
	X(BIO_ctrl) \
	X(BIO_free) \
	X(BIO_new) \
	X(BIO_new_mem_buf) \
	X(BIO_s_secmem) \
	X(BN_CTX_free) \
	X(BN_CTX_secure_new_ex) \
	X(BN_bin2bn) \
	X(BN_bn2nativepad) \
	X(BN_clear_free) \
	X(BN_cmp) \
	X(BN_free) \
	X(BN_is_zero) \
	X(BN_secure_new) \
	X(BN_set_flags) \
	X(CRYPTO_free) \
	X(CRYPTO_secure_clear_free) \
	X(EC_GROUP_free) \
	X(EC_GROUP_get0_order) \
	X(EC_GROUP_new_by_curve_name_ex) \
	X(EC_POINT_free) \
	X(EC_POINT_mul) \
	X(EC_POINT_new) \
	X(EC_POINT_point2oct) \
	X(ERR_get_error) \
	X(ERR_peek_last_error) \
	X(ERR_pop_to_mark) \
	X(ERR_set_mark) \
	X(EVP_CIPHER_CTX_free) \
	X(EVP_CIPHER_CTX_get_iv_length) \
	X(EVP_CIPHER_CTX_get_params) \
	X(EVP_CIPHER_CTX_new) \
	X(EVP_CIPHER_fetch) \
	X(EVP_CIPHER_free) \
	X(EVP_CipherFinal_ex) \
	X(EVP_CipherInit_ex2) \
	X(EVP_CipherUpdate) \
	X(EVP_DecryptInit_ex2) \
	X(EVP_DigestFinal_ex) \
	X(EVP_DigestInit_ex2) \
	X(EVP_DigestSign) \
	X(EVP_DigestSignInit_ex) \
	X(EVP_DigestUpdate) \
	X(EVP_DigestVerify) \
	X(EVP_DigestVerifyInit_ex) \
	X(EVP_EncryptInit_ex2) \
	X(EVP_MAC_CTX_free) \
	X(EVP_MAC_CTX_new) \
	X(EVP_MAC_CTX_set_params) \
	X(EVP_MAC_fetch) \
	X(EVP_MAC_final) \
	X(EVP_MAC_free) \
	X(EVP_MAC_init) \
	X(EVP_MAC_update) \
	X(EVP_MD_CTX_copy_ex) \
	X(EVP_MD_CTX_free) \
	X(EVP_MD_CTX_new) \
	X(EVP_MD_fetch) \
	X(EVP_MD_free) \
	X(EVP_PKEY_CTX_free) \
	X(EVP_PKEY_CTX_new_from_name) \
	X(EVP_PKEY_CTX_new_from_pkey) \
	X(EVP_PKEY_CTX_set_rsa_keygen_bits) \
	X(EVP_PKEY_derive) \
	X(EVP_PKEY_derive_init) \
	X(EVP_PKEY_derive_set_peer_ex) \
	X(EVP_PKEY_dup) \
	X(EVP_PKEY_free) \
	X(EVP_PKEY_fromdata) \
	X(EVP_PKEY_fromdata_init) \
	X(EVP_PKEY_generate) \
	X(EVP_PKEY_get_octet_string_param) \
	X(EVP_PKEY_get_raw_public_key) \
	X(EVP_PKEY_keygen_init) \
	X(EVP_PKEY_set1_encoded_public_key) \
	X(EVP_PKEY_set_utf8_string_param) \
	X(EVP_RAND_CTX_set_params) \
	X(OPENSSL_init_crypto) \
	X(OSSL_DECODER_CTX_free) \
	X(OSSL_DECODER_CTX_new_for_pkey) \
	X(OSSL_DECODER_from_data) \
	X(OSSL_LIB_CTX_free) \
	X(OSSL_LIB_CTX_new) \
	X(OSSL_PROVIDER_add_builtin) \
	X(OSSL_PROVIDER_load) \
	X(OSSL_PROVIDER_unload) \
	X(PEM_bytes_read_bio_secmem) \
	X(PEM_write_bio_PrivateKey_ex) \
	X(RAND_get0_private) \
	X(RAND_set_DRBG_type) \
	X(i2d_PUBKEY)
/* clang-format on */

struct crypto_openssl {
#define CRYPTO_OPENSSL_MEMBER(name) __typeof__(name) *name;
	CRYPTO_OPENSSL_CALLS(CRYPTO_OPENSSL_MEMBER)
#undef CRYPTO_OPENSSL_MEMBER
};

/* Until libcrypto is there, functions that all give 0: what OpenSSL's failures look like. Never NULL,
 * and what it points to never changes. */
extern _Atomic(const struct crypto_openssl *) crypto_openssl_current;

static inline const struct crypto_openssl *crypto_openssl(void)
{
	return atomic_load_explicit(&crypto_openssl_current, memory_order_acquire);
}

/*
 * Opens libcrypto, for good, unless that has been done; false when it cannot be.  With only_present,
 * nothing is loaded: false as well when this process does not have it.  Thread-safe and fork-safe: no
 * lock.
 */
bool crypto_openssl_open(bool only_present);

#endif
