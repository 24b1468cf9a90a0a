/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Follows system calls of processes and stops one of them at exactly that call: the COUNT-th of its
 * kind in a step, before the kernel does it or right after.  Which kinds there are says call_rows.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kill.h"

#define STOP_OF_CALL (SIGTRAP | 0x80)

enum descriptor_kind { FD_OTHER, FD_XFRM, FD_DIAG, FD_STATE, FD_UNIX, FD_TCP };

static const struct {
	long number;
	enum descriptor_kind descriptor;
	const char *word;
	bool begins; /* a daemon's work for somebody else */
} call_rows[] = {
	{ SYS_sendmsg, FD_XFRM, "xfrm", false }, /* netlink: SAs and policies */
	{ SYS_sendto, FD_XFRM, "xfrm", false },
	{ SYS_sendmsg, FD_DIAG, "diag", true }, /* netlink: does the socket live? */
	{ SYS_sendto, FD_DIAG, "diag", true },
	{ SYS_recvmsg, FD_DIAG, "event", true }, /* netlink: a socket has ended */
	{ SYS_accept4, FD_UNIX, "accept", true },
	{ SYS_write, FD_STATE, "journal", false },
	{ SYS_connect, FD_UNIX, "connect", false },
	{ SYS_sendmsg, FD_UNIX, "tell", false }, /* between daemon and worker, or with a client */
	{ SYS_sendto, FD_UNIX, "tell", false },
	{ SYS_recvmsg, FD_UNIX, "hear", false },
	{ SYS_recvfrom, FD_UNIX, "hear", false },
	{ SYS_setsockopt, FD_TCP, "option", false }, /* recorder and policies go on and off so */
	{ SYS_sendto, FD_TCP, "send", false },
	{ SYS_close, FD_TCP, "close", false },
};

#define CALL_ROWS (sizeof(call_rows) / sizeof(call_rows[0]))

#if defined(__x86_64__)
static bool call_read(pid_t pid, long *ret_number, int *ret_descriptor)
{
	struct user_regs_struct registers;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &registers) != 0)
		return false;
	*ret_number = (long)registers.orig_rax;
	*ret_descriptor = (int)registers.rdi;
	return true;
}
#else
/* The campaign then counts no calls, and fails for that. */
static bool call_read(pid_t pid, long *ret_number, int *ret_descriptor)
{
	(void)pid;
	(void)ret_number;
	(void)ret_descriptor;
	return false;
}
#endif

static int option_of(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static enum descriptor_kind socket_classify(int fd)
{
	switch (option_of(fd, SO_DOMAIN)) {
	case AF_UNIX:
		return FD_UNIX;
	case AF_NETLINK:
		return option_of(fd, SO_PROTOCOL) == NETLINK_XFRM ? FD_XFRM : FD_DIAG;
	case AF_INET:
	case AF_INET6:
		return option_of(fd, SO_TYPE) == SOCK_STREAM ? FD_TCP : FD_OTHER;
	default:
		return FD_OTHER;
	}
}

static enum descriptor_kind descriptor_classify(pid_t pid, int descriptor)
{
	enum descriptor_kind kind = FD_OTHER;
	char link[64], target[256];
	ssize_t len;
	int process, fd;

	(void)snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, descriptor);
	len = readlink(link, target, sizeof(target) - 1);
	if (len <= 0)
		return FD_OTHER;
	target[len] = '\0';
	if (strstr(target, "/gss-ipsec/state") != NULL)
		return FD_STATE;
	if (strncmp(target, "socket:", 7) != 0)
		return FD_OTHER;
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, descriptor, 0);
	if (fd >= 0) {
		kind = socket_classify(fd);
		(void)close(fd);
	}
	if (process >= 0)
		(void)close(process);
	return kind;
}

/* The row's index, CALL_ROWS: of no interest. */
static size_t call_classify(pid_t pid)
{
	enum descriptor_kind kind = FD_OTHER;
	bool is_known = false;
	int descriptor;
	long number;

	if (!call_read(pid, &number, &descriptor))
		return CALL_ROWS;
	for (size_t i = 0; i < CALL_ROWS; i++)
		is_known = is_known || call_rows[i].number == number;
	if (is_known)
		kind = descriptor_classify(pid, descriptor);
	for (size_t i = 0; i < CALL_ROWS && kind != FD_OTHER; i++) {
		if (call_rows[i].number == number && call_rows[i].descriptor == kind)
			return i;
	}
	return CALL_ROWS;
}

static struct kill_count *count_find(
	struct kill_tracer *tracer, enum kill_who caller, const char *step, size_t row)
{
	struct kill_count *count;

	for (size_t i = 0; i < tracer->count_count; i++) {
		count = &tracer->counts[i];
		if (count->caller == caller && strcmp(count->step, step) == 0 &&
			strcmp(call_rows[count->kind].word, call_rows[row].word) == 0)
			return count;
	}
	if (tracer->count_count == KILL_COUNTS_MAX)
		return NULL;
	count = &tracer->counts[tracer->count_count++];
	*count = (struct kill_count){ .caller = caller, .kind = (uint8_t)row };
	(void)snprintf(count->step, sizeof(count->step), "%s", step);
	return count;
}

