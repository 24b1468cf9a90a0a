/* SPDX-License-Identifier: BSD-2-Clause */
/* Counting, allocations and random octets; see faults.h. */
#include "tests/faults/faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <linux/netlink.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* In the place of the libraries' own, whatever this tree's default is. */
#define IN_PLACE __attribute__((visibility("default")))
/* They run before a sanitizer's own memory is there. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined")))
#define EARLY_BYTES 4096
#define SECRETS_MAX 64
#define SECRET_BYTES_MAX 128

static struct faults_control own_control;
IN_PLACE struct faults_control *faults_control = &own_control;

void *faults_real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (found == NULL)
		abort();
	return found;
}

/* --- whose call it is --- */

static uintptr_t openssl_begin, openssl_end;

static int find_openssl(struct dl_phdr_info *info, size_t size, void *argument)
{
	(void)size;
	(void)argument;
	if (strstr(info->dlpi_name, "/libcrypto.so") == NULL)
		return 0;
	openssl_begin = info->dlpi_addr;
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];
		uintptr_t end = info->dlpi_addr + header->p_vaddr + header->p_memsz;

		if (header->p_type == PT_LOAD && end > openssl_end)
			openssl_end = end;
	}
	return 1;
}

bool faults_is_openssl(const void *address)
{
	if (openssl_end == 0)
		(void)dl_iterate_phdr(find_openssl, NULL);
	return (uintptr_t)address >= openssl_begin && (uintptr_t)address < openssl_end;
}

/* --- which call --- */

bool faults_is_inside;

/* For every allocation: dladdr would look through all of a library's symbols each time. */
bool faults_is_our_code(const void *address, uint32_t *ret_offset)
{
	static const char *const names[] = { "mech_ipsec.so", "gss-ipsecd", "libnl-3.so" };
	struct dl_find_object found;
	const char *file;

	if (_dl_find_object((void *)(uintptr_t)address, &found) != 0)
		return false;
	file = found.dlfo_link_map->l_name;
	if (file[0] == '\0') /* the program itself */
		file = program_invocation_name;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strstr(file, names[i]) == NULL)
			continue;
		if (ret_offset != NULL)
			*ret_offset =
				(uint32_t)((uintptr_t)address - (uintptr_t)found.dlfo_map_start);
		return true;
	}
	return false;
}

static void note_caller(const void *caller)
{
	static const char here;
	Dl_info own = { 0 }, its = { 0 };

	faults_control->in_openssl = faults_is_openssl(caller);
	faults_control->is_ours = dladdr(&here, &own) != 0 && dladdr(caller, &its) != 0 &&
				  own.dli_fbase == its.dli_fbase;
}

UNSANITIZED bool faults_is_due(enum faults_kind kind, const char *name, const void *caller)
{
	struct faults_control *c = faults_control;

	if (c->armed != 1 || (c->from_call != 0 && !faults_is_inside) ||
		(c->only_ours == 1 && !faults_is_our_code(caller, NULL)))
		return false;
	if (++c->seen[kind] != c->at || (int)kind != c->kind)
		return false;
	c->failed++;
	note_caller(caller);
	strncpy(c->name, name, sizeof(c->name) - 1);
	return true;
}

/* --- secrets --- */

static struct {
	uint8_t octets[SECRET_BYTES_MAX];
	size_t len;
} secrets[SECRETS_MAX];
static size_t secret_count;
static int64_t secrets_found;

void faults_secret_add(const uint8_t *octets, size_t len)
{
	if (secret_count == SECRETS_MAX || len > SECRET_BYTES_MAX || len < 16)
		abort();
	memcpy(secrets[secret_count].octets, octets, len);
	secrets[secret_count++].len = len;
}

void faults_secrets_forget(void)
{
	secret_count = 0;
	secrets_found = 0;
}

int64_t faults_secrets_found(void)
{
	return secrets_found;
}

UNSANITIZED static void look_for_secrets(void *block)
{
	if (secret_count == 0 || block == NULL)
		return;
	for (size_t i = 0; i < secret_count; i++)
		if (memmem(block, malloc_usable_size(block), secrets[i].octets, secrets[i].len) !=
			NULL)
			secrets_found++;
}

/* --- allocations --- */

static struct {
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void (*free)(void *);
} real;

/* For what dlsym itself allocates while it looks for malloc; never freed. */
static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;
static bool is_resolving;

UNSANITIZED static void *early_malloc(size_t len)
{
	void *block = early + early_used;

	early_used += (len + 15) / 16 * 16;
	if (early_used > sizeof(early))
		abort();
	return block;
}

UNSANITIZED static bool is_early(const void *block)
{
	return (uintptr_t)block >= (uintptr_t)early &&
	       (uintptr_t)block < (uintptr_t)early + sizeof(early);
}

UNSANITIZED static bool resolve(void)
{
	if (real.free != NULL)
		return true;
	if (is_resolving)
		return false;
	is_resolving = true;
	*(void **)&real.malloc = faults_real("malloc");
	*(void **)&real.calloc = faults_real("calloc");
	*(void **)&real.realloc = faults_real("realloc");
	*(void **)&real.free = faults_real("free");
	is_resolving = false;
	return true;
}

