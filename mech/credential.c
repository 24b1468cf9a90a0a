/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: which configured identities a program may use, chosen by name, usage and credential
 * store. With nothing configured there is none, for no usage (else every program's default
 * credentials would change). The chosen identities are shared by copies that differ in the
 * descriptor only.
 */
#include "mech/mech.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mech/credential_request.h"
#include "mech/identity.h"

#define HOST_SERVICE "host" /* what a host's identity is shown as */

struct chosen {
	struct mech_identity identity;
	unsigned int roles; /* of enum mech_usage: what it was chosen for */
};

struct holding {
	atomic_uint references;
	struct mech_request request; /* its descriptor is the credential's, not this one */
	struct config *config;
	struct mech_name *name;
	struct chosen *chosen;
	size_t count;
};

struct mech_credential {
	atomic_uint references;
	struct holding *holding;
	int fd;
};

/* --- choosing --- */

/* What was seen on the way, to say why nothing was found. */
struct search {
	unsigned int roles; /* found so far */
	bool is_named;	    /* an identity of the name was there */
	enum err denied;    /* a key file that this user may not read */
};

static const struct chosen *find_role(const struct holding *holding, unsigned int role)
{
	for (size_t i = 0; i < holding->count; i++) {
		if ((holding->chosen[i].roles & role) != 0)
			return &holding->chosen[i];
	}
	return NULL;
}

static bool serves_host(
	const struct config_identity *config, const struct mech_name *desired, unsigned int role)
{
	const char *service = mech_name_service(desired);
	bool has_host = mech_name_host(desired)[0] != '\0';

	if (has_host && !mech_name_is_host(desired, config->host))
		return false;
	/* Services are what an identity answers for: they do not narrow what it may ask for. */
	if (role == MECH_INITIATE)
		return config->host != NULL;
	return service[0] == '\0' ||
	       mech_services_include(config->services, config->service_count, service);
}

/* Whether the identity can be the desired one in this role, as far as that shows before its key
 * is read. */
static bool is_desired(
	const struct config_identity *config, const struct mech_name *desired, unsigned int role)
{
	enum mech_name_kind kind;

	if (desired == NULL)
		return true;
	kind = mech_name_kind(desired);
	if (config->is_anonymous || kind == MECH_NAME_ANONYMOUS)
		return config->is_anonymous && kind == MECH_NAME_ANONYMOUS;
	if (kind == MECH_NAME_HOSTBASED)
		return serves_host(config, desired, role);
	if (kind == MECH_NAME_USER)
		return mech_name_is_user(desired, config->user);
	return kind == MECH_NAME_KEY;
}

static unsigned int roles_of(const struct config_identity *config)
{
	return (config->initiates ? (unsigned int)MECH_INITIATE : 0u) |
	       (config->accepts ? (unsigned int)MECH_ACCEPT : 0u);
}

/* The roles it would be taken for: of several that can initiate, the first is the one. */
static unsigned int roles_wanted(
	const struct holding *holding, const struct config_identity *config, struct search *search)
{
	const struct mech_name *desired = holding->request.desired;
	unsigned int named = 0, roles;

	if (is_desired(config, desired, MECH_INITIATE))
		named |= MECH_INITIATE;
	if (is_desired(config, desired, MECH_ACCEPT))
		named |= MECH_ACCEPT;
	roles = named & (unsigned int)holding->request.usage;
	search->is_named = search->is_named || roles != 0;
	if ((search->roles & MECH_INITIATE) != 0)
		roles &= ~(unsigned int)MECH_INITIATE;
	return roles & roles_of(config);
}

static bool has_digest(const struct mech_identity *identity, const struct mech_name *desired)
{
	return bytes_equal(crypto_private_key_digest(identity->key),
		BYTES(mech_name_digest(desired), CRYPTO_SHA256_BYTES));
}

