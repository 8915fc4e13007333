/*
 * json_message: JSON <-> protobuf-c messages, through their descriptors alone: no message has code
 * of its own. The mapping is proto3's where both have an opinion: camelCase names (`node_id` is
 * nodeId, `allowed_i_ps` is allowedIPs), enums by name, bytes as base64, null as absent. 64-bit
 * integers are JSON numbers. Used by gateway and bosonctl. Any thread.
 *
 * Fields numbered 100 and up are the bus's own: neither read nor shown, unless
 * JSON_MESSAGE_INTERNAL asks for them.
 */
#pragma once

#include "json/json_text.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum json_message_flags {
	JSON_MESSAGE_INTERNAL = 1 << 0,
};

enum {
	JSON_DEPTH_MAX = 32,
	JSON_ELEMENTS_MAX = 1024, /* list items in a message, as on the bus */
	JSON_INTERNAL_FIELD_MIN = 100,
	JSON_FIELD_BYTES = 96, /* a field's path: "capabilities.bandwidth.up", "dns[1]" */
	JSON_NAME_BYTES = 64,
};

/* Reads one JSON object of n bytes. Unknown members are ignored; duplicate members, anything after
 * the object, NaN, numbers that overflow and "\u0000" are refused. *ret is free'd with
 * protobuf_c_message_free_unpacked(m, NULL).
 *
 * 0, or: -EBADMSG not JSON, -ELOOP nested too deep, -EINVAL a field of the wrong type, -ERANGE a
 * number its field cannot hold, -E2BIG too many list items, -ENOMEM. ret_field, JSON_FIELD_BYTES,
 * names the field for -EINVAL, -ERANGE and -E2BIG, else "". */
int json_message_read(const ProtobufCMessageDescriptor *type, const char *text, size_t n,
		      unsigned int flags, ProtobufCMessage **ret, char *ret_field);

/* An empty message of this type, to be filled with json_message_set. NULL: out of memory. */
ProtobufCMessage *json_message_new(const ProtobufCMessageDescriptor *type);

/* Sets the field with this JSON name from text, as it stands in a path or a query, replacing what
 * was there. Numbers are plain decimals. -ENOENT: no such visible field, or not a single scalar;
 * -EINVAL, -ERANGE, -ENOMEM as above. */
int json_message_set(ProtobufCMessage *message, const char *json_name, const char *text);

/* Appends the message as an object. Lists that are empty are shown at the top, left out below. */
void json_message_write(struct json_text *text, const ProtobufCMessage *message,
			unsigned int flags);

/* The JSON name of a field, and the field of a JSON name (NULL when there is none, or flags hide
 * it). */
void json_field_name(const ProtobufCFieldDescriptor *field, char ret_name[JSON_NAME_BYTES]);
const ProtobufCFieldDescriptor *json_field_find(const ProtobufCMessageDescriptor *type,
						const char *json_name, unsigned int flags);
bool json_field_is_visible(const ProtobufCFieldDescriptor *field, unsigned int flags);
