/*
 * json_text: builds JSON text; see the header.
 */
#include "json/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY_BYTES = 512, NUMBER_BYTES = 40 };

static bool
text_reserve(struct json_text *text, size_t more)
{
	size_t need = text->n + more + 1;
	if (text->failed || (text->max_bytes > 0 && need > text->max_bytes)) {
		text->failed = true;
		return false;
	}
	if (need <= text->capacity)
		return true;
	size_t capacity = text->capacity > 0 ? text->capacity : FIRST_CAPACITY_BYTES;
	while (capacity < need)
		capacity *= 2;
	char *bytes = realloc(text->bytes, capacity);
	if (bytes == NULL) {
		text->failed = true;
		return false;
	}
	text->bytes = bytes;
	text->capacity = capacity;
	return true;
}

static void
text_append(struct json_text *text, const char *bytes, size_t n)
{
	if (!text_reserve(text, n))
		return;
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	text->bytes[text->n] = '\0';
}

/* A value follows another unless a bracket, a colon or nothing stands before it. */
static void
text_separate(struct json_text *text)
{
	if (text->n > 0 && strchr("{[:", text->bytes[text->n - 1]) == NULL)
		text_append(text, ",", 1);
}

void
json_text_fini(struct json_text *text)
{
	free(text->bytes);
	*text = (struct json_text){ 0 };
}

bool
json_text_failed(const struct json_text *text)
{
	return text->failed;
}

void
json_text_open(struct json_text *text, char bracket)
{
	text_separate(text);
	text_append(text, &bracket, 1);
}

void
json_text_close(struct json_text *text, char bracket)
{
	text_append(text, &bracket, 1);
}

/* The length of the UTF-8 sequence at s, or 0 (RFC 3629: no overlong forms, no surrogates). */
static size_t
utf8_length(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return n;
}

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void
text_append_escaped(struct json_text *text, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;
	while (*s != '\0') {
		char escape[8];
		size_t n = 0;
		while (is_plain(s[n]))
			n++;
		text_append(text, (const char *)s, n);
		s += n;
		if (*s == '\0')
			break;
		n = utf8_length(s);
		if (*s == '"' || *s == '\\') {
			escape[0] = '\\';
			escape[1] = (char)*s;
			text_append(text, escape, 2);
		} else if (*s < 0x20 || *s == 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", *s);
			text_append(text, escape, 6);
		} else if (n == 0) {
			text_append(text, "\xef\xbf\xbd", 3);
			n = 1;
		} else {
			text_append(text, (const char *)s, n);
		}
		s += n;
	}
}

static void
text_quote(struct json_text *text, const char *value)
{
	text_append(text, "\"", 1);
	text_append_escaped(text, value);
	text_append(text, "\"", 1);
}

void
json_text_key(struct json_text *text, const char *name)
{
	text_separate(text);
	text_quote(text, name);
	text_append(text, ":", 1);
}

void
json_text_string(struct json_text *text, const char *value)
{
	text_separate(text);
	text_quote(text, value);
}

void
json_text_raw(struct json_text *text, const char *json)
{
	text_separate(text);
	text_append(text, json, strlen(json));
}

void
json_text_int(struct json_text *text, int64_t value)
{
	char number[NUMBER_BYTES];
	snprintf(number, sizeof(number), "%lld", (long long)value);
	json_text_raw(text, number);
}

void
json_text_uint(struct json_text *text, uint64_t value)
{
	char number[NUMBER_BYTES];
	snprintf(number, sizeof(number), "%llu", (unsigned long long)value);
	json_text_raw(text, number);
}

void
json_text_double(struct json_text *text, double value)
{
	char number[NUMBER_BYTES] = "null";
	if (isfinite(value)) {
		/* As short as possible while reading back as the same number. */
		snprintf(number, sizeof(number), "%.15g", value);
		double back = strtod(number, NULL);
		if (back < value || back > value)
			snprintf(number, sizeof(number), "%.17g", value);
	}
	json_text_raw(text, number);
}

void
json_text_bool(struct json_text *text, bool value)
{
	json_text_raw(text, value ? "true" : "false");
}

void
json_text_member(struct json_text *text, const char *name, const char *value)
{
	json_text_key(text, name);
	json_text_string(text, value);
}

void
json_text_member_int(struct json_text *text, const char *name, int64_t value)
{
	json_text_key(text, name);
	json_text_int(text, value);
}

void
json_text_member_uint(struct json_text *text, const char *name, uint64_t value)
{
	json_text_key(text, name);
	json_text_uint(text, value);
}

void
json_text_member_bool(struct json_text *text, const char *name, bool value)
{
	json_text_key(text, name);
	json_text_bool(text, value);
}
