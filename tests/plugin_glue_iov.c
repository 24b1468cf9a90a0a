/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages in pieces through the mechglue: every layout, beside gss_wrap and gss_unwrap; no copies. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "tests/plugin_glue.h"

#define HEADER_BYTES 20
#define TAG_BYTES 16
#define ALLOCATE GSS_IOV_BUFFER_FLAG_ALLOCATE
#define ALLOCATED GSS_IOV_BUFFER_FLAG_ALLOCATED

static const char text[] = "pieces of one message, of which none is a multiple of sixteen";
static const char associated[] = "covered, not carried";

#define TEXT_BYTES (sizeof(text) - 1)
#define ASSOCIATED_BYTES (sizeof(associated) - 1)

/* A message in two runs with all that may be around it. */
struct message {
	gss_iov_buffer_desc iov[7];
	int count;
	char data[2][TEXT_BYTES], associated[2][ASSOCIATED_BYTES];
	char header[HEADER_BYTES + TAG_BYTES], tag[TAG_BYTES];
};

enum {
	WITH_ASSOCIATED = 1,
	WITHOUT_TRAILER = 2,
	WITH_ALLOCATE = 4,
	SEALED = 8,
	LAYOUTS = 16,
	HEADER_LAST = 16 /* as programs written for DCE have it; in memory, not in the token */
};

static void put(struct message *m, OM_uint32 type, void *value, size_t length)
{
	m->iov[m->count].type = type;
	m->iov[m->count].buffer.value = value;
	m->iov[m->count++].buffer.length = length;
}

/* A kind that the mechanism fills: the program's memory, or memory to be allocated. */
static void put_room(struct message *m, OM_uint32 type, void *room, size_t length, bool allocates)
{
	put(m, allocates ? type | ALLOCATE : type, allocates ? NULL : room, allocates ? 0 : length);
}

static void message_init_in_order(struct message *m, unsigned int layout)
{
	bool allocates = (layout & WITH_ALLOCATE) != 0;
	size_t half = TEXT_BYTES / 2;

	memset(m, 0, sizeof(*m));
	memcpy(m->data[0], text, half);
	memcpy(m->data[1], text + half, TEXT_BYTES - half);
	memcpy(m->associated[0], associated, ASSOCIATED_BYTES);
	put_room(m, GSS_IOV_BUFFER_TYPE_HEADER, m->header, sizeof(m->header), allocates);
	if ((layout & WITH_ASSOCIATED) != 0)
		put(m, GSS_IOV_BUFFER_TYPE_SIGN_ONLY, m->associated[0], 7);
	put(m, GSS_IOV_BUFFER_TYPE_DATA, m->data[0], half);
	if ((layout & WITH_ASSOCIATED) != 0)
		put(m, GSS_IOV_BUFFER_TYPE_SIGN_ONLY, m->associated[0] + 7, ASSOCIATED_BYTES - 7);
	put(m, GSS_IOV_BUFFER_TYPE_DATA, m->data[1], TEXT_BYTES - half);
	if ((layout & WITHOUT_TRAILER) != 0)
		return;
	put_room(m, GSS_IOV_BUFFER_TYPE_PADDING, NULL, 0, allocates);
	put_room(m, GSS_IOV_BUFFER_TYPE_TRAILER, m->tag, sizeof(m->tag), allocates);
}

static void message_init(struct message *m, unsigned int layout)
{
	gss_iov_buffer_desc header;

	message_init_in_order(m, layout);
	if ((layout & HEADER_LAST) == 0)
		return;
	header = m->iov[0];
	m->count--;
	memmove(m->iov, m->iov + 1, (size_t)m->count * sizeof(header));
	m->iov[m->count++] = header;
}

static void message_free(struct message *m)
{
	OM_uint32 minor;

	(void)gss_release_iov_buffer(&minor, m->iov, m->count);
}

static bool message_is_text(const struct message *m)
{
	size_t half = TEXT_BYTES / 2;

	return strncmp(m->data[0], text, half) == 0 &&
	       strncmp(m->data[1], text + half, TEXT_BYTES - half) == 0;
}

/* What is carried, in one run. */
static gss_buffer_desc message_join(const struct message *m)
{
	gss_buffer_desc whole = { 0, malloc(512) };

	for (int i = 0; i < m->count; i++) {
		if (GSS_IOV_BUFFER_TYPE(m->iov[i].type) == GSS_IOV_BUFFER_TYPE_SIGN_ONLY ||
			m->iov[i].buffer.length == 0)
			continue;
		memcpy((char *)whole.value + whole.length, m->iov[i].buffer.value,
			m->iov[i].buffer.length);
		whole.length += m->iov[i].buffer.length;
	}
	return whole;
}

