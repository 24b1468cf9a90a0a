/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every minor status through MIT's own mechglue: a table of failures that are made to happen, and
 * what gss_display_status then says.  Run by tests/plugin_run.sh: plugin_errors DIRECTORY, where
 * make_identities.sh was and tests/plugin_run.sh made keys of kinds that are not taken.
 *
 * Each minor of base/error.h and each reason of include/ipsec_latch.h is in the table, or in
 * elsewhere[] below, which says where it is made; doc/errors.md lists all of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/faults/faults.h"
#include "tests/plugin_errors.h"

static const char *directory;

/* Where the minors are made that no program in user space can make happen, or none at all. */
static const struct {
	enum err code;
	const char *where;
} elsewhere[] = {
	{ ERR_INTERNAL, "a check of our own; tests/faults: madvise" },
	{ ERR_TRUNCATED_INPUT, "inside only: every caller has a minor of its own for it" },
	{ ERR_TRAILING_INPUT, "inside only: every caller has a minor of its own for it" },
	{ ERR_LATCH, "no minor: reasons are counted from it" },
};

/* --- what the program under test is told --- */

void told_set(struct told *told, OM_uint32 major, OM_uint32 minor)
{
	gss_buffer_desc text = GSS_C_EMPTY_BUFFER;
	OM_uint32 ignored, more = 0;

	*told = (struct told){ .major = major, .minor = minor };
	if (gss_display_status(&ignored, minor, GSS_C_MECH_CODE, &mech_oid, &more, &text) ==
		GSS_S_COMPLETE)
		(void)snprintf(told->text, sizeof(told->text), "%.*s", (int)text.length,
			(char *)text.value);
	(void)gss_release_buffer(&ignored, &text);
}

const char *errors_path(const char *name)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

static OM_uint32 acquire(const char *key, const char *value, gss_cred_usage_t usage,
	gss_cred_id_t *ret, OM_uint32 *minor)
{
	gss_OID_set_desc ours = { 1, &mech_oid };
	gss_key_value_element_desc element = { key, value };
	gss_key_value_set_desc store = { key != NULL ? 1 : 0, &element };

	return gss_acquire_cred_from(
		minor, GSS_C_NO_NAME, 0, &ours, usage, &store, ret, NULL, NULL);
}

gss_cred_id_t errors_credential(const char *config, gss_cred_usage_t usage)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor, major;

	if (config == NULL)
		return GSS_C_NO_CREDENTIAL;
	major = acquire("ipsec_config", errors_path(config), usage, &credential, &minor);
	if (major != GSS_S_COMPLETE) {
		show_error(config, major, minor);
		check(false, "credential of %s", config);
	}
	return credential;
}

/* --- rows: names, credentials, arguments --- */

static void make_store(struct told *told, const struct row *row)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	const char *colon = strchr(row->text, '=');
	char key[32];
	OM_uint32 minor, major;

	(void)snprintf(key, sizeof(key), "%.*s", (int)(colon - row->text), row->text);
	major = acquire(key, strcmp(key, "ipsec_fd") == 0 ? colon + 1 : errors_path(colon + 1),
		GSS_C_INITIATE, &credential, &minor);
	told_set(told, major, minor);
	(void)gss_release_cred(&minor, &credential);
}

static void make_name(struct told *told, const struct row *row)
{
	static gss_OID_desc unknown = { 4, "\x2a\x03\x04\x05" };
	gss_name_t name = name_of(row->text, row->octet != 0 ? &unknown : GSS_C_NT_USER_NAME);
	gss_name_t ours = GSS_C_NO_NAME;
	OM_uint32 minor, major = gss_canonicalize_name(&minor, name, &mech_oid, &ours);

	told_set(told, major, minor);
	(void)gss_release_name(&minor, &name);
	(void)gss_release_name(&minor, &ours);
}

