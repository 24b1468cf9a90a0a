/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a credential is in the store, which is a configuration: it is when acquiring it from
 * there by its name gives the same key.  Nothing is written.
 */
#include "mech/mech.h"

#include <string.h>

#define STORE_KEY "ipsec_config"

/* Who it is in this role; of several acceptors' identities the first. */
static const struct mech_identity *identity_of(
	const struct mech_credential *credential, enum mech_usage role)
{
	const struct mech_identity *identity = NULL;

	if (role == MECH_INITIATE)
		return mech_credential_initiator(credential);
	if (mech_credential_acceptor(credential, NULL, "", &identity) != ERR_OK)
		return NULL;
	return identity;
}

enum err mech_credential_key(const struct mech_credential *credential, struct mech_name **ret_name,
	struct bytes *ret_spki)
{
	const struct mech_identity *identity = identity_of(credential, MECH_INITIATE);
	enum err err;

	if (identity == NULL)
		identity = identity_of(credential, MECH_ACCEPT);
	if (identity == NULL || identity->key == NULL)
		return ERR_UNSUPPORTED;
	err = mech_name_of_key(crypto_private_key_digest(identity->key).data, ret_name);
	if (err == ERR_OK)
		*ret_spki = crypto_private_key_spki(identity->key);
	return err;
}

/* Which configuration it is to be in; what else says how a credential is made says nothing here. */
static enum err find_store(const struct mech_store_entry *store, size_t count,
	struct mech_store_entry *ret_place, size_t *ret_count)
{
	*ret_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (store[i].key == NULL || store[i].value == NULL)
			return ERR_ARGUMENT;
		if (strcmp(store[i].key, STORE_KEY) != 0)
			continue;
		if (*ret_count > 0)
			return ERR_CRED_STORE;
		*ret_place = store[i];
		*ret_count = 1;
	}
	/* A set that names no place of ours asks for another mechanism's store. */
	return count > 0 && *ret_count == 0 ? ERR_CRED_NOT_STORED : ERR_OK;
}

/* One role: acquires who it is from there and compares the keys. */
static enum err look_up(const struct mech_credential *credential, enum mech_usage role,
	const struct mech_store_entry *place, size_t place_count, bool *ret_is_same)
{
	const struct mech_identity *identity = identity_of(credential, role), *stored;
	struct mech_credential *there = NULL;
	enum err err;

	if (identity == NULL || identity->key == NULL)
		return ERR_CRED_NOT_STORED;
	err = mech_credential_acquire(identity->name, role, place, place_count, &there);
	if (err == ERR_OK) {
		stored = identity_of(there, role);
		*ret_is_same = stored != NULL && stored->key != NULL &&
			       bytes_equal(crypto_private_key_spki(identity->key),
				       crypto_private_key_spki(stored->key));
	} else if (err == ERR_NO_IDENTITY || err == ERR_CRED_USAGE) {
		err = ERR_CRED_NOT_STORED;
	}
	mech_credential_release(&there);
	return err;
}

enum err mech_credential_store(const struct mech_credential *credential, enum mech_usage usage,
	bool overwrites, const struct mech_store_entry *store, size_t count,
	enum mech_usage *ret_usage)
{
	static const enum mech_usage roles[] = { MECH_INITIATE, MECH_ACCEPT };
	unsigned int common = (unsigned int)usage & (unsigned int)mech_credential_usage(credential);
	struct mech_store_entry place = { .key = STORE_KEY };
	size_t place_count = 0;
	enum err err = find_store(store, count, &place, &place_count);

	if (err == ERR_OK && common == 0)
		err = ERR_CRED_USAGE;
	for (size_t i = 0; i < 2 && err == ERR_OK; i++) {
		bool is_same = false;

		if ((common & (unsigned int)roles[i]) == 0)
			continue;
		err = look_up(credential, roles[i], &place, place_count, &is_same);
		if (err == ERR_OK && !overwrites)
			err = ERR_CRED_STORED;
		else if (err == ERR_OK && !is_same)
			err = ERR_CRED_NOT_STORED;
	}
	if (err == ERR_OK)
		*ret_usage = (enum mech_usage)common;
	return err;
}
