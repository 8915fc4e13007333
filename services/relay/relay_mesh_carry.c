/*
 * relay_mesh_carry: see the header.
 */
#include "relay/relay_mesh_carry.h"

#include "leg/leg_frame.h"
#include "link.pb-c.h"
#include "relay/relay_mesh_wire.h"
#include "relay/relay_port.h"
#include "relay/relay_shard.h"
#include "ws/ws_frame.h"

#include <stdlib.h>
#include <string.h>

static size_t
header_bytes(const uint8_t *frame)
{
	return frame[1] < 126 ? 2 : frame[1] == 126 ? 4 : 10;
}

static void
place_copy(struct relay_shard *shard, struct relay_end *end, bool is_control, const uint8_t *bytes,
	   size_t n)
{
	uint8_t *to = relay_port_place(shard, end->port, is_control, end->key, n);

	if (to != NULL)
		memcpy(to, bytes, n);
	else
		relay_count(&shard->counters, RELAY_MESH_DROPPED, 1);
}

/* What a node is told goes as it is. */
static void
flush_node(struct relay_shard *shard, struct relay_leg *leg)
{
	struct fair_item *item;

	while ((item = fair_list_pop(&leg->outbox.control)) != NULL) {
		size_t header = header_bytes(item->bytes);

		if (item->bytes[header] == LEG_KIND_CONTROL)
			place_copy(shard, leg->carried, true, item->bytes + header,
				   item->n - header);
		free(item);
	}
	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];

		for (size_t at = 0, n; at < piece->n; at += n) {
			const uint8_t *frame = piece->bytes + at;

			n = ws_frame_bytes(frame);
			place_copy(shard, leg->carried, false, frame + header_bytes(frame),
				   n - header_bytes(frame));
		}
	}
}

/* A client's message gets its channel back. */
static void
place_client(struct relay_shard *shard, struct relay_end *end, const uint8_t *message, size_t n)
{
	uint8_t *to = relay_port_place(shard, end->port, false, end->key, n + sizeof(uint32_t));

	if (to == NULL) {
		relay_count(&shard->counters, RELAY_MESH_DROPPED, 1);
		return;
	}
	to[0] = LEG_KIND_DATA;
	memcpy(to + 1, end->key + UUID_BYTES, sizeof(uint32_t));
	memcpy(to + LEG_DATA_HEADER_NODE_BYTES, message + 1, n - 1);
}

/* Clients are told nothing by another relay than their own. */
static void
flush_client(struct relay_shard *shard, struct relay_leg *leg)
{
	fair_list_clear(&leg->outbox.control);
	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];

		for (size_t at = 0, n; at < piece->n; at += n) {
			const uint8_t *frame = piece->bytes + at;

			n = ws_frame_bytes(frame);
			place_client(shard, leg->carried, frame + header_bytes(frame),
				     n - header_bytes(frame));
		}
	}
}

void
relay_mesh_say_close(struct relay_shard *shard, struct relay_port *port, const uint8_t *node_id,
		     uint32_t channel, uint16_t code, const char *reason)
{
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	char text[WS_CLOSE_REASON_MAX_BYTES + 1];

	strncpy(text, reason, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	close.has_channel = 1;
	close.channel = channel;
	close.has_code = code != 0;
	close.code = code;
	close.reason = text;
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	size_t n = boson__link__control__get_packed_size(&control);
	uint8_t *to = relay_port_place(shard, port, true, node_id, 1 + n);
	if (to == NULL)
		return;
	to[0] = LEG_KIND_CONTROL;
	boson__link__control__pack(&control, to + 1);
}

static void
end_node(struct relay_shard *shard, struct relay_leg *leg)
{
	struct relay_end *end = leg->carried;

	fair_list_clear(&leg->outbox.control);
	relay_mesh_say_close(shard, end->port, end->key, 0, 0, "no longer this way");
	relay_end_free(&end);
}

static void
end_client(struct relay_shard *shard, struct relay_leg *leg)
{
	struct relay_end *end = leg->carried;

	fair_list_clear(&leg->outbox.control);
	relay_mesh_say_close(shard, end->port, end->key, relay_mesh_get32(end->key + UUID_BYTES),
			     leg->close_code, leg->close_reason);
	relay_peer_close(end->port->peer);
	relay_end_free(&end);
}

const struct relay_carrier relay_mesh_node_carrier = { .gauge = RELAY_MESH_NODES,
						       .flush = flush_node,
						       .end = end_node };
const struct relay_carrier relay_mesh_client_carrier = { .gauge = RELAY_MESH_CLIENTS,
							 .flush = flush_client,
							 .end = end_client };

bool
relay_mesh_is_client(const struct relay_leg *leg)
{
	return leg->carrier == &relay_mesh_client_carrier;
}
