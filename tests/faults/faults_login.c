/* SPDX-License-Identifier: BSD-2-Clause */
/* See faults_login.h.  Linked with the plugin itself: the mechglue's own allocations are not ours. */
#include "tests/faults/faults_login.h"

#include <errno.h>
#include <openssl/err.h>
#include <profile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/plugin.h"
#include "tests/faults/faults.h"

#define TOKENS_MAX 8
#define FLAGS_ASKED (GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG)

/* --- the connection: the fake kernel's, of the end whose call it is --- */

static bool is_initiator_now;

static const struct kbind_ops *ops_now(void)
{
	return is_initiator_now ? &fake_initiator_ops : &fake_acceptor_ops;
}

static enum ipsec_latch_reason now_find(int fd, struct kbind_candidates *ret)
{
	return ops_now()->find_candidates(fd, ret);
}

static enum ipsec_latch_reason now_find_wanted(
	int fd, kbind_wants wants, const void *argument, struct kbind_candidates *ret)
{
	return ops_now()->find_wanted(fd, wants, argument, ret);
}

static enum ipsec_latch_reason now_visit_all(int fd, kbind_visit visit, void *argument)
{
	return ops_now()->visit_all(fd, visit, argument);
}

static enum ipsec_latch_reason now_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	return ops_now()->refresh(candidate, ret_now);
}

static enum ipsec_latch_reason now_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	return ops_now()->reserve(broker_path, candidate, reserve, ret_lease);
}

static enum ipsec_latch_reason now_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch)
{
	return ops_now()->latch(broker_path, candidate, lease, latch);
}

static void now_release(
	const char *broker_path, const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	ops_now()->release(broker_path, candidate, lease);
}

static enum ipsec_latch_reason now_query(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	return ops_now()->query_settled(broker_path, candidate, wait_ms, ret_status);
}

/* Linked in the broker's place (--wrap). */
extern const struct kbind_ops __wrap_kbind_ops_broker;
const struct kbind_ops __wrap_kbind_ops_broker = { now_find, now_find_wanted, now_visit_all,
	now_refresh, now_reserve, now_latch, now_release, now_query };

/* --- MIT's profile library fails as a whole: in itself it loses values, and crashes, where memory
 * ends (libkrb5 1.20.1: profile_get_values does not look at what add_to_list returns) --- */

long __real_profile_init(const_profile_filespec_t *files, profile_t *ret_profile);
long __wrap_profile_init(const_profile_filespec_t *files, profile_t *ret_profile);
long __real_profile_get_values(profile_t profile, const char *const *names, char ***ret_values);
long __wrap_profile_get_values(profile_t profile, const char *const *names, char ***ret_values);

long __wrap_profile_init(const_profile_filespec_t *files, profile_t *ret_profile)
{
	int32_t armed = faults_control->armed;
	long code;

	if (faults_is_due(FAULTS_MEMORY, "profile_init", __builtin_return_address(0)))
		return ENOMEM;
	if (faults_is_due(FAULTS_SYSTEM, "profile_init", __builtin_return_address(0)))
		return EMFILE;
	faults_control->armed = 0;
	code = __real_profile_init(files, ret_profile);
	faults_control->armed = armed;
	return code;
}

long __wrap_profile_get_values(profile_t profile, const char *const *names, char ***ret_values)
{
	int32_t armed = faults_control->armed;
	long code;

	if (faults_is_due(FAULTS_MEMORY, "profile_get_values", __builtin_return_address(0)))
		return ENOMEM;
	faults_control->armed = 0;
	code = __real_profile_get_values(profile, names, ret_values);
	faults_control->armed = armed;
	return code;
}

/* --- one call --- */

struct life {
	struct login *login;
	gss_name_t target, source;
	gss_cred_id_t credentials[2];
	gss_ctx_id_t contexts[2]; /* 0: initiator */
	bool is_complete[2];
	gss_buffer_desc token;
};

static void complain(struct login *login, const char *what)
{
	if (login->complaint[0] == '\0')
		(void)snprintf(login->complaint, sizeof(login->complaint), "%s", what);
}

static void arm(const struct life *life)
{
	faults_control->armed = life->login->is_armed ? 1 : 0;
}

static void disarm(void)
{
	faults_control->armed = 0;
}

static void describe(struct login *login)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, more = 0;

	if (gss_display_status(&minor, login->minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text) !=
		GSS_S_COMPLETE)
		complain(login, "its minor status has no text");
	else
		(void)snprintf(login->text, sizeof(login->text), "%.*s", (int)text.length,
			(char *)text.value);
	free(text.value);
}

