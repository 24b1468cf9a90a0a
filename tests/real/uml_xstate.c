/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Preloaded into User Mode Linux 6.1 on processors whose register state is larger than its buffer
 * (AMX): there the kernel below refuses its PTRACE_SETREGSET with EFAULT, because it takes whole
 * states only, and UML panics at its first process.  This completes the state with what the traced
 * process has, and passes everything else on.
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

static long xstate_set(pid_t pid, const struct iovec *part)
{
	static unsigned char state[XSTATE_BYTES_MAX];
	struct iovec whole = { .iov_base = state, .iov_len = sizeof(state) };

	if (ptrace_raw(PTRACE_GETREGSET, pid, (void *)XSTATE_REGSET, &whole) != 0)
		return -1;
	if (whole.iov_len < part->iov_len)
		return ptrace_raw(
			PTRACE_SETREGSET, pid, (void *)XSTATE_REGSET, (void *)(unsigned long)part);
	memcpy(state, part->iov_base, part->iov_len);
	return ptrace_raw(PTRACE_SETREGSET, pid, (void *)XSTATE_REGSET, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	static bool is_small;
	va_list arguments;
	void *address, *data;
	long word, ret;
	pid_t pid;

	va_start(arguments, request);
	pid = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);

	if (request >= PTRACE_PEEKTEXT && request <= PTRACE_PEEKUSER) {
		ret = ptrace_raw(request, pid, address, &word);
		if (ret != 0)
			return -1;
		errno = 0;
		return word;
	}
	if (request != PTRACE_SETREGSET || address != (void *)XSTATE_REGSET)
		return ptrace_raw(request, pid, address, data);
	if (!is_small) {
		ret = ptrace_raw(request, pid, address, data);
		if (ret == 0 || errno != EFAULT)
			return ret;
		is_small = true;
	}
	return xstate_set(pid, data);
}
