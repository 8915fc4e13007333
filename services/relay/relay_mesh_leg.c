/*
 * relay_mesh_leg: what is heard from the other end of a link; what goes there is relay_mesh_carry.
 * Numbers of channels are those that the relay of the clients gave: that one is to the home relay
 * what a relay is to a node.
 */
#include "relay/relay_mesh_leg.h"

#include "bus/bus.h"
#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_attach.h"
#include "relay/relay_data.h"
#include "relay/relay_homes.h"
#include "relay/relay_link.h"
#include "relay/relay_mesh.h"
#include "relay/relay_mesh_carry.h"
#include "relay/relay_port.h"
#include "relay/relay_shard.h"
#include "ws/ws_frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- from the home relay of a node ---- */

static void
on_home_close(struct relay_shard *shard, struct relay_leg *leg,
	      const Boson__Link__ChannelClose *close)
{
	struct relay_channel *channel = relay_node_channel(leg->node, close->channel);

	if (close->channel == 0) {
		relay_leg_doom(shard, leg, 0, "node is elsewhere");
	} else if (channel != NULL && close->code == 0) {
		/* The channel alone went, not what it was for: it is sought again. */
		relay_leg_doom(shard, leg, 0, "home relay gave a channel up");
	} else if (channel != NULL) {
		log_debug("mesh_closes_client", "code=%u", close->code);
		if (close->code == WS_CLOSE_REPLACED)
			relay_leg_doom(shard, channel->client, WS_CLOSE_REPLACED,
				       "replaced by a newer leg elsewhere");
		else if (close->code == WS_CLOSE_GONE)
			relay_leg_doom(shard, channel->client, WS_CLOSE_GONE, "session is closed");
		else /* whatever it is: not every number may stand in a close frame */
			relay_leg_doom(shard, channel->client, WS_CLOSE_OVERLOADED,
				       "overloaded: node is away");
	}
}

static void
on_home_message(struct relay_shard *shard, struct relay_port *port,
		const struct relay_mesh_section *section)
{
	struct relay_end *end = relay_end_find(port, section->node_id, 0);
	ProtobufCMessage *control = NULL;

	if (end == NULL || end->leg->node == NULL || !relay_leg_is_open(end->leg))
		return; /* the two crossed */
	if (section->message[0] == LEG_KIND_DATA) {
		relay_data_on_message(shard, end->leg, section->message, section->n, 0);
		return;
	}
	if (bus_message_unpack(&boson__link__control__descriptor, section->message + 1,
			       section->n - 1, &control) < 0)
		return relay_leg_doom(shard, end->leg, 0, "home relay is not understood");
	const Boson__Link__Control *said = (const Boson__Link__Control *)control;
	if (said->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE)
		on_home_close(shard, end->leg, said->channel_close);
	protobuf_c_message_free_unpacked(control, NULL);
}

/* ---- from the relay of a client ---- */

/* What a refusal means to the client's own relay. */
static void
refuse_client(struct relay_shard *shard, struct relay_port *port, const uint8_t *node_id,
	      uint32_t channel, int error)
{
	if (error == -ESTALE)
		relay_mesh_say_close(shard, port, node_id, channel, WS_CLOSE_REPLACED,
				     "a newer leg is here");
	else if (error == -ESHUTDOWN)
		relay_mesh_say_close(shard, port, node_id, channel, WS_CLOSE_GONE,
				     "closed or deleted");
	else
		relay_mesh_say_close(shard, port, node_id, channel, WS_CLOSE_OVERLOADED, "no room");
}

/* Opened again, it says of which session the channel turned out to be. */
static void
bind_session(struct relay_shard *shard, struct relay_leg *leg, const char *session)
{
	struct relay_channel *channel = leg->channel;
	uint8_t session_id[UUID_BYTES];

	/* One that takes a place is found by its session, which stays. */
	if (channel == NULL || channel->generation != 0 || session == NULL ||
	    uuid_parse(session, session_id) < 0 ||
	    memcmp(channel->session_id, session_id, UUID_BYTES) == 0)
		return;
	memcpy(channel->session_id, session_id, UUID_BYTES);
	if (channel->node->leg != NULL)
		relay_link_channel_open(shard, channel);
}

/* Joins only what has its leg here: two relays are one hop, and there are never more. */
static void
on_client_open(struct relay_shard *shard, struct relay_port *port, const uint8_t *node_id,
	       const Boson__Link__ChannelOpen *open)
{
	const struct relay_node *node = relay_node_find(&shard->directory, node_id);
	struct relay_carried_client client = {
		.generation = relay_homes_plausible(open->generation, (uint64_t)clock_wall_us()),
	};
	uint8_t session_id[UUID_BYTES];

	if (open->channel == 0)
		return;
	struct relay_end *known = relay_end_find(port, node_id, open->channel);
	if (known != NULL)
		return bind_session(shard, known->leg, open->session_id);
	if (node == NULL || node->leg == NULL || node->leg->carrier != NULL)
		return relay_mesh_say_close(shard, port, node_id, open->channel, 0,
					    "node is not here");
	if (open->session_id != NULL && uuid_parse(open->session_id, session_id) == 0)
		client.session_id = session_id;
	memcpy(client.node_id, node_id, UUID_BYTES);
	struct relay_end *end = relay_end_new(port, node_id, open->channel);
	struct relay_leg *leg =
		end != NULL ? relay_leg_new_carried(&relay_mesh_client_carrier, end) : NULL;
	/* As many as legs may be here, and come. */
	bool may_open = leg != NULL && relay_peer_open(port->peer, shard->settings->legs_max);
	int r = leg == NULL ? -ENOMEM
		: may_open  ? relay_attach_carried_client(shard, leg, &client)
			    : -ENOSPC;
	if (r == 0) {
		end->leg = leg;
		return;
	}
	if (may_open)
		relay_peer_close(port->peer);
	relay_count(&shard->counters, RELAY_MESH_REFUSED_CHANNELS, r == -ENOSPC);
	if (leg != NULL)
		relay_leg_free(&leg);
	if (end != NULL)
		relay_end_free(&end);
	refuse_client(shard, port, node_id, open->channel, r);
}