/* What a call came to; true when it succeeded. */
static bool look_at(struct life *life, const char *call, OM_uint32 major, OM_uint32 minor)
{
	struct login *login = life->login;

	disarm();
	if (ERR_peek_error() != 0) {
		complain(login, "an error was left in the program's OpenSSL queue");
		ERR_clear_error();
	}
	if (!GSS_ERROR(major))
		return true;
	if (minor == 0)
		complain(login, "a failure without a minor status");
	if (!login->is_told) {
		login->is_told = true;
		login->call = call;
		login->major = major;
		login->minor = minor;
		describe(login);
	}
	return false;
}

/* A call that changes nothing: failed once, it succeeds when it is made again. */
#define CALL(life, name, ...)                                                       \
	do {                                                                        \
		OM_uint32 minor_ = 0, major_;                                       \
		arm(life);                                                          \
		major_ = name(&minor_, __VA_ARGS__);                                \
		if (!look_at(life, #name, major_, minor_)) {                        \
			major_ = name(&minor_, __VA_ARGS__);                        \
			if (GSS_ERROR(major_))                                      \
				complain((life)->login, #name " fails ever after"); \
			ERR_clear_error();                                          \
		}                                                                   \
	} while (0)

/* The program's own clean-up, not under test. */
static void drop(gss_buffer_t buffer)
{
	free(buffer->value);
	*buffer = (gss_buffer_desc)GSS_C_EMPTY_BUFFER;
}

/* --- names and credentials --- */

static void acquire(struct life *life, bool initiates)
{
	gss_key_value_element_desc element = { "ipsec_config",
		initiates ? life->login->ends->initiator_config
			  : life->login->ends->acceptor_config };
	/* Both ways to a configuration: named by the program, and the process's own. */
	gss_key_value_set_desc store = { initiates ? 0 : 1, &element };

	is_initiator_now = initiates;
	(void)setenv("GSS_IPSEC_CONFIG", life->login->ends->initiator_config, 1);
	CALL(life, gss_acquire_cred_from, GSS_C_NO_NAME, 0, GSS_C_NO_OID_SET,
		initiates ? GSS_C_INITIATE : GSS_C_ACCEPT, &store,
		&life->credentials[initiates ? 0 : 1], NULL, NULL);
}

static void use_credential(struct life *life)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	gss_cred_id_t copy = GSS_C_NO_CREDENTIAL;
	gss_name_t name = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_inquire_cred, life->credentials[0], &name, NULL, NULL, NULL);
	(void)gss_release_name(&minor, &name);
	CALL(life, gss_export_cred, life->credentials[0], &token);
	CALL(life, gss_import_cred, &token, &copy);
	drop(&token);
	(void)gss_release_cred(&minor, &copy);
}

static void use_name(struct life *life, gss_name_t name)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER, exported = GSS_C_EMPTY_BUFFER;
	gss_name_t copy = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_display_name, name, &text, NULL);
	drop(&text);
	CALL(life, gss_export_name, name, &exported);
	CALL(life, gss_import_name, &exported, GSS_C_NT_EXPORT_NAME, &copy);
	drop(&exported);
	(void)gss_release_name(&minor, &copy);
}

/* --- the exchange --- */

static OM_uint32 step(struct life *life, bool initiates, gss_buffer_t output, OM_uint32 *ret_minor)
{
	size_t side = initiates ? 0 : 1;

	is_initiator_now = initiates;
	if (initiates)
		return gss_init_sec_context(ret_minor, life->credentials[side],
			&life->contexts[side], life->target, GSS_C_NO_OID, FLAGS_ASKED, 0,
			GSS_C_NO_CHANNEL_BINDINGS, &life->token, NULL, output, NULL, NULL);
	return gss_accept_sec_context(ret_minor, &life->contexts[side], life->credentials[side],
		&life->token, GSS_C_NO_CHANNEL_BINDINGS, &life->source, NULL, output, NULL, NULL,
		NULL);
}

/* The other end hears of a failure, when there is a token that says so. */
static void tell_peer(struct life *life, bool initiates)
{
	gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor = 0;

	if (life->token.length == 0 || life->is_complete[initiates ? 0 : 1])
		return;
	major = step(life, initiates, &output, &minor);
	if (!GSS_ERROR(major) || minor == 0)
		complain(life->login, "the other end goes on after an error token");
	life->login->peer_minor = minor;
	ERR_clear_error();
	drop(&output);
}

