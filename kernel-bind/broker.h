/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsecd as a whole: what its parts share.  One process, one poll loop, no thread; workers hold
 * the clients' descriptors (broker_worker.h).  It parses no IKE and holds no credential.
 */
#ifndef KERNEL_BIND_BROKER_H
#define KERNEL_BIND_BROKER_H

#include <sys/stat.h>
#include <sys/types.h>

#include "kernel-bind/broker_journal.h"
#include "kernel-bind/broker_lease.h"
#include "kernel-bind/broker_refusals.h"
#include "kernel-bind/broker_users.h"
#include "kernel-bind/broker_watch.h"
#include "kernel-bind/broker_worker.h"
#include "kernel-bind/xfrm.h"

#define BROKER_STATE_PATH "/run/gss-ipsec/state"
#define BROKER_QUOTA_USER 1024
#define BROKER_QUOTA_TOTAL 16384
#define BROKER_COVER_MAX 1000 /* for a pair of addresses; see broker_cover.c */
#define BROKER_SPI_MIN 256    /* RFC 4303 2.1: 0 to 255 are reserved */
#define BROKER_LARVAL_MS 60000
#define BROKER_YIELD_MS 10000 /* a yielding cover lives so long yet; few exchanges take longer */
#define BROKER_LINGER_SEC 120 /* an orphan spends 60 s in FIN_WAIT2 and then 60 s in TIME_WAIT */
#define BROKER_ALLOWED_USERS_MAX 64
#define BROKER_WORKERS_MAX 64 /* those that are killed and have not ended included */
#define BROKER_WORKERS_IDLE 8
#define BROKER_NAMESPACES_MAX 64 /* of others that are served at a time */
#define BROKER_NAMESPACES_USER 8
#define BROKER_IDLE_SEC 60 /* after which the broker of another namespace ends */

struct broker_options {
	const char *socket_path, *state_path;
	size_t quota_user, quota_total, cover_max;
	size_t workers_max, workers_idle;
	size_t recorders_max; /* as RLIMIT_NOFILE has room for */
	uint64_t larval_ms, linger_ms, idle_ms;
	bool linger_is_exact; /* else while TIME_WAIT lasts, too */
	bool allows_offload, overrides_policy, is_verbose, serves_namespaces;
	uint32_t allowed_users[BROKER_ALLOWED_USERS_MAX];
	size_t allowed_count; /* 0: everybody */
};

/* SPD entries of others, kept so that no request waits for a dump. */
struct policy_cache {
	struct kxfrm_policy *items;
	size_t count, room, own_count; /* own_count: entries of our covers and blocks */
	bool is_stale, has_failed;
};

/* A walk over all leases, in slices, so that requests do not wait for its end. */
struct broker_round {
	bool is_on;
	uint64_t after; /* id of the lease looked at last */
};

#define BROKER_DOUBTS 3 /* one to miss a socket, one to be sure, one that had begun before */

/* The look at all sockets, once in a tick. */
struct broker_sweep {
	bool is_on;
	uint8_t doubts; /* events of ended sockets were lost: so many sweeps yet */
	uint64_t number, begun_ms;
};

/* One request at work. */
struct broker_job {
	uint32_t uid;
	struct worker_message message; /* request and facts, then results */
	struct broker_lease *lease;    /* is_busy while here, or NULL */
	uint8_t stage;
	uint64_t namespace_id; /* the connection goes to that one's broker; 0: it does not */
	uint8_t forwards;      /* so many times */
};

struct broker_worker {
	pid_t pid; /* 0: none */
	int fd;
	bool is_busy;			  /* with a request of user */
	bool is_starting;		  /* may have copies of what the daemon holds */
	bool is_ending;			  /* killed */
	uint64_t started_ms, deadline_ms; /* while busy, or starting */
	struct broker_user user;
	struct broker_job job;
};

struct broker_connection {
	int fd;
	struct broker_user user;
	bool is_ready;	 /* its request is there: seen */
	bool ends_lease; /* a reservation, by LATCH or RELEASE: so it says */
	bool is_extra;	 /* beyond what others of its account may have waiting */
	size_t rank;	 /* so many of the user's group were waiting when it came */
	uint64_t accepted_ms;
};

#define BROKER_QUEUE_MAX 1024

/* Another network namespace that is served (broker_namespaces.h). */
struct broker_namespace {
	uint64_t id;		 /* counts up; 0: none */
	uint64_t cookie;	 /* the kernel's (SO_NETNS_COOKIE), never used again */
	struct broker_user user; /* who asked first */
	int intake;		 /* to its broker */
	size_t under_way;	 /* jobs that are to send a connection there */
	uint64_t sent;		 /* connections, as far as is known */
};

