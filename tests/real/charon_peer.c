/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Proof that it is IKEv2: carries the mechanism's messages over UDP port 500 to an IKE daemon
 * (strongSwan's charon) as responder.  What is sent is what mech/ makes; nothing is made for charon.
 *
 *   charon_peer CONFIG TARGET OWN-ADDRESS PEER-ADDRESS [flip | child]
 *
 * flip: one bit of T3 is changed on its way; the daemon must refuse it.  child: T3 also asks for a
 * transport-mode child SA between the two addresses; its keys are printed for 'ip xfrm'.
 * Exit status 0: established; 2: the peer refused; 1: anything else.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "mech/context.h"

#define PORT_IKE 500
#define TIMEOUT_SEC 5

static struct mech_context *peer_context;
static struct in_addr peer_own, peer_other;

/* --- kernel operations of this program: no connection; the child SA is printed, not installed --- */

static enum ipsec_latch_reason peer_find(int fd, struct kbind_candidates *ret_candidates)
{
	(void)fd;
	ret_candidates->count = 0;
	return IPSEC_LATCH_NONE;
}

static enum ipsec_latch_reason peer_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	*ret_now = *candidate;
	return IPSEC_LATCH_TRAFFIC;
}

static enum ipsec_latch_reason peer_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	(void)broker_path;
	(void)candidate;
	(void)reserve;
	(void)ret_lease;
	return IPSEC_LATCH_NONE;
}

static void peer_print_key(const char *name, const struct secret_key *key)
{
	printf("%s=0x", name);
	for (size_t i = 0; i < key->len; i++)
		printf("%02x", key->data[i]);
	printf("\n");
}

static enum ipsec_latch_reason peer_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch)
{
	struct mech_exchange *x = peer_context->exchange;
	struct secret_key out, in;

	(void)broker_path;
	(void)candidate;
	(void)latch;
	if (ike_child_keys_derive(&x->algorithms, &x->keys.sk_d, mech_nonce_view(&x->ni),
		    mech_nonce_view(&x->nr), x->suite, &out, &in) != ERR_OK)
		return IPSEC_LATCH_KERNEL;
	printf("spi_out=0x%08x\nspi_in=0x%08x\n", x->spi_out, x->spi_in);
	peer_print_key("key_out", &out);
	peer_print_key("key_in", &in);
	lease->is_held = false;
	return IPSEC_LATCH_LATCHED;
}

static void peer_release(
	const char *broker_path, const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	(void)broker_path;
	(void)candidate;
	lease->is_held = false;
}

static enum ipsec_latch_reason peer_find_wanted(
	int fd, kbind_wants wants, const void *argument, struct kbind_candidates *ret_candidates)
{
	(void)wants;
	(void)argument;
	return peer_find(fd, ret_candidates);
}

static enum ipsec_latch_reason peer_visit_all(int fd, kbind_visit visit, void *argument)
{
	(void)fd;
	(void)visit;
	(void)argument;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason peer_query_settled(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	(void)broker_path;
	(void)candidate;
	(void)wait_ms;
	(void)ret_status;
	return IPSEC_LATCH_NONE;
}

static const struct kbind_ops peer_ops = {
	.find_candidates = peer_find,
	.find_wanted = peer_find_wanted,
	.visit_all = peer_visit_all,
	.refresh = peer_refresh,
	.reserve = peer_reserve,
	.latch = peer_latch,
	.release = peer_release,
	.query_settled = peer_query_settled,
};

/* Makes T3 ask for a child SA between the two hosts, any protocol and port. */
static void peer_ask_child(void)
{
	struct mech_exchange *x = peer_context->exchange;

	x->suite = esp_suite_at(0);
	x->spi_in = 0xc0ffee01;
	x->chosen.tuple.family = AF_INET;
	memcpy(x->chosen.tuple.local, &peer_own, 4);
	memcpy(x->chosen.tuple.remote, &peer_other, 4);
	peer_context->lease.is_held = true;
}

/* --- the transport --- */

static int peer_socket(void)
{
	struct sockaddr_in own = { .sin_family = AF_INET, .sin_port = htons(PORT_IKE) };
	struct sockaddr_in other = { .sin_family = AF_INET, .sin_port = htons(PORT_IKE) };
	struct timeval timeout = { .tv_sec = TIMEOUT_SEC };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	own.sin_addr = peer_own;
	other.sin_addr = peer_other;
	if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0 ||
		connect(fd, (struct sockaddr *)&other, sizeof(other)) != 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0) {
		perror("charon_peer: UDP socket");
		return -1;
	}
	return fd;
}

