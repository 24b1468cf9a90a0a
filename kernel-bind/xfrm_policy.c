/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policies: on sockets (IP_XFRM_POLICY, IPV6_XFRM_POLICY) and, for the close cover, in the SPD.
 * A socket policy has a selector that matches all of its family, since Linux takes a mismatch for
 * "no policy" and lets the packet pass; the SA's own selector is what binds it to the connection.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel-bind/xfrm_internal.h"

#define COVER_PRIORITY 1 /* before any entry that would let the packet pass; others' are refused */
#define BLOCK_PRIORITY 2 /* behind a cover, with which a close is clean */

static void template_fill(uint16_t family, uint32_t reqid, struct xfrm_user_tmpl *ret_template)
{
	*ret_template = (struct xfrm_user_tmpl){
		.id = { .proto = IPPROTO_ESP },
		.family = family,
		.reqid = reqid,
		.mode = XFRM_MODE_TRANSPORT,
		.aalgos = UINT32_MAX,
		.ealgos = UINT32_MAX,
		.calgos = UINT32_MAX,
	};
}

/* The kernel takes the option of the socket's own family only, whatever its packets are. */
struct policy_option {
	int level, name;
};

static int policy_option_of(int fd, struct policy_option *ret_option)
{
	static const struct policy_option v4 = { IPPROTO_IP, IP_XFRM_POLICY };
	static const struct policy_option v6 = { IPPROTO_IPV6, IPV6_XFRM_POLICY };
	int domain;
	socklen_t len = sizeof(domain);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0)
		return errno;
	if (domain != AF_INET && domain != AF_INET6)
		return EAFNOSUPPORT;
	*ret_option = domain == AF_INET ? v4 : v6;
	return 0;
}

int kxfrm_socket_policy_set(
	int fd, uint8_t family, bool is_inbound, enum kxfrm_socket_policy policy, uint32_t reqid)
{
	struct {
		struct xfrm_userpolicy_info info;
		struct xfrm_user_tmpl template;
	} value = { 0 };
	socklen_t len = sizeof(value);
	struct policy_option option;
	int result = policy_option_of(fd, &option);

	if (result != 0)
		return result;
	kxfrm_lifetime_unlimited(&value.info.lft);
	value.info.sel.family = family;
	value.info.dir = is_inbound ? XFRM_POLICY_IN : XFRM_POLICY_OUT;
	value.info.action = policy == KXFRM_SOCKET_BLOCK ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	template_fill(family, reqid, &value.template);
	if (policy == KXFRM_SOCKET_BLOCK)
		len = sizeof(value.info);
	return setsockopt(fd, option.level, option.name, &value, len) == 0 ? 0 : errno;
}

int kxfrm_socket_policy_clear(int fd)
{
	struct policy_option option;
	int result = policy_option_of(fd, &option);

	if (result != 0)
		return result;
	return setsockopt(fd, option.level, option.name, NULL, 0) == 0 ? 0 : errno;
}

enum cover_how {
	COVER_NEW,    /* EEXIST where there is an entry */
	COVER_REPLACE /* in its place, so that there is one at any time */
};

static int cover_put_one(
	struct kxfrm *xfrm, struct kxfrm_path path, uint32_t reqid, enum cover_how how)
{
	struct xfrm_userpolicy_info *info;
	struct xfrm_user_tmpl template;
	struct nl_msg *message;

	message = kxfrm_message_new(how == COVER_REPLACE ? XFRM_MSG_UPDPOLICY : XFRM_MSG_NEWPOLICY,
		how == COVER_REPLACE ? 0 : NLM_F_CREATE | NLM_F_EXCL, sizeof(*info),
		(void **)&info);
	if (message == NULL)
		return ENOMEM;
	kxfrm_path_selector(path, &info->sel);
	kxfrm_lifetime_unlimited(&info->lft);
	info->priority = COVER_PRIORITY;
	info->flags = reqid == KXFRM_REQID_ANY ? XFRM_POLICY_LOCALOK : 0;
	info->dir = path.is_inbound ? XFRM_POLICY_IN : XFRM_POLICY_OUT;
	info->action = XFRM_POLICY_ALLOW;
	template_fill(path.tuple->family, reqid, &template);
	if (nla_put(message, XFRMA_TMPL, sizeof(template), &template) != 0) {
		kxfrm_message_free(message);
		return ENOMEM;
	}
	return kxfrm_request(xfrm, message, NULL, NULL);
}

