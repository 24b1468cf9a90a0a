/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bound_login SERVICE@HOST: a login inside a channel, bound to it.  Shows how another mechanism's
 * tokens (Kerberos, SCRAM through GSS-API) are tied to the connection that this mechanism protects, so
 * that nobody in the middle can pass them on.  To keep it short both ends are this one program, tokens
 * pass in memory, and the inner mechanism is ours too; only what bound() does is the point.
 */
#include <stdio.h>
#include <string.h>

#include <gssapi_ipsec.h>

static char mech_octets[] = GSS_IPSEC_OID_MECH;
static gss_OID_desc mech = { GSS_IPSEC_OID_MECH_LENGTH, mech_octets };

struct end {
	gss_ctx_id_t context;
	gss_channel_bindings_t bindings;
	OM_uint32 flags;
};

static OM_uint32 step_initiator(
	struct end *end, gss_name_t target, gss_buffer_t input, gss_buffer_t output)
{
	OM_uint32 minor;

	return gss_init_sec_context(&minor, GSS_C_NO_CREDENTIAL, &end->context, target, &mech,
		GSS_C_MUTUAL_FLAG, 0, end->bindings, input, NULL, output, &end->flags, NULL);
}

static OM_uint32 step_acceptor(struct end *end, gss_buffer_t input, gss_buffer_t output)
{
	OM_uint32 minor;

	return gss_accept_sec_context(&minor, &end->context, GSS_C_NO_CREDENTIAL, input,
		end->bindings, NULL, NULL, output, &end->flags, NULL, NULL);
}

/* An exchange from the first token to the last; the major status of whoever failed. */
static OM_uint32 run(struct end *initiator, struct end *acceptor, gss_name_t target)
{
	OM_uint32 majors[2] = { GSS_S_CONTINUE_NEEDED, GSS_S_CONTINUE_NEEDED }, minor;
	gss_buffer_desc input = GSS_C_EMPTY_BUFFER, output;
	int turn = 0;

	do {
		output.length = 0;
		output.value = NULL;
		majors[turn] = turn == 0 ? step_initiator(initiator, target, &input, &output)
					 : step_acceptor(acceptor, &input, &output);
		gss_release_buffer(&minor, &input);
		input = output;
		if (GSS_ERROR(majors[turn])) {
			gss_release_buffer(&minor, &input);
			return majors[turn];
		}
		turn = !turn;
	} while (majors[turn] == GSS_S_CONTINUE_NEEDED);
	gss_release_buffer(&minor, &input);
	return GSS_S_COMPLETE;
}

static void forget(struct end *end)
{
	OM_uint32 minor;

	gss_delete_sec_context(&minor, &end->context, GSS_C_NO_BUFFER);
}

/* The point: each end takes the bindings of its own end of the channel into the inner login. */
static void bound(const char *what, gss_ctx_id_t client_channel, gss_ctx_id_t server_channel,
	gss_name_t target)
{
	struct gss_ipsec_bindings of_client, of_server;
	struct end client = { .bindings = &of_client.bindings };
	struct end server = { .bindings = &of_server.bindings };
	OM_uint32 major, minor;

	if (gss_ipsec_get_unique_bindings(&minor, client_channel, &of_client) != GSS_S_COMPLETE ||
		gss_ipsec_get_unique_bindings(&minor, server_channel, &of_server) !=
			GSS_S_COMPLETE) {
		printf("%s: no bindings\n", what);
		return;
	}
	major = run(&client, &server, target);
	if (GSS_ROUTINE_ERROR(major) == GSS_S_BAD_BINDINGS)
		printf("%s: refused, the channel bindings differ\n", what);
	else if (GSS_ERROR(major))
		printf("%s: failed\n", what);
	else /* without this flag the peer gave no bindings, and nothing is tied to anything */
		printf("%s: %s\n", what,
			(server.flags & GSS_C_CHANNEL_BOUND_FLAG) != 0 ? "bound" : "not bound");
	forget(&client);
	forget(&server);
}

int main(int argc, char **argv)
{
	struct end client = { .flags = 0 }, server = client, middle_client = client,
		   middle_server = client;
	gss_buffer_desc name = { argc == 2 ? strlen(argv[1]) : 0, argc == 2 ? argv[1] : NULL };
	gss_name_t target = GSS_C_NO_NAME;
	OM_uint32 minor;
	int is_good;

	if (argc != 2 || gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, &target) != 0) {
		fprintf(stderr, "usage: bound_login SERVICE@HOST\n");
		return 2;
	}
	/* One channel between client and server; and two, with somebody in the middle. */
	is_good = run(&client, &server, target) == GSS_S_COMPLETE &&
		  run(&middle_client, &middle_server, target) == GSS_S_COMPLETE;
	if (is_good) {
		bound("through one channel", client.context, server.context, target);
		bound("through two channels", client.context, middle_server.context, target);
	} else {
		fprintf(stderr, "no channel\n");
	}
	forget(&client);
	forget(&server);
	forget(&middle_client);
	forget(&middle_server);
	gss_release_name(&minor, &target);
	return is_good ? 0 : 1;
}
