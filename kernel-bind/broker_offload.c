/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * esp4_offload and esp6_offload.  With them the kernel joins segments of different SAs before it
 * checks either, so that any peer with an SA of its own may write into another one's latch.
 */
#include <errno.h>
#include <unistd.h>

#include "kernel-bind/broker.h"

static const char *const offload_modules[] = {
	"/sys/module/esp4_offload",
	"/sys/module/esp6_offload",
};

bool broker_offload_is_loaded(const struct broker *broker)
{
	if (broker->options.allows_offload)
		return false;
	for (size_t i = 0; i < sizeof(offload_modules) / sizeof(offload_modules[0]); i++) {
		if (access(offload_modules[i], F_OK) == 0)
			return true;
	}
	return false;
}

int broker_offload_check_sight(struct broker *broker)
{
	if (broker->options.allows_offload || access("/sys/module", F_OK) == 0)
		return 0;
	return errno;
}

/* One whose socket is gone gives nobody anything to read any more. */
static bool lease_is_exposed(const struct broker_lease *lease)
{
	return lease->state != IPSEC_LATCH_STATE_BROKEN &&
	       lease->state != IPSEC_LATCH_STATE_CLOSING;
}

void broker_offload_tick(struct broker *broker)
{
	struct broker_lease *lease = lease_table_after(broker->leases, 0);

	if (lease == NULL || !broker_offload_is_loaded(broker))
		return;
	for (; lease != NULL; lease = lease_table_next(lease)) {
		if (lease_is_exposed(lease))
			broker_break_lease(broker, lease, IPSEC_LATCH_OFFLOADED);
	}
}
