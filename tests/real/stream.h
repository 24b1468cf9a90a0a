/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the stream program share; see stream.c for what it does. */
#ifndef TESTS_REAL_STREAM_H
#define TESTS_REAL_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include <gssapi/gssapi.h>

struct stream_options {
	bool is_server;
	const char *host, *port, *service; /* host and service: client only */
	const char *wait_file;		   /* idle until it is there */
	const char *latch;		   /* policy for this side's credential, or NULL */
	const char *to;			   /* client: this address in place of host's, or NULL */
	uint64_t send_bytes, slow_us;	   /* slow_us: pause after each block of the bulk phase */
	uint64_t connections;		   /* server: how many, 0 = without end */
	uint64_t local_port, timeout_s, read_buffer_bytes, own_mark;
	uint64_t idle_ms, idle_after_ms; /* before and behind the bulk phase */
	uint64_t pause_step, pause_ms;	 /* before token T<step> is made */
	bool reconnects;		 /* between idling and the bulk phase */
	bool names_descriptor, deletes_context, forks, shuts_down, answers_late, has_filter,
		is_ipv6, resets, logs_in_twice, speaks_first, has_ulp, names_input;
};

/* Establishes a context over fd with tokens behind four octets of length; prints how it ended and
 * what the latch inquiry says.  The context is the caller's, also after a failure. */
bool stream_login(int fd, const struct stream_options *options, gss_ctx_id_t *ret_context);
/* Both directions at once, each with length, octets and their SHA-256; prints and checks both. */
bool stream_transfer(int fd, const struct stream_options *options);

bool stream_send_all(int fd, const void *data, size_t len);
bool stream_receive_all(int fd, void *data, size_t len);
void stream_sleep_ms(uint64_t milliseconds);
uint64_t stream_clock_ms(void);

#endif
