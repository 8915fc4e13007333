/*
 * ws_handshake: one pass over the header lines fills a `heads`, then a table of judgements in order
 * of precedence says what to answer.
 */
#include "ws/ws_handshake.h"

#include "identity/key.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Headers that matter, and how often each came. */
enum head {
	HEAD_HOST,
	HEAD_UPGRADE,
	HEAD_CONNECTION,
	HEAD_KEY,
	HEAD_VERSION,
	HEAD_PROTOCOL,
	HEAD_AUTHORIZATION,
	HEAD_ORIGIN,
	HEAD_LENGTH,
	HEAD_ENCODING,
	HEAD_COUNT,
};

static const char *const head_names[HEAD_COUNT] = {
	[HEAD_HOST] = "host",
	[HEAD_UPGRADE] = "upgrade",
	[HEAD_CONNECTION] = "connection",
	[HEAD_KEY] = "sec-websocket-key",
	[HEAD_VERSION] = "sec-websocket-version",
	[HEAD_PROTOCOL] = "sec-websocket-protocol",
	[HEAD_AUTHORIZATION] = "authorization",
	[HEAD_ORIGIN] = "origin",
	[HEAD_LENGTH] = "content-length",
	[HEAD_ENCODING] = "transfer-encoding",
};

struct heads {
	struct ws_text method, target;
	struct ws_text value[HEAD_COUNT];
	unsigned count[HEAD_COUNT];
};

static bool
text_is(struct ws_text text, const char *word)
{
	return text.n == strlen(word) && strncasecmp(text.at, word, text.n) == 0;
}

static bool
text_is_exactly(struct ws_text text, const char *word)
{
	return text.n == strlen(word) && memcmp(text.at, word, text.n) == 0;
}

static struct ws_text
text_trim(struct ws_text text)
{
	while (text.n > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.n--;
	}
	while (text.n > 0 && (text.at[text.n - 1] == ' ' || text.at[text.n - 1] == '\t'))
		text.n--;
	return text;
}

bool
ws_list_has(struct ws_text list, const char *word)
{
	while (list.n > 0) {
		const char *comma = memchr(list.at, ',', list.n);
		size_t n = comma != NULL ? (size_t)(comma - list.at) : list.n;

		if (text_is(text_trim((struct ws_text){ list.at, n }), word))
			return true;
		n += comma != NULL;
		list.at += n;
		list.n -= n;
	}
	return false;
}

static bool
is_token(struct ws_text text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text.n; i++) {
		char c = text.at[i];
		bool is_alphanumeric =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!is_alphanumeric && (c == '\0' || strchr(others, c) == NULL))
			return false;
	}
	return text.n > 0;
}

/* Lines end in CR LF and hold no other control byte but tabs. */
static int
scan(const uint8_t *bytes, size_t n, size_t *scanned, size_t *ret_end)
{
	for (; *scanned < n; (*scanned)++) {
		size_t at = *scanned;
		uint8_t c = bytes[at];

		if (at >= WS_REQUEST_MAX_BYTES)
			return 431;
		if (c == '\n') {
			if (at == 0 || bytes[at - 1] != '\r')
				return 400;
			if (at >= 3 && bytes[at - 2] == '\n') {
				*ret_end = at + 1;
				return 0;
			}
		} else if ((at > 0 && bytes[at - 1] == '\r') || c == 0x7f ||
			   (c < 0x20 && c != '\r' && c != '\t')) {
			return 400;
		}
	}
	return -EAGAIN;
}

/* Takes the next line off; the caller knows there is one. */
static struct ws_text
next_line(struct ws_text *rest)
{
	const char *end = memchr(rest->at, '\r', rest->n);
	struct ws_text line = { rest->at, (size_t)(end - rest->at) };

	rest->at += line.n + 2;
	rest->n -= line.n + 2;
	return line;
}

