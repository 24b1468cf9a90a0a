/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ike_peer tells of an exchange: the algorithms, and its keys for Wireshark.  Only this program
 * of the tests can: it holds the context's inside.  Nothing that is installed writes a key anywhere
 * (tests/check-exports.sh looks for it).
 */
#include <stdio.h>

#include "tests/real/ike_peer.h"

/* Wireshark's own names of the algorithms, as its table wants them. */
static const struct {
	uint16_t encr, key_bits;
	const char *name;
} wireshark_names[] = {
	{ IKE_ENCR_AES_GCM_16, 256, "AES-GCM-256 with 16 octet ICV [RFC5282]" },
	{ IKE_ENCR_AES_GCM_16, 128, "AES-GCM-128 with 16 octet ICV [RFC5282]" },
};

static void keys_print_hex(FILE *out, const struct secret_key *key)
{
	for (size_t i = 0; i < key->len; i++)
		fprintf(out, "%02x", key->data[i]);
	fputc(',', out);
}

static bool keys_append(const char *path, const struct mech_exchange *x)
{
	const char *name = NULL;
	FILE *out;

	for (size_t i = 0; i < sizeof(wireshark_names) / sizeof(wireshark_names[0]); i++)
		if (wireshark_names[i].encr == x->algorithms.aead->id &&
			wireshark_names[i].key_bits == x->algorithms.aead->key_bits)
			name = wireshark_names[i].name;
	if (name == NULL) {
		fprintf(stderr, "ike_peer: Wireshark does not decrypt %s\n",
			x->algorithms.aead->name);
		return false;
	}
	out = fopen(path, "a");
	if (out == NULL) {
		perror(path);
		return false;
	}
	fprintf(out, "%016llx,%016llx,", (unsigned long long)x->spi_i,
		(unsigned long long)x->spi_r);
	keys_print_hex(out, &x->keys.sk_ei);
	keys_print_hex(out, &x->keys.sk_er);
	fprintf(out, "\"%s\",,,\"NONE [RFC4306]\"\n", name);
	return fclose(out) == 0;
}

bool ike_peer_tell_keys(const struct ike_peer *peer)
{
	const struct mech_exchange *x = peer->context->exchange;

	printf("spi_i=%016llx\nspi_r=%016llx\n", (unsigned long long)x->spi_i,
		(unsigned long long)x->spi_r);
	printf("encr=%u-%u\nprf=%u\ngroup=%u\n", x->algorithms.aead->id,
		x->algorithms.aead->key_bits, x->algorithms.prf->id, x->algorithms.group->id);
	return peer->keys == NULL || keys_append(peer->keys, x);
}
