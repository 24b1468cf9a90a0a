/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-message calls as a program makes them, from 64 octets to 1 MiB: ours and krb5's through MIT's
 * mechglue, TLS 1.3 between memory BIOs, and AES-256-GCM in EVP with its key schedule kept.
 *
 *	bench_wrap [ROUNDS]
 *
 * MB (10^6) of payload in a second of CPU time, medians of rounds in which all take turns; messages
 * in batches of at most 128 KiB, so data is in cache; what a call allocates is released inside the
 * timing.  Needs GSS_MECH_CONFIG, GSS_IPSEC_CONFIG and KRB5_CONFIG (bench/run.sh).
 */
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>
#include <malloc.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/krb5_ticket.h"
#include "bench/pair.h"
#include "bench/timing.h"
#include "bench/tls.h"

#define ROUNDS_MAX 99
#define BATCH_BYTES 131072
#define BATCH_MAX 256
#define BYTES_MAX 1048576
#define ROOM_BYTES 256 /* for headers and trailers */
#define SLICE_US 3000
#define PARTS 4 /* of a message: header, data, padding, trailer */

/* One mechanism's contexts, and the messages of a batch. */
struct gss_load {
	struct bench_ends ends;
	struct bench_pair pair;
	gss_buffer_desc tokens[BATCH_MAX];
	gss_iov_buffer_desc parts[BATCH_MAX][PARTS];
	bool has_iov;
};

static struct gss_load ipsec, krb5;
static struct bench_tls *tls;
static EVP_CIPHER_CTX *seals, *opens;
static uint8_t tags[BATCH_MAX][16];
static uint8_t plain[BYTES_MAX];
static uint8_t *area; /* BATCH_MAX messages with room around them */
static size_t message_bytes, message_room;

static uint8_t *slot_at(size_t slot)
{
	return area + slot * message_room;
}

/* --- EVP --- */

static void evp_nonce(size_t slot, uint8_t nonce[12])
{
	memset(nonce, 0, 12);
	memcpy(nonce, &slot, sizeof(slot));
}

static void evp_seal(struct gss_load *load, size_t slot)
{
	uint8_t nonce[12];
	int len = 0;

	(void)load;
	evp_nonce(slot, nonce);
	bench_require(
		EVP_EncryptInit_ex2(seals, NULL, NULL, nonce, NULL) == 1 &&
			EVP_EncryptUpdate(seals, slot_at(slot), &len, plain, (int)message_bytes) ==
				1 &&
			EVP_EncryptFinal_ex(seals, slot_at(slot), &len) == 1 &&
			EVP_CIPHER_CTX_ctrl(seals, EVP_CTRL_AEAD_GET_TAG, 16, tags[slot]) == 1,
		"EVP seal");
}

static void evp_open(struct gss_load *load, size_t slot)
{
	uint8_t nonce[12];
	int len = 0;

	(void)load;
	evp_nonce(slot, nonce);
	bench_require(
		EVP_DecryptInit_ex2(opens, NULL, NULL, nonce, NULL) == 1 &&
			EVP_CIPHER_CTX_ctrl(opens, EVP_CTRL_AEAD_SET_TAG, 16, tags[slot]) == 1 &&
			EVP_DecryptUpdate(opens, slot_at(slot), &len, slot_at(slot),
				(int)message_bytes) == 1 &&
			EVP_DecryptFinal_ex(opens, slot_at(slot), &len) == 1,
		"EVP open");
}

/* --- TLS --- */

static void tls_seal(struct gss_load *load, size_t slot)
{
	(void)load;
	(void)slot;
	bench_tls_write(tls, plain, message_bytes);
}

static void tls_open(struct gss_load *load, size_t slot)
{
	(void)load;
	bench_tls_read(tls, slot_at(slot), message_bytes);
}

/* --- GSS --- */

static void token_release(struct gss_load *load, size_t slot)
{
	OM_uint32 ignored;

	(void)gss_release_buffer(&ignored, &load->tokens[slot]);
}

static void wrap_only(struct gss_load *load, size_t slot)
{
	gss_buffer_desc message = { message_bytes, plain };
	OM_uint32 major, minor;

	major = gss_wrap(&minor, load->pair.initiator, 1, GSS_C_QOP_DEFAULT, &message, NULL,
		&load->tokens[slot]);
	bench_gss_require(&load->ends, "gss_wrap", major, minor);
}

static void wrap_and_release(struct gss_load *load, size_t slot)
{
	wrap_only(load, slot);
	token_release(load, slot);
}

