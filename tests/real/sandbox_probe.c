/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enters the broker's own sandboxes and tries what must not work there any more; each try in a process
 * of its own, as most end it.  Run as root.  Prints "ok - what" or "FAILED - what".  With arguments:
 * the attacks of sandbox_attacks.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel-bind/broker_calls.h"
#include "tests/real/sandbox.h"

#define OTHER_ABI 0x40000000 /* x32 where there is one, else a call that does not exist */

int sandbox_socket;
static int failures;

static void check(bool is_good, const char *where, const char *what)
{
	(void)printf("%s - sandbox, %s: %s\n", is_good ? "ok" : "FAILED", where, what);
	(void)fflush(stdout);
	failures += !is_good;
}

static long set_option(int level, int option)
{
	const int on = 1;

	return setsockopt(sandbox_socket, level, option, &on, sizeof(on));
}

static long try_open(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static long try_setns_other(void)
{
	return setns(0, CLONE_NEWUSER);
}

static long try_exec(void)
{
	char *const arguments[] = { (char[]){ "true" }, NULL };

	return execv("/bin/true", arguments);
}

static long try_internet(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_netlink(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long try_stream(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long try_connect(void)
{
	const struct sockaddr_in nowhere = { .sin_family = AF_INET };

	return connect(sandbox_socket, (const struct sockaddr *)&nowhere, sizeof(nowhere));
}

static long try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long try_read_memory(void)
{
	return syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
}

static long try_mount(void)
{
	return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static long try_setns(void)
{
	return setns(0, CLONE_NEWNET);
}

static long try_unshare(void)
{
	return unshare(CLONE_NEWUSER);
}

static long try_clone_namespace(void)
{
	return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
}

static long try_map_by_id(void)
{
	union bpf_attr attributes = { .map_id = 1 };

	return syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attributes, sizeof(attributes));
}

static long try_kexec(void)
{
	return syscall(SYS_kexec_load, 0, 0, NULL, 0);
}

static long try_module(void)
{
	return syscall(SYS_finit_module, 0, "", 0);
}

static long try_keyctl(void)
{
	return syscall(SYS_keyctl, 0, 0, 0, 0, 0);
}

static long try_setuid(void)
{
	return setuid(0);
}

static long try_chmod(void)
{
	return chmod("/tmp", 0777);
}

static long try_unlink(void)
{
	return unlink("/tmp/no-such-file");
}

static long try_rename(void)
{
	return rename("/tmp/no-such-file", "/tmp/no-such-file-either");
}

static long try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static long try_terminate(void)
{
	return kill(getpid(), SIGTERM);
}

static long try_executable(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
			       MAP_FAILED
		       ? 0
		       : -1;
}

static long try_protect(void)
{
	return mprotect(NULL, 4096, PROT_READ | PROT_EXEC);
}

static long try_buffer(void)
{
	return set_option(SOL_SOCKET, SO_RCVBUFFORCE);
}

static long try_repair_queue(void)
{
	return set_option(IPPROTO_TCP, TCP_REPAIR_QUEUE);
}

static long try_ioctl(void)
{
	return ioctl(sandbox_socket, SIOCGIFCONF, NULL);
}

static long try_other_abi(void)
{
	return syscall(OTHER_ABI | SYS_getpid);
}

static long try_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long try_capset(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = ~0u, .permitted = ~0u } };

	return syscall(SYS_capset, &header, data);
}

static long try_map(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

static long try_accept(void)
{
	return accept4(sandbox_socket, NULL, NULL, SOCK_CLOEXEC);
}

static long try_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

static long try_kill(void)
{
	return kill(getpid(), SIGKILL);
}

static long try_read(void)
{
	char octet;

	return read(sandbox_socket, &octet, 1);
}

struct attempt {
	const char *what;
	long (*run)(void);
	int call;
	bool is_keepers; /* to open state files and what a namespace's broker needs */
};

/* clang-format off */

/* End the daemon and its workers. */
/* End the keeper too, but for those that it needs. */
static const struct attempt deadly[] = {
	{ "opening a file",                    try_open,            SCMP_SYS(openat), true },
	{ "running a program",                 try_exec,            SCMP_SYS(execve), false },
	{ "an internet socket",                try_internet,        SCMP_SYS(socket), false },
	{ "a netlink socket",                  try_netlink,         SCMP_SYS(socket), true },
	{ "a stream within the host",          try_stream,          SCMP_SYS(socket), false },
	{ "connecting",                        try_connect,         SCMP_SYS(connect), false },
	{ "ptrace",                            try_ptrace,          SCMP_SYS(ptrace), false },
	{ "another process's memory",          try_read_memory,     SCMP_SYS(process_vm_readv), false },
	{ "mount",                             try_mount,           SCMP_SYS(mount), false },
	{ "entering a namespace",              try_setns,           SCMP_SYS(setns), true },
	{ "entering one of another kind",      try_setns_other,     SCMP_SYS(setns), false },
	{ "a new namespace",                   try_unshare,         SCMP_SYS(unshare), false },
	{ "a process in a new namespace",      try_clone_namespace, SCMP_SYS(clone), false },
	{ "BPF maps of others",                try_map_by_id,       SCMP_SYS(bpf), false },
	{ "kexec",                             try_kexec,           SCMP_SYS(kexec_load), false },
	{ "loading a module",                  try_module,          SCMP_SYS(finit_module), false },
	{ "keyrings",                          try_keyctl,          SCMP_SYS(keyctl), false },
	{ "setuid",                            try_setuid,          SCMP_SYS(setuid), false },
	{ "chmod",                             try_chmod,           SCMP_SYS(chmod), false },
	{ "unlink",                            try_unlink,          SCMP_SYS(unlink), true },
	{ "rename",                            try_rename,          SCMP_SYS(rename), false },
	{ "becoming dumpable",                 try_dumpable,        SCMP_SYS(prctl), false },
	{ "a signal other than SIGKILL",       try_terminate,       SCMP_SYS(kill), false },
	{ "executable memory",                 try_executable,      SCMP_SYS(mmap), false },
	{ "mprotect",                          try_protect,         SCMP_SYS(mprotect), false },
	{ "a socket's buffer by force",        try_buffer,          SCMP_SYS(setsockopt), true },
	{ "TCP repair: the queues",            try_repair_queue,    SCMP_SYS(setsockopt), false },
	{ "other ioctls",                      try_ioctl,           SCMP_SYS(ioctl), false },
	{ "calls of another ABI",              try_other_abi,       -1, false },
	{ "io_uring",                          try_io_uring,        SCMP_SYS(io_uring_setup), false },
};

/* Besides, in workers only: the daemon needs them. */
static const struct attempt deadly_to_workers[] = {
	{ "a BPF map",                         try_map,             SCMP_SYS(bpf), false },
	{ "accepting a connection",            try_accept,          SCMP_SYS(accept4), false },
	{ "fork",                              try_fork,            SCMP_SYS(clone), false },
	{ "kill",                              try_kill,            SCMP_SYS(kill), false },
	{ "reading a descriptor",              try_read,            SCMP_SYS(read), false },
	{ "capset",                            try_capset,          SCMP_SYS(capset), false },
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int enter_worker(void)
{
	int result = sandbox_enter_daemon();

	if (result == 0)
		result = sandbox_begin_worker(sandbox_socket);
	return result != 0 ? result : sandbox_enter_worker();
}

static int enter_keeper(void)
{
	return sandbox_enter_keeper(sandbox_socket);
}

/* What the keeper forks, when it has the daemon's list. */
static int enter_namespace(void)
{
	int result = enter_keeper(), space;

	if (result != 0)
		return result;
	space = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	result = sandbox_enter_namespace(space);
	return result != 0 ? result : calls_restrict_daemon();
}

/* clang-format off */
const struct sandbox_place sandbox_places[SANDBOX_PLACES] = {
	[SANDBOX_DAEMON]    = { "daemon", sandbox_enter_daemon, SANDBOX_KEPT, SANDBOX_KEPT },
	[SANDBOX_WORKER]    = { "worker", enter_worker, 1ull << CAP_NET_ADMIN, SANDBOX_KEPT },
	[SANDBOX_KEEPER]    = { "keeper", enter_keeper, SANDBOX_KEPT_BY_KEEPER, SANDBOX_KEPT_BY_KEEPER },
	[SANDBOX_NAMESPACE] = { "broker of another namespace", enter_namespace, SANDBOX_KEPT,
		SANDBOX_KEPT_BY_KEEPER },
};
/* clang-format on */

static bool call_is_left_to_sanitizers(int call)
{
	for (size_t i = 0; i < calls_of_sanitizers_count; i++) {
		if (calls_of_sanitizers[i].call == call)
			return true;
	}
	return false;
}

int sandbox_status(const struct sandbox_place *place, long (*run)(void))
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		if (place->enter() != 0)
			_exit(99);
		_exit(run() < 0 ? 1 + (errno == EPERM) : 0);
	}
	(void)waitpid(child, &status, 0);
	return status;
}

static bool attempt_is_deadly(const struct sandbox_place *place, const struct attempt *attempt)
{
	int status = sandbox_status(place, attempt->run);

	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS && !WCOREDUMP(status);
}

static void test_deadly(
	const struct sandbox_place *place, const struct attempt *attempts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (attempts[i].is_keepers && place == &sandbox_places[SANDBOX_KEEPER])
			continue;
		if (call_is_left_to_sanitizers(attempts[i].call))
			(void)printf("# the sanitizers need it: %s\n", attempts[i].what);
		else
			check(attempt_is_deadly(place, &attempts[i]), place->name,
				attempts[i].what);
	}
}

size_t sandbox_count_deadly(const struct sandbox_place *place, size_t *ret_tried)
{
	size_t deaths = 0, tried = 0;

	for (size_t i = 0; i < COUNT(deadly); i++) {
		if (deadly[i].is_keepers && place == &sandbox_places[SANDBOX_KEEPER])
			continue;
		tried++;
		deaths += attempt_is_deadly(place, &deadly[i]);
	}
	*ret_tried = tried;
	return deaths;
}

long sandbox_crash(void)
{
	volatile int *nowhere = NULL;

	return *nowhere;
}

static void test_no_core(const struct sandbox_place *place)
{
	int status = sandbox_status(place, sandbox_crash);

	/* A sanitizer makes a report of it, and an exit. */
	check(!WCOREDUMP(status) && (WIFSIGNALED(status) || WEXITSTATUS(status) != 0), place->name,
		"a crash leaves no core");
}

/* --- as others see it --- */

static uint64_t status_number(pid_t pid, const char *field)
{
	char path[64], line[256];
	unsigned long long number = ~0ull;
	const size_t len = strlen(field);
	FILE *file;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, field, len) == 0 && line[len] == ':')
			number = strtoull(line + len + 1, NULL, 16);
	}
	if (file != NULL)
		(void)fclose(file);
	return number;
}

