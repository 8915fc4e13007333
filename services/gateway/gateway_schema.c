/*
 * gateway_schema: messages as OpenAPI schemas; see the header.
 */
#include "gateway/gateway_schema.h"

#include "gateway/gateway_endpoints.h"
#include "gateway/gateway_health.h"

#include <stdio.h>
#include <string.h>

enum { SCHEMAS_MAX = 128, REF_BYTES = 96 };

static const char error_schema[] =
	"{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":"
	"\"object\",\"required\":[\"code\",\"message\",\"requestId\"],\"properties\":{\"code\":{"
	"\"type\":\"string\"},\"message\":{\"type\":\"string\"},\"field\":{\"type\":\"string\"},"
	"\"requestId\":{\"type\":\"string\"}}}}}";

static const char status_schema[] =
	"{\"type\":\"object\",\"required\":[\"status\"],\"properties\":{\"status\":{\"type\":"
	"\"string\"}}}";

struct schemas {
	const ProtobufCMessageDescriptor *types[SCHEMAS_MAX];
	size_t n;
};

/* "boson.discovery.RegisterReply.RelayServer" without "boson." */
const char *
gateway_schema_name(const ProtobufCMessageDescriptor *type)
{
	const char *dot = strchr(type->name, '.');
	return dot != NULL ? dot + 1 : type->name;
}

static void
schemas_add(struct schemas *schemas, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < schemas->n; i++) {
		if (schemas->types[i] == type)
			return;
	}
	if (schemas->n == SCHEMAS_MAX)
		return;
	schemas->types[schemas->n++] = type;
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (field->type == PROTOBUF_C_TYPE_MESSAGE && json_field_is_visible(field, 0))
			schemas_add(schemas, field->descriptor);
	}
}

void
gateway_schema_write_ref(struct json_text *text, const char *name)
{
	char ref[REF_BYTES];
	snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
	json_text_open(text, '{');
	json_text_member(text, "$ref", ref);
	json_text_close(text, '}');
}

void
gateway_schema_write_type(struct json_text *text, const char *type, const char *format)
{
	json_text_open(text, '{');
	json_text_member(text, "type", type);
	if (format != NULL)
		json_text_member(text, "format", format);
	json_text_close(text, '}');
}

static void
write_enum(struct json_text *text, const ProtobufCEnumDescriptor *type)
{
	json_text_open(text, '{');
	json_text_member(text, "type", "string");
	json_text_key(text, "enum");
	json_text_open(text, '[');
	for (unsigned int i = 0; i < type->n_values; i++)
		json_text_string(text, type->values[i].name);
	json_text_close(text, ']');
	json_text_close(text, '}');
}

static void
write_value_schema(struct json_text *text, const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		gateway_schema_write_type(text, "integer", "int32");
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		gateway_schema_write_type(text, "integer", "int64");
		break;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		gateway_schema_write_type(text, "number", NULL);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		gateway_schema_write_type(text, "boolean", NULL);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(text, field->descriptor);
		break;
	case PROTOBUF_C_TYPE_STRING:
		gateway_schema_write_type(text, "string", NULL);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		gateway_schema_write_type(text, "string", "byte");
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		gateway_schema_write_ref(text, gateway_schema_name(field->descriptor));
		break;
	}
}

void
gateway_schema_write_field(struct json_text *text, const ProtobufCFieldDescriptor *field)
{
	if (field->label != PROTOBUF_C_LABEL_REPEATED) {
		write_value_schema(text, field);
		return;
	}
	json_text_open(text, '{');
	json_text_member(text, "type", "array");
	json_text_key(text, "items");
	write_value_schema(text, field);
	json_text_close(text, '}');
}

static void
write_message_schema(struct json_text *text, const ProtobufCMessageDescriptor *type)
{
	json_text_open(text, '{');
	json_text_member(text, "type", "object");
	json_text_key(text, "properties");
	json_text_open(text, '{');
	for (unsigned int i = 0; i < type->n_fields; i++) {
		char name[JSON_NAME_BYTES];
		if (!json_field_is_visible(&type->fields[i], 0))
			continue;
		json_field_name(&type->fields[i], name);
		json_text_key(text, name);
		gateway_schema_write_field(text, &type->fields[i]);
	}
	json_text_close(text, '}');
	json_text_close(text, '}');
}

void
gateway_schema_write_components(struct json_text *text)
{
	struct schemas schemas = { 0 };
	unsigned int index;
	for (size_t i = 0; i < gateway_endpoints_n; i++) {
		const struct gateway_endpoint *endpoint = &gateway_endpoints[i];
		const ProtobufCMethodDescriptor *rpc = gateway_endpoint_rpc(endpoint, &index);
		if (rpc != NULL && endpoint->body_max_bytes > 0)
			schemas_add(&schemas, rpc->input);
		if (rpc != NULL && endpoint->status != 204 &&
		    (endpoint->flags & ENDPOINT_TEXT) == 0)
			schemas_add(&schemas, rpc->output);
	}
	json_text_key(text, "securitySchemes");
	json_text_raw(text, "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}");
	json_text_key(text, "schemas");
	json_text_open(text, '{');
	json_text_key(text, "Error");
	json_text_raw(text, error_schema);
	json_text_key(text, "Health");
	json_text_raw(text, gateway_health_schema);
	json_text_key(text, "Status");
	json_text_raw(text, status_schema);
	json_text_key(text, "Description");
	json_text_raw(text, "{\"type\":\"object\",\"required\":[\"openapi\",\"paths\"]}");
	for (size_t i = 0; i < schemas.n; i++) {
		json_text_key(text, gateway_schema_name(schemas.types[i]));
		write_message_schema(text, schemas.types[i]);
	}
	json_text_close(text, '}');
}
