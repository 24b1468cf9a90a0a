/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SA payloads (RFC 7296 3.3): offers, choices and how both are judged.  A body is checked as a
 * whole before anything of it is believed; choosing walks the checked body again.
 */
#include "mech/ike/ike.h"

#define SUBSTRUCTURE_HEADER_BYTES 4 /* Last Substruc, RESERVED, length: RFC 7296 3.3.1, 3.3.2 */
#define PROPOSAL_FIRST_NUMBER 1	    /* RFC 7296 3.3.1 */
#define REQUIREMENTS_MAX 8	    /* an offer of ours: two of each type, and INTEG */

/* clang-format off */
#define IKE_SUITES_OF(cipher, id, bits)                                                          \
	{ cipher "/HMAC_SHA2_256/CURVE25519", id, bits, IKE_PRF_HMAC_SHA2_256, IKE_GROUP_CURVE25519 }, \
	{ cipher "/HMAC_SHA2_256/P256", id, bits, IKE_PRF_HMAC_SHA2_256, IKE_GROUP_P256 },         \
	{ cipher "/HMAC_SHA2_512/CURVE25519", id, bits, IKE_PRF_HMAC_SHA2_512, IKE_GROUP_CURVE25519 }, \
	{ cipher "/HMAC_SHA2_512/P256", id, bits, IKE_PRF_HMAC_SHA2_512, IKE_GROUP_P256 }
/* Best first. */
static const struct ike_suite ike_suites[] = {
	IKE_SUITES_OF("AES_GCM_16_256", IKE_ENCR_AES_GCM_16, 256),
	IKE_SUITES_OF("CHACHA20_POLY1305", IKE_ENCR_CHACHA20_POLY1305, 0),
};
/* Numbers as in doc/protocol.md, section 2.1. */
static const struct esp_suite esp_suites[] = {
	{ 1, "AES_GCM_16_256/ESN", IKE_ENCR_AES_GCM_16, 256, true, 36, "rfc4106(gcm(aes))", 128 },
	{ 3, "CHACHA20_POLY1305/ESN", IKE_ENCR_CHACHA20_POLY1305, 0, true, 36,
		"rfc7539esp(chacha20,poly1305)", 128 },
	{ 2, "AES_GCM_16_128/ESN", IKE_ENCR_AES_GCM_16, 128, true, 20, "rfc4106(gcm(aes))", 128 },
};
/* clang-format on */

size_t ike_suite_count(void)
{
	return sizeof(ike_suites) / sizeof(ike_suites[0]);
}

const struct ike_suite *ike_suite_at(size_t index)
{
	return index < ike_suite_count() ? &ike_suites[index] : NULL;
}

size_t esp_suite_count(void)
{
	return sizeof(esp_suites) / sizeof(esp_suites[0]);
}

const struct esp_suite *esp_suite_at(size_t index)
{
	return index < esp_suite_count() ? &esp_suites[index] : NULL;
}

const struct esp_suite *esp_suite_find(uint16_t number)
{
	size_t i;

	for (i = 0; i < esp_suite_count(); i++)
		if (esp_suites[i].number == number)
			return &esp_suites[i];
	return NULL;
}

/* --- what a suite asks of a proposal --- */

struct requirement {
	uint8_t type;
	uint16_t id, key_bits; /* key_bits 0: no Key Length attribute, RFC 7296 3.3.5 */
	bool is_optional;      /* left out when written; may be there when read, with this value */
};

struct requirements {
	uint8_t protocol, spi_bytes;
	struct requirement rows[REQUIREMENTS_MAX];
	size_t count;
};

/* RFC 7296 3.3: proposals with combined-mode ciphers offer no integrity algorithm, or NONE. */
static struct requirements ike_requirements(const struct ike_suite *suite)
{
	return (struct requirements){
		.protocol = IKE_PROTOCOL_IKE,
		.spi_bytes = 0, /* RFC 7296 3.3.1: for an initial negotiation */
		.rows = {
			{ IKE_TRANSFORM_ENCR, suite->encr, suite->key_bits, false },
			{ IKE_TRANSFORM_PRF, suite->prf, 0, false },
			{ IKE_TRANSFORM_KE, suite->group, 0, false },
			{ IKE_TRANSFORM_INTEG, IKE_TRANSFORM_NONE, 0, true },
		},
		.count = 4,
	};
}

/* RFC 7296 1.2: there is no key exchange in IKE_AUTH, so its SA payloads name none, or NONE. */
static struct requirements esp_requirements(const struct esp_suite *suite)
{
	return (struct requirements){
		.protocol = IKE_PROTOCOL_ESP,
		.spi_bytes = IKE_ESP_SPI_BYTES,
		.rows = {
			{ IKE_TRANSFORM_ENCR, suite->encr, suite->key_bits, false },
			{ IKE_TRANSFORM_ESN, suite->esn ? IKE_ESN_YES : IKE_ESN_NO, 0, false },
			{ IKE_TRANSFORM_INTEG, IKE_TRANSFORM_NONE, 0, true },
			{ IKE_TRANSFORM_KE, IKE_TRANSFORM_NONE, 0, true },
		},
		.count = 4,
	};
}

