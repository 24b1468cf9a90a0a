/* SPDX-License-Identifier: BSD-2-Clause */
/* See two_ends.h. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/two_ends.h"

struct fake_kernel fake_kernels[2];

#define ENDS_SPKI_DIGITS 800 /* base64 of any key that the tests make */

/* --- the fake kernel: one connection 10.77.0.1:40000 to 10.77.0.2:4444, or over IPv6 --- */

static void fake_candidate(bool is_initiator, struct kbind_candidate *candidate)
{
	const bool is_ipv6 = fake_kernels[is_initiator ? 0 : 1].is_ipv6;
	const size_t len = is_ipv6 ? 16 : 4;
	const uint8_t initiator[16] = { 10, 77, 0, 1, [15] = 9 };
	const uint8_t acceptor[16] = { 10, 77, 0, 2, [15] = 9 };

	*candidate = (struct kbind_candidate){ .fd = 7, .cookie = is_initiator ? 1 : 2 };
	candidate->tuple.family = is_ipv6 ? AF_INET6 : AF_INET;
	candidate->tuple.protocol = IPPROTO_TCP;
	memcpy(candidate->tuple.local, is_initiator ? initiator : acceptor, len);
	memcpy(candidate->tuple.remote, is_initiator ? acceptor : initiator, len);
	candidate->tuple.local_port = is_initiator ? 40000 : 4444;
	candidate->tuple.remote_port = is_initiator ? 4444 : 40000;
	candidate->written_bytes = candidate->counted_bytes =
		fake_kernels[is_initiator ? 0 : 1].written;
	candidate->received_bytes = is_initiator ? 0 : 60000; /* T1 has come to the acceptor */
}

struct kbind_candidate fake_connection(bool is_initiator)
{
	struct kbind_candidate candidate;

	fake_candidate(is_initiator, &candidate);
	return candidate;
}

static enum ipsec_latch_reason fake_find(bool is_initiator, struct kbind_candidates *ret)
{
	struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];

	if (k->find == IPSEC_LATCH_LATCHED) {
		ret->count = 1;
		fake_candidate(is_initiator, &ret->items[0]);
	}
	ret->is_cut = k->is_cut;
	ret->found_ms = kbind_clock_ms();
	if (k->has_unfit) {
		ret->unfit_count = 1;
		fake_candidate(is_initiator, &ret->unfit[0]);
		ret->unfit[0].fitness = k->find;
	}
	return k->find;
}

static bool fake_picks(const struct kbind_pick *pick, const struct kbind_candidate *connection)
{
	if (pick == NULL)
		return true;
	if (pick->takes_cookie != NULL && !pick->takes_cookie(connection->cookie, pick->argument))
		return false;
	return pick->takes_tuple == NULL || pick->takes_tuple(&connection->tuple, pick->argument);
}

static enum ipsec_latch_reason fake_find_wanted(bool is_initiator, const struct kbind_pick *pick,
	kbind_wants wants, const void *argument, struct kbind_candidates *ret)
{
	const struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];
	struct kbind_candidates all = { .count = 0 };
	enum ipsec_latch_reason reason = fake_find(is_initiator, &all);

	if (reason == IPSEC_LATCH_LATCHED &&
		(!fake_picks(pick, &all.items[0]) ||
			(wants != NULL && !wants(&all.items[0], argument))))
		return IPSEC_LATCH_NONE;
	for (size_t i = 0; reason == IPSEC_LATCH_LATCHED && i < k->twin_count; i++)
		if (fake_picks(pick, &k->twins[i]) &&
			(wants == NULL || wants(&k->twins[i], argument)))
			all.items[all.count++] = k->twins[i];
	*ret = all;
	return reason;
}

static struct kbind_candidate fake_now(bool is_initiator)
{
	const struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];
	struct kbind_candidate now;

	fake_candidate(is_initiator, &now);
	now.is_closing = k->closes;
	now.fitness = k->fitness;
	if (!k->stalls) {
		now.sent_bytes += 60000;
		now.written_bytes += 60000;
		now.counted_bytes += 60000;
		now.received_bytes += 60000;
	}
	return now;
}

static enum ipsec_latch_reason fake_visit_all(
	bool is_initiator, int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	const struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];
	struct kbind_candidate now = fake_now(is_initiator);

	if (k->find == IPSEC_LATCH_NO_PROC || k->find == IPSEC_LATCH_TOO_MANY)
		return k->find;
	if (!k->is_away && k->find != IPSEC_LATCH_NONE &&
		(fd < 0 ? fake_picks(pick, &now) : fd == now.fd))
		visit(&now, argument);
	for (size_t i = 0; i < k->other_count && fd < 0; i++)
		if (fake_picks(pick, &k->others[i]))
			visit(&k->others[i], argument);
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason fake_query(bool is_initiator,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];

	k->queried++;
	k->last_wait_ms = wait_ms;
	*ret_status = k->status;
	ret_status->cookie = candidate->cookie;
	return k->query;
}

