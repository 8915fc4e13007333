/*
 * ws_handshake: the HTTP request that asks for a WebSocket, and the answers to it (RFC 6455,
 * section 4; RFC 9112, strictly). Text in, text out: no I/O, nothing allocated, and nothing of what
 * a path, an origin or a token means: that is the caller's to judge.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WS_REQUEST_MAX_BYTES = 8 * 1024,
	WS_RESPONSE_MAX_BYTES = 512,
	WS_HEADERS_MAX = 64,
	WS_KEY_TEXT_BYTES = 25,
	WS_ACCEPT_TEXT_BYTES = 29,
};

/* A part of the request's own bytes. at NULL: it was not there. */
struct ws_text {
	const char *at;
	size_t n;
};

struct ws_request {
	struct ws_text path, query; /* of the target */
	struct ws_text protocols;   /* the list offered */
	struct ws_text origin, authorization;
	char key[WS_KEY_TEXT_BYTES];
	size_t consumed; /* of the input, blank line included */
};

/* 0 and the request; -EAGAIN: more must come; or the HTTP status to refuse with. *scanned, 0 at
 * first, remembers what earlier calls on the same growing bytes have judged. */
int ws_handshake_parse(const uint8_t *bytes, size_t n, size_t *scanned, struct ws_request *ret);

/* Is word, in any case, one of the items of a comma-separated list? */
bool ws_list_has(struct ws_text list, const char *word);

/* A Sec-WebSocket-Key as text: 0, or -EINVAL: not 16 bytes in base64. */
int ws_key_read(struct ws_text key, char ret[WS_KEY_TEXT_BYTES]);

/* Sec-WebSocket-Accept for this key. 0 or -EIO. */
int ws_accept_write(const char key[WS_KEY_TEXT_BYTES], char ret[WS_ACCEPT_TEXT_BYTES]);

/* The 101 for this key; protocol NULL: none was chosen. Returns its size. */
size_t ws_handshake_accept(char to[WS_RESPONSE_MAX_BYTES], const char key[WS_KEY_TEXT_BYTES],
			   const char *protocol);

/* A refusal with what its status asks for beside it. Returns its size. */
size_t ws_handshake_refuse(char to[WS_RESPONSE_MAX_BYTES], int status);
