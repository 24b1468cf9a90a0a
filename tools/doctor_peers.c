/* SPDX-License-Identifier: BSD-2-Clause */
/* gss-ipsec doctor: the peer database, and whether it has the other side under the right name. */
#include "tools/doctor.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "mech/identity.h"
#include "mech/mech.h"

#define PEERS_SHOWN_MAX 5

static const char *peer_name(const struct config_peer *peer)
{
	return peer->host != NULL ? peer->host : peer->user != NULL ? peer->user : peer->tag;
}

/* --- keys --- */

/* By its name; a peer without one is known by a key that it has. */
static bool peer_is_named(const struct config_peer *peer, const char *name)
{
	if (peer->host != NULL)
		return strcasecmp(peer->host, name) == 0;
	if (peer->user != NULL)
		return strcmp(peer->user, name) == 0;
	return strcmp(peer->tag, name) == 0 || tool_peer_has_key(peer, name);
}

static void key_file_examine(struct doctor *doctor, const struct config_peer *peer)
{
	enum err err;

	free(tool_peer_file_key(peer, &err));
	if (err != ERR_OK)
		doctor_tell(
			doctor, FOUND_PEER_KEY_FILE, peer->tag, tool_peer_file_problem(err), NULL);
}

/* Its key is this side's own: wrong where that peer is asked for, and usual where one list goes to all hosts. */
static void self_tell(struct doctor *doctor, const struct config_peer *peer,
	const struct config_identity *configured)
{
	const bool is_wanted = doctor->peer != NULL && peer_is_named(peer, doctor->peer);

	doctor_tell(doctor, is_wanted ? FOUND_PEER_IS_SELF : FOUND_PEER_IS_SELF_TOO, peer->tag,
		configured->tag, NULL);
}

/* An identity of this user's, whose key a peer's entry may have. */
static void self_examine(struct doctor *doctor, const struct config_identity *configured)
{
	struct mech_identity identity = { 0 };
	bool is_denied;
	char *key;

	if (configured->is_anonymous ||
		mech_identity_load(configured, &identity, &is_denied) != ERR_OK)
		return;
	key = tool_key_name(crypto_private_key_spki(identity.key));
	for (size_t i = 0; key != NULL && i < config_peer_count(doctor->config); i++) {
		const struct config_peer *peer = config_peer_at(doctor->config, i);

		if (tool_peer_has_key(peer, key))
			self_tell(doctor, peer, configured);
	}
	free(key);
	mech_identity_wipe(&identity);
}

/* --- the one that was asked for --- */

/* "server" for server.example.org, or the reverse. */
static bool peer_is_shortened(const struct config_peer *peer, const char *name)
{
	size_t len = strcspn(name, ".");

	if (peer->host == NULL || strchr(name, '@') != NULL)
		return false;
	return strcspn(peer->host, ".") == len && strncasecmp(peer->host, name, len) == 0;
}

static const struct config_peer *peer_find(const struct doctor *doctor, const char *word,
	bool (*is_meant)(const struct config_peer *peer, const char *word))
{
	for (size_t i = 0; word != NULL && i < config_peer_count(doctor->config); i++) {
		const struct config_peer *peer = config_peer_at(doctor->config, i);

		if (is_meant(peer, word))
			return peer;
	}
	return NULL;
}

/* The names of the first few entries, for whoever mistyped one; malloc'ed. */
static char *names_list(const struct doctor *doctor)
{
	const size_t count = config_peer_count(doctor->config);
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	if (stream == NULL)
		return NULL;
	for (size_t i = 0; i < count && i < PEERS_SHOWN_MAX; i++)
		(void)fprintf(stream, "%s%s", i > 0 ? ", " : "",
			peer_name(config_peer_at(doctor->config, i)));
	if (count > PEERS_SHOWN_MAX)
		(void)fprintf(stream, ", ... ('gss-ipsec peer list')");
	return fclose(stream) == 0 ? text : NULL;
}

