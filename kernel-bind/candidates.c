/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which TCP connections this process holds.  Reads /proc/self/fd once and looks at each socket (sighting.c).
 * Changes nothing, resolves nothing, asks no broker; other threads may close and open descriptors at will.
 */
#include "kernel-bind/client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel-bind/sighting.h"
#include "kernel-bind/tuple.h"

#define DESCRIPTORS_MAX 4096

struct search {
	struct kbind_candidates found;	/* first what goes before the others */
	enum ipsec_latch_reason reason; /* the most telling one of those left out */
	size_t descriptors;
	bool freshest_first; /* else the newest */
	const struct kbind_pick *pick;
	kbind_wants wants;
	const void *argument;
	kbind_visit visit; /* in place of all others but descriptors */
	void *visitor;
};

static bool search_wants(const struct search *search, const struct kbind_candidate *candidate)
{
	return search->wants == NULL || search->wants(candidate, search->argument);
}

static enum ipsec_latch_reason find_explicit(
	const struct search *search, int fd, struct kbind_candidates *ret_candidates)
{
	struct sighting seen;
	enum ipsec_latch_reason reason = sighting_take(fd, &seen);

	ret_candidates->unfit_count = 0;
	ret_candidates->is_cut = false;
	ret_candidates->found_ms = search->found.found_ms;
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	reason = seen.candidate.fitness = sighting_judge(&seen);
	if (sighting_is_unfit(&seen, reason))
		ret_candidates->unfit[ret_candidates->unfit_count++] = seen.candidate;
	if (reason == IPSEC_LATCH_LATCHED && !search_wants(search, &seen.candidate))
		reason = IPSEC_LATCH_NONE;
	if (reason != IPSEC_LATCH_LATCHED)
		return reason;
	*ret_candidates =
		(struct kbind_candidates){ .count = 1, .found_ms = search->found.found_ms };
	ret_candidates->items[0] = seen.candidate;
	return IPSEC_LATCH_LATCHED;
}

/* The more telling a reason, the later it stands here. */
static const enum ipsec_latch_reason reasons_by_rank[] = { IPSEC_LATCH_NONE,
	IPSEC_LATCH_SOCKET_GONE, IPSEC_LATCH_SELF, IPSEC_LATCH_NOT_TCP, IPSEC_LATCH_ULP,
	IPSEC_LATCH_HAS_FILTER, IPSEC_LATCH_ALREADY_LATCHED };

static size_t reason_rank(enum ipsec_latch_reason reason)
{
	size_t rank = sizeof(reasons_by_rank) / sizeof(reasons_by_rank[0]);

	while (rank > 0 && reasons_by_rank[rank - 1] != reason)
		rank--;
	return rank;
}

static void search_note(struct search *search, enum ipsec_latch_reason reason)
{
	if (reason_rank(reason) > reason_rank(search->reason))
		search->reason = reason;
}

static bool search_goes_before(const struct search *search, const struct kbind_candidate *a,
	const struct kbind_candidate *b)
{
	if (search->freshest_first && a->last_received_ms != b->last_received_ms)
		return a->last_received_ms < b->last_received_ms;
	return a->inode > b->inode;
}

/* A socket counts once, whatever number of descriptors it has: its cookie names it. */
static void search_add(struct search *search, const struct kbind_candidate *candidate,
	struct kbind_candidate *items, size_t *count)
{
	size_t i, at = 0;

	for (i = 0; i < *count; i++) {
		if (items[i].cookie == candidate->cookie) {
			/* The higher one may be another thread's duplicate, for this moment only. */
			if (candidate->fd < items[i].fd)
				items[i].fd = candidate->fd;
			return;
		}
		if (search_goes_before(search, &items[i], candidate))
			at = i + 1;
	}
	if (*count == KBIND_CANDIDATES_MAX)
		search->found.is_cut = true;
	else
		++*count;
	if (at == KBIND_CANDIDATES_MAX)
		return;
	for (i = *count - 1; i > at; i--)
		items[i] = items[i - 1];
	items[at] = *candidate;
}

static enum ipsec_latch_reason search_look(struct search *search, int fd)
{
	struct kbind_candidates *found = &search->found;
	struct sighting seen;
	enum ipsec_latch_reason reason = sighting_take(fd, &seen);

