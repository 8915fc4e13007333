/*
 * json_text: builds JSON text. Commas are put by themselves; strings are escaped, and what is not
 * UTF-8 becomes U+FFFD, so that whatever is written is valid JSON. Not a parser, not a tree. Any
 * thread, each text by one at a time.
 *
 * Running out of memory (or of max_bytes) is remembered, not reported each time: ask
 * json_text_failed at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_text {
	char *bytes; /* NUL-terminated when n > 0 */
	size_t n, capacity;
	size_t max_bytes; /* 0: no limit */
	bool failed;
};

void json_text_fini(struct json_text *text);
bool json_text_failed(const struct json_text *text);

/* '{' or '[', and its end. */
void json_text_open(struct json_text *text, char bracket);
void json_text_close(struct json_text *text, char bracket);

/* The name of the member whose value comes next. */
void json_text_key(struct json_text *text, const char *name);

void json_text_string(struct json_text *text, const char *value);
void json_text_int(struct json_text *text, int64_t value);
void json_text_uint(struct json_text *text, uint64_t value);
void json_text_double(struct json_text *text, double value); /* null when it is not finite */
void json_text_bool(struct json_text *text, bool value);

/* A value that is JSON already, e.g. a constant of the program. */
void json_text_raw(struct json_text *text, const char *json);

/* A member in one call. */
void json_text_member(struct json_text *text, const char *name, const char *value);
void json_text_member_int(struct json_text *text, const char *name, int64_t value);
void json_text_member_uint(struct json_text *text, const char *name, uint64_t value);
void json_text_member_bool(struct json_text *text, const char *name, bool value);
