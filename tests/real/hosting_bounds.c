/* SPDX-License-Identifier: BSD-2-Clause */
/* The hosting program's bounds: system calls, descriptors, memory, root, time, and the broker's patience. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/real/hosting.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FILTER_CALLS_MAX 16
#define BLOCK_BYTES_MAX (1u << 20)
#define BLOCK_BYTES_MIN 16
#define KILOBYTE 1024
#define INTERRUPTIONS_MANY 10
#define HANG_UPS 5
#define STACK_BYTES (1024 * KILOBYTE)

/* --- system calls --- */

/* The listed calls get one answer, all others the other one. */
static bool filter_install(const unsigned int *calls, size_t count, bool are_allowed)
{
	const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
	struct sock_filter code[FILTER_CALLS_MAX + 3];
	struct sock_fprog program = { .filter = code };
	unsigned short at = 0;

	code[at++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < count && i < FILTER_CALLS_MAX; i++)
		code[at++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, calls[i], (uint8_t)(count - i), 0);
	code[at++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, are_allowed ? refuse : SECCOMP_RET_ALLOW);
	code[at++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, are_allowed ? SECCOMP_RET_ALLOW : refuse);
	program.len = at;
	return (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0) ||
	       hosting_fail("no filter");
}

/* Enough for a program that only serves what it has open; not for memory. */
bool hosting_filters_most(struct hosting *hosting)
{
	static const unsigned int calls[] = { SYS_read, SYS_write, SYS_sendmsg, SYS_recvmsg,
		SYS_sendto, SYS_recvfrom, SYS_close, SYS_exit, SYS_exit_group, SYS_rt_sigreturn,
		SYS_futex, SYS_clock_gettime };

	(void)hosting;
	return filter_install(calls, COUNT(calls), true);
}

bool hosting_filters_files(struct hosting *hosting)
{
	static const unsigned int calls[] = { SYS_openat, SYS_openat2 };

	(void)hosting;
	return filter_install(calls, COUNT(calls), false);
}

bool hosting_filters_sockets(struct hosting *hosting)
{
	static const unsigned int calls[] = { SYS_socket, SYS_socketpair };

	(void)hosting;
	return filter_install(calls, COUNT(calls), false);
}

/* --- how much there is --- */

/* All numbers are taken but so many. */
bool hosting_limits_descriptors(struct hosting *hosting)
{
	struct rlimit limit = { .rlim_cur = 0 };
	int highest;

	highest = fcntl(hosting->fd, F_DUPFD_CLOEXEC, 0);
	while (highest >= 0 && highest < hosting->fd + 8)
		highest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (highest < 0 || getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return hosting_fail("no descriptors");
	limit.rlim_cur = (rlim_t)(highest + 1 + hosting->number);
	return setrlimit(RLIMIT_NOFILE, &limit) == 0 || hosting_fail("no limit");
}

struct block {
	struct block *next;
};
static struct block *eaten;

static bool eat(size_t size)
{
	struct block *block = malloc(size);

	if (block == NULL)
		return false;
	block->next = eaten;
	eaten = block;
	return true;
}

/* The limit holds for the stack too, which nobody can be told of: it is as large as it gets. */
static void stack_touch(void)
{
	volatile char room[STACK_BYTES];

	for (size_t i = 0; i < sizeof(room); i += KILOBYTE)
		room[i] = 0;
}

/* The process grows no more, and what it has is used up but for so many blocks of a kilobyte. */
bool hosting_limits_memory(struct hosting *hosting)
{
	struct rlimit limit = { .rlim_cur = KILOBYTE, .rlim_max = RLIM_INFINITY };
	struct block *spare = NULL, *next;

	for (long i = 0; i < hosting->number; i++) {
		if (!eat(KILOBYTE))
			return hosting_fail("no memory");
	}
	spare = eaten;
	eaten = NULL;
	stack_touch();
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return hosting_fail("no limit");
	for (size_t size = BLOCK_BYTES_MAX; size >= BLOCK_BYTES_MIN; size /= 2)
		while (eat(size))
			;
	for (; spare != NULL; spare = next) {
		next = spare->next;
		free(spare);
	}
	return true;
}

bool hosting_frees_memory(struct hosting *hosting)
{
	const struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	struct block *next;

	(void)hosting;
	for (; eaten != NULL; eaten = next) {
		next = eaten->next;
		free(eaten);
	}
	return setrlimit(RLIMIT_AS, &limit) == 0 || hosting_fail("no end of the limit");
}

/* --- root --- */

bool hosting_drops_root(struct hosting *hosting)
{
	const uid_t user = (uid_t)hosting->number;

	return (setgroups(0, NULL) == 0 && setresgid(user, user, user) == 0 &&
		       setresuid(user, user, user) == 0) ||
	       hosting_fail("root cannot be dropped");
}

bool hosting_changes_root(struct hosting *hosting)
{
	const char *root = getenv("HOSTING_ROOT");

	if (root == NULL || chroot(root) != 0 || chdir("/") != 0)
		return hosting_fail("no other root");
	return hosting_drops_root(hosting);
}

/* --- others that disturb --- */

static pid_t disturber;
static volatile sig_atomic_t interruptions;

static void count_interruption(int number)
{
	(void)number;
	interruptions++;
}

/* So often that hardly a system call ends in peace; none is restarted. */
bool hosting_is_interrupted(struct hosting *hosting)
{
	const struct sigaction action = { .sa_handler = count_interruption };
	const pid_t parent = getpid();

	if (sigaction(SIGUSR1, &action, NULL) != 0)
		return hosting_fail("no signals");
	(void)fflush(stdout);
	disturber = fork();
	if (disturber < 0)
		return hosting_fail("no child");
	if (disturber > 0) {
		while (interruptions < INTERRUPTIONS_MANY)
			(void)sched_yield();
		return true;
	}
	(void)close(hosting->fd);
	while (getppid() == parent && kill(parent, SIGUSR1) == 0)
		(void)sched_yield();
	_exit(0);
}

bool hosting_is_left_alone(struct hosting *hosting)
{
	(void)hosting;
	(void)kill(disturber, SIGKILL);
	while (waitpid(disturber, NULL, 0) < 0 && errno == EINTR)
		;
	printf("interruptions: %s\n", interruptions > INTERRUPTIONS_MANY ? "many" : "few");
	return true;
}

/* In the broker's place somebody who closes what he accepts, often before the request is written. */
bool hosting_broker_hangs_up(struct hosting *hosting)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *folder = getenv("HOSTING_DIR");
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/broker.sock",
		folder == NULL ? "/tmp" : folder);
	(void)unlink(address.sun_path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
		listen(listener, 1) != 0)
		return hosting_fail("no broker");
	(void)fflush(stdout);
	disturber = fork();
	if (disturber != 0) {
		(void)close(listener);
		return disturber > 0 || hosting_fail("no child");
	}
	(void)close(hosting->fd);
	/* Somebody who hangs up is asked again, as long as there is anybody. */
	for (int hang_ups = 0; hang_ups < HANG_UPS; hang_ups++)
		(void)close(accept(listener, NULL, NULL));
	_exit(0);
}
