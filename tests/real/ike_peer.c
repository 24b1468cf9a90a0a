/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof that it is IKEv2: carries the mechanism's messages over UDP port 500 to or from an IKE daemon
 * of other people (strongSwan's charon, Libreswan's pluto), or another ike_peer.  What is sent is what
 * mech/ makes; nothing is made for the daemon.
 *
 *   ike_peer initiate|accept CONFIG OWN-ADDRESS PEER-ADDRESS [OPTIONS]
 *     --target NAME        whom the initiator wants (service@host)
 *     --identity TAG       which identity of the configuration speaks (default: the configuration's choice)
 *     --no-mutual          the acceptor need not prove itself
 *     --child NUMBER       a transport-mode child SA between the two addresses with this ESP suite;
 *                          its keys are printed for 'ip xfrm'
 *     --flip sent|received one bit of the IKE_AUTH message of that direction is changed on its way
 *     --keys FILE          append the IKE SA's keys as a line of Wireshark's ikev2_decryption_table
 *     --seconds N          how long to wait for each message (default 5)
 *
 * Exit status 0: established; 2: the peer refused, or said nothing; 3: we refused; 1: anything else.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/real/ike_peer.h"

#define PORT_IKE 500
#define TIMEOUT_SEC 5
#define MESSAGES_MAX 64
/* Well inside SK's ciphertext, in front of its tag. */
#define FLIPPED_FROM_END 20

enum peer_status { PEER_ESTABLISHED = 0, PEER_TROUBLE = 1, PEER_REFUSED = 2, PEER_WE_REFUSE = 3 };

/* --- the transport --- */

struct carrier {
	int fd;
	uint8_t input[IKE_MESSAGE_BYTES_MAX], answered[IKE_MESSAGE_BYTES_MAX];
	size_t input_len, answered_len;
	int first_rounds;     /* IKE_SA_INIT messages received */
	struct writer output; /* the last message sent */
};

static int carrier_socket(const struct ike_peer *peer, int seconds)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(PORT_IKE) };
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_port = htons(PORT_IKE) };
	struct timeval timeout = { .tv_sec = seconds };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	own.sin_addr = peer->own;
	other.sin_addr = peer->other;
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
		connect(fd, (struct sockaddr *)&other, sizeof(other)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0) {
		perror("ike_peer: UDP socket");
		return -1;
	}
	return fd;
}

static bool carrier_send(const struct carrier *carrier)
{
	struct bytes message = writer_view(&carrier->output);

	return message.len == 0 ||
	       send(carrier->fd, message.data, message.len, 0) == (ssize_t)message.len;
}

/* Whether it belongs to this exchange: the daemon may still have something to say of an older one. */
static bool carrier_is_ours(const struct ike_peer *peer, struct bytes message)
{
	struct ike_header header;

	if (ike_header_parse(message, &header) != ERR_OK)
		return true; /* for the mechanism to refuse */
	if (peer->context->exchange->spi_i == 0)
		return header.exchange == IKE_EXCHANGE_SA_INIT;
	return header.spi_i == peer->context->exchange->spi_i;
}

/* The next message of the exchange; a retransmission gets the same answer again (RFC 7296 2.1). */
static bool carrier_receive(struct carrier *carrier, const struct ike_peer *peer)
{
	for (int i = 0; i < MESSAGES_MAX; i++) {
		ssize_t len = recv(carrier->fd, carrier->input, sizeof(carrier->input), 0);

		if (len < 0)
			return false;
		carrier->input_len = (size_t)len;
		if (!carrier_is_ours(peer, BYTES(carrier->input, carrier->input_len)))
			continue;
		if (peer->initiates || !bytes_equal(BYTES(carrier->input, carrier->input_len),
					       BYTES(carrier->answered, carrier->answered_len))) {
			memcpy(carrier->answered, carrier->input, carrier->input_len);
			carrier->answered_len = carrier->input_len;
			return true;
		}
		if (!carrier_send(carrier))
			return false;
	}
	return false;
}

