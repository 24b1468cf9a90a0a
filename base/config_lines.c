/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One configuration file before the profile library sees it: its owner and mode, and the shape of
 * each line.  Stricter than the library: what it would skip, split or include is a mistake here.
 */
#include "base/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char tag_characters[] =
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@:+/";

/* The library would open other files for these, wherever they stand. */
static const char *const directives[] = { "include", "includedir", "module" };

struct scan {
	const char *path;
	struct config_lines *lines;
	unsigned int number;
	const char *section, *tag;
	unsigned int tag_number; /* the line where the open subsection began */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static char *skip_blanks(char *text)
{
	while (is_blank(*text))
		text++;
	return text;
}

static void strip_end(char *text)
{
	size_t len = strlen(text);

	while (len > 0 && (is_blank(text[len - 1]) || text[len - 1] == '\r'))
		text[--len] = '\0';
}

static enum err add_line(struct scan *scan, const char *key)
{
	struct config_lines *lines = scan->lines;

	if (lines->count == lines->capacity) {
		size_t capacity = lines->capacity > 0 ? lines->capacity * 2 : 64;
		struct config_line *items = reallocarray(lines->items, capacity, sizeof(*items));

		if (items == NULL)
			return ERR_NO_MEMORY;
		lines->items = items;
		lines->capacity = capacity;
	}
	lines->items[lines->count++] = (struct config_line){
		.number = scan->number, .section = scan->section, .tag = scan->tag, .key = key
	};
	return ERR_OK;
}

static enum err check_tag(const struct scan *scan, const char *tag)
{
	size_t len = strlen(tag);

	if (len == 0 || len > CONFIG_TAG_BYTES_MAX || strspn(tag, tag_characters) != len)
		return config_complain(scan->path, scan->number,
			"'%s' is no name (1 to %d letters, digits and -_.@:+/)", tag,
			CONFIG_TAG_BYTES_MAX);
	for (size_t i = 0; i < sizeof(directives) / sizeof(directives[0]); i++)
		if (strcmp(tag, directives[i]) == 0)
			return config_complain(scan->path, scan->number,
				"%s is not available in this configuration", tag);
	return ERR_OK;
}

static enum err scan_section(struct scan *scan, char *text)
{
	char *end = strchr(text, ']');
	enum err status;

	if (scan->tag != NULL)
		return config_complain(scan->path, scan->number,
			"a section begins although the '}' for line %u is missing",
			scan->tag_number);
	if (end == NULL || end[1] != '\0')
		return config_complain(
			scan->path, scan->number, "a section's line is [name] and nothing else");
	*end = '\0';
	status = check_tag(scan, text + 1);
	if (status != ERR_OK)
		return status;
	scan->section = text + 1;
	return add_line(scan, NULL);
}

static enum err scan_close(struct scan *scan, const char *text)
{
	if (scan->tag == NULL || text[1] != '\0')
		return config_complain(scan->path, scan->number,
			"'}' stands alone on its line and ends a subsection");
	scan->tag = NULL;
	return ERR_OK;
}

/* The library drops what follows a closing quote, and takes a comment for a part of the value. */
static enum err check_value(const struct scan *scan, const char *value)
{
	size_t at = 1;

	if (value[0] != '"') {
		for (const char *c = value; *c != '\0'; c++)
			if (is_blank(*c) && (c[1] == '#' || c[1] == ';'))
				return config_complain(scan->path, scan->number,
					"a comment stands on a line of its own");
		return ERR_OK;
	}
	while (value[at] != '\0' && value[at] != '"')
		at += value[at] == '\\' && value[at + 1] != '\0' ? 2 : 1;
	if (value[at] != '"' || value[at + 1] != '\0')
		return config_complain(scan->path, scan->number,
			"a quoted value ends with its line, at a second quotation mark");
	return ERR_OK;
}

static enum err scan_relation(struct scan *scan, char *text)
{
	char *equals = strchr(text, '=');
	const char *value;
	enum err status;

