/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of a context in one process, through MIT's mechglue; any failure ends the program. */
#ifndef BENCH_PAIR_H
#define BENCH_PAIR_H

#include <gssapi/gssapi.h>

/* Credentials and target, acquired once.  mech may be another mechanism, to compare with. */
struct bench_ends {
	gss_OID mech;
	gss_cred_id_t initiator, acceptor;
	gss_name_t target;
};
struct bench_pair {
	gss_ctx_id_t initiator, acceptor;
};

/* Octets of all tokens of one exchange, and how many there are. */
struct bench_tokens {
	size_t count, bytes;
};

extern const gss_OID bench_mech_ipsec;
void bench_ends_acquire(gss_OID mech, const char *service, struct bench_ends *ret_ends);
void bench_ends_release(struct bench_ends *ends);
/* ret_tokens may be NULL.  Mutual authentication, replay detection, sequencing, confidentiality and
 * integrity are asked for and were granted. */
void bench_pair_establish(const struct bench_ends *ends, struct bench_pair *ret_pair,
	struct bench_tokens *ret_tokens);
void bench_pair_delete(struct bench_pair *pair);
/* Ends the program unless major is GSS_S_COMPLETE or only says "more to come". */
void bench_gss_require(
	const struct bench_ends *ends, const char *what, OM_uint32 major, OM_uint32 minor);

#endif