static bool process_is_bare(pid_t pid, const struct sandbox_place *place)
{
	return status_number(pid, "CapInh") == 0 && status_number(pid, "CapAmb") == 0 &&
	       status_number(pid, "CapPrm") == place->kept &&
	       status_number(pid, "CapEff") == place->kept &&
	       status_number(pid, "CapBnd") == place->bounding &&
	       status_number(pid, "NoNewPrivs") == 1 && status_number(pid, "Seccomp") == 2;
}

/* Root with the same capabilities, as another daemon may be; with fewer it may not trace in any case. */
static long attach_refused(pid_t pid, uint64_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = (uint32_t)kept, .permitted = (uint32_t)kept },
		{ .effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32) },
	};

	if (syscall(SYS_capset, &header, data) != 0)
		return false;
	return ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0 && errno == EPERM;
}

pid_t sandbox_start(const struct sandbox_place *place, int *ret_fd)
{
	int pair[2];
	char octet = 0;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	child = fork();
	if (child == 0) {
		(void)close(pair[0]);
		/* A worker and the keeper keep one descriptor. */
		if (dup2(pair[1], sandbox_socket) < 0 || place->enter() != 0)
			_exit(99);
		_exit(send(sandbox_socket, "", 1, 0) == 1 && recv(sandbox_socket, &octet, 1, 0) >= 0
				? 0
				: 1);
	}
	(void)close(pair[1]);
	*ret_fd = pair[0];
	return child;
}

