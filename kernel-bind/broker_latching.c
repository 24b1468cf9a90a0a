/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * LATCH and RELEASE (doc/protocol.md section 6, order 3 and 4, and failure); (e) and (f) of the
 * verdict are the client's to check.
 *
 *	acceptor   outbound SA, outbound and inbound policy, cover, verdict
 *	initiator  outbound and inbound policy, cover, verdict
 *
 * Before the inbound policy is set a failure is undone (by the client's RELEASE); afterwards the
 * connection speaks ESP or nothing.
 */
#include <errno.h>
#include <string.h>

#include "kernel-bind/broker.h"
#include "kernel-bind/broker_log.h"

/* --- LATCH --- */

/* More marked segments than the SA let through: a firewall has put the mark on clear ones, too. */
static enum ipsec_latch_reason mark_judge(
	const struct broker_work *work, const struct recorder_record *record)
{
	const struct broker_lease *lease = work->job->lease;
	const struct kxfrm_path path = { &lease->tuple, true };
	struct kxfrm_counters counters;
	int result = kxfrm_sa_query(work->broker->xfrm, path, lease->spi_in, &counters);

	if (result != 0)
		return broker_kernel_reason(lease->uid, result, "to show an inbound SA");
	if (recorder_judge_marks(record, counters.packets) == IPSEC_LATCH_LATCHED)
		return IPSEC_LATCH_LATCHED;
	broker_log_user(lease->uid,
		"SPI %08x: %llu segments bear its mark, %llu came through it; does a firewall rule "
		"restore packet marks (ct mark)?",
		lease->spi_in, (unsigned long long)record->protected_packets,
		(unsigned long long)counters.packets);
	return IPSEC_LATCH_CLEAR_BEHIND;
}

/* Until the filter is locked whoever holds the descriptor can take the recorder off, and no record
 * tells of what came since.  An eBPF filter instead of it takes privileges. */
static enum ipsec_latch_reason latch_judge(const struct broker_work *work)
{
	const uint32_t buffer_bytes = work->job->message.facts.buffer_bytes;
	struct broker_lease *lease = work->job->lease;
	struct recorder_record record;
	enum ipsec_latch_reason reason;

	if (!work->job->message.facts.has_extended_filter)
		return IPSEC_LATCH_HAS_FILTER;
	lease->is_unbound = lease->is_unbound && !work->job->message.facts.is_bound;
	if (buffer_bytes > lease->buffer_bytes)
		lease->buffer_bytes = buffer_bytes;
	recorder_read(lease->recorder, &record);
	reason = mark_judge(work, &record);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	return recorder_judge(&record, work->job->message.request.token_bytes, lease->buffer_bytes);
}

static enum ipsec_latch_reason latch_state_reason(const struct broker_lease *lease)
{
	/* clang-format off */
	static const uint8_t by_state[] = {
		[IPSEC_LATCH_STATE_LARVAL] = IPSEC_LATCH_LATCHED,
		[IPSEC_LATCH_STATE_ESTABLISHED] = IPSEC_LATCH_ALREADY_LATCHED,
		[IPSEC_LATCH_STATE_BROKEN] = IPSEC_LATCH_KERNEL,
		[IPSEC_LATCH_STATE_FAILED] = IPSEC_LATCH_EXPIRED,
		[IPSEC_LATCH_STATE_CLOSING] = IPSEC_LATCH_SOCKET_GONE,
	};
	/* clang-format on */

	if (lease->state == IPSEC_LATCH_STATE_BROKEN && lease->reason != 0)
		return lease->reason;
	if (lease->state == IPSEC_LATCH_STATE_LARVAL &&
		(lease->is_released || lease->recorder == NULL))
		return IPSEC_LATCH_EXPIRED;
	return by_state[lease->state];
}

/* Finds the lease that the request is about and takes it, or says why not. */
static enum ipsec_latch_reason lease_claim(struct broker_work *work)
{
	const struct broker_job *job = work->job;
	struct broker_lease *lease =
		lease_table_find(work->broker->leases, job->message.facts.cookie);

	if (lease == NULL)
		return IPSEC_LATCH_BROKER_LOST;
	if (!lease_is_owned(lease, job->uid, job->message.request.secret))
		return IPSEC_LATCH_NOT_ALLOWED;
	if (lease->is_busy)
		return IPSEC_LATCH_ALREADY_LATCHED;
	broker_job_take(work, lease);
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason latch_check(struct broker_work *work)
{
	const struct broker_request *request = &work->job->message.request;
	enum ipsec_latch_reason reason = lease_claim(work);
	struct broker_lease *lease = work->job->lease;
	size_t key_bytes;

	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = latch_state_reason(lease);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	if (!broker_job_has_stayed(work)) {
		broker_break_lease(work->broker, lease, IPSEC_LATCH_SOCKET_GONE);
		return IPSEC_LATCH_SOCKET_GONE;
	}
	if (!lease->is_initiator &&
		(!kxfrm_suite_is_known(lease->suite, &key_bytes) ||
			request->key_out.len != key_bytes || request->spi_out < BROKER_SPI_MIN))
		return IPSEC_LATCH_NO_SUITE;
	if (broker_offload_is_loaded(work->broker))
		return IPSEC_LATCH_OFFLOAD;
	/* What fails already now would fail after the policies too, but can still be undone. */
	return latch_judge(work);
}

static void lease_set_names(struct broker_lease *lease, const struct broker_request *request)
{
	memcpy(lease->local_name, request->local_name, sizeof(lease->local_name));
	memcpy(lease->peer_name, request->peer_name, sizeof(lease->peer_name));
	memcpy(lease->method, request->method, sizeof(lease->method));
	memcpy(lease->service, request->service, sizeof(lease->service));
	memcpy(lease->peer_key, request->peer_key, sizeof(lease->peer_key));
}

enum broker_step broker_latch_begin(struct broker_work *work)
{
	const struct broker_request *request = &work->job->message.request;
	enum ipsec_latch_reason reason = latch_check(work);
	struct broker_lease *lease = work->job->lease;
	int result = 0;

	if (reason != IPSEC_LATCH_LATCHED)
		return broker_refuse(work, reason);
	if (!lease->is_initiator && lease->spi_out == 0)
		result = broker_outbound_install(
			work->broker, lease, request->spi_out, &request->key_out);
	if (result != 0)
		return broker_refuse(
			work, broker_kernel_reason(lease->uid, result, "an outbound SA"));
	lease_set_names(lease, request);
	lease->is_marked =
		broker_cover_wants_mark(work->broker, lease, work->job->message.facts.mark);
	if (lease->is_marked)
		result = broker_blocks_ensure(work->broker);
	if (result != 0)
		return broker_refuse(
			work, broker_kernel_reason(lease->uid, result, "the close cover's blocks"));
	/* Written before it is done: after a restart the policies must be known of. */
	lease->has_in_policy = lease->has_out_policy = true;
	if (broker_record(work->broker, lease) != 0) {
		lease->has_in_policy = false;
		lease->has_out_policy = lease->is_initiator;
		lease->is_marked = false;
		return broker_refuse(work, IPSEC_LATCH_KERNEL);
	}
	/* Again at the initiator: a route that it found without the SAs would stay. */
	broker_job_add(work, WORKER_REQUIRE_OUT);
	broker_job_add(work, WORKER_REQUIRE_IN);
	if (lease->is_marked)
		broker_job_add(work, WORKER_MARK);
	broker_job_add(work, WORKER_PROBE);
	/* Whoever else holds the descriptor shall not take the recorder off. */
	broker_job_add(work, WORKER_LOCK);
	return BROKER_STEP_OPERATIONS;
}

static enum ipsec_latch_reason cover_install(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;
	struct recorder_record record;

	recorder_read(lease->recorder, &record);
	/* A cover outlives its socket: only for a connection on which the peer proved its SA. */
	if (record.protected_packets == 0)
		return IPSEC_LATCH_SHORT;
	broker_cover_take_over(work->broker, &lease->tuple);
	return broker_cover_begin(work->broker, lease);
}

/* Policies (a), cover, drop mode (b), then the record: (c) and (d). */
static enum ipsec_latch_reason latch_result(struct broker_work *work)
{
	const struct worker_result *result = &work->job->message.result;
	struct broker_lease *lease = work->job->lease;
	enum ipsec_latch_reason reason;

	if (result->error != 0)
		return broker_kernel_reason(lease->uid, result->error, "a socket policy");
	if (!broker_job_has_stayed(work))
		broker_break_lease(work->broker, lease, IPSEC_LATCH_SOCKET_GONE);
	if (lease->state == IPSEC_LATCH_STATE_BROKEN)
		return lease->reason;
	if (lease->state != IPSEC_LATCH_STATE_LARVAL || lease->recorder == NULL)
		return IPSEC_LATCH_SOCKET_GONE;
	reason = cover_install(work);
	recorder_drop(lease->recorder);
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	return latch_judge(work);
}

static enum broker_step latch_fail(struct broker_work *work, enum ipsec_latch_reason reason)
{
	struct broker_lease *lease = work->job->lease;
	const bool has_policies = work->job->message.result.error == 0;

	recorder_free(&lease->recorder);
	if (lease->state == IPSEC_LATCH_STATE_LARVAL) {
		lease->state = IPSEC_LATCH_STATE_FAILED;
		lease->due_ms = 0;
	}
	lease->reason = (uint8_t)reason;
	(void)broker_record(work->broker, lease);
	if (has_policies)
		return broker_refuse(work, reason);
	broker_job_add(work, WORKER_BLOCK);
	return BROKER_STEP_OPERATIONS;
}

enum broker_step broker_latch_required(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;
	enum ipsec_latch_reason reason = latch_result(work);
	char text[BROKER_LOG_TUPLE_BYTES];

	if (reason != IPSEC_LATCH_LATCHED)
		return latch_fail(work, reason);
	lease->state = IPSEC_LATCH_STATE_ESTABLISHED;
	lease->reason = IPSEC_LATCH_LATCHED;
	lease->due_ms = 0;
	if (broker_record(work->broker, lease) != 0) {
		lease->state = IPSEC_LATCH_STATE_LARVAL;
		return latch_fail(work, IPSEC_LATCH_KERNEL);
	}
	recorder_free(&lease->recorder);
	work->broker->has_latched_once = true;
	work->reply->reason = IPSEC_LATCH_LATCHED;
	broker_log_user(lease->uid,
		"latched uid %u %s: claims '%s' with '%s', SPI %08x in %08x out", lease->uid,
		broker_log_tuple(&lease->tuple, text), lease->local_name, lease->peer_name,
		lease->spi_in, lease->spi_out);
	return BROKER_STEP_REPLY;
}

enum broker_step broker_latch_blocked(struct broker_work *work)
{
	return broker_refuse(work, work->job->lease->reason);
}

/* --- RELEASE --- */

/* Without its record (the broker was restarted, the SAs are gone) nobody knows: then it may have. */
static bool initiator_may_have_received(const struct broker_work *work)
{
	const struct broker_lease *lease = work->job->lease;
	struct recorder_record record;

	if (!lease->is_initiator || !lease->has_out_policy)
		return false;
	/* What an earlier connection of this socket sent is gone with it. */
	if (lease->recorder == NULL)
		return broker_job_has_stayed(work);
	recorder_read(lease->recorder, &record);
	return record.protected_packets > 0;
}

/* A broken one has no SAs any more: nothing must leave or come in. Recorded before it is done. */
static enum broker_step release_block(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;

	lease->has_in_policy = lease->has_out_policy = true;
	(void)broker_record(work->broker, lease);
	broker_job_add(work, WORKER_BLOCK);
	return BROKER_STEP_OPERATIONS;
}

/* The context is dead but its connection goes on: it speaks ESP or nothing. */
static enum broker_step release_keep(struct broker_work *work)
{
	struct broker_lease *lease = work->job->lease;

	lease->is_released = true;
	if (lease->state == IPSEC_LATCH_STATE_ESTABLISHED ||
		lease->state == IPSEC_LATCH_STATE_LARVAL)
		lease->state = IPSEC_LATCH_STATE_FAILED;
	if (lease->state != IPSEC_LATCH_STATE_CLOSING)
		lease->due_ms = 0;
	recorder_free(&lease->recorder);
	(void)broker_record(work->broker, lease);
	return BROKER_STEP_REPLY;
}

enum broker_step broker_release_begin(struct broker_work *work)
{
	const struct worker_facts *facts = &work->job->message.facts;
	enum ipsec_latch_reason reason = lease_claim(work);
	struct broker_lease *lease = work->job->lease;
	bool may_repeat;

	if (reason == IPSEC_LATCH_BROKER_LOST) /* nothing to undo */
		return BROKER_STEP_REPLY;
	if (reason != IPSEC_LATCH_LATCHED)
		return broker_refuse(work, reason);
	may_repeat = initiator_may_have_received(work);
	if (lease->state == IPSEC_LATCH_STATE_BROKEN && (lease->has_in_policy || may_repeat))
		return release_block(work);
	if (lease->has_in_policy || may_repeat || lease->state == IPSEC_LATCH_STATE_FAILED ||
		lease->state == IPSEC_LATCH_STATE_CLOSING)
		return release_keep(work);
	if (lease->has_out_policy)
		broker_job_add(work, WORKER_CLEAR);
	/* A classic one is the program's own, set since. */
	if (!facts->has_filter || facts->has_extended_filter)
		broker_job_add(work, WORKER_DETACH);
	return BROKER_STEP_OPERATIONS;
}

enum broker_step broker_release_done(struct broker_work *work)
{
	const struct worker_result *result = &work->job->message.result;
	struct broker_lease *lease = work->job->lease;

	if (result->error != 0)
		broker_log_user(lease->uid, "release of lease %llu: %s",
			(unsigned long long)lease->id, strerror(result->error));
	lease->is_released = true;
	if (lease->has_in_policy || (lease->has_out_policy && result->error != 0))
		return release_keep(work);
	lease->has_out_policy = false;
	/* The acceptor's inbound SA stays until its time, so that the peer's last words arrive. */
	if (!lease->is_initiator && lease->state == IPSEC_LATCH_STATE_LARVAL) {
		(void)broker_record(work->broker, lease);
		return BROKER_STEP_REPLY;
	}
	broker_job_drop(work);
	return BROKER_STEP_REPLY;
}
