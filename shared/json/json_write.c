/*
 * json_write: a protobuf-c message as JSON text. Depth is bounded by the descriptors: no message
 * of ours contains itself.
 */
#include "json/json_message.h"
#include "json/json_value.h"

#include "identity/key.h"

#include <stdlib.h>

static void write_object(struct json_text *text, const ProtobufCMessage *message,
			 unsigned int flags, bool top);

static const void *
message_at(const ProtobufCMessage *message, unsigned int offset)
{
	return (const char *)message + offset;
}

static void
write_bytes(struct json_text *text, const ProtobufCBinaryData *data)
{
	char *encoded = malloc((data->len + 2) / 3 * 4 + 1);
	if (encoded == NULL) {
		text->failed = true;
		return;
	}
	base64_encode(data->data, data->len, encoded);
	json_text_string(text, encoded);
	free(encoded);
}

static void
write_enum(struct json_text *text, const ProtobufCFieldDescriptor *field, int number)
{
	const ProtobufCEnumValue *value =
		protobuf_c_enum_descriptor_get_value(field->descriptor, number);
	if (value != NULL)
		json_text_string(text, value->name);
	else
		json_text_int(text, number); /* from a newer peer */
}

static void
write_value(struct json_text *text, const ProtobufCFieldDescriptor *field, const void *member,
	    unsigned int flags)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		json_text_int(text, *(const int32_t *)member);
		break;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		json_text_int(text, *(const int64_t *)member);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		json_text_uint(text, *(const uint32_t *)member);
		break;
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		json_text_uint(text, *(const uint64_t *)member);
		break;
	case PROTOBUF_C_TYPE_FLOAT:
		json_text_double(text, (double)*(const float *)member);
		break;
	case PROTOBUF_C_TYPE_DOUBLE:
		json_text_double(text, *(const double *)member);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		json_text_bool(text, *(const protobuf_c_boolean *)member != 0);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		write_enum(text, field, *(const int *)member);
		break;
	case PROTOBUF_C_TYPE_STRING:
		json_text_string(text, *(const char *const *)member);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		write_bytes(text, member);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		write_object(text, *(const ProtobufCMessage *const *)member, flags, false);
		break;
	}
}

static bool
field_is_present(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message)
{
	const void *quantifier = message_at(message, field->quantifier_offset);
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	    *(const uint32_t *)quantifier != field->id)
		return false;
	if (field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const void *const *)message_at(message, field->offset) != NULL;
	if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return true;
	return field->label != PROTOBUF_C_LABEL_OPTIONAL ||
	       *(const protobuf_c_boolean *)quantifier != 0;
}

static void
write_list(struct json_text *text, const ProtobufCFieldDescriptor *field,
	   const ProtobufCMessage *message, unsigned int flags)
{
	size_t n = *(const size_t *)message_at(message, field->quantifier_offset);
	const char *items = *(const char *const *)message_at(message, field->offset);
	json_text_open(text, '[');
	for (size_t i = 0; i < n; i++)
		write_value(text, field, items + i * json_value_size(field->type), flags);
	json_text_close(text, ']');
}

static void
write_object(struct json_text *text, const ProtobufCMessage *message, unsigned int flags, bool top)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	json_text_open(text, '{');
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
		if (!json_field_is_visible(field, flags))
			continue;
		if (list && !top &&
		    *(const size_t *)message_at(message, field->quantifier_offset) == 0)
			continue;
		if (!list && !field_is_present(field, message))
			continue;
		char name[JSON_NAME_BYTES];
		json_field_name(field, name);
		json_text_key(text, name);
		if (list)
			write_list(text, field, message, flags);
		else
			write_value(text, field, message_at(message, field->offset), flags);
	}
	json_text_close(text, '}');
}

void
json_message_write(struct json_text *text, const ProtobufCMessage *message, unsigned int flags)
{
	write_object(text, message, flags, true);
}
