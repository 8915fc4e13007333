/*
 * Frames, cut where the fuzzer says: whatever comes, the reader stays within its input, its events
 * are consistent, and cutting the stream elsewhere changes nothing of what it holds.
 */
#include "ws/ws_frame.h"

#include <stdlib.h>
#include <string.h>

enum { LIMIT = 2048, STREAM_MAX = 16 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Feeds the stream in pieces of step bytes; returns a digest of all events. */
static uint64_t
digest_of(const uint8_t *data, size_t n, size_t step)
{
	uint8_t *window = malloc(n + 1);
	struct ws_reader reader = { 0 };
	struct ws_event event = { 0 };
	uint64_t digest = 14695981039346656037u;
	size_t have = 0;

	if (window == NULL)
		abort();
	for (size_t fed = 0; fed < n && event.kind != WS_EVENT_FAIL;) {
		size_t piece = step < n - fed ? step : n - fed;

		memcpy(window + have, data + fed, piece);
		have += piece;
		fed += piece;
		for (;;) {
			ws_reader_next(&reader, window, have, LIMIT, 0, &event);
			if (event.kind == WS_EVENT_MORE && event.wanted <= have)
				abort();
			if (event.kind == WS_EVENT_MORE)
				break;
			digest = (digest ^ (uint64_t)event.kind ^ (uint64_t)event.code << 8) *
				 1099511628211u;
			if (event.kind == WS_EVENT_FAIL)
				break;
			if (event.consumed > have || event.consumed < 6 || event.n > LIMIT)
				abort();
			for (size_t i = 0; i < event.n; i++)
				digest = (digest ^ event.payload[i]) * 1099511628211u;
			memmove(window, window + event.consumed, have - event.consumed);
			have -= event.consumed;
		}
	}
	ws_reader_fini(&reader);
	free(window);
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2 || n > STREAM_MAX)
		return 0;
	size_t step = 1 + data[0];
	if (digest_of(data + 1, n - 1, step) != digest_of(data + 1, n - 1, n))
		abort();
	return 0;
}
