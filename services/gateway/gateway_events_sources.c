/*
 * gateway_events_sources: who is heard: discovery, routing, and each relay known to discovery; see
 * gateway_events.h.
 */
#include "gateway/gateway_events_inside.h"

#include "discovery.pb-c.h"
#include "log/log.h"
#include "relay.pb-c.h"
#include "routing.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_TIMEOUT_MS = 3000 };

static const ProtobufCMessageDescriptor *const relay_kinds[EVENT_KINDS_OF_RELAYS] = {
	&boson__relay__leg_attached__descriptor,
	&boson__relay__leg_detached__descriptor,
	&boson__relay__node_duplicate__descriptor,
	&boson__relay__relay_load__descriptor,
	&boson__relay__session_usage__descriptor,
};

static void
on_event(const ProtobufCMessage *event, bool gap, void *arg)
{
	(void)gap; /* hints: who needs the truth asks the endpoints */
	if (event != NULL)
		gateway_events_show(arg, event);
}

static void
source_forget(struct event_source **at)
{
	struct event_source *source = *at;
	*at = source->next;
	source->events->sources_n--;
	for (size_t i = 0; i < EVENT_KINDS_OF_RELAYS; i++)
		bus_unsubscribe(&source->subscriptions[i]);
	free(source);
}

static struct event_source **
source_find(struct gateway_events *events, const char *id)
{
	struct event_source **at = &events->sources;
	while (*at != NULL && strcmp((*at)->id, id) != 0)
		at = &(*at)->next;
	return at;
}

static bool
source_is_new(struct gateway_events *events, const Boson__Common__Relay *relay)
{
	if (relay->id == NULL || relay->event_endpoint == NULL ||
	    strlen(relay->id) >= RELAY_ID_BYTES ||
	    strlen(relay->event_endpoint) >= RELAY_ENDPOINT_BYTES)
		return false;
	struct event_source **at = source_find(events, relay->id);
	if (*at == NULL)
		return events->sources_n < EVENT_SOURCES_MAX;
	if (strcmp((*at)->endpoint, relay->event_endpoint) == 0)
		return false;
	source_forget(at);
	return true;
}

static void
source_add(struct gateway_events *events, const Boson__Common__Relay *relay)
{
	struct event_source *source =
		source_is_new(events, relay) ? calloc(1, sizeof(*source)) : NULL;
	int r = 0;
	if (source == NULL)
		return;
	source->events = events;
	strcpy(source->id, relay->id);
	strcpy(source->endpoint, relay->event_endpoint);
	source->next = events->sources;
	events->sources = source;
	events->sources_n++;
	for (size_t i = 0; r == 0 && i < EVENT_KINDS_OF_RELAYS; i++)
		r = bus_subscribe(events->context->bus, source->endpoint, relay->bus_key,
				  relay_kinds[i], on_event, events, &source->subscriptions[i]);
	if (r < 0) {
		log_warn("relay_not_heard", "relay=%s error=%s", source->id, strerror(-r));
		source_forget(source_find(events, source->id));
	}
}

/* All relays are on the first page. */
static void
on_snapshot(const Boson__Discovery__SnapshotReply *reply, void *arg)
{
	struct gateway_events *events = arg;
	events->is_asking = false;
	for (size_t i = 0; events->is_heard && reply != NULL && i < reply->n_relays; i++)
		source_add(events, reply->relays[i]);
}

static void
ask_for_relays(struct gateway_events *events)
{
	static const Boson__Discovery__SnapshotRequest request =
		BOSON__DISCOVERY__SNAPSHOT_REQUEST__INIT;
	if (events->is_asking)
		return;
	events->is_asking = true;
	bus_peer_next(events->discovery, SNAPSHOT_TIMEOUT_MS, NULL);
	boson__discovery__discovery__snapshot(bus_peer_service(events->discovery), &request,
					      on_snapshot, events);
}

static void
on_relay_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__RelayChanged *change =
		(const Boson__Discovery__RelayChanged *)event;
	struct gateway_events *events = arg;
	if (gap)
		ask_for_relays(events);
	if (change == NULL || change->relay == NULL || change->relay->id == NULL)
		return;
	struct event_source **at = source_find(events, change->relay->id);
	if (!change->gone)
		source_add(events, change->relay);
	else if (*at != NULL)
		source_forget(at);
	gateway_events_show(events, event);
}

static int
hear(struct gateway_events *events, const char *service, const ProtobufCMessageDescriptor *kind,
     bus_event_fn fn, struct bus_subscription **ret)
{
	const struct actor_context *context = events->context;
	return bus_subscribe(context->bus, actor_event_endpoint(context, service),
			     actor_server_key(context, service), kind, fn, events, ret);
}

int
gateway_events_hear(struct gateway_events *events)
{
	if (events->is_heard)
		return 0;
	int r = hear(events, "discovery", &boson__discovery__node_changed__descriptor, on_event,
		     &events->nodes);
	if (r == 0)
		r = hear(events, "discovery", &boson__discovery__relay_changed__descriptor,
			 on_relay_changed, &events->relays);
	if (r == 0)
		r = hear(events, "routing", &boson__routing__session_changed__descriptor, on_event,
			 &events->sessions);
	if (r < 0) {
		gateway_events_deafen(events);
		return r;
	}
	events->is_heard = true;
	ask_for_relays(events);
	return 0;
}

void
gateway_events_deafen(struct gateway_events *events)
{
	events->is_heard = false;
	bus_unsubscribe(&events->nodes);
	bus_unsubscribe(&events->relays);
	bus_unsubscribe(&events->sessions);
	while (events->sources != NULL)
		source_forget(&events->sources);
}
