/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec doctor: rules that drop ESP or touch packet marks, as nft and iptables-save print them.
 * Words are looked for, no more: a rule behind a match that never applies is told all the same, and
 * the trial over loopback says whether ESP gets through there.
 */
#include "tools/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORD_BYTES 64
#define CHAIN_TEXT_BYTES (4 * WORD_BYTES)
#define CHAINS_MAX 16
/* Marks of both forms of the cover (kernel-bind/xfrm.h) differ from this in the first bit only. */
#define OTHER_MARKS "meta mark and 0x7f000000 != 0x47000000"
#define OTHER_MARKS_IPTABLES "-m mark ! --mark 0x47000000/0x7f000000"

/* A base chain that drops what no rule of its table accepts. */
struct dropping_chain {
	char place[CHAIN_TEXT_BYTES];
	bool is_input;
};

struct rules {
	const char *program;
	char family[WORD_BYTES], table[WORD_BYTES], chain[WORD_BYTES], hook[WORD_BYTES];
	bool is_foreign;		   /* iptables-nft's table: iptables-save shows it better */
	bool accepts_esp, accepts_answers; /* some rule of this table */
	struct dropping_chain dropping[CHAINS_MAX];
	size_t dropping_count, found;
};

/* As a word of its own: "esp" is none in "response". */
static bool has_word(const char *text, const char *word)
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789_";
	const size_t len = strlen(word);

	for (const char *at = text; (at = strstr(at, word)) != NULL; at += len) {
		const bool begins = at == text || strchr(inside, at[-1]) == NULL;

		if (begins && (at[len] == '\0' || strchr(inside, at[len]) == NULL))
			return true;
	}
	return false;
}

static bool has_any(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (has_word(text, words[i]))
			return true;
	}
	return false;
}

static bool rule_is_about_esp(const char *rule)
{
	static const char *const words[] = { "esp", "protocol 50", "l4proto 50", "nexthdr 50",
		"-p 50" };

	return has_any(rule, words, DOCTOR_COUNT(words));
}

/* Whether it says nothing by which ESP from another host would be left out. */
static bool rule_is_open(const char *rule)
{
	static const char *const narrower[] = { "tcp", "udp", "icmp", "icmpv6", "ipv6-icmp", "igmp",
		"th", "sctp", "ah", "lo", "state", "ctstate", "vmap", "ipsec", "policy" };

	return !has_any(rule, narrower, DOCTOR_COUNT(narrower));
}

static bool rule_drops(const char *rule)
{
	static const char *const words[] = { "drop", "reject", "DROP", "REJECT" };

	return has_any(rule, words, DOCTOR_COUNT(words));
}

static bool rule_accepts(const char *rule)
{
	return has_word(rule, "accept") || has_word(rule, "ACCEPT");
}

/* What is put on, or saved from, packets on their way in. */
static bool rule_touches_marks(const struct rules *rules, const char *rule)
{
	static const char *const guards[] = { "0x47000000", "meta mark 0x00000000" };
	static const char *const on_the_way_out[] = { "output", "postrouting", "OUTPUT",
		"POSTROUTING" };
	static const char *const words[] = { "meta mark set", "ct mark set meta mark",
		"ct mark set mark", "restore-mark", "save-mark", "-j MARK" };

	return has_any(rule, words, DOCTOR_COUNT(words)) &&
	       !has_any(rule, guards, DOCTOR_COUNT(guards)) &&
	       !has_any(rules->hook, on_the_way_out, DOCTOR_COUNT(on_the_way_out));
}

static void rule_tell(struct doctor *doctor, struct rules *rules, enum doctor_finding finding,
	const char *text, char *command)
{
	rules->found++;
	doctor_tell(doctor, finding, text, command, NULL);
	free(command);
}

/* established: what this program calls answers to what was sent. */
static void rule_note_accepted(struct rules *rules, const char *rule, const char *established)
{
	if (!rule_accepts(rule))
		return;
	rules->accepts_esp = rules->accepts_esp || rule_is_about_esp(rule) || rule_is_open(rule);
	rules->accepts_answers = rules->accepts_answers || has_word(rule, established);
}

/* A chain of this table drops what no rule accepts, and ESP is none of that.  The first ESP that goes out is no answer. */
static enum doctor_finding dropping_finding(
	const struct doctor *doctor, const struct rules *rules, const struct dropping_chain *chain)
{
	return chain->is_input && rules->accepts_answers && !doctor->is_server
		       ? FOUND_FIREWALL_ANSWERS
		       : FOUND_FIREWALL_POLICY;
}

/* --- nft --- */

/* "nft 'WORDS'", malloc'ed. */
static char *nft_command(const char *words)
{
	char *quoted = doctor_quote(words), *command = NULL;

	if (quoted != NULL && asprintf(&command, "nft %s", quoted) < 0)
		command = NULL;
	free(quoted);
	return command;
}

