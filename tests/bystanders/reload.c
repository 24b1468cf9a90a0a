/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A host of the kind that loads libgssapi when it needs it and unloads it again, for valgrind: reload
 * TIMES.  Each time it lists the mechanisms and their attributes, asks for default credentials, and
 * makes a first token with every mechanism, as ssh does.  It prints how often and with how many.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>

#define LIBRARY "libgssapi_krb5.so.2"

/* clang-format off */
#define CALLS(X) \
	X(gss_indicate_mechs) \
	X(gss_inquire_attrs_for_mech) \
	X(gss_acquire_cred) \
	X(gss_release_cred) \
	X(gss_import_name) \
	X(gss_release_name) \
	X(gss_init_sec_context) \
	X(gss_delete_sec_context) \
	X(gss_display_status) \
	X(gss_release_buffer) \
	X(gss_release_oid_set)
/* clang-format on */

struct library {
	void *handle;
	gss_OID host_type;
#define MEMBER(name) __typeof__(name) *name;
	CALLS(MEMBER)
};

static void *find(void *handle, const char *name)
{
	void *found = dlsym(handle, name);

	if (found == NULL) {
		fprintf(stderr, "reload: no %s\n", name);
		exit(1);
	}
	return found;
}

static void library_open(struct library *l)
{
	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (l->handle == NULL) {
		fprintf(stderr, "reload: %s\n", dlerror());
		exit(1);
	}
#define FIND(name) *(void **)&l->name = find(l->handle, #name);
	CALLS(FIND)
	l->host_type = *(gss_OID *)find(l->handle, "GSS_C_NT_HOSTBASED_SERVICE");
}

static void tell(struct library *l, OM_uint32 code, gss_OID mech)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, more = 0;

	if (l->gss_display_status(&minor, code, GSS_C_MECH_CODE, mech, &more, &text) == 0)
		(void)l->gss_release_buffer(&minor, &text);
}

/* What ssh does with each mechanism that there is. */
static void try_mechanism(struct library *l, gss_OID mech, gss_name_t target)
{
	gss_OID_set attributes = GSS_C_NO_OID_SET, known = GSS_C_NO_OID_SET;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 major, minor, reason;

	(void)l->gss_inquire_attrs_for_mech(&minor, mech, &attributes, &known);
	(void)l->gss_release_oid_set(&minor, &attributes);
	(void)l->gss_release_oid_set(&minor, &known);
	major = l->gss_init_sec_context(&reason, GSS_C_NO_CREDENTIAL, &context, target, mech,
		GSS_C_MUTUAL_FLAG | GSS_C_INTEG_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER,
		NULL, &token, NULL, NULL);
	if (GSS_ERROR(major))
		tell(l, reason, mech);
	(void)l->gss_release_buffer(&minor, &token);
	if (context != GSS_C_NO_CONTEXT)
		(void)l->gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
}

static void acquire(struct library *l, gss_cred_usage_t usage)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 major, minor, reason;

	major = l->gss_acquire_cred(&reason, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET,
		usage, &credential, NULL, NULL);
	if (major == GSS_S_COMPLETE)
		(void)l->gss_release_cred(&minor, &credential);
	else
		tell(l, reason, GSS_C_NO_OID);
}

static size_t once(void)
{
	static char text[] = "host@bystand.example";
	gss_buffer_desc name = { strlen(text), text };
	gss_OID_set mechs = GSS_C_NO_OID_SET;
	gss_name_t target = GSS_C_NO_NAME;
	struct library l;
	OM_uint32 minor;
	size_t count = 0;

	library_open(&l);
	if (l.gss_indicate_mechs(&minor, &mechs) == GSS_S_COMPLETE &&
		l.gss_import_name(&minor, &name, l.host_type, &target) == GSS_S_COMPLETE) {
		count = mechs->count;
		for (size_t i = 0; i < count; i++)
			try_mechanism(&l, &mechs->elements[i], target);
		acquire(&l, GSS_C_INITIATE);
		acquire(&l, GSS_C_ACCEPT);
		acquire(&l, GSS_C_BOTH);
	}
	(void)l.gss_release_name(&minor, &target);
	(void)l.gss_release_oid_set(&minor, &mechs);
	(void)dlclose(l.handle);
	return count;
}

int main(int argc, char **argv)
{
	int times = argc == 2 ? atoi(argv[1]) : 1;
	size_t count = 0;

	for (int i = 0; i < times; i++)
		count = once();
	printf("%d times, %zu mechanisms\n", times, count);
	return count == 0;
}
