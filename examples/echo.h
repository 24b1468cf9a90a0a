/* SPDX-License-Identifier: BSD-2-Clause */
/* What the echo client and the echo server share: tokens over a socket, errors, the latch. */
#ifndef EXAMPLES_ECHO_H
#define EXAMPLES_ECHO_H

#include <stdbool.h>

#include <gssapi/gssapi.h>

#define ECHO_MESSAGE_BYTES_MAX 65536

extern gss_OID echo_mech;

/* Prints what, then GSS-API's own words for it. */
void echo_print_status(const char *what, OM_uint32 major, OM_uint32 minor);
/* Four octets of length, then the octets; false on an error or, receiving, at the end. */
bool echo_send(int fd, const gss_buffer_desc *message);
/* ret_message is malloc'ed, one NUL behind it. */
bool echo_receive(int fd, gss_buffer_desc *ret_message);
/* A credential of our mechanism that belongs to one connection: there is nothing left to guess. */
bool echo_acquire(int fd, gss_cred_usage_t usage, gss_cred_id_t *ret_credential);
/* Whether IPsec protects this very connection; if not, prints why. */
bool echo_is_latched(gss_ctx_id_t context);

#endif
