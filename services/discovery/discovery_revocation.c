/*
 * discovery: nodes whose older session tokens are void, for gateways that start or missed an event.
 * From memory, a stretch of the registry at a time: it is long and such nodes are few.
 */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_page.h"

#include <stdio.h>
#include <stdlib.h>

enum { MS_PER_SEC = 1000, STRETCH_NODES = 20000, REVOCATIONS_MAX = 500 };

struct stretch {
	Boson__Discovery__Revocation revocations[REVOCATIONS_MAX];
	Boson__Discovery__Revocation *pointers[REVOCATIONS_MAX];
	char ids[REVOCATIONS_MAX][UUID_TEXT_BYTES];
	size_t count;
};

int64_t
discovery_revocation_time(int64_t wall_now_ms)
{
	return (wall_now_ms / MS_PER_SEC + 1) * MS_PER_SEC;
}

static void
add(struct stretch *stretch, const struct registry_node *node)
{
	Boson__Discovery__Revocation *revocation = &stretch->revocations[stretch->count];

	boson__discovery__revocation__init(revocation);
	uuid_format(node->id, stretch->ids[stretch->count]);
	revocation->node_id = stretch->ids[stretch->count];
	revocation->has_tokens_since = 1;
	revocation->tokens_since = node->tokens_since_ms;
	stretch->pointers[stretch->count++] = revocation;
}

/* From this position on; where it stopped. */
static size_t
collect(const struct registry *registry, size_t position, int64_t since_ms, struct stretch *ret)
{
	size_t end = position + STRETCH_NODES;

	for (; position < end && position < registry->count; position++) {
		const struct registry_node *node = registry->nodes[position];

		if (node->tokens_since_ms <= since_ms)
			continue;
		if (ret->count == REVOCATIONS_MAX)
			break;
		add(ret, node);
	}
	return position;
}

void
discovery_list_revocations(struct discovery *discovery,
			   const Boson__Discovery__ListRevocationsRequest *request,
			   Boson__Discovery__ListRevocationsReply_Closure closure, void *call)
{
	Boson__Discovery__ListRevocationsReply reply =
		BOSON__DISCOVERY__LIST_REVOCATIONS_REPLY__INIT;
	const struct registry *registry = &discovery->registry;
	int64_t since_ms = request->has_since && request->since > 0 ? request->since : 0;
	struct page_position position;
	char cursor[PAGE_CURSOR_BYTES];
	struct stretch *stretch;

	if (discovery_page_position_parse(request->cursor, discovery->epoch, &position) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "cursor");
		return;
	}
	stretch = calloc(1, sizeof(*stretch));
	if (stretch == NULL) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	position.at = collect(registry, position.at, since_ms, stretch);
	if (position.at < registry->count) {
		discovery_page_position_format(&position, discovery->epoch, cursor);
		reply.next_cursor = cursor;
	}
	reply.n_revocations = stretch->count;
	reply.revocations = stretch->pointers;
	closure(&reply, call);
	free(stretch);
}
