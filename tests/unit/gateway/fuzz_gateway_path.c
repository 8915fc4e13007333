/*
 * Any bytes as a request's head, and as its target: judged without harm; what is found holds.
 */
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct gate_verdict verdict;
	/* A copy of exactly n bytes, so that a read beyond is seen. */
	char *head = malloc(n > 0 ? n : 1);
	if (head == NULL)
		return 0;
	memcpy(head, data, n);
	long length = gateway_gate_head(head, n, 65536, &verdict);
	if (length > (long)n || (length < 0 && verdict.status < 400))
		abort();
	free(head);
	try_target(data, n);
	return 0;
}
