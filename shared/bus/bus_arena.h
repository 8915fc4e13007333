/*
 * bus_arena: the allocator that unpacked messages live in while a handler or closure runs. Bounded,
 * freed as a whole; a message that would need more than the cap fails to unpack.
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BUS_ARENA_FIRST_BYTES = 32 * 1024,
	BUS_ARENA_MAX_BYTES = 2 * 1024 * 1024,
};

struct bus_arena {
	ProtobufCAllocator allocator; /* give this to protobuf-c */
	uint8_t *first;		      /* BUS_ARENA_FIRST_BYTES */
	size_t used;		      /* of first */
	struct bus_arena_block *more; /* what did not fit, one allocation each */
	size_t more_bytes;
};

int bus_arena_init(struct bus_arena *arena);
void bus_arena_fini(struct bus_arena *arena);

/* Everything that was allocated from it is gone. */
void bus_arena_reset(struct bus_arena *arena);
