/*
 * routing's view of discovery: NodeChanged and RelayChanged as they come, a Snapshot at first and
 * after each gap. While discovery is dead, what is known stays; so it does when we die meanwhile
 * (routing_list).
 */
#include "routing/routing_handlers.h"

#include "discovery.pb-c.h"
#include "log/log.h"

#include <errno.h>
#include <string.h>

enum { SNAPSHOT_TIMEOUT_MS = 3000 };

static void ask_page(struct routing *routing);

static void
start_snapshot(struct routing *routing)
{
	routing->snapshot_due = true;
	if (routing->snapshot_running)
		return;
	routing->snapshot_due = false;
	routing->snapshot_running = true;
	routing->snapshot_cursor[0] = '\0';
	table_snapshot_begin(&routing->table);
	routing_links_mark(routing);
	ask_page(routing);
}

static void
end_snapshot(struct routing *routing)
{
	table_snapshot_end(&routing->table);
	routing_links_sweep(routing);
	routing->snapshot_running = false;
	if (!routing->has_snapshot)
		log_info("snapshot_taken", "nodes=%zu relays=%zu", routing->table.known,
			 routing->table.relay_count);
	routing->has_snapshot = true;
	if (routing->snapshot_due)
		start_snapshot(routing);
}

static void
put_node(struct routing *routing, const Boson__Discovery__Node *node, bool from_snapshot)
{
	int error = table_node_put(&routing->table, node, from_snapshot);

	if (error != 0)
		log_warn("node_not_indexed", "error=%d", error);
	if (error == -ENOMEM)
		routing->snapshot_due = true; /* the tick asks again */
}

void
routing_watch_take(struct routing *routing, const Boson__Discovery__SnapshotReply *page)
{
	for (size_t i = 0; i < page->n_relays; i++)
		routing_links_put(routing, page->relays[i]);
	for (size_t i = 0; i < page->n_nodes; i++)
		put_node(routing, page->nodes[i], true);
}

static void
on_snapshot(const Boson__Discovery__SnapshotReply *reply, void *arg)
{
	struct routing *routing = arg;

	if (reply == NULL || routing->stopping) {
		routing->snapshot_running = false;
		routing->snapshot_due = true; /* the tick asks again */
		return;
	}
	routing_watch_take(routing, reply);
	if (reply->next_cursor == NULL ||
	    strlen(reply->next_cursor) >= sizeof(routing->snapshot_cursor)) {
		end_snapshot(routing);
		return;
	}
	strcpy(routing->snapshot_cursor, reply->next_cursor);
	ask_page(routing);
}

static void
ask_page(struct routing *routing)
{
	Boson__Discovery__SnapshotRequest request = BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;

	if (routing->snapshot_cursor[0] != '\0')
		request.cursor = routing->snapshot_cursor;
	bus_peer_next(routing->discovery, SNAPSHOT_TIMEOUT_MS, NULL);
	boson__discovery__discovery__snapshot(bus_peer_service(routing->discovery), &request,
					      on_snapshot, routing);
}

static void
on_node_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__NodeChanged *change = (const Boson__Discovery__NodeChanged *)event;
	struct routing *routing = arg;
	uint8_t id[UUID_BYTES];

	if (change != NULL && change->node != NULL && change->node->node_id != NULL) {
		if (!change->deleted)
			put_node(routing, change->node, false);
		else if (uuid_parse(change->node->node_id, id) == 0)
			table_node_remove(&routing->table, id);
	}
	if (gap)
		start_snapshot(routing);
}

static void
on_relay_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__RelayChanged *change =
		(const Boson__Discovery__RelayChanged *)event;
	struct routing *routing = arg;

	if (change != NULL && change->relay != NULL && change->relay->id != NULL) {
		if (change->gone)
			routing_links_gone(routing, change->relay->id);
		else
			routing_links_put(routing, change->relay);
	}
	if (gap)
		start_snapshot(routing);
}

int
routing_watch_start(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	const char *events = actor_event_endpoint(context, "discovery");
	const char *key = actor_server_key(context, "discovery");
	int error;

	error = bus_peer_new(context->bus, actor_endpoint(context, "discovery"), key,
			     &boson__discovery__discovery__descriptor, &routing->discovery);
	if (error == 0)
		error = bus_subscribe(context->bus, events, key,
				      &boson__discovery__node_changed__descriptor, on_node_changed,
				      routing, &routing->nodes_changed);
	if (error == 0)
		error = bus_subscribe(context->bus, events, key,
				      &boson__discovery__relay_changed__descriptor,
				      on_relay_changed, routing, &routing->relays_changed);
	if (error == 0)
		start_snapshot(routing);
	else
		log_error("discovery_not_connected", "error=%d", error);
	return error;
}

void
routing_watch_tick(struct routing *routing)
{
	if (routing->snapshot_due && !routing->snapshot_running)
		start_snapshot(routing);
}

void
routing_watch_stop(struct routing *routing)
{
	bus_unsubscribe(&routing->nodes_changed);
	bus_unsubscribe(&routing->relays_changed);
	bus_peer_free(&routing->discovery);
}