	if (scan->section == NULL)
		return config_complain(
			scan->path, scan->number, "this line stands before the first [section]");
	if (equals == NULL)
		return config_complain(scan->path, scan->number,
			"this line is neither 'key = value' nor 'name = {'");
	*equals = '\0';
	strip_end(text);
	value = skip_blanks(equals + 1);
	status = check_tag(scan, text);
	if (status != ERR_OK)
		return status;
	if (value[0] == '\0')
		return config_complain(scan->path, scan->number,
			"%s has no value (a subsection's '{' stands on the same line)", text);
	if (strcmp(value, "{") != 0) {
		status = check_value(scan, value);
		return status == ERR_OK ? add_line(scan, text) : status;
	}
	if (scan->tag != NULL)
		return config_complain(scan->path, scan->number,
			"a subsection begins within the one of line %u", scan->tag_number);
	scan->tag = text;
	scan->tag_number = scan->number;
	return add_line(scan, NULL);
}

static enum err scan_line(struct scan *scan, char *line)
{
	char *text = skip_blanks(line);

	if (strlen(line) > CONFIG_LINE_BYTES_MAX)
		return config_complain(scan->path, scan->number,
			"the line is longer than %d octets", CONFIG_LINE_BYTES_MAX);
	strip_end(text);
	if (text[0] == '\0' || text[0] == '#' || text[0] == ';')
		return ERR_OK;
	for (const char *c = text; *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return config_complain(
				scan->path, scan->number, "the line has a control character");
	if (text[0] == '}')
		return scan_close(scan, text);
	if (text[0] != '[')
		return scan_relation(scan, text);
	/* Before the first section, the library knows one in the first column only. */
	if (text != line)
		return config_complain(
			scan->path, scan->number, "a section begins in the first column");
	return scan_section(scan, text);
}

static enum err scan_text(struct scan *scan, char *text)
{
	enum err status = ERR_OK;

	while (text != NULL && status == ERR_OK) {
		char *end = strchr(text, '\n');

		if (end != NULL)
			*end = '\0';
		scan->number++;
		status = scan_line(scan, text);
		text = end != NULL ? end + 1 : NULL;
	}
	if (status == ERR_OK && scan->tag != NULL)
		return config_complain(
			scan->path, scan->tag_number, "the '}' for this subsection is missing");
	return status;
}

/* Whoever can write here decides whom this process takes for whom: as strict as sshd. */
static enum err check_owner(const char *path, const struct stat *status)
{
	if (!S_ISREG(status->st_mode))
		return config_complain(path, 0, "this is no regular file");
	if (status->st_uid != 0 && status->st_uid != geteuid())
		return config_complain(path, 0,
			"the file belongs to user %lu, neither to root nor to the one who reads it",
			(unsigned long)status->st_uid);
	if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return config_complain(path, 0, "the file can be written by others; chmod go-w it");
	if ((unsigned long long)status->st_size > CONFIG_FILE_BYTES_MAX)
		return config_complain(
			path, 0, "the file is larger than %zu octets", CONFIG_FILE_BYTES_MAX);
	return ERR_OK;
}

static enum err read_text(int fd, const char *path, struct config_lines *lines)
{
	size_t size = (size_t)lines->status.st_size, len = 0;

	lines->text = malloc(size + 1);
	if (lines->text == NULL)
		return ERR_NO_MEMORY;
	while (len < size) {
		ssize_t got = read(fd, lines->text + len, size - len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return config_complain_system(path, errno);
		if (got == 0)
			break;
		len += (size_t)got;
	}
	lines->text[len] = '\0';
	if (strlen(lines->text) != len)
		return config_complain(path, 0, "the file is no text: it holds a zero octet");
	return ERR_OK;
}

enum err config_lines_read(const char *path, struct config_lines *ret_lines)
{
	struct config_lines lines = { .exists = true };
	struct scan scan = { .path = path, .lines = &lines };
	enum err status = ERR_OK;
	/* Without O_NONBLOCK a FIFO of that name would stop the process. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return config_complain_system(path, errno);
		*ret_lines = (struct config_lines){ .exists = false };
		return ERR_OK;
	}
	if (fstat(fd, &lines.status) != 0)
		status = config_complain_system(path, errno);
	if (status == ERR_OK)
		status = check_owner(path, &lines.status);
	if (status == ERR_OK)
		status = read_text(fd, path, &lines);
	close(fd);
	if (status == ERR_OK)
		status = scan_text(&scan, lines.text);
	if (status == ERR_OK)
		*ret_lines = lines;
	else
		config_lines_free(&lines);
	return status;
}

void config_lines_free(struct config_lines *lines)
{
	free(lines->text);
	free(lines->items);
	*lines = (struct config_lines){ .exists = false };
}