struct broker {
	struct broker_options options;
	struct worker_place place;
	struct kxfrm *xfrm;
	struct kxfrm_events *events;
	struct watch *watch;
	struct lease_table *leases;
	struct journal *journal;
	struct policy_cache policies;
	int listener, signals;
	int keeper; /* with --namespaces; else -1 */
	struct broker_namespace namespaces[BROKER_NAMESPACES_MAX];
	uint64_t namespace_ids;
	bool is_namespace; /* this is the broker of another namespace: listener is its intake */
	bool is_retired;   /* and it is no longer needed */
	bool is_ending;
	uint64_t received;	/* connections, by the intake */
	uint64_t idle_since_ms; /* nothing to do since then */
	struct broker_worker workers[BROKER_WORKERS_MAX];
	struct broker_worker discarder; /* closes the connections that are not served */
	size_t discards;		/* not yet answered */
	int left_over;			/* a connection that nobody could be had for; -1: none */
	struct broker_connection queue[BROKER_QUEUE_MAX];
	size_t queued;
	size_t ends_in_a_row; /* requests that end a reservation, picked before others */
	uint64_t next_tick_ms;
	bool is_out_of_balance; /* more idle workers are wanted, or fewer */
	uint64_t next_end_ms;	/* of workers that are late */
	struct broker_sweep sweep;
	struct broker_round associations; /* after a flush: are they still there? */
	struct broker_round covers;	  /* after a flush: put back what is missing */
	bool has_blocks;		  /* of the cover's second form */
	bool has_latched_once;		  /* this kernel can: seen */
	enum ipsec_latch_reason cannot;	  /* else why it cannot, by the last probe */
	uint64_t probe_next_ms;		  /* then that is looked at anew */
	struct refused refused;
};

/* CLOCK_BOOTTIME: leases' times outlive the daemon. */
uint64_t broker_now_ms(void);

/* broker_queue.c: connections until a worker has them. */
void broker_queue_accept(struct broker *broker);
/* Its request is there. */
void broker_queue_set_ready(struct broker_connection *connection);
/* Gives those whose turn it is to workers, a few at a time (*ret_has_more: perhaps not all); whether
 * one has to wait for a slot. */
bool broker_queue_dispatch(struct broker *broker, bool *ret_has_more);

/* broker_loop.c: until SIGTERM or SIGINT; 0 or a positive errno. */
int broker_run(struct broker *broker) ERR_MUST_CHECK;

/* broker_policies.c */
void policy_cache_free(struct policy_cache *cache);
/* LATCHED; PRESCRIBED when somebody else's SPD says how packets of this tuple travel; KERNEL, with a
 * line in the log, when it cannot be read. */
enum ipsec_latch_reason broker_judge_policies(
	struct broker *broker, const struct kbind_tuple *tuple, uint32_t mark) ERR_MUST_CHECK;
/* Reads the SPD again when it changed; sees to it that covers which others took away come back. */
void broker_refresh_policies(struct broker *broker);

/* broker_quota.c */
/* Whether uid's account, its group or all together have what they may have. */
bool broker_quota_is_used_up(const struct broker *broker, uint32_t uid);
/* The oldest lease of the account that does nothing any more goes, if there is one. */
void broker_quota_make_room(struct broker *broker, uint32_t uid);

/* broker_cover.c: the close cover in both its forms. */
/* Says in the log on which interfaces it has no effect. Always 0. */
int broker_cover_check_interfaces(struct broker *broker);
/* Which form a connection gets: true the second. Decided before anything is set. */
bool broker_cover_wants_mark(
	const struct broker *broker, const struct broker_lease *lease, uint32_t socket_mark);
/* Before the socket bears the mark; 0 or a positive errno. */
int broker_blocks_ensure(struct broker *broker) ERR_MUST_CHECK;
/* When the inbound policy is set: LATCHED, COVERED or KERNEL. */
enum ipsec_latch_reason broker_cover_begin(struct broker *broker, struct broker_lease *lease);
/* The socket is gone: a cover for the closing time where the latch had none. */
void broker_cover_close(struct broker *broker, struct broker_lease *lease);
void broker_cover_end(struct broker *broker, struct broker_lease *lease);
/* The lease, or its mark, is gone: the blocks go with the last one. */
void broker_blocks_settle(struct broker *broker);
/* How many SPD entries are ours while nobody else removes any. */
size_t broker_cover_entries(const struct broker *broker);
/* Whether no earlier connection's cover keeps this socket, whose tuple it has, from being latched: one
 * in its closing time yields when the socket is all that the kernel has by that tuple. */
bool broker_cover_yield(struct broker *broker, const struct kbind_tuple *tuple, uint64_t cookie);
/* What yields to a latch on this tuple goes, when the latch's policies are set. */
void broker_cover_take_over(struct broker *broker, const struct kbind_tuple *tuple);
/* One lease of the round broker->covers. */
void broker_cover_repair(struct broker *broker, struct broker_lease *lease);

/* broker_sweep.c: sockets that ended or moved without an event. */
void broker_sweep_tick(struct broker *broker, uint64_t now_ms);
void broker_sweep_read(struct broker *broker);
/* At start: all of it, waiting.  After it, a lease with seen_in == sweep.number is there. */
int broker_sweep_whole(struct broker *broker) ERR_MUST_CHECK;

