/*
 * bus_arena: see bus_arena.h.
 */
#include "bus/bus_arena.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

struct bus_arena_block {
	struct bus_arena_block *next;
	alignas(max_align_t) uint8_t bytes[];
};

static void *
arena_alloc(void *data, size_t n)
{
	struct bus_arena *arena = data;
	size_t unit = alignof(max_align_t);

	if (n > BUS_ARENA_MAX_BYTES)
		return NULL;
	n = (n + unit - 1) / unit * unit;
	if (n <= BUS_ARENA_FIRST_BYTES - arena->used) {
		void *p = arena->first + arena->used;
		arena->used += n;
		return p;
	}
	if (arena->more_bytes + n > BUS_ARENA_MAX_BYTES)
		return NULL;
	struct bus_arena_block *block = malloc(sizeof(*block) + n);
	if (!block)
		return NULL;
	block->next = arena->more;
	arena->more = block;
	arena->more_bytes += n;
	return block->bytes;
}

static void
arena_free(void *data, void *pointer)
{
	(void)data, (void)pointer; /* freed as a whole */
}

int
bus_arena_init(struct bus_arena *arena)
{
	*arena = (struct bus_arena){ .allocator = { arena_alloc, arena_free, arena } };
	arena->first = malloc(BUS_ARENA_FIRST_BYTES);
	return arena->first ? 0 : -ENOMEM;
}

void
bus_arena_reset(struct bus_arena *arena)
{
	while (arena->more) {
		struct bus_arena_block *block = arena->more;
		arena->more = block->next;
		free(block);
	}
	arena->more_bytes = 0;
	arena->used = 0;
}

void
bus_arena_fini(struct bus_arena *arena)
{
	if (!arena->first)
		return;
	bus_arena_reset(arena);
	free(arena->first);
	arena->first = NULL;
}