static bool is_text(const gss_buffer_desc *buffer)
{
	return buffer->length == TEXT_BYTES && strncmp(buffer->value, text, TEXT_BYTES) == 0;
}

static OM_uint32 message_wrap(struct side *from, struct message *m, unsigned int layout)
{
	int is_sealed = -1, seals = (layout & SEALED) != 0;
	OM_uint32 major, minor;

	message_init(m, layout);
	major = gss_wrap_iov(&minor, from->context, seals, 0, &is_sealed, m->iov, m->count);
	if (major == GSS_S_COMPLETE && (is_sealed != seals || message_is_text(m) == seals))
		return GSS_S_FAILURE;
	return major;
}

/* --- each layout, opened in every way that there is --- */

static void check_pieces(struct pair *pair, unsigned int layout)
{
	struct message m;
	OM_uint32 major, minor;
	int was_sealed = -1;
	gss_qop_t qop = 9;

	major = message_wrap(&pair->initiator, &m, layout);
	check_quietly(major == GSS_S_COMPLETE, "wrap_iov, layout %u: %x", layout, major);
	if ((layout & WITH_ALLOCATE) != 0)
		check_quietly(((m.iov[0].type | m.iov[m.count - 1].type) & ALLOCATED) != 0,
			"layout %u: ALLOCATED", layout);
	major = gss_unwrap_iov(&minor, pair->acceptor.context, &was_sealed, &qop, m.iov, m.count);
	check_quietly(major == GSS_S_COMPLETE && message_is_text(&m) && qop == 0 &&
			      was_sealed == ((layout & SEALED) != 0),
		"unwrap_iov, layout %u: %x", layout, major);
	message_free(&m);
}

static void check_joined(struct pair *pair, unsigned int layout)
{
	bool has_associated = (layout & WITH_ASSOCIATED) != 0;
	gss_buffer_desc token,
		back = GSS_C_EMPTY_BUFFER,
		covered = { has_associated ? ASSOCIATED_BYTES : 0, (char *)(uintptr_t)associated };
	struct message m;
	OM_uint32 major, minor;

	check_quietly(message_wrap(&pair->acceptor, &m, layout) == 0, "layout %u", layout);
	token = message_join(&m);
	check_quietly(
		token.length == TEXT_BYTES + HEADER_BYTES + TAG_BYTES, "layout %u: length", layout);
	major = gss_unwrap(&minor, pair->initiator.context, &token, &back, NULL, NULL);
	if (has_associated)
		check_quietly(major == GSS_S_BAD_SIG && back.length == 0,
			"gss_unwrap without the associated data, layout %u: %x", layout, major);
	else
		check_quietly(major == GSS_S_COMPLETE && is_text(&back),
			"gss_unwrap, layout %u: %x", layout, major);
	(void)gss_release_buffer(&minor, &back);
	major = gss_unwrap_aead(
		&minor, pair->initiator.context, &token, &covered, &back, NULL, NULL);
	check_quietly(major == (has_associated ? GSS_S_COMPLETE : GSS_S_DUPLICATE_TOKEN) &&
			      is_text(&back),
		"gss_unwrap_aead, layout %u: %x", layout, major);
	(void)gss_release_buffer(&minor, &back);
	free(token.value);
	message_free(&m);
}

static void check_stream(struct pair *pair, unsigned int layout, bool allocates)
{
	gss_iov_buffer_desc iov[3] = { { .type = GSS_IOV_BUFFER_TYPE_STREAM },
		{ .type = GSS_IOV_BUFFER_TYPE_SIGN_ONLY },
		{ .type = GSS_IOV_BUFFER_TYPE_DATA, .buffer = { 99, NULL } } };
	const char *data;
	struct message m;
	OM_uint32 major, minor;
	int was_sealed = -1;

	if (allocates)
		iov[2].type |= ALLOCATE;
	check_quietly(message_wrap(&pair->initiator, &m, layout) == 0, "layout %u", layout);
	iov[0].buffer = message_join(&m);
	if ((layout & WITH_ASSOCIATED) != 0)
		iov[1].buffer =
			(gss_buffer_desc){ ASSOCIATED_BYTES, (char *)(uintptr_t)associated };
	major = gss_unwrap_iov(&minor, pair->acceptor.context, &was_sealed, NULL, iov, 3);
	check_quietly(major == GSS_S_COMPLETE && is_text(&iov[2].buffer) &&
			      was_sealed == ((layout & SEALED) != 0),
		"STREAM, layout %u, ALLOCATE %d: %x", layout, allocates, major);
	data = iov[2].buffer.value;
	check_quietly(allocates == (data < (char *)iov[0].buffer.value ||
					   data > (char *)iov[0].buffer.value + 100),
		"STREAM, layout %u, ALLOCATE %d: where DATA is", layout, allocates);
	check_quietly(((iov[2].type & ALLOCATED) != 0) == allocates, "ALLOCATED says so");
	free(iov[0].buffer.value);
	(void)gss_release_iov_buffer(&minor, iov, 3);
	message_free(&m);
}

