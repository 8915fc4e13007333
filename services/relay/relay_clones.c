/*
 * relay_clones: a table, and a list in order of what happened last.
 */
#include "relay/relay_clones.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct relay_clone {
	struct idtable_link by_node;
	uint8_t node_id[UUID_BYTES];
	int64_t since_ms;
	unsigned swaps;
	bool is_told;
	struct relay_clone *older, *newer;
};

int
relay_clones_init(struct relay_clones *clones)
{
	memset(clones, 0, sizeof(*clones));
	return idtable_init(&clones->nodes, offsetof(struct relay_clone, by_node),
			    offsetof(struct relay_clone, node_id), UUID_BYTES);
}

static void
unlink_clone(struct relay_clones *clones, struct relay_clone *clone)
{
	*(clone->older != NULL ? &clone->older->newer : &clones->oldest) = clone->newer;
	*(clone->newer != NULL ? &clone->newer->older : &clones->newest) = clone->older;
}

static void
link_newest(struct relay_clones *clones, struct relay_clone *clone)
{
	clone->older = clones->newest;
	clone->newer = NULL;
	*(clones->newest != NULL ? &clones->newest->newer : &clones->oldest) = clone;
	clones->newest = clone;
}

static void
forget(struct relay_clones *clones, struct relay_clone *clone)
{
	unlink_clone(clones, clone);
	idtable_remove(&clones->nodes, clone);
	free(clone);
}

void
relay_clones_fini(struct relay_clones *clones)
{
	while (clones->oldest != NULL)
		forget(clones, clones->oldest);
	idtable_fini(&clones->nodes);
}

static struct relay_clone *
get(struct relay_clones *clones, const uint8_t node_id[UUID_BYTES])
{
	struct relay_clone *clone = idtable_find(&clones->nodes, node_id);

	if (clone != NULL) {
		unlink_clone(clones, clone);
		link_newest(clones, clone);
		return clone;
	}
	if (clones->nodes.count >= RELAY_CLONES_MAX)
		forget(clones, clones->oldest);
	clone = calloc(1, sizeof(*clone));
	if (clone == NULL)
		return NULL;
	memcpy(clone->node_id, node_id, UUID_BYTES);
	idtable_add(&clones->nodes, clone);
	link_newest(clones, clone);
	return clone;
}

unsigned
relay_clones_add(struct relay_clones *clones, const uint8_t node_id[UUID_BYTES], bool is_sure,
		 int64_t now_ms)
{
	struct relay_clone *clone = get(clones, node_id);

	if (clone == NULL)
		return 0;
	if (clone->swaps == 0 || now_ms - clone->since_ms >= RELAY_CLONES_MS) {
		clone->since_ms = now_ms;
		clone->swaps = 0;
		clone->is_told = false;
	}
	clone->swaps++;
	if (clone->is_told || (!is_sure && clone->swaps < RELAY_CLONES_SWAPS))
		return 0;
	clone->is_told = true;
	return clone->swaps;
}
