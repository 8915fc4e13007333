/*
 * Any bytes as requests on a connection: what passes the gate is framed in one way only, whoever
 * reads it and in whatever pieces it comes; and as X-Forwarded-For behind a proxy.
 */
#include "gateway/gateway_body.h"
#include "gateway/gateway_gate.h"
#include "gateway/gateway_limits.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX_BYTES = 64 * 1024, INPUT_MAX_BYTES = 2 * GATE_HEAD_MAX_BYTES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* Has this line of a head the name (in lower case), as a reader sees it who forgives nothing? */
static bool
is_named(const char *line, size_t n, const char *name)
{
	size_t name_n = strlen(name);

	return n > name_n && strncasecmp(line, name, name_n) == 0 && line[name_n] == ':';
}

/* What a head that was taken must be, read by a reader of our own. */
static void
check_head(const struct gate_head *head, const char *bytes, size_t n)
{
	unsigned int hosts = 0, lengths = 0, encodings = 0;
	const char *line = bytes, *end;

	require(n <= GATE_HEAD_MAX_BYTES && memcmp(bytes + n - 4, "\r\n\r\n", 4) == 0);
	require(memmem(bytes, n - 1, "\r\n\r\n", 4) == NULL);
	require(memchr(bytes, '\0', n) == NULL && head->target[0] == '/');
	for (; (end = memmem(line, n - (size_t)(line - bytes), "\r\n", 2)) != NULL;
	     line = end + 2) {
		size_t line_n = (size_t)(end - line);

		require(memchr(line, '\n', line_n) == NULL);
		hosts += is_named(line, line_n, "host");
		lengths += is_named(line, line_n, "content-length");
		encodings += is_named(line, line_n, "transfer-encoding");
	}
	require(hosts == 1 && lengths <= 1 && encodings <= 1 && lengths + encodings <= 1);
	require(head->tally.content_length <= BODY_MAX_BYTES);
}

/* Bytes of the body and its end, taken `step` at a time: the whole, and whether it was refused. */
static size_t
take_body(const struct gate_tally *tally, const char *bytes, size_t n, size_t step,
	  size_t *ret_content, bool *ret_refused)
{
	struct gateway_body body;
	size_t at = 0, had = 0;

	*ret_content = 0;
	*ret_refused = false;
	gateway_body_init(&body, tally);
	while (body.state != BODY_DONE && at < n) {
		const char *content;
		size_t content_n;

		had = had > at + step || had <= at ? at + step : had;
		had = had < n ? had : n;
		long taken = gateway_body_take(&body, bytes + at, had - at, &content, &content_n);
		if (taken < 0) {
			*ret_refused = true;
			return at;
		}
		require((size_t)taken <= had - at && (taken > 0 || body.state == BODY_DONE));
		require(content_n == 0 ||
			(content >= bytes + at && content + content_n <= bytes + had));
		at += (size_t)taken;
		*ret_content += content_n;
	}
	return at;
}

static void
check_body(const struct gate_tally *tally, const char *bytes, size_t n)
{
	size_t content, content_again;
	bool refused, refused_again;
	size_t at = take_body(tally, bytes, n, n + 1, &content, &refused);
	size_t again = take_body(tally, bytes, n, 1, &content_again, &refused_again);

	/* Of a refused one nothing more than that it is refused matters. */
	require(refused == refused_again);
	require(refused || (at == again && content == content_again));
}

static void
check_origin(const char *bytes, size_t n)
{
	static const char *const proxies[] = { "10.0.0.0/8", "fd00::/8", NULL };
	static struct gateway_limits limits;
	struct in6_addr peer = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 10 } }, origin;
	char text[1024];

	if (n >= sizeof(text) || memchr(bytes, '\0', n) != NULL)
		return;
	memcpy(text, bytes, n);
	text[n] = '\0';
	if (limits.proxies.n == 0)
		require(gateway_networks_add(&limits.proxies, proxies) == 0);
	(void)gateway_limits_origin(&limits, &peer, text, &origin);
	/* A stranger's word counts for nothing. */
	peer.s6_addr[12] = 11;
	require(gateway_limits_origin(&limits, &peer, text, &origin) == 0);
	require(memcmp(&origin, &peer, sizeof(origin)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *bytes = (const char *)data;
	struct gate_head head, early;
	struct gate_verdict verdict, early_verdict;

	if (n > INPUT_MAX_BYTES)
		return 0;
	check_origin(bytes, n);
	long length = gateway_gate_head(bytes, n, BODY_MAX_BYTES, &head, &verdict);
	if (length < 0)
		require(verdict.status >= 400 && verdict.code != NULL);
	if (length <= 0)
		return 0;
	check_head(&head, bytes, (size_t)length);
	/* Whatever comes after changes nothing; one byte less is not whole. */
	require(gateway_gate_head(bytes, (size_t)length, BODY_MAX_BYTES, &early, &early_verdict) ==
		length);
	require(gateway_gate_head(bytes, (size_t)length - 1, BODY_MAX_BYTES, &early,
				  &early_verdict) == 0);
	check_body(&head.tally, bytes + length, n - (size_t)length);
	return 0;
}