static void check_from_whole(struct pair *pair, int seals)
{
	gss_buffer_desc plain = { TEXT_BYTES, (char *)(uintptr_t)text },
			covered = { ASSOCIATED_BYTES, (char *)(uintptr_t)associated },
			token = GSS_C_EMPTY_BUFFER;
	gss_iov_buffer_desc iov[] = { { .type = GSS_IOV_BUFFER_TYPE_SIGN_ONLY },
		{ .type = GSS_IOV_BUFFER_TYPE_DATA }, { .type = GSS_IOV_BUFFER_TYPE_STREAM } };
	OM_uint32 major, minor;

	for (int with_associated = 0; with_associated < 2; with_associated++) {
		major = with_associated ? gss_wrap_aead(&minor, pair->initiator.context, seals, 0,
						  &covered, &plain, NULL, &token)
					: gss_wrap(&minor, pair->initiator.context, seals, 0,
						  &plain, NULL, &token);
		check_quietly(major == GSS_S_COMPLETE, "a token in one run: %x", major);
		iov[0].buffer.value = covered.value;
		iov[0].buffer.length = with_associated ? covered.length : 0;
		iov[2].buffer = token;
		major = gss_unwrap_iov(&minor, pair->acceptor.context, NULL, NULL, iov, 3);
		check_quietly(major == GSS_S_COMPLETE && is_text(&iov[1].buffer),
			"token of one run as STREAM, seal %d, associated %d: %x", seals,
			with_associated, major);
		(void)gss_release_buffer(&minor, &token);
	}
}

/* --- what is refused --- */

/* Other associated data, other pieces, moved ends: nothing of it passes, and nothing stays readable. */
static void check_changed(struct pair *pair, unsigned int layout)
{
	for (int i = 0; i < 5; i++) {
		struct message m;
		OM_uint32 major, minor;

		check_quietly(message_wrap(&pair->initiator, &m, layout) == 0, "layout %u", layout);
		if (m.iov[i].buffer.length == 0 || i >= m.count) {
			message_free(&m);
			continue;
		}
		((char *)m.iov[i].buffer.value)[m.iov[i].buffer.length - 1] ^= 1;
		major = gss_unwrap_iov(&minor, pair->acceptor.context, NULL, NULL, m.iov, m.count);
		check_quietly(GSS_ERROR(major) && minor != 0, "changed piece %d, layout %u: %x", i,
			layout, major);
		check_quietly((layout & SEALED) == 0 || !message_is_text(&m),
			"changed piece %d, layout %u: nothing is left to read", i, layout);
		message_free(&m);
	}
}

/* The end of the associated data becomes the beginning of a message that is not sealed: all octets are
 * the same, in the same order. */
static void check_moved_border(struct pair *pair)
{
	gss_buffer_desc token, back = GSS_C_EMPTY_BUFFER,
			       covered = { ASSOCIATED_BYTES, (char *)(uintptr_t)associated };
	struct message m;
	OM_uint32 major, minor;
	char *at;

	check_quietly(message_wrap(&pair->initiator, &m, WITH_ASSOCIATED) == 0, "for the border");
	token = message_join(&m);
	at = (char *)token.value + HEADER_BYTES;
	memmove(at + 1, at, token.length - HEADER_BYTES);
	at[0] = associated[ASSOCIATED_BYTES - 1];
	token.length++;
	covered.length--;
	major = gss_unwrap_aead(
		&minor, pair->acceptor.context, &token, &covered, &back, NULL, NULL);
	check(major == GSS_S_BAD_SIG, "the border of associated data and message stays: %x", major);
	(void)gss_release_buffer(&minor, &back);
	free(token.value);
	message_free(&m);
}

static OM_uint32 wrap_list(struct side *side, gss_iov_buffer_desc *iov, int count)
{
	OM_uint32 minor, major = gss_wrap_iov(&minor, side->context, 1, 0, NULL, iov, count);

	check_quietly(!GSS_ERROR(major) || minor != 0, "a refused list has a minor status");
	return major;
}

