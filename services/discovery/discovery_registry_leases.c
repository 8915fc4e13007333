/*
 * discovery_registry's other half: who is alive. All leases are equally long, so that they form a
 * queue: a heartbeat moves a node to its end, and the head is always the next to expire.
 */
#include "discovery/discovery_registry.h"

void
registry_end_lease(struct registry *registry, struct registry_node *node)
{
	if (!node->has_lease)
		return;
	if (node->lease_previous != NULL)
		node->lease_previous->lease_next = node->lease_next;
	else
		registry->lease_first = node->lease_next;
	if (node->lease_next != NULL)
		node->lease_next->lease_previous = node->lease_previous;
	else
		registry->lease_last = node->lease_previous;
	node->lease_previous = NULL;
	node->lease_next = NULL;
	node->has_lease = false;
	registry->online--;
}

static void
renew_lease(struct registry *registry, struct registry_node *node, int64_t now_ms)
{
	registry_end_lease(registry, node);
	node->lease_end_ms = now_ms + registry->lease_ms;
	node->lease_previous = registry->lease_last;
	if (registry->lease_last != NULL)
		registry->lease_last->lease_next = node;
	else
		registry->lease_first = node;
	registry->lease_last = node;
	node->has_lease = true;
	registry->online++;
}

bool
registry_hear(struct registry *registry, struct registry_node *node, enum registry_status claimed,
	      const Boson__Discovery__NodeMetrics *vitals, int64_t now_ms, int64_t now_wall_ms)
{
	bool differs = node->status != claimed;
	struct discovery_vitals heard;

	if (vitals != NULL) {
		discovery_vitals_take(&heard, vitals);
		if (discovery_vitals_moved(&node->vitals, &heard)) {
			node->unsaved_vitals = true;
			differs = true;
		}
		node->vitals = heard;
	}
	node->last_seen_wall_ms = now_wall_ms;
	node->status = claimed;
	if (claimed == REGISTRY_OFFLINE)
		registry_end_lease(registry, node);
	else
		renew_lease(registry, node, now_ms);
	registry_put_unsaved(registry, node);
	if (differs)
		node->version = registry_stamp(registry, now_wall_ms);
	return differs;
}

bool
registry_hear_from(struct registry *registry, struct registry_node *node,
		   enum registry_status status, const struct discovery_vitals *vitals,
		   uint64_t version, int64_t now_ms, int64_t heard_wall_ms)
{
	bool is_newer = version >= node->version && !node->unsaved;
	bool differs = is_newer && node->status != status;

	registry_witness(registry, version);
	if (node->deleted)
		return false;
	if (heard_wall_ms > node->last_seen_wall_ms)
		node->last_seen_wall_ms = heard_wall_ms;
	if (is_newer) {
		if (vitals->is_known)
			node->vitals = *vitals;
		node->status = status;
		node->version = version;
	}
	if (node->status == REGISTRY_OFFLINE)
		registry_end_lease(registry, node);
	else
		renew_lease(registry, node, now_ms);
	return differs;
}

size_t
registry_due(const struct registry *registry, int64_t now_ms, struct registry_node **ret_nodes,
	     size_t max)
{
	struct registry_node *node = registry->lease_first;
	size_t n = 0;

	for (; node != NULL && node->lease_end_ms <= now_ms && n < max; node = node->lease_next)
		ret_nodes[n++] = node;
	return n;
}

bool
registry_end(struct registry *registry, struct registry_node *node, uint64_t version)
{
	bool differs = node->status != REGISTRY_OFFLINE;

	registry_end_lease(registry, node);
	node->status = REGISTRY_OFFLINE;
	registry_witness(registry, version);
	if (differs)
		node->version = version;
	return differs;
}

void
registry_forgive(struct registry *registry, int64_t now_ms)
{
	for (struct registry_node *node = registry->lease_first; node != NULL;
	     node = node->lease_next)
		node->lease_end_ms = now_ms + registry->lease_ms;
}
