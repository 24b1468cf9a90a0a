/* SPDX-License-Identifier: BSD-2-Clause */
/* Attacks of somebody who listens on the wire, or sends again what he heard there. */
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "mech/crypto/crypto.h"
#include "mech/ike/wire.h"
#include "tests/weakened/attack.h"

#define FRAME_BYTES_MAX 2048
#define SECRET "my secret word"

struct frame {
	uint8_t octets[FRAME_BYTES_MAX];
	size_t len;
};

/* All frames on the acceptor's end of the wire; -1: cannot listen. */
static int wire_open(const struct end *end)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int wire;

	probe_namespace_enter(end->host);
	address.sll_ifindex =
		(int)if_nametoindex(end->host == &probe_hosts[0] ? "veth-a" : "veth-b");
	wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (wire >= 0 && bind(wire, (struct sockaddr *)&address, sizeof(address)) == 0)
		return wire;
	if (wire >= 0)
		(void)close(wire);
	return -1;
}

/* The next IPv4 frame that carries this protocol; false: none any more. */
static bool wire_next(int wire, uint8_t protocol, struct frame *ret_frame)
{
	const size_t protocol_at = sizeof(struct ether_header) + offsetof(struct iphdr, protocol);
	ssize_t len;

	for (;;) {
		len = recv(wire, ret_frame->octets, sizeof(ret_frame->octets), MSG_DONTWAIT);
		if (len < 0)
			return false;
		ret_frame->len = (size_t)len;
		if (ret_frame->len > protocol_at && ret_frame->octets[12] == 0x08 &&
			ret_frame->octets[13] == 0x00 && ret_frame->octets[protocol_at] == protocol)
			return true;
	}
}

/* Whether TCP went over the wire in the clear; with this text, unless NULL. */
static bool wire_has_clear(int wire, const char *text)
{
	struct frame *frame = calloc(1, sizeof(*frame));
	bool is_found = false;

	while (frame != NULL && !is_found && wire_next(wire, IPPROTO_TCP, frame))
		is_found = text == NULL ||
			   memmem(frame->octets, frame->len, text, strlen(text)) != NULL;
	free(frame);
	return is_found;
}

/* The acceptor, complete after T3, speaks first. */
static enum attack_outcome listen_in(struct end ends[2])
{
	int wire = wire_open(&ends[1]);
	enum ipsec_latch_reason reason;
	bool is_heard;

	if (wire < 0 || !attack_prepare(ends))
		return ATTACK_IMPOSSIBLE;
	reason = attack_close(ends, PROBE_TOKEN_BYTES);
	if (reason == IPSEC_LATCH_LATCHED && !attack_say(&ends[1], SECRET))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	is_heard = wire_has_clear(wire, SECRET);
	(void)close(wire);
	return attack_judge(is_heard, reason);
}

/* Whoever closes first has no socket any more when the other's FIN comes. */
static enum attack_outcome after_close(struct end ends[2])
{
	int wire;
	bool is_heard;

