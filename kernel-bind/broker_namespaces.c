/* SPDX-License-Identifier: BSD-2-Clause */
/* Other network namespaces; see broker_namespaces.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/broker_intake.h"
#include "kernel-bind/broker_keeper.h"
#include "kernel-bind/broker_log.h"
#include "kernel-bind/broker_message.h"
#include "kernel-bind/broker_namespaces.h"

#define FORWARDS_MAX 2

static struct broker_namespace *space_find(struct broker *broker, uint64_t cookie)
{
	for (size_t i = 0; i < BROKER_NAMESPACES_MAX; i++) {
		if (broker->namespaces[i].id != 0 && broker->namespaces[i].cookie == cookie)
			return &broker->namespaces[i];
	}
	return NULL;
}

static struct broker_namespace *space_find_id(struct broker *broker, uint64_t id)
{
	for (size_t i = 0; i < BROKER_NAMESPACES_MAX && id != 0; i++) {
		if (broker->namespaces[i].id == id)
			return &broker->namespaces[i];
	}
	return NULL;
}

static void space_forget(struct broker_namespace *space)
{
	message_close(&space->intake);
	*space = (struct broker_namespace){ .intake = -1 };
}

/* A place for one more of this user's; NULL: there are too many. Containers of root's are many. */
static struct broker_namespace *space_find_room(
	struct broker *broker, const struct broker_user *user)
{
	struct broker_namespace *room = NULL;
	size_t of_account = 0, of_group = 0;

	for (size_t i = 0; i < BROKER_NAMESPACES_MAX; i++) {
		struct broker_namespace *space = &broker->namespaces[i];

		if (space->id == 0) {
			room = room != NULL ? room : space;
			continue;
		}
		of_account += space->user.account == user->account;
		of_group += space->user.group == user->group;
	}
	if (user->uid != 0 && (of_account >= BROKER_NAMESPACES_USER ||
				      of_group >= BROKER_NAMESPACES_USER * USERS_GROUP_FACTOR))
		return NULL;
	return room;
}

/* The broker at the other end is still to start: until then connections wait in the pair. */
static int space_begin(
	struct broker *broker, struct broker_namespace *room, uint64_t cookie, int space)
{
	int pair[2], result;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return errno;
	result = keeper_ask(broker->keeper, cookie, space, pair[1]);
	(void)close(pair[1]);
	if (result != 0) {
		(void)close(pair[0]);
		return result;
	}
	*room = (struct broker_namespace){
		.id = ++broker->namespace_ids,
		.cookie = cookie,
		.intake = pair[0],
	};
	return 0;
}

static enum ipsec_latch_reason space_make(struct broker *broker, const struct broker_job *job,
	int space, struct broker_namespace **ret_space)
{
	const uint64_t cookie = job->message.facts.space_cookie;
	struct broker_namespace *room;
	struct broker_user user;
	int result;

	users_find(job->uid, &user);
	room = space_find_room(broker, &user);
	if (room == NULL)
		return IPSEC_LATCH_QUOTA;
	result = space_begin(broker, room, cookie, space);
	if (result != 0) {
		broker_log_user(job->uid, "network namespace %llu of uid %u has no broker: %s",
			(unsigned long long)cookie, job->uid, strerror(result));
		return IPSEC_LATCH_BROKER_BUSY;
	}
	room->user = user;
	*ret_space = room;
	return IPSEC_LATCH_LATCHED;
}

enum ipsec_latch_reason namespaces_forward(
	struct broker *broker, struct broker_job *job, int space, int *ret_intake)
{
	const uint64_t cookie = job->message.facts.space_cookie;
	struct broker_namespace *found = space_find_id(broker, job->namespace_id);
	enum ipsec_latch_reason reason;

	if (!broker_user_is_allowed(broker, job->uid))
		return IPSEC_LATCH_NOT_ALLOWED;
	/* EAGAIN: it has more to do than it can, but lives. */
	if (found != NULL && job->message.result.error == EPIPE)
		space_forget(found);
	else
		namespaces_end_job(broker, job);
	job->namespace_id = 0;
	if (cookie == 0)
		return IPSEC_LATCH_OTHER_NETNS;
	if (job->forwards++ == FORWARDS_MAX)
		return IPSEC_LATCH_BROKER_BUSY;
	found = space_find(broker, cookie);
	if (found == NULL) {
		reason = space_make(broker, job, space, &found);
		if (reason != IPSEC_LATCH_LATCHED)
			return reason;
	}
	found->under_way++;
	job->namespace_id = found->id;
	*ret_intake = found->intake;
	return IPSEC_LATCH_LATCHED;
}

void namespaces_end_job(struct broker *broker, struct broker_job *job)
{
	struct broker_namespace *space = space_find_id(broker, job->namespace_id);

	job->namespace_id = 0;
	if (space == NULL)
		return;
	space->under_way--;
	space->sent++;
}

void namespaces_read(struct broker_namespace *space)
{
	uint64_t received = 0;
	int result = intake_read_idle(space->intake, &received);

	if (result == EAGAIN || result == EINTR)
		return;
	if (result != 0) {
		broker_log_user(space->user.uid, "the broker of network namespace %llu has ended",
			(unsigned long long)space->cookie);
		space_forget(space);
		return;
	}
	if (space->under_way > 0)
		return;
	/* One that it had not received when it asked, or that was never sent (its worker was killed):
	 * by the next time it asks it has received all there is. */
	if (received != space->sent) {
		space->sent = received;
		return;
	}
	broker_log_verbose("network namespace %llu is not served any more: nothing to do",
		(unsigned long long)space->cookie);
	result = intake_send_go(space->intake);
	if (result != 0)
		broker_log("a namespace's broker cannot be sent away: %s", strerror(result));
	space_forget(space);
}
