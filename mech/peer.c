/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The peer database (RFC 4301 4.4.3): whether a peer may be who it says it is.  A claim that
 * nothing justifies is never shown as a name; an entry that names another key is never passed
 * over.  The order of the rules stands in mech/mech.h at mech_peer_judge.  Nothing is remembered
 * here.
 */
#include "mech/mech.h"

#include <string.h>

#include "mech/base64.h"
#include "mech/identity.h"
#include "mech/ike/wire.h"

#define SPKI_BYTES_MAX 4096
#define KEY_PREFIX "SHA256:"
#define HOST_SERVICE "host"

struct judgement {
	const struct config *config;
	const struct mech_name *wanted;
	struct mech_name *claimed, *key_name;
	uint8_t digest[CRYPTO_SHA256_BYTES]; /* of the peer's SPKI */
	struct writer spki;
};

/* What the database says of a claimed host or user. */
enum finding {
	FOUND_NOTHING,
	FOUND_OTHER_KEY,
	FOUND_OTHER_SERVICE, /* the name with this key, which does not answer for the service */
	FOUND
};

/* A host's claim names no service. */
static const char *claimed_text(const struct judgement *judgement)
{
	const char *text = mech_name_display(judgement->claimed);

	return text[0] == '/' ? text + 1 : text;
}

/* --- one entry's keys --- */

/* A key as it stands in the configuration. */
static enum err key_parse(const char *text, struct writer *spki, uint8_t *ret_digest)
{
	struct bytes view = BYTES((const uint8_t *)text, strlen(text));
	bool is_digest = strncmp(text, KEY_PREFIX, strlen(KEY_PREFIX)) == 0;
	enum err err;

	if (is_digest)
		view = BYTES(view.data + strlen(KEY_PREFIX), view.len - strlen(KEY_PREFIX));
	err = mech_base64_read(view, spki);
	view = writer_view(spki);
	if (err == ERR_OK && !is_digest)
		err = crypto_spki_check(view);
	if (err != ERR_OK)
		return err;
	if (!is_digest)
		return crypto_sha256(&view, 1, ret_digest);
	if (view.len != CRYPTO_SHA256_BYTES)
		return ERR_NAME_FORMAT;
	memcpy(ret_digest, view.data, view.len);
	writer_free(spki);
	writer_init(spki, SPKI_BYTES_MAX);
	return ERR_OK;
}

static size_t key_total(const struct config_peer *entry)
{
	return entry->key_count + (entry->key_file != NULL ? 1 : 0);
}

/* A key of an entry: its digest, and all of it in spki (emptied first) when the entry has that. */
static enum err key_at(
	const struct config_peer *entry, size_t index, struct writer *spki, uint8_t *ret_digest)
{
	const char *text = index < entry->key_count ? entry->keys[index] : entry->key_file;
	enum err err;

	writer_free(spki);
	writer_init(spki, SPKI_BYTES_MAX);
	err = index < entry->key_count ? key_parse(text, spki, ret_digest)
				       : mech_public_key_load(text, spki, ret_digest);
	if (err == ERR_OK || err == ERR_NO_MEMORY || err == ERR_CRYPTO)
		return err;
	if (err == ERR_KEY_FILE)
		mech_set_detail(ERR_CONFIG, "peer %s: key file %s", entry->tag,
			mech_last_detail(ERR_KEY_FILE));
	else
		mech_set_detail(ERR_CONFIG, "peer %s: %s: %s", entry->tag,
			err == ERR_KEY_SIZE || err == ERR_KEY_CURVE ? error_text(err)
								    : "no public key",
			text);
	return ERR_CONFIG;
}

/* Looks for a key of this digest (NULL: any), of which the whole must be there if is_whole;
 * leaves it in spki. */
static enum err entry_find_key(const struct config_peer *entry, const uint8_t *digest,
	bool is_whole, struct writer *spki, bool *ret_is_found)
{
	uint8_t other[CRYPTO_SHA256_BYTES];

	*ret_is_found = false;
	for (size_t i = 0; i < key_total(entry) && !*ret_is_found; i++) {
		enum err err = key_at(entry, i, spki, other);

		if (err != ERR_OK)
			return err;
		*ret_is_found = digest == NULL ||
				secret_equal(BYTES(digest, CRYPTO_SHA256_BYTES), BYTES_OF(other));
		if (is_whole && writer_len(spki) == 0)
			*ret_is_found = false;
	}
	return ERR_OK;
}

static bool entry_is_named(const struct config_peer *entry, const struct mech_name *claimed)
{
	return mech_name_is_host(claimed, entry->host) || mech_name_is_user(claimed, entry->user);
}

