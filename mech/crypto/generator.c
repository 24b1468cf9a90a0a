/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random octets for OpenSSL (secret numbers of ECDSA, blinding, salts, primes): a provider (provider-rand(7))
 * with one generator, the kernel's.  OpenSSL's own is a state in this process.  It tells a forked copy by
 * the process's number, which is reused, and asks for that with a system call at each draw.  A program that
 * has set a RAND_METHOD for itself, OpenSSL asks that, here as everywhere.
 */
#include "mech/crypto/library.h"

#include <openssl/core_dispatch.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define GENERATOR_NAME "KERNEL"
#define PROVIDER_NAME "gss-ipsec"
#define PARAM_DRAWS "draws" /* unsigned int: enum crypto_draws */

/* What a signature on P-384 draws is 160; getrandom(2) gives no more than 256 in one piece. */
#define AHEAD_BYTES 256
#define REQUEST_MAX 65536

/* One for each thread that draws, made and freed by OpenSSL. */
struct generator {
	unsigned int draws; /* enum crypto_draws */
	size_t left;
	uint8_t octets[AHEAD_BYTES];
};

static atomic_bool has_failed;

/* --- drawing --- */

static enum err ahead_draw(struct generator *generator, uint8_t *out, size_t len)
{
	enum err err = ERR_OK;

	if (len > AHEAD_BYTES)
		return crypto_random(out, len);
	if (generator->left < len) {
		generator->left = 0;
		err = crypto_random(generator->octets, AHEAD_BYTES);
		if (err != ERR_OK)
			return err;
		generator->left = AHEAD_BYTES;
	}
	generator->left -= len;
	memcpy(out, generator->octets + generator->left, len);
	secret_wipe(generator->octets + generator->left, len);
	return err;
}

static int generator_generate(void *context, unsigned char *out, size_t len, unsigned int strength,
	int is_prediction_resistant, const unsigned char *additional, size_t additional_len)
{
	struct generator *generator = context;
	enum err err;

	(void)strength;
	(void)is_prediction_resistant;
	(void)additional;
	(void)additional_len;
	if (generator->draws == CRYPTO_DRAWS_PUBLIC)
		return crypto_random_public(out, len) == ERR_OK;
	if (generator->draws == CRYPTO_DRAWS_AHEAD)
		err = ahead_draw(generator, out, len);
	else
		err = crypto_random(out, len);
	if (err != ERR_OK)
		atomic_store(&has_failed, true);
	return err == ERR_OK;
}

/* A parameter of that name and size, or NULL.  OpenSSL's own function for it would be a call that can fail. */
static const OSSL_PARAM *param_find(const OSSL_PARAM *params, const char *name, size_t size)
{
	for (; params->key != NULL; params++)
		if (strcmp(params->key, name) == 0 && params->data_size == size)
			return params;
	return NULL;
}

static int generator_set(void *context, const OSSL_PARAM params[])
{
	struct generator *generator = context;
	const OSSL_PARAM *draws = param_find(params, PARAM_DRAWS, sizeof(generator->draws));

	if (draws == NULL)
		return 1;
	secret_wipe(generator->octets, AHEAD_BYTES);
	generator->left = 0;
	memcpy(&generator->draws, draws->data, sizeof(generator->draws));
	return 1;
}

/* --- what else OpenSSL asks of a generator --- */

static void *generator_new(void *provider, void *parent, const OSSL_DISPATCH *parent_calls)
{
	(void)provider;
	(void)parent;
	(void)parent_calls;
	return calloc(1, sizeof(struct generator));
}

static void generator_free(void *context)
{
	secret_free(context, sizeof(struct generator));
}

static int generator_instantiate(void *context, unsigned int strength, int is_prediction_resistant,
	const unsigned char *personal, size_t personal_len, const OSSL_PARAM params[])
{
	(void)context;
	(void)strength;
	(void)is_prediction_resistant;
	(void)personal;
	(void)personal_len;
	(void)params;
	return 1;
}

static int generator_get(void *context, OSSL_PARAM params[])
{
	const size_t bytes_max = REQUEST_MAX;
	const OSSL_PARAM *request_max =
		param_find(params, OSSL_RAND_PARAM_MAX_REQUEST, sizeof(bytes_max));

	(void)context;
	if (request_max != NULL)
		memcpy(request_max->data, &bytes_max, sizeof(bytes_max));
	return 1;
}

/* Also for enable_locking and uninstantiate: threads share none that has a state. */
static int generator_lock(void *context)
{
	(void)context;
	return 1;
}

static void generator_unlock(void *context)
{
	(void)context;
}

/* --- the provider --- */

#define CALL(name, function)                                      \
	{                                                         \
		OSSL_FUNC_RAND_##name, (void (*)(void))(function) \
	}
static const OSSL_DISPATCH generator_calls[] = {
	CALL(NEWCTX, generator_new),
	CALL(FREECTX, generator_free),
	CALL(INSTANTIATE, generator_instantiate),
	CALL(UNINSTANTIATE, generator_lock),
	CALL(GENERATE, generator_generate),
	CALL(GET_CTX_PARAMS, generator_get),
	CALL(SET_CTX_PARAMS, generator_set),
	CALL(ENABLE_LOCKING, generator_lock),
	CALL(LOCK, generator_lock),
	CALL(UNLOCK, generator_unlock),
	{ 0, NULL },
};

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *ret_no_store)
{
	static const OSSL_ALGORITHM algorithms[] = {
		{ GENERATOR_NAME, "provider=" PROVIDER_NAME, generator_calls, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	(void)provider;
	*ret_no_store = 0;
	return operation == OSSL_OP_RAND ? algorithms : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core_calls,
	const OSSL_DISPATCH **ret_calls, void **ret_provider)
{
	static const OSSL_DISPATCH calls[] = {
		{ OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query },
		{ 0, NULL },
	};

	(void)handle;
	(void)core_calls;
	*ret_calls = calls;
	*ret_provider = NULL;
	return 1;
}

OSSL_PROVIDER *crypto_generator_load(OSSL_LIB_CTX *library)
{
	OSSL_PROVIDER *provider;

	if (OSSL_PROVIDER_add_builtin(library, PROVIDER_NAME, provider_init) != 1)
		return NULL;
	provider = OSSL_PROVIDER_load(library, PROVIDER_NAME);
	if (provider != NULL && RAND_set_DRBG_type(library, GENERATOR_NAME, NULL, NULL, NULL) == 1)
		return provider;
	if (provider != NULL)
		(void)OSSL_PROVIDER_unload(provider);
	return NULL;
}

void crypto_generator_set(enum crypto_draws draws)
{
	unsigned int value = draws;
	const OSSL_PARAM params[] = {
		{ PARAM_DRAWS, OSSL_PARAM_UNSIGNED_INTEGER, &value, sizeof(value), 0 },
		OSSL_PARAM_END,
	};
	EVP_RAND_CTX *generator = RAND_get0_private(crypto_library());

	if (generator != NULL)
		(void)EVP_RAND_CTX_set_params(generator, params);
}

bool crypto_generator_take_failure(void)
{
	return atomic_load_explicit(&has_failed, memory_order_relaxed) &&
	       atomic_exchange(&has_failed, false);
}
