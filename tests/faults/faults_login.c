/* SPDX-License-Identifier: BSD-2-Clause */
/* See faults_login.h.  Linked with the plugin itself: the mechglue's own allocations are not ours. */
#include "tests/faults/faults_login.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_profile.h"
#include "tests/faults/faults.h"
#include "tests/faults/faults_life.h"

#define TOKENS_MAX 8
#define FLAGS_ASKED (GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG)

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

static enum ipsec_latch_reason now_find_wanted(int fd, const struct kbind_pick *pick,
	kbind_wants wants, const void *argument, struct kbind_candidates *ret)
{
	return ops_now()->find_wanted(fd, pick, wants, argument, ret);
}

static enum ipsec_latch_reason now_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	return ops_now()->visit_all(fd, pick, visit, argument);
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

const struct config_profile_library *__real_config_profile_library(void);
const struct config_profile_library *__wrap_config_profile_library(void);

static long failing_profile_init(const_profile_filespec_t *files, profile_t *ret_profile)
{
	int32_t armed = faults_control->armed;
	long code;

	if (faults_is_due(FAULTS_MEMORY, "profile_init", __builtin_return_address(0)))
		return ENOMEM;
	if (faults_is_due(FAULTS_SYSTEM, "profile_init", __builtin_return_address(0)))
		return EMFILE;
	faults_control->armed = 0;
	code = __real_config_profile_library()->profile_init(files, ret_profile);
	faults_control->armed = armed;
	return code;
}

static long failing_profile_get_values(
	profile_t profile, const char *const *names, char ***ret_values)
{
	int32_t armed = faults_control->armed;
	long code;

	if (faults_is_due(FAULTS_MEMORY, "profile_get_values", __builtin_return_address(0)))
		return ENOMEM;
	faults_control->armed = 0;
	code = __real_config_profile_library()->profile_get_values(profile, names, ret_values);
	faults_control->armed = armed;
	return code;
}

/* Linked in its place (--wrap). */
const struct config_profile_library *__wrap_config_profile_library(void)
{
	static struct config_profile_library failing;

	if (faults_is_due(FAULTS_SYSTEM, "dlopen", __builtin_return_address(0)) ||
		__real_config_profile_library() == NULL)
		return NULL;
	failing = *__real_config_profile_library();
	failing.profile_init = failing_profile_init;
	failing.profile_get_values = failing_profile_get_values;
	return &failing;
}

/* --- one call --- */

void life_complain(struct login *login, const char *what)
{
	if (login->complaint[0] == '\0')
		(void)snprintf(login->complaint, sizeof(login->complaint), "%s", what);
}

void life_arm(const struct life *life)
{
	faults_control->armed = life->login->is_armed ? 1 : 0;
}

void life_disarm(void)
{
	faults_control->armed = 0;
}

static void describe(struct login *login)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, more = 0;

	if (gss_display_status(&minor, login->minor, GSS_C_MECH_CODE, GSS_C_NO_OID, &more, &text) !=
		GSS_S_COMPLETE)
		life_complain(login, "its minor status has no text");
	else
		(void)snprintf(login->text, sizeof(login->text), "%.*s", (int)text.length,
			(char *)text.value);
	free(text.value);
}

bool life_look_at(struct life *life, const char *call, OM_uint32 major, OM_uint32 minor)
{
	struct login *login = life->login;

	life_disarm();
	if (ERR_peek_error() != 0) {
		life_complain(login, "an error was left in the program's OpenSSL queue");
		ERR_clear_error();
	}
	if (!GSS_ERROR(major))
		return true;
	if (minor == 0)
		life_complain(login, "a failure without a minor status");
	if (!login->is_told) {
		login->is_told = true;
		login->call = call;
		login->major = major;
		login->minor = minor;
		describe(login);
	}
	return false;
}

void life_drop(gss_buffer_t buffer)
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

/* --- the exchange --- */

static OM_uint32 step(struct life *life, bool initiates, gss_buffer_t output, OM_uint32 *ret_minor)
{
	size_t side = initiates ? 0 : 1;

	is_initiator_now = initiates;
	if (initiates)
		return gss_init_sec_context(ret_minor, life->credentials[side],
			&life->contexts[side], life->target, GSS_C_NO_OID,
			FLAGS_ASKED | (life->login->is_nobody[1] ? 0 : GSS_C_MUTUAL_FLAG), 0,
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
		life_complain(life->login, "the other end goes on after an error token");
	life->login->peer_minor = minor;
	ERR_clear_error();
	life_drop(&output);
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

		life_arm(life);
		major = step(life, initiates, &output, &minor);
		is_fine = life_look_at(life,
			initiates ? "gss_init_sec_context" : "gss_accept_sec_context", major,
			minor);
		life_drop(&life->token);
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
	life_drop(&life->token);
}

static void end(struct life *life)
{
	OM_uint32 minor;

	life_arm(life);
	for (size_t i = 0; i < 2; i++) {
		is_initiator_now = i == 0;
		if (gss_delete_sec_context(&minor, &life->contexts[i], GSS_C_NO_BUFFER) !=
				GSS_S_COMPLETE ||
			gss_release_cred(&minor, &life->credentials[i]) != GSS_S_COMPLETE)
			life_complain(life->login, "something cannot be released");
	}
	(void)gss_release_name(&minor, &life->target);
	(void)gss_release_name(&minor, &life->source);
	life_disarm();
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
			use_pieces(&life, side);
			use_transfer(&life, side);
		}
	} else if (!login->is_told) {
		life_complain(login, "the exchange does not end");
	}
	end(&life);
}
