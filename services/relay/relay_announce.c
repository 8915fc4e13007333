/*
 * relay_announce: tells discovery that this relay is there, every few seconds, and hears from it
 * which nodes were deleted. While discovery is down, nothing changes for the legs.
 * Tells: discovery.AnnounceRelay. Hears: NodeChanged.
 */
#include "discovery.pb-c.h"
#include "log/log.h"
#include "relay/relay_control.h"

#include <errno.h>
#include <string.h>

enum { ANNOUNCE_EVERY_MS = 5000, ANNOUNCE_AGAIN_MS = 500, ANNOUNCE_TIMEOUT_MS = 3000 };

static void
on_announced(const Boson__Common__Empty *reply, void *arg)
{
	struct relay_control *control = arg;

	if (reply != NULL || control->discovery == NULL)
		return; /* heard, or we are stopping */
	log_debug("announce_failed", "code=%s", bus_peer_result(control->discovery)->code);
	control->announce_at_ms = 0; /* soon again: it may just be starting */
}

void
relay_announce_now(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
	/* Each of several relays has a key of its own, which no [bus] relay_key could name. */
	const char *key = strncmp(control->bus_endpoint, "tcp://", strlen("tcp://")) == 0
				  ? actor_own_key(control->context)
				  : NULL;
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT;
	char region[64], group[TICKET_GROUP_BYTES], bus_key[64];
	char texts[RELAY_UDP_SOURCES_MAX][RELAY_UDP_SOURCE_TEXT_BYTES],
		*sources[RELAY_UDP_SOURCES_MAX];

	strncpy(region, settings->region, sizeof(region) - 1);
	region[sizeof(region) - 1] = '\0';
	strncpy(group, settings->group, sizeof(group) - 1);
	group[sizeof(group) - 1] = '\0';
	relay.id = control->id;
	relay.region = region;
	relay.relay_endpoint = control->public_url;
	relay.group = group;
	if (*control->udp_endpoint != '\0')
		relay.udp_endpoint = control->udp_endpoint;
	relay.udp_sources = sources;
	relay.n_udp_sources = control->udp_sources.n;
	for (size_t i = 0; i < relay.n_udp_sources; i++) {
		sources[i] = texts[i];
		relay_udp_source_format(&control->udp_sources.peers[i], texts[i]);
	}
	relay.bus_endpoint = control->bus_endpoint;
	relay.event_endpoint = control->event_endpoint;
	if (key != NULL) {
		strncpy(bus_key, key, sizeof(bus_key) - 1);
		bus_key[sizeof(bus_key) - 1] = '\0';
		relay.bus_key = bus_key;
	}
	relay.has_load = relay.has_draining = 1;
	relay.load = control->load.value;
	relay.draining = control->is_draining;
	bus_peer_next(control->discovery, ANNOUNCE_TIMEOUT_MS, NULL);
	boson__discovery__discovery__announce_relay(bus_peer_service(control->discovery), &relay,
						    on_announced, control);
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct relay_control *control = arg;

	if (loop_now_ms(loop) < control->announce_at_ms)
		return;
	control->announce_at_ms = loop_now_ms(loop) + ANNOUNCE_EVERY_MS;
	relay_announce_now(control);
}

static void
command_node(struct relay_control *control, enum relay_message_kind kind, const uint8_t *node_id)
{
	struct relay_message *message = relay_message_new(kind, node_id, 0);

	if (message != NULL)
		relay_control_command(control, &message);
}

static void
on_node_changed(const ProtobufCMessage *event, bool gap, void *arg)
{
	const Boson__Discovery__NodeChanged *change =
		(const Boson__Discovery__NodeChanged *)(const void *)event;
	struct relay_control *control = arg;
	uint8_t id[UUID_BYTES];

	(void)gap; /* a deletion missed is made good by the end of the ticket */
	if (change == NULL || change->node == NULL || change->node->node_id == NULL ||
	    uuid_parse(change->node->node_id, id) < 0)
		return;
	if (change->deleted) {
		relay_gone_add(&control->deleted, id, NULL);
		command_node(control, RELAY_NODE_GONE, id);
	} else if (relay_gone_has(&control->deleted, id, NULL)) {
		relay_gone_remove(&control->deleted, id, NULL);
		command_node(control, RELAY_NODE_BACK, id);
	}
}

int
relay_announce_start(struct relay_control *control)
{
	const struct actor_context *context = control->context;
	const char *key = actor_server_key(context, "discovery");
	int r = bus_peer_new(context->bus, actor_endpoint(context, "discovery"), key,
			     &boson__discovery__discovery__descriptor, &control->discovery);

	if (r == 0)
		r = bus_subscribe(context->bus, actor_event_endpoint(context, "discovery"), key,
				  &boson__discovery__node_changed__descriptor, on_node_changed,
				  control, &control->node_changes);
	if (r == 0)
		r = loop_timer_start(context->loop, 0, ANNOUNCE_AGAIN_MS, on_timer, control,
				     &control->announce_timer);
	if (r < 0)
		log_error("announce_start", "reason=\"%s\"", strerror(-r));
	return r;
}

void
relay_announce_stop(struct relay_control *control)
{
	if (control->announce_timer != NULL)
		loop_timer_stop(&control->announce_timer);
	if (control->node_changes != NULL)
		bus_unsubscribe(&control->node_changes);
	if (control->discovery != NULL)
		bus_peer_free(&control->discovery);
}
