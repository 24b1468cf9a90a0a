/* SPDX-License-Identifier: BSD-2-Clause */
/* Gives up privilege; see broker_sandbox.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-bind/broker_calls.h"
#include "kernel-bind/broker_sandbox.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

#define CAPABILITIES_MAX 63
#define BIT(capability) (1ull << (capability))
#define KEPT_BY_DAEMON (BIT(CAP_NET_ADMIN) | BIT(CAP_BPF))
#define NAMESPACE_BYTES_MAX (64u << 20) /* its SPD, say, is as long as its root likes */

static int bounding_set_drop(uint64_t keep)
{
	for (int capability = 0; capability <= CAPABILITIES_MAX; capability++) {
		if ((keep & BIT(capability)) != 0 || prctl(PR_CAPBSET_READ, capability) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, capability) != 0)
			return errno;
	}
	return 0;
}

static int capabilities_keep(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)keep, .permitted = (uint32_t)keep },
		{ .effective = (uint32_t)(keep >> 32), .permitted = (uint32_t)(keep >> 32) },
	};

	return syscall(SYS_capset, &header, data) == 0 ? 0 : errno;
}

/* Without CAP_BPF it serves too, and says no-bpf to whoever asks; of the others none can be missing. */
static int capabilities_try(uint64_t keep)
{
	int result = capabilities_keep(keep);

	return result == EPERM ? capabilities_keep(keep & ~BIT(CAP_BPF)) : result;
}

static int core_refuse(void)
{
	const struct rlimit no_core = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &no_core) == 0 ? 0 : errno;
}

/* These capabilities and no others, for good. */
static int privileges_keep(uint64_t keep)
{
	int result = calls_prepare();

	if (result == 0)
		result = core_refuse();
	if (result != 0)
		return result;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		return errno;
	result = bounding_set_drop(keep);
	if (result == 0)
		result = capabilities_try(keep);
	/* Behind them: each change of credentials sets it anew. */
	if (result == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		result = errno;
	return result;
}

int sandbox_enter_daemon(void)
{
	int result = privileges_keep(KEPT_BY_DAEMON);

	return result == 0 ? calls_restrict_daemon() : result;
}

/* All but standard error and one descriptor. */
static int descriptors_close(int keep)
{
	const unsigned int fd = (unsigned int)keep;

	if (fd > 3 && close_range(3, fd - 1, 0) != 0)
		return errno;
	return close_range(fd + 1, ~0u, 0) == 0 ? 0 : errno;
}

int sandbox_enter_keeper(int keep)
{
	int result;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return errno;
	result = descriptors_close(keep);
	if (result == 0)
		result = privileges_keep(KEPT_BY_DAEMON | BIT(CAP_SYS_ADMIN));
	return result == 0 ? calls_restrict_keeper() : result;
}

int sandbox_enter_namespace(int space)
{
	const struct rlimit memory = { NAMESPACE_BYTES_MAX, NAMESPACE_BYTES_MAX };
	int result;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || setns(space, CLONE_NEWNET) != 0 ||
		setrlimit(RLIMIT_DATA, &memory) != 0)
		return errno;
	result = capabilities_try(KEPT_BY_DAEMON);
	if (result == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		result = errno;
	return result;
}

int sandbox_begin_worker(int keep)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return errno;
	return descriptors_close(keep);
}

int sandbox_enter_worker(void)
{
	int result = capabilities_keep(BIT(CAP_NET_ADMIN));

	if (result == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		result = errno;
	return result == 0 ? calls_restrict_worker() : result;
}
