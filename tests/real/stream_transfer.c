/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The stream program's bulk phase: plain octets in both directions at once.  One direction is eight
 * octets of length, the octets, and their SHA-256 in 32.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "stream.h"

#define BLOCK_BYTES 65536
#define DIGEST_BYTES 32
#define LENGTH_BYTES 8

struct sending {
	int fd;
	const struct stream_options *options;
	bool is_done;
};

/* xorshift64: other octets in every block, so that a block out of place shows. */
static void block_fill(uint64_t *words, size_t count, uint64_t *state)
{
	for (size_t i = 0; i < count; i++) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		words[i] = *state;
	}
}

static void digest_print(const char *what, uint64_t bytes, const unsigned char *digest)
{
	char text[2 * DIGEST_BYTES + 1];

	for (size_t i = 0; i < DIGEST_BYTES; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
	printf("%s: %llu %s\n", what, (unsigned long long)bytes, text);
}

static bool length_send(int fd, uint64_t length)
{
	unsigned char octets[LENGTH_BYTES];

	for (size_t i = 0; i < LENGTH_BYTES; i++)
		octets[i] = (unsigned char)(length >> (56 - 8 * i));
	return stream_send_all(fd, octets, sizeof(octets));
}

static bool length_receive(int fd, uint64_t *ret_length)
{
	unsigned char octets[LENGTH_BYTES];
	uint64_t length = 0;

	if (!stream_receive_all(fd, octets, sizeof(octets)))
		return false;
	for (size_t i = 0; i < LENGTH_BYTES; i++)
		length = length << 8 | octets[i];
	*ret_length = length;
	return true;
}

static bool octets_send(const struct sending *sending, EVP_MD_CTX *hash, uint64_t *block)
{
	uint64_t left = sending->options->send_bytes;
	uint64_t state = sending->options->is_server ? 0x9e3779b97f4a7c15 : 0xd1b54a32d192ed03;

	while (left > 0) {
		size_t part = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;

		block_fill(block, BLOCK_BYTES / sizeof(*block), &state);
		if (EVP_DigestUpdate(hash, block, part) != 1 ||
			!stream_send_all(sending->fd, block, part))
			return false;
		left -= part;
		if (sending->options->slow_us != 0)
			(void)usleep((useconds_t)sending->options->slow_us);
	}
	return true;
}

static bool octets_receive(int fd, uint64_t length, EVP_MD_CTX *hash, char *block)
{
	while (length > 0) {
		size_t part = length < BLOCK_BYTES ? (size_t)length : BLOCK_BYTES;
		ssize_t done = recv(fd, block, part, 0);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0 || EVP_DigestUpdate(hash, block, (size_t)done) != 1)
			return false;
		length -= (uint64_t)done;
	}
	return true;
}

/* A thread, so that the two directions do not wait for each other. */
static void *direction_send(void *argument)
{
	struct sending *sending = argument;
	unsigned char digest[DIGEST_BYTES];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint64_t *block = malloc(BLOCK_BYTES);

	sending->is_done =
		hash != NULL && block != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		length_send(sending->fd, sending->options->send_bytes) &&
		octets_send(sending, hash, block) && EVP_DigestFinal_ex(hash, digest, NULL) == 1 &&
		stream_send_all(sending->fd, digest, sizeof(digest));
	if (sending->is_done && sending->options->shuts_down)
		sending->is_done = shutdown(sending->fd, SHUT_WR) == 0;
	if (sending->is_done)
		digest_print("sent", sending->options->send_bytes, digest);
	else
		printf("failed: send: %s\n", strerror(errno));
	free(block);
	EVP_MD_CTX_free(hash);
	return NULL;
}

static bool direction_receive(int fd)
{
	unsigned char digest[DIGEST_BYTES], told[DIGEST_BYTES];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	char *block = malloc(BLOCK_BYTES);
	uint64_t length = 0;
	bool is_done;

	errno = 0;
	is_done = hash != NULL && block != NULL &&
		  EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 && length_receive(fd, &length) &&
		  octets_receive(fd, length, hash, block) &&
		  EVP_DigestFinal_ex(hash, digest, NULL) == 1 &&
		  stream_receive_all(fd, told, sizeof(told));
	if (!is_done) {
		printf("failed: receive: %s\n",
			errno == 0 ? "the peer has closed" : strerror(errno));
	} else {
		digest_print("received", length, digest);
		is_done = memcmp(digest, told, sizeof(digest)) == 0;
		if (!is_done)
			printf("failed: the octets are not those that were sent\n");
	}
	free(block);
	EVP_MD_CTX_free(hash);
	return is_done;
}

/* The peer has ended its direction, and can still hear. */
static bool transfer_late(struct sending *sending)
{
	char octet;

	if (!direction_receive(sending->fd))
		return false;
	if (recv(sending->fd, &octet, 1, 0) != 0) {
		printf("failed: no end of the peer's direction\n");
		return false;
	}
	printf("half closed\n");
	(void)direction_send(sending);
	return sending->is_done;
}

bool stream_transfer(int fd, const struct stream_options *options)
{
	struct sending sending = { .fd = fd, .options = options };
	pthread_t thread;
	bool is_received;
	char octet;

	if (options->answers_late)
		return transfer_late(&sending);
	if (options->is_server && !options->speaks_first)
		(void)recv(fd, &octet, 1, MSG_PEEK); /* its failure shows in what follows */
	if (pthread_create(&thread, NULL, direction_send, &sending) != 0)
		return false;
	is_received = direction_receive(fd);
	/* A sender without a reader would wait for its timeout. */
	if (!is_received)
		(void)shutdown(fd, SHUT_RDWR);
	(void)pthread_join(thread, NULL);
	return is_received && sending.is_done;
}
