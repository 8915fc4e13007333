/*
 * gateway_response: an answer as libmicrohttpd wants it, with the headers that every answer has and
 * those of CORS: only for origins that are configured, never with credentials (P12).
 */
#pragma once

#include "gateway/gateway_request.h"

struct MHD_Connection;

/* Consumes the answer's body. 0 or -ENOMEM. */
int gateway_response_queue(struct MHD_Connection *mhd, struct gateway_request *request, bool close);
