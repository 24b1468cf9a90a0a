/* SPDX-License-Identifier: BSD-2-Clause */
/* Accounts of user ids; see broker_users.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-bind/broker_users.h"

#define RANGES_MAX 8192
#define OWNER_BYTES 64
#define BLOCK_BITS 16
#define BLOCK_GROUP (UINT64_C(1) << 32) /* no account has this number */

struct range {
	uint32_t first, last; /* both belong to it */
	uint32_t account;
	char owner[OWNER_BYTES];
};

/* Accounts whose numbers fall together push each other out. */
#define STANDINGS 1024
#define STANDING_MS 60000

static struct {
	uint32_t account;
	bool is_slow;
	uint64_t until_ms;
} standings[STANDINGS];

static struct range *ranges;
static size_t range_count;

static bool number_take(char **text, char end, uint32_t *ret_number)
{
	char *rest = NULL;
	unsigned long long number;

	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	number = strtoull(*text, &rest, 10);
	if (errno != 0 || number > UINT32_MAX || *rest != end)
		return false;
	*text = rest + 1;
	*ret_number = (uint32_t)number;
	return true;
}

/* "owner:first:count" */
static bool range_read(char *line, struct range *ret_range)
{
	struct range range = { 0 };
	char *colon = strchr(line, ':');
	uint32_t count;

	if (colon == NULL || colon == line || (size_t)(colon - line) >= sizeof(range.owner))
		return false;
	memcpy(range.owner, line, (size_t)(colon - line));
	colon[strcspn(colon, "\n")] = '\0';
	colon++;
	if (!number_take(&colon, ':', &range.first) || !number_take(&colon, '\0', &count) ||
		count == 0 || count - 1 > UINT32_MAX - range.first)
		return false;
	range.last = range.first + (count - 1);
	*ret_range = range;
	return true;
}

static int range_compare(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	return (left->first > right->first) - (left->first < right->first);
}

/* All ranges of one owner are one account: the first that is his. */
static void accounts_set(void)
{
	for (size_t i = 0; i < range_count; i++) {
		ranges[i].account = ranges[i].first;
		for (size_t j = 0; j < i; j++) {
			if (strcmp(ranges[j].owner, ranges[i].owner) == 0) {
				ranges[i].account = ranges[j].account;
				break;
			}
		}
	}
}

int users_read(const char *path)
{
	FILE *file = fopen(path, "re");
	struct range *read = NULL;
	size_t count = 0, room = 0;
	char *line = NULL;

	if (file == NULL)
		return errno == ENOENT ? 0 : errno;
	read = calloc(RANGES_MAX, sizeof(*read));
	while (read != NULL && count < RANGES_MAX && getline(&line, &room, file) > 0)
		count += range_read(line, &read[count]);
	free(line);
	(void)fclose(file);
	if (read == NULL)
		return ENOMEM;
	qsort(read, count, sizeof(*read), range_compare);
	free(ranges);
	ranges = read;
	range_count = count;
	accounts_set();
	return 0;
}

/* Ranges that overlap are an administrator's mistake: the last that starts at or before counts. */
static const struct range *range_find(uint32_t uid)
{
	size_t low = 0, high = range_count;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (ranges[middle].first <= uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && uid <= ranges[low - 1].last ? &ranges[low - 1] : NULL;
}

void users_find(uint32_t uid, struct broker_user *ret_user)
{
	const struct range *range = range_find(uid);
	struct broker_user user = { uid, uid, uid };

	if (range != NULL)
		user.account = range->account;
	user.group = user.account;
	if (range == NULL && uid >> BLOCK_BITS != 0)
		user.group = BLOCK_GROUP | uid >> BLOCK_BITS;
	*ret_user = user;
}

enum users_standing users_standing(const struct broker_user *user, uint64_t now_ms)
{
	const size_t slot = user->account % STANDINGS;

	if (standings[slot].account != user->account || standings[slot].until_ms <= now_ms)
		return USERS_UNKNOWN;
	return standings[slot].is_slow ? USERS_SLOW : USERS_KNOWN;
}

void users_note(const struct broker_user *user, bool is_served, uint64_t now_ms)
{
	const size_t slot = user->account % STANDINGS;

	/* Slow ones do not mend their standing by a request that is quick. */
	if (is_served && users_standing(user, now_ms) == USERS_SLOW)
		return;
	standings[slot].account = user->account;
	standings[slot].is_slow = !is_served;
	standings[slot].until_ms = now_ms + STANDING_MS;
}
