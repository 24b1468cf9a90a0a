/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random octets straight from the kernel: a generator in the process would have to notice a fork,
 * and OpenSSL's does so by the process's number, which is reused.
 */
#include "mech/crypto/crypto.h"

#include <errno.h>
#include <sys/random.h>

enum err crypto_random(uint8_t *out, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t got = getrandom(out + done, len - done, 0);

		if (got > 0) {
			done += (size_t)got;
			continue;
		}
		if (got == 0 || errno != EINTR) {
			secret_wipe(out, done);
			return ERR_RANDOM;
		}
	}
	return ERR_OK;
}