/* Loads an identity and adds it, unless its key turns out not to be the desired one. */
static enum err choose(struct holding *holding, const struct config_identity *config,
	unsigned int roles, struct search *search)
{
	const struct mech_name *desired = holding->request.desired;
	struct config_identity claimed = *config;
	struct mech_identity identity = { 0 };
	bool is_denied, is_same = true;
	enum err err;

	/* Asked for by its key, it is known by its key. */
	if (desired != NULL && mech_name_kind(desired) == MECH_NAME_KEY)
		claimed.host = claimed.user = NULL;
	err = mech_identity_load(&claimed, &identity, &is_denied);
	if (err != ERR_OK && !claimed.is_anonymous &&
		(is_denied || mech_private_key_is_anothers(claimed.key_file))) {
		/* A host's key that only root may read is no fault of this user's configuration, nor is
		 * whatever another user does to his own. */
		search->denied = err;
		return ERR_OK;
	}
	if (err == ERR_OK && desired != NULL && mech_name_kind(desired) == MECH_NAME_KEY)
		is_same = has_digest(&identity, desired);
	if (err != ERR_OK || !is_same) {
		mech_identity_wipe(&identity);
		return err;
	}
	holding->chosen[holding->count++] = (struct chosen){ identity, roles };
	search->roles |= roles;
	return ERR_OK;
}

/* ipsec_key: an identity that is made of a key file, and of the desired name if there is one to
 * claim. */
static enum err choose_key(struct holding *holding, struct search *search)
{
	const struct mech_name *desired = holding->request.desired;
	struct config_identity config = { .tag = "ipsec_key",
		.key_file = holding->request.key_path,
		.initiates = true,
		.accepts = true };

	if (desired != NULL && mech_name_kind(desired) == MECH_NAME_USER)
		config.user = mech_name_display(desired);
	if (desired != NULL && mech_name_host(desired)[0] != '\0')
		config.host = mech_name_host(desired);
	if (desired != NULL && mech_name_kind(desired) == MECH_NAME_ANONYMOUS)
		return ERR_OK;
	holding->chosen = calloc(1, sizeof(*holding->chosen));
	if (holding->chosen == NULL)
		return ERR_NO_MEMORY;
	return choose(holding, &config, (unsigned int)holding->request.usage, search);
}

static enum err choose_configured(struct holding *holding, struct search *search)
{
	size_t count = config_identity_count(holding->config);
	const char *tag = holding->request.tag;
	enum err err = ERR_OK;
	bool has_tag = false;

	if (count > 0) {
		holding->chosen = calloc(count, sizeof(*holding->chosen));
		if (holding->chosen == NULL)
			return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < count && err == ERR_OK; i++) {
		const struct config_identity *config = config_identity_at(holding->config, i);
		unsigned int roles;

		if (tag != NULL && strcmp(tag, config->tag) != 0)
			continue;
		has_tag = true;
		roles = roles_wanted(holding, config, search);
		if (roles != 0)
			err = choose(holding, config, roles, search);
	}
	if (err == ERR_OK && tag != NULL && !has_tag) {
		err = ERR_CRED_STORE;
		mech_set_detail(err, "ipsec_identity = \"%s\": no such [identity]", tag);
	}
	return err;
}

static enum err explain_missing(const struct holding *holding, const struct search *search)
{
	const struct mech_name *desired = holding->request.desired;
	bool is_key = desired != NULL && mech_name_kind(desired) == MECH_NAME_KEY;
	enum err err = ERR_NO_IDENTITY;

	if (search->denied != ERR_OK)
		return search->denied;
	/* By a key's name, any identity might have been meant until its key was read. */
	if (search->is_named && (!is_key || holding->count > 0))
		err = ERR_CRED_USAGE;
	if (desired != NULL)
		mech_set_detail(err, "asked for %s", mech_name_display(desired));
	else
		mech_set_detail(err, "asked for the default identity");
	return err;
}

static enum err choose_all(struct holding *holding)
{
	struct search search = { .denied = ERR_OK };
	enum err err = holding->request.key_path != NULL ? choose_key(holding, &search)
							 : choose_configured(holding, &search);

	if (err != ERR_OK)
		return err;
	/* BOTH needs both: a program that asked for both does not look again which one it got. */
	if (search.roles != (unsigned int)holding->request.usage)
		return explain_missing(holding, &search);
	return ERR_OK;
}

/* --- making --- */

/* With a key of its own a credential is one also where no file is yet. */
static enum err load_config(const struct mech_request *request, struct config **ret_config)
{
	const char *const files[] = { request->config_path, NULL };
	enum err err;

	if (request->config_path != NULL)
		err = config_load(files, ret_config);
	else
		err = request->key_path != NULL ? config_get(ret_config) : config_peek(ret_config);
	if (err == ERR_CONFIG)
		mech_set_detail(err, "%s", config_last_error());
	return err;
}

