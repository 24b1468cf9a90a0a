/* SPDX-License-Identifier: BSD-2-Clause */
/* The plugin's static OIDs.  Programs keep pointers to them: they live as long as the process. */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

#include "plugin/plugin.h"

enum oid_index {
	OID_MECH,
	OID_PUBLIC_KEY_NAME_TYPE,
	OID_DESCRIPTOR,
	OID_NO_CI_FLAGS,
	OID_LATCH,
	OID_UNIQUE,
	OID_END_POINT,
	OID_CREDENTIAL_KEY,
	OID_SSF,
	OID_USER,
	OID_HOSTBASED,
	OID_HOSTBASED_X,
	OID_ANONYMOUS,
	OID_EXPORT,
	OID_COMPOSITE,
	OID_COUNT
};

/* GSS_KRB5_CRED_NO_CI_FLAGS_X, 1.2.752.43.13.29: Cyrus SASL sets it on SPNEGO's credentials. */
#define NO_CI_FLAGS "\x2a\x85\x70\x2b\x0d\x1d"
#define NO_CI_FLAGS_LENGTH 6
/* GSS_C_SEC_CONTEXT_SASL_SSF, 1.2.840.113554.1.2.2.5.15 */
#define SSF "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x05\x0f"
#define SSF_LENGTH 11

/* RFC 2743 section 4 and RFC 6680 section 6 */
#define MIT_NAME_TYPES "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01" /* 1.2.840.113554.1.2.1 */
#define MIT_NAME_TYPE_LENGTH 10
#define NAME_TYPES "\x2b\x06\x01\x05\x06" /* 1.3.6.1.5.6 */
#define NAME_TYPE_LENGTH 6

static gss_OID_desc oids[OID_COUNT] = {
	[OID_MECH] = { GSS_IPSEC_OID_MECH_LENGTH, GSS_IPSEC_OID_MECH },
	[OID_PUBLIC_KEY_NAME_TYPE] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_NT_PUBLIC_KEY },
	[OID_DESCRIPTOR] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_OPT_DESCRIPTOR },
	[OID_NO_CI_FLAGS] = { NO_CI_FLAGS_LENGTH, NO_CI_FLAGS },
	[OID_LATCH] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_LATCH },
	[OID_UNIQUE] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_UNIQUE },
	[OID_END_POINT] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_END_POINT },
	[OID_CREDENTIAL_KEY] = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CREDENTIAL_KEY },
	[OID_SSF] = { SSF_LENGTH, SSF },
	[OID_USER] = { MIT_NAME_TYPE_LENGTH, MIT_NAME_TYPES "\x01" },
	[OID_HOSTBASED] = { MIT_NAME_TYPE_LENGTH, MIT_NAME_TYPES "\x04" },
	[OID_HOSTBASED_X] = { NAME_TYPE_LENGTH, NAME_TYPES "\x02" },
	[OID_ANONYMOUS] = { NAME_TYPE_LENGTH, NAME_TYPES "\x03" },
	[OID_EXPORT] = { NAME_TYPE_LENGTH, NAME_TYPES "\x04" },
	[OID_COMPOSITE] = { NAME_TYPE_LENGTH, NAME_TYPES "\x06" },
};

const gss_OID plugin_mech_oid = &oids[OID_MECH];
const gss_OID plugin_public_key_name_type = &oids[OID_PUBLIC_KEY_NAME_TYPE];
const gss_OID plugin_option_descriptor = &oids[OID_DESCRIPTOR];
const gss_OID plugin_option_no_ci_flags = &oids[OID_NO_CI_FLAGS];
const gss_OID plugin_inquiry_latch = &oids[OID_LATCH];
const gss_OID plugin_inquiry_unique = &oids[OID_UNIQUE];
const gss_OID plugin_inquiry_end_point = &oids[OID_END_POINT];
const gss_OID plugin_inquiry_credential_key = &oids[OID_CREDENTIAL_KEY];
const gss_OID plugin_inquiry_ssf = &oids[OID_SSF];
const gss_OID plugin_type_user = &oids[OID_USER];
const gss_OID plugin_type_hostbased = &oids[OID_HOSTBASED];
const gss_OID plugin_type_hostbased_x = &oids[OID_HOSTBASED_X];
const gss_OID plugin_type_anonymous = &oids[OID_ANONYMOUS];
const gss_OID plugin_type_export = &oids[OID_EXPORT];
const gss_OID plugin_type_composite = &oids[OID_COMPOSITE];

bool plugin_oid_is_ours(gss_const_OID oid)
{
	for (size_t i = 0; i < OID_COUNT; i++) {
		if (oid == &oids[i])
			return true;
	}
	return false;
}

bool plugin_oid_equal(gss_const_OID a, gss_const_OID b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return bytes_equal(BYTES(a->elements, a->length), BYTES(b->elements, b->length));
}

#define LIBGSSAPI_NAME "libgssapi_krb5.so.2"

/* The library of that name if it is in the process and has the symbol. */
static void *library_with(const char *library_name, const char *symbol)
{
	void *library = dlopen(library_name, RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);

	if (library == NULL || dlsym(library, symbol) != NULL)
		return library;
	(void)dlclose(library);
	return NULL;
}

/* Those libgssapi that called, never let go: one program may have several.  base: where each is. */
#define CALLING_LIBRARIES 8
static struct {
	_Atomic(const void *) base;
	_Atomic(void *) libgssapi;
} calling_libraries[CALLING_LIBRARIES];

/* Where another thread was faster, or there is no room, it stays opened once more. */
static void libgssapi_keep(const void *base, void *libgssapi)
{
	for (size_t i = 0; i < CALLING_LIBRARIES; i++) {
		const void *expected = NULL;

		if (!atomic_compare_exchange_strong(&calling_libraries[i].base, &expected, base))
			continue;
		atomic_store(&calling_libraries[i].libgssapi, libgssapi);
		return;
	}
}

static void *libgssapi_kept(const void *base)
{
	void *libgssapi = NULL;

	for (size_t i = 0; i < CALLING_LIBRARIES && libgssapi == NULL; i++)
		if (atomic_load(&calling_libraries[i].base) == base)
			libgssapi = atomic_load(&calling_libraries[i].libgssapi);
	return libgssapi;
}

static void *libgssapi_of(const void *caller, const char *symbol)
{
	Dl_info info = { .dli_fbase = NULL };
	void *libgssapi;

	if (dladdr(caller, &info) == 0 || info.dli_fbase == NULL)
		return library_with(LIBGSSAPI_NAME, symbol);
	libgssapi = libgssapi_kept(info.dli_fbase);
	if (libgssapi != NULL)
		return libgssapi;
	if (info.dli_fname != NULL)
		libgssapi = library_with(info.dli_fname, symbol);
	if (libgssapi == NULL)
		return library_with(LIBGSSAPI_NAME, symbol);
	libgssapi_keep(info.dli_fbase, libgssapi);
	return libgssapi;
}

enum err plugin_libgssapi_oid(const void *caller, const char *name, gss_OID *ret_oid)
{
	void *library = libgssapi_of(caller, name);
	const gss_OID *constant = library != NULL ? dlsym(library, name) : NULL;

	if (constant == NULL)
		return ERR_INTERNAL;
	*ret_oid = *constant;
	return ERR_OK;
}

void plugin_libgssapi_meet(const void *caller)
{
	gss_OID oid;

	(void)!plugin_libgssapi_oid(caller, "GSS_C_NT_USER_NAME", &oid);
}
