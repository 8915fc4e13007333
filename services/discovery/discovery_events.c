/* discovery's events: NodeChanged and RelayChanged, heard by routing and metrics; TokensRevoked,
 * heard by the gateways. */
#include "discovery/discovery_handlers.h"
#include "discovery/discovery_view.h"

#include "log/log.h"

static void
tell(struct discovery *discovery, const ProtobufCMessage *event)
{
	int error = bus_publish(discovery->publisher, event);

	if (error != 0)
		log_warn("event_lost", "type=%s error=%d", event->descriptor->name, error);
}

void
discovery_tell_node(struct discovery *discovery, const struct registry_node *node)
{
	Boson__Discovery__NodeChanged event = BOSON__DISCOVERY__NODE_CHANGED__INIT;
	struct view view;

	discovery_view_fill(&view, node, VIEW_INTERNAL);
	event.node = &view.node;
	event.has_deleted = 1;
	event.deleted = node->deleted;
	tell(discovery, &event.base);
	discovery_view_fini(&view);
}

void
discovery_tell_revoked(struct discovery *discovery, const struct registry_node *node)
{
	Boson__Discovery__TokensRevoked event = BOSON__DISCOVERY__TOKENS_REVOKED__INIT;
	Boson__Discovery__Revocation revocation = BOSON__DISCOVERY__REVOCATION__INIT;
	char id[UUID_TEXT_BYTES];

	uuid_format(node->id, id);
	revocation.node_id = id;
	revocation.has_tokens_since = 1;
	revocation.tokens_since = node->tokens_since_ms;
	event.revocation = &revocation;
	tell(discovery, &event.base);
}

void
discovery_tell_relay(struct discovery *discovery, const Boson__Common__Relay *relay, bool gone)
{
	Boson__Discovery__RelayChanged event = BOSON__DISCOVERY__RELAY_CHANGED__INIT;

	event.relay = (Boson__Common__Relay *)(uintptr_t)relay;
	event.has_gone = 1;
	event.gone = gone;
	tell(discovery, &event.base);
}