static void make_usage(struct told *told, const struct row *row)
{
	gss_cred_id_t credential = errors_credential("errors.conf", GSS_C_ACCEPT);
	gss_name_t target = name_of("host@server.example.org", GSS_C_NT_HOSTBASED_SERVICE);
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;

	(void)row;
	major = gss_init_sec_context(&minor, credential, &context, target, &mech_oid, 0, 0,
		GSS_C_NO_CHANNEL_BINDINGS, GSS_C_NO_BUFFER, NULL, &token, NULL, NULL);
	told_set(told, major, minor);
	(void)gss_release_buffer(&minor, &token);
	(void)gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	(void)gss_release_name(&minor, &target);
	(void)gss_release_cred(&minor, &credential);
}

static void make_import_cred(struct told *told, const struct row *row)
{
	gss_cred_id_t credential = errors_credential("errors.conf", GSS_C_INITIATE);
	gss_cred_id_t copy = GSS_C_NO_CREDENTIAL;
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;

	(void)row;
	(void)gss_export_cred(&minor, credential, &token);
	if (token.length > 0)
		((uint8_t *)token.value)[token.length - 1] ^= 0xff;
	major = gss_import_cred(&minor, &token, &copy);
	told_set(told, major, minor);
	(void)gss_release_buffer(&minor, &token);
	(void)gss_release_cred(&minor, &credential);
	(void)gss_release_cred(&minor, &copy);
}

static void make_name_answer(struct told *told, const struct row *row)
{
	gss_name_t name = name_of("bob@example.org", GSS_C_NT_USER_NAME), ours = GSS_C_NO_NAME;
	gss_buffer_desc which = { 8, "nonsense" }, value = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major;

	(void)gss_canonicalize_name(&minor, name, &mech_oid, &ours);
	if (row->code == ERR_LOCALNAME)
		major = gss_localname(&minor, ours, &mech_oid, &value);
	else
		major = gss_get_name_attribute(
			&minor, ours, &which, NULL, NULL, &value, NULL, &(int){ -1 });
	told_set(told, major, minor);
	(void)gss_release_buffer(&minor, &value);
	(void)gss_release_name(&minor, &name);
	(void)gss_release_name(&minor, &ours);
}

/* octet: whether it may overwrite; text: into which file. */
static void make_stored(struct told *told, const struct row *row)
{
	gss_cred_id_t credential = errors_credential("errors.conf", GSS_C_INITIATE);
	gss_key_value_element_desc element = { "ipsec_config", errors_path(row->text) };
	gss_key_value_set_desc store = { 1, &element };
	OM_uint32 minor, major;

	major = gss_store_cred_into(
		&minor, credential, GSS_C_INITIATE, &mech_oid, row->octet, 0, &store, NULL, NULL);
	told_set(told, major, minor);
	(void)gss_release_cred(&minor, &credential);
}

/* --- rows: the system fails; octet: the kind that does --- */

static void make_fault(struct told *told, const struct row *row)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	OM_uint32 minor, major;

	*faults_control =
		(struct faults_control){ .armed = 1, .kind = row->octet, .at = 1, .only_ours = 1 };
	major = acquire(NULL, NULL, GSS_C_INITIATE, &credential, &minor);
	if (major == GSS_S_COMPLETE) {
		struct pair pair;

		pair_init(&pair, &mech_oid, "host@server.example.org", 0);
		major = pair_step(&pair);
		minor = pair.minor;
		pair_free(&pair);
	}
	faults_control->armed = 0;
	told_set(told, major, minor);
	(void)gss_release_cred(&minor, &credential);
}

/* --- rows: established contexts --- */

static bool open_pair(struct pair *pair)
{
	pair_init(pair, &mech_oid, "host@server.example.org",
		GSS_C_MUTUAL_FLAG | GSS_C_REPLAY_FLAG | GSS_C_SEQUENCE_FLAG);
	if (pair_run(pair) == GSS_S_COMPLETE)
		return true;
	show_error("an exchange", pair->major, pair->minor);
	check(false, "an exchange without any failure");
	return false;
}

