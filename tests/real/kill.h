/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parts of kill_lane share: two hosts with their brokers, the programs that talk between
 * them, and a tracer that kills a process at one of its own system calls.  kill_lane.c says more.
 */
#ifndef TESTS_REAL_KILL_H
#define TESTS_REAL_KILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KILL_WORD_BYTES 16
#define KILL_WORKERS_MAX 16
#define KILL_TRACEES_MAX 24
#define KILL_COUNTS_MAX 256
#define KILL_SAID_BYTES 2048
#define KILL_LINE_BYTES 160
#define KILL_ALICE 40001 /* hosts.sh made them */
#define KILL_SAMPLE 40002

/* Whose death, and whose system calls. */
enum kill_who {
	KILL_CLIENT,
	KILL_SERVER,
	KILL_A, /* the daemon of host A; so on */
	KILL_B,
	KILL_WORKER_A,
	KILL_WORKER_B,
	KILL_BOTH, /* both daemons; has no calls of its own */
	KILL_NOBODY
};
extern const char *const kill_who_words[KILL_NOBODY + 1];
enum kill_who kill_who_find(const char *word);

/* One line of the plan: victim, whose calls are counted, scenario, step, kind of call, which one of
 * that kind in that step, and at its beginning or end.  Without calls (KILL_NOBODY): step is the
 * stage of the script at which the victim dies. */
struct kill_moment {
	enum kill_who victim, caller;
	char scenario[KILL_WORD_BYTES], step[KILL_WORD_BYTES], kind[KILL_WORD_BYTES];
	unsigned int ordinal;
	bool is_after;
};

/* --- kill_end.c: the two programs of a connection --- */

enum kill_event {
	KILL_SAID_LISTENING,
	KILL_SAID_IDLE, /* logged in */
	KILL_SAID_FAILED,
	KILL_SAID_ACK, /* a command is done */
	KILL_SAID_COUNT
};

struct kill_end {
	pid_t pid; /* 0: has ended */
	int control, output;
	bool is_running; /* started, and its end not yet noted */
	int status;	 /* of waitpid(), once ended */
	size_t said_len;
	unsigned int said[KILL_SAID_COUNT], commands;
	char text[KILL_SAID_BYTES]; /* what it printed, for a report */
};

struct kill_role {
	bool is_server;
	const char *local, *remote, *port, *config; /* config: GSS_IPSEC_CONFIG, or NULL */
	const char *home;
	uid_t uid;
	uint64_t timeout_s, pause_step, pause_ms;
};

/* In the process that plays the role: commands come in on descriptor 0, lines go out on 1. Exit
 * status 0: all that came was the peer's, to its end; 1: an error; 3: octets that are not the
 * peer's. */
_Noreturn void kill_end_run(const struct kill_role *role);

/* --- kill_host.c: hosts and their brokers --- */

struct kill_host {
	const char *name; /* "A" or "B" */
	int network, mount, log;
	char directory[200], broker_path[240], state_path[240];
	int xfrm; /* netlink socket in this host's namespace */
	pid_t broker;
	pid_t workers[KILL_WORKERS_MAX]; /* seen by the last kill_host_look() */
	size_t worker_count;
	off_t log_at;	 /* length of the log when the broker was started */
	uint64_t kernel; /* SAs and policies as they shall be when nothing is left: digest */
};

/* pid: a process in its namespaces; directory: where its /run and home folders are; out: of logs. */
bool kill_host_open(struct kill_host *host, const char *name, const char *pid,
	const char *directory, const char *out);
/* Enters the namespaces; for a process of its own. */
bool kill_host_enter(const struct kill_host *host);
bool kill_broker_start(struct kill_host *host);
bool kill_broker_serves(const struct kill_host *host);
/* The daemon's children. */
void kill_host_look(struct kill_host *host);
bool kill_workers_are_gone(const struct kill_host *host);
/* A digest of all SAs and policies of this host's kernel, whoever made them; 0: cannot be read. */
uint64_t kill_kernel_digest(const struct kill_host *host, size_t *ret_count);
/* How many leases broker and state file know, in all and in this state; -1: no answer. */
int kill_broker_leases(const struct kill_host *host, uint8_t state, int *ret_of_state);
int kill_state_leases(const struct kill_host *host);

