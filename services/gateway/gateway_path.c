/*
 * gateway_path: a request target taken apart; see the header.
 */
#include "gateway/gateway_path.h"

#include "identity/hex.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* Well-formed UTF-8 without control characters (RFC 3629). */
static bool
text_is_clean(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	while (*s != '\0') {
		if (*s < 0x20 || *s == 0x7f)
			return false;
		size_t n = *s < 0x80 ? 1 : *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
		if (n > 1 && (*s < 0xc2 || *s > 0xf4))
			return false;
		for (size_t i = 1; i < n; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return false;
		}
		if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
		    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
			return false;
		s += n;
	}
	return true;
}

/* Decodes %-escapes in place. plus: '+' is a space, as in queries. */
static int
text_decode(char *text, bool plus)
{
	char *out = text;
	for (const char *in = text; *in != '\0'; in++) {
		char c = *in;
		if (c == '%') {
			int high = hex_digit(in[1]);
			int low = high < 0 ? -1 : hex_digit(in[2]);
			if (low < 0 || (high == 0 && low == 0))
				return -EINVAL;
			c = (char)(high * 16 + low);
			in += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*out++ = c;
	}
	*out = '\0';
	return text_is_clean(text) ? 0 : -EINVAL;
}

static bool
segment_is_odd(const char *segment)
{
	return segment[0] == '\0' || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0 ||
	       strchr(segment, '/') != NULL || strchr(segment, '\\') != NULL;
}

/* The whole path is decoded before it is judged, so that a bad escape is 400 wherever it is. */
static int
path_split(char *text, struct gateway_path *path)
{
	bool odd = false;
	while (text != NULL) {
		char *next = strchr(text, '/');
		if (next != NULL)
			*next++ = '\0';
		int r = text_decode(text, false);
		if (r < 0)
			return r;
		if (segment_is_odd(text) || path->segments_n == GATEWAY_SEGMENTS_MAX)
			odd = true;
		else
			path->segments[path->segments_n++] = text;
		text = next;
	}
	return odd ? -ENOENT : 0;
}

static int
query_add(struct gateway_path *path, char *parameter)
{
	char *value = strchr(parameter, '=');
	if (value != NULL)
		*value++ = '\0';
	else
		value = parameter + strlen(parameter);
	if (text_decode(parameter, true) < 0 || text_decode(value, true) < 0)
		return -EINVAL;
	for (size_t i = 0; i < path->query_n; i++) {
		if (strcmp(path->query[i].name, parameter) == 0)
			return -EINVAL;
	}
	if (path->query_n == GATEWAY_QUERY_MAX)
		return -EINVAL;
	path->query[path->query_n].name = parameter;
	path->query[path->query_n++].value = value;
	return 0;
}

static int
query_split(char *text, struct gateway_path *path)
{
	while (text != NULL) {
		char *next = strchr(text, '&');
		if (next != NULL)
			*next++ = '\0';
		int r = *text == '\0' ? 0 : query_add(path, text);
		if (r < 0)
			return r;
		text = next;
	}
	return 0;
}

int
gateway_path_parse(const char *target, struct gateway_path *ret)
{
	size_t n = strlen(target);
	ret->segments_n = ret->query_n = 0;
	if (n > GATEWAY_URI_MAX_BYTES)
		return -ENAMETOOLONG;
	if (target[0] != '/' || strpbrk(target, "# \t") != NULL)
		return -EINVAL;
	memcpy(ret->text, target, n + 1);
	char *query = strchr(ret->text, '?');
	if (query != NULL)
		*query++ = '\0';
	int path_result = path_split(ret->text + 1, ret);
	int query_result = query_split(query, ret);
	return query_result < 0 ? query_result : path_result;
}