static gss_buffer_desc wrapped(gss_ctx_id_t context)
{
	gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	(void)gss_wrap(&minor, context, 1, GSS_C_QOP_DEFAULT, &plain, NULL, &token);
	return token;
}

static void unwrap(struct told *told, gss_ctx_id_t context, gss_buffer_t token)
{
	gss_buffer_desc plain = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor, major = gss_unwrap(&minor, context, token, &plain, NULL, NULL);

	told_set(told, major, minor);
	(void)gss_release_buffer(&minor, &plain);
}

/* The order in which messages 0 to 79 are received; the last one counts.  text: their numbers. */
static void make_order(struct told *told, const struct row *row)
{
	gss_buffer_desc tokens[80] = { GSS_C_EMPTY_BUFFER };
	struct pair pair;
	OM_uint32 minor;
	int number, read = 0;

	if (open_pair(&pair)) {
		for (size_t i = 0; i < 80; i++)
			tokens[i] = wrapped(pair.initiator.context);
		for (const char *at = row->text; sscanf(at, "%d%n", &number, &read) == 1;
			at += read)
			unwrap(told, pair.acceptor.context, &tokens[number]);
		for (size_t i = 0; i < 80; i++)
			(void)gss_release_buffer(&minor, &tokens[i]);
	}
	pair_free(&pair);
}

static void make_changed_message(struct told *told, const struct row *row)
{
	struct pair pair;
	OM_uint32 minor;

	if (open_pair(&pair)) {
		gss_buffer_desc token = wrapped(pair.initiator.context);

		((uint8_t *)token.value)[row->octet != 0 ? token.length - 1 : 0] ^= 1;
		unwrap(told, pair.acceptor.context, &token);
		(void)gss_release_buffer(&minor, &token);
	}
	pair_free(&pair);
}

static void make_qop(struct told *told, const struct row *row)
{
	gss_buffer_desc plain = { 5, "hello" }, token = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor, major;

	(void)row;
	if (open_pair(&pair)) {
		major = gss_wrap(&minor, pair.initiator.context, 1, 7, &plain, NULL, &token);
		told_set(told, major, minor);
	}
	pair_free(&pair);
}

static void make_inquiry(struct told *told, const struct row *row)
{
	static gss_OID_desc unknown = { 4, "\x2a\x03\x04\x05" };
	static gss_OID_desc unique = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_INQ_CB_UNIQUE };
	gss_buffer_set_t set = GSS_C_NO_BUFFER_SET;
	struct pair pair;
	OM_uint32 minor, major;

	pair_init(&pair, &mech_oid, "host@server.example.org", 0);
	(void)pair_step(&pair);
	major = gss_inquire_sec_context_by_oid(&minor, pair.initiator.context,
		row->code == ERR_UNSUPPORTED ? &unknown : &unique, &set);
	told_set(told, major, minor);
	(void)gss_release_buffer_set(&minor, &set);
	pair_free(&pair);
}

static void make_descriptor(struct told *told, const struct row *row)
{
	static gss_OID_desc option = { GSS_IPSEC_OID_ITEM_LENGTH, GSS_IPSEC_OID_OPT_DESCRIPTOR };
	gss_buffer_desc value = { 5, "12345" };
	struct pair pair;
	OM_uint32 minor, major;

	(void)row;
	pair_init(&pair, &mech_oid, "host@server.example.org", 0);
	(void)pair_step(&pair);
	major = gss_set_sec_context_option(&minor, &pair.initiator.context, &option, &value);
	told_set(told, major, minor);
	pair_free(&pair);
}

static gss_buffer_desc exported(struct pair *pair)
{
	gss_buffer_desc token = GSS_C_EMPTY_BUFFER;
	OM_uint32 minor;

	if (open_pair(pair))
		(void)gss_export_sec_context(&minor, &pair->initiator.context, &token);
	return token;
}

