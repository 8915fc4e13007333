/*
 * gateway_openapi_answers: what each endpoint may answer, for its description: the success, and
 * every error that can come of it. For gateway_openapi.c alone.
 */
#pragma once

#include "gateway/gateway_endpoints.h"
#include "json/json_text.h"

void gateway_openapi_write_content(struct json_text *text, const char *schema);
void gateway_openapi_write_responses(struct json_text *text,
				     const struct gateway_endpoint *endpoint,
				     const ProtobufCMethodDescriptor *rpc);

/* The member `responses` of the components, which those refer to. */
void gateway_openapi_write_errors(struct json_text *text);
