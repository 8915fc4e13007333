/*
 * json_name: the JSON names of protobuf fields: an underscore goes and the letter behind it grows,
 * as in proto3's mapping.
 */
#include "json/json_message.h"

#include <string.h>

void
json_field_name(const ProtobufCFieldDescriptor *field, char ret_name[JSON_NAME_BYTES])
{
	size_t n = 0;
	bool grow = false;
	for (const char *c = field->name; *c != '\0' && n + 1 < JSON_NAME_BYTES; c++) {
		if (*c == '_') {
			grow = true;
			continue;
		}
		bool small = *c >= 'a' && *c <= 'z';
		ret_name[n++] = grow && small ? (char)(*c - 'a' + 'A') : *c;
		grow = false;
	}
	ret_name[n] = '\0';
}

bool
json_field_is_visible(const ProtobufCFieldDescriptor *field, unsigned int flags)
{
	return field->id < JSON_INTERNAL_FIELD_MIN || (flags & JSON_MESSAGE_INTERNAL) != 0;
}

const ProtobufCFieldDescriptor *
json_field_find(const ProtobufCMessageDescriptor *type, const char *json_name, unsigned int flags)
{
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		char name[JSON_NAME_BYTES];
		json_field_name(field, name);
		if (strcmp(name, json_name) == 0)
			return json_field_is_visible(field, flags) ? field : NULL;
	}
	return NULL;
}