/* octet 1: the last octet of the check is another; 0: junk behind the mechglue's own part. */
static void make_import_context(struct told *told, const struct row *row)
{
	struct pair pair;
	gss_buffer_desc token = exported(&pair);
	/* MIT's mechglue: four octets that count the OID's, and the OID. */
	const size_t prefix = 4 + mech_oid.length;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	OM_uint32 minor, major;

	if (token.length > prefix) {
		uint8_t *octets = token.value;

		if (row->octet != 0)
			octets[token.length - 1] ^= 1;
		else
			memset(octets + prefix, 'x', token.length - prefix);
		major = gss_import_sec_context(&minor, &token, &context);
		told_set(told, major, minor);
	}
	(void)gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	(void)gss_release_buffer(&minor, &token);
	pair_free(&pair);
}

/* A token that the peer never made changes nothing: a message passes behind it. */
static void make_control(struct told *told, const struct row *row)
{
	gss_buffer_desc control = { 7, "control" }, token;
	struct told after = { .major = GSS_S_FAILURE };
	struct pair pair;
	OM_uint32 minor, major;

	(void)row;
	if (open_pair(&pair)) {
		major = gss_process_context_token(&minor, pair.acceptor.context, &control);
		told_set(told, major, minor);
		token = wrapped(pair.initiator.context);
		unwrap(&after, pair.acceptor.context, &token);
		check_quietly(after.major == GSS_S_COMPLETE, "a message behind a control token");
		(void)gss_release_buffer(&minor, &token);
	}
	pair_free(&pair);
}

/* octet: how many octets of input; text: how many of output. */
static void make_random_value(struct told *told, const struct row *row)
{
	gss_buffer_desc input = { row->octet, "input" }, output = GSS_C_EMPTY_BUFFER;
	struct pair pair;
	OM_uint32 minor, major;

	if (open_pair(&pair)) {
		major = gss_pseudo_random(&minor, pair.initiator.context, GSS_C_PRF_KEY_FULL,
			&input, (ssize_t)atol(row->text), &output);
		told_set(told, major, minor);
		(void)gss_release_buffer(&minor, &output);
	}
	pair_free(&pair);
}