void kxfrm_policy_read(const struct xfrm_userpolicy_info *info, struct nlattr **attributes,
	struct kxfrm_policy *policy)
{
	const struct xfrm_userpolicy_type *type;
	const struct xfrm_user_tmpl *template;
	const struct xfrm_mark *mark;

	policy->family = (uint8_t)info->sel.family;
	policy->protocol = info->sel.proto;
	policy->direction = info->dir;
	policy->source_bits = info->sel.prefixlen_s;
	policy->destination_bits = info->sel.prefixlen_d;
	memcpy(policy->source, &info->sel.saddr, sizeof(policy->source));
	memcpy(policy->destination, &info->sel.daddr, sizeof(policy->destination));
	policy->source_port = ntohs(info->sel.sport);
	policy->source_port_mask = ntohs(info->sel.sport_mask);
	policy->destination_port = ntohs(info->sel.dport);
	policy->destination_port_mask = ntohs(info->sel.dport_mask);
	policy->priority = info->priority;
	policy->index = info->index;
	policy->is_block = info->action == XFRM_POLICY_BLOCK;
	policy->is_local_ok = (info->flags & XFRM_POLICY_LOCALOK) != 0;
	policy->is_partial = info->sel.ifindex != 0;
	if (attributes[XFRMA_POLICY_TYPE] != NULL &&
		nla_len(attributes[XFRMA_POLICY_TYPE]) >= (int)sizeof(*type)) {
		type = nla_data(attributes[XFRMA_POLICY_TYPE]);
		policy->is_partial = policy->is_partial || type->type != XFRM_POLICY_TYPE_MAIN;
	}
	if (attributes[XFRMA_MARK] != NULL &&
		nla_len(attributes[XFRMA_MARK]) >= (int)sizeof(*mark)) {
		mark = nla_data(attributes[XFRMA_MARK]);
		policy->mark = mark->v;
		policy->mark_mask = mark->m;
	}
	if (attributes[XFRMA_IF_ID] != NULL)
		policy->if_id = nla_get_u32(attributes[XFRMA_IF_ID]);
	if (attributes[XFRMA_TMPL] != NULL &&
		nla_len(attributes[XFRMA_TMPL]) >= (int)sizeof(*template)) {
		template = nla_data(attributes[XFRMA_TMPL]);
		policy->has_template = true;
		policy->reqid = template->reqid;
	}
}

struct policy_search {
	struct kxfrm_policy policy;
	bool is_found;
};

static void each_policy_found(void *context, struct nlmsghdr *header)
{
	struct policy_search *search = context;
	const struct xfrm_userpolicy_info *info = nlmsg_data(header);
	struct nlattr *attributes[XFRMA_MAX + 1];

	if (header->nlmsg_type != XFRM_MSG_NEWPOLICY ||
		nlmsg_parse(header, sizeof(*info), attributes, XFRMA_MAX, NULL) < 0)
		return;
	kxfrm_policy_read(info, attributes, &search->policy);
	search->is_found = true;
}

/* The entry that has exactly this path as its selector, without mark; ENOENT: none. */
static int cover_find_one(
	struct kxfrm *xfrm, struct kxfrm_path path, struct kxfrm_policy *ret_policy)
{
	struct policy_search search = { 0 };
	struct xfrm_userpolicy_id *id;
	struct nl_msg *message;
	int result;

