/* A client's query and a resolver's answer, both any bytes: split at the first byte's place. */
#include "forwarder/dns_message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
require(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint8_t query[DNS_MESSAGE_MAX_BYTES];

	if (n == 0)
		return 0;
	size_t query_n = data[0] < n ? data[0] : n - 1;
	const uint8_t *answer = data + 1 + query_n;
	size_t answer_n = n - 1 - query_n;
	int end = dns_query_check(data + 1, query_n);
	if (end < 0)
		return 0;
	require((size_t)end > DNS_HEADER_BYTES && (size_t)end <= query_n);
	memcpy(query, data + 1, query_n);
	(void)dns_answer_matches(answer, answer_n, query, (size_t)end);
	/* A query is no answer; our own refusal is one to it, and asks nothing. */
	require(!dns_answer_matches(query, query_n, data + 1, (size_t)end));
	dns_make_servfail(query);
	require(dns_answer_matches(query, (size_t)end, data + 1, (size_t)end));
	require(dns_query_check(query, (size_t)end) < 0);
	dns_id_set(query, (uint16_t)(dns_id_get(query) + 1));
	require(!dns_answer_matches(query, (size_t)end, data + 1, (size_t)end));
	return 0;
}
