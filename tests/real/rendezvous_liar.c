/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A peer of rendezvous.c that lies about its connection, made of the mechanism's own parts over
 * kernel operations that say what the liar wants said.  It has every key that it needs.
 *
 *   rendezvous_liar client HOST PORT idle|busy   T1 lists another client's connection only
 *   rendezvous_liar client HOST PORT hold        and nothing follows: the other client logs in
 *   rendezvous_liar server PORT                  T2 names the client's second connection
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mech/mech.h"
#include "tests/real/rendezvous.h"

#define ECHO_BYTES 2000
#define MUCH 60000 /* more than any token has */
#define SECONDS_MAX 20

static struct kbind_candidate lie;

/* --- what the liar's kernel says --- */

static enum ipsec_latch_reason liar_find(int fd, struct kbind_candidates *ret_candidates)
{
	(void)fd;
	*ret_candidates = (struct kbind_candidates){ .count = 1 };
	ret_candidates->items[0] = lie;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason liar_find_wanted(int fd, const struct kbind_pick *pick,
	kbind_wants wants, const void *argument, struct kbind_candidates *ret_candidates)
{
	(void)pick;
	(void)wants;
	(void)argument;
	return liar_find(fd, ret_candidates);
}

static enum ipsec_latch_reason liar_refresh(
	const struct kbind_candidate *candidate, struct kbind_candidate *ret_now)
{
	*ret_now = *candidate;
	ret_now->sent_bytes += MUCH;
	ret_now->received_bytes += MUCH;
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason liar_visit_all(
	int fd, const struct kbind_pick *pick, kbind_visit visit, void *argument)
{
	struct kbind_candidate now;

	(void)fd;
	(void)pick;
	if (liar_refresh(&lie, &now) == IPSEC_LATCH_LATCHED)
		visit(&now, argument);
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason liar_reserve(const char *broker_path,
	const struct kbind_candidate *candidate, const struct kbind_reserve *reserve,
	struct kbind_lease *ret_lease)
{
	(void)broker_path;
	(void)candidate;
	(void)reserve;
	*ret_lease = (struct kbind_lease){ .spi_in = 0x22222222, .is_held = true };
	return IPSEC_LATCH_LATCHED;
}

static enum ipsec_latch_reason liar_latch(const char *broker_path,
	const struct kbind_candidate *candidate, struct kbind_lease *lease,
	const struct kbind_latch *latch)
{
	(void)broker_path;
	(void)candidate;
	(void)lease;
	(void)latch;
	return IPSEC_LATCH_LATCHED;
}

static void liar_release(
	const char *broker_path, const struct kbind_candidate *candidate, struct kbind_lease *lease)
{
	(void)broker_path;
	(void)candidate;
	lease->is_held = false;
}

static enum ipsec_latch_reason liar_query(const char *broker_path,
	const struct kbind_candidate *candidate, int wait_ms, struct kbind_status *ret_status)
{
	(void)broker_path;
	(void)candidate;
	(void)wait_ms;
	(void)ret_status;
	return IPSEC_LATCH_NONE;
}

static const struct kbind_ops liar_ops = {
	.find_candidates = liar_find,
	.find_wanted = liar_find_wanted,
	.visit_all = liar_visit_all,
	.refresh = liar_refresh,
	.reserve = liar_reserve,
	.latch = liar_latch,
	.release = liar_release,
	.query_settled = liar_query,
};

/* --- both roles --- */

static bool tuple_of(int fd, struct kbind_tuple *ret_tuple)
{
	struct sockaddr_in local, remote;
	socklen_t local_len = sizeof(local), remote_len = sizeof(remote);

	if (getsockname(fd, (struct sockaddr *)&local, &local_len) != 0 ||
		getpeername(fd, (struct sockaddr *)&remote, &remote_len) != 0)
		return false;
	*ret_tuple = (struct kbind_tuple){ .family = AF_INET,
		.protocol = IPPROTO_TCP,
		.local_port = ntohs(local.sin_port),
		.remote_port = ntohs(remote.sin_port) };
	memcpy(ret_tuple->local, &local.sin_addr, 4);
	memcpy(ret_tuple->remote, &remote.sin_addr, 4);
	return true;
}

/* T1's framing (RFC 2743 3.1), which the mechglue wants to see; a T1 of ours has less than 64 KiB. */
static const uint8_t mech_der[] = { 0x06, 0x21, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0xbe,
	0x40, 0x93, 0x7a, 0x81, 0xf2, 0x67, 0x83, 0xb5, 0x18, 0x81, 0xf0, 0x54, 0x81, 0x93, 0x74,
	0x82, 0xa5, 0x4e, 0xe5, 0xca, 0x16, 0xbf, 0xe7, 0x3c, 0x01 };

static void framing_put(struct writer *w, struct bytes t1)
{
	size_t len = sizeof(mech_der) + t1.len;

	writer_put_u8(w, 0x60);
	if (len >= 256)
		writer_put_u8(w, 0x82);
	else
		writer_put_u8(w, 0x81);
	if (len >= 256)
		writer_put_u8(w, (uint8_t)(len >> 8));
	writer_put_u8(w, (uint8_t)len);
	writer_put_bytes(w, BYTES_OF(mech_der));
	writer_put_bytes(w, t1);
}

/* What follows the framing; all of it where there is none (an SPI may begin with its first octet too). */
static struct bytes framing_skip(struct bytes token)
{
	size_t head = token.len > 2 ? 2 + (token.data[1] & 0x7fu) * (token.data[1] >> 7) : 0;

	if (token.len < head + sizeof(mech_der) || token.data[0] != 0x60 ||
		!bytes_equal(BYTES(token.data + head, sizeof(mech_der)), BYTES_OF(mech_der)))
		return token;
	head += sizeof(mech_der);
	return BYTES(token.data + head, token.len - head);
}

static bool liar_send(int fd, struct bytes token, bool is_t1)
{
	struct writer framed;
	bool is_sent;

	writer_init(&framed, RV_FRAME_BYTES_MAX);
	if (is_t1)
		framing_put(&framed, token);
	else
		writer_put_bytes(&framed, token);
	is_sent = writer_status(&framed) == ERR_OK &&
		  rv_send(fd, RV_TOKEN, writer_view(&framed).data, writer_len(&framed));
	writer_free(&framed);
	return is_sent;
}

/* One step and its token; false when the context has ended. */
static bool liar_step(
	struct mech_context *context, int fd, enum mech_step_result *result, struct bytes input)
{
	struct writer output;
	enum err err;

	writer_init(&output, RV_FRAME_BYTES_MAX);
	err = mech_step(context, framing_skip(input), NULL, &output, result);
	printf("liar: %u %s\n", (unsigned int)err, error_text((unsigned int)err));
	if (writer_len(&output) > 0 && !liar_send(fd, writer_view(&output), input.len == 0))
		err = ERR_INTERNAL;
	writer_free(&output);
	return err == ERR_OK;
}

/* --- the initiator --- */

/* Whether the context was established; without T3 it stays as it is. */
static bool client_exchange(const char *host, int fd, const struct kbind_ops *ops, bool has_t3)
{
	struct mech_context *context = NULL;
	struct mech_name *target = NULL;
	enum mech_step_result result = MECH_CONTINUE;
	struct rv_frame frame = { .len = 0 };
	bool is_good;

	if (mech_name_of_host("sample", host, &target) != ERR_OK ||
		mech_initiator_new(NULL, target, MECH_FLAG_MUTUAL, ops, &context) != ERR_OK)
		return false;
	while ((is_good = liar_step(context, fd, &result, BYTES(frame.data, frame.len))) &&
		result == MECH_CONTINUE && rv_receive(fd, RV_READ_WHOLE, &frame) && has_t3)
		;
	mech_context_free(&context);
	mech_name_release(&target);
	return is_good && result == MECH_COMPLETE;
}

/* What the victim does while the liar is at work, and what he lives to tell. */
enum victim_life { VICTIM_IDLE, VICTIM_BUSY, VICTIM_LOGS_IN };

static bool victim_is_well(int fd, const char *host, enum victim_life life)
{
	if (life == VICTIM_LOGS_IN)
		return client_exchange(host, fd, &kbind_ops_broker, true) && rv_is_latched(fd);
	return rv_echo(fd, ECHO_BYTES) && !rv_is_latched(fd);
}

/* Another client, in a process of its own: writes its tuple to `told`, and uses its connection until
 * `told` is closed at the other end. */
static void victim_run(const char *host, const char *port, enum victim_life life, int told)
{
	struct pollfd ended = { told, 0, 0 };
	struct kbind_tuple tuple;
	int fd = rv_connect(host, port);
	bool is_well = fd >= 0 && rv_echo(fd, ECHO_BYTES) && tuple_of(fd, &tuple) &&
		       write(told, &tuple, sizeof(tuple)) == (ssize_t)sizeof(tuple);

	while (is_well && poll(&ended, 1, life == VICTIM_BUSY ? 0 : 20) == 0)
		is_well = life != VICTIM_BUSY || rv_echo(fd, ECHO_BYTES);
	/* What the server does about it is over by now. */
	rv_sleep_ms(300);
	if (is_well && victim_is_well(fd, host, life))
		printf("victim is well\n");
	_exit(EXIT_SUCCESS);
}

static bool victim_start(const char *host, const char *port, enum victim_life life, int *ret_told)
{
	int told[2];

	if (pipe(told) != 0)
		return false;
	if (fork() == 0) {
		(void)close(told[0]);
		victim_run(host, port, life, told[1]);
	}
	(void)close(told[1]);
	*ret_told = told[0];
	return read(told[0], &lie.tuple, sizeof(lie.tuple)) == (ssize_t)sizeof(lie.tuple);
}

static bool client_run(const char *host, const char *port, enum victim_life life)
{
	const bool holds = life == VICTIM_LOGS_IN;
	int told = -1, fd;
	bool is_done;

	lie = (struct kbind_candidate){ .cookie = 1 };
	if (!victim_start(host, port, life, &told))
		return false;
	fd = rv_connect(host, port);
	is_done = fd >= 0 && rv_echo(fd, ECHO_BYTES);
	if (is_done)
		(void)client_exchange(host, fd, &liar_ops, !holds);
	if (!holds)
		(void)close(fd);
	rv_sleep_ms(300);
	(void)close(told);
	(void)wait(NULL);
	return is_done;
}

/* --- the acceptor --- */

/* What the client does on the other connection counts between T1 and T2. */
static void server_echo(int fd)
{
	struct pollfd waiting = { fd, POLLIN, 0 };
	struct rv_frame frame;

	for (int i = 0; i < 4 && poll(&waiting, 1, 50) > 0; i++)
		if (rv_receive(fd, RV_READ_WHOLE, &frame))
			(void)rv_send(fd, RV_ECHO, frame.data, frame.len);
}

static void server_take(struct mech_context *context, int fds[2], const struct rv_frame *frame)
{
	enum mech_step_result result;

	server_echo(fds[1]);
	(void)liar_step(context, fds[0], &result, BYTES(frame->data, frame->len));
}

static bool server_serve(int fds[2], struct mech_context *context)
{
	struct pollfd waiting[2] = { { fds[0], POLLIN, 0 }, { fds[1], POLLIN, 0 } };
	struct rv_frame frame;

	while (poll(waiting, 2, -1) > 0) {
		for (size_t i = 0; i < 2; i++) {
			if (waiting[i].revents == 0)
				continue;
			if (!rv_receive(fds[i], RV_READ_WHOLE, &frame))
				return true; /* the client has ended */
			if (frame.kind == RV_ECHO)
				(void)rv_send(fds[i], RV_ECHO, frame.data, frame.len);
			else if (!mech_context_is_open(context))
				server_take(context, fds, &frame);
		}
	}
	return false;
}

/* The client opens one connection after the other, with an echo on each. */
static bool server_accept(int listener, int fds[2])
{
	struct rv_frame frame;

	for (size_t i = 0; i < 2; i++) {
		fds[i] = accept(listener, NULL, NULL);
		if (fds[i] < 0 || !rv_receive(fds[i], RV_READ_WHOLE, &frame) ||
			!rv_send(fds[i], RV_ECHO, frame.data, frame.len))
			return false;
	}
	return true;
}

static bool server_run(const char *port)
{
	const struct mech_store_entry store = { "ipsec_latch", "auto" };
	struct mech_credential *credential = NULL;
	struct mech_context *context = NULL;
	int fds[2], listener = rv_listen(port, false);
	bool is_done;

	printf("listening\n");
	if (listener < 0 || !server_accept(listener, fds))
		return false;
	lie = (struct kbind_candidate){ .cookie = 1, .received_bytes = MUCH };
	is_done = tuple_of(fds[1], &lie.tuple) &&
		  mech_credential_acquire(NULL, MECH_ACCEPT, &store, 1, &credential) == ERR_OK &&
		  mech_acceptor_new(credential, &liar_ops, &context) == ERR_OK &&
		  server_serve(fds, context);
	mech_context_free(&context);
	mech_credential_release(&credential);
	return is_done;
}

static enum victim_life victim_life_of(const char *word)
{
	if (strcmp(word, "hold") == 0)
		return VICTIM_LOGS_IN;
	return strcmp(word, "busy") == 0 ? VICTIM_BUSY : VICTIM_IDLE;
}

int main(int argc, char **argv)
{
	bool is_done = false;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(SECONDS_MAX);
	if (argc == 5 && strcmp(argv[1], "client") == 0)
		is_done = client_run(argv[2], argv[3], victim_life_of(argv[4]));
	else if (argc == 3 && strcmp(argv[1], "server") == 0)
		is_done = server_run(argv[2]);
	printf(is_done ? "done\n" : "failed\n");
	return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
