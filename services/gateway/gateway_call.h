/*
 * gateway_call: a request as a message on the bus, and the reply as an answer. What the bus alone
 * knows (fields from 100 up: caller, proof, tokens to mint) is filled in and taken out here.
 */
#pragma once

#include "gateway/gateway_request.h"

/* Builds the message from body, path and query. 0, or -1 and the answer says why. */
int gateway_call_build(struct gateway_request *request, ProtobufCMessage **ret);

/* Sends it; the answer comes through request->on_answer. The message is consumed. */
void gateway_call_send(struct gateway_request *request, ProtobufCMessage **message);