static bool entry_serves(const struct config_peer *entry, const struct mech_name *wanted)
{
	const char *service = wanted == NULL ? "" : mech_name_service(wanted);

	return entry->host == NULL || service[0] == '\0' ||
	       mech_services_include(entry->services, entry->service_count, service);
}

/* --- the database --- */

/* The claimed host or user; ret_entry is the one that counts when FOUND. */
static enum err find_named(const struct judgement *judgement, enum finding *ret_finding,
	const struct config_peer **ret_entry)
{
	enum finding best = FOUND_NOTHING, finding;
	enum err err = ERR_OK;
	struct writer spki;

	writer_init(&spki, SPKI_BYTES_MAX);
	for (size_t i = 0; i < config_peer_count(judgement->config) && best != FOUND; i++) {
		const struct config_peer *entry = config_peer_at(judgement->config, i);
		bool has_key;

		if (!entry_is_named(entry, judgement->claimed) || key_total(entry) == 0)
			continue;
		err = entry_find_key(entry, judgement->digest, false, &spki, &has_key);
		if (err != ERR_OK)
			break;
		finding = !has_key				    ? FOUND_OTHER_KEY
			  : !entry_serves(entry, judgement->wanted) ? FOUND_OTHER_SERVICE
								    : FOUND;
		if (finding > best) {
			best = finding;
			*ret_entry = entry;
		}
	}
	writer_free(&spki);
	*ret_finding = best;
	return err;
}

/* Whether the key alone is known.  An entry that cannot be read is no reason to refuse other
 * entries' peers. */
static bool key_is_listed(const struct judgement *judgement, const struct config_peer **ret_entry)
{
	bool any_entry = mech_name_kind(judgement->claimed) == MECH_NAME_KEY;
	bool is_found = false;
	struct writer spki;

	writer_init(&spki, SPKI_BYTES_MAX);
	for (size_t i = 0; i < config_peer_count(judgement->config) && !is_found; i++) {
		const struct config_peer *entry = config_peer_at(judgement->config, i);

		if (!any_entry && (entry->host != NULL || entry->user != NULL))
			continue;
		if (entry_find_key(entry, judgement->digest, false, &spki, &is_found) != ERR_OK)
			is_found = false;
		if (is_found)
			*ret_entry = entry;
	}
	writer_free(&spki);
	return is_found;
}

/* For a peer that sent no CERT: the whole key of its identity. */
static enum err find_whole_key(struct judgement *judgement)
{
	const uint8_t *digest = mech_name_digest(judgement->claimed);
	bool is_found = false;

	for (size_t i = 0; i < config_peer_count(judgement->config) && !is_found; i++) {
		const struct config_peer *entry = config_peer_at(judgement->config, i);
		enum err err;

		if (digest == NULL && (!entry_is_named(entry, judgement->claimed) ||
					      !entry_serves(entry, judgement->wanted)))
			continue;
		err = entry_find_key(entry, digest, true, &judgement->spki, &is_found);
		if (err == ERR_CONFIG && digest != NULL)
			continue;
		if (err != ERR_OK)
			return err;
	}
	if (is_found)
		return ERR_OK;
	mech_set_detail(ERR_PEER_UNKNOWN,
		"%s sent no key, and the database has no whole one for it",
		claimed_text(judgement));
	return ERR_PEER_UNKNOWN;
}

/* --- the claim --- */

static enum err read_identity(const struct mech_peer_claim *claim, struct judgement *judgement)
{
	enum err err = mech_name_of_id(claim->id_type, claim->id_data, &judgement->claimed);

	if (err == ERR_NAME_TYPE || err == ERR_NAME_FORMAT) {
		err = ERR_PEER_UNKNOWN;
		mech_set_detail(err, "an identity of type %u that is no name here", claim->id_type);
	} else if (err == ERR_OK && mech_name_kind(judgement->claimed) == MECH_NAME_ANONYMOUS) {
		err = ERR_AUTH_METHOD;
		mech_set_detail(err, "the peer claims to be nobody (ID_NULL)");
	}
	return err;
}

static const char *kind_of_refusal(enum err err)
{
	if (err == ERR_KEY_SIZE)
		return "a length";
	return err == ERR_KEY_CURVE ? "a curve" : "a kind";
}

static enum err read_key(const struct mech_peer_claim *claim, struct judgement *judgement)
{
	struct bytes spki;
	enum err err;

