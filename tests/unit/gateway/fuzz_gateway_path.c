/*
 * Any bytes as a request's head, body and target: judged without harm; what is found holds.
 */
#include "gateway/gateway_body.h"
#include "gateway/gateway_endpoints.h"
#include "gateway/gateway_gate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
try_target(const uint8_t *data, size_t n)
{
	static struct gateway_path path;
	struct gateway_match match = { 0 };
	char allow[GATEWAY_ALLOW_BYTES];
	char *target = malloc(n + 1);
	if (target == NULL)
		return;
	memcpy(target, data, n);
	target[n] = '\0';
	if (gateway_path_parse(target, &path) == 0) {
		for (size_t i = 0; i < path.segments_n; i++) {
			if (strchr(path.segments[i], '/') != NULL || path.segments[i][0] == '\0')
				abort();
		}
		gateway_endpoints_match("GET", &path, &match, allow);
	}
	free(target);
}

/* Whatever follows the head as its body, in one piece and byte by byte: the same end. */
static size_t
try_body(const struct gate_tally *tally, const char *bytes, size_t n, size_t piece, bool *ret_bad)
{
	struct gateway_body body;
	size_t at = 0;
	*ret_bad = false;
	gateway_body_init(&body, tally);
	while (at < n && body.state != BODY_DONE) {
		const char *content;
		size_t content_n, some = n - at < piece ? n - at : piece;
		long r = gateway_body_take(&body, bytes + at, some, &content, &content_n);
		if (r < 0) {
			*ret_bad = true;
			return 0;
		}
		if (r == 0 || (size_t)r > some || content_n > some)
			abort();
		at += (size_t)r;
	}
	return at;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct gate_head parts;
	struct gate_verdict verdict;
	/* A copy of exactly n bytes, so that a read beyond is seen. */
	char *head = malloc(n > 0 ? n : 1);
	if (head == NULL)
		return 0;
	memcpy(head, data, n);
	long length = gateway_gate_head(head, n, 65536, &parts, &verdict);
	if (length > (long)n || (length < 0 && verdict.status < 400))
		abort();
	if (length > 0) {
		bool bad, slow_bad;
		const char *rest = head + length;
		size_t rest_n = n - (size_t)length;
		size_t end = try_body(&parts.tally, rest, rest_n, rest_n, &bad);
		if (end != try_body(&parts.tally, rest, rest_n, 1, &slow_bad) || bad != slow_bad)
			abort();
	}
	free(head);
	try_target(data, n);
	return 0;
}
