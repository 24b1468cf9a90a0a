/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the victim share; see victim.c for what it does. */
#ifndef TESTS_REAL_VICTIM_H
#define TESTS_REAL_VICTIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gssapi/gssapi.h>

/* One order, as read from one line of standard input. */
struct victim_order {
	char service[65];
	char acceptor[65];   /* the server's own name, where it is not any that it has a key for */
	bool has_lines;	     /* tokens between header lines, as HTTP has them */
	bool speaks_first;   /* the server's bytes follow its last token at once */
	uint64_t read_bytes; /* of one recv(): a buffered reader's, or 1 */
	uint64_t late_ms;    /* pause between COMPLETE and the next read */
	uint64_t body_bytes; /* behind T3's message, in the same write */
	uint64_t pad_bytes;  /* of a header line in front of each token from T3 on */
	uint64_t halt_call;  /* stops itself when this call has returned */
	uint64_t local_port; /* the client's */
	uint64_t send_bytes, timeout_ms; /* timeout of each read and write */
	bool uses_ip6;
};

enum victim_end { VICTIM_END_NONE, VICTIM_END_EOF, VICTIM_END_RESET, VICTIM_END_TIMEOUT };

/* One connection with a buffered reader, as a program on stdio has it. */
struct victim_stream {
	int fd;
	const struct victim_order *order;
	enum victim_end end; /* why reading or writing failed */
	uint64_t written, begun_ms, calls;
	size_t start, filled;
	unsigned char buffer[16384];
};

uint64_t victim_clock_ms(void);
/* Tells how many octets go out, before they do. */
bool victim_write(struct victim_stream *stream, const void *data, size_t len);
/* Exactly len octets; false with stream->end set. */
bool victim_read(struct victim_stream *stream, void *data, size_t len);
/* What is buffered, or the next octets, at most len; 0 with stream->end set. */
size_t victim_read_some(struct victim_stream *stream, void *data, size_t len);

/* One message with one token in it; step counts tokens from 1.  body stands behind the token, or is
 * NULL; a failure's message is printed.  The reader prints its request line. */
bool victim_token_write(struct victim_stream *stream, unsigned int step,
	const gss_buffer_desc *token, const void *body, size_t body_len, bool is_failure);
bool victim_token_read(struct victim_stream *stream, void *token, size_t size, size_t *ret_len);

/* The whole exchange; prints each call and how it ended.  Whether it completed. */
bool victim_login(struct victim_stream *stream, bool is_server, const char *host);
void victim_hex_print(const char *what, const void *data, size_t len);

#endif
