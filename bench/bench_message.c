/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message tokens against EVP's AES-256-GCM with its key schedule kept: what a token costs in
 * allocation, header and replay window.  CPU time, data in cache, results freed inside the timing.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/timing.h"
#include "mech/mech.h"

#define ROUNDS 61
#define SLICE_MS 5
#define SIZES 3
#define BYTES_MAX 16384

enum way { WAY_EVP_SEAL, WAY_WRAP, WAY_EVP_OPEN, WAY_UNWRAP, WAYS };

/* One size: what each way works on. */
struct load {
	size_t len;
	struct mech_protect *initiator, *acceptor;
	EVP_CIPHER_CTX *seal, *open;
	uint8_t tag[16], nonce[12];
	uint8_t *token;
	size_t token_len;
};

static uint8_t plain[BYTES_MAX], sealed[BYTES_MAX], opened[BYTES_MAX];

static void run_evp_seal(void *context)
{
	struct load *load = context;
	int len = 0;

	load->nonce[11]++;
	bench_require(
		EVP_EncryptInit_ex2(load->seal, NULL, NULL, load->nonce, NULL) == 1 &&
			EVP_EncryptUpdate(load->seal, sealed, &len, plain, (int)load->len) == 1 &&
			EVP_EncryptFinal_ex(load->seal, sealed, &len) == 1 &&
			EVP_CIPHER_CTX_ctrl(load->seal, EVP_CTRL_AEAD_GET_TAG, 16, load->tag) == 1,
		"EVP seal");
}

static void run_evp_open(void *context)
{
	struct load *load = context;
	int len = 0;

	bench_require(
		EVP_DecryptInit_ex2(load->open, NULL, NULL, load->nonce, NULL) == 1 &&
			EVP_CIPHER_CTX_ctrl(load->open, EVP_CTRL_AEAD_SET_TAG, 16, load->tag) ==
				1 &&
			EVP_DecryptUpdate(load->open, opened, &len, sealed, (int)load->len) == 1 &&
			EVP_DecryptFinal_ex(load->open, opened, &len) == 1,
		"EVP open");
}

static void run_wrap(void *context)
{
	struct load *load = context;
	uint8_t *token = NULL;
	size_t len = 0;

	bench_require(mech_protect_wrap(load->initiator, true, BYTES(plain, load->len), &token,
			      &len) == ERR_OK,
		"wrap");
	free(token);
}

/* The same token each time: its window says DUPLICATE, for the price of any other answer. */
static void run_unwrap(void *context)
{
	struct load *load = context;
	uint8_t *message = NULL;
	bool was_sealed;
	size_t len = 0;

	bench_require(mech_protect_unwrap(load->acceptor, BYTES(load->token, load->token_len),
			      &message, &len, &was_sealed) == ERR_MESSAGE_DUPLICATE,
		"unwrap");
	free(message);
}

static EVP_CIPHER_CTX *cipher_new(int seals)
{
	static const uint8_t key[32] = { 1 };
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();

	bench_require(EVP_CipherInit_ex2(made, cipher, key, NULL, seals, NULL) == 1, "AES-256-GCM");
	EVP_CIPHER_free(cipher);
	return made;
}

static struct mech_protect *protect_new(bool we_initiate)
{
	static const uint8_t nonce[32] = { 2 };
	struct secret_key sk_d = { .len = 32 };
	struct mech_protect *made = NULL;

	bench_require(
		mech_protect_new(crypto_prf_find(5), crypto_aead_find(20, 256), &sk_d,
			BYTES_OF(nonce), BYTES_OF(nonce), we_initiate, true, true, &made) == ERR_OK,
		"mech_protect_new");
	return made;
}

static void load_prepare(struct load *load, size_t len)
{
	uint8_t *message = NULL;
	size_t message_len = 0;
	bool was_sealed;

	*load = (struct load){ .len = len, .seal = cipher_new(1), .open = cipher_new(0) };
	load->initiator = protect_new(true);
	load->acceptor = protect_new(false);
	bench_require(
		mech_protect_wrap(load->initiator, true, BYTES(plain, len), &load->token,
			&load->token_len) == ERR_OK &&
			mech_protect_unwrap(load->acceptor, BYTES(load->token, load->token_len),
				&message, &message_len, &was_sealed) == ERR_OK,
		"the first message");
	free(message);
}

static void load_end(struct load *load)
{
	EVP_CIPHER_CTX_free(load->seal);
	EVP_CIPHER_CTX_free(load->open);
	mech_protect_free(&load->initiator);
	mech_protect_free(&load->acceptor);
	free(load->token);
}

static void load_measure(struct load *load)
{
	static void (*const runs[WAYS])(
		void *context) = { run_evp_seal, run_wrap, run_evp_open, run_unwrap };
	struct bench_item items[WAYS];

	/* an open needs what was sealed last, of this very size */
	for (size_t i = 0; i < WAYS; i++)
		items[i] = (struct bench_item){ .run = runs[i], .context = load };
	bench_measure(items, WAYS, CLOCK_PROCESS_CPUTIME_ID, ROUNDS, SLICE_MS);
	printf("%8zu %10.0f %10.0f %6.2f %10.0f %10.0f %6.2f\n", load->len,
		items[WAY_EVP_SEAL].median_ns, items[WAY_WRAP].median_ns,
		bench_ratio(&items[WAY_EVP_SEAL], &items[WAY_WRAP], ROUNDS),
		items[WAY_EVP_OPEN].median_ns, items[WAY_UNWRAP].median_ns,
		bench_ratio(&items[WAY_EVP_OPEN], &items[WAY_UNWRAP], ROUNDS));
}

int main(void)
{
	static const size_t sizes[SIZES] = { 64, 1024, 16384 };

	printf("%8s %10s %10s %6s %10s %10s %6s   (ns, share of EVP's throughput)\n", "octets",
		"EVP seal", "wrap", "share", "EVP open", "unwrap", "share");
	for (size_t i = 0; i < SIZES; i++) {
		struct load load;

		load_prepare(&load, sizes[i]);
		load_measure(&load);
		load_end(&load);
	}
	return EXIT_SUCCESS;
}