/* broker_upkeep.c: what happens to a lease without anybody asking. */
/* Writes the lease's record; a failure is logged and returned. */
int broker_record(struct broker *broker, struct broker_lease *lease);
/* Removes SAs, cover and lease. */
void broker_drop_lease(struct broker *broker, struct broker_lease *lease);
/* Whether what came to result, an errno, in so many tries is to be removed from the kernel once more. */
bool broker_removes_again(int result, int tries);
/* BROKEN for this reason: SAs gone, policies and recorder stay, so the socket carries nothing.
 * A lease whose socket has ended stays CLOSING, unless the socket MOVED. */
void broker_break_lease(
	struct broker *broker, struct broker_lease *lease, enum ipsec_latch_reason reason);
/* The socket is gone. */
void broker_close_lease(struct broker *broker, struct broker_lease *lease);
/* false: there are more. */
bool broker_read_events(struct broker *broker);
void broker_read_ended(struct broker *broker);
/* About once a second. */
void broker_tick(struct broker *broker, uint64_t now_ms);
/* A slice of the rounds' work; their is_on says whether there is more. */
void broker_rounds_continue(struct broker *broker);
/* Puts back, at once or in a round, what others took away. */
void broker_covers_restore(struct broker *broker);

/* broker_offload.c: kernel modules with which SAs are not kept apart */
/* Whether one of them is loaded; false with --gso. */
bool broker_offload_is_loaded(const struct broker *broker);
/* 0, or a positive errno where that cannot be told. */
int broker_offload_check_sight(struct broker *broker) ERR_MUST_CHECK;
/* Breaks all leases that still carry anything, once one is loaded. */
void broker_offload_tick(struct broker *broker);

/* broker_adopt.c: at start, with the journal's leases in the table: keeps what still holds, deletes
 * everything else in our reqid range. 0 or a positive errno. */
int broker_adopt(struct broker *broker) ERR_MUST_CHECK;

/* broker_requests.c: what a worker reported. true: *ret_reply goes to the client (false: operations
 * were sent to the worker through job->message.operations and *ret_program, -1 without one). */
bool broker_request_advance(struct broker *broker, struct broker_job *job,
	struct broker_reply *reply, int *ret_program);
/* Answers with this reason before any step. */
void broker_request_refuse(struct broker *broker, struct broker_job *job,
	enum ipsec_latch_reason reason, struct broker_reply *reply);
/* Whether --allow-user lets this user in. */
bool broker_user_is_allowed(const struct broker *broker, uint32_t uid);
/* The worker died over it. */
void broker_request_abandon(struct broker *broker, struct broker_job *job);
/* Whether this kernel can latch, by trying now and then: LATCHED or why not. */
enum ipsec_latch_reason broker_probe(struct broker *broker);

/* broker_reserve.c, broker_latching.c: steps of requests; broker_requests.c says more. */
enum broker_step { BROKER_STEP_REPLY, BROKER_STEP_OPERATIONS };
struct broker_work {
	struct broker *broker;
	struct broker_job *job;
	struct broker_reply *reply;
	int program; /* to go with the operations, -1: none */
};
enum broker_step broker_reserve_begin(struct broker_work *work);
enum broker_step broker_reserve_attached(struct broker_work *work);
enum broker_step broker_reserve_undone(struct broker_work *work);
enum broker_step broker_latch_begin(struct broker_work *work);
enum broker_step broker_latch_required(struct broker_work *work);
enum broker_step broker_latch_blocked(struct broker_work *work);
enum broker_step broker_release_begin(struct broker_work *work);
enum broker_step broker_release_done(struct broker_work *work);
/* Answers with this reason, and says so in the log. */
enum broker_step broker_refuse(struct broker_work *work, enum ipsec_latch_reason reason);
/* For the steps: one more operation for the worker, with the reqids of the job's lease. */
void broker_job_add(struct broker_work *work, enum worker_operation operation);
/* The job works on this lease from now on. */
void broker_job_take(struct broker_work *work, struct broker_lease *lease);
/* The job's lease goes. */
void broker_job_drop(struct broker_work *work);
/* Whether the descriptor still is what the job's lease is about. */
bool broker_job_has_stayed(const struct broker_work *work);
/* The kernel said this errno to what this user asked: logs it and gives the reason. */
enum ipsec_latch_reason broker_kernel_reason(uint32_t uid, int result, const char *what);
/* The same of the recorder. */
enum ipsec_latch_reason broker_recorder_reason(uint32_t uid, int result, const char *what);
/* The outbound SA of a lease, own or shared; 0 or a positive errno. */
int broker_outbound_install(struct broker *broker, struct broker_lease *lease, uint32_t spi,
	const struct secret_key *key) ERR_MUST_CHECK;

#endif