static enum ipsec_latch_reason fake_refresh(
	bool is_initiator, const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];

	*ret_now = fake_now(is_initiator);
	for (size_t i = 0; i < k->other_count; i++)
		if (k->others[i].cookie == candidate->cookie)
			*ret_now = k->others[i];
	return k->refresh;
}

static enum ipsec_latch_reason fake_reserve(
	bool is_initiator, const struct kbind_reserve *reserve, struct kbind_lease *ret_lease)
{
	struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];

	k->reserved++;
	k->last_reserve = *reserve;
	k->key_in = *reserve->key_in;
	if (reserve->key_out != NULL)
		k->key_out = *reserve->key_out;
	if (k->reserve == IPSEC_LATCH_LATCHED) {
		ret_lease->is_held = true;
		ret_lease->spi_in = is_initiator ? 0x11111111 : 0x22222222;
	}
	return k->reserve;
}

static enum ipsec_latch_reason fake_latch(bool is_initiator, const struct kbind_latch *latch)
{
	struct fake_kernel *k = &fake_kernels[is_initiator ? 0 : 1];

	k->latched++;
	k->last_latch = *latch;
	snprintf(k->last_method, sizeof(k->last_method), "%s", latch->method);
	snprintf(k->last_peer_key, sizeof(k->last_peer_key), "%s",
		latch->peer_key != NULL ? latch->peer_key : "");
	if (latch->key_out != NULL)
		k->key_out = *latch->key_out;
	return k->latch;
}

static void fake_release(bool is_initiator, struct kbind_lease *lease)
{
	fake_kernels[is_initiator ? 0 : 1].released++;
	lease->is_held = false;
}

#define FAKE_SIDE(side, is_initiator)                                                            \
	static enum ipsec_latch_reason side##_find(int fd, struct kbind_candidates *ret)         \
	{                                                                                        \
		(void)fd;                                                                        \
		return fake_find(is_initiator, ret);                                             \
	}                                                                                        \
	static enum ipsec_latch_reason side##_find_wanted(int fd, const struct kbind_pick *pick, \
		kbind_wants wants, const void *argument, struct kbind_candidates *ret)           \
	{                                                                                        \
		(void)fd;                                                                        \
		return fake_find_wanted(is_initiator, pick, wants, argument, ret);               \
	}                                                                                        \
	static enum ipsec_latch_reason side##_visit_all(                                         \
		int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)        \
	{                                                                                        \
		return fake_visit_all(is_initiator, fd, pick, visit, argument);                  \
	}                                                                                        \
	static enum ipsec_latch_reason side##_query(const char *broker_path,                     \
		const struct kbind_candidate *candidate, int wait_ms,                            \
		struct kbind_status *ret_status)                                                 \
	{                                                                                        \
		(void)broker_path;                                                               \
		return fake_query(is_initiator, candidate, wait_ms, ret_status);                 \
	}                                                                                        \
	static enum ipsec_latch_reason side##_refresh(                                           \
		const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)        \
	{                                                                                        \
		return fake_refresh(is_initiator, candidate, ret_now);                           \
	}                                                                                        \
	static enum ipsec_latch_reason side##_reserve(const char *broker_path,                   \
		const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,    \
		struct kbind_lease *ret_lease)                                                   \
	{                                                                                        \
		(void)broker_path;                                                               \
		(void)candidate;                                                                 \
		return fake_reserve(is_initiator, reserve, ret_lease);                           \
	}                                                                                        \
	static enum ipsec_latch_reason side##_latch(const char *broker_path,                     \
		const struct kbind_candidate *candidate, struct kbind_lease *lease,              \
		const struct kbind_latch *latch)                                                 \
	{                                                                                        \
		(void)broker_path;                                                               \
		(void)candidate;                                                                 \
		(void)lease;                                                                     \
		return fake_latch(is_initiator, latch);                                          \
	}                                                                                        \
	static void side##_release(const char *broker_path,                                      \
		const struct kbind_candidate *candidate, struct kbind_lease *lease)              \
	{                                                                                        \
		(void)broker_path;                                                               \
		(void)candidate;                                                                 \
		fake_release(is_initiator, lease);                                               \
	}                                                                                        \
	const struct kbind_ops fake_##side##_ops = { side##_find, side##_find_wanted,            \
		side##_visit_all, side##_refresh, side##_reserve, side##_latch, side##_release,  \
		side##_query };

FAKE_SIDE(initiator, true)
FAKE_SIDE(acceptor, false)

/* --- keys and configurations --- */

static void ends_write(const char *path, struct bytes text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text.data, 1, text.len, file), text.len);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
}

