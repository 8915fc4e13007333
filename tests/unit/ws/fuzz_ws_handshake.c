/*
 * The upgrade request: in one piece and byte by byte it must get the same judgement, and a good one
 * must be within its input.
 */
#include "ws/ws_handshake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct ws_request whole, parts;
	size_t scanned = 0, step = n > 0 ? 1 + data[0] % 64U : 1, have = 0;
	int status = -EAGAIN;

	if (n > WS_REQUEST_MAX_BYTES + 16)
		return 0;
	while (have < n && status == -EAGAIN) {
		have = step < n - have ? have + step : n;
		status = ws_handshake_parse(data, have, &scanned, &parts);
	}
	scanned = 0;
	int expected = ws_handshake_parse(data, have, &scanned, &whole);
	if (status != expected)
		abort();
	if (status != 0)
		return 0;
	const struct ws_text texts[] = { whole.path, whole.query, whole.protocols, whole.origin,
					 whole.authorization };
	if (whole.consumed > n || whole.consumed != parts.consumed ||
	    strlen(whole.key) != WS_KEY_TEXT_BYTES - 1)
		abort();
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].at != NULL && (texts[i].at < (const char *)data ||
					    texts[i].at + texts[i].n > (const char *)data + n))
			abort();
	return 0;
}
