/*
 * gateway_schema: messages as OpenAPI schemas, from their descriptors, and the members of the
 * components section that hold all that the endpoint table needs.
 */
#pragma once

#include "json/json_message.h"

/* "discovery.RegisterReply.RelayServer" */
const char *gateway_schema_name(const ProtobufCMessageDescriptor *type);

void gateway_schema_write_ref(struct json_text *text, const char *name);
void gateway_schema_write_type(struct json_text *text, const char *type, const char *format);
void gateway_schema_write_field(struct json_text *text, const ProtobufCFieldDescriptor *field);
void gateway_schema_write_components(struct json_text *text);