static const struct row own_rows[] = {
	{ ERR_NO_MEMORY, make_fault, NULL, NULL, FAULTS_MEMORY, 0 },
	{ ERR_RANDOM, make_fault, NULL, NULL, FAULTS_RANDOM, 0 },
	{ ERR_CRYPTO, make_fault, NULL, NULL, FAULTS_CRYPTO, 0 },
	{ ERR_ARGUMENT, make_descriptor, NULL, "4 octets", 0, 0 },
	{ ERR_UNSUPPORTED, make_inquiry, NULL, NULL, 0, 0 },
	{ ERR_NO_CONTEXT, make_inquiry, NULL, NULL, 0, 0 },
	{ ERR_CONTEXT_TOKEN, make_import_context, NULL, NULL, 0, 0 },
	{ ERR_CONTEXT_TOKEN, make_import_context, NULL, NULL, 1, 0 },
	{ ERR_CONTEXT_CONTROL, make_control, NULL, NULL, 0, 0 },
	{ ERR_PRF_LENGTH, make_random_value, "16", NULL, 0, 0 },
	{ ERR_PRF_LENGTH, make_random_value, "0", NULL, 5, 0 },
	{ ERR_PRF_LENGTH, make_random_value, "1048577", NULL, 5, 0 },
	{ ERR_NO_IDENTITY, make_store, "ipsec_config=empty.conf", NULL, 0, 0 },
	{ ERR_KEY_FILE, make_store, "ipsec_key=missing.key", "missing.key: No such file", 0, 0 },
	{ ERR_KEY_FILE_MODE, make_store, "ipsec_key=open.key", "open.key: mode 0644", 0, 0 },
	{ ERR_KEY_FORMAT, make_store, "ipsec_key=junk.key", "junk.key", 0, 0 },
	{ ERR_KEY_SIZE, make_store, "ipsec_key=rsa1024.key", "rsa1024.key", 0, 0 },
	{ ERR_KEY_CURVE, make_store, "ipsec_key=p521.key", "p521.key", 0, 0 },
	{ ERR_KEY_CURVE, make_store, "ipsec_key=k256.key", "k256.key", 0, 0 },
	{ ERR_CONFIG, make_store, "ipsec_config=mistake.conf", "mistake.conf:2: ", 0, 0 },
	{ ERR_CRED_STORE, make_store, "ipsec_fd=seven", "seven", 0, 0 },
	{ ERR_NAME_FORMAT, make_name, "two@at@signs", NULL, 0, 0 },
	{ ERR_NAME_NO_DOMAIN, make_name, "alice", NULL, 0, 0 },
	{ ERR_NAME_TYPE, make_name, "alice", NULL, 1, 0 },
	{ ERR_CRED_USAGE, make_usage, NULL, NULL, 0, 0 },
	{ ERR_CRED_TOKEN, make_import_cred, NULL, NULL, 0, 0 },
	{ ERR_LOCALNAME, make_name_answer, NULL, NULL, 0, GSS_S_UNAVAILABLE },
	{ ERR_NAME_ATTRIBUTE, make_name_answer, NULL, NULL, 0, 0 },
	{ ERR_CRED_STORED, make_stored, "errors.conf", NULL, 0, 0 },
	{ ERR_CRED_NOT_STORED, make_stored, "empty.conf", NULL, 1, 0 },
	{ ERR_MESSAGE_TOKEN, make_changed_message, NULL, NULL, 0, 0 },
	{ ERR_MESSAGE_MIC, make_changed_message, NULL, NULL, 1, 0 },
	{ ERR_MESSAGE_DUPLICATE, make_order, "0 0", NULL, 0, 0 },
	{ ERR_MESSAGE_OLD, make_order, "79 0", NULL, 0, 0 },
	{ ERR_MESSAGE_UNSEQ, make_order, "3 1", NULL, 0, 0 },
	{ ERR_MESSAGE_GAP, make_order, "0 2", NULL, 0, 0 },
	{ ERR_MESSAGE_QOP, make_qop, NULL, NULL, 0, 0 },
};

/* --- the table --- */

struct expected {
	enum err code;
	OM_uint32 major;
	const char *name, *sentence;
};

