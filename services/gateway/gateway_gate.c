/*
 * gateway_gate: what a request's head must be like (RFC 9112, read strictly); see the header.
 */
#include "gateway/gateway_gate.h"

#include "gateway/gateway_path.h"

#include <string.h>
#include <strings.h>

enum { LENGTH_DIGITS_MAX = 15 };

static bool
word_is(const char *word, size_t n, const char *expected)
{
	return n == strlen(expected) && strncasecmp(word, expected, n) == 0;
}

/* RFC 9110, 5.6.2; a bit a character. */
static const uint32_t token_chars[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };

static bool
is_token_char(char c)
{
	unsigned int u = (unsigned char)c;
	return (token_chars[u / 32] >> (u % 32) & 1) != 0;
}

static void
count_length(struct gate_tally *tally, const char *value, size_t n)
{
	tally->lengths++;
	uint64_t length = 0;
	if (n == 0 || n > LENGTH_DIGITS_MAX)
		tally->length_is_bad = true;
	for (size_t i = 0; i < n && !tally->length_is_bad; i++) {
		if (value[i] < '0' || value[i] > '9')
			tally->length_is_bad = true;
		else
			length = length * 10 + (uint64_t)(value[i] - '0');
	}
	if (!tally->length_is_bad)
		tally->content_length = length;
}

/* A list of words between commas. */
static bool
list_has(const char *list, size_t n, const char *word)
{
	size_t at = 0;
	while (at < n) {
		size_t end = at;
		while (end < n && list[end] != ',')
			end++;
		size_t from = at, to = end;
		while (from < to && (list[from] == ' ' || list[from] == '\t'))
			from++;
		while (to > from && (list[to - 1] == ' ' || list[to - 1] == '\t'))
			to--;
		if (word_is(list + from, to - from, word))
			return true;
		at = end + 1;
	}
	return false;
}

void
gateway_gate_count(struct gate_tally *tally, const char *name, size_t name_bytes, const char *value,
		   size_t value_bytes)
{
	tally->headers++;
	tally->bytes += name_bytes + value_bytes + 4; /* ": " and CRLF */
	if (word_is(name, name_bytes, "host")) {
		tally->hosts++;
	} else if (word_is(name, name_bytes, "content-length")) {
		count_length(tally, value, value_bytes);
	} else if (word_is(name, name_bytes, "transfer-encoding")) {
		tally->encodings++;
		if (!word_is(value, value_bytes, "chunked"))
			tally->encoding_is_unknown = true;
	} else if (word_is(name, name_bytes, "authorization")) {
		tally->authorizations++;
	} else if (word_is(name, name_bytes, "upgrade")) {
		tally->upgrades++;
		tally->is_websocket = word_is(value, value_bytes, "websocket");
	} else if (word_is(name, name_bytes, "connection")) {
		tally->closes |= list_has(value, value_bytes, "close");
		tally->names_upgrade |= list_has(value, value_bytes, "upgrade");
	} else if (word_is(name, name_bytes, "expect")) {
		tally->expects++;
		if (!word_is(value, value_bytes, "100-continue"))
			tally->expect_is_unknown = true;
	} else if (word_is(name, name_bytes, "content-encoding")) {
		if (!word_is(value, value_bytes, "identity"))
			tally->body_is_encoded = true;
	}
}

/* tally: of a whole head. */
static struct gate_verdict
judge_head(const struct gate_tally *tally, const char *method, uint64_t body_max_bytes)
{
	if (strcmp(method, "TRACE") == 0 || strcmp(method, "CONNECT") == 0)
		return (struct gate_verdict){ 405, "method" };
	if (tally->headers > GATE_HEADERS_MAX || tally->bytes > GATE_HEAD_MAX_BYTES)
		return (struct gate_verdict){ 431, "head_too_large" };
	if (tally->hosts != 1)
		return (struct gate_verdict){ 400, "host" };
	if (tally->lengths > 1 || tally->length_is_bad)
		return (struct gate_verdict){ 400, "content_length" };
	/* 1.0 knows no chunks: whoever forwards them as such reads something else than we do. */
	if (tally->encodings > 0 && (tally->lengths > 0 || tally->is_1_0))
		return (struct gate_verdict){ 400, "framing" };
	if (tally->encodings > 1)
		return (struct gate_verdict){ 400, "transfer_encoding" };
	if (tally->encoding_is_unknown)
		return (struct gate_verdict){ 501, "transfer_encoding" };
	if (tally->authorizations > 1)
		return (struct gate_verdict){ 400, "authorization" };
	if (tally->upgrades > 1 || (tally->upgrades == 1 && !tally->is_websocket))
		return (struct gate_verdict){ 400, "upgrade" };
	if (tally->expect_is_unknown || tally->expects > 1)
		return (struct gate_verdict){ 417, "expect" };
	if (tally->body_is_encoded)
		return (struct gate_verdict){ 415, "content_encoding" };
	if (tally->content_length > body_max_bytes)
		return (struct gate_verdict){ 413, "too_large" };
	return (struct gate_verdict){ 0, NULL };
}