static void peer_say(enum err code)
{
	fprintf(stderr, "charon_peer: %s: %s (%s)\n", error_name(code), error_text(code),
		mech_last_detail(code));
}

static int peer_run(int fd, bool flips, bool asks_child)
{
	enum mech_step_result result = MECH_CONTINUE;
	uint8_t input[IKE_MESSAGE_BYTES_MAX];
	struct writer output;
	ssize_t len = 0;
	enum err err;

	for (int round = 1; round <= 4; round++) {
		if (round == 2 && asks_child)
			peer_ask_child();
		writer_init(&output, IKE_MESSAGE_BYTES_MAX);
		err = mech_step(peer_context, BYTES(input, (size_t)len), NULL, &output, &result);
		if (err != ERR_OK) {
			peer_say(err);
			writer_free(&output);
			return err == ERR_PEER_AUTH_FAILED || err == ERR_PEER_FAILED ? 2 : 1;
		}
		if (result == MECH_COMPLETE) {
			writer_free(&output);
			return 0;
		}
		if (round == 1)
			printf("spi_i=%016llx\n",
				(unsigned long long)peer_context->exchange->spi_i);
		if (round == 2 && flips)
			*writer_at(&output, writer_len(&output) - 20, 1) ^= 1;
		len = send(fd, writer_view(&output).data, writer_len(&output), 0);
		writer_free(&output);
		len = len < 0 ? len : recv(fd, input, sizeof(input), 0);
		if (len < 0) {
			fprintf(stderr, "charon_peer: no answer to T%d\n", 2 * round - 1);
			return 2;
		}
	}
	return 1;
}

static enum err peer_make_context(const char *config, const char *target)
{
	struct mech_store_entry store[] = { { "ipsec_config", config }, { "ipsec_latch", "auto" } };
	struct mech_credential *credential = NULL;
	struct mech_name *name = NULL;
	enum err err;

	err = mech_credential_acquire(NULL, MECH_INITIATE, store, 2, &credential);
	if (err == ERR_OK)
		err = mech_name_import(MECH_FORM_HOSTBASED,
			BYTES((const uint8_t *)target, strlen(target)), NULL, &name);
	if (err == ERR_OK)
		err = mech_initiator_new(
			credential, name, MECH_FLAG_MUTUAL, &peer_ops, &peer_context);
	if (err == ERR_OK)
		peer_context->takes_plain_peer = true;
	mech_credential_release(&credential);
	mech_name_release(&name);
	return err;
}

int main(int argc, char **argv)
{
	enum err err;
	int fd, status;

	if (argc < 5 || inet_pton(AF_INET, argv[3], &peer_own) != 1 ||
		inet_pton(AF_INET, argv[4], &peer_other) != 1) {
		fprintf(stderr, "usage: charon_peer CONFIG TARGET OWN PEER [flip | child]\n");
		return 1;
	}
	err = peer_make_context(argv[1], argv[2]);
	if (err != ERR_OK) {
		peer_say(err);
		return 1;
	}
	fd = peer_socket();
	if (fd < 0)
		return 1;
	status = peer_run(fd, argc > 5 && strcmp(argv[5], "flip") == 0,
		argc > 5 && strcmp(argv[5], "child") == 0);
	if (status == 0)
		printf("peer=%s\n", mech_name_display(mech_context_acceptor_name(peer_context)));
	mech_context_free(&peer_context);
	close(fd);
	return status;
}