/* A host's identity is host/fqdn; for an acceptor of one service it is that service's name. */
static enum err make_name(struct holding *holding)
{
	const struct mech_request *request = &holding->request;
	const struct chosen *first = find_role(
		holding, (request->usage & MECH_INITIATE) != 0 ? MECH_INITIATE : MECH_ACCEPT);
	const char *service = HOST_SERVICE;

	if (mech_name_kind(first->identity.name) != MECH_NAME_HOSTBASED) {
		holding->name = mech_name_ref(first->identity.name);
		return ERR_OK;
	}
	if ((request->usage & MECH_ACCEPT) != 0 && request->desired != NULL &&
		mech_name_service(request->desired)[0] != '\0')
		service = mech_name_service(request->desired);
	return mech_name_of_host(service, mech_name_host(first->identity.name), &holding->name);
}

static void holding_release(struct holding *holding)
{
	if (atomic_fetch_sub_explicit(&holding->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < holding->count; i++)
		mech_identity_wipe(&holding->chosen[i].identity);
	free(holding->chosen);
	mech_request_free(&holding->request);
	mech_name_release(&holding->name);
	config_release(&holding->config);
	free(holding);
}

/* Takes one reference to the holding over, also when it fails. */
static enum err credential_new(
	struct holding *holding, int fd, struct mech_credential **ret_credential)
{
	struct mech_credential *credential = malloc(sizeof(*credential));

	if (credential == NULL) {
		holding_release(holding);
		return ERR_NO_MEMORY;
	}
	atomic_init(&credential->references, 1);
	credential->holding = holding;
	credential->fd = fd;
	*ret_credential = credential;
	return ERR_OK;
}

/* Takes the request over, also when it fails. */
static enum err acquire(struct mech_request *request, struct mech_credential **ret_credential)
{
	struct holding *holding = calloc(1, sizeof(*holding));
	enum err err;

	if (holding == NULL) {
		mech_request_free(request);
		return ERR_NO_MEMORY;
	}
	atomic_init(&holding->references, 1);
	holding->request = *request;
	*request = (struct mech_request){ .fd = -1 };
	err = load_config(&holding->request, &holding->config);
	if (err == ERR_OK)
		err = choose_all(holding);
	if (err == ERR_OK)
		err = make_name(holding);
	if (err != ERR_OK) {
		holding_release(holding);
		return err;
	}
	return credential_new(holding, holding->request.fd, ret_credential);
}

enum err mech_credential_acquire(const struct mech_name *desired, enum mech_usage usage,
	const struct mech_store_entry *store, size_t store_count,
	struct mech_credential **ret_credential)
{
	struct mech_request request;
	enum err err = mech_request_make(desired, usage, store, store_count, &request);

	return err == ERR_OK ? acquire(&request, ret_credential) : err;
}

bool mech_credential_is_possible(const struct config *config)
{
	for (size_t i = 0; i < config_identity_count(config); i++) {
		const struct config_identity *identity = config_identity_at(config, i);

		if (identity->is_anonymous ||
			mech_private_key_is_ours(identity->key_file, identity->is_offered_to_root))
			return true;
	}
	return false;
}

struct mech_credential *mech_credential_ref(struct mech_credential *credential)
{
	if (credential != NULL)
		atomic_fetch_add_explicit(&credential->references, 1, memory_order_relaxed);
	return credential;
}

void mech_credential_release(struct mech_credential **credential)
{
	struct mech_credential *last = *credential;

	*credential = NULL;
	if (last == NULL ||
		atomic_fetch_sub_explicit(&last->references, 1, memory_order_acq_rel) != 1)
		return;
	holding_release(last->holding);
	free(last);
}

enum err mech_credential_with_descriptor(
	const struct mech_credential *credential, int fd, struct mech_credential **ret_copy)
{
	if (fd < -1)
		return ERR_ARGUMENT;
	atomic_fetch_add_explicit(&credential->holding->references, 1, memory_order_relaxed);
	return credential_new(credential->holding, fd, ret_copy);
}

/* --- asking --- */

enum mech_usage mech_credential_usage(const struct mech_credential *credential)
{
	return credential->holding->request.usage;
}

struct mech_name *mech_credential_name(const struct mech_credential *credential)
{
	return mech_name_ref(credential->holding->name);
}

int mech_credential_descriptor(const struct mech_credential *credential)
{
	return credential->fd;
}

enum err mech_credential_config(
	const struct mech_credential *credential, struct config **ret_config)
{
	enum err err = config_renew(credential->holding->config, ret_config);

	if (err == ERR_CONFIG)
		mech_set_detail(err, "%s", config_last_error());
	return err;
}

bool mech_credential_latch_policy(
	const struct mech_credential *credential, enum config_latch *ret_policy)
{
	if (credential->holding->request.has_latch)
		*ret_policy = credential->holding->request.latch;
	return credential->holding->request.has_latch;
}

const char *mech_credential_service(const struct mech_credential *credential)
{
	const struct mech_name *desired = credential->holding->request.desired;

	return desired == NULL ? "" : mech_name_service(desired);
}

const struct mech_identity *mech_credential_initiator(const struct mech_credential *credential)
{
	const struct chosen *chosen = find_role(credential->holding, MECH_INITIATE);

	return chosen == NULL ? NULL : &chosen->identity;
}

static bool identity_is(const struct mech_identity *identity, const struct mech_name *wanted)
{
	if (wanted == NULL)
		return true;
	if (mech_name_kind(wanted) == MECH_NAME_KEY)
		return has_digest(identity, wanted);
	if (mech_name_kind(wanted) == MECH_NAME_HOSTBASED)
		return mech_name_host(wanted)[0] == '\0' ||
		       mech_name_is_host(identity->name, mech_name_host(wanted));
	return mech_name_equal(identity->name, wanted);
}

/* Nothing asked for is no service refused: then the initiator named a key, a user, or only a
 * host. */
static bool answers_for(
	const struct holding *holding, const struct mech_identity *identity, const char *service)
{
	const struct mech_name *desired = holding->request.desired;

	if (service[0] == '\0')
		return true;
	if (desired != NULL && mech_name_service(desired)[0] != '\0')
		return strcmp(service, mech_name_service(desired)) == 0;
	return mech_services_include(
		(const char *const *)identity->services, identity->service_count, service);
}

static bool find_nobody(const struct holding *holding, const char *service,
	const struct mech_identity **ret_identity)
{
	for (size_t i = 0; i < holding->count; i++) {
		const struct chosen *chosen = &holding->chosen[i];

		if ((chosen->roles & MECH_ACCEPT) != 0 && chosen->identity.key == NULL &&
			answers_for(holding, &chosen->identity, service)) {
			*ret_identity = &chosen->identity;
			return true;
		}
	}
	return false;
}

enum err mech_credential_acceptor(const struct mech_credential *credential,
	const struct mech_name *wanted, const char *service,
	const struct mech_identity **ret_identity)
{
	const struct holding *holding = credential->holding;
	const char *asked = service == NULL ? "" : service;
	enum err err =
		(holding->request.usage & MECH_ACCEPT) != 0 ? ERR_TARGET_HOST : ERR_CRED_USAGE;

	for (size_t i = 0; i < holding->count; i++) {
		const struct chosen *chosen = &holding->chosen[i];

		if ((chosen->roles & MECH_ACCEPT) == 0 || chosen->identity.key == NULL ||
			!identity_is(&chosen->identity, wanted))
			continue;
		if (answers_for(holding, &chosen->identity, asked)) {
			*ret_identity = &chosen->identity;
			return ERR_OK;
		}
		err = ERR_SERVICE_REFUSED;
	}
	/* Whether nobody will do is the initiator's to judge. */
	if (err == ERR_TARGET_HOST && find_nobody(holding, asked, ret_identity))
		return ERR_OK;
	mech_set_detail(err, "the initiator wants %s, service \"%s\"",
		wanted == NULL ? "any identity" : mech_name_display(wanted), asked);
	return err;
}

/* --- token --- */

enum err mech_credential_export(const struct mech_credential *credential, struct writer *w)
{
	struct mech_request request = credential->holding->request;
	const struct mech_identity *initiator = mech_credential_initiator(credential);
	const char *tag = NULL;

	request.fd = credential->fd; /* a shallow copy: nothing of it is freed */
	/* An initiator stays who it is, even if the order of the configuration changes. */
	if (request.usage == MECH_INITIATE && request.key_path == NULL)
		tag = initiator->tag;
	return mech_request_write(&request, tag, w);
}

enum err mech_credential_import(struct bytes token, struct mech_credential **ret_credential)
{
	struct mech_request request;
	enum err err = mech_request_read(token, &request);

	return err == ERR_OK ? acquire(&request, ret_credential) : err;
}