static int
read_request_line(struct ws_text line, struct heads *heads)
{
	const char *space = memchr(line.at, ' ', line.n);

	if (space == NULL)
		return 400;
	heads->method = (struct ws_text){ line.at, (size_t)(space - line.at) };
	const char *target = space + 1;
	size_t left = line.n - heads->method.n - 1;
	space = memchr(target, ' ', left);
	if (space == NULL)
		return 400;
	heads->target = (struct ws_text){ target, (size_t)(space - target) };
	struct ws_text version = { space + 1, left - heads->target.n - 1 };
	if (!is_token(heads->method) || heads->target.n == 0 ||
	    !text_is_exactly(version, "HTTP/1.1"))
		return 400;
	return 0;
}

static int
read_heads(struct ws_text rest, struct heads *heads)
{
	int status = read_request_line(next_line(&rest), heads);

	for (unsigned lines = 0; status == 0; lines++) {
		struct ws_text line = next_line(&rest);

		if (line.n == 0)
			break;
		if (lines == WS_HEADERS_MAX)
			return 431;
		const char *colon = memchr(line.at, ':', line.n);
		if (colon == NULL ||
		    !is_token((struct ws_text){ line.at, (size_t)(colon - line.at) }))
			return 400; /* an obsolete continuation line among them */
		struct ws_text name = { line.at, (size_t)(colon - line.at) };
		struct ws_text value = { colon + 1, line.n - name.n - 1 };
		for (unsigned i = 0; i < HEAD_COUNT; i++)
			if (text_is(name, head_names[i])) {
				heads->value[i] = text_trim(value);
				heads->count[i]++;
			}
	}
	return status;
}

static int
read_target(struct ws_text target, struct ws_request *ret)
{
	const char *query = memchr(target.at, '?', target.n);

	if (target.at[0] != '/')
		return 400;
	ret->path = target;
	if (query != NULL) {
		ret->path.n = (size_t)(query - target.at);
		ret->query = (struct ws_text){ query + 1, target.n - ret->path.n - 1 };
	}
	return 0;
}

int
ws_key_read(struct ws_text key, char ret[WS_KEY_TEXT_BYTES])
{
	uint8_t nonce[16 + 2];

	if (key.n != WS_KEY_TEXT_BYTES - 1)
		return -EINVAL;
	memcpy(ret, key.at, key.n);
	ret[key.n] = '\0';
	return base64_decode(ret, nonce, sizeof(nonce)) == 16 ? 0 : -EINVAL;
}

static int
judge(const struct heads *heads, struct ws_request *ret)
{
	int status;

	for (unsigned i = 0; i < HEAD_COUNT; i++)
		if (heads->count[i] > 1)
			return 400;
	if (!text_is_exactly(heads->method, "GET"))
		return 405;
	if ((status = read_target(heads->target, ret)) != 0)
		return status;
	if (heads->count[HEAD_HOST] != 1 || heads->count[HEAD_LENGTH] != 0 ||
	    heads->count[HEAD_ENCODING] != 0)
		return 400;
	if (!text_is(heads->value[HEAD_UPGRADE], "websocket") ||
	    !ws_list_has(heads->value[HEAD_CONNECTION], "upgrade"))
		return 400;
	if (!text_is_exactly(heads->value[HEAD_VERSION], "13"))
		return 426;
	ret->protocols = heads->value[HEAD_PROTOCOL];
	ret->origin = heads->value[HEAD_ORIGIN];
	ret->authorization = heads->value[HEAD_AUTHORIZATION];
	return ws_key_read(heads->value[HEAD_KEY], ret->key) < 0 ? 400 : 0;
}

int
ws_handshake_parse(const uint8_t *bytes, size_t n, size_t *scanned, struct ws_request *ret)
{
	struct heads heads = { 0 };
	size_t end = 0;
	int status = scan(bytes, n, scanned, &end);

	if (status != 0)
		return status;
	memset(ret, 0, sizeof(*ret));
	ret->consumed = end;
	status = read_heads((struct ws_text){ (const char *)bytes, end }, &heads);
	return status != 0 ? status : judge(&heads, ret);
}
