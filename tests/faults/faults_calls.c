/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that fail by a fixed result and, when they do not, are the library's own: each is a few
 * instructions that save the arguments, ask faults_call, and jump on or return.  They serve any
 * function whose result is an integer or a pointer, variadic ones too.  x86-64 only.
 */
#include "tests/faults/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "tests/faults/crypto_calls.h"

#ifndef __x86_64__
#error "failure injection knows the calling convention of x86-64 only"
#endif

/* X(kind, name, result, errno): what a failure looks like. Memory comes through malloc instead. */
/* clang-format off */
#define SYSTEM_CALLS(X) \
	X(SYSTEM, open,          -1, EMFILE) \
	X(SYSTEM, open64,        -1, EMFILE) \
	X(SYSTEM, read,          -1, EIO) \
	X(SYSTEM, write,         -1, ENOSPC) \
	X(SYSTEM, fopen,          0, EMFILE) \
	X(SYSTEM, fopen64,        0, EMFILE) \
	X(SYSTEM, opendir,        0, EMFILE) \
	X(SYSTEM, stat,          -1, EACCES) \
	X(SYSTEM, stat64,        -1, EACCES) \
	X(SYSTEM, fstat,         -1, EIO) \
	X(SYSTEM, fstat64,       -1, EIO) \
	X(SYSTEM, lstat,         -1, EACCES) \
	X(SYSTEM, mmap,          -1, ENOMEM) \
	X(SYSTEM, madvise,       -1, ENOMEM) \
	X(SYSTEM, socket,        -1, EMFILE) \
	X(SYSTEM, connect,       -1, EAGAIN) \
	X(SYSTEM, bind,          -1, ENOBUFS) \
	X(SYSTEM, sendto,        -1, ENOBUFS) \
	X(SYSTEM, send,          -1, ENOBUFS) \
	X(SYSTEM, recvmsg,       -1, ENOMEM) \
	X(SYSTEM, recvfrom,      -1, ENOMEM) \
	X(SYSTEM, recv,          -1, ENOMEM) \
	X(SYSTEM, poll,          -1, ENOMEM) \
	X(SYSTEM, getsockopt,    -1, ENOBUFS) \
	X(SYSTEM, setsockopt,    -1, ENOMEM) \
	X(SYSTEM, getsockname,   -1, ENOBUFS) \
	X(SYSTEM, getpeername,   -1, ENOBUFS) \
	X(SYSTEM, fcntl,         -1, EMFILE) \
	X(SYSTEM, fcntl64,       -1, EMFILE) \
	X(SYSTEM, ioctl,         -1, EFAULT) \
	X(SYSTEM, syscall,       -1, ENOMEM) \
	X(RANDOM, getentropy,    -1, EIO)
/* clang-format on */

struct faults_row {
	enum faults_kind kind;
	const char *name;
	long result;
	int error;
	void *real;
	void (*ours)(void); /* of CRYPTO only */
};

#define DECLARATION(name) void name(void);
CRYPTO_CALLS(DECLARATION)

#define ROW(kind, name, result, error) { FAULTS_##kind, #name, (result), (error), NULL, NULL },
#define CRYPTO_ROW(name) { FAULTS_CRYPTO, #name, 0, 0, NULL, name },

static struct faults_row rows[] = { SYSTEM_CALLS(ROW) CRYPTO_CALLS(CRYPTO_ROW) };

/* For the instructions below: NULL and *ret_result, or where to go. */
__attribute__((used)) static void *faults_call(
	unsigned long index, long *ret_result, const void *caller)
{
	struct faults_row *row = &rows[index];
	int saved = errno;

	if (row->real == NULL)
		row->real = faults_real(row->name);
	errno = saved;
	/* What OpenSSL calls in itself is its own affair. */
	if ((row->kind == FAULTS_CRYPTO && faults_is_openssl(caller)) ||
		!faults_is_due(row->kind, row->name, caller))
		return row->real;
	*ret_result = row->result;
	if (row->error != 0)
		errno = row->error;
	return NULL;
}

/*
 * The mechanism opens libcrypto itself and asks dlsym for its functions: it is given ours.  NULL: dlsym
 * shall answer, which must then see its own caller (RTLD_NEXT), and so is jumped to.
 */
__attribute__((used, visibility("hidden"))) void *faults_dlsym;

__attribute__((used, no_sanitize("address", "undefined"))) static void *faults_find(
	void *library, const char *name)
{
	static const size_t count = sizeof(rows) / sizeof(rows[0]);

	if (faults_dlsym == NULL)
		faults_dlsym = dlvsym(RTLD_NEXT, "dlsym", "GLIBC_2.2.5");
	if (library == RTLD_NEXT || library == RTLD_DEFAULT)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		if (rows[i].kind != FAULTS_CRYPTO || strcmp(rows[i].name, name) != 0)
			continue;
		rows[i].real = ((void *(*)(void *, const char *))faults_dlsym)(library, name);
		return (void *)rows[i].ours;
	}
	return NULL;
}

/* The rows and the functions are made from the same lists, so the index counts both. */
#define FUNCTION(name)                                                         \
	".globl " #name "\n"                                                   \
	".type " #name ", @function\n" #name ":\n\tmov $faults_index, %r11d\n" \
	"\tjmp faults_through\n"                                               \
	".size " #name ", .-" #name "\n"                                       \
	".set faults_index, faults_index + 1\n"
#define SYSTEM_FUNCTION(kind, name, result, error) FUNCTION(name)

/* rdi, rsi, rdx, rcx, r8, r9 are arguments, al counts vector registers, which no function here
 * has; 72 octets keep the stack aligned and have room for the result. */
/* clang-format off */
__asm__(".text\n"
	".set faults_index, 0\n"
	"faults_through:\n"
	"\tpush %rdi\n\tpush %rsi\n\tpush %rdx\n\tpush %rcx\n\tpush %r8\n\tpush %r9\n\tpush %rax\n"
	"\tsub $16, %rsp\n"
	"\tmov %r11, %rdi\n"
	"\tmov %rsp, %rsi\n"
	"\tmov 72(%rsp), %rdx\n"
	"\tcall faults_call\n"
	"\tmov %rax, %r11\n"
	"\tmov (%rsp), %r10\n"
	"\tadd $16, %rsp\n"
	"\tpop %rax\n\tpop %r9\n\tpop %r8\n\tpop %rcx\n\tpop %rdx\n\tpop %rsi\n\tpop %rdi\n"
	"\ttest %r11, %r11\n"
	"\tjz 1f\n"
	"\tjmp *%r11\n"
	"1:\tmov %r10, %rax\n"
	"\tret\n"
	".globl dlsym\n"
	".type dlsym, @function\n"
	"dlsym:\n"
	"\tpush %rdi\n\tpush %rsi\n\tsub $8, %rsp\n"
	"\tcall faults_find\n"
	"\tadd $8, %rsp\n\tpop %rsi\n\tpop %rdi\n"
	"\ttest %rax, %rax\n"
	"\tjz 1f\n"
	"\tret\n"
	"1:\tmov faults_dlsym(%rip), %r11\n"
	"\tjmp *%r11\n"
	SYSTEM_CALLS(SYSTEM_FUNCTION)
	CRYPTO_CALLS(FUNCTION));
/* clang-format on */
