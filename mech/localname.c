/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which local user a name may be, by the rules in [localname] and by nothing else.  What a peer
 * chose ends up as a user of this host: of "*@domain" only what is plainly a user's name is taken.
 */
#include "mech/mech.h"

#include <string.h>

#define PATTERN "*@"
#define NEVER_BY_PATTERN "root"

static const char local_first[] = "abcdefghijklmnopqrstuvwxyz_";
static const char local_others[] = "abcdefghijklmnopqrstuvwxyz_0123456789-.";

static bool is_pattern(const char *text)
{
	return strncmp(text, PATTERN, strlen(PATTERN)) == 0;
}

/* Through the canonical form: a rule may write a domain in capital letters. */
static bool is_whole(const char *text, const struct mech_name *name)
{
	struct mech_name *rule = NULL;
	bool is_same;

	if (is_pattern(text) ||
		mech_name_import(MECH_FORM_USER, BYTES((const uint8_t *)text, strlen(text)), NULL,
			&rule) != ERR_OK)
		return false;
	is_same = mech_name_equal(rule, name);
	mech_name_release(&rule);
	return is_same;
}

static bool is_of_domain(const char *text, const struct mech_name *name)
{
	const char *at = strchr(mech_name_display(name), '@');

	return is_pattern(text) && mech_name_kind(name) == MECH_NAME_USER && at != NULL &&
	       strcmp(at + 1, text + strlen(PATTERN)) == 0;
}

/* The first rule that has the name, in one of both ways. */
static const struct config_localname *find_rule(const struct config *config,
	const struct mech_name *name,
	bool (*has_name)(const char *text, const struct mech_name *name))
{
	for (size_t i = 0; i < config_localname_count(config); i++) {
		const struct config_localname *rule = config_localname_at(config, i);

		for (size_t k = 0; k < rule->name_count; k++) {
			if (has_name(rule->names[k], name))
				return rule;
		}
	}
	return NULL;
}

/* The part before '@', if it can be a user's name that no rule need have said. */
static bool take_local_part(const struct mech_name *name, char *ret_user)
{
	const char *text = mech_name_display(name);
	size_t len = strcspn(text, "@");

	if (len == 0 || len > MECH_LOCAL_USER_BYTES_MAX || strchr(local_first, text[0]) == NULL ||
		strspn(text, local_others) < len || text[len - 1] == '.')
		return false;
	memcpy(ret_user, text, len);
	ret_user[len] = '\0';
	return strstr(ret_user, "..") == NULL && strcmp(ret_user, NEVER_BY_PATTERN) != 0;
}

enum err mech_localname(const struct config *config, const struct mech_name *name,
	char ret_user[MECH_LOCAL_USER_BYTES_MAX + 1])
{
	const struct config_localname *rule = NULL;

	/* RFC 2743 2.4.3: two nameless peers are not the same; so they are no user both. */
	if (mech_name_kind(name) != MECH_NAME_ANONYMOUS)
		rule = find_rule(config, name, is_whole);
	if (rule == NULL)
		rule = find_rule(config, name, is_of_domain);
	if (rule != NULL && rule->user != NULL && strlen(rule->user) <= MECH_LOCAL_USER_BYTES_MAX) {
		memcpy(ret_user, rule->user, strlen(rule->user) + 1);
		return ERR_OK;
	}
	if (rule != NULL && take_local_part(name, ret_user))
		return ERR_OK;
	mech_set_detail(ERR_LOCALNAME, "%s: %s", mech_name_display(name),
		rule == NULL ? "no rule has this name"
			     : "what stands before '@' is no user that '*' may stand for");
	return ERR_LOCALNAME;
}
