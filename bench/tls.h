/* SPDX-License-Identifier: BSD-2-Clause */
/* A TLS 1.3 connection with AES-256-GCM whose two ends are in memory, to compare with. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stddef.h>
#include <stdint.h>

struct bench_tls;

/* Ends the program on failure, as the others do. */
struct bench_tls *bench_tls_new(void);
void bench_tls_free(struct bench_tls **tls);
/* Client to server: protected octets pile up between both until they are read. */
void bench_tls_write(struct bench_tls *tls, const uint8_t *octets, size_t len);
void bench_tls_read(struct bench_tls *tls, uint8_t *octets, size_t len);

#endif
