/* SPDX-License-Identifier: BSD-2-Clause */
/* A service ticket that this process makes for itself (krb5_ticket.h). */
#include "bench/krb5_ticket.h"

#include <krb5/krb5.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/timing.h"

#define TICKET_ENCTYPE ENCTYPE_AES256_CTS_HMAC_SHA1_96 /* the faster one of krb5 */
#define TICKET_SEC 36000
#define TICKET_NAME "MEMORY:gss-ipsec-bench"

/* Exported by libkrb5 for the KDC, declared in no installed header. */
krb5_error_code krb5_encrypt_tkt_part(
	krb5_context context, const krb5_keyblock *server_key, krb5_ticket *ticket);
krb5_error_code encode_krb5_ticket(const krb5_ticket *ticket, krb5_data **ret_octets);

struct ticket {
	krb5_context context;
	krb5_principal client, server;
	krb5_keyblock server_key, session;
	krb5_ticket_times times;
	krb5_data *octets;
};

static void ticket_make_principals(struct ticket *ticket)
{
	krb5_context context = NULL;

	bench_require(
		krb5_init_context(&context) == 0 &&
			krb5_parse_name(context, "alice@EXAMPLE.ORG", &ticket->client) == 0 &&
			krb5_parse_name(context, "host/server.example.org@EXAMPLE.ORG",
				&ticket->server) == 0 &&
			krb5_c_make_random_key(context, TICKET_ENCTYPE, &ticket->server_key) == 0 &&
			krb5_c_make_random_key(context, TICKET_ENCTYPE, &ticket->session) == 0,
		"names and keys for krb5");
	ticket->context = context;
	ticket->times.authtime = ticket->times.starttime = (krb5_timestamp)time(NULL) - 60;
	ticket->times.endtime = ticket->times.starttime + TICKET_SEC;
}

static void ticket_encrypt(struct ticket *ticket)
{
	krb5_enc_tkt_part inner = { .flags = TKT_FLG_INITIAL,
		.session = &ticket->session,
		.client = ticket->client,
		.times = ticket->times };
	krb5_ticket outer = { .server = ticket->server, .enc_part2 = &inner };

	bench_require(krb5_encrypt_tkt_part(ticket->context, &ticket->server_key, &outer) == 0,
		"krb5_encrypt_tkt_part");
	outer.enc_part.kvno = 1;
	bench_require(encode_krb5_ticket(&outer, &ticket->octets) == 0, "encode_krb5_ticket");
	krb5_free_data_contents(ticket->context, &outer.enc_part.ciphertext);
}

static void ticket_store(struct ticket *ticket)
{
	krb5_creds credentials = { .client = ticket->client,
		.server = ticket->server,
		.keyblock = ticket->session,
		.times = ticket->times,
		.ticket_flags = TKT_FLG_INITIAL,
		.ticket = *ticket->octets };
	krb5_keytab_entry entry = {
		.principal = ticket->server, .vno = 1, .key = ticket->server_key
	};
	krb5_ccache cache = NULL;
	krb5_keytab keytab = NULL;

	bench_require(krb5_cc_resolve(ticket->context, TICKET_NAME, &cache) == 0 &&
			      krb5_cc_initialize(ticket->context, cache, ticket->client) == 0 &&
			      krb5_cc_store_cred(ticket->context, cache, &credentials) == 0 &&
			      krb5_kt_resolve(ticket->context, TICKET_NAME, &keytab) == 0 &&
			      krb5_kt_add_entry(ticket->context, keytab, &entry) == 0 &&
			      setenv("KRB5CCNAME", TICKET_NAME, 1) == 0 &&
			      setenv("KRB5_KTNAME", TICKET_NAME, 1) == 0 &&
			      setenv("KRB5RCACHENAME", "none:", 1) == 0,
		"cache and keytab");
	krb5_free_data(ticket->context, ticket->octets);
	(void)krb5_cc_close(ticket->context, cache);
}

/* The keytab stays open, and the context with it: in memory it goes with its last handle. */
void bench_krb5_prepare(void)
{
	static struct ticket ticket;

	ticket_make_principals(&ticket);
	ticket_encrypt(&ticket);
	ticket_store(&ticket);
}
