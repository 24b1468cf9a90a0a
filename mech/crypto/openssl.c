/* SPDX-License-Identifier: BSD-2-Clause */
/* libcrypto, opened when it is needed and by its own name: a program may have brought another one. */
#include "mech/crypto/openssl_calls.h"

#include <dlfcn.h>
#include <link.h>
#include <openssl/opensslv.h>
#include <stdlib.h>
#include <string.h>

#include "base/library.h"

#define TEXT_OF(word) TEXT(word)
#define TEXT(word) #word
#define LIBRARY_NAME "libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION)

typedef void openssl_function(void);

static long absent(void)
{
	return 0;
}

#define ABSENT(name) .name = (__typeof__(name) *)(openssl_function *)absent,
static const struct crypto_openssl openssl_absent = { CRYPTO_OPENSSL_CALLS(ABSENT) };

_Atomic(const struct crypto_openssl *) crypto_openssl_current = &openssl_absent;

static const struct library_call openssl_calls[] = {
#define CALL(name) { #name, offsetof(struct crypto_openssl, name) },
	CRYPTO_OPENSSL_CALLS(CALL)
};

/* Where this process has it, if it does: RTLD_NOLOAD with the bare name would search the file system. */
static int find_present(struct dl_phdr_info *info, size_t size, void *argument)
{
	const char *file = strrchr(info->dlpi_name, '/');
	char **ret_path = argument;

	(void)size;
	if (strcmp(file != NULL ? file + 1 : info->dlpi_name, LIBRARY_NAME) != 0)
		return 0;
	*ret_path = strdup(info->dlpi_name);
	return 1;
}

static void *open_present(void)
{
	char *path = NULL;
	void *library = NULL;

	(void)dl_iterate_phdr(find_present, &path);
	if (path != NULL)
		library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
	free(path);
	return library;
}

bool crypto_openssl_open(bool only_present)
{
	const struct crypto_openssl *expected = &openssl_absent;
	struct crypto_openssl *found;
	void *library;

	if (crypto_openssl() != &openssl_absent)
		return true;
	library = only_present ? open_present() : dlopen(LIBRARY_NAME, RTLD_NOW | RTLD_LOCAL);
	found = library_functions(library, openssl_calls,
		sizeof(openssl_calls) / sizeof(openssl_calls[0]), sizeof(*found));
	if (found == NULL)
		return false;
	/* Another thread may have been faster; the library then stays opened twice. */
	if (!atomic_compare_exchange_strong(&crypto_openssl_current, &expected, found))
		free(found);
	return true;
}
