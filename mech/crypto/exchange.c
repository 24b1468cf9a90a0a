/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ephemeral key pairs and shared secrets (RFC 7296 2.12, RFC 8031, RFC 5903).  A group's row says how public
 * values are written in a KE payload, since that is what differs between curves.  Private keys come
 * from crypto_random: no state of a generator is there that a forked child could share.
 */
#include "mech/crypto/library.h"

#include <stdlib.h>
#include <string.h>

struct exchange_row {
	struct crypto_group group;
	size_t private_bytes;
	enum err (*draw)(const struct exchange_row *row, struct secret_key *ret_private);
	EVP_PKEY *(*import_private)(const struct exchange_row *row, struct bytes private_value);
	EVP_PKEY *(*import_public)(const struct exchange_row *row, struct bytes public_value);
	bool (*write)(const struct exchange_row *row, const EVP_PKEY *key, uint8_t *out);
};

struct crypto_exchange {
	const struct exchange_row *row;
	EVP_PKEY *key;
	uint8_t public_value[]; /* group.public_bytes */
};

static struct crypto_pool *exchange_pool(const struct exchange_row *row);

/* --- peers' public values, in objects that are kept: to make one takes longer than to fill it --- */

static struct crypto_pool *exchange_peer_pool(const struct exchange_row *row);

/* NULL when none is idle, or it does not take the value. */
static EVP_PKEY *exchange_peer_take(const struct exchange_row *row, struct bytes encoded)
{
	EVP_PKEY *peer = crypto_pool_take(exchange_peer_pool(row));

	if (peer != NULL &&
		EVP_PKEY_set1_encoded_public_key(peer, encoded.data, encoded.len) != 1) {
		EVP_PKEY_free(peer);
		peer = NULL;
	}
	return peer;
}

/* Nothing of it is secret. */
static void exchange_peer_give(const struct exchange_row *row, EVP_PKEY *peer)
{
	if (peer != NULL && !crypto_pool_put(exchange_peer_pool(row), peer))
		EVP_PKEY_free(peer);
}

/* --- X25519 --- */

/* RFC 7748 section 5: any 32 octets are a private key. */
static enum err exchange_raw_draw(const struct exchange_row *row, struct secret_key *ret_private)
{
	ret_private->len = row->private_bytes;
	return crypto_random(ret_private->data, ret_private->len);
}

static EVP_PKEY *exchange_raw_import_private(
	const struct exchange_row *row, struct bytes private_value)
{
	return crypto_import_private(exchange_pool(row), row->group.key_type, private_value);
}

/* RFC 8031: the u-coordinate's octets, as RFC 7748 writes them. */
static EVP_PKEY *exchange_raw_import_public(
	const struct exchange_row *row, struct bytes public_value)
{
	EVP_PKEY *peer = exchange_peer_take(row, public_value);

	if (peer == NULL)
		peer = crypto_import_public(exchange_pool(row), row->group.key_type, public_value);
	return peer;
}

static bool exchange_raw_write(const struct exchange_row *row, const EVP_PKEY *key, uint8_t *out)
{
	size_t len = row->group.public_bytes;

	return EVP_PKEY_get_raw_public_key(key, out, &len) == 1 && len == row->group.public_bytes;
}

/* --- P-256; RFC 5903 section 7: x | y, without the octet that SEC 1 puts in front --- */

static enum err exchange_point_draw(const struct exchange_row *row, struct secret_key *ret_private)
{
	return crypto_curve_random(row->group.key_type, ret_private);
}

static EVP_PKEY *exchange_point_import_private(
	const struct exchange_row *row, struct bytes private_value)
{
	return crypto_curve_import_private(exchange_pool(row), row->group.key_type, private_value);
}

/* The import refuses what is not on the curve; the point at infinity cannot be written so.  The
 * curve's cofactor is 1: there are no small subgroups (RFC 6989 2.3). */
static EVP_PKEY *exchange_point_import_public(
	const struct exchange_row *row, struct bytes public_value)
{
	uint8_t point[1 + CRYPTO_PUBLIC_MAX] = { CRYPTO_POINT_UNCOMPRESSED };
	struct bytes encoded = BYTES(point, public_value.len + 1);
	EVP_PKEY *peer;

	if (encoded.len > sizeof(point))
		return NULL;
	memcpy(point + 1, public_value.data, public_value.len);
	peer = exchange_peer_take(row, encoded);
	return peer != NULL ? peer : crypto_import_point(row->group.key_type, encoded);
}

static bool exchange_point_write(const struct exchange_row *row, const EVP_PKEY *key, uint8_t *out)
{
	uint8_t point[1 + CRYPTO_PUBLIC_MAX];
	size_t len = 0;

	if (EVP_PKEY_get_octet_string_param(
		    key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, point, sizeof(point), &len) != 1 ||
		len != row->group.public_bytes + 1 || point[0] != CRYPTO_POINT_UNCOMPRESSED)
		return false;
	memcpy(out, point + 1, row->group.public_bytes);
	return true;
}

/* clang-format off */
static const struct exchange_row exchange_table[] = {
	{ .group = { .id = 31, .name = "curve25519", .public_bytes = 32, .secret_bytes = 32,
		     .key_type = "X25519" },
	  .private_bytes = 32, .draw = exchange_raw_draw,
	  .import_private = exchange_raw_import_private,
	  .import_public = exchange_raw_import_public, .write = exchange_raw_write },
	{ .group = { .id = 19, .name = "p256", .public_bytes = 64, .secret_bytes = 32,
		     .key_type = "P-256" },
	  .private_bytes = 32, .draw = exchange_point_draw,
	  .import_private = exchange_point_import_private,
	  .import_public = exchange_point_import_public, .write = exchange_point_write },
};
/* clang-format on */

