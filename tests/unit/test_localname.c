/* SPDX-License-Identifier: BSD-2-Clause */
/* Local users by [localname]: which rule counts, and what no peer may become. */
#include "tests/unit/key_store.h"
#include "tests/unit/suites.h"

#define PATTERN_RULE "\tstaff = {\n\t\tname = *@example.org\n\t}\n"
#define KEY_NAME "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"

static struct key_store store;

static void setup(void)
{
	store = key_store_new();
}

static void teardown(void)
{
	key_store_free(&store);
}

static enum err load(const char *rules, struct config **ret_config)
{
	struct key_store_path path = key_store_path(&store, "ipsec.conf");
	const char *files[] = { path.text, NULL };
	char text[4096];

	snprintf(text, sizeof(text), "[localname]\n%s", rules);
	key_store_write_text(&store, "ipsec.conf", text);
	return config_load(files, ret_config);
}

static struct mech_name *name_of(const char *text)
{
	struct mech_name *name = NULL;

	ck_assert_int_eq(mech_name_import(MECH_FORM_USER,
				 BYTES((const uint8_t *)text, strlen(text)), NULL, &name),
		ERR_OK);
	return name;
}

/* user NULL: none. */
static void check_user(const struct config *config, const char *text, const char *user)
{
	struct mech_name *name = name_of(text);
	char found[MECH_LOCAL_USER_BYTES_MAX + 1] = "untouched";
	enum err err = mech_localname(config, name, found);

	ck_assert_msg(
		err == (user == NULL ? ERR_LOCALNAME : ERR_OK), "%s: %d %s", text, (int)err, found);
	if (user != NULL)
		ck_assert_str_eq(found, user);
	else
		ck_assert_ptr_nonnull(strstr(mech_last_detail(ERR_LOCALNAME), "@") != NULL
					      ? text
					      : mech_last_detail(ERR_LOCALNAME));
	mech_name_release(&name);
}

START_TEST(without_rules_nobody_is_anybody)
{
	struct config *config = NULL;

	ck_assert_int_eq(load("", &config), ERR_OK);
	check_user(config, "alice@example.org", NULL);
	check_user(config, "root@example.org", NULL);
	check_user(config, KEY_NAME, NULL);
	check_user(config, "anonymous", NULL);
	config_release(&config);
}
END_TEST

START_TEST(whole_names_go_before_patterns)
{
	struct config *config = NULL;

	ck_assert_msg(
		load(PATTERN_RULE "\tone = {\n\t\tname = Bob@example.org\n"
				  "\t\tname = carol@EXAMPLE.org\n\t\tuser = Bob2\n\t}\n"
				  "\ttwo = {\n\t\tname = carol@example.org\n\t\tuser = c\n\t}\n"
				  "\tthree = {\n\t\tname = *@example.org\n\t\tuser = all\n\t}\n"
				  "\tfour = {\n\t\tname = imap/Mail.example.org\n"
				  "\t\tname = " KEY_NAME "\n\t\tuser = root\n\t}\n",
			&config) == ERR_OK,
		"%s", config_last_error());
	check_user(config, "Bob@example.org", "Bob2");
	check_user(config, "carol@example.org", "Bob2");
	check_user(config, "alice@example.org", "alice");
	/* The first pattern counts, also where it gives nobody. */
	check_user(config, "root@example.org", NULL);
	check_user(config, "Alice@example.org", NULL);
	check_user(config, "imap/mail.example.org", "root");
	check_user(config, "imap/example.org", NULL);
	check_user(config, KEY_NAME, "root");
	config_release(&config);
}
END_TEST

/* Every octet that a user's name can have, at its beginning, within it and at its end. */
START_TEST(patterns_take_plain_users_only)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz_", within[] = "0123456789-";
	struct config *config = NULL;

	ck_assert_int_eq(load(PATTERN_RULE, &config), ERR_OK);
	for (int octet = '!'; octet <= '~'; octet++) {
		bool is_plain = strchr(plain, octet) != NULL;
		bool is_within = is_plain || strchr(within, octet) != NULL;
		char first[32], middle[32], last[32];

		if (octet == '@' || octet == '/')
			continue;
		snprintf(first, sizeof(first), "%cx@example.org", octet);
		snprintf(middle, sizeof(middle), "x%cx@example.org", octet);
		snprintf(last, sizeof(last), "x%c@example.org", octet);
		check_user(config, first, is_plain ? (char[]){ (char)octet, 'x', '\0' } : NULL);
		check_user(config, middle,
			is_within || octet == '.' ? (char[]){ 'x', (char)octet, 'x', '\0' } : NULL);
		check_user(config, last, is_within ? (char[]){ 'x', (char)octet, '\0' } : NULL);
	}
	check_user(config, "x..x@example.org", NULL);
	check_user(config, "r\xc3\xb3ot@example.org", NULL);
	check_user(config, "root@example.org", NULL);
	check_user(config, "roots@example.org", "roots");
	config_release(&config);
}
END_TEST

