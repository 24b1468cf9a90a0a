/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS 1.3 between two memory BIOs (tls.h). */
#include "bench/tls.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "bench/timing.h"

#define TLS_CERTIFICATE_SEC 3600

struct bench_tls {
	SSL_CTX *context;
	SSL *client, *server;
	BIO *between; /* from client to server; owned by both */
};

static X509 *certificate_new(EVP_PKEY *key)
{
	X509 *made = X509_new();
	X509_NAME *name = X509_get_subject_name(made);

	bench_require(
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1, 0) == 1 &&
			X509_set_issuer_name(made, name) == 1 &&
			X509_gmtime_adj(X509_getm_notBefore(made), 0) != NULL &&
			X509_gmtime_adj(X509_getm_notAfter(made), TLS_CERTIFICATE_SEC) != NULL &&
			X509_set_pubkey(made, key) == 1 && X509_sign(made, key, NULL) > 0,
		"a certificate");
	return made;
}

static SSL_CTX *context_new(void)
{
	SSL_CTX *made = SSL_CTX_new(TLS_method());
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *certificate = certificate_new(key);

	bench_require(made != NULL && SSL_CTX_set_min_proto_version(made, TLS1_3_VERSION) == 1 &&
			      SSL_CTX_set_ciphersuites(made, "TLS_AES_256_GCM_SHA384") == 1 &&
			      SSL_CTX_use_certificate(made, certificate) == 1 &&
			      SSL_CTX_use_PrivateKey(made, key) == 1 &&
			      SSL_CTX_set_num_tickets(made, 0) == 1,
		"an SSL_CTX");
	X509_free(certificate);
	EVP_PKEY_free(key);
	return made;
}

static SSL *end_new(SSL_CTX *context, BIO *reads, BIO *writes)
{
	SSL *made = SSL_new(context);

	bench_require(made != NULL && BIO_up_ref(reads) == 1 && BIO_up_ref(writes) == 1, "SSL_new");
	SSL_set_bio(made, reads, writes);
	return made;
}

struct bench_tls *bench_tls_new(void)
{
	struct bench_tls *tls = calloc(1, sizeof(*tls));
	BIO *back = BIO_new(BIO_s_mem());

	bench_require(tls != NULL && back != NULL, "memory for TLS");
	tls->between = BIO_new(BIO_s_mem());
	tls->context = context_new();
	tls->client = end_new(tls->context, back, tls->between);
	tls->server = end_new(tls->context, tls->between, back);
	SSL_set_connect_state(tls->client);
	SSL_set_accept_state(tls->server);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(tls->client);
		(void)SSL_do_handshake(tls->server);
	}
	bench_require(SSL_is_init_finished(tls->client) && SSL_is_init_finished(tls->server),
		"the TLS handshake");
	BIO_free(back);
	BIO_free(tls->between);
	return tls;
}

void bench_tls_free(struct bench_tls **tls)
{
	SSL_free((*tls)->client);
	SSL_free((*tls)->server);
	SSL_CTX_free((*tls)->context);
	free(*tls);
	*tls = NULL;
}

void bench_tls_write(struct bench_tls *tls, const uint8_t *octets, size_t len)
{
	size_t written = 0;

	bench_require(SSL_write_ex(tls->client, octets, len, &written) == 1 && written == len,
		"SSL_write_ex");
}

void bench_tls_read(struct bench_tls *tls, uint8_t *octets, size_t len)
{
	size_t got = 0, now = 0;

	for (; got < len; got += now)
		bench_require(SSL_read_ex(tls->server, octets + got, len - got, &now) == 1,
			"SSL_read_ex");
}
