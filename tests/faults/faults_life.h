/* SPDX-License-Identifier: BSD-2-Clause */
/* What faults_login.c and faults_use.c share: one life of the mechanism, and its calls. */
#ifndef TESTS_FAULTS_FAULTS_LIFE_H
#define TESTS_FAULTS_FAULTS_LIFE_H

#include <openssl/err.h>

#include "plugin/plugin.h"
#include "tests/faults/faults_login.h"

struct life {
	struct login *login;
	gss_name_t target, source;
	gss_cred_id_t credentials[2];
	gss_ctx_id_t contexts[2]; /* 0: initiator */
	bool is_complete[2];
	gss_buffer_desc token;
};

void life_complain(struct login *login, const char *what);
/* Calls count, and one fails, where the login is armed. */
void life_arm(const struct life *life);
void life_disarm(void);
/* What a call came to; true when it succeeded. */
bool life_look_at(struct life *life, const char *call, OM_uint32 major, OM_uint32 minor);
/* The program's own clean-up, not under test. */
void life_drop(gss_buffer_t buffer);

/* A call that changes nothing: failed once, it succeeds when it is made again. */
#define CALL(life, name, ...)                                                            \
	do {                                                                             \
		OM_uint32 minor_ = 0, major_;                                            \
		life_arm(life);                                                          \
		major_ = name(&minor_, __VA_ARGS__);                                     \
		if (!life_look_at(life, #name, major_, minor_)) {                        \
			major_ = name(&minor_, __VA_ARGS__);                             \
			if (major_ != GSS_S_COMPLETE)                                    \
				life_complain((life)->login, #name " fails ever after"); \
			ERR_clear_error();                                               \
		}                                                                        \
	} while (0)

/* faults_use.c: everything but the exchange */
void use_credential(struct life *life);
void use_name(struct life *life, gss_name_t name);
void use_context(struct life *life, size_t side);
/* The context goes through a token, and is another one afterwards. */
void use_transfer(struct life *life, size_t side);
void use_messages(struct life *life, size_t from);
void use_pieces(struct life *life, size_t from);

#endif
