/*
 * stand_in_wire: one connection of the relay stand-in: bytes, with or without TLS, WebSocket
 * frames, and the head of a request. Blocking. Written against RFC 6455 alone, without the code
 * under test.
 */
#pragma once

#include "relay_stand_in.h"

enum {
	MESSAGE_MAX = 64 * 1024 + 64,
	OP_TEXT = 1,
	OP_BINARY = 2,
	OP_CLOSE = 8,
	OP_PING = 9,
	FIN = 0x80
};

struct connection {
	struct stand_in *relay;
	int fd;
	SSL *ssl;
	char path[256];
};

bool stand_in_read_all(struct connection *c, void *to, size_t n);
bool stand_in_write_all(struct connection *c, const void *from, size_t n);
bool stand_in_send_frame(struct connection *c, int first, const void *payload, size_t n);
int stand_in_receive_frame(struct connection *c, uint8_t *payload, size_t *ret_n);
bool stand_in_header_value(const char *request, const char *name, char *ret, size_t capacity);
bool stand_in_read_request(struct connection *c, char *request, size_t capacity);
