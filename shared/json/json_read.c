/*
 * json_read: JSON text to a protobuf-c message. jansson parses, after a scan of our own has
 * bounded the nesting: its own limit is 2048 and it recurses.
 */
#include "json/json_memory.h"
#include "json/json_message.h"
#include "json/json_value.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	unsigned int flags;
	size_t elements;
	char *field; /* where the reader is; what an error names */
};

static int read_object(struct reader *reader, const json_t *object, ProtobufCMessage *message);

/* The path so far with one more step; the caller cuts it back with path_leave. */
static size_t
path_enter(struct reader *reader, const char *name)
{
	size_t n = strlen(reader->field);
	snprintf(reader->field + n, JSON_FIELD_BYTES - n, "%s%s", n > 0 ? "." : "", name);
	return n;
}

static size_t
path_enter_item(struct reader *reader, size_t index)
{
	size_t n = strlen(reader->field);
	snprintf(reader->field + n, JSON_FIELD_BYTES - n, "[%zu]", index);
	return n;
}

static void
path_leave(struct reader *reader, size_t n)
{
	reader->field[n] = '\0';
}

ProtobufCMessage *
json_message_new(const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = calloc(1, type->sizeof_message);
	if (message != NULL)
		protobuf_c_message_init(type, message);
	return message;
}

static void *
message_at(ProtobufCMessage *message, unsigned int offset)
{
	return (char *)message + offset;
}

/* On failure nothing is stored. */
static int
read_value(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *value,
	   void *member)
{
	if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		return json_value_store(field, value, member);
	if (!json_is_object(value))
		return -EINVAL;
	ProtobufCMessage *sub = json_message_new(field->descriptor);
	if (sub == NULL)
		return -ENOMEM;
	int r = read_object(reader, value, sub);
	if (r < 0) {
		protobuf_c_message_free_unpacked(sub, NULL);
		return r;
	}
	*(ProtobufCMessage **)member = sub;
	return 0;
}

static int
read_list(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *list,
	  ProtobufCMessage *message)
{
	if (!json_is_array(list))
		return -EINVAL;
	size_t n = json_array_size(list);
	size_t size = json_value_size(field->type);
	if (n > JSON_ELEMENTS_MAX - reader->elements)
		return -E2BIG;
	reader->elements += n;
	if (n == 0)
		return 0;
	char *items = calloc(n, size);
	if (items == NULL)
		return -ENOMEM;
	/* The message owns the list from here on, as far as it is filled. */
	*(void **)message_at(message, field->offset) = items;
	size_t *count = message_at(message, field->quantifier_offset);
	for (size_t i = 0; i < n; i++) {
		size_t mark = path_enter_item(reader, i);
		int r = read_value(reader, field, json_array_get(list, i), items + i * size);
		if (r < 0)
			return r;
		path_leave(reader, mark);
		*count = i + 1;
	}
	return 0;
}

static bool
field_has_flag(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_OPTIONAL &&
	       field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_STRING;
}

static int
read_field(struct reader *reader, const ProtobufCFieldDescriptor *field, const json_t *value,
	   ProtobufCMessage *message)
{
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(reader, field, value, message);
	bool choice = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
	uint32_t *which = message_at(message, field->quantifier_offset);
	if (choice && *which != 0)
		return -EINVAL;
	int r = read_value(reader, field, value, message_at(message, field->offset));
	if (r < 0)
		return r;
	if (choice)
		*which = field->id;
	else if (field_has_flag(field))
		*(protobuf_c_boolean *)message_at(message, field->quantifier_offset) = 1;
	return 0;
}

static int
read_object(struct reader *reader, const json_t *object, ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		if (!json_field_is_visible(field, reader->flags))
			continue;
		char name[JSON_NAME_BYTES];
		json_field_name(field, name);
		const json_t *value = json_object_get(object, name);
		if (value == NULL || json_is_null(value))
			continue;
		size_t mark = path_enter(reader, name);
		int r = read_field(reader, field, value, message);
		if (r < 0)
			return r;
		path_leave(reader, mark);
	}
	return 0;
}

static bool
text_is_too_deep(const char *text, size_t n)
{
	size_t depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

static int
parse(const char *text, size_t n, json_t **ret_root)
{
	json_memory_begin();
	json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(root) && !json_memory_failed()) {
		*ret_root = root;
		return 0;
	}
	json_decref(root);
	return json_memory_failed() ? -ENOMEM : -EBADMSG;
}

int
json_message_read(const ProtobufCMessageDescriptor *type, const char *text, size_t n,
		  unsigned int flags, ProtobufCMessage **ret, char *ret_field)
{
	json_t *root = NULL;

	ret_field[0] = '\0';
	if (text_is_too_deep(text, n))
		return -ELOOP;
	int r = parse(text, n, &root);
	if (r < 0)
		return r;
	struct reader reader = { .flags = flags, .field = ret_field };
	ProtobufCMessage *message = json_message_new(type);
	r = message != NULL ? read_object(&reader, root, message) : -ENOMEM;
	json_decref(root);
	if (r < 0) {
		if (message != NULL)
			protobuf_c_message_free_unpacked(message, NULL);
		return r;
	}
	*ret = message;
	return 0;
}

int
json_message_set(ProtobufCMessage *message, const char *json_name, const char *text)
{
	const ProtobufCFieldDescriptor *field = json_field_find(message->descriptor, json_name, 0);
	if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED ||
	    field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_BYTES ||
	    (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
		return -ENOENT;
	uint64_t value = 0; /* holds any scalar, a pointer included */
	int r = json_value_store_text(field, text, &value);
	if (r < 0)
		return r;
	void *member = message_at(message, field->offset);
	if (field->type == PROTOBUF_C_TYPE_STRING && *(char **)member != field->default_value)
		free(*(char **)member);
	memcpy(member, &value, json_value_size(field->type));
	if (field_has_flag(field))
		*(protobuf_c_boolean *)message_at(message, field->quantifier_offset) = 1;
	return 0;
}
