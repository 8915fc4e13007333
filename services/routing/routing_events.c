/* routing tells of sessions that it opened or closed. A hint for whoever watches: not kept. */
#include "routing/routing_handlers.h"

#include "log/log.h"

#include <string.h>

int
routing_events_start(struct routing *routing)
{
	const struct actor_context *context = routing->context;
	const char *endpoint = actor_event_endpoint(context, "routing");
	int error = bus_publisher_new(context->bus, endpoint, &routing->publisher);

	if (error != 0)
		log_error("publisher_not_opened", "endpoint=%s error=%d", endpoint, error);
	return error;
}

void
routing_tell(const struct routing *routing, const struct session_record *record)
{
	Boson__Routing__SessionChanged event = BOSON__ROUTING__SESSION_CHANGED__INIT;
	char session_id[UUID_TEXT_BYTES], client_id[UUID_TEXT_BYTES], node_id[UUID_TEXT_BYTES];
	static char open[] = "open", closed[] = "closed";

	if (routing->publisher == NULL)
		return;
	uuid_format(record->id, session_id);
	uuid_format(record->client_id, client_id);
	uuid_format(record->node_id, node_id);
	event.session_id = session_id;
	event.client_id = client_id;
	event.node_id = node_id;
	event.relay_id = (char *)(uintptr_t)record->relay_id;
	event.status = record->status == SESSION_OPEN ? open : closed;
	event.has_expires_at = 1;
	event.expires_at = record->expires_wall_ms;
	(void)bus_publish(routing->publisher, &event.base);
}