static struct gate_verdict
malformed(void)
{
	return (struct gate_verdict){ 400, "malformed" };
}

/* METHOD SP target SP HTTP/1.x, nothing else. */
static struct gate_verdict
judge_request_line(const char *line, size_t n, struct gate_head *ret)
{
	size_t method = 0;
	while (method < n && is_token_char(line[method]))
		method++;
	if (method == 0 || method >= GATE_METHOD_BYTES || method == n || line[method] != ' ')
		return malformed();
	memcpy(ret->method, line, method);
	ret->method[method] = '\0';

	const char *target = line + method + 1;
	size_t rest = n - method - 1, target_bytes = 0;
	while (target_bytes < rest && target[target_bytes] > ' ' && target[target_bytes] < 0x7f)
		target_bytes++;
	if (target_bytes > GATEWAY_URI_MAX_BYTES)
		return (struct gate_verdict){ 414, "uri_too_long" };
	const char *version = target + target_bytes;
	if (target_bytes == 0 || rest - target_bytes != strlen(" HTTP/1.1") ||
	    memcmp(version, " HTTP/", 6) != 0)
		return malformed();
	if (memcmp(version + 6, "1.1", 3) != 0 && memcmp(version + 6, "1.0", 3) != 0)
		return (struct gate_verdict){ 505, "version" };
	ret->tally.is_1_0 = ret->tally.closes = version[8] == '0';
	ret->target = target;
	ret->target_bytes = target_bytes;
	if (strcmp(ret->method, "CONNECT") == 0 || target[0] == '/')
		return (struct gate_verdict){ 0, NULL };
	return (struct gate_verdict){ 400, "target" };
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* name ":" value, no folding, no control bytes, nothing beyond ASCII. */
static bool
take_header_line(struct gate_tally *tally, const char *line, size_t n)
{
	size_t name = 0;
	while (name < n && is_token_char(line[name]))
		name++;
	if (name == 0 || name == n || line[name] != ':')
		return false;
	const char *value = line + name + 1;
	size_t value_bytes = n - name - 1;
	for (size_t i = 0; i < value_bytes; i++) {
		unsigned char c = (unsigned char)value[i];
		if ((c < ' ' && c != '\t') || c >= 0x7f)
			return false;
	}
	while (value_bytes > 0 && is_blank(value[0])) {
		value++;
		value_bytes--;
	}
	while (value_bytes > 0 && is_blank(value[value_bytes - 1]))
		value_bytes--;
	gateway_gate_count(tally, line, name, value, value_bytes);
	return true;
}

/* The length of the line at bytes without its CRLF; -1: not whole yet; -2: a CR or LF alone. */
static long
line_length(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			return -2;
		if (bytes[i] != '\r')
			continue;
		if (i + 1 == n)
			return -1;
		return bytes[i + 1] == '\n' ? (long)i : -2;
	}
	return -1;
}

/* What is not whole may be too long all the same. */
static long
wait_for_more(const char *bytes, size_t n, bool in_request_line, struct gate_verdict *ret)
{
	if (n > GATE_HEAD_MAX_BYTES)
		*ret = in_request_line ? (struct gate_verdict){ 414, "uri_too_long" }
				       : (struct gate_verdict){ 431, "head_too_large" };
	else if (n > 0 && !is_token_char(bytes[0]))
		*ret = malformed();
	else
		return 0;
	return -1;
}

long
gateway_gate_head(const char *bytes, size_t n, uint64_t body_max_bytes, struct gate_head *ret_head,
		  struct gate_verdict *ret)
{
	size_t at = 0;
	ret_head->method[0] = '\0';
	ret_head->tally = (struct gate_tally){ 0 };
	*ret = malformed();
	for (bool first = true;; first = false) {
		long line = line_length(bytes + at, n - at);
		if (line == -1)
			return wait_for_more(bytes, n, first, ret);
		if (line == -2)
			return -1;
		if (line == 0 && !first)
			break;
		if (first) {
			struct gate_verdict verdict =
				judge_request_line(bytes, (size_t)line, ret_head);
			if (verdict.status != 0) {
				*ret = verdict;
				return -1;
			}
		} else if (ret_head->tally.headers == GATE_HEADERS_MAX) {
			*ret = (struct gate_verdict){ 431, "head_too_large" };
			return -1;
		} else if (!take_header_line(&ret_head->tally, bytes + at, (size_t)line)) {
			return -1;
		}
		at += (size_t)line + 2;
	}
	at += 2;
	*ret = judge_head(&ret_head->tally, ret_head->method, body_max_bytes);
	if (ret->status == 0 && at > GATE_HEAD_MAX_BYTES)
		*ret = (struct gate_verdict){ 431, "head_too_large" };
	return ret->status != 0 ? -1 : (long)at;
}