static bool tracee_is_there(
	const struct kill_tracer *tracer, const struct kill_tracee *tracee, bool is_after)
{
	const struct kill_moment *target = tracer->target;

	return target != NULL && tracer->hit == 0 && tracee->call != NULL &&
	       target->caller == tracee->caller && target->is_after == is_after &&
	       target->ordinal == tracee->ordinal &&
	       strcmp(target->step, tracee->call->step) == 0 &&
	       strcmp(target->kind, call_rows[tracee->call->kind].word) == 0;
}

/*
 * A program's step is where it is.  A daemon's and a worker's is that of the request it works for,
 * also when the program is further already: it lasts until another request (or event) comes.
 */
static void step_note(struct kill_tracee *tracee, size_t row, const char *(*step)(enum kill_who))
{
	const bool is_worker = tracee->caller >= KILL_WORKER_A;
	const bool is_hearing = strcmp(call_rows[row].word, "hear") == 0;
	const bool begins = is_worker ? is_hearing && tracee->was_hearing : call_rows[row].begins;

	if (begins || tracee->caller < KILL_A || tracee->step[0] == '\0')
		(void)snprintf(tracee->step, sizeof(tracee->step), "%s", step(tracee->caller));
	tracee->was_hearing = is_hearing;
}

/* At a call's begin or end; whether this is the moment. */
static bool call_note(
	struct kill_tracer *tracer, struct kill_tracee *tracee, const char *(*step)(enum kill_who))
{
	struct kill_count *count;
	size_t row;

	tracee->is_in_call = !tracee->is_in_call;
	if (!tracee->is_in_call)
		return tracee_is_there(tracer, tracee, true);
	tracee->call = NULL;
	row = call_classify(tracee->pid);
	if (row == CALL_ROWS)
		return false;
	step_note(tracee, row, step);
	count = count_find(tracer, tracee->caller, tracee->step, row);
	if (count == NULL)
		return false;
	tracee->call = count;
	tracee->ordinal = ++count->calls;
	return tracee_is_there(tracer, tracee, false);
}

bool kill_tracer_add(struct kill_tracer *tracer, pid_t pid, enum kill_who caller)
{
	int status;

	if (tracer->tracee_count == KILL_TRACEES_MAX || pid <= 0 ||
		ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) != 0 ||
		ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 ||
		waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
		return false;
	tracer->tracees[tracer->tracee_count++] =
		(struct kill_tracee){ .pid = pid, .caller = caller };
	return ptrace(PTRACE_SYSCALL, pid, NULL, NULL) == 0;
}

bool kill_tracer_handle(
	struct kill_tracer *tracer, pid_t pid, int status, const char *(*step)(enum kill_who))
{
	struct kill_tracee *tracee = NULL;
	unsigned long signal_number = 0;

	for (size_t i = 0; i < tracer->tracee_count; i++) {
		if (tracer->tracees[i].pid == pid)
			tracee = &tracer->tracees[i];
	}
	if (tracee == NULL)
		return false;
	if (!WIFSTOPPED(status)) {
		tracee->pid = 0;
		return true;
	}
	if (WSTOPSIG(status) != STOP_OF_CALL) {
		/* A stop of ptrace's own is no signal. */
		if (status >> 16 == 0)
			signal_number = (unsigned long)WSTOPSIG(status);
	} else if (call_note(tracer, tracee, step)) {
		tracer->hit = pid;
		return true;
	}
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)signal_number);
	return true;
}

/* Stops it, unless it has ended meanwhile, and lets it go. */
static void tracee_release(pid_t pid, void (*ended)(pid_t pid, int status))
{
	int status;

	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
		waitpid(pid, &status, __WALL) == pid && !WIFSTOPPED(status)) {
		ended(pid, status);
		return;
	}
	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
}

void kill_tracer_end(struct kill_tracer *tracer, void (*ended)(pid_t pid, int status))
{
	for (size_t i = 0; i < tracer->tracee_count; i++) {
		if (tracer->tracees[i].pid != 0)
			tracee_release(tracer->tracees[i].pid, ended);
	}
	tracer->tracee_count = 0;
	tracer->target = NULL;
}

void kill_tracer_print(const struct kill_tracer *tracer, const char *scenario)
{
	for (size_t i = 0; i < tracer->count_count; i++) {
		const struct kill_count *count = &tracer->counts[i];

		for (unsigned int call = 1; call <= count->calls; call++)
			printf("%s %s %s %s %u before\n%s %s %s %s %u after\n",
				kill_who_words[count->caller], scenario, count->step,
				call_rows[count->kind].word, call, kill_who_words[count->caller],
				scenario, count->step, call_rows[count->kind].word, call);
	}
}
