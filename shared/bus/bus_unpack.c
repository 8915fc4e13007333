/*
 * bus_unpack: from checked wire bytes to a message without unknown fields.
 */
#include "bus/bus_check.h"

#include "bus/bus.h"

#include <errno.h>
#include <stdlib.h>

static void forget_unknown(ProtobufCMessage *message, ProtobufCAllocator *allocator);

static void
forget_unknown_in_field(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			ProtobufCAllocator *allocator)
{
	const uint8_t *base = (const uint8_t *)message;
	const void *const *value = (const void *const *)(base + field->offset);

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)(base + field->quantifier_offset);
		ProtobufCMessage *const *items = *(ProtobufCMessage *const *const *)value;
		for (size_t i = 0; i < n; i++)
			forget_unknown(items[i], allocator);
		return;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t which = *(const uint32_t *)(base + field->quantifier_offset);
		if (which != field->id)
			return;
	}
	ProtobufCMessage *inner = *(ProtobufCMessage *const *)value;
	if (inner && (const void *)inner != field->default_value)
		forget_unknown(inner, allocator);
}

/* As deep as the scan allowed, so no deeper than BUS_DEPTH_MAX. */
static void
forget_unknown(ProtobufCMessage *message, ProtobufCAllocator *allocator)
{
	for (unsigned i = 0; i < message->n_unknown_fields; i++)
		allocator->free(allocator->allocator_data, message->unknown_fields[i].data);
	if (message->unknown_fields)
		allocator->free(allocator->allocator_data, message->unknown_fields);
	message->unknown_fields = NULL;
	message->n_unknown_fields = 0;
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		if (message->descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			forget_unknown_in_field(message, &message->descriptor->fields[i],
						allocator);
	}
}

int
bus_check_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
		 const uint8_t *bytes, size_t n, ProtobufCMessage **ret)
{
	struct bus_check_seen seen;
	int r = bus_check_scan(type, bytes, n, &seen);

	if (r < 0)
		return r;
	ProtobufCMessage *message = protobuf_c_message_unpack(type, allocator, n, bytes);
	if (!message)
		return -EBADMSG;
	if (seen.unknown > 0)
		forget_unknown(message, allocator);
	*ret = message;
	return 0;
}

static void *
heap_alloc(void *data, size_t n)
{
	(void)data;
	return malloc(n);
}

static void
heap_free(void *data, void *pointer)
{
	(void)data;
	free(pointer);
}

int
bus_message_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
		   ProtobufCMessage **ret)
{
	ProtobufCAllocator heap = { heap_alloc, heap_free, NULL };

	return bus_check_unpack(type, &heap, bytes, n, ret);
}
