/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lets each allocation, random number, OpenSSL call and system call of a whole login fail, one at a
 * time, each in a process of its own:
 *
 *   faults_login [--every N [M] | --only [ENDS][+]KIND:AT]
 *
 * ENDS: which of ends_kinds; +: as a later login.
 * Once as a program's first login (OpenSSL is not set up yet), once as one of many.  After the login
 * with the failure each process logs in again, which must succeed, and has then no more memory in
 * use than one that nothing ever failed in.  --every takes each N-th of the allocations and OpenSSL
 * calls only, and each M-th of the others.  Prints "ok" and "FAIL" lines.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/config_internal.h"
#include "mech/crypto/crypto.h"
#include "tests/faults/faults.h"
#include "tests/faults/faults_login.h"

#define SEED 0x9e3779b97f4a7c15u
#define COMPLAINTS_SHOWN 15

/* AddressSanitizer's strdup() and the like take blocks past us, and those are freed through us: the
 * count says nothing there, and its own leak checker looks in each process. */
#ifdef __SANITIZE_ADDRESS__
#define COUNTS_BLOCKS false
#else
#define COUNTS_BLOCKS true
#endif

static const char *const kind_names[FAULTS_KINDS] = { "memory", "random", "crypto", "system",
	"netlink" };

/* What one process found, in memory shared with it. */
struct result {
	struct login login;
	struct faults_control control;
	int64_t live_blocks, secrets_found;
	unsigned int again; /* minor of the next login */
	bool is_stuck;	    /* the next login failed too */
	bool is_done;
};

/* What both ends have: kinds of key, and lines for their configurations.  The plain ones log in as a
 * program's first login too, where the libraries are not set up yet. */
#define LOCAL_USERS "\n[localname]\n\tstaff = {\n\t\tname = *@example.org\n\t}\n"
static const struct ends_kind {
	const char *name, *initiator, *acceptor, *initiator_extra, *acceptor_extra;
	bool is_plain;
} ends_kinds[] = {
	{ "ed25519", "ed25519", "ed25519", LOCAL_USERS, "", true },
	{ "ecdsa-p256, rsa, another group", "ecdsa-p256", "rsa", LOCAL_USERS, "ike_groups = p256",
		true },
	{ "nobody, ecdsa-p384", "anonymous", "ecdsa-p384", "", "anonymous_peer = accept", false },
	{ "rsa, nobody", "rsa", "anonymous", "anonymous_peer = accept" LOCAL_USERS, "", false },
};
#define ENDS_KINDS (sizeof(ends_kinds) / sizeof(ends_kinds[0]))
static const struct ends_kind *kind_now = &ends_kinds[0];

struct world {
	struct two_ends ends; /* keys and configurations; nothing in it was ever loaded */
	struct result result;
};

static struct world *world;
static unsigned int failed;
static int64_t wanted_every = 1;
static int64_t wanted_every_other = 1;
static const char *wanted_one;
/* OpenSSL is not set up yet.  What fails half-way there it loses, and its store of algorithms may
 * remember one as missing: no login succeeds in that process any more, all say why. */
static bool is_first = true;

static void say(bool is_ok, const char *kind, const char *when, const char *text)
{
	failed += !is_ok;
	printf("%s faults: %s: %s, %s: %s\n", is_ok ? "ok" : "FAIL", kind_now->name, kind, when,
		text);
	(void)fflush(stdout);
}

static void login_init(struct login *login, bool is_armed)
{
	*login = (struct login){ .ends = &world->ends, .is_armed = is_armed };
	login->is_nobody[0] = strcmp(kind_now->initiator, "anonymous") == 0;
	login->is_nobody[1] = strcmp(kind_now->acceptor, "anonymous") == 0;
}

/* --- which minor is right --- */

/* OpenSSL functions whose refusal is an answer about what they were given. */
static const struct {
	const char *name;
	enum err minor;
} answers[] = {
	{ "EVP_DigestVerify", ERR_AUTH_FAILED },
	{ "EVP_DigestVerify", ERR_KEY_FORMAT }, /* a key's halves do not fit */
	{ "EVP_CipherFinal_ex", ERR_IKE_INTEGRITY },
	{ "EVP_CipherFinal_ex", ERR_MESSAGE_MIC },
	{ "EVP_PKEY_derive", ERR_KEY_EXCHANGE },
	{ "EVP_PKEY_derive_set_peer_ex", ERR_KEY_EXCHANGE },
	{ "EVP_PKEY_fromdata", ERR_KEY_EXCHANGE },
	{ "EVP_PKEY_fromdata", ERR_KEY_FORMAT },
	{ "PEM_bytes_read_bio_secmem", ERR_KEY_FORMAT },
};

static bool is_answer(const char *name, unsigned int minor)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(answers[i].name, name) == 0 && answers[i].minor == minor)
			return true;
	return false;
}

