/*
 * discovery_snapshot: relays and nodes by the page: ListRelays for clients and other relays,
 * Snapshot for indexes. No page is larger than a message, however long the fields are.
 */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_page.h"

enum { RELAY_OVERHEAD_BYTES = 4 };

/* What the public sees of a relay. */
static void
show_relay(Boson__Common__Relay *shown, const Boson__Common__Relay *relay)
{
	boson__common__relay__init(shown);
	shown->id = relay->id;
	shown->region = relay->region;
	shown->relay_endpoint = relay->relay_endpoint;
	shown->udp_endpoint = relay->udp_endpoint;
	shown->has_load = 1;
	shown->load = relay->has_load ? relay->load : 0;
}

/* Relays on their way into a reply. */
struct relay_page {
	Boson__Common__Relay shown[RELAYS_MAX], *pointers[RELAYS_MAX];
	size_t n, bytes;
};

static bool
add_relay(struct relay_page *page, const Boson__Common__Relay *relay, bool is_public)
{
	Boson__Common__Relay *shown = &page->shown[page->n];
	size_t bytes;

	if (is_public)
		show_relay(shown, relay);
	else
		*shown = *relay;
	bytes = boson__common__relay__get_packed_size(shown) + RELAY_OVERHEAD_BYTES;
	if (page->n == RELAYS_MAX || page->bytes + bytes > PAGE_BYTES_MAX)
		return false;
	page->pointers[page->n++] = shown;
	page->bytes += bytes;
	return true;
}

void
discovery_list_relays(struct discovery *discovery,
		      const Boson__Discovery__ListRelaysRequest *request,
		      Boson__Discovery__ListRelaysReply_Closure closure, void *call)
{
	Boson__Discovery__ListRelaysReply reply = BOSON__DISCOVERY__LIST_RELAYS_REPLY__INIT;
	const Boson__Common__Relay *found[RELAYS_MAX];
	bool is_public = request->caller != NULL;
	size_t limit = request->has_limit ? request->limit : PAGE_LIST_DEFAULT;
	struct relay_page page = { .n = 0 };
	size_t n;

	if (limit == 0 || limit > PAGE_LIST_MAX) {
		bus_call_fail(call, BUS_INVALID, "range", "limit");
		return;
	}
	n = discovery_relays_after(&discovery->relays, request->cursor, !is_public, found,
				   RELAYS_MAX);
	while (page.n < n && page.n < limit && add_relay(&page, found[page.n], is_public))
		continue;
	reply.relays = page.pointers;
	reply.n_relays = page.n;
	reply.has_count = 1;
	reply.count = (uint32_t)page.n;
	if (page.n > 0 && page.n < n)
		reply.next_cursor = page.shown[page.n - 1].id;
	closure(&reply, call);
}

/* Relays first. True when all of them are in. */
static bool
add_relays(struct relay_page *page, const struct relays *relays, size_t *at)
{
	uint32_t number = (uint32_t)*at;
	const Boson__Common__Relay *relay;

	while ((relay = discovery_relays_next(relays, &number)) != NULL) {
		if (!add_relay(page, relay, false))
			return false;
		*at = number;
	}
	return true;
}

void
discovery_snapshot(struct discovery *discovery, const Boson__Discovery__SnapshotRequest *request,
		   Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	struct relay_page relays = { .n = 0 };
	struct page_position position;
	struct page page;

	if (discovery_page_position_parse(request->cursor, discovery->epoch, &position) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "cursor");
		return;
	}
	if (discovery_page_init(&page, PAGE_SNAPSHOT_NODES) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 1);
		return;
	}
	if (!position.is_node && add_relays(&relays, &discovery->relays, &position.at))
		position = (struct page_position){ .is_node = true };
	page.bytes = relays.bytes;
	if (!position.is_node ||
	    discovery_page_snapshot(&page, &discovery->registry, &position.at)) {
		discovery_page_position_format(&position, discovery->epoch, page.cursor);
		reply.next_cursor = page.cursor;
	}
	reply.relays = relays.pointers;
	reply.n_relays = relays.n;
	reply.n_nodes = page.count;
	reply.nodes = page.nodes;
	closure(&reply, call);
	discovery_page_fini(&page);
}
