/* SPDX-License-Identifier: BSD-2-Clause */
/* An identity ready for use: its key, its name, the services it answers for. */
#include "mech/identity.h"

#include <stdlib.h>
#include <string.h>

bool mech_services_include(const char *const *services, size_t count, const char *service)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(services[i], service) == 0)
			return true;
	}
	return count == 0;
}

static enum err make_name(const struct config_identity *config, struct mech_identity *identity)
{
	enum err err;

	if (config->is_anonymous) {
		err = mech_name_anonymous(&identity->name);
	} else if (config->host != NULL) {
		err = mech_name_of_host("", config->host, &identity->name);
	} else if (config->user != NULL) {
		err = mech_name_of_user(config->user, &identity->name);
	} else {
		err = mech_name_of_key(
			crypto_private_key_digest(identity->key).data, &identity->name);
	}
	if (err == ERR_NAME_FORMAT || err == ERR_NAME_NO_DOMAIN) {
		err = ERR_CONFIG;
		mech_set_detail(err, "identity %s: \"%s\" is no %s", config->tag,
			config->host != NULL ? config->host : config->user,
			config->host != NULL ? "host name" : "user@domain");
	}
	return err;
}

static enum err copy_services(const struct config_identity *config, struct mech_identity *identity)
{
	if (config->service_count == 0)
		return ERR_OK;
	identity->services = calloc(config->service_count, sizeof(*identity->services));
	if (identity->services == NULL)
		return ERR_NO_MEMORY;
	for (; identity->service_count < config->service_count; identity->service_count++) {
		char *copy = strdup(config->services[identity->service_count]);

		if (copy == NULL)
			return ERR_NO_MEMORY;
		identity->services[identity->service_count] = copy;
	}
	return ERR_OK;
}

enum err mech_identity_load(const struct config_identity *config,
	struct mech_identity *ret_identity, bool *ret_is_denied)
{
	struct mech_identity identity = { 0 };
	enum err err = ERR_OK;

	*ret_is_denied = false;
	if (!config->is_anonymous)
		err = mech_private_key_load(config->key_file, &identity.key, ret_is_denied);
	if (err != ERR_OK)
		return err;
	err = make_name(config, &identity);
	if (err == ERR_OK)
		err = copy_services(config, &identity);
	if (err == ERR_OK) {
		identity.tag = strdup(config->tag);
		err = identity.tag == NULL ? ERR_NO_MEMORY : ERR_OK;
	}
	if (err == ERR_OK)
		*ret_identity = identity;
	else
		mech_identity_wipe(&identity);
	return err;
}

void mech_identity_wipe(struct mech_identity *identity)
{
	mech_name_release(&identity->name);
	crypto_private_key_free(&identity->key);
	for (size_t i = 0; i < identity->service_count; i++)
		free(identity->services[i]);
	free(identity->services);
	free(identity->tag);
	*identity = (struct mech_identity){ 0 };
}
