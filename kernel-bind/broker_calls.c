/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls of the broker; see broker_calls.h. */
#include "kernel-bind/broker_calls.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/fs.h>
#include <linux/membarrier.h>
#include <linux/nsfs.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FILTER_MAX 4096	     /* instructions: BPF_MAXINSNS */
#define SOCKADDR_NL_BYTES 12 /* of struct sockaddr_nl */

#define HAS_NONE_OF(number, bits)                                                          \
	{                                                                                  \
		.arg = (number), .op = SCMP_CMP_MASKED_EQ, .datum_a = (bits), .datum_b = 0 \
	}

/* What fork() of any libc asks for; nothing that is shared, no namespace. */
#define FORK_FLAGS (CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID | 0xffu)

#define OPTION(call_name, level, name)                        \
	{                                                     \
		SCMP_SYS(call_name), 2,                       \
		{                                             \
			CALLS_IS(1, level), CALLS_IS(2, name) \
		}                                             \
	}
#define OPTIONS_AT(call_name, level)       \
	{                                  \
		SCMP_SYS(call_name), 1,    \
		{                          \
			CALLS_IS(1, level) \
		}                          \
	}

/* clang-format off */

/* Daemon, worker and keeper: memory, time, the conversation between daemon and worker, facts of a
 * socket, and what may be done with one. */
static const struct calls_rule calls_of_all[] = {
	{ .call = SCMP_SYS(brk) },
	{ .call = SCMP_SYS(clock_gettime) },
	{ .call = SCMP_SYS(close) },
	{ .call = SCMP_SYS(exit) },
	{ .call = SCMP_SYS(exit_group) },
	{ .call = SCMP_SYS(futex) },
	{ .call = SCMP_SYS(getpeername) },
	{ .call = SCMP_SYS(getpid) },
	{ .call = SCMP_SYS(getrandom) },
	{ .call = SCMP_SYS(getsockname) },
	{ .call = SCMP_SYS(getsockopt) },
	{ .call = SCMP_SYS(gettid) },
	{ .call = SCMP_SYS(gettimeofday) },
	{ .call = SCMP_SYS(madvise) },
	{ .call = SCMP_SYS(mremap) },
	{ .call = SCMP_SYS(munmap) },
	{ .call = SCMP_SYS(recvfrom) },
	{ .call = SCMP_SYS(recvmsg) },
	{ .call = SCMP_SYS(restart_syscall) },
	{ .call = SCMP_SYS(rt_sigprocmask) },
	{ .call = SCMP_SYS(rt_sigreturn) },
	{ .call = SCMP_SYS(sendmsg) },
	{ .call = SCMP_SYS(sendto) },
	{ .call = SCMP_SYS(time) },
	{ .call = SCMP_SYS(write) },
	{ .call = SCMP_SYS(writev) },
	{ SCMP_SYS(fstat), 0, { { 0 } } },
	{ SCMP_SYS(ioctl), 1, { CALLS_IS(1, SIOCGSKNS) } },
	{ SCMP_SYS(ioctl), 1, { CALLS_IS(1, SIOCINQ) } },
	{ SCMP_SYS(membarrier), 1, { CALLS_IS(0, MEMBARRIER_CMD_GLOBAL) } },
	{ SCMP_SYS(mmap), 1, { HAS_NONE_OF(2, PROT_EXEC) } },
	{ SCMP_SYS(newfstatat), 1, { CALLS_IS(3, AT_EMPTY_PATH) } },
	OPTION(setsockopt, SOL_SOCKET, SO_ATTACH_BPF),
	OPTION(setsockopt, SOL_SOCKET, SO_DETACH_FILTER),
	OPTION(setsockopt, SOL_SOCKET, SO_LOCK_FILTER),
	OPTION(setsockopt, SOL_SOCKET, SO_MARK), /* for the cover's second form */
	OPTION(setsockopt, SOL_SOCKET, SO_RCVTIMEO),
	OPTION(setsockopt, SOL_SOCKET, SO_REUSEADDR), /* which a window probe takes off */
	OPTION(setsockopt, IPPROTO_TCP, TCP_REPAIR),  /* the window probe; no queue, no number */
	OPTION(setsockopt, IPPROTO_IP, IP_XFRM_POLICY),
	OPTION(setsockopt, IPPROTO_IPV6, IPV6_XFRM_POLICY),
};

