/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * echo_client HOST PORT SERVICE TEXT [SECONDS]: establishes a context with SERVICE@HOST, insists on
 * the latch, and then writes plain bytes: IPsec protects them, nothing is wrapped.  Stays connected
 * for SECONDS.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "echo.h"

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found = NULL;
	int fd = -1, error = getaddrinfo(host, port, &hints, &found);

	if (error != 0) {
		fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
		return -1;
	}
	for (struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
		fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
		if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
			close(fd);
			fd = -1;
		}
	}
	if (fd < 0)
		perror(host);
	freeaddrinfo(found);
	return fd;
}

static bool import_target(const char *host, const char *service, gss_name_t *ret_target)
{
	char text[512];
	gss_buffer_desc name;
	OM_uint32 major, minor;

	snprintf(text, sizeof(text), "%s@%s", service, host);
	name.value = text;
	name.length = strlen(text);
	major = gss_import_name(&minor, &name, GSS_C_NT_HOSTBASED_SERVICE, ret_target);
	if (GSS_ERROR(major))
		echo_print_status("bad name", major, minor);
	return !GSS_ERROR(major);
}

static bool establish(
	int fd, gss_cred_id_t credential, gss_name_t target, gss_ctx_id_t *ret_context)
{
	gss_buffer_desc input = GSS_C_EMPTY_BUFFER, output;
	OM_uint32 major, minor, ignored;
	bool is_sent;

	do {
		major = gss_init_sec_context(&minor, credential, ret_context, target, echo_mech,
			GSS_C_MUTUAL_FLAG, 0, GSS_C_NO_CHANNEL_BINDINGS, &input, NULL, &output,
			NULL, NULL);
		free(input.value);
		input.value = NULL;
		is_sent = output.length == 0 || echo_send(fd, &output);
		gss_release_buffer(&ignored, &output);
		if (GSS_ERROR(major)) {
			echo_print_status("no context", major, minor);
			return false;
		}
	} while (major == GSS_S_CONTINUE_NEEDED && is_sent && echo_receive(fd, &input));
	if (major == GSS_S_COMPLETE && is_sent)
		return true;
	fputs("the connection has ended before the context was there\n", stderr);
	return false;
}

static bool echo_once(int fd, char *text)
{
	gss_buffer_desc message = { strlen(text), text }, answer;

	if (!echo_send(fd, &message) || !echo_receive(fd, &answer)) {
		fputs("no answer\n", stderr);
		return false;
	}
	printf("%s\n", (const char *)answer.value);
	free(answer.value);
	return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
	gss_cred_id_t credential = GSS_C_NO_CREDENTIAL;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t target = GSS_C_NO_NAME;
	OM_uint32 minor;
	bool is_done = false;
	int fd;

	if (argc < 5) {
		fprintf(stderr, "usage: %s HOST PORT SERVICE TEXT [SECONDS]\n", argv[0]);
		return EXIT_FAILURE;
	}
	fd = connect_to(argv[1], argv[2]);
	if (fd < 0)
		return EXIT_FAILURE;
	if (import_target(argv[1], argv[3], &target) &&
		echo_acquire(fd, GSS_C_INITIATE, &credential) &&
		establish(fd, credential, target, &context) && echo_is_latched(context))
		is_done = echo_once(fd, argv[4]);
	if (is_done && argc > 5)
		sleep((unsigned int)strtoul(argv[5], NULL, 10));
	gss_delete_sec_context(&minor, &context, GSS_C_NO_BUFFER);
	gss_release_cred(&minor, &credential);
	gss_release_name(&minor, &target);
	close(fd);
	return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}