static void unwrap(struct gss_load *load, size_t slot)
{
	gss_buffer_desc message = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, ignored;

	major = gss_unwrap(&minor, load->pair.acceptor, &load->tokens[slot], &message, NULL, NULL);
	bench_gss_require(&load->ends, "gss_unwrap", major, minor);
	(void)gss_release_buffer(&ignored, &message);
}

static void mic_only(struct gss_load *load, size_t slot)
{
	gss_buffer_desc message = { message_bytes, plain };
	OM_uint32 major, minor;

	major = gss_get_mic(
		&minor, load->pair.initiator, GSS_C_QOP_DEFAULT, &message, &load->tokens[slot]);
	bench_gss_require(&load->ends, "gss_get_mic", major, minor);
}

static void mic_and_release(struct gss_load *load, size_t slot)
{
	mic_only(load, slot);
	token_release(load, slot);
}

static void verify(struct gss_load *load, size_t slot)
{
	gss_buffer_desc message = { message_bytes, plain };
	OM_uint32 major, minor;

	major = gss_verify_mic(&minor, load->pair.acceptor, &message, &load->tokens[slot], NULL);
	bench_gss_require(&load->ends, "gss_verify_mic", major, minor);
}

/* Header, data, padding and trailer one behind the other in the slot. */
static void iov_lay_out(struct gss_load *load, size_t slot)
{
	static const OM_uint32 types[PARTS] = { GSS_IOV_BUFFER_TYPE_HEADER,
		GSS_IOV_BUFFER_TYPE_DATA, GSS_IOV_BUFFER_TYPE_PADDING,
		GSS_IOV_BUFFER_TYPE_TRAILER };
	gss_iov_buffer_desc *parts = load->parts[slot];
	uint8_t *at = slot_at(slot);
	OM_uint32 major, minor;

	for (size_t i = 0; i < PARTS; i++)
		parts[i] = (gss_iov_buffer_desc){ .type = types[i] };
	parts[1].buffer.length = message_bytes;
	major = gss_wrap_iov_length(
		&minor, load->pair.initiator, 1, GSS_C_QOP_DEFAULT, NULL, parts, PARTS);
	bench_gss_require(&load->ends, "gss_wrap_iov_length", major, minor);
	for (size_t i = 0; i < PARTS; i++) {
		parts[i].buffer.value = at;
		at += parts[i].buffer.length;
	}
	bench_require(at <= slot_at(slot + 1), "room for a message");
}

static void iov_wrap(struct gss_load *load, size_t slot)
{
	OM_uint32 major, minor;

	major = gss_wrap_iov(
		&minor, load->pair.initiator, 1, GSS_C_QOP_DEFAULT, NULL, load->parts[slot], PARTS);
	bench_gss_require(&load->ends, "gss_wrap_iov", major, minor);
}

static void iov_lay_out_and_wrap(struct gss_load *load, size_t slot)
{
	iov_lay_out(load, slot);
	iov_wrap(load, slot);
}

static void iov_unwrap(struct gss_load *load, size_t slot)
{
	OM_uint32 major, minor;

	major = gss_unwrap_iov(&minor, load->pair.acceptor, NULL, NULL, load->parts[slot], PARTS);
	bench_gss_require(&load->ends, "gss_unwrap_iov", major, minor);
}

/* --- measuring --- */

typedef void way_step(struct gss_load *load, size_t slot);
struct way {
	const char *name;
	struct gss_load *load;
	way_step *before, *timed, *after; /* each for all slots of a batch, in turn */
};

static const struct way ways[] = {
	{ "EVP seal", NULL, NULL, evp_seal, NULL },
	{ "EVP open", NULL, evp_seal, evp_open, NULL },
	{ "TLS write", NULL, NULL, tls_seal, tls_open },
	{ "TLS read", NULL, tls_seal, tls_open, NULL },
	{ "wrap", &ipsec, NULL, wrap_and_release, NULL },
	{ "unwrap", &ipsec, wrap_only, unwrap, token_release },
	{ "wrap_iov", &ipsec, iov_lay_out, iov_wrap, NULL },
	{ "unwrap_iov", &ipsec, iov_lay_out_and_wrap, iov_unwrap, NULL },
	{ "get_mic", &ipsec, NULL, mic_and_release, NULL },
	{ "verify_mic", &ipsec, mic_only, verify, token_release },
	{ "krb5 wrap", &krb5, NULL, wrap_and_release, NULL },
	{ "krb5 unwrap", &krb5, wrap_only, unwrap, token_release },
	{ "krb5 wrap_iov", &krb5, iov_lay_out, iov_wrap, NULL },
	{ "krb5 unwrap_iov", &krb5, iov_lay_out_and_wrap, iov_unwrap, NULL },
	{ "krb5 get_mic", &krb5, NULL, mic_and_release, NULL },
	{ "krb5 verify_mic", &krb5, mic_only, verify, token_release },
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))
static const size_t sizes[] = { 64, 1024, 16384, 65536, BYTES_MAX };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))
static double times_ns[WAYS][ROUNDS_MAX], medians_ns[WAYS][SIZES];