/* The daemon, and a worker until it has its own list. */
static const struct calls_rule calls_of_daemon[] = {
	{ .call = SCMP_SYS(accept4) },
	{ .call = SCMP_SYS(access) },
	{ .call = SCMP_SYS(capset) },
	{ .call = SCMP_SYS(close_range) },
	{ .call = SCMP_SYS(faccessat) },
	{ .call = SCMP_SYS(faccessat2) },
	{ .call = SCMP_SYS(ftruncate) },
	{ .call = SCMP_SYS(lseek) },
	{ .call = SCMP_SYS(poll) },
	{ .call = SCMP_SYS(ppoll) },
	{ .call = SCMP_SYS(read) },
	{ .call = SCMP_SYS(set_robust_list) },
	{ .call = SCMP_SYS(wait4) },
	{ SCMP_SYS(bpf), 1, { CALLS_IS(0, BPF_MAP_CREATE) } },
	{ SCMP_SYS(bpf), 1, { CALLS_IS(0, BPF_PROG_LOAD) } },
	{ SCMP_SYS(clone), 1, { HAS_NONE_OF(0, ~(scmp_datum_t)FORK_FLAGS) } },
	{ SCMP_SYS(fcntl), 1, { CALLS_IS(1, F_GETFL) } },
	{ SCMP_SYS(fcntl), 1, { CALLS_IS(1, F_SETFL) } },
	{ SCMP_SYS(kill), 1, { CALLS_IS(1, SIGKILL) } },
	{ SCMP_SYS(prctl), 2, { CALLS_IS(0, PR_SET_DUMPABLE), CALLS_IS(1, 0) } },
	{ SCMP_SYS(prctl), 1, { CALLS_IS(0, PR_SET_PDEATHSIG) } },
	{ SCMP_SYS(renameat2), 1, { CALLS_IS(4, RENAME_EXCHANGE) } },
	{ SCMP_SYS(seccomp), 1, { CALLS_IS(0, SECCOMP_SET_MODE_FILTER) } },
	{ SCMP_SYS(setpriority), 2, { CALLS_IS(0, PRIO_PROCESS), CALLS_IS(1, 0) } },
	{ SCMP_SYS(socketpair), 1, { CALLS_IS(0, AF_UNIX) } },
};

/* The keeper, and what it forks until that has the daemon's list: to enter a namespace, open the
 * state file and the conversations with the kernel, and remove a state file. */
static const struct calls_rule calls_of_keeper[] = {
	{ .call = SCMP_SYS(bind) },
	{ .call = SCMP_SYS(clock_nanosleep) },
	{ .call = SCMP_SYS(fchmod) },
	{ .call = SCMP_SYS(flock) },
	{ .call = SCMP_SYS(geteuid) },
	{ .call = SCMP_SYS(getppid) },
	{ .call = SCMP_SYS(mkdir) },
	{ .call = SCMP_SYS(newfstatat) },
	{ .call = SCMP_SYS(open) },
	{ .call = SCMP_SYS(openat) },
	{ .call = SCMP_SYS(pread64) },
	{ .call = SCMP_SYS(prlimit64) },
	{ .call = SCMP_SYS(rt_sigaction) },
	{ .call = SCMP_SYS(setrlimit) },
	{ .call = SCMP_SYS(signalfd4) },
	{ .call = SCMP_SYS(stat) },
	{ .call = SCMP_SYS(umask) },
	{ .call = SCMP_SYS(unlink) },
	{ .call = SCMP_SYS(unlinkat) },
	{ SCMP_SYS(connect), 1, { CALLS_IS(2, SOCKADDR_NL_BYTES) } },
	{ SCMP_SYS(ioctl), 1, { CALLS_IS(1, NS_GET_NSTYPE) } },
	{ SCMP_SYS(setns), 1, { CALLS_IS(1, CLONE_NEWNET) } },
	{ SCMP_SYS(socket), 1, { CALLS_IS(0, AF_NETLINK) } },
	/* One that can be asked for the namespace's cookie, and connect() to nothing that sendto() does not
	 * reach as well. */
	{ SCMP_SYS(socket), 2, { CALLS_IS(0, AF_UNIX), CALLS_IS(1, SOCK_DGRAM | SOCK_CLOEXEC) } },
	OPTION(setsockopt, SOL_SOCKET, SO_RCVBUF),
	OPTION(setsockopt, SOL_SOCKET, SO_RCVBUFFORCE),
	OPTION(setsockopt, SOL_SOCKET, SO_SNDBUF),
	OPTIONS_AT(setsockopt, SOL_NETLINK),
};
/* clang-format on */