/* --- writing --- */

static uint8_t required_count(const struct requirements *requirements)
{
	uint8_t count = 0;
	size_t i;

	for (i = 0; i < requirements->count; i++)
		if (!requirements->rows[i].is_optional)
			count++;
	return count;
}

static void put_transform(struct writer *w, const struct requirement *row, bool is_last)
{
	size_t mark;

	writer_put_u8(w, is_last ? IKE_LAST_SUBSTRUCTURE : IKE_MORE_TRANSFORMS);
	writer_put_u8(w, 0);
	mark = writer_open16(w);
	writer_put_u8(w, row->type);
	writer_put_u8(w, 0);
	writer_put_u16(w, row->id);
	if (row->key_bits != 0) {
		writer_put_u16(w, IKE_ATTRIBUTE_TV | IKE_ATTRIBUTE_KEY_LENGTH);
		writer_put_u16(w, row->key_bits);
	}
	writer_close16(w, mark, SUBSTRUCTURE_HEADER_BYTES);
}

static void put_proposal(
	struct writer *w, const struct requirements *requirements, uint8_t number, uint32_t spi)
{
	uint8_t left = required_count(requirements);
	size_t i, mark;

	writer_put_u8(w, IKE_LAST_SUBSTRUCTURE);
	writer_put_u8(w, 0);
	mark = writer_open16(w);
	writer_put_u8(w, number);
	writer_put_u8(w, requirements->protocol);
	writer_put_u8(w, requirements->spi_bytes);
	writer_put_u8(w, left);
	if (requirements->spi_bytes == IKE_ESP_SPI_BYTES)
		writer_put_u32(w, spi);
	for (i = 0; i < requirements->count; i++)
		if (!requirements->rows[i].is_optional)
			put_transform(w, &requirements->rows[i], --left == 0);
	writer_close16(w, mark, SUBSTRUCTURE_HEADER_BYTES);
}

static bool suite_is_in(uint32_t set, size_t index)
{
	return (set >> index & 1) != 0;
}

static void offer_add(struct requirements *offer, uint8_t type, uint16_t id, uint16_t key_bits)
{
	for (size_t i = 0; i < offer->count; i++)
		if (offer->rows[i].type == type && offer->rows[i].id == id &&
			offer->rows[i].key_bits == key_bits)
			return;
	if (offer->count < REQUIREMENTS_MAX)
		offer->rows[offer->count++] = (struct requirement){ type, id, key_bits, false };
}

/* One proposal with all transforms of the set, type by type: a set is all combinations of its
 * ciphers, PRFs and groups (RFC 7296 3.3: "any one of each type"). */
void ike_put_sa_offer(struct ike_builder *b, uint32_t suites)
{
	struct requirements offer = { .protocol = IKE_PROTOCOL_IKE };

	for (size_t i = 0; i < ike_suite_count(); i++)
		if (suite_is_in(suites, i))
			offer_add(&offer, IKE_TRANSFORM_ENCR, ike_suites[i].encr,
				ike_suites[i].key_bits);
	for (size_t i = 0; i < ike_suite_count(); i++)
		if (suite_is_in(suites, i))
			offer_add(&offer, IKE_TRANSFORM_PRF, ike_suites[i].prf, 0);
	for (size_t i = 0; i < ike_suite_count(); i++)
		if (suite_is_in(suites, i))
			offer_add(&offer, IKE_TRANSFORM_KE, ike_suites[i].group, 0);
	ike_builder_open_payload(b, IKE_PAYLOAD_SA);
	put_proposal(&b->w, &offer, PROPOSAL_FIRST_NUMBER, 0);
	ike_builder_close_payload(b);
}

void ike_put_sa_choice(
	struct ike_builder *b, const struct ike_suite *suite, uint8_t proposal_number)
{
	struct requirements requirements = ike_requirements(suite);

	ike_builder_open_payload(b, IKE_PAYLOAD_SA);
	put_proposal(&b->w, &requirements, proposal_number, 0);
	ike_builder_close_payload(b);
}

void ike_put_sa_esp(struct ike_builder *b, const struct esp_suite *suite, uint32_t spi)
{
	struct requirements requirements = esp_requirements(suite);

	ike_builder_open_payload(b, IKE_PAYLOAD_SA);
	put_proposal(&b->w, &requirements, PROPOSAL_FIRST_NUMBER, spi);
	ike_builder_close_payload(b);
}