static void check_lists(struct side *side)
{
	char room[64] = "x";
	gss_iov_buffer_desc data = { GSS_IOV_BUFFER_TYPE_DATA, { 1, room + 40 } };
	gss_iov_buffer_desc header = { GSS_IOV_BUFFER_TYPE_HEADER, { 36, room } };
	gss_iov_buffer_desc none[] = { data }, two[] = { header, header, data },
			    lost[] = { header, { GSS_IOV_BUFFER_TYPE_DATA, { 1, NULL } } },
			    small[] = { { GSS_IOV_BUFFER_TYPE_HEADER, { 35, room } }, data },
			    stream[] = { { GSS_IOV_BUFFER_TYPE_STREAM, { 40, room } }, data, data };
	OM_uint32 major, minor;

	check(GSS_ERROR(wrap_list(side, none, 1)), "a list without HEADER");
	check(GSS_ERROR(wrap_list(side, two, 3)), "a list with two HEADERs");
	check(GSS_ERROR(wrap_list(side, lost, 2)), "DATA without memory");
	check(GSS_ERROR(wrap_list(side, small, 2)), "a HEADER that is too small");
	check(room[40] == '\0', "DATA was not touched");
	major = gss_unwrap_iov(&minor, side->context, NULL, NULL, stream, 3);
	check(GSS_ERROR(major) && minor != 0 && error_says(minor, "DATA"), "STREAM with two DATA");
	major = gss_wrap_iov(&minor, side->context, 1, 5, NULL, two, 1);
	check(major == GSS_S_BAD_QOP, "wrap_iov with an unknown quality of protection: BAD_QOP");
}

static void check_lengths(struct side *side)
{
	gss_iov_buffer_desc iov[] = { { .type = GSS_IOV_BUFFER_TYPE_HEADER },
		{ GSS_IOV_BUFFER_TYPE_DATA, { 1000, NULL } },
		{ .type = GSS_IOV_BUFFER_TYPE_PADDING }, { .type = GSS_IOV_BUFFER_TYPE_TRAILER } };
	OM_uint32 major, minor, limit = 0;

	for (int seals = 0; seals < 2; seals++) {
		int is_sealed = -1;

		major = gss_wrap_iov_length(&minor, side->context, seals, 0, &is_sealed, iov, 4);
		check(major == GSS_S_COMPLETE && iov[0].buffer.length == HEADER_BYTES &&
				iov[2].buffer.length == 0 && iov[3].buffer.length == TAG_BYTES &&
				is_sealed == seals,
			"wrap_iov_length, seal %d", seals);
		major = gss_wrap_size_limit(
			&minor, side->context, seals, 0, 1000 + HEADER_BYTES + TAG_BYTES, &limit);
		check(major == GSS_S_COMPLETE && limit == 1000, "wrap_size_limit says the same");
	}
	major = gss_wrap_iov_length(&minor, side->context, 1, 0, NULL, iov, 2);
	check(major == GSS_S_COMPLETE && iov[0].buffer.length == HEADER_BYTES + TAG_BYTES,
		"wrap_iov_length without a TRAILER");
}

/* --- MICs --- */

