/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo_server PORT [COUNT]: accepts contexts, refuses connections that IPsec does not protect, and
 * sends back what comes.  One connection after the other; ends after COUNT of them.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"

static int listen_on(const char *port)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	here.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		bind(fd, (struct sockaddr *)&here, sizeof(here)) != 0 || listen(fd, 16) != 0) {
		perror(port);
		return -1;
	}
	return fd;
}

static bool establish(int fd, gss_cred_id_t credential, gss_ctx_id_t *ret_context)
{
	gss_buffer_desc input, output;
	gss_name_t client = GSS_C_NO_NAME;
	OM_uint32 major = GSS_S_CONTINUE_NEEDED, minor, ignored;
	bool is_sent = true;

	while (major == GSS_S_CONTINUE_NEEDED && is_sent) {
		if (!echo_receive(fd, &input))
			return false;
		gss_release_name(&ignored, &client);
		major = gss_accept_sec_context(&minor, ret_context, credential, &input,
			GSS_C_NO_CHANNEL_BINDINGS, &client, NULL, &output, NULL, NULL, NULL);
		free(input.value);
		is_sent = output.length == 0 || echo_send(fd, &output);
		gss_release_buffer(&ignored, &output);
	}
	if (GSS_ERROR(major)) {
		echo_print_status("no context", major, minor);
	} else if (gss_display_name(&minor, client, &output, NULL) == GSS_S_COMPLETE) {
		printf("client: %.*s\n", (int)output.length, (const char *)output.value);
		fflush(stdout);
		gss_release_buffer(&ignored, &output);
	}
	gss_release_name(&ignored, &client);
	return major == GSS_S_COMPLETE && is_sent;
}

static void serve(int fd)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_buffer_desc message;
	OM_uint32 minor;

	if (echo_acquire(fd, GSS_C_ACCEPT, &credential) && establish(fd, credential, &context) &&
		echo_is_latched(context)) {
		while (echo_receive(fd, &message)) {
			bool is_sent = echo_send(fd, &message);

			free(message.value);
			if (!is_sent)
				break;
		}
	}
	gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	gss_release_cred(&minor, &credential);
}

int main(int argc, char **argv)
{
	unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	int listener, fd;

	if (argc < 2) {
		fprintf(stderr, "usage: %s PORT [COUNT]\n", argv[0]);
		return EXIT_FAILURE;
	}
	listener = listen_on(argv[1]);
	if (listener < 0)
		return EXIT_FAILURE;
	for (unsigned long served = 0; count == 0 || served < count; served++) {
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			perror("accept");
			return EXIT_FAILURE;
		}
		serve(fd);
		close(fd);
	}
	close(listener);
	return EXIT_SUCCESS;
}