bool sandbox_refuses_tracing(pid_t pid, uint64_t kept)
{
	int status = -1;
	pid_t other = fork();

	if (other == 0)
		_exit(attach_refused(pid, kept) ? 0 : 1);
	(void)waitpid(other, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_seen(const struct sandbox_place *place)
{
	int status = -1, fd = -1;
	char octet = 0;
	pid_t child = sandbox_start(place, &fd);

	check(child > 0 && recv(fd, &octet, 1, 0) == 1, place->name, "may still talk");
	check(process_is_bare(child, place), place->name,
		"its capabilities, no new privileges, system calls filtered");
	check(sandbox_refuses_tracing(child, place->kept), place->name,
		"not to be traced by its like");
	(void)close(fd);
	(void)waitpid(child, &status, 0);
}

int main(int argc, char **argv)
{
	const struct sandbox_place *daemon = &sandbox_places[SANDBOX_DAEMON];
	const struct sandbox_place *worker = &sandbox_places[SANDBOX_WORKER];
	int status;

	sandbox_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sandbox_socket < 0) {
		perror("socket");
		return 1;
	}
	if (argc > 1)
		return sandbox_attacks(argv + 1);
	for (size_t i = 0; i < SANDBOX_PLACES; i++) {
		test_seen(&sandbox_places[i]);
		test_deadly(&sandbox_places[i], deadly, COUNT(deadly));
		test_no_core(&sandbox_places[i]);
	}
	test_deadly(worker, deadly_to_workers, COUNT(deadly_to_workers));
	status = sandbox_status(daemon, try_capset);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 2, "daemon",
		"taking capabilities back is refused");
	status = sandbox_status(daemon, try_map);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "daemon", "a BPF map can be made");
	(void)close(sandbox_socket);
	return failures == 0 ? 0 : 1;
}
