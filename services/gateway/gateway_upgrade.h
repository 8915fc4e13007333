/*
 * gateway_upgrade: is a request one for a WebSocket, and what is said to it (RFC 6455, 4.2). The
 * gate has let nothing through that is for anything else. No I/O.
 */
#pragma once

#include "gateway/gateway_request.h"
#include "ws/ws_handshake.h"

bool gateway_upgrade_is_good(const struct gateway_head *head);

/* Sec-WebSocket-Accept, for a head that is good. 0 or -EIO. */
int gateway_upgrade_accept(const struct gateway_head *head, char ret[WS_ACCEPT_TEXT_BYTES]);

/* When the caller has to come again, on the loop's clock: with its token's end, and in an hour at
 * the latest, since keys can be revoked. */
int64_t gateway_upgrade_expiry(const struct gateway_request *request);
