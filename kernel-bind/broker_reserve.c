/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RESERVE, the first half of a latch (doc/protocol.md section 6, order 1 and 2).
 *
 *	acceptor   recorder, SPI_r, inbound SA
 *	initiator  recorder, SPI_i, both SAs, outbound policy
 *
 * Then the worker waits for what came before the recorder; the client looks for that afterwards.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

/* A lease whose context is gone makes room for the next try, unless this connection demands ESP: what
 * was sent in ESP and not acknowledged would be repeated in the clear. */
static bool lease_is_replaceable(
	const struct broker_lease *lease, uint32_t uid, const struct kbind_tuple *tuple)
{
	if (lease->has_in_policy || (lease->has_out_policy && tuple_is_same(&lease->tuple, tuple)))
		return false;
	return lease->uid == uid && !lease->is_busy &&
	       (lease->is_released || lease->state == IPSEC_LATCH_STATE_BROKEN);
}

/*
 * T1 may name any connection of the acceptor's, and nobody has proved anything yet.  A reservation of
 * somebody else's connection does not keep the T1 from its place that its program reads from it
 * later: so much was taken off the connection since, and nothing came under the reservation's SA.
 */
static bool lease_is_overtaken(const struct broker_lease *lease, const struct broker_job *job)
{
	const struct broker_request *request = &job->message.request;
	const struct worker_facts *facts = &job->message.facts;
	struct recorder_record record;

	if (lease->state != IPSEC_LATCH_STATE_LARVAL || lease->is_initiator || lease->is_busy ||
		lease->recorder == NULL || lease->has_in_policy || lease->uid != job->uid)
		return false;
	if (request->is_initiator || request->token_bytes == 0 ||
		!tuple_is_same(&lease->tuple, &facts->tuple) ||
		facts->taken_bytes < lease->taken_bytes)
		return false;
	recorder_read(lease->recorder, &record);
	return record.protected_packets == 0 &&
	       facts->taken_bytes - lease->taken_bytes >= request->token_bytes;
}

/* The new try is one lease for one of the same user's, so no quota refuses it: the policy that was
 * required of the socket would stay there, with nobody to take it off. */
static void reserve_replace(struct broker_work *work, struct broker_lease *old)
{
	if (old->has_out_policy)
		broker_job_add(work, WORKER_CLEAR);
	broker_drop_lease(work->broker, old);
}

static enum ipsec_latch_reason reserve_check(struct broker_work *work)
{
	struct broker *broker = work->broker;
	const struct broker_job *job = work->job;
	const struct broker_request *request = &job->message.request;
	const struct worker_facts *facts = &job->message.facts;
	struct broker_lease *old = lease_table_find(broker->leases, facts->cookie);
	enum ipsec_latch_reason reason;
	size_t key_bytes;

	if (old != NULL && !lease_is_replaceable(old, job->uid, &facts->tuple) &&
		!lease_is_overtaken(old, job))
		return IPSEC_LATCH_ALREADY_LATCHED;
	if (!facts->is_established)
		return IPSEC_LATCH_SOCKET_GONE;
	if (!kxfrm_suite_is_known(request->suite, &key_bytes))
		return IPSEC_LATCH_NO_SUITE;
	if (request->key_in.len != key_bytes ||
		(request->is_initiator &&
			(request->key_out.len != key_bytes || request->spi_out < BROKER_SPI_MIN)))
		return IPSEC_LATCH_NO_SUITE;
	/* The filter of an earlier try is the recorder, and goes when the new one is attached. */
	if (facts->has_filter && old == NULL)
		return IPSEC_LATCH_HAS_FILTER;
	if (facts->has_ulp)
		return IPSEC_LATCH_ULP;
	if (broker_offload_is_loaded(broker))
		return IPSEC_LATCH_OFFLOAD;
	reason = broker_judge_policies(broker, &facts->tuple, facts->mark);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	if (old == NULL && broker_quota_is_used_up(broker, job->uid)) {
		broker_quota_make_room(broker, job->uid);
		if (broker_quota_is_used_up(broker, job->uid))
			return IPSEC_LATCH_QUOTA;
	}
	/* Behind all else that could refuse: this changes something. */
	if (!broker_cover_yield(broker, &facts->tuple, facts->cookie))
		return IPSEC_LATCH_COVERED;
	if (old != NULL)
		reserve_replace(work, old);
	return IPSEC_LATCH_LATCHED;
}

