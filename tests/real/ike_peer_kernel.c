/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel that ike_peer plays: no TCP connection; a child SA's SPIs and keys are printed for 'ip xfrm'. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/real/ike_peer.h"

#define CHILD_SPI 0xc0ffee01
/* More than any exchange moves: nothing here counts octets. */
#define OCTETS_MOVED (UINT64_C(1) << 32)

/* The operations have no argument of their own. */
static const struct ike_peer *kernel_peer;

static enum ipsec_latch_reason kernel_find(int fd, struct kbind_candidates *ret_candidates)
{
	(void)fd;
	ret_candidates->count = 0;
	return IPSEC_LATCH_NONE;
}

static enum ipsec_latch_reason kernel_find_wanted(int fd, const struct kbind_pick *pick,
	kbind_wants wants, const void *argument, struct kbind_candidates *ret_candidates)
{
	(void)pick;
	(void)wants;
	(void)argument;
	return kernel_find(fd, ret_candidates);
}

static enum ipsec_latch_reason kernel_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	(void)fd;
	(void)pick;
	(void)visit;
	(void)argument;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason kernel_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	*ret_now = *candidate;
	ret_now->sent_bytes += OCTETS_MOVED;
	ret_now->received_bytes += OCTETS_MOVED;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason kernel_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	(void)broker_path;
	(void)candidate;
	(void)reserve;
	(void)ret_lease;
	return IPSEC_LATCH_NONE;
}

static void kernel_print_key(const char *name, const struct secret_key *key)
{
	printf("%s=0x", name);
	for (size_t i = 0; i < key->len; i++)
		printf("%02x", key->data[i]);
	printf("\n");
}

static enum ipsec_latch_reason kernel_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch)
{
	const struct mech_exchange *x = kernel_peer->context->exchange;
	struct secret_key i_to_r, r_to_i;

	(void)broker_path;
	(void)candidate;
	(void)lease;
	(void)latch;
	if (ike_child_keys_derive(&x->algorithms, &x->keys.sk_d, mech_nonce_view(&x->ni),
		    mech_nonce_view(&x->nr), x->suite, &i_to_r, &r_to_i) != ERR_OK)
		return IPSEC_LATCH_KERNEL;
	printf("spi_out=0x%08x\nspi_in=0x%08x\n", x->spi_out, x->spi_in);
	printf("kernel_name=%s\nicv_bits=%u\nesn=%d\n", x->suite->kernel_name, x->suite->icv_bits,
		x->suite->esn);
	kernel_print_key("key_out", kernel_peer->initiates ? &i_to_r : &r_to_i);
	kernel_print_key("key_in", kernel_peer->initiates ? &r_to_i : &i_to_r);
	secret_key_wipe(&i_to_r);
	secret_key_wipe(&r_to_i);
	return IPSEC_LATCH_LATCHED;
}

static void kernel_release(
	const char *broker_path, const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	(void)broker_path;
	(void)candidate;
	lease->is_held = false;
}

static enum ipsec_latch_reason kernel_query_settled(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	(void)broker_path;
	(void)candidate;
	(void)wait_ms;
	(void)ret_status;
	return IPSEC_LATCH_NONE;
}

const struct kbind_ops ike_peer_ops = {
	.find_candidates = kernel_find,
	.find_wanted = kernel_find_wanted,
	.visit_all = kernel_visit_all,
	.refresh = kernel_refresh,
	.reserve = kernel_reserve,
	.latch = kernel_latch,
	.release = kernel_release,
	.query_settled = kernel_query_settled,
};

void ike_peer_ask_child(const struct ike_peer *peer)
{
	struct mech_exchange *x = peer->context->exchange;

	kernel_peer = peer;
	x->suite = peer->child;
	x->spi_in = CHILD_SPI;
	x->chosen.tuple.family = AF_INET;
	memcpy(x->chosen.tuple.local, &peer->own, 4);
	memcpy(x->chosen.tuple.remote, &peer->other, 4);
	peer->context->exchange->lease.is_held = true;
}
