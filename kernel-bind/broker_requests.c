/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: the table of them, what each needs before its first step, and those that change
 * nothing.  A step ends in a reply or in operations for the worker, whose result starts the next.
 *
 *	RESERVE  begin -> (attach, require out, settle, probe) -> attached -> reply, or undo -> undone -> reply
 *	LATCH    begin -> (require out, in, mark, probe, lock) -> required -> reply, or block -> blocked -> reply
 *	RELEASE  begin -> (clear, detach; or block)            -> done     -> reply
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_namespaces.h"

#define PROBE_KEPT_MS 5000 /* no user has it look, and log, as often as he likes */
#define PROBE_TRIES 2	   /* of two seconds at worst: who asks waits for twelve */

struct request_row {
	bool needs_descriptor; /* one whose cookie is known */
	bool names_cookie;     /* the request says which socket it means */
	enum broker_step (*steps[3])(struct broker_work *work);
};

static enum broker_step query_begin(struct broker_work *work);
static enum broker_step list_begin(struct broker_work *work);
static enum broker_step ping_begin(struct broker_work *work);
static enum broker_step refusals_begin(struct broker_work *work);

/* clang-format off */
static const struct request_row request_rows[] = {
	[BROKER_RESERVE] = { true,  true,
		{ broker_reserve_begin, broker_reserve_attached, broker_reserve_undone } },
	[BROKER_LATCH]   = { true,  true,
		{ broker_latch_begin, broker_latch_required, broker_latch_blocked } },
	[BROKER_RELEASE] = { true,  false,
		{ broker_release_begin, broker_release_done } },
	[BROKER_QUERY]   = { true,  false, { query_begin } },
	[BROKER_LIST]    = { false, false, { list_begin } },
	[BROKER_PING]    = { false, false, { ping_begin } },
	[BROKER_REFUSALS] = { false, false, { refusals_begin } },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum broker_step broker_refuse(struct broker_work *work, enum ipsec_latch_reason reason)
{
	const struct broker_job *job = work->job;
	char text[BROKER_LOG_TUPLE_BYTES];

	work->reply->reason = (uint8_t)reason;
	refused_note(&work->broker->refused, job->uid, job->message.request.type, reason,
		&job->message.facts.tuple, broker_now_ms());
	broker_log_user(job->uid, "refused %s of uid %u %s: %s: %s",
		broker_request_word(job->message.request.type), job->uid,
		job->message.facts.tuple.family == 0
			? "without tuple"
			: broker_log_tuple(&job->message.facts.tuple, text),
		latch_reason_word(reason), latch_reason_text(reason));
	return BROKER_STEP_REPLY;
}

static const struct request_row *row_of(const struct broker_job *job)
{
	const uint8_t type = job->message.request.type;

	if (type >= COUNT(request_rows) || request_rows[type].steps[0] == NULL)
		return NULL;
	return &request_rows[type];
}

bool broker_user_is_allowed(const struct broker *broker, uint32_t uid)
{
	if (broker->options.allowed_count == 0 || uid == 0)
		return true;
	for (size_t i = 0; i < broker->options.allowed_count; i++) {
		if (broker->options.allowed_users[i] == uid)
			return true;
	}
	return false;
}

/* What holds for all requests of a row. */
static enum ipsec_latch_reason request_check(
	const struct broker *broker, const struct broker_job *job, const struct request_row *row)
{
	const struct worker_facts *facts = &job->message.facts;

	if (!broker_user_is_allowed(broker, job->uid))
		return IPSEC_LATCH_NOT_ALLOWED;
	if (!row->needs_descriptor)
		return IPSEC_LATCH_LATCHED;
	if (facts->cookie == 0)
		return facts->reason;
	if (!row->names_cookie)
		return IPSEC_LATCH_LATCHED;
	if (facts->reason != IPSEC_LATCH_LATCHED)
		return facts->reason;
	if (job->message.request.cookie != facts->cookie)
		return IPSEC_LATCH_SOCKET_GONE;
	return IPSEC_LATCH_LATCHED;
}

/* The lease is free for other requests, and perhaps due, again. */
static void job_finish(struct broker_job *job)
{
	if (job->lease != NULL)
		job->lease->is_busy = false;
	job->lease = NULL;
	broker_request_wipe(&job->message.request);
}

void broker_request_refuse(struct broker *broker, struct broker_job *job,
	enum ipsec_latch_reason reason, struct broker_reply *reply)
{
	struct broker_work work = { broker, job, reply, -1 };

	*reply = (struct broker_reply){ .reason = IPSEC_LATCH_KERNEL };
	if (row_of(job) != NULL)
		(void)broker_refuse(&work, reason);
	job_finish(job);
}

bool broker_request_advance(
	struct broker *broker, struct broker_job *job, struct broker_reply *reply, int *ret_program)
{
	struct broker_work work = { broker, job, reply, -1 };
	const struct request_row *row = row_of(job);
	enum ipsec_latch_reason reason = IPSEC_LATCH_LATCHED;
	enum broker_step step = BROKER_STEP_REPLY;

	*reply = (struct broker_reply){ 0 };
	if (row == NULL || job->stage >= COUNT(row->steps) || row->steps[job->stage] == NULL) {
		reply->reason = IPSEC_LATCH_KERNEL;
		goto out;
	}
	if (job->stage == 0)
		reason = request_check(broker, job, row);
	if (reason != IPSEC_LATCH_LATCHED) {
		(void)broker_refuse(&work, reason);
		goto out;
	}
	job->message.operations = (struct worker_operations){ 0 };
	step = row->steps[job->stage](&work);
	job->stage++;
out:
	*ret_program = work.program;
	if (step == BROKER_STEP_REPLY)
		job_finish(job);
	return step == BROKER_STEP_REPLY;
}

/* --- what the steps use --- */

void broker_job_add(struct broker_work *work, enum worker_operation operation)
{
	struct worker_operations *operations = &work->job->message.operations;

	if (operations->count < WORKER_OPERATIONS_MAX)
		operations->list[operations->count++] = (uint8_t)operation;
	if (work->job->lease != NULL) {
		operations->family = work->job->lease->tuple.family;
		operations->reqid_in = work->job->lease->reqid_in;
		operations->reqid_out = work->job->lease->reqid_out;
	}
}

void broker_job_take(struct broker_work *work, struct broker_lease *lease)
{
	lease->is_busy = true;
	work->job->lease = lease;
}

void broker_job_drop(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;

	work->job->lease = NULL;
	lease->is_busy = false;
	broker_drop_lease(work->broker, lease);
}

enum ipsec_latch_reason broker_kernel_reason(uint32_t uid, int result, const char *what)
{
	broker_log_user(uid, "the kernel refused %s: %s", what, strerror(result));
	/* No ESP, or not the cipher that it needs. */
	if (result == EPROTONOSUPPORT || result == ENOSYS || result == ENOENT)
		return IPSEC_LATCH_NO_ESP;
	return IPSEC_LATCH_KERNEL;
}

/* Descriptors or memory: what a recorder needs besides a kernel that takes it. */
static bool is_shortage(int result)
{
	return result == EMFILE || result == ENFILE || result == ENOMEM || result == ENOBUFS;
}

enum ipsec_latch_reason broker_recorder_reason(uint32_t uid, int result, const char *what)
{
	broker_log_user(uid, "%s: %s", what, strerror(result));
	return is_shortage(result) ? IPSEC_LATCH_BROKER_BUSY : IPSEC_LATCH_NO_BPF;
}

bool broker_job_has_stayed(const struct broker_work *work)
{
	const struct worker_facts *facts = &work->job->message.facts;
	const struct broker_lease *lease = work->job->lease;

	return facts->reason == IPSEC_LATCH_LATCHED && facts->cookie == lease->cookie &&
	       tuple_is_same(&facts->tuple, &lease->tuple);
}

/*
 * Nobody knows how much the worker did, and the client gets no answer.  A lease whose inbound
 * policy may be set stays with its socket; any other one carries nothing any more.
 */
void broker_request_abandon(struct broker *broker, struct broker_job *job)
{
	struct broker_lease *lease = job->lease;

	namespaces_end_job(broker, job);
	job_finish(job);
	if (lease == NULL || lease->state != IPSEC_LATCH_STATE_LARVAL)
		return;
	lease->is_released = true;
	broker_break_lease(broker, lease, IPSEC_LATCH_BROKER_LOST);
}

/* --- requests that change nothing --- */

static void direction_count(struct broker *broker, const struct broker_lease *lease,
	bool is_inbound, uint64_t *ret_bytes, uint64_t *ret_packets)
{
	const struct kxfrm_path path = { &lease->tuple, is_inbound };
	const uint32_t spi = is_inbound ? lease->spi_in : lease->spi_out;
	struct kxfrm_counters counters = { 0 };

	if (spi == 0 || kxfrm_sa_query(broker->xfrm, path, spi, &counters) != 0)
		counters = (struct kxfrm_counters){ 0 };
	*ret_bytes = counters.bytes;
	*ret_packets = counters.packets;
}

static void status_fill(struct broker *broker, const struct broker_lease *lease, uint32_t uid,
	struct kbind_status *ret_status)
{
	struct kbind_status status = {
		.cookie = lease->cookie,
		.tuple = lease->tuple,
		.state = lease->state,
		.reason = lease->reason,
		.is_initiator = lease->is_initiator,
		.suite = lease->suite,
		.uid = lease->uid,
		.age_sec = (broker_now_ms() - lease->made_ms) / 1000,
	};

	direction_count(broker, lease, true, &status.bytes_in, &status.packets_in);
	direction_count(broker, lease, false, &status.bytes_out, &status.packets_out);
	/* Whoever knows a SPI before it is used could occupy it at the other end. */
	if (uid == 0 || uid == lease->uid) {
		status.spi_in = lease->spi_in;
		status.spi_out = lease->spi_out;
		status.reqid = lease->reqid_in;
		memcpy(status.local_name, lease->local_name, sizeof(status.local_name));
		memcpy(status.peer_name, lease->peer_name, sizeof(status.peer_name));
		memcpy(status.method, lease->method, sizeof(status.method));
		memcpy(status.service, lease->service, sizeof(status.service));
		memcpy(status.peer_key, lease->peer_key, sizeof(status.peer_key));
	}
	*ret_status = status;
}

static enum broker_step query_begin(struct broker_work *work)
{
	const struct broker_lease *lease =
		lease_table_find(work->broker->leases, work->job->message.facts.cookie);

	if (lease == NULL) {
		work->reply->reason = IPSEC_LATCH_NONE;
		return BROKER_STEP_REPLY;
	}
	status_fill(work->broker, lease, work->job->uid, &work->reply->items[0]);
	work->reply->count = 1;
	return BROKER_STEP_REPLY;
}

static enum broker_step list_begin(struct broker_work *work)
{
	struct broker_reply *reply = work->reply;
	const struct broker_lease *lease =
		lease_table_after(work->broker->leases, work->job->message.request.cursor);

	reply->cursor = work->job->message.request.cursor;
	for (; lease != NULL && reply->count < BROKER_LIST_MAX; lease = lease_table_next(lease)) {
		status_fill(work->broker, lease, work->job->uid, &reply->items[reply->count]);
		reply->count++;
		reply->cursor = lease->id;
	}
	return BROKER_STEP_REPLY;
}

static int probe_association(struct broker *broker)
{
	const struct kbind_tuple tuple = { .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local = { 127, 0, 0, 1 },
		.remote = { 127, 0, 0, 1 } };
	const struct kxfrm_path path = { &tuple, true };
	struct secret_key key = { .len = 36 }; /* of no use to anybody */
	struct kxfrm_sa sa = { .path = path, .reqid = KXFRM_REQID_BASE, .suite = 1, .key = &key };
	int result = kxfrm_spi_allocate(broker->xfrm, &tuple, KXFRM_REQID_BASE, &sa.spi);
	int removed = EINTR;

	if (result != 0)
		return result;
	sa.fills_larval = true;
	result = kxfrm_sa_install(broker->xfrm, &sa);
	for (int tries = 0; broker_removes_again(removed, tries); tries++)
		removed = kxfrm_sa_remove(broker->xfrm, path, sa.spi);
	return result != 0 ? result : removed;
}

/* A kernel that has other things to do, or no memory for a moment, has not said what it cannot do. */
static bool probe_may_pass(int result)
{
	return result == ETIMEDOUT || result == EAGAIN || result == EINTR || is_shortage(result);
}

static enum ipsec_latch_reason probe_associations(struct broker *broker)
{
	int result = EINTR;

	for (int tries = 0; tries < PROBE_TRIES && probe_may_pass(result); tries++)
		result = probe_association(broker);
	if (result == 0)
		return IPSEC_LATCH_LATCHED;
	broker_log(probe_may_pass(result) ? "whether this kernel can do ESP is not known yet: %s"
					  : "this kernel refuses ESP associations: %s",
		strerror(result));
	return probe_may_pass(result) ? IPSEC_LATCH_KERNEL : IPSEC_LATCH_NO_ESP;
}

static enum ipsec_latch_reason probe_recorder(void)
{
	struct recorder *recorder = NULL;
	int result = recorder_new(KXFRM_REQID_BASE, &recorder);

	recorder_free(&recorder);
	if (result == 0)
		result = recorder_settle();
	if (result == 0)
		return IPSEC_LATCH_LATCHED;
	broker_log(probe_may_pass(result)
			   ? "whether this kernel takes the recorder is not known yet: %s"
			   : "this kernel refuses the recorder: %s",
		strerror(result));
	return probe_may_pass(result) ? IPSEC_LATCH_KERNEL : IPSEC_LATCH_NO_BPF;
}

enum ipsec_latch_reason broker_probe(struct broker *broker)
{
	if (broker->has_latched_once)
		return IPSEC_LATCH_LATCHED;
	if (broker_now_ms() < broker->probe_next_ms)
		return broker->cannot;
	broker->cannot = probe_associations(broker);
	if (broker->cannot == IPSEC_LATCH_LATCHED)
		broker->cannot = probe_recorder();
	broker->probe_next_ms = broker_now_ms() + PROBE_KEPT_MS;
	broker->has_latched_once = broker->cannot == IPSEC_LATCH_LATCHED;
	return broker->cannot;
}

static enum broker_step ping_begin(struct broker_work *work)
{
	/* Who may mend it has it looked at anew. */
	if (work->job->uid == 0)
		work->broker->probe_next_ms = 0;
	work->reply->reason = (uint8_t)broker_probe(work->broker);
	return BROKER_STEP_REPLY;
}

static enum broker_step refusals_begin(struct broker_work *work)
{
	struct broker_reply *reply = work->reply;

	reply->cursor = work->job->message.request.cursor;
	reply->count = refused_list(&work->broker->refused, work->job->uid, broker_now_ms(),
		&reply->cursor, reply->refusals, BROKER_LIST_MAX);
	return BROKER_STEP_REPLY;
}
