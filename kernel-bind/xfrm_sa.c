/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ESP security associations in transport mode, for exact five-tuples.  Keys pass through buffers
 * that are wiped (xfrm_socket.c), never through libnl's objects.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/attr.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "kernel-bind/xfrm_internal.h"

#define SPI_MIN \
	0x01000000u /* RFC 4303 2.1 reserves 1..255; small ones collide with hand-made SAs */
#define SPI_MAX 0xfffffffeu
#define INTEGRITY_BITS 128
#define PACKET_LIMIT (1ull << 40)
#define REPLAY_WINDOW 1024
/* Linux refuses ESN with window 0, so the direction that never uses it has one too. */
#define REPLAY_WINDOW_UNUSED 32

struct suite {
	uint16_t number;
	const char *name;
	size_t key_bytes;
};

/* clang-format off */
static const struct suite suites[] = {
	{ 1, "rfc4106(gcm(aes))", 36 },		    /* 256 bits and salt */
	{ 2, "rfc4106(gcm(aes))", 20 },		    /* 128 bits and salt */
	{ 3, "rfc7539esp(chacha20,poly1305)", 36 }, /* RFC 7634 */
};
/* clang-format on */

static const struct suite *suite_find(uint16_t number)
{
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (suites[i].number == number)
			return &suites[i];
	}
	return NULL;
}

bool kxfrm_suite_is_known(uint16_t suite, size_t *ret_key_bytes)
{
	const struct suite *found = suite_find(suite);

	if (found == NULL)
		return false;
	*ret_key_bytes = found->key_bytes;
	return true;
}

bool kxfrm_reqid_is_ours(uint32_t reqid)
{
	return (reqid & ~KXFRM_REQID_MASK) == KXFRM_REQID_BASE;
}

int kxfrm_open(struct kxfrm **ret_xfrm)
{
	struct kxfrm *xfrm = calloc(1, sizeof(*xfrm));
	int result;

	if (xfrm == NULL)
		return ENOMEM;
	result = kxfrm_netlink_open(NETLINK_XFRM, &xfrm->netlink);
	if (result != 0) {
		kxfrm_close(&xfrm);
		return result;
	}
	*ret_xfrm = xfrm;
	return 0;
}

void kxfrm_close(struct kxfrm **xfrm)
{
	if (*xfrm == NULL)
		return;
	kxfrm_netlink_close(&(*xfrm)->netlink);
	free(*xfrm);
	*xfrm = NULL;
}

void kxfrm_path_endpoints(struct kxfrm_path path, struct kxfrm_endpoints *ret_endpoints)
{
	const struct kbind_tuple *tuple = path.tuple;
	struct kxfrm_endpoints ends = { .family = tuple->family };
	size_t len = tuple->family == AF_INET ? 4 : 16;

	memcpy(path.is_inbound ? &ends.source : &ends.destination, tuple->remote, len);
	memcpy(path.is_inbound ? &ends.destination : &ends.source, tuple->local, len);
	ends.source_port = path.is_inbound ? tuple->remote_port : tuple->local_port;
	ends.destination_port = path.is_inbound ? tuple->local_port : tuple->remote_port;
	*ret_endpoints = ends;
}

void kxfrm_path_selector(struct kxfrm_path path, struct xfrm_selector *ret_selector)
{
	struct kxfrm_endpoints ends;

	kxfrm_path_endpoints(path, &ends);
	*ret_selector = (struct xfrm_selector){
		.saddr = ends.source,
		.daddr = ends.destination,
		.sport = htons(ends.source_port),
		.dport = htons(ends.destination_port),
		.sport_mask = 0xffff,
		.dport_mask = 0xffff,
		.prefixlen_s = ends.family == AF_INET ? 32 : 128,
		.prefixlen_d = ends.family == AF_INET ? 32 : 128,
		.family = ends.family,
		.proto = path.tuple->protocol,
		/* Inbound Linux 6.1 compares it with another number (seen), so that nothing would
		 * match; there the socket, which is bound to its interface, keeps zones apart. */
		.ifindex = path.is_inbound ? 0 : (int)path.tuple->zone,
	};
}

void kxfrm_lifetime_unlimited(struct xfrm_lifetime_cfg *ret_lifetime)
{
	*ret_lifetime = (struct xfrm_lifetime_cfg){
		.soft_byte_limit = XFRM_INF,
		.hard_byte_limit = XFRM_INF,
		.soft_packet_limit = XFRM_INF,
		.hard_packet_limit = XFRM_INF,
	};
}

int kxfrm_request(
	struct kxfrm *xfrm, struct nl_msg *message, kxfrm_each_message *each, void *context)
{
	int result = ENOMEM;

	if (message != NULL)
		result = kxfrm_netlink_transact(xfrm->netlink, message, each, context);
	kxfrm_message_free(message);
	return result;
}

static void each_spi(void *context, struct nlmsghdr *header)
{
	uint32_t *spi = context;
	const struct xfrm_usersa_info *info = nlmsg_data(header);

	if (header->nlmsg_type == XFRM_MSG_NEWSA && nlmsg_datalen(header) >= (int)sizeof(*info))
		*spi = ntohl(info->id.spi);
}