static void check_mic_pieces(struct side *from, struct side *to, bool allocates)
{
	char room[HEADER_BYTES + TAG_BYTES];
	gss_iov_buffer_desc iov[] = { { GSS_IOV_BUFFER_TYPE_DATA, { 5, (char *)(uintptr_t)text } },
		{ GSS_IOV_BUFFER_TYPE_MIC_TOKEN, { sizeof(room), room } },
		{ GSS_IOV_BUFFER_TYPE_SIGN_ONLY,
			{ TEXT_BYTES - 5, (char *)(uintptr_t)text + 5 } } };
	gss_buffer_desc whole = { TEXT_BYTES, (char *)(uintptr_t)text }, token = GSS_C_EMPTY_BUFFER;
	gss_iov_buffer_desc saved;
	OM_uint32 major, minor;

	if (allocates)
		iov[1] = (gss_iov_buffer_desc){ .type = GSS_IOV_BUFFER_TYPE_MIC_TOKEN | ALLOCATE };
	major = gss_get_mic_iov(&minor, from->context, 0, iov, 3);
	check(major == GSS_S_COMPLETE && iov[1].buffer.length == sizeof(room) &&
			((iov[1].type & ALLOCATED) != 0) == allocates,
		"get_mic_iov, ALLOCATE %d: %x", allocates, major);
	major = gss_verify_mic(&minor, to->context, &whole, &iov[1].buffer, NULL);
	check(major == GSS_S_COMPLETE, "gss_verify_mic of pieces: %x", major);
	major = gss_verify_mic_iov(&minor, to->context, NULL, iov, 3);
	check(major == GSS_S_DUPLICATE_TOKEN, "verify_mic_iov, again: %x", major);
	saved = iov[0];
	iov[0] = iov[2];
	iov[2] = saved;
	major = gss_verify_mic_iov(&minor, to->context, NULL, iov, 3);
	check(major == GSS_S_BAD_SIG, "verify_mic_iov in another order: %x", major);
	(void)gss_release_iov_buffer(&minor, iov, 3);
	check(gss_get_mic(&minor, from->context, 0, &whole, &token) == 0, "get_mic for pieces");
	iov[2] = iov[0];
	iov[0] = saved;
	iov[1] = (gss_iov_buffer_desc){ GSS_IOV_BUFFER_TYPE_MIC_TOKEN, token };
	major = gss_verify_mic_iov(&minor, to->context, NULL, iov, 3);
	check(major == GSS_S_COMPLETE, "verify_mic_iov of gss_get_mic: %x", major);
	(void)gss_release_buffer(&minor, &token);
	major = gss_get_mic_iov_length(&minor, from->context, 0, iov, 3);
	check(major == GSS_S_COMPLETE && iov[1].buffer.length == sizeof(room), "mic_iov_length");
}

static void check_all_layouts(struct pair *pair)
{
	unsigned int before = checks_failed();

	for (unsigned int layout = 0; layout < LAYOUTS; layout++) {
		check_pieces(pair, layout);
		check_pieces(pair, layout | HEADER_LAST);
		check_joined(pair, layout);
		check_stream(pair, layout, false);
		check_stream(pair, layout, true);
		check_changed(pair, layout);
	}
	check_from_whole(pair, 0);
	check_from_whole(pair, 1);
	check(checks_failed() == before, "messages in pieces, %d layouts", LAYOUTS);
}

/* Without order: the tests of what is refused leave gaps. */
static bool open_without_order(struct pair *pair, gss_OID mech)
{
	pair_init(pair, mech, "host@server.example.org",
		PAIR_FLAGS_ASKED & ~(OM_uint32)GSS_C_SEQUENCE_FLAG);
	if (pair_run(pair) == GSS_S_COMPLETE)
		return true;
	check(false, "exchange for messages in pieces");
	pair_free(pair);
	return false;
}

void test_pieces(void)
{
	struct pair pair;

	if (!open_without_order(&pair, &mech_oid))
		return;
	check_all_layouts(&pair);
	check_moved_border(&pair);
	check_lists(&pair.initiator);
	check_lengths(&pair.acceptor);
	check_mic_pieces(&pair.acceptor, &pair.initiator, false);
	check_mic_pieces(&pair.initiator, &pair.acceptor, true);
	pair_free(&pair);
	if (!open_without_order(&pair, &spnego_oid))
		return;
	check_all_layouts(&pair);
	pair_free(&pair);
}

/* --- how much memory that takes --- */

static size_t (*count_allocations)(void);

static size_t allocations_of(struct pair *pair, unsigned int layout)
{
	struct message m;
	size_t before;
	OM_uint32 major, minor;

	before = count_allocations();
	major = message_wrap(&pair->initiator, &m, layout);
	if (major == GSS_S_COMPLETE)
		major = gss_unwrap_iov(&minor, pair->acceptor.context, NULL, NULL, m.iov, m.count);
	before = count_allocations() - before;
	check_quietly(
		major == GSS_S_COMPLETE && message_is_text(&m), "layout %u: %x", layout, major);
	message_free(&m);
	return before;
}

void test_allocations(void)
{
	struct pair pair;

	*(void **)&count_allocations = dlsym(RTLD_DEFAULT, "count_allocations");
	check(count_allocations != NULL, "allocations are counted");
	if (count_allocations == NULL || !pair_open(&pair, &mech_oid, "host@server.example.org"))
		return;
	(void)allocations_of(&pair, SEALED); /* the first message makes the keys */
	for (unsigned int layout = 0; layout < LAYOUTS; layout++) {
		size_t count = allocations_of(&pair, layout);
		size_t asked = (layout & WITH_ALLOCATE) == 0	 ? 0
			       : (layout & WITHOUT_TRAILER) == 0 ? 2
								 : 1;

		check(count == asked, "layout %u: %zu allocations, ALLOCATE asked for %zu", layout,
			count, asked);
	}
	pair_free(&pair);
}