static void unknown_tell(struct doctor *doctor)
{
	const struct config_peer *by_key = peer_find(doctor, doctor->key, tool_peer_has_key);
	const struct config_peer *alike = peer_find(doctor, doctor->peer, peer_is_shortened);
	char *names = NULL;

	if (by_key != NULL) {
		doctor_tell(doctor, FOUND_PEER_OTHER_NAME, doctor->peer, doctor->key,
			peer_name(by_key));
	} else if (alike != NULL) {
		doctor_tell(doctor, FOUND_PEER_SHORT_NAME, doctor->peer, alike->host, NULL);
	} else if (doctor->key == NULL && config_takes_anonymous(doctor->config, doctor->service)) {
		doctor_tell(doctor, FOUND_PEERS_ANY, "anonymous ones may come", NULL, NULL);
	} else if (config_unknown_peer(doctor->config) == CONFIG_UNKNOWN_ACCEPT) {
		doctor_tell(doctor, FOUND_PEER_TAKEN, doctor->peer, NULL, NULL);
	} else if (doctor->key != NULL) {
		doctor_tell(doctor, FOUND_PEER_UNKNOWN_KEY, doctor->peer, doctor->key, NULL);
	} else {
		names = names_list(doctor);
		doctor_tell(doctor, FOUND_PEER_UNKNOWN, doctor->peer,
			names != NULL && names[0] != '\0' ? names : "none", NULL);
		free(names);
	}
}

/* By its name, also where the whole key stands in the configuration. */
static void key_tell(struct doctor *doctor, const struct config_peer *peer, const char *value)
{
	char *name = tool_key_name_of(value);

	doctor_tell(doctor, FOUND_PEER_OK, peer_name(peer), name != NULL ? name : value, NULL);
	free(name);
}

static void keys_tell(struct doctor *doctor, const struct config_peer *peer)
{
	enum err err;
	char *of_file = tool_peer_file_key(peer, &err);

	if (of_file != NULL)
		doctor_tell(doctor, FOUND_PEER_OK, peer_name(peer), of_file, NULL);
	for (size_t i = 0; i < peer->key_count; i++)
		key_tell(doctor, peer, peer->keys[i]);
	free(of_file);
}

/* With several entries of one name, any that has the key will do. */
static void known_tell(struct doctor *doctor, const struct config_peer *peer)
{
	bool has_key = doctor->key == NULL;

	for (size_t i = 0; i < config_peer_count(doctor->config) && !has_key; i++) {
		const struct config_peer *other = config_peer_at(doctor->config, i);

		has_key =
			peer_is_named(other, doctor->peer) && tool_peer_has_key(other, doctor->key);
	}
	if (peer->is_anonymous)
		doctor_tell(doctor, FOUND_PEER_ANONYMOUS, peer_name(peer), NULL, NULL);
	else if (!has_key)
		doctor_tell(doctor, FOUND_PEER_KEY_CHANGED, doctor->peer, doctor->key, peer->tag);
	else if (doctor->service != NULL && !doctor->is_server &&
		 !mech_services_include(peer->services, peer->service_count, doctor->service))
		doctor_tell(doctor, FOUND_PEER_SERVICE, peer_name(peer), doctor->service, NULL);
	else
		keys_tell(doctor, peer);
}

static void target_examine(struct doctor *doctor)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (doctor->target_host == NULL || doctor->is_server)
		return;
	if (getaddrinfo(doctor->target_host, NULL, &hints, &found) != 0)
		doctor_tell(doctor, FOUND_PEER_NOT_FOUND, doctor->target_host, NULL, NULL);
	else
		freeaddrinfo(found);
}

static void none_tell(struct doctor *doctor)
{
	if (config_has_anonymous(doctor->config, doctor->is_server))
		doctor_tell(doctor, FOUND_PEERS_ANY, "anonymous ones may come", NULL, NULL);
	else if (config_unknown_peer(doctor->config) == CONFIG_UNKNOWN_ACCEPT)
		doctor_tell(doctor, FOUND_PEERS_ANY, "unknown_peer = accept takes anybody's key",
			NULL, NULL);
	else
		doctor_tell(doctor, FOUND_PEERS_NONE, NULL, NULL, NULL);
}

void doctor_examine_peers(struct doctor *doctor)
{
	const struct config_peer *peer;
	char count[48];
	size_t i;

	if (doctor->config == NULL)
		return;
	for (i = 0; i < config_peer_count(doctor->config); i++)
		key_file_examine(doctor, config_peer_at(doctor->config, i));
	for (i = 0; i < config_identity_count(doctor->config); i++)
		self_examine(doctor, config_identity_at(doctor->config, i));
	(void)snprintf(count, sizeof(count), "%zu %s", config_peer_count(doctor->config),
		config_peer_count(doctor->config) == 1 ? "entry" : "entries");
	peer = peer_find(doctor, doctor->peer, peer_is_named);
	if (config_peer_count(doctor->config) > 0)
		doctor_tell(doctor, FOUND_PEERS_OK, count, NULL, NULL);
	else if (doctor->peer == NULL)
		none_tell(doctor);
	if (peer != NULL)
		known_tell(doctor, peer);
	else if (doctor->peer != NULL)
		unknown_tell(doctor);
	target_examine(doctor);
}