int kxfrm_spi_allocate(
	struct kxfrm *xfrm, const struct kbind_tuple *tuple, uint32_t reqid, uint32_t *ret_spi)
{
	const struct kxfrm_path path = { tuple, true };
	struct xfrm_userspi_info *info;
	struct kxfrm_endpoints ends;
	struct nl_msg *message;
	uint32_t spi = 0;
	int result;

	message = kxfrm_message_new(XFRM_MSG_ALLOCSPI, 0, sizeof(*info), (void **)&info);
	if (message == NULL)
		return ENOMEM;
	kxfrm_path_endpoints(path, &ends);
	info->info.id.daddr = ends.destination;
	info->info.id.proto = IPPROTO_ESP;
	info->info.saddr = ends.source;
	info->info.family = ends.family;
	info->info.mode = XFRM_MODE_TRANSPORT;
	info->info.reqid = reqid;
	info->min = SPI_MIN;
	info->max = SPI_MAX;
	result = kxfrm_request(xfrm, message, each_spi, &spi);
	if (result == 0 && spi == 0)
		result = EPROTO;
	if (result == 0)
		*ret_spi = spi;
	return result;
}

static void sa_fill(const struct kxfrm_sa *sa, struct xfrm_usersa_info *info)
{
	struct kxfrm_endpoints ends;

	kxfrm_path_endpoints(sa->path, &ends);
	kxfrm_path_selector(sa->path, &info->sel);
	kxfrm_lifetime_unlimited(&info->lft);
	info->lft.hard_packet_limit = PACKET_LIMIT;
	info->id.daddr = ends.destination;
	info->id.spi = htonl(sa->spi);
	info->id.proto = IPPROTO_ESP;
	info->saddr = ends.source;
	info->family = ends.family;
	info->mode = XFRM_MODE_TRANSPORT;
	info->reqid = sa->reqid;
	info->flags = XFRM_STATE_ESN;
}

static bool sa_put_cipher(struct nl_msg *message, const struct suite *suite, struct bytes key)
{
	struct nlattr *place = nla_reserve(
		message, XFRMA_ALG_AEAD, (int)(sizeof(struct xfrm_algo_aead) + key.len));
	struct xfrm_algo_aead *cipher;

	if (place == NULL)
		return false;
	cipher = nla_data(place);
	secret_wipe(cipher, sizeof(*cipher));
	memcpy(cipher->alg_name, suite->name, strlen(suite->name));
	cipher->alg_key_len = (unsigned int)key.len * 8;
	cipher->alg_icv_len = INTEGRITY_BITS;
	memcpy((uint8_t *)cipher + sizeof(*cipher), key.data, key.len);
	return true;
}

static bool sa_put_replay(struct nl_msg *message, uint32_t window)
{
	const size_t words = window / 32;
	struct nlattr *place = nla_reserve(message, XFRMA_REPLAY_ESN_VAL,
		(int)(sizeof(struct xfrm_replay_state_esn) + words * sizeof(uint32_t)));
	struct xfrm_replay_state_esn *replay;

	if (place == NULL)
		return false;
	replay = nla_data(place);
	secret_wipe(replay, (size_t)nla_len(place));
	replay->bmp_len = (unsigned int)words;
	replay->replay_window = window;
	return true;
}

int kxfrm_sa_install(struct kxfrm *xfrm, const struct kxfrm_sa *sa)
{
	const struct suite *suite = suite_find(sa->suite);
	const bool fills = sa->fills_larval;
	struct xfrm_usersa_info *info;
	struct nl_msg *message;
	bool is_built;

	if (suite == NULL || sa->key->len != suite->key_bytes)
		return EINVAL;
	message = kxfrm_message_new(fills ? XFRM_MSG_UPDSA : XFRM_MSG_NEWSA,
		fills ? 0 : NLM_F_CREATE | NLM_F_EXCL, sizeof(*info), (void **)&info);
	if (message == NULL)
		return ENOMEM;
	sa_fill(sa, info);
	is_built =
		sa_put_cipher(message, suite, secret_key_view(sa->key)) &&
		sa_put_replay(message, sa->path.is_inbound ? REPLAY_WINDOW : REPLAY_WINDOW_UNUSED);
	if (is_built && sa->mark != 0)
		is_built = nla_put_u32(message, XFRMA_SET_MARK, sa->mark) == 0 &&
			   nla_put_u32(message, XFRMA_SET_MARK_MASK, UINT32_MAX) == 0;
	if (!is_built) {
		kxfrm_message_free(message);
		return ENOMEM;
	}
	return kxfrm_request(xfrm, message, NULL, NULL);
}

/* The kernel takes over the mark of an update, not its key: any key of the right length will do. */
int kxfrm_sa_set_mark(struct kxfrm *xfrm, const struct kxfrm_sa *sa)
{
	const struct suite *suite = suite_find(sa->suite);
	struct secret_key nothing = { 0 };
	struct kxfrm_sa update = *sa;

	if (suite == NULL)
		return EINVAL;
	nothing.len = suite->key_bytes;
	update.key = &nothing;
	update.fills_larval = true;
	return kxfrm_sa_install(xfrm, &update);
}