static bool is_right_minor(enum faults_kind kind, const char *name, unsigned int minor)
{
	switch (kind) {
	case FAULTS_MEMORY:
		/* OpenSSL does not always say why it failed. */
		return minor == ERR_NO_MEMORY ||
		       (world->result.control.in_openssl != 0 && minor == ERR_CRYPTO);
	case FAULTS_RANDOM:
		return minor == ERR_RANDOM;
	case FAULTS_CRYPTO:
		/* A refusal without a reason is taken for a want of memory. */
		return minor == ERR_CRYPTO || minor == ERR_NO_MEMORY || is_answer(name, minor);
	default:
		return minor == ERR_KEY_FILE || minor == ERR_CONFIG || minor == ERR_NO_MEMORY;
	}
}

/* --- one process --- */

static void login_in_child(enum faults_kind kind, int64_t at)
{
	struct result *r = &world->result;
	struct login again;

	/* A thread keeps what it notes a failure in: it has it in a login without one, too. */
	mech_set_detail(ERR_INTERNAL, "room");
	(void)config_complain("room", 0, "room");
	login_init(&again, false);
	faults_random_seed(SEED);
	login_init(&r->login, true);
	*faults_control = (struct faults_control){ .kind = (int32_t)kind, .at = at };
	login_run(&r->login);
	r->control = *faults_control;
	r->secrets_found = faults_secrets_found();
	faults_secrets_forget();
	login_run(&again);
	r->is_stuck = !login_is_whole(&again);
	r->again = again.minor;
	if (r->is_stuck && r->login.complaint[0] == '\0')
		(void)snprintf(r->login.complaint, sizeof(r->login.complaint),
			"the next login fails too: %.100s %.100s", again.text, again.complaint);
	login_run(&again);
	r->live_blocks = faults_control->live_blocks;
	r->is_done = true;
}

/* Its own process: what is set up once is set up anew, and a crash is seen. */
static int run_child(enum faults_kind kind, int64_t at)
{
	pid_t child;
	int status = -1;

	world->result = (struct result){ .is_done = false };
	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		(void)alarm(60);
		login_in_child(kind, at);
		/* What OpenSSL loses of its own is not for a leak checker. */
		if (is_first && world->result.control.is_ours == 0)
			_exit(EXIT_SUCCESS);
		exit(EXIT_SUCCESS);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return -1;
	return status;
}

/* --- all calls of one kind --- */

struct tally {
	int64_t calls, refused, tolerated, stuck, wrong;
};

/* "" when all was right.  OpenSSL's error queue keeps texts of its first failures: those of its draws, which
 * are our calls, too. */
static const char *judge(
	enum faults_kind kind, int status, const struct result *clean, char *out, size_t room)
{
	const struct result *r = &world->result;
	const struct login *l = &r->login;

	if (!r->is_done || status != 0)
		(void)snprintf(out, room, "the process ended with %s %d",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	else if (r->is_stuck && is_first && r->control.in_openssl != 0 &&
		 (r->again == ERR_CRYPTO || r->again == ERR_NO_MEMORY ||
			 r->again == ERR_KEY_FORMAT))
		return ""; /* KEY_FORMAT: no decoder for kinds of key but Ed25519 */
	else if (l->complaint[0] != '\0')
		(void)snprintf(out, room, "%s", l->complaint);
	else if (l->is_told && !is_right_minor(kind, r->control.name, l->minor))
		(void)snprintf(out, room, "wrong minor %u (%s): %.120s", l->minor,
			error_name(l->minor), l->text);
	else if (r->secrets_found != 0)
		(void)snprintf(out, room, "freed memory still holds a secret");
	else if (COUNTS_BLOCKS && r->live_blocks > clean->live_blocks && clean->live_blocks > 0 &&
		 (!is_first || (r->control.is_ours && kind != FAULTS_RANDOM)))
		(void)snprintf(out, room, "%ld blocks are lost",
			(long)(r->live_blocks - clean->live_blocks));
	else
		return "";
	return out;
}

static void fail_one(enum faults_kind kind, const char *when, int64_t at,
	const struct result *clean, struct tally *tally)
{
	const struct result *r = &world->result;
	char text[300];
	int status = run_child(kind, at);
	const char *wrong = judge(kind, status, clean, text, sizeof(text));

	tally->calls++;
	if (wrong[0] != '\0') {
		if (tally->wrong++ < COMPLAINTS_SHOWN)
			printf("# %s:%ld %s, %s in %s: %s\n", kind_names[kind], (long)at, when,
				r->control.name, r->login.call != NULL ? r->login.call : "-",
				wrong);
	} else if (r->is_stuck) {
		tally->stuck++;
	} else if (r->login.is_told) {
		tally->refused++;
	} else {
		tally->tolerated++;
	}
}

static void fail_all(enum faults_kind kind, const char *when, int64_t every)
{
	struct result clean;
	struct tally tally = { 0 };
	char text[200];
	int status = run_child(kind, 0);

	clean = world->result;
	if (status != 0 || !login_is_whole(&clean.login)) {
		(void)snprintf(text, sizeof(text), "nothing fails, and yet: %.80s %.80s",
			clean.login.text, clean.login.complaint);
		say(false, kind_names[kind], when, text);
		return;
	}
	for (int64_t at = 1; at <= clean.control.seen[kind]; at += every)
		fail_one(kind, when, at, &clean, &tally);
	(void)snprintf(text, sizeof(text),
		"of %ld calls %ld failed in turn: %ld refused, %ld tolerated, %ld left OpenSSL "
		"unusable, %ld wrong",
		(long)clean.control.seen[kind], (long)tally.calls, (long)tally.refused,
		(long)tally.tolerated, (long)tally.stuck, (long)tally.wrong);
	say(tally.wrong == 0 && tally.calls > 0, kind_names[kind], when, text);
}

/* --- everything --- */

/* Files only: what was loaded or set up stays in the child. */
static bool make_files(void)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		two_ends_new_of(&world->ends, kind_now->initiator, kind_now->acceptor,
			kind_now->initiator_extra, kind_now->acceptor_extra);
		_exit(EXIT_SUCCESS);
	}
	return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