/* --- kill_tracer.c --- */

struct kill_count {
	enum kill_who caller;
	char step[KILL_WORD_BYTES];
	uint8_t kind;
	unsigned int calls;
};

struct kill_tracee {
	pid_t pid;
	enum kill_who caller;
	bool is_in_call, was_hearing;
	char step[KILL_WORD_BYTES];
	const struct kill_count *call; /* of interest, while in it */
	unsigned int ordinal;
};

struct kill_tracer {
	struct kill_tracee tracees[KILL_TRACEES_MAX];
	struct kill_count counts[KILL_COUNTS_MAX];
	size_t tracee_count, count_count;
	const struct kill_moment *target; /* NULL: only counts */
	pid_t hit;			  /* the tracee at its moment, stopped; 0: not yet */
};

bool kill_tracer_add(struct kill_tracer *tracer, pid_t pid, enum kill_who caller);
/* Something that waitpid() said of a pid; step: where that caller is now. false: no tracee. */
bool kill_tracer_handle(
	struct kill_tracer *tracer, pid_t pid, int status, const char *(*step)(enum kill_who));
/* Lets all go; who has ended meanwhile is told of. */
void kill_tracer_end(struct kill_tracer *tracer, void (*ended)(pid_t pid, int status));
/* A line for each call that was counted, once for its begin and once for its end. */
void kill_tracer_print(const struct kill_tracer *tracer, const char *scenario);

/* --- the lane: kill_talk.c and kill_lane.c --- */

enum lane_end { END_CLIENT, END_SERVER, END_OTHER_CLIENT, END_OTHER_SERVER, END_COUNT };

struct scenario {
	const char *word;
	bool completes;
	struct kill_role client, server;
};

extern struct kill_lane {
	struct kill_host hosts[2];
	struct kill_end ends[END_COUNT];
	struct kill_tracer tracer;
	char step[2][KILL_WORD_BYTES];	  /* of each host: what its program or the script is at */
	const struct kill_moment *moment; /* NULL: only counts */
	const struct scenario *scenario;
	bool has_killed;
	int signals;
	unsigned int failures; /* of this moment */
	char report[4096];
} lane;

void step_set(size_t host, const char *step);
const char *step_of(enum kill_who who);
void end_read(enum lane_end which);
bool end_start(enum lane_end which, const struct kill_role *role);
/* The first letter begins; it is not acknowledged. */
void end_begin(enum lane_end which);
void end_tell(enum lane_end which, char letter);
/* No more commands: it reads to the end. */
void end_leave(enum lane_end which);

/* --- kill_moment.c --- */

/* Of both ends' reads and writes: a busy machine may let all of a guest stand for seconds. */
#define KILL_PATIENCE_S 8
#define KILL_LOGIN_MS 30000
#define KILL_COMMAND_MS 16000
#define KILL_END_MS 17000 /* for the survivors: a broker that dies is noticed at once */

void lane_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Handles what comes until it is so (true), or time is over. */
bool lane_wait(bool (*is_so)(void), unsigned int milliseconds);
bool end_is_over(enum lane_end which);
bool end_is_logged_in(enum lane_end which);
/* All commands are done, or it is over. */
bool end_is_ready(enum lane_end which);
bool brokers_serve(void);
/* The last one has no word. */
extern const struct scenario kill_scenarios[];
/* For a death before a token is made; no calls are counted in it. */
bool kill_scenario_pauses(const struct scenario *scenario);
/* moment NULL: the whole course without a death, all calls counted. */
void moment_run(const struct kill_moment *moment, const struct scenario *scenario);

void kill_sleep_ms(unsigned int milliseconds);
uint64_t kill_clock_ms(void);

#endif
