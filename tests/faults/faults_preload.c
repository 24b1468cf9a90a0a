/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The library that tests/real/faults.sh preloads: its control block is the file that FAULTS_FILE names, so
 * that the test arms it, reads what was counted, and need not start a daemon anew for each call.  At
 * the end of a program it says there what the mechanism's code has not released.
 */
#include <dirent.h>
#include <fcntl.h>
#include <gssapi/gssapi.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/faults/faults.h"

#define IN_PLACE __attribute__((visibility("default")))
#define BLOCKS_MAX 4096

/* --- what is left --- */

static struct {
	void *block;
	uint32_t offset;
} blocks[BLOCKS_MAX];
static size_t block_count;
static int32_t calls; /* of gss_init_sec_context or gss_accept_sec_context */

static void block_see(void *made, void *freed, const void *caller)
{
	uint32_t offset;

	for (size_t i = 0; freed != NULL && i < block_count; i++) {
		if (blocks[i].block != freed)
			continue;
		blocks[i] = blocks[--block_count];
		return;
	}
	if (made == NULL || !faults_is_our_code(caller, &offset))
		return;
	if (block_count == BLOCKS_MAX)
		abort();
	blocks[block_count].block = made;
	blocks[block_count++].offset = offset;
}

static int32_t descriptors_count(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int32_t count = -1; /* the directory's own */

	if (directory == NULL)
		return -1;
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
		count += entry->d_name[0] != '.';
	(void)closedir(directory);
	return count;
}

__attribute__((destructor)) static void faults_end(void)
{
	struct faults_control *c = faults_control;

	/* A broker's sandbox does not let it look. */
	if (calls == 0)
		return;
	c->armed = 0;
	faults_block_seen = NULL;
	for (size_t i = 0; i < block_count && i < FAULTS_LEFT_MAX; i++)
		c->left[i] = blocks[i].offset;
	c->left_count = (int32_t)block_count;
	c->descriptors = descriptors_count();
	c->is_ended = 1;
}

/* --- the program's calls --- */

static void call_begin(void)
{
	calls++;
	faults_is_inside = calls >= faults_control->from_call;
}

IN_PLACE OM_uint32 gss_init_sec_context(OM_uint32 *minor, gss_cred_id_t credential,
	gss_ctx_id_t *context, gss_name_t target, gss_OID mech, OM_uint32 flags, OM_uint32 time,
	gss_channel_bindings_t bindings, gss_buffer_t input, gss_OID *ret_mech, gss_buffer_t output,
	OM_uint32 *ret_flags, OM_uint32 *ret_time)
{
	__typeof__(&gss_init_sec_context) real;
	OM_uint32 major;

	*(void **)&real = faults_real("gss_init_sec_context");
	call_begin();
	major = real(minor, credential, context, target, mech, flags, time, bindings, input,
		ret_mech, output, ret_flags, ret_time);
	faults_is_inside = false;
	return major;
}

IN_PLACE OM_uint32 gss_accept_sec_context(OM_uint32 *minor, gss_ctx_id_t *context,
	gss_cred_id_t credential, gss_buffer_t input, gss_channel_bindings_t bindings,
	gss_name_t *ret_source, gss_OID *ret_mech, gss_buffer_t output, OM_uint32 *ret_flags,
	OM_uint32 *ret_time, gss_cred_id_t *ret_delegated)
{
	__typeof__(&gss_accept_sec_context) real;
	OM_uint32 major;

	*(void **)&real = faults_real("gss_accept_sec_context");
	call_begin();
	major = real(minor, context, credential, input, bindings, ret_source, ret_mech, output,
		ret_flags, ret_time, ret_delegated);
	faults_is_inside = false;
	return major;
}

__attribute__((constructor)) static void faults_begin(void)
{
	const char *path = getenv("FAULTS_FILE");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *page;

	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(struct faults_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (page != MAP_FAILED)
		faults_control = page;
	faults_block_seen = block_see;
}
