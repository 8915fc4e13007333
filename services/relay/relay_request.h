/*
 * relay_request: what an upgrade request means to a relay: the leg its path names, and the ticket
 * that is to admit it. The ticket itself is checked elsewhere (relay_upgrade).
 */
#pragma once

#include "identity/ticket.h"
#include "ws/ws_handshake.h"

#define RELAY_SUBPROTOCOL "higgs.v1"

struct relay_request {
	uint8_t id[UUID_BYTES]; /* of /relay/<id> */
	char key[WS_KEY_TEXT_BYTES];
	char ticket[TICKET_TEXT_MAX_BYTES];
	size_t ticket_n;
	bool is_raw;	 /* no subprotocol: one message is one datagram */
	size_t consumed; /* of the input, blank line included */
};

/* As ws_handshake_parse: 0, -EAGAIN, or the status to refuse with. */
int relay_request_parse(const uint8_t *bytes, size_t n, size_t *scanned, struct relay_request *ret);
