/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into User Mode Linux 6.1, between it and ptrace().
 *
 * On processors whose register state is larger than its buffer (AMX) the kernel below refuses its
 * PTRACE_SETREGSET with EFAULT, because it takes whole states only, and UML panics at its first
 * process.  This completes the state.
 *
 * It also leaves out what would change nothing: UML sets these registers each time that it lets a
 * process go on, and as a rule has just read them.  That is half of what a system call takes there.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define XSTATE_REGSET 0x202 /* NT_X86_XSTATE */
#define XSTATE_BYTES_MAX 65536

/* The kernel's own call: raw, since PTRACE_PEEK* in libc's wrapper returns through the result. */
static long ptrace_raw(long request, pid_t pid, void *address, void *data)
{
	return syscall(SYS_ptrace, request, pid, address, data);
}

/* What the traced process stopped last has, as long as that is certain. */
static struct {
	pid_t pid;
	size_t len;
	unsigned char state[XSTATE_BYTES_MAX];
} known;

static void known_set(pid_t pid, const struct iovec *part)
{
	known.pid = part->iov_len <= sizeof(known.state) ? pid : 0;
	known.len = part->iov_len;
	if (known.pid != 0)
		memcpy(known.state, part->iov_base, part->iov_len);
}

static bool known_is(pid_t pid, const struct iovec *part)
{
	return known.pid == pid && known.len == part->iov_len &&
	       memcmp(known.state, part->iov_base, part->iov_len) == 0;
}

/* Code of the process's own changes its registers, and so does the frame of a signal.  What UML has it
 * do with PTRACE_CONT alone, mapping memory, does not touch these. */
static void known_forget(long request, const void *data)
{
	if (request != PTRACE_CONT || data != NULL)
		known.pid = 0;
}

/* The whole state: what is beyond UML's buffer has its initial value, as nothing uses it in there. */
static long xstate_set_whole(pid_t pid, const struct iovec *part)
{
	static unsigned char state[XSTATE_BYTES_MAX];
	static size_t len;
	struct iovec whole = { .iov_base = state, .iov_len = sizeof(state) };

	if (len == 0) {
		if (ptrace_raw(PTRACE_GETREGSET, pid, (void *)XSTATE_REGSET, &whole) != 0)
			return -1;
		len = whole.iov_len;
		memset(state, 0, len);
	}
	if (len < part->iov_len) {
		errno = EFAULT;
		return -1;
	}
	memcpy(state, part->iov_base, part->iov_len);
	whole.iov_len = len;
	return ptrace_raw(PTRACE_SETREGSET, pid, (void *)XSTATE_REGSET, &whole);
}

static long xstate_set(pid_t pid, struct iovec *part)
{
	static bool is_small;
	long ret = 0;

	if (known_is(pid, part))
		return 0;
	if (!is_small)
		ret = ptrace_raw(PTRACE_SETREGSET, pid, (void *)XSTATE_REGSET, part);
	if (is_small || (ret != 0 && errno == EFAULT)) {
		ret = xstate_set_whole(pid, part);
		is_small = true;
	}
	if (ret == 0)
		known_set(pid, part);
	return ret;
}

static long xstate_get(pid_t pid, struct iovec *part)
{
	long ret = ptrace_raw(PTRACE_GETREGSET, pid, (void *)XSTATE_REGSET, part);

	if (ret == 0)
		known_set(pid, part);
	return ret;
}

static long peek(long request, pid_t pid, void *address)
{
	long word = 0;

	if (ptrace_raw(request, pid, address, &word) != 0)
		return -1;
	errno = 0;
	return word;
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	void *address, *data;
	pid_t pid;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);

	if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER)
		return peek(request, pid, address);
	if (request == PTRACE_GETREGSET && address == (void *)XSTATE_REGSET)
		return xstate_get(pid, data);
	if (request == PTRACE_SETREGSET && address == (void *)XSTATE_REGSET)
		return xstate_set(pid, data);
	if (request != PTRACE_GETREGS && request != PTRACE_SETREGS)
		known_forget(request, data);
	return ptrace_raw(request, pid, address, data);
}
