/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may stand in the configuration: one table row for each section and each key, with the
 * function that checks and stores a value.  doc/configuration.md tells users the same.
 */
#include "base/config_internal.h"

#include <stdio.h>
#include <string.h>

#define CHOICE_WORDS_MAX 4
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum err config_complain_value(const struct config_place *place, const char *complaint)
{
	const struct config_line *line = place->line;

	return config_complain(place->path, line->number, "[%s]%s%s: %s = %s: the value %s",
		line->section, line->tag != NULL ? " " : "", line->tag != NULL ? line->tag : "",
		line->key, place->value, complaint);
}

enum err config_complain_entry(const struct config_place *place, const char *complaint)
{
	const struct config_line *line = place->line;

	return config_complain(
		place->path, line->number, "[%s] %s: %s", line->section, line->tag, complaint);
}

/* --- kinds of values --- */

static enum err set_text(const struct config_place *place, const char *value, config_format *format,
	const char **ret_text)
{
	const struct config_format_input input = {
		.config = place->config, .path = place->path, .value = value
	};
	const char *text = NULL, *complaint = "is not acceptable";
	enum err status = format(&input, &text, &complaint);

	if (status != ERR_OK)
		return status;
	if (text == NULL)
		return config_complain_value(place, complaint);
	*ret_text = text;
	return ERR_OK;
}

static enum err append_text(const struct config_place *place, const char *value,
	config_format *format, const char *const **list, size_t *count)
{
	const char *text = NULL;
	const char **longer;
	enum err status = set_text(place, value, format, &text);

	if (status != ERR_OK)
		return status;
	if (*count == CONFIG_LIST_ITEMS_MAX)
		return config_complain_value(place, "is one too many");
	longer = config_alloc(place->config, (*count + 1) * sizeof(*longer));
	if (longer == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < *count; i++)
		longer[i] = (*list)[i];
	longer[*count] = text;
	*list = longer;
	*count += 1;
	return ERR_OK;
}

static enum err append_services(
	const struct config_place *place, const char *const **list, size_t *count)
{
	static const char blanks[] = " \t";
	char *words = config_copy_text(place->config, place->value, strlen(place->value));
	char *rest = NULL;
	enum err status = ERR_OK;

	if (words == NULL)
		return ERR_NO_MEMORY;
	for (char *word = strtok_r(words, blanks, &rest); word != NULL && status == ERR_OK;
		word = strtok_r(NULL, blanks, &rest))
		status = append_text(place, word, config_format_service, list, count);
	/* An empty list would mean "all services". */
	if (status == ERR_OK && *count == 0)
		return config_complain_value(place, "names no service");
	return status;
}

struct word_row {
	const char *word;
	int value;
};

static const struct word_row latch_words[] = {
	{ "yes", CONFIG_LATCH_YES },
	{ "auto", CONFIG_LATCH_AUTO },
	{ "require", CONFIG_LATCH_REQUIRE },
	{ "no", CONFIG_LATCH_NO },
};

static const struct word_row unknown_peer_words[] = {
	{ "refuse", CONFIG_UNKNOWN_REFUSE },
	{ "accept", CONFIG_UNKNOWN_ACCEPT },
};

static const struct word_row boolean_words[] = {
	{ "yes", true },
	{ "no", false },
};

enum usage_bits { USAGE_INITIATES = 1, USAGE_ACCEPTS = 2 };

static const struct word_row usage_words[] = {
	{ "initiate", USAGE_INITIATES },
	{ "accept", USAGE_ACCEPTS },
	{ "both", USAGE_INITIATES | USAGE_ACCEPTS },
};

static enum err set_word(const struct config_place *place, const struct word_row *words,
	size_t count, const char *complaint, int *ret_value)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(place->value, words[i].word) == 0) {
			*ret_value = words[i].value;
			return ERR_OK;
		}
	}
	return config_complain_value(place, complaint);
}

static enum err set_latch_word(const struct config_place *place, enum config_latch *ret_latch)
{
	int value = 0;
	enum err status = set_word(place, latch_words, COUNT_OF(latch_words),
		"is none of yes, auto, require and no", &value);

	if (status == ERR_OK)
		*ret_latch = (enum config_latch)value;
	return status;
}

/* --- [gss-ipsec] --- */

static enum err set_general_latch(const struct config_place *place, struct config_entry *entry)
{
	return set_latch_word(place, &entry->as.general.latch);
}

static enum err set_unknown_peer(const struct config_place *place, struct config_entry *entry)
{
	int value = 0;
	enum err status = set_word(place, unknown_peer_words, COUNT_OF(unknown_peer_words),
		"is neither refuse nor accept", &value);

