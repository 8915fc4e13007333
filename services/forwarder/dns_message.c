/*
 * dns_message: see dns_message.h.
 */
#include "forwarder/dns_message.h"

#include <errno.h>
#include <string.h>

enum {
	FLAG_QR = 0x80,		 /* of the third byte */
	OPCODE_MASK = 0x78,	 /* likewise */
	FLAG_RD = 0x01,		 /* likewise */
	FLAG_RA = 0x80,		 /* of the fourth */
	RCODE_SERVFAIL = 2,	 /* likewise */
	QUESTION_TAIL_BYTES = 4, /* type and class */
	LABEL_MAX = 63,
};

uint16_t
dns_id_get(const uint8_t *message)
{
	return (uint16_t)(message[0] << 8 | message[1]);
}

void
dns_id_set(uint8_t *message, uint16_t id)
{
	message[0] = (uint8_t)(id >> 8);
	message[1] = (uint8_t)id;
}

int
dns_query_check(const uint8_t *query, size_t n)
{
	if (n < DNS_HEADER_BYTES || n > DNS_MESSAGE_MAX_BYTES || (query[2] & FLAG_QR) ||
	    (query[2] & OPCODE_MASK) || query[4] != 0 || query[5] != 1)
		return -EBADMSG;
	size_t at = DNS_HEADER_BYTES;
	while (at < n && query[at] != 0) {
		if (query[at] > LABEL_MAX) /* a query's name needs no compression */
			return -EBADMSG;
		at += 1U + query[at];
	}
	if (at + 1 + QUESTION_TAIL_BYTES > n)
		return -EBADMSG;
	return (int)(at + 1 + QUESTION_TAIL_BYTES);
}

bool
dns_answer_matches(const uint8_t *answer, size_t answer_n, const uint8_t *query,
		   size_t question_end)
{
	return answer_n >= question_end && (answer[2] & FLAG_QR) &&
	       dns_id_get(answer) == dns_id_get(query) && answer[4] == 0 && answer[5] == 1 &&
	       memcmp(answer + DNS_HEADER_BYTES, query + DNS_HEADER_BYTES,
		      question_end - DNS_HEADER_BYTES) == 0;
}

void
dns_make_servfail(uint8_t *query)
{
	query[2] = (uint8_t)(FLAG_QR | (query[2] & FLAG_RD));
	query[3] = FLAG_RA | RCODE_SERVFAIL;
	memset(query + 6, 0, 6); /* no answer, authority, additional */
}