/* --- reading --- */

struct transform {
	uint8_t type;
	uint16_t id, key_bits;
	bool is_understood; /* has no attribute that this side does not know, RFC 7296 3.3.6 */
};

struct proposal {
	uint8_t number, protocol, transform_count;
	struct bytes spi;
	struct reader transforms;
	bool is_last;
};

/* Reads "Last Substruc" and the length; gives a reader over the rest of the substructure. */
static struct reader read_substructure(struct reader *r, uint8_t more, bool *ret_is_last)
{
	uint8_t last = reader_get_u8(r);
	uint16_t len;

	reader_skip(r, 1);
	len = reader_get_u16(r);
	if ((last != IKE_LAST_SUBSTRUCTURE && last != more) || len < SUBSTRUCTURE_HEADER_BYTES)
		reader_fail(r, ERR_IKE_PAYLOAD);
	*ret_is_last = last == IKE_LAST_SUBSTRUCTURE;
	return reader_get_sub(r, (size_t)len - SUBSTRUCTURE_HEADER_BYTES);
}

/* RFC 7296 3.3.5.  A Key Length that is zero, doubled or in the long form means nothing we
 * know. */
static void read_attribute(struct reader *r, struct transform *transform)
{
	uint16_t type = reader_get_u16(r);
	uint16_t value = reader_get_u16(r); /* of the long form: the length of the value */

	if ((type & IKE_ATTRIBUTE_TV) == 0)
		reader_skip(r, value);
	if (type != (IKE_ATTRIBUTE_TV | IKE_ATTRIBUTE_KEY_LENGTH) || value == 0 ||
		transform->key_bits != 0)
		transform->is_understood = false;
	else
		transform->key_bits = value;
}

static struct transform read_transform(struct reader *r, bool *ret_is_last)
{
	struct transform transform = { .is_understood = true };
	struct reader sub = read_substructure(r, IKE_MORE_TRANSFORMS, ret_is_last);

	transform.type = reader_get_u8(&sub);
	reader_skip(&sub, 1);
	transform.id = reader_get_u16(&sub);
	while (reader_left(&sub) > 0)
		read_attribute(&sub, &transform);
	if (reader_finish(&sub) != ERR_OK)
		reader_fail(r, ERR_IKE_PAYLOAD);
	return transform;
}

static struct proposal read_proposal(struct reader *r)
{
	struct proposal proposal = { 0 };
	struct reader sub = read_substructure(r, IKE_MORE_PROPOSALS, &proposal.is_last);
	uint8_t spi_bytes;

	proposal.number = reader_get_u8(&sub);
	proposal.protocol = reader_get_u8(&sub);
	spi_bytes = reader_get_u8(&sub);
	proposal.transform_count = reader_get_u8(&sub);
	proposal.spi = reader_get_bytes(&sub, spi_bytes);
	if (reader_status(&sub) != ERR_OK)
		reader_fail(r, ERR_IKE_PAYLOAD);
	proposal.transforms = sub;
	return proposal;
}

/* As many transforms as counted, the last one and no other marked so, and nothing behind it. */
static bool transforms_are_well_formed(const struct proposal *proposal)
{
	struct reader r = proposal->transforms;
	bool is_last = false;
	unsigned int count;

	for (count = 0; count < proposal->transform_count && !is_last; count++)
		(void)read_transform(&r, &is_last);
	return is_last && count == proposal->transform_count && reader_finish(&r) == ERR_OK;
}

/* The whole body is well-formed, whether or not it is to our liking; proposals are counted
 * up. */
static enum err check_body(struct bytes body, size_t *ret_count, uint8_t *ret_first_number)
{
	struct proposal proposal = { 0 };
	uint8_t first_number = 0;
	size_t count = 0;
	struct reader r;

	reader_init(&r, body);
	do {
		proposal = read_proposal(&r);
		if (reader_status(&r) != ERR_OK || !transforms_are_well_formed(&proposal))
			return ERR_IKE_PAYLOAD;
		if (count == 0)
			first_number = proposal.number;
		if (proposal.number != first_number + count)
			return ERR_IKE_PAYLOAD;
		count++;
	} while (!proposal.is_last);
	if (reader_finish(&r) != ERR_OK)
		return ERR_IKE_PAYLOAD;
	*ret_count = count;
	*ret_first_number = first_number;
	return ERR_OK;
}

/* --- judging --- */

static const struct requirement *requirement_find(
	const struct requirements *requirements, uint8_t type, size_t *ret_index)
{
	size_t i;

	for (i = 0; i < requirements->count; i++) {
		if (requirements->rows[i].type == type) {
			*ret_index = i;
			return &requirements->rows[i];
		}
	}
	return NULL;
}

static bool transform_meets(const struct transform *transform, const struct requirement *row)
{
	return transform->is_understood && transform->id == row->id &&
	       transform->key_bits == row->key_bits;
}

