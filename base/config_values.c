/* SPDX-License-Identifier: BSD-2-Clause */
/* The formats of values in the configuration: host and user names, services, paths and keys. */
#include "base/config_internal.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define HOST_BYTES_MAX 250 /* host/fqdn is a name, which has 255 */
#define LABEL_BYTES_MAX 63
#define NAME_BYTES_MAX 255
#define SERVICE_BYTES_MAX 64	/* doc/protocol.md, GSS_CONTEXT */
#define DIGEST_DIGITS 43	/* base64 of a SHA-256 digest without padding */
#define LOCAL_USER_BYTES_MAX 32 /* as useradd(8) has it */

static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
static const char name_characters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Labels of 1 to 63 octets between single dots. Anything else could never equal a name. */
static bool is_host(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > HOST_BYTES_MAX)
		return false;
	for (;;) {
		size_t label = strspn(text, name_characters);

		if (label == 0 || label > LABEL_BYTES_MAX || text[0] == '-' ||
			text[label - 1] == '-')
			return false;
		if (text[label] == '\0')
			return true;
		if (text[label] != '.')
			return false;
		text += label + 1;
	}
}

static enum err store(const struct config_format_input *input, const char *text, size_t len,
	const char **ret_text)
{
	char *copy = config_copy_text(input->config, text, len);

	if (copy == NULL)
		return ERR_NO_MEMORY;
	*ret_text = copy;
	return ERR_OK;
}

enum err config_format_host(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	char *copy;

	if (!is_host(input->value)) {
		*ret_complaint = "is no host name";
		return ERR_OK;
	}
	copy = config_copy_text(input->config, input->value, strlen(input->value));
	if (copy == NULL)
		return ERR_NO_MEMORY;
	for (char *c = copy; *c != '\0'; c++) {
		const char *found = strchr(upper, *c);

		if (found != NULL)
			*c = lower[found - upper];
	}
	*ret_text = copy;
	return ERR_OK;
}

enum err config_format_user(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	const char *at = strchr(input->value, '@');

	*ret_complaint = "is no user@domain";
	if (at == NULL || at == input->value || !is_host(at + 1) ||
		strlen(input->value) > NAME_BYTES_MAX)
		return ERR_OK;
	for (const char *c = input->value; c < at; c++)
		if (*c <= ' ' || *c > '~' || *c == '/')
			return ERR_OK;
	/* As no name of a user does (mech/mech.h): the entry would never be found. */
	if (strncasecmp(input->value, "SHA256:", strlen("SHA256:")) == 0)
		return ERR_OK;
	return store(input, input->value, strlen(input->value), ret_text);
}

/* Also the format of one name in a list of services. */
enum err config_format_service(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	size_t len = strlen(input->value);

	*ret_complaint = "is no service name (letters, digits, '-', '_' and '.')";
	if (len == 0 || len > SERVICE_BYTES_MAX)
		return ERR_OK;
	for (const char *c = input->value; *c != '\0'; c++)
		if (*c != '.' && strchr(name_characters, *c) == NULL)
			return ERR_OK;
	return store(input, input->value, len, ret_text);
}

enum err config_format_path(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	const char *slash = strrchr(input->path, '/');
	size_t directory = slash != NULL ? (size_t)(slash - input->path) + 1 : 0;
	size_t len = strlen(input->value);
	char *joined;

	if (len == 0 || input->value[0] == '~') {
		*ret_complaint = "is no path ('~' is not expanded; relative paths start in the "
				 "directory of this file)";
		return ERR_OK;
	}
	if (input->value[0] == '/')
		directory = 0;
	joined = config_alloc(input->config, directory + len + 1);
	if (joined == NULL)
		return ERR_NO_MEMORY;
	memcpy(joined, input->path, directory);
	memcpy(joined + directory, input->value, len);
	*ret_text = joined;
	return ERR_OK;
}

enum err config_format_socket(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	size_t len = strlen(input->value);

	if (input->value[0] != '/' || len >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		*ret_complaint = "is no absolute path of a socket (at most 107 octets)";
		return ERR_OK;
	}
	return store(input, input->value, len, ret_text);
}