	if (!probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(100);
	wire = wire_open(&ends[1]);
	(void)close(ends[0].fd);
	ends[0].fd = -1;
	probe_pause_ms(200);
	probe_pair_close(ends);
	probe_pause_ms(300);
	is_heard = wire >= 0 && wire_has_clear(wire, NULL);
	(void)close(wire);
	return attack_judge(is_heard, IPSEC_LATCH_LATCHED);
}

static uint64_t packets_in(const struct end *end)
{
	struct kbind_status *status = calloc(1, sizeof(*status));
	uint64_t packets = 0;

	if (status != NULL && kbind_query(end->host->socket_path, end->fd, status) == 0)
		packets = status->packets_in;
	free(status);
	return packets;
}

/* Payload, padding, next header (RFC 4303 2.4): whole words. */
static void esp_put_plain(struct writer *w, struct bytes payload)
{
	uint8_t padding = 0;

	writer_put_bytes(w, payload);
	while ((writer_len(w) + 2) % 4 != 0)
		writer_put_u8(w, ++padding);
	writer_put_u8(w, padding);
	writer_put_u8(w, IPPROTO_TCP);
}

/* The packet in w (SPI, number, IV) gets plain, encrypted (RFC 4106): key is the kernel's, with salt. */
static bool esp_seal(struct writer *w, const struct secret_key *key, struct bytes plain)
{
	const struct crypto_aead *suite = crypto_aead_find(IKE_ENCR_AES_GCM_16, 256);
	uint8_t associated[12] = { 0 }; /* SPI, high half of the number, low half */
	uint8_t nonce[CRYPTO_NONCE_BYTES], sealed[FRAME_BYTES_MAX], tag[CRYPTO_TAG_BYTES];
	const uint8_t *header = writer_view(w).data;
	struct crypto_aead_key *cipher = NULL;

	memcpy(associated, header, 4);
	memcpy(associated + 8, header + 4, 4);
	memcpy(nonce, key->data + suite->key_bytes, suite->salt_bytes);
	memcpy(nonce + suite->salt_bytes, header + 8, sizeof(nonce) - suite->salt_bytes);
	if (crypto_aead_key_new(suite, (struct bytes){ key->data, suite->key_bytes }, true,
		    &cipher) == ERR_OK &&
		crypto_aead_seal(cipher, nonce, (struct bytes){ associated, sizeof(associated) },
			plain, sealed, tag) == ERR_OK) {
		writer_put_bytes(w, (struct bytes){ sealed, plain.len });
		writer_put_bytes(w, (struct bytes){ tag, sizeof(tag) });
	}
	crypto_aead_key_free(&cipher);
	return writer_len(w) > plain.len && writer_status(w) == ERR_OK;
}

static bool esp_send(const struct end *from, struct bytes packet)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	bool is_good;
	int raw;

	memcpy(&to.sin_addr, from->candidate.tuple.remote, sizeof(to.sin_addr));
	probe_namespace_enter(from->host);
	raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP);
	is_good = sendto(raw, packet.data, packet.len, 0, (struct sockaddr *)&to, sizeof(to)) ==
		  (ssize_t)packet.len;
	(void)close(raw);
	return is_good;
}

bool attack_esp_send(const struct end ends[2], const struct probe_segment *segment, uint32_t number)
{
	uint8_t octets[PROBE_SEGMENT_MAX];
	struct bytes payload = { octets, probe_segment_octets(&ends[0], segment, octets) };
	struct writer plain, packet;
	bool is_good;

	writer_init(&plain, sizeof(octets) + 8);
	writer_init(&packet, FRAME_BYTES_MAX);
	esp_put_plain(&plain, payload);
	writer_put_u32(&packet, ends[1].lease.spi_in);
	writer_put_u32(&packet, number);
	writer_put_u64(&packet, number); /* the IV */
	is_good = payload.len != 0 && writer_status(&plain) == ERR_OK &&
		  writer_status(&packet) == ERR_OK &&
		  esp_seal(&packet, &ends[0].key_out, writer_view(&plain)) &&
		  esp_send(&ends[0], writer_view(&packet));
	writer_free(&plain);
	writer_free(&packet);
	return is_good;
}

/* The initiator's ESP packet once more: it must not come through the association again. */
static enum attack_outcome send_again(struct end ends[2])
{
	int listening, sending;
	struct frame *frame = calloc(1, sizeof(*frame));
	uint64_t before;

	if (frame == NULL || !probe_pair_latch(ends, PROBE_TOKEN_BYTES))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200);
	listening = wire_open(&ends[1]);
	sending = wire_open(&ends[0]);
	if (!probe_transfer(&ends[0], &ends[1], 100) || !wire_next(listening, IPPROTO_ESP, frame))
		return ATTACK_IMPOSSIBLE;
	probe_pause_ms(200);
	before = packets_in(&ends[1]);
	for (int i = 0; i < 5; i++) {
		if (send(sending, frame->octets, frame->len, 0) != (ssize_t)frame->len)
			return ATTACK_IMPOSSIBLE;
	}
	probe_pause_ms(200);
	(void)close(listening);
	(void)close(sending);
	free(frame);
	return before == 0 ? ATTACK_IMPOSSIBLE
			   : attack_judge(packets_in(&ends[1]) >= before + 5, IPSEC_LATCH_LATCHED);
}

/* clang-format off */
const struct attack attacks_on_wire[] = {
	{ "listen_in",   listen_in },
	{ "after_close", after_close },
	{ "send_again",  send_again },
	{ NULL,          NULL },
};
/* clang-format on */
