/*
 * gateway_mint: session tokens in replies. A service that wants one says `mint_subject` (a field
 * of the bus); the row of the endpoint says the role. Only here do tokens come into being.
 */
#pragma once

#include "gateway/gateway_request.h"

/* A copy of reply with session_token, and expires_at where it was absent, filled in; *ret NULL when
 * the reply asks for none. Free with protobuf_c_message_free_unpacked(m, NULL). 0 or -errno. */
int gateway_mint(const struct gateway_request *request, const ProtobufCMessage *reply,
		 ProtobufCMessage **ret);