	if (claim->spki.len > 0) {
		err = crypto_spki_check(claim->spki);
		if (err == ERR_KEY_FORMAT || err == ERR_KEY_SIZE || err == ERR_KEY_CURVE) {
			mech_set_detail(ERR_AUTH_METHOD, "%s has a key of %s not used here",
				claimed_text(judgement), kind_of_refusal(err));
			return ERR_AUTH_METHOD;
		}
		writer_put_bytes(&judgement->spki, claim->spki);
		if (err == ERR_OK)
			err = writer_status(&judgement->spki);
	} else {
		err = find_whole_key(judgement);
	}
	if (err != ERR_OK)
		return err;
	spki = writer_view(&judgement->spki);
	err = crypto_sha256(&spki, 1, judgement->digest);
	return err == ERR_OK ? mech_name_of_key(judgement->digest, &judgement->key_name) : err;
}

static bool names_key(const struct mech_name *name, const struct judgement *judgement)
{
	return name != NULL && mech_name_kind(name) == MECH_NAME_KEY &&
	       secret_equal(BYTES(mech_name_digest(name), CRYPTO_SHA256_BYTES),
		       BYTES_OF(judgement->digest));
}

/* Whether the program left open who the peer is. */
static bool is_anybody(const struct mech_name *wanted)
{
	return wanted == NULL || mech_name_kind(wanted) == MECH_NAME_ANONYMOUS ||
	       (mech_name_kind(wanted) == MECH_NAME_HOSTBASED && mech_name_host(wanted)[0] == '\0');
}

static bool is_wanted(const struct judgement *judgement)
{
	const struct mech_name *wanted = judgement->wanted;

	if (is_anybody(wanted))
		return true;
	if (mech_name_kind(wanted) == MECH_NAME_KEY)
		return names_key(wanted, judgement);
	if (mech_name_kind(wanted) == MECH_NAME_HOSTBASED)
		return mech_name_is_host(judgement->claimed, mech_name_host(wanted));
	return mech_name_equal(judgement->claimed, wanted);
}

/* --- nobody --- */

/* The entry for a wanted host or user: one with keys wins, then one for the wanted service. */
static const struct config_peer *find_wanted(
	const struct config *config, const struct mech_name *wanted)
{
	const struct config_peer *found = NULL;

	for (size_t i = 0; i < config_peer_count(config); i++) {
		const struct config_peer *entry = config_peer_at(config, i);

		if (!entry_is_named(entry, wanted))
			continue;
		if (!entry->is_anonymous)
			return entry;
		if (found == NULL || !entry_serves(found, wanted))
			found = entry;
	}
	return found;
}

static enum err refuse_nobody(enum err code, const char *subject, const char *why)
{
	mech_set_detail(code, "%s%s", subject, why);
	return code;
}

enum err mech_peer_judge_nobody(const struct config *config, const struct mech_name *wanted,
	const char *service, bool needs_mutual, const struct mech_peer_claim *claim)
{
	const struct config_peer *entry = NULL;
	enum err refusal = needs_mutual ? ERR_NO_MUTUAL : ERR_AUTH_METHOD;

	if (claim->id_type != IKE_ID_NULL)
		return refuse_nobody(
			ERR_AUTH_METHOD, "the peer", " gives a name and proves none (NULL)");
	if (claim->id_data.len != 0) /* RFC 7619 2.2 */
		return ERR_IKE_PAYLOAD;
	if (wanted != NULL && mech_name_kind(wanted) == MECH_NAME_KEY)
		return refuse_nobody(ERR_PEER_NAME, "the peer", " is anonymous");
	if (!is_anybody(wanted))
		entry = find_wanted(config, wanted);
	if (entry != NULL && entry->is_anonymous && entry_serves(entry, wanted))
		return ERR_OK;
	if (entry != NULL)
		return refuse_nobody(refusal, mech_name_display(wanted),
			" has an entry in the peer database, and the peer is anonymous");
	if (needs_mutual)
		return refuse_nobody(refusal, "the peer", " is anonymous");
	if (!config_takes_anonymous(config, service))
		return refuse_nobody(refusal, "the peer",
			" is anonymous, and anonymous_peer = accept is not configured");
	return ERR_OK;
}

/* --- the judgement --- */

static enum err refuse(enum err code, const struct judgement *judgement)
{
	mech_set_detail(code, "the peer says it is %s, its key is %s%s%s", claimed_text(judgement),
		mech_name_display(judgement->key_name),
		judgement->wanted == NULL ? "" : "; wanted: ",
		judgement->wanted == NULL ? "" : mech_name_display(judgement->wanted));
	return code;
}