	message = kxfrm_message_new(XFRM_MSG_GETPOLICY, 0, sizeof(*id), (void **)&id);
	if (message == NULL)
		return ENOMEM;
	kxfrm_path_selector(path, &id->sel);
	id->dir = path.is_inbound ? XFRM_POLICY_IN : XFRM_POLICY_OUT;
	result = kxfrm_request(xfrm, message, each_policy_found, &search);
	if (result == 0 && !search.is_found)
		result = ENOENT;
	if (result == 0)
		*ret_policy = search.policy;
	return result;
}

/* A cover that yields is its owner's, whose other entry has this selector. */
static bool cover_has_reqid(const struct kxfrm_policy *policy, uint32_t reqid)
{
	return kxfrm_policy_is_cover(policy) &&
	       (policy->reqid == reqid || policy->reqid == KXFRM_REQID_ANY);
}

/* By index, so that an entry of somebody else with this selector stays. */
static int cover_remove_one(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t reqid)
{
	struct kxfrm_policy policy;
	int result = cover_find_one(xfrm, path, &policy);

	if (result == 0 && cover_has_reqid(&policy, reqid))
		result = kxfrm_policy_remove(xfrm, &policy);
	return result == ENOENT ? 0 : result;
}

static int cover_repair_one(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t reqid)
{
	struct kxfrm_policy policy;
	int result = cover_put_one(xfrm, path, reqid, COVER_NEW);

	if (result != EEXIST)
		return result;
	result = cover_find_one(xfrm, path, &policy);
	if (result != 0)
		return result;
	if (!cover_has_reqid(&policy, reqid))
		return EEXIST;
	return policy.reqid == reqid ? 0 : cover_put_one(xfrm, path, reqid, COVER_REPLACE);
}

int kxfrm_cover_install(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in, uint32_t reqid_out)
{
	const struct kxfrm_path in = { tuple, true }, out = { tuple, false };
	int result = cover_put_one(xfrm, out, reqid_out, COVER_NEW);

	if (result == 0)
		result = cover_put_one(xfrm, in, reqid_in, COVER_NEW);
	if (result == 0)
		return 0;
	/* The one that failed as well: the kernel may have done what it could not tell us. */
	if (cover_remove_one(xfrm, in, reqid_in) != 0 ||
		cover_remove_one(xfrm, out, reqid_out) != 0)
		result = EIO;
	return result;
}

int kxfrm_cover_repair(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in, uint32_t reqid_out)
{
	const struct kxfrm_path in = { tuple, true }, out = { tuple, false };
	int result_in = cover_repair_one(xfrm, in, reqid_in);
	int result_out = cover_repair_one(xfrm, out, reqid_out);

	return result_in != 0 ? result_in : result_out;
}

int kxfrm_cover_yield(struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in)
{
	const struct kxfrm_path in = { tuple, true };
	struct kxfrm_policy policy;
	int result = cover_find_one(xfrm, in, &policy);

	if (result == ENOENT)
		return cover_put_one(xfrm, in, KXFRM_REQID_ANY, COVER_NEW);
	if (result != 0)
		return result;
	if (!cover_has_reqid(&policy, reqid_in))
		return EEXIST;
	return cover_put_one(xfrm, in, KXFRM_REQID_ANY, COVER_REPLACE);
}

int kxfrm_cover_remove(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid_in, uint32_t reqid_out)
{
	const struct kxfrm_path in = { tuple, true }, out = { tuple, false };
	int result_in = cover_remove_one(xfrm, in, reqid_in);
	int result_out = cover_remove_one(xfrm, out, reqid_out);

	return result_in != 0 ? result_in : result_out;
}

/* --- the cover's second form --- */

/* clang-format off */
static const struct {
	uint16_t family;
	uint8_t direction;
} blocks[] = {
	{ AF_INET,  XFRM_POLICY_OUT },
	{ AF_INET,  XFRM_POLICY_IN },
	{ AF_INET6, XFRM_POLICY_OUT },
	{ AF_INET6, XFRM_POLICY_IN },
};
/* clang-format on */
#define BLOCK_COUNT (sizeof(blocks) / sizeof(blocks[0]))

