/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program asks a credential to be: name, usage and the values of the credential store.  It
 * is all that an exported credential holds, so that key material never travels.  Private to
 * credential*.c.
 */
#ifndef MECH_CREDENTIAL_REQUEST_H
#define MECH_CREDENTIAL_REQUEST_H

#include "mech/mech.h"

struct mech_request {
	enum mech_usage usage;
	struct mech_name *desired;	    /* or NULL */
	char *tag, *key_path, *config_path; /* ipsec_identity, ipsec_key, ipsec_config; or NULL */
	int fd;				    /* ipsec_fd; -1 none */
	bool has_latch;
	enum config_latch latch; /* ipsec_latch */
};

/* The caller frees with mech_request_free.  ERR_CRED_STORE (with detail) for a bad or doubled
 * value of a key of ours. */
enum err mech_request_make(const struct mech_name *desired, enum mech_usage usage,
	const struct mech_store_entry *store, size_t store_count,
	struct mech_request *ret_request) ERR_MUST_CHECK;
void mech_request_free(struct mech_request *request);

/*
 * The token: version 1, usage, latch (0 none, else 1 + policy), 4 octets descriptor (all ones:
 * none), then counted16 each, empty for none: ipsec_config, identity's tag, ipsec_key, desired
 * name as exported. tag: in place of the request's own, or NULL.
 */
enum err mech_request_write(
	const struct mech_request *request, const char *tag, struct writer *w) ERR_MUST_CHECK;
/* ERR_CRED_TOKEN unless well-formed. */
enum err mech_request_read(struct bytes token, struct mech_request *ret_request) ERR_MUST_CHECK;

#endif