static bool reqid_draw(const struct broker *broker, uint32_t *ret_reqid)
{
	uint32_t reqid;

	do {
		if (getrandom(&reqid, sizeof(reqid), 0) != (ssize_t)sizeof(reqid))
			return false;
		reqid = KXFRM_REQID_BASE | (reqid & KXFRM_REQID_MASK);
	} while (reqid == KXFRM_REQID_BASE || lease_table_uses_reqid(broker->leases, reqid));
	*ret_reqid = reqid;
	return true;
}

static struct broker_lease *lease_make(struct broker_work *work)
{
	const struct broker_request *request = &work->job->message.request;
	const struct worker_facts *facts = &work->job->message.facts;
	struct broker_lease lease = {
		.cookie = facts->cookie,
		.tuple = facts->tuple,
		.uid = work->job->uid,
		.state = IPSEC_LATCH_STATE_LARVAL,
		.suite = request->suite,
		.is_initiator = request->is_initiator,
		.buffer_bytes = facts->buffer_bytes,
		.taken_bytes = facts->taken_bytes,
		.is_unbound = !facts->is_bound,
		.made_ms = broker_now_ms(),
	};
	struct broker_lease *made = NULL;

	lease.due_ms = lease.made_ms + work->broker->options.larval_ms;
	if (reqid_draw(work->broker, &lease.reqid_in) &&
		getrandom(lease.secret, sizeof(lease.secret), 0) == (ssize_t)sizeof(lease.secret)) {
		lease.reqid_out = lease.reqid_in;
		made = lease_table_insert(work->broker->leases, &lease);
	}
	secret_wipe(&lease, sizeof(lease));
	return made;
}

static bool lease_owns_inbound(const struct broker_lease *lease)
{
	return lease->spi_in != 0;
}

/*
 * Client and server on one host: the outbound SA is the other end's inbound one.  It is shared only
 * when that end is a lease here, on the mirrored tuple, with this SPI and this key.
 */
static int outbound_share(struct broker *broker, struct broker_lease *lease, uint32_t spi,
	const struct secret_key *key)
{
	const struct kxfrm_path path = { &lease->tuple, false };
	struct kbind_tuple mirrored;
	const struct broker_lease *peer;
	bool is_same = false;
	int result;

	tuple_mirror(&lease->tuple, &mirrored);
	peer = lease_table_find_tuple(broker->leases, &mirrored, lease, lease_owns_inbound);
	if (peer == NULL || peer->spi_in != spi || peer->suite != lease->suite)
		return EEXIST;
	result = kxfrm_sa_compare_key(broker->xfrm, path, spi, key, &is_same);
	if (result != 0)
		return result;
	if (!is_same)
		return EEXIST;
	lease->reqid_out = peer->reqid_in;
	lease->shares_out = true;
	lease->spi_out = spi;
	return 0;
}

/* The kernel may have done what it could not tell us.  What has this key is this lease's, and goes
 * with it. */
static void outbound_find(struct broker *broker, struct broker_lease *lease, uint32_t spi,
	const struct secret_key *key)
{
	const struct kxfrm_path path = { &lease->tuple, false };
	bool is_same = false;

	if (kxfrm_sa_compare_key(broker->xfrm, path, spi, key, &is_same) == 0 && is_same)
		lease->spi_out = spi;
}

int broker_outbound_install(struct broker *broker, struct broker_lease *lease, uint32_t spi,
	const struct secret_key *key)
{
	const struct kxfrm_sa sa = {
		.path = { &lease->tuple, false },
		.spi = spi,
		.reqid = lease->reqid_out,
		.suite = lease->suite,
		.key = key,
	};
	int result = kxfrm_sa_install(broker->xfrm, &sa);

	if (result == EEXIST)
		return outbound_share(broker, lease, spi, key);
	if (result == 0)
		lease->spi_out = spi;
	else
		outbound_find(broker, lease, spi, key);
	return result;
}

static int inbound_install(
	struct broker *broker, struct broker_lease *lease, const struct secret_key *key)
{
	struct kxfrm_sa sa = {
		.path = { &lease->tuple, true },
		.reqid = lease->reqid_in,
		.mark = lease->reqid_in,
		.suite = lease->suite,
		.key = key,
		.fills_larval = true,
	};
	int result = kxfrm_spi_allocate(broker->xfrm, &lease->tuple, lease->reqid_in, &sa.spi);

	if (result != 0)
		return result;
	lease->spi_in = sa.spi; /* also the larval SA is to be removed */
	return kxfrm_sa_install(broker->xfrm, &sa);
}

static enum ipsec_latch_reason reserve_install(struct broker_work *work)
{
	const struct broker_request *request = &work->job->message.request;
	struct broker_lease *lease = work->job->lease;
	int result = EMFILE;

