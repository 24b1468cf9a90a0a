/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one OSSL_LIB_CTX: private, so that neither the host's configuration nor its clean-up changes
 * what is computed here; made once and never freed.
 */
#include "mech/crypto/library.h"

#include <openssl/provider.h>
#include <pthread.h>

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static OSSL_LIB_CTX *library_context;
static bool library_is_ready;

static void library_make(void)
{
	library_context = OSSL_LIB_CTX_new();
	if (library_context == NULL)
		return;
	if (OSSL_PROVIDER_load(library_context, "default") == NULL)
		return;
	library_is_ready =
		crypto_hash_fetch(library_context) && crypto_prf_fetch(library_context) &&
		crypto_aead_fetch(library_context) && crypto_curve_fetch(library_context);
}

enum err crypto_ready(void)
{
	if (pthread_once(&library_once, library_make) != 0)
		return ERR_CRYPTO;
	return library_is_ready ? ERR_OK : ERR_CRYPTO;
}

OSSL_LIB_CTX *crypto_library(void)
{
	return crypto_ready() == ERR_OK ? library_context : NULL;
}
