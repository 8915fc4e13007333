/*
 * dns_message: the little of RFC 1035 that a forwarder must know: header, one question, SERVFAIL.
 * No I/O.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DNS_HEADER_BYTES = 12, DNS_MESSAGE_MAX_BYTES = 4096, DNS_PORT = 53 };

/* Bytes of header and question of a query with exactly one question, or -EBADMSG. */
int dns_query_check(const uint8_t *query, size_t n);

uint16_t dns_id_get(const uint8_t *message);
void dns_id_set(uint8_t *message, uint16_t id);

/* Does this message answer that query: same id, same question, QR set? */
bool dns_answer_matches(const uint8_t *answer, size_t answer_n, const uint8_t *query,
			size_t question_end);

/* Turns a query's header and question into a SERVFAIL answer, in place; its bytes are
 * question_end. */
void dns_make_servfail(uint8_t *query);