static char *nft_rule_command(const struct rules *rules, const char *verb, const char *handle,
	const char *guard, const char *rule)
{
	char *words = NULL, *command = NULL;

	if (asprintf(&words, "%s rule %s %s %s handle %s%s%s", verb, rules->family, rules->table,
		    rules->chain, handle, guard, rule) >= 0)
		command = nft_command(words);
	free(words);
	return command;
}

/* A rule of a chain; handle: its number. */
static void nft_rule(
	struct doctor *doctor, struct rules *rules, const char *rule, const char *handle)
{
	if (rule_drops(rule) && rule_is_about_esp(rule))
		rule_tell(doctor, rules, FOUND_FIREWALL_DROPS, rule,
			nft_rule_command(rules, "delete", handle, "", ""));
	if (rule_touches_marks(rules, rule))
		rule_tell(doctor, rules, FOUND_FIREWALL_MARKS, rule,
			nft_rule_command(rules, "replace", handle, " " OTHER_MARKS " ", rule));
	rule_note_accepted(rules, rule, "established");
}

/* "type filter hook input priority filter; policy drop;" */
static void nft_chain_type(struct rules *rules, const char *line)
{
	struct dropping_chain *dropping = &rules->dropping[rules->dropping_count];

	if (sscanf(line, "%*s %*s hook %63s", rules->hook) != 1)
		rules->hook[0] = '\0';
	if (strstr(line, "policy drop") == NULL || rules->dropping_count == CHAINS_MAX ||
		(strcmp(rules->hook, "input") != 0 && strcmp(rules->hook, "output") != 0))
		return;
	dropping->is_input = strcmp(rules->hook, "input") == 0;
	(void)snprintf(dropping->place, sizeof(dropping->place), "%s %s %s", rules->family,
		rules->table, rules->chain);
	rules->dropping_count++;
}

static void nft_table_end(struct doctor *doctor, struct rules *rules)
{
	for (size_t i = 0; i < rules->dropping_count && !rules->accepts_esp; i++) {
		const struct dropping_chain *chain = &rules->dropping[i];
		char *words = NULL;

		if (asprintf(&words, "insert rule %s meta l4proto esp accept", chain->place) < 0)
			continue;
		rule_tell(doctor, rules, dropping_finding(doctor, rules, chain), chain->place,
			nft_command(words));
		free(words);
	}
	rules->dropping_count = 0;
	rules->accepts_esp = rules->accepts_answers = false;
	rules->chain[0] = '\0';
}

/* Lines of 'nft -a list ruleset': what they are about is at their beginning, a handle at the end. */
static void nft_line(struct doctor *doctor, struct rules *rules, char *line)
{
	char *handle = strstr(line, " # handle ");

	line += strspn(line, "\t ");
	if (strncmp(line, "# Warning: table", 16) == 0) {
		rules->is_foreign = true;
	} else if (sscanf(line, "table %63s %63s {", rules->family, rules->table) == 2) {
		rules->chain[0] = '\0';
	} else if (sscanf(line, "chain %63s {", rules->chain) == 1) {
		rules->hook[0] = '\0';
	} else if (strcmp(line, "}") == 0 && rules->chain[0] != '\0') {
		rules->chain[0] = '\0';
	} else if (strcmp(line, "}") == 0) {
		nft_table_end(doctor, rules);
		rules->is_foreign = false;
	} else if (rules->is_foreign || rules->chain[0] == '\0') {
		return;
	} else if (strncmp(line, "type ", 5) == 0 && handle == NULL) {
		nft_chain_type(rules, line);
	} else if (handle != NULL) {
		*handle = '\0';
		nft_rule(doctor, rules, line, handle + strlen(" # handle "));
	}
}

/* --- iptables-save, ip6tables-save --- */

/* The next word, which iptables-save puts between quotation marks as it needs it; malloc'ed, NULL at the end. */
static char *iptables_word(const char **rest)
{
	const char *at = *rest + strspn(*rest, " ");
	const bool is_quoted = *at == '"';
	char *word = NULL;
	size_t size = 0;
	FILE *stream = *at == '\0' ? NULL : open_memstream(&word, &size);

	if (stream == NULL)
		return NULL;
	for (at += is_quoted; *at != '\0' && *at != (is_quoted ? '"' : ' '); at++) {
		if (is_quoted && *at == '\\' && at[1] != '\0')
			at++;
		(void)fputc(*at, stream);
	}
	*rest = at + (is_quoted && *at == '"');
	return fclose(stream) == 0 ? word : NULL;
}

/* A comment may be anybody's: between iptables-save's quotation marks the shell would run what is in
 * it.  malloc'ed. */
static char *iptables_quote(const char *rule)
{
	char *text = NULL, *word, *quoted;
	const char *blank = "";
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	while ((word = iptables_word(&rule)) != NULL) {
		quoted = doctor_quote(word);
		(void)fprintf(stream, "%s%s", blank, quoted != NULL ? quoted : "''");
		blank = " ";
		free(quoted);
		free(word);
	}
	return fclose(stream) == 0 ? text : NULL;
}

static const char *iptables_name(const struct rules *rules)
{
	return strcmp(rules->program, "ip6tables-save") == 0 ? "ip6tables" : "iptables";
}