static bool is_exchange(struct bytes message, uint8_t exchange)
{
	struct ike_header header;

	return ike_header_parse(message, &header) == ERR_OK && header.exchange == exchange;
}

static bool is_auth(struct bytes message)
{
	return is_exchange(message, IKE_EXCHANGE_AUTH) && message.len > FLIPPED_FROM_END;
}

/* --- the exchange --- */

static void peer_say(enum err code)
{
	fprintf(stderr, "ike_peer: %s: %s (%s)\n", error_name(code), error_text(code),
		mech_last_detail(code));
}

static enum peer_status peer_judge(enum err code)
{
	static const enum err peers[] = { ERR_PEER_AUTH_FAILED, ERR_PEER_FAILED,
		ERR_PEER_NO_PROPOSAL, ERR_PEER_UNPROTECTED };

	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (peers[i] == code)
			return PEER_REFUSED;
	return PEER_WE_REFUSE;
}

/* Takes the message in carrier->input and sends what it calls for, an error notify too. */
static enum err peer_take(
	const struct ike_peer *peer, struct carrier *carrier, enum mech_step_result *ret_result)
{
	struct bytes input = BYTES(carrier->input, carrier->input_len);
	enum err err;

	if (is_exchange(input, IKE_EXCHANGE_SA_INIT))
		carrier->first_rounds++;
	if (peer->flips_received && is_auth(input))
		carrier->input[input.len - FLIPPED_FROM_END] ^= 1;
	writer_free(&carrier->output);
	writer_init(&carrier->output, IKE_MESSAGE_BYTES_MAX);
	err = mech_step(peer->context, input, NULL, &carrier->output, ret_result);
	if (peer->flips_sent && is_auth(writer_view(&carrier->output)))
		*writer_at(&carrier->output, writer_len(&carrier->output) - FLIPPED_FROM_END, 1) ^=
			1;
	if (!carrier_send(carrier))
		perror("ike_peer: send");
	return err;
}

/* Once the exchange has its keys: they are told, the child is asked for.  An initiator has them only
 * when T3 is made, in the same step: it asks one step earlier. */
static bool peer_prepare(const struct ike_peer *peer, int step)
{
	const struct mech_exchange *x = peer->context->exchange;
	static bool is_told, is_asked;

	if (x == NULL)
		return true;
	if (peer->child != NULL && !is_asked && (x->has_keys || (peer->initiates && step == 1))) {
		ike_peer_ask_child(peer);
		is_asked = true;
	}
	if (is_told || !x->has_keys)
		return true;
	is_told = true;
	return ike_peer_tell_keys(peer);
}

static enum peer_status peer_exchange(const struct ike_peer *peer, struct carrier *carrier)
{
	enum mech_step_result result = MECH_CONTINUE;

	for (int step = 1; result == MECH_CONTINUE; step++) {
		enum err err;

		if ((step > 1 || !peer->initiates) && !carrier_receive(carrier, peer)) {
			fprintf(stderr, "ike_peer: nothing came in step %d\n", step);
			return PEER_REFUSED;
		}
		err = peer_take(peer, carrier, &result);
		if (err != ERR_OK) {
			peer_say(err);
			return peer_judge(err);
		}
		if (!peer_prepare(peer, step))
			return PEER_TROUBLE;
	}
	return PEER_ESTABLISHED;
}

static enum err peer_make_context(struct ike_peer *peer)
{
	struct mech_store_entry store[] = { { "ipsec_config", peer->config },
		{ "ipsec_latch", "auto" }, { "ipsec_identity", peer->identity } };
	size_t store_count = peer->identity != NULL ? 3 : 2;
	struct mech_credential *credential = NULL;
	struct mech_name *name = NULL;
	enum err err;

