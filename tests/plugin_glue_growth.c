/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What logins leave behind in a server: nothing.  Each step is made by a thread of its own, which ends
 * behind it, and the context is deleted by another one, as servers with pools of threads do; some
 * logins are refused.  Under tests/support/count_allocations.c.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "tests/plugin_glue.h"

#define TARGET "host@server.example.org"
#define LOGINS_FIRST 64
#define LOGINS_MORE 192
#define REFUSED_EVERY 8
#define STEPS_MAX 20
/* Of nothing that comes once a login: a list that grew by a place, a table that was filled. */
#define GROWTH_OCTETS_MAX 1024

static size_t (*count_held)(void);

static void in_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) == 0)
		(void)pthread_join(thread, NULL);
	else
		check(false, "a thread starts");
}

static void *step_thread(void *argument)
{
	struct pair *pair = argument;

	(void)pair_step(pair);
	return NULL;
}

/* What a server compares names by. */
static void canonicalize(gss_name_t peer)
{
	gss_name_t canonical = GSS_C_NO_NAME;
	OM_uint32 minor;

	check_quietly(
		gss_canonicalize_name(&minor, peer, &mech_oid, &canonical) == GSS_S_COMPLETE &&
			name_displays(canonical, "alice@example.org"),
		"its canonical name is alice's");
	release_name(&canonical);
}

/* What a server asks once somebody is logged in, or a client's log says when he is not. */
static void *look_thread(void *argument)
{
	const struct pair *pair = argument;
	gss_buffer_desc attribute = { sizeof(GSS_IPSEC_ATTRIBUTE_LATCH) - 1,
		GSS_IPSEC_ATTRIBUTE_LATCH };
	gss_buffer_desc value = GSS_C_EMPTY_BUFFER, shown = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;
	int authenticated, complete, more = -1;

	if (GSS_ERROR(pair->major)) {
		check_quietly(error_says(pair->minor, "binding"), "the refusal has its sentence");
		return NULL;
	}
	check_quietly(name_displays(pair->acceptor.peer, "alice@example.org"), "it is alice");
	canonicalize(pair->acceptor.peer);
	major = gss_get_name_attribute(&minor, pair->acceptor.peer, &attribute, &authenticated,
		&complete, &value, &shown, &more);
	check_quietly(major == GSS_S_COMPLETE, "the attribute of the latch is there");
	(void)gss_release_buffer(&minor, &value);
	(void)gss_release_buffer(&minor, &shown);
	return NULL;
}

/* A server's credential, which Cyrus SASL asks for at each login.  Of this mechanism only: without a key
 * in a keytab, krb5's own loses the name it looked for (MIT 1.20.1). */
static void *acquire_thread(void *argument)
{
	gss_OID_set_desc mechs = { 1, &mech_oid };
	gss_name_t desired = name_of(TARGET, GSS_C_NT_HOSTBASED_SERVICE), name = GSS_C_NO_NAME;
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor, major;

	(void)argument;
	major = gss_acquire_cred(&minor, desired, 0, &mechs, GSS_C_ACCEPT, &credential, NULL, NULL);
	check_quietly(major == GSS_S_COMPLETE, "the server has a credential");
	if (major == GSS_S_COMPLETE)
		major = gss_inquire_cred(&minor, credential, &name, NULL, NULL, NULL);
	check_quietly(major == GSS_S_COMPLETE, "and is told whose it is");
	release_name(&name);
	(void)gss_release_cred(&minor, &credential);
	release_name(&desired);
	return NULL;
}

static void *free_thread(void *argument)
{
	pair_free(argument);
	return NULL;
}

static void login(gss_OID mech, bool is_refused)
{
	struct gss_channel_bindings_struct ours = { 0 }, others = { 0 };
	struct pair pair;

	pair_init(&pair, mech, TARGET, PAIR_FLAGS_ASKED);
	if (is_refused) {
		bindings_set(&ours, "a");
		bindings_set(&others, "b");
		pair.initiator.bindings = &ours;
		pair.acceptor.bindings = &others;
	}
	in_thread(acquire_thread, NULL);
	for (int i = 0; i < STEPS_MAX && !GSS_ERROR(pair.major) && !pair_is_open(&pair); i++)
		in_thread(step_thread, &pair);
	check_quietly(pair_is_open(&pair) != is_refused, "a login ends as it should");
	in_thread(look_thread, &pair);
	in_thread(free_thread, &pair);
}

static size_t held_behind(gss_OID mech, unsigned int logins)
{
	for (unsigned int i = 0; i < logins; i++)
		login(mech, i % REFUSED_EVERY == 0);
	return count_held();
}

static void test_mech_growth(gss_OID mech, const char *name)
{
	size_t before = held_behind(mech, LOGINS_FIRST);
	size_t after = held_behind(mech, LOGINS_MORE);

	check(after <= before + GROWTH_OCTETS_MAX,
		"%s: %zu octets held behind %d logins, %zu behind %d more", name, before,
		LOGINS_FIRST, after, LOGINS_MORE);
}

void test_growth(void)
{
	*(void **)&count_held = dlsym(RTLD_DEFAULT, "count_held");
	check(count_held != NULL, "what is held is counted");
	if (count_held == NULL)
		return;
	test_mech_growth(&mech_oid, "by its OID");
	test_mech_growth(&spnego_oid, "by SPNEGO");
}
