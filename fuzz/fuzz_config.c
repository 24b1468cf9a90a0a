/* SPDX-License-Identifier: BSD-2-Clause */
/* Any octets as a configuration file: read or refused, and what is read keeps its promises. */
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

		require(identity->tag[0] != '\0' && identity->key_file[0] != '\0');
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	const char *files[] = { path, NULL };
	struct config *config = NULL;
	int fd = memfd_create("config", MFD_CLOEXEC);

	require(fd >= 0 && fchmod(fd, 0600) == 0);
	require(write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (config_load(files, &config) == ERR_OK)
		check_snapshot(config);
	else
		require(config_last_error()[0] != '\0');
	config_release(&config);
	close(fd);
	return 0;
}