	err = mech_credential_acquire(NULL, peer->initiates ? MECH_INITIATE : MECH_ACCEPT, store,
		store_count, &credential);
	if (err == ERR_OK && peer->initiates)
		err = mech_name_import(MECH_FORM_HOSTBASED,
			BYTES((const uint8_t *)peer->target, strlen(peer->target)), NULL, &name);
	if (err == ERR_OK && peer->initiates)
		err = mech_initiator_new(
			credential, name, peer->flags, &ike_peer_ops, &peer->context);
	else if (err == ERR_OK)
		err = mech_acceptor_new(credential, &ike_peer_ops, &peer->context);
	if (err == ERR_OK)
		peer->context->takes_plain_peer = true;
	mech_credential_release(&credential);
	mech_name_release(&name);
	return err;
}

static enum peer_status peer_run(struct ike_peer *peer, int seconds)
{
	static struct carrier carrier;
	enum peer_status status;
	enum err err;

	err = peer_make_context(peer);
	if (err != ERR_OK) {
		peer_say(err);
		return PEER_TROUBLE;
	}
	carrier.fd = carrier_socket(peer, seconds);
	if (carrier.fd < 0)
		return PEER_TROUBLE;
	if (!peer->initiates) {
		printf("waits\n");
		fflush(stdout);
	}
	status = peer_exchange(peer, &carrier);
	if (status == PEER_ESTABLISHED)
		printf("retried=%s\npeer=%s\n", carrier.first_rounds > 1 ? "yes" : "no",
			mech_name_display(peer->initiates
						  ? mech_context_acceptor_name(peer->context)
						  : mech_context_initiator_name(peer->context)));
	mech_context_free(&peer->context);
	writer_free(&carrier.output);
	close(carrier.fd);
	return status;
}

/* --- the command line --- */

static bool read_option(struct ike_peer *peer, int option, int *ret_seconds)
{
	switch (option) {
	case 't':
		peer->target = optarg;
		return true;
	case 'i':
		peer->identity = optarg;
		return true;
	case 'n':
		peer->flags = 0;
		return true;
	case 'c':
		peer->child = esp_suite_find((uint16_t)strtoul(optarg, NULL, 10));
		return peer->child != NULL;
	case 'f':
		peer->flips_sent = strcmp(optarg, "sent") == 0;
		peer->flips_received = strcmp(optarg, "received") == 0;
		return peer->flips_sent || peer->flips_received;
	case 'k':
		peer->keys = optarg;
		return true;
	case 's':
		*ret_seconds = (int)strtol(optarg, NULL, 10);
		return *ret_seconds > 0;
	default:
		return false;
	}
}

static bool read_arguments(struct ike_peer *peer, int argc, char **argv, int *ret_seconds)
{
	static const struct option options[] = { { "target", required_argument, NULL, 't' },
		{ "identity", required_argument, NULL, 'i' },
		{ "no-mutual", no_argument, NULL, 'n' }, { "child", required_argument, NULL, 'c' },
		{ "flip", required_argument, NULL, 'f' }, { "keys", required_argument, NULL, 'k' },
		{ "seconds", required_argument, NULL, 's' }, { NULL, 0, NULL, 0 } };
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (!read_option(peer, option, ret_seconds))
			return false;
	if (argc - optind != 4)
		return false;
	peer->initiates = strcmp(argv[optind], "initiate") == 0;
	if (!peer->initiates && strcmp(argv[optind], "accept") != 0)
		return false;
	peer->config = argv[optind + 1];
	return inet_pton(AF_INET, argv[optind + 2], &peer->own) == 1 &&
	       inet_pton(AF_INET, argv[optind + 3], &peer->other) == 1 &&
	       peer->initiates == (peer->target != NULL);
}

int main(int argc, char **argv)
{
	struct ike_peer peer = { .flags = MECH_FLAG_MUTUAL };
	int seconds = TIMEOUT_SEC;

	if (!read_arguments(&peer, argc, argv, &seconds)) {
		fprintf(stderr, "usage: ike_peer initiate|accept CONFIG OWN PEER [--target NAME] "
				"[--identity TAG] [--no-mutual] [--child NUMBER] "
				"[--flip sent|received] "
				"[--keys FILE] [--seconds N]\n");
		return PEER_TROUBLE;
	}
	return (int)peer_run(&peer, seconds);
}
