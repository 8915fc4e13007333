/*
 * ws_handshake: the HTTP request that asks for a leg, and the answers to it (RFC 6455, section 4;
 * RFC 9112, strictly). Text in, text out: no I/O, no tickets checked, nothing allocated.
 */
#pragma once

#include "identity/ticket.h"

#include <stddef.h>
#include <stdint.h>

enum {
	WS_REQUEST_MAX_BYTES = 8 * 1024,
	WS_RESPONSE_MAX_BYTES = 512,
	WS_HEADERS_MAX = 64,
	WS_KEY_TEXT_BYTES = 25,
};

#define WS_SUBPROTOCOL "higgs.v1"

struct ws_request {
	uint8_t id[UUID_BYTES]; /* of /relay/<id> */
	char key[WS_KEY_TEXT_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
	size_t ticket_n;
	size_t consumed; /* of the input, blank line included */
};

/* 0 and the request; -EAGAIN: more must come; or the HTTP status to refuse with. *scanned, 0 at
 * first, remembers what earlier calls on the same growing bytes have judged. */
int ws_handshake_parse(const uint8_t *bytes, size_t n, size_t *scanned, struct ws_request *ret);

/* The 101 for this key. Returns its size. */
size_t ws_handshake_accept(char to[WS_RESPONSE_MAX_BYTES], const char key[WS_KEY_TEXT_BYTES]);

/* A refusal with what its status asks for beside it. Returns its size. */
size_t ws_handshake_refuse(char to[WS_RESPONSE_MAX_BYTES], int status);
