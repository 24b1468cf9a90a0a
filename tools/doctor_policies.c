/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gss-ipsec doctor: the host's own IPsec policy (SPD), which the broker does not pass over.  It is
 * judged as the broker judges it (kxfrm_policy_find_prescribing), with ports that nobody prescribes
 * anything for.
 */
#include "tools/doctor.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel-bind/xfrm.h"

#define POLICIES_MAX 4096
#define POLICY_TEXT_BYTES 256
#define POLICY_DIRECTION_IN 0 /* XFRM_POLICY_IN; out is 1 */

struct policies {
	struct kxfrm_policy *items;
	size_t count;
};

static void each_policy(void *context, const struct kxfrm_policy *policy)
{
	struct policies *all = context;

	if (kxfrm_policy_is_cover(policy) || kxfrm_policy_is_block(policy) ||
		all->count == POLICIES_MAX)
		return;
	all->items[all->count++] = *policy;
}

/* As 'ip xfrm policy' shows it. */
static void policy_text(const struct kxfrm_policy *policy, char text[POLICY_TEXT_BYTES])
{
	char source[INET6_ADDRSTRLEN] = "?", destination[INET6_ADDRSTRLEN] = "?";

	(void)inet_ntop(policy->family, policy->source, source, sizeof(source));
	(void)inet_ntop(policy->family, policy->destination, destination, sizeof(destination));
	(void)snprintf(text, POLICY_TEXT_BYTES, "src %s/%u dst %s/%u dir %s%s", source,
		policy->source_bits, destination, policy->destination_bits,
		policy->direction == POLICY_DIRECTION_IN ? "in" : "out",
		policy->is_block ? " action block" : "");
}

static void address_copy(const struct sockaddr *from, uint8_t to[16])
{
	if (from->sa_family == AF_INET)
		memcpy(to, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
	else
		memcpy(to, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
}

/* The addresses that a connection to there would have: a datagram socket finds them, and sends
 * nothing. */
static bool tuple_find(const struct addrinfo *target, struct kbind_tuple *ret_tuple)
{
	struct kbind_tuple tuple = { .family = (uint8_t)target->ai_family,
		.protocol = IPPROTO_TCP };
	struct sockaddr_storage local = { 0 };
	socklen_t len = sizeof(local);
	int fd = socket(target->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool is_found;

	if (fd < 0)
		return false;
	is_found = connect(fd, target->ai_addr, target->ai_addrlen) == 0 &&
		   getsockname(fd, (struct sockaddr *)&local, &len) == 0;
	(void)close(fd);
	if (!is_found)
		return false;
	address_copy((const struct sockaddr *)&local, tuple.local);
	address_copy(target->ai_addr, tuple.remote);
	*ret_tuple = tuple;
	return true;
}

static void prescribed_tell(
	struct doctor *doctor, const struct kxfrm_policy *policy, const char *host)
{
	char text[POLICY_TEXT_BYTES], place[64];

	policy_text(policy, text);
	(void)snprintf(place, sizeof(place), "dir %s index %u",
		policy->direction == POLICY_DIRECTION_IN ? "in" : "out", policy->index);
	if (doctor_broker_has(doctor, "--override-spd"))
		doctor_tell(doctor, FOUND_SPD_OVERRIDDEN, text, NULL, NULL);
	else
		doctor_tell(doctor, FOUND_SPD_PRESCRIBES, text, host, place);
}

/* Whether something is prescribed for one of the host's addresses. */
static bool target_examine(struct doctor *doctor, const struct policies *all, const char *host)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found = NULL;
	struct kbind_tuple tuple;
	bool is_prescribed = false;

	if (getaddrinfo(host, "9", &hints, &found) != 0)
		return false;
	for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
		if (!tuple_find(at, &tuple))
			continue;
		for (int direction = 0; direction < 2; direction++) {
			const struct kxfrm_path path = { &tuple, direction == 0 };
			const struct kxfrm_policy *policy =
				kxfrm_policy_find_prescribing(all->items, all->count, path, 0);

			if (policy != NULL)
				prescribed_tell(doctor, policy, host);
			is_prescribed = is_prescribed || policy != NULL;
		}
	}
	freeaddrinfo(found);
	return is_prescribed;
}

static void policies_judge(struct doctor *doctor, const struct policies *all)
{
	const char *host = doctor->is_server ? doctor->peer : doctor->target_host;
	char text[POLICY_TEXT_BYTES];
	size_t foreign = 0;

	if (host == NULL && doctor->peer != NULL && strchr(doctor->peer, '@') == NULL)
		host = doctor->peer;
	if (host != NULL && target_examine(doctor, all, host))
		return;
	for (size_t i = 0; i < all->count; i++) {
		if (!kxfrm_policy_prescribes(&all->items[i]))
			continue;
		foreign++;
		policy_text(&all->items[i], text);
		if (host == NULL)
			doctor_tell(doctor, FOUND_SPD_ELSEWHERE, text, NULL, NULL);
	}
	if (foreign == 0)
		doctor_tell(doctor, FOUND_SPD_FREE, "", NULL, NULL);
	else if (host != NULL)
		doctor_tell(doctor, FOUND_SPD_FREE, " for that host", NULL, NULL);
}

void doctor_examine_policies(struct doctor *doctor)
{
	struct policies all = { .items = calloc(POLICIES_MAX, sizeof(*all.items)) };
	struct kxfrm *xfrm = NULL;

	if (geteuid() != 0 || all.items == NULL || kxfrm_open(&xfrm) != 0 ||
		kxfrm_policy_dump(xfrm, each_policy, &all) != 0)
		doctor_tell(doctor, FOUND_SPD_UNSEEN, NULL, NULL, NULL);
	else
		policies_judge(doctor, &all);
	kxfrm_close(&xfrm);
	free(all.items);
}