static void ends_base64(struct bytes in, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < in.len; i += 3) {
		size_t n = in.len - i < 3 ? in.len - i : 3;
		unsigned int v = 0;

		for (size_t j = 0; j < 3; j++)
			v = v << 8 | (j < n ? in.data[i + j] : 0u);
		for (size_t j = 0; j < 4; j++)
			*out++ = j <= n ? digits[v >> (18 - 6 * j) & 63] : '=';
	}
	*out = '\0';
}

/* A fresh key; one of RSA is a kept one, since making it takes long. */
static struct crypto_private_key *ends_key(const char *kind, const char *name)
{
	struct crypto_private_key *key = NULL;
	char path[64];
	uint8_t pem[4096];
	size_t len;
	FILE *file;

	/* nobody's key is written all the same, and used by nobody */
	if (strcmp(kind, "anonymous") == 0)
		kind = "ed25519";
	if (strcmp(kind, "rsa") != 0) {
		ck_assert_int_eq(
			crypto_private_key_generate(crypto_key_kind_find(kind), 0, &key), ERR_OK);
		return key;
	}
	snprintf(path, sizeof(path), "tests/vectors/rsa_%s.pem", name);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	len = fread(pem, 1, sizeof(pem), file);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(crypto_private_key_read(BYTES(pem, len), &key), ERR_OK);
	return key;
}

/* A key of that kind: its PEM under directory/name.key, its SPKI in base64 in ret_spki. */
static void ends_make_key(
	const char *directory, const char *name, const char *kind, char ret_spki[ENDS_SPKI_DIGITS])
{
	struct crypto_private_key *key = ends_key(kind, name);
	struct writer pem;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.key", directory, name);
	writer_init(&pem, 8192);
	ck_assert_int_eq(crypto_private_key_write(key, &pem), ERR_OK);
	ends_write(path, writer_view(&pem));
	ends_base64(crypto_private_key_spki(key), ret_spki);
	crypto_private_key_free(&key);
	writer_free(&pem);
}

static void ends_write_config(
	const char *path, const char *extra, const char *identity, const char *peer)
{
	char text[2048];
	int len = snprintf(text, sizeof(text),
		"[gss-ipsec]\n\t%s\n[identity]\n\town = {\n%s\t}\n[peer]\n\tother = {\n%s\t}\n",
		extra, identity, peer);

	ck_assert_int_gt(len, 0);
	ends_write(path, BYTES((const uint8_t *)text, (size_t)len));
}

static void ends_acquire(struct two_ends *ends)
{
	struct mech_store_entry initiator = { "ipsec_config", ends->initiator_config };
	struct mech_store_entry acceptor = { "ipsec_config", ends->acceptor_config };

	ck_assert_int_eq(mech_credential_acquire(
				 NULL, MECH_INITIATE, &initiator, 1, &ends->initiator_credential),
		ERR_OK);
	ck_assert_int_eq(mech_credential_acquire(
				 NULL, MECH_ACCEPT, &acceptor, 1, &ends->acceptor_credential),
		ERR_OK);
}

static void ends_put_identity(
	char *text, size_t room, const char *directory, const char *kind, const char *rest)
{
	if (strcmp(kind, "anonymous") == 0)
		snprintf(text, room, "\t\tanonymous = yes\n");
	else
		snprintf(text, room, "\t\tkey = %s/%s\n", directory, rest);
}

/* Nobody has no entry: another has one. */
static void ends_put_peer(
	char *text, size_t room, const char *kind, const char *name, const char *key)
{
	if (strcmp(kind, "anonymous") == 0)
		name = "host = elsewhere.example.org";
	snprintf(text, room, "\t\t%s\n\t\tkey = %s\n", name, key);
}

void two_ends_new(struct two_ends *ends, const char *initiator_extra, const char *acceptor_extra)
{
	two_ends_new_of(ends, "ed25519", "ed25519", initiator_extra, acceptor_extra);
}

