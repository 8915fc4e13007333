/*
 * A leg's upgrade request: in one piece and byte by byte it must get the same judgement, and a good
 * one must be within its input.
 */
#include "relay/relay_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct relay_request whole, parts;
	size_t scanned = 0, step = n > 0 ? 1 + data[0] % 64U : 1, have = 0;
	int status = -EAGAIN;

	if (n > WS_REQUEST_MAX_BYTES + 16)
		return 0;
	while (have < n && status == -EAGAIN) {
		have = step < n - have ? have + step : n;
		status = relay_request_parse(data, have, &scanned, &parts);
	}
	scanned = 0;
	int expected = relay_request_parse(data, have, &scanned, &whole);
	if (status != expected)
		abort();
	if (status == 0 && (whole.consumed > n || strlen(whole.ticket) != whole.ticket_n ||
			    whole.ticket_n == 0 || strlen(whole.key) != WS_KEY_TEXT_BYTES - 1 ||
			    memcmp(whole.id, parts.id, UUID_BYTES) != 0))
		abort();
	return 0;
}
