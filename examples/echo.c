/* SPDX-License-Identifier: BSD-2-Clause */
/* Tokens and messages of the echo programs, and the two questions only this mechanism answers. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gssapi/gssapi_ext.h>
#include <gssapi_ipsec.h>

#include "echo.h"

static char mech_octets[] = GSS_IPSEC_OID_MECH, descriptor_octets[] = GSS_IPSEC_OID_OPT_DESCRIPTOR,
	    latch_octets[] = GSS_IPSEC_OID_INQ_LATCH;
static gss_OID_desc mech_oid = { GSS_IPSEC_OID_MECH_LENGTH, mech_octets };
static gss_OID_desc descriptor_oid = { GSS_IPSEC_OID_ITEM_LENGTH, descriptor_octets };
static gss_OID_desc latch_oid = { GSS_IPSEC_OID_ITEM_LENGTH, latch_octets };
gss_OID echo_mech = &mech_oid;

static void print_code(OM_uint32 code, int type)
{
	OM_uint32 major, minor, more = 0;
	gss_buffer_desc text;

	do {
		major = gss_display_status(&minor, code, type, echo_mech, &more, &text);
		if (GSS_ERROR(major))
			return;
		fprintf(stderr, ": %.*s", (int)text.length, (const char *)text.value);
		gss_release_buffer(&minor, &text);
	} while (more != 0);
}

void echo_print_status(const char *what, OM_uint32 major, OM_uint32 minor)
{
	fputs(what, stderr);
	print_code(major, GSS_C_GSS_CODE);
	if (minor != 0)
		print_code(minor, GSS_C_MECH_CODE);
	fputc('\n', stderr);
}

static bool write_all(int fd, const void *data, size_t len)
{
	const char *next = data;

	while (len > 0) {
		ssize_t done = send(fd, next, len, MSG_NOSIGNAL);

		if (done <= 0)
			return false;
		next += done;
		len -= (size_t)done;
	}
	return true;
}

static bool read_all(int fd, void *data, size_t len)
{
	char *next = data;

	while (len > 0) {
		ssize_t done = read(fd, next, len);

		if (done <= 0)
			return false;
		next += done;
		len -= (size_t)done;
	}
	return true;
}

bool echo_send(int fd, const gss_buffer_desc *message)
{
	uint32_t length = htonl((uint32_t)message->length);

	return write_all(fd, &length, sizeof(length)) &&
	       write_all(fd, message->value, message->length);
}

bool echo_receive(int fd, gss_buffer_desc *ret_message)
{
	uint32_t length;
	char *value;

	if (!read_all(fd, &length, sizeof(length)))
		return false;
	length = ntohl(length);
	if (length > ECHO_MESSAGE_BYTES_MAX)
		return false;
	value = malloc((size_t)length + 1);
	if (!value)
		return false;
	if (!read_all(fd, value, length)) {
		free(value);
		return false;
	}
	value[length] = '\0';
	ret_message->value = value;
	ret_message->length = length;
	return true;
}

bool echo_acquire(int fd, gss_cred_usage_t usage, gss_cred_id_t *ret_credential)
{
	gss_OID_set_desc mechs = { 1, echo_mech };
	uint32_t number = htonl((uint32_t)fd);
	gss_buffer_desc value = { sizeof(number), &number };
	OM_uint32 major, minor;

	major = gss_acquire_cred(
		&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, &mechs, usage, ret_credential, NULL, NULL);
	if (GSS_ERROR(major)) {
		echo_print_status("no credential", major, minor);
		return false;
	}
	major = gss_set_cred_option(&minor, ret_credential, &descriptor_oid, &value);
	if (GSS_ERROR(major)) {
		echo_print_status("cannot name the connection", major, minor);
		gss_release_cred(&minor, ret_credential);
		return false;
	}
	return true;
}

bool echo_is_latched(gss_ctx_id_t context)
{
	gss_buffer_set_t answer = GSS_C_NO_BUFFER_SET;
	OM_uint32 major, minor;
	bool is_latched = false;

	major = gss_inquire_sec_context_by_oid(&minor, context, &latch_oid, &answer);
	if (GSS_ERROR(major) || answer == GSS_C_NO_BUFFER_SET || answer->count != 3 ||
		answer->elements[0].length != sizeof(uint32_t)) {
		echo_print_status("cannot ask for the latch", major, minor);
	} else {
		const unsigned char *reason = answer->elements[0].value;

		/* Three buffers: the number (0: latched), its word, and a sentence for people. */
		is_latched = (reason[0] | reason[1] | reason[2] | reason[3]) == 0;
		fprintf(stderr, "latch: %.*s: %.*s\n", (int)answer->elements[1].length,
			(const char *)answer->elements[1].value, (int)answer->elements[2].length,
			(const char *)answer->elements[2].value);
	}
	gss_release_buffer_set(&minor, &answer);
	return is_latched;
}