struct rule_list {
	const struct calls_rule *rules;
	size_t count;
};

static struct sock_filter daemon_code[FILTER_MAX], worker_code[FILTER_MAX];
static struct sock_filter keeper_code[FILTER_MAX];
static struct sock_fprog daemon_program = { .filter = daemon_code };
static struct sock_fprog worker_program = { .filter = worker_code };
static struct sock_fprog keeper_program = { .filter = keeper_code };

/* libseccomp writes to a file only: one without a name. */
static int program_read(scmp_filter_ctx filter, struct sock_fprog *program)
{
	int file = memfd_create("seccomp", MFD_CLOEXEC), result;
	ssize_t len = 0;

	if (file < 0)
		return errno;
	result = -seccomp_export_bpf(filter, file);
	if (result == 0)
		len = pread(file, program->filter, FILTER_MAX * sizeof(struct sock_filter), 0);
	if (len < 0)
		result = errno;
	(void)close(file);
	if (result == 0 && (len == 0 || len % (ssize_t)sizeof(struct sock_filter) != 0 ||
				   len == FILTER_MAX * (ssize_t)sizeof(struct sock_filter)))
		result = E2BIG;
	if (result == 0)
		program->len = (unsigned short)((size_t)len / sizeof(struct sock_filter));
	return result;
}

static int rules_add(scmp_filter_ctx filter, struct rule_list list)
{
	int result = 0;

	for (size_t i = 0; i < list.count && result == 0; i++)
		result = -seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, list.rules[i].call,
			list.rules[i].count, list.rules[i].conditions);
	return result;
}

static int program_make(const struct rule_list *lists, size_t count, struct sock_fprog *program)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int result;

	if (filter == NULL)
		return ENOMEM;
	/* Also for calls of another architecture (32 bits on 64). */
	result = -seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; i < count && result == 0; i++)
		result = rules_add(filter, lists[i]);
	if (result == 0)
		result = program_read(filter, program);
	seccomp_release(filter);
	return result;
}

int calls_prepare(void)
{
	const struct rule_list lists[] = {
		{ calls_of_all, COUNT(calls_of_all) },
		{ calls_of_sanitizers, calls_of_sanitizers_count },
		{ calls_of_daemon, COUNT(calls_of_daemon) },
		{ calls_of_keeper, COUNT(calls_of_keeper) },
	};
	int result = program_make(lists, COUNT(lists), &keeper_program);

	/* Each holds the next. */
	if (result == 0)
		result = program_make(lists, COUNT(lists) - 1, &daemon_program);
	return result != 0 ? result : program_make(lists, COUNT(lists) - 2, &worker_program);
}

static int program_load(const struct sock_fprog *program)
{
	if (program->len == 0)
		return EINVAL;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program) == 0 ? 0 : errno;
}

int calls_restrict_daemon(void)
{
	return program_load(&daemon_program);
}

int calls_restrict_keeper(void)
{
	return program_load(&keeper_program);
}

int calls_restrict_worker(void)
{
	return program_load(&worker_program);
}
