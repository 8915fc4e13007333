/*
 * json_value: single values of protobuf-c fields; see the header.
 */
#include "json/json_value.h"
#include "json/json_memory.h"

#include "identity/key.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t
json_value_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(uint32_t);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return sizeof(uint64_t);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return sizeof(void *);
}

static int
store_signed(ProtobufCType type, int64_t value, void *member)
{
	if (json_value_size(type) == sizeof(int64_t)) {
		*(int64_t *)member = value;
		return 0;
	}
	if (value < INT32_MIN || value > INT32_MAX)
		return -ERANGE;
	*(int32_t *)member = (int32_t)value;
	return 0;
}

static int
store_unsigned(ProtobufCType type, int64_t value, void *member)
{
	if (value < 0)
		return -ERANGE;
	if (json_value_size(type) == sizeof(uint64_t)) {
		*(uint64_t *)member = (uint64_t)value;
		return 0;
	}
	if (value > UINT32_MAX)
		return -ERANGE;
	*(uint32_t *)member = (uint32_t)value;
	return 0;
}

static int
store_real(ProtobufCType type, double value, void *member)
{
	if (!isfinite(value))
		return -ERANGE;
	if (type == PROTOBUF_C_TYPE_DOUBLE) {
		*(double *)member = value;
		return 0;
	}
	if (value > (double)3.4e38F || value < (double)-3.4e38F)
		return -ERANGE;
	*(float *)member = (float)value;
	return 0;
}

static int
store_enum(const ProtobufCFieldDescriptor *field, const char *name, void *member)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, name);
	if (value == NULL)
		return -EINVAL;
	*(int *)member = value->value;
	return 0;
}

static int
store_string(const char *text, void *member)
{
	char *copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	*(char **)member = copy;
	return 0;
}

static int
store_bytes(const char *text, void *member)
{
	size_t capacity = strlen(text) / 4 * 3 + 3;
	uint8_t *data = malloc(capacity);
	if (data == NULL)
		return -ENOMEM;
	int n = base64_decode(text, data, capacity);
	if (n < 0) {
		free(data);
		return -EINVAL;
	}
	*(ProtobufCBinaryData *)member = (ProtobufCBinaryData){ .len = (size_t)n, .data = data };
	return 0;
}

int
json_value_store(const ProtobufCFieldDescriptor *field, const json_t *value, void *member)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_is_integer(value)
			       ? store_signed(field->type, json_integer_value(value), member)
			       : -EINVAL;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_is_integer(value)
			       ? store_unsigned(field->type, json_integer_value(value), member)
			       : -EINVAL;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_is_number(value)
			       ? store_real(field->type, json_number_value(value), member)
			       : -EINVAL;
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(value))
			return -EINVAL;
		*(protobuf_c_boolean *)member = json_is_true(value);
		return 0;
	case PROTOBUF_C_TYPE_ENUM:
		return json_is_string(value) ? store_enum(field, json_string_value(value), member)
					     : -EINVAL;
	case PROTOBUF_C_TYPE_STRING:
		return json_is_string(value) ? store_string(json_string_value(value), member)
					     : -EINVAL;
	case PROTOBUF_C_TYPE_BYTES:
		return json_is_string(value) ? store_bytes(json_string_value(value), member)
					     : -EINVAL;
	case PROTOBUF_C_TYPE_MESSAGE:
		break;
	}
	return -EINVAL;
}

/* The text as the JSON value it would be in a body, so that there is one set of rules. */
static json_t *
value_from_text(ProtobufCType type, const char *text)
{
	if (type == PROTOBUF_C_TYPE_STRING || type == PROTOBUF_C_TYPE_ENUM ||
	    type == PROTOBUF_C_TYPE_BYTES)
		return json_string(text);
	/* JSON allows space around a value; a parameter has none. */
	if (text[strspn(text, "0123456789+-.eEtrufals")] != '\0')
		return NULL;
	return json_loads(text, JSON_DECODE_ANY, NULL);
}

int
json_value_store_text(const ProtobufCFieldDescriptor *field, const char *text, void *member)
{
	json_memory_begin();
	json_t *value = value_from_text(field->type, text);
	int r = json_memory_failed() ? -ENOMEM : -EINVAL;
	if (value != NULL && !json_memory_failed())
		r = json_value_store(field, value, member);
	json_decref(value);
	return r;
}
