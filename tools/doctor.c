/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: what is missing for a latched connection here, and the command that mends it. */
#include "tools/doctor.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel-bind/broker_protocol.h"

#define DOCTOR_USAGE                                                                           \
	"gss-ipsec doctor [--peer NAME] [--service SERVICE@HOST] [--key KEY] [--server] "      \
	"[--json]\n"                                                                           \
	"\n"                                                                                   \
	"Says what is missing here for a latched connection, and the command that mends it.\n" \
	"Run it as the user whose program is concerned, then as root, who sees more.\n"        \
	"  --peer NAME             the other side: user@domain, a host, or SHA256:...\n"       \
	"  --service SERVICE@HOST  what the program asks for, or with --server answers for\n"  \
	"  --key KEY               the key that the other side says it has\n"                  \
	"  --server                the program accepts connections\n"                          \
	"  --json                  for programs"

struct doctor_row {
	const char *id, *area, *text, *command, *advice;
	enum doctor_verdict verdict;
};

static const struct doctor_row doctor_rows[] = {
#define X(name, verdict, area, text, command, advice) \
	[FOUND_##name] = { #name, area, text, command, advice, DOCTOR_##verdict },
	DOCTOR_TEXTS(X)
#undef X
};

static const char *const verdict_words[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_UNSEEN] = "unseen",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_BROKEN] = "broken",
};

static void (*const examinations[])(struct doctor *doctor) = {
	doctor_examine_module,
	doctor_examine_config,
	doctor_examine_identities,
	doctor_examine_peers,
	doctor_examine_broker,
	doctor_examine_kernel,
	doctor_examine_interfaces,
	doctor_examine_daemons,
	doctor_examine_policies,
	doctor_examine_firewall,
	doctor_examine_trial,
};

/* --- texts --- */

/* As the shell reads it, and a terminal does not. */
static void put_octets(FILE *stream, const char *word)
{
	(void)fputs("$'", stream);
	for (; *word != '\0'; word++) {
		if (*word >= ' ' && *word <= '~' && *word != '\'' && *word != '\\')
			(void)fputc(*word, stream);
		else
			(void)fprintf(stream, "\\%03o", (unsigned int)(unsigned char)*word);
	}
	(void)fputc('\'', stream);
}

static bool is_printable(const char *word)
{
	for (; *word != '\0'; word++)
		if (*word < ' ' || *word > '~')
			return false;
	return true;
}

static void put_quoted(FILE *stream, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789/._-+=:@%,";

	if (word[0] != '\0' && strspn(word, plain) == strlen(word)) {
		tool_put_printable(word, stream);
		return;
	}
	if (!is_printable(word)) {
		put_octets(stream, word);
		return;
	}
	(void)fputc('\'', stream);
	for (; *word != '\0'; word++)
		if (*word == '\'')
			(void)fputs("'\\''", stream);
		else
			(void)fputc(*word, stream);
	(void)fputc('\'', stream);
}

char *doctor_quote(const char *word)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	put_quoted(stream, word);
	return fclose(stream) == 0 ? text : NULL;
}

/* Texts with %1..%3 put in; quoted for the shell when is_command. malloc'ed; NULL: no memory. */
static char *text_expand(const char *format, const char *const arguments[3], bool is_command)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	for (; *format != '\0'; format++) {
		const bool is_raw = format[0] == '%' && format[1] == '=';
		const char digit = format[0] == '%' ? format[is_raw ? 2 : 1] : '\0';
		const char *argument;

		if (digit < '1' || digit > '3') {
			(void)fputc(*format, stream);
			continue;
		}
		argument = arguments[digit - '1'] != NULL ? arguments[digit - '1'] : "";
		if (is_command && !is_raw)
			put_quoted(stream, argument);
		else
			tool_put_printable(argument, stream);
		format += is_raw ? 2 : 1;
	}
	return fclose(stream) == 0 ? text : NULL;
}

/* --- output --- */

static void print_json_text(const char *name, const char *text)
{
	printf(", \"%s\": ", name);
	if (text == NULL)
		printf("null");
	else
		tool_put_json(text, stdout);
}

static void print_json(const struct doctor *doctor, const struct doctor_row *row, const char *text,
	const char *command, const char *advice)
{
	size_t told = 0;

	for (size_t i = 0; i < DOCTOR_COUNT(doctor->counts); i++)
		told += doctor->counts[i];
	printf("%s  {\"finding\": \"%s\"", told > 1 ? ",\n" : "", row->id);
	print_json_text("verdict", verdict_words[row->verdict]);
	print_json_text("area", row->area);
	print_json_text("text", text);
	print_json_text("mend", command);
	print_json_text("advice", advice);
	printf("}");
}

