/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of tests/plugin_glue share: checks, and two ends that pass tokens in memory. */
#ifndef TESTS_PLUGIN_GLUE_H
#define TESTS_PLUGIN_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>

#include "include/gssapi_ipsec.h"

extern gss_OID_desc mech_oid;

/* Prints an "ok" or "FAIL" line. */
void check(bool is_ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints failures only. */
void check_quietly(bool is_ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
unsigned int checks_failed(void);
void show_error(const char *what, OM_uint32 major, OM_uint32 minor);
/* Whether the sentence for a minor holds part. */
bool error_says(OM_uint32 minor, const char *part);

bool buffer_is(const gss_buffer_desc *buffer, const char *text);
bool buffers_equal(const gss_buffer_desc *a, const gss_buffer_desc *b);
bool name_displays(gss_name_t name, const char *text);
/* Imports text as this type; type NULL is no type. */
gss_name_t name_of(const char *text, gss_OID type);
void release_name(gss_name_t *name);
void bindings_set(struct gss_channel_bindings_struct *bindings, const char *text);

#define PAIR_FLAGS_ASKED                                                                  \
	(GSS_C_MUTUAL_FLAG | GSS_C_SEQUENCE_FLAG | GSS_C_REPLAY_FLAG | GSS_C_INTEG_FLAG | \
		GSS_C_CONF_FLAG)
#define PAIR_FLAGS_OPEN (PAIR_FLAGS_ASKED | GSS_C_PROT_READY_FLAG | GSS_C_TRANS_FLAG)

extern gss_OID_desc spnego_oid;

struct side {
	gss_ctx_id_t context;
	gss_cred_id_t credential;
	gss_channel_bindings_t bindings;
	OM_uint32 flags, lifetime;
	bool is_complete;
	gss_name_t peer; /* acceptor's src_name */
};

struct pair {
	struct side initiator, acceptor;
	gss_OID mech;
	gss_name_t target;
	OM_uint32 asked;
	gss_buffer_desc token; /* the last one made */
	int tokens;	       /* how many were made; even: the initiator is next */
	int error_tokens;
	OM_uint32 major, minor; /* of the last step */
};

/* target NULL: none. */
void pair_init(struct pair *pair, gss_OID mech, const char *target, OM_uint32 asked);
/* One call at the end whose turn it is. */
OM_uint32 pair_step(struct pair *pair);
/* Until both are complete or one failed. */
OM_uint32 pair_run(struct pair *pair);
bool pair_is_open(const struct pair *pair);
void pair_free(struct pair *pair);
/* An established pair with PAIR_FLAGS_ASKED; a check of its own when that fails. */
bool pair_open(struct pair *pair, gss_OID mech, const char *target);

/* plugin_glue_objects.c */
void test_mechanism(void);
void test_names(void);
void test_credentials(void);
void test_unconfigured(void);

/* plugin_glue_cred.c */
void test_credential_kin(void);

/* plugin_glue_growth.c; under tests/support/count_allocations.c */
void test_growth(void);

/* plugin_glue_laws.c */
void test_name_laws(void);

/* plugin_glue_misuse.c */
void test_misuse(void);

/* plugin_glue_mech.c */
void test_mech_attributes(void);

/* plugin_glue_naming.c */
void test_naming(void);
void test_unmapped(void);
void test_nobody(void);
void test_shown_as(void);

/* plugin_glue_spnego.c */
void test_spnego_first(void);
void test_spnego_reselects(void);
void test_spnego_unconfigured(void);

/* plugin_glue_iov.c: messages in pieces */
void test_pieces(void);
/* Counts what gss_wrap_iov and its like allocate; under tests/support/count_allocations.c. */
void test_allocations(void);

/* plugin_glue_transfer.c: contexts handed over, pseudo-random functions, strength, bindings */
void test_transfer(void);
void test_pseudo_random(void);
void test_strength(void);
void test_bindings_out(void);
void test_size_limits(void);

#endif
