/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as configuration: read or refused, and what is read keeps its promises.  What stands
 * behind SEPARATOR, which no file may hold, is a second file.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"

#define SEPARATOR 0x1f
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

static void check_snapshot(const struct config *config)
{
	require(config_broker_path(config)[0] == '/');
	require(config_token_padding_bytes(config) <= 49152);
	for (size_t i = 0; i < config_identity_count(config); i++) {
		const struct config_identity *identity = config_identity_at(config, i);

		require(identity->tag[0] != '\0');
		require(identity->is_anonymous == (identity->key_file == NULL));
		require(identity->user == NULL || identity->host == NULL);
		require(identity->initiates || identity->accepts);
	}
	for (size_t i = 0; i < config_peer_count(config); i++) {
		const struct config_peer *peer = config_peer_at(config, i);

		require(peer->tag[0] != '\0' && (peer->key_count > 0 || peer->key_file != NULL));
		require(peer->user == NULL || peer->host == NULL);
		for (size_t k = 0; k < peer->key_count; k++)
			require(strlen(peer->keys[k]) > 43);
	}
}

static void check_localnames(const struct config *config)
{
	for (size_t i = 0; i < config_localname_count(config); i++) {
		const struct config_localname *rule = config_localname_at(config, i);

		require(rule->tag[0] != '\0' && rule->name_count > 0);
		require(rule->user == NULL || (rule->user[0] != '\0' && strlen(rule->user) <= 32 &&
						      strchr(rule->user, '/') == NULL));
		for (size_t k = 0; k < rule->name_count; k++) {
			const char *star = strchr(rule->names[k], '*');

			require(star == NULL ? rule->user != NULL
					     : star == rule->names[k] && star[1] == '@' &&
						       strchr(star + 1, '*') == NULL);
		}
	}
}

static void check_services(const struct config *config)
{
	static const char *const services[] = { "HTTP", "x", NULL };

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		require(config_latch_policy(config, services[i]) <= CONFIG_LATCH_NO);
		(void)config_service_has_t5(config, services[i]);
	}
	require(config_unknown_peer(config) <= CONFIG_UNKNOWN_ACCEPT);
	require(config_default_domain(config) == NULL || config_default_domain(config)[0] != '\0');
}

/* A file in memory; ret_path is good as long as it is open. */
static int file_make(const uint8_t *data, size_t size, char ret_path[64])
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	require(fd >= 0 && fchmod(fd, 0600) == 0);
	require(write(fd, data, size) == (ssize_t)size);
	snprintf(ret_path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char first_path[64], second_path[64];
	const char *files[] = { first_path, NULL, NULL };
	const uint8_t *separator = size > 0 ? memchr(data, SEPARATOR, size) : NULL;
	size_t first_len = separator != NULL ? (size_t)(separator - data) : size;
	struct config *config = NULL;
	int first, second = -1;

	first = file_make(data, first_len, first_path);
	if (separator != NULL) {
		second = file_make(separator + 1, size - first_len - 1, second_path);
		files[1] = second_path;
	}
	if (config_load(files, &config) == ERR_OK) {
		check_snapshot(config);
		check_localnames(config);
		check_services(config);
	} else {
		require(config_last_error()[0] != '\0');
	}
	config_release(&config);
	close(first);
	if (second >= 0)
		close(second);
	return 0;
}