static void print_line(
	const struct doctor_row *row, const char *text, const char *command, const char *advice)
{
	printf("%-7s %s: %s\n", verdict_words[row->verdict], row->area, text);
	if (command != NULL)
		printf("        mend: %s\n", command);
	if (advice != NULL)
		printf("        %s%s\n", command != NULL ? "note: " : "do: ", advice);
}

void doctor_tell(struct doctor *doctor, enum doctor_finding finding, const char *first,
	const char *second, const char *third)
{
	const char *const arguments[3] = { first, second, third };
	const struct doctor_row *row = &doctor_rows[finding];
	char *text = text_expand(row->text, arguments, false), *command = NULL, *advice = NULL;

	if (row->command != NULL)
		command = text_expand(row->command, arguments, true);
	if (row->advice != NULL)
		advice = text_expand(row->advice, arguments, false);
	doctor->is_told[finding] = true;
	doctor->counts[row->verdict]++;
	if (text == NULL)
		(void)tool_fail("%s", error_text(ERR_NO_MEMORY));
	else if (doctor->is_json)
		print_json(doctor, row, text, command, advice);
	else
		print_line(row, text, command, advice);
	free(text);
	free(command);
	free(advice);
}

static void print_begin(const struct doctor *doctor)
{
	if (doctor->is_json)
		printf("{\"findings\": [\n");
}

static void print_end(const struct doctor *doctor)
{
	const size_t broken = doctor->counts[DOCTOR_BROKEN];

	if (doctor->is_json)
		printf("\n ],\n \"latches\": %s}\n", broken == 0 ? "true" : "false");
	else if (broken == 0)
		printf("A connection can be latched here.\n");
	else
		printf("Nothing is latched before that is mended: %zu broken.\n", broken);
}

/* --- arguments --- */

static bool service_split(struct doctor *doctor, char *argument)
{
	char *at = strchr(argument, '@');

	if (at == NULL || at == argument || at[1] == '\0') {
		(void)tool_fail(
			"--service %s: write SERVICE@HOST, as programs ask for it", argument);
		return false;
	}
	*at = '\0';
	doctor->service = argument;
	doctor->target_host = at + 1;
	return true;
}

/* The other side, unless it was named: a client's is the host that it asks for. */
static void peer_choose(struct doctor *doctor)
{
	if (doctor->peer == NULL && !doctor->is_server)
		doctor->peer = doctor->target_host;
}

static bool units_are_installed(void)
{
	static const char *const paths[] = { "/etc/systemd/system/gss-ipsecd.service",
		"/usr/local/lib/systemd/system/gss-ipsecd.service",
		"/usr/lib/systemd/system/gss-ipsecd.service",
		"/lib/systemd/system/gss-ipsecd.service" };

	for (size_t i = 0; i < DOCTOR_COUNT(paths); i++) {
		if (access(paths[i], F_OK) == 0)
			return true;
	}
	return false;
}

static int doctor_run_all(struct doctor *doctor)
{
	int code;

	peer_choose(doctor);
	doctor->has_systemd = access("/run/systemd/system", F_OK) == 0;
	doctor->has_units = doctor->has_systemd && units_are_installed();
	doctor->broker_path = BROKER_SOCKET_PATH;
	doctor->broker_options = strdup("");
	if (doctor->broker_options == NULL)
		return tool_fail("%s", error_text(ERR_NO_MEMORY));
	print_begin(doctor);
	for (size_t i = 0; i < DOCTOR_COUNT(examinations); i++)
		examinations[i](doctor);
	print_end(doctor);
	code = doctor->counts[DOCTOR_BROKEN] == 0 ? TOOL_OK : TOOL_FAILED;
	config_release(&doctor->config);
	free(doctor->broker_options);
	return code;
}

int tool_doctor(int argc, char **argv)
{
	static const struct option options[] = { { "peer", required_argument, NULL, 'p' },
		{ "service", required_argument, NULL, 's' },
		{ "key", required_argument, NULL, 'k' }, { "server", no_argument, NULL, 'S' },
		{ "json", no_argument, NULL, 'j' }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	struct doctor doctor = { 0 };
	bool is_good = true;
	int option, code;

	while (is_good && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return tool_print_usage(DOCTOR_USAGE);
		doctor.is_server = doctor.is_server || option == 'S';
		doctor.is_json = doctor.is_json || option == 'j';
		if (option == 'p')
			doctor.peer = optarg;
		if (option == 'k') {
			free(doctor.key);
			doctor.key = tool_key_name_of(optarg);
		}
		is_good = option != '?' && (option != 's' || service_split(&doctor, optarg)) &&
			  (option != 'k' || doctor.key != NULL);
	}
	if (!is_good || !tool_options_end(argc, argv))
		code = tool_refuse_usage(DOCTOR_USAGE);
	else
		code = doctor_run_all(&doctor);
	free(doctor.key);
	return code;
}
