/*
 * bus_check: the scan of bus_message_unpack, with what it saw, and unpacking into an allocator.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

struct bus_check_seen {
	uint32_t elements; /* of repeated fields, and unknown fields */
	uint32_t unknown;
};

/* 0, or -errno as of bus_message_unpack. */
int bus_check_scan(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
		   struct bus_check_seen *ret_seen);

/* Scan, unpack, and forget unknown fields, so that nobody passes them on. */
int bus_check_unpack(const ProtobufCMessageDescriptor *type, ProtobufCAllocator *allocator,
		     const uint8_t *bytes, size_t n, ProtobufCMessage **ret);
