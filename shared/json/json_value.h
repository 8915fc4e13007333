/*
 * json_value: single values of protobuf-c fields, from JSON or from text, checked against the
 * field's type. Inside shared/json only.
 */
#pragma once

#include "json/json_message.h"

#include <jansson.h>

/* Stores value where member points, in the C type of the field. Strings and bytes are copied.
 * Not for messages. 0, -EINVAL, -ERANGE, -ENOMEM. */
int json_value_store(const ProtobufCFieldDescriptor *field, const json_t *value, void *member);

/* The same from the text of a path or query parameter. */
int json_value_store_text(const ProtobufCFieldDescriptor *field, const char *text, void *member);

/* Bytes that one value of this type takes in a message's C struct. */
size_t json_value_size(ProtobufCType type);
