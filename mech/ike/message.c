/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IKE messages in: header (RFC 7296 3.1), payload chain (3.2), SK (3.14 and RFC 5282) and
 * the rules table, which says for each kind of message what it must and may hold.  Looks at
 * lengths, types and counts only; what a payload says is read elsewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "mech/ike/ike.h"

#define RESPONDER_SPI_ZERO 1
#define RESPONDER_SPI_SET 2
#define RESPONDER_SPI_ANY (RESPONDER_SPI_ZERO | RESPONDER_SPI_SET)

struct payload_rule {
	uint8_t type, min, max;
	bool is_child; /* all of these or none: RFC 7296 1.2, RFC 6023 */
};

struct rule_list {
	const struct payload_rule *rules;
	size_t count;
};

struct kind_rules {
	uint8_t exchange;
	uint8_t flag_mask, flags; /* header.flags & flag_mask == flags */
	bool has_message_id;
	uint32_t message_id;
	uint8_t responder_spi;
	bool is_sealed;
	bool may_fail;		/* an error notify in place of what is required */
	bool may_fail_in_clear; /* an unprotected error notify in place of SK */
	struct rule_list payloads;
};

/* RFC 7296 3.12: a Vendor ID may be part of any message. */
/* clang-format off */
static const struct payload_rule rules_t1[] = {
	{ IKE_PAYLOAD_SA,      1,  1, false },
	{ IKE_PAYLOAD_KE,      1,  1, false },
	{ IKE_PAYLOAD_NONCE,   1,  1, false },
	{ IKE_PAYLOAD_NOTIFY,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_t2[] = {
	{ IKE_PAYLOAD_SA,      1,  1, false },
	{ IKE_PAYLOAD_KE,      1,  1, false },
	{ IKE_PAYLOAD_NONCE,   1,  1, false },
	{ IKE_PAYLOAD_CERTREQ, 0, 32, false },
	{ IKE_PAYLOAD_NOTIFY,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_t3[] = {
	{ IKE_PAYLOAD_IDI,     1,  1, false },
	{ IKE_PAYLOAD_CERT,    0,  8, false },
	{ IKE_PAYLOAD_CERTREQ, 0, 32, false },
	{ IKE_PAYLOAD_IDR,     0,  1, false },
	{ IKE_PAYLOAD_AUTH,    1,  1, false },
	{ IKE_PAYLOAD_SA,      0,  1, true },
	{ IKE_PAYLOAD_TSI,     0,  1, true },
	{ IKE_PAYLOAD_TSR,     0,  1, true },
	{ IKE_PAYLOAD_NOTIFY,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_t4[] = {
	{ IKE_PAYLOAD_IDR,     1,  1, false },
	{ IKE_PAYLOAD_CERT,    0,  8, false },
	{ IKE_PAYLOAD_AUTH,    1,  1, false },
	{ IKE_PAYLOAD_SA,      0,  1, true },
	{ IKE_PAYLOAD_TSI,     0,  1, true },
	{ IKE_PAYLOAD_TSR,     0,  1, true },
	{ IKE_PAYLOAD_NOTIFY,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_t5[] = {
	{ IKE_PAYLOAD_NOTIFY,  1, 32, false },
	{ IKE_PAYLOAD_DELETE,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_informational[] = {
	{ IKE_PAYLOAD_NOTIFY,  0, 32, false },
	{ IKE_PAYLOAD_DELETE,  0, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
static const struct payload_rule rules_outside_sk[] = {
	{ IKE_PAYLOAD_SK,      1,  1, false },
};
static const struct payload_rule rules_failure_in_clear[] = {
	{ IKE_PAYLOAD_NOTIFY,  1, 32, false },
	{ IKE_PAYLOAD_VENDOR,  0, 32, false },
};
#define RULES(array) { (array), sizeof(array) / sizeof((array)[0]) }

#define FLAGS_BOTH (IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE)
static const struct kind_rules kinds[] = {
	[IKE_KIND_T1] = { IKE_EXCHANGE_SA_INIT, FLAGS_BOTH, IKE_FLAG_INITIATOR, true, 0,
		RESPONDER_SPI_ZERO, false, false, false, RULES(rules_t1) },
	[IKE_KIND_T2] = { IKE_EXCHANGE_SA_INIT, FLAGS_BOTH, IKE_FLAG_RESPONSE, true, 0,
		RESPONDER_SPI_ANY, false, true, false, RULES(rules_t2) },
	[IKE_KIND_T3] = { IKE_EXCHANGE_AUTH, FLAGS_BOTH, IKE_FLAG_INITIATOR, true, 1,
		RESPONDER_SPI_SET, true, false, false, RULES(rules_t3) },
	[IKE_KIND_T4] = { IKE_EXCHANGE_AUTH, FLAGS_BOTH, IKE_FLAG_RESPONSE, true, 1,
		RESPONDER_SPI_SET, true, true, true, RULES(rules_t4) },
	[IKE_KIND_T5] = { IKE_EXCHANGE_INFORMATIONAL, FLAGS_BOTH, IKE_FLAG_INITIATOR, true, 2,
		RESPONDER_SPI_SET, true, false, false, RULES(rules_t5) },
	[IKE_KIND_INFORMATIONAL] = { IKE_EXCHANGE_INFORMATIONAL, 0, 0, false, 0,
		RESPONDER_SPI_SET, true, false, true, RULES(rules_informational) },
};
/* clang-format on */

static const struct rule_list outside_sk = RULES(rules_outside_sk);
static const struct rule_list failure_in_clear = RULES(rules_failure_in_clear);

static const struct kind_rules *kind_find(enum ike_kind kind)
{
	size_t index = (size_t)kind;

	return index < sizeof(kinds) / sizeof(kinds[0]) ? &kinds[index] : NULL;
}

/* --- header --- */

/* RFC 7296 3.1: the minor version, the V flag and the X flags must be ignored. */
static enum err header_read(struct reader *r, size_t total_bytes, struct ike_header *ret_header)
{
	struct ike_header header = { 0 };
	uint8_t version;

	header.spi_i = reader_get_u64(r);
	header.spi_r = reader_get_u64(r);
	header.next_payload = reader_get_u8(r);
	version = reader_get_u8(r);
	header.exchange = reader_get_u8(r);
	header.flags = reader_get_u8(r);
	header.message_id = reader_get_u32(r);
	if (reader_get_u32(r) != total_bytes || reader_status(r) != ERR_OK)
		return ERR_IKE_HEADER;
	if (total_bytes > IKE_MESSAGE_BYTES_MAX || version >> 4 != IKE_VERSION >> 4 ||
		header.spi_i == 0)
		return ERR_IKE_HEADER;
	*ret_header = header;
	return ERR_OK;
}

enum err ike_header_parse(struct bytes raw, struct ike_header *ret_header)
{
	struct reader r;

	reader_init(&r, raw);
	return header_read(&r, raw.len, ret_header);
}

static bool header_fits(const struct ike_header *header, const struct kind_rules *rules)
{
	uint8_t responder_spi = header->spi_r == 0 ? RESPONDER_SPI_ZERO : RESPONDER_SPI_SET;

	return header->exchange == rules->exchange &&
	       (header->flags & rules->flag_mask) == rules->flags &&
	       (!rules->has_message_id || header->message_id == rules->message_id) &&
	       (responder_spi & rules->responder_spi) != 0;
}

/* --- payload chain --- */

/* RFC 7296 3.2: of types that it defines the critical bit is ignored; CP and EAP are passed
 * over. */
static bool type_is_in_rfc7296(uint8_t type)
{
	return type >= IKE_PAYLOAD_SA && type <= IKE_PAYLOAD_EAP;
}

static bool type_is_used(uint8_t type)
{
	return type >= IKE_PAYLOAD_SA && type <= IKE_PAYLOAD_SK;
}

/* Reads payloads until the chain ends; SK ends it too, since its next payload is inside
 * (3.14). */
static enum err chain_read(struct reader *r, uint8_t first_type, struct ike_message *message)
{
	uint8_t type = first_type;

	while (type != IKE_PAYLOAD_NONE) {
		uint8_t next = reader_get_u8(r);
		uint8_t critical = reader_get_u8(r) & IKE_CRITICAL_BIT;
		uint16_t len = reader_get_u16(r);
		struct bytes body;

		if (len < IKE_PAYLOAD_HEADER_BYTES || message->count == IKE_PAYLOADS_MAX)
			return ERR_IKE_PAYLOAD;
		body = reader_get_bytes(r, (size_t)len - IKE_PAYLOAD_HEADER_BYTES);
		if (reader_status(r) != ERR_OK)
			return ERR_IKE_PAYLOAD;
		if (critical != 0 && !type_is_in_rfc7296(type))
			return ERR_IKE_CRITICAL;
		message->payloads[message->count].type = type;
		message->payloads[message->count].body = body;
		message->count++;
		if (type == IKE_PAYLOAD_SK) {
			message->sealed = body;
			message->sealed_first = next;
			break;
		}
		type = next;
	}
	return reader_finish(r) == ERR_OK ? ERR_OK : ERR_IKE_PAYLOAD;
}

/* --- rules --- */

static size_t payload_count(const struct ike_message *message, uint8_t type)
{
	size_t i, count = 0;

	for (i = 0; i < message->count; i++)
		count += message->payloads[i].type == type;
	return count;
}

static bool list_has(const struct rule_list *list, uint8_t type)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->rules[i].type == type)
			return true;
	return false;
}

/* Every payload belongs where it is; notifies are well-formed, nonces of an allowed length. */
static enum err check_each(const struct ike_message *message, const struct rule_list *list)
{
	struct ike_notify notify;
	size_t i;

	for (i = 0; i < message->count; i++) {
		const struct ike_payload *payload = &message->payloads[i];

		if (!list_has(list, payload->type)) {
			if (type_is_used(payload->type))
				return ERR_IKE_PAYLOAD;
			continue;
		}
		if (payload->type == IKE_PAYLOAD_NOTIFY &&
			ike_notify_parse(payload->body, &notify) != ERR_OK)
			return ERR_IKE_PAYLOAD;
		if (payload->type == IKE_PAYLOAD_NONCE &&
			(payload->body.len < IKE_NONCE_BYTES_MIN ||
				payload->body.len > IKE_NONCE_BYTES_MAX))
			return ERR_NONCE;
	}
	return ERR_OK;
}

/* An error answer holds an error notify and nothing of what the kind otherwise requires. */
static bool is_error_answer(const struct ike_message *message, const struct rule_list *list)
{
	struct ike_notify notify;
	size_t i;

	for (i = 0; i < list->count; i++)
		if ((list->rules[i].min > 0 || list->rules[i].is_child) &&
			list->rules[i].type != IKE_PAYLOAD_NOTIFY &&
			payload_count(message, list->rules[i].type) > 0)
			return false;
	return ike_message_find_error(message, &notify);
}

static enum err check_rules(
	const struct ike_message *message, const struct rule_list *list, bool is_error_only)
{
	enum err status = check_each(message, list);
	size_t i, child_types = 0, child_payloads = 0;

	if (status != ERR_OK)
		return status;
	for (i = 0; i < list->count; i++) {
		const struct payload_rule *rule = &list->rules[i];
		size_t count = payload_count(message, rule->type);

		if (count > rule->max || (count < rule->min && !is_error_only))
			return ERR_IKE_PAYLOAD;
		child_types += rule->is_child;
		child_payloads += rule->is_child ? count : 0;
	}
	return child_payloads == 0 || child_payloads == child_types ? ERR_OK : ERR_IKE_PAYLOAD;
}

/* A message whose payloads are all in the clear. */
static enum err check_clear(struct ike_message *message, const struct kind_rules *rules)
{
	const struct rule_list *list = rules->is_sealed ? &failure_in_clear : &rules->payloads;

	if (rules->is_sealed && !rules->may_fail_in_clear)
		return ERR_IKE_PAYLOAD;
	message->is_error_only =
		(rules->is_sealed || rules->may_fail) && is_error_answer(message, list);
	if (rules->is_sealed && !message->is_error_only)
		return ERR_IKE_PAYLOAD;
	/* RFC 7296 2.6: only an answer that refuses may come without the responder's SPI. */
	if (message->header.exchange == IKE_EXCHANGE_SA_INIT && message->header.spi_r == 0 &&
		(message->header.flags & IKE_FLAG_RESPONSE) != 0 && !message->is_error_only)
		return ERR_IKE_HEADER;
	return check_rules(message, list, message->is_error_only);
}

static enum err check_outside_sk(struct ike_message *message)
{
	enum err status = check_rules(message, &outside_sk, false);

	if (status != ERR_OK)
		return status;
	message->clear = BYTES(message->raw.data, message->raw.len - message->sealed.len);
	return ERR_OK;
}

enum err ike_message_parse(struct bytes raw, enum ike_kind kind, struct ike_message *ret_message)
{
	const struct kind_rules *rules = kind_find(kind);
	struct ike_message message = { .raw = raw };
	struct reader r;
	enum err status;

	if (rules == NULL)
		return ERR_INTERNAL;
	reader_init(&r, raw);
	status = header_read(&r, raw.len, &message.header);
	if (status != ERR_OK)
		return status;
	if (!header_fits(&message.header, rules))
		return ERR_IKE_HEADER;
	status = chain_read(&r, message.header.next_payload, &message);
	if (status != ERR_OK)
		return status;
	if (rules->is_sealed && payload_count(&message, IKE_PAYLOAD_SK) > 0)
		status = check_outside_sk(&message);
	else
		status = check_clear(&message, rules);
	if (status == ERR_OK)
		*ret_message = message;
	return status;
}

/* --- SK --- */

/* RFC 5282 section 3: IV, ciphertext, tag; section 4: the nonce is salt, then IV. */
static enum err open_sealed(const struct ike_message *message, const struct crypto_aead *aead,
	const struct secret_key *sk_e, uint8_t *plain, size_t plain_len)
{
	uint8_t nonce[CRYPTO_NONCE_BYTES];
	struct crypto_aead_key *key = NULL;
	struct bytes iv, ciphertext, tag;
	struct reader r;
	enum err status;

	reader_init(&r, message->sealed);
	iv = reader_get_bytes(&r, IKE_IV_BYTES);
	ciphertext = reader_get_bytes(&r, plain_len);
	tag = reader_get_bytes(&r, CRYPTO_TAG_BYTES);
	status = reader_finish(&r);
	if (status != ERR_OK)
		goto out;
	memcpy(nonce, sk_e->data + aead->key_bytes, aead->salt_bytes);
	memcpy(nonce + aead->salt_bytes, iv.data, iv.len);
	status = crypto_aead_key_new(aead, BYTES(sk_e->data, aead->key_bytes), false, &key);
	if (status != ERR_OK)
		goto out;
	status = crypto_aead_open(key, nonce, message->clear, ciphertext, tag.data, plain);
out:
	crypto_aead_key_free(&key);
	secret_wipe(nonce, sizeof(nonce));
	return status;
}

/* Reads the inner chain in front of the padding, whose octets may have any value (RFC 7296
 * 3.14). */
static enum err read_inner(
	struct bytes plain, const struct kind_rules *rules, struct ike_message *message)
{
	size_t tail_bytes = (size_t)plain.data[plain.len - 1] + 1;
	struct reader r;
	enum err status;

	if (tail_bytes > plain.len)
		return ERR_IKE_PAYLOAD;
	message->count = 0;
	reader_init(&r, BYTES(plain.data, plain.len - tail_bytes));
	status = chain_read(&r, message->sealed_first, message);
	if (status != ERR_OK)
		return status;
	message->is_error_only = rules->may_fail && is_error_answer(message, &rules->payloads);
	return check_rules(message, &rules->payloads, message->is_error_only);
}

enum err ike_message_open(struct ike_message *message, enum ike_kind kind,
	const struct crypto_aead *aead, const struct secret_key *sk_e, struct bytes *ret_plain)
{
	const struct kind_rules *rules = kind_find(kind);
	const size_t overhead_bytes = IKE_IV_BYTES + CRYPTO_TAG_BYTES;
	struct ike_message opened = *message;
	struct bytes result = BYTES_NONE;
	uint8_t *plain = NULL;
	enum err status;

	if (rules == NULL || !rules->is_sealed ||
		aead->salt_bytes + IKE_IV_BYTES != CRYPTO_NONCE_BYTES ||
		sk_e->len != aead->key_bytes + aead->salt_bytes)
		return ERR_INTERNAL;
	/* The pad length is always there. */
	if (!header_fits(&message->header, rules) || message->sealed.len <= overhead_bytes)
		return ERR_IKE_PAYLOAD;
	result.len = message->sealed.len - overhead_bytes;
	plain = malloc(result.len);
	if (plain == NULL)
		return ERR_NO_MEMORY;
	result.data = plain;
	status = open_sealed(message, aead, sk_e, plain, result.len);
	if (status != ERR_OK)
		goto out;
	status = read_inner(result, rules, &opened);
	if (status != ERR_OK)
		goto out;
	/* SK belongs to the outer chain only; read_inner refused one inside. */
	*message = opened;
	*ret_plain = result;
	plain = NULL;
out:
	secret_free(plain, result.len);
	return status;
}

void ike_plain_free(struct bytes *plain)
{
	/* The view is const for the parsers; the memory is ours. */
	secret_free((void *)(uintptr_t)plain->data, plain->len);
	*plain = BYTES_NONE;
}

/* --- finding --- */

const struct ike_payload *ike_message_find(
	const struct ike_message *message, uint8_t type, size_t nth)
{
	size_t i;

	for (i = 0; i < message->count; i++)
		if (message->payloads[i].type == type && nth-- == 0)
			return &message->payloads[i];
	return NULL;
}

/* The first notify whose type lies between both numbers. */
static bool find_notify_between(const struct ike_message *message, uint16_t first, uint16_t last,
	struct ike_notify *ret_notify)
{
	struct ike_notify notify;
	size_t i;

	for (i = 0; i < message->count; i++) {
		if (message->payloads[i].type != IKE_PAYLOAD_NOTIFY ||
			ike_notify_parse(message->payloads[i].body, &notify) != ERR_OK)
			continue;
		if (notify.type >= first && notify.type <= last) {
			*ret_notify = notify;
			return true;
		}
	}
	return false;
}

bool ike_message_find_notify(
	const struct ike_message *message, uint16_t type, struct ike_notify *ret_notify)
{
	return find_notify_between(message, type, type, ret_notify);
}

bool ike_message_find_error(const struct ike_message *message, struct ike_notify *ret_notify)
{
	return ike_message_find_notify(message, IKE_NOTIFY_GSS_FAILURE, ret_notify) ||
	       find_notify_between(message, 1, IKE_NOTIFY_ERROR_MAX, ret_notify);
}

bool ike_message_has_vendor(const struct ike_message *message, struct bytes vendor)
{
	size_t i;

	for (i = 0; i < message->count; i++)
		if (message->payloads[i].type == IKE_PAYLOAD_VENDOR &&
			bytes_equal(message->payloads[i].body, vendor))
			return true;
	return false;
}