static double cpu_ns(void)
{
	struct timespec now;

	bench_require(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "clock_gettime");
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void batch_step(const struct way *way, way_step *step, size_t batch)
{
	for (size_t slot = 0; step != NULL && slot < batch; slot++)
		step(way->load, slot);
}

/* Nanoseconds of one message; infinitely many where the mechanism has no such call. */
static double way_measure(const struct way *way, size_t batch)
{
	const bool is_iov = way->timed == iov_wrap || way->timed == iov_unwrap;
	double begin, used = 0;
	size_t count = 0;

	if (is_iov && !way->load->has_iov)
		return INFINITY;
	while (used < SLICE_US * 1e3) {
		batch_step(way, way->before, batch);
		begin = cpu_ns();
		batch_step(way, way->timed, batch);
		used += cpu_ns() - begin;
		count += batch;
		batch_step(way, way->after, batch);
	}
	return used / (double)count;
}

static int compare(const void *a, const void *b)
{
	const double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static void size_measure(size_t size, size_t rounds)
{
	const size_t fitting = BATCH_BYTES / sizes[size];
	const size_t batch = fitting == 0 ? 1 : fitting < BATCH_MAX ? fitting : BATCH_MAX;

	message_bytes = sizes[size];
	message_room = message_bytes + ROOM_BYTES;
	for (size_t round = 0; round < rounds; round++) {
		for (size_t i = 0; i < WAYS; i++) {
			const size_t turn = (round + i) % WAYS;

			times_ns[turn][round] = way_measure(&ways[turn], batch);
		}
	}
	for (size_t i = 0; i < WAYS; i++) {
		qsort(times_ns[i], rounds, sizeof(double), compare);
		medians_ns[i][size] = times_ns[i][rounds / 2];
	}
}

static void print_all(void)
{
	(void)printf("%-16s", "MB/s");
	for (size_t size = 0; size < SIZES; size++)
		(void)printf(" %9zu", sizes[size]);
	(void)printf("   ns of %zu\n", sizes[0]);
	for (size_t i = 0; i < WAYS; i++) {
		(void)printf("%-16s", ways[i].name);
		for (size_t size = 0; size < SIZES; size++)
			(void)printf(" %9.0f", (double)sizes[size] * 1e3 / medians_ns[i][size]);
		(void)printf(" %10.0f\n", medians_ns[i][0]);
	}
}

static EVP_CIPHER_CTX *cipher_new(int does_seal)
{
	static const uint8_t key[32] = { 1 };
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();

	bench_require(
		EVP_CipherInit_ex2(made, cipher, key, NULL, does_seal, NULL) == 1, "AES-256-GCM");
	EVP_CIPHER_free(cipher);
	return made;
}

static void load_start(struct gss_load *load, gss_OID mech)
{
	gss_iov_buffer_desc data = { .type = GSS_IOV_BUFFER_TYPE_DATA };
	OM_uint32 minor;

	bench_ends_acquire(mech, "host@server.example.org", &load->ends);
	bench_pair_establish(&load->ends, &load->pair, NULL);
	load->has_iov = gss_wrap_iov_length(&minor, load->pair.initiator, 1, GSS_C_QOP_DEFAULT,
				NULL, &data, 1) != GSS_S_UNAVAILABLE;
}

int main(int argc, char **argv)
{
	const size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 21;

	bench_require(rounds > 0 && rounds <= ROUNDS_MAX, "the number of rounds");
	/* Freed memory stays with the process, else page faults are measured at 64 KiB and more. */
	bench_require(mallopt(M_MMAP_THRESHOLD, 64 * BYTES_MAX) == 1 &&
			      mallopt(M_TRIM_THRESHOLD, 64 * BYTES_MAX) == 1,
		"mallopt");
	area = malloc((size_t)2 * BYTES_MAX);
	bench_require(area != NULL, "memory");
	bench_krb5_prepare();
	load_start(&ipsec, bench_mech_ipsec);
	load_start(&krb5, (gss_OID)(uintptr_t)gss_mech_krb5);
	tls = bench_tls_new();
	seals = cipher_new(1);
	opens = cipher_new(0);
	for (size_t size = 0; size < SIZES; size++)
		size_measure(size, rounds);
	print_all();
	bench_tls_free(&tls);
	EVP_CIPHER_CTX_free(seals);
	EVP_CIPHER_CTX_free(opens);
	free(area);
	return EXIT_SUCCESS;
}
