/* SPDX-License-Identifier: BSD-2-Clause */
/* OIDs and sets of them that the plugin makes without libgssapi, judged by libgssapi. */
#include <check.h>
#include <string.h>

#include "plugin/plugin.h"
#include "tests/unit/suites.h"

static const struct {
	const char *name;
	const gss_OID *ours, *theirs;
} name_types[] = {
	{ "GSS_C_NT_USER_NAME", &plugin_type_user, &GSS_C_NT_USER_NAME },
	{ "GSS_C_NT_HOSTBASED_SERVICE", &plugin_type_hostbased, &GSS_C_NT_HOSTBASED_SERVICE },
	{ "GSS_C_NT_HOSTBASED_SERVICE_X", &plugin_type_hostbased_x, &GSS_C_NT_HOSTBASED_SERVICE_X },
	{ "GSS_C_NT_ANONYMOUS", &plugin_type_anonymous, &GSS_C_NT_ANONYMOUS },
	{ "GSS_C_NT_EXPORT_NAME", &plugin_type_export, &GSS_C_NT_EXPORT_NAME },
	{ "GSS_C_NT_COMPOSITE_EXPORT", &plugin_type_composite, &GSS_C_NT_COMPOSITE_EXPORT },
};

START_TEST(name_type_is_libgssapis)
{
	gss_OID theirs = *name_types[_i].theirs, found = GSS_C_NO_OID;

	ck_assert(gss_oid_equal(*name_types[_i].ours, theirs));
	ck_assert_int_eq(plugin_libgssapi_oid((const void *)name_type_is_libgssapis,
				 name_types[_i].name, &found),
		ERR_OK);
	ck_assert_ptr_eq(found, theirs);
}
END_TEST

/* A caller of its own file, the C library, gets what this program's libgssapi has, whoever asked before. */
START_TEST(every_caller_has_its_own)
{
	const void *callers[] = { (const void *)(uintptr_t)plugin_oid_is_ours,
		(const void *)(uintptr_t)strlen, (const void *)(uintptr_t)gss_release_oid_set };

	for (size_t i = 0; i < 2 * sizeof(callers) / sizeof(callers[0]); i++) {
		gss_OID found = GSS_C_NO_OID;

		ck_assert_int_eq(
			plugin_libgssapi_oid(callers[i / 2], "GSS_C_NT_USER_NAME", &found), ERR_OK);
		ck_assert_ptr_eq(found, GSS_C_NT_USER_NAME);
	}
}
END_TEST

START_TEST(libgssapi_has_no_such)
{
	gss_OID found = GSS_C_NO_OID;

	ck_assert_int_eq(
		plugin_libgssapi_oid((const void *)suite_plugin_oid, "GSS_C_NT_OF_NOBODY", &found),
		ERR_INTERNAL);
	ck_assert_ptr_eq(found, GSS_C_NO_OID);
}
END_TEST

/* libgssapi looks into the set, makes it larger, and frees it (AddressSanitizer and valgrind see how). */
START_TEST(set_is_libgssapis)
{
	gss_OID_set set = GSS_C_NO_OID_SET;
	OM_uint32 minor;
	int present;

	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(plugin_oid_set_add(*name_types[i].ours, &set), ERR_OK);
	ck_assert_uint_eq(set->count, 5);
	ck_assert_ptr_ne(set->elements[0].elements, plugin_type_user->elements);
	ck_assert_uint_eq(gss_add_oid_set_member(&minor, GSS_C_NT_COMPOSITE_EXPORT, &set), 0);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(
			gss_test_oid_set_member(&minor, *name_types[i].theirs, set, &present), 0);
		ck_assert(present);
	}
	ck_assert_uint_eq(gss_release_oid_set(&minor, &set), GSS_S_COMPLETE);

	ck_assert_uint_eq(gss_create_empty_oid_set(&minor, &set), GSS_S_COMPLETE);
	ck_assert_int_eq(plugin_oid_set_add(plugin_type_user, &set), ERR_OK);
	ck_assert_uint_eq(set->count, 1);
	plugin_oid_set_free(&set);
	ck_assert_ptr_eq(set, GSS_C_NO_OID_SET);
	plugin_oid_set_free(&set);
	ck_assert_int_eq(plugin_oid_set_new(plugin_mech_oid, &set), ERR_OK);
	ck_assert_uint_eq(gss_release_oid_set(&minor, &set), GSS_S_COMPLETE);
}
END_TEST

Suite *suite_plugin_oid(void)
{
	Suite *suite = suite_create("plugin_oid");
	TCase *all = tcase_create("all");

	tcase_add_loop_test(
		all, name_type_is_libgssapis, 0, (int)(sizeof(name_types) / sizeof(name_types[0])));
	tcase_add_test(all, every_caller_has_its_own);
	tcase_add_test(all, libgssapi_has_no_such);
	tcase_add_test(all, set_is_libgssapis);
	suite_add_tcase(suite, all);
	return suite;
}
