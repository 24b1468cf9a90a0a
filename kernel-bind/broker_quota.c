/* SPDX-License-Identifier: BSD-2-Clause */
/* How many leases a user may have, so that there are some for others. */
#include "kernel-bind/broker.h"

#define QUOTA_SPARE_PART 8
#define QUOTA_SPARE_SHARE 16
#define QUOTA_CLOSING_PART 4 /* that much of the total no group fills with what it has closed */
/* So many times what is free: alone that is 6 of 7 parts of seven eighths, three quarters. */
#define QUOTA_CLOSING_FACTOR 6

struct quota_use {
	struct broker_user user;
	size_t of_account, of_group; /* leases that are not CLOSING */
	size_t closing_of_account, closing_of_group;
};

static size_t quota_few(const struct broker_options *options)
{
	return (options->quota_user + QUOTA_SPARE_SHARE - 1) / QUOTA_SPARE_SHARE;
}

static void each_user(void *context, uint32_t uid, size_t count, size_t closing)
{
	struct quota_use *use = context;
	struct broker_user other;

	users_find(uid, &other);
	if (other.account == use->user.account) {
		use->of_account += count - closing;
		use->closing_of_account += closing;
	}
	if (other.group == use->user.group) {
		use->of_group += count - closing;
		use->closing_of_group += closing;
	}
}

/*
 * What an account has closed is kept for the closing time, and is not what it holds: a server may see
 * 12 times its quota of connections come and go meanwhile.  But whoever has closed six times as many
 * as are free waits: one alone gets three quarters of the total, and half of that when somebody else
 * comes who needs as many; nobody's closed ones take the last places before the last eighth.
 */
static bool closing_is_used_up(
	const struct broker *broker, const struct quota_use *use, uint32_t uid)
{
	const size_t total = broker->options.quota_total, all = lease_table_count(broker->leases);
	const size_t shared = total - total / QUOTA_SPARE_PART;

	if (use->closing_of_group >= total - total / QUOTA_CLOSING_PART)
		return true;
	return uid != 0 && all < shared &&
	       use->closing_of_group >= USERS_GROUP_FACTOR * quota_few(&broker->options) &&
	       use->closing_of_group >= QUOTA_CLOSING_FACTOR * (shared - all);
}

/* Whoever has a few leases only may have them while others hoard: the last eighth of the total is for
 * accounts with less than a sixteenth of what they may have else, closed ones included. */
bool broker_quota_is_used_up(const struct broker *broker, uint32_t uid)
{
	const struct broker_options *options = &broker->options;
	const size_t all = lease_table_count(broker->leases);
	struct quota_use use = { .of_account = 0 };
	size_t limit = options->quota_user;

	users_find(uid, &use.user);
	lease_table_each_user(broker->leases, each_user, &use);
	if (closing_is_used_up(broker, &use, uid))
		return true;
	if (uid != 0 && all >= options->quota_total - options->quota_total / QUOTA_SPARE_PART) {
		limit = quota_few(options);
		use.of_account += use.closing_of_account;
		use.of_group += use.closing_of_group;
	}
	return all >= options->quota_total || use.of_account >= limit ||
	       use.of_group >= USERS_GROUP_FACTOR * limit;
}

/* Nothing on such a lease's socket but the recorder, which lets everything pass; only that no new
 * try can be made there is lost with it. */
static bool lease_is_spent(const struct broker_lease *lease)
{
	return lease->state == IPSEC_LATCH_STATE_BROKEN && !lease->has_in_policy &&
	       !lease->has_out_policy && !lease->is_busy;
}

/* Reservations that nobody used stay as long as their sockets; anybody can have a server make them, and
 * hold the connections.  The oldest one of the account makes room. */
void broker_quota_make_room(struct broker *broker, uint32_t uid)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0);
	struct broker_user user, other;

	users_find(uid, &user);
	for (; lease != NULL; lease = lease_table_next(lease)) {
		users_find(lease->uid, &other);
		if (other.account == user.account && lease_is_spent(lease)) {
			broker_drop_lease(broker, lease);
			return;
		}
	}
}