/* The bits of the last digit that code nothing must be zero: one key, one text (RFC 4648 3.5). */
static bool ends_canonically(const char *text, size_t digits)
{
	size_t unused_bits = digits * 6 % 8;
	const char *last = strchr(base64_digits, text[digits - 1]);

	return last != NULL &&
	       ((size_t)(last - base64_digits) & (((size_t)1 << unused_bits) - 1)) == 0;
}

/* Longer than a digest; padded fully or not at all. */
static bool is_base64(const char *text)
{
	size_t digits = strspn(text, base64_digits);
	size_t padding = strspn(text + digits, "=");

	return digits > DIGEST_DIGITS && digits % 4 != 1 && text[digits + padding] == '\0' &&
	       (padding == 0 || (padding <= 2 && (digits + padding) % 4 == 0)) &&
	       ends_canonically(text, digits);
}

static bool is_digest(const char *text)
{
	return strspn(text, base64_digits) == DIGEST_DIGITS && text[DIGEST_DIGITS] == '\0' &&
	       ends_canonically(text, DIGEST_DIGITS);
}

enum err config_format_public_key(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	static const char prefix[] = "SHA256:";
	const char *value = input->value;
	bool has_prefix = strncmp(value, prefix, sizeof(prefix) - 1) == 0;

	if (has_prefix ? !is_digest(value + sizeof(prefix) - 1) : !is_base64(value)) {
		*ret_complaint = "is neither SHA256: with 43 base64 digits nor the base64 of a "
				 "public key (a path belongs into key_file)";
		return ERR_OK;
	}
	return store(input, value, strlen(value), ret_text);
}

/* "*@domain", with the domain in its canonical form; ret_text stays NULL otherwise. */
static enum err format_pattern(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	struct config_format_input domain = *input;
	const char *host = NULL;
	char *pattern;
	enum err status;

	domain.value = input->value + strlen("*@");
	status = config_format_host(&domain, &host, ret_complaint);
	*ret_complaint = "has a '*' that does not stand for the users of one domain (*@domain)";
	if (status != ERR_OK || host == NULL)
		return status;
	pattern = config_alloc(input->config, strlen("*@") + strlen(host) + 1);
	if (pattern == NULL)
		return ERR_NO_MEMORY;
	stpcpy(stpcpy(pattern, "*@"), host);
	*ret_text = pattern;
	return ERR_OK;
}

/* "service/host", the whole of it. */
static bool is_service_of_host(const char *text)
{
	const char *slash = strchr(text, '/');

	if (slash == NULL || slash == text || (size_t)(slash - text) > SERVICE_BYTES_MAX)
		return false;
	for (const char *c = text; c < slash; c++)
		if (*c != '.' && strchr(name_characters, *c) == NULL)
			return false;
	return is_host(slash + 1);
}

/* A name that stands for a local user: what gss_display_name() shows.  Nobody ("anonymous") is none
 * of them. */
enum err config_format_mapped_name(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	static const char prefix[] = "SHA256:";
	const char *value = input->value;
	enum err status = ERR_OK;

	if (strncmp(value, "*@", strlen("*@")) == 0)
		return format_pattern(input, ret_text, ret_complaint);
	if (strchr(value, '*') != NULL) {
		*ret_complaint =
			"has a '*' that does not stand for the users of one domain (*@domain)";
		return ERR_OK;
	}
	if (is_service_of_host(value) ||
		(strncmp(value, prefix, strlen(prefix)) == 0 && is_digest(value + strlen(prefix))))
		return store(input, value, strlen(value), ret_text);
	status = config_format_user(input, ret_text, ret_complaint);
	*ret_complaint = "is none of user@domain, service/host, SHA256:digest and *@domain";
	return status;
}

enum err config_format_local_user(
	const struct config_format_input *input, const char **ret_text, const char **ret_complaint)
{
	const char *value = input->value;
	size_t len = strlen(value);

	*ret_complaint = "is no local user's name (a letter or '_', then letters, digits, '_', '-' "
			 "and '.'; at most 32)";
	if (len > LOCAL_USER_BYTES_MAX || strchr("0123456789-.", value[0]) != NULL)
		return ERR_OK;
	for (const char *c = value; *c != '\0'; c++)
		if (*c != '.' && strchr(name_characters, *c) == NULL)
			return ERR_OK;
	return store(input, value, len, ret_text);
}