	if (reason == IPSEC_LATCH_TOO_MANY)
		return reason;
	if (reason != IPSEC_LATCH_LATCHED)
		return IPSEC_LATCH_LATCHED;
	if (!sighting_is_connection(&seen)) {
		/* The one that is meant, perhaps; without a pick it could be anybody's. */
		if (search->pick != NULL && sighting_judge(&seen) == IPSEC_LATCH_SOCKET_GONE)
			search_note(search, IPSEC_LATCH_SOCKET_GONE);
		return IPSEC_LATCH_LATCHED;
	}
	reason = seen.candidate.fitness = sighting_judge(&seen);
	if (sighting_is_unfit(&seen, reason) && search_wants(search, &seen.candidate))
		search_add(search, &seen.candidate, found->unfit, &found->unfit_count);
	if (reason == IPSEC_LATCH_LATCHED && search_wants(search, &seen.candidate))
		search_add(search, &seen.candidate, found->items, &found->count);
	else
		search_note(search, reason);
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason visit_look(const struct search *search, int fd)
{
	struct sighting seen;
	enum ipsec_latch_reason reason = sighting_take(fd, &seen);

	if (reason == IPSEC_LATCH_LATCHED && sighting_show(&seen))
		search->visit(&seen.candidate, search->visitor);
	return reason == IPSEC_LATCH_TOO_MANY ? reason : IPSEC_LATCH_LATCHED;
}

/*
 * Without a duplicate: whatever the descriptor is, these questions change nothing, and what is taken is looked at
 * properly.  Who swaps it meanwhile closes or moves a connection during the search, whose result may be any then.
 */
static bool search_picks(const struct search *search, int fd)
{
	const struct kbind_pick *pick = search->pick;
	struct kbind_tuple tuple;
	uint64_t cookie;

	if (pick == NULL)
		return true;
	if (pick->takes_cookie != NULL &&
		(!sighting_cookie(fd, &cookie) || !pick->takes_cookie(cookie, pick->argument)))
		return false;
	return pick->takes_tuple == NULL ||
	       (tuple_read(fd, &tuple) && pick->takes_tuple(&tuple, pick->argument));
}

static bool name_is_descriptor(const char *name, int *ret_fd)
{
	char *end;
	long number;

	if (name[0] < '0' || name[0] > '9')
		return false;
	number = strtol(name, &end, 10);
	*ret_fd = (int)number;
	return *end == '\0' && number <= INT32_MAX;
}

static enum ipsec_latch_reason search_directory(struct search *search, DIR *directory)
{
	enum ipsec_latch_reason reason = IPSEC_LATCH_LATCHED;
	struct dirent *entry;
	int fd;

	while (reason == IPSEC_LATCH_LATCHED) {
		errno = 0;
		entry = readdir(directory);
		if (entry == NULL)
			return errno == 0 ? IPSEC_LATCH_LATCHED : IPSEC_LATCH_NO_PROC;
		if (!name_is_descriptor(entry->d_name, &fd))
			continue;
		if (++search->descriptors > DESCRIPTORS_MAX + 1) /* one is the directory's */
			return IPSEC_LATCH_TOO_MANY;
		if (!search_picks(search, fd))
			continue;
		reason = search->visit != NULL ? visit_look(search, fd) : search_look(search, fd);
	}
	return reason;
}

/* The second is for a process whose first thread has ended: the first is empty then. */
static const char *const descriptor_directories[] = { "/proc/self/fd", "/proc/thread-self/fd" };

static enum ipsec_latch_reason search_process(struct search *search)
{
	enum ipsec_latch_reason reason;
	DIR *directory;
	size_t i;

	for (i = 0; i < sizeof(descriptor_directories) / sizeof(descriptor_directories[0]); i++) {
		directory = opendir(descriptor_directories[i]);
		if (directory == NULL && (errno == EMFILE || errno == ENFILE))
			return IPSEC_LATCH_TOO_MANY;
		if (directory == NULL)
			continue;
		reason = search_directory(search, directory);
		(void)closedir(directory);
		if (reason != IPSEC_LATCH_LATCHED || search->descriptors > 0)
			return reason;
	}
	return IPSEC_LATCH_NO_PROC;
}

static enum ipsec_latch_reason search_run(
	struct search *search, int fd, struct kbind_candidates *ret_candidates)
{
	enum ipsec_latch_reason reason;

	if (fd >= 0)
		return find_explicit(search, fd, ret_candidates);
	reason = search_process(search);
	if (reason == IPSEC_LATCH_LATCHED && search->found.count > 0) {
		*ret_candidates = search->found;
		return IPSEC_LATCH_LATCHED;
	}
	memcpy(ret_candidates->unfit, search->found.unfit, sizeof(search->found.unfit));
	ret_candidates->unfit_count = search->found.unfit_count;
	ret_candidates->is_cut = search->found.is_cut;
	ret_candidates->found_ms = search->found.found_ms;
	return reason == IPSEC_LATCH_LATCHED ? search->reason : reason;
}

enum ipsec_latch_reason kbind_find_candidates(int fd, struct kbind_candidates *ret_candidates)
{
	struct search search = { .reason = IPSEC_LATCH_NONE,
		.found = { .found_ms = kbind_clock_ms() } };

	return search_run(&search, fd, ret_candidates);
}

enum ipsec_latch_reason kbind_find_wanted(int fd, const struct kbind_pick *pick, kbind_wants wants,
	const void *argument, struct kbind_candidates *ret_candidates)
{
	struct search search = { .reason = IPSEC_LATCH_NONE,
		.found = { .found_ms = kbind_clock_ms() },
		.freshest_first = true,
		.pick = pick,
		.wants = wants,
		.argument = argument };

	return search_run(&search, fd, ret_candidates);
}

enum ipsec_latch_reason kbind_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	struct search search = { .pick = pick, .visit = visit, .visitor = argument };
	struct sighting seen;
	enum ipsec_latch_reason reason;

	if (fd < 0)
		return search_process(&search);
	reason = sighting_take(fd, &seen);
	if (reason == IPSEC_LATCH_LATCHED && sighting_show(&seen))
		visit(&seen.candidate, argument);
	return reason;
}

bool kbind_has_threads(void)
{
	struct stat tasks;

	/* Two links of the folder itself, and one for each thread's. */
	return stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink != 3;
}