static char *iptables_command(const struct rules *rules, const char *rule, const char *guard)
{
	const char *name = iptables_name(rules);
	char *whole = iptables_quote(rule), *chain = iptables_quote(rules->chain);
	char *behind = iptables_quote(rule + strlen(rules->chain)), *command = NULL;
	int result = -1;

	if (whole != NULL && chain != NULL && behind != NULL)
		result = guard == NULL
				 ? asprintf(&command, "%s -t %s -D %s", name, rules->table, whole)
				 : asprintf(&command, "%s -t %s -D %s && %s -t %s -A %s %s %s",
					   name, rules->table, whole, name, rules->table, chain,
					   guard, behind);
	free(whole);
	free(chain);
	free(behind);
	return result < 0 ? NULL : command;
}

static void iptables_policy(
	struct doctor *doctor, struct rules *rules, const struct dropping_chain *chain)
{
	char *command = NULL;

	if (asprintf(&command, "%s -I %s -p esp -j ACCEPT", iptables_name(rules), chain->place) < 0)
		return;
	rule_tell(doctor, rules, dropping_finding(doctor, rules, chain), chain->place, command);
}

static void iptables_table_end(struct doctor *doctor, struct rules *rules)
{
	for (size_t i = 0; i < rules->dropping_count && !rules->accepts_esp; i++)
		iptables_policy(doctor, rules, &rules->dropping[i]);
	rules->dropping_count = 0;
	rules->accepts_esp = rules->accepts_answers = false;
}

/* ":INPUT DROP [0:0]" */
static void iptables_chain(struct rules *rules, const char *policy)
{
	struct dropping_chain *dropping = &rules->dropping[rules->dropping_count];

	if (strcmp(policy, "DROP") != 0 || strcmp(rules->table, "filter") != 0 ||
		strcmp(rules->chain, "FORWARD") == 0 || rules->dropping_count == CHAINS_MAX)
		return;
	dropping->is_input = strcmp(rules->chain, "INPUT") == 0;
	(void)snprintf(dropping->place, WORD_BYTES, "%s", rules->chain);
	rules->dropping_count++;
}

/* "*filter", ":INPUT DROP [0:0]", "-A INPUT -p esp -j DROP", "COMMIT" */
static void iptables_line(struct doctor *doctor, struct rules *rules, char *line)
{
	const char *rule = line + strlen("-A ");
	char policy[WORD_BYTES] = "";

	if (line[0] == '*') {
		(void)snprintf(rules->table, sizeof(rules->table), "%.60s", line + 1);
	} else if (strcmp(line, "COMMIT") == 0) {
		iptables_table_end(doctor, rules);
	} else if (sscanf(line, ":%63s %63s", rules->chain, policy) == 2) {
		iptables_chain(rules, policy);
	} else if (sscanf(line, "-A %63s", rules->chain) == 1) {
		(void)snprintf(rules->hook, sizeof(rules->hook), "%s", rules->chain);
		if (rule_drops(rule) && rule_is_about_esp(rule))
			rule_tell(doctor, rules, FOUND_FIREWALL_DROPS, rule,
				iptables_command(rules, rule, NULL));
		if (rule_touches_marks(rules, rule))
			rule_tell(doctor, rules, FOUND_FIREWALL_MARKS, rule,
				iptables_command(rules, rule, OTHER_MARKS_IPTABLES));
		rule_note_accepted(rules, rule, "ESTABLISHED");
	}
}

/* --- both --- */

static const struct {
	const char *arguments[6];
	void (*line)(struct doctor *doctor, struct rules *rules, char *line);
} firewalls[] = {
	{ { "nft", "-a", "list", "ruleset", NULL }, nft_line },
	{ { "iptables-save", NULL }, iptables_line },
	{ { "ip6tables-save", NULL }, iptables_line },
};

static void firewall_read(struct doctor *doctor, size_t index)
{
	struct rules *rules = calloc(1, sizeof(*rules));
	char *text = doctor_run(firewalls[index].arguments), *rest = text, *line;

	if (rules == NULL || text == NULL) {
		free(rules);
		free(text);
		return;
	}
	rules->program = firewalls[index].arguments[0];
	while ((line = strsep(&rest, "\n")) != NULL)
		firewalls[index].line(doctor, rules, line);
	if (rules->found == 0)
		doctor_tell(doctor, FOUND_FIREWALL_FREE, rules->program, NULL, NULL);
	free(rules);
	free(text);
}

void doctor_examine_firewall(struct doctor *doctor)
{
	bool can_read = false;

	if (geteuid() != 0) {
		doctor_tell(doctor, FOUND_FIREWALL_UNSEEN, NULL, NULL, NULL);
		return;
	}
	for (size_t i = 0; i < DOCTOR_COUNT(firewalls); i++) {
		if (!doctor_can_run(firewalls[i].arguments[0]))
			continue;
		can_read = true;
		firewall_read(doctor, i);
	}
	if (!can_read)
		doctor_tell(doctor, FOUND_FIREWALL_NONE, NULL, NULL, NULL);
}