	if (status == ERR_OK)
		entry->as.general.unknown_peer = (enum config_unknown_peer)value;
	return status;
}

static enum err set_default_domain(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_host, &entry->as.general.default_domain);
}

static enum err set_broker(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_socket, &entry->as.general.broker_path);
}

static enum err set_token_padding(const struct config_place *place, struct config_entry *entry)
{
	static const char digits[] = "0123456789";
	size_t len = strlen(place->value), octets = 0;

	if (len == 0 || len > 5 || strspn(place->value, digits) != len)
		return config_complain_value(place, "is no number of octets");
	for (const char *c = place->value; *c != '\0'; c++)
		octets = octets * 10 + (size_t)(strchr(digits, *c) - digits);
	if (octets > CONFIG_TOKEN_PADDING_MAX)
		return config_complain_value(place, "is more than 49152");
	entry->as.general.token_padding_bytes = octets;
	return ERR_OK;
}

static const struct word_row anonymous_peer_words[] = {
	{ "refuse", false },
	{ "accept", true },
};

static enum err set_anonymous_word(const struct config_place *place, bool *ret_takes)
{
	int value = 0;
	enum err status = set_word(place, anonymous_peer_words, COUNT_OF(anonymous_peer_words),
		"is neither refuse nor accept", &value);

	if (status == ERR_OK)
		*ret_takes = value != 0;
	return status;
}

static enum err set_general_anonymous(const struct config_place *place, struct config_entry *entry)
{
	return set_anonymous_word(place, &entry->as.general.takes_anonymous);
}

/* The words of each choice, best first. */
static const char *const choice_words[CONFIG_CHOICE_COUNT][CHOICE_WORDS_MAX + 1] = {
	[CONFIG_IKE_GROUPS] = { "curve25519", "p256" },
	[CONFIG_IKE_CIPHERS] = { "aes-256-gcm", "chacha20-poly1305" },
	[CONFIG_IKE_PRFS] = { "sha2-256", "sha2-512" },
	[CONFIG_ESP_CIPHERS] = { "aes-256-gcm", "chacha20-poly1305", "aes-128-gcm" },
	[CONFIG_AUTH_METHODS] = { "ed25519", "ecdsa-p256", "ecdsa-p384", "rsa" },
};

const char *config_choice_word(enum config_choice choice, size_t index)
{
	return index < CHOICE_WORDS_MAX ? choice_words[choice][index] : NULL;
}

/* The words are few and short: they fit. */
static enum err complain_choice(const struct config_place *place, enum config_choice choice)
{
	char complaint[128];
	const char *known;
	int len = snprintf(complaint, sizeof(complaint), "has a word that is none of");

	for (size_t i = 0; (known = config_choice_word(choice, i)) != NULL; i++)
		len += snprintf(complaint + len, sizeof(complaint) - (size_t)len, "%s %s",
			i > 0 ? "," : "", known);
	return config_complain_value(place, complaint);
}

static enum err add_choice(const struct config_place *place, enum config_choice choice,
	const char *word, unsigned int *set)
{
	const char *known;

	for (size_t i = 0; (known = config_choice_word(choice, i)) != NULL; i++) {
		if (strcmp(known, word) == 0) {
			*set |= 1u << i;
			return ERR_OK;
		}
	}
	return complain_choice(place, choice);
}

static enum err set_choice(
	const struct config_place *place, struct config_entry *entry, enum config_choice choice)
{
	static const char blanks[] = " \t";
	char *words = config_copy_text(place->config, place->value, strlen(place->value));
	char *rest = NULL;
	unsigned int set = 0;
	enum err status = ERR_OK;

	if (words == NULL)
		return ERR_NO_MEMORY;
	for (char *word = strtok_r(words, blanks, &rest); word != NULL && status == ERR_OK;
		word = strtok_r(NULL, blanks, &rest))
		status = add_choice(place, choice, word, &set);
	if (status == ERR_OK && set == 0)
		status = config_complain_value(place, "leaves nothing");
	if (status == ERR_OK)
		entry->as.general.choices[choice] = set;
	return status;
}

static enum err set_ike_groups(const struct config_place *place, struct config_entry *entry)
{
	return set_choice(place, entry, CONFIG_IKE_GROUPS);
}

static enum err set_ike_ciphers(const struct config_place *place, struct config_entry *entry)
{
	return set_choice(place, entry, CONFIG_IKE_CIPHERS);
}

static enum err set_ike_prfs(const struct config_place *place, struct config_entry *entry)
{
	return set_choice(place, entry, CONFIG_IKE_PRFS);
}