/*
 * Whether a checked proposal holds what is required; exactly: and nothing else, each once.
 * RFC 7296 3.3.6: a transform type that we do not understand makes the proposal unacceptable, a
 * transform that we do not understand is passed over.
 */
static bool proposal_meets(
	const struct proposal *proposal, const struct requirements *requirements, bool exactly)
{
	struct reader r = proposal->transforms;
	size_t hits[REQUIREMENTS_MAX] = { 0 };
	bool is_last = false;
	size_t i, index = 0;

	if (proposal->protocol != requirements->protocol ||
		proposal->spi.len != requirements->spi_bytes)
		return false;
	while (!is_last && reader_status(&r) == ERR_OK) {
		struct transform transform = read_transform(&r, &is_last);
		const struct requirement *row =
			requirement_find(requirements, transform.type, &index);

		if (row == NULL)
			return false;
		if (transform_meets(&transform, row))
			hits[index]++;
		else if (row->is_optional || exactly)
			return false;
	}
	for (i = 0; i < requirements->count; i++)
		if ((hits[i] == 0 && !requirements->rows[i].is_optional) ||
			(hits[i] > 1 && exactly))
			return false;
	return true;
}

/* The first proposal of a checked body that meets the requirements. */
static bool find_proposal(struct bytes body, const struct requirements *requirements, bool exactly,
	struct proposal *ret_proposal)
{
	struct proposal proposal = { 0 };
	struct reader r;

	reader_init(&r, body);
	while (!proposal.is_last && reader_status(&r) == ERR_OK) {
		proposal = read_proposal(&r);
		if (reader_status(&r) == ERR_OK &&
			proposal_meets(&proposal, requirements, exactly)) {
			*ret_proposal = proposal;
			return true;
		}
	}
	return false;
}

enum err ike_sa_choose(struct bytes body, uint32_t suites, const struct ike_suite **ret_suite,
	uint8_t *ret_proposal_number)
{
	struct requirements requirements;
	struct proposal proposal;
	uint8_t first_number;
	size_t i, count;
	enum err status = check_body(body, &count, &first_number);

	if (status != ERR_OK)
		return status;
	/* RFC 7296 3.3.1: the first proposal of an offer must have number 1. */
	if (first_number != PROPOSAL_FIRST_NUMBER)
		return ERR_IKE_PAYLOAD;
	for (i = 0; i < ike_suite_count(); i++) {
		requirements = ike_requirements(&ike_suites[i]);
		if (!suite_is_in(suites, i) ||
			!find_proposal(body, &requirements, false, &proposal))
			continue;
		*ret_suite = &ike_suites[i];
		*ret_proposal_number = proposal.number;
		return ERR_OK;
	}
	return ERR_NO_PROPOSAL;
}

enum err ike_sa_accept(struct bytes body, uint32_t suites, const struct ike_suite **ret_suite)
{
	struct requirements requirements;
	struct proposal proposal;
	uint8_t first_number;
	size_t count;
	enum err status = check_body(body, &count, &first_number);

	if (status != ERR_OK)
		return status;
	/* RFC 7296 3.3.6: the answer must be our proposal, by its number too. */
	if (count != 1 || first_number != PROPOSAL_FIRST_NUMBER)
		return ERR_NO_PROPOSAL;
	for (size_t i = 0; i < ike_suite_count(); i++) {
		requirements = ike_requirements(&ike_suites[i]);
		if (suite_is_in(suites, i) && find_proposal(body, &requirements, true, &proposal)) {
			*ret_suite = &ike_suites[i];
			return ERR_OK;
		}
	}
	return ERR_NO_PROPOSAL;
}

enum err ike_sa_esp_parse(
	struct bytes body, const struct esp_suite *suite, bool is_choice, uint32_t *ret_spi)
{
	struct requirements requirements = esp_requirements(suite);
	struct proposal proposal;
	uint8_t first_number;
	struct reader r;
	size_t count;
	uint32_t spi;
	enum err status = check_body(body, &count, &first_number);

	if (status != ERR_OK)
		return status;
	if (first_number != PROPOSAL_FIRST_NUMBER)
		return ERR_IKE_PAYLOAD;
	/* RFC 7296 3.3: a responder chooses one proposal. */
	if (is_choice && count != 1)
		return ERR_NO_PROPOSAL;
	if (!find_proposal(body, &requirements, true, &proposal))
		return ERR_NO_PROPOSAL;
	reader_init(&r, proposal.spi);
	spi = reader_get_u32(&r);
	if (reader_finish(&r) != ERR_OK || spi < IKE_ESP_SPI_MIN)
		return ERR_NO_PROPOSAL;
	*ret_spi = spi;
	return ERR_OK;
}
