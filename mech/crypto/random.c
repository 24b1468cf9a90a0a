/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random octets straight from the kernel: a generator in the process would have to notice a fork,
 * and OpenSSL's does so by the process's number, which is reused.
 *
 * What the peer and everybody on the path sees anyway (nonces, IKE SPIs) is drawn ahead, in blocks
 * on a page that a forked child gets as zeros: empty ones.  Keys never are, so that no octet of one
 * lies in memory before there is a use for it.  OpenSSL draws from here, too (generator.c).
 */
#include "mech/crypto/crypto.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define BLOCKS 4
#define BLOCK_BYTES 1000

/* Zeros: nobody has it, and nothing is in it. */
struct random_block {
	atomic_uint is_taken, left;
	uint8_t octets[BLOCK_BYTES];
};

static pthread_once_t blocks_once = PTHREAD_ONCE_INIT;
static struct random_block *blocks;

static enum err random_draw(uint8_t *out, size_t len)
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

/* getrandom is a cancellation point: a thread that ended there would keep OpenSSL's locks, or a block. */
enum err crypto_random(uint8_t *out, size_t len)
{
	int state;
	enum err err;

	if (pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state) != 0)
		return ERR_INTERNAL;
	err = random_draw(out, len);
	(void)pthread_setcancelstate(state, NULL);
	return err;
}

static void blocks_make(void)
{
	const size_t len = BLOCKS * sizeof(*blocks);
	void *page = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return;
	if (madvise(page, len, MADV_WIPEONFORK) == 0)
		blocks = page;
	else
		(void)munmap(page, len);
}

/* Never waited for, since a lock could be held by a thread that a child does not have. */
static struct random_block *block_take(void)
{
	if (pthread_once(&blocks_once, blocks_make) != 0 || blocks == NULL)
		return NULL;
	for (size_t i = 0; i < BLOCKS; i++) {
		if (atomic_exchange(&blocks[i].is_taken, 1) == 0)
			return &blocks[i];
	}
	return NULL;
}

/* Forked meanwhile, by a signal's handler, the child finds nobody to have taken the block: what it
 * copied are the parent's octets, or the wiped block's zeros. */
static enum err block_draw(struct random_block *block, uint8_t *out, size_t len)
{
	unsigned int left = atomic_load(&block->left);
	uint8_t *octets;
	enum err err;

	if (left < len) {
		atomic_store(&block->left, 0);
		err = crypto_random(block->octets, BLOCK_BYTES);
		if (err != ERR_OK)
			return err;
		left = BLOCK_BYTES;
	}
	left -= (unsigned int)len;
	octets = block->octets + left;
	memcpy(out, octets, len);
	secret_wipe(octets, len);
	atomic_store(&block->left, left);
	if (atomic_load(&block->is_taken) != 0)
		return ERR_OK;
	atomic_store(&block->left, 0);
	return crypto_random(out, len);
}

enum err crypto_random_public(uint8_t *out, size_t len)
{
	struct random_block *block = len <= BLOCK_BYTES ? block_take() : NULL;
	enum err err;

	if (block == NULL)
		return crypto_random(out, len);
	err = block_draw(block, out, len);
	atomic_store(&block->is_taken, 0);
	return err;
}