/* The sentences stand here once more through the header: not what the plugin's own table gives. */
static const struct expected expected[] = {
#define X(name, number, major, tell, text) { (enum err)(number), GSS_S_##major, #name, text },
	ERROR_TABLE(X)
#undef X
#define X(name, number, word, text) \
	{ (enum err)(ERR_LATCH + (number)), GSS_S_FAILURE, "LATCH_" #name, text },
		IPSEC_LATCH_REASON_TABLE(X)
#undef X
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct expected *find_expected(enum err code)
{
	for (size_t i = 0; i < COUNT_OF(expected); i++)
		if (expected[i].code == code)
			return &expected[i];
	return NULL;
}

/* A supplementary bit alone is no error to GSS_ERROR(), so while a context is being established
 * the plugin adds FAILURE. */
static bool is_major(OM_uint32 major, OM_uint32 wanted)
{
	return major == wanted || (!GSS_ERROR(wanted) && major == (wanted | GSS_S_FAILURE));
}

static void run_row(const struct row *row)
{
	const struct expected *e = find_expected(row->code);
	size_t len = strlen(e->sentence);
	struct told told = { .major = 0 };
	bool is_right;

	if (row->make == NULL)
		return;
	row->make(&told, row);
	is_right = told.minor == (OM_uint32)row->code &&
		   is_major(told.major, row->major != 0 ? row->major : e->major) &&
		   strncmp(told.text, e->sentence, len) == 0 &&
		   (told.text[len] == '\0' || strncmp(told.text + len, ": ", 2) == 0) &&
		   (row->says == NULL || strstr(told.text + len, row->says) != NULL);
	check(is_right, "%s: major %08x, minor %u: %s", e->name, told.major, told.minor, told.text);
}

static unsigned int count_rows(const struct row *rows, size_t count, enum err code)
{
	unsigned int found = 0;

	for (size_t i = 0; i < count; i++)
		found += rows[i].code == code;
	return found;
}

static void check_completeness(void)
{
	unsigned int missing = 0;

	for (size_t i = 0; i < COUNT_OF(expected); i++) {
		enum err code = expected[i].code;
		unsigned int found = count_rows(own_rows, COUNT_OF(own_rows), code) +
				     count_rows(exchange_rows, exchange_row_count, code);

		for (size_t j = 0; j < COUNT_OF(elsewhere); j++)
			found += elsewhere[j].code == code;
		if (found > 0 || code == ERR_OK)
			continue;
		missing++;
		check(false, "%s (%u) is made to happen nowhere", expected[i].name, code);
	}
	check(missing == 0, "every minor has a row");
}

/* --- files --- */

static void write_file(const char *name, const char *text, mode_t mode)
{
	const char *path = errors_path(name);
	FILE *file = fopen(path, "w");

	check_quietly(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 &&
			      chmod(path, mode) == 0,
		"%s is written", name);
}

static void write_files(void)
{
	write_file("empty.conf", "[gss-ipsec]\n\tlatch = auto\n", 0600);
	write_file("mistake.conf", "[gss-ipsec]\n\tlatch = perhaps\n", 0600);
	write_file("open.key", "nothing\n", 0644);
	write_file("junk.key", "nothing\n", 0600);
	write_file("stranger.conf",
		"[identity]\n\talice = {\n\t\tkey = alice.key\n\t\tuser = alice@example.org\n\t}\n",
		0600);
	write_file("trusting.conf",
		"[gss-ipsec]\n\tunknown_peer = accept\n[identity]\n\talice = {\n"
		"\t\tkey = alice.key\n\t\tuser = alice@example.org\n\t}\n",
		0600);
	write_file("changed.conf",
		"[identity]\n\talice = {\n\t\tkey = alice.key\n\t\tuser = alice@example.org\n\t}\n"
		"[peer]\n\tserver = {\n\t\thost = server.example.org\n\t\tkey_file = mallory.pub\n"
		"\t}\n",
		0600);
	write_file("twins.conf",
		"[identity]\n\tserver = {\n\t\tkey = alice.key\n\t\thost = "
		"server.example.org\n\t}\n"
		"[peer]\n\talice = {\n\t\tuser = alice@example.org\n\t\tkey_file = "
		"alice.pub\n\t}\n",
		0600);
	write_file("nobody.conf",
		"[identity]\n\tnobody = {\n\t\tanonymous = yes\n\t}\n"
		"[peer]\n\talice = {\n\t\tuser = alice@example.org\n\t\tkey_file = alice.pub\n"
		"\t}\n",
		0600);
	write_file("to_nobody.conf",
		"[identity]\n\talice = {\n\t\tkey = alice.key\n\t\tuser = alice@example.org\n\t}\n"
		"[peer]\n\tserver = {\n\t\thost = server.example.org\n\t\tanonymous = yes\n\t}\n",
		0600);
	write_file("narrow.conf",
		"[identity]\n\tserver = {\n\t\tkey = server.key\n\t\thost = server.example.org\n"
		"\t\tservices = imap\n\t}\n[peer]\n\talice = {\n\t\tuser = alice@example.org\n"
		"\t\tkey_file = alice.pub\n\t}\n",
		0600);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return EXIT_FAILURE;
	directory = argv[1];
	write_files();
	check_completeness();
	for (size_t i = 0; i < COUNT_OF(own_rows); i++)
		run_row(&own_rows[i]);
	for (size_t i = 0; i < exchange_row_count; i++)
		run_row(&exchange_rows[i]);
	printf("%u failed\n", checks_failed());
	return checks_failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