START_TEST(lengths_hold)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	struct config *config = NULL;

	ck_assert_int_eq(load(PATTERN_RULE, &config), ERR_OK);
	for (size_t len = 1; len <= 40; len++) {
		char user[64], text[96];

		snprintf(user, sizeof(user), "%.*s", (int)len, letters);
		snprintf(text, sizeof(text), "%s@example.org", user);
		check_user(config, text, len <= MECH_LOCAL_USER_BYTES_MAX ? user : NULL);
	}
	config_release(&config);
}
END_TEST

/* Rules that would surprise are no rules. */
START_TEST(mistakes)
{
	static const struct {
		const char *rules, *word;
	} rows[] = {
		{ "name = alice@example.org\n", "subsections only" },
		{ "a = {\n}\n", "no name" },
		{ "a = {\nuser = x\n}\n", "no name" },
		{ "a = {\nname = alice@example.org\n}\n", "no local user" },
		{ "a = {\nname = *@b\nname = alice@b\n}\n", "no local user" },
		{ "a = {\nname = *@b\nuser = root\n}\n", "root" },
		{ "a = {\nname = a@b\nname = *@b\nuser = root\n}\n", "root" },
		{ "a = {\nname = *\nuser = x\n}\n", "'*'" },
		{ "a = {\nname = *@\n}\n", "'*'" },
		{ "a = {\nname = *@*\n}\n", "'*'" },
		{ "a = {\nname = *@*.b\n}\n", "'*'" },
		{ "a = {\nname = *@.b\n}\n", "'*'" },
		{ "a = {\nname = a*@b\nuser = x\n}\n", "'*'" },
		{ "a = {\nname = a@*\nuser = x\n}\n", "'*'" },
		{ "a = {\nname = host/*\nuser = x\n}\n", "'*'" },
		{ "a = {\nname = */b\nuser = x\n}\n", "'*'" },
		{ "a = {\nname = anonymous\nuser = x\n}\n", "none of" },
		{ "a = {\nname = alice\nuser = x\n}\n", "none of" },
		{ "a = {\nname = /b\nuser = x\n}\n", "none of" },
		{ "a = {\nname = a/\nuser = x\n}\n", "none of" },
		{ "a = {\nname = a/b/c\nuser = x\n}\n", "none of" },
		{ "a = {\nname = a b@c\nuser = x\n}\n", "none of" },
		{ "a = {\nname = SHA256:abc\nuser = x\n}\n", "none of" },
		{ "a = {\nname = a@b\nuser = 0\n}\n", "local user" },
		{ "a = {\nname = a@b\nuser = -x\n}\n", "local user" },
		{ "a = {\nname = a@b\nuser = ..\n}\n", "local user" },
		{ "a = {\nname = a@b\nuser = x/y\n}\n", "local user" },
		{ "a = {\nname = a@b\nuser = x y\n}\n", "local user" },
		{ "a = {\nname = a@b\nuser = abcdefghijklmnopqrstuvwxyzabcdefg\n}\n",
			"local user" },
		{ "a = {\nname = a@b\nuser = x\nuser = y\n}\n", "twice" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *config = NULL;

		ck_assert_msg(
			load(rows[i].rules, &config) == ERR_CONFIG, "taken: %s", rows[i].rules);
		ck_assert_msg(strstr(config_last_error(), rows[i].word) != NULL, "%s gives %s",
			rows[i].rules, config_last_error());
	}
}
END_TEST

Suite *suite_localname(void)
{
	Suite *suite = suite_create("localname");
	TCase *tcase = tcase_create("localname");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, without_rules_nobody_is_anybody);
	tcase_add_test(tcase, whole_names_go_before_patterns);
	tcase_add_test(tcase, patterns_take_plain_users_only);
	tcase_add_test(tcase, lengths_hold);
	tcase_add_test(tcase, mistakes);
	suite_add_tcase(suite, tcase);
	return suite;
}