static struct nl_msg *sa_id_message(
	int type, const xfrm_address_t *destination, uint16_t family, uint32_t spi)
{
	struct xfrm_usersa_id *id;
	struct nl_msg *message = kxfrm_message_new(type, 0, sizeof(*id), (void **)&id);

	if (message == NULL)
		return NULL;
	id->daddr = *destination;
	id->spi = htonl(spi);
	id->family = family;
	id->proto = IPPROTO_ESP;
	return message;
}

int kxfrm_sa_remove(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi)
{
	struct kxfrm_endpoints ends;

	kxfrm_path_endpoints(path, &ends);
	return kxfrm_request(xfrm,
		sa_id_message(XFRM_MSG_DELSA, &ends.destination, ends.family, spi), NULL, NULL);
}

struct sa_answer {
	struct kxfrm_counters counters;
	struct bytes key; /* to compare with; data NULL: do not */
	bool is_seen, is_same;
};

static void each_sa_answer(void *context, struct nlmsghdr *header)
{
	struct sa_answer *answer = context;
	const struct xfrm_usersa_info *info = nlmsg_data(header);
	struct nlattr *attributes[XFRMA_MAX + 1];
	const struct xfrm_algo_aead *cipher;

	if (header->nlmsg_type != XFRM_MSG_NEWSA ||
		nlmsg_parse(header, sizeof(*info), attributes, XFRMA_MAX, NULL) < 0)
		return;
	answer->is_seen = true;
	answer->counters.bytes = info->curlft.bytes;
	answer->counters.packets = info->curlft.packets;
	if (answer->key.data == NULL || attributes[XFRMA_ALG_AEAD] == NULL)
		return;
	cipher = nla_data(attributes[XFRMA_ALG_AEAD]);
	if (nla_len(attributes[XFRMA_ALG_AEAD]) < (int)(sizeof(*cipher) + answer->key.len) ||
		cipher->alg_key_len != answer->key.len * 8)
		return;
	answer->is_same = secret_equal(
		answer->key, BYTES((const uint8_t *)cipher + sizeof(*cipher), answer->key.len));
}

static int sa_ask(
	struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi, struct sa_answer *answer)
{
	struct kxfrm_endpoints ends;
	int result;

	kxfrm_path_endpoints(path, &ends);
	result = kxfrm_request(xfrm,
		sa_id_message(XFRM_MSG_GETSA, &ends.destination, ends.family, spi), each_sa_answer,
		answer);
	if (result == 0 && !answer->is_seen)
		return ESRCH;
	return result;
}

int kxfrm_sa_query(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi,
	struct kxfrm_counters *ret_counters)
{
	struct sa_answer answer = { 0 };
	int result = sa_ask(xfrm, path, spi, &answer);

	if (result == 0)
		*ret_counters = answer.counters;
	return result;
}

int kxfrm_sa_compare_key(struct kxfrm *xfrm, struct kxfrm_path path, uint32_t spi,
	const struct secret_key *key, bool *ret_is_same)
{
	struct sa_answer answer = { .key = secret_key_view(key) };
	int result = sa_ask(xfrm, path, spi, &answer);

	if (result == 0)
		*ret_is_same = answer.is_same;
	return result;
}

struct sa_dump {
	kxfrm_each_sa *each;
	void *context;
};

static void each_sa_dumped(void *context, struct nlmsghdr *header)
{
	struct sa_dump *dump = context;
	const struct xfrm_usersa_info *info = nlmsg_data(header);
	struct kxfrm_sa_seen seen = { 0 };

	if (header->nlmsg_type != XFRM_MSG_NEWSA || nlmsg_datalen(header) < (int)sizeof(*info))
		return;
	seen.family = (uint8_t)info->family;
	seen.protocol = info->id.proto;
	memcpy(seen.source, &info->saddr, sizeof(seen.source));
	memcpy(seen.destination, &info->id.daddr, sizeof(seen.destination));
	seen.spi = ntohl(info->id.spi);
	seen.reqid = info->reqid;
	dump->each(dump->context, &seen);
}

int kxfrm_sa_dump(struct kxfrm *xfrm, kxfrm_each_sa *each, void *context)
{
	struct sa_dump dump = { each, context };
	struct xfrm_usersa_id *id;

	return kxfrm_request(xfrm,
		kxfrm_message_new(XFRM_MSG_GETSA, NLM_F_DUMP, sizeof(*id), (void **)&id),
		each_sa_dumped, &dump);
}

int kxfrm_sa_remove_seen(struct kxfrm *xfrm, const struct kxfrm_sa_seen *seen)
{
	xfrm_address_t destination;

	memcpy(&destination, seen->destination, sizeof(destination));
	return kxfrm_request(xfrm,
		sa_id_message(XFRM_MSG_DELSA, &destination, seen->family, seen->spi), NULL, NULL);
}