static enum err set_esp_ciphers(const struct config_place *place, struct config_entry *entry)
{
	return set_choice(place, entry, CONFIG_ESP_CIPHERS);
}

static enum err set_auth_methods(const struct config_place *place, struct config_entry *entry)
{
	return set_choice(place, entry, CONFIG_AUTH_METHODS);
}

/* --- [identity] --- */

static enum err set_boolean(const struct config_place *place, bool *ret_value)
{
	int value = 0;
	enum err status = set_word(
		place, boolean_words, COUNT_OF(boolean_words), "is neither yes nor no", &value);

	if (status == ERR_OK)
		*ret_value = value != 0;
	return status;
}

static enum err set_identity_anonymous(const struct config_place *place, struct config_entry *entry)
{
	return set_boolean(place, &entry->as.identity.is_anonymous);
}

static enum err set_identity_offered(const struct config_place *place, struct config_entry *entry)
{
	return set_boolean(place, &entry->as.identity.is_offered_to_root);
}

static enum err set_identity_key(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_path, &entry->as.identity.key_file);
}

static enum err set_identity_user(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_user, &entry->as.identity.user);
}

static enum err set_identity_host(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_host, &entry->as.identity.host);
}

static enum err set_identity_services(const struct config_place *place, struct config_entry *entry)
{
	return append_services(
		place, &entry->as.identity.services, &entry->as.identity.service_count);
}

static enum err set_identity_usage(const struct config_place *place, struct config_entry *entry)
{
	int usage = 0;
	enum err status = set_word(place, usage_words, COUNT_OF(usage_words),
		"is none of initiate, accept and both", &usage);

	if (status != ERR_OK)
		return status;
	entry->as.identity.initiates = (usage & USAGE_INITIATES) != 0;
	entry->as.identity.accepts = (usage & USAGE_ACCEPTS) != 0;
	return ERR_OK;
}

static enum err check_identity(const struct config_place *place, const struct config_entry *entry)
{
	const struct config_identity *identity = &entry->as.identity;

	if (identity->is_anonymous &&
		(identity->key_file != NULL || identity->host != NULL || identity->user != NULL))
		return config_complain_entry(
			place, "an anonymous identity has neither key nor host nor user");
	if (identity->key_file == NULL && !identity->is_anonymous)
		return config_complain_entry(place, "the identity has no key (key = file)");
	if (identity->host != NULL && identity->user != NULL)
		return config_complain_entry(
			place, "the identity has host and user; make two identities of it");
	return ERR_OK;
}

/* --- [peer] --- */

static enum err set_peer_user(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_user, &entry->as.peer.user);
}

static enum err set_peer_host(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_host, &entry->as.peer.host);
}

static enum err set_peer_services(const struct config_place *place, struct config_entry *entry)
{
	return append_services(place, &entry->as.peer.services, &entry->as.peer.service_count);
}

static enum err set_peer_key(const struct config_place *place, struct config_entry *entry)
{
	return append_text(place, place->value, config_format_public_key, &entry->as.peer.keys,
		&entry->as.peer.key_count);
}

static enum err set_peer_key_file(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_path, &entry->as.peer.key_file);
}

static enum err set_peer_anonymous(const struct config_place *place, struct config_entry *entry)
{
	return set_boolean(place, &entry->as.peer.is_anonymous);
}

static enum err check_peer(const struct config_place *place, const struct config_entry *entry)
{
	const struct config_peer *peer = &entry->as.peer;

	if (peer->is_anonymous &&
		(peer->key_count > 0 || peer->key_file != NULL || peer->host == NULL))
		return config_complain_entry(place,
			"an anonymous peer has a host and no key: it need not prove anything");
	if (peer->key_count == 0 && peer->key_file == NULL && !peer->is_anonymous)
		return config_complain_entry(place, "the peer has neither key nor key_file");
	if (peer->host != NULL && peer->user != NULL)
		return config_complain_entry(
			place, "the peer has host and user; make two peers of it");
	if (peer->service_count > 0 && peer->host == NULL)
		return config_complain_entry(place, "services belong to a peer with a host");
	return ERR_OK;
}

/* --- [service] --- */

static enum err set_service_latch(const struct config_place *place, struct config_entry *entry)
{
	return set_latch_word(place, &entry->as.service.latch);
}

static enum err set_service_t5(const struct config_place *place, struct config_entry *entry)
{
	return set_boolean(place, &entry->as.service.has_t5);
}

static enum err set_service_anonymous(const struct config_place *place, struct config_entry *entry)
{
	return set_anonymous_word(place, &entry->as.service.takes_anonymous);
}