UNSANITIZED static bool is_memory_due(const char *name, const void *caller)
{
	if (!faults_is_due(FAULTS_MEMORY, name, caller))
		return false;
	errno = ENOMEM;
	return true;
}

faults_block_see faults_block_seen;

/* Made or freed: the other is NULL. */
UNSANITIZED static void note_block(void *made, void *freed, const void *caller)
{
	faults_control->live_blocks += (made != NULL) - (freed != NULL);
	if (faults_block_seen != NULL && (made != NULL || freed != NULL))
		faults_block_seen(made, freed, caller);
}

UNSANITIZED IN_PLACE void *malloc(size_t len)
{
	void *block;

	if (!resolve())
		return early_malloc(len);
	if (is_memory_due("malloc", __builtin_return_address(0)))
		return NULL;
	block = real.malloc(len);
	note_block(block, NULL, __builtin_return_address(0));
	return block;
}

UNSANITIZED IN_PLACE void *calloc(size_t count, size_t len)
{
	void *block;

	if (!resolve())
		return early_malloc(count * len);
	if (is_memory_due("calloc", __builtin_return_address(0)))
		return NULL;
	block = real.calloc(count, len);
	note_block(block, NULL, __builtin_return_address(0));
	return block;
}

UNSANITIZED IN_PLACE void *realloc(void *old, size_t len)
{
	void *block;

	if (old == NULL)
		return malloc(len);
	if (!resolve() || is_early(old))
		abort();
	if (is_memory_due("realloc", __builtin_return_address(0)))
		return NULL;
	/* It may move: what was there must be no secret then. */
	if (len > malloc_usable_size(old))
		look_for_secrets(old);
	block = real.realloc(old, len);
	if (block != NULL || len == 0)
		note_block(NULL, old, NULL);
	note_block(block, NULL, __builtin_return_address(0));
	return block;
}

UNSANITIZED IN_PLACE void free(void *block)
{
	if (block == NULL || is_early(block) || !resolve())
		return;
	look_for_secrets(block);
	note_block(NULL, block, NULL);
	real.free(block);
}

/* --- random octets --- */

static uint64_t random_state;
faults_random_see faults_random_seen;

void faults_random_seed(uint64_t seed)
{
	random_state = seed;
}

/* Marsaglia's xorshift: for tests that want the same octets again. */
static void fill_pseudo_random(uint8_t *out, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		random_state ^= random_state << 13;
		random_state ^= random_state >> 7;
		random_state ^= random_state << 17;
		out[i] = (uint8_t)(random_state >> 32);
	}
}

IN_PLACE ssize_t getrandom(void *out, size_t len, unsigned int flags)
{
	static ssize_t (*real_getrandom)(void *, size_t, unsigned int);

	if (faults_is_due(FAULTS_RANDOM, "getrandom", __builtin_return_address(0))) {
		errno = ENOSYS;
		return -1;
	}
	if (random_state != 0) {
		fill_pseudo_random(out, len);
		if (faults_random_seen != NULL)
			faults_random_seen(out, len);
		return (ssize_t)len;
	}
	if (real_getrandom == NULL)
		*(void **)&real_getrandom = faults_real("getrandom");
	return real_getrandom(out, len, flags);
}

/* --- time --- */

static time_t clock_second; /* 0: it goes */

void faults_clock_stop(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) == 0)
		clock_second = now.tv_sec + 1;
}

IN_PLACE int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
	static int (*real_clock_gettime)(clockid_t, struct timespec *);

	if (clock == CLOCK_MONOTONIC_COARSE && clock_second != 0) {
		*ret_now = (struct timespec){ .tv_sec = clock_second };
		return 0;
	}
	if (real_clock_gettime == NULL)
		*(void **)&real_clock_gettime = faults_real("clock_gettime");
	return real_clock_gettime(clock, ret_now);
}

/* --- requests to the kernel --- */

/* One of a type that no kernel has comes back refused. */
static ssize_t send_refused(ssize_t (*real_sendmsg)(int, const struct msghdr *, int), int fd,
	const struct msghdr *message)
{
	struct nlmsghdr *header = message->msg_iov[0].iov_base;
	uint16_t type = header->nlmsg_type;
	ssize_t sent;

	header->nlmsg_type = 0x7fff;
	sent = real_sendmsg(fd, message, 0);
	header->nlmsg_type = type;
	return sent;
}

static bool is_netlink(const struct msghdr *message)
{
	const struct sockaddr_nl *to = message->msg_name;

	return to != NULL && message->msg_namelen >= sizeof(*to) && to->nl_family == AF_NETLINK &&
	       message->msg_iovlen == 1 && message->msg_iov[0].iov_len >= sizeof(struct nlmsghdr);
}

IN_PLACE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	static ssize_t (*real_sendmsg)(int, const struct msghdr *, int);
	const void *caller = __builtin_return_address(0);

	if (real_sendmsg == NULL)
		*(void **)&real_sendmsg = faults_real("sendmsg");
	if (faults_is_due(FAULTS_SYSTEM, "sendmsg", caller)) {
		errno = ENOBUFS;
		return -1;
	}
	if (is_netlink(message) && faults_is_due(FAULTS_NETLINK, "sendmsg", caller))
		return send_refused(real_sendmsg, fd, message);
	return real_sendmsg(fd, message, flags);
}