/* The name that an entry justifies. */
static enum err name_of_entry(const struct judgement *judgement, const struct config_peer *entry,
	struct mech_name **ret_name)
{
	const struct mech_name *wanted = judgement->wanted;
	const char *service = HOST_SERVICE;

	if (mech_name_kind(judgement->claimed) != MECH_NAME_HOSTBASED) {
		*ret_name = mech_name_ref(judgement->claimed);
		return ERR_OK;
	}
	/* A key of one service of a host must not pass for the host. */
	if (!mech_services_include(entry->services, entry->service_count, HOST_SERVICE))
		service = entry->services[0];
	if (wanted != NULL && mech_name_kind(wanted) == MECH_NAME_HOSTBASED)
		service = mech_name_service(wanted);
	return mech_name_of_host(service, mech_name_host(judgement->claimed), ret_name);
}

static enum err judge_key_alone(const struct judgement *judgement,
	const struct config_peer **ret_entry, struct mech_name **ret_name, bool *ret_is_proven)
{
	bool is_proven = names_key(judgement->wanted, judgement);

	if (!is_proven && !is_anybody(judgement->wanted))
		return refuse(ERR_PEER_UNKNOWN, judgement);
	is_proven = is_proven || key_is_listed(judgement, ret_entry);
	if (!is_proven && config_unknown_peer(judgement->config) != CONFIG_UNKNOWN_ACCEPT)
		return refuse(ERR_PEER_UNKNOWN, judgement);
	*ret_name = mech_name_ref(judgement->key_name);
	*ret_is_proven = is_proven;
	return ERR_OK;
}

/* ret_entry: the one that vouches for the name, if any does. */
static enum err judge(const struct judgement *judgement, const struct config_peer **ret_entry,
	struct mech_name **ret_name, bool *ret_is_proven)
{
	const struct config_peer *entry = NULL;
	enum finding finding;
	enum err err;

	if (mech_name_kind(judgement->claimed) == MECH_NAME_KEY &&
		!names_key(judgement->claimed, judgement))
		return refuse(ERR_AUTH_FAILED, judgement);
	err = find_named(judgement, &finding, &entry);
	if (err != ERR_OK)
		return err;
	if (finding == FOUND_OTHER_KEY)
		return refuse(ERR_PEER_KEY_CHANGED, judgement);
	if (!is_wanted(judgement))
		return refuse(ERR_PEER_NAME, judgement);
	if (finding == FOUND_NOTHING || names_key(judgement->wanted, judgement))
		return judge_key_alone(judgement, ret_entry, ret_name, ret_is_proven);
	if (finding == FOUND_OTHER_SERVICE)
		return refuse(ERR_SERVICE_REFUSED, judgement);
	err = name_of_entry(judgement, entry, ret_name);
	if (err == ERR_OK) {
		*ret_entry = entry;
		*ret_is_proven = true;
	}
	return err;
}

/* The name, knowing its key, and which entry vouches for it. */
static enum err name_with_entry(const struct judgement *judgement, const struct mech_name *name,
	const struct config_peer *entry, struct mech_name **ret_name)
{
	struct mech_facts facts = { .method = "",
		.entry = entry == NULL ? "" : entry->tag,
		.reason = IPSEC_LATCH_NONE,
		.has_digest = true };

	memcpy(facts.digest, judgement->digest, sizeof(facts.digest));
	return mech_name_with_facts(name, &facts, ret_name);
}

enum err mech_peer_judge(const struct config *config, bool we_initiate,
	const struct mech_name *wanted, const struct mech_peer_claim *claim,
	struct writer *ret_spki, struct mech_name **ret_name, bool *ret_is_proven)
{
	struct judgement judgement = {
		.config = config,
		.wanted = we_initiate ? wanted : NULL,
	};
	const struct config_peer *entry = NULL;
	struct mech_name *name = NULL;
	bool is_proven = false;
	enum err err;

	writer_init(&judgement.spki, SPKI_BYTES_MAX);
	err = read_identity(claim, &judgement);
	if (err == ERR_OK)
		err = read_key(claim, &judgement);
	if (err == ERR_OK)
		err = judge(&judgement, &entry, &name, &is_proven);
	if (err == ERR_OK) {
		writer_put_bytes(ret_spki, writer_view(&judgement.spki));
		err = writer_status(ret_spki);
	}
	if (err == ERR_OK)
		err = name_with_entry(&judgement, name, entry, ret_name);
	if (err == ERR_OK)
		*ret_is_proven = is_proven;
	mech_name_release(&name);
	mech_name_release(&judgement.claimed);
	mech_name_release(&judgement.key_name);
	writer_free(&judgement.spki);
	return err;
}