static void note_secrets(const struct life *life)
{
	for (size_t i = 0; i < 2 && !life->login->is_armed; i++) {
		const struct mech_context *mech =
			life->contexts[i] != GSS_C_NO_CONTEXT ? life->contexts[i]->mech : NULL;
		const struct ike_keys *keys;

		if (mech == NULL || mech->exchange == NULL || !mech->exchange->has_keys)
			continue;
		keys = &mech->exchange->keys;
		faults_secret_add(keys->sk_d.data, keys->sk_d.len);
		faults_secret_add(keys->sk_ei.data, keys->sk_ei.len);
		faults_secret_add(keys->sk_er.data, keys->sk_er.len);
		faults_secret_add(keys->sk_pi.data, keys->sk_pi.len);
		faults_secret_add(keys->sk_pr.data, keys->sk_pr.len);
		faults_secret_add(mech->exchange->key_in.data, mech->exchange->key_in.len);
		faults_secret_add(mech->exchange->key_out.data, mech->exchange->key_out.len);
		return;
	}
}

static void exchange(struct life *life)
{
	bool noted = false;

	for (int made = 0; made < TOKENS_MAX && !(life->is_complete[0] && life->is_complete[1]);
		made++) {
		bool initiates = made % 2 == 0;
		gss_buffer_desc output = GSS_C_EMPTY_BUFFER;
		OM_uint32 major, minor = 0;
		bool is_fine;

		arm(life);
		major = step(life, initiates, &output, &minor);
		is_fine =
			look_at(life, initiates ? "gss_init_sec_context" : "gss_accept_sec_context",
				major, minor);
		drop(&life->token);
		life->token = output;
		life->is_complete[initiates ? 0 : 1] = is_fine && major == GSS_S_COMPLETE;
		if (!is_fine) {
			tell_peer(life, !initiates);
			break;
		}
		if (!noted && made == 2)
			note_secrets(life);
		noted = noted || made == 2;
	}
	drop(&life->token);
}

static void use_context(struct life *life, size_t side)
{
	static gss_OID_desc inquiries[] = {
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH },
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_UNIQUE },
		{ GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_END_POINT },
	};
	gss_name_t source = GSS_C_NO_NAME, target = GSS_C_NO_NAME;
	OM_uint32 minor;

	CALL(life, gss_inquire_context, life->contexts[side], &source, &target, NULL, NULL, NULL,
		NULL, NULL);
	(void)gss_release_name(&minor, &source);
	(void)gss_release_name(&minor, &target);
	for (size_t i = 0; i < sizeof(inquiries) / sizeof(inquiries[0]); i++) {
		gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;

		CALL(life, gss_inquire_sec_context_by_oid, life->contexts[side], &inquiries[i],
			&set);
		(void)gss_release_buffer_set(&minor, &set);
	}
}

static void use_messages(struct life *life, size_t from)
{
	char text[] = "over there";
	gss_buffer_desc plain = { sizeof(text), text }, token = GSS_C_EMPTY_BUFFER,
			back = GSS_C_EMPTY_BUFFER, mic = GSS_C_EMPTY_BUFFER;

	CALL(life, gss_wrap, life->contexts[from], 1, GSS_C_QOP_DEFAULT, &plain, NULL, &token);
	CALL(life, gss_unwrap, life->contexts[1 - from], &token, &back, NULL, NULL);
	if (back.length != plain.length || strcmp(back.value, text) != 0)
		complain(life->login, "a message did not come through");
	CALL(life, gss_get_mic, life->contexts[from], GSS_C_QOP_DEFAULT, &plain, &mic);
	CALL(life, gss_verify_mic, life->contexts[1 - from], &plain, &mic, NULL);
	drop(&token);
	drop(&back);
	drop(&mic);
}

static void end(struct life *life)
{
	OM_uint32 minor;

	arm(life);
	for (size_t i = 0; i < 2; i++) {
		is_initiator_now = i == 0;
		if (gss_delete_sec_context(&minor, &life->contexts[i], GSS_C_NO_BUFFER) !=
				GSS_S_COMPLETE ||
			gss_release_cred(&minor, &life->credentials[i]) != GSS_S_COMPLETE)
			complain(life->login, "something cannot be released");
	}
	(void)gss_release_name(&minor, &life->target);
	(void)gss_release_name(&minor, &life->source);
	disarm();
}

bool login_is_whole(const struct login *login)
{
	return !login->is_told && login->complaint[0] == '\0';
}

void login_run(struct login *login)
{
	char text[] = "host@server.example.org";
	gss_buffer_desc name = { sizeof(text) - 1, text };
	struct life life = { .login = login };

	is_initiator_now = true;
	CALL(&life, gss_import_name, &name, GSS_C_NT_HOSTBASED_SERVICE, &life.target);
	acquire(&life, true);
	acquire(&life, false);
	use_credential(&life);
	exchange(&life);
	if (life.is_complete[0] && life.is_complete[1]) {
		use_name(&life, life.source);
		for (size_t side = 0; side < 2; side++) {
			use_context(&life, side);
			use_messages(&life, side);
		}
	} else if (!login->is_told) {
		complain(login, "the exchange does not end");
	}
	end(&life);
}