void two_ends_new_of(struct two_ends *ends, const char *initiator_kind, const char *acceptor_kind,
	const char *initiator_extra, const char *acceptor_extra)
{
	char alice[ENDS_SPKI_DIGITS], server[ENDS_SPKI_DIGITS], identity[512], peer[1024];

	memset(ends, 0, sizeof(*ends));
	memset(fake_kernels, 0, sizeof(fake_kernels));
	strcpy(ends->directory, "/tmp/gss-ipsec-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(ends->directory));
	ends_make_key(ends->directory, "alice", initiator_kind, alice);
	ends_make_key(ends->directory, "server", acceptor_kind, server);
	snprintf(ends->initiator_config, sizeof(ends->initiator_config), "%s/initiator.conf",
		ends->directory);
	snprintf(ends->acceptor_config, sizeof(ends->acceptor_config), "%s/acceptor.conf",
		ends->directory);
	ends_put_identity(identity, sizeof(identity), ends->directory, initiator_kind,
		"alice.key\n\t\tuser = alice@example.org");
	ends_put_peer(peer, sizeof(peer), acceptor_kind, "host = server.example.org", server);
	ends_write_config(ends->initiator_config, initiator_extra, identity, peer);
	ends_put_identity(identity, sizeof(identity), ends->directory, acceptor_kind,
		"server.key\n\t\thost = server.example.org");
	ends_put_peer(peer, sizeof(peer), initiator_kind, "user = alice@example.org", alice);
	ends_write_config(ends->acceptor_config, acceptor_extra, identity, peer);
	ends_acquire(ends);
}

void two_ends_contexts(struct two_ends *ends, const char *target, uint32_t flags)
{
	mech_context_free(&ends->initiator);
	mech_context_free(&ends->acceptor);
	mech_name_release(&ends->target);
	writer_free(&ends->token);
	writer_init(&ends->token, IKE_MESSAGE_BYTES_MAX);
	ck_assert_int_eq(
		mech_name_import(MECH_FORM_HOSTBASED,
			BYTES((const uint8_t *)target, strlen(target)), NULL, &ends->target),
		ERR_OK);
	ck_assert_int_eq(mech_initiator_new(ends->initiator_credential, ends->target, flags,
				 &fake_initiator_ops, &ends->initiator),
		ERR_OK);
	ck_assert_int_eq(
		mech_acceptor_new(ends->acceptor_credential, &fake_acceptor_ops, &ends->acceptor),
		ERR_OK);
}

void two_ends_free(struct two_ends *ends)
{
	static const char *const files[] = { "alice.key", "server.key", "initiator.conf",
		"acceptor.conf" };
	char path[128];

	mech_context_free(&ends->initiator);
	mech_context_free(&ends->acceptor);
	mech_name_release(&ends->target);
	mech_credential_release(&ends->initiator_credential);
	mech_credential_release(&ends->acceptor_credential);
	writer_free(&ends->token);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", ends->directory, files[i]);
		unlink(path);
	}
	rmdir(ends->directory);
}

enum err two_ends_step(struct two_ends *ends, struct mech_context *context,
	const struct mech_bindings *bindings, enum mech_step_result *ret_result)
{
	struct writer next;
	enum err err;

	writer_init(&next, IKE_MESSAGE_BYTES_MAX);
	err = mech_step(context, writer_view(&ends->token), bindings, &next, ret_result);
	writer_free(&ends->token);
	ends->token = next;
	return err;
}

enum err two_ends_run(struct two_ends *ends, const struct mech_bindings *initiator_bindings,
	const struct mech_bindings *acceptor_bindings)
{
	enum mech_step_result initiator = MECH_CONTINUE, acceptor = MECH_CONTINUE;
	enum err err = ERR_OK;

	while (err == ERR_OK && (initiator == MECH_CONTINUE || acceptor == MECH_CONTINUE)) {
		err = two_ends_step(ends, ends->initiator, initiator_bindings, &initiator);
		if (err == ERR_OK && acceptor == MECH_CONTINUE)
			err = two_ends_step(ends, ends->acceptor, acceptor_bindings, &acceptor);
	}
	return err;
}

void two_ends_assert_bindings(const struct two_ends *ends)
{
	struct writer a, b;

	writer_init(&a, 256);
	writer_init(&b, 256);
	ck_assert_int_eq(mech_context_unique_binding(ends->initiator, &a), ERR_OK);
	ck_assert_int_eq(mech_context_unique_binding(ends->acceptor, &b), ERR_OK);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	ck_assert_int_eq(mech_context_end_point_binding(ends->initiator, &a), ERR_OK);
	ck_assert_int_eq(mech_context_end_point_binding(ends->acceptor, &b), ERR_OK);
	ck_assert(bytes_equal(writer_view(&a), writer_view(&b)));
	writer_free(&a);
	writer_free(&b);
}

void two_ends_assert_messages(struct mech_context *from, struct mech_context *to)
{
	static const uint8_t text[] = "over there";
	uint8_t *token = NULL, *plain = NULL;
	size_t token_len = 0, plain_len = 0;
	bool was_sealed = false;

	ck_assert_int_eq(mech_protect_wrap(mech_context_protect(from), true, BYTES_OF(text), &token,
				 &token_len),
		ERR_OK);
	ck_assert_int_eq(mech_protect_unwrap(mech_context_protect(to), BYTES(token, token_len),
				 &plain, &plain_len, &was_sealed),
		ERR_OK);
	ck_assert(was_sealed);
	ck_assert(bytes_equal(BYTES(plain, plain_len), BYTES_OF(text)));
	free(token);
	free(plain);
}
