/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one OSSL_LIB_CTX: private, so that neither the host's configuration nor its clean-up changes
 * what is computed here; made once and never freed.
 */
#include "mech/crypto/library.h"

#include <pthread.h>
#include <stdatomic.h>

/* Memory that is short may come back; a provider that is missing does not, and looking for it
 * takes long. */
#define LIBRARY_TRIES_MAX 32

/* One for each try: pthread_once alone is right in a child that was forked in its midst. */
static pthread_once_t library_tries[LIBRARY_TRIES_MAX];
static atomic_uint library_try;
static OSSL_LIB_CTX *library_context;
static atomic_bool library_is_ready;

/* What was begun is thrown away: OpenSSL remembers algorithms that it could not set up as ones that
 * it does not have. */
static void library_drop(OSSL_PROVIDER *generator, OSSL_PROVIDER *algorithms)
{
	crypto_hash_drop();
	crypto_prf_drop();
	crypto_aead_drop();
	crypto_curve_drop();
	if (algorithms != NULL)
		(void)OSSL_PROVIDER_unload(algorithms);
	if (generator != NULL)
		(void)OSSL_PROVIDER_unload(generator);
	OSSL_LIB_CTX_free(library_context);
	library_context = NULL;
}

static void library_make(void)
{
	OSSL_PROVIDER *generator = NULL, *algorithms = NULL;

	if (!crypto_openssl_open(false))
		return;
	library_context = OSSL_LIB_CTX_new();
	if (library_context == NULL)
		return;
	generator = crypto_generator_load(library_context);
	if (generator != NULL)
		algorithms = OSSL_PROVIDER_load(library_context, "default");
	if (algorithms != NULL && crypto_hash_fetch(library_context) &&
		crypto_prf_fetch(library_context) && crypto_aead_fetch(library_context) &&
		crypto_curve_fetch(library_context))
		atomic_store(&library_is_ready, true);
	else
		library_drop(generator, algorithms);
}

enum err crypto_ready(void)
{
	unsigned int try = atomic_load(&library_try);
	enum err err = ERR_CRYPTO;
	int guard;

	/* 0 once the program, or its end, has cleaned OpenSSL up: what asks for locks then crashes */
	if (atomic_load_explicit(&library_is_ready, memory_order_acquire))
		return OPENSSL_init_crypto(0, NULL) == 1 ? ERR_OK : ERR_CRYPTO;
	if (try >= LIBRARY_TRIES_MAX)
		return ERR_CRYPTO;
	guard = crypto_guard_begin();
	if (pthread_once(&library_tries[try], library_make) == 0 && library_is_ready)
		err = ERR_OK;
	else
		(void)atomic_compare_exchange_strong(&library_try, &try, try + 1);
	return crypto_guard_end(guard, err);
}

OSSL_LIB_CTX *crypto_library(void)
{
	return crypto_ready() == ERR_OK ? library_context : NULL;
}

enum err crypto_refusal(enum err err)
{
	return ERR_peek_last_error() == 0 ? ERR_NO_MEMORY : err;
}

/* What a guard found in the queue. */
enum { GUARD_NOTHING, GUARD_ERRORS, GUARD_MEMORY };

static bool last_is_memory(void)
{
	return ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE;
}

/* As long as this process has no libcrypto, its queue holds nothing of the program's. */
int crypto_guard_begin(void)
{
	(void)crypto_generator_take_failure();
	if (!crypto_openssl_open(true))
		return GUARD_NOTHING;
	if (ERR_set_mark() != 1)
		return GUARD_NOTHING;
	return last_is_memory() ? GUARD_MEMORY : GUARD_ERRORS;
}

/*
 * Without errors of the program's own there is no mark, and all that is in the queue is ours.  Where
 * the program's last one is a want of memory, one of ours cannot be told from it, and is not.
 */
enum err crypto_guard_end(int guard, enum err err)
{
	bool is_memory = guard != GUARD_MEMORY && last_is_memory();
	unsigned long code;

	while (err != ERR_OK && guard == GUARD_NOTHING && (code = ERR_get_error()) != 0)
		is_memory = is_memory || ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
	(void)ERR_pop_to_mark();
	if (err == ERR_OK)
		return ERR_OK;
	if (is_memory)
		return ERR_NO_MEMORY;
	return err != ERR_AUTH_FAILED && crypto_generator_take_failure() ? ERR_RANDOM : err;
}
