/*
 * config_file: the text form: sections, `key = value`, comments. Knows nothing of schemas; hands
 * each line to a reader. Refuses what cannot be a configuration (binary, NUL, not a regular file)
 * and what strangers could have written.
 */
#include "config/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
config_fail(const struct config_error *error, int exit_code, const char *format, ...)
{
	va_list arguments;

	if (error->bytes == 0)
		return exit_code;
	va_start(arguments, format);
	vsnprintf(error->text, error->bytes, format, arguments);
	va_end(arguments);
	for (char *c = error->text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return exit_code;
}

/* O_NONBLOCK: a FIFO without a writer must not hang us. */
static int
open_regular(const char *path, int *ret_fd, size_t *ret_bytes, const struct config_error *error)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int result = CONFIG_OK;

	if (fd < 0)
		return config_fail(error, CONFIG_EXIT_NOINPUT, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		result = config_fail(error, CONFIG_EXIT_NOINPUT, "%s: not a regular file", path);
	else if ((status.st_mode & S_IWOTH) != 0)
		result = config_fail(error, CONFIG_EXIT_NOPERM,
				     "%s: anybody may write to it (chmod o-w it)", path);
	else if (status.st_size > CONFIG_FILE_MAX_BYTES)
		result = config_fail(error, CONFIG_EXIT_CONFIG, "%s:1: larger than %d bytes", path,
				     CONFIG_FILE_MAX_BYTES);
	if (result != CONFIG_OK) {
		close(fd);
		return result;
	}
	*ret_fd = fd;
	*ret_bytes = (size_t)status.st_size;
	return CONFIG_OK;
}

/* *ret_text is malloc'd, *ret_n bytes and a NUL. */
static int
read_all(const char *path, char **ret_text, size_t *ret_n, const struct config_error *error)
{
	size_t capacity = 0, n = 0;
	int fd = -1;
	int result = open_regular(path, &fd, &capacity, error);
	char *text;

	if (result != CONFIG_OK)
		return result;
	text = malloc(capacity + 1);
	while (text != NULL && n < capacity) {
		ssize_t got = read(fd, text + n, capacity - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	if (text == NULL || n < capacity) {
		free(text);
		return config_fail(error, CONFIG_EXIT_NOINPUT, "%s: cannot be read", path);
	}
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	return CONFIG_OK;
}

/* Length of the UTF-8 sequence at s, which has n > 0 bytes; 0 when it is none. Overlong forms and
 * surrogates are none. */
static size_t
utf8_sequence(const unsigned char *s, size_t n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = s[0] < 0x80		? 1
			: (s[0] & 0xe0) == 0xc0 ? 2
			: (s[0] & 0xf0) == 0xe0 ? 3
			: (s[0] & 0xf8) == 0xf0 ? 4
						: 0;
	uint32_t code = length > 1 ? s[0] & (0x7fU >> length) : s[0];

	if (length == 0 || length > n)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return length;
}

static bool
is_text(const char *line, size_t n)
{
	const unsigned char *s = (const unsigned char *)line;

	for (size_t i = 0; i < n;) {
		size_t length = utf8_sequence(s + i, n - i);

		if (length == 0 || (s[i] < 0x20 && s[i] != '\t') || s[i] == 0x7f)
			return false;
		i += length;
	}
	return true;
}

static char *
trim(char *text)
{
	size_t n;

	text += strspn(text, " \t");
	n = strlen(text);
	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		text[--n] = '\0';
	return text;
}

/* A '#' starts a comment at the start of a line or after white space only, so that a value may
 * contain one. */
static void
cut_comment(char *line)
{
	for (char *c = line; *c != '\0'; c++)
		if (*c == '#' && (c == line || c[-1] == ' ' || c[-1] == '\t')) {
			*c = '\0';
			return;
		}
}

static int
read_line(char *text, struct config_line *line, const struct config_reader *reader,
	  const struct config_error *error)
{
	char *equals, *end;

	cut_comment(text);
	text = trim(text);
	if (*text == '\0')
		return CONFIG_OK;
	if (*text == '[') {
		end = strchr(text, ']');
		if (end == NULL || end[1] != '\0')
			return config_fail(error, CONFIG_EXIT_CONFIG,
					   "%s:%u: a section is written [name]", line->path,
					   line->number);
		*end = '\0';
		line->section = trim(text + 1);
		return reader->on_section(line, reader->arg);
	}
	equals = strchr(text, '=');
	if (equals == NULL || equals == text)
		return config_fail(error, CONFIG_EXIT_CONFIG,
				   "%s:%u: neither [section] nor key = value", line->path,
				   line->number);
	*equals = '\0';
	line->name = trim(text);
	line->value = trim(equals + 1);
	if (*line->section == '\0')
		return config_fail(error, CONFIG_EXIT_CONFIG,
				   "%s:%u: '%s' stands before the first [section]", line->path,
				   line->number, line->name);
	return reader->on_value(line, reader->arg);
}

static int
read_lines(char *text, size_t n, const char *path, const struct config_reader *reader,
	   const struct config_error *error)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	struct config_line line = { .path = path, .section = "" };
	char *end = text + n;
	int result = CONFIG_OK;

	if (strncmp(text, byte_order_mark, 3) == 0)
		text += 3;
	while (text < end && result == CONFIG_OK) {
		char *next = memchr(text, '\n', (size_t)(end - text));
		size_t length = (size_t)((next != NULL ? next : end) - text);

		line.number++;
		if (length > 0 && text[length - 1] == '\r')
			length--;
		if (!is_text(text, length))
			return config_fail(error, CONFIG_EXIT_CONFIG,
					   "%s:%u: not text (a control byte or invalid UTF-8)",
					   path, line.number);
		text[length] = '\0';
		result = read_line(text, &line, reader, error);
		text = next != NULL ? next + 1 : end;
	}
	return result;
}

int
config_file_read(const char *path, const struct config_reader *reader,
		 const struct config_error *error)
{
	char *text = NULL;
	size_t n = 0;
	int result = read_all(path, &text, &n, error);

	if (result != CONFIG_OK)
		return result;
	result = read_lines(text, n, path, reader, error);
	free(text);
	return result;
}
