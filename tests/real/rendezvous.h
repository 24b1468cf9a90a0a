/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the rendezvous program share; see rendezvous.c for what it does. */
#ifndef TESTS_REAL_RENDEZVOUS_H
#define TESTS_REAL_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gssapi/gssapi.h>

#define RV_FRAME_BYTES_MAX 4096
#define RV_CONNECTIONS_MAX 16

/* What a frame is: one octet behind four octets of length. */
enum rv_kind {
	RV_TOKEN = 't',	 /* of the connection's context */
	RV_SECOND = 'u', /* of a second context on the same connection */
	RV_ECHO = 'e',	 /* comes back */
	RV_NOISE = 'n',	 /* does not */
};

struct rv_frame {
	uint8_t kind;
	size_t len;
	uint8_t data[RV_FRAME_BYTES_MAX];
};

/* How one end of a context is made. */
struct rv_role {
	bool is_server;
	const char *latch;    /* policy of this side's credential */
	const char *host;     /* client: the target is sample@host */
	const char *service;  /* in place of sample, where not NULL */
	const char *identity; /* NULL: the default one */
	int named;	      /* descriptor named in the credential; -1: none */
};

struct rv_end {
	struct rv_role role;
	gss_cred_id_t credential;
	gss_name_t target;
	gss_ctx_id_t context;
	gss_buffer_desc token; /* made last */
	OM_uint32 major, minor;
};

/* How tokens are read off a connection. */
enum rv_reading { RV_READ_WHOLE, RV_READ_SLOWLY, RV_READ_PEEKED };

/* --- rendezvous_end.c --- */
bool rv_end_new(struct rv_end *end, const struct rv_role *role);
/* One call of GSS-API; false when it failed. The error token, if any, is in end->token. */
bool rv_end_step(struct rv_end *end, const struct rv_frame *input);
bool rv_end_goes_on(const struct rv_end *end);
/* The latch's reason, as a word: of the context where there is one, else of the failure. */
const char *rv_end_reason(const struct rv_end *end);
/* Prints "result WHO: REASON ok|failed|unfinished latched|clear OTHERS": whether carrier bears a recorder, and how
 * many other connections of this process do. */
void rv_end_report(const struct rv_end *end, const char *who, int carrier);
void rv_end_free(struct rv_end *end);

/* --- rendezvous_wire.c --- */
int rv_connect(const char *host, const char *port);
int rv_listen(const char *port, bool is_shared);
bool rv_send(int fd, enum rv_kind kind, const void *data, size_t len);
/* The next frame that is no noise; false at the end of the connection. */
bool rv_receive(int fd, enum rv_reading reading, struct rv_frame *ret_frame);
/* Takes what RV_READ_PEEKED left there. */
bool rv_consume(int fd, const struct rv_frame *frame);
/* So many octets there and back. */
bool rv_echo(int fd, size_t len);
uint64_t rv_cookie(int fd);
bool rv_is_latched(int fd);
void rv_sleep_ms(unsigned int milliseconds);

/* --- rendezvous_client.c, rendezvous_server.c --- */
bool rv_client_run(
	const char *scenario, const char *host, const char *port, const struct rv_role *role);
/* Serves so many connections, each in a thread. */
bool rv_server_run(
	const char *scenario, const char *port, size_t connections, const struct rv_role *role);

#endif