static const struct xfrm_mark cover_mark = { .v = KXFRM_COVER_MARK, .m = KXFRM_COVER_MARK_MASK };

static int block_install_one(struct kxfrm *xfrm, uint16_t family, uint8_t direction)
{
	struct xfrm_userpolicy_info *info;
	struct nl_msg *message;
	int result;

	message = kxfrm_message_new(
		XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info), (void **)&info);
	if (message == NULL)
		return ENOMEM;
	info->sel.family = family;
	kxfrm_lifetime_unlimited(&info->lft);
	info->priority = BLOCK_PRIORITY;
	info->dir = direction;
	info->action = XFRM_POLICY_BLOCK;
	if (nla_put(message, XFRMA_MARK, sizeof(cover_mark), &cover_mark) != 0) {
		kxfrm_message_free(message);
		return ENOMEM;
	}
	result = kxfrm_request(xfrm, message, NULL, NULL);
	/* A kernel without IPv6 has none of it to block. */
	if (result == EEXIST || (result == EAFNOSUPPORT && family == AF_INET6))
		return 0;
	return result;
}

static int block_remove_one(struct kxfrm *xfrm, uint16_t family, uint8_t direction)
{
	struct xfrm_userpolicy_id *id;
	struct nl_msg *message;
	int result;

	message = kxfrm_message_new(XFRM_MSG_DELPOLICY, 0, sizeof(*id), (void **)&id);
	if (message == NULL)
		return ENOMEM;
	id->sel.family = family;
	id->dir = direction;
	if (nla_put(message, XFRMA_MARK, sizeof(cover_mark), &cover_mark) != 0) {
		kxfrm_message_free(message);
		return ENOMEM;
	}
	result = kxfrm_request(xfrm, message, NULL, NULL);
	return result == ENOENT || result == EAFNOSUPPORT ? 0 : result;
}

int kxfrm_blocks_install(struct kxfrm *xfrm)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < BLOCK_COUNT; i++)
		result = block_install_one(xfrm, blocks[i].family, blocks[i].direction);
	return result;
}

int kxfrm_blocks_remove(struct kxfrm *xfrm)
{
	int one, result = 0;

	for (size_t i = 0; i < BLOCK_COUNT; i++) {
		one = block_remove_one(xfrm, blocks[i].family, blocks[i].direction);
		if (result == 0)
			result = one;
	}
	return result;
}

/* What yields is found again after a restart, so nobody else's entry must look like it. */
static bool policy_is_yielding_cover(const struct kxfrm_policy *policy)
{
	const uint8_t bits = policy->family == AF_INET ? 32 : 128;

	return policy->reqid == KXFRM_REQID_ANY && policy->is_local_ok && !policy->is_block &&
	       policy->priority == COVER_PRIORITY && policy->direction == XFRM_POLICY_IN &&
	       policy->protocol == IPPROTO_TCP && policy->source_bits == bits &&
	       policy->destination_bits == bits && policy->source_port_mask == UINT16_MAX &&
	       policy->destination_port_mask == UINT16_MAX && policy->mark_mask == 0 &&
	       policy->if_id == 0;
}

bool kxfrm_policy_is_cover(const struct kxfrm_policy *policy)
{
	return policy->has_template &&
	       (kxfrm_reqid_is_ours(policy->reqid) || policy_is_yielding_cover(policy));
}

bool kxfrm_policy_is_block(const struct kxfrm_policy *policy)
{
	return policy->is_block && policy->mark == KXFRM_COVER_MARK &&
	       policy->mark_mask == KXFRM_COVER_MARK_MASK;
}

struct policy_dump {
	kxfrm_each_policy *each;
	void *context;
};