	if (recorder_count() < work->broker->options.recorders_max)
		result = recorder_new(lease->reqid_in, &lease->recorder);
	if (result != 0)
		return broker_recorder_reason(lease->uid, result, "no recorder");
	result = inbound_install(work->broker, lease, &request->key_in);
	if (result != 0)
		return broker_kernel_reason(lease->uid, result, "an inbound SA");
	if (lease->is_initiator)
		result = broker_outbound_install(
			work->broker, lease, request->spi_out, &request->key_out);
	if (result != 0)
		return broker_kernel_reason(lease->uid, result, "an outbound SA");
	lease->has_out_policy = lease->is_initiator;
	return broker_record(work->broker, lease) == 0 ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_KERNEL;
}

enum broker_step broker_reserve_begin(struct broker_work *work)
{
	enum ipsec_latch_reason reason = reserve_check(work);
	struct broker_lease *lease;

	if (reason != IPSEC_LATCH_LATCHED)
		return broker_refuse(work, reason);
	lease = lease_make(work);
	if (lease == NULL)
		return broker_refuse(work, IPSEC_LATCH_BROKER_BUSY); /* no memory */
	broker_job_take(work, lease);
	reason = reserve_install(work);
	/* The try before is forgotten, so its recorder would be nobody's. */
	if (reason != IPSEC_LATCH_LATCHED && work->job->message.facts.has_extended_filter)
		broker_job_add(work, WORKER_DETACH);
	if (reason != IPSEC_LATCH_LATCHED && work->job->message.operations.count > 0) {
		/* The policy of the try before must go in any case; see reserve_result(). */
		lease->reason = (uint8_t)reason;
		return BROKER_STEP_OPERATIONS;
	}
	if (reason != IPSEC_LATCH_LATCHED) {
		broker_job_drop(work);
		return broker_refuse(work, reason);
	}
	work->program = recorder_program(lease->recorder);
	broker_job_add(work, WORKER_ATTACH);
	if (lease->is_initiator)
		broker_job_add(work, WORKER_REQUIRE_OUT);
	broker_job_add(work, WORKER_SETTLE);
	if (lease->is_initiator)
		broker_job_add(work, WORKER_PROBE);
	return BROKER_STEP_OPERATIONS;
}

static enum ipsec_latch_reason reserve_result(struct broker_work *work)
{
	const struct worker_result *result = &work->job->message.result;
	const struct broker_lease *lease = work->job->lease;
	enum ipsec_latch_reason reason;

	if (lease->reason != IPSEC_LATCH_LATCHED)
		return lease->reason;
	if (result->error != 0 && result->failed == WORKER_ATTACH) {
		reason = broker_recorder_reason(lease->uid, result->error, "recorder not attached");
		return result->error == EPERM ? IPSEC_LATCH_HAS_FILTER : reason;
	}
	if (result->error != 0 && result->failed == WORKER_SETTLE) {
		broker_log_user(lease->uid, "the kernel cannot wait for segments under way: %s",
			strerror(result->error));
		return IPSEC_LATCH_NO_BPF;
	}
	if (result->error != 0)
		return broker_kernel_reason(lease->uid, result->error, "a socket policy");
	if (lease->state != IPSEC_LATCH_STATE_LARVAL || !broker_job_has_stayed(work))
		return IPSEC_LATCH_SOCKET_GONE;
	return IPSEC_LATCH_LATCHED;
}

enum broker_step broker_reserve_attached(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;
	enum ipsec_latch_reason reason = reserve_result(work);
	char text[BROKER_LOG_TUPLE_BYTES];

	if (reason != IPSEC_LATCH_LATCHED) {
		if (lease->is_initiator)
			broker_job_add(work, WORKER_CLEAR);
		broker_job_add(work, WORKER_DETACH);
		lease->reason = (uint8_t)reason;
		return BROKER_STEP_OPERATIONS;
	}
	recorder_close_program(lease->recorder);
	memcpy(work->reply->secret, lease->secret, sizeof(work->reply->secret));
	work->reply->cookie = lease->cookie;
	work->reply->spi_in = lease->spi_in;
	broker_log_verbose("reserved uid %u %s: %s, SPI %08x in", lease->uid,
		broker_log_tuple(&lease->tuple, text),
		lease->is_initiator ? "initiator" : "acceptor", lease->spi_in);
	return BROKER_STEP_REPLY;
}

enum broker_step broker_reserve_undone(struct broker_work *work)
{
	const enum ipsec_latch_reason reason = work->job->lease->reason;

	broker_job_drop(work);
	return broker_refuse(work, reason);
}
