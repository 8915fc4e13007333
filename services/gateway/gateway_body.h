/*
 * gateway_body: where a request's body ends, and what of the bytes is its content: by
 * Content-Length or in chunks (RFC 9112, 6 and 7.1). Strict: chunk extensions and trailers, which
 * nobody here reads and others read differently, are refused. No I/O.
 */
#pragma once

#include "gateway/gateway_gate.h"

enum gateway_body_state {
	BODY_DONE,
	BODY_PLAIN,
	BODY_CHUNK_SIZE,
	BODY_CHUNK_SIZE_LF,
	BODY_CHUNK,
	BODY_CHUNK_CR,
	BODY_CHUNK_LF,
	BODY_END_CR,
	BODY_END_LF,
};

struct gateway_body {
	enum gateway_body_state state;
	uint64_t left; /* of the body, or of the chunk */
	unsigned int digits;
};

/* From a head that passed the gate. */
void gateway_body_init(struct gateway_body *body, const struct gate_tally *tally);

/* The next piece: the bytes taken, of which *ret_n at *ret_content are content, perhaps none. -1:
 * these are no chunks. Call it until it takes nothing or body->state is BODY_DONE. */
long gateway_body_take(struct gateway_body *body, const char *bytes, size_t n,
		       const char **ret_content, size_t *ret_n);