static void remove_files(void)
{
	struct two_ends ends = { 0 };

	memcpy(ends.directory, world->ends.directory, sizeof(ends.directory));
	two_ends_free(&ends);
}

/* The secrets of the login that all others repeat; identities' keys are looked for in PEM files' text. */
static void learn_secrets(void)
{
	struct login login;

	login_init(&login, false);
	faults_random_seed(SEED);
	login_run(&login);
}

static void all_kinds(const char *when)
{
	for (int kind = 0; kind < FAULTS_KINDS; kind++) {
		if (kind == FAULTS_NETLINK)
			continue; /* the kernel is a fake here */
		bool is_long = kind == FAULTS_MEMORY || kind == FAULTS_CRYPTO;

		fail_all((enum faults_kind)kind, when, is_long ? wanted_every : wanted_every_other);
	}
}

/* In a process of their own: for the next ends the libraries are not set up either. */
static void of_ends(const struct ends_kind *kind)
{
	pid_t child;
	int status = -1;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		kind_now = kind;
		failed = 0;
		ck_assert(make_files());
		if (kind->is_plain)
			all_kinds("first login");
		learn_secrets();
		is_first = false;
		all_kinds("later login");
		remove_files();
		_exit(failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	failed += child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

static int one(const char *which)
{
	char name[16] = "", text[300];
	long at = 0;
	struct result clean = { .live_blocks = 0 };

	if (which[0] >= '0' && which[0] < (char)('0' + ENDS_KINDS))
		kind_now = &ends_kinds[*which++ - '0'];
	ck_assert(make_files());
	if (which[0] == '+') {
		learn_secrets();
		which++;
	}
	if (sscanf(which, "%15[a-z]:%ld", name, &at) != 2)
		return EXIT_FAILURE;
	for (int kind = 0; kind < FAULTS_KINDS; kind++) {
		if (strcmp(kind_names[kind], name) != 0)
			continue;
		login_in_child((enum faults_kind)kind, at);
		printf("%s: %s: %s %s (%ld blocks in use)\n", world->result.control.name,
			world->result.login.call, world->result.login.text,
			judge((enum faults_kind)kind, 0, &clean, text, sizeof(text)),
			(long)world->result.live_blocks);
	}
	return EXIT_SUCCESS;
}

/* A test of Check's, since two_ends.c uses its assertions. */
START_TEST(logins)
{
	if (wanted_one != NULL) {
		ck_assert_int_eq(one(wanted_one), EXIT_SUCCESS);
		remove_files();
	} else {
		for (size_t i = 0; i < ENDS_KINDS; i++)
			of_ends(&ends_kinds[i]);
	}
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite = suite_create("faults");
	TCase *tests = tcase_create("logins");
	SRunner *runner = srunner_create(suite);

	/* Where a second ends within a login, what was read anew is kept beside what it was read in place of,
	 * and which of them a process has at its end would be an accident. */
	faults_clock_stop();
	if (argc >= 3 && strcmp(argv[1], "--every") == 0) {
		wanted_every = atol(argv[2]);
		wanted_every_other = argc > 3 ? atol(argv[3]) : 1;
	}
	if (argc == 3 && strcmp(argv[1], "--only") == 0)
		wanted_one = argv[2];
	world = mmap(
		NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (world == MAP_FAILED || wanted_every < 1 || wanted_every_other < 1)
		return EXIT_FAILURE;
	tcase_add_test(tests, logins);
	suite_add_tcase(suite, tests);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_run_all(runner, CK_SILENT);
	failed += (unsigned int)srunner_ntests_failed(runner);
	srunner_free(runner);
	printf("%u failed\n", failed);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