/* The other relay's clients of this node go another way. */
static void
on_clients_leave(struct relay_shard *shard, const struct relay_port *port, const uint8_t *node_id)
{
	const struct relay_node *node = relay_node_find(&shard->directory, node_id);
	const struct relay_channel *channel;
	uint32_t i = 0;

	while (node != NULL && (channel = relay_node_next(node, &i)) != NULL) {
		const struct relay_end *end = channel->client->carried;

		if (relay_mesh_is_client(channel->client) && end->port == port)
			relay_leg_doom(shard, channel->client, 0, "clients go another way");
	}
}

static void
on_client_close(struct relay_shard *shard, const struct relay_port *port, const uint8_t *node_id,
		uint32_t channel)
{
	const struct relay_end *end = relay_end_find(port, node_id, channel);

	if (channel == 0)
		on_clients_leave(shard, port, node_id);
	else if (end != NULL)
		relay_leg_doom(shard, end->leg, 0, "client left");
}

static void
on_client_control(struct relay_shard *shard, struct relay_port *port,
		  const struct relay_mesh_section *section)
{
	ProtobufCMessage *control = NULL;

	if (bus_message_unpack(&boson__link__control__descriptor, section->message + 1,
			       section->n - 1, &control) < 0) {
		relay_count(&shard->counters, RELAY_BAD_MESSAGES, 1);
		return;
	}
	const Boson__Link__Control *said = (const Boson__Link__Control *)control;
	if (said->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN) {
		on_client_open(shard, port, section->node_id, said->channel_open);
	} else if (said->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE) {
		on_client_close(shard, port, section->node_id, said->channel_close->channel);
	}
	protobuf_c_message_free_unpacked(control, NULL);
}

static void
on_client_message(struct relay_shard *shard, struct relay_port *port,
		  const struct relay_mesh_section *section)
{
	if (section->message[0] == LEG_KIND_CONTROL)
		return on_client_control(shard, port, section);
	struct relay_end *end = section->n > LEG_DATA_HEADER_NODE_BYTES
					? relay_end_find(port, section->node_id,
							 relay_mesh_get32(section->message + 1))
					: NULL;
	if (end == NULL || end->leg->channel == NULL || !relay_leg_is_open(end->leg)) {
		relay_count(&shard->counters, RELAY_DROP_NO_CHANNEL, 1);
		return;
	}
	/* The channel goes: [kind][channel][batch] becomes [kind][batch]. */
	uint8_t *message = section->message + sizeof(uint32_t);
	message[0] = LEG_KIND_DATA;
	relay_data_on_message(shard, end->leg, message, section->n - sizeof(uint32_t), 0);
}

/* ---- from the mesh thread ---- */

void
relay_mesh_on_sections(struct relay_shard *shard, struct relay_message *message)
{
	struct relay_port *port = relay_port_get(shard, message->link, true);
	struct relay_mesh_section section;
	uint8_t *at = message->bytes, *end = at + message->n;

	if (port == NULL)
		return;
	port->peer = message->peer;
	while (relay_mesh_section_next(&at, end, &section) == 1) {
		if (relay_shard_of(section.node_id, shard->count) != shard->index)
			continue;
		if (message->is_dialled)
			on_home_message(shard, port, &section);
		else
			on_client_message(shard, port, &section);
	}
}

void
relay_mesh_on_link_down(struct relay_shard *shard, uint64_t link)
{
	const struct relay_port *port = relay_port_get(shard, link, false);
	const struct relay_end *end;

	if (port == NULL)
		return;
	LIST_FOREACH (end, &port->ends, of_port)
		relay_leg_doom(shard, end->leg, 0, "link to the other relay is down");
}

void
relay_mesh_on_tie(struct relay_shard *shard, const struct relay_message *message)
{
	struct relay_port *port = relay_port_get(shard, message->link, true);
	struct relay_end *end;

	if (port == NULL || relay_end_find(port, message->node_id, 0) != NULL)
		return; /* it goes that way already */
	end = relay_end_new(port, message->node_id, 0);
	struct relay_leg *leg =
		end != NULL ? relay_leg_new_carried(&relay_mesh_node_carrier, end) : NULL;
	if (leg == NULL) {
		if (end != NULL)
			relay_end_free(&end);
		return;
	}
	end->leg = leg;
	if (!relay_attach_carried_node(shard, leg, message->node_id, message->generation))
		relay_end_free(&end);
}

void
relay_mesh_flush(struct relay_shard *shard)
{
	struct relay_port *next;

	for (struct relay_port *port = shard->ports.first; port != NULL; port = next) {
		next = port->next;
		relay_port_flush(shard, port);
		relay_port_put(shard, port);
	}
}

void
relay_mesh_ports_fini(struct relay_shard *shard)
{
	while (shard->ports.first != NULL)
		relay_port_put(shard, shard->ports.first);
}