/* The subsection's name is the service's. */
static enum err check_service(const struct config_place *place, const struct config_entry *entry)
{
	const struct config_format_input input = {
		.config = place->config, .path = place->path, .value = entry->tag
	};
	const char *text = NULL, *complaint = "";
	enum err status = config_format_service(&input, &text, &complaint);

	if (status == ERR_OK && text == NULL)
		return config_complain_entry(place, complaint);
	return status;
}

/* --- [localname] --- */

static enum err set_mapped_name(const struct config_place *place, struct config_entry *entry)
{
	return append_text(place, place->value, config_format_mapped_name,
		&entry->as.localname.names, &entry->as.localname.name_count);
}

static enum err set_local_user(const struct config_place *place, struct config_entry *entry)
{
	return set_text(place, place->value, config_format_local_user, &entry->as.localname.user);
}

static enum err check_localname(const struct config_place *place, const struct config_entry *entry)
{
	const struct config_localname *rule = &entry->as.localname;
	bool has_pattern = false, has_whole = false;

	for (size_t i = 0; i < rule->name_count; i++) {
		bool is_pattern = rule->names[i][0] == '*';

		has_pattern = has_pattern || is_pattern;
		has_whole = has_whole || !is_pattern;
	}
	if (rule->name_count == 0)
		return config_complain_entry(place, "the rule has no name (name = user@domain)");
	if (has_whole && rule->user == NULL)
		return config_complain_entry(place, "the rule has no local user (user = name)");
	/* Who may become root is said one by one. */
	if (has_pattern && rule->user != NULL && strcmp(rule->user, "root") == 0)
		return config_complain_entry(
			place, "root stands for whole names only, not for *@domain");
	return ERR_OK;
}

/* --- the tables; a key's place is its bit in keys_set --- */
/* clang-format off */
static const struct config_key_row general_keys[] = {
	{ "latch",          set_general_latch,     false },
	{ "unknown_peer",   set_unknown_peer,      false },
	{ "default_domain", set_default_domain,    false },
	{ "broker",         set_broker,            false },
	{ "token_padding",  set_token_padding,     false },
	{ "anonymous_peer", set_general_anonymous, false },
	{ "ike_groups",     set_ike_groups,        false },
	{ "ike_ciphers",    set_ike_ciphers,       false },
	{ "ike_prfs",       set_ike_prfs,          false },
	{ "esp_ciphers",    set_esp_ciphers,       false },
	{ "auth_methods",   set_auth_methods,      false },
};

static const struct config_key_row identity_keys[] = {
	{ "key",            set_identity_key,      false },
	{ "user",           set_identity_user,     false },
	{ "host",           set_identity_host,     false },
	{ "services",       set_identity_services, false },
	{ "usage",          set_identity_usage,    false },
	{ "anonymous",      set_identity_anonymous, false },
	{ "offered_to_root", set_identity_offered, false },
};

static const struct config_key_row peer_keys[] = {
	{ "host",           set_peer_host,         false },
	{ "user",           set_peer_user,         false },
	{ "services",       set_peer_services,     false },
	{ "key",            set_peer_key,          true },
	{ "key_file",       set_peer_key_file,     false },
	{ "anonymous",      set_peer_anonymous,    false },
};

static const struct config_key_row service_keys[] = {
	[CONFIG_SERVICE_LATCH] = { "latch", set_service_latch, false },
	[CONFIG_SERVICE_T5]    = { "t5",    set_service_t5,    false },
	[CONFIG_SERVICE_ANONYMOUS] = { "anonymous_peer", set_service_anonymous, false },
};

static const struct config_key_row localname_keys[] = {
	{ "name",           set_mapped_name,       true },
	{ "user",           set_local_user,        false },
};

static const struct config_section_row sections[] = {
	{ "gss-ipsec", general_keys,  COUNT_OF(general_keys),  false, CONFIG_LIST_COUNT, NULL },
	{ "identity",  identity_keys, COUNT_OF(identity_keys), true,  CONFIG_IDENTITIES, check_identity },
	{ "peer",      peer_keys,     COUNT_OF(peer_keys),     true,  CONFIG_PEERS,      check_peer },
	{ "service",   service_keys,  COUNT_OF(service_keys),  true,  CONFIG_SERVICES,   check_service },
	{ "localname", localname_keys, COUNT_OF(localname_keys), true, CONFIG_LOCALNAMES, check_localname },
};
/* clang-format on */

const struct config_section_row *config_section_find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(sections); i++)
		if (strcmp(sections[i].name, name) == 0)
			return &sections[i];
	return NULL;
}
