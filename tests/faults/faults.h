/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Failure injection: allocations, random octets, OpenSSL's functions that mech/crypto calls, and
 * system calls are counted while armed, and one of them fails.  The definitions of faults.c and
 * faults_calls.c stand before those of the libraries, in a program that is linked with them
 * (faults_login.c) or preloaded into one (faults_preload.c).
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum faults_kind {
	FAULTS_MEMORY,
	FAULTS_RANDOM,
	FAULTS_CRYPTO,
	FAULTS_SYSTEM,
	FAULTS_NETLINK, /* the kernel refuses a request (EINVAL) */
	FAULTS_KINDS
};

#define FAULTS_LEFT_MAX 512

/* May lie in memory shared with a test that steers another process: fixed sizes, no pointers. */
struct faults_control {
	int32_t armed;	   /* calls count only while this is 1 */
	int32_t kind;	   /* which kind fails */
	int32_t only_ours; /* count calls made by the plugin's, gss-ipsecd's and libnl's code only */
	int32_t from_call; /* count only within the program's calls of gss_init_sec_context and
			    * gss_accept_sec_context from this one on, counted from 1; 0: always */
	int64_t at;	   /* its at-th call fails, counted from 1; 0: none does */
	int64_t seen[FAULTS_KINDS];
	int64_t failed;	     /* how many have failed */
	int64_t live_blocks; /* allocations that were not freed */
	int32_t in_openssl;  /* the call that failed was one of OpenSSL's */
	int32_t is_ours;     /* it was one of the program's, or the plugin's, own code */
	char name[64];	     /* the function that failed last */
	/* What the process had left when it ended by exit(); of what is preloaded only. */
	int32_t is_ended;
	int32_t descriptors; /* open ones */
	int32_t left_count;  /* blocks that the plugin's, gss-ipsecd's or libnl's code allocated */
	uint32_t left[FAULTS_LEFT_MAX]; /* who allocated each: where in the library */
};

extern struct faults_control *faults_control; /* never NULL */

/* Whether it is in one of the calls that from_call means. */
extern bool faults_is_inside;

/* Whether code at that address belongs to the plugin, gss-ipsecd or libnl; *ret_offset (may be NULL):
 * where in it. */
bool faults_is_our_code(const void *address, uint32_t *ret_offset);
/* Is told of every block that is allocated or released (the other is NULL), and by whom; NULL: nobody. */
typedef void (*faults_block_see)(void *made, void *freed, const void *caller);
extern faults_block_see faults_block_seen;

/* Whether this call of a function of that kind, made from there, is the one that fails. */
bool faults_is_due(enum faults_kind kind, const char *name, const void *caller);
/* Whether code at that address belongs to OpenSSL's library. */
bool faults_is_openssl(const void *address);
/* The same name in the libraries behind us; never NULL. */
void *faults_real(const char *name);

/* Secrets that freed memory must not hold: public octets to nobody.  len >= 16. */
void faults_secret_add(const uint8_t *octets, size_t len);
void faults_secrets_forget(void);
/* How many freed blocks held one since faults_secrets_forget. */
int64_t faults_secrets_found(void);

/* getrandom gives the same octets in every run from here on; 0: the kernel's. */
void faults_random_seed(uint64_t seed);
/* The clock by which files are looked at again (CLOCK_MONOTONIC_COARSE) stands still from here on. */
void faults_clock_stop(void);
/* Shows the octets that getrandom gave to see; NULL: to nobody. */
typedef void (*faults_random_see)(const uint8_t *octets, size_t len);
extern faults_random_see faults_random_seen;

#endif