static struct crypto_pool exchange_pools[CRYPTO_COUNT(exchange_table)];
static struct crypto_pool exchange_peer_pools[CRYPTO_COUNT(exchange_table)];

static struct crypto_pool *exchange_pool(const struct exchange_row *row)
{
	return &exchange_pools[row - exchange_table];
}

static struct crypto_pool *exchange_peer_pool(const struct exchange_row *row)
{
	return &exchange_peer_pools[row - exchange_table];
}

static const struct exchange_row *exchange_row(const struct crypto_group *group)
{
	for (size_t i = 0; i < CRYPTO_COUNT(exchange_table); i++) {
		if (&exchange_table[i].group == group)
			return &exchange_table[i];
	}
	return NULL;
}

const struct crypto_group *crypto_group_find(uint16_t id)
{
	for (size_t i = 0; i < CRYPTO_COUNT(exchange_table); i++) {
		if (exchange_table[i].group.id == id)
			return &exchange_table[i].group;
	}
	return NULL;
}

enum err crypto_exchange_of_private(const struct crypto_group *group, struct bytes private_value,
	struct crypto_exchange **ret_exchange)
{
	const struct exchange_row *row = exchange_row(group);
	struct crypto_exchange *made = NULL;
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	if (row == NULL || private_value.len != row->private_bytes)
		return ERR_ARGUMENT;
	made = calloc(1, sizeof(*made) + group->public_bytes);
	if (made == NULL)
		return ERR_NO_MEMORY;
	made->row = row;
	made->key = row->import_private(row, private_value);
	if (made->key == NULL || !row->write(row, made->key, made->public_value)) {
		err = ERR_CRYPTO;
		goto out;
	}
	*ret_exchange = made;
	made = NULL;
out:
	crypto_exchange_free(&made);
	return err;
}

enum err crypto_exchange_new(
	const struct crypto_group *group, struct crypto_exchange **ret_exchange)
{
	const struct exchange_row *row = exchange_row(group);
	struct secret_key secret = { .len = 0 };
	enum err err = crypto_ready();

	if (err != ERR_OK)
		return err;
	if (row == NULL)
		return ERR_ARGUMENT;
	err = row->draw(row, &secret);
	if (err == ERR_OK)
		err = crypto_exchange_of_private(group, secret_key_view(&secret), ret_exchange);
	secret_key_wipe(&secret);
	return err;
}

void crypto_exchange_free(struct crypto_exchange **exchange)
{
	if (*exchange == NULL)
		return;
	EVP_PKEY_free((*exchange)->key);
	free(*exchange);
	*exchange = NULL;
}

struct bytes crypto_exchange_public(const struct crypto_exchange *exchange)
{
	return BYTES(exchange->public_value, exchange->row->group.public_bytes);
}

static enum err exchange_compute(
	const struct crypto_exchange *exchange, EVP_PKEY *peer, struct secret_key *secret)
{
	static const uint8_t zeros[SECRET_KEY_MAX];
	size_t expected = exchange->row->group.secret_bytes;
	EVP_PKEY_CTX *context = NULL;
	enum err err = ERR_OK;

	secret->len = expected;
	context = EVP_PKEY_CTX_new_from_pkey(crypto_library(), exchange->key, NULL);
	if (context == NULL || EVP_PKEY_derive_init(context) != 1) {
		err = ERR_CRYPTO;
		goto out;
	}
	/* the public value was checked when it was imported */
	if (EVP_PKEY_derive_set_peer_ex(context, peer, 0) != 1 ||
		EVP_PKEY_derive(context, secret->data, &secret->len) != 1 ||
		secret->len != expected) {
		err = crypto_refusal(ERR_KEY_EXCHANGE);
		goto out;
	}
	/* doc/protocol.md 2.1; OpenSSL refuses it too for X25519, this is for all groups */
	if (secret_equal(secret_key_view(secret), BYTES(zeros, expected)))
		err = ERR_KEY_EXCHANGE;
out:
	EVP_PKEY_CTX_free(context);
	return err;
}

static enum err exchange_derive_once(
	struct crypto_exchange *exchange, struct bytes peer_public, struct secret_key *ret_secret)
{
	const struct exchange_row *row = exchange->row;
	struct secret_key secret = { .len = 0 };
	EVP_PKEY *peer = NULL;
	enum err err;
	int guard = crypto_guard_begin();

	peer = row->import_public(row, peer_public);
	err = peer != NULL ? exchange_compute(exchange, peer, &secret)
			   : crypto_refusal(ERR_KEY_EXCHANGE);
	err = crypto_guard_end(guard, err);
	if (err == ERR_OK)
		*ret_secret = secret;
	secret_key_wipe(&secret);
	exchange_peer_give(row, peer);
	return err;
}

enum err crypto_exchange_derive(
	struct crypto_exchange *exchange, struct bytes peer_public, struct secret_key *ret_secret)
{
	enum err err;

	if (peer_public.len != exchange->row->group.public_bytes)
		return ERR_KEY_EXCHANGE;
	err = exchange_derive_once(exchange, peer_public, ret_secret);
	/* OpenSSL does not always say that memory was short; nobody is blamed for that. */
	return err == ERR_KEY_EXCHANGE ? exchange_derive_once(exchange, peer_public, ret_secret)
				       : err;
}