static void each_policy_dumped(void *context, struct nlmsghdr *header)
{
	struct policy_dump *dump = context;
	const struct xfrm_userpolicy_info *info = nlmsg_data(header);
	struct nlattr *attributes[XFRMA_MAX + 1];
	struct kxfrm_policy policy = { 0 };

	if (header->nlmsg_type != XFRM_MSG_NEWPOLICY ||
		nlmsg_parse(header, sizeof(*info), attributes, XFRMA_MAX, NULL) < 0)
		return;
	/* What is forwarded belongs to no socket here; and socket policies are dumped too, with
	 * directions of their own. */
	if (info->dir >= XFRM_POLICY_FWD)
		return;
	kxfrm_policy_read(info, attributes, &policy);
	dump->each(dump->context, &policy);
}

int kxfrm_policy_dump(struct kxfrm *xfrm, kxfrm_each_policy *each, void *context)
{
	struct policy_dump dump = { each, context };
	struct xfrm_userpolicy_id *id;

	return kxfrm_request(xfrm,
		kxfrm_message_new(XFRM_MSG_GETPOLICY, NLM_F_DUMP, sizeof(*id), (void **)&id),
		each_policy_dumped, &dump);
}

int kxfrm_policy_remove(struct kxfrm *xfrm, const struct kxfrm_policy *policy)
{
	struct xfrm_userpolicy_id *id;
	struct nl_msg *message;

	message = kxfrm_message_new(XFRM_MSG_DELPOLICY, 0, sizeof(*id), (void **)&id);
	if (message == NULL)
		return ENOMEM;
	id->index = policy->index;
	id->dir = policy->direction;
	return kxfrm_request(xfrm, message, NULL, NULL);
}

static bool prefix_matches(const uint8_t *prefix, uint8_t bits, const void *address)
{
	const uint8_t *octets = address;
	const size_t whole = bits / 8;
	const uint8_t mask = (uint8_t)(0xff00u >> (bits % 8));

	if (whole > 16 || !bytes_equal(BYTES(prefix, whole), BYTES(octets, whole)))
		return false;
	return bits % 8 == 0 || ((prefix[whole] ^ octets[whole]) & mask) == 0;
}

bool kxfrm_policy_matches(const struct kxfrm_policy *policy, struct kxfrm_path path, uint32_t mark)
{
	struct kxfrm_endpoints ends;

	kxfrm_path_endpoints(path, &ends);
	/* Policies of xfrm interfaces are found through these only. */
	if (policy->if_id != 0 || (mark & policy->mark_mask) != policy->mark)
		return false;
	if (policy->direction != (path.is_inbound ? XFRM_POLICY_IN : XFRM_POLICY_OUT))
		return false;
	if (policy->family != AF_UNSPEC && policy->family != ends.family)
		return false;
	if (policy->protocol != 0 && policy->protocol != path.tuple->protocol)
		return false;
	if (((policy->source_port ^ ends.source_port) & policy->source_port_mask) != 0 ||
		((policy->destination_port ^ ends.destination_port) &
			policy->destination_port_mask) != 0)
		return false;
	return prefix_matches(policy->source, policy->source_bits, &ends.source) &&
	       prefix_matches(policy->destination, policy->destination_bits, &ends.destination);
}

bool kxfrm_policy_prescribes(const struct kxfrm_policy *policy)
{
	return policy->is_block || policy->has_template;
}

/* One that lets packets pass does so also when a close is covered: covers and blocks come behind it. */
static bool policy_stands(const struct kxfrm_policy *policy)
{
	return kxfrm_policy_prescribes(policy) || policy->priority <= BLOCK_PRIORITY;
}

const struct kxfrm_policy *kxfrm_policy_find_prescribing(
	const struct kxfrm_policy *items, size_t count, struct kxfrm_path path, uint32_t mark)
{
	const struct kxfrm_policy *best = NULL;

	for (size_t i = 0; i < count; i++) {
		const bool stands = policy_stands(&items[i]);

		if ((best != NULL && items[i].priority > best->priority) ||
			(items[i].is_partial && !stands) ||
			!kxfrm_policy_matches(&items[i], path, mark))
			continue;
		if (best == NULL || items[i].priority < best->priority || stands)
			best = &items[i];
	}
	return best != NULL && policy_stands(best) ? best : NULL;
}
