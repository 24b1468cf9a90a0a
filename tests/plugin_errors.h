/* SPDX-License-Identifier: BSD-2-Clause */
/* Every minor made to happen: what the rows of tests/plugin_errors.c share. */
#ifndef TESTS_PLUGIN_ERRORS_H
#define TESTS_PLUGIN_ERRORS_H

#include "mech/context.h"
#include "tests/plugin_glue.h"

/* What the program under test, which has the mechglue only, was told. */
struct told {
	OM_uint32 major, minor;
	char text[1200];
};

struct row {
	enum err code;
	void (*make)(struct told *told, const struct row *row);
	const char *text; /* for make: a name, a file, a value */
	const char *says; /* must stand in what is displayed, besides the table's sentence */
	uint8_t octet;	  /* for make */
	OM_uint32 major;  /* where the entry point has another than the table; 0: the table's */
};

/* Fills told from a call's results. */
void told_set(struct told *told, OM_uint32 major, OM_uint32 minor);
/* A file of the test's directory. */
const char *errors_path(const char *name);
/* A credential of the mechglue's for that configuration file; "": the default one. */
gss_cred_id_t errors_credential(const char *config, gss_cred_usage_t usage);

/* The other end: the mechanism's own code in this program, which may lie. */
struct liar {
	struct mech_context *context;
	struct mech_credential *credential;
	struct mech_name *target;
};
extern bool liar_takes_any_target; /* answers with its first identity, whatever was asked for */
extern bool liar_changes_flags;	   /* its GSS_CONTEXT has one flag more or less */
void liar_init(struct liar *liar, bool initiates, const char *config, const char *target);
void liar_free(struct liar *liar);
/* One step; token is replaced. */
enum err liar_step(struct liar *liar, struct writer *token);

/* plugin_errors_exchange.c: rows that need a peer */
extern const struct row exchange_rows[];
extern const size_t exchange_row_count;

#endif
