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
	TAILQ_ENTRY(relay_clone) by_news;
};

int
relay_clones_init(struct relay_clones *clones)
{
	memset(clones, 0, sizeof(*clones));
	TAILQ_INIT(&clones->by_news);
	return idtable_init(&clones->nodes, offsetof(struct relay_clone, by_node),
			    offsetof(struct relay_clone, node_id), UUID_BYTES);
}

static void
forget(struct relay_clones *clones, struct relay_clone *clone)
{
	TAILQ_REMOVE(&clones->by_news, clone, by_news);
	idtable_remove(&clones->nodes, clone);
	free(clone);
}

void
relay_clones_fini(struct relay_clones *clones)
{
	while (!TAILQ_EMPTY(&clones->by_news))
		forget(clones, TAILQ_FIRST(&clones->by_news));
	idtable_fini(&clones->nodes);
}

static struct relay_clone *
get(struct relay_clones *clones, const uint8_t node_id[UUID_BYTES])
{
	struct relay_clone *clone = idtable_find(&clones->nodes, node_id);

	if (clone != NULL) {
		TAILQ_REMOVE(&clones->by_news, clone, by_news);
		TAILQ_INSERT_TAIL(&clones->by_news, clone, by_news);
		return clone;
	}
	if (clones->nodes.count >= RELAY_CLONES_MAX)
		forget(clones, TAILQ_FIRST(&clones->by_news));
	clone = calloc(1, sizeof(*clone));
	if (clone == NULL)
		return NULL;
	memcpy(clone->node_id, node_id, UUID_BYTES);
	idtable_add(&clones->nodes, clone);
	TAILQ_INSERT_TAIL(&clones->by_news, clone, by_news);
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
